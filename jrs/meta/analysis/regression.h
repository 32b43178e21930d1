/* How much of the memories' temperature a straight line explains: R squared of an ordinary least squares of temperature
 * (0..100) on importance (0..1) and on the latency, in ms, of the recall that touched the memory last.
 *
 *   R^2 = SSR / SST = 1 - SSE / SST, the mean being part of the model
 *
 * (Draper, Smith: Applied Regression Analysis, 3rd edition, chapters 1 and 6.) With two predictors the sum of squares
 * that the line explains is that of the first, and that of what the second has beyond the first (Frisch, Waugh,
 * Lovell): a predictor that does not vary, or says the same as the other, adds nothing and harms nothing. In-sample,
 * not adjusted: with two predictors that mean nothing its expectation is 2 / (n - 1). None of the predictors is an
 * input of the temperature, which is reckoned from accesses and idle time alone, so a figure near 0 is an honest
 * answer. Pure. */
#ifndef JRS_META_ANALYSIS_REGRESSION_H
#define JRS_META_ANALYSIS_REGRESSION_H
#include "proto/wire/wire.h"
#include <stdbool.h>
#include <stdint.h>

#define REGRESSION_LEAST 30   /* rows; of fewer nothing is said */
#define REGRESSION_MAX   2000 /* rows; what memory.samples can bring */

struct regression_row {
	double y, x[2];
};
/* False, and *r_squared untouched: too few rows, a temperature that does not vary, or no predictor that does. */
bool regression_r_squared(const struct regression_row *v, uint32_t n, double *r_squared);
/* Pairs memories with the recall of the same moment: a recall's moment is that at which it touched what it found.
 * Memories whose last access was none of the sampled recalls, or of two in the same millisecond, are left out. v:
 * REGRESSION_MAX; how many. */
uint32_t regression_rows(struct regression_row *v, const struct res_memory_samples *s);

#endif
