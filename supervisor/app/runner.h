/* A drill for whoever looks at the page: `tribectl drill` in a process of its own, one at a time. Load, history and
 * verdict live there; it comes to control.sock like any user's, and what it found comes back by drill.report. */
#ifndef SUPERVISOR_APP_RUNNER_H
#define SUPERVISOR_APP_RUNNER_H
#include "proto/wire/wire.h"

struct runner;
struct tribe;
int runner_new(struct runner **out, struct tribe *t); /* t: borrowed */
void runner_free(struct runner **r);
/* Begins one, or answers for the one that was begun under the same request_id. *out: borrowed until the next call.
 * TR_EINVAL, TR_EREFUSED (needs a setting), TR_ECONFLICT (one is running), TR_EMISMATCH (that request_id was another
 * drill's), TR_EUNAVAILABLE. */
int runner_start(struct runner *r, const struct msg_drill_start *msg, struct item_drill_run *out,
		 struct tr_fault *fault);
bool runner_now(const struct runner *r, struct item_drill_run *out); /* false: none is running */
void runner_stop(struct runner *r);                                  /* the tribe is leaving; NULL is fine */

#endif
