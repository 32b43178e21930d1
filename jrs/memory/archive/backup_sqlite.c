/* A backup of an SQLite archive: SQLite's online backup in small steps over one read transaction, then the copy is
 * proved. */
#include "common/base/clock.h"
#include "jrs/memory/archive/backup_inside.h"
#include "jrs/memory/archive/pagesum.h"
#include "jrs/memory/archive/schema.h"
#include "jrs/memory/archive/sqlite.h"
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <tribe/version.h>
#include <unistd.h>

#define STEP_PAGES 256          /* 1 MiB; between two steps as long a pause as the step took */
#define SYNC_BYTES (4ull << 20) /* never more waits to be written: a commit's fsync would have to wait for it */
#define LOOK_OPS   20000        /* of SQLite's machine between two looks at watch->stop */
#define PAUSE_MAX  50000000ull  /* ns */
#define BUSY_MS    2000

static int failed(struct tr_fault *fault, const struct backup_watch *w, const char *what, int rc)
{
	if (w->stop || (rc & 0xff) == SQLITE_INTERRUPT)
		return tr_fault_set(fault, TR_ECLOSED, "", "given up");
	if (rc == SQLITE_IOERR_DATA)
		return tr_fault_set(fault, TR_EINVAL, "archive", "is damaged: a page is not what was written");
	return tr_fault_set(fault, TR_ESTORE, "archive", "%s (%s)", what, sqlite3_errstr(rc));
}

static int no_file(struct tr_fault *fault, const char *what)
{
	return tr_fault_set(fault, TR_ESTORE, "backup", "%s (%s)", what, strerror(errno));
}

static int look(void *arg)
{
	const struct backup_watch *w = arg;

	return w->stop;
}

static int open_file(sqlite3 **out, const char *path, int flags, struct backup_watch *w, struct tr_fault *fault)
{
	sqlite3 *h = NULL;
	int rc = sqlite3_open_v2(path, &h, flags | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_EXRESCODE, pagesum_vfs());

	if (rc != SQLITE_OK) {
		sqlite3_close(h);
		return failed(fault, w, "cannot be opened", rc);
	}
	sqlite3_db_config(h, SQLITE_DBCONFIG_ENABLE_LOAD_EXTENSION, 0, NULL);
	sqlite3_exec(h, "PRAGMA trusted_schema = OFF; PRAGMA cell_size_check = ON", NULL, NULL, NULL);
	sqlite3_progress_handler(h, LOOK_OPS, look, w);
	*out = h;
	return 0;
}

/* ---- copying ---- */

static void pause_ns(uint64_t ns)
{
	struct timespec t = {.tv_nsec = (long)(ns < PAUSE_MAX ? ns : PAUSE_MAX - 1)};

	nanosleep(&t, NULL);
}

/* The copy's pages get their sums as they are written, where the archive's have them: page 1 says so, and comes first.
 */
static int make_ready(sqlite3 *source, sqlite3 *target)
{
	static const char setup[] =
		"PRAGMA locking_mode = EXCLUSIVE; PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF;"
		"PRAGMA cache_size = -2000";
	struct pagesum_stats stats;
	int rc = sqlite3_exec(source, "PRAGMA cache_size = -2000; BEGIN; SELECT count(*) FROM schema_migrations", NULL,
			      NULL, NULL);

	if (rc == SQLITE_OK)
		rc = sqlite3_exec(target, setup, NULL, NULL, NULL);
	if (rc == SQLITE_OK && pagesum_stats(source, &stats) == SQLITE_OK && stats.checked &&
	    (rc = pagesum_reserve(target)) == SQLITE_OK)
		rc = sqlite3_exec(target, "PRAGMA application_id = 1", NULL, NULL, NULL);
	return rc;
}

/* One moment of `from` for the whole copy: the transaction stays open, so nothing that is written meanwhile makes
 * SQLite begin again, and no writer waits. fd: of the file that is written. */
static int copy_pages(sqlite3_backup *b, int fd, struct backup_watch *w)
{
	uint64_t unsynced = 0;
	int rc;

	do {
		uint64_t began = tr_mono_ns();

		rc = sqlite3_backup_step(b, STEP_PAGES);
		w->total = (unsigned)sqlite3_backup_pagecount(b);
		w->done = w->total - (unsigned)sqlite3_backup_remaining(b);
		if ((unsynced += STEP_PAGES * 4096ull) >= SYNC_BYTES) {
			unsynced = 0;
			if (fdatasync(fd) < 0)
				return SQLITE_IOERR_FSYNC;
		}
		if (w->stop)
			return SQLITE_INTERRUPT;
		pause_ns(tr_mono_ns() - began);
	} while (rc == SQLITE_OK);
	return rc == SQLITE_DONE ? SQLITE_OK : rc;
}

static int copy_into(sqlite3 *from, sqlite3 *to, int fd, struct backup_watch *w)
{
	sqlite3_backup *b = sqlite3_backup_init(to, "main", from, "main");
	int rc, end;

	if (b == NULL)
		return sqlite3_extended_errcode(to);
	rc = copy_pages(b, fd, w);
	end = sqlite3_backup_finish(b);
	if (rc == SQLITE_OK)
		rc = end;
	/* The copy says, as the archive does, that it has a log beside it. A file that is one alone can be read
	 * anywhere. */
	if (rc == SQLITE_OK)
		rc = sqlite3_exec(to, "PRAGMA journal_mode = DELETE", NULL, NULL, NULL);
	return rc;
}

static int copy(const char *from, const char *to, int fd, struct backup_watch *w, struct tr_fault *fault)
{
	sqlite3 *source = NULL, *target = NULL;
	int r, rc;

	watch_phase(w, "copying", 0);
	if ((r = open_file(&source, from, SQLITE_OPEN_READONLY, w, fault)) == 0 &&
	    (r = open_file(&target, to, SQLITE_OPEN_READWRITE, w, fault)) == 0) {
		sqlite3_busy_timeout(source, BUSY_MS);
		if ((rc = make_ready(source, target)) == SQLITE_OK)
			rc = copy_into(source, target, fd, w);
		if (rc != SQLITE_OK)
			r = failed(fault, w, "cannot be copied", rc);
	}
	sqlite3_close(target);
	sqlite3_close(source); /* ends the transaction */
	return r;
}

/* ---- proving ---- */

/* Keeps the first complaint: it names tables, indexes and pages, no content. */
static int complaint(void *arg, int n, char **values, char **names)
{
	char *first = arg;

	(void)names;
	if (n > 0 && values[0] != NULL && first[0] == '\0' && strcmp(values[0], "ok") != 0)
		tr_copy(first, 100, values[0], strcspn(values[0], "\n"));
	return 0;
}

static int check(sqlite3 *h, struct backup_watch *w, struct tr_fault *fault)
{
	char first[100] = "";
	int rc;

	watch_phase(w, "checking", 0);
	rc = sqlite3_exec(h, "PRAGMA integrity_check(4)", complaint, first, NULL);
	if (rc != SQLITE_OK)
		return failed(fault, w, "cannot be checked", rc);
	if (first[0] != '\0')
		return tr_fault_set(fault, TR_EINVAL, "archive", "is damaged: %s", first);
	return 0;
}

/* Are its tables those that this program knows how to read? Their version. */
static int check_version(sqlite3 *h, struct backup_watch *w, struct tr_fault *fault)
{
	sqlite3_stmt *st = NULL;
	int rc, version = 0;

	rc = sqlite3_prepare_v2(h, "SELECT coalesce(max(version), 0) FROM schema_migrations", -1, &st, NULL);
	if (rc == SQLITE_OK && (rc = sqlite3_step(st)) == SQLITE_ROW) {
		version = sqlite3_column_int(st, 0);
		rc = SQLITE_OK;
	}
	sqlite3_finalize(st);
	if (rc != SQLITE_OK)
		return failed(fault, w, "has no readable list of schema versions", rc);
	if (version > schema_version())
		return tr_fault_set(fault, TR_EUNSUPPORTED, "schema", "is %d, of a newer program; this one knows %d",
				    version, schema_version());
	return version;
}

/* A database file that nobody uses -> a connection with the statements of lane B. */
static int open_still(struct db *db, const char *path, struct backup_watch *w, struct tr_fault *fault)
{
	struct sqlite_conn *c = calloc(1, sizeof(*c));
	int r;

	memset(db, 0, sizeof(*db));
	if (c == NULL)
		return tr_fault_set(fault, TR_ENOMEM, "", "%s", tr_strerror(TR_ENOMEM));
	if ((r = schema_check_file(path, fault)) < 0 ||
	    (r = open_file(&c->h, path, SQLITE_OPEN_READONLY, w, fault)) < 0) {
		free(c);
		return r;
	}
	*db = (struct db){.driver = &db_sqlite, .conn = c};
	if ((r = check_version(c->h, w, fault)) < 0 || (r = sqlite_prepare(db, backup_lanes(r), fault)) < 0)
		db_close(db);
	return r;
}

/* What the rows of a file come to, after SQLite's own check. */
static int examine(const char *path, struct backup_watch *w, struct backup *out, struct tr_fault *fault)
{
	struct db db;
	int r = open_still(&db, path, w, fault);

	if (r < 0)
		return r;
	sqlite3_exec(sqlite_of(&db), "PRAGMA cache_size = -8000", NULL, NULL, NULL);
	if ((r = check(sqlite_of(&db), w, fault)) == 0 && (r = db_run(&db, SQL_LOOK)) == 0)
		r = backup_content(&db, w, out, fault);
	db_close(&db);
	return r;
}

int backup_prove_sqlite(const char *path, const struct backup *want, struct backup_watch *w, struct tr_fault *fault)
{
	struct backup got;
	int r = examine(path, w, &got, fault);

	return r < 0 ? r : backup_compare(want, &got, fault);
}

static bool digest_step(void *arg, uint64_t done, uint64_t total)
{
	struct backup_watch *w = arg;

	w->done = done;
	w->total = total;
	return !w->stop;
}

/* The payload is there: what stands behind it. */
static int seal(int fd, struct backup_watch *w, struct backup *out, struct tr_fault *fault)
{
	struct buf line = {.max = BACKUP_LINE_MAX};
	off_t end = lseek(fd, 0, SEEK_END);
	int r;

	if (end < 0)
		return no_file(fault, "cannot be written");
	watch_phase(w, "sealing", (uint64_t)end);
	out->item.bytes = (uint64_t)end;
	if ((r = backup_digest(fd, out->item.bytes, digest_step, w, out->sha256)) < 0)
		return tr_fault_set(fault, w->stop ? TR_ECLOSED : r, "backup", "cannot be read (%s)", tr_strerror(r));
	backup_copy(out, out);
	if ((r = backup_line(&line, &out->item)) < 0)
		r = tr_fault_set(fault, r, "backup", "%s", tr_strerror(r));
	else if (write(fd, line.p, line.len) != (ssize_t)line.len || fsync(fd) < 0)
		r = no_file(fault, "cannot be written");
	buf_free(&line);
	return r;
}

int backup_sqlite(const char *from, const char *to, struct backup_watch *w, struct backup *out, struct tr_fault *fault)
{
	int fd = open(to, O_RDWR | O_CLOEXEC), r;

	if (fd < 0)
		return no_file(fault, "cannot be opened");
	memset(out, 0, sizeof(*out));
	out->kind = BACKUP_SQLITE;
	out->item.format = BACKUP_FORMAT;
	out->item.created = tr_wall_ms();
	tr_copy(out->version, sizeof(out->version), TRIBE_VERSION, strlen(TRIBE_VERSION));
	if ((r = copy(from, to, fd, w, fault)) == 0 && (r = examine(to, w, out, fault)) == 0)
		r = seal(fd, w, out, fault);
	close(fd);
	return r;
}
