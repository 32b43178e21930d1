/* A connection with its prepared statements, and short words for binding and stepping. One thread at a time. */
#ifndef JRS_MEMORY_ARCHIVE_DB_H
#define JRS_MEMORY_ARCHIVE_DB_H
#include "common/base/err.h"
#include "proto/wire/types.h"
#include <sqlite3.h>
#include <stdbool.h>

enum sql {
#define SQL(id, lane, text) SQL_##id,
#include "jrs/memory/archive/sql.def"
#undef SQL
	SQL_NSTATEMENTS
};
enum db_lane { DB_W, DB_R };

struct db {
	sqlite3 *h;
	sqlite3_stmt *st[SQL_NSTATEMENTS]; /* of this lane; the others NULL */
	int rc;                            /* extended code of the last failure */
};

/* WAL, synchronous=FULL, no checkpoint inside a commit. The file must have passed schema_check_file(). */
int db_open(struct db *db, const char *path, bool create, struct tr_fault *fault);
int db_prepare(struct db *db, enum db_lane lane, struct tr_fault *fault);
void db_close(struct db *db);
/* SQLite's code -> ours, remembered in db->rc. */
int db_error(struct db *db, int rc);
/* Did that failure come from the storage itself (BUSY, IOERR, FULL, read-only, damage)? */
bool db_storage_failed(int rc);

/* One use of a statement: q_begin, bind in order (?1, ?2 ...), q_row until 0, q_end. Bound bytes must live until q_end.
 */
struct query {
	struct db *db;
	sqlite3_stmt *st;
	int n;  /* parameters bound */
	int rc; /* first failure of binding */
};
struct query q_begin(struct db *db, enum sql id);
void q_i64(struct query *q, int64_t v);
void q_f64(struct query *q, double v);
void q_null(struct query *q);
void q_text(struct query *q, const char *p, size_t n);
void q_blob(struct query *q, const void *p, size_t n);
void q_opt_text(struct query *q, bool has, wire_str s);
void q_opt_i64(struct query *q, bool has, int64_t v);
int q_row(struct query *q); /* 1: a row, 0: no more, or < 0 */
void q_end(struct query *q);
int q_run(struct query *q);             /* a statement without rows: q_row + q_end; 0 or < 0 */
int db_run(struct db *db, enum sql id); /* the same without parameters */

#endif
