/* What a sacred memory does to a vote, and what an older program left, on both databases. */
#include "vote_rig.h"

static const char *const no_to_three[] = {"no", "yes", "yes", "yes"};

/* memory_jr's no, with a veto. */
static struct res_memory_vote_cast vetoed(struct rig *g, wire_str id, const char *const choices[4])
{
	struct item_ballot v[4];
	const struct msg_memory_vote_cast msg = jrs(v, id, choices);

	v[0].has_veto = v[0].veto = true;
	return *(const struct res_memory_vote_cast *)rig_call(g, MSG_memory_vote_cast, &msg);
}

/* However many are for it: what is sacred is not voted away. It stands in the ballot, and outlives a restart. */
static void a_veto(void **s)
{
	static const char *const all_no[] = {"no", "no", "no", "abstain"};
	struct rig *g = *s;
	wire_str id = open_one(g, "Shall we?", 0), open = open_one(g, "And the others?", 60),
		 no = open_one(g, "Nor you?", 0);
	const struct item_memory *m;
	struct item_vote v;

	assert_true(same(vetoed(g, id, no_to_three).outcome, "vetoed"));
	v = vote(g, id);
	assert_true(same(v.outcome, "vetoed") && !v.decided && !v.has_decision_id && v.minority.n == 0);
	assert_true(v.ballots.v[0].has_veto && v.ballots.v[0].veto && !v.ballots.v[1].has_veto);
	m = rig_get(g, v.memory_id);
	assert_non_null(memmem(m->content.p, m->content.n, "A vote without a decision: vetoed", 33));
	assert_true(same(vetoed(g, no, all_no).outcome, "no") && vote(g, no).decided);

	assert_false(vetoed(g, open, no_to_three).closed);
	rig_reopen(g);
	for (int i = 0; i < 20; i++) {
		char name[8];

		snprintf(name, sizeof(name), "v%d", i);
		assert_true(cast(g, open, name, "yes"));
	}
	rig_now += 60 * SECOND;
	assert_int_equal(closed(g).closed, 1);
	v = vote(g, open);
	assert_true(same(v.outcome, "vetoed") && number(v.tally, "yes") == 23);
	assert_true(rig_thermal(g, 0)->votes.vetoed == 2 && rig_thermal(g, 0)->votes.no == 1);
	assert_true(rig_look(g, LOOK_DECISIONS) == 1);
}

/* Only memory_jr has one, with its no, where yes and no are asked. */
static void whose_veto(void **s)
{
	static const wire_str colours[] = {{"red", 3}, {"no", 2}};
	static const char *const no_to_one[] = {"yes", "no", "no", "no"}, *const by_colour[] = {"no", "no", "no", "no"};
	struct rig *g = *s;
	wire_str id = open_one(g, "Shall we?", 60), other;
	struct msg_memory_vote_open open = proposal("Which?");
	struct item_ballot v[4], ann = {.voter = wire_s("ann"), .choice = wire_s("no"), .has_veto = true, .veto = true};
	struct msg_memory_vote_cast msg = {.vote_id = id, .ballots = {&ann, 1}};

	assert_null(rig_try(g, MSG_memory_vote_cast, &msg));
	assert_true(g->r == TR_EINVAL && strcmp(g->fault.field, "veto") == 0);
	for (int i = 0; i < 4; i++) {
		msg = jrs(v, id, no_to_one);
		v[i].has_veto = v[i].veto = true;
		assert_null(rig_try(g, MSG_memory_vote_cast, &msg));
		assert_int_equal(g->r, TR_EINVAL);
	}
	open.has_options = true;
	open.options = (wire_strs){colours, 2};
	other = opened(g, &open);
	msg = jrs(v, other, by_colour);
	v[0].has_veto = v[0].veto = true;
	assert_null(rig_try(g, MSG_memory_vote_cast, &msg));
	assert_int_equal(g->r, TR_EINVAL);
	assert_true(rows(g, "ballots") == 0);
}

/* Every sacred memory that speaks to it, whatever else does; nobody's drill load, and nothing for who is bound. */
static void what_is_sacred(void **s)
{
	static const struct item_term words[] = {{.term = {"mill", 4}, .weight = 1},
						 {.term = {"drained", 7}, .weight = 1}};
	static const struct {
		const char *id, *text, *source;
		bool sacred;
	} t[] = {
		{"for", "The mill is drained.", NULL, true},
		{"against", "Never is the mill to be drained. Or so they say.", "vow", true},
		{"drill", "The mill is never drained.", "drill:1", true},
		{"other", "The miller is old.", NULL, true},
		{"plain", "The mill must not be drained.", NULL, false},
	};
	struct rig *g = *s;
	struct msg_memory_sacred msg = {.proposal = wire_s("Shall the mill be drained?"), .terms = {words, 2}};
	const struct res_memory_sacred *res = rig_call(g, MSG_memory_sacred, &msg);

	assert_int_equal(res->memories.n, 0);
	for (size_t i = 0; i < sizeof(t) / sizeof(*t); i++)
		rig_add(g, &(struct item_new_memory){.has_id = true,
						     .id = wire_s(t[i].id),
						     .content = wire_s(t[i].text),
						     .has_source = t[i].source != NULL,
						     .source = wire_s(t[i].source),
						     .has_sacred = true,
						     .sacred = t[i].sacred});
	res = rig_call(g, MSG_memory_sacred, &msg);
	assert_int_equal(res->memories.n, 2);
	for (uint32_t i = 0; i < 2; i++)
		assert_true(res->memories.v[i].sacred &&
			    (same(res->memories.v[i].id, "for") || same(res->memories.v[i].id, "against")));
	assert_int_equal(wire_validate(wire_methods[MSG_memory_sacred].result, res, NULL), 0);
	msg.common.has_only_source = true;
	msg.common.only_source = wire_s("vow");
	assert_null(rig_try(g, MSG_memory_sacred, &msg));
}

/* A program without vetoes was here before: what it left open ends, what it closed stays, whatever its options were. */
static void left_by_an_older_one(void **s)
{
	static const wire_str words[] = {{"no_evidence", 11}, {"vetoed", 6}};
	static const char *const of_the_moment[] = {"abstain", "abstain", "yes", "yes"};
	static const char *const back[] = {
		"ALTER TABLE ballots DROP COLUMN veto", "DELETE FROM schema_migrations WHERE version >= 11",
		"UPDATE votes SET options = '[\"no_evidence\",\"vetoed\"]' WHERE id = 'words'"};
	struct rig *g = *s;
	wire_str done = open_one(g, "Done?", 0), asked = open_one(g, "Asked?", 60), left = open_one(g, "Left?", 60);
	struct msg_memory_vote_open msg = proposal("Which word?");
	struct item_vote was;

	msg.has_vote_id = msg.has_deadline_s = true;
	msg.vote_id = wire_s("words");
	msg.deadline_s = 60;
	opened(g, &msg);
	convened(g, done, three_to_one);
	convened(g, asked, of_the_moment);
	was = vote(g, done);
	archive_close(&g->a);
	for (size_t i = 0; i < sizeof(back) / sizeof(*back); i++)
		assert_false(rig_refuses(g, back[i]));
	assert_int_equal(rig_open_again(g, NULL), 0);
	assert_true(same(vote(g, done).outcome, "yes") && vote(g, done).closed_at == was.closed_at);
	msg.has_options = true;
	msg.options = (wire_strs){words, 2};
	assert_false(((const struct res_memory_vote_open *)rig_call(g, MSG_memory_vote_open, &msg))->created);
	assert_false(vetoed(g, left, no_to_three).closed);
	cast(g, msg.vote_id, "ann", "vetoed");
	cast(g, msg.vote_id, "bob", "vetoed");
	rig_now += 60 * SECOND;
	assert_int_equal(closed(g).closed, 3);
	assert_true(same(vote(g, asked).outcome, "no_evidence") && same(vote(g, left).outcome, "vetoed"));
	was = vote(g, msg.vote_id);
	assert_true(same(was.outcome, "vetoed") && was.decided && was.has_decision_id);
	assert_true(rig_thermal(g, 0)->votes.vetoed == 1 && rig_thermal(g, 0)->votes.option == 1);
	msg.vote_id = wire_s("new"); /* for a new one the words are taken */
	assert_null(rig_try(g, MSG_memory_vote_open, &msg));
	assert_int_equal(g->r, TR_EINVAL);
}

int main(int argc, char **argv)
{
#define T(name) cmocka_unit_test_setup_teardown(name, rig_setup, rig_teardown_sound)
	const struct CMUnitTest tests[] = {
		T(a_veto),
		T(whose_veto),
		T(what_is_sacred),
		T(left_by_an_older_one),
	};

	rig_choose(argc, argv);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
