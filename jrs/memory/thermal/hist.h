/* Running histograms of heat_key, one for sacred memories and one for the others: mean temperature, stages and entropy
 * of the whole archive at any time without reading it. Pure. Where the memories of one bin fall into different classes
 * (stage, clamp, 5-degree step), the caller counts those of the hotter ones, so the figures are those of a full
 * recount. */
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
/* What the histograms were made of, for questions that they cannot answer. 0 or a negative error. */
struct hist_rows {
	void *arg;
	/* Of those with lo <= heat_key < hi: how many, and what they are above lo altogether. */
	int (*range)(void *arg, bool sacred, double lo, double hi, uint64_t *n, double *excess);
	/* The lowest heat_key among them; there is one. */
	int (*coldest)(void *arg, bool sacred, double lo, double hi, double *out);
};
/* 0, or what one of rows' questions returned; *out is untouched then. */
int hist_figures(const struct thermal_hist *h, const struct thermal_model *m, double t_ms, const struct hist_rows *rows,
		 struct thermal_figures *out);

#endif
