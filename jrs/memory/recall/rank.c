#include "jrs/memory/recall/rank.h"
#include <math.h>
#include <stdlib.h>

static int by_score(const void *a, const void *b)
{
	const struct rank_item *x = a, *y = b;

	if (x->score != y->score)
		return x->score > y->score ? -1 : 1;
	if (x->temperature != y->temperature)
		return x->temperature > y->temperature ? -1 : 1;
	return (x->memory < y->memory) - (x->memory > y->memory);
}

/* Puts v[i] below its successor if that is among the items. True when that changed something. */
static int below_successor(struct rank_item *v, size_t n, size_t i)
{
	size_t j;

	for (j = 0; j < n && v[j].memory != v[i].superseded_by; j++)
		;
	if (j == n || v[i].score < v[j].score)
		return 0;
	v[i].score = nextafter(v[j].score, -1.0);
	return 1;
}

void rank_order(struct rank_item *v, size_t n)
{
	double best = 0.0;
	size_t i, pass;
	int moved = 1;

	for (i = 0; i < n; i++)
		best = fmax(best, v[i].match);
	for (i = 0; i < n; i++) {
		v[i].score = best > 0.0 ? fmax(0.0, v[i].match) / best : 1.0;
		v[i].score *= v[i].superseded_by != 0 ? RANK_SUPERSEDED : 1.0;
	}
	/* A chain of n corrections needs n passes at most; two are the rule. */
	for (pass = 0; moved && pass < n; pass++) {
		for (i = 0, moved = 0; i < n; i++) {
			if (v[i].superseded_by != 0)
				moved |= below_successor(v, n, i);
		}
	}
	if (n > 1) /* v may be NULL when there is nothing */
		qsort(v, n, sizeof(*v), by_score);
	for (i = 0; i < n; i++)
		v[i].score = fmax(0.0, v[i].score); /* below a successor of score 0 */
}
