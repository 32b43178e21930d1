/* An answer in pieces. A stream belongs to its writer and is tied to a connection; the tie is cut when either goes. */
#include "jrs/executive/http/internal.h"
#include <stdio.h>
#include <stdlib.h>

#define SEND_BUFFER 65536 /* bytes the kernel may hold for a slow reader; its default is megabytes */

struct http_stream {
	struct conn *conn; /* NULL: the client is gone */
	struct http_stream_cfg cfg;
	bool chunked, head_only;
};

void stream_lost(struct http_stream *s)
{
	s->conn->stream = NULL;
	s->conn = NULL;
	s->cfg.on_gone(s->cfg.arg);
}

/* Cuts the tie; the connection is the caller's to end. */
static struct conn *untie(struct http_stream *s)
{
	struct conn *c = s->conn;

	if (c != NULL)
		c->stream = NULL;
	s->conn = NULL;
	return c;
}

static int put(struct http_stream *s, const void *p, size_t n)
{
	int r = conn_put(s->conn, p, n);

	if (r >= 0)
		return 0;
	conn_close(untie(s));
	return TR_ECLOSED;
}

static void tie(struct http_stream *s, struct conn *c)
{
	int size = SEND_BUFFER;

	s->conn = c;
	c->stream = s;
	c->state = CONN_STREAM;
	c->close_after = true;
	uv_send_buffer_size((uv_handle_t *)&c->tcp, &size);
}

int http_stream_begin(struct http_stream **out, struct http_req *req, const char *content_type, const char *extra,
		      const struct http_stream_cfg *cfg)
{
	struct http_stream *s = calloc(1, sizeof(*s));
	struct conn *c = req->conn;
	struct buf head = {0};

	if (s == NULL)
		return TR_ENOMEM;
	s->cfg = *cfg;
	s->chunked = req->ps.minor > 0;
	s->head_only = req->ps.ll.method == HTTP_HEAD;
	if (c != NULL) {
		bool close_after = c->close_after;

		c->close_after = true; /* the head says so */
		if (req_head(&head, c, req, 200, content_type, s->chunked ? "Transfer-Encoding: chunked\r\n" : "", -1,
			     extra) < 0) {
			c->close_after = close_after;
			buf_free(&head);
			free(s);
			return TR_ENOMEM;
		}
		tie(s, c);
		put(s, head.p, head.len);
		buf_free(&head);
	}
	req_landed(req);
	if (req->conn == NULL)
		req_free(req);
	else
		req_reset(req);
	*out = s;
	return 0;
}

int http_stream_write(struct http_stream *s, const void *p, size_t n)
{
	struct buf chunk = {0};
	int r;

	if (s->conn == NULL)
		return TR_ECLOSED;
	if (s->head_only || n == 0) /* an empty chunk would be the end */
		return 0;
	if (s->conn->queued + n > s->cfg.max_queue)
		return TR_EBUSY;
	if (!s->chunked)
		return put(s, p, n);
	buf_printf(&chunk, "%zx\r\n", n);
	buf_append(&chunk, p, n);
	buf_puts(&chunk, "\r\n");
	r = chunk.failed != 0 ? TR_EBUSY : put(s, chunk.p, chunk.len);
	buf_free(&chunk);
	return r;
}

void http_stream_end(struct http_stream **sp)
{
	struct http_stream *s = *sp;

	if (s == NULL)
		return;
	*sp = NULL;
	if (s->conn != NULL && (!s->chunked || s->head_only || put(s, "0\r\n\r\n", 5) == 0))
		conn_put_end(untie(s));
	free(s);
}

void http_stream_cut(struct http_stream **sp)
{
	struct http_stream *s = *sp;

	if (s == NULL)
		return;
	*sp = NULL;
	if (s->conn != NULL)
		conn_close(untie(s));
	free(s);
}
