/* supervisor/core/sentience and avail: the definition of docs/SENTIENCE_INDEX.md, figure by figure. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "supervisor/core/avail.h"
#include "supervisor/core/sentience.h"

#define MINUTE 60000ull
#define DAY    (24 * 60 * MINUTE)

static void near(double got, double want)
{
	if (!(fabs(got - want) < 1e-9))
		fail_msg("got %.12f, want %.12f", got, want);
}

/* The worked example of the document. */
static struct sentience_in healthy(void)
{
	struct sentience_in in = {.heartbeat_ms = 100,
				  .recalls = 20,
				  .has_phase_coherence = true,
				  .phase_coherence = 0.6,
				  .has_thermal_balance = true,
				  .thermal_balance = 0.5};

	for (int i = 0; i < TR_NROLES; i++)
		in.role[i] = (struct sentience_role){.serving = true, .availability = 1, .beat_age_ms = 100};
	in.role[TR_ROLE_META].availability = 0.96;
	return in;
}

static void the_worked_example(void **state)
{
	struct sentience_in in = healthy();
	struct sentience s;

	(void)state;
	sentience_reckon(&in, &s);
	assert_true(s.has_index && s.has_coherence && s.has_thermal_balance && s.has_phase_coherence);
	near(s.uptime, 0.99);
	near(s.heartbeat_coherence, 1);
	near(s.coherence, 0.6);
	near(s.thermal_balance, 0.5);
	near(s.index, 100 * (0.3 * 0.99 + 0.5 * 0.6 + 0.2 * 0.5)); /* 69.7 */
	in.role[TR_ROLE_EXECUTIVE].beat_age_ms = 300;              /* two intervals late: half */
	sentience_reckon(&in, &s);
	near(s.heartbeat_coherence, 0.5);
	near(s.coherence, 0.3);
	near(s.index, 54.7);
}

static void one_beat(void **state)
{
	(void)state;
	near(sentience_beat(0, 100), 1);
	near(sentience_beat(200, 100), 1);
	near(sentience_beat(250, 100), 0.75);
	near(sentience_beat(300, 100), 0.5);
	near(sentience_beat(400, 100), 0);
	near(sentience_beat(UINT64_MAX / 2, 100), 0);
	for (uint64_t age = 1; age < 1000; age++)
		assert_true(sentience_beat(age, 100) <= sentience_beat(age - 1, 100));
}

static void one_dead_jr_pulls_it_under_40(void **state)
{
	(void)state;
	for (int dead = 0; dead < TR_NROLES; dead++) {
		struct sentience_in in = healthy();
		struct sentience s;

		in.phase_coherence = 1;
		in.thermal_balance = 0.87;
		in.role[dead].serving = false;
		in.role[dead].beat_age_ms = 0; /* a fresh figure of a dead process counts nothing */
		if (dead == TR_ROLE_MEMORY)
			in.has_phase_coherence = in.has_thermal_balance = false;
		sentience_reckon(&in, &s);
		assert_true(s.has_index && s.has_coherence);
		near(s.coherence, 0);
		assert_true(s.index < 40);
	}
}

static void a_dead_archive_pulls_it_under_40(void **state)
{
	struct sentience_in in = healthy();
	struct sentience s;

	(void)state;
	in.archive_bad = true; /* and its last figures are still about */
	in.thermal_balance = in.phase_coherence = 1;
	sentience_reckon(&in, &s);
	assert_true(s.has_index && s.has_coherence);
	assert_false(s.has_thermal_balance || s.has_phase_coherence);
	assert_true(s.index < 40);
}

static void all_dead_is_zero(void **state)
{
	struct sentience_in in = healthy();
	struct sentience s;

	(void)state;
	in.has_phase_coherence = in.has_thermal_balance = false;
	for (int i = 0; i < TR_NROLES; i++)
		in.role[i].serving = false;
	sentience_reckon(&in, &s);
	near(s.index, 0);
}

static void what_is_unknown_is_absent(void **state)
{
	struct sentience_in in = healthy();
	struct sentience s;

	(void)state;
	in.recalls = 19;
	sentience_reckon(&in, &s);
	assert_false(s.has_index);
	near(s.coherence, 0.6); /* components are there as soon as they are known */
	in = healthy();
	in.has_phase_coherence = false;
	sentience_reckon(&in, &s);
	assert_false(s.has_index || s.has_coherence || s.has_phase_coherence);
	assert_true(s.has_thermal_balance);
	in = healthy();
	in.has_thermal_balance = false;
	sentience_reckon(&in, &s);
	assert_false(s.has_index || s.has_thermal_balance);
	in = (struct sentience_in){.heartbeat_ms = 100}; /* an empty house has no index, not 25 or 55 */
	sentience_reckon(&in, &s);
	assert_false(s.has_index);
}

static void recalls_are_counted_over_all_lives(void **state)
{
	struct recall_count c = {0};

	(void)state;
	assert_int_equal(sentience_recalls(&c, 12), 12);
	assert_int_equal(sentience_recalls(&c, 12), 12);
	assert_int_equal(sentience_recalls(&c, 0), 12);
	assert_int_equal(sentience_recalls(&c, 9), 21);
	assert_int_equal(sentience_recalls(&c, 30), 42);
}

static void availability(void **state)
{
	static struct avail a;

	(void)state;
	avail_init(&a, 1000);
	near(avail_share(&a, 1000), 1);
	avail_step(&a, true, 2000); /* the first second was not served */
	near(avail_share(&a, 5000), 0.75);
	avail_step(&a, false, 5000);
	near(avail_share(&a, 9000), 3.0 / 8);
	avail_step(&a, true, 9000);
	/* A day later the bad minute has left the ring. */
	near(avail_share(&a, 1000 + DAY + MINUTE), 1);
	avail_step(&a, false, 1000 + DAY + MINUTE);
	assert_true(avail_share(&a, 1000 + 2 * DAY) < 0.001);
	near(avail_share(&a, 1000 + 30 * DAY), 0); /* and after a month without a call */
}

/* Against the plain definition, minute by minute. */
static void availability_agrees_with_a_recount(void **state)
{
	static struct avail a;
	static uint8_t up[4000]; /* was the second i served? */
	uint64_t rnd = 12345;

	(void)state;
	for (unsigned i = 0; i < sizeof(up); i++) {
		rnd = rnd * 6364136223846793005u + 1442695040888963407u;
		up[i] = (rnd >> 60) != 0;
	}
	avail_init(&a, 0);
	for (unsigned i = 0; i < sizeof(up); i++) {
		uint64_t served = 0;

		avail_step(&a, up[i] != 0, i * MINUTE / 2);
		if (i % 97 != 0 || i == 0)
			continue;
		/* the ring: the minute under way and 1439 whole ones before it */
		unsigned first = i / 2 >= AVAIL_MINUTES ? (i / 2 - (AVAIL_MINUTES - 1)) * 2 : 0;

		for (unsigned k = first; k < i; k++)
			served += up[k];
		near(avail_share(&a, i * MINUTE / 2), (double)served / (i - first));
	}
}

static void it_stays_in_its_range(void **state)
{
	uint64_t rnd = 99;

	(void)state;
	for (int n = 0; n < 200000; n++) {
		struct sentience_in in = healthy();
		struct sentience s;

		for (int i = 0; i < TR_NROLES; i++) {
			rnd = rnd * 6364136223846793005u + 1442695040888963407u;
			in.role[i].serving = (rnd >> 40) % 8 != 0;
			in.role[i].availability = (double)((rnd >> 32) % 101) / 100;
			in.role[i].beat_age_ms = (rnd >> 45) % 600;
		}
		in.phase_coherence = (double)((rnd >> 20) % 101) / 100;
		in.thermal_balance = (double)((rnd >> 28) % 101) / 100;
		sentience_reckon(&in, &s);
		assert_true(s.index >= 0 && s.index <= 100);
		assert_true(s.uptime >= 0 && s.uptime <= 1 && s.coherence >= 0 && s.coherence <= 1);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_worked_example),
		cmocka_unit_test(one_beat),
		cmocka_unit_test(one_dead_jr_pulls_it_under_40),
		cmocka_unit_test(a_dead_archive_pulls_it_under_40),
		cmocka_unit_test(all_dead_is_zero),
		cmocka_unit_test(what_is_unknown_is_absent),
		cmocka_unit_test(recalls_are_counted_over_all_lives),
		cmocka_unit_test(availability),
		cmocka_unit_test(availability_agrees_with_a_recount),
		cmocka_unit_test(it_stays_in_its_range),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
