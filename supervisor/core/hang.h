/* Alive, starved or hung? Beats are missing for hang_after_ms: starved when the process waited for a CPU during most of
 * that time, hung when it did not (it spins or blocks), and after ten times as long hung whatever. Pure: the shell
 * reads /proc/PID/schedstat and passes the figures in. */
#ifndef SUPERVISOR_CORE_HANG_H
#define SUPERVISOR_CORE_HANG_H
#include <stdbool.h>
#include <stdint.h>

#define HANG_STARVED_CAP 10 /* times hang_after_ms */

enum hang_verdict { HANG_ALIVE, HANG_STARVED, HANG_HUNG };

/* Of the thread that runs the loop. run and delay only grow; delay is brought up to date when the thread gets a CPU, so
 * one that never got one shows in `runnable` alone. */
struct hang_sample {
	bool known;        /* false: the kernel does not tell; nobody counts as starved then */
	bool runnable;     /* wants a CPU at this moment */
	uint64_t run_ns;   /* time on a CPU */
	uint64_t delay_ns; /* time waiting for one */
};

struct hang {
	uint64_t beat_ms; /* the last beat, or the hello */
	uint64_t tick_ms; /* the last tick */
	uint64_t base_ms; /* when base was taken; 0: not since the last beat */
	struct hang_sample base;
};

void hang_start(struct hang *h, uint64_t now_ms); /* at hello */
void hang_beat(struct hang *h, uint64_t now_ms);
/* Is a sample wanted for this tick? Saves reading /proc while beats arrive in time. */
bool hang_wants_sample(const struct hang *h, uint32_t heartbeat_ms, uint64_t now_ms);
/* Call about every heartbeat_ms. A tick that comes late itself (the supervisor was stopped or starved, its queue still
 * holds the beats) judges nobody. s may be NULL when no sample was wanted. */
enum hang_verdict hang_tick(struct hang *h, uint32_t hang_after_ms, const struct hang_sample *s, uint64_t now_ms);

#endif
