#include "jrs/kit/lead.h"
#include "common/base/clock.h"
#include "common/base/err.h"
#include "common/base/urgency.h"
#include "common/lead/page.h"
#include <errno.h>
#include <pthread.h>
#include <semaphore.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

#define WAKE_NS     100000       /* shortest turn there is, see tr_slice() */
#define STACK_BYTES (128u << 10) /* of address space: it calls next to nothing, but sanitizers want some */

/* What the thread needs. It may wait for as long as another process lives, and must not be waited for: then it is left
 * behind with all this, and ends with the process. */
struct waiter {
	struct lead_page *page;
	pthread_t thread;
	pid_t loop;             /* thread */
	int fd;                 /* eventfd: the loop shall try */
	sem_t again;            /* the loop has tried: wait once more, or end */
	_Atomic bool end, idle; /* idle: it is in no lead_page_wait() and begins none before `again` */
	_Atomic int err;
	_Atomic uint64_t since_ns;
	struct waiter *left; /* in the list of those */
};
static struct waiter *left_behind; /* leak checkers see that they are not lost */

struct lead {
	uv_poll_t poll;
	struct lead_page *page;
	struct waiter *waiter;
	uint32_t generation;
	uint64_t above, epoch;
	bool has, started; /* started: the thread */
	lead_cb *cb;
	void *arg;
};

/* ---- the thread ---- */

static void *run(void *arg)
{
	struct waiter *w = arg;
	int r;

	tr_slice(WAKE_NS);
	tr_urgent(0); /* it sleeps */
	do {
		r = lead_page_wait(w->page);
		tr_urgent(w->loop);
		atomic_store(&w->since_ns, tr_mono_ns());
		atomic_store(&w->err, r);
		atomic_store(&w->idle, true);
		(void)eventfd_write(w->fd, 1);
		while (sem_wait(&w->again) < 0 && errno == EINTR)
			;
	} while (r == 0 && !atomic_load(&w->end));
	return NULL;
}

static int start_thread(struct waiter *w)
{
	pthread_attr_t attr;
	sigset_t all, before;
	int r;

	if ((r = pthread_attr_init(&attr)) != 0)
		return -r;
	(void)pthread_attr_setstacksize(&attr, STACK_BYTES);
	(void)sigfillset(&all); /* signals belong to the loop's thread */
	(void)pthread_sigmask(SIG_SETMASK, &all, &before);
	r = pthread_create(&w->thread, &attr, run, w);
	(void)pthread_sigmask(SIG_SETMASK, &before, NULL);
	(void)pthread_attr_destroy(&attr);
	return -r;
}

static void waiter_free(struct waiter *w)
{
	if (w->fd >= 0)
		(void)close(w->fd);
	(void)sem_destroy(&w->again);
	free(w);
}

static int waiter_new(struct waiter **out, struct lead_page *page)
{
	struct waiter *w = calloc(1, sizeof(*w));

	if (w == NULL)
		return TR_ENOMEM;
	w->page = page;
	w->loop = gettid();
	w->fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (sem_init(&w->again, 0, 0) < 0 || w->fd < 0) {
		int r = -errno;

		waiter_free(w);
		return r;
	}
	*out = w;
	return 0;
}

/* Joins who is at rest, leaves behind who is not. */
static void waiter_end(struct waiter *w)
{
	atomic_store(&w->end, true);
	if (atomic_load(&w->idle)) {
		(void)sem_post(&w->again);
		(void)pthread_join(w->thread, NULL);
		waiter_free(w);
		return;
	}
	(void)sem_post(&w->again); /* should it wake up before the process ends */
	(void)pthread_detach(w->thread);
	w->left = left_behind;
	left_behind = w;
}

/* ---- the loop's side ---- */

int lead_open(struct lead **out, uv_loop_t *loop, int fd, uint32_t generation, lead_cb *cb, void *arg)
{
	struct lead *l = calloc(1, sizeof(*l));
	int r;

	if (l == NULL)
		return TR_ENOMEM;
	if ((r = lead_page_map(fd, &l->page)) < 0 || (r = waiter_new(&l->waiter, l->page)) < 0)
		goto fail;
	if ((r = uv_poll_init(loop, &l->poll, l->waiter->fd)) < 0) {
		waiter_free(l->waiter);
		goto fail;
	}
	l->poll.data = l;
	l->generation = generation;
	l->cb = cb;
	l->arg = arg;
	*out = l;
	return 0;
fail:
	lead_page_unmap(&l->page); /* never taken */
	free(l);
	return r;
}

static int take(struct lead *l)
{
	uint64_t epoch;
	int r = lead_page_take(l->page, l->above, (uint32_t)getpid(), l->generation, &epoch);

	if (r < 0)
		return r;
	l->epoch = epoch;
	l->has = true;
	return 0;
}

static void on_poll(uv_poll_t *h, int status, int events)
{
	struct lead *l = h->data;
	eventfd_t n;
	int r;

	(void)events;
	(void)eventfd_read(l->waiter->fd, &n);
	r = status < 0 ? status : atomic_load(&l->waiter->err);
	if (r == 0 && (r = take(l)) == TR_EBUSY) {     /* another was quicker */
		atomic_store(&l->waiter->idle, false); /* here, not there: waiter_end() must not believe it meanwhile */
		(void)sem_post(&l->waiter->again);
		return;
	}
	lead_stop(l);
	l->cb(l->arg, r, atomic_load(&l->waiter->since_ns));
}

int lead_begin(struct lead *l)
{
	int r = take(l), s;

	if (r != TR_EBUSY)
		return r;
	if ((s = uv_poll_start(&l->poll, UV_READABLE, on_poll)) < 0 || (s = start_thread(l->waiter)) < 0)
		return s;
	l->started = true;
	return r;
}

void lead_stop(struct lead *l)
{
	(void)uv_poll_stop(&l->poll);
}

void lead_above(struct lead *l, uint64_t epoch)
{
	if (epoch > l->above)
		l->above = epoch;
}

bool lead_has(const struct lead *l)
{
	return l->has;
}

uint64_t lead_epoch(const struct lead *l)
{
	return l->epoch;
}

void lead_give(struct lead *l)
{
	if (l->has)
		lead_page_give(l->page);
	l->has = false;
}

static void on_closed(uv_handle_t *h)
{
	free(h->data);
}

void lead_close(struct lead **pl)
{
	struct lead *l = *pl;

	if (l == NULL)
		return;
	*pl = NULL;
	lead_give(l);
	uv_close((uv_handle_t *)&l->poll, on_closed);
	if (l->started)
		waiter_end(l->waiter);
	else
		waiter_free(l->waiter);
}
