/* jrs/meta/analysis/giveup: tribed's events in, decisions out. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "jrs/meta/analysis/giveup.h"
#include <stdio.h>
#include <string.h>

/* kind, role, generation, seconds -> topic; NULL: nothing is decided */
struct step {
	const char *kind, *jr;
	uint32_t generation;
	int64_t at_s;
	const char *topic, *text;
};

static const struct step life[] = {
	{"start", NULL, 0, 0, NULL, NULL},
	{"spawn", "memory_jr", 1, 1, NULL, NULL},
	{"ready", "memory_jr", 1, 1, NULL, NULL},
	{"waits", "memory_jr", 2, 1, NULL, NULL},
	{"ready", "meta_jr", 3, 1, NULL, NULL},
	/* one that waits fails; its lead goes on */
	{"exit", "memory_jr", 2, 5, NULL, NULL},
	{"backoff", "memory_jr", 4, 6, NULL, NULL},
	{"failed", "memory_jr", 4, 7, "failed memory_jr understudy", "its lead goes on"},
	{"failed", "memory_jr", 4, 8, NULL, NULL},
	{"waits", "memory_jr", 5, 20, "healed memory_jr understudy", "after 13 s it waits again"},
	/* the role itself */
	{"exit", "meta_jr", 3, 30, NULL, NULL},
	{"failed", "meta_jr", 6, 31, "failed meta_jr", "(why it did). It is tried again"},
	{"exit", "meta_jr", 6, 32, NULL, NULL},
	{"failed", "meta_jr", 7, 33, NULL, NULL},
	{"ready", "meta_jr", 8, 73, "healed meta_jr", "after 42 s it serves again"},
	{"ready", "meta_jr", 8, 74, NULL, NULL},
	{"degraded", NULL, 0, 75, NULL, NULL},
	{"failed", "nobody_jr", 1, 76, NULL, NULL},
};
#define N (sizeof(life) / sizeof(life[0]))

static struct item_event event(size_t i)
{
	const struct step *s = &life[i];

	return (struct item_event){.seq = i + 1,
				   .at = s->at_s * 1000,
				   .kind = wire_s(s->kind),
				   .has_jr = s->jr != NULL,
				   .jr = wire_s(s->jr),
				   .has_generation = s->generation != 0,
				   .generation = s->generation,
				   .has_detail = true,
				   .detail = wire_s("why it did")};
}

static void a_life(void **state)
{
	struct giveup g;

	(void)state;
	giveup_begin(&g);
	for (int round = 0; round < 2; round++) { /* seen again, they are nothing new */
		for (size_t i = 0; i < N; i++) {
			struct giveup_said said = {.topic = ""};
			struct item_event e = event(i);
			bool told = giveup_see(&g, &e, &said);

			if (told != (round == 0 && life[i].topic != NULL))
				fail_msg("round %d, step %zu: %s", round, i, told ? said.topic : "nothing");
			if (!told)
				continue;
			assert_string_equal(said.topic, life[i].topic);
			assert_non_null(strstr(said.text, life[i].text));
			assert_int_equal(said.at_ms, life[i].at_s * 1000);
		}
	}
}

/* Who reads them later, or in pieces, says the same. */
static void the_same_for_whoever_reads(void **state)
{
	struct giveup_said one[N], two[N];
	struct giveup g;
	size_t n = 0, k = 0;

	(void)state;
	memset(one, 0, sizeof(one));
	memset(two, 0, sizeof(two));
	giveup_begin(&g);
	for (size_t i = 0; i < N; i++) {
		struct item_event e = event(i);

		n += giveup_see(&g, &e, &one[n]);
	}
	giveup_begin(&g);
	for (size_t end = 1; end <= N; end++) {
		for (size_t i = 0; i < end; i++) { /* each answer has all of before */
			struct item_event e = event(i);

			k += giveup_see(&g, &e, &two[k]);
		}
	}
	assert_int_equal(n, 4);
	assert_int_equal(k, n);
	for (size_t i = 0; i < n; i++) {
		assert_string_equal(one[i].topic, two[i].topic);
		assert_string_equal(one[i].text, two[i].text);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_life),
		cmocka_unit_test(the_same_for_whoever_reads),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
