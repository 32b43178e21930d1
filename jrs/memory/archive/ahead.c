#include "jrs/memory/archive/ahead.h"
#include "common/base/buf.h"
#include <endian.h>
#include <stdlib.h>
#include <string.h>
#define HASH_NONFATAL_OOM 1
#include <uthash.h>

#define OID_BYTEA 17u
#define OID_INT8  20u
#define OID_TEXT  25u

enum kind { BY_ID, BY_IDENTITY, BY_SEQ, REQUEST, NKINDS };
static const struct {
	enum sql sql;
	uint32_t type;
	int key; /* column of the answer that holds the key */
} kinds[NKINDS] = {
	[BY_ID] = {SQL_BY_ID_ANY, OID_TEXT, 1},
	[BY_IDENTITY] = {SQL_BY_IDENTITY_ANY, OID_BYTEA, ROW_NEFFECT},
	[BY_SEQ] = {SQL_BY_SEQ_ANY, OID_INT8, 0},
	[REQUEST] = {SQL_REQUEST_ANY, OID_TEXT, 0},
};

struct known {
	UT_hash_handle hh;
	bool there;
	struct row row;                  /* of the first three kinds */
	char fingerprint[TR_SHA256_LEN]; /* of a request */
	char *result;                    /* owned */
	size_t result_n, key_n;
	char key[];
};
struct ahead {
	struct known *v[NKINDS];
	struct buf array[NKINDS]; /* the parameter: all keys of a kind */
	struct query q[NKINDS];
	bool asked[NKINDS];
	bool failed; /* memory ran out: what is not here is asked for one by one */
};

static void drop(struct known **all, struct known *k)
{
	HASH_DEL(*all, k);
	free(k->result);
	free(k);
}

static void clear_kind(struct ahead *h, enum kind kind)
{
	struct known *k, *next;

	HASH_ITER(hh, h->v[kind], k, next)
	drop(&h->v[kind], k);
}

void ahead_clear(struct sql_archive *a)
{
	struct ahead *h = a->ahead;
	int kind;

	if (h == NULL)
		return;
	for (kind = 0; kind < NKINDS; kind++) {
		if (h->asked[kind])
			q_end(&h->q[kind]);
		h->asked[kind] = false;
		clear_kind(h, (enum kind)kind);
		buf_free(&h->array[kind]);
	}
}

void ahead_free(struct sql_archive *a)
{
	ahead_clear(a);
	free(a->ahead);
	a->ahead = NULL;
}

static struct known *find(const struct sql_archive *a, enum kind kind, const void *key, size_t n)
{
	struct known *k = NULL;

	if (a->ahead != NULL)
		HASH_FIND(hh, a->ahead->v[kind], key, n, k);
	return k;
}

/* ---- what will be asked for ---- */
static void want(struct ahead *h, enum kind kind, const void *key, size_t n)
{
	struct known *k = NULL;

	HASH_FIND(hh, h->v[kind], key, n, k);
	if (k != NULL || h->failed)
		return;
	if ((k = calloc(1, sizeof(*k) + n)) == NULL) {
		h->failed = true;
		return;
	}
	k->key_n = n;
	memcpy(k->key, key, n);
	HASH_ADD_KEYPTR(hh, h->v[kind], k->key, n, k);
	if (k->hh.tbl == NULL) { /* out of memory: it was not added */
		free(k);
		h->failed = true;
	}
}

static void want_entry(struct ahead *h, const struct item_new_memory *m, bool has_source, wire_str source, bool both)
{
	struct entry e = {.m = m, .has_source = has_source, .source = source};

	if (m->has_id)
		want(h, BY_ID, m->id.p, m->id.n);
	if (m->has_supersedes)
		want(h, BY_ID, m->supersedes.p, m->supersedes.n);
	if ((!m->has_id || both) && entry_prepare(&e) == 0)
		want(h, BY_IDENTITY, e.identity, sizeof(e.identity));
}

static void want_job(struct ahead *h, const struct job *j)
{
	const struct wire_common *common = j->msg;
	const struct msg_memory_add *add = j->msg;
	const struct msg_memory_restore *restore = j->msg;
	const struct msg_memory_decide *decide = j->msg;
	uint32_t i;

	if (common->has_request_id)
		want(h, REQUEST, common->request_id.p, common->request_id.n);
	switch (j->id) {
	case MSG_memory_add:
		for (i = 0; i < add->memories.n; i++) {
			const struct item_new_memory *m = &add->memories.v[i];

			want_entry(h, m, m->has_source || add->has_source, m->has_source ? m->source : add->source,
				   false);
		}
		break;
	case MSG_memory_decide:
		want_entry(h, &(struct item_new_memory){.content = decide->text}, true, decide->by, false);
		break;
	case MSG_memory_restore:
		for (i = 0; i < restore->records.n; i++) {
			const struct item_new_memory m = record_plain(&restore->records.v[i]);

			want_entry(h, &m, m.has_source, m.source, true);
		}
		break;
	case MSG_memory_patch:
		want(h, BY_ID, ((const struct msg_memory_patch *)j->msg)->id.p,
		     ((const struct msg_memory_patch *)j->msg)->id.n);
		break;
	case MSG_memory_forget:
		want(h, BY_ID, ((const struct msg_memory_forget *)j->msg)->id.p,
		     ((const struct msg_memory_forget *)j->msg)->id.n);
		break;
	default:
		break;
	}
}

/* ---- PostgreSQL's binary form of a one-dimensional array ---- */
static int put_u32(struct buf *b, uint32_t v)
{
	uint32_t be = htobe32(v);

	return buf_append(b, &be, sizeof(be));
}

static int write_array(struct ahead *h, enum kind kind)
{
	struct buf *b = &h->array[kind];
	struct known *k, *next;

	put_u32(b, 1); /* dimensions */
	put_u32(b, 0); /* no NULLs */
	put_u32(b, kinds[kind].type);
	put_u32(b, HASH_COUNT(h->v[kind]));
	put_u32(b, 1); /* first index */
	HASH_ITER(hh, h->v[kind], k, next)
	{
		put_u32(b, (uint32_t)k->key_n);
		buf_append(b, k->key, k->key_n);
	}
	return b->failed;
}

int ahead_ask(struct sql_archive *a, struct job *const *v, unsigned n, const struct notes *notes)
{
	struct ahead *h;
	unsigned i;
	int kind, r;

	if (a->wdb.driver->send == NULL)
		return 0;
	if (a->ahead == NULL && (a->ahead = calloc(1, sizeof(*a->ahead))) == NULL)
		return TR_ENOMEM;
	ahead_clear(a);
	h = a->ahead;
	h->failed = false;
	for (i = 0; i < n; i++) {
		if (v[i]->kind == JOB_CALL)
			want_job(h, v[i]);
	}
	for (i = 0; notes != NULL && i < notes->ntouch; i++) {
		uint64_t be = htobe64((uint64_t)notes->touch[i].memory);

		want(h, BY_SEQ, &be, sizeof(be));
	}
	for (kind = 0; kind < NKINDS; kind++) {
		if (h->v[kind] == NULL)
			continue;
		if ((r = write_array(h, (enum kind)kind)) < 0)
			return r;
		h->q[kind] = q_begin(&a->wdb, kinds[kind].sql);
		q_blob(&h->q[kind], h->array[kind].p, h->array[kind].len);
		q_send(&h->q[kind]);
		h->asked[kind] = true;
	}
	return 0;
}

/* ---- the answers ---- */
static int take_request(struct known *k, const struct query *q)
{
	if (q_len(q, 1) != TR_SHA256_LEN)
		return TR_ESTORE;
	memcpy(k->fingerprint, q_get(q, 1), TR_SHA256_LEN);
	k->result_n = q_len(q, 2);
	if ((k->result = malloc(k->result_n + 1)) == NULL)
		return TR_ENOMEM;
	if (k->result_n > 0)
		memcpy(k->result, q_get(q, 2), k->result_n);
	return 0;
}

static int read_kind(struct sql_archive *a, enum kind kind)
{
	struct ahead *h = a->ahead;
	struct query *q = &h->q[kind];
	struct known *k;
	int r;

	while ((r = q_row(q)) == 1) {
		uint64_t be = htobe64((uint64_t)q_get_i64(q, 0));

		k = kind == BY_SEQ ? find(a, kind, &be, sizeof(be))
				   : find(a, kind, q_get(q, kinds[kind].key), q_len(q, kinds[kind].key));
		if (k == NULL)
			continue;
		k->there = true;
		if (kind == REQUEST && (r = take_request(k, q)) < 0)
			break;
		if (kind != REQUEST)
			row_take(q, &k->row);
	}
	q_end(q);
	h->asked[kind] = false;
	return r < 0 ? r : 0;
}

int ahead_read(struct sql_archive *a)
{
	int kind, r = 0;

	for (kind = 0; a->ahead != NULL && kind < NKINDS && r == 0; kind++) {
		if (a->ahead->asked[kind])
			r = read_kind(a, (enum kind)kind);
	}
	return r;
}

static int answer(const struct known *k, struct row *out)
{
	if (k == NULL)
		return AHEAD_UNKNOWN;
	if (k->there)
		*out = k->row;
	return k->there;
}

int ahead_by_id(const struct sql_archive *a, wire_str id, struct row *out)
{
	return answer(find(a, BY_ID, id.p, id.n), out);
}

int ahead_by_identity(const struct sql_archive *a, const unsigned char identity[TR_SHA256_LEN], struct row *out)
{
	return answer(find(a, BY_IDENTITY, identity, TR_SHA256_LEN), out);
}

int ahead_by_seq(const struct sql_archive *a, int64_t seq, struct row *out)
{
	uint64_t be = htobe64((uint64_t)seq);

	return answer(find(a, BY_SEQ, &be, sizeof(be)), out);
}

int ahead_request(const struct sql_archive *a, wire_str id, const char **fingerprint, const char **result, size_t *n)
{
	const struct known *k = find(a, REQUEST, id.p, id.n);

	if (k == NULL)
		return AHEAD_UNKNOWN;
	*fingerprint = k->fingerprint;
	*result = k->result;
	*n = k->result_n;
	return k->there;
}

static void unknow(struct sql_archive *a, enum kind kind, const void *key, size_t n)
{
	struct known *k = find(a, kind, key, n);

	if (k != NULL)
		drop(&a->ahead->v[kind], k);
}

void ahead_created(struct sql_archive *a, const struct row *row, const unsigned char *identity)
{
	unknow(a, BY_ID, row->id, row->id_n);
	if (identity != NULL)
		unknow(a, BY_IDENTITY, identity, TR_SHA256_LEN);
}

void ahead_heated(struct sql_archive *a, const struct row *row)
{
	struct known *k, *next;
	int kind;

	for (kind = 0; a->ahead != NULL && kind < REQUEST; kind++) {
		HASH_ITER(hh, a->ahead->v[kind], k, next)
		{
			if (k->there && k->row.seq == row->seq)
				k->row = *row;
		}
	}
}

void ahead_requested(struct sql_archive *a, wire_str id)
{
	unknow(a, REQUEST, id.p, id.n);
}
