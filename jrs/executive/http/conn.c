#include "common/base/clock.h"
#include "jrs/executive/http/internal.h"
#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

static void on_read(uv_stream_t *tcp, ssize_t n, const uv_buf_t *buf);

void conn_deadline(struct conn *c, uint64_t in_ms)
{
	if (in_ms != UINT64_MAX) {
		if (c->srv->draining && in_ms > HTTP_DRAIN_MS)
			in_ms = HTTP_DRAIN_MS;
		in_ms += uv_now(c->srv->cfg.loop);
	}
	wheel_set(&c->srv->wheel, &c->timer, in_ms);
}

static void on_alloc(uv_handle_t *h, size_t suggested, uv_buf_t *buf)
{
	struct conn *c = h->data;

	(void)suggested;
	if (turn_over(c))
		*buf = uv_buf_init(NULL, 0); /* nothing is read: UV_ENOBUFS */
	else
		*buf = uv_buf_init(c->srv->read_buf, HTTP_READ_SIZE);
}

void conn_reading(struct conn *c, bool on)
{
	if (c->reading == on || c->state == CONN_CLOSED || (on && c->eof))
		return;
	c->reading = on;
	if (on)
		uv_read_start((uv_stream_t *)&c->tcp, on_alloc, on_read);
	else
		uv_read_stop((uv_stream_t *)&c->tcp);
}

/* ---- life ---- */
static void on_closed(uv_handle_t *h)
{
	struct conn *c = h->data;

	tls_free(&c->tls);
	buf_free(&c->ahead);
	free(c);
}

static void count_drop(struct http_server *s, enum http_drop why)
{
	s->stats.dropped[why]++;
	if (s->cfg.on_dropped != NULL)
		s->cfg.on_dropped(s->cfg.arg, why);
}

void conn_drop(struct conn *c, enum http_drop why)
{
	if (c->state == CONN_CLOSED)
		return;
	if (c->srv != NULL && !c->dropped)
		count_drop(c->srv, why);
	c->dropped = true;
	conn_close(c);
}

void conn_close(struct conn *c)
{
	if (c->state == CONN_CLOSED)
		return;
	if (c->srv != NULL && !c->dropped &&
	    (c->state == CONN_HEAD || c->state == CONN_BODY || c->state == CONN_FLIGHT)) {
		c->srv->stats.closed_early++;
		count_drop(c->srv, HTTP_DROP_EARLY);
	}
	if (c->state == CONN_IDLE && c->tls != NULL && c->queued == 0)
		conn_bye(c);
	if (c->srv != NULL)
		conn_unrest(c);
	c->state = CONN_CLOSED;
	if (c->req != NULL) {
		c->req->conn = NULL;
		if (!c->req->in_flight && !c->req->answered)
			req_free(c->req);
		c->req = NULL;
	}
	if (c->srv != NULL) {
		c->srv->held -= c->queued;
		server_conn_gone(c->srv, c);
	}
	c->srv = NULL;
	if (c->stream != NULL)
		stream_lost(c->stream);
	uv_close((uv_handle_t *)&c->tcp, on_closed);
}

int conn_new(struct conn **out, struct http_server *s)
{
	struct conn *c = calloc(1, sizeof(*c));

	if (c == NULL || (s->tls != NULL && tls_new(&c->tls, s->tls) < 0)) {
		free(c);
		return TR_ENOMEM;
	}
	*out = c;
	return 0;
}

void conn_free(struct conn *c)
{
	if (c != NULL)
		tls_free(&c->tls);
	free(c);
}

void conn_take(struct conn *c, struct http_server *s, int fd)
{
	(void)uv_tcp_init(s->cfg.loop, &c->tcp); /* without an address family it cannot fail */
	c->tcp.data = c;
	c->srv = s;
	c->next = s->conns;
	if (s->conns != NULL)
		s->conns->prev = c;
	s->conns = c;
	s->stats.conns++;
	s->stats.accepted++;
	if (uv_tcp_open(&c->tcp, fd) < 0) {
		(void)close(fd);
		conn_close(c);
		return;
	}
	uv_tcp_nodelay(&c->tcp, 1);
	conn_deadline(c, c->tls != NULL ? s->cfg.head_timeout_ms : s->cfg.idle_timeout_ms);
	conn_reading(c, true);
}

/* ---- reading ---- */
static int begin(struct conn *c)
{
	if (c->req == NULL && (c->req = req_new(c->srv->cfg.max_body)) == NULL) {
		conn_close(c);
		return TR_ENOMEM;
	}
	c->req->conn = c;
	c->req->srv = c->srv;
	c->req->started_ns = tr_mono_ns();
	c->state = CONN_HEAD;
	conn_deadline(c, c->srv->cfg.head_timeout_ms);
	return 0;
}

/* unread: the handler does not want the body. */
static void dispatch(struct conn *c, bool unread)
{
	struct http_server *s = c->srv;
	struct http_req *r = c->req;

	c->state = CONN_FLIGHT;
	conn_deadline(c, UINT64_MAX);
	c->close_after = !r->ps.keep_alive || s->draining || unread;
	c->linger_after = unread;
	r->in_flight = true;
	r->next = s->flights;
	r->prev = NULL;
	if (s->flights != NULL)
		s->flights->prev = r;
	s->flights = r;
	s->stats.requests++;
	s->stats.inflight++;
	s->cfg.on_request(s->cfg.arg, r);
}

/* The body's memory goes on the server's books; false: there is too much on them. A small body always has room. */
static bool charge(struct conn *c)
{
	struct http_req *r = c->req;

	c->srv->held += r->ps.body.cap - r->charged;
	r->charged = r->ps.body.cap;
	return r->charged <= HTTP_SMALL || c->srv->held <= c->srv->cfg.max_held;
}

static void on_head(struct conn *c, bool all_read)
{
	struct http_server *s = c->srv;

	if (s->cfg.wants_body != NULL && !s->cfg.wants_body(s->cfg.arg, c->req)) {
		dispatch(c, true);
		return;
	}
	c->state = CONN_BODY;
	conn_deadline(c, s->cfg.body_timeout_ms);
	if (c->req->ps.expect_continue && all_read)
		conn_continue(c);
}

/* Takes requests out of p, one after the other, as long as each is answered at once and the turn is not over. Returns
 * the bytes taken. */
static size_t advance(struct conn *c, const char *p, size_t n)
{
	size_t done = 0;

	c->advancing = true;
	while (done < n && c->state <= CONN_BODY) {
		size_t used = 0;
		int r;

		if (c->state == CONN_IDLE && begin(c) < 0)
			break;
		r = http_parse(&c->req->ps, p + done, n - done, &used);
		if (r < 0) {
			req_refuse(c, c->req->ps.status, c->req->ps.why);
			break;
		}
		done += used;
		if (!charge(c)) {
			req_refuse(c, 503, "too many large requests at once");
			break;
		}
		if (r == PARSE_HEAD)
			on_head(c, done == n);
		else if (r == PARSE_COMPLETE)
			dispatch(c, false);
		if (r == PARSE_COMPLETE && c->state != CONN_CLOSED && turn_over(c))
			break;
	}
	c->advancing = false;
	return done;
}

void conn_resume(struct conn *c)
{
	if (c->advancing || c->state > CONN_BODY)
		return;
	if (c->ahead.len > 0) {
		size_t used = advance(c, c->ahead.p, c->ahead.len);

		if (c->state >= CONN_LINGER) /* the last answer is given: the rest is nobody's */
			buf_free(&c->ahead);
		else
			buf_consume(&c->ahead, used);
	}
	if (c->state > CONN_BODY)
		return;
	if (c->ahead.len > 0)
		conn_rest(c);
	else if (c->eof)
		conn_close(c);
	else if (!c->resting)
		conn_reading(c, true);
}

static void on_eof(struct conn *c)
{
	c->eof = true;
	conn_reading(c, false);
	if ((c->state <= CONN_BODY && !c->resting) || c->state == CONN_LINGER)
		conn_close(c); /* else: it may only have shut down its sending side; the answer follows */
}

static void on_data(struct conn *c, const char *p, size_t n)
{
	size_t used = 0;

	if (c->state == CONN_LINGER) {
		c->lingered += n;
		if (c->lingered > HTTP_LINGER_MAX)
			conn_close(c);
		return;
	}
	if (c->state <= CONN_BODY && !c->resting)
		used = advance(c, p, n); /* nothing is read ahead in these states */
	if (used == n || c->state == CONN_CLOSED || c->state == CONN_LINGER)
		return;
	if (buf_append(&c->ahead, p + used, n - used) < 0)
		conn_drop(c, HTTP_DROP_MEMORY);
	else if (c->state <= CONN_BODY) /* there was no time for it */
		conn_rest(c);
	else if (c->ahead.len >= HTTP_AHEAD_MAX)
		conn_reading(c, false);
}

/* Bytes of the wire, which TLS makes plain. */
static void on_wire(struct conn *c, const char *p, size_t n)
{
	char plain[TLS_PIECE];
	int r = TLS_MORE;

	tls_feed(c->tls, p, n);
	while (c->state < CONN_LINGER && (r = tls_read(c->tls, plain, sizeof(plain))) > 0)
		on_data(c, plain, (size_t)r);
	tls_feed(c->tls, NULL, 0);
	if (c->state >= CONN_LINGER)
		return;
	if (!c->secured && tls_ready(c->tls)) {
		c->secured = true;
		if (c->state == CONN_IDLE)
			conn_deadline(c, c->srv->cfg.idle_timeout_ms);
	}
	conn_flush(c); /* a handshake's answer, a ticket, an alert */
	if (r == TLS_END)
		on_eof(c);
	else if (r < 0)
		conn_drop(c, r == TLS_PLAIN ? HTTP_DROP_PLAIN : HTTP_DROP_TLS);
}

static void on_read(uv_stream_t *tcp, ssize_t n, const uv_buf_t *buf)
{
	struct conn *c = tcp->data;

	if (n > 0 && c->tls != NULL && c->state != CONN_LINGER)
		on_wire(c, buf->base, (size_t)n);
	else if (n > 0)
		on_data(c, buf->base, (size_t)n);
	else if (n == UV_EOF)
		on_eof(c);
	else if (n == UV_ENOBUFS)
		conn_rest(c);
	else if (n < 0)
		conn_close(c);
}

/* ---- what the server asks ---- */
void conn_timeout(struct conn *c)
{
	switch (c->state) {
	case CONN_HEAD:
		req_refuse(c, 408, "the request head took too long");
		break;
	case CONN_BODY:
		req_refuse(c, 408, "the request body took too long");
		break;
	case CONN_FLIGHT: /* the handler keeps its own deadline */
		conn_deadline(c, UINT64_MAX);
		break;
	case CONN_WRITE:
		conn_drop(c, HTTP_DROP_SLOW);
		break;
	case CONN_IDLE:
		conn_drop(c, c->tls != NULL && !c->secured ? HTTP_DROP_TLS_SLOW : HTTP_DROP_IDLE);
		break;
	default:
		conn_close(c);
		break;
	}
}

void conn_drain(struct conn *c)
{
	int fd, waiting = 0;

	c->close_after = true;
	if (c->state == CONN_HEAD || c->state == CONN_BODY || c->state == CONN_WRITE)
		conn_deadline(c, HTTP_DRAIN_MS);
	if (c->state != CONN_IDLE)
		return;
	if (uv_fileno((uv_handle_t *)&c->tcp, &fd) == 0)
		ioctl(fd, FIONREAD, &waiting);
	if (!c->served || waiting > 0 || c->resting)
		conn_deadline(c, HTTP_FRESH_MS);
	else if (uv_now(c->srv->cfg.loop) - c->served_ms >= HTTP_BUSY_MS)
		conn_close(c);
}

void conn_grace_over(struct conn *c)
{
	if (c->state == CONN_IDLE && c->served && !c->resting)
		conn_close(c);
}
