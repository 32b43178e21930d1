/* What page sums cost: the archive's own tables and statements through the VFS with sums and without, in turns, each on
 * a file of its own. bench-pagesum DIR [ROWS] [TURNS] add     rows of about 200 bytes and their words, 64 a commit,
 * WAL, FULL; the log is moved when it has 1,000 pages get     rows by number at random, through a cache of 64 pages:
 * nearly each is a page read and verified move    the checkpoints alone, within add */
#include "jrs/memory/archive/pagesum.h"
#include "jrs/memory/archive/schema.h"
#include "tests/bench/common.h"
#include "tests/bench/words.h"
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define A_COMMIT 64

struct turn {
	double add_us, add_cpu_us, move_ms, get_us, get_cpu_us;
};

static void run(sqlite3 *db, const char *sql)
{
	bench_must(sqlite3_exec(db, sql, NULL, NULL, NULL) == SQLITE_OK, sql);
}

static sqlite3_stmt *prepared(sqlite3 *db, const char *sql)
{
	sqlite3_stmt *st = NULL;

	bench_must(sqlite3_prepare_v2(db, sql, -1, &st, NULL) == SQLITE_OK, sql);
	return st;
}

static void step(sqlite3_stmt *st)
{
	int rc = sqlite3_step(st);

	bench_must(rc == SQLITE_DONE || rc == SQLITE_ROW, "step");
	sqlite3_reset(st);
}

static void add(sqlite3 *db, long rows, struct turn *t)
{
	sqlite3_stmt *row =
		prepared(db, "INSERT INTO thermal_memory_archive(id, memory_hash, identity, heat_key, created_at, "
			     "last_access, original_content) VALUES(?1, ?2, ?3, ?4, 1, 1, ?5)");
	sqlite3_stmt *words = prepared(db, "INSERT INTO memory_words(rowid, original_content) VALUES(?1, ?2)");
	int64_t wall = bench_ns(CLOCK_MONOTONIC), cpu = bench_ns(CLOCK_PROCESS_CPUTIME_ID), moved = 0, began;
	char text[WORDS_TEXT_MAX], id[32], hash[65];
	struct words w;
	int pages = 0;
	long i;

	bench_must(words_open(&w, 1) >= 0, "words");
	for (i = 0; i < rows; i++) {
		if (i % A_COMMIT == 0)
			run(db, "BEGIN IMMEDIATE");
		words_memory(&w, text);
		snprintf(id, sizeof(id), "id-%ld", i);
		snprintf(hash, sizeof(hash), "%064ld", i * 7919);
		sqlite3_bind_text(row, 1, id, -1, SQLITE_STATIC);
		sqlite3_bind_text(row, 2, hash, -1, SQLITE_STATIC);
		sqlite3_bind_blob(row, 3, hash + 32, 32, SQLITE_STATIC);
		sqlite3_bind_double(row, 4, (double)i);
		sqlite3_bind_text(row, 5, text, -1, SQLITE_STATIC);
		step(row);
		sqlite3_bind_int64(words, 1, sqlite3_last_insert_rowid(db));
		sqlite3_bind_text(words, 2, text, -1, SQLITE_STATIC);
		step(words);
		if (i % A_COMMIT != A_COMMIT - 1 && i != rows - 1)
			continue;
		run(db, "COMMIT");
		if ((pages += A_COMMIT / 4) >= 250) { /* about 1,000 of the log */
			began = bench_ns(CLOCK_MONOTONIC);
			sqlite3_wal_checkpoint_v2(db, NULL, SQLITE_CHECKPOINT_PASSIVE, NULL, NULL);
			moved += bench_ns(CLOCK_MONOTONIC) - began;
			pages = 0;
		}
	}
	t->add_us = (double)(bench_ns(CLOCK_MONOTONIC) - wall) / 1e3 / (double)rows;
	t->add_cpu_us = (double)(bench_ns(CLOCK_PROCESS_CPUTIME_ID) - cpu) / 1e3 / (double)rows;
	t->move_ms = (double)moved / 1e6;
	sqlite3_finalize(row);
	sqlite3_finalize(words);
	words_close(&w);
	sqlite3_wal_checkpoint_v2(db, NULL, SQLITE_CHECKPOINT_TRUNCATE, NULL, NULL);
}

static void get(sqlite3 *db, long rows, struct turn *t)
{
	sqlite3_stmt *st =
		prepared(db, "SELECT id, original_content, heat_key FROM thermal_memory_archive WHERE seq = ?1");
	int64_t wall = bench_ns(CLOCK_MONOTONIC), cpu = bench_ns(CLOCK_PROCESS_CPUTIME_ID);
	uint64_t x = 88172645463325252u;
	long i;

	for (i = 0; i < rows; i++) {
		x ^= x << 13, x ^= x >> 7, x ^= x << 17;
		sqlite3_bind_int64(st, 1, (int64_t)(x % (uint64_t)rows) + 1);
		step(st);
	}
	t->get_us = (double)(bench_ns(CLOCK_MONOTONIC) - wall) / 1e3 / (double)rows;
	t->get_cpu_us = (double)(bench_ns(CLOCK_PROCESS_CPUTIME_ID) - cpu) / 1e3 / (double)rows;
	sqlite3_finalize(st);
}

static struct turn one(const char *path, const char *vfs, long rows)
{
	struct turn t = {0};
	sqlite3 *db = NULL;

	unlink(path);
	bench_must(sqlite3_open_v2(path, &db, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX, vfs) ==
			   SQLITE_OK,
		   "open");
	if (vfs != NULL)
		bench_must(pagesum_reserve(db) == SQLITE_OK, "reserve");
	run(db, "PRAGMA synchronous = FULL; PRAGMA secure_delete = ON; PRAGMA temp_store = MEMORY");
	bench_must(schema_make_ours(db, NULL) == 0, "name");
	run(db, "PRAGMA journal_mode = WAL; PRAGMA wal_autocheckpoint = 0");
	bench_must(schema_migrate(db, 0, NULL) == 0, "schema");
	add(db, rows, &t);
	run(db, "PRAGMA cache_size = 64");
	get(db, rows, &t);
	sqlite3_close(db);
	return t;
}

static int by_size(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

static double median(double *v, long n)
{
	qsort(v, (size_t)n, sizeof(*v), by_size);
	return v[n / 2];
}

int main(int argc, char **argv)
{
	long rows = argc > 2 ? bench_number(argv[2], 100, 10000000) : 50000;
	long turns = argc > 3 ? bench_number(argv[3], 1, 100) : 7, i, k;
	static const char *const names[] = {"add us/row", "add cpu us/row", "moving ms", "get us", "get cpu us"};
	double v[2][5][100], m[2];
	char path[2][300];

	bench_must(argc > 1, "bench-pagesum DIR [ROWS] [TURNS]");
	for (k = 0; k < 2; k++)
		snprintf(path[k], sizeof(path[k]), "%s/%s.sqlite", argv[1], k ? "with" : "without");
	for (i = 0; i < 2 * turns; i++) {
		struct turn t = one(path[i % 2], i % 2 ? pagesum_vfs() : NULL, rows);
		const double all[5] = {t.add_us, t.add_cpu_us, t.move_ms, t.get_us, t.get_cpu_us};

		for (k = 0; k < 5; k++)
			v[i % 2][k][i / 2] = all[k];
	}
	printf("%ld rows, %ld turns each, medians\n%-16s %10s %10s %7s\n", rows, turns, "", "without", "with", "ratio");
	for (k = 0; k < 5; k++) {
		m[0] = median(v[0][k], turns);
		m[1] = median(v[1][k], turns);
		printf("%-16s %10.2f %10.2f %7.3f\n", names[k], m[0], m[1], m[1] / m[0]);
	}
	for (k = 0; k < 2; k++)
		unlink(path[k]);
	return 0;
}
