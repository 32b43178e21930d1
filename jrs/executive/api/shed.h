/* When there is more work than can be done in time, some of it is refused at once instead of all of it being late.
 * Pure.
 *
 * What is in flight to memory-jr is watched, reads and writes apart. By Little's law a call takes as long as calls in
 * flight / calls answered a second. So where even the quickest answer of half a second took longer than the target, no
 * more than answers a second * target may be in flight from then on: the next ones take about the target, and as many
 * are answered as before. As long as answers are quicker the limit grows by an eighth each half second, until it is
 * none. Nothing is learned while nothing is answered: a Jr that is being replaced makes calls wait and refuses none. */
#ifndef JRS_EXECUTIVE_API_SHED_H
#define JRS_EXECUTIVE_API_SHED_H
#include <limits.h>
#include <stdbool.h>
#include <stdint.h>

#define SHED_WINDOW_MS 500
#define SHED_LEAST     8    /* so many are let in whatever they take */
#define SHED_MOST      4096 /* a limit that grows above it is none */
#define SHED_NO_LIMIT  UINT_MAX

enum shed_class { SHED_READ, SHED_WRITE, SHED_NCLASSES };

struct shed {
	uint32_t target_ms; /* 0: never refuses */
	unsigned inflight, limit;
	uint64_t since_ms;          /* of the window */
	uint32_t best_ms, answered; /* of the good answers in it: the quickest, how many */
};
void shed_init(struct shed *s, uint32_t target_ms, uint64_t now_ms);
bool shed_admits(const struct shed *s); /* one more now? */
void shed_begin(struct shed *s);
/* good: it was answered; else nothing is learned from it. */
void shed_end(struct shed *s, bool good, uint64_t took_ms, uint64_t now_ms);

#endif
