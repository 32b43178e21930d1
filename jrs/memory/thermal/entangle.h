/* Which memories are recalled together, and how alike a memory's company is from one time to the next. Pure.
 *
 * Phase coherence of a memory: over the recalls with two or more sources that returned it, the mean Jaccard overlap of
 * its company (the other sources, the best ENTANGLE_COMPANY of them) with its company the time before; unknown until it
 * has been recalled twice. The tribe's is the mean over the memories where it is known. Temperature has no part in it.
 * Kept in memory for what was recalled since the start, bounded; what changed is taken out with entangle_take(). */
#ifndef JRS_MEMORY_THERMAL_ENTANGLE_H
#define JRS_MEMORY_THERMAL_ENTANGLE_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define ENTANGLE_COMPANY  16
#define ENTANGLE_PARTNERS 16 /* a memory remembers so many others, the most frequent ones */

struct entangle;
/* max: memories kept at most (about 420 bytes each, grown as needed). known, sum: the tribe's figures so far.
 * TR_ENOMEM. */
int entangle_new(struct entangle **out, unsigned max, uint64_t known, double sum);

/* The tribe's figures so far are others now: somebody else changed them. What happened here meanwhile stays counted. */
void entangle_known(struct entangle *e, uint64_t known, double sum);

/* A source as the archive gave it: what was known about it before this process. */
struct entangle_seen {
	int64_t memory;
	double phase; /* mean over `compared`, meaningless when that is 0 */
	uint32_t compared;
};
/* One recall, sources best first, each once. Fewer than two change nothing. TR_ENOMEM; what was noted so far stays. */
int entangle_recall(struct entangle *e, const struct entangle_seen *v, unsigned n);
/* A memory has gone (forgotten): its phase coherence no longer counts. Or one came with a known one. */
void entangle_forget(struct entangle *e, const struct entangle_seen *seen);
void entangle_join(struct entangle *e, const struct entangle_seen *seen);
/* False: not recalled since the start (ask the archive) or unknown. */
bool entangle_phase(const struct entangle *e, int64_t memory, double *out);
/* The tribe's; false while no memory's is known. */
bool entangle_mean(const struct entangle *e, double *out);

struct entangle_partner {
	int64_t memory;
	uint32_t times; /* recalled together since the last taking */
};
struct entangle_change {
	int64_t memory;
	double phase;
	uint32_t compared; /* 0: phase is not known yet */
	unsigned npartners;
	struct entangle_partner partner[ENTANGLE_PARTNERS];
};
/* Takes out the next memory that changed since it was last taken; false: none left. */
bool entangle_take(struct entangle *e, struct entangle_change *out);
size_t entangle_count(const struct entangle *e); /* memories kept */
void entangle_free(struct entangle **e);

/* Overlap of two sets without repetitions: common / all. Both empty: 0. */
double entangle_jaccard(const int64_t *a, unsigned na, const int64_t *b, unsigned nb);

#endif
