/* Who calls: what executive-jr knows of the tokens, as memory-jr told it last. Pure: time is passed in. */
#ifndef JRS_EXECUTIVE_API_TOKENS_H
#define JRS_EXECUTIVE_API_TOKENS_H
#include "common/base/token.h"
#include "proto/wire/wire.h"

enum principal_via { VIA_LOOPBACK, VIA_TOKEN, VIA_CERTIFICATE };
/* Found once for a request. Zeroed: nobody, who may do nothing. */
struct principal {
	char name[TR_TOKEN_NAME_MAX + 1]; /* of the token; "loopback", or "admin" (whose token tribed made) */
	char source[WIRE_NAME_MAX + 1];
	bool has_source; /* the only source that exists for it */
	int64_t since;   /* when the token was made, 0: by tribed. Of the same name one made later is another caller */
	unsigned scopes; /* bits of enum tr_scope, with what they include */
	enum principal_via via;
};
/* May it do what wants this scope (0: anybody may)? whole: it is about the whole tribe, which who is bound to a source
 * does not see. */
bool principal_may(const struct principal *p, unsigned scope, bool whole);

struct token {
	struct principal who;
	unsigned char hash[TR_SHA256_LEN], old_hash[TR_SHA256_LEN];
	int64_t expires_at, old_until; /* INT64_MAX: never; old_until 0: there is none before it */
};
struct token_at { /* where a hash that begins so is */
	uint64_t begins;
	uint32_t at;
};
struct tokens {
	struct token *v;        /* owned */
	struct token_at *order; /* owned; two for each token, in the order of what they begin with */
	unsigned n;
	uint64_t revision;
	bool known; /* memory-jr has told them */
};
/* In place of what is there, which stays on TR_ENOMEM and on TR_EPROTO. */
int tokens_take(struct tokens *t, const struct res_memory_token_keys *keys);
void tokens_free(struct tokens *t);
/* Whose token has this SHA-256? NULL: nobody's, or it is past its time. Quick, since anybody may ask. How long it takes
 * may tell with what a hash begins, and whoever can find a token to a hash needs no help; the rest of it is compared in
 * constant time. */
const struct principal *tokens_find(const struct tokens *t, const unsigned char hash[TR_SHA256_LEN], int64_t now_ms);
/* The one of that name, unless it is past its time. */
const struct principal *tokens_named(const struct tokens *t, const char *name, size_t n, int64_t now_ms);

#endif
