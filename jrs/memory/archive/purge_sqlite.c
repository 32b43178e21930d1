/* Purging an archive on SQLite. Rows are overwritten when they are deleted, and the room in pages when they go to the
 * file (wipe.h). What is left then: words in the full-text index, and the log. */
#include "common/base/clock.h"
#include "jrs/memory/archive/purge.h"
#include "jrs/memory/archive/sqlite.h"
#include <unistd.h>

#define REST         256u /* pages left for the writer to move: more is for the keeper */
#define HOLD_MS      20u  /* so long the writer waits for readers to leave the log when nobody wants to write */
#define HOLD_BUSY_MS 5u   /* and when somebody does */
#define HOLD_US      300u /* between two looks */

static bool somebody_waits(struct sql_archive *a)
{
	bool any;

	pthread_mutex_lock(&a->writer.lock);
	any = a->writer.waiting.n > 0 || a->writer.stop;
	pthread_mutex_unlock(&a->writer.lock);
	return any;
}

/* Moves what is left of the log and cuts it back to nothing. Readers that still use the log are waited for a moment:
 * those that come once all is moved do not use it. */
static int truncate_log(struct sql_archive *a)
{
	sqlite3 *db = sqlite_of(&a->wdb);
	uint64_t began = tr_mono_ms(), passed;
	int rc;

	if (!archive_may_write(a))
		return SQLITE_READONLY;
	sqlite3_busy_timeout(db, 0);
	for (;;) {
		rc = sqlite_move_log(a, &a->wdb, SQLITE_CHECKPOINT_TRUNCATE);
		passed = tr_mono_ms() - began;
		if ((rc & 0xff) != SQLITE_BUSY || passed >= HOLD_MS || (passed >= HOLD_BUSY_MS && somebody_waits(a)))
			break;
		usleep(HOLD_US);
	}
	sqlite3_busy_timeout(db, WRITE_WAIT_MS);
	archive_wrote(a);
	return rc;
}

static int cut_log(struct sql_archive *a)
{
	int rc;

	if (sqlite_log_hurry(a, REST))
		return PURGE_WAIT;
	rc = truncate_log(a);
	if ((rc & 0xff) == SQLITE_BUSY)
		return PURGE_WAIT;
	if (rc != SQLITE_OK)
		return sqlite_failed(&a->wdb, rc);
	sqlite_log_was_cut(a);
	/* The writer's pages still hold what was wiped on the way out, and would be written again with it. */
	sqlite3_db_release_memory(sqlite_of(&a->wdb));
	return PURGE_DONE;
}

int sqlite_purge(struct sql_archive *a, bool first)
{
	struct purge *p = a->purge;
	int r;

	if (first)
		p->stage = PURGE_BEGIN;
	if (p->stage == PURGE_LOG)
		return cut_log(a);
	r = p->stage == PURGE_BEGIN ? fts_merge_begin(a, &p->words) : fts_merge_step(a, &p->words);
	if (r < 0 && r != TR_ECONFLICT)
		return r;
	p->stage = r == TR_ECONFLICT ? PURGE_BEGIN : r > 0 ? PURGE_WORDS : PURGE_LOG;
	return PURGE_MORE;
}
