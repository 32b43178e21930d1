/* Asks one Jr, on fresh connections, until a process of a later life gives a good answer. Blocking and free of the
 * loop, so that nothing but the Jr is in the measured path. */
#ifndef SUPERVISOR_CTL_PROBE_H
#define SUPERVISOR_CTL_PROBE_H
#include "common/base/roles.h"
#include "proto/wire/wire.h"
#include <stdbool.h>
#include <stdint.h>

struct probe_result {
	bool good;                /* the rest below holds only then */
	uint64_t at_ns;           /* CLOCK_MONOTONIC of the answer */
	uint32_t pid, generation; /* of the process that gave it */
	/* always */
	uint32_t attempts; /* connections */
	uint32_t refused;  /* nobody listened: must stay 0, tribed holds the sockets */
	uint32_t lost;     /* closed before the answers came */
	uint32_t failed;   /* an error for an answer */
	char error[160];   /* the last of them; empty: none */
};

/* Each attempt asks jr.ping (who are you?) and the role's own question (do you do your work?) on one connection; both
 * must be answered well, by a process other than pid and of a generation later than `generation`. Until deadline_ns, or
 * until stop() says so (NULL: it never does; it is asked whenever a signal came). */
void probe_until(const char *path, enum tr_role role, uint32_t pid, uint32_t generation, uint64_t deadline_ns,
		 bool (*stop)(void), struct probe_result *out);
/* Appends both requests, msgid 1 and 2, to sb. Pure. */
int probe_pack(msgpack_sbuffer *sb, enum tr_role role);

#endif
