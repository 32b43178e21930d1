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
	const struct hist_rows *rows;
	double t_ms, sum, min;
	bool sacred;
	struct thermal_figures f;
};
/* Memories that the figures do not tell apart: lo <= heat_key < hi. */
struct class
{
	enum thermal_stage stage;
	unsigned step;
	bool inside;      /* between the clamps: they do differ in temperature */
	double lo, hi, t; /* t: at lo */
	uint64_t n;
	double excess; /* of heat_key less lo, the sum */
};
#define CLASSES_MAX (HIST_STEPS + THERMAL_NSTAGES + 2) /* bounds between them, and one more */

static unsigned step_of(const struct thermal_model *m, double t)
{
	double i = t * HIST_STEPS / m->max;

	return i >= HIST_STEPS ? HIST_STEPS - 1 : (unsigned)i;
}

static struct class class_of(const struct count *c, double heat_key)
{
	struct class k = {.t = thermal_at(c->m, heat_key, c->sacred, c->t_ms), .lo = heat_key};

	k.inside = k.t == thermal_raw(c->m, heat_key, c->t_ms);
	k.stage = thermal_stage_of(c->m, k.t);
	k.step = step_of(c->m, k.t);
	return k;
}

static bool same_class(const struct class *a, const struct class *b)
{
	return a->stage == b->stage && a->step == b->step && a->inside == b->inside && (a->inside || a->t == b->t);
}

/* Doubles in their order as numbers without gaps. */
static uint64_t rank_of(double v)
{
	uint64_t bits;

	memcpy(&bits, &v, sizeof(bits));
	return bits >> 63 != 0 ? ~bits : bits | (uint64_t)1 << 63;
}

static double ranked(uint64_t rank)
{
	uint64_t bits = rank >> 63 != 0 ? rank & ~((uint64_t)1 << 63) : ~rank;
	double v;

	memcpy(&v, &bits, sizeof(v));
	return v;
}

/* Where the class of k->lo ends, at hi at the latest. Temperature never falls with heat, so halving finds it. */
static double end_of(const struct count *c, const struct class *k, double hi)
{
	uint64_t in = rank_of(k->lo), out = rank_of(nextafter(hi, -DBL_MAX));
	struct class other = class_of(c, ranked(out));

	if (same_class(k, &other))
		return hi;
	while (out - in > 1) {
		uint64_t middle = in + (out - in) / 2;

		other = class_of(c, ranked(middle));
		if (same_class(k, &other))
			in = middle;
		else
			out = middle;
	}
	return ranked(out);
}

static int take(struct count *c, const struct class *k)
{
	double heat;
	int r;

	if (k->n == 0)
		return 0;
	c->f.stages[k->stage] += k->n;
	c->f.steps[k->step] += k->n;
	c->sum += (double)k->n * k->t + (k->inside ? c->m->k * k->excess : 0.0);
	if (!c->sacred || c->min <= DBL_MAX)
		return 0;
	c->min = k->t;
	if (k->inside) { /* the coldest of all is among these: its exact temperature is told */
		if ((r = c->rows->coldest(c->rows->arg, c->sacred, k->lo, k->hi, &heat)) < 0)
			return r;
		c->min = thermal_at(c->m, heat, c->sacred, c->t_ms);
	}
	return 0;
}

/* Whoever is in none of a bin's hotter classes is in its coldest. Those are reckoned, not counted: where new memories
 * are, nearly all of them lie there. The open ends keep no sum, but are clamped nearly always. */
static int count_bin(struct count *c, const struct hist_bin *b, double lo, double hi, bool open_end)
{
	struct class v[CLASSES_MAX];
	unsigned n = 0, i;
	int r = 0;

	do {
		v[n] = class_of(c, n == 0 ? lo : v[n - 1].hi);
		v[n].hi = n + 1 == CLASSES_MAX ? hi : end_of(c, &v[n], hi);
	} while (v[n++].hi < hi);
	v[0].n = b->n;
	v[0].excess = b->sum;
	for (i = n - 1; i > 0 && r == 0; i--) {
		r = c->rows->range(c->rows->arg, c->sacred, v[i].lo, v[i].hi, &v[i].n, &v[i].excess);
		v[0].n -= v[i].n < v[0].n ? v[i].n : v[0].n;
		v[0].excess -= v[i].excess + (v[i].lo - lo) * (double)v[i].n;
	}
	if (r == 0 && open_end && v[0].inside)
		r = c->rows->range(c->rows->arg, c->sacred, lo, v[0].hi, &v[0].n, &v[0].excess);
	for (i = 0; i < n && r == 0; i++)
		r = take(c, &v[i]);
	return r;
}

int hist_figures(const struct thermal_hist *h, const struct thermal_model *m, double t_ms, const struct hist_rows *rows,
		 struct thermal_figures *out)
{
	struct count c = {.m = m, .rows = rows, .t_ms = t_ms};
	unsigned s, i;
	int r;

	for (s = 0; s < 2; s++) {
		c.sacred = s == 1;
		c.min = (double)INFINITY;
		for (i = 0; i < HIST_BINS + 2; i++) {
			const struct hist_bin *b = &h->bin[s][i];

			if (b->n == 0)
				continue;
			c.f.total += b->n;
			c.f.sacred += c.sacred ? b->n : 0;
			if ((r = count_bin(&c, b, lower(h, i), upper(h, i), i == 0 || i > HIST_BINS)) < 0)
				return r;
		}
	}
	c.f.mean = c.f.total == 0 ? 0.0 : fmax(0.0, fmin(m->max, c.sum / (double)c.f.total));
	c.f.sacred_min = c.f.sacred == 0 ? 0.0 : c.min;
	c.f.entropy = thermal_entropy(c.f.stages);
	*out = c.f;
	return 0;
}
