/* What may pass by itself is never taken for damage: BUSY, I/O errors and a full disk, at random, under writers,
 * readers and scrubs. TRIBE_INJECTIONS: how many (1500). And what is done about what: damage_decide(). */
#include "damage_archive.h"

#include "jrs/memory/archive/damage.h"
#include "jrs/memory/archive/internal.h"
#include "jrs/memory/archive/pagesum.h"
#include <stdatomic.h>

/* ---- a default VFS that fails now and then ---- */
static const sqlite3_io_methods *methods[2]; /* of the database file, of its log */
static sqlite3_io_methods failing[2];
static sqlite3_vfs vfs;
static atomic_bool inject;
static atomic_uint injected, kinds[5];
static _Thread_local uint64_t chance;

static bool now_and_then(int kind)
{
	if (!inject)
		return false;
	if (chance == 0)
		chance = (uint64_t)(uintptr_t)&chance | 1;
	if (kit_random(&chance) % 23 != 0)
		return false;
	injected++;
	kinds[kind]++;
	return true;
}

static const sqlite3_io_methods *real_of(const sqlite3_file *f)
{
	return methods[f->pMethods == &failing[1]];
}

static int f_read(sqlite3_file *f, void *p, int n, sqlite3_int64 at)
{
	return now_and_then(0) ? SQLITE_IOERR_READ : real_of(f)->xRead(f, p, n, at);
}

static int f_write(sqlite3_file *f, const void *p, int n, sqlite3_int64 at)
{
	if (now_and_then(1))
		return kit_random(&chance) % 2 == 0 ? SQLITE_FULL : SQLITE_IOERR_WRITE;
	return real_of(f)->xWrite(f, p, n, at);
}

static int f_sync(sqlite3_file *f, int flags)
{
	return now_and_then(2) ? SQLITE_IOERR_FSYNC : real_of(f)->xSync(f, flags);
}

static int f_lock(sqlite3_file *f, int how)
{
	return now_and_then(3) ? SQLITE_BUSY : real_of(f)->xLock(f, how);
}

static int f_shm_lock(sqlite3_file *f, int offset, int n, int flags)
{
	if ((flags & SQLITE_SHM_LOCK) != 0 && now_and_then(4))
		return SQLITE_BUSY;
	return real_of(f)->xShmLock(f, offset, n, flags);
}

static int f_open(sqlite3_vfs *v, const char *name, sqlite3_file *f, int flags, int *out)
{
	sqlite3_vfs *under = v->pAppData;
	int rc = under->xOpen(under, name, f, flags, out), which = (flags & SQLITE_OPEN_WAL) != 0;

	if (rc != SQLITE_OK || (flags & (SQLITE_OPEN_MAIN_DB | SQLITE_OPEN_WAL)) == 0)
		return rc;
	if (methods[which] == NULL) { /* the first one comes from the test's own thread */
		failing[which] = *f->pMethods;
		failing[which].xRead = f_read;
		failing[which].xWrite = f_write;
		failing[which].xSync = f_sync;
		if (which == 0) {
			failing[which].xLock = f_lock;
			failing[which].xShmLock = f_shm_lock;
		}
		methods[which] = f->pMethods;
	}
	f->pMethods = &failing[which];
	return rc;
}

static void begin_failing(void)
{
	sqlite3_vfs *under = sqlite3_vfs_find(NULL);

	vfs = *under;
	vfs.pAppData = under;
	vfs.zName = "failing";
	vfs.xOpen = f_open;
	assert_int_equal(sqlite3_vfs_register(&vfs, 1), SQLITE_OK);
}

static int open_it(struct rig *g)
{
	struct archive_cfg cfg = rig_cfg(g);

	cfg.scrub_first_ms = cfg.scrub_every_ms = cfg.scrub_rest_ms = 1; /* all the time */
	return archive_open(&g->a, &cfg, NULL);
}

static void nothing_is_repaired_that_may_pass(void **s)
{
	const char *many = getenv("TRIBE_INJECTIONS");
	unsigned wanted = many == NULL ? 1500 : (unsigned)atoi(many), n = 0, kept = 0, i;
	struct rig *g = rig_new();
	struct archive_stats stats;
	uint64_t until, scrubs;
	char text[64];

	(void)s;
	begin_failing();
	assert_int_equal(open_it(g), 0);
	inject = true;
	while (injected < wanted) {
		struct msg_memory_recall ask = {.has_q = true, .q = wire_s("said")};
		struct item_new_memory m;

		snprintf(text, sizeof(text), "said %u", n);
		m = said(text);
		m.has_id = true;
		m.id = wire_s(text);
		kept += rig_try_add(g, &m);
		n++;
		rig_try(g, MSG_memory_recall, &ask);
		msgpack_zone_clear(g->zone);
		archive_stats(g->a, &stats);
		if (stats.damage != NULL)
			fail_msg("called damaged after %u injections: %s", (unsigned)injected, stats.damage);
	}
	inject = false;
	until = tr_mono_ms() + 30000;
	do
		archive_stats(g->a, &stats);
	while (!stats.healthy && tr_mono_ms() < until && (usleep(1000), true));
	assert_true(stats.healthy && stats.damage == NULL);
	scrubs = stats.scrubs;
	do
		archive_stats(g->a, &stats);
	while (stats.scrubs < scrubs + 2 && tr_mono_ms() < until && (usleep(1000), true));
	assert_true(stats.scrubs >= scrubs + 2 && stats.damage == NULL);
	assert_int_equal(((struct sql_archive *)g->a)->words_made, 0); /* nor were they ever found not to agree */
	archive_close(&g->a);
	assert_int_equal(open_it(g), 0);
	for (i = 0; i < n; i++) { /* acknowledged is kept; the others may be there or not */
		struct msg_memory_get get = {.id = wire_s(text), .has_touch = true};

		snprintf(text, sizeof(text), "said %u", i);
		get.id = wire_s(text);
		if (rig_try(g, MSG_memory_get, &get) != NULL)
			kept--;
		msgpack_zone_clear(g->zone);
	}
	assert_true((int)kept <= 0);
	archive_stats(g->a, &stats);
	assert_null(stats.damage);
	print_message("%u injections (read %u write %u sync %u lock %u shm %u), %u calls, 0 repairs\n",
		      (unsigned)injected, (unsigned)kinds[0], (unsigned)kinds[1], (unsigned)kinds[2],
		      (unsigned)kinds[3], (unsigned)kinds[4], n);
	rig_teardown_sound((void *[]){g}); /* the words agree with the rows */
	sqlite3_vfs_unregister(&vfs);
}

/* ---- what is done about what ---- */
static void only_damage_is_acted_upon(void **s)
{
	static const int pass[] = {SQLITE_BUSY,     SQLITE_BUSY_SNAPSHOT, SQLITE_BUSY_RECOVERY, SQLITE_BUSY_TIMEOUT,
				   SQLITE_LOCKED,   SQLITE_FULL,          SQLITE_READONLY,      SQLITE_READONLY_DBMOVED,
				   SQLITE_CANTOPEN, SQLITE_PROTOCOL,      SQLITE_NOMEM,         SQLITE_IOERR,
				   SQLITE_PERM,     SQLITE_AUTH};
	static const int damage[] = {SQLITE_CORRUPT,          SQLITE_CORRUPT_VTAB, SQLITE_CORRUPT_INDEX,
				     SQLITE_CORRUPT_SEQUENCE, SQLITE_NOTADB,       SQLITE_IOERR_DATA};
	static const int none[] = {
		SQLITE_OK,        SQLITE_ROW,    SQLITE_DONE,   SQLITE_CONSTRAINT, SQLITE_CONSTRAINT_UNIQUE,
		SQLITE_INTERRUPT, SQLITE_TOOBIG, SQLITE_SCHEMA, SQLITE_MISUSE,     SQLITE_ERROR};
	unsigned bits, i;

	(void)s;
	for (i = 0; i < sizeof(pass) / sizeof(pass[0]); i++)
		assert_int_equal(damage_sign(pass[i]), DAMAGE_PASSES);
	for (i = 1; i < 64; i++) /* every kind of I/O error but one */
		assert_int_equal(damage_sign(SQLITE_IOERR | (int)(i << 8)),
				 (SQLITE_IOERR | (int)(i << 8)) == SQLITE_IOERR_DATA ? DAMAGE_SUSPECTED
										     : DAMAGE_PASSES);
	for (i = 0; i < sizeof(damage) / sizeof(damage[0]); i++)
		assert_int_equal(damage_sign(damage[i]), DAMAGE_SUSPECTED);
	for (i = 0; i < sizeof(none) / sizeof(none[0]); i++)
		assert_int_equal(damage_sign(none[i]), DAMAGE_NONE);
	for (bits = 0; bits < 128; bits++) {
		const struct damage_facts f = {.confirmed = bits & 1,
					       .numbered = bits & 2,
					       .leads = bits & 4,
					       .came_back = bits & 8,
					       .room = bits & 16,
					       .lately = bits & 32 ? DAMAGE_LATELY_MAX : DAMAGE_LATELY_MAX - 1};
		enum damage_sign sign = bits & 64 ? DAMAGE_SUSPECTED : DAMAGE_PASSES;
		const char *why = NULL;
		enum damage_act act = damage_decide(sign, &f, &why);

		if (sign != DAMAGE_SUSPECTED)
			assert_int_equal(act, DAMAGE_GO_ON);
		else if (!f.confirmed)
			assert_int_equal(act, DAMAGE_LOOK_AGAIN);
		else
			assert_int_equal(act, (bits & 63) == (1 | 2 | 4 | 16) ? DAMAGE_RESCUE : DAMAGE_REPORT);
		assert_int_equal(why != NULL, act == DAMAGE_REPORT);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(only_damage_is_acted_upon),
		cmocka_unit_test(nothing_is_repaired_that_may_pass),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
