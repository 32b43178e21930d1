/* What /metrics says, from what the Jrs answered. Pure: no clock, no calls. */
#include "common/base/text.h"
#include "jrs/executive/api/internal.h"
#include "jrs/vote/tally.h"
#include <stdio.h>
#include <string.h>
#include <tribe/version.h>

static void put_thermal(struct metrics_writer *w, const struct res_memory_thermal *t)
{
	metrics_put(w, METRIC_MEMORIES, (double)t->total_memories);
	if (t->has_average_temperature) {
		metrics_put(w, METRIC_HEAT_MEAN, t->average_temperature);
		metrics_put(w, METRIC_HEAT_MEAN_ALIAS, t->average_temperature);
	}
#define STAGE(name) metrics_put(w, METRIC_STAGE, (double)t->stages.name, #name)
	STAGE(white_hot);
	STAGE(red_hot);
	STAGE(warm);
	STAGE(cool);
	STAGE(cold);
	STAGE(ember);
#undef STAGE
	if (t->has_sacred_min_temperature)
		metrics_put(w, METRIC_SACRED_MIN, t->sacred_min_temperature);
	if (t->has_thermal_entropy)
		metrics_put(w, METRIC_ENTROPY, t->thermal_entropy);
	if (t->has_phase_coherence_avg) {
		metrics_put(w, METRIC_PHASE, t->phase_coherence_avg);
		metrics_put(w, METRIC_PHASE_ALIAS, t->phase_coherence_avg);
	}
#define VOTES(name) metrics_put(w, METRIC_VOTES, (double)t->votes.name, #name)
	if (t->has_votes) {
		VOTES(yes);
		VOTES(no);
		VOTES(option);
#define X(id, word, doc) VOTES(word);
		VOTE_NO_DECISIONS(X)
#undef X
	}
#undef VOTES
	if (t->has_quota_refused_total)
		metrics_put(w, METRIC_QUOTA_REFUSED, (double)t->quota_refused_total);
	for (uint32_t i = 0; i < t->guard.n; i++) {
		char class[33], action[17];

		tr_copy(class, sizeof(class), t->guard.v[i].class.p, t->guard.v[i].class.n);
		tr_copy(action, sizeof(action), t->guard.v[i].action.p, t->guard.v[i].action.n);
		metrics_put(w, METRIC_GUARD, (double)t->guard.v[i].count, class, action);
	}
	if (t->has_purge_due_s)
		metrics_put(w, METRIC_PURGE_DUE, (double)t->purge_due_s);
}

struct jr_row {
	const char *name;
	const struct item_jr *jr;
	bool up;
};

static void put_recovery(struct metrics_writer *w, const char *name, const struct item_recovery *r)
{
	struct metrics_histogram h = {.count = r->count, .sum = r->sum_s};
	char cause[33];

	for (uint32_t i = 0; i < r->buckets.n && h.buckets < METRICS_BUCKETS_MAX; i++) {
		h.le[h.buckets] = r->buckets.v[i].le;
		h.n[h.buckets++] = r->buckets.v[i].count;
	}
	tr_copy(cause, sizeof(cause), r->cause.p, r->cause.n);
	metrics_put_histogram(w, METRIC_JR_RECOVERY, &h, name, cause);
}

static void put_counts(struct metrics_writer *w, enum metric_id id, const char *name, const struct list_reason *by)
{
	for (uint32_t k = 0; k < by->n; k++) {
		char reason[33];

		tr_copy(reason, sizeof(reason), by->v[k].reason.p, by->v[k].reason.n);
		if (name != NULL)
			metrics_put(w, id, (double)by->v[k].count, name, reason);
		else
			metrics_put(w, id, (double)by->v[k].count, reason);
	}
}

/* One metric after the other, each for every Jr. */
static void put_jrs(struct metrics_writer *w, const struct jr_row *rows, unsigned n)
{
#define EACH(known, id, value)                                              \
	for (unsigned i = 0; i < n; i++) {                                  \
		const struct item_jr *jr = rows[i].jr;                      \
		if (known)                                                  \
			metrics_put(w, METRIC_##id, (value), rows[i].name); \
	}
	EACH(jr != NULL, JR_UP, rows[i].up ? 1.0 : 0.0)
	EACH(jr->has_heartbeat_at, JR_BEAT, (double)jr->heartbeat_at / 1e3)
	EACH(jr->has_rss_bytes, JR_RSS, (double)jr->rss_bytes)
	EACH(jr->has_cpu_ms, JR_CPU, (double)jr->cpu_ms / 1e3)
	EACH(jr->has_queue_depth, JR_QUEUE, (double)jr->queue_depth)
	EACH(jr->has_loop_lag_us, JR_LAG, (double)jr->loop_lag_us / 1e6)
#undef EACH
	for (unsigned i = 0; i < n; i++)
		put_counts(w, METRIC_JR_RESTARTS, rows[i].name, &rows[i].jr->restarts_by_reason);
	for (unsigned i = 0; i < n; i++)
		put_counts(w, METRIC_JR_DETECTIONS, rows[i].name, &rows[i].jr->detections);
	for (unsigned i = 0; i < n; i++)
		for (uint32_t k = 0; k < rows[i].jr->recoveries.n; k++)
			put_recovery(w, rows[i].name, &rows[i].jr->recoveries.v[k]);
}

static void put_status(struct metrics_writer *w, const struct res_status *s)
{
	const struct item_sentience *mind = &s->sentience;
#define ROW(member)                                            \
	{                                                      \
#member, &s->jrs.member, s->jrs_running.member \
	}
	const struct jr_row rows[] = {ROW(memory_jr), ROW(executive_jr), ROW(meta_jr), ROW(integration_jr)};
#undef ROW

	metrics_put(w, METRIC_UPTIME, (double)s->uptime_s);
	put_jrs(w, rows, sizeof(rows) / sizeof(*rows));
	put_counts(w, METRIC_DRILLS, NULL, &s->drills);
	if (mind->has_heartbeat_coherence)
		metrics_put(w, METRIC_HEARTBEAT, mind->heartbeat_coherence);
	if (mind->has_index)
		metrics_put(w, METRIC_SENTIENCE, mind->index);
	if (mind->has_uptime)
		metrics_put(w, METRIC_SENTIENCE_PART, mind->uptime, "uptime");
	if (mind->has_coherence)
		metrics_put(w, METRIC_SENTIENCE_PART, mind->coherence, "coherence");
	if (mind->has_thermal_balance)
		metrics_put(w, METRIC_SENTIENCE_PART, mind->thermal_balance, "thermal_balance");
}

static void put_own(struct metrics_writer *w, const struct api *api)
{
	for (unsigned r = 0; r <= NROUTES; r++) {
		/* routes that share a pattern share a label: the first of them carries the sum */
		struct metrics_histogram h = api->latency[r];
		const char *label = r < NROUTES ? routes[r].pattern : "other";
		bool first = true;

		for (unsigned k = 0; k < NROUTES && r < NROUTES; k++) {
			if (k == r || strcmp(routes[k].pattern, label) != 0)
				continue;
			first = first && k > r;
			for (unsigned b = 0; b < h.buckets; b++)
				h.n[b] += api->latency[k].n[b];
			h.count += api->latency[k].count;
			h.sum += api->latency[k].sum;
		}
		if (first && h.count > 0)
			metrics_put_histogram(w, METRIC_LATENCY, &h, label);
	}
	for (unsigned r = 0; r <= NROUTES; r++)
		for (unsigned m = 0; m < NMETHODS; m++)
			for (unsigned s = 0; s < HTTP_NSTATUSES; s++) {
				char status[8];

				if (api->requests[r][m][s] == 0)
					continue;
				snprintf(status, sizeof(status), "%d", http_statuses[s].code);
				metrics_put(w, METRIC_API_REQUESTS, (double)api->requests[r][m][s], api_method_name(m),
					    r < NROUTES ? routes[r].pattern : "other", status);
			}
}

static void put_http(struct metrics_writer *w, const struct api *api)
{
	for (unsigned s = 0; s < HTTP_NSTATUSES; s++) {
		char status[8];

		snprintf(status, sizeof(status), "%d", http_statuses[s].code);
		if (api->refused[s] > 0)
			metrics_put(w, METRIC_HTTP_REFUSED, (double)api->refused[s], status);
	}
	metrics_put(w, METRIC_HTTP_RATE_LIMITED, (double)api->rate_limited[0], "address");
	metrics_put(w, METRIC_HTTP_RATE_LIMITED, (double)api->rate_limited[1], "token");
	metrics_put(w, METRIC_HTTP_SHED, (double)api->shed_total[SHED_READ], "read");
	metrics_put(w, METRIC_HTTP_SHED, (double)api->shed_total[SHED_WRITE], "write");
	metrics_put(w, METRIC_SSE_STREAMS, (double)api->streams);
	metrics_put(w, METRIC_SSE_CUT, (double)api->streams_cut);
}

/* What was reckoned from the archive is not known while that is away: the figures of its last good day are stale. */
static void put_meta(struct metrics_writer *w, const struct scrape_meta *m, bool archive)
{
	if (archive && m->has_r_squared)
		metrics_put(w, METRIC_R_SQUARED, m->r_squared);
	for (unsigned i = 0; i < m->n; i++)
		if (archive || !m->degradation[i].of_archive)
			metrics_put(w, METRIC_DEGRADATION, m->degradation[i].ratio, m->degradation[i].metric);
}

int scrape_write(struct buf *out, const struct api *api, const struct res_status *status,
		 const struct res_memory_thermal *thermal, const struct scrape_meta *meta)
{
	bool archive = thermal != NULL && (status == NULL || !status->has_archive_healthy || status->archive_healthy);
	struct metrics_writer w;

	metrics_begin(&w, out);
	if (archive)
		put_thermal(&w, thermal);
	if (status != NULL)
		put_status(&w, status);
	if (meta != NULL)
		put_meta(&w, meta, archive);
	put_own(&w, api);
	put_http(&w, api);
	for (unsigned i = 0; i < HTTP_NDROPS; i++)
		metrics_put(&w, METRIC_HTTP_DROPPED, (double)api->dropped[i], http_drop_names[i]);
	if (api->conns != NULL)
		metrics_put(&w, METRIC_HTTP_CONNS, (double)*api->conns);
	metrics_put(&w, METRIC_ARCHIVE_UP, archive ? 1.0 : 0.0);
	if (api->archive_ms != 0)
		metrics_put(&w, METRIC_ARCHIVE_SUCCESS, (double)api->archive_ms / 1e3);
	metrics_put(&w, METRIC_BUILD, 1.0, TRIBE_VERSION, TRIBE_COMMIT);
	return metrics_end(&w);
}
