/* supervisor/core/succession: when a replacement starts, and who will never lead. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "supervisor/core/succession.h"

#define T0 5000u

static void a_replacement_waits_after_a_takeover(void **state)
{
	struct succession s = {.led = false};

	(void)state;
	assert_int_equal(succession_calm(&s, T0), 0); /* the first start */
	succession_led(&s, false, T0);
	assert_int_equal(succession_calm(&s, T0), 0); /* nobody was before it: its understudy starts at once */
	succession_led(&s, true, T0);
	assert_int_equal(succession_calm(&s, T0), RESPAWN_MS);
	assert_int_equal(succession_calm(&s, T0 + RESPAWN_MS - 1), 1);
	assert_int_equal(succession_calm(&s, T0 + RESPAWN_MS), 0);
	assert_int_equal(succession_calm(&s, T0 + 3600000), 0);
}

static void nobody_waits_while_nobody_leads(void **state)
{
	struct succession s = {.led = false};

	(void)state;
	succession_led(&s, true, T0);
	succession_vacant(&s, T0 + 1);
	assert_int_equal(succession_calm(&s, T0 + 1), 0);
	succession_led(&s, false, T0 + 2); /* and what was before is no reason any more */
	assert_int_equal(succession_calm(&s, T0 + 2), 0);
}

static void who_does_not_take_it_is_stuck(void **state)
{
	struct succession s = {.led = false};

	(void)state;
	/* from its hello ... */
	assert_false(succession_stuck(&s, T0, 1000, T0));
	assert_false(succession_stuck(&s, T0, 1000, T0 + 999));
	assert_true(succession_stuck(&s, T0, 1000, T0 + 1000));
	/* ... or from the moment when there was something to take */
	succession_led(&s, true, T0 + 10);
	assert_false(succession_stuck(&s, T0, 1000, T0 + 900000)); /* it waits, as it should */
	succession_vacant(&s, T0 + 900000);
	assert_false(succession_stuck(&s, T0, 1000, T0 + 900999));
	assert_true(succession_stuck(&s, T0, 1000, T0 + 901000));
	/* one at a time */
	succession_vacant(&s, T0 + 901000);
	assert_false(succession_stuck(&s, T0, 1000, T0 + 901001));
	assert_true(succession_stuck(&s, T0, 1000, T0 + 902000));
}

static void a_short_patience_is_none(void **state)
{
	struct succession s = {.led = false};

	(void)state;
	assert_false(succession_stuck(&s, T0, 50, T0 + STUCK_MIN_MS - 1));
	assert_true(succession_stuck(&s, T0, 50, T0 + STUCK_MIN_MS));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_replacement_waits_after_a_takeover),
		cmocka_unit_test(nobody_waits_while_nobody_leads),
		cmocka_unit_test(who_does_not_take_it_is_stuck),
		cmocka_unit_test(a_short_patience_is_none),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
