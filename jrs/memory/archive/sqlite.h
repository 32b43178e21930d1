/* Inside the SQLite driver: sqlite.c (connections, statements), sqlite_log.c (the log and its keeper), fts.c (the
 * index). */
#ifndef JRS_MEMORY_ARCHIVE_SQLITE_H
#define JRS_MEMORY_ARCHIVE_SQLITE_H
#include "jrs/memory/archive/internal.h"
#include <sqlite3.h>

struct sqlite_conn {
	sqlite3 *h;
	sqlite3_stmt *st[SQL_NSTATEMENTS]; /* of this connection's lane; the others NULL */
};
static inline sqlite3 *sqlite_of(const struct db *db)
{
	return ((struct sqlite_conn *)db->conn)->h;
}
int sqlite_failed(struct db *db, int rc); /* SQLite's code -> ours, noted in db */
int sqlite_prepare(struct db *db, enum db_lane lane, struct tr_fault *fault);

/* sqlite_log.c */
int sqlite_log_open(struct sql_archive *a);  /* hooks; the log's file is made large, and stays */
void sqlite_log_turn(struct sql_archive *a); /* writer's thread */
void sqlite_log_keep(struct sql_archive *a); /* keeper's thread */

/* fts.c */
int fts_register(struct db *db, struct tr_fault *fault); /* the SQL function memory_terms(); before preparing */
int fts_terms(struct db *db, const struct query_words *words, int64_t memory, struct term *v, double *match);

#endif
