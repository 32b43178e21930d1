/* The table of metrics, histograms, and the Prometheus text format (0.0.4). Pure: no clock, no I/O. Not thread-safe. */
#ifndef COMMON_METRICS_METRICS_H
#define COMMON_METRICS_METRICS_H
#include "common/base/buf.h"
#include "common/base/err.h"
#include <stdbool.h>
#include <stdint.h>

enum metric_type { METRIC_GAUGE, METRIC_COUNTER, METRIC_HISTOGRAM, METRIC_UNTYPED };
enum metric_id {
#define M(id, name, type, labels, help) METRIC_##id,
#include "common/metrics/metrics.def"
#undef M
	METRIC_N
};
struct metric {
	const char *name, *labels, *help; /* labels: names joined by ","; "" = none */
	enum metric_type type;
};
extern const struct metric metrics[METRIC_N];

#define METRICS_BUCKETS_MAX 32
#define METRICS_LABELS_MAX  4

/* Counts of values <= le and above the bound before (not cumulative); those above the last bound are only in count. */
struct metrics_histogram {
	double le[METRICS_BUCKETS_MAX]; /* rising, finite */
	uint64_t n[METRICS_BUCKETS_MAX];
	unsigned buckets;
	uint64_t count;
	double sum;
};
/* For latencies in seconds: 0.1 ms to 10 s. */
void metrics_latency_init(struct metrics_histogram *h);
void metrics_observe(struct metrics_histogram *h, double value); /* NaN is ignored */

/* Writes samples to out. All samples of one metric must come one after the other (assert). Label values are borrowed,
 * any UTF-8, as many as the table names. Values that are not finite are left out: what is not known is absent. */
struct metrics_writer {
	struct buf *out;
	bool seen[METRIC_N];
	int open; /* the metric being written; -1 = none yet */
};
void metrics_begin(struct metrics_writer *w, struct buf *out);
void metrics_put(struct metrics_writer *w, enum metric_id id, double value,
		 ...); /* then one const char * for each label */
void metrics_put_histogram(struct metrics_writer *w, enum metric_id id, const struct metrics_histogram *h, ...);
int metrics_end(struct metrics_writer *w); /* 0, or what the buffer failed with */

#endif
