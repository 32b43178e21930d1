/* Finds what is odd in a sample of the archive. Pure: the sample and the time come in, findings go out. */
#ifndef JRS_META_ANALYSIS_ANOMALIES_H
#define JRS_META_ANALYSIS_ANOMALIES_H
#include "proto/wire/wire.h"
#include <stdbool.h>

#define ANOMALY_EVIDENCE_MAX 16

/*  kind                    what it means (goes to docs) */
#define ANOMALY_KINDS(X)                                                                            \
	X(hot_without_use, "very hot, though hardly ever used: no history of accesses explains it") \
	X(sacred_cold, "sacred memories only the floor keeps warm: nobody comes back to them")      \
	X(overheated, "nearly everything is hot, so heat tells nothing any more")                   \
	X(entropy_collapse, "the memories have gathered in one stage")                              \
	X(slow_recalls, "a few recalls take far longer than the usual ones")                        \
	X(slower_recalls, "the newest recalls as a whole take longer than those before")            \
	X(outlying_use, "used far more often than the others: one memory answers everything")       \
	X(outlying_size, "far longer than the others: answers drown in it")                         \
	X(sudden_idle, "recalls came steadily and have stopped")

enum anomaly_kind {
#define X(name, doc) ANOMALY_##name,
	ANOMALY_KINDS(X)
#undef X
		ANOMALY_NKINDS
};
extern const char *const anomaly_names[ANOMALY_NKINDS];

struct finding {
	bool present;
	double severity;   /* 0..1 */
	uint64_t count;    /* memories or recalls concerned, in the sample */
	char summary[301]; /* one line with the figures */
	/* what it was reckoned from: value passed threshold, both in unit; of `sample` figures */
	double value, threshold;
	const char *unit; /* static */
	uint64_t sample;
	bool has_middle; /* the threshold comes from these two */
	double median, mad;
	unsigned nevidence; /* the worst ones first */
	char evidence[ANOMALY_EVIDENCE_MAX][WIRE_ID_MAX + 1];
};
struct findings {
	struct finding v[ANOMALY_NKINDS]; /* by kind */
	uint32_t memories, recalls;       /* looked at */
	bool recalls_judged;              /* there were enough of them */
	bool has_entropy;                 /* what the next analysis compares with */
	double entropy;
	uint64_t total;
};

/* before: the last analysis's findings, or NULL at the first. now_ms: wall clock. */
void anomalies_find(struct findings *out, const struct res_memory_samples *samples,
		    const struct res_memory_thermal *thermal, const struct findings *before, int64_t now_ms);
/* What somebody was told of a finding last. */
struct told {
	bool present;
	double severity;
	uint64_t count;
};
/* Bit i of the result: kind i is news against what was told, because it appeared, went away or changed. told: one for
 * each kind, brought up to date for these. */
unsigned anomalies_news(struct told told[ANOMALY_NKINDS], const struct findings *now);
#define ANOMALY_CONCLUSION 300
/* The whole in one sentence, also when nothing is odd. */
void anomalies_conclude(char out[ANOMALY_CONCLUSION], const struct findings *f);

#endif
