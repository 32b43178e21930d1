/* memory.export: whole records in the order of their numbers, page by page. */
#include "jrs/memory/archive/internal.h"
#include <string.h>

#define LIMIT       200  /* when the caller does not say how many */
#define RECORDS_MAX 1000 /* of one answer, as fields.h has it */

enum { COL_OWN_ID = ROW_NCOLUMNS, COL_IMPORT_ID };

struct page {
	struct sql_archive *a;
	struct job *j;
	struct item_record *v;
	uint32_t n, limit;
	size_t bytes;
};

static int record(struct page *p, struct query *q, struct item_record *out, int64_t *seq)
{
	struct item_memory m;
	struct archive_hit hit;
	int r = row_memory(p->a, p->j, q, p->a->wall_ms(), &m, &hit);

	if (r < 0)
		return r;
	*seq = hit.memory;
	*out = (struct item_record){.has_id = true, .id = m.id, .content = m.content};
	out->has_tags = m.tags.n > 0;
	out->tags = m.tags;
	out->has_importance = true;
	out->importance = m.importance;
	out->has_sacred = m.sacred;
	out->sacred = m.sacred;
#define OPT(name) (out->has_##name = m.has_##name, out->name = m.name)
	OPT(source), OPT(session), OPT(speaker), OPT(at), OPT(supersedes), OPT(superseded_by), OPT(metadata);
	OPT(phase_coherence);
#undef OPT
	out->has_phase_count = m.has_phase_coherence;
	out->phase_count = (uint32_t)row_compared(q);
	out->own_id = q_get_i64(q, COL_OWN_ID) != 0;
	out->heat_key = thermal_export(archive_thermal(p->a), q_get_f64(q, 3), (double)m.last_access);
	out->access_count = m.access_count;
	out->created_at = m.created_at;
	out->last_access = m.last_access;
	out->revision = m.revision;
	return row_opt_text(p->j, q, COL_IMPORT_ID, &out->has_import_id, &out->import_id);
}

static int company(struct page *p, int64_t seq, struct item_record *out)
{
	struct query q = q_begin(p->j->db, SQL_COMPANY_OF);
	struct item_company *v = NULL;
	uint32_t n = 0, cap = 0;
	int r;

	q_i64(&q, seq);
	q_i64(&q, WIRE_COMPANY_MAX);
	q_owner(&q, p->j);
	while ((r = q_row(&q)) == 1) {
		if (n == cap) { /* most have none or a few: the zone keeps what is outgrown */
			struct item_company *more = job_alloc(p->j, sizeof(*more) * (cap = cap == 0 ? 32 : cap * 4));

			if (more == NULL) {
				r = TR_ENOMEM;
				break;
			}
			if (n > 0)
				memcpy(more, v, sizeof(*v) * n);
			v = more;
		}
		if ((r = row_text(p->j, &q, 0, &v[n].id)) < 0)
			break;
		v[n].own = q_get_i64(&q, 1) != 0;
		v[n].times = (uint64_t)q_get_i64(&q, 2);
		v[n++].last_at = q_get_i64(&q, 3);
	}
	q_end(&q);
	out->has_company = n > 0;
	out->company.v = v;
	out->company.n = n;
	return r < 0 ? r : 0;
}

/* A memory is a record, or one for each time it was decided: v[n] and those behind it. How many; 0: no room for all. */
static int decided(struct page *p, struct item_record *v, uint32_t room)
{
	const struct item_record first = *v;
	struct query q = q_begin(p->j->db, SQL_DECISIONS_OF);
	uint32_t n = 0;
	int r;

	q_text(&q, first.id.p, first.id.n);
	while ((r = q_row(&q)) == 1) {
		if (n == room)
			break;
		v[n] = first;
		v[n].has_decision_id = v[n].has_decided_by = v[n].has_decided_at = true;
		if ((r = row_text(p->j, &q, 0, &v[n].decision_id)) < 0 ||
		    (r = row_text(p->j, &q, 1, &v[n].decided_by)) < 0)
			break;
		v[n++].decided_at = q_get_i64(&q, 2);
	}
	q_end(&q);
	if (r < 0)
		return r;
	/* Over a thousand times the same: the first thousand are what an answer can hold. */
	if (r == 1)
		return room < RECORDS_MAX ? 0 : (int)n;
	return n == 0 ? 1 : (int)n;
}

/* The current row: 1 and *seq when it is on the page, 0 when the page is full. */
static int put(struct page *p, struct query *q, int64_t *seq)
{
	size_t bytes = row_bytes(q);
	int64_t number;
	int r;

	if (p->n >= p->limit || (p->n > 0 && p->bytes + bytes > ANSWER_BYTES_MAX))
		return 0;
	if ((r = record(p, q, &p->v[p->n], &number)) < 0 || (r = company(p, number, &p->v[p->n])) < 0)
		return r;
	bytes += p->v[p->n].company.n * sizeof(struct item_company) * 2;
	/* What alone is more than was asked for is a page of its own. */
	r = decided(p, &p->v[p->n], p->n == 0 ? RECORDS_MAX : p->limit - p->n);
	if (r <= 0)
		return r;
	p->n += (uint32_t)r;
	p->bytes += bytes * (size_t)r;
	*seq = number;
	return 1;
}

int read_export(struct sql_archive *a, struct job *j)
{
	const struct msg_memory_export *msg = j->msg;
	struct res_memory_export *res = job_alloc(j, sizeof(*res));
	struct page p = {.a = a, .j = j, .limit = msg->has_limit ? msg->limit : LIMIT};
	int64_t last = msg->has_after && msg->after <= INT64_MAX ? (int64_t)msg->after : msg->has_after ? INT64_MAX : 0;
	struct query q;
	int r, full = 0;

	p.v = job_alloc(j, sizeof(*p.v) * RECORDS_MAX);
	if (res == NULL || p.v == NULL)
		return TR_ENOMEM;
	if ((r = j->db->driver->look(j->db)) < 0)
		return r;
	q = q_begin(j->db, SQL_EXPORT);
	q_i64(&q, last);
	q_i64(&q, p.limit + 1);
	q_owner(&q, j);
	while ((r = q_row(&q)) == 1) {
		if ((r = put(&p, &q, &last)) != 1) {
			full = r == 0;
			break;
		}
	}
	q_end(&q);
	res->has_next = full && p.n > 0;
	res->next = (uint64_t)last;
	res->records.v = p.v;
	res->records.n = p.n;
	j->answer.res = res;
	return r < 0 ? r : 0;
}
