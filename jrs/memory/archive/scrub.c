#include "jrs/memory/archive/scrub.h"
#include "common/base/err.h"
#include "common/base/text.h"
#include "jrs/memory/archive/pagesum.h"
#include <sqlite3.h>
#include <stdlib.h>
#include <string.h>

#define PIECE    64u        /* pages, or rows, between two rests */
#define STEPS    20000      /* of SQLite's machine between two questions whether to go on */
#define LOCK_AT  0x40000000 /* the page there is never written */
#define MEMORIES "thermal_memory_archive"

struct scrubber {
	const struct scrub_cfg *cfg;
	struct scrub_report *r;
	sqlite3 *db;
	bool stop;
};

bool scrub_found(const struct scrub_report *r)
{
	return r->bad_pages > 0 || r->bad_memories > 0 || r->unreadable || (r->checked && !r->check_ok);
}

bool scrub_derived_only(const struct scrub_report *r)
{
	return scrub_found(r) && !r->unreadable && r->bad_memories == 0;
}

/* Does this code say that the files are damaged? */
static bool damage(int rc)
{
	return rc == SQLITE_IOERR_DATA || (rc & 0xff) == SQLITE_CORRUPT || (rc & 0xff) == SQLITE_NOTADB;
}

static bool rested(struct scrubber *s)
{
	if (!s->stop && s->cfg->rest != NULL && !s->cfg->rest(s->cfg->arg))
		s->stop = true;
	return !s->stop;
}

static int64_t number(struct scrubber *s, const char *sql)
{
	sqlite3_stmt *st = NULL;
	int64_t n = -1;

	if (sqlite3_prepare_v2(s->db, sql, -1, &st, NULL) == SQLITE_OK && sqlite3_step(st) == SQLITE_ROW)
		n = sqlite3_column_int64(st, 0);
	sqlite3_finalize(st);
	return n;
}

/* ---- pages, as they are on the disk ---- */
static bool zeros(const unsigned char *p, size_t n)
{
	return p[0] == 0 && memcmp(p, p + 1, n - 1) == 0;
}

static void one_page(struct scrubber *s, uint32_t page, unsigned char *buf, int size)
{
	int rc = pagesum_read(s->db, page, buf, size);

	if (rc == SQLITE_IOERR_DATA && zeros(buf, (size_t)size))
		return; /* it may be in the log yet; if it is used, SQLite's check reads it */
	if (rc == SQLITE_OK || rc == SQLITE_IOERR_DATA)
		s->r->pages++;
	else if (rc != SQLITE_IOERR_SHORT_READ) /* the same as zeros */
		s->r->trouble = rc;
	if (rc == SQLITE_IOERR_DATA && s->r->bad_pages++ == 0)
		s->r->first_bad = page;
}

static void all_pages(struct scrubber *s)
{
	int64_t pages = number(s, "PRAGMA page_count"), size = number(s, "PRAGMA page_size"), page;
	unsigned char *buf;

	if (pages < 0 || size < 512 || (buf = malloc((size_t)size)) == NULL) {
		s->r->unreadable = damage(sqlite3_extended_errcode(s->db));
		return;
	}
	for (page = 1; page <= pages && s->r->trouble == 0 && !s->stop; page++) {
		if (page % PIECE == 1) {
			if (page > 1 && !rested(s))
				break;
			pagesum_drop(s->db, (uint32_t)page, PIECE, (int)size);
		}
		if (page != LOCK_AT / size + 1)
			one_page(s, (uint32_t)page, buf, (int)size);
	}
	free(buf);
}

/* ---- rows ---- */
static bool hash_agrees(sqlite3_stmt *st)
{
	unsigned char sum[TR_SHA256_LEN];
	char hex[2 * TR_SHA256_LEN + 1];
	const char *hash = (const char *)sqlite3_column_text(st, 1);

	if (hash == NULL || sqlite3_column_text(st, 2) == NULL ||
	    tr_sha256(sqlite3_column_text(st, 2), (size_t)sqlite3_column_bytes(st, 2), sum) < 0)
		return false;
	tr_hex(sum, sizeof(sum), hex);
	return strcmp(hash, hex) == 0;
}

/* Some memories behind *seq. SQLITE_DONE: there are no more. */
static int some_memories(struct scrubber *s, sqlite3_stmt *st, int64_t *seq)
{
	int rc = sqlite3_bind_int64(st, 1, *seq);
	unsigned n = 0;

	while (rc == SQLITE_OK || rc == SQLITE_ROW) {
		if ((rc = sqlite3_step(st)) != SQLITE_ROW)
			break;
		*seq = sqlite3_column_int64(st, 0);
		s->r->memories++;
		s->r->bad_memories += !hash_agrees(st);
		n++;
	}
	sqlite3_reset(st);
	if (rc == SQLITE_DONE)
		return n == PIECE ? SQLITE_OK : SQLITE_DONE;
	return rc;
}

static void all_memories(struct scrubber *s)
{
	sqlite3_stmt *st = NULL;
	int64_t seq = 0;
	int rc = sqlite3_prepare_v2(s->db,
				    "SELECT seq, memory_hash, original_content FROM " MEMORIES
				    " NOT INDEXED WHERE seq > ?1 ORDER BY seq LIMIT 64",
				    -1, &st, NULL);

	while (rc == SQLITE_OK && rested(s))
		rc = some_memories(s, st, &seq);
	sqlite3_finalize(st);
	if (damage(rc))
		s->r->unreadable = true;
	else if (rc != SQLITE_OK && rc != SQLITE_DONE)
		s->r->trouble = rc;
}

/* Reads a table from end to end. */
static void one_table(struct scrubber *s, const char *name)
{
	char *sql = sqlite3_mprintf("SELECT * FROM \"%w\" NOT INDEXED", name);
	sqlite3_stmt *st = NULL;
	int rc = sql == NULL ? SQLITE_NOMEM : sqlite3_prepare_v2(s->db, sql, -1, &st, NULL), i;

	while (rc == SQLITE_OK && (rc = sqlite3_step(st)) == SQLITE_ROW) {
		for (i = 0; i < sqlite3_column_count(st); i++) /* the rest of a long value lies on other pages */
			sqlite3_column_bytes(st, i);
		rc = SQLITE_OK;
	}
	sqlite3_finalize(st);
	sqlite3_free(sql);
	if (damage(rc))
		s->r->unreadable = true;
	else if (rc != SQLITE_DONE)
		s->r->trouble = rc;
}

static void all_tables(struct scrubber *s)
{
	char names[32][64];
	sqlite3_stmt *st = NULL;
	int n = 0, i;
	int rc = sqlite3_prepare_v2(
		s->db,
		"SELECT name FROM pragma_table_list WHERE schema = 'main' AND type = 'table' AND name <> '" MEMORIES
		"'",
		-1, &st, NULL);

	while (rc == SQLITE_OK && n < 32 && sqlite3_step(st) == SQLITE_ROW) {
		const char *name = (const char *)sqlite3_column_text(st, 0);

		if (name != NULL)
			tr_copy(names[n++], sizeof(names[0]), name, strlen(name));
	}
	rc = sqlite3_finalize(st);
	if (damage(rc))
		s->r->unreadable = true;
	for (i = 0; i < n && s->r->trouble == 0 && rested(s); i++)
		one_table(s, names[i]);
}

/* ---- SQLite's own checks ---- */
static int go_on(void *arg)
{
	const struct scrubber *s = arg;

	return s->cfg->bear != NULL && !s->cfg->bear(s->cfg->arg);
}

/* A line of the check. 1: it objects to what is stored; 0: it is content; -1: it could not read, which says nothing. */
static int objection(struct scrubber *s, const char *line)
{
	const char *code = line == NULL ? NULL : strstr(line, "error code=");
	int rc;

	if (line != NULL && strcmp(line, "ok") == 0)
		return 0;
	if (code == NULL)
		return 1;
	rc = (int)strtol(code + strlen("error code="), NULL, 10);
	if (damage(rc))
		return 1;
	s->r->trouble = rc;
	return -1;
}

static void own_check(struct scrubber *s)
{
	sqlite3_stmt *st = NULL;
	int rc = sqlite3_prepare_v2(s->db, "PRAGMA integrity_check(20)", -1, &st, NULL), bad = 0;

	sqlite3_progress_handler(s->db, STEPS, go_on, s);
	while (rc == SQLITE_OK && (rc = sqlite3_step(st)) == SQLITE_ROW) {
		bad += objection(s, (const char *)sqlite3_column_text(st, 0)) == 1;
		rc = SQLITE_OK;
	}
	sqlite3_progress_handler(s->db, 0, NULL, NULL);
	sqlite3_finalize(st);
	if (rc != SQLITE_DONE && rc != SQLITE_INTERRUPT && !damage(rc))
		s->r->trouble = rc;
	s->r->check_ok = rc == SQLITE_DONE && bad == 0 && s->r->trouble == 0;
	s->r->checked = s->r->check_ok || bad > 0 || damage(rc);
}

/* Reads that failed for another reason. A part of SQLite may call that damage, so its word then counts for nothing. */
static uint64_t failures(struct scrubber *s)
{
	struct pagesum_stats stats = {0};

	(void)pagesum_stats(s->db, &stats);
	return stats.failures;
}

static void words(struct scrubber *s)
{
	uint64_t before = failures(s);
	int rc;

	if (s->r->memories > s->cfg->words_max ||
	    number(s, "SELECT count(*) FROM sqlite_schema WHERE name = 'memory_words'") != 1)
		return;
	rc = sqlite3_exec(s->db, "INSERT INTO memory_words(memory_words, rank) VALUES('integrity-check', 1)", NULL,
			  NULL, NULL);
	s->r->words_checked = rc == SQLITE_OK || (damage(rc) && failures(s) == before);
	s->r->words_ok = rc == SQLITE_OK;
}

int scrub(const struct scrub_cfg *cfg, struct scrub_report *out)
{
	struct scrub_report r = {0};
	struct scrubber s = {.cfg = cfg, .r = &r};
	struct pagesum_stats stats;

	if (sqlite3_open_v2(cfg->path, &s.db, SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_EXRESCODE,
			    pagesum_vfs()) != SQLITE_OK) {
		sqlite3_close(s.db);
		return TR_ESTORE;
	}
	sqlite3_db_config(s.db, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, NULL);
	sqlite3_exec(s.db, "PRAGMA trusted_schema = OFF; PRAGMA cache_size = -512; PRAGMA wal_autocheckpoint = 0", NULL,
		     NULL, NULL);
	all_pages(&s);
	if (pagesum_stats(s.db, &stats) == SQLITE_OK)
		r.unsummed = stats.unsummed;
	if (r.trouble == 0 && !s.stop)
		all_memories(&s);
	if (r.trouble == 0 && !s.stop)
		all_tables(&s);
	if (r.trouble == 0 && rested(&s)) {
		uint64_t before = failures(&s);

		own_check(&s);
		if (failures(&s) != before)
			r.checked = r.check_ok = false;
	}
	if (r.trouble == 0 && rested(&s))
		words(&s);
	r.finished = !s.stop && r.trouble == 0;
	sqlite3_close(s.db);
	*out = r;
	return 0;
}
