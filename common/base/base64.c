#include "common/base/base64.h"
#include <stdint.h>

static const char digits[65] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

void base64_encode(const void *p, size_t n, char *out)
{
	const unsigned char *in = p;

	for (size_t i = 0; i < n; i += 3) {
		uint32_t v = (uint32_t)in[i] << 16;

		v |= i + 1 < n ? (uint32_t)in[i + 1] << 8 : 0;
		v |= i + 2 < n ? in[i + 2] : 0u;
		*out++ = digits[v >> 18];
		*out++ = digits[v >> 12 & 63];
		*out++ = i + 1 < n ? digits[v >> 6 & 63] : '=';
		*out++ = i + 2 < n ? digits[v & 63] : '=';
	}
}

static int value_of(char c)
{
	if (c >= 'A' && c <= 'Z')
		return c - 'A';
	if (c >= 'a' && c <= 'z')
		return c - 'a' + 26;
	if (c >= '0' && c <= '9')
		return c - '0' + 52;
	return c == '+' ? 62 : c == '/' ? 63 : -1;
}

long base64_decode(const char *p, size_t n, unsigned char *out)
{
	unsigned char *start = out;

	if (n % 4 != 0)
		return -1;
	for (size_t i = 0; i < n; i += 4) {
		unsigned pad = i + 4 < n ? 0 : (unsigned)(p[i + 3] == '=') + (p[i + 3] == '=' && p[i + 2] == '=');
		uint32_t v = 0;

		for (unsigned k = 0; k < 4; k++) {
			int d = k >= 4 - pad ? 0 : value_of(p[i + k]);

			if (d < 0)
				return -1;
			v = v << 6 | (uint32_t)d;
		}
		if (v & (pad == 2 ? 0xffffu : pad == 1 ? 0xffu : 0u))
			return -1;
		*out++ = (unsigned char)(v >> 16);
		if (pad < 2)
			*out++ = (unsigned char)(v >> 8);
		if (pad < 1)
			*out++ = (unsigned char)v;
	}
	return out - start;
}
