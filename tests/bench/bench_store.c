/* What an add costs without a tribe around it, in the same turns: a row and its full-text entry in bare SQLite (WAL,
 * FULL, one commit each), or 4 KiB appended and fdatasync. Each latency in nanoseconds on a line of its own.
 *   bench-store FILE sqlite|append COUNT SEED [ROWS]     ROWS: filled in first, in one transaction, when the file is
 * new */
#include "tests/bench/words.h"
#include <fcntl.h>
#include <sqlite3.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static const char schema[] =
	"PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL;"
	"CREATE TABLE IF NOT EXISTS memory(rowid INTEGER PRIMARY KEY, id TEXT UNIQUE NOT NULL, content TEXT NOT NULL,"
	" tags TEXT, source TEXT, importance REAL, access_count INTEGER, heat_key REAL, created_at INTEGER, "
	"last_access INTEGER);"
	"CREATE VIRTUAL TABLE IF NOT EXISTS words USING fts5(content, content='memory', content_rowid='rowid',"
	" tokenize='porter unicode61');";

static int64_t now_ns(void)
{
	struct timespec t;

	(void)clock_gettime(CLOCK_MONOTONIC, &t);
	return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

static void must(bool ok, const char *what)
{
	if (ok)
		return;
	(void)fprintf(stderr, "bench-store: %s failed\n", what);
	exit(1);
}

struct store {
	sqlite3 *db;
	sqlite3_stmt *row, *text;
	uint64_t next;
};

static void run(struct store *s, const char *sql)
{
	must(sqlite3_exec(s->db, sql, NULL, NULL, NULL) == SQLITE_OK, sql);
}

static void insert(struct store *s, const char *text)
{
	char id[40];

	(void)snprintf(id, sizeof(id), "%036llu", (unsigned long long)s->next++);
	(void)sqlite3_bind_text(s->row, 1, id, -1, SQLITE_STATIC);
	(void)sqlite3_bind_text(s->row, 2, text, -1, SQLITE_STATIC);
	(void)sqlite3_bind_int64(s->row, 3, now_ns());
	must(sqlite3_step(s->row) == SQLITE_DONE, "insert");
	(void)sqlite3_reset(s->row);
	(void)sqlite3_bind_int64(s->text, 1, sqlite3_last_insert_rowid(s->db));
	(void)sqlite3_bind_text(s->text, 2, text, -1, SQLITE_STATIC);
	must(sqlite3_step(s->text) == SQLITE_DONE, "index");
	(void)sqlite3_reset(s->text);
}

static uint64_t rows_of(struct store *s)
{
	sqlite3_stmt *q;
	uint64_t n;

	must(sqlite3_prepare_v2(s->db, "SELECT count(*) FROM memory", -1, &q, NULL) == SQLITE_OK &&
		     sqlite3_step(q) == SQLITE_ROW,
	     "count");
	n = (uint64_t)sqlite3_column_int64(q, 0);
	(void)sqlite3_finalize(q);
	return n;
}

static void open_store(struct store *s, const char *path)
{
	must(sqlite3_open(path, &s->db) == SQLITE_OK, "open");
	run(s, schema);
	must(sqlite3_prepare_v2(
		     s->db,
		     "INSERT INTO memory(id, content, importance, access_count, heat_key, created_at, last_access)"
		     " VALUES(?1, ?2, 0.5, 1, 0.0, ?3, ?3)",
		     -1, &s->row, NULL) == SQLITE_OK &&
		     sqlite3_prepare_v2(s->db, "INSERT INTO words(rowid, content) VALUES(?1, ?2)", -1, &s->text,
					NULL) == SQLITE_OK,
	     "prepare");
	s->next = rows_of(s);
}

static void bench_sqlite(const char *path, struct words *w, long count, long rows)
{
	struct store s = {.db = NULL};
	char text[WORDS_TEXT_MAX];

	open_store(&s, path);
	if (s.next == 0 && rows > 0) {
		run(&s, "BEGIN");
		for (long i = 0; i < rows; i++) {
			words_memory(w, text);
			insert(&s, text);
		}
		run(&s, "COMMIT");
	}
	for (long i = 0; i < count; i++) {
		int64_t start;

		words_memory(w, text);
		start = now_ns();
		run(&s, "BEGIN IMMEDIATE");
		insert(&s, text);
		run(&s, "COMMIT");
		(void)printf("%lld\n", (long long)(now_ns() - start));
	}
	(void)sqlite3_finalize(s.row);
	(void)sqlite3_finalize(s.text);
	(void)sqlite3_close(s.db);
}

static void bench_append(const char *path, long count)
{
	static char page[4096];
	int fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);

	must(fd >= 0, "open");
	memset(page, 'x', sizeof(page));
	for (long i = 0; i < count; i++) {
		int64_t start = now_ns();

		must(write(fd, page, sizeof(page)) == (ssize_t)sizeof(page) && fdatasync(fd) == 0, "append");
		(void)printf("%lld\n", (long long)(now_ns() - start));
	}
	(void)close(fd);
}

int main(int argc, char **argv)
{
	struct words w;

	if (argc < 5 || words_open(&w, strtoull(argv[4], NULL, 10)) < 0) {
		(void)fputs("usage: bench-store FILE sqlite|append COUNT SEED [ROWS]\n", stderr);
		return 2;
	}
	if (strcmp(argv[2], "sqlite") == 0)
		bench_sqlite(argv[1], &w, strtol(argv[3], NULL, 10), argc > 5 ? strtol(argv[5], NULL, 10) : 0);
	else
		bench_append(argv[1], strtol(argv[3], NULL, 10));
	words_close(&w);
	return fflush(stdout) == 0 ? 0 : 1;
}
