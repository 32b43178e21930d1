#include "jrs/meta/analysis/anomalies.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "jrs/meta/analysis/robust.h"

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
	double latency_sigmas, latency_factor, latency_least_us, sigma_floor_share, sigma_floor_us;
	uint64_t shift_least, newest_part;
	double shift_sigmas, shift_factor, shift_least_us;
	uint64_t outlying_least;
	double outlying_sigmas, use_sigma_floor, size_sigma_floor;
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
	.sigma_floor_share = .1,  /* many equal latencies have a MAD of 0 */
	.sigma_floor_us = 50,
	.shift_least = 60, /* a quarter of fewer has no steady median */
	.newest_part = 4,
	.shift_sigmas = 2, /* of single recalls: the median of 15 lies ten times closer */
	.shift_factor = 1.2,
	.shift_least_us = 1000,
	.outlying_least = 50,
	.outlying_sigmas = 6,    /* on logarithms, which tame long tails */
	.use_sigma_floor = .5,   /* doublings: mostly everything was used once; 8 times that is the least to be told */
	.size_sigma_floor = .5,  /* 8 times the usual length at least */
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

/* What the finding was reckoned from. r: where the threshold comes from, or NULL; scale: of r into the unit. */
static void figures(struct finding *f, double value, double threshold, const char *unit, uint64_t sample,
		    const struct robust *r, double scale)
{
	f->value = value;
	f->threshold = threshold;
	f->unit = unit;
	f->sample = sample;
	f->has_middle = r != NULL;
	f->median = r != NULL ? r->median * scale : 0;
	f->mad = r != NULL ? r->mad * scale : 0;
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
	if (n == 0)
		return;
	found(f, .5 + .5 * (double)n / s->memories.n, n,
	      "%llu of %u memories are at %.0f degrees or hotter with fewer than %llu accesses (hottest %.1f)",
	      (unsigned long long)n, s->memories.n, limit.hot, (unsigned long long)limit.few_accesses, top);
	figures(f, top, limit.hot, "degrees", s->memories.n, NULL, 0);
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
	if (n == 0)
		return;
	found(f, .2 + .6 * (double)n / (double)sacred, n,
	      "%llu of %llu sacred memories would be at %.0f degrees or colder without the floor of %.0f (lowest %.1f)",
	      (unsigned long long)n, (unsigned long long)sacred, limit.floor - limit.floor_gap, limit.floor, lowest);
	figures(f, lowest, limit.floor - limit.floor_gap, "degrees", sacred, NULL, 0);
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
	if (share > limit.overheated_share)
		figures(f, share, limit.overheated_share, "share", t->total_memories, NULL, 0);
	else
		figures(f, t->average_temperature, limit.overheated_mean, "degrees", t->total_memories, NULL, 0);
}

static void entropy_collapse(struct finding *f, const struct res_memory_samples *s, const struct res_memory_thermal *t,
			     const struct findings *before)
{
	double idle[SAMPLES_MAX];
	uint32_t n = s->memories.n < SAMPLES_MAX ? s->memories.n : SAMPLES_MAX;
	struct robust rest;
	bool fell, low;

	if (!t->has_thermal_entropy || t->total_memories < limit.entropy_least || n == 0)
		return;
	for (uint32_t i = 0; i < n; i++)
		idle[i] = s->memories.v[i].idle_days;
	rest = robust_of(idle, n);
	low = t->thermal_entropy < limit.entropy_low && rest.median >= limit.idle_days;
	fell = before != NULL && before->has_entropy && before->entropy > 2 * limit.entropy_low &&
	       t->thermal_entropy < limit.entropy_fall * before->entropy &&
	       (double)t->total_memories < limit.entropy_growth * (double)before->total;
	if (fell) {
		found(f, 1 - t->thermal_entropy / before->entropy, t->total_memories,
		      "thermal entropy fell from %.2f to %.2f over %llu memories", before->entropy, t->thermal_entropy,
		      (unsigned long long)t->total_memories);
		figures(f, t->thermal_entropy, limit.entropy_fall * before->entropy, "entropy", t->total_memories, NULL,
			0);
	} else if (low) {
		found(f, 1 - t->thermal_entropy / limit.entropy_low, t->total_memories,
		      "thermal entropy is %.2f: nearly all of %llu memories are in one stage, though half rested %.0f "
		      "days or more",
		      t->thermal_entropy, (unsigned long long)t->total_memories, rest.median);
		figures(f, t->thermal_entropy, limit.entropy_low, "entropy", t->total_memories, NULL, 0);
	}
}

/* Wide enough that equal latencies are no anomaly. */
static double latency_sigma(const struct robust *r)
{
	return robust_sigma(r, fmax(limit.sigma_floor_share * r->median, limit.sigma_floor_us));
}

static void slow_recalls(struct finding *f, const struct res_memory_samples *s)
{
	uint32_t n = s->recalls.n < SAMPLES_MAX ? s->recalls.n : SAMPLES_MAX;
	double v[SAMPLES_MAX], p99, bound;
	struct robust r;
	uint64_t slow = 0;

	if (n < limit.recalls_least)
		return;
	for (uint32_t i = 0; i < n; i++)
		v[i] = s->recalls.v[i].latency_us;
	r = robust_of(v, n);
	p99 = robust_quantile(v, n, .99);
	bound = fmax(r.median + limit.latency_sigmas * latency_sigma(&r),
		     fmax(limit.latency_factor * r.median, limit.latency_least_us));
	for (uint32_t i = n; i > 0 && v[i - 1] > bound; i--)
		slow++;
	if (p99 <= bound)
		return;
	found(f, .2 + .2 * log10(p99 / fmax(r.median, 1)), slow,
	      "%llu of %u recalls took longer than %.1f ms: p99 %.1f ms, median %.2f ms", (unsigned long long)slow, n,
	      bound / 1000, p99 / 1000, r.median / 1000);
	figures(f, p99 / 1000, bound / 1000, "ms", n, &r, 1e-3);
}

static int by_time(const void *a, const void *b)
{
	const struct item_recall_sample *x = a, *y = b;

	return (x->at > y->at) - (x->at < y->at);
}

/* The newest quarter against the three before it. */
static void slower_recalls(struct finding *f, const struct res_memory_samples *s)
{
	uint32_t n = s->recalls.n < SAMPLES_MAX ? s->recalls.n : SAMPLES_MAX, old;
	struct item_recall_sample v[SAMPLES_MAX];
	double us[SAMPLES_MAX], bound;
	struct robust before, now;

	if (n < limit.shift_least)
		return;
	memcpy(v, s->recalls.v, n * sizeof v[0]);
	qsort(v, n, sizeof v[0], by_time);
	for (uint32_t i = 0; i < n; i++)
		us[i] = v[i].latency_us;
	old = n - n / (uint32_t)limit.newest_part;
	before = robust_of(us, old);
	now = robust_of(us + old, n - old);
	bound = fmax(before.median + limit.shift_sigmas * latency_sigma(&before),
		     fmax(limit.shift_factor * before.median, before.median + limit.shift_least_us));
	if (now.median <= bound)
		return;
	found(f, .2 + .4 * log2(now.median / fmax(before.median, 1)) / 4, n - old,
	      "the newest %u of %u recalls took %.2f ms in the middle, those before %.2f ms (MAD %.2f ms)", n - old, n,
	      now.median / 1000, before.median / 1000, before.mad / 1000);
	figures(f, now.median / 1000, bound / 1000, "ms", n, &before, 1e-3);
}

struct outlying {
	double (*of)(const struct item_sample *m);
	double sigma_floor;
	const char *unit, *what;
};

/* Far above the middle on a scale of doublings. */
static void outlying(struct finding *f, const struct res_memory_samples *s, const struct outlying *o)
{
	double v[SAMPLES_MAX], worst[ANOMALY_EVIDENCE_MAX], bound, top = 0;
	uint32_t n = s->memories.n < SAMPLES_MAX ? s->memories.n : SAMPLES_MAX;
	struct robust r;
	uint64_t far = 0;

	if (n < limit.outlying_least)
		return;
	for (uint32_t i = 0; i < n; i++)
		v[i] = log2(fmax(o->of(&s->memories.v[i]), 1));
	r = robust_of(v, n);
	bound = r.median + limit.outlying_sigmas * robust_sigma(&r, o->sigma_floor);
	for (uint32_t i = 0; i < n; i++) {
		double x = log2(fmax(o->of(&s->memories.v[i]), 1));

		if (x <= bound)
			continue;
		far++;
		top = fmax(top, x);
		note(f, worst, &s->memories.v[i], x);
	}
	if (far == 0)
		return;
	found(f, .2 + .05 * (top - bound), far, "%llu of %u memories %s than %.0f %s, the usual ones %.0f (most: %.0f)",
	      (unsigned long long)far, n, o->what, exp2(bound), o->unit, exp2(r.median), exp2(top));
	figures(f, top, bound, o->unit[0] == 'b' ? "log2 bytes" : "log2 uses", n, &r, 1);
}

static double uses_of(const struct item_sample *m)
{
	return (double)m->access_count;
}

static double bytes_of(const struct item_sample *m)
{
	return m->content_bytes;
}

static void sudden_idle(struct finding *f, const struct res_memory_samples *s, int64_t now_ms)
{
	double at[SAMPLES_MAX], gap[SAMPLES_MAX], usual, silence;
	struct robust r;
	uint32_t n = s->recalls.n < SAMPLES_MAX ? s->recalls.n : SAMPLES_MAX;

	if (n < limit.recalls_least)
		return;
	for (uint32_t i = 0; i < n; i++)
		at[i] = (double)s->recalls.v[i].at;
	(void)robust_of(at, n); /* for its order */
	for (uint32_t i = 1; i < n; i++)
		gap[i - 1] = at[i] - at[i - 1];
	r = robust_of(gap, n - 1);
	usual = fmax(robust_quantile(gap, n - 1, .95), 1000);
	silence = (double)now_ms - at[n - 1];
	if (silence < limit.idle_least_ms || silence < limit.idle_factor * usual)
		return;
	found(f, .2 + .2 * log10(silence / (limit.idle_factor * usual)), n,
	      "no recall for %.0f minutes; 95 of 100 came within %.1f s of the one before", silence / 60000,
	      usual / 1000);
	figures(f, silence / 1000, fmax(limit.idle_least_ms, limit.idle_factor * usual) / 1000, "s", n - 1, &r, 1e-3);
}

void anomalies_find(struct findings *out, const struct res_memory_samples *samples,
		    const struct res_memory_thermal *thermal, const struct findings *before, int64_t now_ms)
{
	const struct outlying use = {uses_of, limit.use_sigma_floor, "uses", "were used more often"};
	const struct outlying size = {bytes_of, limit.size_sigma_floor, "bytes", "are longer"};

	memset(out, 0, sizeof *out);
	out->memories = samples->memories.n;
	out->recalls = samples->recalls.n;
	out->recalls_judged = samples->recalls.n >= limit.recalls_least;
	out->has_entropy = thermal->has_thermal_entropy;
	out->entropy = thermal->thermal_entropy;
	out->total = thermal->total_memories;
	hot_without_use(&out->v[ANOMALY_hot_without_use], samples);
	sacred_cold(&out->v[ANOMALY_sacred_cold], samples);
	overheated(&out->v[ANOMALY_overheated], thermal);
	entropy_collapse(&out->v[ANOMALY_entropy_collapse], samples, thermal, before);
	slow_recalls(&out->v[ANOMALY_slow_recalls], samples);
	slower_recalls(&out->v[ANOMALY_slower_recalls], samples);
	outlying(&out->v[ANOMALY_outlying_use], samples, &use);
	outlying(&out->v[ANOMALY_outlying_size], samples, &size);
	sudden_idle(&out->v[ANOMALY_sudden_idle], samples, now_ms);
}

static bool hardly_changed(const struct told *a, const struct finding *b)
{
	double more = a->count > b->count ? (double)(a->count - b->count) : (double)(b->count - a->count);

	return a->present == b->present && fabs(a->severity - b->severity) < limit.same_severity &&
	       more <= limit.same_count * (double)a->count;
}

unsigned anomalies_news(struct told told[ANOMALY_NKINDS], const struct findings *now)
{
	unsigned news = 0;

	for (unsigned i = 0; i < ANOMALY_NKINDS; i++) {
		const struct finding *f = &now->v[i];

		if (hardly_changed(&told[i], f))
			continue;
		told[i] = (struct told){.present = f->present, .severity = f->severity, .count = f->count};
		news |= 1u << i;
	}
	return news;
}

void anomalies_conclude(char out[ANOMALY_CONCLUSION], const struct findings *f)
{
	unsigned n = 0;
	int len;

	for (unsigned i = 0; i < ANOMALY_NKINDS; i++)
		n += f->v[i].present;
	if (n == 0)
		len = snprintf(out, ANOMALY_CONCLUSION, "nothing odd in %u memories of %llu and %u recalls",
			       f->memories, (unsigned long long)f->total, f->recalls);
	else
		len = snprintf(out, ANOMALY_CONCLUSION, "%u finding%s in %u memories of %llu and %u recalls", n,
			       n == 1 ? "" : "s", f->memories, (unsigned long long)f->total, f->recalls);
	if (!f->recalls_judged)
		snprintf(out + len, ANOMALY_CONCLUSION - (size_t)len, "; fewer than %llu recalls say nothing of recall",
			 (unsigned long long)limit.recalls_least);
}
