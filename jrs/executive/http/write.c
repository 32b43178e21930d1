/* Everything that leaves a connection, and its end. */
#include "jrs/executive/http/internal.h"
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

struct out { /* what uv_try_write left over */
	uv_write_t req;
	struct buf data; /* owned */
	size_t n;
};

static void linger(struct conn *c)
{
	int fd;

	c->state = CONN_LINGER;
	if (!c->advancing) /* else conn_resume() is reading from it */
		buf_free(&c->ahead);
	if (c->eof || uv_fileno((uv_handle_t *)&c->tcp, &fd) < 0 || shutdown(fd, SHUT_WR) < 0) {
		conn_close(c);
		return;
	}
	conn_deadline(c, HTTP_LINGER_MS);
	conn_reading(c, true);
}

/* The answer has left. */
static void sent(struct conn *c)
{
	c->served = true;
	c->served_ms = uv_now(c->srv->cfg.loop);
	if (!c->close_after) {
		c->state = CONN_IDLE;
		conn_deadline(c, c->srv->cfg.idle_timeout_ms);
		return;
	}
	if (c->tls != NULL)
		conn_bye(c); /* if the answer did not bring it: a drain has begun since */
	if (c->linger_after || c->ahead.len > 0 || c->tls != NULL)
		linger(c); /* closing with bytes unread would reset the connection before the client has read the answer
			    */
	else
		conn_close(c);
}

static void on_written(uv_write_t *req, int status)
{
	struct out *o = (struct out *)(void *)req;
	struct conn *c = req->handle->data;

	c->queued -= o->n;
	if (c->srv != NULL)
		c->srv->held -= o->n;
	buf_free(&o->data);
	free(o);
	if (status < 0) {
		conn_close(c);
	} else if (c->state == CONN_WRITE && c->queued == 0) {
		sent(c);
		conn_resume(c);
	}
}

/* Queues what is left from byte `done` on of head and body. */
static int queue(struct conn *c, const struct buf *head, const void *body, size_t n, struct buf *owned, size_t done)
{
	struct out *o;
	size_t skip = 0;
	uv_buf_t v;
	int r;

	if (c->queued + head->len + n - done > HTTP_SMALL && c->srv->held + head->len + n - done > c->srv->cfg.max_held)
		return TR_EBUSY;
	if ((o = calloc(1, sizeof(*o))) == NULL)
		return TR_ENOMEM;
	if (owned != NULL && done >= head->len) {
		o->data = *owned;
		buf_init(owned, owned->max);
		skip = done - head->len;
	} else {
		if (done < head->len)
			buf_append(&o->data, head->p + done, head->len - done);
		if (done > head->len)
			skip = done - head->len;
		if (n > skip)
			buf_append(&o->data, (const char *)body + skip, n - skip);
		skip = 0;
	}
	o->n = o->data.len - skip;
	v = uv_buf_init(o->data.p + skip, (unsigned)o->n);
	r = o->data.failed != 0 ? o->data.failed : uv_write(&o->req, (uv_stream_t *)&c->tcp, &v, 1, on_written);
	if (r < 0) {
		buf_free(&o->data);
		free(o);
		return r;
	}
	c->queued += o->n;
	c->srv->held += o->n;
	return 0;
}

/* To the wire, as it is: now what the kernel takes, the rest later. owned: as in conn_send(). */
static int put(struct conn *c, const struct buf *head, const void *body, size_t n, struct buf *owned)
{
	uv_buf_t v[2];
	unsigned parts = 0;
	int r;

	if (head->len > 0)
		v[parts++] = uv_buf_init(head->p, (unsigned)head->len);
	if (n > 0)
		v[parts++] = uv_buf_init((char *)(uintptr_t)body, (unsigned)n);
	if (parts == 0)
		return 0;
	r = uv_try_write((uv_stream_t *)&c->tcp, v, parts);
	if (r < 0 && r != UV_EAGAIN)
		return r;
	if (r >= 0 && (size_t)r == head->len + n)
		return 0;
	return queue(c, head, body, n, owned, r > 0 ? (size_t)r : 0);
}

/* What TLS has ready. */
static int put_out(struct conn *c)
{
	struct buf *out = tls_out(c->tls), none = {0};
	int r = put(c, &none, out->p, out->len, out);

	buf_clear(out);
	return r;
}

static void lost(struct conn *c, int r)
{
	if (r == TR_EBUSY || r == TR_ENOMEM)
		conn_drop(c, HTTP_DROP_MEMORY);
	else
		conn_close(c);
}

void conn_flush(struct conn *c)
{
	int r = put_out(c);

	if (r < 0)
		lost(c, r);
}

void conn_bye(struct conn *c)
{
	struct buf *out = tls_out(c->tls);
	uv_buf_t v;

	tls_bye(c->tls);
	v = uv_buf_init(out->p, (unsigned)out->len);
	if (out->len > 0)
		uv_try_write((uv_stream_t *)&c->tcp, &v, 1); /* politeness: nothing depends on it */
	buf_clear(out);
}

/* An answer by TLS; a small one is one record. */
static int put_secret(struct conn *c, struct buf *head, const void *body, size_t n)
{
	int r;

	if (n > 0 && head->len + n <= TLS_PIECE && buf_append(head, body, n) == 0)
		n = 0;
	if ((r = tls_write(c->tls, head->p, head->len)) < 0 || (r = tls_write(c->tls, body, n)) < 0)
		return r;
	if (c->close_after)
		tls_bye(c->tls);
	return put_out(c);
}

void conn_send(struct conn *c, struct buf *head, const void *body, size_t n, struct buf *owned)
{
	int r;

	c->state = CONN_WRITE;
	if (c->tls == NULL)
		r = put(c, head, body, n, owned);
	else
		r = put_secret(c, head, body, n);
	if (r < 0)
		lost(c, r);
	else if (c->queued == 0)
		sent(c);
	else
		conn_deadline(c, c->srv->cfg.body_timeout_ms);
}

int conn_put(struct conn *c, const void *p, size_t n)
{
	struct buf none = {0};
	int r;

	if (c->tls == NULL)
		return put(c, &none, p, n, NULL);
	return (r = tls_write(c->tls, p, n)) < 0 ? r : put_out(c);
}

void conn_put_end(struct conn *c)
{
	c->state = CONN_WRITE;
	if (c->tls != NULL) {
		tls_bye(c->tls);
		conn_flush(c);
	}
	if (c->state != CONN_WRITE)
		return;
	if (c->queued == 0)
		sent(c);
	else
		conn_deadline(c, c->srv->cfg.body_timeout_ms);
}

void conn_continue(struct conn *c)
{
	static const char text[] = "HTTP/1.1 100 Continue\r\n\r\n";
	int r = conn_put(c, text, sizeof(text) - 1);

	if (r < 0)
		lost(c, r);
}
