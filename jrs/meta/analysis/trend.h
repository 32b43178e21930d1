/* Is a figure worse than it was? The median of the latest window over the baseline: the median of the medians of the
 * windows before, at most TREND_WINDOWS of them (a day of 13 minutes each). 1 = as before, 1.2 = a fifth more. Medians,
 * so that a few wild values move neither. Not known, and so absent: too few windows before, or too few values in the
 * latest; a quiet window is not part of a baseline either. Pure: no clock. */
#ifndef JRS_META_ANALYSIS_TREND_H
#define JRS_META_ANALYSIS_TREND_H
#include "proto/wire/wire.h"
#include <stdbool.h>
#include <stdint.h>

#define TREND_VALUES        2000 /* looked at in a window; more are not kept */
#define TREND_LEAST_VALUES  5
#define TREND_WINDOWS       110
#define TREND_LEAST_WINDOWS 3

struct trend {
	double open[TREND_VALUES];
	uint32_t n;
	double before[TREND_WINDOWS]; /* medians, a ring */
	uint64_t nbefore;             /* ever */
	bool has_latest;
	double latest;
};
void trend_add(struct trend *t, double value); /* into the open window */
void trend_close(struct trend *t); /* the open window is now the latest, and that one is part of the baseline */
bool trend_ratio(const struct trend *t, double *ratio);
/* The latencies of the recalls after *seen (wall clock, ms; moved to the newest), and the window is closed. In the
 * first call
 * (*seen 0) the log fills the windows of period_ms before now as well. */
void trend_recalls(struct trend *t, const struct res_memory_samples *s, int64_t now_ms, uint64_t period_ms,
		   int64_t *seen);

#endif
