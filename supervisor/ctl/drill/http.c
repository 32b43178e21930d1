#include "supervisor/ctl/drill/http.h"
#include "common/base/buf.h"
#include "common/base/err.h"
#include <assert.h>
#include <llhttp.h>
#include <openssl/ssl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define READ_SIZE 65536

/* One TCP connection. It outlives its owner's interest in it until libuv has closed it. */
struct line {
	uv_tcp_t tcp;
	uv_connect_t connecting;
	struct http *owner; /* NULL: closing */
	SSL *ssl;           /* owned; NULL: plain */
	bool open;          /* connected, and for TLS shaken hands */
};
struct writing {
	uv_write_t req;
	struct buf bytes; /* owned */
};
struct http {
	uv_loop_t *loop;
	const struct http_where *where;
	struct line *line; /* NULL: none */
	uv_timer_t *timer; /* owned; freed by its closing */
	llhttp_t parser;
	struct buf request, body;
	http_cb *cb; /* NULL: nothing under way */
	void *arg;
	enum http_end early; /* what the timer means */
	bool sent;
	char piece[READ_SIZE];
};

int http_where(struct http_where *out, const char *address, const char *certificate)
{
	const char *colon = strrchr(address, ':');
	struct http_where w = {.tls = NULL};
	char host[64];
	size_t n = colon == NULL ? 0 : (size_t)(colon - address);
	bool six = n > 1 && address[0] == '[';
	long port = colon == NULL ? 0 : strtol(colon + 1, NULL, 10);

	if (n == 0 || n >= sizeof(host) || port < 1 || port > 65535)
		return TR_EINVAL;
	(void)snprintf(host, sizeof(host), "%.*s", (int)(six ? n - 2 : n), address + (six ? 1 : 0));
	if (strcmp(host, "0.0.0.0") == 0)
		(void)snprintf(host, sizeof(host), "127.0.0.1");
	else if (strcmp(host, "::") == 0)
		(void)snprintf(host, sizeof(host), "::1");
	if (strchr(host, ':') != NULL ? uv_ip6_addr(host, (int)port, (struct sockaddr_in6 *)&w.address) < 0
				      : uv_ip4_addr(host, (int)port, (struct sockaddr_in *)&w.address) < 0)
		return TR_EINVAL;
	(void)snprintf(w.host, sizeof(w.host), strchr(host, ':') != NULL ? "[%s]:%ld" : "%s:%ld", host, port);
	if (certificate != NULL) {
		SSL_CTX *ctx = SSL_CTX_new(TLS_client_method());

		if (ctx == NULL)
			return TR_ENOMEM;
		SSL_CTX_set_verify(ctx, SSL_VERIFY_PEER, NULL);
		/* the very certificate is trusted, whoever signed it: that is why no name is compared */
		(void)X509_VERIFY_PARAM_set_flags(SSL_CTX_get0_param(ctx), X509_V_FLAG_PARTIAL_CHAIN);
		if (SSL_CTX_load_verify_file(ctx, certificate) != 1) {
			SSL_CTX_free(ctx);
			return TR_ECONFIG;
		}
		w.tls = ctx;
	}
	*out = w;
	return 0;
}

void http_where_free(struct http_where *w)
{
	SSL_CTX_free(w->tls);
	*w = (struct http_where){.tls = NULL};
}

/* ---- closing ---- */

static void on_line_closed(uv_handle_t *h)
{
	struct line *l = h->data;

	SSL_free(l->ssl);
	free(l);
}

static void drop(struct http *c)
{
	if (c->line == NULL)
		return;
	c->line->owner = NULL;
	uv_close((uv_handle_t *)&c->line->tcp, on_line_closed);
	c->line = NULL;
}

/* The request is over; what is left of the connection may serve the next one only when keep says so. */
static void finish(struct http *c, enum http_end end, int status, bool keep)
{
	http_cb *cb = c->cb;

	if (!keep)
		drop(c);
	if (cb == NULL)
		return;
	(void)uv_timer_stop(c->timer);
	c->cb = NULL;
	cb(c->arg, end, status, c->body.p == NULL ? "" : c->body.p, c->body.len);
}

static void on_timer(uv_timer_t *t)
{
	struct http *c = t->data;

	finish(c, c->early, 0, false);
}

/* A failure found inside http_send() is told from the loop. */
static void fail_soon(struct http *c, enum http_end end)
{
	drop(c);
	c->early = end;
	(void)uv_timer_start(c->timer, on_timer, 0, 0);
}

/* ---- bytes out ---- */

static void on_written(uv_write_t *req, int r)
{
	struct writing *w = (struct writing *)req;

	(void)r; /* the reader hears of a lost connection */
	buf_free(&w->bytes);
	free(w);
}

/* Takes the bytes. */
static int put(struct line *l, struct buf *bytes)
{
	struct writing *w = bytes->failed != 0 ? NULL : malloc(sizeof(*w));
	uv_buf_t b;
	int r;

	if (w == NULL) {
		buf_free(bytes);
		return TR_ENOMEM;
	}
	w->bytes = *bytes;
	*bytes = (struct buf){.max = 0};
	b = uv_buf_init(w->bytes.p, (unsigned)w->bytes.len);
	r = uv_write(&w->req, (uv_stream_t *)&l->tcp, &b, 1, on_written);
	if (r < 0)
		on_written(&w->req, r);
	return r;
}

/* What OpenSSL wants sent. */
static int flush(struct line *l)
{
	struct buf out = {.max = 0};
	char piece[4096];
	int n;

	while ((n = BIO_read(SSL_get_wbio(l->ssl), piece, sizeof(piece))) > 0)
		(void)buf_append(&out, piece, (size_t)n);
	return out.len == 0 ? 0 : put(l, &out);
}

static int send_request(struct http *c)
{
	struct line *l = c->line;
	struct buf out = {.max = 0};

	if (!l->open || c->sent || c->cb == NULL)
		return 0;
	c->sent = true;
	if (l->ssl != NULL)
		return SSL_write(l->ssl, c->request.p, (int)c->request.len) <= 0 ? TR_ECLOSED : flush(l);
	(void)buf_append(&out, c->request.p, c->request.len);
	return put(l, &out);
}

/* ---- bytes in ---- */

static int on_body(llhttp_t *p, const char *at, size_t n)
{
	struct http *c = p->data;

	return buf_append(&c->body, at, n) < 0 ? -1 : 0;
}

static int on_complete(llhttp_t *p)
{
	(void)p;
	return HPE_PAUSED; /* the answer is taken outside of the parser */
}

static const llhttp_settings_t settings = {.on_body = on_body, .on_message_complete = on_complete};

static void begin_answer(struct http *c)
{
	llhttp_init(&c->parser, HTTP_RESPONSE, &settings);
	c->parser.data = c;
}

static void parse(struct http *c, const char *p, size_t n)
{
	llhttp_errno_t e;

	if (c->cb == NULL) { /* bytes that nobody asked for */
		drop(c);
		return;
	}
	while ((e = llhttp_execute(&c->parser, p, n)) == HPE_PAUSED && c->parser.status_code < 200) {
		/* 100 Continue: the answer follows, in these bytes or in the next ones */
		const char *end = llhttp_get_error_pos(&c->parser);

		n -= (size_t)(end - p);
		p = end;
		begin_answer(c);
	}
	if (e == HPE_OK)
		return;
	if (e != HPE_PAUSED) {
		finish(c, HTTP_GARBAGE, 0, false);
		return;
	}
	finish(c, HTTP_ANSWERED, c->parser.status_code, llhttp_should_keep_alive(&c->parser) != 0);
}

static void take_tls(struct http *c, const char *p, size_t n)
{
	struct line *l = c->line;
	char piece[16384];
	int r;

	if (BIO_write(SSL_get_rbio(l->ssl), p, (int)n) != (int)n) {
		finish(c, HTTP_GARBAGE, 0, false);
		return;
	}
	if (!l->open) {
		r = SSL_do_handshake(l->ssl);
		if (flush(l) < 0 || (r != 1 && SSL_get_error(l->ssl, r) != SSL_ERROR_WANT_READ)) {
			finish(c, HTTP_GARBAGE, 0, false);
			return;
		}
		l->open = r == 1;
		if (l->open && send_request(c) < 0)
			finish(c, HTTP_RESET, 0, false);
	}
	/* each answer may end the connection, and c with it; l stays until libuv has closed it */
	while (l->owner != NULL && l->open && (r = SSL_read(l->ssl, piece, sizeof(piece))) > 0)
		parse(c, piece, (size_t)r);
	if (l->owner != NULL && SSL_get_shutdown(l->ssl) != 0)
		finish(c, HTTP_RESET, 0, false);
}

static void on_alloc(uv_handle_t *h, size_t suggested, uv_buf_t *out)
{
	struct line *l = h->data;

	(void)suggested;
	*out = l->owner == NULL ? uv_buf_init(NULL, 0) : uv_buf_init(l->owner->piece, READ_SIZE);
}

static void on_read(uv_stream_t *s, ssize_t n, const uv_buf_t *b)
{
	struct line *l = s->data;
	struct http *c = l->owner;

	if (c == NULL || n == 0)
		return;
	if (n < 0)
		finish(c, HTTP_RESET, 0, false); /* of an idle connection: nobody is told */
	else if (l->ssl != NULL)
		take_tls(c, b->base, (size_t)n);
	else
		parse(c, b->base, (size_t)n);
}

/* ---- connecting ---- */

static void on_connected(uv_connect_t *req, int r)
{
	struct line *l = req->data;
	struct http *c = l->owner;

	if (c == NULL)
		return;
	if (r == 0)
		r = uv_read_start((uv_stream_t *)&l->tcp, on_alloc, on_read);
	if (r == 0)
		r = uv_tcp_nodelay(&l->tcp, 1);
	if (r == 0 && l->ssl != NULL) {
		(void)SSL_do_handshake(l->ssl);
		r = flush(l);
	} else if (r == 0) {
		l->open = true;
		r = send_request(c);
	}
	if (r < 0)
		finish(c, r == UV_ECONNREFUSED ? HTTP_REFUSED : HTTP_RESET, 0, false);
}

static int shake(struct line *l, SSL_CTX *ctx)
{
	BIO *in = BIO_new(BIO_s_mem()), *out = BIO_new(BIO_s_mem());

	l->ssl = SSL_new(ctx);
	if (l->ssl == NULL || in == NULL || out == NULL) {
		BIO_free(in);
		BIO_free(out);
		return TR_ENOMEM;
	}
	SSL_set_bio(l->ssl, in, out); /* takes both */
	SSL_set_connect_state(l->ssl);
	return 0;
}

static int dial(struct http *c)
{
	struct line *l = calloc(1, sizeof(*l));
	int r;

	if (l == NULL)
		return TR_ENOMEM;
	if ((r = uv_tcp_init(c->loop, &l->tcp)) < 0) {
		free(l);
		return r;
	}
	l->tcp.data = l->connecting.data = l;
	l->owner = c;
	c->line = l;
	if (c->where->tls != NULL && (r = shake(l, c->where->tls)) < 0)
		return r;
	return uv_tcp_connect(&l->connecting, &l->tcp, (const struct sockaddr *)&c->where->address, on_connected);
}

/* ---- from outside ---- */

int http_new(struct http **out, uv_loop_t *loop, const struct http_where *where)
{
	struct http *c = calloc(1, sizeof(*c));
	uv_timer_t *timer = malloc(sizeof(*timer));
	int r = c == NULL || timer == NULL ? TR_ENOMEM : uv_timer_init(loop, timer);

	if (r < 0) {
		free(c);
		free(timer);
		return r;
	}
	timer->data = c;
	c->timer = timer;
	c->loop = loop;
	c->where = where;
	c->body.max = HTTP_BODY_MAX;
	*out = c;
	return 0;
}

int http_send(struct http *c, const char *method, const char *target, const char *key, const char *body,
	      uint32_t timeout_ms, http_cb *cb, void *arg)
{
	struct buf *b = &c->request;

	assert(c->cb == NULL);
	buf_clear(b);
	buf_clear(&c->body);
	(void)buf_printf(b, "%s %s HTTP/1.1\r\nHost: %s\r\nUser-Agent: tribectl-drill\r\nAccept: application/json\r\n",
			 method, target, c->where->host);
	if (c->where->token[0] != '\0')
		(void)buf_printf(b, "Authorization: Bearer %s\r\n", c->where->token);
	if (key != NULL)
		(void)buf_printf(b, "Idempotency-Key: %s\r\n", key);
	if (body != NULL)
		(void)buf_printf(b, "Content-Type: application/json\r\nContent-Length: %zu\r\n\r\n%s", strlen(body),
				 body);
	else
		(void)buf_puts(b, "\r\n");
	if (b->failed != 0)
		return b->failed;
	c->cb = cb;
	c->arg = arg;
	c->sent = false;
	c->early = HTTP_LATE;
	begin_answer(c);
	(void)uv_timer_start(c->timer, on_timer, timeout_ms, 0);
	if (c->line == NULL ? dial(c) < 0 : send_request(c) < 0)
		fail_soon(c, HTTP_RESET);
	return 0;
}

static void on_timer_closed(uv_handle_t *h)
{
	free(h);
}

void http_free(struct http **c)
{
	if (c == NULL || *c == NULL)
		return;
	drop(*c);
	uv_close((uv_handle_t *)(*c)->timer, on_timer_closed);
	buf_free(&(*c)->request);
	buf_free(&(*c)->body);
	free(*c);
	*c = NULL;
}
