/* One coarse timer wheel for all connections: moving a deadline later is one store; nothing is touched in the kernel.
 * Pure. */
#ifndef JRS_EXECUTIVE_HTTP_WHEEL_H
#define JRS_EXECUTIVE_HTTP_WHEEL_H
#include <stdbool.h>
#include <stdint.h>

#define WHEEL_SLOTS 64

struct wheel_node { /* embedded; all zero = not in the wheel */
	struct wheel_node *prev, *next;
	uint64_t deadline_ms; /* what counts */
	uint64_t tick;        /* when its slot will be looked at, at the latest */
};
struct wheel {
	struct wheel_node slots[WHEEL_SLOTS]; /* list heads */
	uint64_t tick;                        /* the last one looked at */
	uint32_t tick_ms;
};

void wheel_init(struct wheel *w, uint32_t tick_ms, uint64_t now_ms);
/* Fires at deadline_ms or up to two ticks later. UINT64_MAX: never (the node may stay in the wheel). */
void wheel_set(struct wheel *w, struct wheel_node *n, uint64_t deadline_ms);
void wheel_remove(struct wheel_node *n);
/* Next node whose deadline has passed, taken out of the wheel; NULL: none. Call until NULL. */
struct wheel_node *wheel_expired(struct wheel *w, uint64_t now_ms);

#endif
