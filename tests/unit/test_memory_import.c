/* Export and restore, imports and their undoing, and an archive of the first schema. */
#include "memory_rig.h"

#include "jrs/memory/archive/schema.h"

/* All pages of an export, packed one behind the other. */
static void export_all(struct rig *g, uint32_t limit, msgpack_sbuffer *out)
{
	struct msg_memory_export msg = {.has_limit = true, .limit = limit};
	const struct res_memory_export *res;
	uint32_t i;

	msgpack_sbuffer_init(out);
	do {
		res = rig_call(g, MSG_memory_export, &msg);
		assert_true(res->records.n > 0 || !res->has_next);
		for (i = 0; i < res->records.n; i++)
			assert_int_equal(wire_encode(out, &wire_shape_record, &res->records.v[i]), 0);
		msg.has_after = true;
		msg.after = res->next;
	} while (res->has_next);
}

/* What export_all() packed, as the records of one call; in the rig's zone. */
static struct list_record unpacked(struct rig *g, const msgpack_sbuffer *sb)
{
	static struct item_record v[1000];
	struct list_record list = {v, 0};
	char *bytes = msgpack_zone_malloc(g->zone, sb->size); /* the objects borrow from it */
	size_t off = 0;
	msgpack_object o;

	assert_non_null(bytes);
	memcpy(bytes, sb->data, sb->size);
	while (off < sb->size) {
		msgpack_unpack_return r = msgpack_unpack(bytes, sb->size, &off, g->zone, &o);

		assert_true(r == MSGPACK_UNPACK_SUCCESS || r == MSGPACK_UNPACK_EXTRA_BYTES);
		assert_int_equal(wire_decode(&wire_shape_record, &o, g->zone, &v[list.n++], NULL), 0);
	}
	return list;
}

static struct res_memory_restore restored(struct rig *g, const struct msg_memory_restore *msg)
{
	return *(const struct res_memory_restore *)rig_call(g, MSG_memory_restore, msg);
}

/* Memories of every kind, some used, superseded, sacred, decided (twice), drilled, with a known company. */
static void all_kinds(struct rig *g)
{
	const wire_str tags[] = {wire_s("one"), wire_s("t\xc3\xa9l\xc3\xa9")};
	msgpack_object_kv kv[2] = {
		{.key = {.type = MSGPACK_OBJECT_STR, .via.str = {1, "z"}},
		 .val = {.type = MSGPACK_OBJECT_FLOAT64, .via.f64 = 0.1}},
		{.key = {.type = MSGPACK_OBJECT_STR, .via.str = {1, "a"}}, .val = {.type = MSGPACK_OBJECT_NIL}}};
	msgpack_object map = {.type = MSGPACK_OBJECT_MAP, .via.map = {2, kv}};
	struct msg_memory_decide decide = {.text = wire_s("Decided."), .by = wire_s("meta_jr")};
	struct msg_memory_decide other = {.text = wire_s("Then this."), .by = wire_s("meta_jr")};
	struct item_new_memory m = said("full of everything"), d = said("drill load");
	struct msg_memory_import_begin begin = {.id = wire_s("imp"), .name = wire_s("f"), .size = 10};
	struct item_new_memory by_import = said("came by import");
	struct msg_memory_add add = {.memories = {&by_import, 1}, .has_import_id = true, .import_id = wire_s("imp")};
	struct entangle_change change = {.phase = 1.0 / 3.0, .compared = 3};
	char text[32];
	int i;

	m.has_tags = m.has_source = m.has_session = m.has_speaker = m.has_importance = m.has_at = m.has_metadata =
		m.has_id = m.has_sacred = m.sacred = true;
	m.id = wire_s("own"), m.tags = (wire_strs){tags, 2}, m.source = wire_s("src"), m.session = wire_s("ses");
	m.speaker = wire_s("Amy"), m.importance = 0.1, m.at = -5, m.metadata = &map;
	rig_add(g, &m);
	rig_get(g, m.id);
	change.memory = g->answer.hits[0].memory;
	archive_entangled(g->a, &change);
	for (i = 0; i < 20; i++) {
		rig_now += HOUR * 7;
		snprintf(text, sizeof(text), "thing %d", i * i % 7);
		rig_say(g, text);
	}
	m = said("a correction");
	m.has_supersedes = true;
	m.supersedes = rig_say(g, "thing 0")->id;
	rig_add(g, &m);
	rig_call(g, MSG_memory_decide, &decide);
	rig_now += DAY;
	rig_call(g, MSG_memory_decide, &other);
	rig_now += DAY;
	rig_call(g, MSG_memory_decide, &decide); /* the same again: one memory, two lines of the log */
	rig_call(g, MSG_memory_import_begin, &begin);
	rig_call(g, MSG_memory_add, &add);
	d.has_source = true, d.source = wire_s("drill:1");
	rig_add(g, &d);
	rig_settle(g);
}

/* The one before stays beside it. */
static void a_fresh_archive(struct rig *g)
{
	char name[120];

	archive_close(&g->a);
	snprintf(name, sizeof(name), "%s-wal", g->path);
	assert_int_not_equal(access(name, F_OK), 0);
	snprintf(name, sizeof(name), "%s.before", g->path);
	assert_int_equal(rename(g->path, name), 0);
	assert_int_equal(rig_open_again(g, NULL), 0);
}

/* Row by row and column by column, but for their numbers. */
static void as_before(struct rig *g, const char *table, const char *columns)
{
	static const char *const order[2][2] = {{"now", "before"}, {"before", "now"}};
	sqlite3 *db = NULL;
	sqlite3_stmt *st = NULL;
	char sql[1000];
	int i;

	assert_int_equal(sqlite3_open(":memory:", &db), SQLITE_OK);
	snprintf(sql, sizeof(sql), "ATTACH '%s' AS now; ATTACH '%s.before' AS before", g->path, g->path);
	assert_int_equal(sqlite3_exec(db, sql, NULL, NULL, NULL), SQLITE_OK);
	for (i = 0; i < 2; i++) {
		snprintf(sql, sizeof(sql), "SELECT count(*) FROM (SELECT %s FROM %s.%s EXCEPT SELECT %s FROM %s.%s)",
			 columns, order[i][0], table, columns, order[i][1], table);
		assert_int_equal(sqlite3_prepare_v2(db, sql, -1, &st, NULL), SQLITE_OK);
		assert_int_equal(sqlite3_step(st), SQLITE_ROW);
		/* the drill's row is left out, on purpose */
		assert_int_equal(sqlite3_column_int(st, 0), i == 1 && strcmp(table, "decisions") != 0);
		sqlite3_finalize(st);
	}
	sqlite3_close(db);
}

static void there_and_back(void **s)
{
	struct rig *g = *s;
	msgpack_sbuffer first, pages, second;
	struct msg_memory_restore msg = {0};
	struct res_memory_restore res;
	struct msg_memory_decisions list = {0};
	const struct res_memory_decisions *log;
	double mean;

	all_kinds(g);
	export_all(g, 1000, &first);
	export_all(g, 2, &pages); /* however it is cut */
	assert_true(first.size == pages.size && memcmp(first.data, pages.data, first.size) == 0);
	mean = rig_thermal(g, 0)->average_temperature;
	msg.records = unpacked(g, &first);
	assert_int_equal(msg.records.n, 11);
	a_fresh_archive(g);
	res = restored(g, &msg);
	assert_true(res.added == 10 && res.known == 1); /* the second decision is of a known memory */
	assert_int_equal(g->answer.nhits, 1);
	as_before(
		g, "thermal_memory_archive",
		"id, memory_hash, identity, heat_key, access_count, created_at, last_access, occurred_at, importance, "
		"sacred_pattern, phase_coherence, phase_count, revision, supersedes, superseded_by, source, session, "
		"speaker, tags, metadata, original_content, import_id");
	as_before(g, "decisions", "id, memory_id, decided_by, decided_at");
	export_all(g, 3, &second);
	assert_true(first.size == second.size && memcmp(first.data, second.data, first.size) == 0);
	assert_true(fabs(rig_thermal(g, 0)->average_temperature - mean) < 1e-9);
	assert_int_equal(rig_thermal(g, 0)->sacred_count, 1);
	log = rig_call(g, MSG_memory_decisions,
		       &list); /* in the order of deciding, whatever the order of the records */
	assert_int_equal(log->decisions.n, 3);
	assert_true(same(log->decisions.v[0].text, "Decided.") && same(log->decisions.v[1].text, "Then this.") &&
		    same(log->decisions.v[2].text, "Decided."));
	assert_int_equal(rig_exec(g, "DELETE FROM thermal_memory_archive WHERE sacred_pattern = 1"), SQLITE_CONSTRAINT);
	assert_int_equal(rig_exec(g, "INSERT INTO memory_words(memory_words, rank) VALUES('integrity-check', 1)"),
			 SQLITE_OK);
	/* what is known stays as it is, and is not heated; an identity said anew is the restored one */
	rig_now += DAY;
	res = restored(g, &msg);
	assert_true(res.added == 0 && res.known == 11);
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
	assert_true(rig_sql(g, "SELECT count(*) FROM thermal_memory_archive") == 0.0);
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
	for (calls = 1;; calls++) {
		undo.common.has_request_id = true;
		undo.common.request_id = wire_s(calls == 1 ? "u1" : calls == 2 ? "u2" : "u3");
		res = rig_call(g, MSG_memory_import_undo, &undo);
		assert_true(res->removed <= 1000 && res->kept == 5);
		removed += res->removed;
		if (calls == 1) {
			assert_false(rig_say(g, "line 2400")->created); /* the oldest go first */
			rig_call(g, MSG_memory_import_undo, &undo);     /* the same request removes nothing more */
			assert_int_equal(rig_thermal(g, 0)->total_memories, BROUGHT - 1000);
			add.common.has_request_id = false;
			assert_null(rig_try(g, MSG_memory_add, &add)); /* half undone is not resumed */
			assert_int_equal(g->r, TR_ECONFLICT);
		}
		if (!res->more)
			break;
	}
	assert_true(calls == 3 && removed == BROUGHT - 6);
	assert_true(import_of(g).has_undone && import_of(g).has_finished);
	assert_int_equal(rig_thermal(g, 0)->total_memories, 6);
	assert_int_equal(rig_thermal(g, 0)->sacred_count, 5);
	assert_int_equal(rig_exec(g, "INSERT INTO memory_words(memory_words, rank) VALUES('integrity-check', 1)"),
			 SQLITE_OK);
	rig_reopen(g);
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
	a_fresh_archive(g);
	rig_call(g, MSG_memory_import_begin, &begin);
	restored(g, &msg);
	assert_true(import_of(g).added == 10 && import_of(g).known == 1 && import_of(g).has_finished);
	rig_call(g, MSG_memory_import_undo, &undo);
	assert_int_equal(rig_thermal(g, 0)->total_memories, 1); /* the sacred one */
	assert_true(rig_sql(g, "SELECT count(*) FROM decisions") == 0.0);
}

/* ---- an archive that an older program made ---- */
static void schema_1_is_migrated(void **s)
{
	struct rig *g = *s;
	struct msg_memory_recall ask = {.has_q = true, .q = wire_s("old harbour")};
	const struct item_memory *m;
	sqlite3 *db = NULL;
	char sql[700];

	archive_close(&g->a);
	unlink(g->path);
	assert_int_equal(sqlite3_open(g->path, &db), SQLITE_OK);
	assert_int_equal(schema_make_ours(db, NULL), 0);
	assert_int_equal(schema_migrate_to(db, 1, rig_now, NULL), 0);
	snprintf(sql, sizeof(sql),
		 "PRAGMA journal_mode = WAL; INSERT INTO thermal_memory_archive(id, memory_hash, heat_key, created_at, "
		 "last_access, "
		 "sacred_pattern, supersedes, original_content) VALUES('a', '%064d', %.17g, %lld, %lld, 1, NULL, 'the "
		 "old harbour'), "
		 "('b', '%064d', %.17g, %lld, %lld, 0, 'a', 'old news');"
		 "INSERT INTO memory_words(rowid, original_content) SELECT seq, original_content FROM "
		 "thermal_memory_archive",
		 1, (double)rig_now / (double)WEEK, (long long)rig_now, (long long)rig_now, 2,
		 (double)rig_now / (double)WEEK, (long long)rig_now, (long long)rig_now);
	assert_int_equal(sqlite3_exec(db, sql, NULL, NULL, NULL), SQLITE_OK);
	sqlite3_close(db);
	assert_true(rig_sql(g, "SELECT count(*) FROM sqlite_schema WHERE name = 'imports'") == 0.0);
	rig_reopen(g);
	assert_true(rig_sql(g, "SELECT max(version) FROM schema_migrations") == 3.0 && schema_version() == 3);
	m = rig_get(g, wire_s("a"));
	assert_true(m->sacred && same(m->content, "the old harbour") && m->temperature == 40.0);
	assert_int_equal(((const struct res_memory_recall *)rig_call(g, MSG_memory_recall, &ask))->memories.n, 2);
	rig_add(g,
		&(struct item_new_memory){.content = wire_s("new"), .has_supersedes = true, .supersedes = wire_s("b")});
	assert_int_equal(rig_thermal(g, 0)->total_memories, 3);
	assert_true(rig_sql(g, "SELECT count(*) FROM thermal_memory_now") == 3.0);
	assert_int_equal(rig_exec(g, "DELETE FROM thermal_memory_archive WHERE id = 'a'"), SQLITE_CONSTRAINT);
}

#define T(name) cmocka_unit_test_setup_teardown(name, rig_setup, rig_teardown)
int main(void)
{
	const struct CMUnitTest tests[] = {
		T(there_and_back),      T(what_cannot_be_is_refused), T(an_import),
		T(an_import_is_undone), T(a_restore_is_undone),       T(schema_1_is_migrated),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
