#include "jrs/memory/thermal/thermal.h"
#include "common/base/err.h"
#include <float.h>
#include <math.h>
#include <string.h>

void thermal_first(struct thermal_model *m)
{
	memset(m, 0, sizeof(*m));
#define X(member, key, first) m->member = (first);
	THERMAL_SETTINGS(X)
#undef X
#define X(id, name, key, from) m->stage_from[THERMAL_##id] = (from);
	THERMAL_STAGES(X)
#undef X
}

/* What overflowed is held at the edge; what is not a number counts as the coldest there is. */
static double held(double x)
{
	if (isnan(x))
		return -DBL_MAX;
	return fmax(-DBL_MAX, fmin(DBL_MAX, x));
}

static bool clocks_ok(const struct thermal_model *m)
{
	unsigned i;

	if (m->nclocks > THERMAL_CLOCKS_MAX ||
	    (m->nclocks > 0 && m->clock[m->nclocks - 1].half_life_ms != m->half_life_ms))
		return false;
	for (i = 0; i < m->nclocks; i++) {
		const struct thermal_clock *c = &m->clock[i];

		if (!isfinite(c->at_ms) || !isfinite(c->tau) || !(c->half_life_ms >= 1.0) ||
		    !isfinite(c->half_life_ms) || (i > 0 && (c->at_ms < c[-1].at_ms || c->tau < c[-1].tau)))
			return false;
	}
	return true;
}

bool thermal_ok(const struct thermal_model *m)
{
	int i;

#define X(member, key, first)     \
	if (!isfinite(m->member)) \
		return false;
	THERMAL_SETTINGS(X)
#undef X
	if (m->half_life_ms < 1.0 || m->k <= 0.0 || m->sacred_floor < 0.0 || m->sacred_floor > m->max)
		return false;
	for (i = 0; i < THERMAL_NSTAGES; i++) {
		if (!isfinite(m->stage_from[i]) || (i > 0 && m->stage_from[i] >= m->stage_from[i - 1]))
			return false;
	}
	return m->stage_from[THERMAL_NSTAGES - 1] == 0.0 && clocks_ok(m);
}

bool thermal_same(const struct thermal_model *a, const struct thermal_model *b)
{
	unsigned i;

#define X(member, key, first)       \
	if (a->member != b->member) \
		return false;
	THERMAL_SETTINGS(X)
#undef X
	for (i = 0; i < THERMAL_NSTAGES; i++) {
		if (a->stage_from[i] != b->stage_from[i])
			return false;
	}
	for (i = 0; i < a->nclocks && i < b->nclocks; i++) {
		const struct thermal_clock *x = &a->clock[i], *y = &b->clock[i];

		if (x->at_ms != y->at_ms || x->tau != y->tau || x->half_life_ms != y->half_life_ms)
			return false;
	}
	return a->nclocks == b->nclocks;
}

static bool within(double v, double lo, double hi)
{
	return v >= lo && v <= hi;
}

/* clang-format off */
#define LIMITS(X)                                                                                                      \
	X(base,         0.0,     100.0,    "must be from 0 to 100")                                                    \
	X(k,            0.1,     100.0,    "must be from 0.1 to 100")                                                  \
	X(half_life_ms, 60000.0, 3.15576e12, "must be from a minute to a hundred years")                               \
	X(sacred_floor, 40.0,    100.0,    "must be from 40 to 100: a sacred memory is never under 40")                \
	X(max,          40.0,    100.0,    "must be from 40 to 100")
/* clang-format on */

const char *thermal_objection(const struct thermal_model *want, const char **field)
{
	struct thermal_model m = *want;
	int i;

#define X(member, lo, hi, rule)                  \
	if (!within(want->member, (lo), (hi))) { \
		*field = #member;                \
		return rule;                     \
	}
	LIMITS(X)
#undef X
	*field = "max";
	if (want->max < want->sacred_floor)
		return "must not be under sacred_floor";
	for (i = 0; i < THERMAL_NSTAGES - 1; i++) {
		*field = thermal_stage_name((enum thermal_stage)i);
		if (!(want->stage_from[i] > want->stage_from[i + 1]) || !(want->stage_from[i] <= want->max))
			return "stages must fall from one to the next, from max to 0";
	}
	*field = "";
	m.nclocks = 0;
	return thermal_ok(&m) ? NULL : "must make sense together";
}

int thermal_change(struct thermal_model *m, const struct thermal_model *want, double t_ms)
{
	struct thermal_model next = *want;

	next.nclocks = m->nclocks;
	memcpy(next.clock, m->clock, sizeof(next.clock));
	if (want->half_life_ms != m->half_life_ms) {
		struct thermal_clock now = {t_ms, 0.0, want->half_life_ms};

		if (next.nclocks == 0)
			next.clock[next.nclocks++] = (struct thermal_clock){0.0, 0.0, m->half_life_ms};
		if (next.nclocks == THERMAL_CLOCKS_MAX)
			return TR_ETOOBIG;
		now.at_ms = fmax(t_ms, next.clock[next.nclocks - 1].at_ms); /* the wall clock may have been set back */
		now.tau = thermal_born(m, now.at_ms);
		next.clock[next.nclocks++] = now;
	}
	*m = next;
	return 0;
}

static double of_first(double t_ms)
{
	struct thermal_model first;

	thermal_first(&first);
	return t_ms / first.half_life_ms;
}

double thermal_export(const struct thermal_model *m, double heat_key, double last_access_ms)
{
	double by = of_first(last_access_ms) - thermal_born(m, last_access_ms);

	return by == 0.0 ? heat_key : held(heat_key + by); /* nearly always: then it comes back to the bit */
}

double thermal_import(const struct thermal_model *m, double heat_key, double last_access_ms)
{
	double by = thermal_born(m, last_access_ms) - of_first(last_access_ms);

	return by == 0.0 ? heat_key : held(heat_key + by);
}

double thermal_born(const struct thermal_model *m, double t_ms)
{
	unsigned i = m->nclocks;

	if (i == 0)
		return held(t_ms / m->half_life_ms);
	while (i > 1 && m->clock[i - 1].at_ms > t_ms)
		i--;
	return held(m->clock[i - 1].tau + (t_ms - m->clock[i - 1].at_ms) / m->clock[i - 1].half_life_ms);
}

double thermal_access(const struct thermal_model *m, double heat_key, double t_ms)
{
	double now = thermal_born(m, t_ms), heat = held(heat_key);
	double hi = fmax(heat, now), lo = fmin(heat, now);

	/* lo - hi <= 0, so exp2() is within 0..1 and the logarithm within 0..1: it can neither overflow nor cool. */
	return held(hi + log2(1.0 + exp2(lo - hi)));
}

double thermal_raw(const struct thermal_model *m, double heat_key, double t_ms)
{
	return held(m->base + m->k * held(held(heat_key) - thermal_born(m, t_ms)));
}

double thermal_at(const struct thermal_model *m, double heat_key, bool sacred, double t_ms)
{
	double floor_t = sacred ? m->sacred_floor : 0.0;

	return fmax(floor_t, fmin(m->max, thermal_raw(m, heat_key, t_ms)));
}

enum thermal_stage thermal_stage_of(const struct thermal_model *m, double temperature)
{
	int i;

	for (i = 0; i < THERMAL_NSTAGES - 1; i++) {
		if (temperature >= m->stage_from[i])
			break;
	}
	return (enum thermal_stage)i;
}

const char *thermal_stage_name(enum thermal_stage s)
{
	static const char *const names[THERMAL_NSTAGES] = {
#define X(id, name, key, from) [THERMAL_##id] = #name,
		THERMAL_STAGES(X)
#undef X
	};
	return names[s];
}

double thermal_entropy(const uint64_t count[THERMAL_NSTAGES])
{
	double total = 0.0, bits = 0.0;
	int i;

	for (i = 0; i < THERMAL_NSTAGES; i++)
		total += (double)count[i];
	for (i = 0; i < THERMAL_NSTAGES; i++) {
		double p = (double)count[i] / total; /* used only when count > 0, then total > 0 too */

		if (count[i] > 0)
			bits -= p * log2(p);
	}
	return fmax(0.0, fmin(1.0, bits / log2((double)THERMAL_NSTAGES)));
}
