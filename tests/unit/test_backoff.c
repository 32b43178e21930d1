/* supervisor/core: backoff, recovery and deaths. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "supervisor/core/backoff.h"
#include "supervisor/core/deaths.h"
#include "supervisor/core/recovery.h"

static void the_first_two_are_free_then_it_doubles(void **state)
{
	static const uint64_t want[] = {0,    0,    50,    100,   200,   400,   800,  1600,
					3200, 6400, 12800, 25600, 30000, 30000, 30000};
	struct backoff b = {0};

	(void)state;
	for (unsigned i = 0; i < sizeof(want) / sizeof(want[0]); i++) {
		uint64_t ms = 77;
		enum backoff_verdict v = backoff_crash(&b, 0, 0, &ms);

		assert_int_equal(ms, want[i]);
		assert_int_equal(v, ms == 0 ? BACKOFF_NOW : ms < BACKOFF_CAP_MS ? BACKOFF_LATER : BACKOFF_OFTEN);
	}
	assert_int_equal(b.crashes, sizeof(want) / sizeof(want[0]));
}

static void jitter_stays_between_half_and_all(void **state)
{
	(void)state;
	for (uint64_t random = 0; random <= UINT32_MAX; random += 0x01010101) {
		struct backoff b = {.level = BACKOFF_LEVEL};
		uint64_t ms = 0;

		assert_int_equal(backoff_crash(&b, 0, (uint32_t)random, &ms), BACKOFF_OFTEN);
		assert_in_range(ms, BACKOFF_CAP_MS / 2, BACKOFF_CAP_MS);
	}
}

static void health_forgives(void **state)
{
	struct backoff b = {0};
	uint64_t ms;

	(void)state;
	for (int i = 0; i < 100; i++)
		backoff_crash(&b, 0, 0, &ms);
	assert_int_equal(backoff_crash(&b, 0, 0, &ms), BACKOFF_OFTEN);
	/* A bucket has a rim: however long it crashed, the same health heals it. */
	assert_int_equal(backoff_crash(&b, (uint64_t)BACKOFF_LEVEL * BACKOFF_LEAK_MS, 0, &ms), BACKOFF_NOW);
	assert_true(b.level <= 1);
	for (int i = 0; i < 1000; i++) /* one crash every now and then never waits */
		assert_int_equal(backoff_crash(&b, BACKOFF_LEAK_MS, 0, &ms), BACKOFF_NOW);
}

static void ordered_deaths_cost_nothing(void **state)
{
	struct backoff b = {0};
	uint64_t ms;

	(void)state;
	for (int i = 0; i < 10000; i++)
		backoff_ordered(&b, 1);
	assert_int_equal(b.ordered, 10000);
	assert_int_equal(b.crashes, 0);
	assert_int_equal(backoff_crash(&b, 0, 0, &ms), BACKOFF_NOW);
}

static void recovery_times_fall_into_their_buckets(void **state)
{
	struct recovery r = {0};

	(void)state;
	recovery_add(&r, 0.0001);
	assert_int_equal(r.count[0], 1);
	recovery_add(&r, 0.00010001);
	assert_int_equal(r.count[1], 1);
	recovery_add(&r, 0);
	assert_int_equal(r.count[0], 2);
	recovery_add(&r, 30);
	assert_int_equal(r.count[RECOVERY_NBUCKETS - 1], 1);
	recovery_add(&r, 30.001); /* in no bucket, but counted */
	assert_int_equal(r.n, 5);
	for (int i = 1; i < RECOVERY_NBUCKETS; i++)
		assert_true(recovery_le[i] > recovery_le[i - 1]);
}

#define MS(n) ((n)*UINT64_C(1000000))

static int away_ms(const struct reign *r)
{
	double s = reign_away_s(r);

	return s < 0 ? -1 : (int)(s * 1000 + 0.5);
}

static void a_reign_ends_when_the_mutex_is_free(void **state)
{
	struct reign r = {.led = true};

	(void)state;
	assert_int_equal(away_ms(&r), -1);
	r.reaped_ns = MS(40); /* 38 ms were taken by the teardown */
	assert_int_equal(away_ms(&r), -1);
	reign_over(&r, MS(2), MS(3));
	assert_int_equal(away_ms(&r), 1);
	reign_over(&r, MS(2), MS(90)); /* that is of the one after it */
	assert_int_equal(away_ms(&r), 1);
}

static void a_reign_in_any_order(void **state)
{
	struct reign r = {.led = true};

	(void)state;
	reign_over(&r, 0, MS(50)); /* a fresh process, which found it free */
	assert_int_equal(away_ms(&r), -1);
	r.reaped_ns = MS(40);
	assert_int_equal(away_ms(&r), 10);
	r.back_ns = MS(39); /* SIGCHLD is last */
	assert_int_equal(away_ms(&r), 0);
}

static void what_was_noticed_first_counts(void **state)
{
	struct reign r = {.led = true}, never = {.reaped_ns = MS(5)};

	(void)state;
	reign_hurt(&r, MS(10));
	reign_hurt(&r, MS(900));
	r.reaped_ns = MS(1000);
	reign_over(&r, MS(950), MS(1010));
	assert_int_equal(away_ms(&r), 1000);
	reign_over(&never, MS(6), MS(7)); /* who never led was nobody's loss */
	assert_int_equal(away_ms(&never), -1);
}

static void words_of_ends(void **state)
{
	(void)state;
	assert_int_equal(detection_of_end(true, 1, true), DETECTED_EXIT);
	assert_int_equal(detection_of_end(true, EXIT_NO_MEMORY, false), DETECTED_OOM);
	assert_int_equal(detection_of_end(false, 9, true), DETECTED_OOM);
	assert_int_equal(detection_of_end(false, 9, false), DETECTED_SIGNAL);
	assert_int_equal(detection_of_end(false, 11, true), DETECTED_SIGNAL);
	assert_int_equal(detection_of_end(false, EXIT_NO_MEMORY, false), DETECTED_SIGNAL);
	assert_int_equal(detection_death(DETECTED_SPIN), DEATH_HANG);
	assert_int_equal(detection_death(DETECTED_BLOCK), DEATH_HANG);
	assert_int_equal(detection_death(DETECTED_OOM), DEATH_OOM);
	assert_int_equal(detection_death(DETECTED_SLOW), DEATH_NONE);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_first_two_are_free_then_it_doubles),
		cmocka_unit_test(jitter_stays_between_half_and_all),
		cmocka_unit_test(health_forgives),
		cmocka_unit_test(ordered_deaths_cost_nothing),
		cmocka_unit_test(recovery_times_fall_into_their_buckets),
		cmocka_unit_test(a_reign_ends_when_the_mutex_is_free),
		cmocka_unit_test(a_reign_in_any_order),
		cmocka_unit_test(what_was_noticed_first_counts),
		cmocka_unit_test(words_of_ends),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
