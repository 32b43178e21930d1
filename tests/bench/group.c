#include "tests/bench/group.h"
#include "tests/bench/common.h"
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

struct state {
	struct group *g;
	pthread_barrier_t ready; /* the writer is open */
	pthread_mutex_t lock;
	pthread_cond_t work, committed;
	/* under lock; each with room for count */
	size_t *waiting, nwaiting;
	size_t *told, ntold; /* committed; a feeder empties it, threads look at done */
	bool *done;
	int64_t *start_ns;
};
struct caller {
	struct state *s;
	size_t from, to; /* its part of the items */
	pthread_t thread;
};

static void hand_in(struct state *s, size_t i)
{
	s->start_ns[i] = bench_ns(CLOCK_MONOTONIC);
	s->waiting[s->nwaiting++] = i;
	(void)pthread_cond_signal(&s->work);
}

static void *call(void *arg)
{
	const struct caller *me = arg;
	struct state *s = me->s;

	(void)pthread_barrier_wait(&s->ready);
	for (size_t i = me->from; i < me->to; i++) {
		(void)pthread_mutex_lock(&s->lock);
		hand_in(s, i);
		while (!s->done[i])
			(void)pthread_cond_wait(&s->committed, &s->lock);
		(void)pthread_mutex_unlock(&s->lock);
		s->g->ns[i] = bench_ns(CLOCK_MONOTONIC) - s->start_ns[i];
	}
	return NULL;
}

static void *feed(void *arg)
{
	const struct caller *me = arg;
	struct state *s = me->s;
	struct group *g = s->g;
	size_t next = 0, under_way = 0, ended = 0;

	(void)pthread_barrier_wait(&s->ready);
	(void)pthread_mutex_lock(&s->lock);
	while (ended < g->count) {
		int64_t now;

		for (; under_way < g->width && next < g->count; under_way++)
			hand_in(s, next++);
		while (s->ntold == 0)
			(void)pthread_cond_wait(&s->committed, &s->lock);
		now = bench_ns(CLOCK_MONOTONIC);
		for (size_t i = 0; i < s->ntold; i++)
			g->ns[s->told[i]] = now - s->start_ns[s->told[i]];
		under_way -= s->ntold;
		ended += s->ntold;
		s->ntold = 0;
	}
	(void)pthread_mutex_unlock(&s->lock);
	return NULL;
}

static void tell(struct state *s, const size_t *v, size_t n)
{
	for (size_t i = 0; i < n; i++)
		s->done[v[i]] = true;
	if (s->g->fed) {
		memcpy(s->told + s->ntold, v, n * sizeof(*v));
		s->ntold += n;
	}
	(void)pthread_cond_broadcast(&s->committed);
}

static void *write_groups(void *arg)
{
	struct state *s = arg;
	struct group *g = s->g;
	size_t *v = bench_room(g->count, sizeof(*v)), written = 0;
	void *writer = g->open(g->arg);

	(void)pthread_barrier_wait(&s->ready);
	while (written < g->count) {
		size_t n;

		(void)pthread_mutex_lock(&s->lock);
		while (s->nwaiting == 0)
			(void)pthread_cond_wait(&s->work, &s->lock);
		n = s->nwaiting;
		memcpy(v, s->waiting, n * sizeof(*v));
		s->nwaiting = 0;
		(void)pthread_mutex_unlock(&s->lock);
		g->commit(writer, v, n);
		g->commits++;
		written += n;
		(void)pthread_mutex_lock(&s->lock);
		tell(s, v, n);
		(void)pthread_mutex_unlock(&s->lock);
	}
	g->close(writer);
	free(v);
	return NULL;
}

void group_run(struct group *g)
{
	struct state s = {.g = g,
			  .lock = PTHREAD_MUTEX_INITIALIZER,
			  .work = PTHREAD_COND_INITIALIZER,
			  .committed = PTHREAD_COND_INITIALIZER};
	size_t ncallers = g->fed ? 1 : g->width;
	struct caller *callers = bench_room(ncallers, sizeof(*callers));
	pthread_t writer;

	s.waiting = bench_room(g->count, sizeof(*s.waiting));
	s.told = bench_room(g->count, sizeof(*s.told));
	s.done = bench_room(g->count, sizeof(*s.done));
	s.start_ns = bench_room(g->count, sizeof(*s.start_ns));
	bench_must(pthread_barrier_init(&s.ready, NULL, (unsigned)ncallers + 2) == 0, "barrier");
	bench_must(pthread_create(&writer, NULL, write_groups, &s) == 0, "thread");
	for (size_t i = 0; i < ncallers; i++) {
		callers[i] =
			(struct caller){.s = &s, .from = g->count * i / ncallers, .to = g->count * (i + 1) / ncallers};
		bench_must(pthread_create(&callers[i].thread, NULL, g->fed ? feed : call, &callers[i]) == 0, "thread");
	}
	(void)pthread_barrier_wait(&s.ready);
	g->wall_ns = bench_ns(CLOCK_MONOTONIC);
	g->cpu_ns = bench_ns(CLOCK_PROCESS_CPUTIME_ID);
	for (size_t i = 0; i < ncallers; i++)
		bench_must(pthread_join(callers[i].thread, NULL) == 0, "thread");
	g->wall_ns = bench_ns(CLOCK_MONOTONIC) - g->wall_ns;
	g->cpu_ns = bench_ns(CLOCK_PROCESS_CPUTIME_ID) - g->cpu_ns;
	bench_must(pthread_join(writer, NULL) == 0, "thread");
	(void)pthread_barrier_destroy(&s.ready);
	free(callers);
	free(s.waiting);
	free(s.told);
	free(s.done);
	free(s.start_ns);
}
