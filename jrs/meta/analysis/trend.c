#include "jrs/meta/analysis/trend.h"

#include <string.h>

#include "jrs/meta/analysis/robust.h"

void trend_add(struct trend *t, double value)
{
	if (t->n < TREND_VALUES)
		t->open[t->n++] = value;
}

void trend_close(struct trend *t)
{
	if (t->has_latest)
		t->before[t->nbefore++ % TREND_WINDOWS] = t->latest;
	t->has_latest = t->n >= TREND_LEAST_VALUES;
	if (t->has_latest)
		t->latest = robust_of(t->open, t->n).median;
	t->n = 0;
}

bool trend_ratio(const struct trend *t, double *ratio)
{
	uint32_t n = t->nbefore < TREND_WINDOWS ? (uint32_t)t->nbefore : TREND_WINDOWS;
	double v[TREND_WINDOWS];
	struct robust baseline;

	if (!t->has_latest || n < TREND_LEAST_WINDOWS)
		return false;
	memcpy(v, t->before, n * sizeof v[0]);
	baseline = robust_of(v, n);
	if (!(baseline.median > 0))
		return false;
	*ratio = t->latest / baseline.median;
	return true;
}

/* How many windows ago; what is older than all that are kept, or of the future, is the first or the last. */
static uint64_t window_of(int64_t at, int64_t now_ms, uint64_t period_ms)
{
	uint64_t k = at < now_ms ? (uint64_t)(now_ms - at) / period_ms : 0;

	return k < TREND_WINDOWS ? k : TREND_WINDOWS;
}

void trend_recalls(struct trend *t, const struct res_memory_samples *s, int64_t now_ms, uint64_t period_ms,
		   int64_t *seen)
{
	const int64_t after = *seen;
	uint64_t open = after == 0 && s->recalls.n > 0 ? TREND_WINDOWS : 0;

	for (uint32_t i = s->recalls.n; i > 0; i--) { /* the list has the newest first */
		const struct item_recall_sample *r = &s->recalls.v[i - 1];
		uint64_t k = after == 0 ? window_of(r->at, now_ms, period_ms) : 0;

		if (r->at <= after)
			continue;
		for (; open > k; open--)
			trend_close(t);
		trend_add(t, r->latency_us);
		*seen = r->at > *seen ? r->at : *seen;
	}
	for (; open > 0; open--)
		trend_close(t);
	trend_close(t);
}
