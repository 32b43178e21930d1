/* What the users of a drill's load did and saw: one record a request (its repeats included), one a trouble. Written by
 * the load's thread alone, read by others once it has ended. Times are CLOCK_MONOTONIC, ns. */
#ifndef SUPERVISOR_CTL_DRILL_HISTORY_H
#define SUPERVISOR_CTL_DRILL_HISTORY_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define HISTORY_NO_KEY  UINT32_MAX
#define HISTORY_OPS_MAX 5000000u /* 48 bytes each; past it the history is not whole and the verdict unknown */

enum op_kind { OP_ADD, OP_GET, OP_ASK, OP_FINDINGS, OP_NKINDS };
extern const char *const op_words[OP_NKINDS];
enum op_end {
	OP_OPEN,   /* no answer when the load ended */
	OP_GOOD,   /* 2xx */
	OP_ABSENT, /* 404 */
	OP_REFUSED /* another 4xx, or no good answer within the patience of a user, repeats included */
};
struct op {
	uint64_t sent_ns, done_ns; /* of the first try; of the answer that counted, 0: none */
	uint32_t user, key;        /* which memory it is about; HISTORY_NO_KEY: none */
	uint16_t status;           /* HTTP, of the last answer; 0: none */
	uint16_t repeats;
	uint8_t kind, end;
	bool known; /* an add that was answered with created=false */
	bool wrong; /* a get that was answered with another content */
};

enum trouble_kind {
	TROUBLE_REFUSED, /* nobody listened */
	TROUBLE_RESET,   /* the connection ended before the answer */
	TROUBLE_SERVER,  /* 5xx */
	TROUBLE_TIMEOUT,
	TROUBLE_GARBAGE, /* not HTTP, or an answer that is not what the API promises */
	TROUBLE_NKINDS
};
extern const char *const trouble_words[TROUBLE_NKINDS];
struct trouble {
	uint64_t at_ns;
	uint32_t op; /* index */
	uint8_t kind;
};

/* A memory of the drill that was there at the end. */
struct listed {
	uint32_t key;      /* HISTORY_NO_KEY: its content is none that was sent */
	uint32_t accesses; /* its access_count: being remembered is one, and nothing the load does is another */
};

struct history {
	struct op *ops;
	struct trouble *troubles;
	struct listed *listed;
	size_t nops, cap_ops, ntroubles, cap_troubles, nlisted, cap_listed;
	uint32_t nkeys; /* memories that were sent: keys 0..nkeys-1 */
	bool whole;     /* nothing was left out, and `listed` is all that was there */
};

/* Index of a new one, or -1: no room, and the history is no longer whole. */
int64_t history_op(struct history *h, const struct op *op);
void history_trouble(struct history *h, const struct trouble *t);
void history_listed(struct history *h, const struct listed *l);
void history_free(struct history *h);

#endif
