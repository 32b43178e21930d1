/* A sample for analysis. */
#include "jrs/memory/archive/internal.h"
#include <stdlib.h>

#define DAY_MS 86400000.0

/* One that was taken, and the numbers behind it that nobody has looked at yet. */
struct pick {
	int64_t seq, next, end;
	struct item_sample sample;
};

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
		out->temperature = thermal_at(archive_thermal(a), heat, out->sacred, (double)now);
		out->raw_temperature = thermal_raw(archive_thermal(a), heat, (double)now);
		out->access_count = (uint64_t)q_get_i64(&q, 4);
		out->importance = q_get_f64(&q, 5);
		out->last_access = q_get_i64(&q, 6);
		out->has_last_access = true;
		out->idle_days = (double)(now - out->last_access) / DAY_MS;
		out->content_bytes = (uint32_t)q_get_i64(&q, 7);
		if (row_text(j, &q, 1, &out->id) < 0)
			r = TR_ENOMEM;
	}
	q_end(&q);
	return r;
}

/* Evenly over the archive's age: the same sample for the same archive, whatever its size. Numbers have gaps (what was
 * forgotten, and what a server's sequence leaves out), so there may be fewer than wanted. How many, or < 0. */
static int spread(struct sql_archive *a, struct job *j, uint32_t want, int64_t now, struct pick *v)
{
	struct query q = q_begin(j->db, SQL_SEQ_RANGE);
	int64_t first = 0, last = -1, from;
	uint32_t i, n = 0;
	int r;

	if ((r = q_row(&q)) == 1) {
		first = q_get_i64(&q, 0);
		last = q_get_i64(&q, 1);
	}
	q_end(&q);
	from = first;
	for (i = 0, r = r < 0 ? r : 1; r == 1 && i < want; i++) {
		int64_t due = first + (int64_t)((double)(last - first + 1) * i / want);

		from = due > from ? due : from;
		if ((r = sample_one(a, j, &from, now, &v[n].sample)) != 1)
			break;
		if (n > 0)
			v[n - 1].end = from - 1;
		v[n].seq = from - 1;
		v[n].next = from;
		v[n].end = INT64_MAX;
		n++;
	}
	return r < 0 ? r : (int)n;
}

static uint32_t open_picks(const struct pick *v, uint32_t n)
{
	uint32_t i, open = 0;

	for (i = 0; i < n; i++)
		open += v[i].next < v[i].end;
	return open;
}

/* The rest, from behind those that are taken, an equal share from behind each. How many there are then. */
static int fill(struct sql_archive *a, struct job *j, uint32_t want, int64_t now, struct pick *v, uint32_t taken)
{
	uint32_t n = taken, open, share, i, k;
	int r;

	while (n < want && (open = open_picks(v, taken)) > 0) {
		share = (want - n + open - 1) / open;
		for (i = 0; i < taken; i++) {
			for (k = 0; k < share && n < want && v[i].next < v[i].end; k++) {
				int64_t from = v[i].next;

				if ((r = sample_one(a, j, &from, now, &v[n].sample)) < 0)
					return r;
				v[i].next = r == 0 || from > v[i].end ? v[i].end : from;
				if (r == 0 || from > v[i].end)
					break;
				v[n].seq = from - 1;
				n++;
			}
		}
	}
	return (int)n;
}

static int older_first(const void *a, const void *b)
{
	const struct pick *x = a, *y = b;

	return (x->seq > y->seq) - (x->seq < y->seq);
}

static int sample_memories(struct sql_archive *a, struct job *j, uint32_t want, struct res_memory_samples *res)
{
	struct item_sample *out = job_alloc(j, sizeof(*out) * want);
	struct pick *v = calloc((size_t)want + 1, sizeof(*v));
	int64_t now = a->wall_ms();
	int r = TR_ENOMEM, i;

	if (out == NULL || v == NULL)
		goto out;
	if ((r = spread(a, j, want, now, v)) < 0 || (r = fill(a, j, want, now, v, (uint32_t)r)) < 0)
		goto out;
	qsort(v, (size_t)r, sizeof(*v), older_first);
	for (i = 0; i < r; i++)
		out[i] = v[i].sample;
	res->memories.v = out;
	res->memories.n = (uint32_t)r;
	r = 0;
out:
	free(v);
	return r;
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
