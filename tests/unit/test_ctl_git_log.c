/* supervisor/ctl: what git log writes, cut into records and pieces. */
#include "common/base/err.h"
#include "supervisor/ctl/git_log.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define LITERAL(s) (s), sizeof(s) - 1 /* NULs in it count */
#define A          "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
#define B          "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"

/* As git 2.39 writes them: a commit with two files, one without a message and files, a merge. */
static const char three[] = "\0" A "\0"
			    "1700000000\0Ann\0" B "\0Mend\n\nit\n\0"
			    "\0"
			    "\na b\0c/d\0"
			    "\0" B "\0"
			    "5\0\0\0\0"
			    "\0"
			    "\0" A "\0"
			    "6\0Bob\0" A " " B "\0Merge\n\0"; /* the last NUL is the string's */
static const char records[] = A "\0"
				"1700000000\0Ann\0"
				"1\0"
				"2\0"
				"9\0Mend\n\nit\n\0"
				"a b\0c/d\0\0" B "\0"
				"5\0\0"
				"0\0"
				"0\0"
				"0\0\0\0" A "\0"
				"6\0Bob\0"
				"2\0"
				"0\0"
				"6\0Merge\n\0"; /* the same */

/* In steps of `step` bytes. */
static int feed(struct git_log *g, const char *p, size_t n, size_t step)
{
	int r = 0;

	for (size_t at = 0; r == 0 && at < n;) {
		size_t left = n - at, taken;

		r = git_log_feed(g, p + at, left < step ? left : step, &taken);
		assert_true(taken <= left && (r < 0 || taken > 0));
		at += taken;
	}
	return r;
}

static void records_are_told_apart(void **state)
{
	(void)state;
	for (size_t step = 1; step <= sizeof three; step++) {
		struct git_log g = {.records = 0};

		assert_int_equal(feed(&g, three, sizeof three, step), 0);
		assert_int_equal(g.records, 2);
		assert_int_equal(git_log_end(&g), 0);
		assert_int_equal(g.records, 3);
		assert_int_equal(g.piece.len, sizeof records);
		assert_memory_equal(g.piece.p, records, sizeof records);
		assert_int_equal(feed(&g, three, sizeof three, step), 0); /* another log behind it */
		assert_int_equal(git_log_end(&g), 0);
		assert_int_equal(g.total, 6);
		assert_memory_equal(g.piece.p + sizeof records, records, sizeof records);
		git_log_next(&g);
		assert_true(g.piece.len == 0 && g.records == 0 && g.total == 6);
		git_log_free(&g);
	}
}

static void an_empty_log_and_a_broken_one(void **state)
{
	static const struct {
		const char *p;
		size_t n;
	} bad[] = {{"x", 1}, {"x\0", 2}, {"\0abc\0", 5}, {"\0", 1}, {"\0\0", 2}};
	struct git_log g = {.records = 0};

	(void)state;
	assert_int_equal(git_log_end(&g), 0);
	assert_int_equal(g.total, 0);
	for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
		int r = feed(&g, bad[i].p, bad[i].n, 1);

		assert_int_equal(r < 0 ? r : git_log_end(&g), TR_EPROTO);
		git_log_free(&g);
	}
	for (size_t n = 1; n < sizeof three; n++) { /* cut anywhere: an error, or the whole records before it */
		int r = feed(&g, three, n, n);

		assert_int_equal(r, 0);
		r = git_log_end(&g);
		assert_true(r == 0 || r == TR_EPROTO);
		assert_true(g.total <= 2);
		assert_memory_equal(g.piece.p == NULL ? records : g.piece.p, records, r == 0 ? 40 : g.piece.len);
		git_log_free(&g);
	}
}

static void fields(const struct git_log *g, const char *out[7])
{
	const char *p = g->piece.p;

	for (int i = 0; i < 7; i++) {
		out[i] = p;
		p += strlen(p) + 1;
	}
}

/* However much a commit holds, a record stays small and says how much it was. */
static void a_record_is_bounded(void **state)
{
	const size_t huge = 3u << 20, many = 50000;
	struct git_log g = {.records = 0};
	struct buf b = {.max = 0};
	const char *out[7];
	char *text = malloc(huge);

	(void)state;
	memset(text, 'x', huge);
	(void)buf_append(&b, LITERAL("\0" A "\0"
				     "1\0"));
	(void)buf_append(&b, text, huge); /* the author */
	(void)buf_append(&b, LITERAL("\0" B "\0"));
	(void)buf_append(&b, text, huge); /* the message */
	(void)buf_append(&b, LITERAL("\0\0\n"));
	for (size_t i = 0; i < many; i++) {
		(void)buf_printf(&b, "file %zu", i);
		(void)buf_append(&b, LITERAL("\0"));
	}
	assert_int_equal(b.failed, 0);
	assert_int_equal(feed(&g, b.p, b.len, 65536), 0);
	assert_int_equal(git_log_end(&g), 0);
	assert_int_equal(g.records, 1);
	assert_true(g.piece.len < 100u << 10);
	fields(&g, out);
	assert_int_equal(strlen(out[2]), GIT_TEXT_BYTES);
	assert_string_equal(out[4], "50000");
	assert_string_equal(out[5], "3145728");
	assert_true(strlen(out[6]) >= GIT_MESSAGE_BYTES && strlen(out[6]) <= GIT_MESSAGE_BYTES + 4);
	assert_string_equal(out[6] + strlen(out[6]) + 1, "file 0");
	git_log_free(&g);

	/* a name too long is left out and ends the list, it is not cut */
	buf_clear(&b);
	(void)buf_append(&b, LITERAL("\0" A "\0"
				     "1\0Ann\0\0m\0\0\na\0"));
	(void)buf_append(&b, text, GIT_TEXT_BYTES + 1);
	(void)buf_append(&b, LITERAL("\0b\0"));
	assert_int_equal(feed(&g, b.p, b.len, 100), 0);
	assert_int_equal(git_log_end(&g), 0);
	fields(&g, out);
	assert_string_equal(out[4], "3");
	assert_memory_equal(out[6], "m\0a\0\0", 5);
	assert_ptr_equal(out[6] + 5, g.piece.p + g.piece.len);
	git_log_free(&g);
	buf_free(&b);
	free(text);
}

/* The bytes of the log alone say where a piece ends: an import that goes on must meet the same ones. */
static void pieces_do_not_depend_on_how_bytes_come(void **state)
{
	static const size_t steps[] = {1, 7, 4096, 65536, 1u << 24};
	struct buf b = {.max = 0};
	size_t lengths[5][8], n[5];

	(void)state;
	for (int i = 0; i < 9000; i++) {
		(void)buf_append(&b, LITERAL("\0" A "\0"
					     "1\0Ann\0\0"));
		for (int k = 0; k < (i < 3000 ? 50 : 1); k++)
			(void)buf_puts(&b, "a message ");
		(void)buf_append(&b, LITERAL("\0\0"));
	}
	assert_int_equal(b.failed, 0);
	for (size_t s = 0; s < 5; s++) {
		struct git_log g = {.records = 0};

		n[s] = 0;
		for (size_t at = 0; at < b.len;) {
			size_t left = b.len - at, taken;

			assert_int_equal(git_log_feed(&g, b.p + at, left < steps[s] ? left : steps[s], &taken), 0);
			at += taken;
			if (!git_log_piece(&g))
				continue;
			if (n[s] == 0) /* long ones: the bytes end it */
				assert_true(g.records < GIT_PIECE_RECORDS && g.piece.len < GIT_PIECE_BYTES + 1000);
			lengths[s][n[s]++] = g.piece.len;
			assert_true(g.records == GIT_PIECE_RECORDS || g.piece.len >= GIT_PIECE_BYTES);
			git_log_next(&g);
		}
		assert_int_equal(git_log_end(&g), 0);
		assert_true(g.total == 9000 && n[s] >= 2);
		assert_int_equal(n[s], n[0]);
		assert_memory_equal(lengths[s], lengths[0], n[0] * sizeof lengths[0][0]);
		git_log_free(&g);
	}
	buf_free(&b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(records_are_told_apart),
		cmocka_unit_test(an_empty_log_and_a_broken_one),
		cmocka_unit_test(a_record_is_bounded),
		cmocka_unit_test(pieces_do_not_depend_on_how_bytes_come),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
