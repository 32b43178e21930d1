/* The life of one process as a complete table: events and a time in, actions out. Pure: no clock, socket or process.
 * The shell carries the returned actions out and calls again with EV_TIMEOUT at wake_ms. Whether a process should run
 * at all is a plan one level up. */
#ifndef SUPERVISOR_CORE_LIFECYCLE_H
#define SUPERVISOR_CORE_LIFECYCLE_H
#include <stdint.h>

/*      state        word in status   what it means */
#define LC_STATES(X)                                                           \
	X(DOWN, "down", "no process, none wanted")                             \
	X(STARTING, "starting", "a process that has not said hello yet")       \
	X(UP, "up", "it said hello")                                           \
	X(STOPPING, "stopping", "told to drain")                               \
	X(TERMINATING, "stopping", "told to leave by SIGTERM")                 \
	X(ENDING, "killing", "SIGKILL sent; down when reaped")                 \
	X(KILLING, "killing", "SIGKILL sent; to be started again when reaped") \
	X(BACKOFF, "backoff", "waiting before the next start")                 \
	X(FAILED, "failed", "crashed too often; tried again at the longest interval")

enum lc_state {
	LC_NONE, /* a cell of the table that was forgotten */
#define X(name, word, doc) LC_##name,
	LC_STATES(X) LC_NSTATES
#undef X
};

/* EXIT, EXIT_LATER, EXIT_OFTEN: the process was reaped (or could not be made); the back-off says which of the three.
 * EXIT_SPENT: reaped, need not wait, and another of its role is about to lead: it is started again when that one does.
 */
#define LC_EVENTS(X) \
	X(START)     \
	X(HELLO) X(BEAT) X(EXIT) X(EXIT_LATER) X(EXIT_OFTEN) X(EXIT_SPENT) X(STOPPED) X(HUNG) X(TIMEOUT) X(STOP)

enum lc_event {
#define X(name) EV_##name,
	LC_EVENTS(X) LC_NEVENTS
#undef X
};

/* Carried out in this order. */
enum lc_action {
	DO_GONE = 1 << 0,  /* the life ended: close its channel, tell */
	DO_SPAWN = 1 << 1, /* make the process of the new generation */
	DO_UP = 1 << 2,    /* it serves from now on: tell */
	DO_DRAIN = 1 << 3, /* send jr.drain */
	DO_TERM = 1 << 4,
	DO_KILL = 1 << 5,
	DO_BUG = 1 << 6 /* the world cannot do this: a mistake in the shell */
};

struct lc_limits {
	uint64_t start_ms; /* spawn to hello */
	uint64_t drain_ms; /* drain to SIGTERM */
	uint64_t term_ms;  /* SIGTERM to SIGKILL */
	uint64_t kill_ms;  /* SIGKILL to another one */
	uint64_t retry_ms; /* what the back-off says; read on EXIT_LATER and EXIT_OFTEN, then at least 1 */
};

struct lc {
	enum lc_state state;
	uint32_t generation; /* of the current or last life; 0 before the first */
	uint64_t wake_ms;    /* when to call with EV_TIMEOUT; 0 = never */
};

void lc_init(struct lc *w);
/* wake_ms moves only on a change of state, a new life or a TIMEOUT: a process that keeps talking cannot put off its
 * kill. Returns bits of enum lc_action. */
unsigned lc_step(struct lc *w, const struct lc_limits *lim, enum lc_event ev, uint64_t now_ms);

/* Is there a process in this state? */
int lc_alive(enum lc_state s);
const char *lc_word(enum lc_state s);       /* as in status */
const char *lc_state_name(enum lc_state s); /* as in this file */
const char *lc_event_name(enum lc_event e);
/* One cell, for tests and drawings; *next LC_NONE when forgotten. */
unsigned lc_cell(enum lc_state s, enum lc_event e, enum lc_state *next);

#endif
