/* Export and restore, imports and their undoing, on any archive. */
#include "memory_kinds.h"

static void there_and_back(void **s)
{
	struct rig *g = *s;
	msgpack_sbuffer first, pages, second;
	struct msg_memory_restore msg = {0};
	struct res_memory_restore res;
	struct msg_memory_decisions list = {0};
	const struct res_memory_decisions *log;
	uint32_t i, pairs = 0;
	double mean;

	all_kinds(g);
	export_all(g, 1000, &first);
	export_all(g, 2, &pages); /* however it is cut */
	assert_true(first.size == pages.size && memcmp(first.data, pages.data, first.size) == 0);
	mean = rig_thermal(g, 0)->average_temperature;
	msg.records = unpacked(g, &first);
	assert_int_equal(msg.records.n, 14);
	for (i = 0; i < msg.records.n; i++)
		pairs += msg.records.v[i].company.n;
	assert_int_equal(pairs, 4);
	rig_start_over(g);
	res = restored(g, &msg);
	assert_true(res.added == 13 && res.known == 1); /* the second decision is of a known memory */
	assert_int_equal(g->answer.nhits, 1);
	export_all(g, 3, &second);
	assert_true(first.size == second.size && memcmp(first.data, second.data, first.size) == 0);
	assert_true(fabs(rig_thermal(g, 0)->average_temperature - mean) < 1e-9);
	assert_int_equal(rig_thermal(g, 0)->sacred_count, 1);
	log = rig_call(g, MSG_memory_decisions,
		       &list); /* in the order of deciding, whatever the order of the records */
	assert_int_equal(log->decisions.n, 3);
	assert_true(same(log->decisions.v[0].text, "Decided.") && same(log->decisions.v[1].text, "Then this.") &&
		    same(log->decisions.v[2].text, "Decided."));
	rig_figures_hold(g);
	/* what is known stays as it is, and is not heated; an identity said anew is the restored one */
	rig_now += DAY;
	res = restored(g, &msg);
	assert_true(res.added == 0 && res.known == 14);
	msgpack_sbuffer_destroy(&pages);
	export_all(g, 7, &pages);
	assert_true(first.size == pages.size && memcmp(first.data, pages.data, first.size) == 0);
	assert_false(rig_say(g, "a correction")->created);
	msgpack_sbuffer_destroy(&first);
	msgpack_sbuffer_destroy(&pages);
	msgpack_sbuffer_destroy(&second);
}

static void what_cannot_be_is_refused(void **s)
{
	struct rig *g = *s;
	double now = (double)rig_now / (double)WEEK;
	struct item_record good = {.content = wire_s("x"),
				   .has_id = true,
				   .id = wire_s("r"),
				   .own_id = true,
				   .heat_key = now,
				   .access_count = 1,
				   .created_at = rig_now,
				   .last_access = rig_now,
				   .revision = 1},
			   bad;
	struct msg_memory_restore msg = {.records = {&bad, 1}};

#define REFUSED(change, where)                                            \
	do {                                                              \
		bad = good;                                               \
		change;                                                   \
		assert_null(rig_try(g, MSG_memory_restore, &msg));        \
		assert_int_equal(g->r, TR_EINVAL);                        \
		assert_string_equal(g->fault.field, "records[0]." where); \
	} while (0)
	REFUSED(bad.has_id = false, "id");
	REFUSED(bad.heat_key = now + 0.01, "heat_key");
	REFUSED(bad.heat_key = now - 0.01, "heat_key");
	REFUSED(bad.heat_key = (double)NAN, "heat_key");
	REFUSED(bad.heat_key = (double)INFINITY, "heat_key");
	REFUSED((bad.access_count = 2, bad.heat_key = now + 1.01), "heat_key");
	REFUSED(bad.access_count = UINT64_MAX, "access_count");
	REFUSED(bad.created_at = rig_now + 1, "last_access");
	REFUSED(bad.created_at = -1, "created_at");
	REFUSED((bad.last_access += 2 * DAY, bad.heat_key += 2.0 / 7), "last_access");
	REFUSED(bad.has_decision_id = true, "decision_id");
	assert_true(rig_look(g, LOOK_MEMORIES) == 0.0);
	bad = good;
	bad.access_count = 2, bad.heat_key = now + 1.0;
	assert_int_equal(restored(g, &msg).added, 1);
	assert_true(fabs(rig_get(g, wire_s("r"))->temperature - 50.0) < 1e-6);
	/* the same request again is the same answer */
	bad.id = wire_s("r2");
	msg.common.has_request_id = true, msg.common.request_id = wire_s("q");
	assert_int_equal(restored(g, &msg).added, 1);
	assert_int_equal(restored(g, &msg).added, 1);
	/* without an id of its own: one with the same identity is known */
	msg.common.has_request_id = false;
	bad.own_id = false, bad.id = wire_s("r3");
	assert_int_equal(restored(g, &msg).added, 1);
	bad.id = wire_s("r4");
	assert_int_equal(restored(g, &msg).known, 1);
	assert_false(rig_say(g, "x")->created);
}

static struct item_import import_of(struct rig *g)
{
	struct msg_memory_imports msg = {.has_limit = true, .limit = 1};
	const struct res_memory_imports *res = rig_call(g, MSG_memory_imports, &msg);

	assert_int_equal(res->imports.n, 1);
	return res->imports.v[0];
}

static void an_import(void **s)
{
	struct rig *g = *s;
	struct msg_memory_import_begin begin = {.id = wire_s("i"), .name = wire_s("notes.md"), .size = 100};
	struct item_new_memory m[3] = {said("piece one"), said("piece two"), said("known before")};
	struct msg_memory_add add = {.memories = {m, 3}, .has_import_id = true, .import_id = wire_s("i")};
	struct item_import i;

	assert_null(rig_try(g, MSG_memory_add, &add));
	assert_true(g->r == TR_ENOTFOUND && strcmp(g->fault.field, "import_id") == 0);
	rig_say(g, "known before");
	i = ((const struct res_memory_import_begin *)rig_call(g, MSG_memory_import_begin, &begin))->import;
	assert_true(same(i.id, "i") && same(i.name, "notes.md") && i.size == 100 && i.position == 0 && !i.has_finished);
	add.has_import_position = add.has_import_skipped = true;
	add.import_position = 60, add.import_skipped = 4;
	add.common.has_request_id = true, add.common.request_id = wire_s("piece");
	rig_call(g, MSG_memory_add, &add);
	rig_call(g, MSG_memory_add, &add); /* the same piece again counts once */
	rig_reopen(g);
	i = ((const struct res_memory_import_begin *)rig_call(g, MSG_memory_import_begin, &begin))->import;
	assert_true(i.position == 60 && i.added == 2 && i.known == 1 && i.skipped == 4 && !i.has_finished);
	begin.size = 99;
	assert_null(rig_try(g, MSG_memory_import_begin, &begin));
	assert_int_equal(g->r, TR_ECONFLICT);
	/* nothing to add, only a position; it never falls, and the end finishes */
	add.memories.n = 0;
	add.common.has_request_id = false;
	add.import_position = 20, add.import_skipped = 1;
	rig_call(g, MSG_memory_add, &add);
	i = import_of(g);
	assert_true(i.position == 60 && i.skipped == 5 && i.added == 2);
	add.import_position = 101;
	assert_null(rig_try(g, MSG_memory_add, &add));
	assert_true(g->r == TR_EINVAL && strcmp(g->fault.field, "import_position") == 0);
	add.import_position = 100;
	rig_now += 5;
	rig_call(g, MSG_memory_add, &add);
	i = import_of(g);
	assert_true(i.position == 100 && i.has_finished && i.finished == rig_now);
	add.has_import_id = false;
	assert_null(rig_try(g, MSG_memory_add, &add)); /* nothing at all */
	assert_true(g->r == TR_EINVAL && strcmp(g->fault.field, "memories") == 0);
	add.memories.n = 1;
	assert_null(rig_try(g, MSG_memory_add, &add));
	assert_true(g->r == TR_EINVAL && strcmp(g->fault.field, "import_position") == 0);
}

#define BROUGHT 2500
static void an_import_is_undone(void **s)
{
	struct rig *g = *s;
	struct msg_memory_import_begin begin = {.id = wire_s("i"), .name = wire_s("f"), .size = 10};
	struct msg_memory_import_undo undo = {.id = wire_s("i")};
	static struct item_new_memory m[BROUGHT];
	static char text[BROUGHT][32];
	struct msg_memory_add add = {.memories = {m, BROUGHT},
				     .has_import_id = true,
				     .import_id = wire_s("i"),
				     .has_import_position = true,
				     .import_position = 10};
	const struct res_memory_import_undo *res;
	uint64_t removed = 0;
	char name[16];
	int i, calls;

	for (i = 0; i < BROUGHT; i++) {
		snprintf(text[i], sizeof(text[i]), "line %d", i);
		m[i] = said(text[i]);
		m[i].has_sacred = m[i].sacred = i % 500 == 0;
	}
	rig_say(g, "line 7"); /* not the import's */
	rig_call(g, MSG_memory_import_begin, &begin);
	add.common.has_request_id = true,
	add.common.request_id = wire_s("piece"); /* as an importer would: always the same */
	rig_call(g, MSG_memory_add, &add);
	for (calls = 1; calls < 100; calls++) {
		undo.common.has_request_id = true;
		snprintf(name, sizeof(name), "u%d", calls);
		undo.common.request_id = wire_s(name);
		res = rig_call(g, MSG_memory_import_undo, &undo);
		assert_true(res->removed <= 200 && res->kept == 5);
		removed += res->removed;
		if (calls == 1) {
			assert_false(rig_say(g, "line 2400")->created); /* the oldest go first */
			rig_call(g, MSG_memory_import_undo, &undo);     /* the same request removes nothing more */
			assert_int_equal(rig_thermal(g, 0)->total_memories, BROUGHT - 200);
			add.common.has_request_id = false;
			assert_null(rig_try(g, MSG_memory_add, &add)); /* half undone is not resumed */
			assert_int_equal(g->r, TR_ECONFLICT);
		}
		if (!res->more)
			break;
	}
	assert_true(calls == 13 && removed == BROUGHT - 6);
	assert_true(import_of(g).has_undone && import_of(g).has_finished);
	assert_int_equal(rig_thermal(g, 0)->total_memories, 6);
	assert_int_equal(rig_thermal(g, 0)->sacred_count, 5);
	rig_figures_hold(g);
	assert_int_equal(rig_thermal(g, 0)->total_memories, 6);
	/* and once more from the beginning */
	rig_call(g, MSG_memory_import_begin, &begin);
	assert_true(import_of(g).position == 0 && !import_of(g).has_undone && !import_of(g).has_finished);
	add.common.has_request_id = true;
	rig_call(g, MSG_memory_add, &add);
	assert_true(import_of(g).added == BROUGHT - 6 && import_of(g).known == 6 && import_of(g).has_finished);
	undo.id = wire_s("nobody");
	undo.common.has_request_id = false;
	assert_null(rig_try(g, MSG_memory_import_undo, &undo));
	assert_int_equal(g->r, TR_ENOTFOUND);
}

/* A restore that belongs to an import: what it took is the import's. */
static void a_restore_is_undone(void **s)
{
	struct rig *g = *s;
	struct msg_memory_import_begin begin = {.id = wire_s("i"), .name = wire_s("f"), .size = 1};
	struct msg_memory_import_undo undo = {.id = wire_s("i")};
	struct msg_memory_restore msg = {
		.has_import_id = true, .import_id = wire_s("i"), .has_import_position = true, .import_position = 1};
	msgpack_sbuffer packed;

	all_kinds(g);
	export_all(g, 1000, &packed);
	msg.records = unpacked(g, &packed);
	msgpack_sbuffer_destroy(&packed);
	rig_start_over(g);
	rig_call(g, MSG_memory_import_begin, &begin);
	restored(g, &msg);
	assert_true(import_of(g).added == 13 && import_of(g).known == 1 && import_of(g).has_finished);
	rig_call(g, MSG_memory_import_undo, &undo);
	assert_int_equal(rig_thermal(g, 0)->total_memories, 1); /* the sacred one */
	assert_true(rig_look(g, LOOK_DECISIONS) == 0.0);
}

#define T(name) cmocka_unit_test_setup_teardown(name, rig_setup, rig_teardown_sound)
int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		T(there_and_back),      T(what_cannot_be_is_refused), T(an_import),
		T(an_import_is_undone), T(a_restore_is_undone),
	};

	rig_choose(argc, argv);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
