/* RFC 4648 base64 with padding: how bytes travel in JSON, in DSSE envelopes and in settings. Pure. */
#ifndef COMMON_BASE_BASE64_H
#define COMMON_BASE_BASE64_H
#include <stddef.h>

#define BASE64_LEN(n) (((n) + 2) / 3 * 4) /* characters for n bytes, without NUL */

void base64_encode(const void *p, size_t n, char *out); /* BASE64_LEN(n) characters, no NUL */
/* Strict: no blanks, padding required, unused bits zero. Bytes written (at most n / 4 * 3) or -1. */
long base64_decode(const char *p, size_t n, unsigned char *out);

#endif
