/* Small pure helpers on bytes and text. */
#ifndef COMMON_BASE_TEXT_H
#define COMMON_BASE_TEXT_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* True for valid UTF-8 without NUL. *chars (may be NULL) = number of code points. */
bool tr_utf8_ok(const char *p, size_t n, size_t *chars);
/* strtol-like for whole decimal strings; TR_EINVAL when there is anything else or it is out of [min, max]. */
int tr_parse_i64(const char *s, int64_t min, int64_t max, int64_t *out);
int tr_parse_f64(const char *s, double min, double max, double *out);   /* finite only */
/* Copies with truncation, always NUL-terminated. n may hold any bytes. */
void tr_copy(char *dst, size_t dst_size, const char *src, size_t n);
/* Lower-case hex, NUL-terminated: out holds 2*n+1. */
void tr_hex(const void *p, size_t n, char *out);

#define TR_SHA256_LEN 32
int tr_sha256(const void *p, size_t n, unsigned char out[TR_SHA256_LEN]);   /* OpenSSL; TR_EINTERNAL if it fails */
/* The same over several pieces, each preceded by its length as 8 bytes big endian, so that pieces cannot run together.
 * A NULL piece counts as absent and differs from an empty one. */
struct tr_piece {
	const void *p;
	size_t n;
};
int tr_sha256_pieces(const struct tr_piece *v, size_t n, unsigned char out[TR_SHA256_LEN]);

#define TR_ID_LEN 37 /* 36 characters and NUL */
/* A new UUID version 7 (RFC 9562): time-ordered, 74 random bits from getrandom(). */
void tr_id_new(char out[TR_ID_LEN]);

#endif
