/* Tokens of the API. What is kept of one is its SHA-256: nobody who reads the archive can call with it. */
#include "common/base/token.h"
#include "jrs/memory/archive/internal.h"
#include <string.h>

#define OVERLAP_S \
	300 /* so long a token is good beside the one that took its place, unless something else is asked for */

enum { COL_NAME, COL_SCOPES, COL_SOURCE, COL_HASH, COL_CREATED, COL_EXPIRES, COL_OLD_HASH, COL_OLD_UNTIL };

/* ---- rows ---- */
static int scopes_of(struct job *j, unsigned bits, wire_strs *out)
{
	wire_str *v = job_alloc(j, sizeof(*v) * TR_NSCOPES);
	uint32_t n = 0;

	if (v == NULL)
		return TR_ENOMEM;
	for (unsigned i = 0; i < TR_NSCOPES; i++)
		if ((bits & 1u << i) != 0)
			v[n++] = wire_s(tr_scope_name(1u << i));
	*out = (wire_strs){v, n};
	return 0;
}

static int row_bin(struct job *j, struct query *q, int col, wire_bin *out)
{
	return row_text(j, q, col, out);
}

static int take_token(struct job *j, struct query *q, struct item_token *out)
{
	int r;

	memset(out, 0, sizeof(*out));
	if ((r = row_text(j, q, COL_NAME, &out->name)) < 0 ||
	    (r = scopes_of(j, (unsigned)q_get_i64(q, COL_SCOPES), &out->scopes)) < 0 ||
	    (r = row_opt_text(j, q, COL_SOURCE, &out->has_source, &out->source)) < 0)
		return r;
	out->has_created_at = true;
	out->created_at = q_get_i64(q, COL_CREATED);
	out->has_expires_at = !q_is_null(q, COL_EXPIRES);
	out->expires_at = q_get_i64(q, COL_EXPIRES);
	out->has_rotated_until = !q_is_null(q, COL_OLD_UNTIL);
	out->rotated_until = q_get_i64(q, COL_OLD_UNTIL);
	return 0;
}

static int take_key(struct job *j, struct query *q, struct item_token_key *out)
{
	int r;

	memset(out, 0, sizeof(*out));
	if ((r = row_text(j, q, COL_NAME, &out->name)) < 0 ||
	    (r = row_opt_text(j, q, COL_SOURCE, &out->has_source, &out->source)) < 0 ||
	    (r = row_bin(j, q, COL_HASH, &out->hash)) < 0)
		return r;
	out->scopes = (uint32_t)q_get_i64(q, COL_SCOPES);
	out->created_at = q_get_i64(q, COL_CREATED);
	out->has_expires_at = !q_is_null(q, COL_EXPIRES);
	out->expires_at = q_get_i64(q, COL_EXPIRES);
	if (q_is_null(q, COL_OLD_HASH))
		return 0;
	out->has_old_hash = out->has_old_until = true;
	out->old_until = q_get_i64(q, COL_OLD_UNTIL);
	return row_bin(j, q, COL_OLD_HASH, &out->old_hash);
}

/* ---- reading ---- */
int read_tokens(struct sql_archive *a, struct job *j)
{
	struct res_memory_tokens *res = job_alloc(j, sizeof(*res));
	struct item_token *v = job_alloc(j, sizeof(*v) * (WIRE_TOKENS_MAX + 1)); /* one more: tell.c */
	struct query q;
	uint32_t n = 0;
	int r;

	(void)a;
	if (res == NULL || v == NULL)
		return TR_ENOMEM;
	q = q_begin(j->db, SQL_TOKENS);
	while ((r = q_row(&q)) == 1 && n < WIRE_TOKENS_MAX) {
		if ((r = take_token(j, &q, &v[n])) < 0)
			break;
		n++;
	}
	q_end(&q);
	res->tokens.v = v;
	res->tokens.n = n;
	j->answer.res = res;
	return r < 0 ? r : 0;
}

/* The revision and the rows of one moment. */
int read_token_keys(struct sql_archive *a, struct job *j)
{
	const struct msg_memory_token_keys *msg = j->msg;
	struct res_memory_token_keys *res = job_alloc(j, sizeof(*res));
	struct item_token_key *v;
	struct query q;
	uint32_t n = 0;
	int r;

	(void)a;
	if (res == NULL)
		return TR_ENOMEM;
	j->answer.res = res;
	if ((r = j->db->driver->look(j->db)) < 0)
		return r;
	q = q_begin(j->db, SQL_COUNTER);
	q_text(&q, "tokens_revision", strlen("tokens_revision"));
	if ((r = q_row(&q)) == 1)
		res->revision = (uint64_t)q_get_i64(&q, 0);
	q_end(&q);
	res->same = r >= 0 && msg->has_known && msg->known == res->revision;
	if (r < 0 || res->same)
		return r < 0 ? r : 0;
	if ((v = job_alloc(j, sizeof(*v) * WIRE_TOKENS_MAX)) == NULL)
		return TR_ENOMEM;
	q = q_begin(j->db, SQL_TOKENS);
	while ((r = q_row(&q)) == 1 && n < WIRE_TOKENS_MAX) {
		if ((r = take_key(j, &q, &v[n])) < 0)
			break;
		n++;
	}
	q_end(&q);
	res->keys.v = v;
	res->keys.n = n;
	return r < 0 ? r : 0;
}

/* ---- writing ---- */
static int changed(struct sql_archive *a)
{
	struct query q = q_begin(&a->wdb, SQL_TOKENS_CHANGED);

	q_i64(&q, a->now_ms);
	return q_run(&q);
}

static int check_hash(struct job *j, wire_bin hash)
{
	return hash.n == TR_SHA256_LEN ? 0 : job_fault(j, TR_EINVAL, "hash", "must be the SHA-256 of a token");
}

/* 1 and the token, 0, or < 0. */
static int by_name(struct sql_archive *a, struct job *j, wire_str name, struct item_token *out)
{
	struct query q = q_begin(&a->wdb, SQL_TOKEN);
	int r;

	q_text(&q, name.p, name.n);
	if ((r = q_row(&q)) == 1 && (r = take_token(j, &q, out)) == 0)
		r = 1;
	q_end(&q);
	return r;
}

static int count(struct sql_archive *a, uint32_t *out)
{
	struct query q = q_begin(&a->wdb, SQL_TOKEN_COUNT);
	int r;

	if ((r = q_row(&q)) == 1)
		*out = (uint32_t)q_get_i64(&q, 0);
	q_end(&q);
	return r < 0 ? r : 0;
}

static int check_scopes(struct job *j, const struct msg_memory_token_create *msg, unsigned *bits)
{
	*bits = 0;
	for (uint32_t i = 0; i < msg->scopes.n; i++) {
		unsigned bit = tr_scope_find(msg->scopes.v[i].p, msg->scopes.v[i].n);

		if (bit == 0)
			return job_fault(j, TR_EINVAL, "scopes", "must be of read, write, admin and metrics");
		*bits |= bit;
	}
	if (msg->has_source && (*bits & (TR_SCOPE_ADMIN | TR_SCOPE_METRICS)) != 0)
		return job_fault(j, TR_EINVAL, "scopes",
				 "of a token that is bound to a source must be of read and write");
	return 0;
}

static int check_new(struct sql_archive *a, struct job *j, const struct msg_memory_token_create *msg, unsigned *bits)
{
	const char *rule = tr_token_name_fault(msg->name.p, msg->name.n);
	struct item_token there;
	uint32_t n = 0;
	int r;

	if (rule != NULL)
		return job_fault(j, TR_EINVAL, "name", rule);
	if ((r = check_scopes(j, msg, bits)) < 0)
		return r;
	if (archive_is_drill(msg->has_source, msg->source))
		return job_fault(j, TR_EINVAL, "source", "must not be one of drill load");
	if (msg->has_expires_at && msg->expires_at <= a->now_ms)
		return job_fault(j, TR_EINVAL, "expires_at", "must be a time to come");
	if ((r = by_name(a, j, msg->name, &there)) < 0 || (r == 0 && (r = count(a, &n)) < 0))
		return r;
	if (r == 1)
		return job_fault(j, TR_ECONFLICT, "name", "is that of a token which is there; revoke or rotate it");
	if (n >= WIRE_TOKENS_MAX)
		return job_fault(j, TR_ETOOBIG, "", "there are 500 tokens already");
	return 0;
}

int write_token_create(struct sql_archive *a, struct job *j)
{
	const struct msg_memory_token_create *msg = j->msg;
	struct res_memory_token_create *res = job_alloc(j, sizeof(*res));
	struct query q;
	unsigned bits = 0;
	int r;

	if (res == NULL)
		return TR_ENOMEM;
	if ((r = check_hash(j, msg->hash)) < 0 || (r = check_new(a, j, msg, &bits)) < 0)
		return r;
	q = q_begin(&a->wdb, SQL_ADD_TOKEN);
	q_text(&q, msg->name.p, msg->name.n);
	q_i64(&q, bits);
	q_opt_text(&q, msg->has_source, msg->source);
	q_blob(&q, msg->hash.p, msg->hash.n);
	q_i64(&q, a->now_ms);
	q_opt_i64(&q, msg->has_expires_at, msg->expires_at);
	if ((r = q_run(&q)) < 0 || (r = changed(a)) < 0)
		return r;
	res->hash = msg->hash; /* outlives the answer, as the zone does */
	j->answer.res = res;
	r = by_name(a, j, msg->name, &res->token);
	return r < 0 ? r : 0;
}

static int unknown(struct job *j, wire_str name)
{
	if (name.n == strlen("admin") && memcmp(name.p, "admin", name.n) == 0)
		return job_fault(
			j, TR_ENOTFOUND, "name",
			"no token of the archive has this name; for another one of tribed's, remove "
			"admin-token.sha256 from the state directory (or change the credential) and restart it");
	return job_fault(j, TR_ENOTFOUND, "name", "no token has this name");
}

int write_token_rotate(struct sql_archive *a, struct job *j)
{
	const struct msg_memory_token_rotate *msg = j->msg;
	struct res_memory_token_rotate *res = job_alloc(j, sizeof(*res));
	struct query q;
	int r;

	if (res == NULL)
		return TR_ENOMEM;
	if ((r = check_hash(j, msg->hash)) < 0)
		return r;
	if ((r = by_name(a, j, msg->name, &res->token)) <= 0)
		return r < 0 ? r : unknown(j, msg->name);
	q = q_begin(&a->wdb, SQL_ROTATE_TOKEN);
	q_text(&q, msg->name.p, msg->name.n);
	q_blob(&q, msg->hash.p, msg->hash.n);
	q_i64(&q, a->now_ms + 1000LL * (msg->has_overlap_s ? msg->overlap_s : OVERLAP_S));
	if ((r = q_run(&q)) < 0 || (r = changed(a)) < 0)
		return r;
	res->hash = msg->hash;
	j->answer.res = res;
	r = by_name(a, j, msg->name, &res->token);
	return r < 0 ? r : 0;
}

int write_token_revoke(struct sql_archive *a, struct job *j)
{
	const struct msg_memory_token_revoke *msg = j->msg;
	struct res_memory_token_revoke *res = job_alloc(j, sizeof(*res));
	struct item_token there;
	struct query q;
	int r;

	if (res == NULL)
		return TR_ENOMEM;
	if ((r = by_name(a, j, msg->name, &there)) <= 0)
		return r < 0 ? r : unknown(j, msg->name);
	q = q_begin(&a->wdb, SQL_REVOKE_TOKEN);
	q_text(&q, msg->name.p, msg->name.n);
	if ((r = q_run(&q)) < 0 || (r = changed(a)) < 0)
		return r;
	res->name = msg->name;
	j->answer.res = res;
	return count(a, &res->left);
}
