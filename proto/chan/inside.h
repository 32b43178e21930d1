/* What the answering side is made of: server.c has the connections, call.c the calls. Internal to proto/chan. */
#ifndef PROTO_CHAN_INSIDE_H
#define PROTO_CHAN_INSIDE_H
#include "common/loop/listen.h"
#include "proto/chan/any.h"
#include "proto/chan/server.h"
#include "proto/chan/stream.h"
#include "proto/chan/turn.h"
#include <stddef.h>
#include <sys/queue.h>

struct chan_server {
	struct chan_server_cfg cfg;
	struct loop_listener *listener;
	struct chan_turn *turn;
	struct loop_timer *full;  /* nobody is idle yet: when to look again */
	struct chan_conn *leaver; /* of room(), for accepted() right behind it: makes room; NULL: there is some */
	LIST_HEAD(, chan_conn) conns;
	LIST_HEAD(, chan_call) calls;
	uint64_t due_ms; /* none of them is overdue before */
	struct {
		chan_handler *fn;
		void *arg;
	} handlers[WIRE_NMSGS];
	struct {
		chan_note *fn;
		void *arg;
	} notes[WIRE_NMSGS];
	enum chan_harm harm;
	unsigned spoiled; /* answers made worthless so far: which way is next */
	bool started, stopping;
	unsigned busy; /* callbacks under way that may free the server */
	bool dead;
	void (*on_idle)(void *arg);
	void *idle_arg;
	struct chan_gossip gossip;
	struct chan_stats stats;
};

struct chan_conn {
	LIST_ENTRY(chan_conn) link;
	struct chan_server *server;
	struct chan_stream *stream;
	unsigned caller;
	unsigned inflight;
	bool keep;
	uint64_t done_ms; /* when its last answer was given */
	bool eof;         /* it will ask no more; closed once the last answer has left */
	LIST_HEAD(, chan_call) calls;
};

/* Outlives its connection and the server: both pointers are then NULL. */
struct chan_call {
	LIST_ENTRY(chan_call) of_conn, of_server;
	struct chan_server *server;
	struct chan_conn *conn;
	enum wire_msg_id id;
	uint64_t arrived_ms, due_ms; /* due_ms: when it has waited too long; UINT64_MAX: never */
	const struct wire_common *common;
	struct wire_in in;   /* owns the zone; borrows from frame */
	char *frame;         /* owned */
	uint32_t timeout_ms; /* the server's */
	bool unheard;        /* by CHAN_SILENT: no handler has it */
	max_align_t msg[];   /* struct msg_ID */
};

/* Later than everything that is being sent now: has a half-closed connection, or the whole server, nothing left to do?
 */
void chan_conn_ask_settled(struct chan_conn *c);
/* An answer was packed behind the first `at` bytes of what is to be sent: by CHAN_GARBAGE it is spoiled now. */
void chan_conn_packed(struct chan_conn *c, size_t at);
void chan_call_free(struct chan_call *call);

#endif
