/* Figures that a few wild values cannot move: median, and median absolute deviation from it (MAD). Pure. */
#ifndef JRS_META_ANALYSIS_ROBUST_H
#define JRS_META_ANALYSIS_ROBUST_H
#include <stdint.h>

#define ROBUST_SIGMA 1.4826 /* times the MAD: the standard deviation, were the values normal */

struct robust {
	uint32_t n;
	double median, mad; /* median: the mean of the two middle values when n is even */
};
/* Sorts v, n finite values; with n == 0 all is 0. */
struct robust robust_of(double *v, uint32_t n);
/* The value below which a share q (0..1) of v lies, v sorted, n > 0: by nearest rank, no value is made up. */
double robust_quantile(const double *v, uint32_t n, double q);
/* Standard deviation by the MAD, at least `floor`: many equal values have a MAD of 0. */
double robust_sigma(const struct robust *r, double floor);

#endif
