/* How long to wait before the next start: a leaky bucket of crashes. Each crash adds one, every BACKOFF_LEAK_MS of
 * health takes one away. The first two restarts are immediate, then 50 ms, doubling to 30 s; at 30 s the worker counts
 * as failed, is tried again at that interval and heals like any other. Pure: time and random numbers are passed in. */
#ifndef SUPERVISOR_CORE_BACKOFF_H
#define SUPERVISOR_CORE_BACKOFF_H
#include <stdint.h>

#define BACKOFF_FREE     2 /* crashes that cost nothing */
#define BACKOFF_FIRST_MS 50
#define BACKOFF_CAP_MS   30000
#define BACKOFF_LEAK_MS  500 /* of health that forgive one crash: who serves that long between crashes is worth starting at once */
#define BACKOFF_LEVEL    13    /* the bucket holds no more; here the delay is the cap */

enum backoff_verdict { BACKOFF_NOW, BACKOFF_LATER, BACKOFF_OFTEN };

struct backoff {
	double level;     /* crashes not yet forgiven, at most BACKOFF_LEVEL */
	uint64_t crashes; /* all of them, for the record */
	uint64_t ordered; /* deaths a drill asked for */
};

/* A life ended that had served for healthy_ms (0 if it never said hello). random: any 32 bits; the delay lies between
 * half and all of what the bucket says, so that four Jrs do not come back in step. *delay_ms is 0 for BACKOFF_NOW. */
enum backoff_verdict backoff_crash(struct backoff *b, uint64_t healthy_ms, uint32_t random, uint64_t *delay_ms);
/* The same for a death that was ordered: counted apart, costs nothing, starts again at once; its health still forgives.
 */
void backoff_ordered(struct backoff *b, uint64_t healthy_ms);

#endif
