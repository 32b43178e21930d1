/* An archive with everything in it, and what becomes of it when its files are damaged: for test_salvage.c and
 * test_memory_damage.c. */
#ifndef TESTS_UNIT_DAMAGE_ARCHIVE_H
#define TESTS_UNIT_DAMAGE_ARCHIVE_H
#include "memory_rig.h"

#include "damage_kit.h"

/* Files as they lay there when somebody was killed, or had left. */
struct laid {
	unsigned char *p[3]; /* NULL: not there */
	size_t n[3];
};
static const char *const laid_endings[3] = {"", "-wal", "-shm"};

static inline struct laid laid_take(const char *path)
{
	struct laid f = {{NULL}, {0}};
	char name[200];
	int i;

	for (i = 0; i < 3; i++) {
		snprintf(name, sizeof(name), "%s%s", path, laid_endings[i]);
		if (access(name, F_OK) == 0)
			f.p[i] = kit_get(name, &f.n[i]);
	}
	return f;
}

static inline void laid_free(struct laid *f)
{
	int i;

	for (i = 0; i < 3; i++)
		free(f->p[i]);
}

/* Of an archive that is open: as a kill at one moment would leave them, not some files of before and some of behind a
 * checkpoint. Taken until nothing moves in between. */
static inline struct laid laid_take_still(const char *path)
{
	struct laid f = laid_take(path), again;
	bool same;
	int i, tries;

	for (tries = 0; tries < 1000; tries++) {
		again = laid_take(path);
		for (i = 0, same = true; i < 3; i++)
			same = same && f.n[i] == again.n[i] && (f.n[i] == 0 || memcmp(f.p[i], again.p[i], f.n[i]) == 0);
		laid_free(&f);
		f = again;
		if (same)
			return f;
	}
	fail();
	return f;
}

static inline void laid_out(const struct laid *f, const char *path)
{
	char name[200];
	int i;

	for (i = 0; i < 3; i++) {
		snprintf(name, sizeof(name), "%s%s", path, laid_endings[i]);
		if (f->p[i] != NULL)
			kit_put(name, f->p[i], f->n[i]);
		else
			unlink(name);
	}
}

/* Database and log are, byte for byte, what was laid out. The shared memory SQLite makes anew whenever it opens them.
 */
static inline void laid_untouched(const struct laid *f, const char *path)
{
	struct laid now = laid_take(path);
	int i;

	for (i = 0; i < 3; i++) {
		if (i < 2)
			assert_int_equal(now.n[i], f->n[i]);
		if (i < 2 && f->p[i] != NULL)
			assert_memory_equal(now.p[i], f->p[i], f->n[i]);
		free(now.p[i]);
	}
}

#define FILL_STEP 25
/* Memories `first` ... in one call. */
static inline void fill_say(struct rig *g, int first, uint64_t *seed)
{
	static char text[FILL_STEP][70000], id[FILL_STEP][32], source[FILL_STEP][32], speaker[FILL_STEP][32];
	static const wire_str tags[] = {{"blue", 4}, {"green", 5}};
	struct item_new_memory v[FILL_STEP];
	struct msg_memory_add msg = {.memories = {v, FILL_STEP}};
	int j, k;

	for (j = 0; j < FILL_STEP; j++) {
		int i = first + j, words = i % 97 == 0 ? 3000 : i % 31 == 0 ? 600 : 10 + i % 30;
		struct item_new_memory *m = &v[j];
		int n = snprintf(text[j], sizeof(text[j]), "memory number %d speaks of ", i);

		for (k = 0; k < words; k++)
			n += snprintf(text[j] + n, sizeof(text[j]) - (size_t)n, "w%llu ",
				      (unsigned long long)(kit_random(seed) % 5000));
		snprintf(id[j], sizeof(id[j]), "own-%d", i);
		snprintf(source[j], sizeof(source[j]), "source %d", i % 7);
		snprintf(speaker[j], sizeof(speaker[j]), "speaker %d", i % 11);
		*m = said(text[j]);
		m->has_id = i % 5 == 0;
		m->id = wire_s(id[j]);
		m->has_source = m->has_speaker = i % 3 != 0;
		m->source = wire_s(source[j]);
		m->speaker = wire_s(speaker[j]);
		m->has_at = i % 4 == 0;
		m->at = RIG_BEGIN - i * 1000;
		m->has_tags = i % 2 == 0;
		m->tags = (wire_strs){tags, 1 + (uint32_t)i % 2};
		m->has_sacred = m->sacred = i % 50 == 0;
	}
	rig_call(g, MSG_memory_add, &msg);
}

/* What else there is: decisions, requests, imports, something forgotten, notes. */
static inline void fill_more(struct rig *g, int i)
{
	struct msg_memory_decide decide = {.text = wire_s("we decide again"), .by = wire_s("council")};
	struct item_new_memory m = said("asked once");
	struct msg_memory_add add = {.memories = {&m, 1}, .common = {.has_request_id = true}};
	struct msg_memory_import_begin import = {.name = wire_s("a book"), .size = 1000};
	struct msg_memory_forget forget = {0};
	char id[32];

	rig_call(g, MSG_memory_decide, &decide);
	snprintf(id, sizeof(id), "request %d", i);
	add.common.request_id = wire_s(id);
	rig_call(g, MSG_memory_add, &add);
	snprintf(id, sizeof(id), "import-%d", i);
	import.id = wire_s(id);
	rig_call(g, MSG_memory_import_begin, &import);
	snprintf(id, sizeof(id), "own-%d", i - 20);
	forget.id = wire_s(id);
	rig_try(g, MSG_memory_forget, &forget); /* a sacred one is not */
	archive_recalled(g->a, &(struct item_recall_sample){rig_now, 100, 3});
	archive_touch(g->a, i, rig_now);
	archive_entangled(
		g->a,
		&(struct entangle_change){
			.memory = i, .phase = 0.5, .compared = 2, .npartners = 2, .partner = {{i - 1, 2}, {i - 2, 1}}});
}

/* n memories and what goes with them; numbers from `first` on. */
static inline void fill_on(struct rig *g, int first, int n)
{
	uint64_t seed = 7 + (uint64_t)first;
	int i;

	for (i = first; i < first + n; i += FILL_STEP) {
		fill_say(g, i, &seed);
		rig_now += 600000;
		fill_more(g, i + FILL_STEP - 1);
		msgpack_zone_clear(g->zone);
	}
	archive_heat_map(g->a, rig_thermal(g, 0));
	rig_settle(g);
}

static inline void fill(struct rig *g, int n)
{
	fill_on(g, 1, n);
}

/* What the archive at `path` has, through a connection that only reads. */
static inline sqlite3 *look_into(const char *path)
{
	sqlite3 *db = NULL;

	assert_int_equal(sqlite3_open_v2(path, &db, SQLITE_OPEN_READWRITE, NULL), SQLITE_OK);
	return db;
}

/* While it is open, what comes from now on stays in the log. */
static inline sqlite3 *look_and_stay(const char *path)
{
	sqlite3 *db = look_into(path);

	assert_int_equal(sqlite3_exec(db, "BEGIN; SELECT count(*) FROM counters", NULL, NULL, NULL), SQLITE_OK);
	return db;
}

static inline int64_t look_number(sqlite3 *db, const char *sql)
{
	sqlite3_stmt *st = NULL;
	int64_t n;

	if (sqlite3_prepare_v2(db, sql, -1, &st, NULL) != SQLITE_OK || sqlite3_step(st) != SQLITE_ROW)
		fail_msg("%s: %s", sql, sqlite3_errmsg(db));
	n = sqlite3_column_int64(st, 0);
	sqlite3_finalize(st);
	return n;
}

#endif
