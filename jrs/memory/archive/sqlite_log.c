/* SQLite's write-ahead log: moved into the database by the keeper's thread when that disturbs nobody. */
#include "common/base/clock.h"
#include "common/log/log.h"
#include "jrs/memory/archive/sqlite.h"
#include <string.h>
#include <time.h>
#include <unistd.h>

#define QUIET_MS      1000u /* so long after the last write even a small log is moved */
#define CHECKPOINT_AT 1000u /* pages: moved at once */
#define TRUNCATE_AT \
	1000u /* pages: cut back to nothing when it is quiet: who starts after a crash reads the whole log */
#define TURN_AT       2048u /* pages in the log from which it shall begin anew ... */
#define TURN_REST     512u  /* ... when so few are left to move */
#define FIRM_AGAIN_US 500
#define LEAVE_MS      200u /* readers of others may use the log; whoever leads next empties it then */

/* The first part of the shared memory, as SQLite's description of the WAL format has it. All in the machine's order. */
enum { INDEX_BYTES = 32768, INDEX_FRAMES = 16, INDEX_MOVED = 96 };

/* Pages in the log that the database does not have. A log shorter than what was moved has begun anew. */
static unsigned behind(const struct sql_archive *a)
{
	unsigned pages = a->wal_pages, moved = a->moved_pages;

	return pages >= moved ? pages - moved : pages;
}

/* So many that they are moved although it is not quiet. */
static bool many(const struct sql_archive *a)
{
	unsigned waiting = behind(a);

	return waiting >= CHECKPOINT_AT || (waiting > 0 && a->hurry);
}

static void wake(struct sql_archive *a)
{
	pthread_mutex_lock(&a->keeper.lock);
	pthread_cond_signal(&a->keeper.wake);
	pthread_mutex_unlock(&a->keeper.lock);
}

/* Writer's thread: the log may have grown. */
static void nudge(struct sql_archive *a)
{
	if (many(a) || (behind(a) > 0 && a->keeper_idle))
		wake(a);
}

bool sqlite_log_hurry(struct sql_archive *a, unsigned pages)
{
	if (behind(a) <= pages)
		return false;
	a->hurry = true;
	wake(a);
	return true;
}

void sqlite_log_was_cut(struct sql_archive *a)
{
	a->wal_pages = a->moved_pages = 0;
}

static int on_wal(void *arg, sqlite3 *db, const char *name, int pages)
{
	struct sql_archive *a = arg;

	(void)db;
	(void)name;
	if ((unsigned)pages < a->wal_pages)
		a->turn_ready = false; /* it has begun anew */
	a->wal_pages = (unsigned)pages;
	return SQLITE_OK;
}

/* ---- when a sync has failed ---- */
/* NULL: it has none (it is not open for writing, or not in WAL mode). */
static unsigned char volatile *log_index(sqlite3 *h)
{
	sqlite3_file *file = NULL;
	void volatile *p = NULL;

	if (sqlite3_file_control(h, "main", SQLITE_FCNTL_FILE_POINTER, &file) != SQLITE_OK || file == NULL ||
	    file->pMethods == NULL || file->pMethods->iVersion < 2 ||
	    file->pMethods->xShmMap(file, 0, INDEX_BYTES, 0, &p) != SQLITE_OK)
		return NULL;
	return p;
}

static uint32_t index_frames(unsigned char volatile *index)
{
	return __atomic_load_n((uint32_t volatile *)(void volatile *)(index + INDEX_FRAMES), __ATOMIC_SEQ_CST);
}

/* nBackfill: so many frames are in the database. No reader relies on it for what he reads next, and no mark of a reader
 * is below it, so that what is moved again is as new as what is there. */
static void move_all_again(sqlite3 *h)
{
	unsigned char volatile *index = log_index(h);

	if (index != NULL)
		__atomic_store_n((uint32_t volatile *)(void volatile *)(index + INDEX_MOVED), 0, __ATOMIC_SEQ_CST);
}

/* Every checkpoint, whoever makes it. A sync of the database that failed leaves pages clean in the cache that are not
 * on the disk, among them those that earlier checkpoints had moved in part, without a sync; SQLite would move only the
 * rest again, and then let the log go. */
static int move(struct sql_archive *a, sqlite3 *h, int mode)
{
	int rc;

	if (pthread_mutex_trylock(&a->moving) != 0)
		return SQLITE_BUSY;
	rc = sqlite3_wal_checkpoint_v2(h, NULL, mode, NULL, NULL);
	if (rc != SQLITE_OK && (rc & 0xff) != SQLITE_BUSY && (rc & 0xff) != SQLITE_LOCKED)
		move_all_again(h);
	pthread_mutex_unlock(&a->moving);
	return rc;
}

int sqlite_move_log(struct sql_archive *a, struct db *db, int mode)
{
	return a->log_firm ? move(a, sqlite_of(db), mode) : SQLITE_BUSY;
}

/* A checkpoint syncs the database only when nothing was committed meanwhile; so what was moved since the last one that
 * did piles up. */
static int sync_moved(struct sql_archive *a)
{
	sqlite3 *h = sqlite_of(&a->kdb);
	sqlite3_file *file = NULL;
	int rc = SQLITE_BUSY;

	if (!a->log_firm || sqlite3_file_control(h, "main", SQLITE_FCNTL_FILE_POINTER, &file) != SQLITE_OK ||
	    file == NULL || file->pMethods == NULL || pthread_mutex_trylock(&a->moving) != 0)
		return rc;
	if ((rc = file->pMethods->xSync(file, SQLITE_SYNC_NORMAL)) != SQLITE_OK)
		move_all_again(h);
	pthread_mutex_unlock(&a->moving);
	return rc;
}

bool sqlite_log_any(const struct db *db)
{
	unsigned char volatile *index = log_index(sqlite_of(db));

	return index != NULL && index_frames(index) > 0;
}

/* What it was cut to is on the disk, too. */
static int sync_log(sqlite3 *h)
{
	sqlite3_file *log = NULL;
	int rc = sqlite3_file_control(h, "main", SQLITE_FCNTL_JOURNAL_POINTER, &log);

	if (rc != SQLITE_OK || log == NULL || log->pMethods == NULL)
		return rc;
	return log->pMethods->xSync(log, SQLITE_SYNC_NORMAL);
}

/* A sync of the log that failed leaves frames clean in the cache that never reach the disk. Within that life SQLite
 * writes over them; but whoever opens the archive next reads them from the cache and counts them, and what is committed
 * then would lie behind a hole. So the whole log goes into the database, which is synced, and nothing is left of it. It
 * is not written again in place: a power cut while that is done could hurt what was safe. */
int sqlite_log_firm(struct sql_archive *a, struct db *db)
{
	uint64_t until = tr_mono_ms() + WRITE_WAIT_MS;
	sqlite3 *h = sqlite_of(db);
	int rc;

	if (!sqlite_log_any(db))
		return SQLITE_OK;
	sqlite3_busy_timeout(h, 0);
	for (;;) {
		rc = move(a, h, SQLITE_CHECKPOINT_TRUNCATE);
		if ((rc & 0xff) != SQLITE_BUSY || a->closing || tr_mono_ms() >= until)
			break;
		usleep(FIRM_AGAIN_US); /* readers, who leave it soon: those that come now do not use it */
	}
	sqlite_wait_finely(db);
	return rc == SQLITE_OK ? sync_log(h) : rc;
}

/* The last connection of all does it by itself, but there may be followers. */
bool sqlite_log_leave(struct sql_archive *a, struct db *db)
{
	uint64_t until = tr_mono_ms() + LEAVE_MS;
	int rc;

	sqlite3_busy_timeout(sqlite_of(db), 0);
	while ((rc = sqlite_log_any(db) ? sqlite_move_log(a, db, SQLITE_CHECKPOINT_TRUNCATE) : SQLITE_OK) !=
		       SQLITE_OK &&
	       (rc & 0xff) == SQLITE_BUSY && tr_mono_ms() < until)
		usleep(FIRM_AGAIN_US);
	return rc == SQLITE_OK || (rc & 0xff) == SQLITE_BUSY;
}

/* ---- moving it ---- */
int sqlite_log_open(struct sql_archive *a)
{
	sqlite3_wal_hook(sqlite_of(&a->wdb), on_wal, a);
	return 0;
}

/* Under a steady load the keeper never moves the last page before the next one is written, and the log would grow
 * without end: between two commits nobody writes, so here the rest can be moved, and the next commit begins the log
 * anew. */
void sqlite_log_turn(struct sql_archive *a)
{
	if (a->wal_pages >= TURN_AT && behind(a) <= TURN_REST && a->turn_ready && archive_may_write(a)) {
		if (sqlite_move_log(a, &a->wdb, SQLITE_CHECKPOINT_PASSIVE) == SQLITE_OK)
			a->moved_pages = a->wal_pages;
		archive_wrote(a);
	}
	nudge(a);
}

static void checkpoint(struct sql_archive *a, bool quiet)
{
	unsigned pages = a->wal_pages;
	bool cut = quiet && pages >= TRUNCATE_AT;
	int rc;

	a->hurry = false;
	if (!archive_may_write(a)) {
		a->moved_pages = pages;
		return;
	}
	rc = sqlite_move_log(a, &a->kdb, cut ? SQLITE_CHECKPOINT_TRUNCATE : SQLITE_CHECKPOINT_PASSIVE);
	archive_wrote(a);
	a->moved_pages = pages; /* also after a failure: it is tried again when more has come */
	if (rc != SQLITE_OK && (rc & 0xff) != SQLITE_BUSY)
		log_warn("archive: checkpoint failed code=%d reason=\"%s\"", rc, sqlite3_errstr(rc));
}

/* The log shall begin anew soon: the writer then waits for a sync of the database. That it has little to write, nearly
 * everything is synced here, and what came meanwhile is moved. */
static void prepare_turn(struct sql_archive *a)
{
	int rc;

	if (a->wal_pages < TURN_AT || a->turn_ready || !archive_may_write(a))
		return;
	rc = sync_moved(a);
	archive_wrote(a);
	if (rc == SQLITE_OK) {
		checkpoint(a, false);
		a->turn_ready = true;
	} else if ((rc & 0xff) != SQLITE_BUSY) {
		log_warn("archive: the database could not be synced code=%d reason=\"%s\"", rc, sqlite3_errstr(rc));
	}
}

/* Sleeps until there is something to move. True: the log has not grown for QUIET_MS. */
static bool await_pages(struct sql_archive *a, bool *stop)
{
	struct lane *lane = &a->keeper;
	unsigned before;
	int rc = 0;

	pthread_mutex_lock(&lane->lock);
	a->keeper_idle = true;
	while (!lane->stop && behind(a) == 0)
		pthread_cond_wait(&lane->wake, &lane->lock);
	a->keeper_idle = false;
	do {
		uint64_t until = tr_mono_ms() + QUIET_MS;
		struct timespec ts = {.tv_sec = (time_t)(until / 1000), .tv_nsec = (long)(until % 1000) * 1000000};

		before = a->wal_pages;
		for (rc = 0; rc == 0 && !lane->stop && !many(a);)
			rc = pthread_cond_timedwait(&lane->wake, &lane->lock, &ts);
	} while (!lane->stop && !many(a) && before != a->wal_pages);
	*stop = lane->stop;
	pthread_mutex_unlock(&lane->lock);
	return rc != 0;
}

void sqlite_log_keep(struct sql_archive *a)
{
	bool stop = false, quiet;

	for (;;) {
		quiet = await_pages(a, &stop);
		if (stop)
			return;
		checkpoint(a, quiet);
		prepare_turn(a);
	}
}
