/* Room for any message, from the table; and log lines about strangers, at most one a second. Internal to proto/chan. */
#ifndef PROTO_CHAN_ANY_H
#define PROTO_CHAN_ANY_H
#include "proto/wire/wire.h"

union any_msg {
	struct wire_common common; /* every struct msg_ID begins with it */
#define MSG(id, method, kind, callers, cap, doc) struct msg_##id id;
#include "proto/wire/messages.def"
#undef MSG
};

#define REQUEST(id) struct res_##id id;
#define NOTE(id)
union any_res {
#define MSG(id, method, kind, callers, cap, doc) kind(id)
#include "proto/wire/messages.def"
#undef MSG
};
#undef REQUEST
#undef NOTE

extern const size_t chan_msg_size[WIRE_NMSGS]; /* sizeof(struct msg_ID) */

struct chan_gossip {
	uint64_t next_ms;
	unsigned held; /* lines not written since the last one */
};
/* One line about something a peer did wrong: what it is, code and rule. Counts without writing when the last is too
 * near. */
void chan_gossip(struct chan_gossip *g, const char *what, int r, const struct tr_fault *fault);

#endif
