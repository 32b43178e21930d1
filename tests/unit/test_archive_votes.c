/* Votes in the archive, on both databases: opened once, one ballot a voter, closed once and with everything that
 * belongs to it, by whoever leads. */
#include "vote_rig.h"

static void decided_in_one_commit(void **s)
{
	struct rig *g = *s;
	wire_str id = open_one(g, "Shall we?", 0);
	struct item_vote v = vote(g, id);
	const struct res_memory_decisions *log;
	const struct msg_memory_decisions all = {.has_limit = false};
	const struct item_memory *m;
	struct res_memory_vote_cast done;

	assert_true(same(v.outcome, "open") && !v.convened && v.ballots.n == 0 && v.quorum == VOTE_QUORUM &&
		    v.threshold == VOTE_THRESHOLD && !v.has_closes_at && v.options.n == 2 && same(v.by, "ann"));
	done = convened(g, id, three_to_one);
	assert_true(done.closed && done.changed && same(done.outcome, "yes"));
	v = vote(g, id);
	assert_true(same(v.outcome, "yes") && v.decided && v.convened && v.has_closed_at && v.ballots.n == 4);
	assert_true(number(v.tally, "yes") == 3 && number(v.tally, "no") == 1 && number(v.tally, "absent") == 0);
	assert_true(v.minority.n == 1 && same(v.minority.v[0].voter, "integration_jr") &&
		    same(v.minority.v[0].reason, "two sources say so"));
	assert_true(v.results->via.map.size == 4 && v.has_memory_id && v.has_decision_id);
	log = rig_call(g, MSG_memory_decisions, &all);
	assert_int_equal(log->decisions.n, 1);
	assert_memory_equal(log->decisions.v[0].memory_id.p, v.memory_id.p, v.memory_id.n);
	assert_memory_equal(log->decisions.v[0].id.p, v.decision_id.p, v.decision_id.n);
	assert_true(same(log->decisions.v[0].by, "vote"));
	assert_true(same(log->decisions.v[0].text,
			 "Shall we?\nDecided by vote: yes (yes 3, no 1, abstain 0, absent 0). "
			 "integration_jr was for no: two sources say so."));
	m = rig_get(g, v.memory_id);
	assert_true(m->tags.n == 2 && same(m->tags.v[0], "vote") && same(m->tags.v[1], "decision") &&
		    same(m->source, "vote"));
	assert_true(m->has_metadata && m->metadata->via.map.size == 5);
	assert_true(rig_thermal(g, 0)->votes.yes == 1);
	rig_figures_hold(g);
	assert_true(rig_thermal(g, 0)->votes.yes == 1); /* a restart loses no count */
}

static void without_a_decision(void **s)
{
	static const struct {
		const char *choices[4], *outcome;
	} t[] = {
		{{"yes", "abstain", "abstain", "absent"}, "no_quorum"},
		{{"yes", "no", "abstain", "absent"}, "tie"},
		{{"abstain", "abstain", "abstain", "abstain"}, "no_quorum"},
		{{"abstain", "abstain", "yes", "yes"}, "no_evidence"}, /* a good time, but for what? */
		{{"absent", "abstain", "no", "no"}, "no_evidence"},
	};
	struct rig *g = *s;
	const struct item_memory *m;
	struct item_vote v;

	for (size_t i = 0; i < sizeof(t) / sizeof(*t); i++) {
		wire_str id = open_one(g, "Shall we?", 0);

		assert_true(same(convened(g, id, t[i].choices).outcome, t[i].outcome));
		v = vote(g, id);
		assert_true(!v.decided && same(v.outcome, t[i].outcome) && v.minority.n == 0 && !v.has_decision_id);
		m = rig_get(g, v.memory_id); /* it is remembered, and is no decision */
		assert_true(m->tags.n == 1 && same(m->tags.v[0], "vote"));
	}
	assert_true(rig_look(g, LOOK_DECISIONS) == 0 && rig_look(g, LOOK_MEMORIES) == 5);
	assert_true(rig_thermal(g, 0)->votes.no_evidence == 2 && rig_thermal(g, 0)->votes.vetoed == 0);
	assert_true(rig_thermal(g, 0)->votes.no_quorum == 2 && rig_thermal(g, 0)->votes.tie == 1);
}

static void a_share_that_is_too_small(void **s)
{
	static const wire_str list[] = {{"red", 3}, {"green", 5}, {"blue", 4}};
	struct msg_memory_vote_open msg = proposal("Which?");
	struct rig *g = *s;
	const char *const choices[] = {"red", "red", "green", "blue"};

	msg.has_options = msg.has_quorum = msg.has_threshold = true;
	msg.options = (wire_strs){list, 3};
	msg.quorum = 4;
	msg.threshold = 0.6;
	assert_true(same(convened(g, opened(g, &msg), choices).outcome, "no_majority"));
	msg.threshold = 0.5;
	assert_true(same(convened(g, opened(g, &msg), choices).outcome, "red"));
	assert_true(rig_thermal(g, 0)->votes.option == 1 && rig_thermal(g, 0)->votes.no_majority == 1);
}

/* The same vote again, by its id or its request id; what differs is another one. */
static void opened_once(void **s)
{
	struct rig *g = *s;
	struct msg_memory_vote_open msg = proposal("Once?"), other;
	const struct res_memory_vote_open *res;
	wire_str first;

	msg.common.has_request_id = true;
	msg.common.request_id = wire_s("key:1");
	first = opened(g, &msg);
	rig_reopen(g);
	assert_memory_equal(opened(g, &msg).p, first.p, first.n);
	assert_false(g->answer.fresh);
	other = msg;
	other.proposal = wire_s("Twice?");
	assert_null(rig_try(g, MSG_memory_vote_open, &other));
	assert_int_equal(g->r, TR_EMISMATCH);
	assert_true(rows(g, "votes") == 1);

	msg = proposal("By its name?");
	msg.has_vote_id = true;
	msg.vote_id = wire_s("mine");
	res = rig_call(g, MSG_memory_vote_open, &msg);
	assert_true(res->created && same(res->vote_id, "mine"));
	rig_now += SECOND;
	res = rig_call(g, MSG_memory_vote_open, &msg);
	assert_false(res->created);
	other = msg;
	other.has_quorum = true;
	other.quorum = 3;
	assert_null(rig_try(g, MSG_memory_vote_open, &other));
	assert_true(g->r == TR_ECONFLICT && strcmp(g->fault.field, "vote_id") == 0);
	assert_true(convened(g, msg.vote_id, three_to_one).closed);
	res = rig_call(g, MSG_memory_vote_open, &msg); /* closed by now, and the same */
	assert_false(res->created);
	assert_true(rows(g, "votes") == 2);
}

static void options_are_checked(void **s)
{
	static const wire_str twice[] = {{"a", 1}, {"a", 1}}, taken[] = {{"a", 1}, {"Absent", 6}};
	struct rig *g = *s;
	struct msg_memory_vote_open msg = proposal("Which?");

	msg.has_options = true;
	msg.options = (wire_strs){twice, 2};
	assert_null(rig_try(g, MSG_memory_vote_open, &msg));
	assert_true(g->r == TR_EINVAL && strcmp(g->fault.field, "options") == 0);
	msg.options.v = taken;
	assert_null(rig_try(g, MSG_memory_vote_open, &msg));
	assert_int_equal(g->r, TR_EINVAL);
	assert_true(rows(g, "votes") == 0);
}

/* Two conveners, as when one died behind its commit: the first one's ballots stand, the vote is closed once. */
static void convened_once(void **s)
{
	static const char *const otherwise[] = {"no", "no", "no", "no"};
	struct rig *g = *s;
	wire_str id = open_one(g, "Once?", 0), later = open_one(g, "And with a deadline?", 60);
	struct item_ballot v[4];
	struct msg_memory_vote_cast msg;
	struct item_vote was, now;

	assert_true(convened(g, id, three_to_one).closed);
	was = vote(g, id);
	rig_reopen(g);
	assert_false(convened(g, id, otherwise).closed);
	assert_false(convened(g, id, otherwise).changed);
	now = vote(g, id);
	assert_true(same(now.outcome, "yes") && now.closed_at == was.closed_at && now.ballots.n == 4);
	assert_memory_equal(now.memory_id.p, was.memory_id.p, was.memory_id.n);
	assert_true(convened(g, later, three_to_one).changed);
	assert_false(convened(g, later, otherwise).changed);
	now = vote(g, later);
	assert_true(same(now.outcome, "open") && number(now.tally, "yes") == 3);
	assert_true(rig_look(g, LOOK_DECISIONS) == 1 && rig_look(g, LOOK_MEMORIES) == 1 && rows(g, "ballots") == 8);

	id = open_one(g, "Under a request id?", 0);
	msg = jrs(v, id, three_to_one);
	msg.common.has_request_id = true;
	msg.common.request_id = wire_s("r");
	rig_call(g, MSG_memory_vote_cast, &msg);
	assert_true(g->answer.fresh);
	rig_call(g, MSG_memory_vote_cast, &msg);
	assert_false(g->answer.fresh);
	assert_true(rig_look(g, LOOK_DECISIONS) == 2);
}

/* Whoever is not among the ballots is absent; what makes no sense leaves nothing behind. */
static void absent_and_nonsense(void **s)
{
	static const char *const few[] = {"yes", NULL, NULL, "yes"}, *const wrong[] = {"yes", "perhaps", "no", "no"};
	struct rig *g = *s;
	wire_str id = open_one(g, "Shall we?", 0);
	struct item_ballot b[4];
	struct msg_memory_vote_cast msg = jrs(b, id, wrong);
	struct item_vote v;

	assert_null(rig_try(g, MSG_memory_vote_cast, &msg));
	assert_int_equal(g->r, TR_EINVAL);
	msg = jrs(b, id, three_to_one);
	b[1].voter = wire_s("memory_jr"); /* twice */
	assert_null(rig_try(g, MSG_memory_vote_cast, &msg));
	assert_int_equal(g->r, TR_EINVAL);
	b[1].voter = wire_s("ann");
	assert_null(rig_try(g, MSG_memory_vote_cast, &msg));
	assert_int_equal(g->r, TR_EINVAL);
	assert_true(vote(g, id).ballots.n == 0 && rows(g, "ballots") == 0);
	assert_true(same(convened(g, id, few).outcome, "yes"));
	v = vote(g, id);
	assert_true(v.ballots.n == 4 && number(v.tally, "absent") == 2 && number(v.tally, "yes") == 2);
	msg.vote_id = wire_s("nobody");
	assert_null(rig_try(g, MSG_memory_vote_cast, &msg));
	assert_int_equal(g->r, TR_ENOTFOUND);
}

static void from_outside(void **s)
{
	static const char *const none[] = {"abstain", "abstain", "abstain", "abstain"};
	struct rig *g = *s;
	wire_str id = open_one(g, "Shall we?", 60), alone = open_one(g, "Only the Jrs?", 0);
	struct item_vote v = vote(g, id);

	assert_true(v.has_closes_at && v.closes_at == rig_now + 60 * SECOND);
	assert_true(cast(g, id, "ann", "yes"));
	assert_false(cast(g, id, "ann", "yes")); /* the same again */
	assert_true(cast(g, id, "bob", "no"));
	assert_true(cast(g, id, "bob", "abstain")); /* another choice: it replaces the first */
	assert_non_null(try_cast(g, id, "bob", "no", "I have thought about it"));
	assert_false(convened(g, id, none).closed);
	v = vote(g, id);
	assert_true(v.ballots.n == 6 && number(v.tally, "yes") == 1 && number(v.tally, "no") == 1 &&
		    same(v.outcome, "open"));
	assert_null(try_cast(g, id, "meta_jr", "yes", NULL));
	assert_true(g->r == TR_EINVAL && strcmp(g->fault.field, "voter") == 0);
	assert_null(try_cast(g, id, "cy", "absent", NULL));
	assert_true(g->r == TR_EINVAL && strcmp(g->fault.field, "choice") == 0);
	assert_null(try_cast(g, id, "cy", "perhaps", NULL));
	assert_int_equal(g->r, TR_EINVAL);
	assert_null(try_cast(g, alone, "cy", "yes", NULL));
	assert_int_equal(g->r, TR_ECONFLICT);
	rig_now += 60 * SECOND; /* over, and nobody has closed it yet */
	assert_null(try_cast(g, id, "cy", "yes", NULL));
	assert_int_equal(g->r, TR_ECONFLICT);
	assert_int_equal(closed(g).closed, 2);
	v = vote(g, id);
	assert_true(same(v.outcome, "tie") && v.closed_at == rig_now && v.ballots.n == 6);
	assert_null(try_cast(g, id, "cy", "yes", NULL));
	assert_int_equal(g->r, TR_ECONFLICT);
	assert_non_null(try_cast(g, id, "ann", "yes", NULL)); /* a repetition stays one */
}

/* Whoever convened it died, and nobody else came: the Jrs are absent, others' ballots count. */
static void closed_when_its_time_is_over(void **s)
{
	struct rig *g = *s;
	wire_str early = open_one(g, "Early?", 10), late = open_one(g, "Late?", 20), left = open_one(g, "Left?", 0);
	struct res_memory_vote_close done = closed(g);
	struct item_vote v;

	assert_true(done.closed == 0 && done.has_next_at && done.next_at == rig_now + 10 * SECOND);
	cast(g, early, "ann", "no");
	cast(g, early, "bob", "no");
	rig_now += 10 * SECOND;
	rig_reopen(g); /* another one leads */
	done = closed(g);
	assert_true(done.closed == 1 && done.ids.n == 1 && done.next_at == rig_now + 10 * SECOND);
	assert_memory_equal(done.ids.v[0].p, early.p, early.n);
	assert_true(same(done.outcomes.v[0], "no"));
	v = vote(g, early);
	assert_true(same(v.outcome, "no") && v.decided && !v.convened && number(v.tally, "absent") == 4 &&
		    v.ballots.n == 6);
	assert_int_equal(closed(g).closed, 0); /* never twice */
	rig_now += VOTE_CONVENE_MS;
	done = closed(g);
	assert_true(done.closed == 2 && !done.has_next_at);
	assert_true(same(vote(g, late).outcome, "no_quorum") && same(vote(g, left).outcome, "no_quorum"));
	assert_true(rig_look(g, LOOK_DECISIONS) == 1 && rig_look(g, LOOK_MEMORIES) == 3);
	assert_false(convened(g, left, three_to_one).changed); /* a convener that comes too late */
}

static void many_are_closed_in_turns(void **s)
{
	struct rig *g = *s;
	unsigned n = 0, k;

	for (k = 0; k < 20; k++)
		open_one(g, "One of many?", 1 + k % 3);
	rig_now += 3 * SECOND;
	for (k = 0; k < 3; k++) {
		struct res_memory_vote_close done = closed(g);

		n += done.closed;
		assert_true(done.has_next_at == (k < 2));
	}
	assert_true(n == 20 && rig_look(g, LOOK_MEMORIES) == 20);
}

static void listed_newest_first(void **s)
{
	struct rig *g = *s;
	struct msg_memory_votes all = {.has_limit = true, .limit = 2};
	const struct res_memory_votes *res;
	wire_str first = open_one(g, "First?", 0), second = open_one(g, "Second?", 60),
		 third = open_one(g, "Third?", 0);

	convened(g, third, three_to_one);
	res = rig_call(g, MSG_memory_votes, &all);
	assert_true(res->votes.n == 2 && same(res->votes.v[0].proposal, "Third?") &&
		    same(res->votes.v[0].outcome, "yes") && res->votes.v[0].decided && res->votes.v[0].has_memory_id);
	assert_true(same(res->votes.v[1].proposal, "Second?") && same(res->votes.v[1].outcome, "open") &&
		    res->votes.v[1].has_closes_at);
	all = (struct msg_memory_votes){.has_unconvened = true, .unconvened = true};
	res = rig_call(g, MSG_memory_votes, &all);
	assert_int_equal(res->votes.n, 2);
	convened(g, second, three_to_one);
	res = rig_call(g, MSG_memory_votes, &all);
	assert_int_equal(res->votes.n, 1);
	assert_memory_equal(res->votes.v[0].vote_id.p, first.p, first.n);
}

/* The outcome's memory is forgotten: so is the vote with its words; what was counted stays counted. */
static void forgotten_with_its_memory(void **s)
{
	struct rig *g = *s;
	wire_str id = open_one(g, "A secret?", 0), stays = open_one(g, "Another?", 0);
	struct msg_memory_vote ask = {.id = id};
	struct msg_memory_forget forget;

	convened(g, id, three_to_one);
	convened(g, stays, three_to_one);
	forget = (struct msg_memory_forget){.id = vote(g, id).memory_id};
	rig_call(g, MSG_memory_forget, &forget);
	assert_null(rig_try(g, MSG_memory_vote, &ask));
	assert_int_equal(g->r, TR_ENOTFOUND);
	assert_true(rows(g, "votes") == 1 && rows(g, "ballots") == 4 && rig_look(g, LOOK_DECISIONS) == 1);
	assert_true(rig_thermal(g, 0)->votes.yes == 2);
	assert_true(vote(g, stays).ballots.n == 4);
	rig_figures_hold(g);
}

/* Whatever the words are, what is kept can be read back, and fits the decision log and an export. */
static void long_words(void **s)
{
	static const char *const letters[] = {"x", "\xe6\xbc\xa2"};
	struct rig *g = *s;
	char text[3 * 2000 + 1] = "", reason[3 * 1000 + 1] = "";
	const struct msg_memory_decisions all = {.has_limit = false};
	const struct msg_memory_export export = {.has_limit = false};
	const struct res_memory_decisions *log;
	struct item_ballot v[4];
	struct msg_memory_vote_cast msg;
	wire_str id;

	for (int k = 0; k < 2; k++) {
		text[0] = reason[0] = '\0';
		for (size_t i = 0; i < 2000; i++)
			memcpy(text + i * strlen(letters[k]), letters[k], strlen(letters[k]) + 1);
		for (size_t i = 0; i < 1000; i++)
			memcpy(reason + i * strlen(letters[k]), letters[k], strlen(letters[k]) + 1);
		id = open_one(g, text, 0);
		msg = jrs(v, id, three_to_one);
		v[1].reason = wire_s(reason);
		rig_call(g, MSG_memory_vote_cast, &msg);
		assert_int_equal(vote(g, id).proposal.n, strlen(text));
		log = rig_call(g, MSG_memory_decisions, &all);
		assert_int_equal(wire_validate(wire_methods[MSG_memory_decisions].result, log, NULL), 0);
		assert_non_null(
			memmem(log->decisions.v[0].text.p, log->decisions.v[0].text.n, "Decided by vote: yes", 20));
		assert_int_equal(wire_validate(wire_methods[MSG_memory_export].result,
					       rig_call(g, MSG_memory_export, &export), NULL),
				 0);
	}
}

/* A vote that its source's limit kept open would be open for ever. */
static void no_limit_keeps_it_open(void **s)
{
	struct rig *g = *s;
	struct archive_cfg cfg = rig_cfg(g);
	struct tr_fault fault = {0};

	archive_close(&g->a);
	cfg.source_rows_max = 1;
	assert_int_equal(g->kind->open(&g->a, &cfg, &fault), 0);
	rig_thermal(g, 0); /* counted */
	for (int i = 0; i < 3; i++)
		assert_true(convened(g, open_one(g, "Shall we?", 0), three_to_one).closed);
	assert_true(rig_look(g, LOOK_MEMORIES) == 3);
}

static void a_closed_vote_stays(void **s)
{
	struct rig *g = *s;
	wire_str id = open_one(g, "Shall we?", 0);

	convened(g, id, three_to_one);
	open_one(g, "Open?", 60);
	assert_true(rig_refuses(g, "UPDATE votes SET outcome = 'no' WHERE closed_at IS NOT NULL"));
	assert_true(rig_refuses(g, "UPDATE ballots SET choice = 'no'"));
	assert_true(rig_refuses(g, "UPDATE ballots SET veto = 1"));
	assert_true(rig_refuses(g, "UPDATE votes SET closed_at = 1 WHERE closed_at IS NULL")); /* half closed */
	assert_true(same(vote(g, id).outcome, "yes"));
}

int main(int argc, char **argv)
{
#define T(name) cmocka_unit_test_setup_teardown(name, rig_setup, rig_teardown_sound)
	const struct CMUnitTest tests[] = {
		T(decided_in_one_commit),
		T(without_a_decision),
		T(a_share_that_is_too_small),
		T(opened_once),
		T(options_are_checked),
		T(convened_once),
		T(absent_and_nonsense),
		T(from_outside),
		T(closed_when_its_time_is_over),
		T(many_are_closed_in_turns),
		T(listed_newest_first),
		T(forgotten_with_its_memory),
		T(long_words),
		T(no_limit_keeps_it_open),
		T(a_closed_vote_stays),
	};

	rig_choose(argc, argv);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
