#include "proto/chan/any.h"
#include "common/base/clock.h"
#include "common/log/log.h"

#define GOSSIP_EVERY_MS 1000

const size_t chan_msg_size[WIRE_NMSGS] = {
#define MSG(id, method, kind, callers, cap, doc) sizeof(struct msg_##id),
#include "proto/wire/messages.def"
#undef MSG
};

void chan_gossip(struct chan_gossip *g, const char *what, int r, const struct tr_fault *fault)
{
	uint64_t now = tr_mono_ms();
	bool known = fault != NULL && fault->rule[0] != '\0';

	if (now < g->next_ms) {
		g->held++;
		return;
	}
	log_warn("%s error=%s field=\"%s\" rule=\"%s\" like_it=%u", what, tr_err_name(r), known ? fault->field : "",
		 known ? fault->rule : tr_strerror(r), g->held);
	g->held = 0;
	g->next_ms = now + GOSSIP_EVERY_MS;
}
