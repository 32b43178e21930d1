/* A client of the HTTP tests: non-blocking, on the same loop as the server under test. Included once by one test
 * program. */
#ifndef TESTS_UNIT_HTTP_CLIENT_H
#define TESTS_UNIT_HTTP_CLIENT_H
#include "common/base/buf.h"
#include <errno.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include <uv.h>

struct client {
	uv_loop_t *loop;
	int fd;
	uv_poll_t poll;
	struct buf in;
	bool eof, reset, open;
};

static void on_poll(uv_poll_t *p, int status, int events)
{
	struct client *c = p->data;
	char tmp[65536];
	ssize_t n;

	(void)status;
	(void)events;
	n = recv(c->fd, tmp, sizeof(tmp), MSG_DONTWAIT);
	if (n > 0) {
		buf_append(&c->in, tmp, (size_t)n);
	} else if (n == 0 || (errno != EAGAIN && errno != EINTR)) {
		c->eof = true;
		c->reset = n < 0;
		uv_poll_stop(p);
	}
}

static void dial(struct client *c, uv_loop_t *loop, const struct sockaddr_in *to)
{
	memset(c, 0, sizeof(*c));
	c->loop = loop;
	c->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_int_equal(connect(c->fd, (const struct sockaddr *)to, sizeof(*to)), 0);
	uv_poll_init(loop, &c->poll, c->fd);
	c->poll.data = c;
	uv_poll_start(&c->poll, UV_READABLE, on_poll);
	c->open = true;
}

static void on_poll_closed(uv_handle_t *h)
{
	((struct client *)h->data)->open = false;
}

static void hang_up(struct client *c, bool reset)
{
	struct linger l = {1, 0};

	uv_poll_stop(&c->poll);
	uv_close((uv_handle_t *)&c->poll, on_poll_closed);
	if (reset)
		setsockopt(c->fd, SOL_SOCKET, SO_LINGER, &l, sizeof(l));
	close(c->fd);
	while (c->open)
		uv_run(c->loop, UV_RUN_NOWAIT);
	buf_free(&c->in);
}

static void say(struct client *c, const char *p, size_t n)
{
	while (n > 0) {
		ssize_t k = send(c->fd, p, n, MSG_DONTWAIT | MSG_NOSIGNAL);

		if (k < 0 && errno == EAGAIN) {
			uv_run(c->loop, UV_RUN_NOWAIT);
			continue;
		}
		if (k < 0)
			return; /* the server has hung up; what it said is judged by the test */
		p += k;
		n -= (size_t)k;
	}
}
#define SAY(c, text) say(c, text, strlen(text))

static inline bool has(struct client *c, const char *text)
{
	return c->in.p != NULL && strstr(c->in.p, text) != NULL;
}

static inline unsigned count(struct client *c, const char *text)
{
	unsigned n = 0;

	for (const char *p = c->in.p; p != NULL && (p = strstr(p, text)) != NULL; p++)
		n++;
	return n;
}

#endif
