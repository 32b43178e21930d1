/* The answering side of a Unix stream socket that speaks MessagePack-RPC. Everything on the loop's thread.
 * A peer's bytes are gossip: a broken frame, a wrong type or an unknown method is counted, logged (rate-limited), answered with
 * an error where a msgid could be read, and closed where the framing is lost; it never reaches a handler. */
#ifndef PROTO_CHAN_SERVER_H
#define PROTO_CHAN_SERVER_H
#include <uv.h>
#include "proto/wire/wire.h"

struct chan_server;
struct chan_conn;

/* One request waiting for its answer. Freed by chan_reply()/chan_fail(), exactly one of which must be called, at any later
 * time; the connection may be gone by then (the answer is dropped). */
struct chan_call;
/* msg: struct msg_ID, valid until the call is answered. Callable: chan_reply/chan_fail at once or later. */
typedef void chan_handler(void *arg, struct chan_call *call, const void *msg);

/* Who is on the other end? Decides from peer credentials; returns the bits of enum wire_caller, 0 = refuse the connection. */
typedef unsigned chan_identify(void *arg, pid_t pid, uid_t uid, gid_t gid);

struct chan_server_cfg {
	uv_loop_t *loop;
	int fd;                    /* listening socket; the server takes it over */
	unsigned max_conns;        /* a further one takes the place of that which has been idle longest, or waits in the kernel */
	size_t max_queue;          /* bytes waiting to be written on one connection before it is closed, e.g. 32 MiB */
	unsigned max_inflight;     /* unanswered requests on one connection before reading pauses */
	chan_identify *identify;   /* NULL: our own uid and root are FROM_ANY_JR | FROM_USER, everybody else is refused */
	void (*on_close)(void *arg, struct chan_conn *conn); /* may be NULL */
	void *arg;
	uint32_t timeout_ms;       /* the deadline of a request that brings none; 0: none */
	bool held;                 /* accept nothing before chan_server_start() */
};
struct chan_stats {
	uint64_t accepted, refused, requests, answered, failed, broken; /* broken: protocol errors */
	uint32_t conns, inflight;
};
/* SIGPIPE must be ignored by the program. on_close and handlers may free the server. */
int chan_server_new(struct chan_server **out, const struct chan_server_cfg *cfg);
/* Handlers by message; a message without one answers TR_EMETHOD. */
void chan_server_handle(struct chan_server *s, enum wire_msg_id id, chan_handler *fn, void *arg);
/* Notifications by message; one without a handler, or that cannot be understood, ends its connection. msg: struct msg_ID, borrowed.
 * The handler may free the server. */
typedef void chan_note(void *arg, const void *msg);
void chan_server_on_note(struct chan_server *s, enum wire_msg_id id, chan_note *fn, void *arg);
void chan_server_start(struct chan_server *s);          /* only for one that is held */
void chan_server_stop_accepting(struct chan_server *s); /* for a drain: answers what is in flight, takes nothing new */
bool chan_server_idle(const struct chan_server *s);     /* nothing unanswered, every answer has left */
/* Once, from the loop, when the server has stopped accepting and is idle. */
void chan_server_on_idle(struct chan_server *s, void (*fn)(void *arg), void *arg);
/* Requests, also of callers that have gone, that have waited for late_ms more than their deadline and cfg.timeout_ms: one
 * that is in a hurry makes nobody late. Cheap: looks through them only when there may be some. */
uint32_t chan_server_overdue(struct chan_server *s, uint32_t late_ms);
const struct chan_stats *chan_server_stats(const struct chan_server *s);
/* Closes every connection and accepts no more: what is unanswered is dropped, and its callers see that. */
void chan_server_shut(struct chan_server *s);
/* For drills. SILENT: requests are read and nobody gets them; when that ends, their connections are closed. GARBAGE: each answer is
 * spoiled, in the ways of proto/chan/spoil.h by turns. May call on_close. */
enum chan_harm { CHAN_SOUND, CHAN_SILENT, CHAN_GARBAGE };
void chan_server_harm(struct chan_server *s, enum chan_harm harm);
void chan_server_free(struct chan_server **s); /* closes every connection; unanswered calls stay valid to answer, answers are dropped */

const struct wire_common *chan_call_common(const struct chan_call *call);
enum wire_msg_id chan_call_id(const struct chan_call *call);
msgpack_zone *chan_call_zone(struct chan_call *call);      /* memory that lives until the call is answered */
uint32_t chan_call_left_ms(const struct chan_call *call);  /* of its deadline, counted from its arrival, or of cfg.timeout_ms; UINT32_MAX: none */
struct chan_conn *chan_call_conn(const struct chan_call *call); /* NULL once it is gone */
void chan_reply(struct chan_call *call, const void *res);  /* res: struct res_ID, borrowed during the call */
void chan_fail(struct chan_call *call, const struct tr_fault *fault);
void chan_failf(struct chan_call *call, int code, const char *field, const char *fmt, ...) __attribute__((format(printf, 4, 5)));
/* A follower: that it asks nothing does not make it idle. */
void chan_conn_keep(struct chan_conn *conn);
/* A notification on a standing connection (heartbeat followers). TR_ECLOSED / TR_EBUSY when its queue is full (it is then closed, from the
 * loop: on_close follows). Never closes inside the call. */
int chan_notify(struct chan_conn *conn, enum wire_msg_id id, const void *msg);

#endif
