/* What integration-jr answers: integration.synthesise and integration.import. Thin: the deciding is done in text/,
 * synthesis/ and import/. */
#ifndef JRS_INTEGRATION_HANDLERS_H
#define JRS_INTEGRATION_HANDLERS_H
#include "jrs/kit/decided.h"
#include "proto/chan/peer.h"
#include "proto/chan/server.h"
#include <uv.h>

struct integration;
struct integration_cfg {
	uv_loop_t *loop;
	struct peer *memory;     /* borrowed; integration_free() comes before peer_free() */
	uint32_t timeout_ms;     /* of one batch, for a caller that brings no deadline */
	struct decided *decided; /* refused imports are decided upon: each once an hour; NULL: nobody is told */
};
int integration_new(struct integration **out, const struct integration_cfg *cfg);
/* chan_handler each; arg: struct integration */
void integration_synthesise(void *arg, struct chan_call *call, const void *msg);
/* The piece goes to memory-jr in batches, each under a request id reckoned from the call's own id and the piece: a call
 * that is sent again after a crash does nothing twice. Answered when everything is durable; if one batch fails, with
 * its error and no counts, and the caller may repeat the whole piece. */
void integration_import(void *arg, struct chan_call *call, const void *msg);
/* How integration-jr votes: by where what speaks to the proposal comes from. */
void integration_ballot(void *arg, struct chan_call *call, const void *msg);
void integration_free(struct integration **in); /* unfinished imports and ballots end with TR_ECLOSED */

#endif
