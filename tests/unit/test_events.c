/* supervisor/core/events: numbers without gaps, the newest kept. */
/* clang-format off */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
/* clang-format on */
#include "supervisor/core/events.h"
#include <stdlib.h>
#include <string.h>

static void add(struct events *s, uint32_t pid)
{
	struct event e = {.seq = 77, .kind = EVENT_SPAWN, .role = 1, .pid = pid};
	const struct event *got = events_add(s, &e);

	assert_int_equal(got->seq, s->count);
	assert_int_equal(got->pid, pid);
}

/* After every add: any limit gives consecutive numbers that end with the newest, each with its own content. */
static void the_last_ones_are_kept(void **state)
{
	static const uint32_t limits[] = {1, 2, 999, 1000, 5000};
	struct events *s = calloc(1, sizeof(*s));

	(void)state;
	assert_non_null(s);
	assert_int_equal(events_first(s, 10), 1); /* count + 1 */
	for (uint32_t n = 1; n <= 2 * EVENTS_KEPT + 7; n++) {
		add(s, n);
		for (size_t i = 0; i < sizeof(limits) / sizeof(limits[0]); i++) {
			uint64_t kept = n < EVENTS_KEPT ? n : EVENTS_KEPT;
			uint64_t want = kept < limits[i] ? kept : limits[i];
			uint64_t first = events_first(s, limits[i]);

			assert_int_equal(s->count - first + 1, want);
			assert_int_equal(events_at(s, first)->seq, first);
			assert_int_equal(events_at(s, first)->pid, first);
			assert_int_equal(events_at(s, s->count)->pid, n);
		}
	}
	free(s);
}

static void every_kind_has_its_own_word(void **state)
{
	(void)state;
	for (int i = 0; i < EVENT_NKINDS; i++) {
		assert_in_range(strlen(event_words[i]), 1, 32);
		for (int j = 0; j < i; j++)
			assert_string_not_equal(event_words[i], event_words[j]);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_last_ones_are_kept),
		cmocka_unit_test(every_kind_has_its_own_word),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
