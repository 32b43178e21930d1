/* Inside of jrs/executive/api. A call lives from api_request() to its one answer; whoever answers it must not touch it
 * again. */
#ifndef JRS_EXECUTIVE_API_INTERNAL_H
#define JRS_EXECUTIVE_API_INTERNAL_H
#include "common/base/text.h"
#include "common/loop/loop.h"
#include "common/metrics/metrics.h"
#include "jrs/executive/api/api.h"
#include "jrs/executive/api/bucket.h"
#include "jrs/executive/api/check.h"
#include "jrs/executive/api/cors.h"
#include "jrs/executive/api/gate.h"
#include "jrs/executive/api/replay.h"
#include "jrs/executive/api/shed.h"
#include "jrs/executive/api/tokens.h"
#include "jrs/executive/http/problem.h"
#include "proto/json/json.h"
#include <sys/queue.h>

struct api_call;
/* What a route asks of who calls: a scope, and whether it is about the whole tribe, which a token bound to a source
 * does not see. */
#define NEEDS_NONE      0, false
#define NEEDS_READ      TR_SCOPE_READ, false
#define NEEDS_READ_ALL  TR_SCOPE_READ, true
#define NEEDS_WRITE     TR_SCOPE_WRITE, false
#define NEEDS_WRITE_ALL TR_SCOPE_WRITE, true
#define NEEDS_ADMIN     TR_SCOPE_ADMIN, true
#define NEEDS_METRICS   TR_SCOPE_METRICS, true
struct route {
	const char *method, *pattern;
	void (*handler)(struct api_call *call);
	unsigned scope; /* 0: anybody may, and needs no token */
	bool whole;
	unsigned takes, gives; /* enum media */
	size_t max_body;
	const char *query;
};
#define R(method, pattern, handler, needs, takes, gives, max_body, query) void handler(struct api_call *call);
#include "jrs/executive/api/routes.def"
#undef R
#define R(method, pattern, handler, needs, takes, gives, max_body, query) +1
enum {
	NROUTES = 0
#include "jrs/executive/api/routes.def"
};
#undef R
extern const struct route routes[NROUTES];

/* Rows of the request counter: methods by name, the last one is "other". */
#define API_METHODS(X) X(GET) X(HEAD) X(POST) X(PUT) X(PATCH) X(DELETE) X(OPTIONS)
#define X(name)        +1
enum { NMETHODS = API_METHODS(X) + 1 };
#undef X

/* door.c */
#define DOOR_TOLD_MAX 16
struct door {
	struct loop_timer *timer;
	bool asking, again;                    /* memory-jr for the tokens; once more as soon as it has answered */
	bool stale;                            /* this process leads from now on: what it knows may be old */
	struct api_call *held;                 /* calls that wait for the answer */
	struct chan_call *told[DOOR_TOLD_MAX]; /* memory-jr's, that they are others; the first `due` wait for the answer
						* to what was asked last */
	unsigned n, due;
};

TAILQ_HEAD(call_list, api_call);

struct decided;
struct api {
	struct api_cfg cfg;
	struct tokens tokens;
	struct door door;
	struct buckets *rates; /* NULL: no limit */
	struct shed shed[SHED_NCLASSES];
	bool shedding[SHED_NCLASSES];                        /* it was said that this began */
	struct gate gate;                                    /* others.c: reads of memory-jr's with large answers */
	struct loop_timer *gate_timer;                       /* while somebody waits there */
	size_t bodies;                                       /* bytes of large bodies that are being worked on */
	uint64_t rate_limited[2], shed_total[SHED_NCLASSES]; /* by address, by token */
	char listen_host[256];
	bool has_token;
	unsigned char token_hash[TR_SHA256_LEN];
	struct decided *decided; /* owned; NULL: nothing was decided yet */
	struct cors *cors;       /* owned; NULL: no page of another origin */
	const uint32_t *conns;   /* borrowed; NULL: not told */
	uint64_t dropped[HTTP_NDROPS];
	unsigned inflight;      /* HTTP calls */
	struct call_list calls; /* those, the oldest first */
	struct {                /* thermal.c */
		struct thermal_line {
			struct call_list next, now; /* calls for the next question, and for that which is being asked */
			bool asking, due;
		} all, own;        /* of who sees everything; of those who are bound to a source */
		struct turn *turn; /* owned; NULL until it is needed */
	} thermal;
	struct api_call *keyed;       /* those of them that have a client's Idempotency-Key */
	unsigned asks;                /* RPC questions */
	struct vote_run *runs;        /* convene.c: votes under way */
	struct loop_timer *resume;    /* while votes may have been left in the middle */
	bool without_integration;     /* said once, when it begins and when it ends */
	int64_t archive_ms;           /* wall clock of memory-jr's last good answer; 0: none yet */
	struct replay *answers;       /* of POST /ask, by Idempotency-Key */
	struct watcher *watchers;     /* events.c: streams that are open */
	unsigned streams;             /* they, and those that wait for tribed's answer */
	uint64_t streams_cut;         /* readers that were too slow */
	uint64_t last_seq;            /* of the events seen; 0: none yet */
	bool behind, syncing;         /* events were lost on the way; they are being asked for */
	struct loop_timer *keepalive; /* while there are watchers */
	bool draining;
	bool mute;                    /* by a drill: calls are kept and not looked at */
	struct api_call *unheard;     /* those, the last one first */
	struct waiting *first, *last; /* others.c: calls to other Jrs, the oldest first */
	struct loop_timer *patience;  /* while there are any */
	bool asking;                  /* tribed, how those Jrs are */
	uint64_t asked_ms;
	uint64_t refused[HTTP_NSTATUSES];              /* by the HTTP side */
	struct metrics_histogram latency[NROUTES + 1]; /* the last one: no route */
	uint64_t requests[NROUTES + 1][NMETHODS][HTTP_NSTATUSES];
};
struct api_call {
	struct api *api;
	struct http_req *req;
	const struct route *route; /* NULL: none */
	struct principal who;      /* nobody, where nobody is asked for */
	uint64_t start_ms;
	TAILQ_ENTRY(api_call) in_order; /* in api->calls */
	TAILQ_ENTRY(api_call) in_turn;  /* in one of api->thermal's, where it waits there */
	msgpack_zone *zone;             /* owned; NULL until api_zone() */
	json_t **docs;                  /* owned: what decoded structs borrow from */
	size_t ndocs;
	char effect_id[KEY_MAX + 1];  /* request_id of an effect on the wire: makes it happen once */
	size_t body;                  /* what it has in api->bodies */
	bool has_key;                 /* it is the client's Idempotency-Key */
	struct api_call *prev, *next; /* in api->keyed, when it has one */
	struct api_call *unheard;     /* the next in api->unheard or in its door's held */
	const char *refused_as;       /* problem type that TR_EREFUSED becomes here; NULL: its own */
	struct peer *peer;            /* being asked by api_forward() */
	void (*rename)(struct api_call *call, struct tr_fault *fault); /* fields of its faults; NULL: they are ours */
	void (*done)(struct api_call *call, const void *res);
	void *own;                      /* the handler's, in the zone */
	const struct wire_shape *shape; /* of res */
};

/* reply.c: each of these answers the call and ends it */
void api_reply_json(struct api_call *call, int status, json_t *doc); /* takes the reference; NULL: out of memory */
/* A struct of that shape, as json_write() writes it. */
void api_reply_struct(struct api_call *call, int status, const struct wire_shape *shape, const void *value,
		      const char *nulls);
void api_reply_text(struct api_call *call, int status, const char *type, struct buf *body);
/* The same with a body that stays the caller's. */
void api_reply_fixed(struct api_call *call, int status, const char *type, const char *body, size_t n);
void api_reply_static(struct api_call *call, const struct http_static *what); /* 200 or 304; *what: for good */
void api_fail(struct api_call *call, const struct tr_fault *fault);
void api_failf(struct api_call *call, int code, const char *field, const char *fmt, ...)
	__attribute__((format(printf, 4, 5)));
/* extra: header lines or NULL */
void api_refuse(struct api_call *call, int status, const char *extra, const char *fmt, ...)
	__attribute__((format(printf, 4, 5)));
/* 403 with a problem type of its own */
void api_forbid(struct api_call *call, const char *problem, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
/* Begins an answer in pieces; the call has ended, also on TR_ENOMEM (503). */
int api_reply_stream(struct api_call *call, const char *type, const struct http_stream_cfg *cfg,
		     struct http_stream **out);
void api_reply_empty(struct api_call *call, const char *extra); /* 204 */

/* admit.c: is there room now? false: it is answered (429, 503). Who has a token is counted by it, whatever address he
 * shares with others; everybody else, and who tries one that is none, by his address. */
bool admit_address(struct api_call *call);
bool admit_principal(struct api_call *call);
bool admit_would(const struct api *api, const struct route *route); /* not be shed */
void admit_learned(struct api *api, enum shed_class class);         /* whether that goes on, after an answer */
void admit_late(struct api *api);                                   /* one was refused at the gate */
/* decided.c: a decision of executive-jr's own, such as ("shed begins", "why ..."): of one topic one is written in each
 * hour. Never blocks and never fails: who is shedding load has other cares. */
void api_decided(struct api *api, const char *topic, const char *text);
/* thermal.c */
void thermal_free(struct api *api);
/* router.c: who calls, and may they? Then the route's handler. */
void api_admit(struct api_call *call);
/* door.c */
int door_open(struct api *api);
void door_hold(struct api_call *call); /* until the tokens are known: then api_admit() once more, or 503 */

void api_welcome(struct api_call *call); /* health.c: what GET / says to a program */

/* call.c */
struct api_call *api_call_new(struct api *api, struct http_req *req);
/* Counts and frees the call; the request, still to be answered, is handed back. */
struct http_req *api_call_end(struct api_call *call, int status);
const char *api_principal_name(const struct api_call *call); /* of who calls; "" where nobody is asked for */
void api_call_keyed(struct api_call *call);                  /* its effect_id is now the client's */
uint32_t api_left_ms(const struct api_call *call);
msgpack_zone *api_zone(struct api_call *call); /* NULL: out of memory */
/* Keeps doc until the call ends; TR_ENOMEM: the reference is dropped. */
int api_keep(struct api_call *call, json_t *doc);
/* Body, one JSON object -> struct of that shape. On failure the call is answered. */
int api_body(struct api_call *call, const struct wire_shape *shape, void *out);
/* Query -> struct of that shape, each parameter by its field's type; path_name (may be NULL) and its value go along, as
 * a string. On failure the call is answered. */
int api_query(struct api_call *call, const struct wire_shape *shape, const char *path_name, struct http_str path_value,
	      void *out);
/* The same with the path's piece as the field path_name, which the body must not have. */
int api_body_at(struct api_call *call, const struct wire_shape *shape, const char *path_name,
		struct http_str path_value, void *out);
/* Asks another Jr; done gets the result, a failure answers the call. At most timeout_ms. msg: struct msg_ID; without a
 * request_id of its own it is given the HTTP request's. */
void api_forward(struct api_call *call, struct peer *peer, enum wire_msg_id id, void *msg, uint32_t timeout_ms,
		 void (*done)(struct api_call *call, const void *res));
json_t *api_encode(const struct api_call *call, const void *res); /* res of the last api_forward() */
/* Names (parted by blanks) that doc does not have become null: part of the contract, and not known. */
void api_nulls(json_t *doc, const char *names);
void api_archive_answered(struct api *api);
const char *api_method_name(unsigned row);
unsigned api_method_row(const char *name);

/* others.c: peer_call(), with a fault that names the Jr which did not answer; a Jr that is down or has failed is not
 * waited for. */
int api_ask(struct api *api, struct peer *peer, enum wire_msg_id id, const void *msg, uint32_t timeout_ms, peer_cb *cb,
	    void *arg);
/* The same for whoever may ask for much: may begin later (gate.h), so what msg points to is to stay until cb, or end
 * with TR_EBUSY. */
int api_ask_gated(struct api *api, struct peer *peer, enum wire_msg_id id, const void *msg, uint32_t timeout_ms,
		  peer_cb *cb, void *arg);
/* Words for TR_EDEADLINE and TR_EUNAVAILABLE of a call to `who`. */
void api_absent(struct tr_fault *fault, int r, const char *who);

/* governance.c: is whoever calls an admin? */
bool api_is_admin(const struct api_call *call);

/* ask.c: the question pipeline; *q and *who stay until then. done is called exactly once, later, when this returns 0;
 * never when it returns < 0. who: for whom; NULL: for somebody for whom everything exists. */
typedef void ask_done(void *arg, int r, const struct res_executive_ask *res, const struct tr_fault *fault);
int ask_start(struct api *api, const struct msg_executive_ask *q, const struct principal *who, uint32_t timeout_ms,
	      const char *request_id, ask_done *done, void *arg, struct tr_fault *fault);
/* convene.c: puts a proposal to the vote, durably, asks each Jr for its ballot, and brings them to the archive. done as
 * above; created: it was not known before. An open vote is one that waits for others until its deadline. */
typedef void vote_done(void *arg, int r, const struct item_vote *vote, bool created, const struct tr_fault *fault);
int vote_start(struct api *api, const struct msg_memory_vote_open *msg, uint32_t timeout_ms, vote_done *done,
	       void *arg);
void vote_lead(struct api *api); /* this process leads: votes that were left in the middle are convened anew */
/* quote.c: how sure an answer is that only quotes a source: half the share of the question's words found in it. */
double quote_confidence(const char *question, size_t n, const char *content, size_t content_n);
/* events.c: streams of those who may read them no more are ended */
void api_tokens_changed(struct api *api);
#define SCRAPE_DEGRADATIONS 16
struct scrape_meta { /* what meta-jr reckoned, borrowing nothing */
	bool has_r_squared;
	double r_squared;
	unsigned n;
	struct {
		char metric[33];
		bool of_archive;
		double ratio;
	} degradation[SCRAPE_DEGRADATIONS];
};
/* scrape.c: everything /metrics says. status, thermal, meta: NULL when they did not answer. */
int scrape_write(struct buf *out, const struct api *api, const struct res_status *status,
		 const struct res_memory_thermal *thermal, const struct scrape_meta *meta);

#endif
