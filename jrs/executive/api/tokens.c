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

static struct token_at at(const unsigned char *hash, uint32_t i)
{
	struct token_at one = {0, i};

	memcpy(&one.begins, hash, sizeof(one.begins));
	return one;
}

static int by_beginning(const void *a, const void *b)
{
	uint64_t x = ((const struct token_at *)a)->begins, y = ((const struct token_at *)b)->begins;

	return (x > y) - (x < y);
}

int tokens_take(struct tokens *t, const struct res_memory_token_keys *keys)
{
	uint32_t n = keys->keys.n;
	struct token *v = calloc((size_t)n + 1, sizeof(*v));
	struct token_at *order = calloc(2 * (size_t)n + 1, sizeof(*order));
	int r = v == NULL || order == NULL ? TR_ENOMEM : 0;

	for (uint32_t i = 0; r == 0 && i < n; i++) {
		r = take(&v[i], &keys->keys.v[i]) ? 0 : TR_EPROTO;
		order[2 * i] = at(v[i].hash, i);
		order[2 * i + 1] = at(v[i].old_hash, i);
	}
	if (r < 0) {
		free(v);
		free(order);
		return r;
	}
	qsort(order, 2 * (size_t)n, sizeof(*order), by_beginning);
	tokens_free(t);
	*t = (struct tokens){v, order, n, keys->revision, true};
	return 0;
}

void tokens_free(struct tokens *t)
{
	free(t->v);
	free(t->order);
	*t = (struct tokens){.v = NULL};
}

/* ---- who is it? ---- */
const struct principal *tokens_find(const struct tokens *t, const unsigned char hash[TR_SHA256_LEN], int64_t now_ms)
{
	const struct token *found = NULL;
	struct token_at want = at(hash, 0);
	size_t low = 0, high = 2 * (size_t)t->n;

	while (low < high) { /* the first that does not begin with less */
		size_t middle = low + (high - low) / 2;

		if (t->order[middle].begins < want.begins)
			low = middle + 1;
		else
			high = middle;
	}
	for (; low < 2 * (size_t)t->n && t->order[low].begins == want.begins; low++) {
		const struct token *one = &t->v[t->order[low].at];
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
