/* jrs/integration/import: plain text, formats, skipping. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
/* after the standard headers, as cmocka wants it */
#include <cmocka.h>

#include "tests/unit/import_kit.h"

static void a_paragraph_is_a_memory(void **state)
{
	static const char text[] = "\xef\xbb\xbf"
				   "First line\nof the first.\r\n\r\n   \t\nSecond one.\n\n\n\nThird";
	struct taken t = take(IMPORT_TEXT, text, sizeof text - 1, 1);

	(void)state;
	assert_int_equal(t.n, 3);
	assert_string_equal(t.content[0], "First line\nof the first.");
	assert_string_equal(t.content[1], "Second one.");
	assert_string_equal(t.content[2], "Third");
	assert_int_equal(t.line[0], 1);
	assert_int_equal(t.line[1], 5);
	assert_int_equal(t.line[2], 9);
	assert_string_equal(t.session[0], "notes.txt");
	assert_int_equal(t.skips.total, 0);
	taken_free(&t);
}

static void long_paragraphs_are_cut_at_sentences(void **state)
{
	char text[6000] = "";
	size_t n = 0, sum = 0;
	struct taken t;

	(void)state;
	for (int i = 0; i < 80; i++)
		n += (size_t)snprintf(text + n, sizeof text - n, "This is sentence number %d of the paragraph. ", i);
	t = take(IMPORT_TEXT, text, n, 10);
	assert_true(t.n >= 3 && t.n <= 6);
	for (unsigned i = 0; i < t.n; i++) {
		size_t len = strlen(t.content[i]);

		assert_true(len <= IMPORT_CHARS + 1);
		assert_true(i + 1 == t.n || len > IMPORT_CHARS / 2);
		assert_true(strncmp(t.content[i], "This is sentence", 16) == 0);
		assert_true(t.content[i][len - 1] == '.');
		sum += len + 1;
		assert_int_equal(t.line[i], 10);
	}
	assert_int_equal(sum, n); /* nothing is lost but the spaces at the cuts */
	taken_free(&t);
}

static void what_cannot_be_taken_is_skipped(void **state)
{
	static const char text[] = "good\n\nbad \xff byte\n\n-----\n\nnul \0 in it\n\ngood too";
	struct taken t = take(IMPORT_TEXT, text, sizeof text - 1, 1);

	(void)state;
	assert_int_equal(t.n, 2);
	assert_string_equal(t.content[1], "good too");
	assert_int_equal(t.skips.total, 3);
	assert_int_equal(t.skips.n, 3);
	assert_int_equal(t.skips.v[0].line, 3);
	assert_int_equal(t.skips.v[1].line, 5);
	assert_int_equal(t.skips.v[2].line, 7);
	assert_string_equal(t.reason[0], "it is not valid UTF-8");
	assert_string_equal(t.reason[2], "it has a NUL in it");
	taken_free(&t);
}

static void reasons_are_bounded_but_counted(void **state)
{
	char text[1500];
	struct taken t;

	(void)state;
	for (size_t i = 0; i < sizeof text; i++)
		text[i] = "\xff\n\n"[i % 3];
	t = take(IMPORT_TEXT, text, sizeof text, 1);
	assert_int_equal(t.n, 0);
	assert_int_equal(t.skips.total, 500);
	assert_int_equal(t.skips.n, IMPORT_PLACES); /* one reason: its first places, and how often on the first */
	assert_true(t.skips.v[0].has_count && t.skips.v[0].count == 500);
	assert_int_equal(t.skips.v[0].line, 1);
	assert_false(t.skips.v[1].has_count);
	taken_free(&t);
}

static void hostile_text_is_taken_or_skipped(void **state)
{
	static const char *const units[] = {"x",         " ",        "\n",    "a\n\n", ".", "\xff", "\xe4\xbb\x8a",
					    "e\xcc\x81", "\xcc\x81", "a b. ", "\r\n",  "\f"};
	size_t n = 400000;
	char *text = malloc(n);

	(void)state;
	for (size_t u = 0; u < sizeof units / sizeof units[0]; u++) {
		struct taken t;
		size_t len = strlen(units[u]);

		for (size_t i = 0; i < n; i++)
			text[i] = units[u][i % len];
		t = take(IMPORT_TEXT, text, n, 1);
		taken_free(&t);
	}
	free(text);
}

static void empty_documents_give_nothing(void **state)
{
	static const char *const none[] = {"", "\n\n \t\n", "\xef\xbb\xbf"};
	static const enum import_format formats[] = {IMPORT_TEXT, IMPORT_MARKDOWN, IMPORT_JSONL};

	(void)state;
	for (size_t i = 0; i < 3; i++)
		for (size_t f = 0; f < 3; f++) {
			struct taken t = take(formats[f], none[i], strlen(none[i]), 1);

			assert_int_equal(t.n, 0);
			assert_int_equal(t.skips.total, 0);
			taken_free(&t);
		}
}

static void formats_are_known_or_refused(void **state)
{
	struct tr_fault f = {0};
	enum import_format out = IMPORT_TEXT;

	(void)state;
	assert_int_equal(import_format_parse(wire_s("jsonl"), &out, &f), 0);
	assert_int_equal(out, IMPORT_JSONL);
	assert_int_equal(import_format_parse(wire_s("markdown"), &out, &f), 0);
	assert_int_equal(out, IMPORT_MARKDOWN);
	assert_int_equal(import_format_parse(wire_s("git"), &out, &f), 0);
	assert_int_equal(out, IMPORT_GIT);
	assert_int_equal(import_format_parse(wire_s("mcp-memory"), &out, &f), 0);
	assert_int_equal(out, IMPORT_MCP_MEMORY);
	assert_int_equal(import_format_parse(wire_s("pdf"), &out, &f), TR_EINVAL);
	assert_string_equal(f.field, "format");
	assert_int_equal(out, IMPORT_MCP_MEMORY);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_paragraph_is_a_memory),
		cmocka_unit_test(long_paragraphs_are_cut_at_sentences),
		cmocka_unit_test(what_cannot_be_taken_is_skipped),
		cmocka_unit_test(reasons_are_bounded_but_counted),
		cmocka_unit_test(hostile_text_is_taken_or_skipped),
		cmocka_unit_test(empty_documents_give_nothing),
		cmocka_unit_test(formats_are_known_or_refused),
	};

	return cmocka_run_group_tests(tests, words_up, words_down);
}
