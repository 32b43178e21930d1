/* Damage: what is looked at before SQLite opens the archive, and the watcher's thread, which confirms what others
 * suspect and scrubs when there is time. When damage is proved nothing is written any more; what is done then is
 * rescue.c's affair. */
#include "common/base/clock.h"
#include "common/log/log.h"
#include "jrs/memory/archive/damage.h"
#include "jrs/memory/archive/pagesum.h"
#include "jrs/memory/archive/schema.h"
#include "jrs/memory/archive/scrub.h"
#include "jrs/memory/archive/sqlite.h"
#include "jrs/memory/archive/walcheck.h"
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#define FIRST_MS      60000u /* after the start */
#define EVERY_MS      86400000u
#define AGAIN_MS      60000u /* between two looks at what could not be confirmed */
#define REST_MS       10u    /* between two pieces of a scrub */
#define CALLS_REST    50u    /* while calls wait */
#define LOG_BEARS     4096u  /* pages that the log may grow by while SQLite's check holds a snapshot */
#define WORDS_WAIT_MS 1000
#define WORDS_MAX     5000u   /* memories: so long as it takes to check their words, nobody can write */
#define MADE          "-made" /* beside the file: here was an archive */

/* ---- before SQLite opens it ---- */
static int refused(struct sql_archive *a, const struct archive_cfg *cfg, struct tr_fault *fault, const char *fmt, ...)
	__attribute__((format(printf, 4, 5)));

static int refused(struct sql_archive *a, const struct archive_cfg *cfg, struct tr_fault *fault, const char *fmt, ...)
{
	char text[sizeof(a->damage)];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	if (cfg->damaged != NULL)
		*cfg->damaged = true;
	return tr_fault_set(fault, TR_ESTORE, "archive.url", "%s", text);
}

static bool beside(char *out, size_t size, const char *path, const char *ending)
{
	int n = snprintf(out, size, "%s%s", path, ending);

	return n > 0 && (size_t)n < size;
}

static bool was_made(const struct archive_cfg *cfg)
{
	char mark[4200];

	return cfg->numbered && beside(mark, sizeof(mark), cfg->path, MADE) && access(mark, F_OK) == 0;
}

/* The log as it is, for a person: SQLite will drop what lies behind the damage as soon as something is written. */
static void keep_log(const struct archive_cfg *cfg)
{
	char from[4200], to[4200], buf[65536];
	int in = -1, out = -1;
	ssize_t n = -1;

	if (!beside(from, sizeof(from), cfg->path, "-wal") || !beside(to, sizeof(to), cfg->path, "-wal.damaged") ||
	    (in = open(from, O_RDONLY | O_CLOEXEC)) < 0 ||
	    (out = open(to, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600)) < 0)
		goto out; /* EEXIST: the first one is kept */
	while ((n = read(in, buf, sizeof(buf))) > 0 && write(out, buf, (size_t)n) == n)
		;
	if (n != 0 || fsync(out) < 0)
		log_error("archive: the damaged log could not be copied errno=%d", errno);
out:
	if (in >= 0)
		close(in);
	if (out >= 0)
		close(out);
}

static int check_log(struct sql_archive *a, const struct archive_cfg *cfg, struct tr_fault *fault)
{
	struct walcheck w;
	int r = walcheck(cfg->path, false, &w);

	if (r < 0) /* it cannot be read: SQLite will say the same */
		return 0;
	if (w.verdict == WAL_TORN)
		log_info("archive: log ends in a transaction that was never acknowledged frames=%u kept=%u", w.nframes,
			 w.served);
	r = 0;
	if (w.verdict == WAL_DAMAGED) {
		log_error("archive: log damaged reason=\"%s\" frames=%u committed=%u readable=%u", w.why, w.nframes,
			  w.committed, w.served);
		if (cfg->numbered) {
			r = refused(a, cfg, fault, "its log is damaged: %s", w.why);
		} else {
			keep_log(cfg);
			sqlite_damaged(a, "its log is damaged: %s", w.why);
		}
	}
	walcheck_free(&w);
	return r;
}

/* A checkpoint that the power cut short may have left page 1 in pieces: the log still has it, and SQLite takes it from
 * there. */
static bool log_has_the_beginning(const char *path)
{
	struct walcheck w;
	unsigned char head[100];
	char log[4200];
	uint32_t i, at = UINT32_MAX;
	bool ours = false;
	int fd;

	if (!beside(log, sizeof(log), path, "-wal") || walcheck(path, false, &w) < 0)
		return false;
	for (i = 0; i < w.served && i < w.nframes && (w.verdict == WAL_SOUND || w.verdict == WAL_TORN); i++)
		at = w.v[i].page == 1 ? i : at;
	if (at != UINT32_MAX && (fd = open(log, O_RDONLY | O_CLOEXEC)) >= 0) {
		off_t where =
			(off_t)WAL_HEAD + (off_t)at * (off_t)(WAL_FRAME_HEAD + w.page_size) + (off_t)WAL_FRAME_HEAD;
		ssize_t n = pread(fd, head, sizeof(head), where);

		ours = n > 0 && schema_head_is_ours(head, (size_t)n);
		close(fd);
	}
	walcheck_free(&w);
	return ours;
}

/* Nothing is made, rolled back or repaired by who only follows. */
static int ready_to_follow(const struct archive_cfg *cfg, struct tr_fault *fault)
{
	char journal[4200];
	struct stat st;

	if (stat(cfg->path, &st) < 0 || st.st_size == 0 ||
	    (beside(journal, sizeof(journal), cfg->path, "-journal") && access(journal, F_OK) == 0))
		return schema_not_ready(fault);
	if (pagesum_held(cfg->path) || schema_check_file(cfg->path, NULL) == 0 || log_has_the_beginning(cfg->path))
		return 0;
	return schema_not_ready(fault);
}

int sqlite_admit(struct sql_archive *a, const struct archive_cfg *cfg, struct tr_fault *fault)
{
	struct stat st;
	int r;

	if (!sqlite_makes(cfg))
		return ready_to_follow(cfg, fault);
	if (pagesum_held(cfg->path))
		return 0; /* opening and closing it here would take the locks of whoever has it */
	if (was_made(cfg) && (stat(cfg->path, &st) < 0 ? errno == ENOENT : st.st_size == 0))
		return refused(a, cfg, fault, "its file is empty or gone, and was not");
	if ((r = schema_check_file(cfg->path, fault)) < 0 && !log_has_the_beginning(cfg->path)) {
		/* nobody else's file lies there, whatever its beginning says */
		return was_made(cfg) ? refused(a, cfg, fault, "the beginning of its file is damaged") : r;
	}
	return check_log(a, cfg, fault);
}

void sqlite_made(const struct archive_cfg *cfg)
{
	char mark[4200];
	int fd;

	if (!cfg->numbered || !beside(mark, sizeof(mark), cfg->path, MADE) ||
	    (fd = open(mark, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600)) < 0)
		return;
	if (fsync(fd) < 0)
		log_warn("archive: its mark could not be synced errno=%d", errno);
	close(fd);
}

void sqlite_reread(const char *path)
{
	int fd;

	if (pagesum_held(path) || (fd = open(path, O_RDONLY | O_CLOEXEC)) < 0)
		return;
	posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED);
	close(fd);
}

/* ---- proved: nothing is written any more ---- */
void sqlite_damaged(struct sql_archive *a, const char *fmt, ...)
{
	va_list ap;

	if (a->damaged)
		return;
	va_start(ap, fmt);
	vsnprintf(a->damage, sizeof(a->damage), fmt, ap);
	va_end(ap);
	log_error("archive: damaged reason=\"%s\"; nothing is written any more, what can be read is served", a->damage);
	a->damaged = true;
	a->healthy = false;
	while (a->writers > 0 && !a->closing) /* a commit or checkpoint that had begun comes to its end */
		usleep(1000);
	a->frozen = true;
}

/* ---- suspicion ---- */
void sqlite_suspect(struct db *db, int rc)
{
	struct sqlite_conn *c = db->conn;
	struct pagesum_stats stats;

	if (damage_sign(rc) != DAMAGE_SUSPECTED || c == NULL || c->a == NULL)
		return;
	if (rc == SQLITE_IOERR_DATA && pagesum_stats(c->h, &stats) == SQLITE_OK && stats.nbad_page > 0)
		c->a->suspect_page = stats.bad_page[stats.nbad_page - 1];
	c->a->suspicion = rc;
	pthread_mutex_lock(&c->a->watcher.lock);
	pthread_cond_signal(&c->a->watcher.wake);
	pthread_mutex_unlock(&c->a->watcher.lock);
}

/* Is this page still wrong when it comes from the disk? */
static bool page_is_bad(struct sql_archive *a, uint32_t page)
{
	char buf[65536];
	sqlite3 *db = NULL;
	int rc = SQLITE_OK, size = 0, i;
	sqlite3_stmt *st = NULL;

	if (sqlite3_open_v2(a->path, &db, SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_EXRESCODE,
			    pagesum_vfs()) == SQLITE_OK) {
		sqlite3_db_config(db, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, NULL);
		if (sqlite3_prepare_v2(db, "PRAGMA page_size", -1, &st, NULL) == SQLITE_OK &&
		    sqlite3_step(st) == SQLITE_ROW)
			size = sqlite3_column_int(st, 0);
		sqlite3_finalize(st);
		size = size >= 512 && size <= (int)sizeof(buf) ? size : 4096;
		for (i = 0; i < 2 && (i == 0 || rc == SQLITE_IOERR_DATA); i++) {
			pagesum_drop(db, page, 1, size);
			rc = pagesum_read(db, page, buf, size);
		}
	}
	sqlite3_close(db);
	return rc == SQLITE_IOERR_DATA;
}

static void say_found(struct sql_archive *a, const struct scrub_report *r)
{
	if (r->bad_pages > 0)
		sqlite_damaged(a, "%llu of %llu pages do not agree with their sums, the first is %u",
			       (unsigned long long)r->bad_pages, (unsigned long long)r->pages, r->first_bad);
	else if (r->bad_memories > 0)
		sqlite_damaged(a, "%llu memories do not agree with their hashes", (unsigned long long)r->bad_memories);
	else
		sqlite_damaged(a, "%s",
			       r->unreadable ? "rows cannot be read" : "its structure does not agree with itself");
}

/* The words are derived: one ordinary transaction makes them anew from the memories. */
static void make_words(struct sql_archive *a)
{
	sqlite3 *db = NULL;
	int rc = SQLITE_BUSY;

	a->words_made++;
	if (!a->log_firm || !archive_may_write(a))
		return;
	if (sqlite3_open_v2(a->path, &db, SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_EXRESCODE,
			    pagesum_vfs()) == SQLITE_OK) {
		sqlite3_busy_timeout(db, WORDS_WAIT_MS);
		sqlite3_db_config(db, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, NULL);
		rc = sqlite3_exec(db,
				  "PRAGMA synchronous = FULL; PRAGMA wal_autocheckpoint = 0; PRAGMA secure_delete = ON;"
				  "INSERT INTO memory_words(memory_words) VALUES('rebuild')",
				  NULL, NULL, NULL);
	}
	sqlite3_close(db);
	archive_wrote(a);
	log_warn("archive: the words did not agree with the memories, and were made anew result=\"%s\"",
		 sqlite3_errstr(rc));
}

static bool look_through(struct sql_archive *a, bool (*rest)(void *arg), bool (*bear)(void *arg))
{
	struct scrub_cfg cfg = {.path = a->path, .rest = rest, .bear = bear, .arg = a, .words_max = WORDS_MAX};
	struct scrub_report r;
	uint64_t began = tr_mono_ms();

	if (scrub(&cfg, &r) < 0)
		return false;
	log_info("archive: scrub pages=%llu bad=%llu unsummed=%llu memories=%llu bad=%llu check=%s words=%s%s ms=%llu",
		 (unsigned long long)r.pages, (unsigned long long)r.bad_pages, (unsigned long long)r.unsummed,
		 (unsigned long long)r.memories, (unsigned long long)r.bad_memories,
		 !r.checked   ? "left"
		 : r.check_ok ? "ok"
			      : "bad",
		 !r.words_checked ? "left"
		 : r.words_ok     ? "ok"
				  : "bad",
		 r.finished ? "" : " stopped", (unsigned long long)(tr_mono_ms() - began));
	if (scrub_found(&r))
		say_found(a, &r);
	else if (r.words_checked && !r.words_ok)
		make_words(a);
	if (r.finished)
		a->scrubs++;
	return scrub_found(&r);
}

static bool going_on(void *arg)
{
	const struct sql_archive *a = arg;

	return !a->closing;
}

static void confirm(struct sql_archive *a, int rc)
{
	uint32_t page = a->suspect_page;
	const char *why;
	struct damage_facts facts = {.leads = !a->following};

	log_warn("archive: damage suspected code=%d reason=\"%s\" page=%u; looking at it again from the disk", rc,
		 sqlite3_errstr(rc), page);
	a->suspect_page = 0;
	if (damage_decide(damage_sign(rc), &facts, &why) != DAMAGE_LOOK_AGAIN)
		return;
	if (page != 0 && page_is_bad(a, page))
		sqlite_damaged(a, "page %u does not agree with its sum", page);
	else if (!look_through(a, going_on, going_on))
		log_warn("archive: damage not confirmed; nothing is done");
}

/* ---- the watcher's thread ---- */
static bool rest(void *arg)
{
	struct sql_archive *a = arg;

	if (lane_sleep(&a->watcher, a->scrub_rest_ms == 0 ? REST_MS : a->scrub_rest_ms))
		return false;
	while (a->unanswered > 0) { /* whoever asks goes first */
		if (lane_sleep(&a->watcher, CALLS_REST))
			return false;
	}
	return a->suspicion == 0;
}

static bool bear(void *arg)
{
	const struct sql_archive *a = arg;

	return !a->closing && a->wal_pages < a->scrub_log + LOG_BEARS;
}

/* Until something is suspected (its code), it is time (0), or we are to stop (-1). */
static int await(struct sql_archive *a, uint64_t until_ms)
{
	struct lane *lane = &a->watcher;
	struct timespec ts = {.tv_sec = (time_t)(until_ms / 1000), .tv_nsec = (long)(until_ms % 1000) * 1000000};
	int rc = 0;

	pthread_mutex_lock(&lane->lock);
	while (!lane->stop && (a->suspicion == 0 || a->damaged) && tr_mono_ms() < until_ms)
		pthread_cond_timedwait(&lane->wake, &lane->lock, &ts);
	rc = lane->stop ? -1 : a->suspicion;
	pthread_mutex_unlock(&lane->lock);
	return rc;
}

void sqlite_watch(struct sql_archive *a)
{
	uint64_t every = a->scrub_every_ms == 0 ? EVERY_MS : a->scrub_every_ms;
	uint64_t due = tr_mono_ms() + (a->scrub_first_ms == 0 ? FIRST_MS : a->scrub_first_ms), quiet = 0;
	int rc;

	setpriority(PRIO_PROCESS, (id_t)gettid(), 19); /* of this thread: it shall cost nobody anything */
	while ((rc = await(a, due)) >= 0) {
		if (a->damaged) {
			due = tr_mono_ms() + every;
		} else if (rc > 0) {
			if (tr_mono_ms() >= quiet)
				confirm(a, rc);
			quiet = tr_mono_ms() + AGAIN_MS;
			a->suspicion = 0;
		} else {
			due = tr_mono_ms() + every;
			a->scrub_log = a->wal_pages;
			if (!a->following) /* the lead does it */
				look_through(a, rest, bear);
		}
	}
}
