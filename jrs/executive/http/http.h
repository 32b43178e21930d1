/* HTTP/1.1 server on libuv and llhttp (strict) with a guard. Only this folder sees HTTP bytes. On the loop's thread.
 * A request reaches the handler complete (headers and body in memory, bounded) and well-formed; whatever is not is
 * answered here (400, 408, 411, 413, 414, 417, 431, 501, 503, 505) as problem+json, counted, and the connection closed.
 */
#ifndef JRS_EXECUTIVE_HTTP_HTTP_H
#define JRS_EXECUTIVE_HTTP_HTTP_H
#include "common/base/buf.h"
#include "common/base/err.h"
#include <stdbool.h>
#include <stdint.h>
#include <uv.h>

const char *http_parser_version(void); /* of llhttp, which is built in: "8.1.0" */

struct http_server;
struct http_req; /* one request in flight; freed by http_respond() */

struct http_str {
	const char *p; /* NUL-terminated as well; NULL = absent */
	size_t n;
};
/* Why a connection was closed without an answer. */
#define HTTP_DROPS(X)              \
	X(PLAIN, "plain_http")     \
	X(TLS, "tls_failed")       \
	X(TLS_SLOW, "tls_timeout") \
	X(EARLY, "client_left")    \
	X(SLOW, "slow_reader")     \
	X(MEMORY, "memory")        \
	X(IDLE, "idle")
enum http_drop {
#define X(id, name) HTTP_DROP_##id,
	HTTP_DROPS(X)
#undef X
		HTTP_NDROPS
};
extern const char *const http_drop_names[HTTP_NDROPS];

struct http_server_cfg {
	uv_loop_t *loop;
	int fd;    /* listening TCP socket; taken over */
	bool held; /* accept nothing, and do not even look, before http_server_start() */
	unsigned max_conns;
	size_t max_body; /* bytes; more is 413 */
	uint32_t head_timeout_ms, body_timeout_ms, idle_timeout_ms;
	/* Bytes of bodies that arrive and of answers that wait for slow readers, all connections together; 0: 512 MiB.
	 * Past it a large body is 503 and a connection that does not read is closed. */
	size_t max_held;
	/* PEM texts, for TLS; NULL: plain HTTP. Borrowed; the key is wiped by http_server_new(), also when it fails. */
	const char *certificate;
	size_t certificate_n;
	char *private_key;
	size_t private_key_n;
	const char *client_ca; /* PEM: whose clients' certificates count; NULL: none is asked for. Borrowed. */
	size_t client_ca_n;
	/* Called once per request; must lead to exactly one http_respond(), now or later, even after
	 * http_server_free(). */
	void (*on_request)(void *arg, struct http_req *req);
	/* For refused bytes that never became a request: its status, for counting. May be NULL. */
	void (*on_refused)(void *arg, int status);
	/* For connections closed without an answer, for counting. May be NULL. */
	void (*on_dropped)(void *arg, enum http_drop why);
	/* Asked when a head is complete and a body follows. false: the handler is called at once, sees an empty body,
	 * and the connection closes behind its answer. NULL: every body is wanted. */
	bool (*wants_body)(void *arg, const struct http_req *req);
	void *arg;
};
struct http_stats {
	uint64_t accepted, requests, refused, closed_early;
	uint64_t dropped[HTTP_NDROPS];
	uint32_t conns, inflight;
};
int http_server_new(struct http_server **out, const struct http_server_cfg *cfg);
void http_server_start(struct http_server *s); /* only for one that is held */
/* Other certificates for connections from now on, as in the cfg: those that are there go on as they are. The key is
 * wiped. On failure, which is logged, nothing changes. TR_EUNSUPPORTED: it speaks plain HTTP. */
struct http_certificates {
	const char *certificate, *client_ca; /* client_ca: NULL for none */
	char *private_key;
	size_t certificate_n, private_key_n, client_ca_n;
};
int http_server_renew(struct http_server *s, const struct http_certificates *c);
/* Stops accepting, answers what is in flight and what is still arriving with Connection: close, then calls done once,
 * never from inside this call. Connections that wait between two requests are
 * closed at once, those that were busy a moment ago after 50 ms: their next request may be on its way. */
void http_server_drain(struct http_server *s, void (*done)(void *arg), void *arg);
const struct http_stats *http_server_stats(const struct http_server *s);
/* Closes everything at once; requests in flight stay valid until they are answered. Handles close in later turns of the
 * loop. */
void http_server_free(struct http_server **s);

/* All borrowed until the request is answered. */
struct http_str http_method(const struct http_req *req); /* "GET" */
struct http_str http_path(const struct http_req *req);   /* decoded path; "%2F" stays encoded as sent */
/* The i-th piece between slashes, wholly decoded ("%2F" too): "/a/b%2Fc" has "a" and "b/c". p == NULL past the end; at
 * most HTTP_SEGMENTS_MAX are kept, so a router that knows shorter paths only must ask for one more than it wants. */
struct http_str http_segment(const struct http_req *req, unsigned i);
/* The host meant: of an absolute-form target, else the Host header; absent only in HTTP/1.0. */
struct http_str http_host(const struct http_req *req);
struct http_str http_header(const struct http_req *req,
			    const char *name); /* case-insensitive; several of one name: joined by ", " */
struct http_str http_body(const struct http_req *req);
/* Decoded query parameter. 0; 1: absent; TR_EINVAL: given twice. (Bad encoding never gets this far: 400.) */
int http_query(const struct http_req *req, const char *name, struct http_str *out);
/* The i-th parameter, to find unknown ones; false past the end. */
bool http_query_at(const struct http_req *req, unsigned i, struct http_str *name, struct http_str *value);
const char *http_request_id(
	const struct http_req *req); /* X-Request-Id if it was sane (1..128 of [A-Za-z0-9._-]), else a new UUID */
uint64_t http_started_ns(const struct http_req *req); /* first byte seen, CLOCK_MONOTONIC */
bool http_secure(const struct http_req *req);         /* came by TLS */
/* The client sends its body only when it is told to ("Expect: 100-continue"). */
bool http_expects_continue(const struct http_req *req);
/* The address that was dialled, as a Host header names it: "10.0.0.1", "[::1]". false: lost. */
#define HTTP_ADDRESS_MAX 64
bool http_local_address(const struct http_req *req, char out[HTTP_ADDRESS_MAX]);
/* Who calls, for counting: the bytes of an IPv4 address, or of the network (/64) of an IPv6 one. How many; 0: lost. */
#define HTTP_PEER_MAX 8
size_t http_peer(const struct http_req *req, unsigned char out[HTTP_PEER_MAX]);
/* Does the server's certificate speak for this host (name, address, "[IPv6]")? false without TLS. */
bool http_certified(const struct http_req *req, const char *host);
/* The i-th name of the client's certificate, if it has shown one that is signed by a CA of ours; NULL: there are no more. */
const char *http_client_name(const struct http_req *req, unsigned i);
bool http_gone(const struct http_req *req); /* the connection is lost; answering is still required */

/* extra: further header lines, each "Name: value\r\n", or NULL. body is copied or, with http_respond_buf, taken over (b
 * becomes empty). Content-Length, Date, X-Request-Id, X-Content-Type-Options and Connection are added here; HEAD sends
 * no body. Text and JSON from 1 KiB to 1 MiB go out as gzip to whoever likes that, with Content-Encoding and Vary. */
void http_respond(struct http_req *req, int status, const char *content_type, const char *extra, const void *body,
		  size_t n);
void http_respond_buf(struct http_req *req, int status, const char *content_type, const char *extra, struct buf *b);
/* Header lines that go with whatever this request is answered, a stream too. Borrowed until then. */
void http_also(struct http_req *req, const char *lines);

/* What never changes while the program runs, compiled in. */
struct http_static {
	const char *type;  /* "text/html; charset=utf-8" */
	const char *tag;   /* names the content, such as a digest: goes into the ETag; no quotes in it */
	const char *extra; /* as of http_respond(): Cache-Control, Content-Security-Policy ...; may be NULL */
	const void *bytes; /* as it is */
	size_t n;
	const void *gzip; /* the same as one gzip stream; gzip_n 0: there is none, and none is made */
	size_t gzip_n;
};
/* 304 to a GET or HEAD whose If-None-Match names it, else 200. */
int http_static_status(const struct http_req *req, const struct http_static *s);
/* Answers with that status, in the coding the client likes best, each with an ETag of its own. The bytes of *s are
 * borrowed for good. */
void http_respond_static(struct http_req *req, const struct http_static *s);

/* stream.c: an answer in pieces, 200, of no known length; the connection closes behind it. Chunked, so that a reader
 * can tell its end from a loss; HEAD gets the head only. A stream holds up a drain until it is ended. */
struct http_stream;
struct http_stream_cfg {
	size_t max_queue; /* bytes that wait for a slow reader, beside what the kernel holds */
	/* The client is gone: called from the loop, never from inside a function of this header but http_server_free();
	 * call http_stream_end() or http_stream_cut() inside or later. */
	void (*on_gone)(void *arg);
	void *arg;
};
/* Answers the request, as http_respond() does. TR_ENOMEM: it is still to be answered. *out may be a stream whose client
 * had gone: its writes fail. */
int http_stream_begin(struct http_stream **out, struct http_req *req, const char *content_type, const char *extra,
		      const struct http_stream_cfg *cfg);
/* Copied. TR_EBUSY: the reader is too slow, nothing was taken; TR_ECLOSED: it is gone (on_gone does not follow). */
int http_stream_write(struct http_stream *s, const void *p, size_t n);
void http_stream_end(struct http_stream **s); /* what waits still goes out; NULL is fine */
void http_stream_cut(struct http_stream **s); /* at once, without an end: the reader sees a loss */

#endif
