/* supervisor/core/lifecycle: the table is complete, and every sequence the world can produce keeps its promises. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "supervisor/core/lifecycle.h"

static const struct lc_limits lim = {
	.start_ms = 30000, .drain_ms = 5000, .term_ms = 5000, .kill_ms = 1000, .retry_ms = 50};

static unsigned long seen[LC_NSTATES][LC_NEVENTS], wrong, steps;

static void every_cell_is_written(void **state)
{
	(void)state;
	for (int s = LC_DOWN; s < LC_NSTATES; s++)
		for (int e = 0; e < LC_NEVENTS; e++) {
			enum lc_state next;

			lc_cell((enum lc_state)s, (enum lc_event)e, &next);
			if (next == LC_NONE)
				fail_msg("cell %s x %s is not written", lc_state_name((enum lc_state)s),
					 lc_event_name((enum lc_event)e));
		}
}

/* Can the world do this? `up`: there is a process that was not reaped. */
static int possible(const struct lc *w, int up, int ev)
{
	switch (ev) {
	case EV_HELLO:
	case EV_BEAT:
	case EV_EXIT:
	case EV_EXIT_LATER:
	case EV_EXIT_OFTEN:
	case EV_EXIT_SPENT:
	case EV_STOPPED:
	case EV_HUNG:
		return up;
	case EV_TIMEOUT:
		return w->wake_ms != 0;
	default:
		return 1;
	}
}

static int moves_the_deadline(const struct lc *before, const struct lc *after, unsigned act, int ev)
{
	return before->state != after->state || (act & DO_SPAWN) || ev == EV_TIMEOUT;
}

/* From here, a stop and a process that talks as long as it lives and ignores all but SIGKILL: it must end, soon. */
static int stop_ends(struct lc w, int up, uint64_t t)
{
	unsigned act = lc_step(&w, &lim, EV_STOP, t);
	int killed = 0;

	for (int i = 0; i < 6; i++) {
		if (act & (DO_SPAWN | DO_BUG))
			return 0;
		killed |= (act & DO_KILL) != 0 || w.state == LC_ENDING;
		if (!up)
			return w.state == LC_DOWN && w.wake_ms == 0;
		if (killed)
			return !(lc_step(&w, &lim, EV_EXIT_OFTEN, t) & DO_SPAWN) && w.state == LC_DOWN &&
			       w.wake_ms == 0;
		lc_step(&w, &lim, EV_BEAT, t + 1);
		if (w.wake_ms <= t)
			return 0;
		t = w.wake_ms;
		act = lc_step(&w, &lim, EV_TIMEOUT, t);
	}
	return 0;
}

static void walk(struct lc w, int up, uint64_t t, int depth)
{
	if (depth == 0)
		return;
	for (int ev = 0; ev < LC_NEVENTS; ev++) {
		uint64_t now = ev == EV_TIMEOUT ? w.wake_ms : t + 1;
		struct lc n = w;
		unsigned act;
		int gone = ev >= EV_EXIT && ev <= EV_EXIT_SPENT, alive;

		if (!possible(&w, up, ev))
			continue;
		if (w.wake_ms != 0 && now > w.wake_ms)
			continue;
		act = lc_step(&n, &lim, (enum lc_event)ev, now);
		seen[w.state][ev]++;
		steps++;
		alive = up && !gone;
		wrong += (act & DO_BUG) != 0;                              /* the world cannot reach a BUG cell */
		wrong += (act & DO_SPAWN) && alive;                        /* never two lives of one worker */
		wrong += (act & (DO_DRAIN | DO_TERM | DO_KILL)) && !alive; /* never signal a pid we have reaped */
		wrong += !!(act & DO_GONE) != gone;                        /* every end is told, once */
		wrong += n.generation != w.generation + !!(act & DO_SPAWN);
		wrong += n.wake_ms != 0 && n.wake_ms <= now; /* a due time lies ahead */
		wrong += !moves_the_deadline(&w, &n, act, ev) &&
			 n.wake_ms != w.wake_ms; /* chatter cannot put off a kill */
		alive |= (act & DO_SPAWN) != 0;
		wrong += alive != lc_alive(n.state);
		wrong += alive && n.state != LC_UP && n.wake_ms == 0; /* only a healthy one may wait for ever */
		wrong += !stop_ends(n, alive, now);
		if (wrong != 0) {
			print_error("%s x %s -> %s act %x wake %ju -> %ju at %ju\n", lc_state_name(w.state),
				    lc_event_name((enum lc_event)ev), lc_state_name(n.state), act, (uintmax_t)w.wake_ms,
				    (uintmax_t)n.wake_ms, (uintmax_t)now);
			return;
		}
		walk(n, alive, now, depth - 1);
		if (wrong != 0)
			return;
	}
}

static void every_sequence_keeps_the_promises(void **state)
{
	struct lc w;

	(void)state;
	lc_init(&w);
	walk(w, 0, 1000, 8);
	assert_int_equal(wrong, 0);
	print_message("%lu steps\n", steps);
	for (int s = LC_DOWN; s < LC_NSTATES; s++) /* and each cell is either walked or unreachable on purpose */
		for (int e = 0; e < LC_NEVENTS; e++) {
			enum lc_state next;
			unsigned act = lc_cell((enum lc_state)s, (enum lc_event)e, &next);

			if ((seen[s][e] == 0) != ((act & DO_BUG) != 0))
				fail_msg("%s x %s: walked %lu times, act %x", lc_state_name((enum lc_state)s),
					 lc_event_name((enum lc_event)e), seen[s][e], act);
		}
}

static void a_plain_life(void **state)
{
	struct lc w;

	(void)state;
	lc_init(&w);
	assert_int_equal(lc_step(&w, &lim, EV_START, 1), DO_SPAWN);
	assert_int_equal(w.wake_ms, 30001);
	assert_int_equal(lc_step(&w, &lim, EV_HELLO, 20), DO_UP);
	assert_int_equal(w.wake_ms, 0);
	assert_int_equal(lc_step(&w, &lim, EV_EXIT, 30), DO_GONE | DO_SPAWN);
	assert_int_equal(w.generation, 2);
	assert_int_equal(lc_step(&w, &lim, EV_EXIT_SPENT, 30), DO_GONE);
	assert_int_equal(w.state, LC_DOWN);
	assert_int_equal(lc_step(&w, &lim, EV_START, 30), DO_SPAWN);
	assert_int_equal(w.generation, 3);
	assert_int_equal(lc_step(&w, &lim, EV_HELLO, 31), DO_UP);
	assert_int_equal(lc_step(&w, &lim, EV_STOPPED, 32), DO_KILL);
	assert_int_equal(lc_step(&w, &lim, EV_EXIT_LATER, 33), DO_GONE);
	assert_int_equal(w.state, LC_BACKOFF);
	assert_int_equal(w.wake_ms, 83);
	assert_int_equal(lc_step(&w, &lim, EV_TIMEOUT, 83), DO_SPAWN);
	assert_int_equal(lc_step(&w, &lim, EV_TIMEOUT, 30083), DO_KILL); /* no hello in time */
	assert_int_equal(lc_step(&w, &lim, EV_EXIT_OFTEN, 30084), DO_GONE);
	assert_string_equal(lc_word(w.state), "failed");
	assert_int_equal(lc_step(&w, &lim, EV_START, 30085), DO_SPAWN); /* an operator need not wait */
	assert_int_equal(lc_step(&w, &lim, EV_HELLO, 30086), DO_UP);
	assert_int_equal(lc_step(&w, &lim, EV_STOP, 30087), DO_DRAIN);
	assert_int_equal(lc_step(&w, &lim, EV_TIMEOUT, 35087), DO_TERM);
	assert_int_equal(lc_step(&w, &lim, EV_TIMEOUT, 40087), DO_KILL);
	assert_int_equal(lc_step(&w, &lim, EV_EXIT, 40088), DO_GONE);
	assert_int_equal(w.state, LC_DOWN);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_cell_is_written),
		cmocka_unit_test(every_sequence_keeps_the_promises),
		cmocka_unit_test(a_plain_life),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
