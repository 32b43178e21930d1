/* What a drill can do to a tribe, written once. by: TRIBED sends a signal or two; INSIDE a fault point of the Jr's own does
 * it, with `drills: true` alone; RUNNER the drill does it without being offered help. lasts: until it is healed or its
 * time (ms) is over. amount: what the optional figure of fault.inject means. */
#ifndef COMMON_BASE_HARMS_H
#define COMMON_BASE_HARMS_H
#include <stddef.h>

/* clang-format off */
/*        kind        word               by      lasts  what it does */
#define HARM_KINDS(X)                                                                                                       \
	X(KILL,       "kill",            TRIBED, false, "SIGKILL for the lead")                                              \
	X(HANG,       "hang",            TRIBED, true,  "SIGSTOP for the lead")                                              \
	X(SPIN,       "spin",            INSIDE, false, "its loop never comes back and burns a CPU")                         \
	X(BLOCK,      "block",           INSIDE, false, "its loop never comes back and sleeps")                              \
	X(SLOW,       "slow",            INSIDE, true,  "each turn of its loop takes longer; amount: ms (20)")               \
	X(EXIT,       "exit",            INSIDE, false, "it leaves at once; amount: the exit status (1)")                    \
	X(HEAP,       "heap",            INSIDE, true,  "it takes memory and touches it: its death is more work; amount: MB (512)") \
	X(OOM,        "oom",             INSIDE, false, "RLIMIT_AS a little above what it has, then it asks for memory until there is none") \
	X(FDS,        "fd-exhaustion",   INSIDE, true,  "RLIMIT_NOFILE at what it has open")                                 \
	X(HALF_OPEN,  "half-open",       INSIDE, true,  "it reads requests and never answers")                               \
	X(GARBAGE,    "garbage",         INSIDE, true,  "what it answers on its socket is corrupt")                          \
	X(DOUBLE,     "double",          TRIBED, false, "SIGKILL for the lead and one understudy in one tick")               \
	X(DURING,     "during-recovery", TRIBED, false, "SIGKILL for the lead, and again for who takes over, at once")       \
	X(SUPERVISOR, "supervisor-kill", RUNNER, false, "SIGKILL for tribed")
/* clang-format on */
enum harm_kind {
#define X(id, word, by, lasts, doc) HARM_##id,
	HARM_KINDS(X) HARM_NKINDS
#undef X
};
enum harm_by { HARM_BY_TRIBED, HARM_BY_INSIDE, HARM_BY_RUNNER };
struct harm_info {
	const char *word;
	enum harm_by by;
	int lasts;
	const char *doc;
};
extern const struct harm_info harm_kinds[HARM_NKINDS];

int harm_find(const char *p, size_t n); /* enum harm_kind; -1: there is no such one */

#endif
