/* A user's HTTP connection: standing, opened on first use and again when it was lost, one request at a time. With TLS
 * the server's certificate must be the one that is given. Everything on the loop's thread. */
#ifndef SUPERVISOR_CTL_DRILL_HTTP_H
#define SUPERVISOR_CTL_DRILL_HTTP_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <uv.h>

#define HTTP_HOST_MAX  80
#define HTTP_TOKEN_MAX 256
#define HTTP_BODY_MAX  (16u << 20)

struct http_where {
	struct sockaddr_storage address;
	char host[HTTP_HOST_MAX];   /* for the Host header */
	char token[HTTP_TOKEN_MAX]; /* sent as a bearer token; empty: none. Without TLS only one that dies with the
				       drill */
	void *tls;                  /* SSL_CTX, owned; NULL: plain */
};
/* address: as in status.http_address ("127.0.0.1:8000", "[::]:443"); one that means all interfaces is reached over
 * loopback. certificate: PEM file that the server must show, NULL: no TLS. TR_EINVAL, or TR_ECONFIG when it cannot be
 * read. */
int http_where(struct http_where *out, const char *address, const char *certificate);
void http_where_free(struct http_where *w);

enum http_end {
	HTTP_ANSWERED,
	HTTP_REFUSED, /* connect() was refused */
	HTTP_RESET,   /* the connection ended before the answer did */
	HTTP_LATE,
	HTTP_GARBAGE /* not HTTP, or not the TLS that was expected */
};
/* status, body: of HTTP_ANSWERED; body is borrowed during the call and followed by a NUL. */
typedef void http_cb(void *arg, enum http_end end, int status, const char *body, size_t n);

struct http;
int http_new(struct http **out, uv_loop_t *loop, const struct http_where *where);
/* method and target ("/healthz"); key: Idempotency-Key, or NULL; body: JSON, or NULL. cb is called exactly once, later,
 * never from inside this; none may be under way. TR_ENOMEM: it will not be called. */
int http_send(struct http *c, const char *method, const char *target, const char *key, const char *body,
	      uint32_t timeout_ms, http_cb *cb, void *arg);
void http_free(
	struct http **c); /* its callback is not called any more; memory goes when libuv has closed the handles */

#endif
