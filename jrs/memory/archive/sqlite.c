/* SQLite as the archive's database. */
#include "jrs/memory/archive/sqlite.h"
#include "common/base/clock.h"
#include "common/log/log.h"
#include "jrs/memory/archive/gather.h"
#include "jrs/memory/archive/pagesum.h"
#include "jrs/memory/archive/purge.h"
#include "jrs/memory/archive/schema.h"
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define LOCK_AGAIN_US 1000

static struct sqlite_conn *conn_of(const struct db *db)
{
	return db->conn;
}

static enum db_trouble trouble_of(int rc)
{
	if (rc == SQLITE_IOERR_DATA) /* a page that does not agree with its sum: pagesum.h */
		return DB_DAMAGED;
	switch (rc & 0xff) {
	case SQLITE_BUSY:
	case SQLITE_LOCKED:
		return DB_BUSY;
	case SQLITE_IOERR:
	case SQLITE_FULL:
	case SQLITE_READONLY:
	case SQLITE_CANTOPEN:
	case SQLITE_PROTOCOL:
		return DB_STORAGE;
	case SQLITE_CORRUPT:
	case SQLITE_NOTADB:
		return DB_DAMAGED;
	default:
		return DB_CALL;
	}
}

int sqlite_failed(struct db *db, int rc)
{
	struct sqlite_conn *c = conn_of(db);
	int r;

	switch (rc & 0xff) {
	case SQLITE_BUSY:
	case SQLITE_LOCKED:
		r = TR_EUNAVAILABLE;
		break;
	case SQLITE_INTERRUPT:
		r = TR_EDEADLINE;
		break;
	case SQLITE_NOMEM:
		r = TR_ENOMEM;
		break;
	case SQLITE_TOOBIG:
		r = TR_ETOOBIG;
		break;
	default:
		r = TR_ESTORE;
	}
	sqlite_suspect(db, rc);
	if (c != NULL && c->writing)
		c->suspect = c->suspect || trouble_of(rc) != DB_CALL || r == TR_ENOMEM;
	return db_failed(db, trouble_of(rc), rc, sqlite3_errstr(rc), r);
}

/* ---- connections ---- */
static int refused(struct db *db, struct tr_fault *fault, const char *what)
{
	sqlite_failed(db, sqlite3_extended_errcode(sqlite_of(db)));
	return tr_fault_set(fault, TR_ESTORE, "archive.url", "%s (%s)", what, db->reason);
}

/* Only the writer's connection of a lead does. */
static bool tidies_up(const struct sqlite_conn *c)
{
	return c->a != NULL && c->a->wdb.conn == c && c->tidy && !c->a->damaged;
}

/* SQLite's own waits grow to 100 ms. While the lock of a dead lead is waited for, each millisecond counts. */
static int on_busy(void *arg, int times)
{
	struct sqlite_conn *c = arg;
	uint64_t now = tr_mono_ms();

	if (times == 0)
		c->give_up_ms = now + WRITE_WAIT_MS;
	if (now >= c->give_up_ms || (c->a->closing && !c->a->leads))
		return 0;
	usleep(LOCK_AGAIN_US);
	return 1;
}

void sqlite_wait_finely(struct db *db)
{
	sqlite3_busy_handler(sqlite_of(db), on_busy, conn_of(db));
}

static void close_db(struct db *db)
{
	struct sqlite_conn *c = conn_of(db);
	int i;

	if (c == NULL)
		return;
	for (i = 0; i < SQL_NSTATEMENTS; i++)
		sqlite3_finalize(c->st[i]);
	if (tidies_up(c) && sqlite_log_leave(c->a, db)) /* else its files stay as they are */
		sqlite3_db_config(c->h, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 0, NULL);
	sqlite3_close(c->h);
	free(c);
	memset(db, 0, sizeof(*db));
}

/* WAL, synchronous=FULL, no checkpoint inside a commit. The file must have passed schema_check_file(). */
static int open_db(struct sql_archive *a, struct db *db, const char *path, bool create, struct tr_fault *fault)
{
	static const char setup[] =
		"PRAGMA trusted_schema = OFF; PRAGMA cell_size_check = ON; PRAGMA synchronous = FULL;"
		"PRAGMA wal_autocheckpoint = 0; PRAGMA temp_store = MEMORY; PRAGMA journal_size_limit = 67108864;"
		/* what is forgotten is overwritten in its page, and pages that get free hold nothing */
		"PRAGMA secure_delete = ON;";
	int flags =
		SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_EXRESCODE | (create ? SQLITE_OPEN_CREATE : 0);
	struct sqlite_conn *c = calloc(1, sizeof(*c));
	struct db why;

	memset(db, 0, sizeof(*db));
	if (c == NULL)
		return tr_fault_set(fault, TR_ENOMEM, "", "%s", tr_strerror(TR_ENOMEM));
	db->driver = &db_sqlite;
	db->conn = c;
	c->a = a;
	if (sqlite3_open_v2(path, &c->h, flags, gather_vfs(pagesum_vfs())) != SQLITE_OK ||
	    pagesum_reserve(c->h) != SQLITE_OK) {
		refused(db, fault, "cannot be opened");
		goto fail;
	}
	sqlite3_busy_timeout(c->h, WRITE_WAIT_MS);
	/* Closing must not write to it, but for close_db(). Not changed before: that has all statements parsed anew. */
	sqlite3_db_config(c->h, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, NULL);
	sqlite3_db_config(c->h, SQLITE_DBCONFIG_ENABLE_LOAD_EXTENSION, 0, NULL);
	sqlite3_db_config(c->h, SQLITE_DBCONFIG_DEFENSIVE, 1, NULL);
	if (sqlite3_exec(c->h, setup, NULL, NULL, NULL) != SQLITE_OK) {
		refused(db, fault, "cannot be read");
		goto fail;
	}
	return 0;
fail:
	why = *db;
	close_db(db);
	return db_failed(db, why.trouble, why.code, why.reason, TR_ESTORE);
}

int sqlite_prepare(struct db *db, enum db_lane lane, struct tr_fault *fault)
{
	struct sqlite_conn *c = conn_of(db);
	int i;

	for (i = 0; i < SQL_NSTATEMENTS; i++) {
		const char *text = db_text((enum sql)i, false);

		if (text == NULL || (db_lanes((enum sql)i) & lane) == 0)
			continue;
		if (sqlite3_prepare_v3(c->h, text, -1, SQLITE_PREPARE_PERSISTENT, &c->st[i], NULL) != SQLITE_OK) {
			log_error("archive: statement refused nr=%d reason=\"%s\"", i, sqlite3_errmsg(c->h));
			return refused(db, fault, "does not have the tables it should have");
		}
	}
	return 0;
}

/* A read past its caller's deadline, or while we leave, is cut short. */
static int progress(void *arg)
{
	const struct reader *reader = arg;

	return reader->job != NULL && (job_late(reader->job) || reader->a->closing);
}

/* Before its statements are prepared: query_only has those that are there parsed anew when they are next used. */
static void reading_only(struct db *db, const char *cache)
{
	sqlite3_exec(sqlite_of(db), cache, NULL, NULL, NULL);
	sqlite3_exec(sqlite_of(db), "PRAGMA query_only = ON", NULL, NULL, NULL);
}

static int open_reader(struct sql_archive *a, struct reader *reader, const char *path, struct tr_fault *fault)
{
	int r;

	if ((r = open_db(a, &reader->db, path, false, fault)) < 0 || (r = fts_register(&reader->db, fault)) < 0)
		return r;
	reading_only(&reader->db, "PRAGMA cache_size = -4000");
	if ((r = sqlite_prepare(&reader->db, DB_R, fault)) < 0)
		return r;
	reader->a = a;
	sqlite3_progress_handler(sqlite_of(&reader->db), 1000, progress, reader);
	return 0;
}

static int open_here(struct sql_archive *a, const char *path, struct tr_fault *fault)
{
	int r;

	if ((r = open_db(a, &a->here.db, path, false, fault)) < 0)
		return r;
	reading_only(&a->here.db, "PRAGMA cache_size = -1000");
	if ((r = sqlite_prepare(&a->here.db, DB_L, fault)) < 0)
		return r;
	sqlite3_busy_timeout(sqlite_of(&a->here.db), 0);
	return 0;
}

static int open_keeper(struct sql_archive *a, const char *path, struct tr_fault *fault)
{
	int r;

	if ((r = open_db(a, &a->kdb, path, false, fault)) < 0 || (r = sqlite_prepare(&a->kdb, DB_K, fault)) < 0)
		return r;
	sqlite3_exec(sqlite_of(&a->kdb), "PRAGMA cache_size = -256", NULL, NULL, NULL);
	sqlite3_busy_timeout(sqlite_of(&a->kdb), 0);
	return 0;
}

/* What opening makes and brings up to date, on the writer's connection. */
static int make_and_migrate(struct sql_archive *a, const struct archive_cfg *cfg, struct tr_fault *fault)
{
	sqlite3 *h = sqlite_of(&a->wdb);
	int r;

	if ((r = schema_make_ours(h, fault)) < 0)
		return r;
	if (sqlite3_exec(h, "PRAGMA journal_mode = WAL", NULL, NULL, NULL) != SQLITE_OK)
		return refused(&a->wdb, fault, "cannot be read");
	if (schema_is_old(h) && !a->damaged) { /* it is about to write */
		if (sqlite_log_firm(a, &a->wdb) != SQLITE_OK)
			return refused(&a->wdb, fault, "cannot be written");
		a->log_firm = !cfg->follow;
	}
	return schema_migrate(h, a->wall_ms(), fault);
}

static int open_connections(struct sql_archive *a, const struct archive_cfg *cfg, struct tr_fault *fault)
{
	bool makes = sqlite_makes(cfg);
	unsigned i;
	int fd, r;

	if (makes && !pagesum_held(cfg->path) && (fd = open(cfg->path, O_RDWR | O_CREAT | O_CLOEXEC, 0600)) >= 0)
		close(fd);
	if ((r = open_db(a, &a->wdb, cfg->path, makes, fault)) < 0)
		return r;
	sqlite_wait_finely(&a->wdb);
	if (a->damaged)
		sqlite3_exec(sqlite_of(&a->wdb), "PRAGMA query_only = ON", NULL, NULL, NULL);
	if ((r = makes ? make_and_migrate(a, cfg, fault) : schema_ready(sqlite_of(&a->wdb), fault)) < 0) {
		sqlite_suspect(&a->wdb, sqlite3_extended_errcode(sqlite_of(&a->wdb)));
		return r;
	}
	if ((r = sqlite_prepare(&a->wdb, DB_W, fault)) < 0)
		return r;
	for (i = 0; i < READERS; i++) {
		if ((r = open_reader(a, &a->readers[i], cfg->path, fault)) < 0)
			return r;
	}
	if ((r = open_here(a, cfg->path, fault)) < 0)
		return r;
	return open_keeper(a, cfg->path, fault);
}

static int open_all(struct sql_archive *a, const struct archive_cfg *cfg, struct tr_fault *fault)
{
	struct pagesum_stats stats;
	int r;

	if ((a->path_copy = strdup(cfg->path)) == NULL)
		return tr_fault_set(fault, TR_ENOMEM, "", "%s", tr_strerror(TR_ENOMEM));
	a->path = a->path_copy;
	if ((r = sqlite_admit(a, cfg, fault)) < 0 || (r = open_connections(a, cfg, fault)) < 0)
		return r;
	if (pagesum_stats(sqlite_of(&a->wdb), &stats) == SQLITE_OK && !stats.checked)
		log_warn("archive: made by an older program, without page sums; a backup that is restored has them");
	if (sqlite_makes(cfg))
		sqlite_made(cfg);
	return sqlite_log_open(a);
}

/* A follower and a damaged archive never tidy up, nor does who has not made the log firm. */
static void proved(struct sql_archive *a)
{
	if (!a->following && !a->damaged && a->log_firm)
		conn_of(&a->wdb)->tidy = true;
}

static bool claims_late(const struct sql_archive *a)
{
	return !a->log_firm && sqlite_log_any(&a->wdb);
}

static int ready(struct db *db)
{
	(void)db;
	return 0;
}

static int outcome(struct db *db)
{
	(void)db;
	return 0; /* a COMMIT of SQLite answers */
}

/* ---- transactions ---- */
static bool inside(const struct db *db)
{
	return sqlite3_get_autocommit(sqlite_of(db)) == 0;
}

static void rollback(struct db *db)
{
	struct sqlite_conn *c = conn_of(db);
	enum db_trouble trouble = db->trouble;
	int code = db->code;

	if (!inside(db)) { /* after some failures SQLite has done it by itself, in the middle of a statement */
		c->suspect = c->suspect || c->writing;
		c->writing = false;
		return;
	}
	c->writing = false;
	c->suspect = db_run(db, SQL_ROLLBACK) < 0 || c->suspect;
	db->trouble = trouble;
	db->code = code;
}

/* The connection anew. What FTS5 keeps in memory is wrong when a read of it failed: an I/O error rolls everything back
 * in the middle of its work, and behind that it takes the averages that it could not read for zeros (SQLite 3.40). */
static int begin_afresh(struct db *db)
{
	struct sqlite_conn *old = conn_of(db);
	struct db fresh, gone = {.driver = db->driver, .conn = old};
	int r;

	if ((r = open_db(old->a, &fresh, old->a->path, false, NULL)) == 0)
		r = sqlite_prepare(&fresh, DB_W, NULL);
	if (r < 0) { /* the next transaction tries again */
		db_failed(db, fresh.trouble > DB_CALL ? fresh.trouble : DB_STORAGE, fresh.code, fresh.reason, r);
		db_close(&fresh);
		return r;
	}
	conn_of(&fresh)->tidy = old->tidy;
	db->conn = fresh.conn;
	sqlite_wait_finely(db);
	sqlite_log_open(old->a);
	db_close(&gone);
	return 0;
}

static int begin(struct db *db)
{
	struct sqlite_conn *c = conn_of(db);
	int rc, r;

	if (c->suspect) {
		if ((r = begin_afresh(db)) < 0)
			return r;
		c = conn_of(db);
	}
	if (!c->a->log_firm) {
		if ((rc = sqlite_log_firm(c->a, db)) != SQLITE_OK)
			return sqlite_failed(db, rc);
		sqlite_log_was_cut(c->a);
		c->a->log_firm = true;
	}
	if ((r = db_run(db, SQL_BEGIN)) == 0)
		c->writing = true;
	return r;
}

static int commit(struct db *db)
{
	int r = db_run(db, SQL_COMMIT);

	if (r == 0)
		conn_of(db)->writing = false;
	return r;
}

static int look(struct db *db)
{
	return db_run(db, SQL_LOOK);
}

static int looked(struct db *db)
{
	return inside(db) ? db_run(db, SQL_LOOKED) : 0;
}

/* ---- one statement ---- */
static struct query start(struct db *db, enum sql id)
{
	return (struct query){.db = db, .st = conn_of(db)->st[id]};
}

static void bound(struct query *q, int rc)
{
	if (q->r == 0 && rc != SQLITE_OK)
		q->r = sqlite_failed(q->db, rc);
}

static void bind_i64(struct query *q, int64_t v)
{
	bound(q, sqlite3_bind_int64(q->st, ++q->n, v));
}

static void bind_f64(struct query *q, double v)
{
	bound(q, sqlite3_bind_double(q->st, ++q->n, v));
}

static void bind_null(struct query *q)
{
	bound(q, sqlite3_bind_null(q->st, ++q->n));
}

static void bind_bytes(struct query *q, const void *p, size_t n, bool text)
{
	if (text)
		bound(q, sqlite3_bind_text64(q->st, ++q->n, p, n, SQLITE_STATIC, SQLITE_UTF8));
	else
		bound(q, sqlite3_bind_blob64(q->st, ++q->n, p, n, SQLITE_STATIC));
}

static int row(struct query *q)
{
	int rc;

	if (q->r < 0)
		return q->r;
	rc = sqlite3_step(q->st);
	if (rc == SQLITE_ROW)
		return 1;
	return rc == SQLITE_DONE ? 0 : (q->r = sqlite_failed(q->db, rc));
}

static void end(struct query *q)
{
	sqlite3_reset(q->st);
	sqlite3_clear_bindings(q->st);
}

static int run(struct query *q)
{
	int r = q->st == NULL ? 0 : row(q); /* this database needs no such statement */

	if (q->st != NULL)
		end(q);
	return r < 0 ? r : 0;
}

static int64_t get_i64(const struct query *q, int col)
{
	return sqlite3_column_int64(q->st, col);
}

static double get_f64(const struct query *q, int col)
{
	return sqlite3_column_double(q->st, col);
}

static const void *get(const struct query *q, int col, size_t *n)
{
	const void *p = sqlite3_column_type(q->st, col) == SQLITE_BLOB ? sqlite3_column_blob(q->st, col)
								       : sqlite3_column_text(q->st, col);

	*n = (size_t)sqlite3_column_bytes(q->st, col);
	return p;
}

static bool is_null(const struct query *q, int col)
{
	return sqlite3_column_type(q->st, col) == SQLITE_NULL;
}

static int next_seq(struct db *db, int64_t *out)
{
	(void)db;
	*out = 0; /* AUTOINCREMENT knows */
	return 0;
}

static int64_t inserted(struct db *db)
{
	return sqlite3_last_insert_rowid(sqlite_of(db));
}

const struct db_driver db_sqlite = {
	.open = open_all,
	.reread = sqlite_reread,
	.claims_late = claims_late,
	.proved = proved,
	.close = close_db,
	.ready = ready,
	.outcome = outcome,
	.begin = begin,
	.commit = commit,
	.rollback = rollback,
	.inside = inside,
	.look = look,
	.looked = looked,
	.start = start,
	.bind_i64 = bind_i64,
	.bind_f64 = bind_f64,
	.bind_null = bind_null,
	.bind_bytes = bind_bytes,
	.row = row,
	.run = run,
	.end = end,
	.get_i64 = get_i64,
	.get_f64 = get_f64,
	.get = get,
	.is_null = is_null,
	.next_seq = next_seq,
	.inserted = inserted,
	.search_text = query_text,
	.terms = fts_terms,
	.commit_hook = sqlite_log_turn,
	.keep = sqlite_log_keep,
	.watch = sqlite_watch,
	.purge = sqlite_purge,
};
