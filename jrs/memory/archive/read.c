/* Reads that need no search: one memory, the decision log, a sample for analysis. */
#include "jrs/memory/archive/internal.h"

#define DECISIONS 50 /* when the caller does not say how many */
#define DAY_MS    86400000.0

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
	r = q_row(&q);
	if (r == 1)
		r = row_memory(a, j, &q, a->wall_ms(), &res->memory, hit);
	else if (r == 0)
		r = job_fault(j, TR_ENOTFOUND, "id", "no memory has this id");
	q_end(&q);
	j->answer = (struct archive_answer){res, hit, 1};
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

/* The first memory at or behind *from; 1, and *from moves behind it. 0: there is none. */
static int sample_one(struct sql_archive *a, struct job *j, int64_t *from, int64_t now, struct item_sample *out)
{
	struct query q = q_begin(j->db, SQL_SAMPLE);
	double heat;
	int r;

	q_i64(&q, *from);
	if ((r = q_row(&q)) == 1) {
		*from = q_get_i64(&q, 0) + 1;
		heat = q_get_f64(&q, 2);
		out->sacred = q_get_i64(&q, 3) != 0;
		out->temperature = thermal_at(&a->model, heat, out->sacred, (double)now);
		out->raw_temperature = thermal_raw(&a->model, heat, (double)now);
		out->access_count = (uint64_t)q_get_i64(&q, 4);
		out->importance = q_get_f64(&q, 5);
		out->idle_days = (double)(now - q_get_i64(&q, 6)) / DAY_MS;
		out->content_bytes = (uint32_t)q_get_i64(&q, 7);
		if (row_text(j, &q, 1, &out->id) < 0)
			r = TR_ENOMEM;
	}
	q_end(&q);
	return r;
}

/* Evenly over the archive's age: the same sample for the same archive, whatever its size. */
static int sample_memories(struct sql_archive *a, struct job *j, uint32_t want, struct res_memory_samples *res)
{
	struct item_sample *v = job_alloc(j, sizeof(*v) * want);
	struct query q = q_begin(j->db, SQL_SEQ_RANGE);
	int64_t first = 0, last = -1, from, now = a->wall_ms();
	uint32_t i, n = 0;
	int r;

	if (v == NULL)
		return TR_ENOMEM;
	if ((r = q_row(&q)) == 1) {
		first = q_get_i64(&q, 0);
		last = q_get_i64(&q, 1);
	}
	q_end(&q);
	from = first;
	for (i = 0, r = r < 0 ? r : 1; r == 1 && i < want; i++) {
		int64_t due = first + (int64_t)((double)(last - first + 1) * i / want);

		from = due > from ? due : from;
		if ((r = sample_one(a, j, &from, now, &v[n])) == 1)
			n++;
	}
	res->memories.v = v;
	res->memories.n = n;
	return r < 0 ? r : 0;
}

int read_samples(struct sql_archive *a, struct job *j)
{
	const struct msg_memory_samples *msg = j->msg;
	struct res_memory_samples *res = job_alloc(j, sizeof(*res));
	uint32_t recalls = msg->has_recalls ? msg->recalls : 0, n = 0, i;
	struct item_recall_sample *v = job_alloc(j, sizeof(*v) * recalls);
	struct query q;
	int r, s;

	if (res == NULL || v == NULL)
		return TR_ENOMEM;
	if ((r = sample_memories(a, j, msg->has_memories ? msg->memories : 0, res)) < 0)
		return r;
	q = q_begin(j->db, SQL_RECALLS);
	q_i64(&q, recalls);
	while ((r = q_row(&q)) == 1 && n < recalls) {
		v[n].at = q_get_i64(&q, 0);
		v[n].latency_us = (uint32_t)q_get_i64(&q, 1);
		v[n++].sources = (uint32_t)q_get_i64(&q, 2);
	}
	q_end(&q);
	res->recalls.v = v;
	res->recalls.n = n;
	pthread_mutex_lock(&a->hist_lock);
	for (s = 0; s < 2; s++) {
		for (i = 0; i < HIST_BINS + 2; i++)
			res->total_memories += a->hist.bin[s][i].n;
	}
	pthread_mutex_unlock(&a->hist_lock);
	j->answer.res = res;
	return r < 0 ? r : 0;
}
