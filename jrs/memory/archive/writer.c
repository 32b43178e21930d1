/* The writer's thread: whatever arrived during the last commit is the next one. */
#include "common/base/clock.h"
#include "common/log/log.h"
#include "jrs/memory/archive/internal.h"
#include <string.h>
#include <time.h>

#define BATCH_MAX       1024   /* calls in one commit */
#define HOUSEKEEPING_MS 60000u /* how often old requests and logs are trimmed */
#define TURN_AT         2048u  /* pages in the log from which it shall begin anew ... */
#define TURN_REST       512u   /* ... when so few are left to move */
#define PROBE_MS        1000u  /* how often an archive that failed is tried again */

static int on_wal(void *arg, sqlite3 *db, const char *name, int pages)
{
	struct archive *a = arg;

	(void)db;
	(void)name;
	a->wal_pages = (unsigned)pages;
	return SQLITE_OK;
}

static void healthy(struct archive *a, bool ok)
{
	if (a->healthy == ok)
		return;
	a->healthy = ok;
	if (ok)
		log_info("archive: writes work again");
	else
		log_error("archive: a write failed code=%d reason=\"%s\"", a->wdb.rc, sqlite3_errstr(a->wdb.rc));
}

/* After a failure SQLite may have rolled the whole transaction back by itself. */
static bool in_transaction(const struct archive *a)
{
	return sqlite3_get_autocommit(a->wdb.h) == 0;
}

/* One call in a savepoint. < 0: the transaction is gone, and with it everything in it; else the call has its own j->r.
 */
static int one_effect(struct archive *a, struct job *j)
{
	size_t mark = a->heat.n;
	int r;

	memset(&j->fault, 0, sizeof(j->fault));
	memset(&j->answer, 0, sizeof(j->answer));
	if (job_late(j)) {
		j->r = TR_EDEADLINE;
		return 0;
	}
	if ((r = db_run(&a->wdb, SQL_EFFECT)) < 0)
		return r;
	j->r = write_effect(a, j);
	if (!in_transaction(a))
		return j->r < 0 ? j->r : TR_ESTORE;
	if (j->r < 0) {
		a->heat.n = mark;
		if ((r = db_run(&a->wdb, SQL_EFFECT_UNDO)) < 0)
			return r;
	}
	r = db_run(&a->wdb, SQL_EFFECT_END);
	return r;
}

/* Notes have a savepoint of their own: nothing in them may cost a call its commit. */
static int all_notes(struct archive *a)
{
	size_t mark = a->heat.n;
	int r;

	if (!notes_any(&a->taken))
		return 0;
	if ((r = db_run(&a->wdb, SQL_EFFECT)) < 0)
		return r;
	r = write_notes(a, &a->taken);
	if (!in_transaction(a))
		return r < 0 ? r : TR_ESTORE;
	if (r < 0) {
		a->heat.n = mark;
		if (!db_storage_failed(a->wdb.rc)) { /* they would fail again for ever */
			log_warn("archive: notes dropped code=%d", a->wdb.rc);
			a->notes_dropped += a->taken.ntouch + a->taken.nrecall + a->taken.nchange;
			notes_free(&a->taken);
		}
		if ((r = db_run(&a->wdb, SQL_EFFECT_UNDO)) < 0)
			return r;
	}
	return db_run(&a->wdb, SQL_EFFECT_END);
}

static void apply_heat(struct archive *a)
{
	size_t i;

	for (i = 0; i < a->heat.n; i++) {
		const struct heat_change *c = &a->heat.v[i];

		if (c->was)
			hist_remove(&a->hist, c->before, c->was_sacred);
		if (!c->gone)
			hist_add(&a->hist, c->after, c->is_sacred);
	}
	hist_slide(&a->hist, &a->model, (double)a->now_ms);
}

/* One transaction over v[0..n). 0: on disk. */
static int transaction(struct archive *a, struct job **v, unsigned n, bool notes)
{
	int64_t now = a->wall_ms();
	unsigned i;
	int r;

	a->heat.n = 0;
	a->now_ms = now > a->now_ms ? now : a->now_ms;
	if ((r = db_run(&a->wdb, SQL_BEGIN)) < 0)
		return r;
	for (i = 0; i < n && r == 0; i++)
		r = one_effect(a, v[i]);
	if (r == 0 && notes)
		r = all_notes(a);
	if (r == 0) {
		pthread_mutex_lock(&a->hist_lock);
		if ((r = db_run(&a->wdb, SQL_COMMIT)) == 0)
			apply_heat(a);
		pthread_mutex_unlock(&a->hist_lock);
	}
	if (r < 0) {
		int rc = a->wdb.rc;

		if (in_transaction(a))
			db_run(&a->wdb, SQL_ROLLBACK);
		a->wdb.rc = rc;
		return r;
	}
	if (notes)
		notes_free(&a->taken);
	a->commits++;
	a->changes++;
	return 0;
}

static void done(struct archive *a, struct job *j, int r)
{
	if (r < 0) {
		memset(&j->fault, 0, sizeof(j->fault));
		j->r = r;
	} else if (j->r == 0) {
		a->committed_calls++;
	}
	archive_finish(a, j);
}

static void batch(struct archive *a, struct job **v, unsigned n)
{
	int r = transaction(a, v, n, true);
	bool busy = (a->wdb.rc & 0xff) == SQLITE_BUSY;
	unsigned i;

	healthy(a, r == 0);
	if (r == 0 || n < 2 || busy) {
		for (i = 0; i < n; i++)
			done(a, v[i], r);
		return;
	}
	/* It failed as a whole, perhaps because of one (a full disk and a large call): each gets a chance of its own.
	 */
	for (i = 0; i < n; i++) {
		r = transaction(a, &v[i], 1, false);
		healthy(a, r == 0);
		done(a, v[i], r);
	}
}

static void keep_house(struct archive *a)
{
	uint64_t now = tr_mono_ms();

	if (!a->healthy && now - a->probe_ms >= PROBE_MS) {
		a->probe_ms = now;
		if (db_run(&a->wdb, SQL_BEGIN) == 0 && write_housekeeping(a) == 0 && db_run(&a->wdb, SQL_COMMIT) == 0)
			healthy(a, true);
		if (in_transaction(a))
			db_run(&a->wdb, SQL_ROLLBACK);
	} else if (a->healthy && now - a->housekeeping_ms >= HOUSEKEEPING_MS) {
		a->housekeeping_ms = now;
		if (db_run(&a->wdb, SQL_BEGIN) < 0 || write_housekeeping(a) < 0 || db_run(&a->wdb, SQL_COMMIT) < 0)
			healthy(a, !db_storage_failed(a->wdb.rc));
		if (in_transaction(a))
			db_run(&a->wdb, SQL_ROLLBACK);
	}
}

/* Under the lock: until when may we sleep? 0: there is work now. */
static uint64_t sleep_until(struct archive *a, uint64_t now)
{
	uint64_t until = a->healthy ? a->housekeeping_ms + HOUSEKEEPING_MS : a->probe_ms + PROBE_MS;

	if (a->writer.waiting.n > 0 || a->writer.stop)
		return 0;
	if ((notes_any(&a->notes) || notes_any(&a->taken)) && a->healthy && a->notes_since_ms + NOTES_LATE_MS < until)
		until = a->notes_since_ms + NOTES_LATE_MS;
	return until <= now ? 0 : until;
}

/* Waits for work; takes calls into v and, when those of last time are written, the notes. */
static unsigned take(struct archive *a, struct job **v, bool *stop)
{
	struct lane *lane = &a->writer;
	uint64_t until;
	unsigned n;

	pthread_mutex_lock(&lane->lock);
	while ((until = sleep_until(a, tr_mono_ms())) != 0) {
		struct timespec ts = {.tv_sec = (time_t)(until / 1000), .tv_nsec = (long)(until % 1000) * 1000000};

		pthread_cond_timedwait(&lane->wake, &lane->lock, &ts);
	}
	for (n = 0; n < BATCH_MAX && lane->waiting.n > 0; n++)
		v[n] = jobs_take(&lane->waiting);
	*stop = lane->stop && lane->waiting.n == 0;
	if (!notes_any(&a->taken)) {
		notes_free(&a->taken);
		a->taken = a->notes;
		memset(&a->notes, 0, sizeof(a->notes));
	}
	pthread_mutex_unlock(&lane->lock);
	return n;
}

/* Under a steady load the keeper never moves the last page before the next one is written, and the log would grow
 * without end: between two commits nobody writes, so here the rest can be moved, and the next commit begins the log
 * anew. */
static void turn_log(struct archive *a)
{
	if (a->wal_pages < TURN_AT || keeper_behind(a) > TURN_REST)
		return;
	if (sqlite3_wal_checkpoint_v2(a->wdb.h, NULL, SQLITE_CHECKPOINT_PASSIVE, NULL, NULL) == SQLITE_OK)
		a->moved_pages = a->wal_pages;
}

void *writer_main(void *arg)
{
	struct archive *a = arg;
	struct job *v[BATCH_MAX]; /* 8 KiB of this thread's stack */
	bool stop = false;

	sqlite3_wal_hook(a->wdb.h, on_wal, a);
	a->housekeeping_ms = a->probe_ms = tr_mono_ms();
	while (!stop) {
		unsigned n = take(a, v, &stop);

		/* Notes alone wait while the archive is ill; keep_house() finds out when it is well. */
		if (n > 0 || (notes_any(&a->taken) && (a->healthy || stop)))
			batch(a, v, n);
		if (!stop)
			keep_house(a);
		turn_log(a);
		keeper_nudge(a);
	}
	return NULL;
}
