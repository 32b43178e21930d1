#include "jrs/meta/analysis/robust.h"

#include <math.h>
#include <stdlib.h>

static int by_value(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

/* Of sorted values, n > 0. Halves first: the sum of two large ones may not fit. */
static double middle(const double *v, uint32_t n)
{
	return n % 2 == 1 ? v[n / 2] : v[n / 2 - 1] / 2 + v[n / 2] / 2;
}

/* How far the k-th nearest value (from 0) lies from m, v sorted: two runs outward, merged, so nothing is copied. */
static double deviation(const double *v, uint32_t n, double m, uint32_t k)
{
	uint32_t hi = 0, lo;
	double d = 0;

	while (hi < n && v[hi] < m)
		hi++;
	lo = hi;
	for (uint32_t i = 0; i <= k; i++) {
		double up = hi < n ? v[hi] - m : HUGE_VAL, down = lo > 0 ? m - v[lo - 1] : HUGE_VAL;

		d = up <= down ? up : down;
		if (up <= down)
			hi++;
		else
			lo--;
	}
	return d;
}

struct robust robust_of(double *v, uint32_t n)
{
	struct robust r = {.n = n};

	if (n == 0)
		return r;
	qsort(v, n, sizeof v[0], by_value);
	r.median = middle(v, n);
	r.mad = n % 2 == 1 ? deviation(v, n, r.median, n / 2)
			   : deviation(v, n, r.median, n / 2 - 1) / 2 + deviation(v, n, r.median, n / 2) / 2;
	return r;
}

double robust_quantile(const double *v, uint32_t n, double q)
{
	double rank = ceil(q * n);

	return v[rank < 1 ? 0 : rank > n ? n - 1 : (uint32_t)rank - 1];
}

double robust_sigma(const struct robust *r, double floor)
{
	double s = ROBUST_SIGMA * r->mad;

	return s > floor ? s : floor;
}
