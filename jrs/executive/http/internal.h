/* Inside of jrs/executive/http: a server holds connections, a connection holds at most one request. A request in flight
 * belongs to the handler; its links to connection and server are cut when those go first. */
#ifndef JRS_EXECUTIVE_HTTP_INTERNAL_H
#define JRS_EXECUTIVE_HTTP_INTERNAL_H
#include "common/loop/listen.h"
#include "jrs/executive/http/encoding.h"
#include "jrs/executive/http/http.h"
#include "jrs/executive/http/parse.h"
#include "jrs/executive/http/problem.h"
#include "jrs/executive/http/tls.h"
#include "jrs/executive/http/wheel.h"
#include <sys/queue.h>

#define HTTP_READ_SIZE  65536 /* the server's read buffer, shared: libuv fills and hands it over in one go */
#define HTTP_AHEAD_MAX  65536 /* bytes read ahead of the request in flight before reading stops */
#define HTTP_LINGER_MS  2000  /* after an early refusal: how long the rest of the upload is read and dropped */
#define HTTP_LINGER_MAX (32u << 20)
#define HTTP_BUSY_MS    1000 /* a connection answered so lately is expected to ask again */
#define HTTP_GRACE_MS   50   /* while draining: time for that */
#define HTTP_FRESH_MS   250  /* while draining: time for the first byte of a connection that was just accepted */
#define HTTP_DRAIN_MS   2000 /* while draining: at most so long for any head, body or slow reader */
#define HTTP_ID_MAX     128
#define HTTP_GZIP_MIN   1024         /* bytes: what is shorter fits a packet or two as it is */
#define HTTP_GZIP_MAX   (1u << 20)   /* what is longer would hold up the loop for ten milliseconds and more */
#define HTTP_SMALL      65536        /* bytes of a body, or of what waits to be read, for which there is always room */
#define HTTP_HELD_MAX   (512u << 20) /* cfg.max_held when it is 0 */
#define HTTP_TURN_MS    5  /* of one turn of the loop that may go into large bodies; who had no time comes next */
#define HTTP_LIGHT_MS   30 /* the same for everything else, which does not wait behind large bodies */

enum conn_state {
	CONN_IDLE, /* between two requests */
	CONN_HEAD,
	CONN_BODY,
	CONN_FLIGHT, /* the handler has it */
	CONN_WRITE,  /* the answer is on its way */
	CONN_STREAM, /* an answer in pieces; stream.c writes it */
	CONN_LINGER, /* answered and shut down; reads and drops */
	CONN_CLOSED
};
struct conn {
	uv_tcp_t tcp;
	struct http_server *srv;  /* NULL once the server is freed */
	struct conn *prev, *next; /* the server's list */
	struct wheel_node timer;
	struct http_req *req;       /* owned while it is read; in flight: also the handler's */
	struct http_stream *stream; /* CONN_STREAM: borrowed */
	size_t queued;              /* bytes that wait to be written */
	struct buf ahead;           /* bytes behind the request in flight */
	uint64_t lingered;
	uint64_t served_ms; /* when the last answer had left, in the loop's time */
	enum conn_state state;
	struct tls *tls;           /* owned; NULL: plain HTTP */
	TAILQ_ENTRY(conn) in_rest; /* while resting */
	bool resting, heavy; /* heavy: and in which list. It is not read from before the loop's next turn, for this one
				was long enough */
	bool reading, eof, served, close_after, linger_after, advancing;
	bool secured; /* hands are shaken */
	bool dropped; /* why it closes is counted */
};
struct join { /* the value of a header given several times */
	struct join *next;
	char text[];
};
struct http_req {
	struct http_parser ps;
	struct conn *conn;            /* NULL: lost */
	struct http_server *srv;      /* NULL: freed, or not read from yet */
	struct http_req *prev, *next; /* the server's list of requests in flight */
	struct join *joins;
	size_t charged;   /* bytes of the body on the server's books */
	const char *also; /* borrowed: further header lines of the answer; NULL: none */
	uint64_t started_ns;
	char id[HTTP_ID_MAX + 1];
	bool in_flight, answered;
};
struct http_server {
	struct http_server_cfg cfg;
	struct loop_listener *listener; /* NULL: takes no connections any more */
	struct conn *spare;             /* owned: for the next one, so that who is accepted has what it needs */
	uv_timer_t tick;
	struct wheel wheel;
	struct conn *conns;
	struct http_req *flights;
	struct http_stats stats;
	struct tls_ctx *tls; /* owned; NULL: plain HTTP */
	size_t held; /* bytes of bodies that arrive or are worked on, and of answers that wait for their readers */
	void (*drained)(void *arg);
	void *drained_arg;
	bool started, starved; /* starved: no memory for another connection, tried again at the next tick */
	bool ticking, draining, freed;
	uv_prepare_t turn;                    /* a turn of the loop begins */
	uv_idle_t rest;                       /* while somebody rests */
	TAILQ_HEAD(rest_list, conn) rests[2]; /* without and with much to read; the longest first */
	uint64_t turn_ns;                     /* when the first bytes of this turn were read; 0: none were */
	unsigned closing;                     /* handles of the server that are not closed yet */
	uint64_t grace_ms;                    /* draining: when those that were busy are closed, too */
	struct buf head;                      /* of the answer being written */
	struct http_gzip *gzip;               /* owned; NULL until it is needed */
	char *read_buf;                       /* HTTP_READ_SIZE */
	char date[32];                        /* of second date_s */
	int64_t date_s;
};

/* server.c */
void server_conn_gone(struct http_server *s, struct conn *c); /* takes it off the books */
const char *server_date(struct http_server *s);
/* turn.c: a turn of the loop ends behind the request with which its time is over, so that heartbeats and answers of
 * others are in time whatever arrives. */
void turns_begin(struct http_server *s);
void turns_end(struct http_server *s, uv_close_cb closed);
bool turn_over(struct conn *c);
void conn_rest(struct conn *c);   /* until the next turn */
void conn_unrest(struct conn *c); /* it is not to be waked any more */
/* write.c */
void conn_flush(struct conn *c); /* what TLS has to say; may close */
void conn_bye(struct conn *c);   /* close_notify, if it can leave at once */
void conn_continue(struct conn *c);
/* conn.c */
void conn_deadline(struct conn *c, uint64_t in_ms); /* UINT64_MAX: none. Nobody slow holds up a drain for long. */
void conn_reading(struct conn *c, bool on);
void conn_drop(struct conn *c, enum http_drop why);            /* conn_close(), counted */
int conn_new(struct conn **out, struct http_server *s);        /* on no books yet */
void conn_take(struct conn *c, struct http_server *s, int fd); /* fd: taken over */
void conn_free(struct conn *c);                                /* one that was never taken; NULL is fine */
void conn_close(struct conn *c);                               /* at once; the memory goes when libuv is done */
void conn_timeout(struct conn *c);
void conn_drain(struct conn *c);
void conn_grace_over(struct conn *c);
/* Writes head and body in one go and takes what could not be written at once. body is taken over when owned is not
 * NULL. */
void conn_send(struct conn *c, struct buf *head, const void *body, size_t n, struct buf *owned);
/* Writes a piece of a stream, copying what must wait. < 0: the connection is lost and the caller closes it. */
int conn_put(struct conn *c, const void *p, size_t n);
void conn_put_end(struct conn *c); /* the last piece was put: closes once all has left */
void conn_resume(struct conn *c);  /* after an answer: the next request, if its bytes are here */
/* request.c */
struct http_req *req_new(size_t max_body);
void req_reset(struct http_req *r);
void req_free(struct http_req *r);
void req_refuse(struct conn *c, int status, const char *why);
void req_landed(struct http_req *r); /* takes it out of the server's books */
/* Status line and headers. framing: lines about how the body is coded and ends; length: of the body, -1: not said. */
int req_head(struct buf *head, const struct conn *c, const struct http_req *r, int status, const char *type,
	     const char *framing, int64_t length, const char *extra);
/* stream.c */
void stream_lost(struct http_stream *s); /* its connection closes */

#endif
