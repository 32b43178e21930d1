/* Inside the SQLite driver: sqlite.c (connections, statements), sqlite_log.c (the log and its keeper), fts.c (the
 * index). */
#ifndef JRS_MEMORY_ARCHIVE_SQLITE_H
#define JRS_MEMORY_ARCHIVE_SQLITE_H
#include "jrs/memory/archive/internal.h"
#include <sqlite3.h>

#define WRITE_WAIT_MS 2000 /* another program may hold the write lock for so long (a shell, a backup) */

struct sqlite_conn {
	sqlite3 *h;
	sqlite3_stmt *st[SQL_NSTATEMENTS]; /* of this connection's lane; the others NULL */
	struct sql_archive *a;
	bool writing;        /* a write transaction has begun and has not been committed */
	uint64_t give_up_ms; /* when a wait for a lock is over */
	bool suspect;        /* something failed within one: what the connection keeps in memory may be wrong */
	bool tidy;           /* closing may write: what was read made sense */
};
static inline sqlite3 *sqlite_of(const struct db *db)
{
	return ((struct sqlite_conn *)db->conn)->h;
}
int sqlite_failed(struct db *db, int rc); /* SQLite's code -> ours, noted in db */
int sqlite_prepare(struct db *db, enum db_lane lane, struct tr_fault *fault);
void sqlite_wait_finely(struct db *db); /* for locks, up to WRITE_WAIT_MS */

/* sqlite_log.c */
int sqlite_log_open(struct sql_archive *a); /* hooks; the log's file is made large, and stays */
/* The one way to a checkpoint, of any thread: SQLite's codes. BUSY: another is under way, or it is too early. */
int sqlite_move_log(struct sql_archive *a, struct db *db, int mode);
/* Before the first commit: of what an earlier life left in the log nothing is needed any more. SQLite's codes. */
int sqlite_log_firm(struct sql_archive *a, struct db *db);
bool sqlite_log_any(const struct db *db); /* is there something in it? */
/* Whoever leads leaves: all is in the database, and the log empty. False: not; it is to stay. */
bool sqlite_log_leave(struct sql_archive *a, struct db *db);
void sqlite_log_turn(struct sql_archive *a); /* writer's thread */
void sqlite_log_keep(struct sql_archive *a); /* keeper's thread */
/* Writer's thread. Are more than so many pages to be moved? Then the keeper shall do it now. */
bool sqlite_log_hurry(struct sql_archive *a, unsigned pages);
void sqlite_log_was_cut(struct sql_archive *a); /* all is moved, and the file is empty */

/* May opening make the file, and bring it to the newest schema? */
static inline bool sqlite_makes(const struct archive_cfg *cfg)
{
	return !cfg->follow || cfg->alone;
}

/* sqlite_watch.c */
/* Before anything is opened: < 0: refused, and *cfg->damaged says whether for damage. A damaged log of a file that
 * nothing can take the place of is let in, with a->damaged set. */
int sqlite_admit(struct sql_archive *a, const struct archive_cfg *cfg, struct tr_fault *fault);
void sqlite_made(const struct archive_cfg *cfg); /* it is open and sound: from now on a missing file is damage */
void sqlite_reread(const char *path);       /* the kernel shall take it from the disk again; not while it is held */
void sqlite_suspect(struct db *db, int rc); /* any thread with its connection */
/* Proved: nothing is written from now on. Waits for who writes; not for a thread that writes itself. */
void sqlite_damaged(struct sql_archive *a, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void sqlite_watch(struct sql_archive *a); /* watcher's thread */

/* fts.c */
int fts_register(struct db *db, struct tr_fault *fault); /* the SQL function memory_terms(); before preparing */
int fts_terms(struct db *db, const struct query_words *words, int64_t memory, bool weighed, struct term *v,
	      double *match);

#endif
