/* The instruments of test_powercut.c (tests/kit/vfs_disk.c, powercut_vfs.c), tried on bare SQLite: a disk that forgets
 * what it may forget and nothing else, and settings whose promise is known. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "tests/kit/powercut_vfs.h"
#include "tests/kit/vfs_disk.h"
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- the disk ---- */
#define SPAN 4096
static bool all_are(const struct vfile *f, unsigned char want, uint64_t from, uint64_t to)
{
	for (; from < to; from++) {
		if (vfile_bytes(f)[from] != want)
			return false;
	}
	return true;
}

/* One file of SPAN synced 'a', of which [600, 3000) was then overwritten with 'b'; what has become of it after the cut?
 */
static unsigned fates_of(uint64_t seed)
{
	struct vdisk *d = vdisk_new(), *after;
	struct vfile *f = vdisk_open(d, "x", true);
	unsigned char a[SPAN], b[2400];
	unsigned fates = 0;
	uint64_t at;

	memset(a, 'a', sizeof(a));
	memset(b, 'b', sizeof(b));
	vfile_write(f, a, sizeof(a), 0);
	vfile_sync(f);
	vdisk_sync_names(d);
	vfile_write(f, b, sizeof(b), 600);
	assert_true(all_are(f, 'b', 600, 3000)); /* the running machine sees all of it */
	after = vdisk_cut(d, seed, NULL);
	vfile_release(&f);
	f = vdisk_open(after, "x", false);
	assert_non_null(f);
	assert_int_equal(vfile_size(f), SPAN);
	assert_true(all_are(f, 'a', 0, 600) && all_are(f, 'a', 3000, SPAN)); /* beside the write nothing is hurt */
	for (at = 600; at < 3000; at = (at / VDISK_SECTOR + 1) * VDISK_SECTOR) {
		uint64_t end = (at / VDISK_SECTOR + 1) * VDISK_SECTOR;

		end = end > 3000 ? 3000 : end;
		fates |= all_are(f, 'a', at, end) ? 1u : all_are(f, 'b', at, end) ? 2u : 4u;
	}
	vfile_sync(f); /* what survived is there to stay */
	vfile_release(&f);
	vdisk_free(&after);
	vdisk_free(&d);
	return fates;
}

static void a_write_is_kept_lost_or_torn(void **s)
{
	unsigned seen[8] = {0};
	uint64_t seed;

	(void)s;
	for (seed = 0; seed < 2000; seed++) {
		unsigned fates = fates_of(seed);

		seen[fates]++;
		assert_int_equal(fates, fates_of(seed)); /* a seed says it all */
	}
	assert_true(seen[1] > 100 && seen[2] > 100 && seen[3] > 100 && seen[4] + seen[5] + seen[6] + seen[7] > 100);
}

/* Names: synced ones stay, of the others any may be missing, and a rename is never half done. */
static void names_are_forgotten(void **s)
{
	unsigned seen[32] = {0}, i;
	uint64_t seed;

	(void)s;
	for (seed = 0; seed < 1000; seed++) {
		struct vdisk *d = vdisk_new(), *after;
		static const char *const made[] = {"stays", "goes", "moves"};
		struct vfile *f;
		unsigned found = 0;

		for (i = 0; i < 3; i++) {
			f = vdisk_open(d, made[i], true);
			vfile_write(f, made[i], strlen(made[i]), 0);
			vfile_sync(f);
			vfile_release(&f);
		}
		vdisk_sync_names(d);
		f = vdisk_open(d, "comes", true);
		vfile_write(f, "comes", 5, 0);
		vfile_sync(f); /* the bytes, not the name */
		vfile_release(&f);
		assert_true(vdisk_delete(d, "goes") && vdisk_rename(d, "moves", "moved"));
		assert_false(vdisk_delete(d, "goes"));
		after = vdisk_cut(d, seed, NULL);
		for (i = 0; vdisk_name(after, i) != NULL; i++) {
			const char *name = vdisk_name(after, i);

			found |= strcmp(name, "stays") == 0   ? 1u
				 : strcmp(name, "comes") == 0 ? 2u
				 : strcmp(name, "goes") == 0  ? 4u
				 : strcmp(name, "moves") == 0 ? 8u
							      : 16u;
		}
		assert_true((found & 1) != 0 && ((found & 8) != 0) != ((found & 16) != 0));
		seen[found]++;
		vdisk_free(&after);
		vdisk_free(&d);
	}
	for (i = 0; i < 32; i++)
		assert_true((seen[i] > 0) == ((i & 1) != 0 && ((i & 8) != 0) != ((i & 16) != 0)));
}

static void a_failed_sync_is_not_made_good(void **s)
{
	struct vdisk *d = vdisk_new(), *after;
	struct vfile *f = vdisk_open(d, "x", true);
	unsigned lost = 0, i;

	(void)s;
	vdisk_sync_names(d);
	for (i = 0; i < 64; i++)
		vfile_write(f, "new", 3, i * 1024);
	vfile_sync_failed(f, 1);
	assert_int_equal(vfile_unsynced(f), 0); /* clean in the cache, so the next one has nothing to do */
	vfile_sync(f);
	after = vdisk_cut(d, 1, NULL);
	vfile_release(&f);
	f = vdisk_open(after, "x", false);
	for (i = 0; i < 64; i++)
		lost += i * 1024 >= vfile_size(f) || memcmp(vfile_bytes(f) + i * 1024, "new", 3) != 0;
	assert_true(lost > 8 && lost < 56);
	vfile_release(&f);
	vdisk_free(&after);
	vdisk_free(&d);
}

/* ---- bare SQLite on it ---- */
static int run(sqlite3 *db, const char *sql)
{
	return sqlite3_exec(db, sql, NULL, NULL, NULL);
}

static int number(void *out, int n, char **v, char **names)
{
	(void)n;
	(void)names;
	*(int *)out = v[0] == NULL ? -1 : (int)strtol(v[0], NULL, 10);
	return 0;
}

struct outcome {
	unsigned cuts, lost, damaged, acknowledged;
};

/* A table of numbers, one a commit; the power goes at some moment. Then: are all that were acknowledged there, and is
 * it sound? */
static void one_cut(const char *setup, uint64_t seed, struct outcome *o)
{
	int acknowledged = 0, there = -1, sound = 0, i;
	char sql[200];
	sqlite3 *db;

	power_new();
	assert_int_equal(sqlite3_open("/bare.db", &db), SQLITE_OK);
	run(db, setup);
	assert_int_equal(run(db, "CREATE TABLE t(n INTEGER PRIMARY KEY, filler); CREATE INDEX i ON t(filler)"),
			 SQLITE_OK);
	power_cut_at(POWER_ALL_OPS, POWER_ALL_FILES, 1 + vdisk_dice(seed, 1, 1) % 800);
	for (i = 1; i < 300 && !power_is_off(); i++) {
		snprintf(sql, sizeof(sql), "INSERT INTO t VALUES(%d, hex(randomblob(%d)))", i,
			 1 + (int)(vdisk_dice(seed, 2, (uint64_t)i) % 4000));
		if (run(db, sql) == SQLITE_OK)
			acknowledged = i;
		if (i % 16 == 0)
			run(db, "PRAGMA wal_checkpoint");
		if (i % 10 == 0)
			run(db,
			    "DELETE FROM t WHERE n < 0; UPDATE t SET filler = hex(randomblob(500)) WHERE n % 3 = 0");
	}
	power_cut();
	sqlite3_close(db);
	power_on_again(seed);
	assert_int_equal(sqlite3_open("/bare.db", &db), SQLITE_OK);
	if (sqlite3_exec(db, "SELECT count(*) = 1 AND integrity_check = 'ok' FROM pragma_integrity_check", number,
			 &sound, NULL) != SQLITE_OK)
		sound = 0;
	snprintf(sql, sizeof(sql), "SELECT count(*) FROM t WHERE n <= %d", acknowledged);
	if (sqlite3_exec(db, sql, number, &there, NULL) != SQLITE_OK)
		there = 0;
	sqlite3_close(db);
	o->cuts++;
	o->acknowledged += (unsigned)acknowledged;
	o->damaged += sound != 1;
	o->lost += there < acknowledged;
}

#define BARE_CUTS 150
static struct outcome cuts(const char *setup)
{
	struct outcome o = {0, 0, 0, 0};
	uint64_t i;

	for (i = 0; i < BARE_CUTS; i++)
		one_cut(setup, 4711 + i, &o);
	print_message("%-60s cuts %u acknowledged %u lost in %u damaged %u\n", setup, o.cuts, o.acknowledged, o.lost,
		      o.damaged);
	return o;
}

static void what_sqlite_promises(void **s)
{
	static const struct {
		const char *setup;
		bool loses, damages;
	} all[] = {
		{"PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL", false, false},
		{"PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL", true, false},
		{"PRAGMA journal_mode = WAL; PRAGMA synchronous = OFF", true, true},
		{"PRAGMA journal_mode = DELETE; PRAGMA synchronous = EXTRA", false, false},
		{"PRAGMA journal_mode = DELETE; PRAGMA synchronous = OFF", true, true},
	};
	struct power_faults lie = {.lie = true};
	struct outcome o;
	size_t i;

	(void)s;
	for (i = 0; i < sizeof(all) / sizeof(all[0]); i++) {
		o = cuts(all[i].setup);
		assert_int_equal(o.lost > 0, all[i].loses);
		assert_int_equal(o.damaged > 0, all[i].damages);
	}
	power_faults(&lie);
	o = cuts(all[0].setup);
	power_faults(NULL);
	assert_true(o.lost > BARE_CUTS / 2 && o.damaged > 0);
	power_synchronous_off(true); /* whatever the program says */
	o = cuts(all[0].setup);
	power_synchronous_off(false);
	assert_true(o.lost > 0 && o.damaged > 0);
}

static void calls_fail(void **s)
{
	static const struct {
		enum power_fault kind;
		int rc;
	} all[] = {
		{FAULT_BUSY, SQLITE_BUSY},       {FAULT_EIO_READ, SQLITE_IOERR},   {FAULT_EIO_WRITE, SQLITE_IOERR},
		{FAULT_EIO_SYNC, SQLITE_IOERR},  {FAULT_SHORT_WRITE, SQLITE_FULL}, {FAULT_ENOSPC, SQLITE_FULL},
		{FAULT_EMFILE, SQLITE_CANTOPEN}, {FAULT_EIO_DELETE, SQLITE_IOERR},
	};
	struct power_seen seen;
	size_t i;

	(void)s;
	for (i = 0; i < sizeof(all) / sizeof(all[0]); i++) {
		struct power_faults f = {.seed = i};
		uint64_t before = power_injected(all[i].kind);
		sqlite3 *db;
		int rc;

		power_new();
		assert_int_equal(sqlite3_open("/bare.db", &db), SQLITE_OK);
		run(db, "PRAGMA journal_mode = DELETE; CREATE TABLE t(n)");
		f.ppm[all[i].kind] = 1000000;
		power_faults(&f);
		rc = run(db, "INSERT INTO t VALUES(1)");
		if ((rc & 0xff) != all[i].rc)
			fail_msg("fault %d gave %d", (int)all[i].kind, rc);
		assert_true(power_injected(all[i].kind) > before);
		power_faults(NULL);
		assert_int_equal(run(db, "INSERT INTO t VALUES(2)"), SQLITE_OK);
		sqlite3_close(db);
	}
	power_seen(&seen);
	assert_int_equal(seen.strangers, 0);
	assert_int_equal(seen.db_deleted, 0);
	assert_true(seen.ops[POWER_SYNC][POWER_DB] > 0 && seen.ops[POWER_DELETE][POWER_JOURNAL] > 0);
}

static int setup(void **s)
{
	(void)s;
	power_register();
	return 0;
}

static int teardown(void **s)
{
	(void)s;
	power_shutdown();
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_write_is_kept_lost_or_torn),
		cmocka_unit_test(names_are_forgotten),
		cmocka_unit_test(a_failed_sync_is_not_made_good),
		cmocka_unit_test(what_sqlite_promises),
		cmocka_unit_test(calls_fail),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
