/* A real archive in a directory of its own, its calls made synchronous by turning the loop. For test_archive.c and
 * test_memory_recall.c. */
#ifndef TESTS_UNIT_MEMORY_RIG_H
#define TESTS_UNIT_MEMORY_RIG_H
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "common/base/clock.h"
#include "common/loop/loop.h"
#include "jrs/memory/archive/archive.h"
#include <dirent.h>
#include <math.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define HOUR 3600000LL
#define DAY  (24 * HOUR)
#define WEEK (7 * DAY)

struct rig {
	char dir[64], path[96];
	uv_loop_t loop;
	struct archive *a;
	msgpack_zone *zone; /* answers of the whole test live here */
	/* the last answer */
	int r, waiting;
	const void *res;
	struct archive_answer answer;
	struct tr_fault fault;
};

static int64_t rig_now = 1764000000000; /* the archive's clock */

static int64_t rig_clock(void)
{
	return rig_now;
}

static inline int rig_open_again(struct rig *g, struct tr_fault *fault)
{
	struct archive_cfg cfg = {.loop = &g->loop, .path = g->path, .epoch = 1, .wall_ms = rig_clock};

	return archive_open(&g->a, &cfg, fault);
}

static inline struct rig *rig_new(void)
{
	struct rig *g = calloc(1, sizeof(*g));

	assert_non_null(g);
	rig_now = 1764000000000;
	snprintf(g->dir, sizeof(g->dir), "/tmp/tribe-archive-XXXXXX");
	assert_non_null(mkdtemp(g->dir));
	snprintf(g->path, sizeof(g->path), "%s/thermal.sqlite", g->dir);
	assert_int_equal(uv_loop_init(&g->loop), 0);
	g->zone = msgpack_zone_new(8192);
	assert_non_null(g->zone);
	return g;
}

static inline void rig_free(struct rig *g)
{
	DIR *d;
	struct dirent *e;

	archive_close(&g->a);
	assert_int_equal(loop_finish(&g->loop), 0);
	msgpack_zone_free(g->zone);
	if ((d = opendir(g->dir)) != NULL) {
		while ((e = readdir(d)) != NULL) {
			char name[400];

			snprintf(name, sizeof(name), "%s/%s", g->dir, e->d_name);
			unlink(name);
		}
		closedir(d);
	}
	rmdir(g->dir);
	free(g);
}

static inline int rig_setup(void **s)
{
	struct rig *g = rig_new();

	*s = g;
	if (rig_open_again(g, NULL) == 0)
		return 0;
	rig_free(g); /* without a setup there is no teardown */
	return -1;
}

static inline int rig_teardown(void **s)
{
	rig_free(*s);
	return 0;
}

static inline void rig_reopen(struct rig *g)
{
	struct tr_fault fault = {0};

	archive_close(&g->a);
	if (rig_open_again(g, &fault) < 0)
		fail_msg("cannot open again: %s %s", fault.field, fault.rule);
}

static void rig_answered(void *arg, int r, const struct archive_answer *answer, const struct tr_fault *fault)
{
	struct rig *g = arg;

	g->r = r;
	g->waiting--;
	memset(&g->answer, 0, sizeof(g->answer));
	memset(&g->fault, 0, sizeof(g->fault));
	if (r == 0)
		g->answer = *answer;
	else
		g->fault = *fault;
	g->res = g->answer.res;
}

static inline const void *rig_call_until(struct rig *g, enum wire_msg_id id, const void *msg, uint64_t deadline_ms)
{
	struct archive_ctx ctx = {g->zone, deadline_ms};

	g->waiting = 1;
	g->r = archive_call(g->a, id, msg, &ctx, rig_answered, g);
	if (g->r < 0)
		return NULL; /* refused at once: g->fault is that of the call before */
	while (g->waiting > 0)
		uv_run(&g->loop, UV_RUN_ONCE);
	return g->res;
}

/* The _try functions give NULL, with g->r and g->fault, when the call fails; the others fail the test. */
static inline const void *rig_try(struct rig *g, enum wire_msg_id id, const void *msg)
{
	return rig_call_until(g, id, msg, 0);
}

static inline const void *rig_call(struct rig *g, enum wire_msg_id id, const void *msg)
{
	const void *res = rig_try(g, id, msg);

	if (res == NULL) {
		fail_msg("%s failed: %s %s", wire_methods[id].method, g->fault.field, g->fault.rule);
		abort(); /* not reached: cmocka jumps out, which the compiler cannot know */
	}
	return res;
}

static inline struct item_new_memory said(const char *content)
{
	struct item_new_memory m = {.content = wire_s(content)};

	return m;
}

static inline bool rig_try_add(struct rig *g, const struct item_new_memory *m)
{
	struct msg_memory_add msg = {.memories = {m, 1}};

	return rig_try(g, MSG_memory_add, &msg) != NULL;
}

static inline const struct item_added *rig_add(struct rig *g, const struct item_new_memory *m)
{
	struct msg_memory_add msg = {.memories = {m, 1}};
	const struct res_memory_add *res = rig_call(g, MSG_memory_add, &msg);

	return &res->memories.v[0];
}

static inline const struct item_added *rig_say(struct rig *g, const char *content)
{
	struct item_new_memory m = said(content);

	return rig_add(g, &m);
}

static inline const struct item_memory *rig_get(struct rig *g, wire_str id)
{
	struct msg_memory_get msg = {.id = id};
	const struct res_memory_get *res = rig_call(g, MSG_memory_get, &msg);

	return &res->memory;
}

static inline bool rig_try_get(struct rig *g, wire_str id)
{
	struct msg_memory_get msg = {.id = id};

	return rig_try(g, MSG_memory_get, &msg) != NULL;
}

static inline const struct res_memory_thermal *rig_thermal(struct rig *g, uint32_t hottest)
{
	struct msg_memory_thermal msg = {.has_hottest = true, .hottest = hottest};

	return rig_call(g, MSG_memory_thermal, &msg);
}

/* One number from a connection of our own, as somebody with the sqlite3 shell would see it. */
static inline double rig_sql(struct rig *g, const char *sql)
{
	sqlite3 *db = NULL;
	sqlite3_stmt *st = NULL;
	double v = (double)NAN;

	assert_int_equal(sqlite3_open(g->path, &db), SQLITE_OK);
	sqlite3_busy_timeout(db, 5000);
	if (sqlite3_prepare_v2(db, sql, -1, &st, NULL) != SQLITE_OK)
		fail_msg("%s: %s", sql, sqlite3_errmsg(db));
	if (sqlite3_step(st) == SQLITE_ROW)
		v = sqlite3_column_double(st, 0);
	sqlite3_finalize(st);
	sqlite3_close(db);
	return v;
}

/* SQLITE_OK or why not. */
static inline int rig_exec(struct rig *g, const char *sql)
{
	sqlite3 *db = NULL;
	int rc;

	assert_int_equal(sqlite3_open(g->path, &db), SQLITE_OK);
	sqlite3_busy_timeout(db, 5000);
	rc = sqlite3_exec(db, sql, NULL, NULL, NULL);
	sqlite3_close(db);
	return rc;
}

/* Turns the loop until what was noted is on disk: notes ride along with the next call. */
static inline void rig_settle(struct rig *g)
{
	struct item_new_memory m = said("settle");

	m.has_id = true;
	m.id = wire_s("settle");
	rig_add(g, &m);
}

static inline bool same(wire_str s, const char *want)
{
	return s.n == strlen(want) && memcmp(s.p, want, s.n) == 0;
}

#endif
