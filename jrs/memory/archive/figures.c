/* Temperatures of the whole archive, from the running histograms; rows are counted only where a bin straddles a bound.
 */
#include "jrs/memory/archive/internal.h"
#include <string.h>

#define HOTTEST 10 /* when the caller does not say how many */
_Static_assert(HIST_PER_HALF_LIFE == 32, "statement HEATS deals out by it");

void figures_begin(struct sql_archive *a)
{
	hist_init(&a->hist, archive_thermal(a), (double)a->wall_ms());
}

static void change(struct sql_archive *a, const struct heat_change *c)
{
	if (c->was)
		hist_remove(&a->hist, c->before, c->was_sacred);
	if (!c->gone)
		hist_add(&a->hist, c->after, c->is_sacred);
}

void figures_apply(struct sql_archive *a)
{
	size_t i;

	for (i = 0; i < a->heat.n; i++) {
		if (a->count == COUNT_DONE)
			change(a, &a->heat.v[i]);
		else if (a->count == COUNT_BEGUN)
			heat_note(&a->missed, &a->heat.v[i]); /* out of memory: noted there */
	}
	if (a->count == COUNT_DONE)
		hist_slide(&a->hist, archive_thermal(a), (double)a->now_ms);
}

/* A snapshot of the keeper's, taken between two commits: what is committed behind it goes to missed. */
static int begin_count(struct sql_archive *a)
{
	int r;

	pthread_mutex_lock(&a->hist_lock);
	r = db_look_now(&a->kdb);
	a->count = r == 0 ? COUNT_BEGUN : COUNT_DUE;
	a->missed.n = 0;
	a->missed.lost = false;
	pthread_mutex_unlock(&a->hist_lock);
	return r;
}

static int end_count(struct sql_archive *a, const struct thermal_hist *counted, int r)
{
	size_t i;

	pthread_mutex_lock(&a->hist_lock);
	if (r == 0 && a->missed.lost)
		r = TR_ENOMEM;
	if (r == 0) {
		a->hist = *counted;
		for (i = 0; i < a->missed.n; i++)
			change(a, &a->missed.v[i]);
	}
	a->count = r == 0 ? COUNT_DONE : COUNT_DUE;
	free(a->missed.v);
	memset(&a->missed, 0, sizeof(a->missed));
	pthread_mutex_unlock(&a->hist_lock);
	return r;
}

int figures_count(struct sql_archive *a)
{
	struct db *db = &a->kdb;
	struct thermal_hist counted;
	struct query q;
	int r, end;

	if ((r = db->driver->ready(db)) < 0 || (r = begin_count(a)) < 0)
		goto out;
	hist_init(&counted, archive_thermal(a), (double)a->wall_ms());
	q = q_begin(db, SQL_HEATS);
	while ((r = q_row(&q)) == 1 && !a->closing)
		hist_add_many(&counted, q_get_f64(&q, 0), q_get_i64(&q, 1) != 0, (uint64_t)q_get_i64(&q, 2),
			      q_get_f64(&q, 3));
	q_end(&q);
	r = end_count(a, &counted, r == 1 ? TR_ECLOSED : r);
out:
	end = db->driver->looked(db);
	return r < 0 ? r : end;
}

static struct query between(struct db *db, enum sql id, bool sacred, double lo, double hi)
{
	struct query q = q_begin(db, id);

	q_i64(&q, sacred);
	q_f64(&q, lo);
	q_f64(&q, hi);
	return q;
}

static int range(void *db, bool sacred, double lo, double hi, uint64_t *n, double *excess)
{
	struct query q = between(db, SQL_HEAT_RANGE, sacred, lo, hi);
	int r;

	if ((r = q_row(&q)) == 1) {
		*n = (uint64_t)q_get_i64(&q, 0);
		*excess = q_get_f64(&q, 1);
	}
	q_end(&q);
	return r < 0 ? r : 0;
}

static int coldest(void *db, bool sacred, double lo, double hi, double *out)
{
	struct query q = between(db, SQL_COLDEST, sacred, lo, hi);
	int r;

	if ((r = q_row(&q)) == 1)
		*out = q_get_f64(&q, 0);
	q_end(&q);
	return r < 0 ? r : 0;
}

/* A snapshot of the rows and the histograms of exactly those rows, and the constants of then. */
static int look(struct sql_archive *a, struct job *j, struct thermal_hist **out, const struct thermal_model **model)
{
	struct thermal_hist *h = job_alloc(j, sizeof(*h));
	int r;

	if (h == NULL)
		return TR_ENOMEM;
	pthread_mutex_lock(&a->hist_lock);
	if ((r = db_look_now(j->db)) == 0)
		*h = a->hist;
	*model = archive_thermal(a);
	pthread_mutex_unlock(&a->hist_lock);
	*out = h;
	return r;
}

static void fill(struct res_memory_thermal *res, const struct thermal_figures *f, struct item_heat_bin *bins,
		 double max)
{
	unsigned i;

	res->total_memories = f->total;
	res->sacred_count = f->sacred;
	res->white_hot_count = f->stages[THERMAL_WHITE_HOT];
	res->has_average_temperature = res->has_thermal_entropy = f->total > 0;
	res->average_temperature = f->mean;
	res->thermal_entropy = f->entropy;
	res->has_sacred_min_temperature = f->sacred > 0;
	res->sacred_min_temperature = f->sacred_min;
#define X(id, name, key, from) res->stages.name = f->stages[THERMAL_##id];
	THERMAL_STAGES(X)
#undef X
	for (i = 0; i < HIST_STEPS; i++) {
		bins[i].from = max * i / HIST_STEPS;
		bins[i].count = f->steps[i];
	}
	res->histogram.v = bins;
	res->histogram.n = HIST_STEPS;
}

static int hottest(struct sql_archive *a, struct job *j, struct res_memory_thermal *res, uint32_t n, int64_t now_ms)
{
	struct item_memory *v = job_alloc(j, sizeof(*v) * n);
	struct archive_hit *hits = job_alloc(j, sizeof(*hits) * n);
	struct query q = q_begin(j->db, SQL_HOTTEST), row;
	uint32_t i = 0;
	int r;

	if (v == NULL || hits == NULL)
		return TR_ENOMEM;
	q_i64(&q, n);
	while ((r = q_row(&q)) == 1) {
		row = q_begin(j->db, SQL_ROW);
		q_i64(&row, q_get_i64(&q, 0));
		if ((r = q_row(&row)) == 1)
			r = row_memory(a, j, &row, now_ms, &v[i], &hits[i]);
		q_end(&row);
		if (r < 0)
			break;
		i++;
	}
	q_end(&q);
	res->hottest.v = v;
	res->hottest.n = i;
	j->answer.hits = hits;
	j->answer.nhits = i;
	return r;
}

int read_thermal(struct sql_archive *a, struct job *j)
{
	const struct msg_memory_thermal *msg = j->msg;
	struct res_memory_thermal *res = job_alloc(j, sizeof(*res));
	struct item_heat_bin *bins = job_alloc(j, sizeof(*bins) * HIST_STEPS);
	const struct hist_rows rows = {j->db, range, coldest};
	uint32_t most = msg->has_hottest ? msg->hottest : HOTTEST;
	struct thermal_figures f;
	const struct thermal_model *model;
	struct thermal_hist *h;
	int64_t now = a->wall_ms();
	wire_str source;
	int r;

	if (res == NULL || bins == NULL)
		return TR_ENOMEM;
	if (owned_by(j, &source))
		return owned_thermal(a, j, res, bins, most, now);
	if ((r = look(a, j, &h, &model)) < 0 || (r = hist_figures(h, model, (double)now, &rows, &f)) < 0)
		return r;
	fill(res, &f, bins, model->max);
	res->timestamp = now;
	j->answer.res = res;
	res->has_votes = true;
	if ((r = read_vote_counts(j, &res->votes)) < 0 || (r = audit_counts(a, j, res)) < 0)
		return r;
	return hottest(a, j, res, most, now);
}
