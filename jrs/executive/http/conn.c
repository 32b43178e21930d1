#include "common/base/clock.h"
#include "jrs/executive/http/internal.h"
#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>

struct out { /* what uv_try_write left over */
	uv_write_t req;
	struct buf data; /* owned */
};

static void on_read(uv_stream_t *tcp, ssize_t n, const uv_buf_t *buf);

/* UINT64_MAX: none. Nobody slow holds up a drain for long. */
static void set_deadline(struct conn *c, uint64_t in_ms)
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
	*buf = uv_buf_init(c->srv->read_buf, HTTP_READ_SIZE);
}

static void set_reading(struct conn *c, bool on)
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

	buf_free(&c->ahead);
	free(c);
}

void conn_close(struct conn *c)
{
	if (c->state == CONN_CLOSED)
		return;
	if (c->srv != NULL && (c->state == CONN_HEAD || c->state == CONN_BODY || c->state == CONN_FLIGHT))
		c->srv->stats.closed_early++;
	c->state = CONN_CLOSED;
	if (c->req != NULL) {
		c->req->conn = NULL;
		if (!c->req->in_flight && !c->req->answered)
			req_free(c->req);
		c->req = NULL;
	}
	if (c->srv != NULL)
		server_conn_gone(c->srv, c);
	c->srv = NULL;
	uv_close((uv_handle_t *)&c->tcp, on_closed);
}

int conn_new(struct http_server *s)
{
	struct conn *c = calloc(1, sizeof(*c));

	if (c == NULL)
		return TR_ENOMEM;
	if (uv_tcp_init(s->cfg.loop, &c->tcp) < 0) {
		free(c);
		return TR_ENOMEM;
	}
	c->tcp.data = c;
	c->srv = s;
	c->next = s->conns;
	if (s->conns != NULL)
		s->conns->prev = c;
	s->conns = c;
	s->stats.conns++;
	if (uv_accept((uv_stream_t *)&s->tcp, (uv_stream_t *)&c->tcp) < 0) {
		conn_close(c); /* gone again already */
		return 0;
	}
	s->stats.accepted++;
	uv_tcp_nodelay(&c->tcp, 1);
	set_deadline(c, s->cfg.idle_timeout_ms);
	set_reading(c, true);
	return 0;
}

/* ---- writing ---- */
static void linger(struct conn *c)
{
	int fd;

	c->state = CONN_LINGER;
	buf_free(&c->ahead);
	if (c->eof || uv_fileno((uv_handle_t *)&c->tcp, &fd) < 0 || shutdown(fd, SHUT_WR) < 0) {
		conn_close(c);
		return;
	}
	set_deadline(c, HTTP_LINGER_MS);
	set_reading(c, true);
}

/* The answer has left. */
static void sent(struct conn *c)
{
	c->served = true;
	if (!c->close_after) {
		c->state = CONN_IDLE;
		set_deadline(c, c->srv->cfg.idle_timeout_ms);
	} else if (c->linger_after || c->ahead.len > 0) {
		linger(c); /* closing with bytes unread would reset the connection before the client has read the answer
			    */
	} else {
		conn_close(c);
	}
}

static void on_written(uv_write_t *req, int status)
{
	struct out *o = (struct out *)(void *)req;
	struct conn *c = req->handle->data;

	buf_free(&o->data);
	free(o);
	if (c->state != CONN_WRITE)
		return;
	if (status < 0) {
		conn_close(c);
		return;
	}
	sent(c);
	conn_resume(c);
}

/* Queues what is left from byte `done` on of head and body. */
static int queue(struct conn *c, struct buf *head, const void *body, size_t n, struct buf *owned, size_t done)
{
	struct out *o = calloc(1, sizeof(*o));
	size_t skip = 0;
	uv_buf_t v;
	int r;

	if (o == NULL)
		return TR_ENOMEM;
	if (owned != NULL && done >= head->len) {
		o->data = *owned;
		buf_init(owned, owned->max);
		skip = done - head->len;
	} else {
		if (done < head->len)
			buf_append(&o->data, head->p + done, head->len - done);
		skip = done > head->len ? done - head->len : 0;
		buf_append(&o->data, (const char *)body + skip, n - skip);
		skip = 0;
	}
	v = uv_buf_init(o->data.p + skip, (unsigned)(o->data.len - skip));
	r = o->data.failed != 0 ? o->data.failed : uv_write(&o->req, (uv_stream_t *)&c->tcp, &v, 1, on_written);
	if (r < 0) {
		buf_free(&o->data);
		free(o);
	}
	return r;
}

void conn_send(struct conn *c, struct buf *head, const void *body, size_t n, struct buf *owned)
{
	uv_buf_t v[2];
	int r;

	c->state = CONN_WRITE;
	v[0] = uv_buf_init(head->p, (unsigned)head->len);
	v[1] = uv_buf_init((char *)(uintptr_t)body, (unsigned)n);
	r = uv_try_write((uv_stream_t *)&c->tcp, v, n > 0 ? 2 : 1);
	if (r < 0 && r != UV_EAGAIN) {
		conn_close(c);
		return;
	}
	if (r >= 0 && (size_t)r == head->len + n) {
		sent(c);
		return;
	}
	set_deadline(c, c->srv->cfg.body_timeout_ms);
	if (queue(c, head, body, n, owned, r > 0 ? (size_t)r : 0) < 0)
		conn_close(c);
}

static void on_continue_written(uv_write_t *req, int status)
{
	struct conn *c = req->handle->data;

	free(req);
	if (status < 0 && status != UV_ECANCELED)
		conn_close(c);
}

static void send_continue(struct conn *c)
{
	static char text[] = "HTTP/1.1 100 Continue\r\n\r\n";
	uv_buf_t v = uv_buf_init(text, sizeof(text) - 1);
	int r = uv_try_write((uv_stream_t *)&c->tcp, &v, 1);
	uv_write_t *req;

	if (r == (int)v.len)
		return;
	if (r < 0 && r != UV_EAGAIN) {
		conn_close(c);
		return;
	}
	v = uv_buf_init(text + (r > 0 ? r : 0), (unsigned)(v.len - (size_t)(r > 0 ? r : 0)));
	req = calloc(1, sizeof(*req));
	if (req == NULL || uv_write(req, (uv_stream_t *)&c->tcp, &v, 1, on_continue_written) < 0) {
		free(req);
		conn_close(c);
	}
}

/* ---- reading ---- */
static int begin(struct conn *c)
{
	if (c->req == NULL && (c->req = req_new(c->srv->cfg.max_body)) == NULL) {
		conn_close(c);
		return TR_ENOMEM;
	}
	c->req->conn = c;
	c->req->started_ns = tr_mono_ns();
	c->state = CONN_HEAD;
	set_deadline(c, c->srv->cfg.head_timeout_ms);
	return 0;
}

static void dispatch(struct conn *c)
{
	struct http_server *s = c->srv;
	struct http_req *r = c->req;

	c->state = CONN_FLIGHT;
	set_deadline(c, UINT64_MAX);
	c->close_after = !r->ps.keep_alive || s->draining;
	c->linger_after = false;
	r->srv = s;
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

/* Takes requests out of p, one after the other, as long as each is answered at once. Returns the bytes taken. */
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
		if (r == PARSE_HEAD) {
			c->state = CONN_BODY;
			set_deadline(c, c->srv->cfg.body_timeout_ms);
			if (c->req->ps.expect_continue && done == n)
				send_continue(c);
		} else if (r == PARSE_COMPLETE) {
			dispatch(c);
		}
	}
	c->advancing = false;
	return done;
}

void conn_resume(struct conn *c)
{
	if (c->advancing || c->state > CONN_BODY)
		return;
	if (c->ahead.len > 0)
		buf_consume(&c->ahead, advance(c, c->ahead.p, c->ahead.len));
	if (c->state > CONN_BODY)
		return;
	if (c->eof)
		conn_close(c);
	else
		set_reading(c, true);
}

static void on_eof(struct conn *c)
{
	c->eof = true;
	set_reading(c, false);
	if (c->state <= CONN_BODY || c->state == CONN_LINGER)
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
	if (c->state <= CONN_BODY)
		used = advance(c, p, n); /* nothing is read ahead in these states */
	if (used == n || c->state == CONN_CLOSED || c->state == CONN_LINGER)
		return;
	if (buf_append(&c->ahead, p + used, n - used) < 0)
		conn_close(c);
	else if (c->ahead.len >= HTTP_AHEAD_MAX)
		set_reading(c, false);
}

static void on_read(uv_stream_t *tcp, ssize_t n, const uv_buf_t *buf)
{
	struct conn *c = tcp->data;

	if (n > 0)
		on_data(c, buf->base, (size_t)n);
	else if (n == UV_EOF)
		on_eof(c);
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
		set_deadline(c, UINT64_MAX);
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
		set_deadline(c, HTTP_DRAIN_MS);
	if (c->state != CONN_IDLE)
		return;
	if (uv_fileno((uv_handle_t *)&c->tcp, &fd) == 0)
		ioctl(fd, FIONREAD, &waiting);
	if (c->served && waiting == 0)
		conn_close(c);
	else
		set_deadline(c, HTTP_FRESH_MS);
}
