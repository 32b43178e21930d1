/* The decision log of a Jr: what it decides by itself it writes down as a decision, with its reason. Bounded: of one
 * topic at most one decision is written in each period (hours and days of UTC), also across restarts of anybody: the
 * request's id is made of Jr, topic and period, and memory-jr knows it for 24 h. Nobody waits for it: while memory-jr
 * is away it is tried again, for an hour; what does not fit into the queue is dropped and counted in the log. On its
 * loop's thread. */
#ifndef JRS_KIT_DECIDED_H
#define JRS_KIT_DECIDED_H
#include "common/base/roles.h"
#include "proto/chan/peer.h"

#define DECIDED_HOUR_MS 3600000
#define DECIDED_DAY_MS  86400000 /* the longest period: as long as memory-jr knows a request */

struct decided;
struct decided_cfg {
	uv_loop_t *loop;
	struct peer *memory; /* borrowed; decided_free() comes before peer_free() */
	enum tr_role role;   /* who decides */
	uint32_t timeout_ms; /* of one try */
	uint32_t again_ms;   /* until the next; 0: 2000 */
};
int decided_new(struct decided **out, const struct decided_cfg *cfg);
/* topic: what it is about, such as "failed memory_jr"; at_ms: when it was decided, wall clock: names the period. The
 * text is at most 500 bytes of it. Of a topic that was said in this period already nothing is sent. */
void decided_say(struct decided *d, const char *topic, int64_t period_ms, int64_t at_ms, const char *fmt, ...)
	__attribute__((format(printf, 5, 6)));
void decided_free(struct decided **d); /* what is unsaid is lost */

#endif
