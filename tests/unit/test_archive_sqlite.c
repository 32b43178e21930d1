/* What only an archive on SQLite can show: its file, its log, its index, what older programs made. */
#include "memory_kinds.h"

#include "jrs/memory/archive/internal.h"
#include "jrs/memory/archive/schema.h"
#include "jrs/memory/archive/sqlite.h"
#include <sys/stat.h>

static uint32_t found(struct rig *g, const char *q)
{
	struct msg_memory_recall msg = {.has_q = true, .q = wire_s(q)};

	return ((const struct res_memory_recall *)rig_call(g, MSG_memory_recall, &msg))->memories.n;
}

static void another_writer_holds_it(void **s)
{
	struct rig *g = *s;
	struct item_new_memory m = said("wait for me");
	struct archive_stats stats;
	sqlite3 *db = NULL;
	uint64_t until = tr_mono_ms() + 20000;

	assert_int_equal(sqlite3_open(g->path, &db), SQLITE_OK);
	assert_int_equal(sqlite3_exec(db, "BEGIN IMMEDIATE", NULL, NULL, NULL), SQLITE_OK);
	assert_false(rig_try_add(g, &m));
	assert_int_equal(g->r, TR_EUNAVAILABLE);
	archive_stats(g->a, &stats);
	assert_false(stats.healthy);
	rig_thermal(g, 0); /* reads go on */
	sqlite3_exec(db, "ROLLBACK", NULL, NULL, NULL);
	sqlite3_close(db);
	do /* it finds out by itself */
		archive_stats(g->a, &stats);
	while (!stats.healthy && tr_mono_ms() < until && (usleep(1000), true));
	assert_true(stats.healthy);
	rig_add(g, &m);
	assert_true(rig_sql(g, "SELECT count(*) FROM pragma_integrity_check WHERE integrity_check = 'ok'") == 1.0);
}

static void the_index_follows_the_rows(void **s)
{
	struct rig *g = *s;
	int i;
	char text[64];

	for (i = 0; i < 50; i++) {
		snprintf(text, sizeof(text), "row %d about %s", i, i % 2 ? "boats" : "trees");
		rig_say(g, text);
	}
	assert_int_equal(rig_exec(g, "INSERT INTO memory_words(memory_words, rank) VALUES('integrity-check', 1)"),
			 SQLITE_OK);
	assert_true(rig_sql(g, "SELECT count(*) FROM memory_words WHERE memory_words MATCH 'boat'") == 25.0);
}

struct answered {
	int r, *left;
};

static void one_answered(void *arg, int r, const struct archive_answer *answer, const struct tr_fault *fault)
{
	struct answered *a = arg;

	(void)answer;
	(void)fault;
	a->r = r;
	--*a->left;
}

struct one_call {
	enum wire_msg_id id;
	const void *msg;
	int r; /* wanted */
};

/* In one commit: the writer waits for the lock with a call of its own while they queue. */
static void in_one_commit(struct rig *g, const struct one_call *v, int n)
{
	const struct archive_ctx ctx = {g->zone, 0};
	struct item_new_memory m = said("first in the queue");
	const struct msg_memory_add first = {.memories = {&m, 1}};
	struct answered got[16];
	struct archive_stats before, after;
	sqlite3 *db = NULL;
	int i, left = n + 1, told = 0;

	assert_true(n < 16);
	archive_stats(g->a, &before);
	assert_int_equal(sqlite3_open(g->path, &db), SQLITE_OK);
	assert_int_equal(sqlite3_exec(db, "BEGIN IMMEDIATE", NULL, NULL, NULL), SQLITE_OK);
	got[n].left = &left;
	assert_int_equal(archive_call(g->a, MSG_memory_add, &first, &ctx, one_answered, &got[n]), 0);
	usleep(20000); /* were it not under way by then, the next ones would come into its commit: that is as good */
	for (i = 0; i < n; i++) {
		got[i].left = &left;
		assert_int_equal(archive_call(g->a, v[i].id, v[i].msg, &ctx, one_answered, &got[i]), 0);
	}
	sqlite3_exec(db, "ROLLBACK", NULL, NULL, NULL);
	sqlite3_close(db);
	while (left > 0) {
		int before_turn = left;

		uv_run(&g->loop, UV_RUN_ONCE);
		told += left != before_turn;
	}
	assert_int_equal(got[n].r, 0);
	for (i = 0; i < n; i++)
		assert_int_equal(got[i].r, v[i].r);
	archive_stats(g->a, &after);
	/* and they are told in one go, so that they can come back together */
	assert_true((after.commits - before.commits <= 2 && told <= 2) || v[1].r == TR_ESTORE);
}

static void words_hold(struct rig *g, double rows)
{
	assert_int_equal(rig_exec(g, "INSERT INTO memory_words(memory_words, rank) VALUES('integrity-check', 1)"),
			 SQLITE_OK);
	assert_true(rig_sql(g, "SELECT count(*) FROM thermal_memory_archive") == rows);
	assert_true(rig_sql(g, "SELECT count(*) FROM memory_words WHERE memory_words MATCH 'harbour'") == rows - 1);
}

/* Words come at the end of a commit: those of a call that fails do not, and what is forgotten in the same commit has
 * none. */
static void the_index_follows_a_batch(void **s)
{
	struct rig *g = *s;
	struct item_new_memory one[2] = {said("harbour one"), said("harbour two")};
	struct item_new_memory bad[2] = {said("harbour bad"), said("harbour worse")};
	struct item_new_memory gone = said("harbour gone"), last = said("harbour last");
	struct msg_memory_add add[4] = {
		{.memories = {one, 2}}, {.memories = {bad, 2}}, {.memories = {&gone, 1}}, {.memories = {&last, 1}}};
	struct msg_memory_decide decide = {.text = wire_s("harbour decided"), .by = wire_s("us")};
	struct msg_memory_forget forget = {.id = wire_s("gone")};
	const struct one_call calls[] = {
		{MSG_memory_add, &add[0], 0},
		{MSG_memory_add, &add[1], TR_EINVAL},
		{MSG_memory_add, &add[2], 0},
		{MSG_memory_forget, &forget, 0},
		{MSG_memory_decide, &decide, 0},
		{MSG_memory_add, &add[1], TR_EINVAL},
		{MSG_memory_forget, &forget, TR_ENOTFOUND},
		{MSG_memory_add, &add[3], 0},
	};

	bad[1].has_supersedes = true;
	bad[1].supersedes = wire_s("nobody");
	gone.has_id = true;
	gone.id = wire_s("gone");
	in_one_commit(g, calls, 8);
	words_hold(g, 5.0);
}

/* An index that refuses the words of one: its row goes with them, its neighbours stay. */
static void words_that_fail_take_their_row_along(void **s)
{
	struct rig *g = *s;
	struct item_new_memory m[3] = {said("harbour one"), said("a harbour with five words"), said("harbour two")};
	struct msg_memory_add add[3] = {{.memories = {&m[0], 1}}, {.memories = {&m[1], 1}}, {.memories = {&m[2], 1}}};
	const struct one_call calls[] = {
		{MSG_memory_add, &add[0], 0}, {MSG_memory_add, &add[1], TR_ESTORE}, {MSG_memory_add, &add[2], 0}};

	/* how many words each column has; 5 and none: it cannot be reckoned */
	assert_int_equal(rig_exec(g, "CREATE INDEX refuses ON memory_words_docsize(abs(CASE hex(sz) WHEN '0500' THEN "
				     "-9223372036854775807 - 1 END))"),
			 SQLITE_OK);
	in_one_commit(g, calls, 3);
	words_hold(g, 3.0);
	rig_say(g, "harbour three");
	words_hold(g, 4.0);
	assert_int_equal(rig_exec(g, "DROP INDEX refuses"), SQLITE_OK);
}

static void old_requests_go(void **s)
{
	struct rig *g = *s;
	struct item_new_memory m = said("short-lived request");
	struct msg_memory_add msg = {.memories = {&m, 1},
				     .common = {.has_request_id = true, .request_id = wire_s("r")}};
	sqlite3 *db = NULL;
	struct archive_stats stats;

	rig_call(g, MSG_memory_add, &msg);
	rig_now += DAY + 1;
	/* the probe of an archive that failed keeps house at once; so make it fail once */
	assert_int_equal(sqlite3_open(g->path, &db), SQLITE_OK);
	assert_int_equal(sqlite3_exec(db, "BEGIN IMMEDIATE", NULL, NULL, NULL), SQLITE_OK);
	msg.common.has_request_id = false;
	assert_null(rig_try(g, MSG_memory_add, &msg));
	sqlite3_exec(db, "ROLLBACK", NULL, NULL, NULL);
	sqlite3_close(db);
	do
		archive_stats(g->a, &stats);
	while (!stats.healthy && (usleep(1000), true));
	assert_true(rig_sql(g, "SELECT count(*) FROM requests") == 0.0);
}

/* A steady load without a pause: the log is begun anew, it does not grow with what is written. */
static void the_log_stays_small(void **s)
{
	struct rig *g = *s;
	uint64_t x = 88172645463325252u;
	char text[400], wal[120];
	struct stat st;
	int i, k, n;

	for (i = 0; i < 2000; i++) {
		for (k = n = 0; k < 30; k++) {
			x ^= x << 13, x ^= x >> 7, x ^= x << 17;
			n += snprintf(text + n, sizeof(text) - (size_t)n, "%llx ", (unsigned long long)(x % 100000));
		}
		msgpack_zone_clear(g->zone);
		rig_say(g, text);
	}
	snprintf(wal, sizeof(wal), "%s-wal", g->path);
	assert_int_equal(stat(wal, &st), 0);
	assert_true(st.st_size < 32 << 20);
}

/* What is forgotten leaves neither its page nor its freed pages. */
static void nothing_is_left_in_the_pages(void **s)
{
	struct rig *g = *s;
	char *text = malloc(20001), *file;
	struct msg_memory_patch patch = {.has_importance = true, .importance = 0.1};
	struct msg_memory_forget forget = {0};
	struct item_new_memory m;
	wire_str id;
	FILE *f;
	long n, i;
	int found = 0;

	assert_non_null(text);
	for (i = 0; i < 20000; i++)
		text[i] = "XYZZYPLUGH "[i % 11];
	text[20000] = '\0';
	patch.common.has_request_id = true, patch.common.request_id = wire_s("p");
	m = said(text);
	id = rig_add(g, &m)->id;
	rig_say(g, "something else");
	patch.id = forget.id = id; /* its answer, which is kept for a day, holds the text */
	rig_call(g, MSG_memory_patch, &patch);
	rig_call(g, MSG_memory_forget, &forget);
	archive_close(&g->a);
	f = fopen(g->path, "rb");
	assert_non_null(f);
	fseek(f, 0, SEEK_END);
	n = ftell(f);
	rewind(f);
	file = malloc((size_t)n);
	assert_true(file != NULL && fread(file, 1, (size_t)n, f) == (size_t)n);
	for (i = 0; i + 10 < n; i++)
		found += memcmp(file + i, "XYZZYPLUGH", 10) == 0;
	assert_int_equal(found, 0);
	fclose(f);
	free(file);
	free(text);
}

/* A long search is cut short at its deadline; the next one finds everything in order. */
static void a_long_search_is_cut(void **s)
{
	struct rig *g = *s;
	struct msg_memory_recall msg = {
		.has_q = true, .q = wire_s("common word"), .has_min_temperature = true, .min_temperature = 99};
	static struct item_new_memory m[4000];
	static char text[4000][32];
	struct msg_memory_add add = {.memories = {m, 4000}};
	int i;

	for (i = 0; i < 4000; i++) {
		snprintf(text[i], sizeof(text[i]), "common word %d", i);
		m[i] = said(text[i]);
	}
	rig_call(g, MSG_memory_add, &add);
	assert_null(rig_call_until(g, MSG_memory_recall, &msg, tr_mono_ms() + 2));
	assert_int_equal(g->r, TR_EDEADLINE);
	assert_int_equal(found(g, "common word 77"), 10);
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

/* Not only what an export tells: every column of every row is what it was. */
static void restored_rows_are_the_same(void **s)
{
	struct rig *g = *s;
	struct msg_memory_restore msg = {0};
	msgpack_sbuffer packed;
	char name[120];

	all_kinds(g);
	export_all(g, 1000, &packed);
	msg.records = unpacked(g, &packed);
	msgpack_sbuffer_destroy(&packed);
	archive_close(&g->a);
	snprintf(name, sizeof(name), "%s-wal", g->path);
	assert_int_not_equal(access(name, F_OK), 0);
	snprintf(name, sizeof(name), "%s.before", g->path);
	assert_int_equal(rename(g->path, name), 0);
	assert_int_equal(rig_open_again(g, NULL), 0);
	restored(g, &msg);
	as_before(
		g, "thermal_memory_archive",
		"id, memory_hash, identity, heat_key, access_count, created_at, last_access, occurred_at, importance, "
		"sacred_pattern, phase_coherence, phase_count, revision, supersedes, superseded_by, source, session, "
		"speaker, tags, metadata, original_content, import_id");
	as_before(g, "decisions", "id, memory_id, decided_by, decided_at");
	assert_int_equal(rig_exec(g, "DELETE FROM thermal_memory_archive WHERE sacred_pattern = 1"), SQLITE_CONSTRAINT);
}

/* An archive that an older program made. */
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
	assert_true(rig_sql(g, "SELECT max(version) FROM schema_migrations") == 11.0 && schema_version() == 11);
	m = rig_get(g, wire_s("a"));
	assert_true(m->sacred && same(m->content, "the old harbour") && m->temperature == 40.0);
	assert_int_equal(((const struct res_memory_recall *)rig_call(g, MSG_memory_recall, &ask))->memories.n, 2);
	rig_add(g,
		&(struct item_new_memory){.content = wire_s("new"), .has_supersedes = true, .supersedes = wire_s("b")});
	assert_int_equal(rig_thermal(g, 0)->total_memories, 3);
	assert_true(rig_sql(g, "SELECT count(*) FROM thermal_memory_now") == 3.0);
	assert_int_equal(rig_exec(g, "DELETE FROM thermal_memory_archive WHERE id = 'a'"), SQLITE_CONSTRAINT);
}

/* REPLACE deletes without a trigger of DELETE; an INSERT with it is the gap that is known (schema.c). */
static void sacred_ones_are_not_displaced(void **s)
{
	struct rig *g = *s;
	struct item_new_memory m = said("the old harbour");

	m.has_id = m.has_sacred = m.sacred = true;
	m.id = wire_s("a");
	rig_add(g, &m);
	rig_say(g, "another one");
	assert_int_equal(rig_exec(g, "UPDATE OR REPLACE thermal_memory_archive SET id = 'a' WHERE id <> 'a'"),
			 SQLITE_CONSTRAINT);
	assert_int_equal(rig_exec(g, "REPLACE INTO settings(key, value) VALUES('thermal.sacred_floor', 0.0)"),
			 SQLITE_CONSTRAINT);
	assert_true(rig_get(g, wire_s("a"))->sacred);
	assert_true(rig_sql(g, "SELECT count(*) FROM thermal_memory_archive") == 2.0);
}

static int parsed_anew(const struct db *db)
{
	const struct sqlite_conn *c = db->conn;
	int i, n = 0;

	for (i = 0; i < SQL_NSTATEMENTS; i++)
		n += c->st[i] == NULL ? 0 : sqlite3_stmt_status(c->st[i], SQLITE_STMTSTATUS_REPREPARE, 0);
	return n;
}

/* In a takeover the first callers wait for it. */
static void statements_are_parsed_once(void **s)
{
	struct rig *g = *s;
	const struct sql_archive *a = (const struct sql_archive *)g->a;
	struct item_new_memory m = said("the old harbour");
	int i;

	m.has_id = true;
	m.id = wire_s("a");
	rig_add(g, &m);
	rig_get(g, wire_s("a"));
	for (i = 0; i < 20; i++) /* whichever reader takes it */
		found(g, "harbour");
	assert_int_equal(parsed_anew(&a->here.db), 0);
	assert_int_equal(parsed_anew(&a->wdb), 0);
	for (i = 0; i < READERS; i++)
		assert_int_equal(parsed_anew(&a->readers[i].db), 0);
}

#define T(name) cmocka_unit_test_setup_teardown(name, rig_setup, rig_teardown_sound)
int main(void)
{
	const struct CMUnitTest tests[] = {
		T(another_writer_holds_it),
		T(the_index_follows_the_rows),
		T(the_index_follows_a_batch),
		T(words_that_fail_take_their_row_along),
		T(old_requests_go),
		T(the_log_stays_small),
		T(nothing_is_left_in_the_pages),
		T(a_long_search_is_cut),
		T(restored_rows_are_the_same),
		T(schema_1_is_migrated),
		T(sacred_ones_are_not_displaced),
		T(statements_are_parsed_once),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
