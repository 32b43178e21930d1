/* What a memory that was found proves by itself. */
#include "common/base/text.h"
#include "jrs/memory/archive/salvor.h"
#include <math.h>
#include <string.h>

#define SKEW_MS  86400000 /* a last access is at most so far in the future */
#define ROUNDING 1e-6

const struct value *salvor_value(const struct salvor *s, const struct found *f, const char *name)
{
	static const struct value none = {.kind = VALUE_NULL};
	int i = fresh_column(s->memories, name);

	return i < 0 || i >= f->n ? &none : &f->v[i];
}

bool salvor_hash_agrees(const struct salvor *s, const struct found *f)
{
	const struct value *content = salvor_value(s, f, "original_content"), *hash = salvor_value(s, f, "memory_hash");
	unsigned char sum[TR_SHA256_LEN];
	char hex[2 * TR_SHA256_LEN + 1];

	if (content->kind != VALUE_TEXT || hash->kind != VALUE_TEXT || hash->n != 2 * TR_SHA256_LEN ||
	    tr_sha256(content->p, content->n, sum) < 0)
		return false;
	tr_hex(sum, sizeof(sum), hex);
	return memcmp(hex, hash->p, hash->n) == 0;
}

/* Who said it, where and when: as write.c reckons it. */
static bool identity_agrees(const struct salvor *s, const struct found *f)
{
	static const char *const names[] = {"source", "session", "speaker"};
	const struct value *identity = salvor_value(s, f, "identity"), *at = salvor_value(s, f, "occurred_at"), *v;
	const struct value *content = salvor_value(s, f, "original_content");
	unsigned char hash[TR_SHA256_LEN], sum[TR_SHA256_LEN], when[8];
	struct tr_piece pieces[5] = {{NULL, 0}};
	int i;

	if (identity->kind != VALUE_BLOB)
		return identity->kind == VALUE_NULL; /* it has an id of its own */
	for (i = 0; i < 3; i++) {
		v = salvor_value(s, f, names[i]);
		if (v->kind == VALUE_TEXT)
			pieces[i] = (struct tr_piece){v->n == 0 ? (const unsigned char *)"" : v->p, v->n};
	}
	for (i = 0; i < 8; i++)
		when[i] = (unsigned char)((uint64_t)at->i >> (56 - 8 * i));
	if (at->kind == VALUE_INT)
		pieces[3] = (struct tr_piece){when, sizeof(when)};
	pieces[4] = (struct tr_piece){hash, sizeof(hash)};
	return tr_sha256(content->p, content->n, hash) == 0 && tr_sha256_pieces(pieces, 5, sum) == 0 &&
	       identity->n == sizeof(sum) && memcmp(identity->p, sum, sizeof(sum)) == 0;
}

/* As many accesses until the last one come to such a heat key. */
bool salvor_heat_possible(const struct thermal_model *m, double heat_key, double accesses, double last_access_ms)
{
	double coldest = thermal_born(m, last_access_ms);

	return isfinite(heat_key) && heat_key > coldest - ROUNDING && heat_key < coldest + log2(accesses) + ROUNDING;
}

static double real(const struct value *v)
{
	return v->kind == VALUE_INT ? (double)v->i : v->d;
}

/* Could it have come about? The bounds are those of accesses between the times it names, as restore.c has them. */
static bool figures_possible(const struct salvor *s, const struct found *f)
{
	const struct value *heat = salvor_value(s, f, "heat_key"), *accesses = salvor_value(s, f, "access_count");
	const struct value *created = salvor_value(s, f, "created_at"), *last = salvor_value(s, f, "last_access");

	if (accesses->kind != VALUE_INT || created->kind != VALUE_INT || last->kind != VALUE_INT || accesses->i < 1 ||
	    created->i < 0 || last->i < created->i || last->i > s->cfg->now_ms + SKEW_MS)
		return false;
	return salvor_heat_possible(&s->model, real(heat), (double)accesses->i, (double)last->i);
}

/* NULL: it may be taken. Else why not. */
const char *salvor_objection(const struct salvor *s, const struct found *f)
{
	if (f->cut)
		return "a page with the rest of it is not there";
	if (!salvor_hash_agrees(s, f))
		return "its content does not agree with its hash";
	if (f->good)
		return NULL;
	if (!identity_agrees(s, f))
		return "source, session, speaker or time do not agree with its identity";
	return figures_possible(s, f) ? NULL : "its heat, accesses or times cannot be right";
}
