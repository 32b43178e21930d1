/* Alive, starved or hung? Beats are missing for hang_after_ms: starved when the process waited for a CPU during most of
 * that time and ran for less than a quarter of it, hung when not so (it spins or blocks), and after ten times as long
 * hung whatever. And one that beats and answers nothing. Pure: the shell reads /proc/PID/schedstat and passes the
 * figures in.
 *
 * hang_look() is due at due_ms, and says when again: half-way through the silence (to take a sample) and at its end,
 * so an idle tribed is woken twice in hang_after_ms for each process, and a hang is seen as it is complete. */
#ifndef SUPERVISOR_CORE_HANG_H
#define SUPERVISOR_CORE_HANG_H
#include <stdbool.h>
#include <stdint.h>

#define HANG_STARVED_CAP 10 /* times hang_after_ms */

enum hang_verdict { HANG_ALIVE, HANG_STARVED, HANG_SPINS, HANG_BLOCKS };

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
	uint64_t look_ms; /* the last look */
	uint64_t due_ms;  /* when to look next */
	uint64_t base_ms; /* when base was taken; 0: not since the last beat */
	bool overdue;     /* silent too long when last looked: what waits in the channel is read first */
	struct hang_sample base;
};

void hang_start(struct hang *h, uint32_t hang_after_ms, uint64_t now_ms); /* at hello */
void hang_beat(struct hang *h, uint64_t now_ms);                          /* due_ms stays */
/* Is a sample wanted for this look? Saves reading /proc while beats arrive in time. */
bool hang_wants_sample(const struct hang *h, uint32_t hang_after_ms, uint64_t now_ms);
/* now_ms >= due_ms. A look that comes late itself (the supervisor was stopped or starved, its queue still holds the
 * beats) judges nobody. s may be NULL when no sample was wanted. Moves due_ms ahead. */
enum hang_verdict hang_look(struct hang *h, uint32_t hang_after_ms, const struct hang_sample *s, uint64_t now_ms);

/* One that beats and does not answer in time. */
struct mute {
	uint64_t since_ms; /* 0: the last beat spoke of nothing overdue */
};
/* A beat: does it speak of overdue requests? True: as every one for hang_after_ms did. */
bool mute_beat(struct mute *m, bool overdue, uint32_t hang_after_ms, uint64_t now_ms);

#endif
