/* Forgetting that says when it is purged, on any archive. What is left in SQLite's files then: test_purge.c. */
#include "memory_rig.h"

static const struct res_memory_forget *forgotten(struct rig *g, const struct msg_memory_forget *msg)
{
	return rig_call(g, MSG_memory_forget, msg);
}

static void now_means_purged(void **s)
{
	struct rig *g = *s;
	struct msg_memory_forget msg = {.id = rig_say(g, "soon")->id};
	const struct res_memory_forget *res;
	int i;

	assert_false(forgotten(g, &msg)->has_purged);
	for (i = 0; i < 3; i++) {
		msg = (struct msg_memory_forget){.id = rig_say(g, "at once")->id, .has_now = true, .now = true};
		rig_say(g, "stays");
		res = forgotten(g, &msg);
		assert_true(res->id.n == msg.id.n && memcmp(res->id.p, msg.id.p, msg.id.n) == 0 && res->has_purged && res->purged);
		assert_false(rig_try_get(g, msg.id));
	}
	msg.now = false;
	msg.id = rig_say(g, "later")->id;
	assert_false(forgotten(g, &msg)->has_purged);
	msg.now = true;
	assert_null(rig_try(g, MSG_memory_forget, &msg));
	assert_int_equal(g->r, TR_ENOTFOUND);
	assert_int_equal(rig_thermal(g, 0)->total_memories, 1);
}

/* The same request again is the same effect, and it waits for the purge as the first one did. */
static void it_is_purged_once(void **s)
{
	struct rig *g = *s;
	struct msg_memory_forget msg = {.id = rig_say(g, "once")->id, .has_now = true, .now = true};
	int i;

	msg.common.has_request_id = true;
	msg.common.request_id = wire_s("f");
	for (i = 0; i < 3; i++) {
		assert_true(forgotten(g, &msg)->purged);
		if (i == 1)
			rig_reopen(g);
	}
	msg.common.request_id = wire_s("other");
	assert_null(rig_try(g, MSG_memory_forget, &msg));
	assert_int_equal(g->r, TR_ENOTFOUND);
}

/* Who cannot wait is told the truth: forgotten, and by then purged or not yet. */
static void nobody_waits_past_the_deadline(void **s)
{
	struct rig *g = *s;
	struct msg_memory_forget msg = {.id = rig_say(g, "hurry")->id, .has_now = true, .now = true};
	uint64_t deadline = tr_mono_ms() + 3000;

	assert_true(
		((const struct res_memory_forget *)rig_call_until(g, MSG_memory_forget, &msg, deadline))->has_purged);
	assert_true(tr_mono_ms() < deadline);
	assert_false(rig_try_get(g, msg.id));
}

/* A patch that says nothing is answered with the memory; that answer is forgotten with it. */
static void an_empty_patch_keeps_no_text(void **s)
{
	struct rig *g = *s;
	struct msg_memory_patch msg = {.id = rig_say(g, "to be looked at")->id};
	struct msg_memory_forget forget = {.id = msg.id};

	msg.common.has_request_id = true;
	msg.common.request_id = wire_s("p");
	rig_call(g, MSG_memory_patch, &msg);
	rig_call(g, MSG_memory_patch, &msg);
	rig_call(g, MSG_memory_forget, &forget);
	assert_true(rig_look(g, LOOK_ANSWERS) == 0.0);
	assert_null(rig_try(g, MSG_memory_patch, &msg));
	assert_int_equal(g->r, TR_ENOTFOUND);
}

/* On a server: rows that nobody sees any more are taken out of their pages. */
static void a_server_is_cleaned(void **s)
{
	static const char dead[] =
		"SELECT count(*) - (SELECT count(*) FROM thermal_memory_archive) "
		"FROM generate_series(0, pg_relation_size('thermal_memory_archive') / 8192 - 1) AS b, "
		"heap_page_items(get_raw_page('thermal_memory_archive', b::int)) WHERE lp_flags = 1";
	struct rig *g = *s;
	struct msg_memory_forget msg = {0};
	wire_str id[2];

	if (strcmp(g->kind->name, "postgresql") != 0)
		skip();
	rig_sql(g, "CREATE EXTENSION IF NOT EXISTS pageinspect");
	rig_sql(g, "ALTER TABLE thermal_memory_archive SET (autovacuum_enabled = off)");
	id[0] = rig_say(g, "not at once")->id;
	id[1] = rig_say(g, "at once")->id;
	msg.id = id[0];
	rig_call(g, MSG_memory_forget, &msg);
	assert_true(rig_sql(g, dead) > 0.0);
	msg = (struct msg_memory_forget){.id = id[1], .has_now = true, .now = true};
	assert_true(forgotten(g, &msg)->purged);
	assert_true(rig_sql(g, dead) == 0.0);
	assert_true(rig_sql(g, "SELECT value FROM counters WHERE name = 'purge_due'") == 0.0);
}

#define T(name) cmocka_unit_test_setup_teardown(name, rig_setup, rig_teardown_sound)
int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		T(now_means_purged),           T(it_is_purged_once),   T(nobody_waits_past_the_deadline),
		T(an_empty_patch_keeps_no_text), T(a_server_is_cleaned),
	};

	rig_choose(argc, argv);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
