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
	void (*on_done)(void *arg, bool error); /* a request was answered (error: with 5xx); may be NULL */
	void *arg;
	uint32_t request_timeout_ms;
	uint32_t synthesis_timeout_ms; /* integration-jr's share; without its answer the best source is quoted */
	bool postgres;                 /* the archive is PostgreSQL */
	const char *listen_host;       /* copied; accepted in Host beside localhost, 127.0.0.1 and [::1]; may be NULL */
};
int api_new(struct api **out, const struct api_cfg *cfg);
void api_request(void *arg, struct http_req *req); /* arg: struct api; for http_server_cfg.on_request */
void api_refused(void *arg, int status);           /* for http_server_cfg.on_refused */
void api_rpc_ask(void *arg, struct chan_call *call, const void *msg); /* a chan_handler of MSG_executive_ask */
uint32_t api_inflight(const struct api *api);                         /* HTTP requests being worked on */
/* Every call must have ended: shut the peers first (their callbacks still need the api). */
void api_free(struct api **api);

#endif
