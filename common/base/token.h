/* Tokens of the API: what they look like, how they are known, and what they are allowed. */
#ifndef COMMON_BASE_TOKEN_H
#define COMMON_BASE_TOKEN_H
#include "common/base/text.h"

/* What somebody may do, one bit each. READ < WRITE < ADMIN; METRICS is for /metrics alone, and ADMIN has it too. */
#define TR_SCOPES(X)         \
	X(READ, 1, "read")   \
	X(WRITE, 2, "write") \
	X(ADMIN, 4, "admin") \
	X(METRICS, 8, "metrics")
enum tr_scope {
#define X(id, bit, name) TR_SCOPE_##id = (bit),
	TR_SCOPES(X)
#undef X
};
#define TR_NSCOPES    4
#define TR_SCOPES_ALL 15u

unsigned tr_scope_find(const char *name, size_t n); /* its bit; 0: there is no such scope */
const char *tr_scope_name(unsigned bit);            /* of one bit; never NULL */
/* With what they include. */
static inline unsigned tr_scopes_whole(unsigned bits)
{
	if ((bits & TR_SCOPE_ADMIN) != 0)
		return TR_SCOPES_ALL;
	return (bits & TR_SCOPE_WRITE) != 0 ? bits | TR_SCOPE_READ : bits;
}

#define TR_TOKEN_NAME_MAX 64
/* May a token be called so: 1..64 of letters, digits and . _ - @ : and none of the names that somebody has already
 * ("loopback", "admin", "tribed", those of the Jrs). NULL: yes; else the rule. */
const char *tr_token_name_fault(const char *name, size_t n);

#define TR_TOKEN_PREFIX "tribe_"
#define TR_TOKEN_LEN    50 /* prefix, 43 characters of base64url, NUL */
/* A new one: 256 random bits; hash is all that is ever kept of it. TR_EINTERNAL: there was no randomness. */
int tr_token_make(char out[TR_TOKEN_LEN], unsigned char hash[TR_SHA256_LEN]);

#endif
