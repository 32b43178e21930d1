#include "jrs/meta/analysis/anomalies.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SAMPLES_MAX 2000 /* of each sort: what memory.samples can bring */

/* Every threshold, with its reason. Temperatures in degrees of the thermal model. */
static const struct {
	double hot, hot_stage;
	uint64_t few_accesses;
	double floor, floor_gap;
	uint64_t overheated_least;
	double overheated_mean, overheated_share;
	uint64_t entropy_least;
	double entropy_low, entropy_fall, entropy_growth, idle_days;
	uint64_t recalls_least;
	double latency_sigmas, latency_factor, latency_least_us, mad_to_sigma, sigma_floor_share, sigma_floor_us;
	double idle_factor, idle_least_ms;
	double same_severity, same_count;
} limit = {
	.hot = 90,              /* where white hot begins; 32 uses within a week reach it */
	.few_accesses = 2,      /* being remembered is the first access and gives 40: one use cannot give 90 */
	.hot_stage = 70,        /* where red hot begins */
	.floor = 40,            /* of sacred memories */
	.floor_gap = 30,        /* three half-lives below the floor: unused for three weeks */
	.overheated_least = 20, /* fewer memories may all be hot by right */
	.overheated_mean =
		85, /* an archive in use lies between 30 and 60; a mean of 94 was seen to make heat useless */
	.overheated_share = .8, /* when everything is highlighted nothing is */
	.entropy_least = 100,   /* a few memories have few stages */
	.entropy_low = .15,     /* 97 of 100 in one stage */
	.entropy_fall = .5,     /* below half of what it was at the last analysis */
	.entropy_growth = 1.5,  /* a large import makes everything warm at once: that is no collapse */
	.idle_days = 7,         /* the same holds for a new archive: judged when the middle memory rested a half-life */
	.recalls_least = 30,    /* a 99th percentile of fewer is one value */
	.latency_sigmas = 10,   /* far outside, as latencies have long tails by nature */
	.latency_factor = 4,
	.latency_least_us = 5000, /* nobody feels less */
	.mad_to_sigma = 1.4826,   /* of a normal distribution */
	.sigma_floor_share = .1,  /* many equal latencies have a MAD of 0 */
	.sigma_floor_us = 50,
	.idle_factor = 20,       /* silence against the usual largest gap but one in 20 */
	.idle_least_ms = 900000, /* a quarter of an hour: people pause */
	.same_severity = .1,     /* smaller changes are no news */
	.same_count = .25,
};

const char *const anomaly_names[ANOMALY_NKINDS] = {
#define X(name, doc) #name,
	ANOMALY_KINDS(X)
#undef X
};

static double clamp01(double v)
{
	return v < 0 || isnan(v) ? 0 : v > 1 ? 1 : v;
}

__attribute__((format(printf, 4, 5))) static void found(struct finding *f, double severity, uint64_t count,
							const char *fmt, ...)
{
	va_list ap;

	f->present = true;
	f->severity = clamp01(severity);
	f->count = count;
	va_start(ap, fmt);
	vsnprintf(f->summary, sizeof f->summary, fmt, ap);
	va_end(ap);
}

/* Keeps the ids of the 16 worst, sorted. worst[i]: how bad evidence i is. */
static void note(struct finding *f, double *worst, const struct item_sample *s, double bad)
{
	unsigned at = f->nevidence;

	while (at > 0 && worst[at - 1] < bad)
		at--;
	if (at == ANOMALY_EVIDENCE_MAX || s->id.n > WIRE_ID_MAX)
		return;
	if (f->nevidence < ANOMALY_EVIDENCE_MAX)
		f->nevidence++;
	for (unsigned i = f->nevidence - 1; i > at; i--) {
		memcpy(f->evidence[i], f->evidence[i - 1], sizeof f->evidence[0]);
		worst[i] = worst[i - 1];
	}
	memcpy(f->evidence[at], s->id.p, s->id.n);
	f->evidence[at][s->id.n] = '\0';
	worst[at] = bad;
}

static void hot_without_use(struct finding *f, const struct res_memory_samples *s)
{
	double worst[ANOMALY_EVIDENCE_MAX], top = 0;
	uint64_t n = 0;

	for (uint32_t i = 0; i < s->memories.n; i++) {
		const struct item_sample *m = &s->memories.v[i];

		if (m->temperature < limit.hot || m->access_count >= limit.few_accesses)
			continue;
		n++;
		top = m->temperature > top ? m->temperature : top;
		note(f, worst, m, m->temperature);
	}
	if (n > 0)
		found(f, .5 + .5 * (double)n / s->memories.n, n,
		      "%llu of %u memories are at %.0f degrees or hotter with fewer than %llu accesses (hottest %.1f)",
		      (unsigned long long)n, s->memories.n, limit.hot, (unsigned long long)limit.few_accesses, top);
}

static void sacred_cold(struct finding *f, const struct res_memory_samples *s)
{
	double worst[ANOMALY_EVIDENCE_MAX], lowest = limit.floor;
	uint64_t n = 0, sacred = 0;

	for (uint32_t i = 0; i < s->memories.n; i++) {
		const struct item_sample *m = &s->memories.v[i];

		if (!m->sacred)
			continue;
		sacred++;
		if (m->raw_temperature > limit.floor - limit.floor_gap)
			continue;
		n++;
		lowest = m->raw_temperature < lowest ? m->raw_temperature : lowest;
		note(f, worst, m, -m->raw_temperature);
	}
	if (n > 0)
		found(f, .2 + .6 * (double)n / (double)sacred, n,
		      "%llu of %llu sacred memories would be at %.0f degrees or colder without the floor of %.0f "
		      "(lowest %.1f)",
		      (unsigned long long)n, (unsigned long long)sacred, limit.floor - limit.floor_gap, limit.floor,
		      lowest);
}

static void overheated(struct finding *f, const struct res_memory_thermal *t)
{
	uint64_t hot = t->stages.white_hot + t->stages.red_hot;
	double share;

	if (t->total_memories < limit.overheated_least || !t->has_average_temperature)
		return;
	share = (double)hot / (double)t->total_memories;
	if (t->average_temperature <= limit.overheated_mean && share <= limit.overheated_share)
		return;
	found(f, share, hot,
	      "%llu of %llu memories are at %.0f degrees or hotter, the mean is %.1f: when everything is highlighted "
	      "nothing is",
	      (unsigned long long)hot, (unsigned long long)t->total_memories, limit.hot_stage, t->average_temperature);
}

static int by_value(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

/* v is sorted, n > 0; q 0..1. */
static double quantile(const double *v, uint32_t n, double q)
{
	return v[(uint32_t)(q * (n - 1) + .5)];
}

static void entropy_collapse(struct finding *f, const struct res_memory_samples *s, const struct res_memory_thermal *t,
			     const struct findings *before)
{
	double idle[SAMPLES_MAX];
	uint32_t n = s->memories.n < SAMPLES_MAX ? s->memories.n : SAMPLES_MAX;
	bool fell, low;

	if (!t->has_thermal_entropy || t->total_memories < limit.entropy_least || n == 0)
		return;
	for (uint32_t i = 0; i < n; i++)
		idle[i] = s->memories.v[i].idle_days;
	qsort(idle, n, sizeof idle[0], by_value);
	low = t->thermal_entropy < limit.entropy_low && quantile(idle, n, .5) >= limit.idle_days;
	fell = before != NULL && before->has_entropy && before->entropy > 2 * limit.entropy_low &&
	       t->thermal_entropy < limit.entropy_fall * before->entropy &&
	       (double)t->total_memories < limit.entropy_growth * (double)before->total;
	if (fell)
		found(f, 1 - t->thermal_entropy / before->entropy, t->total_memories,
		      "thermal entropy fell from %.2f to %.2f over %llu memories", before->entropy, t->thermal_entropy,
		      (unsigned long long)t->total_memories);
	else if (low)
		found(f, 1 - t->thermal_entropy / limit.entropy_low, t->total_memories,
		      "thermal entropy is %.2f: nearly all of %llu memories are in one stage, though half rested %.0f "
		      "days or more",
		      t->thermal_entropy, (unsigned long long)t->total_memories, quantile(idle, n, .5));
}

static void slow_recalls(struct finding *f, const struct res_memory_samples *s)
{
	double v[SAMPLES_MAX], d[SAMPLES_MAX], middle, sigma, p99, bound;
	uint32_t n = s->recalls.n < SAMPLES_MAX ? s->recalls.n : SAMPLES_MAX;
	uint64_t slow = 0;

	if (n < limit.recalls_least)
		return;
	for (uint32_t i = 0; i < n; i++)
		v[i] = s->recalls.v[i].latency_us;
	qsort(v, n, sizeof v[0], by_value);
	middle = quantile(v, n, .5);
	p99 = quantile(v, n, .99);
	for (uint32_t i = 0; i < n; i++)
		d[i] = fabs(v[i] - middle);
	qsort(d, n, sizeof d[0], by_value);
	sigma = fmax(limit.mad_to_sigma * quantile(d, n, .5),
		     fmax(limit.sigma_floor_share * middle, limit.sigma_floor_us));
	bound = fmax(middle + limit.latency_sigmas * sigma,
		     fmax(limit.latency_factor * middle, limit.latency_least_us));
	for (uint32_t i = n; i > 0 && v[i - 1] > bound; i--)
		slow++;
	if (p99 <= bound)
		return;
	found(f, .2 + .2 * log10(p99 / fmax(middle, 1)), slow,
	      "%llu of %u recalls took longer than %.1f ms: p99 %.1f ms, median %.2f ms", (unsigned long long)slow, n,
	      bound / 1000, p99 / 1000, middle / 1000);
}

static void sudden_idle(struct finding *f, const struct res_memory_samples *s, int64_t now_ms)
{
	double at[SAMPLES_MAX], gap[SAMPLES_MAX], usual, silence;
	uint32_t n = s->recalls.n < SAMPLES_MAX ? s->recalls.n : SAMPLES_MAX;

	if (n < limit.recalls_least)
		return;
	for (uint32_t i = 0; i < n; i++)
		at[i] = (double)s->recalls.v[i].at;
	qsort(at, n, sizeof at[0], by_value);
	for (uint32_t i = 1; i < n; i++)
		gap[i - 1] = at[i] - at[i - 1];
	qsort(gap, n - 1, sizeof gap[0], by_value);
	usual = fmax(quantile(gap, n - 1, .95), 1000);
	silence = (double)now_ms - at[n - 1];
	if (silence < limit.idle_least_ms || silence < limit.idle_factor * usual)
		return;
	found(f, .2 + .2 * log10(silence / (limit.idle_factor * usual)), n,
	      "no recall for %.0f minutes; 95 of 100 came within %.1f s of the one before", silence / 60000,
	      usual / 1000);
}

void anomalies_find(struct findings *out, const struct res_memory_samples *samples,
		    const struct res_memory_thermal *thermal, const struct findings *before, int64_t now_ms)
{
	memset(out, 0, sizeof *out);
	out->has_entropy = thermal->has_thermal_entropy;
	out->entropy = thermal->thermal_entropy;
	out->total = thermal->total_memories;
	hot_without_use(&out->v[ANOMALY_hot_without_use], samples);
	sacred_cold(&out->v[ANOMALY_sacred_cold], samples);
	overheated(&out->v[ANOMALY_overheated], thermal);
	entropy_collapse(&out->v[ANOMALY_entropy_collapse], samples, thermal, before);
	slow_recalls(&out->v[ANOMALY_slow_recalls], samples);
	sudden_idle(&out->v[ANOMALY_sudden_idle], samples, now_ms);
}

static bool hardly_changed(const struct finding *a, const struct finding *b)
{
	double more = a->count > b->count ? (double)(a->count - b->count) : (double)(b->count - a->count);

	return a->present == b->present && fabs(a->severity - b->severity) < limit.same_severity &&
	       more <= limit.same_count * (double)a->count;
}

unsigned anomalies_merge(struct findings *kept, const struct findings *now)
{
	unsigned news = 0;

	for (unsigned i = 0; i < ANOMALY_NKINDS; i++) {
		if (hardly_changed(&kept->v[i], &now->v[i]))
			continue;
		kept->v[i] = now->v[i];
		news |= 1u << i;
	}
	kept->has_entropy = now->has_entropy;
	kept->entropy = now->entropy;
	kept->total = now->total;
	return news;
}
