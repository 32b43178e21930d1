/* Asks one Jr, on fresh connections, until a process of a later life gives a good answer. Blocking and free of the
 * loop, so that nothing but the Jr is in the measured path. */
#ifndef SUPERVISOR_CTL_DRILL_PROBE_H
#define SUPERVISOR_CTL_DRILL_PROBE_H
#include "common/base/roles.h"
#include "proto/wire/wire.h"
#include <stdbool.h>
#include <stdint.h>

struct probe_result {
	bool good;                /* the rest below holds only then */
	uint64_t at_ns;           /* CLOCK_MONOTONIC of the answer */
	uint32_t pid, generation; /* of the process that gave it */
	uint64_t epoch;
	/* 0: it did not come to that */
	uint64_t ready_ns; /* another process said who it is */
	/* always */
	uint32_t attempts; /* connections */
	uint32_t refused;  /* nobody listened: must stay 0, tribed holds the sockets */
	uint32_t lost;     /* closed before the answers came */
	uint32_t failed;   /* an error for an answer */
	char error[160];   /* the last of them; empty: none */
};

/* Who was hit, and for how long somebody asks who answers now. */
struct probe_order {
	enum tr_role role;
	uint32_t pid, generation; /* of the process that was hit */
	uint32_t also;            /* and of the one that was hit with it; 0: none */
	uint64_t epoch;           /* in which it led */
	bool anyone;              /* a good answer of the same process will do: what was done to it passes */
	uint32_t try_ms;          /* an attempt without an answer ends after this; 0: only when its connection does */
	uint64_t deadline_ns;
	bool (*stop)(void); /* asked whenever a signal came; NULL: it never says so */
};
/* Each attempt asks jr.ping (who are you?) and the role's own question (do you do your work?) on one connection to
 * `path`; both must be answered well, by a process other than those that were hit and of a later generation or epoch.
 */
void probe_until(const char *path, const struct probe_order *order, struct probe_result *out);
/* Appends both requests, msgid 1 and 2, to sb. Pure. */
int probe_pack(msgpack_sbuffer *sb, enum tr_role role);

#endif
