/* memory.restore: records of an export become the rows they were. What is there already stays as it is. */
#include "jrs/memory/archive/internal.h"
#include <math.h>
#include <string.h>

#define SKEW_MS  86400000 /* so far the clock of whoever wrote the export may have been ahead of ours */
#define ROUNDING 1e-6     /* of heat_key: it went through text */

/* The part of a record that any new memory has. */
struct item_new_memory record_plain(const struct item_record *t)
{
	struct item_new_memory m = {.content = t->content};

#define COPY_REQ(name) m.name = t->name;
#define COPY_OPT(name)    \
	m.name = t->name; \
	m.has_##name = t->has_##name;
#define F(need, type, name, min, max) COPY_##need(name)
	ITEM_new_memory(F, , )
#undef F
#undef COPY_OPT
#undef COPY_REQ
		return m;
}

/* Could this have come about by accesses at the times it names? */
static int check(struct sql_archive *a, struct job *j, const struct entry *e)
{
	const struct item_record *t = e->taken;
	struct thermal_model first; /* whose clock an export speaks by */
	double hottest, coldest;

	if (!t->has_id)
		return entry_fault(j, e, TR_EINVAL, "id", "must be there");
	if (t->created_at < 0)
		return entry_fault(j, e, TR_EINVAL, "created_at", "must not be before 1970");
	if (t->last_access < t->created_at)
		return entry_fault(j, e, TR_EINVAL, "last_access", "must not be before created_at");
	if (t->last_access > a->now_ms + SKEW_MS)
		return entry_fault(j, e, TR_EINVAL, "last_access", "must not be in the future");
	if (t->access_count > INT64_MAX)
		return entry_fault(j, e, TR_EINVAL, "access_count", "must be at most 9223372036854775807");
	thermal_first(&first);
	coldest = thermal_born(&first, (double)t->last_access);
	hottest = coldest + log2((double)t->access_count);
	if (!isfinite(t->heat_key) || t->heat_key > hottest + ROUNDING || t->heat_key < coldest - ROUNDING)
		return entry_fault(j, e, TR_EINVAL, "heat_key",
				   "must be what access_count accesses until last_access come to");
	if (t->has_decision_id && (!t->has_decided_by || !t->has_decided_at))
		return entry_fault(j, e, TR_EINVAL, "decision_id", "needs decided_by and decided_at");
	return 0;
}

static int take_decision(struct sql_archive *a, const struct item_record *t, const struct row *row)
{
	struct query q;

	if (!t->has_decision_id)
		return 0;
	q = q_begin(&a->wdb, SQL_TAKE_DECISION);
	q_text(&q, t->decision_id.p, t->decision_id.n);
	q_text(&q, row->id, row->id_n);
	q_text(&q, t->decided_by.p, t->decided_by.n);
	q_i64(&q, t->decided_at);
	return q_run(&q);
}

/* Whom it was recalled with; who has gone since, or is not among what is restored, is left out. */
static int take_company(struct sql_archive *a, const struct item_record *t, const struct row *row)
{
	struct row other;
	struct query q;
	uint32_t i;
	int r;

	for (i = 0; i < t->company.n; i++) {
		const struct item_company *c = &t->company.v[i];

		if ((r = row_by_id(a, c->id, &other)) < 0)
			return r;
		if (r == 0 || other.seq == row->seq)
			continue;
		q = q_begin(&a->wdb, SQL_TAKE_PAIR);
		q_i64(&q, c->own ? row->seq : other.seq);
		q_i64(&q, c->own ? other.seq : row->seq);
		q_i64(&q, c->times > INT64_MAX ? INT64_MAX : (int64_t)c->times);
		q_i64(&q, c->last_at);
		if ((r = q_run(&q)) < 0)
			return r;
	}
	return 0;
}

/* 1: taken, 0: known, < 0. */
static int take(struct sql_archive *a, struct job *j, struct entry *e, struct row *row)
{
	int r;

	if ((r = check(a, j, e)) < 0 || (r = entry_prepare(e)) < 0)
		return r;
	r = row_by_id(a, e->m->id, row);
	if (r == 0 && !e->taken->own_id)
		r = row_by_identity(a, e, row);
	if (r < 0)
		return r;
	if (r == 0) {
		if ((r = entry_create(a, j, e, row)) < 0 || (r = take_company(a, e->taken, row)) < 0)
			return r;
		return (r = take_decision(a, e->taken, row)) < 0 ? r : 1;
	}
	/* The same text may have been decided more than once: a record each, one memory. */
	if (strcmp(row->hash, e->hash) != 0)
		return 0;
	return take_decision(a, e->taken, row);
}

int write_restore(struct sql_archive *a, struct job *j)
{
	const struct msg_memory_restore *msg = j->msg;
	const struct import_note note = IMPORT_NOTE(msg);
	struct res_memory_restore *res = job_alloc(j, sizeof(*res));
	struct archive_hit *hits = job_alloc(j, sizeof(*hits) * msg->records.n);
	unsigned i, nhits = 0;
	bool fresh;
	int r;

	if (res == NULL || hits == NULL)
		return TR_ENOMEM;
	if ((r = import_check(a, j, &note)) < 0)
		return r;
	for (i = 0; i < msg->records.n; i++) {
		const struct item_record *t = &msg->records.v[i];
		const struct item_new_memory m = record_plain(t);
		struct entry e = {.m = &m,
				  .taken = t,
				  .i = i,
				  .has_source = t->has_source,
				  .source = t->source,
				  .has_import = msg->has_import_id || t->has_import_id,
				  .import = msg->has_import_id ? msg->import_id : t->import_id};
		struct row row;

		if ((r = take(a, j, &e, &row)) < 0)
			return r;
		res->added += r == 1;
		res->known += r == 0;
		fresh = r == 1;
		if ((r = audit_stored(a, j, i, &row, fresh, e.has_source, e.source)) < 0)
			return r;
		if (fresh && t->has_phase_coherence)
			hits[nhits++] =
				(struct archive_hit){.memory = row.seq, .seen = {row.seq, t->phase_coherence, 1}};
	}
	j->answer = (struct archive_answer){.res = res, .hits = hits, .nhits = nhits};
	return import_brought(a, &note, res->added, res->known);
}
