#include "jrs/memory/archive/db.h"
#include "common/log/log.h"
#include <string.h>

#define BUSY_MS 2000 /* another program may hold the write lock for so long (a shell, a backup) */

static int failed(struct db *db, struct tr_fault *fault, const char *what)
{
	int rc = sqlite3_extended_errcode(db->h);

	db->rc = rc;
	return tr_fault_set(fault, TR_ESTORE, "archive.url", "%s (%s)", what, sqlite3_errstr(rc));
}

int db_open(struct db *db, const char *path, bool create, struct tr_fault *fault)
{
	static const char setup[] =
		"PRAGMA trusted_schema = OFF; PRAGMA cell_size_check = ON; PRAGMA synchronous = FULL;"
		"PRAGMA wal_autocheckpoint = 0; PRAGMA temp_store = MEMORY; PRAGMA journal_size_limit = 67108864;";
	int flags =
		SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_EXRESCODE | (create ? SQLITE_OPEN_CREATE : 0);

	memset(db, 0, sizeof(*db));
	if (sqlite3_open_v2(path, &db->h, flags, NULL) != SQLITE_OK) {
		failed(db, fault, "cannot be opened");
		goto fail;
	}
	sqlite3_busy_timeout(db->h, BUSY_MS);
	/* Until it has proved sound, closing must not write to it. */
	sqlite3_db_config(db->h, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, NULL);
	sqlite3_db_config(db->h, SQLITE_DBCONFIG_ENABLE_LOAD_EXTENSION, 0, NULL);
	sqlite3_db_config(db->h, SQLITE_DBCONFIG_DEFENSIVE, 1, NULL);
	if (sqlite3_exec(db->h, setup, NULL, NULL, NULL) != SQLITE_OK) {
		failed(db, fault, "cannot be read");
		goto fail;
	}
	return 0;
fail:
	db_close(db);
	return TR_ESTORE;
}

int db_prepare(struct db *db, enum db_lane lane, struct tr_fault *fault)
{
	static const struct {
		enum db_lane lane;
		const char *text;
	} all[SQL_NSTATEMENTS] = {
#define SQL(id, lane, text) [SQL_##id] = {DB_##lane, text},
#include "jrs/memory/archive/sql.def"
#undef SQL
	};
	int i;

	for (i = 0; i < SQL_NSTATEMENTS; i++) {
		if (all[i].lane == lane && sqlite3_prepare_v3(db->h, all[i].text, -1, SQLITE_PREPARE_PERSISTENT,
							      &db->st[i], NULL) != SQLITE_OK) {
			log_error("archive: statement refused nr=%d reason=\"%s\"", i, sqlite3_errmsg(db->h));
			return failed(db, fault, "does not have the tables it should have");
		}
	}
	return 0;
}

void db_close(struct db *db)
{
	int i;

	for (i = 0; i < SQL_NSTATEMENTS; i++)
		sqlite3_finalize(db->st[i]);
	sqlite3_close(db->h);
	memset(db, 0, sizeof(*db));
}

bool db_storage_failed(int rc)
{
	switch (rc & 0xff) {
	case SQLITE_BUSY:
	case SQLITE_LOCKED:
	case SQLITE_IOERR:
	case SQLITE_FULL:
	case SQLITE_READONLY:
	case SQLITE_CORRUPT:
	case SQLITE_NOTADB:
	case SQLITE_CANTOPEN:
	case SQLITE_PROTOCOL:
		return true;
	default:
		return false;
	}
}

int db_error(struct db *db, int rc)
{
	db->rc = rc;
	switch (rc & 0xff) {
	case SQLITE_BUSY:
	case SQLITE_LOCKED:
		return TR_EUNAVAILABLE;
	case SQLITE_INTERRUPT:
		return TR_EDEADLINE;
	case SQLITE_NOMEM:
		return TR_ENOMEM;
	case SQLITE_TOOBIG:
		return TR_ETOOBIG;
	default:
		return TR_ESTORE;
	}
}

struct query q_begin(struct db *db, enum sql id)
{
	struct query q = {.db = db, .st = db->st[id]};

	return q;
}

static void bound(struct query *q, int rc)
{
	if (q->rc == SQLITE_OK)
		q->rc = rc;
}

void q_i64(struct query *q, int64_t v)
{
	bound(q, sqlite3_bind_int64(q->st, ++q->n, v));
}

void q_f64(struct query *q, double v)
{
	bound(q, sqlite3_bind_double(q->st, ++q->n, v));
}

void q_null(struct query *q)
{
	bound(q, sqlite3_bind_null(q->st, ++q->n));
}

void q_text(struct query *q, const char *p, size_t n)
{
	bound(q, sqlite3_bind_text64(q->st, ++q->n, p, n, SQLITE_STATIC, SQLITE_UTF8));
}

void q_blob(struct query *q, const void *p, size_t n)
{
	bound(q, sqlite3_bind_blob64(q->st, ++q->n, p, n, SQLITE_STATIC));
}

void q_opt_text(struct query *q, bool has, wire_str s)
{
	if (has)
		q_text(q, s.p, s.n);
	else
		q_null(q);
}

void q_opt_i64(struct query *q, bool has, int64_t v)
{
	if (has)
		q_i64(q, v);
	else
		q_null(q);
}

int q_row(struct query *q)
{
	int rc = q->rc != SQLITE_OK ? q->rc : sqlite3_step(q->st);

	if (rc == SQLITE_ROW)
		return 1;
	return rc == SQLITE_DONE ? 0 : db_error(q->db, rc);
}

void q_end(struct query *q)
{
	sqlite3_reset(q->st);
	sqlite3_clear_bindings(q->st);
}

int q_run(struct query *q)
{
	int r = q_row(q);

	q_end(q);
	return r < 0 ? r : 0;
}

int db_run(struct db *db, enum sql id)
{
	struct query q = q_begin(db, id);

	return q_run(&q);
}
