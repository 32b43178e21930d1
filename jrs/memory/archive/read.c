/* Reads that need no search: one memory, the decision log. */
#include "jrs/memory/archive/internal.h"

#define DECISIONS 50 /* when the caller does not say how many */

int read_get(struct sql_archive *a, struct job *j)
{
	const struct msg_memory_get *msg = j->msg;
	struct res_memory_get *res = job_alloc(j, sizeof(*res));
	struct archive_hit *hit = job_alloc(j, sizeof(*hit));
	struct query q = q_begin(j->db, SQL_ROW_BY_ID);
	int r;

	if (res == NULL || hit == NULL)
		return TR_ENOMEM;
	q_text(&q, msg->id.p, msg->id.n);
	q_owner(&q, j);
	r = q_row(&q);
	if (r == 1)
		r = row_memory(a, j, &q, a->wall_ms(), &res->memory, hit);
	else if (r == 0)
		r = job_fault(j, TR_ENOTFOUND, "id", "no memory has this id");
	q_end(&q);
	j->answer = (struct archive_answer){.res = res, .hits = hit, .nhits = 1};
	return r;
}

int read_decisions(struct sql_archive *a, struct job *j)
{
	const struct msg_memory_decisions *msg = j->msg;
	uint32_t limit = msg->has_limit ? msg->limit : DECISIONS, n = 0;
	struct res_memory_decisions *res = job_alloc(j, sizeof(*res));
	struct item_decision *v = job_alloc(j, sizeof(*v) * limit);
	struct query q = q_begin(j->db, SQL_DECISIONS);
	int r;

	(void)a;
	if (res == NULL || v == NULL)
		return TR_ENOMEM;
	q_opt_i64(&q, msg->has_since, msg->since);
	q_i64(&q, limit);
	q_owner(&q, j);
	while ((r = q_row(&q)) == 1 && n < limit) {
		if ((r = row_text(j, &q, 0, &v[n].id)) < 0 || (r = row_text(j, &q, 1, &v[n].text)) < 0 ||
		    (r = row_text(j, &q, 2, &v[n].by)) < 0 || (r = row_text(j, &q, 3, &v[n].memory_id)) < 0)
			break;
		v[n++].at = q_get_i64(&q, 4);
	}
	q_end(&q);
	res->decisions.v = v;
	res->decisions.n = n;
	j->answer.res = res;
	return r < 0 ? r : 0;
}
