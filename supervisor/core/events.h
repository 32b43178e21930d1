/* What happened lately: a ring of typed events, numbered without gaps from 1. Pure: the time is passed in. */
#ifndef SUPERVISOR_CORE_EVENTS_H
#define SUPERVISOR_CORE_EVENTS_H
#include <stdint.h>

#define EVENTS_KEPT 1000

/*        kind         word           of a Jr: what it means */
#define EVENT_KINDS(X)                                                                         \
	X(START, "start", "ordered to start")                                                  \
	X(STOP, "stop", "ordered to stop")                                                     \
	X(SPAWN, "spawn", "a process was made")                                                \
	X(ADOPT, "adopt", "a process of a tribed that died goes on under this one")            \
	X(WAITS, "waits", "it said hello and could lead: an understudy")                       \
	X(PROMOTE, "promote", "it leads its role in a new epoch")                              \
	X(READY, "ready", "it leads and serves")                                               \
	X(EXIT, "exit", "its process ended, or could not be made; detail: how, and the cause") \
	X(HANG, "hang", "no heartbeats, not starved, or does not lead: it is killed")          \
	X(STOPPED, "stopped", "stopped by a signal: it is killed")                             \
	X(MUTE, "mute", "it beats, has requests and answers none: it is killed")               \
	X(SLOW, "slow", "its loop runs late by half of hang_after_ms; nobody is killed")       \
	X(LATE, "late", "no hello in time: it is killed")                                      \
	X(BACKOFF, "backoff", "the next start waits")                                          \
	X(FAILED, "failed", "crashed too often; tried again at the longest interval")          \
	X(DRILL, "drill", "harmed on purpose by fault.inject")                                 \
	X(HEAL, "heal", "what fault.inject had begun was ended before it cost anything")       \
	X(VOTE, "vote", "it tells: a vote was opened, or closed and what came of it")          \
	/* of the whole */                                                                     \
	X(RELOAD, "reload", "the configuration was read again; detail: what came of it")       \
	X(OPERATIONAL, "operational", "every Jr serves and the archive is healthy")            \
	X(DEGRADED, "degraded", "something is missing, questions are answered")                \
	X(IS_DOWN, "down", "memory-jr or executive-jr is missing: no questions are answered")  \
	X(SHUTDOWN, "shutdown", "an ordered end began")
enum event_kind {
#define X(id, word, doc) EVENT_##id,
	EVENT_KINDS(X) EVENT_NKINDS
#undef X
};
extern const char *const event_words[EVENT_NKINDS];

#define EVENT_NO_ROLE (-1)
struct event {
	uint64_t seq;
	int64_t at_ms; /* wall clock */
	enum event_kind kind;
	int role;            /* enum tr_role or EVENT_NO_ROLE */
	uint32_t pid;        /* 0: none */
	uint32_t generation; /* with a role only, as epoch */
	uint64_t epoch;
	char detail[96]; /* for a person; may be empty */
};

struct events {
	uint64_t count; /* all of them; the newest has this number */
	struct event ring[EVENTS_KEPT];
};

/* Copies *e, giving it its number; the oldest is forgotten. Returns the copy, valid until EVENTS_KEPT more were added.
 */
const struct event *events_add(struct events *s, const struct event *e);
/* The number of the first of the last `limit` that are kept; count + 1 when there are none. */
uint64_t events_first(const struct events *s, uint32_t limit);
/* seq: kept still. */
const struct event *events_at(const struct events *s, uint64_t seq);

#endif
