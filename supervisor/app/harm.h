/* fault.inject and fault.heal: what a drill does to the Jrs, and that none of it outlasts the drill. tribed itself
 * kills a Jr as soon as SIGCHLD says that it has stopped; until then, and for faults that nobody else would end, the
 * healing is here. */
#ifndef SUPERVISOR_APP_HARM_H
#define SUPERVISOR_APP_HARM_H
#include "proto/chan/server.h"
#include "supervisor/app/tribe.h"
#include "supervisor/core/faults.h"

struct harm {
	struct tribe *tribe;
	struct faults faults;
};

/* Handlers; arg: the struct harm. */
void harm_on_inject(void *arg, struct chan_call *call, const void *msg);
void harm_on_heal(void *arg, struct chan_call *call, const void *msg);
void harm_on_change(struct harm *h, const struct worker *w);      /* its state or its life is another */
void harm_on_close(struct harm *h, const struct chan_conn *conn); /* ends what it began and did not end */

#endif
