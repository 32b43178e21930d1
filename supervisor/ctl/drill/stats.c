#include "supervisor/ctl/drill/stats.h"
#include <assert.h>
#include <math.h>
#include <stdlib.h>

static int compare(const void *a, const void *b)
{
	const double *x = a, *y = b;

	return (*x > *y) - (*x < *y);
}

void stats_sort(double *v, size_t n)
{
	if (n > 1)
		qsort(v, n, sizeof(*v), compare);
}

double stats_quantile(const double *sorted, size_t n, double q)
{
	size_t rank;

	assert(n > 0 && q >= 0 && q <= 1);
	rank = (size_t)ceil(q * (double)n - 1e-9); /* 0.95 * 20 is 19, whatever the last bit says */
	return sorted[rank == 0 ? 0 : rank > n ? n - 1 : rank - 1];
}

uint64_t stats_random(uint64_t *state)
{
	uint64_t z = *state += 0x9e3779b97f4a7c15u;

	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
	z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
	return z ^ (z >> 31);
}

void stats_shuffle(unsigned char *v, size_t n, uint64_t seed)
{
	for (size_t i = n; i > 1; i--) {
		size_t k = (size_t)(stats_random(&seed) % i);
		unsigned char t = v[i - 1];

		v[i - 1] = v[k];
		v[k] = t;
	}
}
