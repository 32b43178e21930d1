/* fault.inject and fault.heal: what a drill does to the Jrs, and that none of it outlasts the drill. tribed itself
 * kills a Jr as soon as SIGCHLD says that it has stopped; until then, and for faults that nobody else would end, the
 * healing is here: by fault.heal, when its time is over, when the connection that began it closes. */
#ifndef SUPERVISOR_APP_HARM_H
#define SUPERVISOR_APP_HARM_H
#include "proto/chan/server.h"
#include "supervisor/app/tribe.h"
#include "supervisor/core/faults.h"

struct harm_watch {
	struct harm *harm;
	struct loop_timer *timer; /* a lasting fault's time is over */
	const void *hitter;       /* whose drill waits for the next lead or hello of this role; NULL: nobody's */
};
struct harm {
	struct tribe *tribe;
	struct faults faults;
	struct harm_watch watch[TR_NROLES];
};

int harm_init(struct harm *h, struct tribe *t); /* harm_free() is due anyway */
void harm_free(struct harm *h);
/* Handlers; arg: the struct harm. */
void harm_on_inject(void *arg, struct chan_call *call, const void *msg);
void harm_on_heal(void *arg, struct chan_call *call, const void *msg);
void harm_on_change(struct harm *h, struct worker *w);            /* its state or its life is another */
void harm_on_close(struct harm *h, const struct chan_conn *conn); /* ends what it began and did not end */

#endif
