/* The asking side: a standing connection to one Unix socket, opened on first use and again whenever it is lost. A request stays
 * in the peer's book until its answer or its deadline; after a reconnect every unanswered one is sent again under the same
 * request_id, so a Jr that died with it costs time and nothing else. Everything on the loop's thread. */
#ifndef PROTO_CHAN_PEER_H
#define PROTO_CHAN_PEER_H
#include <uv.h>
#include "proto/wire/wire.h"

struct peer;
/* r == 0: res is struct res_ID, borrowed during the callback. r < 0: fault says why (code r): TR_EDEADLINE, TR_EUNAVAILABLE,
 * TR_EBUSY, or what the other side answered. Called exactly once for each peer_call() that returned 0, never from inside it. */
typedef void peer_cb(void *arg, int r, const void *res, const struct tr_fault *fault);

/* path: of the socket, copied. max_waiting: unanswered calls kept before peer_call() says TR_EBUSY. */
int peer_new(struct peer **out, uv_loop_t *loop, const char *path, unsigned max_waiting);
/* msg: struct msg_ID, packed before this returns. A request without a request_id gets one when the method has effects
 * elsewhere than in its answer (memory.add, memory.decide, memory.vote_open, executive.vote, integration.import). timeout_ms goes along as deadline_ms, less what has
 * passed when it is sent again. A socket that cannot be connected (ENOENT, ECONNREFUSED) is tried again, 1 ms first, up to
 * 50 ms apart, until the deadline: never connected ends with TR_EUNAVAILABLE, connected and not answered with TR_EDEADLINE.
 * token, when not NULL, receives what peer_cancel() wants. */
int peer_call(struct peer *p, enum wire_msg_id id, const void *msg, uint32_t timeout_ms, peer_cb *cb, void *arg, uint32_t *token);
void peer_cancel(struct peer *p, uint32_t token); /* its callback is not called any more */
/* Connected from now on, also without a call that waits: after a loss again, as a call would. Each new connection is asked who
 * answers there (jr.ping), so that peer_move() can tell. An answer that makes no sense is as a lost connection from now on: what is
 * unanswered is asked again until its deadline; without this it ends its call with TR_EPROTO. */
void peer_open(struct peer *p);
/* Somebody else answers there now, in this epoch: drops the connection, connects again and sends at once what is unanswered, under
 * the same ids; on_lost() is called. Unless this connection is of that epoch already, or may be one that he is just about to accept
 * (nothing was heard on it yet: he has 3 ms for it). Not newer than an epoch told before: nothing happens. 0: unknown, a
 * connection on which anything was ever heard is renewed. */
void peer_move(struct peer *p, uint64_t epoch);
/* Who said last that he answers there (peer_open()); 0: nobody yet. He may be dead. */
pid_t peer_pid(const struct peer *p);
/* A notification over the standing connection, written at once. TR_ECLOSED: there is none. Allocates nothing if p is open. */
int peer_note(struct peer *p, enum wire_msg_id id, const void *msg);
/* Notifications that arrive (heartbeats of a follower). msg: struct msg_ID, borrowed. */
typedef void peer_note_cb(void *arg, enum wire_msg_id id, const void *msg);
void peer_on_note(struct peer *p, peer_note_cb *cb, void *arg);
/* A standing connection was lost (calls are sent again by themselves; what a follower asked for it must ask again). */
typedef void peer_lost_cb(void *arg);
void peer_on_lost(struct peer *p, peer_lost_cb *cb, void *arg);
struct peer_stats {
	uint64_t calls, resent, reconnects, broken; /* broken: connections given up because of what came over them */
	uint32_t waiting;
};
const struct peer_stats *peer_stats(const struct peer *p);
void peer_shut(struct peer *p);  /* waiting calls end with TR_ECLOSED, called from inside this; so does every later peer_call() */
void peer_free(struct peer **p); /* waiting calls end with TR_ECLOSED, called from inside this */

#endif
