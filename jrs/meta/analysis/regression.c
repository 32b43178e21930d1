#include "jrs/meta/analysis/regression.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define SAME 1e-9 /* share of a variable's sum of squares below which what is left is rounding */

bool regression_r_squared(const struct regression_row *v, uint32_t n, double *r_squared)
{
	double my = 0, m0 = 0, m1 = 0, syy = 0, s00 = 0, s11 = 0, s01 = 0, s0y = 0, s1y = 0, explained = 0;
	double beyond, beyond_y;
	bool first, second;

	if (n < REGRESSION_LEAST)
		return false;
	for (uint32_t i = 0; i < n; i++) {
		my += v[i].y / n;
		m0 += v[i].x[0] / n;
		m1 += v[i].x[1] / n;
	}
	for (uint32_t i = 0; i < n; i++) {
		double y = v[i].y - my, a = v[i].x[0] - m0, b = v[i].x[1] - m1;

		syy += y * y;
		s00 += a * a;
		s11 += b * b;
		s01 += a * b;
		s0y += a * y;
		s1y += b * y;
	}
	/* against the mean: a constant's sum of squares is rounding, not always 0 */
	first = s00 > SAME * SAME * n * m0 * m0;
	beyond = first ? s11 - s01 * s01 / s00 : s11;
	beyond_y = first ? s1y - s01 * s0y / s00 : s1y;
	second = s11 > SAME * SAME * n * m1 * m1 && beyond > SAME * s11;
	if (!(syy > SAME * SAME * n * my * my) || (!first && !second))
		return false;
	if (first)
		explained += s0y * s0y / s00;
	if (second)
		explained += beyond_y * beyond_y / beyond;
	*r_squared = fmin(explained / syy, 1);
	return true;
}

static int by_moment(const void *a, const void *b)
{
	const struct item_recall_sample *x = a, *y = b;

	return (x->at > y->at) - (x->at < y->at);
}

uint32_t regression_rows(struct regression_row *v, const struct res_memory_samples *s)
{
	uint32_t nrecalls = s->recalls.n < REGRESSION_MAX ? s->recalls.n : REGRESSION_MAX, n = 0;
	struct item_recall_sample r[REGRESSION_MAX];

	if (nrecalls == 0)
		return 0;
	memcpy(r, s->recalls.v, nrecalls * sizeof r[0]);
	qsort(r, nrecalls, sizeof r[0], by_moment);
	for (uint32_t i = 0; i < s->memories.n && n < REGRESSION_MAX; i++) {
		const struct item_sample *m = &s->memories.v[i];
		const struct item_recall_sample key = {.at = m->last_access}, *hit;

		if (!m->has_last_access)
			continue;
		hit = bsearch(&key, r, nrecalls, sizeof r[0], by_moment);
		if (hit == NULL || (hit > r && hit[-1].at == hit->at) ||
		    (hit + 1 < r + nrecalls && hit[1].at == hit->at))
			continue;
		v[n++] = (struct regression_row){.y = m->temperature, .x = {m->importance, hit->latency_us / 1e3}};
	}
	return n;
}
