#include "jrs/memory/archive/quota.h"
#include "common/base/clock.h"
#include "common/log/log.h"
#include <stdlib.h>
#include <string.h>
#define HASH_NONFATAL_OOM 1
#include <uthash.h>

#define KEY   16 /* bytes of a source's SHA-256: names are long, and nobody needs them back */
#define SHOWN 32 /* bytes of a source's name in a fault */

struct total {
	UT_hash_handle hh;
	unsigned char key[KEY];
	int64_t rows, bytes; /* committed since the snapshot of count `of`; with what was counted, once counted */
	int64_t new_rows, new_bytes; /* of the transaction that is under way */
	unsigned of;
};
/* One change of the transaction that is under way. */
struct step {
	struct total *total;
	int64_t rows, bytes;
};
struct quota {
	uint64_t rows_max, bytes_max; /* 0: no limit */
	/* writer's */
	struct total *totals;
	struct step *steps;
	size_t n, cap;
	bool counted;
	/* under hist_lock */
	unsigned count;      /* how many have been begun: the first may fail */
	struct total *found; /* what the keeper has counted, until the writer takes it */
	bool ready;
};

int quota_open(struct sql_archive *a, const struct archive_cfg *cfg)
{
	if (cfg->source_rows_max == 0 && cfg->source_bytes_max == 0)
		return 0;
	if ((a->quota = calloc(1, sizeof(*a->quota))) == NULL)
		return TR_ENOMEM;
	a->quota->rows_max = cfg->source_rows_max;
	a->quota->bytes_max = cfg->source_bytes_max;
	return 0;
}

static void drop(struct total **all)
{
	struct total *t, *next;

	HASH_ITER(hh, *all, t, next)
	{
		HASH_DEL(*all, t);
		free(t);
	}
}

void quota_free(struct sql_archive *a)
{
	if (a->quota == NULL)
		return;
	drop(&a->quota->totals);
	drop(&a->quota->found);
	free(a->quota->steps);
	free(a->quota);
	a->quota = NULL;
}

/* ---- totals ---- */
static int key_of(bool has, wire_str source, unsigned char key[KEY])
{
	const struct tr_piece piece = {has ? source.p : NULL, has ? source.n : 0};
	unsigned char hash[TR_SHA256_LEN];
	int r = tr_sha256_pieces(&piece, 1, hash);

	memcpy(key, hash, KEY);
	return r;
}

static struct total *find(struct total *all, const unsigned char key[KEY])
{
	struct total *t = NULL;

	HASH_FIND(hh, all, key, KEY, t);
	return t;
}

/* NULL: out of memory. */
static struct total *total_of(struct total **all, const unsigned char key[KEY])
{
	struct total *t = find(*all, key);

	if (t != NULL || (t = calloc(1, sizeof(*t))) == NULL)
		return t;
	memcpy(t->key, key, KEY);
	HASH_ADD(hh, *all, key, KEY, t);
	if (t->hh.tbl == NULL) { /* it was not added */
		free(t);
		return NULL;
	}
	return t;
}

/* ---- the transaction ---- */
size_t quota_mark(const struct sql_archive *a)
{
	return a->quota == NULL ? 0 : a->quota->n;
}

static void take_back(const struct step *s)
{
	s->total->new_rows -= s->rows;
	s->total->new_bytes -= s->bytes;
}

void quota_undo(struct sql_archive *a, size_t mark)
{
	while (a->quota != NULL && a->quota->n > mark)
		take_back(&a->quota->steps[--a->quota->n]);
}

/* What was gathered behind the snapshot of another count does not count. */
static void renew(const struct quota *q, struct total *t)
{
	if (t->of != q->count)
		t->rows = t->bytes = 0;
	t->of = q->count;
}

/* What the keeper has counted is there: from now on totals are totals. */
static void take_count(struct quota *q)
{
	struct total *t, *next, *mine;

	HASH_ITER(hh, q->found, t, next)
	{
		if ((mine = total_of(&q->totals, t->key)) == NULL)
			return; /* go on next time: what was taken is gone from found */
		renew(q, mine);
		mine->rows += t->rows;
		mine->bytes += t->bytes;
		HASH_DEL(q->found, t);
		free(t);
	}
	for (t = q->totals; t != NULL; t = t->hh.next)
		renew(q, t);
	q->ready = false;
	q->counted = true;
}

void quota_began(struct sql_archive *a)
{
	struct quota *q = a->quota;

	if (q == NULL)
		return;
	quota_undo(a, 0);
	if (q->counted)
		return;
	pthread_mutex_lock(&a->hist_lock);
	if (q->ready)
		take_count(q);
	pthread_mutex_unlock(&a->hist_lock);
}

void quota_committed(struct sql_archive *a)
{
	struct quota *q = a->quota;
	size_t i;

	for (i = 0; q != NULL && i < q->n; i++) {
		struct total *t = q->steps[i].total;

		renew(q, t);
		t->rows += q->steps[i].rows;
		t->bytes += q->steps[i].bytes;
	}
	quota_undo(a, 0);
}

static int note(struct quota *q, struct total *t, int64_t rows, int64_t bytes)
{
	if (q->n == q->cap) {
		size_t cap = q->cap == 0 ? 64 : q->cap * 2;
		struct step *v = realloc(q->steps, sizeof(*v) * cap);

		if (v == NULL)
			return TR_ENOMEM;
		q->steps = v;
		q->cap = cap;
	}
	q->steps[q->n++] = (struct step){t, rows, bytes};
	t->new_rows += rows;
	t->new_bytes += bytes;
	return 0;
}

/* ---- the limits ---- */
/* Only whole characters of a name. */
static int shown(wire_str s)
{
	size_t n = s.n < SHOWN ? s.n : SHOWN;

	while (n < s.n && n > 0 && ((unsigned char)s.p[n] & 0xc0) == 0x80)
		n--;
	return (int)n;
}

/* Which limit, whose, and what to do about it. */
static void refuse(struct job *j, bool has, wire_str source, const char *field, const char *setting, uint64_t max)
{
	int n = shown(source);

	if (has)
		tr_fault_set(&j->fault, TR_EQUOTA, field,
			     "would pass the limit of source \"%.*s%s\": %s is %llu; forget some of its memories or "
			     "raise it",
			     n, source.p, n < (int)source.n ? "..." : "", setting, (unsigned long long)max);
	else
		tr_fault_set(&j->fault, TR_EQUOTA, field,
			     "would pass the limit of memories without a source: %s is %llu; forget some of them or "
			     "raise it",
			     setting, (unsigned long long)max);
}

/* May this source have so much more? TR_EQUOTA; fields: what to name when rows or bytes are too many. */
static int check(const struct quota *q, struct job *j, const struct total *t, bool has, wire_str source, int64_t rows,
		 int64_t bytes, const char *fields[2])
{
	if (!q->counted)
		return 0;
	if (rows > 0 && q->rows_max != 0 && t->rows + t->new_rows + rows > (int64_t)q->rows_max) {
		refuse(j, has, source, fields[0], "archive.source_rows_max", q->rows_max);
		return TR_EQUOTA;
	}
	if (bytes > 0 && q->bytes_max != 0 && t->bytes + t->new_bytes + bytes > (int64_t)q->bytes_max) {
		refuse(j, has, source, fields[1], "archive.source_bytes_max", q->bytes_max);
		return TR_EQUOTA;
	}
	return 0;
}

static int change(struct sql_archive *a, struct job *j, bool has, wire_str source, int64_t rows, int64_t bytes,
		  const char *fields[2])
{
	struct quota *q = a->quota;
	unsigned char key[KEY];
	struct total *t;
	int r = key_of(has, source, key);

	if (r < 0)
		return r;
	if ((t = total_of(&q->totals, key)) == NULL)
		return TR_ENOMEM;
	if (j != NULL && (r = check(q, j, t, has, source, rows, bytes, fields)) < 0) {
		a->quota_refused++;
		return r;
	}
	return note(q, t, rows, bytes);
}

int quota_add(struct sql_archive *a, struct job *j, const struct entry *e, size_t metadata)
{
	const char *fields[2] = {"source", "content"};
	struct tr_fault said;
	int r;

	if (a->quota == NULL)
		return 0;
	r = change(a, e->unbounded ? NULL : j, e->has_source, e->source, 1, (int64_t)(e->m->content.n + metadata),
		   fields);
	if (r != TR_EQUOTA)
		return r;
	said = j->fault;
	if (j->id == MSG_memory_decide)
		return tr_fault_set(&j->fault, r, "by", "%s", said.rule);
	return entry_fault(j, e, r, said.field, said.rule);
}

/* What a row counts for. */
static int size_of(struct sql_archive *a, const struct row *row, struct query *q, wire_str *source, bool *has,
		   int64_t *content, int64_t *metadata)
{
	int r;

	*q = q_begin(&a->wdb, SQL_ROW_SIZE);
	q_i64(q, row->seq);
	if ((r = q_row(q)) != 1)
		return r < 0 ? r : TR_ESTORE;
	*has = !q_is_null(q, 0);
	*source = *has ? (wire_str){q_get(q, 0), (uint32_t)q_len(q, 0)} : (wire_str){NULL, 0};
	*content = q_get_i64(q, 1);
	*metadata = q_get_i64(q, 2);
	return 0;
}

int quota_change(struct sql_archive *a, struct job *j, const struct row *row, size_t metadata)
{
	const char *fields[2] = {"metadata", "metadata"};
	int64_t content = 0, before = 0;
	wire_str source = {NULL, 0};
	bool has = false;
	struct query q;
	int r;

	if (a->quota == NULL)
		return 0;
	if ((r = size_of(a, row, &q, &source, &has, &content, &before)) == 0)
		r = change(a, j, has, source, 0, (int64_t)metadata - before, fields);
	q_end(&q);
	return r;
}

int quota_remove(struct sql_archive *a, const struct row *row)
{
	int64_t content = 0, metadata = 0;
	wire_str source = {NULL, 0};
	bool has = false;
	struct query q;
	int r;

	if (a->quota == NULL)
		return 0;
	if ((r = size_of(a, row, &q, &source, &has, &content, &metadata)) == 0)
		r = change(a, NULL, has, source, -1, -(content + metadata), NULL);
	q_end(&q);
	return r;
}

/* ---- the first count ---- */
/* A snapshot between two commits: what is committed behind it is in the writer's totals. */
static int begin_count(struct sql_archive *a)
{
	int r;

	pthread_mutex_lock(&a->hist_lock);
	if ((r = db_look_now(&a->kdb)) == 0)
		a->quota->count++;
	pthread_mutex_unlock(&a->hist_lock);
	return r;
}

static int count_all(struct sql_archive *a, struct total **out)
{
	struct query q = q_begin(&a->kdb, SQL_SOURCES);
	unsigned char key[KEY];
	struct total *t;
	int r;

	while ((r = q_row(&q)) == 1 && !a->closing) {
		bool has = !q_is_null(&q, 0);

		if ((r = key_of(has, (wire_str){q_get(&q, 0), (uint32_t)q_len(&q, 0)}, key)) < 0)
			break;
		if ((t = total_of(out, key)) == NULL) {
			r = TR_ENOMEM;
			break;
		}
		t->rows += q_get_i64(&q, 1);
		t->bytes += q_get_i64(&q, 2);
	}
	q_end(&q);
	return r == 1 ? TR_ECLOSED : r;
}

int quota_count(struct sql_archive *a)
{
	struct total *found = NULL;
	uint64_t began = tr_mono_ms();
	struct db *db = &a->kdb;
	unsigned n;
	int r, end;

	if (a->quota == NULL)
		return 0;
	if ((r = db->driver->ready(db)) == 0 && (r = begin_count(a)) == 0)
		r = count_all(a, &found);
	end = db->driver->looked(db);
	r = r < 0 ? r : end;
	if (r < 0) {
		drop(&found);
		return r;
	}
	n = HASH_COUNT(found);
	pthread_mutex_lock(&a->hist_lock);
	a->quota->found = found;
	a->quota->ready = true;
	pthread_mutex_unlock(&a->hist_lock);
	log_info("archive: sources counted n=%u ms=%llu", n, (unsigned long long)(tr_mono_ms() - began));
	return 0;
}

int quota_look(struct sql_archive *a, wire_str source, struct quota_total *out)
{
	unsigned char key[KEY];
	struct total *t;

	if (a->quota == NULL || key_of(source.p != NULL, source, key) < 0)
		return TR_EINVAL;
	quota_began(a);
	if (!a->quota->counted)
		return TR_EBUSY;
	t = find(a->quota->totals, key);
	*out = t == NULL ? (struct quota_total){0, 0} : (struct quota_total){t->rows, t->bytes};
	return 0;
}
