#include <stdlib.h>
#include <string.h>

#include "common/base/buf.h"
#include "common/base/text.h"
#include "jrs/integration/import/graph.h"
#include "jrs/integration/text/chars.h"

bool graph_blank(const char *p, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (memchr(" \t\r\v\f", p[i], 5) == NULL)
			return false;
	return true;
}

/* A copy whose broken bytes and NULs are U+FFFD. */
static int mend_bytes(struct buf *b, const char *p, size_t n)
{
	size_t from = 0;
	int32_t c;

	for (size_t i = 0; i < n;) {
		size_t len = chars_next(p + i, n - i, &c);

		if (c == CHARS_BROKEN || c == 0) {
			(void)buf_append(b, p + from, i - from);
			(void)buf_puts(b, "\xef\xbf\xbd");
			from = i + len;
		}
		i += len;
	}
	return buf_append(b, p + from, n - from);
}

/* The value of "\uXXXX" at p; -1: there is none. */
static long escape_at(const char *p, size_t n)
{
	long v = 0;

	if (n < 6 || p[0] != '\\' || p[1] != 'u')
		return -1;
	for (int i = 2; i < 6; i++) {
		static const char digits[] = "0123456789abcdefABCDEF";
		const char *d = memchr(digits, p[i], sizeof digits - 1);

		if (d == NULL)
			return -1;
		v = v * 16 + (d - digits < 16 ? d - digits : d - digits - 6);
	}
	return v;
}

/* In place: escapes that no UTF-8 has become that of U+FFFD. */
static void mend_escapes(char *p, size_t n)
{
	size_t step;

	for (size_t i = 0; i < n; i += step) {
		long v = escape_at(p + i, n - i);
		long next = v >= 0xd800 && v < 0xdc00 ? escape_at(p + i + 6, n - i - 6) : -1;

		step = p[i] != '\\' ? 1 : v < 0 ? 2 : 6;
		if (next >= 0xdc00 && next < 0xe000)
			step = 12;
		else if (v == 0 || (v >= 0xd800 && v < 0xe000))
			memcpy(p + i, "\\ufffd", 6);
	}
}

int graph_parse(json_t **out, const char *p, size_t n, struct tr_fault *fault)
{
	struct buf b = {.max = 0};
	int r = tr_utf8_ok(p, n, NULL) ? json_parse(out, p, n, fault) : TR_EMALFORMED;

	if (r != TR_EMALFORMED)
		return r;
	r = mend_bytes(&b, p, n);
	if (r == 0 && b.failed == 0) {
		mend_escapes(b.p, b.len);
		r = json_parse(out, b.p, b.len, fault);
	}
	buf_free(&b);
	return r;
}
