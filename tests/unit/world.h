/* A small world for tests of sockets: a loop, a directory of its own, listening sockets, and a raw client that sees
 * bytes. Everything runs in one thread; waiting means turning the loop until something is true, never sleeping. */
#ifndef TESTS_UNIT_WORLD_H
#define TESTS_UNIT_WORLD_H
#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>
/* after the standard headers, as cmocka wants it */
#include "common/base/clock.h"
#include "common/loop/loop.h"
#include "proto/wire/wire.h"
#include <cmocka.h>

#define WORLD_PATIENCE_MS 20000

struct world {
	uv_loop_t loop;
	struct loop_timer *tick; /* so that a turn never blocks for long */
	char dir[64], path[108];
};

static inline void world_ticked(void *arg)
{
	(void)arg;
}

static inline void world_open(struct world *w)
{
	(void)signal(SIGPIPE, SIG_IGN);
	assert_int_equal(uv_loop_init(&w->loop), 0);
	assert_int_equal(loop_timer_new(&w->tick, &w->loop, world_ticked, NULL), 0);
	assert_int_equal(loop_timer_start(w->tick, 5, 5), 0);
	(void)strcpy(w->dir, "/tmp/tribe-test-XXXXXX");
	assert_non_null(mkdtemp(w->dir));
	(void)snprintf(w->path, sizeof(w->path), "%s/jr.sock", w->dir);
}

static inline void world_close(struct world *w)
{
	(void)unlink(w->path);
	(void)rmdir(w->dir);
	loop_timer_free(&w->tick);
	assert_int_equal(loop_finish(&w->loop), 0);
}

/* Turns the loop until cond is true; fails the test when the world's patience is over. */
#define SPIN(w, cond)                                                      \
	do {                                                               \
		uint64_t end_ = tr_mono_ms() + WORLD_PATIENCE_MS;          \
		while (!(cond)) {                                          \
			if (tr_mono_ms() > end_)                           \
				fail_msg("waited in vain for: %s", #cond); \
			(void)uv_run(&(w)->loop, UV_RUN_ONCE);             \
		}                                                          \
	} while (0)
/* Lets everything happen that can happen now. */
static inline void world_settle(struct world *w)
{
	for (int i = 0; i < 20; i++)
		(void)uv_run(&w->loop, UV_RUN_NOWAIT);
}

static inline struct sockaddr_un world_addr(const struct world *w)
{
	struct sockaddr_un a = {.sun_family = AF_UNIX};

	(void)strcpy(a.sun_path, w->path);
	return a;
}

static inline int world_listen(const struct world *w)
{
	struct sockaddr_un a = world_addr(w);
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	assert_true(fd >= 0);
	assert_int_equal(bind(fd, (const struct sockaddr *)&a, sizeof(a)), 0);
	assert_int_equal(listen(fd, 512), 0);
	return fd;
}

/* ---- a raw client (or, with an accepted fd, a raw server) ---- */
struct raw {
	int fd;
	char in[1 << 18];
	size_t n;
	bool eof;
};

static inline void raw_open(struct raw *c, const struct world *w)
{
	struct sockaddr_un a = world_addr(w);

	memset(c, 0, sizeof(*c));
	c->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	assert_true(c->fd >= 0);
	assert_int_equal(connect(c->fd, (const struct sockaddr *)&a, sizeof(a)), 0);
}

static inline void raw_close(struct raw *c)
{
	if (c->fd >= 0)
		(void)close(c->fd);
	c->fd = -1;
}

static inline void raw_send(struct raw *c, const void *p, size_t n)
{
	assert_int_equal(send(c->fd, p, n, MSG_DONTWAIT | MSG_NOSIGNAL), n);
}

static inline void raw_ask(struct raw *c, uint32_t msgid, enum wire_msg_id id, const void *msg)
{
	msgpack_sbuffer sb;

	msgpack_sbuffer_init(&sb);
	assert_int_equal(wire_pack_request(&sb, msgid, id, msg), 0);
	raw_send(c, sb.data, sb.size);
	msgpack_sbuffer_destroy(&sb);
}

static inline void raw_read(struct raw *c)
{
	ssize_t r;

	while (!c->eof && c->n < sizeof(c->in) &&
	       (r = recv(c->fd, c->in + c->n, sizeof(c->in) - c->n, MSG_DONTWAIT)) != -1) {
		if (r == 0)
			c->eof = true;
		c->n += (size_t)r;
	}
	if (!c->eof && c->n < sizeof(c->in) && errno != EAGAIN)
		c->eof = true;
}

static inline bool raw_gone(struct raw *c)
{
	raw_read(c);
	return c->eof;
}

/* Is there a whole message? Its length, 0 if not yet. */
static inline size_t raw_has(struct raw *c)
{
	int64_t n;

	raw_read(c);
	n = wire_frame_length(c->in, c->n, WIRE_FRAME_MAX);
	assert_true(n >= 0);
	return (size_t)n;
}

/* Takes the next message, waiting for it; in is valid until raw_done(). */
static inline void raw_next(struct world *w, struct raw *c, struct wire_in *in, size_t *len)
{
	SPIN(w, (*len = raw_has(c)) > 0);
	assert_int_equal(wire_parse(in, c->in, *len), 0);
}

static inline void raw_done(struct raw *c, struct wire_in *in, size_t len)
{
	wire_in_free(in);
	memmove(c->in, c->in + len, c->n - len);
	c->n -= len;
}

/* The next message is an answer to msgid; 0, or the error's code. */
static inline int raw_answer(struct world *w, struct raw *c, uint32_t msgid, struct tr_fault *fault)
{
	struct tr_fault f = {0};
	struct wire_in in;
	size_t len;

	raw_next(w, c, &in, &len);
	assert_int_equal(in.kind, WIRE_RESPONSE);
	assert_int_equal(in.msgid, msgid);
	if (in.error != NULL)
		wire_decode_error(&in, &f);
	raw_done(c, &in, len);
	if (fault != NULL)
		*fault = f;
	return f.code;
}

#endif
