/* Any archive: what is kept is what was said, effects happen once, batches, notes. */
#include "memory_rig.h"

#include "common/base/text.h"

static void a_memory_is_kept_as_said(void **s)
{
	struct rig *g = *s;
	struct item_new_memory m = said("Caroline painted a sunrise.");
	const wire_str tags[] = {wire_s("art"), wire_s("it's \"quoted\"")};
	msgpack_object_kv kv = {.key = {.type = MSGPACK_OBJECT_STR, .via.str = {5, "where"}},
				.val = {.type = MSGPACK_OBJECT_POSITIVE_INTEGER, .via.u64 = 7}};
	msgpack_object map = {.type = MSGPACK_OBJECT_MAP, .via.map = {1, &kv}};
	const struct item_added *added;
	const struct item_memory *got;

	m.has_tags = m.has_source = m.has_session = m.has_speaker = m.has_importance = m.has_at = m.has_metadata =
		m.has_id = true;
	m.id = wire_s("my-own");
	m.tags = (wire_strs){tags, 2};
	m.source = wire_s("chat");
	m.session = wire_s("s1");
	m.speaker = wire_s("Caroline");
	m.importance = 0.25;
	m.at = 1000;
	m.metadata = &map;
	added = rig_add(g, &m);
	assert_true(added->created && same(added->id, "my-own") && same(added->stage, "warm"));
	assert_true(added->temperature == 40.0);
	rig_reopen(g);
	got = rig_get(g, wire_s("my-own"));
	assert_true(same(got->content, "Caroline painted a sunrise.") && same(got->source, "chat") &&
		    same(got->session, "s1"));
	assert_true(same(got->speaker, "Caroline") && got->importance == 0.25 && got->has_at && got->at == 1000);
	assert_true(got->tags.n == 2 && same(got->tags.v[1], "it's \"quoted\""));
	assert_true(got->has_metadata && got->metadata->via.map.size == 1 &&
		    got->metadata->via.map.ptr[0].val.via.u64 == 7);
	assert_true(got->created_at == rig_now && got->access_count == 1 && got->revision == 1 &&
		    !got->has_phase_coherence);
	assert_false(rig_try_get(g, wire_s("nobody")));
	assert_int_equal(g->r, TR_ENOTFOUND);
}

static void the_same_said_again_heats(void **s)
{
	struct rig *g = *s;
	struct item_new_memory m = said("the sea is cold"), other;
	const struct item_added *first = rig_add(g, &m), *again;

	again = rig_add(g, &m);
	assert_true(!again->created && again->id.n == first->id.n &&
		    memcmp(again->id.p, first->id.p, first->id.n) == 0);
	assert_true(fabs(again->temperature - 50.0) < 1e-6);
	assert_int_equal(rig_get(g, first->id)->access_count, 2);
	/* each of source, session, speaker and at makes it another memory; absent is not empty */
	other = m, other.has_source = true, other.source = wire_s("a");
	assert_true(rig_add(g, &other)->created);
	other = m, other.has_session = true, other.session = wire_s("a");
	assert_true(rig_add(g, &other)->created);
	other = m, other.has_speaker = true, other.speaker = wire_s("a");
	assert_true(rig_add(g, &other)->created);
	other = m, other.has_at = true, other.at = 0;
	assert_true(rig_add(g, &other)->created);
	assert_false(rig_add(g, &other)->created);
	/* sacred is raised by a repetition and never lowered */
	other = m, other.has_sacred = true, other.sacred = true;
	assert_false(rig_add(g, &other)->created);
	assert_true(rig_get(g, first->id)->sacred);
	assert_false(rig_add(g, &m)->created);
	assert_true(rig_get(g, first->id)->sacred);
}

static void own_ids(void **s)
{
	struct rig *g = *s;
	struct item_new_memory m = said("one"), other = said("two"), free_id = said("one");

	m.has_id = other.has_id = true;
	m.id = other.id = wire_s("k");
	assert_true(rig_add(g, &m)->created);
	assert_false(rig_add(g, &m)->created);
	assert_int_equal(rig_get(g, m.id)->access_count, 1); /* the same call again changes nothing, heat neither */
	assert_false(rig_try_add(g, &other));
	assert_int_equal(g->r, TR_ECONFLICT);
	assert_string_equal(g->fault.field, "memories[0].id");
	assert_true(rig_add(g, &free_id)->created); /* a row with its own id is always a row */
	assert_true(rig_look(g, LOOK_MEMORIES) == 2.0);
}

static void a_list_is_all_or_nothing(void **s)
{
	struct rig *g = *s;
	struct item_new_memory v[3] = {said("first"), said("second"), said("third")};
	struct msg_memory_add msg = {.memories = {v, 3}};
	const struct res_memory_add *res;

	v[2].has_supersedes = true;
	v[2].supersedes = wire_s("nobody");
	assert_null(rig_try(g, MSG_memory_add, &msg));
	assert_int_equal(g->r, TR_EINVAL);
	assert_string_equal(g->fault.field, "memories[2].supersedes");
	assert_true(rig_look(g, LOOK_MEMORIES) == 0.0);
	assert_int_equal(rig_thermal(g, 0)->total_memories, 0);
	v[0].has_id = true;
	v[0].id = wire_s("old");
	v[2].supersedes = wire_s("old");
	res = rig_call(g, MSG_memory_add, &msg);
	assert_int_equal(res->memories.n, 3);
	assert_true(rig_get(g, wire_s("old"))->has_superseded_by);
	assert_int_equal(rig_get(g, wire_s("old"))->revision, 2);
	assert_true(same(rig_get(g, res->memories.v[2].id)->supersedes, "old"));
	msg.has_source = true; /* the call's source is given to those without one */
	msg.source = wire_s("file");
	v[2].has_source = true;
	v[2].source = wire_s("mine");
	v[2].has_supersedes = v[0].has_id = false;
	res = rig_call(g, MSG_memory_add, &msg);
	assert_true(same(rig_get(g, res->memories.v[1].id)->source, "file") &&
		    same(rig_get(g, res->memories.v[2].id)->source, "mine"));
}

static void a_request_happens_once(void **s)
{
	struct rig *g = *s;
	struct item_new_memory m = said("tell me once");
	struct msg_memory_add msg = {.memories = {&m, 1}};
	const struct res_memory_add *res;
	wire_str id;

	msg.common.has_request_id = true;
	msg.common.request_id = wire_s("r1");
	res = rig_call(g, MSG_memory_add, &msg);
	assert_true(res->memories.v[0].created);
	id = res->memories.v[0].id;
	rig_reopen(g);
	rig_now += HOUR;
	msg.common.has_deadline_ms = true; /* how long the caller waits is no part of what is asked */
	msg.common.deadline_ms = 77;
	res = rig_call(g, MSG_memory_add, &msg);
	assert_true(res->memories.v[0].created &&
		    res->memories.v[0].temperature == 40.0); /* the stored answer, not a new one */
	assert_true(res->memories.v[0].id.n == id.n && memcmp(res->memories.v[0].id.p, id.p, id.n) == 0);
	assert_true(same(res->memories.v[0].stage, "warm"));
	assert_int_equal(rig_get(g, id)->access_count, 1);
	m = said("something else");
	assert_null(rig_try(g, MSG_memory_add, &msg));
	assert_int_equal(g->r, TR_EMISMATCH);
	/* a call that failed leaves nothing behind: its id is free */
	msg.common.request_id = wire_s("r2");
	m.has_supersedes = true;
	m.supersedes = wire_s("nobody");
	assert_null(rig_try(g, MSG_memory_add, &msg));
	m.has_supersedes = false;
	rig_call(g, MSG_memory_add, &msg);
}

struct answered {
	int r, *left;
	bool created;
	char id[TR_ID_LEN];
};

static void many_answered(void *arg, int r, const struct archive_answer *answer, const struct tr_fault *fault)
{
	struct answered *a = arg;

	(void)fault;
	a->r = r;
	--*a->left;
	if (r == 0) {
		const struct res_memory_add *res = answer->res;

		a->created = res->memories.v[0].created;
		tr_copy(a->id, sizeof(a->id), res->memories.v[0].id.p, res->memories.v[0].id.n);
	}
}

#define MANY 600
/* Neighbours in one commit: a bad one fails alone, the same request twice is one effect, and commits are shared. */
static void batches(void **s)
{
	struct rig *g = *s;
	static struct answered got[MANY];
	static struct item_new_memory m[MANY];
	static struct msg_memory_add msg[MANY];
	static msgpack_zone *zone[MANY];
	static char text[MANY][32];
	struct archive_stats before, after;
	int i, left = MANY;

	archive_stats(g->a, &before);
	for (i = 0; i < MANY; i++) {
		struct archive_ctx ctx = {zone[i] = msgpack_zone_new(1024), 0};

		snprintf(text[i], sizeof(text[i]), "fact number %d", i % 3 == 2 ? i - 1 : i);
		m[i] = said(text[i]);
		msg[i] = (struct msg_memory_add){.memories = {&m[i], 1}};
		msg[i].common.has_request_id = true; /* 1 and 2 of each three are the same request */
		msg[i].common.request_id = wire_s(text[i]);
		if (i % 3 == 0) {
			m[i].has_supersedes = i % 2 == 0;
			m[i].supersedes = wire_s("nobody");
		}
		got[i] = (struct answered){.left = &left};
		assert_int_equal(archive_call(g->a, MSG_memory_add, &msg[i], &ctx, many_answered, &got[i]), 0);
	}
	while (left > 0)
		uv_run(&g->loop, UV_RUN_ONCE);
	archive_stats(g->a, &after);
	for (i = 0; i < MANY; i++) {
		assert_int_equal(got[i].r, i % 6 == 0 ? TR_EINVAL : 0);
		if (i % 3 == 2)
			assert_string_equal(got[i].id, got[i - 1].id);
		if (got[i].r == 0)
			assert_int_equal(rig_get(g, wire_s(got[i].id))->access_count, 1);
		msgpack_zone_free(zone[i]);
	}
	assert_true(rig_look(g, LOOK_MEMORIES) == MANY / 3 + MANY / 6);
	assert_true(after.commits - before.commits < MANY / 4);
	assert_int_equal(rig_thermal(g, 0)->total_memories, MANY / 3 + MANY / 6);
}

static void deadlines_and_full_queues(void **s)
{
	struct rig *g = *s;
	struct item_new_memory m = said("too late");
	struct msg_memory_add msg = {.memories = {&m, 1}};
	struct msg_memory_recall ask = {.has_q = true, .q = wire_s("late")};
	struct archive_cfg cfg = rig_cfg(g);
	struct archive_ctx ctx = {g->zone, 0};
	int i, r = 0;

	assert_null(rig_call_until(g, MSG_memory_add, &msg, 1));
	assert_int_equal(g->r, TR_EDEADLINE);
	assert_null(rig_call_until(g, MSG_memory_recall, &ask, 1));
	assert_int_equal(g->r, TR_EDEADLINE);
	assert_true(rig_look(g, LOOK_MEMORIES) == 0.0);
	assert_int_equal(archive_call(g->a, MSG_ping, &ask, &ctx, rig_answered, g), TR_EMETHOD);
	archive_close(&g->a);
	cfg.max_waiting = 1;
	assert_int_equal(g->kind->open(&g->a, &cfg, NULL), 0);
	for (i = g->waiting = 0; i < 1000 && r == 0; i++) {
		r = archive_call(g->a, MSG_memory_add, &msg, &ctx, rig_answered, g);
		g->waiting += r == 0;
	}
	assert_int_equal(r, TR_EBUSY);
	archive_close(&g->a); /* answers what is waiting */
	assert_int_equal(g->waiting, 0);
	assert_int_equal(g->r, 0);
}

static void decisions(void **s)
{
	struct rig *g = *s;
	struct msg_memory_decide msg = {.text = wire_s("Ship on Friday."), .by = wire_s("meta_jr")};
	struct msg_memory_decisions list = {.has_limit = true, .limit = 10};
	const struct res_memory_decide *res = rig_call(g, MSG_memory_decide, &msg);
	const struct res_memory_decisions *all;
	const struct item_memory *memory = rig_get(g, res->decision.memory_id);

	assert_true(same(memory->content, "Ship on Friday.") && same(memory->source, "meta_jr"));
	assert_true(memory->tags.n == 1 && same(memory->tags.v[0], "decision"));
	rig_now += HOUR;
	msg.common.has_request_id = true;
	msg.common.request_id = wire_s("d");
	rig_call(g, MSG_memory_decide, &msg);
	rig_call(g, MSG_memory_decide, &msg); /* the same request */
	all = rig_call(g, MSG_memory_decisions, &list);
	assert_int_equal(all->decisions.n, 2);
	assert_true(all->decisions.v[0].at == rig_now && same(all->decisions.v[1].by, "meta_jr"));
	assert_true(same(all->decisions.v[0].text, "Ship on Friday."));
	list.has_since = true;
	list.since = rig_now;
	all = rig_call(g, MSG_memory_decisions, &list);
	assert_int_equal(all->decisions.n, 1);
}

static void notes_ride_along(void **s)
{
	struct rig *g = *s;
	const struct item_added *m = rig_say(g, "often read");
	struct entangle_change change = {.phase = 0.75, .compared = 2, .npartners = 2};
	struct item_recall_sample log = {rig_now, 1234, 5};
	struct res_memory_thermal map = {.total_memories = 1, .timestamp = rig_now};
	struct msg_memory_samples samples = {.has_recalls = true, .recalls = 10};
	const struct res_memory_samples *logged;
	struct archive_stats stats;

	rig_get(g, rig_say(g, "recalled with it")->id);
	change.partner[0] = (struct entangle_partner){g->answer.hits[0].memory, 3};
	change.partner[1] = (struct entangle_partner){99, 3}; /* of nobody */
	rig_get(g, m->id);
	change.memory = g->answer.hits[0].memory;
	rig_now += WEEK;
	archive_touch(g->a, change.memory, rig_now + DAY); /* from the future: capped */
	archive_touch(g->a, 424242, rig_now);              /* of nobody */
	archive_entangled(g->a, &change);
	archive_entangled(g->a, &change);
	archive_recalled(g->a, &log);
	archive_heat_map(g->a, &map);
	rig_settle(g);
	assert_int_equal(rig_get(g, m->id)->access_count, 2);
	assert_true(rig_get(g, m->id)->last_access == rig_now);
	assert_true(fabs(rig_get(g, m->id)->temperature - (40.0 + 10.0 * log2(1.5))) < 1e-6);
	assert_true(rig_look(g, LOOK_PAIRS) == 1.0 && rig_look(g, LOOK_PAIR_TIMES) == 6.0);
	logged = rig_call(g, MSG_memory_samples, &samples);
	assert_true(logged->recalls.n == 1 && logged->recalls.v[0].latency_us == 1234 &&
		    logged->recalls.v[0].sources == 5 && logged->recalls.v[0].at == log.at);
	assert_true(rig_look(g, LOOK_HEAT_MAPS) == 1.0);
	rig_reopen(g);
	archive_stats(g->a, &stats);
	assert_int_equal(stats.recalls_total, 1);
	assert_true(stats.phase_known == 1 && stats.phase_sum == 0.75 && stats.healthy && stats.notes_dropped == 0);
	assert_true(rig_get(g, m->id)->has_phase_coherence);
	assert_int_equal(g->answer.hits[0].seen.compared, 2);
}

/* Notes need no call to carry them, and closing loses none. */
static void notes_alone(void **s)
{
	struct rig *g = *s;
	const struct item_added *m = rig_say(g, "read, then closed");

	rig_get(g, m->id);
	archive_touch(g->a, g->answer.hits[0].memory, rig_now);
	rig_reopen(g);
	assert_int_equal(rig_get(g, m->id)->access_count, 2);
}

#define T(name) cmocka_unit_test_setup_teardown(name, rig_setup, rig_teardown_sound)
int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		T(a_memory_is_kept_as_said),
		T(the_same_said_again_heats),
		T(own_ids),
		T(a_list_is_all_or_nothing),
		T(a_request_happens_once),
		T(batches),
		T(deadlines_and_full_queues),
		T(decisions),
		T(notes_ride_along),
		T(notes_alone),
	};

	rig_choose(argc, argv);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
