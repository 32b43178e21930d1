/* supervisor/core/hang: starved is not hung. A small world: ticks every 100 ms, a Jr that beats, waits, spins or
 * blocks. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "supervisor/core/hang.h"

#define BEAT  100u
#define AFTER 1000u
#define START 5000u

enum doing { BEATING, BLOCKED, SPINNING, WAITING, WAITING_UNBOOKED, UNKNOWN };

/* Ticks until the verdict or the end; returns the time of the verdict since START, 0 if none. */
static uint64_t run(enum doing what, uint64_t quiet_from, uint64_t end, enum hang_verdict want)
{
	struct hang_sample s = {.known = what != UNKNOWN, .run_ns = 7000, .delay_ns = 9000};
	struct hang h;

	hang_start(&h, START);
	for (uint64_t t = START + BEAT; t <= START + end; t += BEAT) {
		enum hang_verdict v;

		if (what == BEATING || t < START + quiet_from)
			hang_beat(&h, t);
		s.runnable = what == SPINNING || what == WAITING || what == WAITING_UNBOOKED;
		s.run_ns += what == SPINNING ? BEAT * 1000000u : what == WAITING ? BEAT * 300000u : 10;
		s.delay_ns += what == WAITING ? BEAT * 700000u : 10;
		v = hang_tick(&h, AFTER, hang_wants_sample(&h, BEAT, t) ? &s : NULL, t);
		if (v == want)
			return t - START;
		if (v != HANG_ALIVE && v != HANG_STARVED)
			return UINT64_MAX;
	}
	return 0;
}

static void a_beating_one_is_alive(void **state)
{
	(void)state;
	assert_int_equal(run(BEATING, 0, 100000, HANG_HUNG), 0);
	assert_int_equal(run(BEATING, 0, 100000, HANG_STARVED), 0);
}

static void blocked_or_spinning_is_hung_in_time(void **state)
{
	(void)state;
	assert_int_equal(run(BLOCKED, 0, 60000, HANG_HUNG), AFTER);
	assert_int_equal(run(SPINNING, 0, 60000, HANG_HUNG), AFTER);
	assert_int_equal(run(BLOCKED, 30000, 60000, HANG_HUNG), 29900 + AFTER); /* counted from the last beat */
	assert_int_equal(run(UNKNOWN, 0, 60000, HANG_HUNG), AFTER);
}

static void starved_waits_ten_times_as_long(void **state)
{
	(void)state;
	assert_int_equal(run(WAITING, 0, 60000, HANG_STARVED), AFTER);
	assert_int_equal(run(WAITING, 0, 60000, HANG_HUNG), HANG_STARVED_CAP * AFTER);
	assert_int_equal(run(WAITING_UNBOOKED, 0, 60000, HANG_STARVED), AFTER);
	assert_int_equal(run(WAITING_UNBOOKED, 0, 60000, HANG_HUNG), HANG_STARVED_CAP * AFTER);
}

static void our_own_absence_blames_nobody(void **state)
{
	struct hang_sample s = {.known = true};
	struct hang h;

	(void)state;
	hang_start(&h, START);
	assert_int_equal(hang_tick(&h, AFTER, NULL, START + 100), HANG_ALIVE);
	/* Stopped for a minute; the beats wait in our queue and are read after this tick. */
	assert_int_equal(hang_tick(&h, AFTER, &s, START + 60100), HANG_ALIVE);
	for (uint64_t t = START + 60200; t < START + 61000; t += 100)
		assert_int_equal(hang_tick(&h, AFTER, &s, t), HANG_ALIVE);
	/* Still silent after that: hung, not excused for ever. */
	assert_int_equal(hang_tick(&h, AFTER, &s, START + 61100), HANG_HUNG);
}

static void proc_is_read_only_when_late(void **state)
{
	struct hang h;

	(void)state;
	hang_start(&h, START);
	assert_false(hang_wants_sample(&h, BEAT, START + 199));
	assert_true(hang_wants_sample(&h, BEAT, START + 200));
	hang_beat(&h, START + 200);
	assert_false(hang_wants_sample(&h, BEAT, START + 300));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_beating_one_is_alive),
		cmocka_unit_test(blocked_or_spinning_is_hung_in_time),
		cmocka_unit_test(starved_waits_ten_times_as_long),
		cmocka_unit_test(our_own_absence_blames_nobody),
		cmocka_unit_test(proc_is_read_only_when_late),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
