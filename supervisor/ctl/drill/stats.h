/* Figures of a drill. Pure. */
#ifndef SUPERVISOR_CTL_DRILL_STATS_H
#define SUPERVISOR_CTL_DRILL_STATS_H
#include <stddef.h>
#include <stdint.h>

/* Sorts v in place, ascending. */
void stats_sort(double *v, size_t n);
/* The smallest value that at least q (0..1) of the sorted values do not exceed (nearest rank), so it is always one that
 * was measured. n > 0. */
double stats_quantile(const double *sorted, size_t n, double q);

/* splitmix64: the order of a drill, the same again from the same seed. */
uint64_t stats_random(uint64_t *state);
/* Shuffles v (Fisher-Yates). */
void stats_shuffle(unsigned char *v, size_t n, uint64_t seed);

#endif
