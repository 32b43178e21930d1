/* Hears tribed's events on a thread of its own, so that the moment of each is known even while the drill waits
 * elsewhere. The moments are those of their arrival here, CLOCK_MONOTONIC: an upper bound of when tribed noticed. */
#ifndef SUPERVISOR_CTL_DRILL_WATCH_H
#define SUPERVISOR_CTL_DRILL_WATCH_H
#include <stdbool.h>
#include <stdint.h>

struct watch;
#define WATCH_WORD 32
struct watch_notice {
	uint64_t at_ns;
	char kind[WATCH_WORD]; /* "exit", "hang", "stopped", "promote" ... */
};

/* path: of control.sock. Waits up to wait_ms until tribed has begun to tell. */
int watch_start(struct watch **out, const char *path, uint32_t wait_ms);
/* The first sign after after_ns that tribed knew: the process that was hit was seen dead or ill, or another one leads
 * its role. jr: API name. False: none yet. */
bool watch_find(struct watch *w, const char *jr, uint32_t pid, uint64_t after_ns, struct watch_notice *out);
void watch_stop(struct watch **w);

#endif
