/* jrs/memory/archive/wipe: what was moved to another page leaves nothing in the one it came from. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "jrs/memory/archive/pagesum.h"
#include "jrs/memory/archive/wipe.h"
#include "tests/unit/damage_kit.h"
#include <stdbool.h>

#define SIZE 4096u
#define ROWS 1500

static void put16(unsigned char *p, size_t v)
{
	p[0] = (unsigned char)(v >> 8);
	p[1] = (unsigned char)v;
}

/* A page of that kind with three cells behind `to`, and leftovers everywhere. */
static void make(unsigned char *page, unsigned char kind, size_t head, size_t to)
{
	size_t list = head + (kind < 8 ? 12 : 8);

	memset(page, 0xee, SIZE);
	page[head] = kind;
	put16(page + head + 3, 3);
	put16(page + head + 5, to);
	put16(page + list, to);
	put16(page + list + 2, to + 40);
	put16(page + list + 4, SIZE - 1);
}

static void only_the_room_is_cleared(void **s)
{
	static const unsigned char kinds[] = {2, 5, 10, 13};
	unsigned char page[SIZE], before[SIZE];
	size_t i, k, number;

	(void)s;
	for (k = 0; k < sizeof(kinds); k++) {
		for (number = 1; number <= 2; number++) {
			size_t head = number == 1 ? 100 : 0, from = head + (kinds[k] < 8 ? 12 : 8) + 6;

			make(page, kinds[k], head, 3000);
			memcpy(before, page, SIZE);
			assert_int_equal(wipe_room(page, SIZE, (uint32_t)number), 3000 - from);
			for (i = 0; i < SIZE; i++)
				assert_int_equal(page[i], i >= from && i < 3000 ? 0 : before[i]);
		}
	}
}

static void left_as_it_is(unsigned char *page, uint32_t number)
{
	unsigned char before[SIZE];

	memcpy(before, page, SIZE);
	assert_int_equal(wipe_room(page, SIZE, number), 0);
	assert_memory_equal(before, page, SIZE);
}

static void what_is_no_sound_b_tree_is_left_as_it_is(void **s)
{
	unsigned char page[SIZE];

	(void)s;
	make(page, 0, 0, 3000); /* an overflow page, or a free one */
	left_as_it_is(page, 7);
	make(page, 13, 0, 3000);
	left_as_it_is(page, 0x01000000);
	put16(page + 5, SIZE + 1); /* its cells begin behind the page */
	left_as_it_is(page, 7);
	make(page, 13, 0, 3000);
	put16(page + 3, 2000); /* more cells than there is room for */
	left_as_it_is(page, 7);
	make(page, 13, 0, 3000);
	put16(page + 8, 2999); /* a cell before the first one */
	left_as_it_is(page, 7);
	make(page, 13, 0, 3000);
	put16(page + 10, SIZE); /* a cell behind the page */
	left_as_it_is(page, 7);
}

/* ---- on a database ---- */
static uint64_t seed = 20261128;

static void run(sqlite3 *db, const char *sql)
{
	if (sqlite3_exec(db, sql, NULL, NULL, NULL) != SQLITE_OK)
		fail_msg("%s: %s", sql, sqlite3_errmsg(db));
}

/* One row in ten stays: where all go, their pages go with them, and are cleared by SQLite. */
static bool stays(unsigned row)
{
	return row % 10 == 0;
}

static void run_n(sqlite3 *db, const char *sql, unsigned n, unsigned len, unsigned row)
{
	sqlite3_stmt *st = NULL;
	char text[1024];
	int k = snprintf(text, sizeof(text), "%s%06uq", stays(row) ? "stay" : "quux", n);

	memset(text + k, 'w', len);
	text[(unsigned)k + len] = '\0';
	assert_int_equal(sqlite3_prepare_v2(db, sql, -1, &st, NULL), SQLITE_OK);
	assert_int_equal(sqlite3_bind_text(st, 1, text, -1, SQLITE_STATIC), SQLITE_OK);
	assert_int_equal(sqlite3_bind_int64(st, 2, row), SQLITE_OK);
	assert_int_equal(sqlite3_step(st), SQLITE_DONE);
	sqlite3_finalize(st);
}

static unsigned rnd(unsigned n)
{
	return (unsigned)(kit_random(&seed) % n);
}

/* Rows that grow and so move between pages, then go in no order. How many pieces of them are left in the file. */
static unsigned left_behind(const char *path, const char *vfs)
{
	unsigned i, found = 0, gone[ROWS];
	sqlite3 *db = NULL;
	char *p;
	size_t n, at;

	assert_int_equal(sqlite3_open_v2(path, &db, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE, vfs), SQLITE_OK);
	if (vfs != NULL)
		assert_int_equal(pagesum_reserve(db), SQLITE_OK);
	run(db, "PRAGMA secure_delete = ON; PRAGMA journal_mode = WAL; PRAGMA synchronous = OFF;"
		"CREATE TABLE t(seq INTEGER PRIMARY KEY, body TEXT, id TEXT UNIQUE, tags TEXT);"
		"CREATE INDEX s ON t(tags)");
	for (i = 0; i < ROWS; i++) {
		run_n(db, "INSERT INTO t(body, seq) VALUES(?1, ?2)", i, rnd(800), i + 1);
		run_n(db, "UPDATE t SET id = ?1 WHERE seq = ?2", i * 611953u % 1000003u, 0, i + 1);
		gone[i] = i + 1;
	}
	for (i = 0; i < ROWS; i++) {
		unsigned row = 1 + rnd(ROWS);

		run_n(db, "UPDATE t SET tags = ?1 WHERE seq = ?2", rnd(1000000), rnd(90), row);
	}
	for (i = ROWS; i-- > 1;) {
		unsigned j = rnd(i + 1), other = gone[i];

		gone[i] = gone[j];
		gone[j] = other;
	}
	for (i = 0; i < ROWS; i++) {
		if (!stays(gone[i]))
			run_n(db, "DELETE FROM t WHERE ?1 <> '' AND seq = ?2", 0, 0, gone[i]);
	}
	run(db, "PRAGMA wal_checkpoint(TRUNCATE); PRAGMA integrity_check");
	sqlite3_close(db);
	p = kit_get(path, &n);
	for (at = 0; at + 4 <= n; at++)
		found += memcmp(p + at, "quux", 4) == 0;
	free(p);
	return found;
}

static void nothing_is_left_of_what_was_moved(void **s)
{
	char dir[64], path[128];
	unsigned bare, ours;

	(void)s;
	snprintf(dir, sizeof(dir), "/tmp/tribe-wipe-XXXXXX");
	assert_non_null(mkdtemp(dir));
	snprintf(path, sizeof(path), "%s/bare.sqlite", dir);
	bare = left_behind(path, NULL);
	snprintf(path, sizeof(path), "%s/ours.sqlite", dir);
	ours = left_behind(path, pagesum_vfs());
	kit_drop_dir(dir);
	assert_true(bare > 0); /* else this proves nothing */
	assert_int_equal(ours, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(only_the_room_is_cleared),
		cmocka_unit_test(what_is_no_sound_b_tree_is_left_as_it_is),
		cmocka_unit_test(nothing_is_left_of_what_was_moved),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
