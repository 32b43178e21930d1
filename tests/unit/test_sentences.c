/* jrs/integration/text: sentences and words. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
/* after the standard headers, as cmocka wants it */
#include <cmocka.h>

#include "common/base/text.h"
#include "jrs/integration/text/chars.h"
#include "jrs/integration/text/sentences.h"
#include "jrs/integration/text/words.h"

/* Joins the sentences with '|' so that a case is one line. */
static void joined(const char *text, size_t n, char *out, size_t size)
{
	size_t pos = 0, len = 0;
	struct span s;

	out[0] = '\0';
	while (sentence_next(text, n, &pos, &s)) {
		assert_true(s.n >= 1 && s.n <= SENTENCE_MAX);
		assert_true(s.p >= text && s.p + s.n <= text + n);
		len += (size_t)snprintf(out + len, size - len, "%s%.*s", len > 0 ? "|" : "", (int)s.n, s.p);
		assert_true(len < size);
	}
	assert_int_equal(pos, n);
}

static void sentences_of_every_kind(void **state)
{
	static const char *const cases[][2] = {
		{"", ""},
		{" \t\n ", ""},
		{"One.", "One."},
		{"One. Two! Three? Four", "One.|Two!|Three?|Four"},
		{"It costs 3.50 today. Version 1.2.3 is out.", "It costs 3.50 today.|Version 1.2.3 is out."},
		{"Dr. Smith met Mrs. Jones. They spoke.", "Dr. Smith met Mrs. Jones.|They spoke."},
		{"J. R. Hartley wrote it. So did I. Then we left.", "J. R. Hartley wrote it.|So did I.|Then we left."},
		{"Use tools, e.g. Make, or i.e. Ninja. Done.", "Use tools, e.g. Make, or i.e. Ninja.|Done."},
		{"The U.S. Army came. It left.", "The U.S. Army came.|It left."},
		{"We met at 5 p.m. The train was late.", "We met at 5 p.m.|The train was late."},
		{"See No. 5 there. No. I will not.", "See No. 5 there.|No.|I will not."},
		{"Wait... what? Yes... Perhaps.", "Wait... what?|Yes...|Perhaps."},
		{"\"Really?\" she asked. \"Yes!\" He left.", "\"Really?\" she asked.|\"Yes!\"|He left."},
		{"(It was so.) And then.", "(It was so.)|And then."},
		{"Open config.yaml and http://a.example/b.html now. Then stop.",
		 "Open config.yaml and http://a.example/b.html now.|Then stop."},
		{"1. Buy milk and bread\n2. Call home", "1. Buy milk and bread|2. Call home"},
		{"- milk\n- eggs\n* bread", "- milk|- eggs|* bread"},
		{"a line that was wrapped by an editor at\nsome column. Next.",
		 "a line that was wrapped by an editor at\nsome column.|Next."},
		{"first paragraph\n\nsecond paragraph", "first paragraph|second paragraph"},
		{"# Heading\ntext under it", "# Heading|text under it"},
		{"| a | b |\n| c | d |", "| a | b ||| c | d |"},
		{"Ann: Hello there\nBob: Hi, how are you? Fine?", "Ann: Hello there|Bob: Hi, how are you?|Fine?"},
		{"Milk\nEggs\nBread", "Milk|Eggs|Bread"},
		{"\xe4\xbb\x8a\xe6\x97\xa5\xe3\x81\xaf\xe3\x80\x82\xe6\x98\x8e\xe6\x97\xa5\xe3\x80\x82",
		 "\xe4\xbb\x8a\xe6\x97\xa5\xe3\x81\xaf\xe3\x80\x82|\xe6\x98\x8e\xe6\x97\xa5\xe3\x80\x82"},
		{"\xe4\xbd\xa0\xe5\xa5\xbd\xef\xbc\x81\xe5\x86\x8d\xe8\xa7\x81",
		 "\xe4\xbd\xa0\xe5\xa5\xbd\xef\xbc\x81|\xe5\x86\x8d\xe8\xa7\x81"},
		/* Arabic: written right to left, its own question mark */
		{"\xd9\x85\xd8\xa7 \xd9\x87\xd8\xb0\xd8\xa7\xd8\x9f \xd9\x83\xd8\xaa\xd8\xa7\xd8\xa8.",
		 "\xd9\x85\xd8\xa7 \xd9\x87\xd8\xb0\xd8\xa7\xd8\x9f|\xd9\x83\xd8\xaa\xd8\xa7\xd8\xa8."},
		/* Hindi danda */
		{"\xe0\xa4\xb0\xe0\xa4\xbe\xe0\xa4\xae\xe0\xa5\xa4 \xe0\xa4\xb8\xe0\xa5\x80\xe0\xa4\xa4\xe0\xa4\xbe",
		 "\xe0\xa4\xb0\xe0\xa4\xbe\xe0\xa4\xae\xe0\xa5\xa4|\xe0\xa4\xb8\xe0\xa5\x80\xe0\xa4\xa4\xe0\xa4\xbe"},
		{"...", "..."},
		{"?!?! Hm.", "?!?!|Hm."},
		{"bad \xff\xfe bytes. Go on.", "bad \xff\xfe bytes.|Go on."},
	};
	char out[2048];

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		joined(cases[i][0], strlen(cases[i][0]), out, sizeof out);
		assert_string_equal(out, cases[i][1]);
	}
}

/* Every byte that is not white space is in exactly one sentence, in order. */
static void whole(const char *text, size_t n)
{
	size_t pos = 0, at = 0;
	struct span s;
	int32_t c;

	while (sentence_next(text, n, &pos, &s)) {
		assert_true(s.n >= 1 && s.n <= SENTENCE_MAX);
		while (text + at < s.p) {
			at += chars_next(text + at, n - at, &c);
			assert_true(chars_space(c));
		}
		assert_ptr_equal(text + at, s.p);
		at += s.n;
	}
	while (at < n) {
		at += chars_next(text + at, n - at, &c);
		assert_true(chars_space(c));
	}
}

static void hostile_text_is_cut_and_kept(void **state)
{
	static const char *const units[] = {"x",
					    ".",
					    "\"",
					    " ",
					    "\n",
					    "a\n",
					    ". ",
					    "!? ",
					    "a.",
					    "e\xcc\x81",
					    "\xcc\x81",
					    "\xff",
					    "\x80",
					    "\xe4\xbb\x8a",
					    "\xf0\x9f\x91\xa9\xe2\x80\x8d",
					    "A: b\n",
					    "1. ",
					    "Mr. ",
					    "\xe2\x80\xa8",
					    "\xc2\xa0"};
	size_t n = 65536;
	char *text = malloc(n);

	(void)state;
	for (size_t u = 0; u < sizeof units / sizeof units[0]; u++) {
		size_t len = strlen(units[u]);

		for (size_t i = 0; i < n; i++)
			text[i] = units[u][i % len];
		whole(text, n);
	}
	srand(7);
	for (int round = 0; round < 300; round++) {
		size_t m = (size_t)rand() % 3000;

		for (size_t i = 0; i < m; i++)
			text[i] = (char)(round % 2 ? rand() % 256 : ".!? \nabA1\"-:"[rand() % 12]);
		whole(text, m);
	}
	free(text);
}

static void long_sentences_stay_valid_text(void **state)
{
	static const char unit[] = "\xe0\xa4\x95\xe0\xa4\xbe"; /* a letter and its vowel sign */
	char text[6 * 1000];
	size_t pos = 0;
	struct span s;
	int32_t c;

	(void)state;
	for (size_t i = 0; i < sizeof text; i++)
		text[i] = unit[i % 6];
	while (sentence_next(text, sizeof text, &pos, &s)) {
		assert_true(tr_utf8_ok(s.p, s.n, NULL));
		chars_next(s.p, s.n, &c);
		assert_false(chars_mark(c));
		assert_true(s.n > SENTENCE_MAX / 2 || pos == sizeof text);
	}
}

static struct word one(struct words *w, const char *text)
{
	struct word out[4];

	assert_int_equal(words_split(w, text, strlen(text), out, 4), 1);
	return out[0];
}

static void forms_of_a_word_have_one_key(void **state)
{
	static const char *const same[][2] = {
		{"running", "run"},
		{"went", "goes"},
		{"bought", "buying"},
		{"Caroline's", "caroline"},
		{"Ann\xe2\x80\x99s", "ann"},
		{"caf\xc3\xa9", "CAFE"},
		{"cafe\xcc\x81", "caf\xc3\xa9"},
		{"children", "child"},
		{"STRASSE", "stra\xc3\x9f"
			    "e"},
		{"\xef\xbc\xa1\xef\xbc\xa2", "ab"},
		{"\xce\x91\xce\xb8\xce\xae\xce\xbd\xce\xb1", "\xce\xb1\xce\xb8\xce\xb7\xce\xbd\xce\xb1"},
	};
	static const char *const other[][2] = {{"run", "sun"}, {"3.5", "35"}, {"2023", "2024"}, {"universal", "dog"}};
	struct words *w = *state;

	for (size_t i = 0; i < sizeof same / sizeof same[0]; i++)
		assert_true(one(w, same[i][0]).key == one(w, same[i][1]).key);
	for (size_t i = 0; i < sizeof other / sizeof other[0]; i++)
		assert_true(one(w, other[i][0]).key != one(w, other[i][1]).key);
}

static void words_carry_their_signs(void **state)
{
	struct words *w = *state;
	struct word out[16];
	size_t n;

	assert_true(one(w, "the").flags & WORD_STOP);
	assert_true(one(w, "Don't").flags & WORD_STOP);
	assert_true(one(w, "2023").flags & WORD_TIME);
	assert_true(one(w, "10:30").flags & WORD_TIME);
	assert_true(one(w, "3.5").flags & WORD_NUMBER);
	assert_true(one(w, "weeks").flags & WORD_TIME);
	assert_true(one(w, "Seven").flags & WORD_COUNT);
	assert_true(one(w, "because").flags & WORD_REASON);
	assert_true(one(w, "Zoe").flags & WORD_CAPITAL);
	assert_false(one(w, "glass").flags & WORD_TIME);
	n = words_split(w, "We met in May.", 14, out, 16);
	assert_int_equal(n, 4);
	assert_true((out[3].flags & WORD_TIME) && !(out[3].flags & WORD_STOP));
	n = words_split(w, "It may rain", 11, out, 16);
	assert_true(out[1].flags & WORD_STOP);
	assert_int_equal(n, 3);
	/* dates fall into their numbers; a name with an apostrophe stays whole */
	assert_int_equal(words_split(w, "2023-05-08", 10, out, 16), 3);
	assert_int_equal(words_split(w, "O'Brien's 1,000", 15, out, 16), 2);
}

static void scripts_without_spaces_become_bigrams(void **state)
{
	struct words *w = *state;
	struct word a[16], b[16];
	const char *text = "\xe6\x9d\xb1\xe4\xba\xac\xe9\x83\xbd abc"; /* three Han characters, a word */
	const char *part = "\xe4\xba\xac\xe9\x83\xbd";

	assert_int_equal(words_split(w, text, strlen(text), a, 16), 3);
	assert_int_equal(words_split(w, part, strlen(part), b, 16), 1);
	assert_true(a[1].key == b[0].key);
	assert_int_equal(words_split(w, part, 3, b, 16), 1); /* one alone */
}

static void any_bytes_are_words_or_nothing(void **state)
{
	struct words *w = *state;
	struct word out[8];
	char *big = malloc(65536);

	assert_int_equal(words_split(w, "", 0, out, 8), 0);
	assert_int_equal(words_split(w, "?! ...", 6, out, 8), 0);
	assert_int_equal(words_split(w,
				     "\xff\xff a\xff"
				     "b",
				     7, out, 8),
			 2);
	assert_int_equal(words_split(w, "\xcc\x81", 2, out, 8), 1);
	memset(big, 'a', 65536);
	assert_int_equal(words_split(w, big, 65536, out, 8), 1);
	assert_int_equal(words_split(w, "a b c d e f g h i j", 19, out, 8), 8);
	srand(11);
	for (int round = 0; round < 200; round++) {
		size_t n = (size_t)rand() % 500;

		for (size_t i = 0; i < n; i++)
			big[i] = (char)(rand() % 256);
		n = words_split(w, big, n, out, 8);
		assert_true(n <= 8);
	}
	free(big);
}

static int set_up(void **state)
{
	struct words *w = NULL;

	if (words_new(&w) < 0)
		return -1;
	*state = w;
	return 0;
}

static int take_down(void **state)
{
	struct words *w = *state;

	words_free(&w);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(sentences_of_every_kind),
		cmocka_unit_test(hostile_text_is_cut_and_kept),
		cmocka_unit_test(long_sentences_stay_valid_text),
		cmocka_unit_test(forms_of_a_word_have_one_key),
		cmocka_unit_test(words_carry_their_signs),
		cmocka_unit_test(scripts_without_spaces_become_bigrams),
		cmocka_unit_test(any_bytes_are_words_or_nothing),
	};

	return cmocka_run_group_tests(tests, set_up, take_down);
}
