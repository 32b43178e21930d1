/* Running histograms of heat_key, one for sacred memories and one for the others: mean temperature, stages and entropy
 * of the whole archive at any time without reading it. Pure. A bin whose memories would fall into different classes
 * (stage, clamp, 5-degree step) is read by the caller's scan, so the figures are those of a full recount. */
#ifndef JRS_MEMORY_THERMAL_HIST_H
#define JRS_MEMORY_THERMAL_HIST_H
#include "jrs/memory/thermal/thermal.h"

#define HIST_PER_HALF_LIFE 32   /* a power of two, so that the bounds of a bin are exact */
#define HIST_BINS          2048 /* 64 half-lives, now in the middle; two more take what lies below and above */
#define HIST_STEPS         20   /* of 5 degrees, for the picture of the whole archive */

struct hist_bin {
	uint64_t n;
	double sum; /* of heat_key less the bin's lower bound, which keeps it small and exact */
};
struct thermal_hist {
	int64_t first; /* heat_key * HIST_PER_HALF_LIFE of bin[.][1]; bin 0 is below, bin HIST_BINS + 1 above */
	struct hist_bin bin[2][HIST_BINS + 2]; /* [sacred] */
};

void hist_init(struct thermal_hist *h, const struct thermal_model *m, double t_ms);
void hist_add(struct thermal_hist *h, double heat_key, bool sacred);
/* n memories of one bin: heat_key is the coldest's, excess the sum of what the others are above it. */
void hist_add_many(struct thermal_hist *h, double heat_key, bool sacred, uint64_t n, double excess);
void hist_remove(struct thermal_hist *h, double heat_key, bool sacred); /* one that was added before */
/* Moves the bins along with time; call now and then. Costs nothing until 16 half-lives have passed. */
void hist_slide(struct thermal_hist *h, const struct thermal_model *m, double t_ms);

struct thermal_figures {
	uint64_t total, sacred;
	double mean;       /* 0 when total is 0 */
	double sacred_min; /* 0 when sacred is 0 */
	double entropy;
	uint64_t stages[THERMAL_NSTAGES];
	uint64_t steps[HIST_STEPS]; /* the last one includes max */
};
typedef void hist_visit(void *visit_arg, double heat_key);
/* Calls visit for every memory of that kind with lo <= heat_key < hi. 0 or a negative error. */
typedef int hist_scan(void *arg, bool sacred, double lo, double hi, hist_visit *visit, void *visit_arg);
/* 0, or what scan returned; *out is untouched then. */
int hist_figures(const struct thermal_hist *h, const struct thermal_model *m, double t_ms, hist_scan *scan, void *arg,
		 struct thermal_figures *out);

#endif
