/* Why a process was started again, and what was noticed of it: two lists of words, written once. Pure. */
#ifndef SUPERVISOR_CORE_DEATHS_H
#define SUPERVISOR_CORE_DEATHS_H
#include <stdbool.h>

/* Why a Jr was started again; counted by cause. Those a drill ordered are one cause, whatever it did. */
#define DEATHS(X)                                                                                     \
	X(EXIT, "exit", "left by itself")                                                             \
	X(SIGNAL, "signal", "killed by a signal that is not ours")                                    \
	X(UNKNOWN, "unknown", "ended; it was adopted from a tribed that died, so nobody told us how") \
	X(OOM, "oom", "ended for want of memory: it said so, or the kernel killed it")                \
	X(HANG, "hang", "no heartbeat, not starved; or it would not take the lead: killed")           \
	X(MUTE, "mute", "it beats and answers nothing: killed")                                       \
	X(STOPPED, "stopped", "stopped by a signal: killed")                                          \
	X(START_TIMEOUT, "start_timeout", "no hello in time: killed")                                 \
	X(START_FAILED, "start_failed", "the program could not be run")                               \
	X(DRILL, "drill", "ordered by fault.inject; costs nothing")                                   \
	X(REQUEST, "request", "jr.restart")                                                           \
	X(RELOAD, "reload", "replaced, for a new configuration")
enum death {
#define X(id, name, doc) DEATH_##id,
	DEATHS(X) NDEATHS
#undef X
};
#define DEATH_NONE NDEATHS
extern const char *const death_names[NDEATHS];

/* What was noticed, ordered or not, of leads and understudies alike; not of one that was told to leave. With the cause
 * that a death has which it leads to; SLOW leads to none. */
#define DETECTIONS(X)                                                             \
	X(EXIT, "exit", EXIT, "left by itself")                                   \
	X(SIGNAL, "signal", SIGNAL, "killed by a signal that is not ours")        \
	X(UNKNOWN, "unknown", UNKNOWN, "ended, adopted, so we are not told how")  \
	X(OOM, "oom", OOM, "ended for want of memory")                            \
	X(STOPPED, "stopped", STOPPED, "stopped by a signal")                     \
	X(SPIN, "spin", HANG, "silent, and its loop uses the CPU")                \
	X(BLOCK, "block", HANG, "silent, and its loop sleeps")                    \
	X(MUTE, "mute", MUTE, "it beats, has requests and answers none")          \
	X(STUCK, "stuck", HANG, "it beats, nobody leads, and it does not either") \
	X(SLOW, "slow", NONE, "its loop ran late by half of hang_after_ms")       \
	X(START_TIMEOUT, "start_timeout", START_TIMEOUT, "no hello in time")      \
	X(START_FAILED, "start_failed", START_FAILED, "the program could not be run")
enum detection {
#define X(id, name, cause, doc) DETECTED_##id,
	DETECTIONS(X) NDETECTIONS
#undef X
};
extern const char *const detection_names[NDETECTIONS];
enum death detection_death(enum detection d);

#define EXIT_NO_MEMORY 12 /* the status with which a Jr leaves that got no memory */

/* How an end that nobody had foreseen is called. killed: by SIGKILL; short_of_memory: the kernel killed somebody of our
 * control group for want of memory since we last looked. */
enum detection detection_of_end(bool exited, int value, bool short_of_memory);

#endif
