/* jrs/memory/archive/pagesum: every page has its sum, no change of a page passes, and nothing sound is called damaged.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "jrs/memory/archive/pagesum.h"
#include "tests/unit/damage_kit.h"
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define SIZE 4096u

static char dir[64], path[128], other[128];
static uint64_t seed;

static int setup(void **s)
{
	(void)s;
	seed = 20261128;
	snprintf(dir, sizeof(dir), "/tmp/tribe-pagesum-XXXXXX");
	if (mkdtemp(dir) == NULL)
		return -1;
	snprintf(path, sizeof(path), "%s/a.sqlite", dir);
	snprintf(other, sizeof(other), "%s/b.sqlite", dir);
	return 0;
}

static int teardown(void **s)
{
	(void)s;
	kit_drop_dir(dir);
	return 0;
}

static sqlite3 *open_with(const char *file, const char *vfs)
{
	sqlite3 *db = NULL;

	assert_int_equal(
		sqlite3_open_v2(file, &db, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_EXRESCODE, vfs),
		SQLITE_OK);
	return db;
}

/* As the archive does it. */
static sqlite3 *open_summed(const char *file)
{
	sqlite3 *db = open_with(file, pagesum_vfs());

	assert_int_equal(pagesum_reserve(db), SQLITE_OK);
	assert_int_equal(sqlite3_exec(db, "PRAGMA secure_delete = ON", NULL, NULL, NULL), SQLITE_OK);
	return db;
}

static void run(sqlite3 *db, const char *sql)
{
	int rc = sqlite3_exec(db, sql, NULL, NULL, NULL);

	if (rc != SQLITE_OK)
		fail_msg("%s: %d %s", sql, rc, sqlite3_errmsg(db));
}

/* Reads all there is: SQLITE_OK or the first failure. */
static int read_all(sqlite3 *db)
{
	return sqlite3_exec(db,
			    "SELECT count(*), sum(length(b)), max(a) FROM t; SELECT count(*) FROM t WHERE c > 0;"
			    "PRAGMA integrity_check",
			    NULL, NULL, NULL);
}

static void fill(sqlite3 *db, int rows)
{
	char sql[256];

	run(db, "CREATE TABLE IF NOT EXISTS t(a INTEGER PRIMARY KEY, b BLOB, c INTEGER); CREATE INDEX IF NOT EXISTS tc "
		"ON t(c)");
	snprintf(sql, sizeof(sql),
		 "WITH n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < %d) INSERT INTO t(b, c) SELECT "
		 "randomblob(CASE WHEN i %% 50 = 0 THEN 20000 ELSE 200 END), i FROM n",
		 rows);
	run(db, sql);
}

/* How many pages of the file have this verdict, as anybody reads them. */
static unsigned pages_that_are(const char *file, enum pagesum_verdict v, unsigned *all)
{
	unsigned char *p;
	size_t n, i, found = 0;

	p = kit_get(file, &n);
	assert_int_equal(n % SIZE, 0);
	for (i = 0; i < n / SIZE; i++)
		found += pagesum_judge(p + i * SIZE, SIZE, (uint32_t)i + 1) == v;
	if (all != NULL)
		*all = (unsigned)(n / SIZE);
	free(p);
	return (unsigned)found;
}

static void all_good(const char *file)
{
	unsigned all = 0, good = pages_that_are(file, PAGESUM_GOOD, &all);

	assert_int_equal(good, all);
	assert_true(all > 3);
}

static void every_page_has_a_sum(void **s)
{
	struct pagesum_stats st;
	sqlite3 *db = open_summed(path);
	unsigned char *p;
	size_t n;

	(void)s;
	run(db, "PRAGMA journal_mode = WAL");
	fill(db, 2000);
	assert_true(pagesum_held(path));
	assert_false(pagesum_held(dir));
	assert_int_equal(read_all(db), SQLITE_OK);
	sqlite3_close(db);
	assert_false(pagesum_held(path));
	all_good(path);
	p = kit_get(path, &n);
	assert_int_equal(p[20], PAGESUM_BYTES);
	free(p);
	db = open_summed(path);
	assert_int_equal(read_all(db), SQLITE_OK);
	assert_int_equal(pagesum_stats(db, &st), SQLITE_OK);
	assert_true(st.checked && st.read > 100 && st.bad == 0 && st.unsummed == 0);
	sqlite3_close(db);
	/* anybody can still read it */
	db = open_with(path, NULL);
	assert_int_equal(read_all(db), SQLITE_OK);
	assert_int_equal(pagesum_stats(db, &st), SQLITE_NOTFOUND);
	sqlite3_close(db);
}

static void every_flip_is_noticed(void **s)
{
	sqlite3 *db = open_summed(path);
	unsigned char *p;
	size_t n, i;

	(void)s;
	fill(db, 600);
	sqlite3_close(db);
	p = kit_get(path, &n);
	for (i = 0; i < 400; i++) {
		size_t at = i < 100 ? i : kit_random(&seed) % n; /* the header's bytes, each once */
		unsigned char was = p[at];
		struct pagesum_stats st;
		char buf[SIZE];
		uint32_t page;
		int rc = SQLITE_OK;

		p[at] ^= (unsigned char)(1 + kit_random(&seed) % 255);
		kit_put(path, p, n);
		db = open_with(path, pagesum_vfs());
		for (page = 1; page <= n / SIZE && rc == SQLITE_OK; page++)
			rc = pagesum_read(db, page, buf, (int)SIZE);
		if (rc != SQLITE_IOERR_DATA)
			fail_msg("byte %zu of %zu: not noticed", at, n);
		assert_true(at < 100 || page - 1 == at / SIZE + 1);
		rc = read_all(db);
		if (rc == SQLITE_OK)
			fail_msg("byte %zu of %zu: SQLite was given it", at, n);
		assert_int_equal(pagesum_stats(db, &st), SQLITE_OK);
		assert_true(st.bad > 0 && st.nbad_page > 0);
		sqlite3_close(db);
		p[at] = was;
	}
	free(p);
}

/* A page that is missing, by truncation or as zeros, is not an empty one. */
static void missing_pages(void **s)
{
	sqlite3 *db = open_summed(path);
	unsigned char *p;
	size_t n, page;

	(void)s;
	fill(db, 600);
	sqlite3_close(db);
	p = kit_get(path, &n);
	for (page = 2; page <= n / SIZE; page += 7) {
		unsigned char saved[SIZE];

		memcpy(saved, p + (page - 1) * SIZE, SIZE);
		memset(p + (page - 1) * SIZE, 0, SIZE);
		kit_put(path, p, n);
		db = open_with(path, pagesum_vfs());
		assert_int_not_equal(read_all(db), SQLITE_OK);
		sqlite3_close(db);
		memcpy(p + (page - 1) * SIZE, saved, SIZE);
		kit_put(path, p, page * SIZE - SIZE - kit_random(&seed) % SIZE);
		db = open_with(path, pagesum_vfs());
		assert_int_not_equal(read_all(db), SQLITE_OK);
		sqlite3_close(db);
	}
	free(p);
}

static void old_databases_stay_as_they_are(void **s)
{
	sqlite3 *db = open_with(path, NULL);
	struct pagesum_stats st;
	unsigned char *p;
	size_t n;

	(void)s;
	fill(db, 500);
	sqlite3_close(db);
	db = open_summed(path);
	run(db, "PRAGMA journal_mode = WAL");
	assert_int_equal(read_all(db), SQLITE_OK);
	fill(db, 500);
	assert_int_equal(pagesum_stats(db, &st), SQLITE_OK);
	assert_false(st.checked);
	sqlite3_close(db);
	p = kit_get(path, &n);
	assert_int_equal(p[20], 0);
	free(p);
	db = open_with(path, NULL);
	assert_int_equal(read_all(db), SQLITE_OK);
	assert_int_equal(pages_that_are(path, PAGESUM_GOOD, NULL), 0);
	sqlite3_close(db);
}

/* Somebody looks in after a crash with another program, which moves the log into the database. */
static void moved_by_another_program(void **s)
{
	sqlite3 *db = open_summed(path);
	struct pagesum_stats st;
	unsigned char *log, *main;
	size_t nlog, nmain;
	char wal[160];

	(void)s;
	run(db, "PRAGMA journal_mode = WAL; PRAGMA wal_autocheckpoint = 0");
	fill(db, 300);
	run(db, "PRAGMA wal_checkpoint(TRUNCATE)");
	fill(db, 300);
	snprintf(wal, sizeof(wal), "%s-wal", path);
	log = kit_get(wal, &nlog);
	main = kit_get(path, &nmain);
	sqlite3_close(db);
	kit_put(path, main, nmain);
	kit_put(wal, log, nlog);
	db = open_with(path, NULL);
	assert_int_equal(read_all(db), SQLITE_OK);
	sqlite3_close(db);
	assert_true(pages_that_are(path, PAGESUM_NONE, NULL) > 5);
	assert_int_equal(pages_that_are(path, PAGESUM_BAD, NULL), 0);
	db = open_summed(path);
	assert_int_equal(read_all(db), SQLITE_OK);
	assert_int_equal(pagesum_stats(db, &st), SQLITE_OK);
	assert_true(st.checked && st.unsummed > 5 && st.bad == 0);
	run(db, "UPDATE t SET b = randomblob(length(b)), c = c + 1; PRAGMA wal_checkpoint(TRUNCATE)");
	sqlite3_close(db);
	assert_true(pages_that_are(path, PAGESUM_NONE, NULL) <= 2);
	/* what it writes itself is another thing */
	db = open_with(path, NULL);
	run(db, "UPDATE t SET c = c + 1 WHERE a = 100; PRAGMA wal_checkpoint(TRUNCATE)");
	sqlite3_close(db);
	db = open_summed(path);
	assert_int_equal(read_all(db), SQLITE_IOERR_DATA);
	sqlite3_close(db);
	free(log);
	free(main);
}

static void copies_have_sums(void **s)
{
	sqlite3 *db = open_summed(path), *to;
	sqlite3_backup *b;
	char sql[256];

	(void)s;
	run(db, "PRAGMA journal_mode = WAL");
	fill(db, 3000);
	snprintf(sql, sizeof(sql), "PRAGMA cache_size = 10; VACUUM INTO '%s'", other);
	run(db, sql);
	all_good(other);
	unlink(other);
	to = open_with(other, pagesum_vfs());
	run(to, "PRAGMA cache_size = 10");
	b = sqlite3_backup_init(to, "main", db, "main");
	assert_non_null(b);
	while (sqlite3_backup_step(b, 17) == SQLITE_OK)
		;
	assert_int_equal(sqlite3_backup_finish(b), SQLITE_OK);
	assert_int_equal(read_all(to), SQLITE_OK);
	sqlite3_close(to);
	sqlite3_close(db);
	all_good(other);
}

/* What was not committed, kept and taken back, spilled and moved, over and over: nothing is ever called damaged. */
static void no_false_alarm(sqlite3 *db, int rounds)
{
	static const char *const steps[] = {
		"BEGIN",
		"COMMIT",
		"ROLLBACK",
		"SAVEPOINT x",
		"ROLLBACK TO x",
		"RELEASE x",
		"INSERT INTO t(b, c) SELECT randomblob(abs(random() % 9000)), random() % 1000 FROM t LIMIT 40",
		"INSERT INTO t(b, c) VALUES(randomblob(60000), 1)",
		"DELETE FROM t WHERE a % 7 = abs(random() % 7)",
		"DELETE FROM t WHERE c > 0 AND a % 3 = 0",
		"UPDATE t SET b = randomblob(abs(random() % 3000)) WHERE a % 11 = abs(random() % 11)",
		"CREATE TABLE IF NOT EXISTS u AS SELECT * FROM t",
		"DROP TABLE IF EXISTS u",
		"DELETE FROM t WHERE a > 300",
		"PRAGMA wal_checkpoint(PASSIVE)",
		"PRAGMA wal_checkpoint(TRUNCATE)",
		"PRAGMA incremental_vacuum",
		"VACUUM",
		"SELECT count(*), sum(length(b)) FROM t",
		"PRAGMA integrity_check"};
	struct pagesum_stats st;
	int i;

	for (i = 0; i < rounds; i++) {
		const char *sql = steps[kit_random(&seed) % (sizeof(steps) / sizeof(steps[0]))];
		int rc = sqlite3_exec(db, sql, NULL, NULL, NULL);

		if (rc != SQLITE_OK && rc != SQLITE_ERROR && rc != SQLITE_LOCKED) /* no such savepoint, not now ... */
			fail_msg("round %d: %s: %d %s", i, sql, rc, sqlite3_errmsg(db));
	}
	sqlite3_exec(db, "COMMIT", NULL, NULL, NULL);
	assert_int_equal(read_all(db), SQLITE_OK);
	assert_int_equal(pagesum_stats(db, &st), SQLITE_OK);
	assert_true(st.checked && st.bad == 0 && st.unsummed == 0 && st.written > 100);
}

static void nothing_sound_is_called_damaged(void **s)
{
	static const char *const modes[] = {
		"PRAGMA journal_mode = DELETE; PRAGMA cache_size = 5",
		"PRAGMA journal_mode = WAL; PRAGMA cache_size = 5",
		"PRAGMA journal_mode = WAL; PRAGMA cache_size = 500; PRAGMA secure_delete = FAST",
		"PRAGMA page_size = 1024; PRAGMA journal_mode = WAL"};
	size_t i;

	(void)s;
	for (i = 0; i < sizeof(modes) / sizeof(modes[0]); i++) {
		sqlite3 *db = open_summed(path);

		run(db, modes[i]);
		fill(db, 60);
		no_false_alarm(db, 400);
		sqlite3_close(db);
		unlink(path);
	}
}

/* ---- over a VFS of a test ---- */
static struct sqlite3_vfs counting;
static int opened;

static int count_open(sqlite3_vfs *v, const char *name, sqlite3_file *f, int flags, int *out)
{
	sqlite3_vfs *under = v->pAppData;

	opened += (flags & SQLITE_OPEN_MAIN_DB) != 0;
	return under->xOpen(under, name, f, flags, out);
}

static void over_the_default_of_the_day(void **s)
{
	sqlite3_vfs *was = sqlite3_vfs_find(NULL);
	sqlite3 *db;

	(void)s;
	assert_non_null(pagesum_vfs());
	counting = *was;
	counting.pAppData = was;
	counting.zName = "counting";
	counting.xOpen = count_open;
	assert_int_equal(sqlite3_vfs_register(&counting, 1), SQLITE_OK);
	db = open_summed(path);
	run(db, "PRAGMA journal_mode = WAL");
	fill(db, 500);
	sqlite3_close(db);
	assert_int_equal(sqlite3_vfs_unregister(&counting), SQLITE_OK);
	assert_ptr_equal(sqlite3_vfs_find(NULL), was);
	assert_true(opened > 0);
	all_good(path);
	db = open_summed(path);
	assert_int_equal(read_all(db), SQLITE_OK);
	sqlite3_close(db);
	assert_int_equal(opened, 1);
}

#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
int main(void)
{
	const struct CMUnitTest tests[] = {
		T(every_page_has_a_sum),
		T(every_flip_is_noticed),
		T(missing_pages),
		T(old_databases_stay_as_they_are),
		T(moved_by_another_program),
		T(copies_have_sums),
		T(nothing_sound_is_called_damaged),
		T(over_the_default_of_the_day),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
