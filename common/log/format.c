#include "common/log/format.h"
#include "common/base/text.h"
#include <stdio.h>
#include <string.h>

/* Bytes of the character at p (0 < n) that may be shown as it is; 0: escape one byte. */
static size_t printable(const char *p, size_t n)
{
	unsigned char c = (unsigned char)*p;
	size_t len = c < 0x80 ? 1 : c < 0xe0 ? 2 : c < 0xf0 ? 3 : 4;

	if (c < 0x20 || c == 0x7f || len > n || !tr_utf8_ok(p, len, NULL))
		return 0;
	if (c == 0xc2 && (unsigned char)p[1] < 0xa0)
		return 0; /* C1 controls: terminals obey them */
	return len;
}

static size_t escape(char out[5], unsigned char c)
{
	static const char hex[] = "0123456789abcdef";

	out[0] = '\\';
	if (c == '\n' || c == '\t' || c == '\r') {
		out[1] = c == '\n' ? 'n' : c == '\t' ? 't' : 'r';
		return 2;
	}
	out[1] = 'x';
	out[2] = hex[c >> 4];
	out[3] = hex[c & 15];
	return 4;
}

size_t log_format(char *out, size_t size, const char *prefix, const char *fmt, va_list ap)
{
	size_t room = size - sizeof("...\n") + 1, at = strlen(prefix), n;
	char text[LOG_LINE_MAX], esc[5];
	int r = vsnprintf(text, sizeof(text), fmt, ap);

	if (r < 0)
		r = 0;
	n = (size_t)r < sizeof(text) ? (size_t)r : sizeof(text) - 1;
	memcpy(out, prefix, at);
	out[at++] = ' ';
	for (size_t i = 0; i < n;) {
		size_t len = printable(text + i, n - i);
		const char *src = len > 0 ? text + i : esc;
		size_t add = len > 0 ? len : escape(esc, (unsigned char)text[i]);

		if (at + add > room) {
			r = (int)sizeof(text); /* say that it was cut */
			break;
		}
		memcpy(out + at, src, add);
		at += add;
		i += len > 0 ? len : 1;
	}
	if ((size_t)r >= sizeof(text)) {
		memcpy(out + at, "...", 3);
		at += 3;
	}
	out[at++] = '\n';
	return at;
}
