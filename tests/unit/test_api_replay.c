/* jrs/executive/api/replay: answers by their Idempotency-Key. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "jrs/executive/api/replay.h"
#include <stdio.h>
#include <string.h>

static const unsigned char one[TR_SHA256_LEN] = {1}, two[TR_SHA256_LEN] = {2};

static void keep(struct replay *r, const char *key, const char *answer, uint64_t now_ms)
{
	const struct buf *known = NULL;
	struct buf b = {0};

	assert_int_equal(replay_begin(r, key, one, now_ms, &known), 0);
	buf_puts(&b, answer);
	replay_done(r, key, &b, now_ms);
	buf_free(&b);
}

/* What the key gives now; a new key is dropped again. */
static int look(struct replay *r, const char *key, const unsigned char *digest, uint64_t now_ms, const char *answer)
{
	const struct buf *known = NULL;
	int n = replay_begin(r, key, digest, now_ms, &known);

	if (n == 0)
		replay_drop(r, key);
	if (n == 1)
		assert_string_equal(known->p, answer);
	return n;
}

static void once(void **state)
{
	const struct buf *known = NULL;
	struct replay *r;

	(void)state;
	assert_int_equal(replay_new(&r, 10, 1000), 0);
	assert_int_equal(replay_begin(r, "a", one, 5, &known), 0);
	assert_int_equal(replay_begin(r, "a", one, 5, &known), TR_ECONFLICT);
	assert_int_equal(replay_begin(r, "a", two, 5, &known), TR_EMISMATCH);
	replay_drop(r, "a");
	keep(r, "a", "answer", 5);
	assert_int_equal(look(r, "a", one, 6, "answer"), 1);
	assert_int_equal(look(r, "a", two, 6, ""), TR_EMISMATCH);
	assert_int_equal(look(r, "b", two, 6, ""), 0);
	assert_int_equal(look(r, "a", one, 5 + REPLAY_MS - 1, "answer"), 1);
	assert_int_equal(look(r, "a", two, 5 + REPLAY_MS, ""), 0); /* a day later it is anybody's again */
	replay_free(&r);
	assert_null(r);
	replay_free(&r);
}

static void bounds(void **state)
{
	const struct buf *known = NULL;
	struct replay *r;
	char key[8];

	(void)state;
	assert_int_equal(replay_new(&r, 3, 20), 0);
	keep(r, "a", "1234567890", 1);
	keep(r, "b", "1234567890", 2);
	keep(r, "c", "123", 3); /* the oldest makes room for its bytes */
	assert_int_equal(look(r, "a", one, 4, ""), 0);
	assert_int_equal(look(r, "b", one, 4, "1234567890"), 1);
	keep(r, "d", "1", 5);
	keep(r, "e", "1", 6); /* and for its number */
	assert_int_equal(look(r, "c", one, 7, "123"), 1);
	assert_int_equal(look(r, "b", one, 7, ""), 0); /* which makes room, too */
	keep(r, "f", "123456789012345678901",
	     8); /* an answer that never fits is not kept, nor are others for its sake */
	assert_int_equal(look(r, "f", one, 9, ""), 0);
	assert_int_equal(look(r, "e", one, 9, "1"), 1);
	for (int i = 0; i < 3; i++) { /* what is being answered is not pushed out */
		snprintf(key, sizeof(key), "run%d", i);
		assert_int_equal(replay_begin(r, key, one, 10, &known), 0);
	}
	assert_int_equal(replay_begin(r, "one more", one, 10, &known), TR_EBUSY);
	replay_drop(r, "run1");
	assert_int_equal(replay_begin(r, "one more", one, 10, &known), 0);
	replay_free(&r);
}

/* What is forgotten is not told again by an answer that was kept. */
static void forgotten_answers_go(void **state)
{
	const struct buf *known = NULL;
	struct replay *r;

	(void)state;
	assert_int_equal(replay_new(&r, 10, 1000), 0);
	keep(r, "a", "{\"sources\":[{\"id\":\"m1\"}]}", 1);
	keep(r, "b", "{\"sources\":[{\"id\":\"m12\"},{\"id\":\"m2\"}]}", 2);
	keep(r, "c", "{\"sources\":[{\"id\":\"m2\"},{\"id\":\"m1\"}]}", 3);
	assert_int_equal(replay_begin(r, "d", one, 4, &known), 0);
	replay_forget(r, "\"m1\"", 4);
	keep(r, "a", "anew", 5);
	assert_int_equal(look(r, "b", one, 5, "{\"sources\":[{\"id\":\"m12\"},{\"id\":\"m2\"}]}"), 1);
	assert_int_equal(look(r, "c", one, 5, ""), 0);
	replay_done(r, "d", &(struct buf){.p = (char *)(uintptr_t) "{}", .len = 2}, 6); /* begun before: it may tell */
	assert_int_equal(look(r, "d", one, 6, ""), 0);
	replay_free(&r);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(once),
		cmocka_unit_test(bounds),
		cmocka_unit_test(forgotten_answers_go),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
