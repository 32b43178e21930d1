/* The HTTP API of the tribe, and the question pipeline behind both POST /api/v1/ask and the RPC method executive.ask.
 * On the loop's thread. Knows no sockets: requests come from jrs/executive/http, the other Jrs are behind peers. */
#ifndef JRS_EXECUTIVE_API_API_H
#define JRS_EXECUTIVE_API_API_H
#include "jrs/executive/http/http.h"
#include "proto/chan/peer.h"
#include "proto/chan/server.h"

#define API_MAX_BODY (16u << 20) /* of any request; most routes take less */

struct api;
struct api_cfg {
	struct peer *memory, *integration,
		*meta; /* borrowed; may be freed before the api, never used after api_free() */
	/* Asks tribed for its status, with the promise of peer_call(). */
	int (*status)(void *arg, uint32_t timeout_ms, peer_cb *cb, void *cb_arg);
	/* The same for the last drills (struct msg_drills). */
	int (*drills)(void *arg, const struct msg_drills *msg, uint32_t timeout_ms, peer_cb *cb, void *cb_arg);
	/* The same, to begin a drill. */
	int (*drill)(void *arg, const struct msg_drill_start *msg, uint32_t timeout_ms, peer_cb *cb, void *cb_arg);
	/* Asks tribed for events (struct msg_events), with the same promise; with follow, api_note() gets the further
	 * ones. */
	int (*events)(void *arg, const struct msg_events *msg, uint32_t timeout_ms, peer_cb *cb, void *cb_arg);
	uv_loop_t *loop;
	unsigned max_streams;                   /* of events at once; one more: 503 */
	size_t stream_queue;                    /* bytes that wait for a slow reader of events before it is cut off */
	uint32_t keepalive_ms;                  /* between two comment lines in a stream of events */
	void (*on_done)(void *arg, bool error); /* a request was answered (error: with 5xx); may be NULL */
	void *arg;
	uint32_t request_timeout_ms;
	uint32_t synthesis_timeout_ms; /* integration-jr's share; without its answer the best source is quoted */
	uint32_t capacity; /* HTTP requests that may be worked on at once, for its own ballot; 0: no limit */
	bool postgres;     /* the archive is PostgreSQL */
	/* Of the admin token that tribed made beyond loopback: TR_SHA256_LEN bytes, copied. NULL: as long as there is
	 * no token in the archive nobody needs one. */
	const unsigned char *token_hash;
	uint32_t rate_per_s,
		rate_burst;       /* requests of a token, and of an address; 0: no limit, as many as in a second */
	uint32_t shed_target_ms;  /* shed.h; 0: never */
	uint32_t tokens_ms;       /* how often memory-jr is asked whether the tokens are others; 0: there are none */
	const char *cors_origins; /* copied; as http.cors_origins has them; NULL: none */
	const char *listen_host;  /* copied; accepted in Host beside localhost, 127.0.0.1 and [::1]; may be NULL */
};
int api_new(struct api **out, const struct api_cfg *cfg);
void api_request(void *arg, struct http_req *req); /* arg: struct api; for http_server_cfg.on_request */
void api_refused(void *arg, int status);           /* for http_server_cfg.on_refused */
void api_dropped(void *arg, enum http_drop why);   /* for http_server_cfg.on_dropped */
/* For http_server_cfg.wants_body: who has no token need not send one, nor who asks first and would be refused anyway.
 */
bool api_wants_body(void *arg, const struct http_req *req);
/* Connections that are open, for /metrics; may stay unset. */
void api_conns(struct api *api, const uint32_t *conns);
/* The SHA-256 of the token as tribed hands it over: 64 hexadecimal digits, a line end may follow. TR_EINVAL otherwise.
 */
int api_token_hash(const char *p, size_t n, unsigned char out[32]);
void api_rpc_ask(void *arg, struct chan_call *call, const void *msg);    /* a chan_handler of MSG_executive_ask */
void api_rpc_vote(void *arg, struct chan_call *call, const void *msg);   /* the same of MSG_executive_vote */
void api_rpc_tokens(void *arg, struct chan_call *call, const void *msg); /* the same of MSG_executive_tokens */
/* This process leads from now on: before it takes requests. Votes that another one left in the middle are convened
 * anew. */
void api_lead(struct api *api);
void api_stop(struct api *api);                                 /* nothing of it stays on its loop; NULL is fine */
void api_note(void *arg, enum wire_msg_id id, const void *msg); /* arg: struct api; event or heartbeat from tribed */
/* For a drill: requests are taken and nothing happens with them, until it is said to be over. */
void api_mute(void *arg, bool mute); /* arg: struct api */
/* Ends every stream of events, takes no new one, and leaves votes to whoever leads next. Before http_server_drain(),
 * which waits for them. */
void api_drain(struct api *api);
uint32_t api_inflight(const struct api *api); /* HTTP requests being worked on */
/* Of those, how many have had late_ms more than request_timeout_ms. */
uint32_t api_overdue(const struct api *api, uint32_t late_ms);
/* Every call must have ended: shut the peers first (their callbacks still need the api), then free the HTTP server
 * (streams). */
void api_free(struct api **api);

#endif
