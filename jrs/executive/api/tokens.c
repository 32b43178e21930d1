#include "jrs/executive/api/tokens.h"
#include "common/base/err.h"
#include <openssl/crypto.h>
#include <stdlib.h>
#include <string.h>

bool principal_may(const struct principal *p, unsigned scope, bool whole)
{
	return (p->scopes & scope) == scope && !(whole && p->has_source);
}

/* ---- what memory-jr tells ---- */
static bool take(struct token *t, const struct item_token_key *key)
{
	memset(t, 0, sizeof(*t));
	if (key->hash.n != TR_SHA256_LEN || (key->has_old_hash && key->old_hash.n != TR_SHA256_LEN))
		return false;
	tr_copy(t->who.name, sizeof(t->who.name), key->name.p, key->name.n);
	t->who.has_source = key->has_source;
	if (key->has_source)
		tr_copy(t->who.source, sizeof(t->who.source), key->source.p, key->source.n);
	t->who.scopes = tr_scopes_whole(key->scopes);
	t->who.via = VIA_TOKEN;
	t->who.since = key->created_at;
	memcpy(t->hash, key->hash.p, sizeof(t->hash));
	t->expires_at = key->has_expires_at ? key->expires_at : INT64_MAX;
	if (key->has_old_hash && key->has_old_until) {
		memcpy(t->old_hash, key->old_hash.p, sizeof(t->old_hash));
		t->old_until = key->old_until;
	}
	return true;
}

int tokens_take(struct tokens *t, const struct res_memory_token_keys *keys)
{
	struct token *v = calloc((size_t)keys->keys.n + 1, sizeof(*v));

	if (v == NULL)
		return TR_ENOMEM;
	for (uint32_t i = 0; i < keys->keys.n; i++)
		if (!take(&v[i], &keys->keys.v[i])) {
			free(v);
			return TR_EPROTO;
		}
	free(t->v);
	*t = (struct tokens){v, keys->keys.n, keys->revision, true};
	return 0;
}

void tokens_free(struct tokens *t)
{
	free(t->v);
	*t = (struct tokens){.v = NULL};
}

/* ---- who is it? ---- */
const struct principal *tokens_find(const struct tokens *t, const unsigned char hash[TR_SHA256_LEN], int64_t now_ms)
{
	const struct token *found = NULL;

	for (unsigned i = 0; i < t->n; i++) {
		const struct token *one = &t->v[i];
		int other = CRYPTO_memcmp(one->hash, hash, TR_SHA256_LEN) != 0;
		int other_old = CRYPTO_memcmp(one->old_hash, hash, TR_SHA256_LEN) != 0;

		if (now_ms < one->expires_at && (!other || (!other_old && now_ms < one->old_until)))
			found = one;
	}
	return found == NULL ? NULL : &found->who;
}

const struct principal *tokens_named(const struct tokens *t, const char *name, size_t n, int64_t now_ms)
{
	for (unsigned i = 0; i < t->n; i++)
		if (now_ms < t->v[i].expires_at && strlen(t->v[i].who.name) == n &&
		    memcmp(t->v[i].who.name, name, n) == 0)
			return &t->v[i].who;
	return NULL;
}
