/* Requests that are under way while something else is measured: connections of a thread of its own, each with one
 * request at a time. The first two add, the others recall a known id; while meta-jr or integration-jr is killed two of
 * them ask what these do. A request that is reset, or not answered well, is repeated with the same ids until it is
 * answered well, so that each add has one effect at the end. Used by one thread. */
#ifndef TESTS_BENCH_INFLIGHT_H
#define TESTS_BENCH_INFLIGHT_H
#include "common/base/roles.h"
#include <stdint.h>

#define INFLIGHT_MAX 64

struct inflight_how {
	uint16_t port;
	unsigned conns, rate; /* rate: requests a second, all together; 0: each connection asks again as soon as it is
				 answered */
	uint64_t seed;
	const char *known_id; /* borrowed */
	enum tr_role role;    /* who is to be killed */
};
/* answered: well. refused: connections. failed: answers that were not good. reset: connections that ended under a
 * request. adds: memories acknowledged. */
struct inflight_counts {
	unsigned answered, refused, failed, reset, adds;
};
struct inflight;

/* Connected; nothing is sent yet. */
struct inflight *inflight_start(const struct inflight_how *how);
void inflight_go(struct inflight *f);
/* Sends on every connection that has nothing under way; how many requests are unanswered then. */
unsigned inflight_fill(struct inflight *f);
/* No more is sent; when all is answered: what happened since inflight_go(). */
struct inflight_counts inflight_rest(struct inflight *f);
void inflight_stop(struct inflight *f); /* while it rests */

#endif
