/* The bar of damage: whatever byte, stretch or end of an archive's files is damaged, it is noticed, what is undamaged
 * is served again, and the old files are as they were. TRIBE_DAMAGES: how many (40), TRIBE_SEED: which. */
#include "damage_oracle.h"

#include "common/base/text.h"
#include "jrs/memory/numbered.h"
#include "jrs/memory/place.h"
#include "jrs/memory/rescue.h"

static char bar_dir[64], bar_state[80], bar_path[120];
static struct laid bar_closed, bar_killed;
static struct oracle bar_oracle[2];
static uint64_t bar_seed;
struct known {
	int64_t seq;
	char id[64];
	unsigned char hash[TR_SHA256_LEN]; /* of the content */
};
static struct known *bar_known;
static size_t bar_nknown;

static void know(const char *path)
{
	sqlite3 *db = look_into(path);
	sqlite3_stmt *st = NULL;
	size_t n = (size_t)look_number(db, "SELECT count(*) FROM thermal_memory_archive");

	bar_known = calloc(n, sizeof(*bar_known));
	assert_non_null(bar_known);
	assert_int_equal(
		sqlite3_prepare_v2(db, "SELECT seq, id, original_content FROM thermal_memory_archive", -1, &st, NULL),
		SQLITE_OK);
	for (bar_nknown = 0; sqlite3_step(st) == SQLITE_ROW; bar_nknown++) {
		struct known *k = &bar_known[bar_nknown];

		k->seq = sqlite3_column_int64(st, 0);
		snprintf(k->id, sizeof(k->id), "%s", (const char *)sqlite3_column_text(st, 1));
		tr_sha256(sqlite3_column_text(st, 2), (size_t)sqlite3_column_bytes(st, 2), k->hash);
	}
	sqlite3_finalize(st);
	sqlite3_close(db);
}

/* Made once: a few thousand memories; the files after a stop, and as kill -9 leaves them. */
static int bar_make(void **s)
{
	struct rig *g = rig_new();
	sqlite3 *db;

	(void)s;
	bar_seed = getenv("TRIBE_SEED") == NULL ? 4711 : strtoull(getenv("TRIBE_SEED"), NULL, 10);
	snprintf(bar_dir, sizeof(bar_dir), "/tmp/tribe-bar-XXXXXX");
	if (mkdtemp(bar_dir) == NULL || rig_open_again(g, NULL) < 0)
		return -1;
	snprintf(bar_state, sizeof(bar_state), "%s/state", bar_dir);
	fill(g, 2000);
	rig_reopen(g); /* what came so far is in the database, what comes now in the log */
	db = look_and_stay(g->path);
	fill_on(g, 2001, 1000);
	bar_killed = laid_take_still(g->path);
	sqlite3_close(db);
	archive_close(&g->a);
	bar_closed = laid_take(g->path);
	rig_free(g);
	snprintf(bar_path, sizeof(bar_path), "%s/whole", bar_dir);
	bar_oracle[0] = oracle_of(&bar_closed, bar_path);
	bar_oracle[1] = oracle_of(&bar_killed, bar_path);
	laid_out(&bar_closed, bar_path);
	know(bar_path);
	print_message("%zu memories, database %zu KiB, log %u frames\n", bar_nknown, bar_closed.n[0] / 1024,
		      bar_oracle[1].frames);
	return bar_oracle[1].frames > 100 ? 0 : -1;
}

static int bar_drop(void **s)
{
	(void)s;
	laid_free(&bar_closed);
	laid_free(&bar_killed);
	oracle_free(&bar_oracle[0]);
	oracle_free(&bar_oracle[1]);
	free(bar_known);
	kit_drop_dir(bar_dir);
	return 0;
}

/* A state directory whose archive 1 has these files. */
static void bar_lay(const struct laid *f)
{
	char name[200];
	struct tr_fault fault = {0};

	kit_drop_dir(bar_state);
	assert_int_equal(mkdir(bar_state, 0700), 0);
	assert_int_equal(place_archive(bar_state, "", bar_path, sizeof(bar_path), &fault), 0);
	laid_out(f, bar_path);
	snprintf(name, sizeof(name), "%s-made", bar_path);
	kit_put(name, "", 0);
}

/* As memory-jr opens it. 0; or < 0, and whether for damage. */
static int bar_open(struct rig *g, bool *damaged)
{
	struct archive_cfg cfg = rig_cfg(g);
	struct tr_fault fault = {0};

	cfg.path = bar_path;
	cfg.numbered = true;
	cfg.damaged = damaged;
	cfg.scrub_first_ms = cfg.scrub_rest_ms = 1;
	*damaged = false;
	assert_int_equal(place_archive(bar_state, "", bar_path, sizeof(bar_path), &fault), 0);
	return archive_open(&g->a, &cfg, &fault);
}

/* Reads and the watcher's scrub until one of them has found it, or all has been seen. True: noticed. */
static bool bar_run(struct rig *g)
{
	struct archive_stats stats;
	size_t i;

	for (i = 0; i < bar_nknown; i += 50) {
		struct msg_memory_get get = {.id = wire_s(bar_known[i].id), .has_touch = true};

		rig_try(g, MSG_memory_get, &get);
		msgpack_zone_clear(g->zone);
	}
	do
		archive_stats(g->a, &stats);
	while (stats.damage == NULL && stats.scrubs == 0 && (usleep(500), true));
	return stats.damage != NULL;
}

/* Every undamaged memory is served as it was; how many others are. */
static size_t bar_served(struct rig *g, const struct oracle *o, int file, size_t from, size_t to)
{
	size_t i, served = 0;

	for (i = 0; i < bar_nknown; i++) {
		const struct known *k = &bar_known[i];
		struct msg_memory_get get = {.id = wire_s(k->id), .has_touch = true};
		const struct res_memory_get *res = rig_try(g, MSG_memory_get, &get);
		unsigned char hash[TR_SHA256_LEN];

		if (res != NULL) {
			tr_sha256(res->memory.content.p, res->memory.content.n, hash);
			assert_memory_equal(hash, k->hash, sizeof(hash));
			served++;
		} else if (oracle_undamaged(o, k->seq, file, from, to)) {
			fail_msg("damage in file %d from %zu to %zu: memory %s (%lld) is undamaged and lost", file,
				 from, to, k->id, (long long)k->seq);
		}
		msgpack_zone_clear(g->zone);
	}
	return served;
}

struct bar_count {
	unsigned cases, noticed, at_open, complete, harmless;
	size_t served, missing;
};

static bool never(void *arg)
{
	(void)arg;
	return true;
}

/* One damaged copy from the first look to the sound archive. */
static void bar_one(const struct laid *f, const struct oracle *o, int file, size_t from, size_t to,
		    struct bar_count *count)
{
	struct rig *g = rig_new();
	struct rescue_cfg cfg = {
		.state = bar_state, .path = bar_path, .why = "a test", .now_ms = rig_now, .go_on = never};
	struct rescue_result result = {0};
	struct tr_fault fault = {0};
	bool damaged = false, noticed;
	struct laid before;
	char old_path[120], left[160];
	const char *why = "";
	size_t served;
	int r;

	bar_lay(f);
	snprintf(old_path, sizeof(old_path), "%s/archive/1/thermal.sqlite", bar_state);
	r = bar_open(g, &damaged);
	noticed = r < 0 ? damaged : bar_run(g);
	if (r < 0 && !damaged)
		fail_msg("damage in file %d from %zu to %zu: refused, but not as damaged", file, from, to);
	if (!noticed && oracle_dead(o, file, from, to))
		count->harmless++;
	else
		count->cases++;
	if (!noticed && file < 2 && !oracle_dead(o, file, from, to))
		print_message("not noticed: file %d from %zu to %zu\n", file, from, to);
	count->noticed += noticed;
	count->at_open += r < 0;
	if (noticed) {
		before = laid_take(old_path);
		if (r < 0)
			laid_untouched(f, old_path);
		cfg.frozen = r == 0;
		if (rescue_may(&cfg, true, true, &why) != DAMAGE_RESCUE)
			fail_msg("no rescue: %s", why);
		if (rescue_run(&cfg, &result, &fault) < 0)
			fail_msg("damage in file %d from %zu to %zu: rescue failed: %s", file, from, to, fault.rule);
		archive_close(&g->a);
		assert_true(result.from == 1 && result.to == 2 && numbered_current(bar_state) == 2);
		laid_untouched(&before, old_path);
		laid_free(&before);
		snprintf(left, sizeof(left), "%s/archive/1/LEFT.txt", bar_state);
		assert_int_equal(access(left, F_OK), 0);
		assert_int_equal(bar_open(g, &damaged), 0);
	}
	served = bar_served(g, o, file, from, to);
	count->served += served;
	count->missing += bar_nknown - served;
	count->complete += served == bar_nknown;
	if (served < bar_nknown && !noticed) /* also what is dead */
		fail_msg("damage in file %d from %zu to %zu: unnoticed, and %zu memories are gone", file, from, to,
			 bar_nknown - served);
	rig_free(g);
}

static struct laid bar_copy(const struct laid *f)
{
	struct laid c = *f;
	int i;

	for (i = 0; i < 3; i++) {
		if (f->p[i] == NULL)
			continue;
		c.p[i] = malloc(f->n[i] + 1);
		assert_non_null(c.p[i]);
		memcpy(c.p[i], f->p[i], f->n[i]);
	}
	return c;
}

/* One random damage: a byte (one half), a stretch of up to 600 bytes, garbage or zeros, or a cut. */
static void bar_random(bool killed, struct bar_count *count)
{
	const struct laid *whole = killed ? &bar_killed : &bar_closed;
	const struct oracle *o = &bar_oracle[killed];
	size_t live_log = WAL_HEAD + (size_t)o->frames * (ORACLE_SIZE + WAL_FRAME_HEAD), from, to, i;
	size_t sizes[2] = {whole->n[0], killed ? live_log : 0}; /* behind the log's end lies what is no part of it */
	struct laid f = bar_copy(whole);
	uint64_t kind = kit_random(&bar_seed) % 10;
	int file = kit_random(&bar_seed) % (sizes[0] + sizes[1]) >= sizes[0];

	if (kind >= 7) { /* a cut hits either file alike */
		file = killed && kit_random(&bar_seed) % 2 == 0;
		from = kit_random(&bar_seed) % sizes[file];
		to = f.n[file];
		f.n[file] = from;
	} else {
		size_t n = kind < 5 ? 1 : 2 + kit_random(&bar_seed) % 600;

		n = n < sizes[file] ? n : sizes[file];
		from = kit_random(&bar_seed) % (sizes[file] - n + 1);
		to = from + n;
		for (i = from; i < to; i++)
			f.p[file][i] = kind == 6 ? 0
				       : n == 1  ? (unsigned char)(f.p[file][i] ^ (1 + kit_random(&bar_seed) % 255))
						 : (unsigned char)kit_random(&bar_seed);
	}
	if (to - from == f.n[file] ||
	    memcmp(f.p[file] + from, whole->p[file] + from, (kind >= 7 ? f.n[file] : to) - from) != 0 || kind >= 7)
		bar_one(&f, o, file, from, to, count);
	else
		count->harmless++; /* zeros over zeros */
	laid_free(&f);
}

static void the_bar(void **s)
{
	const char *full = getenv("TRIBE_DAMAGES");
	unsigned n = full == NULL ? 40 : (unsigned)atoi(full), i;
	struct bar_count count = {0};

	(void)s;
	for (i = 0; i < n; i++)
		bar_random(i % 2 == 1, &count);
	print_message("%u damages: noticed %u (%u at opening), everything served again after %u; memories served %zu, "
		      "gone with "
		      "the damage %zu; %u hit what is dead\n",
		      count.cases, count.noticed, count.at_open, count.complete, count.served, count.missing,
		      count.harmless);
	assert_true(count.noticed * 100 >= count.cases * 99);
	assert_true(count.cases + count.harmless == n && count.harmless <= n / 5);
}

/* The shared memory is made anew from the log, the mark again if it is gone: nothing is lost, and nothing is repaired.
 */
static void what_is_derived_may_be_damaged(void **s)
{
	struct bar_count count = {0};
	struct laid f;
	unsigned i;

	(void)s;
	for (i = 0; i < 6; i++) {
		f = bar_copy(&bar_killed);
		if (i < 3)
			f.p[2][kit_random(&bar_seed) % f.n[2]] ^= 0x55;
		else if (i < 5)
			f.n[2] = kit_random(&bar_seed) % f.n[2];
		else
			f.n[2] = 0;
		bar_one(&f, &bar_oracle[1], 2, 0, f.n[2], &count);
		laid_free(&f);
	}
	assert_true(count.complete == count.cases);
	assert_int_equal(count.noticed, 0);
}

/* ---- at run time, and where nothing may be repaired ---- */
static struct archive_stats bar_await_damage(struct rig *g)
{
	uint64_t until = tr_mono_ms() + 20000;
	struct archive_stats stats;

	do
		archive_stats(g->a, &stats);
	while (stats.damage == NULL && tr_mono_ms() < until && (usleep(1000), true));
	return stats;
}

/* The place of a memory without overflow pages, in the database file. */
static const struct oracle_place *bar_some_place(const struct oracle *o, size_t skip)
{
	size_t i;

	for (i = 0; i < o->n; i++) {
		if (o->v[i].file == 0 && !o->v[i].more && !o->in_log[o->v[i].from / ORACLE_SIZE + 1] && skip-- == 0)
			return &o->v[i];
	}
	fail();
	return NULL;
}

/* Nobody scrubs yet: a read meets the damage, it is confirmed from the disk, the others are served on, nobody writes.
 */
static void a_read_meets_it(void **s)
{
	const struct oracle_place *at = bar_some_place(&bar_oracle[0], 700);
	struct laid f = bar_copy(&bar_closed), before;
	struct rig *g = rig_new();
	struct archive_cfg cfg = rig_cfg(g);
	struct archive_stats stats;
	struct item_new_memory m = said("one more");
	size_t i, served = 0;

	(void)s;
	f.p[0][at->to - 5] ^= 0x10;
	bar_lay(&f);
	cfg.path = bar_path;
	cfg.numbered = true;
	assert_int_equal(archive_open(&g->a, &cfg, NULL), 0);
	for (i = 0; i < bar_nknown; i++) {
		struct msg_memory_get get = {.id = wire_s(bar_known[i].id), .has_touch = true};

		served += rig_try(g, MSG_memory_get, &get) != NULL;
		msgpack_zone_clear(g->zone);
	}
	assert_true(served < bar_nknown && served > bar_nknown - 100);
	stats = bar_await_damage(g);
	assert_non_null(stats.damage);
	assert_non_null(strstr(stats.damage, "does not agree with its sum"));
	assert_false(stats.healthy);
	before = laid_take(bar_path);
	assert_false(rig_try_add(g, &m));
	assert_int_equal(g->r, TR_EUNAVAILABLE);
	rig_thermal(g, 0);
	archive_close(&g->a);
	laid_untouched(&before, bar_path); /* nothing was moved on closing either */
	laid_free(&before);
	laid_free(&f);
	rig_free(g);
}

/* archive.url names the file: it is said, what SQLite can read is served, nothing is written, the log is kept twice. */
static void served_where_it_lies(void **s)
{
	size_t at = WAL_HEAD + (bar_oracle[1].frames / 2) * (size_t)(ORACLE_SIZE + WAL_FRAME_HEAD) + 500, n, i,
	       served = 0;
	struct laid f = bar_copy(&bar_killed);
	struct rig *g = rig_new();
	struct archive_cfg cfg = rig_cfg(g);
	struct rescue_cfg rescue = {.state = bar_state, .path = bar_path, .why = "a test", .now_ms = rig_now};
	struct archive_stats stats;
	struct item_new_memory m = said("one more");
	const char *why = NULL;
	char name[200];
	char *copy;

	(void)s;
	for (i = 0; i < 64; i++)
		f.p[1][at + i] ^= 0x5a;
	bar_lay(&f);
	cfg.path = bar_path;
	assert_int_equal(archive_open(&g->a, &cfg, NULL), 0);
	archive_stats(g->a, &stats);
	assert_non_null(stats.damage);
	assert_false(rig_try_add(g, &m));
	assert_int_equal(g->r, TR_EUNAVAILABLE);
	for (i = 0; i < bar_nknown; i++) {
		struct msg_memory_get get = {.id = wire_s(bar_known[i].id), .has_touch = true};

		served += rig_try(g, MSG_memory_get, &get) != NULL;
		msgpack_zone_clear(g->zone);
	}
	assert_true(served > bar_nknown / 2 && served < bar_nknown);
	archive_close(&g->a);
	laid_untouched(&f, bar_path);
	snprintf(name, sizeof(name), "%s-wal.damaged", bar_path);
	copy = kit_get(name, &n);
	assert_int_equal(n, f.n[1]);
	assert_memory_equal(copy, f.p[1], n);
	free(copy);
	assert_int_equal(rescue_may(&rescue, false, true, &why), DAMAGE_REPORT);
	assert_non_null(why);
	rig_free(g);
	laid_free(&f);
}

/* Back to the old one on purpose: nothing is repaired again. And not for ever in the same hour. */
static void no_repair_without_end(void **s)
{
	struct laid f = bar_copy(&bar_closed);
	struct rescue_cfg cfg = {.state = bar_state, .path = bar_path, .why = "a test", .now_ms = tr_wall_ms()};
	struct rescue_result result;
	struct tr_fault fault = {0};
	const char *why = NULL;
	unsigned i;

	(void)s;
	memset(f.p[0] + 8192, 0, 4096);
	bar_lay(&f);
	for (i = 2; i < 2 + DAMAGE_LATELY_MAX; i++) {
		assert_int_equal(rescue_may(&cfg, true, false, &why), DAMAGE_REPORT); /* the lead's affair */
		assert_int_equal(rescue_may(&cfg, true, true, &why), DAMAGE_RESCUE);
		assert_int_equal(rescue_run(&cfg, &result, &fault), 0);
		assert_int_equal(result.to, i);
		assert_int_equal(numbered_current(bar_state), i);
	}
	assert_int_equal(rescue_may(&cfg, true, true, &why), DAMAGE_REPORT);
	assert_non_null(strstr(why, "too often"));
	assert_int_equal(place_switch(bar_state, 1, &fault), 0);
	assert_true(numbered_was_left(bar_state, 1) && numbered_current(bar_state) == 1);
	assert_int_equal(rescue_may(&cfg, true, true, &why), DAMAGE_REPORT);
	assert_non_null(strstr(why, "led the link back"));
	assert_int_equal(place_switch(bar_state, 99, &fault), TR_ENOTFOUND); /* leads nowhere: not switched */
	assert_int_equal(numbered_current(bar_state), 1);
	laid_free(&f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_bar),
		cmocka_unit_test(what_is_derived_may_be_damaged),
		cmocka_unit_test(a_read_meets_it),
		cmocka_unit_test(served_where_it_lies),
		cmocka_unit_test(no_repair_without_end),
	};

	return cmocka_run_group_tests(tests, bar_make, bar_drop);
}
