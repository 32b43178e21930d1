/* Limits of memories and bytes a source, on any archive. */
#include "memory_rig.h"

#include "jrs/memory/archive/quota.h"

/* With these limits; it has counted by now. */
static void open_with(struct rig *g, uint64_t rows, uint64_t bytes)
{
	struct archive_cfg cfg = rig_cfg(g);
	struct quota_total total;
	uint64_t until = tr_mono_ms() + 20000;

	archive_close(&g->a);
	cfg.source_rows_max = rows;
	cfg.source_bytes_max = bytes;
	assert_int_equal(g->kind->open(&g->a, &cfg, NULL), 0);
	while (strcmp(g->kind->name, "double") != 0 &&
	       quota_look((struct sql_archive *)g->a, wire_s(NULL), &total) == TR_EBUSY) {
		assert_true(tr_mono_ms() < until);
		usleep(1000);
	}
}

static struct item_new_memory from(const char *source, const char *content)
{
	struct item_new_memory m = said(content);

	m.has_source = source != NULL;
	m.source = wire_s(source);
	return m;
}

static bool try_say(struct rig *g, const char *source, const char *content)
{
	const struct item_new_memory m = from(source, content);

	return rig_try_add(g, &m);
}

static void refused(struct rig *g, const char *source, const char *content, const char *field)
{
	if (try_say(g, source, content))
		fail_msg("\"%s\" was taken", content);
	assert_int_equal(g->r, TR_EQUOTA);
	assert_string_equal(g->fault.field, field);
}

static bool is_double(const struct rig *g)
{
	return strcmp(g->kind->name, "double") == 0;
}

static void each_source_has_its_own(void **s)
{
	struct rig *g = *s;

	open_with(g, 2, 0);
	assert_true(try_say(g, "a", "1") && try_say(g, "a", "2"));
	refused(g, "a", "3", "memories[0].source");
	if (!is_double(g)) /* it says which limit, whose, and what to do */
		assert_string_equal(g->fault.rule,
				    "would pass the limit of source \"a\": archive.source_rows_max is 2; "
				    "forget some of its memories or raise it");
	assert_true(try_say(g, "b", "1"));
	assert_true(try_say(g, NULL, "1") && try_say(g, NULL, "2")); /* without one: together one of their own */
	refused(g, NULL, "3", "memories[0].source");
	assert_true(try_say(g, "drill:1", "1") && try_say(g, "drill:1", "2") && try_say(g, "drill:2", "1"));
	refused(g, "drill:1", "3", "memories[0].source"); /* nobody gets round it by the name of a drill */
	assert_true(try_say(g, "a", "1"));                /* known: it heats, and takes no room */
	assert_int_equal(rig_thermal(g, 0)->total_memories, 5);
}

/* A long name in a fault: cut, and not within a character. */
static void a_fault_holds_a_long_name(void **s)
{
	struct rig *g = *s;
	char name[241];
	size_t i;

	for (i = 0; i < 240; i++)
		name[i] = i == 0 ? 'x' : i % 2 == 1 ? '\xc3' : '\xa9'; /* two bytes a letter, from an odd place on */
	name[239] = 'y';
	name[240] = '\0';
	open_with(g, 1, 4294967295u);
	assert_true(try_say(g, name, "1"));
	refused(g, name, "2", "memories[0].source");
	assert_true(tr_utf8_ok(g->fault.rule, strlen(g->fault.rule), NULL));
	if (!is_double(g))
		assert_non_null(strstr(g->fault.rule, "raise it"));
}

static void bytes_count_content_and_metadata(void **s)
{
	struct rig *g = *s;
	msgpack_object_kv kv = {.key = {.type = MSGPACK_OBJECT_STR, .via.str = {1, "k"}},
				.val = {.type = MSGPACK_OBJECT_STR, .via.str = {4, "vvvv"}}};
	msgpack_object map = {.type = MSGPACK_OBJECT_MAP, .via.map = {1, &kv}}; /* {"k":"vvvv"}: 12 bytes */
	struct msg_memory_patch patch = {.has_metadata = true, .metadata = &map};
	struct item_new_memory m = from("a", "twelve bytes");

	open_with(g, 0, 36);
	m.has_metadata = true;
	m.metadata = &map;
	patch.id = rig_add(g, &m)->id;
	assert_true(try_say(g, "a", "ten bytes."));
	refused(g, "a", "three", "memories[0].content"); /* 34 and 5 */
	assert_true(try_say(g, "a", "at"));
	kv.val.via.str.size = 3; /* less is always possible */
	rig_call(g, MSG_memory_patch, &patch);
	kv.val.via.str.size = 4;
	rig_call(g, MSG_memory_patch, &patch);
	kv.val.via.str = (msgpack_object_str){5, "vvvvv"};
	assert_null(rig_try(g, MSG_memory_patch, &patch));
	assert_int_equal(g->r, TR_EQUOTA);
	assert_string_equal(g->fault.field, "metadata");
	patch.has_importance = true; /* without the metadata the same patch is fine */
	patch.has_metadata = false;
	rig_call(g, MSG_memory_patch, &patch);
}

/* What passes the limit takes nothing with it: not its call's other memories, not its neighbours of the same commit. */
static void it_fails_alone(void **s)
{
	enum { N = 30 };
	struct rig *g = *s;
	struct item_new_memory m[3] = {from("a", "1"), from("a", "2"), from("a", "3")};
	struct msg_memory_add three = {.memories = {m, 3}};
	char text[N][16];
	int i, taken = 0;

	open_with(g, 2, 0);
	assert_null(rig_try(g, MSG_memory_add, &three));
	assert_int_equal(g->r, TR_EQUOTA);
	assert_string_equal(g->fault.field, "memories[2].source");
	assert_int_equal(rig_thermal(g, 0)->total_memories, 0);
	assert_true(try_say(g, "a", "1")); /* the two that came before it are not counted */
	for (i = 0; i < N; i++) {
		snprintf(text[i], sizeof(text[i]), "%d", i);
		taken += try_say(g, i % 2 == 0 ? "a" : "b", text[i]);
	}
	assert_int_equal(taken, 3);
	assert_int_equal(rig_thermal(g, 0)->total_memories, 4);
}

struct crowd {
	int waiting, taken, refused, other;
};
static void on_added(void *arg, int r, const struct archive_answer *answer, const struct tr_fault *fault)
{
	struct crowd *c = arg;

	(void)answer;
	(void)fault;
	c->waiting--;
	c->taken += r == 0;
	c->refused += r == TR_EQUOTA;
	c->other += r < 0 && r != TR_EQUOTA;
}

/* Many at once are one commit: the limit holds within it. */
static void it_holds_within_a_commit(void **s)
{
	enum { N = 200 };
	struct rig *g = *s;
	struct item_new_memory m[N];
	struct msg_memory_add msg[N];
	struct archive_ctx ctx = {g->zone, 0};
	struct crowd crowd = {0, 0, 0, 0};
	char text[N][16];
	int i;

	open_with(g, 25, 0);
	for (i = 0; i < N; i++) {
		snprintf(text[i], sizeof(text[i]), "%d", i);
		m[i] = from(i % 2 == 0 ? "a" : "b", text[i]);
		msg[i] = (struct msg_memory_add){.memories = {&m[i], 1}};
		crowd.waiting++;
		assert_int_equal(archive_call(g->a, MSG_memory_add, &msg[i], &ctx, on_added, &crowd), 0);
	}
	while (crowd.waiting > 0)
		uv_run(&g->loop, UV_RUN_ONCE);
	assert_true(crowd.taken == 50 && crowd.refused == N - 50 && crowd.other == 0);
	assert_int_equal(rig_thermal(g, 0)->total_memories, 50);
}

static void forgetting_makes_room(void **s)
{
	struct rig *g = *s;
	struct item_new_memory m = from("a", "1");
	struct msg_memory_forget forget = {0};
	struct msg_memory_import_begin begin = {.id = wire_s("imp"), .name = wire_s("f"), .size = 1};
	struct item_new_memory brought = from("a", "brought");
	struct msg_memory_add add = {.memories = {&brought, 1}, .has_import_id = true, .import_id = wire_s("imp")};
	struct msg_memory_import_undo undo = {.id = wire_s("imp")};

	open_with(g, 2, 100);
	forget.id = rig_add(g, &m)->id;
	rig_call(g, MSG_memory_import_begin, &begin);
	rig_call(g, MSG_memory_add, &add);
	refused(g, "a", "3", "memories[0].source");
	rig_call(g, MSG_memory_forget, &forget);
	assert_true(try_say(g, "a", "3"));
	refused(g, "a", "4", "memories[0].source");
	rig_call(g, MSG_memory_import_undo, &undo);
	assert_true(try_say(g, "a", "4"));
	refused(g, "a", "5", "memories[0].source");
}

/* What is there when the limit comes counts, and stays. */
static void it_holds_over_restarts(void **s)
{
	struct rig *g = *s;
	char text[16];
	int i;

	for (i = 0; i < 10; i++) {
		snprintf(text, sizeof(text), "%d", i);
		assert_true(try_say(g, "a", text));
	}
	open_with(g, 5, 0);
	refused(g, "a", "more", "memories[0].source");
	assert_int_equal(rig_thermal(g, 0)->total_memories, 10);
	open_with(g, 11, 0);
	assert_true(try_say(g, "a", "more"));
	refused(g, "a", "most", "memories[0].source");
	open_with(g, 0, 0);
	assert_true(try_say(g, "a", "most"));
}

/* A decision is a memory of whoever decided. */
static void decisions_count(void **s)
{
	struct rig *g = *s;
	struct msg_memory_decide decide = {.text = wire_s("so be it"), .by = wire_s("meta_jr")};

	open_with(g, 1, 0);
	rig_call(g, MSG_memory_decide, &decide);
	rig_call(g, MSG_memory_decide, &decide); /* the same text: one memory */
	decide.text = wire_s("and so be that");
	assert_null(rig_try(g, MSG_memory_decide, &decide));
	assert_int_equal(g->r, TR_EQUOTA);
	assert_string_equal(g->fault.field, "by");
}

static void restored_ones_count(void **s)
{
	struct rig *g = *s;
	struct list_record all;
	struct msg_memory_restore restore = {0};

	assert_true(try_say(g, "a", "1") && try_say(g, "a", "2"));
	all = rig_export(g, 10);
	rig_start_over(g);
	open_with(g, 1, 0);
	restore.records = all;
	assert_null(rig_try(g, MSG_memory_restore, &restore));
	assert_int_equal(g->r, TR_EQUOTA);
	assert_string_equal(g->fault.field, "records[1].source");
	restore.records.n = 1;
	rig_call(g, MSG_memory_restore, &restore);
	refused(g, "a", "3", "memories[0].source");
}

/* ---- running totals against a recount ---- */
static uint64_t seed = 42;

static unsigned rnd(unsigned n)
{
	seed = seed * 6364136223846793005u + 1442695040888963407u;
	return (unsigned)(seed >> 33) % n;
}

#define SOURCES 5
static const char *const sources[SOURCES] = {"a", "b", "c", "drill:1", NULL};

static void same_as_a_recount(struct rig *g)
{
	static const char count[] = "SELECT count(*) FROM thermal_memory_archive WHERE coalesce(source, '') = '%s'";
	static const char sum[] =
		"SELECT coalesce(sum(length(original_content) + coalesce(length(CAST(metadata AS text)), 0)), 0) "
		"FROM thermal_memory_archive WHERE coalesce(source, '') = '%s'";
	int i;

	for (i = 0; i < SOURCES; i++) {
		const char *name = sources[i] == NULL ? "" : sources[i];
		struct quota_total total;
		char sql[400];

		assert_int_equal(quota_look((struct sql_archive *)g->a, wire_s(sources[i]), &total), 0);
		snprintf(sql, sizeof(sql), count, name);
		assert_true((double)total.rows == rig_sql(g, sql));
		snprintf(sql, sizeof(sql), sum, name);
		assert_true((double)total.bytes == rig_sql(g, sql));
	}
}

static void some_change(struct rig *g, wire_str *ids, unsigned *n)
{
	msgpack_object_kv kv = {.key = {.type = MSGPACK_OBJECT_STR, .via.str = {3, "key"}},
				.val = {.type = MSGPACK_OBJECT_STR}};
	msgpack_object map = {.type = MSGPACK_OBJECT_MAP, .via.map = {1, &kv}};
	char text[64];
	unsigned at = *n == 0 ? 0 : rnd(*n);
	struct item_new_memory m;

	kv.val.via.str = (msgpack_object_str){rnd(40), "0123456789012345678901234567890123456789"};
	if (*n == 0 || (*n < 300 && rnd(3) != 0)) {
		snprintf(text, sizeof(text), "%u and %.*s", rnd(150), (int)rnd(30), "some more of it, and yet more");
		m = from(sources[rnd(SOURCES)], text);
		m.has_metadata = rnd(2) == 0;
		m.metadata = &map;
		if (rig_try_add(g, &m)) { /* known ones too: then the id stands there twice */
			const struct res_memory_add *res = g->res;

			ids[(*n)++] = res->memories.v[0].id;
		} else {
			assert_int_equal(g->r, TR_EQUOTA);
		}
	} else if (rnd(2) == 0) {
		struct msg_memory_patch patch = {.id = ids[at], .has_metadata = true, .metadata = &map};

		rig_try(g, MSG_memory_patch, &patch);
	} else {
		struct msg_memory_forget forget = {.id = ids[at]};

		rig_try(g, MSG_memory_forget, &forget);
		ids[at] = ids[--*n];
	}
}

static void totals_are_those_of_a_recount(void **s)
{
	struct rig *g = *s;
	static wire_str ids[1000];
	unsigned n = 0, turn, i;

	if (is_double(g)) /* it has no totals: it counts each time */
		skip();
	for (turn = 0; turn < 6; turn++) {
		open_with(g, 60, 2500);
		for (i = 0; i < 150; i++)
			some_change(g, ids, &n);
		same_as_a_recount(g);
	}
}

/* So many that counting them takes some time. */
static void fill(struct rig *g)
{
	enum { N = 9000 };
	static struct item_new_memory m[N];
	static char text[N][32];
	struct msg_memory_add add = {.memories = {m, N}};
	int i;

	for (i = 0; i < N; i++) {
		snprintf(text[i], sizeof(text[i]), "filling %d", i);
		m[i] = from(sources[i % SOURCES], text[i]);
	}
	rig_call(g, MSG_memory_add, &add);
}

/* Changes while the first count is under way are neither lost nor counted twice. */
static void totals_hold_from_the_start(void **s)
{
	struct rig *g = *s;
	struct archive_cfg cfg;
	static wire_str ids[1000];
	struct quota_total total;
	unsigned n = 0, turn, i;

	if (is_double(g))
		skip();
	fill(g);
	for (turn = 0; turn < 8; turn++) {
		cfg = rig_cfg(g);
		archive_close(&g->a);
		cfg.source_rows_max = 100000;
		assert_int_equal(g->kind->open(&g->a, &cfg, NULL), 0);
		for (i = 0; i < 60; i++)
			some_change(g, ids, &n);
		while (quota_look((struct sql_archive *)g->a, wire_s(NULL), &total) == TR_EBUSY)
			some_change(g, ids, &n);
		same_as_a_recount(g);
	}
}

#define T(name) cmocka_unit_test_setup_teardown(name, rig_setup, rig_teardown_sound)
int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		T(each_source_has_its_own),
		T(a_fault_holds_a_long_name),
		T(bytes_count_content_and_metadata),
		T(it_fails_alone),
		T(it_holds_within_a_commit),
		T(forgetting_makes_room),
		T(it_holds_over_restarts),
		T(decisions_count),
		T(restored_ones_count),
		T(totals_are_those_of_a_recount),
		T(totals_hold_from_the_start),
	};

	rig_choose(argc, argv);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
