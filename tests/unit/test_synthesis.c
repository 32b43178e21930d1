/* jrs/integration/synthesis: answers out of sources. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
/* after the standard headers, as cmocka wants it */
#include <cmocka.h>

#include "common/base/clock.h"
#include "common/base/text.h"
#include "jrs/integration/synthesis/synthesis.h"

static struct words *words;

static struct item_source source(const char *id, const char *speaker, const char *at, const char *content, double score)
{
	struct item_source s = {.id = wire_s(id), .content = wire_s(content), .score = score, .temperature = 40};

	if (speaker != NULL) {
		s.has_speaker = true;
		s.speaker = wire_s(speaker);
	}
	if (at != NULL) {
		s.has_at = true;
		assert_int_equal(tr_rfc3339_parse(at, strlen(at), &s.at), 0);
	}
	return s;
}

/* The caller frees. Checks what holds for every answer. */
static struct synthesis ask(const char *question, enum synthesis_detail detail, const struct item_source *v, uint32_t n)
{
	struct synthesis s;

	assert_int_equal(synthesise(&s, words, wire_s(question), detail, v, n), 0);
	assert_true(s.confidence >= 0 && s.confidence <= 1);
	assert_true(s.answer.len >= 1 && s.answer.len <= 200000);
	assert_true(tr_utf8_ok(s.answer.p, s.answer.len, NULL));
	assert_true(strlen(s.basis) >= 1);
	assert_true(s.ncited <= (unsigned)detail);
	for (unsigned i = 0; i < s.ncited; i++) {
		char mark[16];

		assert_true(s.cited[i] < n);
		snprintf(mark, sizeof mark, " [%u]", s.cited[i] + 1);
		assert_non_null(strstr(s.answer.p, mark));
	}
	return s;
}

static const struct {
	const char *id, *speaker, *at, *content;
} chat[] = {
	{"m1", "Ines", "2024-03-02T10:00:00Z", "Guess what! I adopted a grey kitten from the shelter yesterday."},
	{"m2", "Tomas", "2024-03-02T10:01:00Z", "Lovely! What did you name the kitten?"},
	{"m3", "Ines", "2024-03-02T10:02:00Z", "Her name is Pebble. She sleeps on my keyboard."},
	{"m4", "Tomas", "2024-04-11T09:00:00Z",
	 "I started pottery classes last week because my doctor told me to relax."},
	{"m5", "Tomas", "2024-04-12T09:00:00Z", "I have made seven bowls so far. My teacher is Agnes Holm."},
	{"m6", "Ines", "2024-06-20T18:00:00Z", "We moved to Lisbon in May. The flat is near the river."},
};
#define NCHAT (sizeof chat / sizeof chat[0])

/* The sentence that answers stands first, cited, with speaker and, for "when", the date. */
static void chat_questions_find_their_sentence(void **state)
{
	static const struct {
		const char *question, *answer;
		uint32_t cited;
	} cases[] = {
		{"When did Ines adopt a kitten?",
		 "Ines (2024-03-02): \"I adopted a grey kitten from the shelter yesterday.\" [1]", 0},
		{"Why did Tomas start pottery?",
		 "Tomas: \"I started pottery classes last week because my doctor told me to relax.\" [4]", 3},
		{"How many bowls has Tomas made?", "Tomas: \"I have made seven bowls so far.\" [5]", 4},
		{"Who is Tomas's teacher?", "Tomas: \"My teacher is Agnes Holm.\" [5]", 4},
		{"Where did Ines move to?", "Ines: \"We moved to Lisbon in May.\" [6]", 5},
		{"What is the name of the kitten?", "Ines: \"Her name is Pebble.\" [3]", 2},
	};
	struct item_source v[NCHAT];

	(void)state;
	for (size_t i = 0; i < NCHAT; i++)
		v[i] = source(chat[i].id, chat[i].speaker, chat[i].at, chat[i].content, 1.0);
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		struct synthesis s = ask(cases[i].question, SYNTHESIS_CONCISE, v, NCHAT);

		assert_string_equal(s.answer.p, cases[i].answer);
		assert_int_equal(s.ncited, 1);
		assert_int_equal(s.cited[0], cases[i].cited);
		assert_true(s.confidence > .3);
		synthesis_free(&s);
	}
}

static void documents_are_quoted_as_they_stand(void **state)
{
	const struct item_source v[] = {
		source("d1", NULL, NULL,
		       "The supervisor holds every socket. It opens no database.\nWorkers are spawned by it.", 3),
		source("d2", NULL, "2025-01-05T00:00:00Z", "Version 0.3 was released by the build team.", 2),
		source("d3", NULL, NULL, "How do I stop it? Run the shutdown command and wait.", 1),
		source("d4", NULL, NULL, "Night watch:\n\n- The lamp burns until dawn.\n- Nobody sleeps.", 1),
	};
	struct synthesis s = ask("Which process holds the sockets?", SYNTHESIS_CONCISE, v, 3);

	(void)state;
	assert_string_equal(s.answer.p, "The supervisor holds every socket. [1]");
	synthesis_free(&s);
	s = ask("When was version 0.3 released?", SYNTHESIS_CONCISE, v, 3);
	assert_string_equal(s.answer.p, "Version 0.3 was released by the build team. (2025-01-05) [2]");
	synthesis_free(&s);
	s = ask("How do I stop it?", SYNTHESIS_CONCISE, v, 3); /* the reply, not the question it replies to */
	assert_string_equal(s.answer.p, "Run the shutdown command and wait. [3]");
	synthesis_free(&s);
	s = ask("What burns on the night watch?", SYNTHESIS_CONCISE, v,
		4); /* neither the heading nor the list's mark */
	assert_string_equal(s.answer.p, "The lamp burns until dawn. [4]");
	synthesis_free(&s);
}

static void detail_says_how_many_sentences(void **state)
{
	const struct item_source v[] = {
		source("a", NULL, NULL, "The archive lives in one directory. The archive is backed up each night.", 5),
		source("b", NULL, NULL, "A symlink names the current archive.", 4),
		source("c", NULL, NULL, "The archive is opened by one process only.", 4),
		source("d", NULL, NULL, "An archive survives a power cut.", 3),
		source("e", NULL, NULL, "Bread is baked in an oven.", 3),
	};
	struct synthesis s = ask("What about the archive?", SYNTHESIS_CONCISE, v, 5);

	(void)state;
	assert_int_equal(s.ncited, 1);
	synthesis_free(&s);
	s = ask("What about the archive?", SYNTHESIS_SUMMARY, v, 5);
	assert_true(s.ncited >= 2 && s.ncited <= 3);
	synthesis_free(&s);
	s = ask("What about the archive?", SYNTHESIS_FULL, v, 5);
	assert_int_equal(s.ncited, 4); /* two sentences of the first share a place; bread is no matter of the archive */
	assert_null(strstr(s.answer.p, "Bread"));
	assert_non_null(
		strstr(s.answer.p, "The archive lives in one directory. The archive is backed up each night. [1]"));
	synthesis_free(&s);
}

static void the_same_thing_is_said_once(void **state)
{
	const struct item_source v[] = {
		source("a", NULL, NULL, "The harbour bridge opened in 1932.", 5),
		source("b", NULL, NULL, "the Harbour Bridge opened in 1932", 4),
		source("c", NULL, NULL, "It is well known that the harbour bridge opened in 1932.", 4),
	};
	struct synthesis s = ask("When did the harbour bridge open?", SYNTHESIS_FULL, v, 3);

	(void)state;
	assert_string_equal(s.answer.p, "The harbour bridge opened in 1932. [1]");
	assert_non_null(strstr(s.basis, "3 sources agree"));
	assert_non_null(strstr(s.basis, "3 of 3 words"));
	synthesis_free(&s);
}

static void confidence_follows_the_evidence(void **state)
{
	const struct item_source good[] = {source("a", "Ines", NULL, "I adopted a kitten at the shelter.", 2),
					   source("b", "Ines", NULL, "My adopted kitten is grey.", 1)};
	const struct item_source other[] = {source("a", "Tomas", NULL, "I adopted a kitten at the shelter.", 2),
					    source("b", "Ines", NULL, "Good morning to you.", 1)};
	const struct item_source none[] = {source("a", "Tomas", NULL, "The weather is fine today.", 2)};
	struct synthesis a = ask("Did Ines adopt a kitten?", SYNTHESIS_SUMMARY, good, 2);
	struct synthesis b = ask("Did Ines adopt a kitten?", SYNTHESIS_SUMMARY, other, 2);
	struct synthesis c = ask("Did Ines adopt a kitten?", SYNTHESIS_SUMMARY, none, 1);

	(void)state;
	assert_true(a.confidence > .8);
	assert_true(b.confidence < a.confidence - .2); /* somebody else said it */
	assert_non_null(strstr(b.basis, "mostly others speak"));
	assert_true(c.confidence < .1);
	assert_non_null(strstr(c.basis, "0 of 3 words"));
	synthesis_free(&a);
	synthesis_free(&b);
	synthesis_free(&c);
}

/* Two sentences of equal words: the one that holds what was asked for wins, though its source comes later. */
static void the_kind_of_thing_asked_for_counts(void **state)
{
	static const struct {
		const char *question, *without, *with;
	} cases[] = {
		{"When did the bakery open?", "The bakery did open with a feast.", "The bakery did open in March."},
		{"How many ovens has the bakery?", "The bakery has ovens of brick.", "The bakery has seven ovens."},
		{"Who runs the bakery?", "A family runs the bakery.", "For now Olga Brandt runs the bakery."},
		{"Where does the bakery stand?", "The bakery does stand proudly.", "The bakery does stand in Porto."},
		{"Why did the bakery close?", "The bakery did close with tears.",
		 "The bakery did close because flour was dear."},
	};

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		const struct item_source v[] = {source("a", NULL, NULL, cases[i].without, 1.1),
						source("b", NULL, NULL, cases[i].with, 1)};
		struct synthesis s = ask(cases[i].question, SYNTHESIS_CONCISE, v, 2);

		assert_int_equal(s.cited[0], 1);
		assert_non_null(strstr(s.basis, "it holds a"));
		synthesis_free(&s);
	}
}

/* The same words, but it is mostly somebody else who speaks: less sure. */
static void the_wrong_speaker_makes_unsure(void **state)
{
	struct item_source v[3];
	double sure[2];

	(void)state;
	for (int wrong = 0; wrong < 2; wrong++) {
		struct synthesis s;

		v[0] = source("a", "Ines", NULL, "I adopted a kitten at the shelter.", 1);
		v[1] = source("b", wrong ? "Tomas" : "Ines", NULL, "Good morning to you.", 1);
		v[2] = source("c", wrong ? "Tomas" : "Ines", NULL, "The weather is fine.", 1);
		s = ask("Did Ines adopt a kitten?", SYNTHESIS_CONCISE, v, 3);
		sure[wrong] = s.confidence;
		synthesis_free(&s);
	}
	assert_true(sure[1] < .9 * sure[0]);
}

static void documents_say_it_or_are_silent(void **state)
{
	const struct item_source v[] = {
		source("1", NULL, NULL, "Moving day:\n\nThe beehives were carried to the orchard in April.", 3),
		source("2", NULL, NULL, "The orchard has forty trees. Somebody painted the gate.", 2.9),
		source("3", NULL, NULL, "what: beehives; where: orchard; who: Anna", 2.8),
	};
	struct synthesis s = ask("Who carried the beehives to the orchard?", SYNTHESIS_SUMMARY, v, 3);

	(void)state;
	/* the one that shares a word stays out, the row comes after prose */
	assert_non_null(strstr(s.answer.p, "The beehives were carried"));
	assert_true(strncmp(s.answer.p, "The beehives were", 17) == 0);
	assert_null(strstr(s.answer.p, "forty trees"));
	synthesis_free(&s);
}

static void the_form_of_the_question(void **state)
{
	const struct item_source v[] = {
		source("1", NULL, NULL, "The kiln stays at 1240 degrees. The kiln was new in 1987.", 2),
		source("2", NULL, NULL, "When the kiln cracks, the pots inside are lost.", 1.9),
	};
	struct synthesis s = ask("How hot does the kiln stay?", SYNTHESIS_CONCISE, v, 2);

	(void)state;
	assert_string_equal(s.answer.p, "The kiln stays at 1240 degrees. [1]");
	assert_non_null(strstr(s.basis, "a number"));
	synthesis_free(&s);
	s = ask("What happens when the kiln cracks?", SYNTHESIS_CONCISE, v, 2); /* asks for no time */
	assert_string_equal(s.answer.p, "When the kiln cracks, the pots inside are lost. [2]");
	assert_null(strstr(s.basis, "a time"));
	synthesis_free(&s);
	s = ask("When was the kiln new?", SYNTHESIS_CONCISE, v, 2);
	assert_non_null(strstr(s.answer.p, "1987"));
	synthesis_free(&s);
}

static void settings_and_prose(void **state)
{
	const struct item_source v[] = {
		source("1", NULL, NULL,
		       "Settings:\n\nport: 80\nworker_wait_ms: 100      # a worker that is not answering is killed\n"
		       "log_level: info     # what is written down",
		       3),
		source("2", NULL, NULL, "One kill:\n\nIf a worker is killed, the others take over its calls.", 3),
	};
	struct synthesis s = ask("What happens when a worker is killed?", SYNTHESIS_SUMMARY, v, 2);

	(void)state;
	assert_true(strncmp(s.answer.p, "If a worker is killed", 21) == 0);
	assert_null(strstr(s.answer.p, "written down")); /* a line of settings is a sentence of its own */
	synthesis_free(&s);
}

static void nothing_gives_nothing(void **state)
{
	const struct item_source v[] = {source("a", NULL, NULL, "?!... --- \xe2\x80\xa6", 2)};
	struct synthesis s = ask("Who?", SYNTHESIS_FULL, NULL, 0);

	(void)state;
	assert_string_equal(s.answer.p, SYNTHESIS_NOTHING);
	assert_true(s.confidence == 0);
	assert_int_equal(s.ncited, 0);
	synthesis_free(&s);
	s = ask("Who?", SYNTHESIS_FULL, v, 1);
	assert_string_equal(s.answer.p, SYNTHESIS_NOTHING);
	assert_int_equal(s.ncited, 0);
	synthesis_free(&s);
}

static void any_script_any_text(void **state)
{
	static const char han[] =
		"\xe7\x8c\xab\xe3\x81\xaf\xe9\xad\x9a\xe3\x82\x92\xe9\xa3\x9f\xe3\x81\xb9\xe3\x81\x9f\xe3\x80\x82"
		"\xe7\x8a\xac\xe3\x81\xaf\xe5\xaf\x9d\xe3\x81\xa6\xe3\x81\x84\xe3\x82\x8b\xe3\x80\x82";
	static const char dog[] =
		"\xe7\x8a\xac\xe3\x81\xaf\xe4\xbd\x95\xe3\x82\x92\xe3\x81\x97\xe3\x81\xa6\xe3\x81\x84\xe3\x82\x8b";
	static const char hebrew[] =
		"\xd7\xa9\xd7\x9c\xd7\x95\xd7\x9d \xd7\xa2\xd7\x95\xd7\x9c\xd7\x9d. \xd7\x9c\xd7\x94\xd7\xaa.";
	const struct item_source v[] = {source("a", NULL, NULL, han, 2), source("b", NULL, NULL, hebrew, 1)};
	struct synthesis s = ask(dog, SYNTHESIS_CONCISE, v, 2);

	(void)state;
	assert_non_null(strstr(s.answer.p, "\xe7\x8a\xac\xe3\x81\xaf\xe5\xaf\x9d")); /* the dog's sentence */
	assert_null(strstr(s.answer.p, "\xe7\x8c\xab"));
	synthesis_free(&s);
	s = ask("\xd7\xa9\xd7\x9c\xd7\x95\xd7\x9d", SYNTHESIS_CONCISE, v, 2);
	assert_int_equal(s.cited[0], 1);
	synthesis_free(&s);
}

/* 200 sources of 64 KiB: the time is bounded and the answer still comes from the right one. */
static void big_sources_are_bounded(void **state)
{
	static const char *const units[] = {"x", "word. ", "\xe4\xbb\x8a", "a ", ".", "e\xcc\x81", "Aa Bb? "};
	struct item_source v[200];
	char *text[7];
	struct synthesis s;
	uint64_t t;

	(void)state;
	for (size_t u = 0; u < 7; u++) {
		size_t len = strlen(units[u]);

		text[u] = malloc(WIRE_CONTENT_MAX + 1);
		for (size_t i = 0; i < WIRE_CONTENT_MAX; i++)
			text[u][i] = units[u][i % len];
		text[u][WIRE_CONTENT_MAX - WIRE_CONTENT_MAX % len] = '\0';
	}
	for (size_t i = 0; i < 200; i++)
		v[i] = source("x", i % 2 ? "Bb" : NULL, NULL, text[i % 7], (double)i);
	v[150].content = wire_s("The zebra crossed the road.");
	t = tr_mono_ms();
	s = ask("Which zebra crossed?", SYNTHESIS_FULL, v, 200);
	assert_true(tr_mono_ms() - t < 5000); /* tens of milliseconds without sanitizers */
	assert_int_equal(s.cited[0], 150);
	synthesis_free(&s);
	for (size_t u = 0; u < 7; u++)
		free(text[u]);
}

static void strange_numbers_and_names_do_no_harm(void **state)
{
	struct item_source v[] = {
		source("a", "A \"quoted\"\nname\t", NULL, "The zebra\n\n\nis   here.", -1e308),
		source("b", ":", NULL, "The zebra is gone.", 0),
		source("c", NULL, NULL, "The zebra came back.", 1e308),
	};
	struct synthesis s = ask("zebra zebra zebra the zebra", SYNTHESIS_FULL, v, 3);

	(void)state;
	assert_null(strchr(s.answer.p, '\n'));
	synthesis_free(&s);
	v[2].at = TR_TIME_MAX_MS;
	v[2].has_at = true;
	s = ask("when did the zebra come", SYNTHESIS_FULL, v, 3);
	assert_non_null(strstr(s.answer.p, "(9999-12-31)"));
	synthesis_free(&s);
}

static void detail_is_checked(void **state)
{
	enum synthesis_detail d = SYNTHESIS_CONCISE;
	struct tr_fault f = {0};

	(void)state;
	assert_int_equal(synthesis_detail_parse(wire_s("full"), &d, &f), 0);
	assert_int_equal(d, SYNTHESIS_FULL);
	assert_int_equal(synthesis_detail_parse(wire_s("summary"), &d, &f), 0);
	assert_int_equal(d, SYNTHESIS_SUMMARY);
	assert_int_equal(synthesis_detail_parse(wire_s("Full"), &d, &f), TR_EINVAL);
	assert_string_equal(f.field, "detail");
	assert_int_equal(synthesis_detail_parse(wire_s("conciser"), &d, NULL), TR_EINVAL);
	assert_int_equal(d, SYNTHESIS_SUMMARY);
}

static int set_up(void **state)
{
	(void)state;
	return words_new(&words);
}

static int take_down(void **state)
{
	(void)state;
	words_free(&words);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(chat_questions_find_their_sentence),
		cmocka_unit_test(documents_are_quoted_as_they_stand),
		cmocka_unit_test(detail_says_how_many_sentences),
		cmocka_unit_test(the_same_thing_is_said_once),
		cmocka_unit_test(confidence_follows_the_evidence),
		cmocka_unit_test(the_kind_of_thing_asked_for_counts),
		cmocka_unit_test(the_wrong_speaker_makes_unsure),
		cmocka_unit_test(documents_say_it_or_are_silent),
		cmocka_unit_test(the_form_of_the_question),
		cmocka_unit_test(settings_and_prose),
		cmocka_unit_test(nothing_gives_nothing),
		cmocka_unit_test(any_script_any_text),
		cmocka_unit_test(big_sources_are_bounded),
		cmocka_unit_test(strange_numbers_and_names_do_no_harm),
		cmocka_unit_test(detail_is_checked),
	};

	return cmocka_run_group_tests(tests, set_up, take_down);
}
