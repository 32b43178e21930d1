/* memory.patch, memory.forget, memory.explain on any archive. */
#include "memory_rig.h"

static const struct item_memory *patched(struct rig *g, const struct msg_memory_patch *msg)
{
	const struct res_memory_patch *res = rig_call(g, MSG_memory_patch, msg);

	return &res->memory;
}

static int forgotten(struct rig *g, wire_str id)
{
	struct msg_memory_forget msg = {.id = id};

	return rig_try(g, MSG_memory_forget, &msg) == NULL ? g->r : 0;
}

static void patch(void **s)
{
	struct rig *g = *s;
	const wire_str tags[] = {wire_s("a"), wire_s("b")};
	msgpack_object_kv kv = {.key = {.type = MSGPACK_OBJECT_STR, .via.str = {1, "k"}},
				.val = {.type = MSGPACK_OBJECT_POSITIVE_INTEGER, .via.u64 = 7}};
	msgpack_object map = {.type = MSGPACK_OBJECT_MAP, .via.map = {1, &kv}};
	struct msg_memory_patch msg = {.id = rig_say(g, "to be changed")->id};
	const struct item_memory *m;

	rig_say(g, "a neighbour");
	rig_now += 3 * WEEK; /* a sacred one is warmer than an ordinary one by now */
	m = patched(g, &msg);
	assert_int_equal(m->revision, 1); /* nothing was asked for */
	msg.has_tags = msg.has_importance = msg.has_metadata = true;
	msg.tags = (wire_strs){tags, 2};
	msg.importance = 0.75;
	msg.metadata = &map;
	m = patched(g, &msg);
	assert_true(m->revision == 2 && m->tags.n == 2 && m->importance == 0.75 && m->has_metadata && !m->sacred);
	assert_true(m->access_count == 1 && fabs(m->temperature - 10.0) < 1e-6); /* no access */
	msg = (struct msg_memory_patch){.id = msg.id, .has_tags = true, .has_sacred = true, .sacred = true};
	m = patched(g, &msg); /* the others stay; no tags is a list, too */
	assert_true(m->revision == 3 && m->tags.n == 0 && m->importance == 0.75 && m->has_metadata && m->sacred);
	assert_true(m->temperature == 40.0 && same(m->stage, "warm"));
	rig_figures_hold(g);
	assert_true(rig_thermal(g, 0)->sacred_count == 1);
	m = patched(g, &msg); /* sacred already: the histograms know */
	rig_figures_hold(g);
	msg = (struct msg_memory_patch){.id = msg.id, .has_importance = true, .has_sacred = true};
	assert_null(rig_try(g, MSG_memory_patch, &msg));
	assert_int_equal(g->r, TR_EREFUSED);
	assert_string_equal(g->fault.field, "sacred");
	m = rig_get(g, msg.id);
	assert_true(m->importance == 0.75 && m->revision == 4 && m->sacred);
	msg.id = wire_s("nobody");
	assert_null(rig_try(g, MSG_memory_patch, &msg));
	assert_int_equal(g->r, TR_ENOTFOUND);
}

static void a_patch_happens_once(void **s)
{
	struct rig *g = *s;
	struct msg_memory_patch msg = {.id = rig_say(g, "once")->id, .has_importance = true, .importance = 1};

	msg.common.has_request_id = true;
	msg.common.request_id = wire_s("p");
	assert_int_equal(patched(g, &msg)->revision, 2);
	rig_reopen(g);
	assert_int_equal(patched(g, &msg)->revision, 2);
	assert_int_equal(rig_get(g, msg.id)->revision, 2);
	msg.importance = 0.5;
	assert_null(rig_try(g, MSG_memory_patch, &msg));
	assert_int_equal(g->r, TR_EMISMATCH);
	/* forgotten: the stored answer does not keep its words, and is not carried out again */
	assert_int_equal(forgotten(g, msg.id), 0);
	assert_true(rig_look(g, LOOK_REQUESTS) == 1.0 && rig_look(g, LOOK_ANSWERS) == 0.0);
	msg.importance = 1;
	assert_null(rig_try(g, MSG_memory_patch, &msg));
	assert_int_equal(g->r, TR_ENOTFOUND);
}

/* A stored answer goes with its own memory, not with another whose id happens to stand somewhere in it. */
static void answers_of_others_stay(void **s)
{
	struct rig *g = *s;
	struct item_new_memory m = said("a letter"), short_id = said("gone");
	struct msg_memory_patch msg = {.id = wire_s("letter"), .has_importance = true, .importance = 1}, other = msg;

	m.has_id = short_id.has_id = short_id.has_supersedes = true;
	m.id = wire_s("letter");
	short_id.id = wire_s("e");
	short_id.supersedes = m.id;
	rig_add(g, &m);
	rig_add(g, &short_id);
	msg.common.has_request_id = true;
	msg.common.request_id = wire_s("p");
	assert_int_equal(patched(g, &msg)->revision, 3);
	other.id = short_id.id;
	patched(g, &other);
	assert_int_equal(forgotten(g, short_id.id), 0);
	assert_true(rig_look(g, LOOK_ANSWERS) == 1.0);
	assert_int_equal(patched(g, &msg)->revision, 3); /* the stored answer; now it would be 4 */
}

/* Also an answer to a patch that changed nothing holds the text. */
static void no_answer_outlives_its_memory(void **s)
{
	struct rig *g = *s;
	struct msg_memory_patch msg = {.id = rig_say(g, "a secret")->id};

	msg.common.has_request_id = true;
	msg.common.request_id = wire_s("p");
	assert_int_equal(patched(g, &msg)->revision, 1);
	assert_int_equal(forgotten(g, msg.id), 0);
	assert_true(rig_look(g, LOOK_REQUESTS) == 1.0 && rig_look(g, LOOK_ANSWERS) == 0.0);
	assert_null(rig_try(g, MSG_memory_patch, &msg));
	assert_int_equal(g->r, TR_ENOTFOUND);
}

static void forget(void **s)
{
	struct rig *g = *s;
	wire_str gone = rig_say(g, "a secret about platypus")->id, stays = rig_say(g, "platypus in the zoo")->id;
	struct msg_memory_recall ask = {.has_q = true, .q = wire_s("platypus")};
	struct item_new_memory m = said("holy platypus");
	struct entangle_change pair = {.npartners = 1};
	int64_t a, b;

	m.has_sacred = m.sacred = true;
	rig_add(g, &m);
	rig_get(g, gone);
	a = g->answer.hits[0].memory;
	rig_get(g, stays);
	b = g->answer.hits[0].memory;
	pair.memory = a, pair.partner[0] = (struct entangle_partner){b, 2};
	archive_entangled(g->a, &pair);
	pair.memory = b, pair.partner[0] = (struct entangle_partner){a, 2};
	pair.phase = 0.5, pair.compared = 3;
	archive_entangled(g->a, &pair);
	rig_settle(g);
	assert_true(rig_look(g, LOOK_PAIRS) == 2.0);
	assert_int_equal(forgotten(g, gone), 0);
	assert_true(g->answer.nhits == 1 && g->answer.hits[0].memory == a && g->answer.hits[0].shown == NULL);
	assert_false(rig_try_get(g, gone));
	assert_int_equal(((const struct res_memory_recall *)rig_call(g, MSG_memory_recall, &ask))->memories.n, 2);
	assert_true(rig_look(g, LOOK_PAIRS) == 0.0);
	archive_entangled(g->a, &pair); /* noted before, written after: of one that has gone */
	rig_settle(g);
	assert_true(rig_look(g, LOOK_PAIRS) == 0.0);
	rig_figures_hold(g);
	assert_int_equal(forgotten(g, gone), TR_ENOTFOUND);
	assert_int_equal(forgotten(g, stays), 0);
	assert_int_equal(g->answer.hits[0].seen.compared, 3);
	m.has_sacred = false;
	assert_int_equal(forgotten(g, rig_add(g, &m)->id), TR_EREFUSED);
	assert_string_equal(g->fault.field, "sacred");
	rig_figures_hold(g);
}

static wire_str link_to(struct rig *g, const char *id, const char *older)
{
	struct item_new_memory m = said(id);

	m.has_id = true;
	m.id = wire_s(id);
	m.has_supersedes = older != NULL;
	m.supersedes = wire_s(older);
	rig_add(g, &m);
	return m.id;
}

static void a_chain_closes_over_the_gap(void **s)
{
	struct rig *g = *s;
	const struct item_memory *m;

	link_to(g, "one", NULL);
	link_to(g, "two", "one");
	link_to(g, "three", "two");
	assert_int_equal(forgotten(g, wire_s("two")), 0);
	m = rig_get(g, wire_s("one"));
	assert_true(m->has_superseded_by && same(m->superseded_by, "three") && m->revision == 3);
	m = rig_get(g, wire_s("three"));
	assert_true(m->has_supersedes && same(m->supersedes, "one"));
	assert_int_equal(forgotten(g, wire_s("one")), 0);
	assert_false(rig_get(g, wire_s("three"))->has_supersedes);
	/* two corrections of one: the other one still holds; then none does */
	link_to(g, "four", "three");
	link_to(g, "five", "three");
	assert_int_equal(forgotten(g, wire_s("five")), 0);
	assert_true(same(rig_get(g, wire_s("three"))->superseded_by, "four"));
	assert_int_equal(forgotten(g, wire_s("four")), 0);
	assert_false(rig_get(g, wire_s("three"))->has_superseded_by);
}

static void a_decision_goes_with_its_memory(void **s)
{
	struct rig *g = *s;
	struct msg_memory_decide msg = {.text = wire_s("Ship it."), .by = wire_s("meta_jr")};
	struct msg_memory_decisions list = {0};
	const struct res_memory_decide *res;

	msg.common.has_request_id = true;
	msg.common.request_id = wire_s("d");
	res = rig_call(g, MSG_memory_decide, &msg);
	assert_int_equal(forgotten(g, res->decision.memory_id), 0);
	assert_int_equal(((const struct res_memory_decisions *)rig_call(g, MSG_memory_decisions, &list))->decisions.n,
			 0);
	assert_true(rig_look(g, LOOK_DECISIONS) == 0.0);
	assert_true(rig_look(g, LOOK_REQUESTS) == 1.0 && rig_look(g, LOOK_ANSWERS) == 0.0);
	assert_null(rig_try(g, MSG_memory_decide, &msg));
	assert_int_equal(g->r, TR_ENOTFOUND);
}

static void explain(void **s)
{
	struct rig *g = *s;
	struct item_new_memory m = said("The boat is a good boat, she said of boats.");
	struct msg_memory_explain msg = {.has_q = true, .q = wire_s("Which boats did Amy sail, zanzibar?")};
	struct msg_memory_recall ask = {.has_q = true, .q = msg.q, .has_explain = true, .explain = true};
	const struct res_memory_recall *found;
	const struct res_memory_explain *res;
	const struct item_explanation *e;
	uint32_t i;

	m.has_speaker = m.has_sacred = m.sacred = true;
	m.speaker = wire_s("Amy");
	msg.id = rig_add(g, &m)->id;
	rig_say(g, "Sail a boat.");
	rig_say(g, "A house is no ship.");
	for (i = 0; i < 8; i++) {
		char text[32];

		snprintf(text, sizeof(text), "filler %u", i);
		rig_say(g, text);
	}
	rig_now += 2 * WEEK;
	res = rig_call(g, MSG_memory_explain, &msg);
	e = &res->memory.explanation;
	assert_true(res->memory.has_explanation && e->has_match && e->terms.n == 4);
	assert_true(same(e->terms.v[0].term, "boats") && e->terms.v[0].count == 3); /* by stems */
	assert_true(same(e->terms.v[1].term, "amy") && e->terms.v[1].count == 1);   /* the speaker */
	assert_true(same(e->terms.v[2].term, "sail") && e->terms.v[2].count == 0);
	assert_true(same(e->terms.v[3].term, "zanzibar") && e->terms.v[3].count == 0 && e->terms.v[3].weight == 0.0);
	assert_true(fabs(e->terms.v[0].weight - log(9.5 / 2.5)) < 1e-9); /* 2 of 11 */
	assert_true(fabs(e->terms.v[1].weight - log(10.5 / 1.5)) < 1e-9);
	assert_true(fabs(e->raw_temperature - 20.0) < 1e-6 && fabs(e->decayed_accesses - 0.25) < 1e-9);
	assert_true(fabs(e->idle_days - 14.0) < 1e-9 && e->half_life_days == 7.0 && e->floored && !e->superseded);
	found = rig_call(g, MSG_memory_recall, &ask);
	assert_int_equal(found->memories.n, 2);
	for (i = 0; i < 2; i++) { /* rank, score and match are those of the recall */
		const struct item_memory *f = &found->memories.v[i];

		msg.id = f->id;
		res = rig_call(g, MSG_memory_explain, &msg);
		assert_true(res->has_rank && res->rank == i + 1 && res->memory.score == f->score);
		assert_true(f->has_explanation && f->explanation.match == res->memory.explanation.match &&
			    f->explanation.match > 0.0 && f->explanation.terms.n == 4);
		assert_int_equal(f->explanation.floored, f->sacred);
		for (uint32_t k = 0; k < 4; k++) { /* weighed once for all of them, counted in each */
			const struct item_term *a = &f->explanation.terms.v[k],
					       *b = &res->memory.explanation.terms.v[k];

			assert_true(a->count == b->count && a->weight == b->weight);
		}
		assert_true(fabs(f->score - f->explanation.match / found->memories.v[0].explanation.match) < 1e-9);
	}
	msg.q = wire_s("zanzibar boats");
	msg.id = rig_say(g, "not about that")->id;
	res = rig_call(g, MSG_memory_explain,
		       &msg); /* does not match: the words and their weight are told all the same */
	e = &res->memory.explanation;
	assert_true(!res->has_rank && !e->has_match && e->terms.n == 2 && e->terms.v[1].count == 0 &&
		    e->terms.v[1].weight > 0.0 && !e->floored);
	msg.has_q = false;
	res = rig_call(g, MSG_memory_explain, &msg);
	assert_true(!res->has_rank && res->memory.explanation.terms.n == 0 && res->memory.access_count == 1);
	msg.id = wire_s("nobody");
	assert_null(rig_try(g, MSG_memory_explain, &msg));
	assert_int_equal(g->r, TR_ENOTFOUND);
}

#define T(name) cmocka_unit_test_setup_teardown(name, rig_setup, rig_teardown_sound)
int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		T(patch),
		T(a_patch_happens_once),
		T(answers_of_others_stay),
		T(no_answer_outlives_its_memory),
		T(forget),
		T(a_chain_closes_over_the_gap),
		T(a_decision_goes_with_its_memory),
		T(explain),
	};

	rig_choose(argc, argv);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
