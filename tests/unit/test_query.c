/* jrs/memory/recall: a question's words, and the order of what was found. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "jrs/memory/recall/query.h"
#include "jrs/memory/recall/rank.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void questions(void **s)
{
	static const struct {
		const char *q, *want;
	} all[] = {
		{"Where did Caroline go hiking?", "\"caroline\" OR \"go\" OR \"hiking\""},
		{"what is the", ""},
		{"", ""},
		{"?!... --", ""},
		{"Don't STOP; don't stop", "\"stop\""},
		{"x\" OR NEAR(a b) * ^ : {col} -", "\"x\" OR \"near\" OR \"b\" OR \"col\""},
		{"'; DROP TABLE memories; --", "\"drop\" OR \"table\" OR \"memories\""},
		{"\xc3\x84pfel \xc3\xa4pfel", "\"\xc3\xa4pfel\""},
		{"Go 1.22 RFC-9562", "\"go\" OR \"1\" OR \"22\" OR \"rfc\" OR \"9562\""},
		{"\xe6\x9d\xb1\xe4\xba\xac \xd0\x9c\xd0\xbe\xd1\x81\xd0\xba\xd0\xb2\xd0\xb0",
		 "\"\xe6\x9d\xb1\xe4\xba\xac\" OR \"\xd0\xbc\xd0\xbe\xd1\x81\xd0\xba\xd0\xb2\xd0\xb0\""},
	};
	size_t i;

	(void)s;
	for (i = 0; i < sizeof(all) / sizeof(all[0]); i++) {
		struct buf out = {0};
		int n = query_fts(all[i].q, strlen(all[i].q), &out);

		assert_true(n >= 0);
		assert_string_equal(out.p == NULL ? "" : out.p, all[i].want);
		buf_free(&out);
	}
}

/* Whatever comes in, out comes a list of quoted words and nothing else. */
static void any_bytes(void **s)
{
	uint64_t x = 0x2545f4914f6cdd1du;
	int round;

	(void)s;
	for (round = 0; round < 5000; round++) {
		unsigned char q[200];
		struct buf out = {0};
		size_t i, n = (size_t)round % sizeof(q), quotes = 0;
		int words;

		for (i = 0; i < n; i++) {
			x ^= x << 13, x ^= x >> 7, x ^= x << 17;
			q[i] = (unsigned char)(round % 2 == 0 ? x : 32 + x % 95);
		}
		words = query_fts((const char *)q, n, &out);
		assert_true(words >= 0 && words <= QUERY_WORDS_MAX);
		for (i = 0; i < out.len; i++)
			quotes += out.p[i] == '"';
		assert_int_equal(quotes, 2 * words);
		assert_true(out.len == 0 || (out.p[0] == '"' && out.p[out.len - 1] == '"'));
		buf_free(&out);
	}
}

static void long_questions_are_cut(void **s)
{
	char q[4000];
	struct buf out = {0};
	size_t n = 0;
	int i;

	(void)s;
	memset(q, 'z', 200); /* too long to be a word */
	n = 200;
	for (i = 0; i < 200; i++)
		n += (size_t)snprintf(q + n, sizeof(q) - n, " word%d", i);
	assert_int_equal(query_fts(q, n, &out), QUERY_WORDS_MAX);
	assert_memory_equal(out.p, "\"word0\" OR ", 11);
	buf_free(&out);
}

static void stop_words(void **s)
{
	static const char *const some[] = {"a",    "about",   "am", "before", "couldn", "down",
					   "from", "himself", "ll", "my",     "only",   "s",
					   "the",  "through", "ve", "what",   "won",    "yourselves"};
	size_t i;

	(void)s;
	for (i = 0; i < sizeof(some) / sizeof(some[0]); i++)
		assert_true(query_stop_word(some[i], strlen(some[i])));
	assert_false(query_stop_word("hike", 4));
	assert_false(query_stop_word("averylongwordindeed", 19));
	assert_false(query_stop_word("the!", 4));
}

static void order(void **s)
{
	struct rank_item v[] = {
		{1, 2.0, 40.0, 0, 0}, {2, 8.0, 10.0, 0, 0}, {3, 2.0, 60.0, 0, 0},
		{4, 2.0, 40.0, 0, 0}, {5, 0.0, 99.0, 0, 0},
	};
	const int64_t want[] = {2, 3, 4, 1, 5};
	size_t i;

	(void)s;
	rank_order(v, 5);
	for (i = 0; i < 5; i++) {
		assert_int_equal(v[i].memory, want[i]);
		assert_true(v[i].score >= 0.0 && v[i].score <= 1.0);
		assert_true(i == 0 || v[i].score <= v[i - 1].score);
	}
	assert_true(v[0].score == 1.0 && v[1].score == 0.25 && v[4].score == 0.0);
	rank_order(v, 0);
}

static size_t place_of(const struct rank_item *v, size_t n, int64_t memory)
{
	size_t i;

	for (i = 0; i < n && v[i].memory != memory; i++)
		;
	return i;
}

static void superseded_ranks_below(void **s)
{
	/* 1 <- 2 <- 3: the oldest matches best, the newest worst */
	struct rank_item v[] = {{1, 9.0, 90.0, 2, 0},
				{2, 5.0, 50.0, 3, 0},
				{3, 1.0, 40.0, 0, 0},
				{7, 4.0, 40.0, 0, 0},
				{8, 8.0, 40.0, 99, 0}};

	(void)s;
	rank_order(v, 5);
	assert_true(place_of(v, 5, 3) < place_of(v, 5, 2));
	assert_true(place_of(v, 5, 2) < place_of(v, 5, 1));
	assert_true(place_of(v, 5, 8) < 5); /* its successor was not found: it only loses half */
	assert_true(v[place_of(v, 5, 8)].score == 8.0 / 9.0 / 2);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(questions),  cmocka_unit_test(any_bytes), cmocka_unit_test(long_questions_are_cut),
		cmocka_unit_test(stop_words), cmocka_unit_test(order),     cmocka_unit_test(superseded_ranks_below),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
