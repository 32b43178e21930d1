#include "common/base/text.h"
#include "common/base/clock.h"
#include "common/base/err.h"
#include <errno.h>
#include <math.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <utf8proc.h>

bool tr_utf8_ok(const char *p, size_t n, size_t *chars)
{
	const unsigned char *u = (const unsigned char *)p;
	size_t count = 0;

	for (size_t i = 0; i < n; count++) {
		utf8proc_int32_t cp;
		utf8proc_ssize_t len = 1;

		if (u[i] == '\0')
			return false;
		if (u[i] >= 0x80) {
			/* four bytes at most: what is behind n is never looked at */
			len = utf8proc_iterate(u + i, n - i < 4 ? (utf8proc_ssize_t)(n - i) : 4, &cp);
			if (len <= 0)
				return false;
		}
		i += (size_t)len;
	}
	if (chars != NULL)
		*chars = count;
	return true;
}

int tr_parse_i64(const char *s, int64_t min, int64_t max, int64_t *out)
{
	const char *digits = s + (s[0] == '-');
	long long v;

	if (digits[0] == '\0' || digits[strspn(digits, "0123456789")] != '\0')
		return TR_EINVAL;
	errno = 0;
	v = strtoll(s, NULL, 10);
	if (errno != 0 || v < min || v > max)
		return TR_EINVAL;
	*out = v;
	return 0;
}

int tr_parse_f64(const char *s, double min, double max, double *out)
{
	char *end;
	double v;

	/* no blanks, no leading "+", no hexadecimal, no "inf" or "nan" */
	if (s[0] == '\0' || s[0] == '+' || s[strspn(s, "0123456789.eE+-")] != '\0')
		return TR_EINVAL;
	v = strtod(s, &end);
	if (*end != '\0' || !isfinite(v) || v < min || v > max)
		return TR_EINVAL;
	*out = v;
	return 0;
}

void tr_copy(char *dst, size_t dst_size, const char *src, size_t n)
{
	if (dst_size == 0)
		return;
	if (n > dst_size - 1)
		n = dst_size - 1;
	if (n > 0)
		memcpy(dst, src, n);
	dst[n] = '\0';
}

void tr_hex(const void *p, size_t n, char *out)
{
	static const char digits[] = "0123456789abcdef";
	const unsigned char *u = p;

	for (size_t i = 0; i < n; i++) {
		*out++ = digits[u[i] >> 4];
		*out++ = digits[u[i] & 15];
	}
	*out = '\0';
}

static void random_bytes(unsigned char *p, size_t n)
{
	while (n > 0) {
		ssize_t got = getrandom(p, n, 0);

		if (got < 0 && errno != EINTR)
			abort(); /* no kernel we run on refuses this; an id that is not random would lose memories */
		if (got > 0) {
			p += got;
			n -= (size_t)got;
		}
	}
}

/* Ids take ten bytes each, and a call of the kernel for each would be a tenth of what a short HTTP request costs. */
static _Thread_local struct {
	unsigned char bytes[640];
	size_t left;
} pool;

static void forget_pool(void)
{
	pool.left = 0; /* the child of a fork must not give out what its parent does */
}

static void watch_forks(void)
{
	if (pthread_atfork(NULL, NULL, forget_pool) != 0)
		abort();
}

static void pooled_bytes(unsigned char *p, size_t n)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;

	if (pool.left < n) {
		(void)pthread_once(&once, watch_forks);
		random_bytes(pool.bytes, sizeof(pool.bytes));
		pool.left = sizeof(pool.bytes);
	}
	pool.left -= n;
	memcpy(p, pool.bytes + pool.left, n);
}

void tr_id_new(char out[TR_ID_LEN])
{
	static const unsigned char groups[] = {4, 2, 2, 2, 6};
	uint64_t ms = (uint64_t)tr_wall_ms();
	unsigned char u[16];
	size_t at = 0;

	pooled_bytes(u + 6, sizeof(u) - 6);
	for (int i = 5; i >= 0; i--, ms >>= 8)
		u[i] = (unsigned char)(ms & 0xff);
	u[6] = (unsigned char)(0x70 | (u[6] & 0x0f)); /* version */
	u[8] = (unsigned char)(0x80 | (u[8] & 0x3f)); /* variant */
	for (size_t g = 0; g < sizeof(groups); g++) {
		tr_hex(u + at, groups[g], out);
		out += 2 * groups[g];
		*out++ = '-';
		at += groups[g];
	}
	out[-1] = '\0';
}
