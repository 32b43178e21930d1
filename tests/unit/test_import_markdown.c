/* jrs/integration/import: Markdown. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
/* after the standard headers, as cmocka wants it */
#include <cmocka.h>

#include "common/base/clock.h"
#include "jrs/integration/import/chunk.h"
#include "tests/unit/import_kit.h"

static struct taken md(const char *text)
{
	return take(IMPORT_MARKDOWN, text, strlen(text), 1);
}

static void headings_become_a_path(void **state)
{
	struct taken t = md("Intro text.\n\n# Guide\n\nThe guide begins.\n\n## Backup\n\nCopy the directory.\n\n"
			    "### Restore of a backup\n\nCopy it back: the backup restores.\n\n# Other\n\nEnd.\n");

	(void)state;
	assert_int_equal(t.n, 5);
	assert_string_equal(t.content[0], "Intro text.");
	assert_null(t.heading[0]);
	assert_string_equal(t.content[1], "The guide begins."); /* it says "guide" itself */
	assert_string_equal(t.heading[1], "Guide");
	assert_string_equal(t.content[2], "Backup:\n\nCopy the directory.");
	assert_string_equal(t.heading[2], "Guide > Backup");
	assert_string_equal(t.content[3], "Copy it back: the backup restores."); /* the stem is what counts */
	assert_string_equal(t.heading[3], "Guide > Backup > Restore of a backup");
	assert_string_equal(t.content[4], "Other:\n\nEnd.");
	assert_string_equal(t.heading[4], "Other");
	assert_int_equal(t.line[0], 1);
	assert_int_equal(t.line[2], 9);
	assert_int_equal(t.line[4], 17);
	assert_string_equal(t.session[0], "notes.txt");
	taken_free(&t);
}

static void markup_is_taken_off(void **state)
{
	static const char *const cases[][2] = {
		{"Some **bold** and *soft* and `code` and ~~old~~ text", "Some bold and soft and code and old text"},
		{"A [link](other.md) and [out](https://a.example/x)", "A link and out (https://a.example/x)"},
		{"<https://a.example/> stays", "https://a.example/ stays"},
		{"![a red fox](fox.png) is shown", "a red fox is shown"},
		{"Fish &amp; chips &lt;3 &#65;&#x42; &unknown; &copy;", "Fish & chips <3 AB &unknown; \xc2\xa9"},
		{"wrapped\nline and a\\\nbreak", "wrapped line and a\nbreak"},
		{"with <b>inline</b> html<br>here", "with inline html\nhere"},
		{"<div align=\"center\">\n<p>Inside &amp; out</p><!-- not\nthis -->\n</div>", "Inside & out"},
		{"> quoted words", "quoted words"},
		{"snake_case_name and 2*3*4", "snake_case_name and 234"},
		{"[ref] is there\n\n[ref]: https://b.example/page", "ref (https://b.example/page) is there"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		struct taken t = md(cases[i][0]);

		assert_int_equal(t.n, 1);
		assert_string_equal(t.content[0], cases[i][1]);
		taken_free(&t);
	}
}

static void list_items_are_grouped(void **state)
{
	struct taken t = md("The parts are:\n\n- one\n- two\n  - two and a half\n- three\n\nAfter.\n\n1. "
			    "alone\n\nx\n\n- [x] done\n- [ ] open\n");

	(void)state;
	assert_int_equal(t.n, 5);
	assert_string_equal(t.content[0], "The parts are:\n- one\n- two\n- two and a half\n- three");
	assert_string_equal(t.content[1], "After.");
	assert_string_equal(t.content[2], "1. alone");
	assert_string_equal(t.content[4], "- [x] done\n- [ ] open");
	assert_int_equal(t.line[0], 3);
	taken_free(&t);
	t = md("Nothing follows:\n");
	assert_int_equal(t.n, 1);
	assert_string_equal(t.content[0], "Nothing follows:");
	taken_free(&t);
	t = md("Empty:\n\n-\n-\n\nText.\n");
	assert_int_equal(t.n, 2);
	assert_string_equal(t.content[0], "Empty:");
	taken_free(&t);
	t = md("- item\n\n  second paragraph\n\n      code in it\n\n- next\n"); /* a loose list */
	assert_int_equal(t.n, 1);
	assert_string_equal(t.content[0], "- item\nsecond paragraph\ncode in it\n- next");
	taken_free(&t);
}

static void numbered_items_keep_their_numbers(void **state)
{
	char text[8192] = "";
	size_t n = 0;
	struct taken t =
		md("Do this:\n\n3. one\n   - a\n   - b\n4. two\n   1) in it\n\n      more of it\n   2) next\n5. [x] "
		   "three\n");

	(void)state;
	assert_int_equal(t.n, 1);
	assert_string_equal(t.content[0],
			    "Do this:\n3. one\n- a\n- b\n4. two\n1) in it\nmore of it\n2) next\n5. [x] three");
	taken_free(&t);
	for (int i = 1; i <= 40; i++)
		n += (size_t)snprintf(text + n, sizeof text - n,
				      "%d. step %d says that something of middling length is to be done\n", i, i);
	t = md(text);
	assert_true(t.n >= 6 && t.n <= 12);
	for (unsigned i = 0; i < t.n; i++) { /* in each group as they stood */
		int number, step;

		assert_int_equal(sscanf(t.content[i], "%d. step %d", &number, &step), 2);
		assert_int_equal(number, step);
	}
	taken_free(&t);
}

static void long_lists_are_several_memories(void **state)
{
	char text[8192] = "Rules:\n\n";
	size_t n = strlen(text);
	struct taken t;

	(void)state;
	for (int i = 0; i < 40; i++)
		n += (size_t)snprintf(text + n, sizeof text - n,
				      "- rule %d says that something of middling length holds for all\n", i);
	t = md(text);
	assert_true(t.n >= 6 && t.n <= 12);
	for (unsigned i = 0; i < t.n; i++)
		assert_true(strncmp(t.content[i], "Rules:\n- rule", 13) == 0); /* each group can be understood alone */
	taken_free(&t);
}

static void table_rows_carry_their_columns(void **state)
{
	struct taken t =
		md("# Programs\n\n| program | what it **is** |\n|---|---|\n| `tribed` | the supervisor |\n| ctl | |\n");

	(void)state;
	assert_int_equal(t.n, 1); /* short rows are one memory */
	assert_string_equal(t.content[0], "- program: tribed; what it is: the supervisor\n- program: ctl");
	assert_string_equal(t.heading[0], "Programs");
	assert_int_equal(t.line[0], 5);
	taken_free(&t);
}

static void long_table_rows_stand_alone(void **state)
{
	struct taken t = md("|a|b|\n|---|---|\n|short|1|\n"
			    "|a row that says so much that nobody needs its neighbours to understand it|"
			    "and it has a second cell as well|\n|small|2|\n|tiny|3|\n\nafter\n");

	(void)state;
	assert_int_equal(t.n, 4);
	assert_string_equal(t.content[0], "a: short; b: 1");
	assert_true(strncmp(t.content[1], "a: a row that says", 18) == 0);
	assert_string_equal(t.content[2], "- a: small; b: 2\n- a: tiny; b: 3");
	assert_string_equal(t.content[3], "after");
	assert_int_equal(t.line[1], 4);
	assert_int_equal(t.line[2], 5);
	taken_free(&t);
}

static void code_stays_as_it_is(void **state)
{
	struct taken t =
		md("## Build\n\nDo this:\n\n```sh\nmake  all &amp;\n\n  make **install**\n```\n\n    indented\n");

	(void)state;
	assert_int_equal(t.n, 3);
	assert_string_equal(t.content[0], "Build:\n\nDo this:");
	assert_string_equal(t.content[1], "Build:\n\nmake  all &amp;\n\n  make **install**");
	assert_string_equal(t.code[1], "sh");
	assert_int_equal(t.line[1], 6);
	assert_string_equal(t.code[2], "");
	assert_null(t.code[0]);
	taken_free(&t);
}

static void front_matter_and_bare_headings(void **state)
{
	struct taken t = md("---\ntitle: A day\ndate: 2024-05-01\n---\n# A day\n## Morning: we sailed\n## Noon\n\nWe "
			    "ate.\n# Night fell\n");

	(void)state;
	assert_int_equal(t.n, 3);
	assert_string_equal(t.content[0], "Morning: we sailed");
	assert_string_equal(t.content[1], "Noon:\n\nWe ate.");
	assert_string_equal(t.content[2], "Night fell");
	assert_int_equal(t.line[2], 10);
	taken_free(&t);
	t = md("---\r\n# of the site\r\ntags:\r\n  - a\r\n\r\nlayout: \"x: y\"\r\n...\r\nText.\r\n");
	assert_int_equal(t.n, 1);
	assert_string_equal(t.content[0], "Text.");
	assert_int_equal(t.line[0], 8);
	taken_free(&t);
	t = md("---\ntitle: nothing else\n---\n");
	assert_int_equal(t.n + t.skips.total, 0);
	taken_free(&t);
	t = md("---\nThe ferry: at seven.\n---\nText.\n"); /* a rule and a heading */
	assert_int_equal(t.n, 1);
	assert_string_equal(t.content[0], "The ferry: at seven.\n\nText.");
	taken_free(&t);
	t = md("---\nkey: never closed\n\nText.\n");
	assert_int_equal(t.n, 2);
	taken_free(&t);
	t = md("---\n\nA rule, then text.\n");
	assert_int_equal(t.n, 1);
	taken_free(&t);
}

static void bad_pieces_are_skipped_alone(void **state)
{
	static const char text[] =
		"good\n\nbad \xff\n\n***\n\n- \xc3\x28\n\nnul \0 here\n\n| a |\n|---|\n| \xe2\x82 |\n\nfine\n";
	struct taken t = take(IMPORT_MARKDOWN, text, sizeof text - 1, 1);

	(void)state;
	assert_string_equal(t.content[0], "good");
	assert_string_equal(t.content[t.n - 1], "fine");
	assert_true(t.skips.total >= 3);
	assert_int_equal(t.skips.v[0].line, 3);
	taken_free(&t);
}

/* Chunks join up to the text, and a long document gives what its parts give. */
static void long_documents_are_read_in_chunks(void **state)
{
	size_t size = 300000, n = 0, pos = 0;
	char *text = malloc(size);
	unsigned sections = 0;
	struct taken t;

	(void)state;
	while (n + 1000 < size) {
		n += (size_t)snprintf(text + n, size - n,
				      "## Section %u\n\nThe text of section %u is here.\n\n```\n# no heading %u\n\nin "
				      "a fence\n```\n\n",
				      sections, sections, sections);
		sections++;
	}
	while (pos < n) {
		size_t k = markdown_chunk(text + pos, n - pos);

		assert_true(k >= 1 && k <= MARKDOWN_CHUNK_MAX && pos + k <= n);
		assert_true(pos + k == n || strncmp(text + pos + k, "## ", 3) == 0 ||
			    strncmp(text + pos + k, "The text", 8) == 0 || strncmp(text + pos + k, "```", 3) == 0);
		pos += k;
	}
	t = take(IMPORT_MARKDOWN, text, n, 1);
	assert_int_equal(t.all, 2 * sections);
	for (unsigned i = 0; i + 1 < t.n; i += 2) {
		char want[64];

		snprintf(want, sizeof want, "The text of section %u is here.", i / 2);
		assert_string_equal(t.content[i], want);
		snprintf(want, sizeof want, "Section %u", i / 2);
		assert_string_equal(t.heading[i + 1], want);
		assert_int_equal(t.line[i], 3 + 10 * (i / 2));
	}
	assert_true(t.batches > 5);
	taken_free(&t);
	free(text);
}

static void hostile_markdown_is_bounded(void **state)
{
	static const char *const units[] = {"]([\n",
					    "[ (](",
					    "\\``",
					    "<>",
					    "* ",
					    "> ",
					    "- ",
					    "1. ",
					    "[a]: b\n",
					    "|a",
					    "|-",
					    "a <![CDATA[",
					    "```\n",
					    "#",
					    "# a\n",
					    "\xff",
					    "*a **a ",
					    "- a\n",
					    "\t- ",
					    "a\n\n",
					    "| a |\n|---|\n",
					    "<!--",
					    "x",
					    "&#x110000;",
					    "[a](http://b) ",
					    "\xcc\x81",
					    "a:\n\n- b\n\n",
					    "~~~a\n"};
	size_t n = 200000;
	char *text = malloc(n);

	(void)state;
	for (size_t u = 0; u < sizeof units / sizeof units[0]; u++) {
		size_t len = strlen(units[u]);
		uint64_t start = tr_mono_ms();
		struct taken t;

		for (size_t i = 0; i < n; i++)
			text[i] = units[u][i % len];
		t = take(IMPORT_MARKDOWN, text, n, 1);
		assert_true(tr_mono_ms() - start < 20000);
		taken_free(&t);
	}
	srand(3);
	for (int round = 0; round < 400; round++) {
		size_t m = (size_t)rand() % 2000;
		struct taken t;

		for (size_t i = 0; i < m; i++)
			text[i] = "#*-_`~[]()!|>:<&; \n\n\tab1"[rand() % 24];
		t = take(IMPORT_MARKDOWN, text, m, 1);
		taken_free(&t);
	}
	free(text);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(headings_become_a_path),
		cmocka_unit_test(markup_is_taken_off),
		cmocka_unit_test(list_items_are_grouped),
		cmocka_unit_test(numbered_items_keep_their_numbers),
		cmocka_unit_test(long_lists_are_several_memories),
		cmocka_unit_test(table_rows_carry_their_columns),
		cmocka_unit_test(long_table_rows_stand_alone),
		cmocka_unit_test(code_stays_as_it_is),
		cmocka_unit_test(front_matter_and_bare_headings),
		cmocka_unit_test(bad_pieces_are_skipped_alone),
		cmocka_unit_test(long_documents_are_read_in_chunks),
		cmocka_unit_test(hostile_markdown_is_bounded),
	};

	return cmocka_run_group_tests(tests, words_up, words_down);
}
