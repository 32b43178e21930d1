/* supervisor/core/backoff and recovery. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "supervisor/core/backoff.h"
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
	assert_true(recovery_back(&r, 5) < 0); /* the first start recovers nothing */
	recovery_lost(&r, 1000);
	recovery_lost(&r, 900000000); /* hang noticed first, then its death: the first counts */
	assert_true(recovery_back(&r, 1001000) == 0.001);
	assert_int_equal(r.count[0], 1);
	recovery_lost(&r, 1);
	recovery_back(&r, 1000002);
	assert_int_equal(r.count[1], 1);
	recovery_lost(&r, 1);
	recovery_back(&r, 30000000001);
	assert_int_equal(r.count[RECOVERY_NBUCKETS - 1], 1);
	recovery_lost(&r, 1);
	recovery_back(&r, 30000000002); /* in no bucket, but counted */
	assert_int_equal(r.n, 4);
	recovery_lost(&r, 1);
	recovery_forget(&r);
	assert_true(recovery_back(&r, 5) < 0);
	assert_int_equal(r.n, 4);
	for (int i = 1; i < RECOVERY_NBUCKETS; i++)
		assert_true(recovery_le[i] > recovery_le[i - 1]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_first_two_are_free_then_it_doubles),
		cmocka_unit_test(jitter_stays_between_half_and_all),
		cmocka_unit_test(health_forgives),
		cmocka_unit_test(ordered_deaths_cost_nothing),
		cmocka_unit_test(recovery_times_fall_into_their_buckets),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
