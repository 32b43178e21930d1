#include "jrs/executive/http/target.h"
#include "common/base/text.h"
#include "jrs/executive/http/guard.h"
#include <assert.h>
#include <string.h>
#include <strings.h>

static int hex(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c = (char)(c | 0x20);
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

enum decode_how { KEEP_SLASH, WHOLE, FORM }; /* leave %2F as it is; decode everything; and "+" is a space */

/* Decodes into t->text, whose room was reserved, so that nothing moves. */
static int decode(struct http_target *t, const char *p, size_t n, enum decode_how how, struct http_span *out,
		  const char **why)
{
	struct http_span s = {.off = (uint16_t)t->text.len};
	char *d = t->text.p + t->text.len;
	size_t k = 0;

	for (size_t i = 0; i < n; i++) {
		char c = p[i];

		if (c == '%') {
			int hi = n - i > 2 ? hex(p[i + 1]) : -1, lo = hi < 0 ? -1 : hex(p[i + 2]);

			if (hi < 0 || lo < 0) {
				*why = "% must be followed by two hexadecimal digits";
				return 400;
			}
			c = (char)(hi * 16 + lo);
			if (how == KEEP_SLASH && c == '/') {
				memcpy(d + k, p + i, 3);
				k += 3;
				i += 2;
				continue;
			}
			i += 2;
		} else if (c == '+' && how == FORM) {
			c = ' ';
		}
		d[k++] = c;
	}
	if (!tr_utf8_ok(d, k, NULL)) {
		*why = "the path and the query must be UTF-8 without NUL";
		return 400;
	}
	d[k] = '\0';
	s.n = (uint16_t)k;
	t->text.len += k + 1;
	*out = s;
	return 0;
}

static int split_path(struct http_target *t, const char *p, size_t n, const char **why)
{
	const char *end = p + n;
	int r = decode(t, p, n, KEEP_SLASH, &t->path, why);

	for (p++; r == 0 && t->nsegments <= HTTP_SEGMENTS_MAX; t->nsegments++) {
		const char *slash = memchr(p, '/', (size_t)(end - p));
		size_t len = slash == NULL ? (size_t)(end - p) : (size_t)(slash - p);

		if (t->nsegments < HTTP_SEGMENTS_MAX)
			r = decode(t, p, len, WHOLE, &t->segments[t->nsegments], why);
		if (slash == NULL) {
			t->nsegments++;
			break;
		}
		p = slash + 1;
	}
	return r;
}

static int split_query(struct http_target *t, const char *p, size_t n, const char **why)
{
	const char *end = p + n;
	int r;

	while (p < end) {
		const char *amp = memchr(p, '&', (size_t)(end - p)), *stop = amp == NULL ? end : amp;
		const char *eq = memchr(p, '=', (size_t)(stop - p)), *name_end = eq == NULL ? stop : eq;

		if (stop > p) {
			if (t->nquery == HTTP_QUERY_MAX) {
				*why = "more than 64 query parameters";
				return 400;
			}
			r = decode(t, p, (size_t)(name_end - p), FORM, &t->query[t->nquery].name, why);
			if (r == 0)
				r = decode(t, eq == NULL ? stop : eq + 1, eq == NULL ? 0 : (size_t)(stop - eq - 1),
					   FORM, &t->query[t->nquery].value, why);
			if (r != 0)
				return r;
			t->nquery++;
		}
		p = stop + 1;
	}
	return 0;
}

/* http://authority/path -> /path; the authority goes before any Host header. */
static int absolute_form(struct http_target *t, const char **p, size_t *n, const char **why)
{
	size_t scheme = *n >= 7 && strncasecmp(*p, "http://", 7) == 0    ? 7
			: *n >= 8 && strncasecmp(*p, "https://", 8) == 0 ? 8
									 : 0;
	const char *a = *p + scheme, *end = *p + *n;
	size_t len = 0;

	*why = "the target must be a path, or an http URL";
	if (scheme == 0)
		return 400;
	while (a + len < end && a[len] != '/' && a[len] != '?')
		len++;
	if (len == 0 || memchr(a, '@', len) != NULL || memchr(a, '%', len) != NULL)
		return 400;
	t->has_authority = true;
	*p = a + len;
	*n = (size_t)(end - *p);
	return decode(t, a, len, WHOLE, &t->authority, why);
}

int http_target_parse(struct http_target *t, const char *p, size_t n, bool options, const char **why)
{
	const char *mark;
	int r;

	assert(n <= HTTP_LINE_MAX);
	buf_clear(&t->text);
	t->nsegments = t->nquery = 0;
	t->has_authority = false;
	/* path, segments and query each hold at most the target again, and a NUL for each piece */
	if (buf_reserve(&t->text, 3 * n + HTTP_SEGMENTS_MAX + 2 * HTTP_QUERY_MAX + 16) < 0) {
		*why = "out of memory";
		return 500;
	}
	if (n == 1 && *p == '*') {
		*why = "the target * belongs to OPTIONS alone";
		return options ? decode(t, p, n, WHOLE, &t->path, why) : 400;
	}
	if (memchr(p, '#', n) != NULL) {
		*why = "a fragment may not be sent";
		return 400;
	}
	if (*p != '/' && (r = absolute_form(t, &p, &n, why)) != 0)
		return r;
	mark = n == 0 ? NULL : memchr(p, '?', n);
	if (n == 0 || mark == p)
		r = split_path(t, "/", 1, why);
	else
		r = split_path(t, p, mark == NULL ? n : (size_t)(mark - p), why);
	if (r == 0 && mark != NULL)
		r = split_query(t, mark + 1, (size_t)(p + n - mark - 1), why);
	return r;
}

void http_target_free(struct http_target *t)
{
	buf_free(&t->text);
}
