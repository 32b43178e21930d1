/* The built-in load: users who remember, read back what was acknowledged to them, and ask, each on a standing HTTP
 * connection, on a thread of its own. A user whose request met trouble repeats it with the same Idempotency-Key. All of
 * it lies under the source "drill:ID", which no recall, figure or temperature of anybody else sees; at the end it is
 * listed, removed, and looked for again. */
#ifndef SUPERVISOR_CTL_DRILL_LOAD_H
#define SUPERVISOR_CTL_DRILL_LOAD_H
#include "supervisor/ctl/drill/history.h"
#include "supervisor/ctl/drill/http.h"

struct load_cfg {
	const struct http_where *where; /* borrowed until load_free() */
	const char *id;                 /* of the drill, <= 64 bytes; copied */
	uint32_t users;
	double rate; /* requests a second and user, at most */
	uint64_t seed;
};
enum load_phase {
	LOAD_RUNS,
	LOAD_SETTLES, /* no new requests; those under way get their answers */
	LOAD_LISTS,
	LOAD_CLEANS,
	LOAD_ENDED
};
struct load_now {
	enum load_phase phase;
	uint64_t good, troubles;                /* requests; refusals, 5xx, timeouts, garbage: not resets */
	uint64_t last_good_ns, last_trouble_ns; /* 0: none yet */
};
struct load_left {
	uint32_t listed, removed, left; /* memories of the drill: at the end, taken away, found when it looked again */
	bool looked;                    /* `left` was found out */
};

struct load;
int load_start(struct load **out, const struct load_cfg *cfg);
void load_now(struct load *l, struct load_now *out);
/* Begins the end: settle, list, clean. It takes up to a minute when nothing answers any more; see load_now(). */
void load_end(struct load *l);
/* Waits for LOAD_ENDED; only then may these two be read. */
void load_join(struct load *l);
const struct history *load_history(const struct load *l);
const struct load_left *load_left(const struct load *l);
void load_free(struct load **l); /* joins first; NULL is fine */

#endif
