#include "supervisor/ctl/drill/watch.h"
#include "common/base/clock.h"
#include "common/base/text.h"
#include "common/loop/loop.h"
#include "proto/chan/peer.h"
#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define KEPT     4096
#define AGAIN_MS 20
#define ASK_MS   2000

struct heard {
	uint64_t at_ns;
	char jr[WATCH_WORD], kind[WATCH_WORD];
	uint32_t pid;
};
struct watch {
	uv_thread_t thread;
	uv_loop_t loop;
	uv_async_t leave;
	struct peer *peer;
	struct loop_timer *again;
	char path[4200];
	uv_mutex_t lock;
	uv_cond_t changed;
	/* under the lock: */
	struct heard heard[KEPT];
	uint64_t count;
	bool told; /* tribed has begun to tell */
};

static void ask(void *arg);

static void on_note(void *arg, enum wire_msg_id id, const void *msg)
{
	const struct msg_event *e = msg;
	struct watch *w = arg;
	struct heard h = {.at_ns = tr_mono_ns(), .pid = id == MSG_event && e->has_pid ? e->pid : 0};

	if (id != MSG_event || !e->has_jr)
		return;
	tr_copy(h.jr, sizeof(h.jr), e->jr.p, e->jr.n);
	tr_copy(h.kind, sizeof(h.kind), e->kind.p, e->kind.n);
	uv_mutex_lock(&w->lock);
	w->heard[w->count++ % KEPT] = h;
	uv_cond_signal(&w->changed);
	uv_mutex_unlock(&w->lock);
}

static void on_answer(void *arg, int r, const void *res, const struct tr_fault *fault)
{
	struct watch *w = arg;

	(void)res, (void)fault;
	if (r == TR_ECLOSED)
		return; /* we leave */
	if (r < 0) {
		(void)loop_timer_start(w->again, AGAIN_MS, 0);
		return;
	}
	uv_mutex_lock(&w->lock);
	w->told = true;
	uv_cond_signal(&w->changed);
	uv_mutex_unlock(&w->lock);
}

static void on_lost(void *arg)
{
	struct watch *w = arg;

	(void)loop_timer_start(w->again, AGAIN_MS, 0);
}

static void ask(void *arg)
{
	const struct msg_events msg = {.has_follow = true, .follow = true, .has_limit = true, .limit = 1};
	struct watch *w = arg;

	if (peer_call(w->peer, MSG_events, &msg, ASK_MS, on_answer, w, NULL) < 0)
		(void)loop_timer_start(w->again, AGAIN_MS, 0);
}

static void on_leave(uv_async_t *a)
{
	struct watch *w = a->data;

	peer_free(&w->peer);
	loop_timer_free(&w->again);
	uv_close((uv_handle_t *)a, NULL);
}

static void turn(void *arg)
{
	struct watch *w = arg;

	(void)uv_run(&w->loop, UV_RUN_DEFAULT);
}

static int set_up(struct watch *w)
{
	int r;

	if ((r = uv_async_init(&w->loop, &w->leave, on_leave)) < 0)
		return r;
	w->leave.data = w;
	if ((r = peer_new(&w->peer, &w->loop, w->path, 4)) < 0 || (r = loop_timer_new(&w->again, &w->loop, ask, w)) < 0)
		return r;
	peer_on_note(w->peer, on_note, w);
	peer_on_lost(w->peer, on_lost, w);
	return loop_timer_start(w->again, 0, 0);
}

int watch_start(struct watch **out, const char *path, uint32_t wait_ms)
{
	struct watch *w = calloc(1, sizeof(*w));
	uint64_t until = tr_mono_ns() + wait_ms * 1000000ull, now;
	int r;

	if (w == NULL)
		return TR_ENOMEM;
	(void)snprintf(w->path, sizeof(w->path), "%s", path);
	if ((r = uv_loop_init(&w->loop)) < 0) {
		free(w);
		return r;
	}
	if ((r = uv_mutex_init(&w->lock)) < 0 || (r = uv_cond_init(&w->changed)) < 0)
		abort(); /* glibc's never fail */
	if ((r = set_up(w)) < 0 || (r = uv_thread_create(&w->thread, turn, w)) < 0) {
		if (w->leave.data != NULL)
			on_leave(&w->leave);
		(void)loop_finish(&w->loop);
		free(w);
		return r;
	}
	uv_mutex_lock(&w->lock);
	while (!w->told && (now = tr_mono_ns()) < until)
		(void)uv_cond_timedwait(&w->changed, &w->lock, until - now);
	uv_mutex_unlock(&w->lock);
	*out = w;
	return 0;
}

/* Is it a sign of what happened to that process? */
static bool is_sign(const struct heard *h, uint32_t pid)
{
	static const char *const none[] = {"drill", "heal", "spawn", "ready", "start", "stop", "backoff", NULL};

	if (strcmp(h->kind, "promote") == 0)
		return h->pid != pid;
	for (int i = 0; none[i] != NULL; i++)
		if (strcmp(h->kind, none[i]) == 0)
			return false;
	return h->pid == pid;
}

bool watch_find(struct watch *w, const char *jr, uint32_t pid, uint64_t after_ns, struct watch_notice *out)
{
	bool found = false;

	uv_mutex_lock(&w->lock);
	for (uint64_t i = w->count > KEPT ? w->count - KEPT : 0; i < w->count && !found; i++) {
		const struct heard *h = &w->heard[i % KEPT];

		if (h->at_ns < after_ns || strcmp(h->jr, jr) != 0 || !is_sign(h, pid))
			continue;
		out->at_ns = h->at_ns;
		(void)snprintf(out->kind, sizeof(out->kind), "%s", h->kind);
		found = true;
	}
	uv_mutex_unlock(&w->lock);
	return found;
}

void watch_stop(struct watch **w)
{
	int r;

	if (w == NULL || *w == NULL)
		return;
	(void)uv_async_send(&(*w)->leave);
	(void)uv_thread_join(&(*w)->thread);
	r = loop_finish(&(*w)->loop);
	assert(r == 0);
	(void)r;
	uv_cond_destroy(&(*w)->changed);
	uv_mutex_destroy(&(*w)->lock);
	free(*w);
	*w = NULL;
}
