/* An archive in a place of its own, its calls made synchronous by turning the loop. One suite runs on every kind of
 * archive: the program's argument names it (sqlite, postgresql, double); without one it is sqlite. What only one kind
 * can show is in test_archive_sqlite.c and test_memory_damage.c, what SQL can show in test_archive_sql.c. */
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
#include <math.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define HOUR 3600000LL
#define DAY  (24 * HOUR)
#define WEEK (7 * DAY)

struct rig;
/* A kind of archive. */
struct rig_backend {
	const char *name;
	int (*open)(struct archive **out, const struct archive_cfg *cfg, struct tr_fault *fault);
	void (*place)(struct rig *g); /* finds a place where nothing is; fills path or conninfo */
	void (*wipe)(struct rig *g);  /* nothing is there any more; nobody has it open */
	void (*sound)(struct rig *g); /* fails the test when the kind's own check of itself objects */
	double (*look)(struct rig *g, unsigned what);
	double (*sql)(struct rig *g, const char *sql); /* NULL: it has none */
	bool (*refuses)(struct rig *g, const char *sql);
	bool ranks; /* by the figures of the double: BM25 over stems */
};
extern const struct rig_backend *rig_backend; /* the one in use */

struct rig {
	const struct rig_backend *kind;
	char dir[64], path[96], conninfo[512]; /* conninfo: "" but for PostgreSQL */
	uv_loop_t loop;
	/* as in archive_cfg, of the next opening */
	const unsigned char (*governors)[32];
	uint64_t act_delay_ms;
	bool sacred_limited;
	uint32_t sacred_quota;
	struct archive *a;
	msgpack_zone *zone; /* answers of the whole test live here */
	/* the last answer */
	int r, waiting;
	const void *res;
	struct archive_answer answer;
	struct tr_fault fault;
};

extern _Atomic int64_t rig_now; /* the archive's clock; every rig begins at RIG_BEGIN */
#define RIG_BEGIN 1764000000000
int64_t rig_clock(void);

/* First thing in main: takes the kind from the arguments. Ends the program with 77 (skipped) when this build has no
 * PostgreSQL. */
void rig_choose(int argc, char **argv);
/* A rig of that kind without an archive in it, and its end. */
struct rig *rig_new_of(const struct rig_backend *kind);
const struct rig_backend *rig_find(const char *name); /* NULL: there is no such kind */
struct archive_cfg rig_cfg(struct rig *g);
int rig_open_again(struct rig *g, struct tr_fault *fault);
struct rig *rig_new(void);
void rig_free(struct rig *g);
int rig_setup(void **s);
int rig_teardown(void **s);
int rig_teardown_sound(void **s); /* asks the archive itself, too, whether all is well */
void rig_reopen(struct rig *g);
void rig_start_over(struct rig *g); /* closed, wiped, opened: an empty archive */

void rig_answered(void *arg, int r, const struct archive_answer *answer, const struct tr_fault *fault);
/* The _try functions give NULL, with g->r and g->fault, when the call fails; the others fail the test. */
const void *rig_call_until(struct rig *g, enum wire_msg_id id, const void *msg, uint64_t deadline_ms);
const void *rig_try(struct rig *g, enum wire_msg_id id, const void *msg);
const void *rig_call(struct rig *g, enum wire_msg_id id, const void *msg);

struct item_new_memory said(const char *content);
bool rig_try_add(struct rig *g, const struct item_new_memory *m);
const struct item_added *rig_add(struct rig *g, const struct item_new_memory *m);
const struct item_added *rig_say(struct rig *g, const char *content);
const struct item_memory *rig_get(struct rig *g, wire_str id);
bool rig_try_get(struct rig *g, wire_str id);
const struct res_memory_thermal *rig_thermal(struct rig *g, uint32_t hottest);
/* Turns the loop until what was noted is on disk: notes ride along with the next call. */
void rig_settle(struct rig *g);
bool same(wire_str s, const char *want);

/* All pages of an export, `limit` records each, as one list in the rig's zone. */
struct list_record rig_export(struct rig *g, uint32_t limit);
/* The thermal figures against a recount of an export, and against those of a fresh start (it reopens). */
void rig_figures_hold(struct rig *g);

/* What no call shows: counts of what is kept. */
enum rig_look {
	LOOK_MEMORIES, /* drill load too */
	LOOK_DECISIONS,
	LOOK_REQUESTS,
	LOOK_ANSWERS,    /* requests whose answer is still kept */
	LOOK_PAIRS,      /* of memories recalled together */
	LOOK_PAIR_TIMES, /* how often in all */
	LOOK_HEAT_MAPS,
	LOOK_EPOCH,
	RIG_NLOOKS
};
double rig_look(struct rig *g, enum rig_look what);
/* One number from a connection of our own, as somebody with the sqlite3 shell or psql would see it. */
double rig_sql(struct rig *g, const char *sql);
/* Is that change refused by a rule of the database? Fails the test when it cannot be tried. */
bool rig_refuses(struct rig *g, const char *sql);
int rig_exec(struct rig *g, const char *sql); /* SQLite only: SQLITE_OK or why not */

/* ---- memory_backends.c ---- */
extern const struct rig_backend rig_sqlite, rig_double, rig_postgresql;
extern const char *const rig_looks[RIG_NLOOKS]; /* as SQL */

#endif
