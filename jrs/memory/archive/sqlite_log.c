/* SQLite's write-ahead log: moved into the database by the keeper's thread when that disturbs nobody. */
#include "common/base/clock.h"
#include "common/log/log.h"
#include "jrs/memory/archive/sqlite.h"
#include <string.h>
#include <time.h>

#define QUIET_MS      1000u /* so long after the last write even a small log is moved */
#define CHECKPOINT_AT 1000u /* pages: moved at once */
#define TRUNCATE_AT \
	1000u           /* pages: cut back to nothing when it is quiet: who starts after a crash reads the whole log */
#define TURN_AT   2048u /* pages in the log from which it shall begin anew ... */
#define TURN_REST 512u  /* ... when so few are left to move */

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
	a->wal_pages = (unsigned)pages;
	return SQLITE_OK;
}

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
	if (a->wal_pages >= TURN_AT && behind(a) <= TURN_REST && archive_may_write(a)) {
		if (sqlite3_wal_checkpoint_v2(sqlite_of(&a->wdb), NULL, SQLITE_CHECKPOINT_PASSIVE, NULL, NULL) ==
		    SQLITE_OK)
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
	rc = sqlite3_wal_checkpoint_v2(sqlite_of(&a->kdb), NULL,
				       cut ? SQLITE_CHECKPOINT_TRUNCATE : SQLITE_CHECKPOINT_PASSIVE, NULL, NULL);
	archive_wrote(a);
	a->moved_pages = pages; /* also after a failure: it is tried again when more has come */
	if (rc != SQLITE_OK && (rc & 0xff) != SQLITE_BUSY)
		log_warn("archive: checkpoint failed code=%d reason=\"%s\"", rc, sqlite3_errstr(rc));
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

/* A log that an earlier life left is moved now, and counts as one page behind, so that it is cut once it is quiet. */
static void inherit(struct sql_archive *a)
{
	unsigned none = 0;
	int pages = 0;

	if (!archive_may_write(a))
		return;
	if (sqlite3_wal_checkpoint_v2(sqlite_of(&a->kdb), NULL, SQLITE_CHECKPOINT_PASSIVE, &pages, NULL) != SQLITE_OK)
		pages = 0;
	archive_wrote(a);
	if (pages <= 0)
		return;
	a->moved_pages = (unsigned)pages - 1;
	atomic_compare_exchange_strong(&a->wal_pages, &none, (unsigned)pages); /* the writer's word is newer */
}

void sqlite_log_keep(struct sql_archive *a)
{
	bool stop = false, quiet;

	inherit(a);
	for (;;) {
		quiet = await_pages(a, &stop);
		if (stop)
			return;
		checkpoint(a, quiet);
	}
}
