#include "jrs/memory/thermal/hist.h"
#include <assert.h>
#include <float.h>
#include <math.h>
#include <string.h>

#define MIDDLE (HIST_BINS / 2)
#define NEAR   (HIST_BINS / 4) /* so far may now drift from the middle */

/* Number of the heat_key on a scale without ends; held where int64 is safe. */
static int64_t place(double heat_key)
{
	return (int64_t)fmax(-1e15, fmin(1e15, floor(heat_key * HIST_PER_HALF_LIFE)));
}

static unsigned bin_of(const struct thermal_hist *h, double heat_key)
{
	int64_t i = place(heat_key) - h->first;

	if (i < 0)
		return 0;
	return i >= HIST_BINS ? HIST_BINS + 1 : (unsigned)i + 1;
}

/* Bounds of bin i: lo <= heat_key < hi. */
static double lower(const struct thermal_hist *h, unsigned i)
{
	return i == 0 ? -DBL_MAX : (double)(h->first + (int64_t)i - 1) / HIST_PER_HALF_LIFE;
}

static double upper(const struct thermal_hist *h, unsigned i)
{
	return i > HIST_BINS ? (double)INFINITY : lower(h, i + 1);
}

void hist_init(struct thermal_hist *h, const struct thermal_model *m, double t_ms)
{
	memset(h, 0, sizeof(*h));
	h->first = place(thermal_born(m, t_ms)) - MIDDLE;
}

void hist_add_many(struct thermal_hist *h, double heat_key, bool sacred, uint64_t n, double excess)
{
	unsigned i = bin_of(h, heat_key);
	struct hist_bin *b = &h->bin[sacred][i];

	b->n += n;
	if (i > 0 && i <= HIST_BINS) /* the open ends have no use for a sum: they are clamped or scanned */
		b->sum += (heat_key - lower(h, i)) * (double)n + excess;
}

void hist_add(struct thermal_hist *h, double heat_key, bool sacred)
{
	hist_add_many(h, heat_key, sacred, 1, 0.0);
}

void hist_remove(struct thermal_hist *h, double heat_key, bool sacred)
{
	unsigned i = bin_of(h, heat_key);
	struct hist_bin *b = &h->bin[sacred][i];

	assert(b->n > 0);
	b->n--;
	if (i > 0 && i <= HIST_BINS)
		b->sum = b->n == 0 ? 0.0 : b->sum - (heat_key - lower(h, i)); /* empty: rounding ends here */
}

void hist_slide(struct thermal_hist *h, const struct thermal_model *m, double t_ms)
{
	int64_t first = place(thermal_born(m, t_ms)) - MIDDLE, by = first - h->first;
	int s;

	/* What lies above the top cannot be dealt out again without reading it: then stay, which is right but slower.
	 */
	if (by < NEAR || h->bin[0][HIST_BINS + 1].n + h->bin[1][HIST_BINS + 1].n > 0)
		return;
	if (by > HIST_BINS)
		by = HIST_BINS;
	for (s = 0; s < 2; s++) {
		struct hist_bin *b = h->bin[s];
		int64_t i;

		for (i = 1; i <= by; i++)
			b[0].n += b[i].n;
		memmove(&b[1], &b[1 + by], sizeof(*b) * (size_t)(HIST_BINS - by));
		memset(&b[1 + HIST_BINS - by], 0, sizeof(*b) * (size_t)by);
	}
	h->first = first;
}

struct count {
	const struct thermal_model *m;
	double t_ms, sum, min;
	bool sacred;
	struct thermal_figures f;
};

static unsigned step_of(const struct thermal_model *m, double t)
{
	double i = t * HIST_STEPS / m->max;

	return i >= HIST_STEPS ? HIST_STEPS - 1 : (unsigned)i;
}

static void count_one(void *arg, double heat_key)
{
	struct count *c = arg;
	double t = thermal_at(c->m, heat_key, c->sacred, c->t_ms);

	c->f.stages[thermal_stage_of(c->m, t)]++;
	c->f.steps[step_of(c->m, t)]++;
	c->sum += t;
	c->min = fmin(c->min, t);
}

/* Do lowest and hottest memory of a bin share clamp, stage and step? Then, all three being monotone, so do all between.
 */
static bool uniform(const struct count *c, double lo, double hi)
{
	double a = thermal_at(c->m, lo, c->sacred, c->t_ms), b = thermal_at(c->m, hi, c->sacred, c->t_ms);
	bool a_inside = a == thermal_raw(c->m, lo, c->t_ms), b_inside = b == thermal_raw(c->m, hi, c->t_ms);

	if (thermal_stage_of(c->m, a) != thermal_stage_of(c->m, b) || step_of(c->m, a) != step_of(c->m, b))
		return false;
	return (a_inside && b_inside) || (!a_inside && !b_inside && a == b);
}

static int count_bin(struct count *c, const struct thermal_hist *h, unsigned i, hist_scan *scan, void *arg)
{
	const struct hist_bin *b = &h->bin[c->sacred][i];
	double lo = lower(h, i), hi = nextafter(upper(h, i), -DBL_MAX);
	double t = thermal_at(c->m, lo, c->sacred, c->t_ms);
	bool clamped = t != thermal_raw(c->m, lo, c->t_ms);
	/* The coldest sacred one is asked for exactly: it is in the first bin that has any. */
	bool coldest = c->sacred && c->min > DBL_MAX && !clamped;

	if (coldest || !uniform(c, lo, hi))
		return scan(arg, c->sacred, lo, upper(h, i), count_one, c);
	c->f.stages[thermal_stage_of(c->m, t)] += b->n;
	c->f.steps[step_of(c->m, t)] += b->n;
	c->sum += (double)b->n * t + (clamped ? 0.0 : c->m->k * b->sum);
	c->min = fmin(c->min, t);
	return 0;
}

int hist_figures(const struct thermal_hist *h, const struct thermal_model *m, double t_ms, hist_scan *scan, void *arg,
		 struct thermal_figures *out)
{
	struct count c = {.m = m, .t_ms = t_ms};
	unsigned s, i;
	int r;

	for (s = 0; s < 2; s++) {
		c.sacred = s == 1;
		c.min = (double)INFINITY;
		for (i = 0; i < HIST_BINS + 2; i++) {
			if (h->bin[s][i].n == 0)
				continue;
			c.f.total += h->bin[s][i].n;
			c.f.sacred += c.sacred ? h->bin[s][i].n : 0;
			if ((r = count_bin(&c, h, i, scan, arg)) < 0)
				return r;
		}
	}
	c.f.mean = c.f.total == 0 ? 0.0 : fmax(0.0, fmin(m->max, c.sum / (double)c.f.total));
	c.f.sacred_min = c.f.sacred == 0 ? 0.0 : c.min;
	c.f.entropy = thermal_entropy(c.f.stages);
	*out = c.f;
	return 0;
}
