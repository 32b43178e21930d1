/* The reader's thread, and the keeper's, which moves the log into the database when that disturbs nobody. */
#include "common/base/clock.h"
#include "common/log/log.h"
#include "jrs/memory/archive/internal.h"
#include <string.h>
#include <time.h>

#define QUIET_MS      1000u /* so long after the last write even a small log is moved */
#define CHECKPOINT_AT 1000u /* pages: moved at once */
#define TRUNCATE_AT \
	1000u /* pages: cut back to nothing when it is quiet: who starts after a crash reads the whole log */

static int read_one(struct archive *a, struct job *j)
{
	switch (j->id) {
	case MSG_memory_get:
		return read_get(a, j);
	case MSG_memory_recall:
		return read_recall(a, j);
	case MSG_memory_thermal:
		return read_thermal(a, j);
	case MSG_memory_decisions:
		return read_decisions(a, j);
	case MSG_memory_explain:
		return read_explain(a, j);
	case MSG_memory_export:
		return read_export(a, j);
	case MSG_memory_imports:
		return read_imports(a, j);
	default:
		return read_samples(a, j);
	}
}

/* One call over one snapshot. */
static void serve(struct archive *a, struct job *j)
{
	int r;

	a->reading = j;
	if (job_late(j))
		j->r = TR_EDEADLINE;
	else
		j->r = read_one(a, j);
	a->reading = NULL;
	/* figures and recalls open a snapshot; whatever happened, none is left open */
	if (sqlite3_get_autocommit(a->rdb.h) == 0 && (r = db_run(&a->rdb, SQL_LOOKED)) < 0 && j->r == 0)
		j->r = r;
	if (j->r == TR_EDEADLINE && a->closing)
		j->r = TR_ECLOSED;
	archive_finish(a, j);
}

void *reader_main(void *arg)
{
	struct archive *a = arg;
	struct lane *lane = &a->reader;
	struct job *j;

	for (;;) {
		pthread_mutex_lock(&lane->lock);
		while (lane->waiting.n == 0 && !lane->stop)
			pthread_cond_wait(&lane->wake, &lane->lock);
		j = lane->stop ? NULL : jobs_take(&lane->waiting);
		pthread_mutex_unlock(&lane->lock);
		if (j == NULL)
			return NULL;
		serve(a, j);
	}
}

/* Pages in the log that the database does not have. A log shorter than what was moved has begun anew. */
unsigned keeper_behind(const struct archive *a)
{
	unsigned pages = a->wal_pages, moved = a->moved_pages;

	return pages >= moved ? pages - moved : pages;
}

void keeper_nudge(struct archive *a)
{
	unsigned waiting = keeper_behind(a);

	if (waiting >= CHECKPOINT_AT || (waiting > 0 && a->keeper_idle)) {
		pthread_mutex_lock(&a->keeper.lock);
		pthread_cond_signal(&a->keeper.wake);
		pthread_mutex_unlock(&a->keeper.lock);
	}
}

static void checkpoint(struct archive *a, bool quiet)
{
	unsigned pages = a->wal_pages;
	bool cut = quiet && pages >= TRUNCATE_AT;
	int rc = sqlite3_wal_checkpoint_v2(a->kdb.h, NULL, cut ? SQLITE_CHECKPOINT_TRUNCATE : SQLITE_CHECKPOINT_PASSIVE,
					   NULL, NULL);

	a->moved_pages = pages; /* also after a failure: it is tried again when more has come */
	if (rc != SQLITE_OK && (rc & 0xff) != SQLITE_BUSY)
		log_warn("archive: checkpoint failed code=%d reason=\"%s\"", rc, sqlite3_errstr(rc));
}

/* Sleeps until there is something to move. True: the log has not grown for QUIET_MS. */
static bool await_pages(struct archive *a, bool *stop)
{
	struct lane *lane = &a->keeper;
	unsigned before;
	int rc = 0;

	pthread_mutex_lock(&lane->lock);
	a->keeper_idle = true;
	while (!lane->stop && keeper_behind(a) == 0)
		pthread_cond_wait(&lane->wake, &lane->lock);
	a->keeper_idle = false;
	do {
		uint64_t until = tr_mono_ms() + QUIET_MS;
		struct timespec ts = {.tv_sec = (time_t)(until / 1000), .tv_nsec = (long)(until % 1000) * 1000000};

		before = a->wal_pages;
		for (rc = 0; rc == 0 && !lane->stop && keeper_behind(a) < CHECKPOINT_AT;)
			rc = pthread_cond_timedwait(&lane->wake, &lane->lock, &ts);
	} while (!lane->stop && keeper_behind(a) < CHECKPOINT_AT && before != a->wal_pages);
	*stop = lane->stop;
	pthread_mutex_unlock(&lane->lock);
	return rc != 0;
}

/* A log that an earlier life left is moved now, and counts as one page behind, so that it is cut once it is quiet. */
static void inherit(struct archive *a)
{
	unsigned none = 0;
	int pages = 0;

	if (sqlite3_wal_checkpoint_v2(a->kdb.h, NULL, SQLITE_CHECKPOINT_PASSIVE, &pages, NULL) != SQLITE_OK ||
	    pages <= 0)
		return;
	a->moved_pages = (unsigned)pages - 1;
	atomic_compare_exchange_strong(&a->wal_pages, &none, (unsigned)pages); /* the writer's word is newer */
}

void *keeper_main(void *arg)
{
	struct archive *a = arg;
	bool stop = false, quiet;

	inherit(a);
	for (;;) {
		quiet = await_pages(a, &stop);
		if (stop)
			return NULL;
		checkpoint(a, quiet);
	}
}
