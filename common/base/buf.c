#include "common/base/buf.h"
#include "common/base/err.h"
#include <assert.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define BUF_FIRST 64 /* bytes of the first allocation */

void buf_init(struct buf *b, size_t max)
{
	*b = (struct buf){.max = max};
}

void buf_free(struct buf *b)
{
	free(b->p);
	buf_init(b, b->max);
}

void buf_clear(struct buf *b)
{
	b->len = 0;
	b->failed = 0;
	if (b->p != NULL)
		b->p[0] = '\0';
}

static int fail(struct buf *b, int r)
{
	if (b->failed == 0)
		b->failed = r;
	return r;
}

int buf_reserve(struct buf *b, size_t more)
{
	size_t need, cap;
	char *p;

	if (more >= SIZE_MAX / 2 - b->len || (b->max != 0 && more > b->max - b->len))
		return fail(b, TR_ETOOBIG);
	need = b->len + more + 1; /* the NUL */
	if (need <= b->cap)
		return 0;
	cap = b->cap < BUF_FIRST ? BUF_FIRST : b->cap * 2;
	if (cap < need)
		cap = need;
	p = realloc(b->p, cap);
	if (p == NULL)
		return fail(b, TR_ENOMEM);
	b->p = p;
	b->cap = cap;
	p[b->len] = '\0';
	return 0;
}

int buf_append(struct buf *b, const void *p, size_t n)
{
	int r;

	if (b->failed != 0)
		return b->failed;
	if ((r = buf_reserve(b, n)) < 0)
		return r;
	if (n > 0)
		memcpy(b->p + b->len, p, n);
	b->len += n;
	b->p[b->len] = '\0';
	return 0;
}

int buf_puts(struct buf *b, const char *s)
{
	return buf_append(b, s, strlen(s));
}

int buf_printf(struct buf *b, const char *fmt, ...)
{
	va_list ap, again;
	size_t n;
	int r;

	if (b->failed != 0)
		return b->failed;
	va_start(ap, fmt);
	va_copy(again, ap);
	r = vsnprintf(NULL, 0, fmt, ap);
	va_end(ap);
	if (r < 0) {
		r = fail(b, TR_EINVAL);
		goto out;
	}
	n = (size_t)r;
	if ((r = buf_reserve(b, n)) < 0)
		goto out;
	(void)vsnprintf(b->p + b->len, n + 1, fmt, again);
	b->len += n;
out:
	va_end(again);
	return r;
}

void buf_consume(struct buf *b, size_t n)
{
	assert(n <= b->len);
	if (n == 0)
		return;
	memmove(b->p, b->p + n, b->len - n);
	b->len -= n;
	b->p[b->len] = '\0';
}
