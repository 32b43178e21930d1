/* For who has a token that is bound to a source (only_source of a call) there is nothing but that source: what is not
 * of it is answered as what never was. */
#include "jrs/memory/archive/internal.h"
#include <math.h>
#include <string.h>

bool owned_serves(enum wire_msg_id id)
{
	switch (id) {
	case MSG_memory_add:
	case MSG_memory_decide:
	case MSG_memory_patch:
	case MSG_memory_forget:
	case MSG_memory_get:
	case MSG_memory_recall:
	case MSG_memory_explain:
	case MSG_memory_thermal:
	case MSG_memory_decisions:
	case MSG_memory_export:
	case MSG_memory_vote_cast: /* a voice under its own name; of the vote it is told nothing */
		return true;
	default: /* about the whole archive */
		return false;
	}
}

bool owned_by(const struct job *j, wire_str *source)
{
	const struct wire_common *common = j->msg;

	if (!common->has_only_source)
		return false;
	*source = common->only_source;
	return true;
}

void q_owner(struct query *q, const struct job *j)
{
	const struct wire_common *common = j->msg;

	q_opt_text(q, common->has_only_source, common->only_source);
}

int owned_row(struct sql_archive *a, const struct job *j, int64_t seq)
{
	struct query q;
	wire_str source;
	int r;

	if (!owned_by(j, &source))
		return 1;
	q = q_begin(&a->wdb, SQL_IS_OF);
	q_i64(&q, seq);
	q_text(&q, source.p, source.n);
	r = q_row(&q);
	q_end(&q);
	return r;
}

/* 1: the memory of that id is of that source, 0: not, or < 0. */
static int id_is_of(struct db *db, wire_str id, wire_str source)
{
	struct query q = q_begin(db, SQL_ID_IS_OF);
	int r;

	q_text(&q, id.p, id.n);
	q_text(&q, source.p, source.n);
	r = q_row(&q);
	q_end(&q);
	return r;
}

int owned_links(const struct job *j, struct db *db, struct item_memory *m)
{
	wire_str source;
	int r = 1;

	if (!owned_by(j, &source))
		return 0;
	if (m->has_supersedes && (r = id_is_of(db, m->supersedes, source)) >= 0)
		m->has_supersedes = r == 1;
	if (r >= 0 && m->has_superseded_by && (r = id_is_of(db, m->superseded_by, source)) >= 0)
		m->has_superseded_by = r == 1;
	return r < 0 ? r : 0;
}

/* ---- places: a number in the archive tells how many others there are ---- */
static int ask_place(const struct job *j, enum sql id, int64_t v, int64_t *out)
{
	struct query q;
	wire_str source;
	int r;

	if (!owned_by(j, &source))
		return 0;
	q = q_begin(j->db, id);
	q_text(&q, source.p, source.n);
	q_i64(&q, v);
	if ((r = q_row(&q)) == 1)
		*out = q_get_i64(&q, 0);
	else
		*out = INT64_MAX;
	q_end(&q);
	return r < 0 ? r : 0;
}

int owned_place(const struct job *j, int64_t *seq)
{
	return *seq == INT64_MAX ? 0 : ask_place(j, SQL_SOURCE_PLACE, *seq, seq);
}

int owned_at(const struct job *j, int64_t *place)
{
	return *place < 1 || *place == INT64_MAX ? 0 : ask_place(j, SQL_SOURCE_AT, *place - 1, place);
}

/* ---- words: how rare they are in this source ---- */
static int count_of(struct job *j, enum sql id, const struct buf *text, wire_str source, double *out)
{
	struct query q = q_begin(j->db, id);
	int r;

	q_text(&q, source.p, source.n);
	if (text != NULL)
		q_text(&q, text->p, text->len);
	if ((r = q_row(&q)) == 1)
		*out = (double)q_get_i64(&q, 0);
	q_end(&q);
	return r < 0 ? r : 0;
}

int owned_weights(struct job *j, const struct query_words *words, bool weighed, struct item_explanation *out,
		  struct item_term *terms)
{
	double rows = 0, hits;
	wire_str source;
	int r;

	if (!owned_by(j, &source))
		return 0;
	out->has_match = false; /* reckoned from the words of everybody */
	if (weighed)
		return 0;
	if ((r = count_of(j, SQL_SOURCE_ROWS, NULL, source, &rows)) < 0)
		return r;
	for (unsigned i = 0; i < words->n; i++) {
		struct query_words one = {.text = words->text, .n = 1};
		struct buf text = {0};

		one.from[0] = words->from[i];
		one.len[0] = words->len[i];
		hits = 0;
		if ((r = j->db->driver->search_text(&one, &text)) > 0)
			r = count_of(j, SQL_SOURCE_WORD, &text, source, &hits);
		buf_free(&text);
		if (r < 0)
			return r;
		terms[i].weight = hits <= 0 ? 0 : fmax(1e-6, log((rows - hits + 0.5) / (hits + 0.5)));
	}
	return 0;
}

/* ---- temperatures: counted, for the running figures are those of all sources ---- */
struct hot {
	int64_t seq;
	double heat;
};
struct counting {
	struct sql_archive *a;
	struct res_memory_thermal *res;
	struct item_heat_bin *bins;
	uint64_t stages[THERMAL_NSTAGES], phases;
	double sum, phase_sum, now;
	struct hot *hottest; /* the hottest first */
	uint32_t n, room;
};

static void note_hot(struct counting *c, int64_t seq, double heat)
{
	uint32_t at = c->n;

	if (c->room == 0 || (c->n == c->room && heat <= c->hottest[c->n - 1].heat))
		return;
	if (c->n < c->room)
		c->n++;
	else
		at--;
	for (; at > 0 && c->hottest[at - 1].heat < heat; at--)
		c->hottest[at] = c->hottest[at - 1];
	c->hottest[at] = (struct hot){seq, heat};
}

static void count_one(struct counting *c, const struct query *q)
{
	const struct thermal_model *m = archive_thermal(c->a);
	double heat = q_get_f64(q, 1);
	bool sacred = q_get_i64(q, 2) != 0;
	double t = thermal_at(m, heat, sacred, c->now);
	unsigned step = (unsigned)(t / m->max * HIST_STEPS);

	c->res->total_memories++;
	c->sum += t;
	c->stages[thermal_stage_of(m, t)]++;
	c->bins[step < HIST_STEPS ? step : HIST_STEPS - 1].count++;
	if (sacred) {
		if (c->res->sacred_count++ == 0 || t < c->res->sacred_min_temperature)
			c->res->sacred_min_temperature = t;
		c->res->has_sacred_min_temperature = true;
	}
	if (!q_is_null(q, 3)) {
		c->phases++;
		c->phase_sum += q_get_f64(q, 3);
	}
	note_hot(c, q_get_i64(q, 0), heat);
}

static void conclude(struct counting *c)
{
	struct res_memory_thermal *res = c->res;

	res->has_average_temperature = res->has_thermal_entropy = res->total_memories > 0;
	res->average_temperature = res->total_memories > 0 ? c->sum / (double)res->total_memories : 0;
	res->thermal_entropy = thermal_entropy(c->stages);
	res->white_hot_count = c->stages[THERMAL_WHITE_HOT];
	res->has_phase_coherence_avg = c->phases > 0;
	res->phase_coherence_avg = c->phases > 0 ? c->phase_sum / (double)c->phases : 0;
#define X(id, name, key, from) res->stages.name = c->stages[THERMAL_##id];
	THERMAL_STAGES(X)
#undef X
	res->timestamp = (int64_t)c->now;
}

static int show_hottest(struct counting *c, struct job *j)
{
	struct item_memory *v = job_alloc(j, sizeof(*v) * c->n);
	struct archive_hit *hits = job_alloc(j, sizeof(*hits) * c->n);
	uint32_t n = 0;
	int r = 0;

	if (v == NULL || hits == NULL)
		return TR_ENOMEM;
	for (uint32_t i = 0; i < c->n && r >= 0; i++) {
		struct query q = q_begin(j->db, SQL_ROW);

		q_i64(&q, c->hottest[i].seq);
		if ((r = q_row(&q)) == 1 && (r = row_memory(c->a, j, &q, (int64_t)c->now, &v[n], &hits[n])) == 0)
			n++;
		q_end(&q);
	}
	c->res->hottest.v = v;
	c->res->hottest.n = n;
	j->answer = (struct archive_answer){.res = c->res, .hits = hits, .nhits = n};
	return r < 0 ? r : 0;
}

int owned_thermal(struct sql_archive *a, struct job *j, struct res_memory_thermal *res, struct item_heat_bin *bins,
		  uint32_t hottest, int64_t now_ms)
{
	struct counting c = {.a = a, .res = res, .bins = bins, .now = (double)now_ms, .room = hottest};
	wire_str source = {NULL, 0};
	struct query q;
	int r;

	c.hottest = job_alloc(j, sizeof(*c.hottest) * hottest);
	if (c.hottest == NULL)
		return TR_ENOMEM;
	(void)owned_by(j, &source);
	for (unsigned i = 0; i < HIST_STEPS; i++)
		bins[i].from = archive_thermal(a)->max * i / HIST_STEPS;
	res->histogram.v = bins;
	res->histogram.n = HIST_STEPS;
	if ((r = j->db->driver->look(j->db)) < 0)
		return r;
	q = q_begin(j->db, SQL_SOURCE_HEATS);
	q_text(&q, source.p, source.n);
	while ((r = q_row(&q)) == 1)
		count_one(&c, &q);
	q_end(&q);
	if (r < 0)
		return r;
	conclude(&c);
	return show_hottest(&c, j);
}
