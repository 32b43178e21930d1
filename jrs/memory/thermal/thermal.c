#include "jrs/memory/thermal/thermal.h"
#include <float.h>
#include <math.h>

void thermal_first(struct thermal_model *m)
{
#define X(member, key, first) m->member = (first);
	THERMAL_SETTINGS(X)
#undef X
#define X(id, name, key, from) m->stage_from[THERMAL_##id] = (from);
	THERMAL_STAGES(X)
#undef X
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
	return m->stage_from[THERMAL_NSTAGES - 1] == 0.0;
}

/* What overflowed is held at the edge; what is not a number counts as the coldest there is. */
static double held(double x)
{
	if (isnan(x))
		return -DBL_MAX;
	return fmax(-DBL_MAX, fmin(DBL_MAX, x));
}

double thermal_born(const struct thermal_model *m, double t_ms)
{
	return held(t_ms / m->half_life_ms);
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
