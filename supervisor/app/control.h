/* control.sock: what an operator may ask of tribed. A Jr's pid is refused; our own user and root are served; members of
 * group tribe may look. */
#ifndef SUPERVISOR_APP_CONTROL_H
#define SUPERVISOR_APP_CONTROL_H
#include "proto/chan/server.h"
#include "supervisor/app/tribe.h"

struct control;
int control_new(struct control **out, struct tribe *t);
void control_on_change(struct control *c, struct worker *w);               /* answers who waits for this state */
void control_on_beat(struct control *c, const struct msg_heartbeat *beat); /* passes it on to followers */
void control_on_event(struct control *c, const struct msg_event *event);   /* likewise */
/* The worker a request names; NULL: there is none, and the call has been answered. */
struct worker *control_worker(struct tribe *t, struct chan_call *call, wire_str jr);
void control_free(struct control **c); /* whoever still waits is told so */

#endif
