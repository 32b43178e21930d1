/* jrs/integration/import: commits, also hostile ones. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
/* after the standard headers, as cmocka wants it */
#include <cmocka.h>

#include "common/base/buf.h"
#include "tests/unit/import_kit.h"

#define SHA "0123456789abcdef0123456789abcdef01234567"

/* Appends a record; names: each with a NUL behind it. */
static void record(struct buf *b, const char *sha, const char *time, const char *author, const char *parents,
		   const char *files, const char *message, size_t n, const char *names, size_t names_n)
{
	const char *const fields[] = {sha, time, author, parents, files};

	for (size_t i = 0; i < 5; i++)
		assert_int_equal(buf_append(b, fields[i], strlen(fields[i]) + 1), 0);
	assert_int_equal(buf_printf(b, "%zu", n), 0);
	assert_int_equal(buf_append(b, "", 1), 0);
	assert_int_equal(buf_append(b, message, n), 0);
	assert_int_equal(buf_append(b, "", 1), 0);
	assert_int_equal(buf_append(b, names, names_n), 0);
	assert_int_equal(buf_append(b, "", 1), 0);
}

static void plain(struct buf *b, const char *message)
{
	record(b, SHA, "1700000000", "Ann", "1", "0", message, strlen(message), "", 0);
}

static void expect(wire_str s, const char *want)
{
	assert_int_equal(s.n, strlen(want));
	assert_memory_equal(s.p, want, s.n);
}

static void look_at_full(const struct item_new_memory *m, unsigned i)
{
	const msgpack_object *files = meta(m, "files");

	assert_true(m->has_id && !m->has_session && !m->has_source && !m->has_importance);
	expect(m->id, "git:" SHA);
	expect(m->speaker, "Ann Ö.");
	assert_true(m->has_at);
	assert_int_equal(m->at, 1700000000000);
	assert_int_equal(m->tags.n, i == 0 ? 1 : 2);
	expect(m->tags.v[0], "commit");
	assert_null(meta(m, "message_bytes"));
	if (i == 0) {
		expect(m->content, "Mend the kettle\n\nIt leaked.");
		assert_int_equal(files->via.array.size, 2);
		expect((wire_str){files->via.array.ptr[1].via.str.ptr, files->via.array.ptr[1].via.str.size},
		       "b\xef\xbf\xbd\n");
		assert_int_equal(meta(m, "files_changed")->via.u64, 7); /* more than were named */
	} else {
		expect(m->tags.v[1], "merge");
		assert_null(files);
		assert_null(meta(m, "files_changed")); /* not compared, so not known */
	}
	assert_int_equal(meta(m, "commit")->via.str.size, 40);
}

static void every_field_arrives(void **state)
{
	static const char message[] = "\nMend the kettle\n\nIt leaked.\n\n", names[] = "a/b.c\0b\xff\n";
	struct buf b = {.max = 0};
	struct taken t;

	(void)state;
	record(&b, SHA, "1700000000", " Ann Ö. ", "1", "7", message, sizeof message - 1, names, sizeof names);
	record(&b, SHA, "1700000000", "Ann Ö.", "3", "0", "Merge it", 8, "", 0);
	t = take_with(IMPORT_GIT, b.p, b.len, 1, look_at_full);
	assert_int_equal(t.all, 2);
	assert_int_equal(t.skips.total, 0);
	taken_free(&t);
	buf_free(&b);
}

static void look_at_broken(const struct item_new_memory *m, unsigned i)
{
	if (i == 0) { /* Latin-1 */
		expect(m->content, "Gr\xef\xbf\xbd\xef\xbf\xbd"
				   "e");
		expect(m->speaker, "J\xef\xbf\xbdrg");
	}
	assert_int_equal(m->has_at, i == 4);
	assert_int_equal(m->has_speaker, i == 0);
}

static void what_a_repository_may_hold(void **state)
{
	static const char *const none[] = {"", "\n \t\n", "...\n"};
	struct buf b = {.max = 0};
	struct taken t;

	(void)state;
	record(&b, SHA, "99999999999999999999", "J\xf6rg", "1", "0",
	       "Gr\xfc\xdf"
	       "e",
	       5, "", 0);
	record(&b, SHA, "", "", "x", "y", "no time, no author", 18, "", 0);
	record(&b, SHA, "-1", "", "1", "0", "before 1970", 11, "", 0);
	record(&b, SHA, "253402300800", " ", "1", "0", "after 9999", 10, "", 0);
	record(&b, SHA, "253402300799", " ", "1", "0", "in 9999", 7, "", 0);
	for (size_t i = 0; i < 3; i++)
		plain(&b, none[i]);
	t = take_with(IMPORT_GIT, b.p, b.len, 11, look_at_broken);
	assert_int_equal(t.all, 5);
	assert_int_equal(t.skips.total, 3);
	assert_string_equal(t.reason[0], "the commit has no message");
	assert_int_equal(t.skips.v[0].count, 2);
	assert_int_equal(t.skips.v[0].line, 16);
	assert_string_equal(t.reason[2], "there is no letter or digit in it");
	assert_int_equal(t.skips.v[2].line, 18);
	taken_free(&t);
	buf_free(&b);
}

static void look_at_long(const struct item_new_memory *m, unsigned i)
{
	assert_true(m->content.n <= WIRE_CONTENT_MAX && m->content.n >= WIRE_CONTENT_MAX - 4);
	assert_int_equal(meta(m, "message_bytes")->via.u64, i == 0 ? 200000 : 70001);
	/* what was broken and then too long for being mended ends with a whole character as well */
	assert_true(tr_utf8_ok(m->content.p, m->content.n, NULL));
}

static void long_messages_are_cut(void **state)
{
	char *text = malloc(200000);
	struct buf b = {.max = 0};
	struct taken t;

	(void)state;
	memset(text, 'x', 200000);
	for (size_t i = 0; i + 1 < 200000; i += 2)
		memcpy(text + i, "ä", 2);
	record(&b, SHA, "1", "Ann", "1", "0", text, 200000, "", 0);
	memset(text, 0xff, 70001);
	text[0] = 'x';
	record(&b, SHA, "1", "Ann", "1", "0", text, 70001, "", 0);
	t = take_with(IMPORT_GIT, b.p, b.len, 1, look_at_long);
	assert_int_equal(t.all, 2);
	taken_free(&t);
	buf_free(&b);
	free(text);
}

static void look_at_files(const struct item_new_memory *m, unsigned i)
{
	const msgpack_object *files = meta(m, "files");
	size_t bytes = 0;

	(void)i;
	assert_true(files->via.array.size >= 10 && files->via.array.size <= 256);
	for (uint32_t k = 0; k < files->via.array.size; k++)
		bytes += files->via.array.ptr[k].via.str.size;
	assert_true(bytes <= 48 << 10);
	assert_int_equal(meta(m, "files_changed")->via.u64, 5000);
}

static void many_files_are_bounded(void **state)
{
	size_t each[] = {3, 1500}, n;
	char *names = malloc(5000 * 1501);

	(void)state;
	for (size_t k = 0; k < 2; k++) {
		struct buf b = {.max = 0};
		struct taken t;

		n = 0;
		for (size_t i = 0; i < 5000; i++) {
			memset(names + n, 0xfe, each[k]); /* triples when mended */
			names[n + each[k]] = '\0';
			n += each[k] + 1;
		}
		record(&b, SHA, "1", "Ann", "1", "5000", "Vendor it", 9, names, n);
		t = take_with(IMPORT_GIT, b.p, b.len, 1, look_at_files);
		assert_int_equal(t.all, 1);
		taken_free(&t);
		buf_free(&b);
	}
	free(names);
}

static void a_piece_that_is_none(void **state)
{
	static const char *const bad[] = {"x", SHA, "0123", "\0\0\0\0\0\0\0\0\0"};
	struct buf b = {.max = 0};
	struct taken t;

	(void)state;
	for (size_t i = 0; i < 4; i++) {
		buf_clear(&b);
		plain(&b, "good");
		assert_int_equal(buf_append(&b, bad[i], i < 3 ? strlen(bad[i]) : 9), 0);
		t = take(IMPORT_GIT, b.p, b.len, 5);
		assert_int_equal(t.all, 1);
		assert_int_equal(t.skips.total, 1);
		assert_int_equal(t.skips.v[0].line, 6);
		taken_free(&t);
	}
	buf_clear(&b);
	plain(&b, "good");
	for (size_t n = 0; n <= b.len; n++) { /* cut anywhere: never read past the end */
		char *exact = malloc(n + 1);  /* so that the sanitizer sees it */

		memcpy(exact, b.p, n);
		t = take(IMPORT_GIT, exact, n, 1);
		assert_int_equal(t.all, n == b.len);
		assert_int_equal(t.skips.total, n > 0 && n < b.len);
		taken_free(&t);
		free(exact);
	}
	buf_free(&b);
}

static void any_bytes_may_come(void **state)
{
	uint32_t seed = 7;

	(void)state;
	for (unsigned round = 0; round < 3000; round++) {
		struct buf b = {.max = 0};
		struct taken t;

		for (int i = 0; i < 3; i++)
			record(&b, SHA, "1700000000", "Ann", "2", "2", "Mend it\n\nall", 12, "a\0bc", 5);
		for (int i = 0; i < 4; i++) {
			seed = seed * 1664525 + 1013904223;
			b.p[(seed >> 8) % b.len] = (char)(seed >> 3);
		}
		t = take(IMPORT_GIT, b.p, b.len, 1);
		assert_true(t.all + t.skips.total >= 1 && t.all <= 3);
		taken_free(&t);
		buf_free(&b);
	}
}

static void many_commits_come_in_batches(void **state)
{
	struct buf b = {.max = 0};
	char text[64];
	struct taken t;

	(void)state;
	for (int i = 0; i < 1000; i++) {
		(void)snprintf(text, sizeof text, "commit number %d", i);
		plain(&b, text);
	}
	t = take(IMPORT_GIT, b.p, b.len, 1);
	assert_int_equal(t.all, 1000);
	assert_true(t.batches >= 4);
	assert_string_equal(t.content[300], "commit number 300");
	taken_free(&t);
	buf_free(&b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_field_arrives),          cmocka_unit_test(what_a_repository_may_hold),
		cmocka_unit_test(long_messages_are_cut),        cmocka_unit_test(many_files_are_bounded),
		cmocka_unit_test(a_piece_that_is_none),         cmocka_unit_test(any_bytes_may_come),
		cmocka_unit_test(many_commits_come_in_batches),
	};

	return cmocka_run_group_tests(tests, words_up, words_down);
}
