/* What happens, to those who follow it: on control.sock, and executive-jr over its channel (for the page), which also
 * gets the beats of every Jr, at most one a second of each. A full channel loses notes (counted there); control.sock
 * loses none. */
#ifndef SUPERVISOR_APP_FEED_H
#define SUPERVISOR_APP_FEED_H
#include "supervisor/app/tribe.h"

/* Numbers and keeps *e, and passes it on. */
void feed_event(struct tribe *t, struct event *e);
void feed_word(struct tribe *t, enum event_kind kind, const char *detail); /* of the whole tribe; detail may be NULL */
void feed_beat(struct tribe *t, const struct msg_heartbeat *beat);
/* `events`, asked over a Jr's channel. */
void feed_answer(struct tribe *t, struct copy *c, uint32_t msgid, const struct msg_events *msg);
/* The last `limit` events that are kept, in order, into out[limit]; strings are borrowed from the ring. Returns how
 * many. */
uint32_t feed_list(const struct tribe *t, uint32_t limit, struct item_event *out);

#endif
