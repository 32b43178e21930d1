/* A growing byte buffer with a limit. Not thread-safe. Owned by whoever declares it; zero-initialised is empty and valid
 * with no limit. Appending past the limit or out of memory returns TR_ETOOBIG / TR_ENOMEM, leaves the content untouched
 * and makes `failed` stick, so a series of appends may be checked once at its end. */
#ifndef COMMON_BASE_BUF_H
#define COMMON_BASE_BUF_H
#include <stddef.h>

struct buf {
	char *p;       /* owned; may be NULL while len == 0; always followed by a NUL when not NULL */
	size_t len;    /* bytes in use */
	size_t cap;    /* bytes allocated */
	size_t max;    /* len never exceeds it; 0 = no limit */
	int failed;    /* first error, 0 if none */
};

void buf_init(struct buf *b, size_t max);
void buf_free(struct buf *b);                 /* back to empty; keeps max */
void buf_clear(struct buf *b);                /* len = 0, failed = 0, keeps the memory */
int buf_reserve(struct buf *b, size_t more);  /* room for `more` bytes behind len */
int buf_append(struct buf *b, const void *p, size_t n);
int buf_puts(struct buf *b, const char *s);
int buf_printf(struct buf *b, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void buf_consume(struct buf *b, size_t n);    /* drops the first n bytes; n <= len */

#endif
