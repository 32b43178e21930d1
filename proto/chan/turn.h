/* Something to do once before the loop next waits, however often it is asked for. Internal to proto/chan. */
#ifndef PROTO_CHAN_TURN_H
#define PROTO_CHAN_TURN_H
#include <uv.h>

struct chan_turn;
int chan_turn_new(struct chan_turn **out, uv_loop_t *loop, void (*fn)(void *arg), void *arg);
void chan_turn_ask(struct chan_turn *t);
void chan_turn_free(struct chan_turn **t); /* fn is not called any more; may be called inside fn; NULL is fine */

#endif
