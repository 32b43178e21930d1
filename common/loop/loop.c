#include "common/loop/loop.h"
#include "common/base/err.h"
#include <poll.h>
#include <stdlib.h>

struct loop_timer {
	uv_timer_t handle;
	loop_timer_cb *cb;
	void *arg;
};

static void timer_closed(uv_handle_t *h)
{
	free(h->data);
}

static void timer_fired(uv_timer_t *h)
{
	struct loop_timer *t = h->data;

	t->cb(t->arg); /* may free t */
}

int loop_timer_new(struct loop_timer **out, uv_loop_t *loop, loop_timer_cb *cb, void *arg)
{
	struct loop_timer *t = calloc(1, sizeof(*t));
	int r;

	if (t == NULL)
		return TR_ENOMEM;
	if ((r = uv_timer_init(loop, &t->handle)) < 0) {
		free(t);
		return r;
	}
	t->handle.data = t;
	t->cb = cb;
	t->arg = arg;
	*out = t;
	return 0;
}

int loop_timer_start(struct loop_timer *t, uint64_t first_ms, uint64_t repeat_ms)
{
	/* the loop's idea of now may be as old as the callback we are called from */
	uv_update_time(t->handle.loop);
	return uv_timer_start(&t->handle, timer_fired, first_ms, repeat_ms);
}

void loop_timer_stop(struct loop_timer *t)
{
	(void)uv_timer_stop(&t->handle);
}

void loop_timer_free(struct loop_timer **t)
{
	if (t == NULL || *t == NULL)
		return;
	uv_close((uv_handle_t *)&(*t)->handle, timer_closed);
	*t = NULL;
}

#define LAG_PERIOD_MS 10

struct loop_lag {
	uv_timer_t handle;
	uint64_t due_ns, worst_ns;
};

static void lag_fired(uv_timer_t *h)
{
	struct loop_lag *l = h->data;
	uint64_t now = uv_hrtime();

	if (now > l->due_ns && now - l->due_ns > l->worst_ns)
		l->worst_ns = now - l->due_ns;
	l->due_ns = now + LAG_PERIOD_MS * 1000000u;
}

int loop_lag_new(struct loop_lag **out, uv_loop_t *loop)
{
	struct loop_lag *l = calloc(1, sizeof(*l));
	int r;

	if (l == NULL)
		return TR_ENOMEM;
	if ((r = uv_timer_init(loop, &l->handle)) < 0) {
		free(l);
		return r;
	}
	l->handle.data = l;
	uv_update_time(loop);
	l->due_ns = uv_hrtime() + LAG_PERIOD_MS * 1000000u;
	(void)uv_timer_start(&l->handle, lag_fired, LAG_PERIOD_MS, LAG_PERIOD_MS);
	uv_unref((uv_handle_t *)&l->handle); /* measuring alone keeps no loop alive */
	*out = l;
	return 0;
}

uint64_t loop_lag_us(const struct loop_lag *l)
{
	return l->worst_ns / 1000u;
}

void loop_lag_reset(struct loop_lag *l)
{
	l->worst_ns = 0;
}

static void lag_closed(uv_handle_t *h)
{
	free(h->data);
}

void loop_lag_free(struct loop_lag **l)
{
	if (l == NULL || *l == NULL)
		return;
	uv_close((uv_handle_t *)&(*l)->handle, lag_closed);
	*l = NULL;
}

/* About a second: requests in the thread pool may still be under way. */
#define FINISH_TURNS 1000

int loop_finish(uv_loop_t *loop)
{
	for (int i = 0; i < FINISH_TURNS && uv_run(loop, UV_RUN_NOWAIT) != 0; i++)
		(void)poll(NULL, 0, 1);
	return uv_loop_close(loop);
}
