/* supervisor/core/hang: starved is not hung. A small world: a Jr that beats, waits, spins or blocks. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "supervisor/core/hang.h"

#define AFTER 1000u
#define START 5000u

enum doing { BEATING, BLOCKED, SPINNING, SPINNING_UNDER_LOAD, WAITING, WAITING_UNBOOKED, UNKNOWN };
struct world {
	uint32_t beat, after;
	enum doing what;
	uint64_t quiet_from, looks;
};

/* A world of milliseconds in which looks come when they are due, and beats before them. Returns the time of the verdict
 * since START, 0 if none until the end. */
static uint64_t run(struct world *w, uint64_t end, enum hang_verdict want)
{
	struct hang_sample s = {.known = w->what != UNKNOWN, .run_ns = 7000, .delay_ns = 9000};
	struct hang h;

	hang_start(&h, w->after, START);
	for (uint64_t t = START + 1; t <= START + end; t++) {
		enum hang_verdict v;

		if ((t - START) % w->beat == 0 && (w->what == BEATING || t < START + w->quiet_from))
			hang_beat(&h, t);
		s.runnable = w->what >= SPINNING && w->what <= WAITING_UNBOOKED;
		s.run_ns += w->what == SPINNING ? 1000000u : w->what == SPINNING_UNDER_LOAD ? 300000u : 10;
		s.delay_ns += w->what == WAITING ? 999990u : w->what == SPINNING_UNDER_LOAD ? 700000u : 10;
		if (t < h.due_ms)
			continue;
		w->looks++;
		v = hang_look(&h, w->after, hang_wants_sample(&h, w->after, t) ? &s : NULL, t);
		assert_true(h.due_ms > t);
		if (v == want)
			return t - START;
		if (v != HANG_ALIVE && v != HANG_STARVED)
			return UINT64_MAX;
	}
	return 0;
}

static uint64_t seen(enum doing what, uint64_t quiet_from, uint64_t end, enum hang_verdict want)
{
	return run(&(struct world){100, AFTER, what, quiet_from, 0}, end, want);
}

static void a_beating_one_is_alive(void **state)
{
	struct world w = {100, AFTER, BEATING, 0, 0};

	(void)state;
	assert_int_equal(run(&w, 100000, HANG_SPINS), 0);
	assert_true(w.looks <= 250); /* two and a half a second: an idle tribed sleeps */
	assert_int_equal(seen(BEATING, 0, 100000, HANG_BLOCKS), 0);
	assert_int_equal(seen(BEATING, 0, 100000, HANG_STARVED), 0);
}

static void blocked_or_spinning_is_hung_in_time(void **state)
{
	(void)state;
	assert_int_equal(seen(BLOCKED, 0, 60000, HANG_BLOCKS), AFTER + 1);
	assert_int_equal(seen(SPINNING, 0, 60000, HANG_SPINS), AFTER + 1);
	assert_int_equal(seen(BLOCKED, 30000, 60000, HANG_BLOCKS), 29900 + AFTER + 1); /* counted from the last beat */
	assert_int_equal(seen(UNKNOWN, 0, 60000, HANG_BLOCKS), AFTER + 1);
}

/* It gets less than a third of a CPU, and uses it for everything but a beat. */
static void spinning_under_load_is_not_starved(void **state)
{
	(void)state;
	assert_int_equal(seen(SPINNING_UNDER_LOAD, 0, 60000, HANG_STARVED), AFTER + 1);
	assert_in_range(seen(SPINNING_UNDER_LOAD, 0, 60000, HANG_SPINS), AFTER, 3 * AFTER / 2);
}

/* hang_after_ms and a fifth, at the finest setting, whenever it begins. */
static void in_time_at_fifty(void **state)
{
	(void)state;
	for (uint64_t from = 1; from < 200; from++)
		for (int spins = 0; spins < 2; spins++) {
			struct world w = {10, 50, spins ? SPINNING : BLOCKED, from, 0};
			uint64_t at = run(&w, 1000, spins ? HANG_SPINS : HANG_BLOCKS);

			assert_in_range(at, from <= 10 ? 50 : from + 40, from + 60);
		}
}

static void starved_waits_ten_times_as_long(void **state)
{
	(void)state;
	assert_int_equal(seen(WAITING, 0, 60000, HANG_STARVED), AFTER + 1);
	assert_in_range(seen(WAITING, 0, 60000, HANG_SPINS), HANG_STARVED_CAP * AFTER,
			HANG_STARVED_CAP * AFTER + AFTER / 4);
	assert_int_equal(seen(WAITING_UNBOOKED, 0, 60000, HANG_STARVED), AFTER + 1);
	assert_in_range(seen(WAITING_UNBOOKED, 0, 60000, HANG_SPINS), HANG_STARVED_CAP * AFTER,
			HANG_STARVED_CAP * AFTER + AFTER / 4);
}

static void our_own_absence_blames_nobody(void **state)
{
	struct hang_sample s = {.known = true};
	enum hang_verdict v = HANG_ALIVE;
	struct hang h;
	uint64_t t;

	(void)state;
	hang_start(&h, AFTER, START);
	assert_int_equal(hang_look(&h, AFTER, NULL, START + 500), HANG_ALIVE);
	/* Stopped for a minute; the beats wait in our queue and are read after this look. */
	t = START + 60100;
	assert_int_equal(hang_look(&h, AFTER, &s, t), HANG_ALIVE);
	/* Still silent after that: hung, not excused for ever. */
	while (v == HANG_ALIVE && h.due_ms < START + 70000) {
		t = h.due_ms;
		v = hang_look(&h, AFTER, &s, t);
	}
	assert_int_equal(v, HANG_BLOCKS);
	assert_in_range(t, START + 60100 + AFTER / 2, START + 60100 + AFTER + 2);
}

/* Late by less, with the beat in our queue: it is read before anybody is judged. */
static void what_lies_in_the_channel_is_read_first(void **state)
{
	struct hang_sample s = {.known = true};
	struct hang h;

	(void)state;
	hang_start(&h, AFTER, START);
	assert_int_equal(hang_look(&h, AFTER, &s, START + 500), HANG_ALIVE);
	assert_int_equal(h.due_ms, START + 1000);
	assert_int_equal(hang_look(&h, AFTER, &s, START + 1400), HANG_ALIVE);
	assert_int_equal(h.due_ms, START + 1401);
	hang_beat(&h, START + 1401);
	assert_int_equal(hang_look(&h, AFTER, NULL, START + 1401), HANG_ALIVE);
	assert_int_equal(h.due_ms, START + 1901);
}

static void proc_is_read_only_when_late(void **state)
{
	struct hang h;

	(void)state;
	hang_start(&h, AFTER, START);
	assert_false(hang_wants_sample(&h, AFTER, START + 499));
	assert_true(hang_wants_sample(&h, AFTER, START + 500));
	hang_beat(&h, START + 500);
	assert_false(hang_wants_sample(&h, AFTER, START + 900));
}

static void mute_is_who_is_late_in_every_beat(void **state)
{
	struct mute m = {0};

	(void)state;
	assert_false(mute_beat(&m, false, 1000, 100));
	assert_false(mute_beat(&m, false, 1000, 5000));
	assert_false(mute_beat(&m, true, 1000, 5100));
	assert_false(mute_beat(&m, true, 1000, 6099));
	assert_false(mute_beat(&m, false, 1000, 6150)); /* it was answered after all */
	assert_false(mute_beat(&m, true, 1000, 6200));
	assert_false(mute_beat(&m, true, 1000, 7199));
	assert_true(mute_beat(&m, true, 1000, 7200));
	assert_true(mute_beat(&m, true, 1000, 7300));
	assert_false(mute_beat(&m, false, 1000, 7400));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_beating_one_is_alive),
		cmocka_unit_test(blocked_or_spinning_is_hung_in_time),
		cmocka_unit_test(spinning_under_load_is_not_starved),
		cmocka_unit_test(in_time_at_fifty),
		cmocka_unit_test(starved_waits_ten_times_as_long),
		cmocka_unit_test(our_own_absence_blames_nobody),
		cmocka_unit_test(what_lies_in_the_channel_is_read_first),
		cmocka_unit_test(proc_is_read_only_when_late),
		cmocka_unit_test(mute_is_who_is_late_in_every_beat),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
