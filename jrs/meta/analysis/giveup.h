/* Which of tribed's events are decisions about a role: that it is given up for now, and that it is healed. Pure: events
 * go in, in their order; what is to be written comes out, the same for the same events whoever reads them, and
 * whenever. */
#ifndef JRS_META_ANALYSIS_GIVEUP_H
#define JRS_META_ANALYSIS_GIVEUP_H
#include "common/base/roles.h"
#include "proto/wire/wire.h"

struct giveup {
	uint64_t seq; /* the newest event that was looked at */
	struct {
		uint32_t lead;        /* generation of who leads; 0: nobody, or not known */
		int64_t failed, idle; /* since when it, or who waits behind it, is given up; 0: it is not */
	} role[TR_NROLES];
};
struct giveup_said {
	char topic[64], text[400];
	int64_t at_ms;
};
/* tribed counts anew, or its first event is asked for. */
void giveup_begin(struct giveup *g);
/* True: *out is to be written. Events that were seen already are nothing new. */
bool giveup_see(struct giveup *g, const struct item_event *e, struct giveup_said *out);

#endif
