/* SHA-256 of what comes in pieces, as sha256sum would print it of the whole (tr_sha256() of text.h: of what is in
 * memory). */
#ifndef COMMON_BASE_SHA256_H
#define COMMON_BASE_SHA256_H
#include "common/base/text.h"

#define TR_SHA256_HEX (2 * TR_SHA256_LEN + 1) /* digits and NUL */

struct tr_sha256;
/* Loads what digests need, which the first one does otherwise: for who answers at once from some moment on. false: it
 * is not there, and every digest fails. Any thread. */
bool tr_sha256_load(void);
int tr_sha256_new(struct tr_sha256 **out); /* TR_ENOMEM, TR_EINTERNAL */
/* What fails here is told by tr_sha256_end(). */
void tr_sha256_add(struct tr_sha256 *s, const void *p, size_t n);
/* The digest of all that was added, in lower-case hexadecimal; frees *s. TR_EINTERNAL. */
int tr_sha256_end(struct tr_sha256 **s, char out[TR_SHA256_HEX]);
void tr_sha256_free(struct tr_sha256 **s); /* without a digest; NULL is fine */

#endif
