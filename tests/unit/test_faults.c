/* supervisor/core/faults: what lasts, whose it is, and when nothing is left of it. */
/* clang-format off */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
/* clang-format on */
#include "supervisor/core/faults.h"
#include <string.h>

static const char one, two; /* owners */

static struct fault hang(uint32_t generation, const void *owner)
{
	return (struct fault){.kind = HARM_HANG, .pid = 100 + generation, .generation = generation, .owner = owner};
}

static void words(void **state)
{
	(void)state;
	for (int i = 0; i < HARM_NKINDS; i++)
		assert_int_equal(harm_find(harm_kinds[i].word, strlen(harm_kinds[i].word)), i);
	assert_int_equal(harm_find("kill", 4), HARM_KILL);
	assert_int_equal(harm_find("hang", 4), HARM_HANG);
	assert_int_equal(harm_find("hang", 3), -1);
	assert_int_equal(harm_find("hangs", 5), -1);
	assert_int_equal(harm_find("", 0), -1);
}

static void taken_once_by_its_owner_or_by_anybody(void **state)
{
	struct fault f = hang(3, &one), got = {.pid = 7};
	struct faults book = {0};

	(void)state;
	assert_false(faults_take(&book, TR_ROLE_META, NULL, &got));
	faults_done(&book, TR_ROLE_META, &f);
	assert_false(faults_take(&book, TR_ROLE_MEMORY, NULL, &got));
	assert_false(faults_take(&book, TR_ROLE_META, &two, &got));
	assert_int_equal(got.pid, 7); /* untouched */
	assert_true(faults_take(&book, TR_ROLE_META, &one, &got));
	assert_int_equal(got.pid, 103);
	assert_int_equal(got.generation, 3);
	assert_int_equal(got.kind, HARM_HANG);
	assert_false(faults_take(&book, TR_ROLE_META, &one, &got));
	faults_done(&book, TR_ROLE_META, &f);
	assert_true(faults_take(&book, TR_ROLE_META, NULL, &got));
	assert_false(faults_take(&book, TR_ROLE_META, NULL, &got));
}

/* Two drills stop the same Jr: when the first one leaves it stays stopped for the second. */
static void the_latest_owner_has_it(void **state)
{
	struct fault first = hang(3, &one), second = hang(3, &two), got;
	struct faults book = {0};

	(void)state;
	faults_done(&book, TR_ROLE_META, &first);
	faults_done(&book, TR_ROLE_META, &second);
	assert_false(faults_take(&book, TR_ROLE_META, &one, &got));
	assert_true(faults_take(&book, TR_ROLE_META, &two, &got));
}

static void each_jr_has_its_own(void **state)
{
	struct faults book = {0};
	struct fault got;

	(void)state;
	for (int i = 0; i < TR_NROLES; i++) {
		struct fault f = hang((uint32_t)i + 1, i % 2 == 0 ? &one : &two);

		faults_done(&book, (enum tr_role)i, &f);
	}
	for (int i = 0; i < TR_NROLES; i++) {
		assert_int_equal(faults_take(&book, (enum tr_role)i, &one, &got), i % 2 == 0);
		assert_int_equal(faults_take(&book, (enum tr_role)i, &two, &got), i % 2 == 1);
		assert_int_equal(got.generation, i + 1);
	}
}

/* A killed process hangs no more, and a kill is nothing that could be healed. */
static void what_does_not_last_ends_what_lasted(void **state)
{
	struct fault h = hang(3, &one), kill = {.kind = HARM_KILL, .pid = 103, .generation = 3, .owner = &two}, got;
	struct faults book = {0};

	(void)state;
	faults_done(&book, TR_ROLE_META, &kill);
	assert_false(faults_take(&book, TR_ROLE_META, NULL, &got));
	faults_done(&book, TR_ROLE_META, &h);
	faults_done(&book, TR_ROLE_META, &kill);
	assert_false(faults_take(&book, TR_ROLE_META, NULL, &got));
	faults_done(&book, TR_ROLE_META, &h);
	faults_passed(&book, TR_ROLE_META);
	assert_false(faults_take(&book, TR_ROLE_META, &one, &got));
	faults_passed(&book, TR_ROLE_META); /* again: nothing */
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(words),
		cmocka_unit_test(taken_once_by_its_owner_or_by_anybody),
		cmocka_unit_test(the_latest_owner_has_it),
		cmocka_unit_test(each_jr_has_its_own),
		cmocka_unit_test(what_does_not_last_ends_what_lasted),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
