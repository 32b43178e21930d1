/* The thread that waits for the mutex of a page, step by step: another process holds it, and does as it is told. Links
 * jrs/kit. */
#include "common/lead/page.h"
#include "jrs/kit/lead.h"
#include "tests/unit/world.h"
#include <fcntl.h>
#include <poll.h>
#include <sys/wait.h>

struct site {
	struct world w;
	int fd, orders[2], done[2];
	struct lead_page *page;
	pid_t other;
	struct lead *lead;
	unsigned calls;
	int r;
	uint64_t since_ns;
};

/* 't' takes the mutex, 'g' gives it back; each is answered when it is done. */
static void obey(const struct site *s)
{
	uint64_t epoch;
	char c;

	while (read(s->orders[0], &c, 1) == 1) {
		if (c == 'g')
			lead_page_give(s->page);
		else if (lead_page_take(s->page, 0, (uint32_t)getpid(), 1, &epoch) < 0)
			_exit(1);
		if (write(s->done[1], &c, 1) != 1)
			break;
	}
	_exit(0);
}

static void tell(struct site *s, char c)
{
	char answer = 0;

	assert_int_equal(write(s->orders[1], &c, 1), 1);
	assert_int_equal(read(s->done[0], &answer, 1), 1);
	assert_int_equal(answer, c);
}

static void on_lead(void *arg, int r, uint64_t since_ns)
{
	struct site *s = arg;

	s->calls++;
	s->r = r;
	s->since_ns = since_ns;
}

static int setup(void **state)
{
	struct site *s = calloc(1, sizeof(*s));

	world_open(&s->w);
	assert_int_equal(lead_page_new(&s->fd, &s->page), 0);
	assert_int_equal(pipe2(s->orders, O_CLOEXEC), 0);
	assert_int_equal(pipe2(s->done, O_CLOEXEC), 0);
	s->other = fork();
	assert_true(s->other >= 0);
	if (s->other == 0) {
		(void)close(s->orders[1]); /* ours closes: it ends */
		obey(s);
	}
	(void)close(s->orders[0]);
	(void)close(s->done[1]);
	assert_int_equal(lead_open(&s->lead, &s->w.loop, s->fd, 3, on_lead, s), 0);
	*state = s;
	return 0;
}

static int teardown(void **state)
{
	struct site *s = *state;

	lead_close(&s->lead);
	(void)close(s->orders[1]);
	(void)close(s->done[0]);
	(void)kill(s->other, SIGKILL);
	(void)waitpid(s->other, NULL, 0);
	(void)close(s->fd);
	world_close(&s->w);
	lead_page_unmap(&s->page); /* the other mapping stays, as it must */
	free(s);
	return 0;
}

static void free_at_once(void **state)
{
	struct site *s = *state;

	lead_above(s->lead, 40);
	lead_above(s->lead, 30);
	assert_int_equal(lead_page_epoch(s->page), 0);
	assert_int_equal(lead_epoch(s->lead), 0);
	assert_int_equal(lead_begin(s->lead), 0);
	assert_true(lead_has(s->lead));
	assert_int_equal(lead_epoch(s->lead), 41);
	assert_int_equal(lead_page_epoch(s->page), 41);
	assert_int_equal(atomic_load(&s->page->pid), getpid());
	assert_int_equal(atomic_load(&s->page->generation), 3);
	world_settle(&s->w);
	assert_int_equal(s->calls, 0);
	lead_give(s->lead);
	assert_false(lead_has(s->lead));
	assert_int_equal(lead_epoch(s->lead), 41); /* of what it was */
	tell(s, 't');
	assert_int_equal(lead_page_epoch(s->page), 42);
}

static void another_is_quicker(void **state)
{
	struct site *s = *state;
	struct pollfd loop;

	tell(s, 't');
	assert_int_equal(lead_begin(s->lead), TR_EBUSY);
	world_settle(&s->w); /* its descriptors are known to epoll */
	loop_timer_stop(s->w.tick);
	loop = (struct pollfd){.fd = uv_backend_fd(&s->w.loop), .events = POLLIN};
	assert_int_equal(poll(&loop, 1, 0), 0);
	for (int i = 0; i < 5; i++) {
		tell(s, 'g');
		assert_int_equal(poll(&loop, 1, WORLD_PATIENCE_MS), 1); /* it woke up, and nobody holds it */
		tell(s, 't');
		for (int k = 0; k < 20; k++)
			(void)uv_run(&s->w.loop, UV_RUN_NOWAIT);
		assert_int_equal(s->calls, 0);
		assert_false(lead_has(s->lead));
	}
	assert_int_equal(loop_timer_start(s->w.tick, 5, 5), 0);
	tell(s, 'g');
	SPIN(&s->w, s->calls == 1);
	assert_int_equal(s->r, 0);
	assert_true(lead_has(s->lead));
	assert_true(s->since_ns > 0 && s->since_ns <= tr_mono_ns());
	assert_int_equal(lead_epoch(s->lead), 7); /* six of the other's */
}

static void stopped(void **state)
{
	struct site *s = *state;

	tell(s, 't');
	assert_int_equal(lead_begin(s->lead), TR_EBUSY);
	lead_stop(s->lead);
	tell(s, 'g');
	world_settle(&s->w);
	assert_int_equal(s->calls, 0);
	assert_false(lead_has(s->lead));
	tell(s, 't'); /* so it is still to be had */
}

/* It is left behind where it waits, and takes nothing with it. */
static void closed_while_it_waits(void **state)
{
	struct site *s = *state;
	uint64_t t = tr_mono_ms();

	tell(s, 't');
	assert_int_equal(lead_begin(s->lead), TR_EBUSY);
	world_settle(&s->w);
	lead_close(&s->lead);
	assert_true(tr_mono_ms() - t < 5000);
	world_settle(&s->w);
	tell(s, 'g');
	(void)kill(s->other, SIGKILL);
	for (uint64_t end = tr_mono_ms() + WORLD_PATIENCE_MS;;) { /* the thread may hold it for a moment */
		uint64_t epoch;
		int r = lead_page_take(s->page, 0, 1, 1, &epoch);

		if (r == 0)
			break;
		assert_int_equal(r, TR_EBUSY);
		assert_true(tr_mono_ms() < end);
	}
	lead_page_give(s->page);
}

static void no_page(void **state)
{
	struct site *s = *state;
	struct lead *l = NULL;
	int fd = open("/dev/null", O_RDONLY | O_CLOEXEC);

	assert_int_equal(lead_open(&l, &s->w.loop, fd, 3, on_lead, s), TR_EPROTO);
	assert_null(l);
	(void)close(fd);
	lead_close(&l);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(free_at_once), T(another_is_quicker), T(stopped), T(closed_while_it_waits), T(no_page),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
