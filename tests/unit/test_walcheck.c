/* jrs/memory/archive/walcheck: a torn tail is not damage, damage is not a torn tail, and SQLite agrees what it would
 * take. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "jrs/memory/archive/pagesum.h"
#include "jrs/memory/archive/walcheck.h"
#include "tests/unit/damage_kit.h"
#include <signal.h>
#include <sqlite3.h>
#include <sys/wait.h>

#define FRAME (4096u + WAL_FRAME_HEAD)

static char dir[64], path[128], wal[160], shm[160];
static uint64_t seed;

struct files { /* as they lay there when somebody was killed */
	unsigned char *db, *wal, *shm;
	size_t ndb, nwal, nshm;
};

static int setup(void **s)
{
	(void)s;
	seed = 42;
	snprintf(dir, sizeof(dir), "/tmp/tribe-walcheck-XXXXXX");
	if (mkdtemp(dir) == NULL)
		return -1;
	snprintf(path, sizeof(path), "%s/copy.sqlite", dir);
	snprintf(wal, sizeof(wal), "%s-wal", path);
	snprintf(shm, sizeof(shm), "%s-shm", path);
	return 0;
}

static int teardown(void **s)
{
	(void)s;
	kit_drop_dir(dir);
	return 0;
}

static void run(sqlite3 *db, const char *sql)
{
	int rc = sqlite3_exec(db, sql, NULL, NULL, NULL);

	if (rc != SQLITE_OK)
		fail_msg("%s: %d %s", sql, rc, sqlite3_errmsg(db));
}

static sqlite3 *begin(void)
{
	char name[128];
	sqlite3 *db = NULL;

	snprintf(name, sizeof(name), "%s/live.sqlite", dir);
	assert_int_equal(sqlite3_open(name, &db), SQLITE_OK);
	run(db, "PRAGMA journal_mode = WAL; PRAGMA wal_autocheckpoint = 0; PRAGMA synchronous = FULL;"
		"CREATE TABLE t(a INTEGER PRIMARY KEY, b BLOB)");
	return db;
}

static void commit(sqlite3 *db, int rows)
{
	char sql[200];

	snprintf(sql, sizeof(sql),
		 "WITH n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < %d) "
		 "INSERT INTO t(b) SELECT randomblob(1500) FROM n",
		 rows);
	run(db, sql);
}

/* As if it had been killed now. */
static struct files take(sqlite3 *db)
{
	struct files f;
	char name[128];

	(void)db;
	snprintf(name, sizeof(name), "%s/live.sqlite", dir);
	f.db = kit_get(name, &f.ndb);
	snprintf(name, sizeof(name), "%s/live.sqlite-wal", dir);
	f.wal = kit_get(name, &f.nwal);
	snprintf(name, sizeof(name), "%s/live.sqlite-shm", dir);
	f.shm = kit_get(name, &f.nshm);
	return f;
}

static void done(struct files *f)
{
	free(f->db);
	free(f->wal);
	free(f->shm);
}

static void lay(const struct files *f, bool with_shm)
{
	kit_put(path, f->db, f->ndb);
	kit_put(wal, f->wal, f->nwal);
	if (with_shm)
		kit_put(shm, f->shm, f->nshm);
	else
		unlink(shm);
}

static struct walcheck check(const struct files *f, bool with_shm)
{
	struct walcheck w;

	lay(f, with_shm);
	assert_int_equal(walcheck(path, false, &w), 0);
	return w;
}

/* Frames that SQLite itself takes out of the copy. */
static int sqlite_takes(void)
{
	sqlite3 *db = NULL;
	int log = -1, moved;

	assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
	assert_int_equal(sqlite3_exec(db, "SELECT count(*) FROM sqlite_schema", NULL, NULL, NULL), SQLITE_OK);
	assert_int_equal(sqlite3_wal_checkpoint_v2(db, NULL, SQLITE_CHECKPOINT_PASSIVE, &log, &moved), SQLITE_OK);
	sqlite3_close(db);
	return log;
}

static void expect(const struct files *f, bool with_shm, enum wal_verdict v)
{
	struct walcheck w = check(f, with_shm);
	int log;

	if (w.verdict != v)
		fail_msg("%s, not %s (frames %u served %u committed %u moved %u bad %u)", wal_verdict_name(w.verdict),
			 wal_verdict_name(v), w.nframes, w.served, w.committed, w.moved, w.bad);
	log = sqlite_takes();
	assert_int_equal(log, w.served);
	walcheck_free(&w);
}

/* Five transactions; the last begins behind `*last` frames. */
static struct files five(uint32_t *last)
{
	sqlite3 *db = begin();
	struct files f;
	int i;

	for (i = 0; i < 5; i++) {
		f = take(db);
		*last = (uint32_t)((f.nwal - WAL_HEAD) / FRAME);
		done(&f);
		commit(db, 6);
	}
	f = take(db);
	sqlite3_close(db);
	return f;
}

static void sound_and_absent(void **s)
{
	uint32_t last;
	struct files f = five(&last);
	struct walcheck w = check(&f, true);

	(void)s;
	assert_int_equal(w.verdict, WAL_SOUND);
	assert_int_equal(w.served, w.nframes);
	assert_int_equal(w.bad, 0);
	walcheck_free(&w);
	expect(&f, true, WAL_SOUND);
	expect(&f, false, WAL_SOUND);
	lay(&f, false);
	unlink(wal);
	assert_int_equal(walcheck(path, false, &w), 0);
	assert_int_equal(w.verdict, WAL_ABSENT);
	walcheck_free(&w);
	kit_put(wal, "", 0);
	assert_int_equal(walcheck(path, false, &w), 0);
	assert_int_equal(w.verdict, WAL_ABSENT);
	walcheck_free(&w);
	done(&f);
}

/* A cut: without the shared memory it is a tail that was never acknowledged; with it, acknowledged frames are gone. */
static void truncated(void **s)
{
	uint32_t last, cut;
	struct files f = five(&last), g;
	size_t whole = f.nwal;

	(void)s;
	for (cut = 1; cut < whole; cut += 1 + (uint32_t)(kit_random(&seed) % 3000)) {
		struct walcheck w;

		g = f;
		g.nwal = whole - cut;
		w = check(&g, true);
		assert_int_equal(w.verdict, WAL_DAMAGED);
		assert_string_equal(w.why, "its end is missing");
		assert_true(w.bad > 0 && w.bad <= w.committed);
		walcheck_free(&w);
		w = check(&g, false);
		assert_true(w.verdict == WAL_SOUND || w.verdict == WAL_TORN || w.verdict == WAL_ABSENT);
		assert_int_equal(sqlite_takes() > 0 ? sqlite_takes() >= 0 : 0, w.served > 0 ? 1 : 0);
		walcheck_free(&w);
	}
	unlink(wal);
	lay(&f, true);
	unlink(wal);
	{
		struct walcheck w;

		assert_int_equal(walcheck(path, false, &w), 0);
		assert_int_equal(w.verdict, WAL_DAMAGED);
		walcheck_free(&w);
	}
	done(&f);
}

/* One byte, anywhere before the last transaction: damage, whatever else is there; what SQLite would take is told right.
 */
static void flipped(void **s)
{
	uint32_t last, i, exact = 0, all = 0;
	struct files f = five(&last);

	(void)s;
	for (i = 0; i < 300; i++) {
		size_t at = i < WAL_HEAD ? i : WAL_HEAD + kit_random(&seed) % (last * FRAME);
		unsigned char was = f.wal[at];
		struct walcheck w;

		f.wal[at] ^= (unsigned char)(1 + kit_random(&seed) % 255);
		if (at >= 12 && at < 16 && i < WAL_HEAD) { /* a counter of checkpoints: in the head's sum */
			expect(&f, false, WAL_DAMAGED);
		}
		w = check(&f, i % 2 == 0);
		if (w.verdict != WAL_DAMAGED)
			fail_msg("byte %zu: %s", at, wal_verdict_name(w.verdict));
		assert_true(w.committed == w.nframes && w.bad <= 1);
		if (at >= WAL_HEAD) {
			uint32_t frame = (uint32_t)((at - WAL_HEAD) / FRAME), j;

			all++;
			exact += !w.v[frame].intact;
			for (j = 0; j < w.nframes; j++)
				assert_true(w.v[j].intact || j == frame);
			assert_true(w.served <= frame);
		}
		walcheck_free(&w);
		expect(&f, false, WAL_DAMAGED);
		f.wal[at] = was;
	}
	assert_true(exact > all * 9 / 10 && exact <= all); /* the others hit salts or sums: the page is as it was */
	done(&f);
}

/* The last transaction: the shared memory tells whether it was acknowledged. */
static void flipped_at_the_end(void **s)
{
	uint32_t last, i;
	struct files f = five(&last);

	(void)s;
	for (i = 0; i < 100; i++) {
		size_t from = WAL_HEAD + (size_t)last * FRAME, at = from + kit_random(&seed) % (f.nwal - from);
		unsigned char was = f.wal[at];

		f.wal[at] ^= (unsigned char)(1 + kit_random(&seed) % 255);
		expect(&f, true, WAL_DAMAGED);
		expect(&f, false, WAL_TORN);
		f.wal[at] = was;
	}
	done(&f);
}

/* An unsynced transaction may be on disk in any part: never damage. */
static void torn_in_every_way(void **s)
{
	sqlite3 *db = begin();
	struct files before, f;
	uint32_t i, j, first, n;

	(void)s;
	commit(db, 3);
	before = take(db);
	commit(db, 20);
	f = take(db);
	sqlite3_close(db);
	first = (uint32_t)((before.nwal - WAL_HEAD) / FRAME);
	n = (uint32_t)((f.nwal - WAL_HEAD) / FRAME);
	for (i = 0; i < 100; i++) {
		struct files g = f;
		struct walcheck w;

		g.wal = malloc(f.nwal);
		memcpy(g.wal, f.wal, f.nwal);
		g.shm = before.shm;
		for (j = first * 8; j < n * 8; j++) { /* pieces of 512 bytes or so that did not get there */
			if (kit_random(&seed) % 4 == 0)
				memset(g.wal + WAL_HEAD + j * (FRAME / 8), 0, FRAME / 8);
		}
		w = check(&g, i % 2 == 0);
		assert_true(w.verdict == WAL_TORN || w.verdict == WAL_SOUND);
		assert_int_equal(sqlite_takes(), w.served);
		assert_true(w.served == first || w.served == n);
		walcheck_free(&w);
		free(g.wal);
	}
	done(&before);
	done(&f);
}

/* A sector that the power cut tore may end behind the first eight bytes of a frame: noise there, or what an older
 * generation of the log had there, ends no transaction, whatever became of the page. */
static void torn_in_a_head(void **s)
{
	sqlite3 *db = begin();
	struct files before, f;
	uint32_t i, first, n, torn;

	(void)s;
	commit(db, 3);
	before = take(db);
	commit(db, 160);
	f = take(db);
	sqlite3_close(db);
	first = (uint32_t)((before.nwal - WAL_HEAD) / FRAME);
	n = (uint32_t)((f.nwal - WAL_HEAD) / FRAME);
	assert_true(n > first + 50);
	for (i = first; i + 1 < n; i++) {
		size_t at = WAL_HEAD + (size_t)i * FRAME;
		unsigned char was[FRAME];

		memcpy(was, f.wal + at, FRAME);
		for (torn = 0; torn < 2; torn++) {
			kit_noise(f.wal + at, 8, &seed);
			if (torn)
				kit_noise(f.wal + at + 1024, 512, &seed);
			expect(&f, false, WAL_TORN);
			memcpy(f.wal + at, was, FRAME);
		}
		for (torn = 0; torn < 2 && (at + 8) % 512 == 0; torn++) {
			memcpy(f.wal + at, (unsigned char[]){0, 0, 0, 3, 0, 0, 0, 9}, 8);
			if (torn)
				kit_noise(f.wal + at + 1024, 512, &seed);
			expect(&f, false, WAL_TORN);
			memcpy(f.wal + at, was, FRAME);
		}
	}
	done(&before);
	done(&f);
}

/* But where nothing was torn, a wrong beginning of the last commit that had its fsync is damage, and what it was is
 * known. */
static void damaged_head_of_a_commit(void **s)
{
	uint32_t last, i;
	struct files f = five(&last);
	size_t at = WAL_HEAD + (size_t)(last - 1) * FRAME;
	struct walcheck w = check(&f, false);
	struct wal_frame is = w.v[last - 1];

	(void)s;
	assert_true(is.commit != 0 && is.ends);
	walcheck_free(&w);
	for (i = 0; i < 64; i++) {
		unsigned char was[8];

		memcpy(was, f.wal + at, 8);
		if (i < 40)
			f.wal[at + i % 8] ^= (unsigned char)(0x20u << (i / 16));
		else
			kit_noise(f.wal + at, 8, &seed);
		w = check(&f, false);
		assert_int_equal(w.verdict, WAL_DAMAGED);
		assert_int_equal(w.committed, w.nframes);
		assert_int_equal(sqlite_takes(), w.served);
		if (w.v[last - 1].intact)
			assert_true(w.v[last - 1].page == is.page && w.v[last - 1].commit == is.commit);
		else
			assert_true(i < 40);
		walcheck_free(&w);
		memcpy(f.wal + at, was, 8);
	}
	done(&f);
}

/* Frames of a transaction that was rolled back, and of older generations, lie behind the end: they are nothing. */
static void leftovers(void **s)
{
	sqlite3 *db = begin();
	struct files f;
	int i;

	(void)s;
	run(db, "PRAGMA cache_size = 5");
	commit(db, 2);
	run(db, "BEGIN");
	commit(db, 60);
	run(db, "ROLLBACK");
	for (i = 0; i < 4; i++) {
		f = take(db);
		expect(&f, true, i == 0 ? WAL_TORN : WAL_TORN);
		expect(&f, false, WAL_TORN);
		done(&f);
		commit(db, 2);
	}
	commit(db, 100);
	run(db, "PRAGMA wal_checkpoint(RESTART)");
	f = take(db); /* moved, the next begins anew */
	expect(&f, true, WAL_SOUND);
	expect(&f, false, WAL_SOUND);
	done(&f);
	for (i = 0; i < 4; i++) {
		commit(db, 3);
		f = take(db);
		expect(&f, true, WAL_SOUND);
		expect(&f, false, WAL_SOUND);
		done(&f);
	}
	sqlite3_close(db);
}

/* A head that was being written when the power went: what lies behind it had been moved. */
static void torn_head(void **s)
{
	sqlite3 *db = begin();
	struct files f;
	size_t i;

	(void)s;
	commit(db, 30);
	commit(db, 3);
	run(db, "PRAGMA wal_checkpoint(PASSIVE)");
	f = take(db);
	for (i = 0; i < WAL_HEAD; i++) {
		f.wal[i] ^= 0x5a;
		expect(&f, false, WAL_ABSENT);
	}
	done(&f);
	commit(db, 3);
	f = take(db); /* what came last is not in the database */
	f.wal[17] ^= 1;
	expect(&f, false, WAL_DAMAGED);
	expect(&f, true, WAL_DAMAGED);
	done(&f);
	sqlite3_close(db);
}

/* On their way into an archive pages lose what is no content (wipe.h): they are moved all the same. */
static void torn_head_over_wiped_pages(void **s)
{
	struct files f;
	char name[128];
	sqlite3 *db = NULL;

	(void)s;
	snprintf(name, sizeof(name), "%s/live.sqlite", dir);
	assert_int_equal(sqlite3_open_v2(name, &db, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE, pagesum_vfs()),
			 SQLITE_OK);
	assert_int_equal(pagesum_reserve(db), SQLITE_OK);
	run(db, "PRAGMA journal_mode = WAL; PRAGMA wal_autocheckpoint = 0; CREATE TABLE t(a INTEGER PRIMARY KEY, b)");
	commit(db, 40);
	run(db, "UPDATE t SET b = randomblob(700) WHERE a % 3 = 0");
	run(db, "UPDATE t SET b = randomblob(2900) WHERE a % 2 = 0"); /* rows move, and leave their bytes behind */
	run(db, "PRAGMA wal_checkpoint(PASSIVE)");
	f = take(db);
	f.wal[3] ^= 0x5a;
	expect(&f, false, WAL_ABSENT);
	done(&f);
	sqlite3_close(db);
}

/* Moved into the database or not: SQLite would lay the old frames over the newer pages. */
static void damage_in_what_was_moved(void **s)
{
	sqlite3 *db = begin();
	struct files f;
	struct walcheck w;

	(void)s;
	commit(db, 10);
	commit(db, 10);
	commit(db, 10);
	run(db, "PRAGMA wal_checkpoint(PASSIVE)");
	f = take(db);
	sqlite3_close(db);
	f.wal[WAL_HEAD + FRAME * 3 + 1000] ^= 4;
	w = check(&f, true);
	assert_int_equal(w.verdict, WAL_DAMAGED);
	assert_int_equal(w.moved, w.committed);
	walcheck_free(&w);
	f.nwal = 0; /* nothing at all: then nothing is laid over */
	w = check(&f, true);
	assert_int_equal(w.verdict, WAL_ABSENT);
	walcheck_free(&w);
	done(&f);
}

static void somebody_is_there(void **s)
{
	uint32_t last;
	struct files f = five(&last);
	struct walcheck w;
	int up[2], status;
	char c;
	pid_t pid;

	(void)s;
	lay(&f, false);
	assert_int_equal(pipe(up), 0);
	if ((pid = fork()) == 0) {
		sqlite3 *db = NULL;

		if (sqlite3_open(path, &db) != SQLITE_OK ||
		    sqlite3_exec(db, "SELECT count(*) FROM t", NULL, NULL, NULL) != SQLITE_OK ||
		    write(up[1], "x", 1) != 1)
			_exit(1);
		for (;;)
			pause();
	}
	assert_true(pid > 0 && read(up[0], &c, 1) == 1);
	assert_int_equal(walcheck(path, false, &w), 0);
	assert_int_equal(w.verdict, WAL_LIVE);
	kill(pid, SIGKILL);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(walcheck(path, false, &w), 0);
	assert_int_equal(w.verdict, WAL_SOUND);
	walcheck_free(&w);
	close(up[0]);
	close(up[1]);
	done(&f);
}

#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
int main(void)
{
	const struct CMUnitTest tests[] = {
		T(sound_and_absent),
		T(truncated),
		T(flipped),
		T(flipped_at_the_end),
		T(torn_in_every_way),
		T(torn_in_a_head),
		T(damaged_head_of_a_commit),
		T(leftovers),
		T(torn_head),
		T(torn_head_over_wiped_pages),
		T(damage_in_what_was_moved),
		T(somebody_is_there),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
