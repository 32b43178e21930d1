/* jrs/vote: on which side a text is, how each Jr judges. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "jrs/vote/judge.h"
#include "jrs/vote/stance.h"
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

/* ---- stance ---- */
static struct stance_proposal proposal(const char *text, const char *words, const double *weights)
{
	static struct item_term terms[16];
	struct list_term list = {terms, 0};
	struct stance_proposal p;

	while (*words != '\0') {
		size_t n = strcspn(words, " ");

		terms[list.n] = (struct item_term){.term = {words, (uint32_t)n},
						   .weight = weights == NULL ? 1 : weights[list.n]};
		list.n++;
		words += n + (words[n] == ' ');
	}
	stance_proposal(&p, wire_s(text), &list);
	return p;
}

static void sides(void **s)
{
	static const struct {
		const char *text;
		int side; /* 1 for, -1 against, 0 it does not speak to it */
	} t[] = {
		{"We deploy on Friday when the tests are green.", 1},
		{"Deploying on Fridays worked well last year.", 1},
		{"Never deploy on Friday.", -1},
		{"We must not deploy on a Friday!", -1},
		{"We don't deploy on Fridays", -1},
		{"We don\u2019t deploy on Fridays", -1},
		{"No deploy without tests, on Friday too.", 1}, /* two denials: whoever judges takes it for neither */
		{"The tests are green.", 0},
		{"Friday is a holiday.", 0},                                    /* one word of two */
		{"It is not Monday. We deploy on Friday. Never on Sunday.", 1}, /* the sentence counts */
		{"Fish is served on Friday. The deploy script is in bin.", 0},  /* two sentences, one word each */
		{"NEVER DEPLOY ON FRIDAY", -1},
		{"", 0},
	};
	const struct stance_proposal p = proposal("Shall we deploy on Friday?", "deploy friday", NULL);
	const struct stance_proposal q = proposal("We never deploy on Friday", "never deploy friday", NULL);

	(void)s;
	assert_false(p.negated);
	assert_true(q.negated && q.n == 2);
	for (size_t i = 0; i < sizeof(t) / sizeof(*t); i++) {
		struct stance x = stance_of(&p, wire_s(t[i].text)), y = stance_of(&q, wire_s(t[i].text));

		if (x.speaks != (t[i].side != 0) || (x.speaks && x.against != (t[i].side < 0)))
			fail_msg("%s: speaks %d against %d", t[i].text, x.speaks, x.against);
		assert_int_equal(y.speaks, x.speaks); /* the opposite proposal has the opposite friends */
		if (x.speaks)
			assert_true(y.against != x.against);
	}
}

static void vows_are_contradicted(void **s)
{
	static const struct {
		const char *vow, *asked;
		bool contradicted;
	} t[] = {
		{"Never delete a ledger without asking Nora.", "Shall we delete the ledger?", true},
		{"Never delete a ledger without asking Nora.", "Shall we never delete the ledger?", false},
		{"We promise not to cut the oak tree, not even in winter.", "Shall we cut the oak tree?", true},
		{"We keep the oak tree.", "Shall we not keep the oak tree?", true},
		{"We keep the oak tree.", "Shall we keep the oak tree?", false},
		{"We never share private letters with strangers.",
		 "We buy kettles, lamps and hammers for the harbour. We share private letters with strangers.", true},
		{"We never share private letters with strangers.",
		 "We buy kettles, lamps and hammers for the harbour, and share private letters with strangers.", true},
		{"We never share private letters with strangers.",
		 "We do not buy kettles. We share private letters with strangers.", true},
		{"We never share private letters with strangers.", "We share our kettles with the harbour.", false},
		{"We never share private letters with strangers.",
		 "We share priv\u200bate let\u200bters with strangers.", true},
		{"It is old. We never share private letters.", "Shall we share private letters?", true},
		{"", "Shall we share private letters?", false},
		{"Never.", "Shall we?", false},
	};

	(void)s;
	for (size_t i = 0; i < sizeof(t) / sizeof(*t); i++) {
		struct stance_said said;

		stance_said(&said, wire_s(t[i].asked));
		if (stance_contradicts(&said, wire_s(t[i].vow)) != t[i].contradicted)
			fail_msg("%s: %s", t[i].vow, t[i].asked);
	}
}

static void rare_words_weigh(void **s)
{
	const double weights[] = {0.1, 0.1, 3, 0}; /* the last one stands nowhere: as rare as the rarest */
	const struct stance_proposal p = proposal("paint the kettle purple in Ulm", "kettle paint ulm purple", weights);

	(void)s;
	assert_true(stance_of(&p, wire_s("paint the kettle")).share < 0.1);
	assert_false(stance_of(&p, wire_s("paint the kettle")).speaks);
	assert_true(stance_of(&p, wire_s("a kettle of Ulm")).speaks);
	assert_true(fabs(stance_of(&p, wire_s("purple Ulm, kettle, paint")).share - 1) < 1e-9);
}

static void holding(void **s)
{
	(void)s;
	assert_true(stance_holds(wire_s("the red kettle"), wire_s("red")));
	assert_true(stance_holds(wire_s("the Red Kettles"), wire_s("kettle red")));
	assert_false(
		stance_holds(wire_s("the redundant kettle"), wire_s("red"))); /* three letters do not begin a word */
	assert_false(stance_holds(wire_s("the kettle"), wire_s("")));
}

/* ---- the judges ---- */
static const wire_str yes_no[] = {{"yes", 3}, {"no", 2}}, colours[] = {{"red", 3}, {"blue", 4}};
static const struct ballot_question deploy = {{"Shall we deploy on Friday?", 26}, {yes_no, 2}};
static const struct ballot_question colour = {{"Which kettle do we buy?", 23}, {colours, 2}};

static struct item_term deploy_terms[] = {{.term = {"deploy", 6}, .weight = 1}, {.term = {"friday", 6}, .weight = 1}};
static struct item_term colour_terms[] = {{.term = {"kettle", 6}, .weight = 1},
					  {.term = {"buy", 3}, .weight = 1},
					  {.term = {"red", 3}, .weight = 1},
					  {.term = {"blue", 4}, .weight = 1}};

static struct item_memory memory(const char *id, const char *content, const char *source)
{
	struct item_memory m = {.id = wire_s(id), .content = wire_s(content), .has_explanation = true};

	m.explanation.terms = (struct list_term){deploy_terms, 2};
	m.has_source = source != NULL;
	m.source = wire_s(source);
	return m;
}

static const wire_str decision_tag[] = {{"decision", 8}}, vote_tags[] = {{"vote", 4}, {"decision", 8}};

static struct ballot_judged by_memory(const struct ballot_question *q, const struct item_memory *v, uint32_t n)
{
	const struct list_memory found = {v, n}, none = {NULL, 0};
	struct ballot_judged j;

	judge_memory(q, &found, &none, &j);
	assert_true(strlen(j.reason) > 0 && j.confidence >= 0 && j.confidence <= 1);
	return j;
}

static void memory_by_precedents(void **s)
{
	struct item_memory v[3] = {memory("a", "We deploy on Friday, it went well.", NULL),
				   memory("b", "We never deploy on Friday.", NULL), memory("c", "Green tests.", NULL)};
	struct ballot_judged j;

	(void)s;
	assert_int_equal(by_memory(&deploy, v, 0).choice, VOTE_ABSTAIN);
	assert_int_equal(by_memory(&deploy, &v[2], 1).choice, VOTE_ABSTAIN);
	j = by_memory(&deploy, v, 1);
	assert_true(j.choice == 0 && j.nevidence == 1 && j.confidence > 0 && memcmp(j.evidence[0].p, "a", 1) == 0);
	j = by_memory(&deploy, v, 3); /* as much for as against */
	assert_true(j.choice == VOTE_ABSTAIN && j.nevidence == 2);
	v[1].tags = (wire_strs){decision_tag, 1}; /* a decision weighs more than what somebody said */
	assert_int_equal(by_memory(&deploy, v, 3).choice, 1);
	v[1].has_superseded_by = true; /* ... as long as nothing replaced it */
	assert_int_equal(by_memory(&deploy, v, 3).choice, 0);
}

static void a_sacred_memory_settles_it(void **s)
{
	struct item_memory v[JUDGE_FOUND];
	struct ballot_judged j;
	uint32_t i;

	(void)s;
	for (i = 0; i < JUDGE_FOUND; i++) {
		v[i] = memory("for", "We deploy on Friday.", NULL);
		v[i].tags = (wire_strs){decision_tag, 1};
	}
	assert_int_equal(by_memory(&deploy, v, JUDGE_FOUND).choice, 0);
	v[7] = memory("vow", "We must not deploy on Friday.", NULL);
	v[7].sacred = true;
	j = by_memory(&deploy, v, JUDGE_FOUND);
	assert_true(j.choice == 1 && j.nevidence == 1 && memcmp(j.evidence[0].p, "vow", 3) == 0);
	assert_non_null(strstr(j.reason, "sacred"));
	assert_true(j.veto && judge_answer(&deploy, &j).has_veto && judge_answer(&deploy, &j).veto);
	v[7].has_superseded_by = true; /* whoever may write can say so */
	j = by_memory(&deploy, v, JUDGE_FOUND);
	assert_true(j.choice == 1 && j.veto);
	v[7].sacred = false;
	assert_false(by_memory(&deploy, v, JUDGE_FOUND).veto);
	v[7] = memory("vow", "We must not deploy on Friday.", NULL); /* not among those found: others are as good */
	v[7].sacred = true;
	judge_memory(&deploy, &(struct list_memory){v, 7}, &(struct list_memory){&v[7], 1}, &j);
	assert_true(j.choice == 1 && j.veto && j.nevidence == 1 && memcmp(j.evidence[0].p, "vow", 3) == 0);
	v[7] = memory("vow", "Never deploy on Friday without Nora.",
		      NULL); /* denies twice, and is a vow all the same */
	v[7].sacred = true;
	assert_true(by_memory(&deploy, v, JUDGE_FOUND).veto);
	v[7].sacred = false; /* of any other nobody can tell */
	assert_int_equal(by_memory(&deploy, &v[7], 1).choice, VOTE_ABSTAIN);
	v[7] = memory("vow", "On Friday we deploy.", NULL); /* one that agrees only adds its weight */
	v[7].sacred = true;
	j = by_memory(&deploy, v, JUDGE_FOUND);
	assert_true(j.choice == 0 && !j.veto && !judge_answer(&deploy, &j).has_veto);
}

static struct item_memory earlier_vote(msgpack_object *map, msgpack_object_kv kv[2], const char *asked,
				       const char *outcome, bool decided)
{
	struct item_memory m = memory("v", "The words of the vote do not count: no, never, not.", "vote");

	kv[0].key = (msgpack_object){.type = MSGPACK_OBJECT_STR, .via.str = {7, "outcome"}};
	kv[0].val = (msgpack_object){.type = MSGPACK_OBJECT_STR, .via.str = {(uint32_t)strlen(outcome), outcome}};
	kv[1].key = (msgpack_object){.type = MSGPACK_OBJECT_STR, .via.str = {8, "proposal"}};
	kv[1].val = (msgpack_object){.type = MSGPACK_OBJECT_STR, .via.str = {(uint32_t)strlen(asked), asked}};
	*map = (msgpack_object){.type = MSGPACK_OBJECT_MAP, .via.map = {2, kv}};
	m.has_metadata = true;
	m.metadata = map;
	m.tags = (wire_strs){vote_tags, decided ? 2 : 1};
	return m;
}

static void earlier_votes(void **s)
{
	static const struct {
		const char *asked, *outcome;
		bool decided;
		int choice;
	} t[] = {
		{"Shall we deploy on Friday?", "yes", true, 0},
		{"Shall we deploy on Friday?", "no", true, 1},
		{"We never deploy on Friday", "yes", true, 1},
		{"We never deploy on Friday", "no", true, 0},
		{"Shall we deploy on Friday?", "tie", false, VOTE_ABSTAIN},
		{"Shall we eat?", "no", true, VOTE_ABSTAIN},
	};

	(void)s;
	for (size_t i = 0; i < sizeof(t) / sizeof(*t); i++) {
		msgpack_object map;
		msgpack_object_kv kv[2];
		struct item_memory m = earlier_vote(&map, kv, t[i].asked, t[i].outcome, t[i].decided);

		assert_int_equal(by_memory(&deploy, &m, 1).choice, t[i].choice);
	}
}

static void of_votes_the_newest_counts(void **s)
{
	msgpack_object map[4];
	msgpack_object_kv kv[4][2];
	struct item_memory v[4];

	(void)s;
	for (int i = 0; i < 4; i++) { /* asked three times, and answered otherwise in the end */
		v[i] = earlier_vote(&map[i], kv[i], "Shall we deploy on Friday?", i == 1 ? "no" : "yes", true);
		v[i].created_at = i == 1 ? 100 : i;
	}
	assert_int_equal(by_memory(&deploy, v, 4).choice, 1);
	v[1].created_at = 0;
	assert_int_equal(by_memory(&deploy, v, 4).choice, 0);
}

static void between_options(void **s)
{
	struct item_memory v[3] = {memory("a", "We like to buy the red kettle.", "x"),
				   memory("b", "Red or blue, a kettle is a kettle.", "y"),
				   memory("c", "Buy a red kettle, said Bob.", "z")};
	const struct list_memory found = {v, 3};
	struct ballot_judged j;

	(void)s;
	for (int i = 0; i < 3; i++)
		v[i].explanation.terms = (struct list_term){colour_terms, 4};
	j = by_memory(&colour, v, 3);
	assert_true(j.choice == 0 && j.nevidence == 2); /* who names both prefers none */
	judge_integration(&colour, &found, &j);
	assert_int_equal(j.choice, 0);
	judge_meta(&colour, &(struct res_meta_anomalies){.analyses = 1}, &j);
	assert_int_equal(j.choice, VOTE_ABSTAIN);
	judge_executive(&colour, &(struct judge_capacity){.known = true}, &j);
	assert_int_equal(j.choice, VOTE_ABSTAIN);
}

static void integration_by_independent_sources(void **s)
{
	struct item_memory v[5] = {
		memory("a", "We deploy on Friday.", "ann"), memory("b", "On Friday, too, we deploy.", "ann"),
		memory("c", "Every Friday they deploy.", "bob"), memory("d", "Never deploy on Friday.", "cy"),
		memory("e", "Not on Friday should you deploy.", "dee")};
	struct list_memory found = {v, 2};
	struct ballot_judged j;

	(void)s;
	judge_integration(&deploy, &found, &j);
	assert_int_equal(j.choice, VOTE_ABSTAIN); /* one source, however often it says so */
	found.n = 3;
	judge_integration(&deploy, &found, &j);
	assert_true(j.choice == 0 && j.nevidence == 2); /* one id of each */
	found.n = 4;
	judge_integration(&deploy, &found, &j);
	assert_true(j.choice == 0 && j.confidence < 0.5);
	found.n = 5;
	judge_integration(&deploy, &found, &j);
	assert_int_equal(j.choice, VOTE_ABSTAIN); /* two against two */
	v[2].tags = (wire_strs){vote_tags, 2};    /* what the tribe itself made is no source */
	judge_integration(&deploy, &found, &j);
	assert_int_equal(j.choice, 1);
	assert_int_equal(j.nevidence, 3);
}

static void meta_by_its_analysis(void **s)
{
	static const wire_str ids[] = {{"x", 1}};
	struct item_anomaly odd = {
		.kind = wire_s("overheated"), .summary = wire_s("90 of 100 are hot"), .evidence = {ids, 1}};
	struct res_meta_anomalies last = {.analyses = 0};
	struct ballot_judged j;

	(void)s;
	judge_meta(&deploy, &last, &j);
	assert_true(j.choice == VOTE_ABSTAIN && strstr(j.reason, "no analysis") != NULL);
	last.has_analysed_at = last.has_sampled = true;
	last.sampled = 19;
	judge_meta(&deploy, &last, &j);
	assert_int_equal(j.choice, VOTE_ABSTAIN);
	last.sampled = 100;
	judge_meta(&deploy, &last, &j);
	assert_true(j.choice == 0 && fabs(j.confidence - 0.5) < 1e-9);
	last.anomalies = (struct list_anomaly){&odd, 1};
	odd.severity = 0.4;
	judge_meta(&deploy, &last, &j);
	assert_true(j.choice == 0 && fabs(j.confidence - 0.3) < 1e-9);
	odd.severity = 0.5;
	judge_meta(&deploy, &last, &j);
	assert_true(j.choice == 1 && j.nevidence == 1 && strstr(j.reason, "overheated") != NULL);
}

static void executive_by_capacity(void **s)
{
	struct judge_capacity now = {.inflight = 1, .capacity = 10};
	struct ballot_judged j;

	(void)s;
	judge_executive(&deploy, &now, &j);
	assert_int_equal(j.choice, VOTE_ABSTAIN);
	now.known = true;
	strcpy(now.status, "operational");
	judge_executive(&deploy, &now, &j);
	assert_true(j.choice == 0 && fabs(j.confidence - 0.9) < 1e-9);
	now.inflight = 8;
	judge_executive(&deploy, &now, &j);
	assert_int_equal(j.choice, 1);
	now.inflight = 1;
	now.overdue = 1;
	judge_executive(&deploy, &now, &j);
	assert_int_equal(j.choice, 1);
	now.overdue = 0;
	strcpy(now.status, "degraded");
	judge_executive(&deploy, &now, &j);
	assert_true(j.choice == 1 && strstr(j.reason, "degraded") != NULL);
}

/* Whatever is asked, the query fits memory.recall, and no character is cut. */
static void the_query_fits(void **s)
{
	static const char *const letters[] = {"a", "é", "漢", "\U0001F525"};
	char text[8001], q[JUDGE_QUERY_BYTES];
	struct msg_memory_recall msg;
	unsigned chars;

	(void)s;
	for (int k = 0; k < 4; k++) {
		for (chars = 998; chars <= 2000; chars += chars < 1003 ? 1 : 331) {
			struct ballot_question question = {{text, 0}, {colours, 2}};

			for (unsigned i = 0; i < chars; i++, question.proposal.n += (uint32_t)strlen(letters[k]))
				memcpy(text + question.proposal.n, letters[k], strlen(letters[k]));
			judge_query(&question, q, &msg);
			assert_int_equal(wire_validate(wire_methods[MSG_memory_recall].params, &msg, NULL), 0);
		}
	}
	judge_query(&colour, q, &msg);
	assert_true(msg.q.n == strlen("Which kettle do we buy? red blue") &&
		    memcmp(q, "Which kettle do we buy? red", 27) == 0);
	judge_query(&deploy, q, &msg);
	assert_int_equal(msg.q.n, deploy.proposal.n);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(sides),
		cmocka_unit_test(rare_words_weigh),
		cmocka_unit_test(holding),
		cmocka_unit_test(memory_by_precedents),
		cmocka_unit_test(vows_are_contradicted),
		cmocka_unit_test(of_votes_the_newest_counts),
		cmocka_unit_test(a_sacred_memory_settles_it),
		cmocka_unit_test(earlier_votes),
		cmocka_unit_test(between_options),
		cmocka_unit_test(integration_by_independent_sources),
		cmocka_unit_test(meta_by_its_analysis),
		cmocka_unit_test(executive_by_capacity),
		cmocka_unit_test(the_query_fits),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
