#include "proto/chan/stream.h"
#include "common/base/buf.h"
#include "common/base/clock.h"
#include "proto/chan/turn.h"
#include <assert.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <unistd.h>

#define READ_MIN (16u << 10)  /* room offered to every read */
#define READ_MAX (1u << 20)   /* at most so much beyond what has arrived: an announced length buys no memory */
#define KEEP_MAX (256u << 10) /* an empty buffer larger than this is given back */

struct chan_stream {
	uv_pipe_t pipe;
	struct chan_stream_cfg cfg;
	struct chan_turn *turn;
	struct buf in;         /* read and not yet cut */
	struct wire_walk walk; /* how far the first frame of it has been looked at */
	msgpack_sbuffer out;   /* packed and not yet handed to libuv */
	uv_write_t wr;
	char *wr_data; /* owned; NULL: no write under way */
	int err;       /* why it is dead, to be told from the loop; 0: alive */
	uint64_t heard_ms; /* when bytes last came in; at first: when it began */
	bool paused, reading, eof, told, closed;
	bool cutting; /* inside the frame loop: answers made there leave in one write at its end */
};

static void on_turn(void *arg);
static void cut(struct chan_stream *s);

static void on_closed(uv_handle_t *h)
{
	struct chan_stream *s = h->data;

	buf_free(&s->in);
	msgpack_sbuffer_destroy(&s->out);
	free(s);
}

int chan_stream_new(struct chan_stream **out, const struct chan_stream_cfg *cfg)
{
	struct chan_stream *s = calloc(1, sizeof(*s));
	int r;

	if (s == NULL) {
		(void)close(cfg->fd);
		return TR_ENOMEM;
	}
	s->cfg = *cfg;
	buf_init(&s->in, WIRE_FRAME_MAX + READ_MAX);
	msgpack_sbuffer_init(&s->out);
	s->pipe.data = s;
	(void)uv_pipe_init(cfg->loop, &s->pipe, 0); /* cannot fail */
	r = uv_pipe_open(&s->pipe, cfg->fd);
	if (r < 0)
		(void)close(cfg->fd); /* else the pipe closes it */
	if (r < 0 || (r = chan_turn_new(&s->turn, cfg->loop, on_turn, s)) < 0) {
		uv_close((uv_handle_t *)&s->pipe, on_closed);
		return r;
	}
	s->heard_ms = tr_mono_ms();
	chan_turn_ask(s->turn); /* starts to read */
	*out = s;
	return 0;
}

/* ---- out ---- */

static void die(struct chan_stream *s, int r)
{
	if (s->err == 0)
		s->err = r;
	chan_turn_ask(s->turn);
}

static void on_written(uv_write_t *wr, int status)
{
	struct chan_stream *s = wr->data;

	free(s->wr_data);
	s->wr_data = NULL;
	if (s->closed)
		return;
	if (status < 0)
		die(s, status);
	else
		chan_turn_ask(s->turn);
}

static void flush(struct chan_stream *s)
{
	uv_stream_t *h = (uv_stream_t *)&s->pipe;
	uv_buf_t b = {.base = s->out.data, .len = s->out.size};
	int n;

	if (s->wr_data != NULL || s->out.size == 0 || s->err != 0)
		return;
	n = uv_try_write(h, &b, 1);
	if (n < 0 && n != UV_EAGAIN) {
		die(s, n);
		return;
	}
	if (n > 0 && (size_t)n == s->out.size) {
		if (s->out.alloc > KEEP_MAX)
			free(msgpack_sbuffer_release(&s->out));
		else
			msgpack_sbuffer_clear(&s->out);
		return;
	}
	n = n < 0 ? 0 : n;
	b.base += n;
	b.len -= (size_t)n;
	s->wr_data = msgpack_sbuffer_release(&s->out);
	s->wr.data = s;
	n = uv_write(&s->wr, h, &b, 1, on_written);
	if (n < 0) {
		free(s->wr_data);
		s->wr_data = NULL;
		die(s, n);
	}
}

msgpack_sbuffer *chan_stream_out(struct chan_stream *s)
{
	return &s->out;
}

size_t chan_stream_queued(const struct chan_stream *s)
{
	return s->out.size + uv_stream_get_write_queue_size((const uv_stream_t *)&s->pipe);
}

uint64_t chan_stream_heard_ms(const struct chan_stream *s)
{
	uv_os_fd_t fd;
	int n = 0;

	if (uv_fileno((const uv_handle_t *)&s->pipe, &fd) == 0 && ioctl(fd, FIONREAD, &n) == 0 && n > 0)
		return tr_mono_ms();
	return s->heard_ms;
}

int chan_stream_send(struct chan_stream *s, bool now)
{
	if (s->err == 0 && chan_stream_queued(s) > s->cfg.max_queue)
		die(s, TR_EBUSY);
	if (s->err != 0) {
		msgpack_sbuffer_clear(&s->out);
		return s->err == TR_EBUSY ? TR_EBUSY : TR_ECLOSED;
	}
	if (now && !s->cutting)
		flush(s);
	if (s->out.size > 0)
		chan_turn_ask(s->turn);
	return 0;
}

/* ---- in ---- */

static void on_alloc(uv_handle_t *h, size_t suggested, uv_buf_t *b)
{
	struct chan_stream *s = h->data;
	size_t more = s->in.len < READ_MIN ? READ_MIN : s->in.len;

	(void)suggested;
	b->base = NULL;
	b->len = 0; /* libuv then reports UV_ENOBUFS */
	if (buf_reserve(&s->in, more < READ_MAX ? more : READ_MAX) < 0)
		return;
	b->base = s->in.p + s->in.len;
	b->len = s->in.cap - s->in.len - 1; /* the NUL behind it */
	if (b->len > s->in.max - s->in.len)
		b->len = s->in.max - s->in.len;
}

static void stop_reading(struct chan_stream *s)
{
	if (s->reading)
		(void)uv_read_stop((uv_stream_t *)&s->pipe);
	s->reading = false;
}

static void on_read(uv_stream_t *h, ssize_t n, const uv_buf_t *b)
{
	struct chan_stream *s = h->data;

	(void)b;
	if (n > 0) {
		s->heard_ms = tr_mono_ms();
		s->in.len += (size_t)n;
		s->in.p[s->in.len] = '\0';
		cut(s);
	} else if (n == UV_EOF) {
		stop_reading(s);
		s->eof = true;
		s->cfg.ops->on_end(s->cfg.arg, UV_EOF);
	} else if (n < 0) {
		stop_reading(s);
		die(s, (int)n);
	}
}

static bool blocked(const struct chan_stream *s)
{
	return s->paused || s->err != 0 || (s->cfg.choke > 0 && chan_stream_queued(s) > s->cfg.choke);
}

/* Hands out every whole frame, then lets the gathered answers go and settles whether to read on. */
static void cut(struct chan_stream *s)
{
	size_t at = 0;
	int64_t n = 1;
	bool held;

	s->cutting = true;
	while (!s->closed && at < s->in.len && !blocked(s)) {
		n = wire_walk(&s->walk, s->in.p + at, s->in.len - at, WIRE_FRAME_MAX);
		if (n <= 0)
			break;
		s->walk = (struct wire_walk){0};
		s->cfg.ops->on_frame(s->cfg.arg, s->in.p + at, (size_t)n);
		at = s->in.len == 0 ? 0 : at + (size_t)n; /* 0: the frame was taken with the buffer */
	}
	s->cutting = false;
	if (s->closed)
		return;
	buf_consume(&s->in, at);
	if (s->in.len == 0 && s->in.cap > KEEP_MAX)
		buf_free(&s->in);
	if (n < 0)
		die(s, (int)n);
	held = blocked(s);
	flush(s);
	if (blocked(s) || s->eof) {
		stop_reading(s);
	} else if (!s->reading) {
		s->reading = uv_read_start((uv_stream_t *)&s->pipe, on_alloc, on_read) == 0;
		if (!s->reading)
			die(s, UV_EIO);
	}
	if (held && !blocked(s))
		chan_turn_ask(s->turn); /* choked by what flush() has just got rid of: there may be more to cut */
}

char *chan_stream_take(struct chan_stream *s, const char *p, size_t n)
{
	char *own;

	assert(s->cutting);
	if (p == s->in.p && n == s->in.len && n >= s->in.cap / 2) {
		own = s->in.p;
		s->in.p = NULL;
		s->in.len = s->in.cap = 0;
		return own;
	}
	own = malloc(n);
	if (own != NULL)
		memcpy(own, p, n);
	return own;
}

void chan_stream_pause(struct chan_stream *s, bool paused)
{
	if (s->paused == paused)
		return;
	s->paused = paused;
	if (paused)
		stop_reading(s);
	else
		chan_turn_ask(s->turn);
}

/* Once before the loop waits: what was gathered goes out, what was held back comes in, deaths are told. */
static void on_turn(void *arg)
{
	struct chan_stream *s = arg;

	if (s->err == 0) {
		flush(s);
		cut(s);
	}
	if (s->closed || s->told)
		return;
	if (s->err != 0) {
		s->told = true;
		stop_reading(s);
		s->cfg.ops->on_end(s->cfg.arg, s->err);
	} else if (chan_stream_queued(s) == 0 && s->cfg.ops->on_flushed != NULL) {
		s->cfg.ops->on_flushed(s->cfg.arg);
	}
}

void chan_stream_close(struct chan_stream **ps)
{
	struct chan_stream *s = *ps;

	if (s == NULL)
		return;
	*ps = NULL;
	s->closed = true;
	chan_turn_free(&s->turn);
	uv_close((uv_handle_t *)&s->pipe, on_closed);
}
