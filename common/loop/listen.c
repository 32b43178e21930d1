#include "common/loop/listen.h"
#include "common/base/clock.h"
#include "common/base/err.h"
#include "common/log/log.h"
#include "common/loop/loop.h"
#include <errno.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#define ACCEPT_MAX  64   /* connections taken a wake-up */
#define NO_FILES_MS 100  /* pause when there are no descriptors left */
#define SAY_MS      1000 /* between two lines about that */

struct loop_listener {
	uv_poll_t poll;
	int fd;
	bool on;
	struct loop_timer *no_files;
	const struct loop_listener_ops *ops;
	void *arg;
	uint64_t said_ms;
};

static void on_no_files(void *arg);
static void on_poll(uv_poll_t *h, int status, int events);

int loop_listener_new(struct loop_listener **out, uv_loop_t *loop, int fd, int backlog,
		      const struct loop_listener_ops *ops, void *arg)
{
	struct loop_listener *l = calloc(1, sizeof(*l));
	int r = TR_ENOMEM;

	if (l == NULL)
		goto fail;
	if (listen(fd, backlog) < 0) {
		r = -errno;
		goto fail;
	}
	if ((r = loop_timer_new(&l->no_files, loop, on_no_files, l)) < 0)
		goto fail;
	if ((r = uv_poll_init(loop, &l->poll, fd)) < 0) /* also makes it non-blocking */
		goto fail;
	(void)uv_poll_start(&l->poll, UV_READABLE, on_poll); /* libuv's tables grow now: a new lead allocates nothing */
	(void)uv_poll_stop(&l->poll);
	l->poll.data = l;
	l->fd = fd;
	l->ops = ops;
	l->arg = arg;
	*out = l;
	return 0;
fail:
	if (l != NULL)
		loop_timer_free(&l->no_files);
	free(l);
	(void)close(fd);
	return r;
}

static void pause_for_files(struct loop_listener *l, int e)
{
	uint64_t now = tr_mono_ms();

	if (l->said_ms == 0 || now - l->said_ms >= SAY_MS) {
		log_warn("accept: callers wait error=%s", tr_err_name(-e));
		l->said_ms = now;
	}
	(void)uv_poll_stop(&l->poll);
	(void)loop_timer_start(l->no_files, NO_FILES_MS, 0);
}

static void on_poll(uv_poll_t *h, int status, int events)
{
	struct loop_listener *l = h->data;

	(void)events;
	if (status < 0) {
		log_error("listening socket: %s", tr_strerror(status));
		return;
	}
	for (int i = 0; i < ACCEPT_MAX; i++) {
		int fd;

		if (!l->ops->room(l->arg)) {
			loop_listener_stop(l);
			return;
		}
		fd = accept4(l->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
		if (fd >= 0) {
			l->ops->accepted(l->arg, fd);
			if (uv_is_closing((uv_handle_t *)h)) /* freed; the memory goes later, from the loop */
				return;
		} else if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM) {
			pause_for_files(l, errno);
			return;
		} else if (errno != EINTR && errno != ECONNABORTED) {
			return; /* EAGAIN: that was all */
		}
	}
}

static void on_no_files(void *arg)
{
	struct loop_listener *l = arg;

	if (l->on)
		(void)uv_poll_start(&l->poll, UV_READABLE, on_poll);
}

void loop_listener_start(struct loop_listener *l)
{
	if (!l->on)
		(void)uv_poll_start(&l->poll, UV_READABLE, on_poll);
	l->on = true;
}

void loop_listener_stop(struct loop_listener *l)
{
	l->on = false;
	(void)uv_poll_stop(&l->poll);
}

static void on_closed(uv_handle_t *h)
{
	free(h->data);
}

void loop_listener_free(struct loop_listener **pl)
{
	struct loop_listener *l = *pl;

	if (l == NULL)
		return;
	*pl = NULL;
	loop_timer_free(&l->no_files);
	uv_close((uv_handle_t *)&l->poll, on_closed);
	(void)close(l->fd);
}
