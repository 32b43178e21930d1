#include "tests/bench/inflight.h"
#include "tests/bench/common.h"
#include "tests/bench/web.h"
#include "tests/bench/words.h"
#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/prctl.h>
#include <time.h>
#include <unistd.h>

#define AGAIN_NS    1000000 /* before a request that was not answered well is repeated */
#define FILL_NS     20000000
#define PATIENCE_NS 30000000000

enum kind { ADD, RECALL, ASK, ANALYSIS };
struct conn {
	enum kind kind;
	int fd; /* -1: to be dialled */
	struct web_request request;
	struct web_answer answer;
	bool unanswered, repeat; /* repeat: it is to be sent again */
	int64_t due_ns;
};
struct inflight {
	struct inflight_how how;
	pthread_t thread;
	int epoll, wake;
	struct words words; /* the thread's alone, as are the connections */
	unsigned long next_id;
	struct conn conns[INFLIGHT_MAX];
	atomic_bool sends, over, rests; /* rests: the thread has seen that it shall, and that all is answered */
	atomic_bool burst;              /* send now, due or not; until that is done */
	atomic_uint unanswered, busy;   /* busy: connections with something unanswered or to be repeated */
	atomic_uint answered, refused, failed, reset, adds;
};

static void compose(struct inflight *f, struct conn *c)
{
	char id[WEB_ID_MAX], text[WORDS_TEXT_MAX];

	switch (c->kind) {
	case ADD:
		words_memory(&f->words, text);
		(void)snprintf(id, sizeof(id), "under-way-%llu-%lu", (unsigned long long)f->how.seed, f->next_id++);
		web_add(&c->request, id, text);
		break;
	case ASK:
		words_question(&f->words, text);
		web_ask(&c->request, text);
		break;
	case RECALL:
		web_recall(&c->request, f->how.known_id);
		break;
	case ANALYSIS:
		web_get(&c->request, "/api/v1/analysis/anomalies");
		break;
	}
}

static bool dial(struct inflight *f, struct conn *c)
{
	struct epoll_event e = {.events = EPOLLIN, .data = {.ptr = c}};

	if ((c->fd = web_dial(f->how.port)) < 0) {
		atomic_fetch_add(&f->refused, 1);
		return false;
	}
	bench_must(epoll_ctl(f->epoll, EPOLL_CTL_ADD, c->fd, &e) == 0, "epoll");
	return true;
}

static void lose(struct conn *c)
{
	(void)close(c->fd); /* it leaves the epoll set with that */
	c->fd = -1;
}

/* The next request, or the last one again. */
static void next(struct inflight *f, struct conn *c, int64_t now)
{
	if (!c->repeat) {
		compose(f, c);
		atomic_fetch_add(&f->busy, 1);
		c->repeat = true; /* until it has been sent */
	}
	c->due_ns = now + AGAIN_NS;
	if (c->fd < 0 && !dial(f, c))
		return;
	if (!web_send(c->fd, &c->request)) {
		atomic_fetch_add(&f->reset, 1);
		lose(c);
		c->due_ns = now;
		return;
	}
	c->repeat = false;
	c->unanswered = true;
	atomic_fetch_add(&f->unanswered, 1);
}

static void answered(struct inflight *f, struct conn *c, int64_t now)
{
	atomic_fetch_add(&f->answered, 1);
	if (c->kind == ADD)
		atomic_fetch_add(&f->adds, 1);
	atomic_fetch_sub(&f->busy, 1);
	c->due_ns = f->how.rate == 0 ? now : c->due_ns - AGAIN_NS + (int64_t)(1e9 * f->how.conns / f->how.rate);
}

static void on_readable(struct inflight *f, struct conn *c)
{
	enum web_end end = web_read(c->fd, &c->request, &c->answer);
	bool was = c->unanswered;
	int64_t now;

	if (end == WEB_MORE)
		return;
	now = bench_ns(CLOCK_MONOTONIC);
	if (end == WEB_EOF || end == WEB_RESET)
		lose(c);
	if (!was) /* closed while nothing was under way */
		return;
	c->unanswered = false;
	atomic_fetch_sub(&f->unanswered, 1);
	if (end == WEB_GOOD) {
		answered(f, c, now);
		return;
	}
	atomic_fetch_add(end == WEB_RESET || end == WEB_EOF ? &f->reset : &f->failed, 1);
	c->repeat = true;
	c->due_ns = end == WEB_BAD ? now + AGAIN_NS : now;
}

/* Sends what is due; when to look again, 0: only when told. */
static int64_t send_due(struct inflight *f, int64_t now)
{
	bool sends = atomic_load(&f->sends), burst = atomic_load(&f->burst);
	int64_t soonest = 0;

	if (!sends && atomic_load(&f->busy) == 0)
		atomic_store(&f->rests, true);
	for (unsigned i = 0; i < f->how.conns; i++) {
		struct conn *c = &f->conns[i];

		if (c->unanswered || !(sends || c->repeat))
			continue;
		if (c->due_ns <= now || (burst && sends))
			next(f, c, now);
		if (!c->unanswered && (soonest == 0 || c->due_ns < soonest))
			soonest = c->due_ns;
	}
	if (burst)
		atomic_store(&f->burst, false);
	return soonest;
}

static void *run(void *arg)
{
	struct inflight *f = arg;
	struct epoll_event events[INFLIGHT_MAX + 1];

	(void)prctl(PR_SET_TIMERSLACK, 1ul, 0ul, 0ul, 0ul);
	while (!atomic_load(&f->over)) {
		int64_t now = bench_ns(CLOCK_MONOTONIC), soonest = send_due(f, now), left = soonest - now;
		struct timespec wait = {.tv_nsec = left > 0 ? left % 1000000000 : 0,
					.tv_sec = left > 0 ? left / 1000000000 : 0};
		int n = epoll_pwait2(f->epoll, events, INFLIGHT_MAX + 1, soonest != 0 ? &wait : NULL, NULL);

		bench_must(n >= 0 || errno == EINTR, "epoll");
		for (int i = 0; i < n; i++) {
			uint64_t told;

			if (events[i].data.ptr != NULL)
				on_readable(f, events[i].data.ptr);
			else
				bench_must(read(f->wake, &told, sizeof(told)) == sizeof(told), "eventfd");
		}
	}
	return NULL;
}

static void wake(struct inflight *f)
{
	const uint64_t one = 1;

	bench_must(write(f->wake, &one, sizeof(one)) == sizeof(one), "eventfd");
}

static enum kind kind_of(unsigned i, enum tr_role role)
{
	if (i < 2)
		return ADD;
	if (i < 4 && role == TR_ROLE_INTEGRATION)
		return ASK;
	return i < 4 && role == TR_ROLE_META ? ANALYSIS : RECALL;
}

struct inflight *inflight_start(const struct inflight_how *how)
{
	struct inflight *f = bench_room(1, sizeof(*f));
	struct epoll_event e = {.events = EPOLLIN, .data = {.ptr = NULL}};

	bench_must(how->conns <= INFLIGHT_MAX, "so many connections: they");
	f->how = *how;
	bench_must(words_open(&f->words, how->seed) == 0, "memory");
	f->epoll = epoll_create1(EPOLL_CLOEXEC);
	f->wake = eventfd(0, EFD_CLOEXEC);
	bench_must(f->epoll >= 0 && f->wake >= 0 && epoll_ctl(f->epoll, EPOLL_CTL_ADD, f->wake, &e) == 0, "epoll");
	for (unsigned i = 0; i < how->conns; i++) {
		f->conns[i].kind = kind_of(i, how->role);
		web_answer_new(&f->conns[i].answer);
		bench_must(dial(f, &f->conns[i]), "connect");
	}
	bench_must(pthread_create(&f->thread, NULL, run, f) == 0, "a thread");
	return f;
}

void inflight_go(struct inflight *f)
{
	int64_t now = bench_ns(CLOCK_MONOTONIC);

	for (unsigned i = 0; i < f->how.conns; i++) /* it rests: the thread looks at none of them */
		f->conns[i].due_ns = now + (f->how.rate > 0 ? (int64_t)(1e9 * i / f->how.rate) : 0);
	f->answered = f->refused = f->failed = f->reset = f->adds = 0;
	atomic_store(&f->sends, true);
	wake(f);
}

unsigned inflight_fill(struct inflight *f)
{
	int64_t until = bench_ns(CLOCK_MONOTONIC) + FILL_NS;
	unsigned n;

	do { /* without sleeping: what was sent first is soon answered; again when this thread was away meanwhile */
		atomic_store(&f->burst, true);
		wake(f);
		while (atomic_load(&f->burst) && bench_ns(CLOCK_MONOTONIC) < until)
			;
		n = atomic_load(&f->unanswered);
	} while (2 * n < f->how.conns && bench_ns(CLOCK_MONOTONIC) < until);
	return n;
}

struct inflight_counts inflight_rest(struct inflight *f)
{
	const struct timespec moment = {.tv_nsec = 100000};
	int64_t until = bench_ns(CLOCK_MONOTONIC) + PATIENCE_NS;

	atomic_store(&f->rests, false);
	atomic_store(&f->sends, false);
	wake(f);
	while (!atomic_load(&f->rests)) {
		bench_must(bench_ns(CLOCK_MONOTONIC) < until, "answers to all that was under way within 30 s");
		(void)nanosleep(&moment, NULL);
	}
	return (struct inflight_counts){f->answered, f->refused, f->failed, f->reset, f->adds};
}

void inflight_stop(struct inflight *f)
{
	atomic_store(&f->over, true);
	wake(f);
	(void)pthread_join(f->thread, NULL);
	for (unsigned i = 0; i < f->how.conns; i++) {
		if (f->conns[i].fd >= 0)
			(void)close(f->conns[i].fd);
		web_answer_free(&f->conns[i].answer);
	}
	(void)close(f->epoll);
	(void)close(f->wake);
	words_close(&f->words);
	free(f);
}
