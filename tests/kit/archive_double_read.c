/* What the double answers without searching. */
#include "proto/json/json.h"
#include "tests/kit/archive_double_inside.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>

#define DAY_MS      86400000.0
#define DECISIONS_N 50 /* these four: when the caller does not say how many */
#define EXPORT_N    200
#define IMPORTS_N   50
#define HOTTEST_N   10
#define STEPS       20   /* of the histogram */
#define RECORDS_MAX 1000 /* of one answer, as fields.h has it */

double dbl_temperature(const struct dbl *d, const struct dbl_row *row, int64_t now)
{
	return thermal_at(&d->model, row->heat, row->sacred, (double)now);
}

static void drop_json(void *map)
{
	json_decref(map);
}

static int metadata(struct dbl_job *j, wire_str text, wire_map *out)
{
	msgpack_object *o = dbl_alloc(j, sizeof(*o));
	json_t *map = NULL;
	int r = json_parse(&map, text.p, text.n, NULL);

	if (r < 0)
		return TR_ESTORE;
	if (!msgpack_zone_push_finalizer(j->ctx.zone, drop_json, map)) /* the object borrows from it */
		abort();
	*out = o;
	return json_to_msgpack(map, j->ctx.zone, o);
}

static wire_strs texts(struct dbl_job *j, wire_strs s)
{
	wire_str *v = dbl_alloc(j, sizeof(*v) * s.n);

	for (uint32_t i = 0; i < s.n; i++)
		v[i] = dbl_copy(j, s.v[i]);
	return (wire_strs){v, s.n};
}

int dbl_memory(struct dbl *d, struct dbl_job *j, const struct dbl_row *row, int64_t now, struct item_memory *out,
	       struct archive_hit *hit)
{
	memset(out, 0, sizeof(*out));
#define TEXT(name) (out->has_##name = row->name.p != NULL, out->name = dbl_copy(j, row->name))
	TEXT(source), TEXT(session), TEXT(speaker), TEXT(supersedes), TEXT(superseded_by);
#undef TEXT
	out->id = dbl_copy(j, row->id);
	out->content = dbl_copy(j, row->content);
	out->tags = texts(j, row->tags);
	out->temperature = dbl_temperature(d, row, now);
	out->stage = wire_s(thermal_stage_name(thermal_stage_of(&d->model, out->temperature)));
	out->has_at = row->has_at;
	out->at = row->at;
	out->created_at = row->created;
	out->last_access = row->last_access;
	out->access_count = row->accesses;
	out->importance = row->importance;
	out->sacred = row->sacred;
	out->has_phase_coherence = row->has_phase;
	out->phase_coherence = row->has_phase ? row->phase : 0.0;
	out->revision = row->revision;
	out->has_metadata = row->metadata.p != NULL;
	*hit = dbl_hit(row);
	hit->shown = out;
	return out->has_metadata ? metadata(j, row->metadata, &out->metadata) : 0;
}

size_t dbl_bytes(const struct dbl_row *row)
{
	size_t n = row->content.n + row->metadata.n + 4096; /* names, ids and figures */

	for (uint32_t i = 0; i < row->tags.n; i++)
		n += row->tags.v[i].n + 3;
	return n;
}

static int get(struct dbl *d, struct dbl_job *j)
{
	const struct msg_memory_get *msg = j->msg;
	struct res_memory_get *res = dbl_alloc(j, sizeof(*res));
	struct archive_hit *hit = dbl_alloc(j, sizeof(*hit));
	const struct dbl_row *row = dbl_by_id(d->book, msg->id);

	if (row == NULL)
		return dbl_fault(j, TR_ENOTFOUND, "id", "no memory has this id");
	j->answer = (struct archive_answer){.res = res, .hits = hit, .nhits = 1};
	return dbl_memory(d, j, row, d->wall_ms(), &res->memory, hit);
}

/* ---- figures ---- */
static uint64_t *stage_of(struct item_stages *s, enum thermal_stage stage)
{
	switch (stage) {
#define X(id, name, key, from) \
	case THERMAL_##id:     \
		return &s->name;
		THERMAL_STAGES(X)
#undef X
	default:
		abort();
	}
}

static int by_heat(const void *x, const void *y)
{
	const struct dbl_row *a = *(const struct dbl_row *const *)x, *b = *(const struct dbl_row *const *)y;

	if (a->heat != b->heat)
		return a->heat > b->heat ? -1 : 1;
	return (a->number < b->number) - (a->number > b->number);
}

static int hottest(struct dbl *d, struct dbl_job *j, struct res_memory_thermal *res, uint32_t want, int64_t now)
{
	const struct dbl_row **all = dbl_alloc(j, sizeof(const struct dbl_row *) * d->book->list[ROWS].n);
	struct item_memory *v = dbl_alloc(j, sizeof(*v) * want);
	struct archive_hit *hits = dbl_alloc(j, sizeof(*hits) * want);
	uint32_t n = 0, i;
	int r = 0;

	EACH(dbl_row, row, &d->book->list[ROWS])
	{
		if (!dbl_hidden(row))
			all[n++] = row;
	}
	qsort(all, n, sizeof(*all), by_heat);
	n = n < want ? n : want;
	for (i = 0; i < n && r == 0; i++)
		r = dbl_memory(d, j, all[i], now, &v[i], &hits[i]);
	res->hottest.v = v;
	res->hottest.n = n;
	j->answer.hits = hits;
	j->answer.nhits = n;
	return r;
}

static int thermal(struct dbl *d, struct dbl_job *j)
{
	const struct msg_memory_thermal *msg = j->msg;
	struct res_memory_thermal *res = dbl_alloc(j, sizeof(*res));
	struct item_heat_bin *bins = dbl_alloc(j, sizeof(*bins) * STEPS);
	uint64_t stages[THERMAL_NSTAGES] = {0};
	double sum = 0.0, least = (double)INFINITY;
	int64_t now = d->wall_ms();

	EACH(dbl_row, row, &d->book->list[ROWS])
	{
		double t = dbl_temperature(d, row, now), step = floor(t * STEPS / d->model.max);
		enum thermal_stage stage = thermal_stage_of(&d->model, t);

		if (dbl_hidden(row) && d->book->fault != ARCHIVE_DOUBLE_DRILLS_SHOW)
			continue;
		res->total_memories++;
		res->sacred_count += row->sacred;
		sum += t;
		least = row->sacred ? fmin(least, t) : least;
		stages[stage]++;
		++*stage_of(&res->stages, stage);
		bins[step < STEPS ? (int)step : STEPS - 1].count++; /* the last one holds the hottest there is, too */
	}
	for (int i = 0; i < STEPS; i++)
		bins[i].from = d->model.max * i / STEPS;
	res->histogram.v = bins;
	res->histogram.n = STEPS;
	res->white_hot_count = res->stages.white_hot;
	res->has_average_temperature = res->has_thermal_entropy = res->total_memories > 0;
	res->average_temperature = res->total_memories > 0 ? sum / (double)res->total_memories : 0.0;
	res->thermal_entropy = thermal_entropy(stages);
	res->has_sacred_min_temperature = res->sacred_count > 0;
	res->sacred_min_temperature = res->sacred_count > 0 ? least : 0.0;
	res->timestamp = now;
	res->has_votes = true; /* it holds none */
	res->votes.has_no_evidence = res->votes.has_vetoed = true;
	j->answer.res = res;
	return hottest(d, j, res, msg->has_hottest ? msg->hottest : HOTTEST_N, now);
}

/* ---- lists ---- */
static int latest_decision(const void *x, const void *y)
{
	const struct dbl_decision *a = *(const struct dbl_decision *const *)x;
	const struct dbl_decision *b = *(const struct dbl_decision *const *)y;

	if (a->at != b->at)
		return a->at > b->at ? -1 : 1;
	return (a < b) - (a > b); /* the later written stands behind in the array */
}

static int decisions(struct dbl *d, struct dbl_job *j)
{
	const struct msg_memory_decisions *msg = j->msg;
	uint32_t limit = msg->has_limit ? msg->limit : DECISIONS_N, n = 0, i;
	struct res_memory_decisions *res = dbl_alloc(j, sizeof(*res));
	struct item_decision *v = dbl_alloc(j, sizeof(*v) * limit);
	const struct dbl_decision **all =
		dbl_alloc(j, sizeof(const struct dbl_decision *) * d->book->list[DECISIONS].n);

	EACH(dbl_decision, decision, &d->book->list[DECISIONS])
	{
		if (!msg->has_since || decision->at >= msg->since)
			all[n++] = decision;
	}
	qsort(all, n, sizeof(*all), latest_decision);
	for (i = 0; i < n && i < limit; i++) {
		const struct dbl_row *row = dbl_by_id(d->book, all[i]->memory_id);

		v[i] = (struct item_decision){.id = dbl_copy(j, all[i]->id),
					      .text = dbl_copy(j, row->content),
					      .by = dbl_copy(j, all[i]->by),
					      .memory_id = dbl_copy(j, all[i]->memory_id),
					      .at = all[i]->at};
	}
	res->decisions.v = v;
	res->decisions.n = i;
	j->answer.res = res;
	return 0;
}

static int latest_import(const void *x, const void *y)
{
	const struct dbl_import *a = *(const struct dbl_import *const *)x;
	const struct dbl_import *b = *(const struct dbl_import *const *)y;

	if (a->started != b->started)
		return a->started > b->started ? -1 : 1;
	return (a < b) - (a > b);
}

static int imports(struct dbl *d, struct dbl_job *j)
{
	const struct msg_memory_imports *msg = j->msg;
	uint32_t limit = msg->has_limit ? msg->limit : IMPORTS_N, n = 0, i;
	struct res_memory_imports *res = dbl_alloc(j, sizeof(*res));
	struct item_import *v = dbl_alloc(j, sizeof(*v) * limit);
	const struct dbl_import **all = dbl_alloc(j, sizeof(const struct dbl_import *) * d->book->list[IMPORTS].n);

	EACH(dbl_import, import, &d->book->list[IMPORTS])
	all[n++] = import;
	qsort(all, n, sizeof(*all), latest_import);
	for (i = 0; i < n && i < limit; i++)
		dbl_import_show(j, all[i], &v[i]);
	res->imports.v = v;
	res->imports.n = i;
	j->answer.res = res;
	return 0;
}

/* ---- a sample: as many memories as there are and are wanted, evenly over the archive ---- */
static void sample(struct dbl *d, struct dbl_job *j, const struct dbl_row *row, int64_t now, struct item_sample *out)
{
	*out = (struct item_sample){.id = dbl_copy(j, row->id),
				    .temperature = dbl_temperature(d, row, now),
				    .raw_temperature = thermal_raw(&d->model, row->heat, (double)now),
				    .access_count = row->accesses,
				    .importance = row->importance,
				    .sacred = row->sacred,
				    .idle_days = (double)(now - row->last_access) / DAY_MS,
				    .last_access = row->last_access,
				    .has_last_access = true,
				    .content_bytes = row->content.n};
}

static void sample_memories(struct dbl *d, struct dbl_job *j, uint32_t want, struct res_memory_samples *res)
{
	const struct dbl_list *l = &d->book->list[ROWS];
	const struct dbl_row *rows = l->v;
	struct item_sample *v = dbl_alloc(j, sizeof(*v) * want);
	size_t visible = 0, seen = 0, at;
	uint32_t n = 0;

	for (at = 0; at < l->n; at++)
		visible += !dbl_hidden(&rows[at]);
	want = want < visible ? want : (uint32_t)visible;
	for (at = 0; n < want; at++) {
		if (dbl_hidden(&rows[at]))
			continue;
		if (seen++ == n * visible / want)
			sample(d, j, &rows[at], d->wall_ms(), &v[n++]);
	}
	res->memories.v = v;
	res->memories.n = n;
}

static int samples(struct dbl *d, struct dbl_job *j)
{
	const struct msg_memory_samples *msg = j->msg;
	struct res_memory_samples *res = dbl_alloc(j, sizeof(*res));
	const struct dbl_list *l = &d->book->list[RECALLS];
	uint32_t want = msg->has_recalls ? msg->recalls : 0, n = 0;
	struct item_recall_sample *v = dbl_alloc(j, sizeof(*v) * want);

	for (size_t i = l->n; i-- > 0 && n < want;) /* newest first */
		v[n++] = ((const struct item_recall_sample *)l->v)[i];
	res->recalls.v = v;
	res->recalls.n = n;
	sample_memories(d, j, msg->has_memories ? msg->memories : 0, res);
	EACH(dbl_row, row, &d->book->list[ROWS])
	res->total_memories += !dbl_hidden(row);
	j->answer.res = res;
	return 0;
}

/* ---- export ---- */
static int record(struct dbl *d, struct dbl_job *j, const struct dbl_row *row, struct item_record *out)
{
	struct item_memory m;
	struct archive_hit hit;
	int r = dbl_memory(d, j, row, d->wall_ms(), &m, &hit);

	*out = (struct item_record){.has_id = true,
				    .id = m.id,
				    .content = m.content,
				    .has_tags = m.tags.n > 0,
				    .tags = m.tags,
				    .has_importance = true,
				    .importance = m.importance,
				    .has_sacred = m.sacred,
				    .sacred = m.sacred,
				    .own_id = row->own_id,
				    .heat_key = row->heat,
				    .access_count = row->accesses,
				    .created_at = row->created,
				    .last_access = row->last_access,
				    .has_phase_count = row->has_phase,
				    .phase_count = row->compared,
				    .revision = row->revision,
				    .has_import_id = row->import_id.p != NULL,
				    .import_id = dbl_copy(j, row->import_id)};
#define OPT(name) (out->has_##name = m.has_##name, out->name = m.name)
	OPT(source), OPT(session), OPT(speaker), OPT(at), OPT(supersedes), OPT(superseded_by), OPT(metadata);
	OPT(phase_coherence);
#undef OPT
	return r;
}

static int by_id(const void *a, const void *b)
{
	const struct item_company *x = a, *y = b;
	size_t n = x->id.n < y->id.n ? x->id.n : y->id.n;
	int r = memcmp(x->id.p, y->id.p, n);

	if (r == 0 && x->id.n != y->id.n)
		r = x->id.n < y->id.n ? -1 : 1;
	return r != 0 ? r : x->own - y->own;
}

/* Each pair goes with its younger memory. */
static void company(struct dbl *d, struct dbl_job *j, const struct dbl_row *row, struct item_record *out)
{
	struct dbl_list *pairs = &d->book->list[PAIRS];
	struct item_company *v = dbl_alloc(j, sizeof(*v) * (pairs->n + 1));
	uint32_t n = 0;

	EACH(dbl_pair, pair, pairs)
	{
		bool own = pair->memory == row->number;
		int64_t number = own ? pair->partner : pair->memory;
		const struct dbl_row *other = dbl_by_number(d->book, number);

		if ((!own && pair->partner != row->number) || number >= row->number || other == NULL ||
		    dbl_hidden(other))
			continue;
		v[n++] = (struct item_company){dbl_copy(j, other->id), own, pair->times, pair->last_at};
	}
	if (n > 1)
		qsort(v, n, sizeof(*v), by_id);
	out->has_company = n > 0;
	out->company.v = v;
	out->company.n = n;
}

/* A memory is a record, or one for each time it was decided; 0: there is no room for all of them. */
static uint32_t decided(struct dbl *d, struct dbl_job *j, struct item_record *v, uint32_t room)
{
	const struct item_record first = *v;
	uint32_t n = 0;

	EACH(dbl_decision, decision, &d->book->list[DECISIONS])
	{
		if (!dbl_same(decision->memory_id, first.id))
			continue;
		if (n == room) /* more than an answer holds: the first thousand */
			return room == RECORDS_MAX ? n : 0;
		v[n] = first;
		v[n].has_decision_id = v[n].has_decided_by = v[n].has_decided_at = true;
		v[n].decision_id = dbl_copy(j, decision->id);
		v[n].decided_by = dbl_copy(j, decision->by);
		v[n++].decided_at = decision->at;
	}
	return n > 0 ? n : 1;
}

static int export_page(struct dbl *d, struct dbl_job *j)
{
	const struct msg_memory_export *msg = j->msg;
	struct res_memory_export *res = dbl_alloc(j, sizeof(*res));
	struct item_record *v = dbl_alloc(j, sizeof(*v) * RECORDS_MAX);
	uint32_t limit = msg->has_limit ? msg->limit : EXPORT_N, n = 0, more;
	size_t bytes = 0;

	EACH(dbl_row, row, &d->book->list[ROWS])
	{
		if (dbl_hidden(row) || (msg->has_after && (uint64_t)row->number <= msg->after))
			continue;
		res->has_next = n > 0; /* in case this one is left for the next page */
		if (n >= limit || (n > 0 && bytes + dbl_bytes(row) > DBL_ANSWER_MAX))
			break;
		if (record(d, j, row, &v[n]) < 0)
			return TR_ESTORE;
		company(d, j, row, &v[n]);
		if ((more = decided(d, j, &v[n], n == 0 ? RECORDS_MAX : limit - n)) == 0)
			break;
		n += more;
		bytes += dbl_bytes(row) * more;
		res->next = (uint64_t)row->number;
		res->has_next = false;
	}
	res->records.v = v;
	res->records.n = n;
	j->answer.res = res;
	return 0;
}

int dbl_read(struct dbl *d, struct dbl_job *j)
{
	switch (j->id) {
	case MSG_memory_get:
		return get(d, j);
	case MSG_memory_recall:
		return dbl_recall(d, j);
	case MSG_memory_thermal:
		return thermal(d, j);
	case MSG_memory_decisions:
		return decisions(d, j);
	case MSG_memory_samples:
		return samples(d, j);
	case MSG_memory_explain:
		return dbl_explain(d, j);
	case MSG_memory_export:
		return export_page(d, j);
	default:
		return imports(d, j);
	}
}
