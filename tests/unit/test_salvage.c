/* jrs/memory/archive/salvage: what is undamaged is kept, as it was; what was forgotten stays so; the old files are only
 * read. */
#include "damage_archive.h"

#include "jrs/memory/archive/mend.h"
#include "jrs/memory/archive/pagesum.h"
#include "jrs/memory/archive/salvage.h"
#include "jrs/memory/archive/schema.h"

#define SIZE   4096u
#define BUDGET 3000000u

static char dir[64], sound[2][128], broken[128], out[128], result[160];
static const char *whole;          /* the sound files that a result is compared with: on closing, a counter may move */
static struct laid closed, killed; /* the archive after a stop, and as a killed one left it */
static uint64_t seed;

/* Made once. */
static int make(void **s)
{
	struct rig *g = rig_new();
	sqlite3 *db;

	(void)s;
	seed = 99;
	snprintf(dir, sizeof(dir), "/tmp/tribe-salvage-XXXXXX");
	if (mkdtemp(dir) == NULL || rig_open_again(g, NULL) < 0)
		return -1;
	snprintf(sound[0], sizeof(sound[0]), "%s/closed.sqlite", dir);
	snprintf(sound[1], sizeof(sound[1]), "%s/killed.sqlite", dir);
	whole = sound[0];
	snprintf(broken, sizeof(broken), "%s/broken.sqlite", dir);
	snprintf(out, sizeof(out), "%s/out", dir);
	snprintf(result, sizeof(result), "%s/new.sqlite", out);
	db = look_and_stay(g->path);
	fill(g, 1000);
	killed = laid_take_still(g->path);
	sqlite3_close(db);
	archive_close(&g->a);
	closed = laid_take(g->path);
	rig_free(g);
	laid_out(&closed, sound[0]);
	laid_out(&killed, sound[1]);
	return killed.n[1] > 0 && closed.n[1] == 0 ? 0 : -1;
}

static int drop(void **s)
{
	(void)s;
	laid_free(&closed);
	laid_free(&killed);
	kit_drop_dir(dir);
	return 0;
}

static struct laid copy_of(const struct laid *f)
{
	struct laid c = *f;
	int i;

	for (i = 0; i < 3; i++) {
		if (f->p[i] != NULL) {
			c.p[i] = malloc(f->n[i] + 1);
			assert_non_null(c.p[i]);
			memcpy(c.p[i], f->p[i], f->n[i]);
		}
	}
	return c;
}

/* Salvages what is laid out; the files must be as they were. */
static int try_it(const struct laid *f, uint64_t budget, struct salvage_report *r)
{
	struct salvage_cfg cfg = {.from = broken,
				  .to_dir = out,
				  .name = "new.sqlite",
				  .reason = "a test",
				  .now_ms = rig_now,
				  .budget = budget};
	struct tr_fault fault = {0};
	int rc;

	laid_out(f, broken);
	whole = sound[f->p[1] != NULL];
	kit_drop_dir(out);
	assert_int_equal(mkdir(out, 0700), 0);
	rc = salvage(&cfg, r, &fault);
	if (rc < 0 && budget != 0)
		print_message("salvage: %d %s %s\n", rc, fault.field, fault.rule);
	laid_untouched(f, broken);
	return rc;
}

static const char *const tables[] = {"thermal_memory_archive",
				     "decisions",
				     "requests",
				     "imports",
				     "entanglements",
				     "thermal_heat_map",
				     "recall_log",
				     "settings",
				     "counters",
				     "roles",
				     "changes",
				     "sqlite_sequence"};

/* Rows of the old one that the new one does not have as they were. */
static int64_t differing(sqlite3 *db, const char *table)
{
	char sql[300];

	snprintf(sql, sizeof(sql), "SELECT count(*) FROM (SELECT * FROM old.%s EXCEPT SELECT * FROM main.%s)", table,
		 table);
	return look_number(db, sql);
}

static int64_t invented(sqlite3 *db, const char *table)
{
	char sql[300];

	snprintf(sql, sizeof(sql), "SELECT count(*) FROM (SELECT * FROM main.%s EXCEPT SELECT * FROM old.%s)", table,
		 table);
	return look_number(db, sql);
}

/* Old and new, side by side. */
static sqlite3 *compare(void)
{
	sqlite3 *db = look_into(result);
	char sql[200];

	snprintf(sql, sizeof(sql), "ATTACH '%s' AS old", whole);
	assert_int_equal(sqlite3_exec(db, sql, NULL, NULL, NULL), SQLITE_OK);
	return db;
}

static void everything_is_there(void)
{
	sqlite3 *db = compare();
	size_t i;

	for (i = 0; i < sizeof(tables) / sizeof(tables[0]); i++) {
		if (differing(db, tables[i]) != 0 || invented(db, tables[i]) != 0)
			fail_msg("%s: %lld missing, %lld new", tables[i], (long long)differing(db, tables[i]),
				 (long long)invented(db, tables[i]));
	}
	assert_int_equal(look_number(db, "SELECT count(*) FROM memory_words WHERE memory_words MATCH 'number'"),
			 look_number(db, "SELECT count(*) FROM old.thermal_memory_archive WHERE original_content LIKE "
					 "'memory number%'"));
	sqlite3_close(db);
}

static void a_sound_archive(void **s)
{
	struct salvage_report r;

	(void)s;
	assert_int_equal(try_it(&closed, BUDGET, &r), 0);
	assert_true(r.memories > 900 && r.rejected == 0 && r.lost == 0 && r.doubtful == 0 && r.derived_only);
	assert_true(r.old.checked && r.old.bad == 0 && r.old.missing == 0);
	everything_is_there();
	assert_int_equal(try_it(&killed, BUDGET, &r), 0);
	assert_true(r.rejected == 0 && r.lost == 0 && r.old.log == WAL_SOUND);
	everything_is_there();
}

/* The memories that the damaged bytes belong to, as the sound archive tells: at most those may be missing. */
static void only_these_may_be_missing(const struct salvage_report *r, int64_t at_most, const char *what, size_t where)
{
	sqlite3 *db = compare();
	int64_t missing = differing(db, "thermal_memory_archive"), more = invented(db, "thermal_memory_archive");

	if (missing > at_most || more > 0)
		fail_msg("%s at %zu: %lld missing (at most %lld), %lld invented; taken %llu rejected %llu lost %llu "
			 "doubtful "
			 "%llu forgotten %llu",
			 what, where, (long long)missing, (long long)at_most, (long long)more,
			 (unsigned long long)r->memories, (unsigned long long)r->rejected, (unsigned long long)r->lost,
			 (unsigned long long)r->doubtful, (unsigned long long)r->forgotten);
	/* none of them without a word */
	if (missing > (int64_t)(r->rejected + r->lost))
		fail_msg("%s at %zu: %lld missing, %llu rejected, %llu lost", what, where, (long long)missing,
			 (unsigned long long)r->rejected, (unsigned long long)r->lost);
	sqlite3_close(db);
}

/* One byte: whatever it is, everything is there again. */
static void one_byte(void **s)
{
	struct salvage_report r;
	int i;

	(void)s;
	for (i = 0; i < 16; i++) {
		struct laid f = copy_of(i % 2 == 0 ? &closed : &killed);
		int which = i % 4 == 3 ? 1 : 0;
		size_t at = i < 2 ? 16u + (size_t)i * 4 : kit_random(&seed) % f.n[which];

		f.p[which][at] ^= (unsigned char)(1 + kit_random(&seed) % 255);
		assert_int_equal(try_it(&f, BUDGET, &r), 0);
		if (which == 1 && r.old.mended == 0) { /* its place was not certain: at most the row it is in suffers */
			only_these_may_be_missing(&r, 1, "byte of the log", at);
			laid_free(&f);
			continue;
		}
		if (r.rejected + r.lost + r.doubtful > 0)
			fail_msg("file %d byte %zu: rejected %llu lost %llu doubtful %llu mended %u", which, at,
				 (unsigned long long)r.rejected, (unsigned long long)r.lost,
				 (unsigned long long)r.doubtful, r.old.mended);
		everything_is_there();
		laid_free(&f);
	}
}

/* How many memories begin on this page, or have a part of their text on it. */
static int64_t memories_on(uint32_t page)
{
	sqlite3 *db = look_into(whole);
	char sql[400];
	int64_t n;

	snprintf(sql, sizeof(sql),
		 "SELECT coalesce(sum(CASE pagetype WHEN 'leaf' THEN ncell WHEN 'overflow' THEN 1 ELSE 0 END), 0) FROM "
		 "dbstat "
		 "WHERE name = 'thermal_memory_archive' AND pageno = %u",
		 page);
	n = look_number(db, sql);
	sqlite3_close(db);
	return n;
}

/* A whole page is gone: garbage or zeros. Whatever hung on it is found. */
static void whole_pages(void **s)
{
	uint32_t pages = (uint32_t)(closed.n[0] / SIZE), i;
	struct salvage_report r;

	(void)s;
	for (i = 0; i < 32; i++) {
		uint32_t page = i < 12 ? i + 1 : 1 + (uint32_t)(kit_random(&seed) % pages), k;
		struct laid f = copy_of(&closed);
		unsigned char *p = f.p[0] + (size_t)(page - 1) * SIZE;

		for (k = 0; k < SIZE; k++)
			p[k] = i % 3 == 0 ? 0 : (unsigned char)kit_random(&seed);
		assert_int_equal(try_it(&f, 0, &r), 0);
		only_these_may_be_missing(&r, memories_on(page), "page", page);
		laid_free(&f);
	}
}

/* A stretch of bytes: rows beside it are kept. */
static void stretches(void **s)
{
	struct salvage_report r;
	int64_t kept = 0, on_page = 0;
	int i;

	(void)s;
	for (i = 0; i < 40 || (on_page < 40 && i < 400); i++) { /* which pages it hits is chance */
		struct laid f = copy_of(&closed);
		size_t n = 2 + kit_random(&seed) % 60, at = kit_random(&seed) % (f.n[0] - n), k;
		uint32_t page = (uint32_t)(at / SIZE) + 1, last = (uint32_t)((at + n - 1) / SIZE) + 1;
		int64_t there = memories_on(page) + (last != page ? memories_on(last) : 0);
		sqlite3 *db;

		for (k = 0; k < n; k++)
			f.p[0][at + k] = (unsigned char)kit_random(&seed);
		assert_int_equal(try_it(&f, 0, &r), 0);
		db = compare();
		if (there > 2) { /* a leaf: of many rows few are hit */
			on_page += there;
			kept += there - differing(db, "thermal_memory_archive");
		}
		sqlite3_close(db);
		/* a row that was changed where nothing proves it is taken and noted */
		db = compare();
		assert_true(invented(db, "thermal_memory_archive") <= (int64_t)r.doubtful);
		assert_true(differing(db, "thermal_memory_archive") <= 2);
		sqlite3_close(db);
		laid_free(&f);
	}
	if (on_page < 40 || kept < on_page * 8 / 10)
		fail_msg("of %lld memories on damaged pages %lld were kept", (long long)on_page, (long long)kept);
}

static void cut_off(void **s)
{
	struct salvage_report r;
	int i;

	(void)s;
	for (i = 0; i < 12; i++) {
		struct laid f = copy_of(&closed);
		sqlite3 *db = look_into(whole);
		char sql[300];
		int64_t there;

		f.n[0] = SIZE + kit_random(&seed) % (f.n[0] - SIZE);
		snprintf(sql, sizeof(sql),
			 "SELECT coalesce(sum(CASE pagetype WHEN 'leaf' THEN ncell WHEN 'overflow' THEN 1 ELSE 0 END), "
			 "0) FROM "
			 "dbstat WHERE name = 'thermal_memory_archive' AND pageno > %zu",
			 f.n[0] / SIZE);
		there = look_number(db, sql);
		sqlite3_close(db);
		assert_int_equal(try_it(&f, BUDGET, &r), 0);
		db = compare();
		assert_int_equal(invented(db, "thermal_memory_archive"), 0);
		assert_true(differing(db, "thermal_memory_archive") <= there);
		assert_true(there == 0 || r.old.missing > 0);
		sqlite3_close(db);
		laid_free(&f);
	}
}

/* A stretch of the log, or its end: what is not in it is kept, and nothing is invented. */
static void the_log(void **s)
{
	struct salvage_report r;
	int i;

	(void)s;
	for (i = 0; i < 24; i++) {
		struct laid f = copy_of(&killed);
		size_t n = 2 + kit_random(&seed) % 60, at = kit_random(&seed) % (f.n[1] - n), k;
		sqlite3 *db;

		if (i % 4 == 0) {
			f.n[1] = kit_random(&seed) % f.n[1];
		} else {
			for (k = 0; k < n; k++)
				f.p[1][at + k] = (unsigned char)kit_random(&seed);
		}
		if (i % 2 == 0) {
			free(f.p[2]);
			f.p[2] = NULL;
			f.n[2] = 0;
		}
		assert_int_equal(try_it(&f, BUDGET, &r), 0);
		db = compare();
		if (i % 4 != 0 &&
		    (differing(db, "thermal_memory_archive") > 2 || invented(db, "thermal_memory_archive") > 2))
			fail_msg("log at %zu: %lld missing, %lld invented", at,
				 (long long)differing(db, "thermal_memory_archive"),
				 (long long)invented(db, "thermal_memory_archive"));
		/* forgotten ones stay forgotten, as far as anything says that they were */
		assert_int_equal(look_number(db, "SELECT count(*) FROM main.thermal_memory_archive m WHERE NOT EXISTS "
						 "(SELECT 1 FROM old.thermal_memory_archive o WHERE o.seq = m.seq)") *
					 (i % 4 != 0),
				 0);
		sqlite3_close(db);
		laid_free(&f);
	}
}

/* What the hash does not prove is kept aside, for a person. */
static void rejects_are_kept_aside(void **s)
{
	sqlite3 *db;
	struct salvage_report r;
	struct laid f;
	char name[160];
	char *lines;
	size_t n;

	(void)s;
	laid_out(&closed, broken);
	assert_int_equal(sqlite3_open_v2(broken, &db, SQLITE_OPEN_READWRITE, pagesum_vfs()), SQLITE_OK);
	assert_int_equal(
		sqlite3_exec(db,
			     "PRAGMA writable_schema = ON; UPDATE thermal_memory_archive SET original_content = "
			     "'this was never said' WHERE seq IN (10, 20, 30); PRAGMA wal_checkpoint(TRUNCATE)",
			     NULL, NULL, NULL),
		SQLITE_OK);
	sqlite3_close(db);
	f = laid_take(broken);
	assert_int_equal(try_it(&f, BUDGET, &r), 0);
	assert_int_equal(r.rejected, 3);
	db = look_into(result);
	assert_int_equal(
		look_number(db, "SELECT count(*) FROM thermal_memory_archive WHERE original_content LIKE '%never%'"),
		0);
	sqlite3_close(db);
	snprintf(name, sizeof(name), "%s/rejects.jsonl", out);
	lines = kit_get(name, &n);
	lines[n] = '\0';
	assert_non_null(strstr(lines, "this was never said"));
	assert_non_null(strstr(lines, "does not agree with its hash"));
	free(lines);
	snprintf(name, sizeof(name), "%s/salvage.json", out);
	lines = kit_get(name, &n);
	lines[n] = '\0';
	assert_non_null(strstr(lines, "\"rejected\": 3"));
	free(lines);
	laid_free(&f);
}

/* A page whose head and cell pointers are garbage: its rows prove themselves wherever they begin. */
static void a_page_without_its_head(void **s)
{
	sqlite3 *db = look_into(whole);
	int64_t page =
		look_number(db, "SELECT pageno FROM dbstat WHERE name = 'thermal_memory_archive' AND pagetype = 'leaf' "
				"AND ncell BETWEEN 8 AND 20 ORDER BY pageno LIMIT 1 OFFSET 5");
	int64_t rows = memories_on((uint32_t)page);
	struct laid f = copy_of(&closed);
	struct salvage_report r;
	int i;

	(void)s;
	sqlite3_close(db);
	for (i = 0; i < 60; i++)
		f.p[0][(size_t)(page - 1) * SIZE + (size_t)i] = (unsigned char)kit_random(&seed);
	assert_int_equal(try_it(&f, 0, &r), 0);
	db = compare();
	if (differing(db, "thermal_memory_archive") != 0 || r.doubtful < (uint64_t)rows - 2)
		fail_msg("of %lld rows %lld are gone, %llu doubtful", (long long)rows,
			 (long long)differing(db, "thermal_memory_archive"), (unsigned long long)r.doubtful);
	sqlite3_close(db);
	laid_free(&f);
}

/* The page that a memory was forgotten on is lost as it became: its older image still has it, the index of ids does
 * not. */
static void forgotten_stays_forgotten(void **s)
{
	struct salvage_report r;
	struct rig *g = rig_new();
	struct msg_memory_forget forget = {.id = wire_s("own-410")};
	struct walcheck w;
	struct laid before, f;
	char name[160], *lines;
	sqlite3 *db;
	uint32_t i, page, hit = 0;
	size_t n, k;
	int64_t seq;

	(void)s;
	assert_int_equal(rig_open_again(g, NULL), 0);
	fill(g, 500);
	rig_reopen(g); /* all of it is in the database */
	seq = (int64_t)rig_sql(g, "SELECT seq FROM thermal_memory_archive WHERE id = 'own-410'");
	before = laid_take_still(g->path);
	db = look_and_stay(g->path);
	rig_call(g, MSG_memory_forget, &forget);
	rig_say(g, "what came later");
	rig_say(g, "and later still");
	f = laid_take_still(g->path);
	sqlite3_close(db);
	archive_close(&g->a);
	rig_free(g);
	/* the frames that are newest of a page which the memory was on */
	laid_out(&f, broken);
	assert_int_equal(walcheck(broken, false, &w), 0);
	for (i = 0; i < w.committed; i++) {
		page = w.v[i].page;
		if ((size_t)page * SIZE <= before.n[0] && before.p[0][(page - 1) * (size_t)SIZE] == 13 &&
		    memmem(before.p[0] + (page - 1) * (size_t)SIZE, SIZE, "own-410", 7) != NULL) {
			for (k = 0; k < 300; k++)
				f.p[1][WAL_HEAD + (size_t)i * (SIZE + WAL_FRAME_HEAD) + WAL_FRAME_HEAD + k] ^= 0x5a;
			hit++;
		}
	}
	walcheck_free(&w);
	assert_true(hit > 0);
	assert_int_equal(try_it(&f, 0, &r), 0);
	if (r.old.log != WAL_DAMAGED || r.old.log_bad != hit || r.forgotten != 1)
		fail_msg("log %s, %u frames bad of %u, %llu forgotten", wal_verdict_name(r.old.log), r.old.log_bad, hit,
			 (unsigned long long)r.forgotten);
	db = look_into(result);
	assert_int_equal(look_number(db, "SELECT count(*) FROM thermal_memory_archive WHERE id = 'own-410'"), 0);
	assert_int_equal(
		look_number(db, "SELECT count(*) FROM thermal_memory_archive WHERE original_content LIKE '%later%'"),
		2);
	assert_true(look_number(db, "SELECT count(*) FROM thermal_memory_archive") > 480);
	sqlite3_close(db);
	snprintf(name, sizeof(name), "%s/rejects.jsonl", out);
	lines = kit_get(name, &n);
	lines[n] = '\0';
	assert_non_null(strstr(lines, "may have been forgotten"));
	assert_true(seq > 0);
	free(lines);
	laid_free(&before);
	laid_free(&f);
}

/* One wrong byte, wherever it is, is found; more than one is not taken for one. */
static void one_wrong_byte_is_found(void **s)
{
	unsigned char page[SIZE], wrong[SIZE], head[8], bad[8];
	struct wal_sum before = {123456789, 987654321}, stored;
	struct mend m;
	int i, big;
	unsigned uncertain = 0;

	(void)s;
	for (i = 0; i < 2000; i++) {
		size_t at = kit_random(&seed) % (SIZE + 8), k;
		unsigned char by = (unsigned char)(1 + kit_random(&seed) % 255);

		for (k = 0; k < SIZE; k++)
			page[k] = (unsigned char)kit_random(&seed);
		for (k = 0; k < 8; k++)
			head[k] = (unsigned char)kit_random(&seed);
		big = i % 2;
		stored = wal_sum(big, wal_sum(big, before, head, 8), page, SIZE);
		memcpy(wrong, page, SIZE);
		memcpy(bad, head, 8);
		*(at < 8 ? &bad[at] : &wrong[at - 8]) ^= by;
		if (i % 4 == 3) { /* a second one, in another word */
			wrong[(at + 100) % SIZE] ^= 0x40;
			assert_false(mend_log(big, before, stored, bad, wrong, SIZE, &m));
			continue;
		}
		if (at % 4 == (big ? 0u : 3u)) { /* the highest byte of a word: never at a wrong place */
			assert_false(mend_log(big, before, stored, bad, wrong, SIZE, &m) && m.at != at);
			uncertain++;
			continue;
		}
		assert_true(mend_log(big, before, stored, bad, wrong, SIZE, &m));
		if (m.at != at || m.by != by)
			fail_msg("%zu %u, not %u %u (big %d)", at, by, m.at, m.by, big);
		assert_memory_equal(wrong, page, SIZE);
		assert_memory_equal(bad, head, 8);
	}
	assert_true(uncertain > 100);
	for (i = 0; i < 12; i++) {
		size_t at = i == 0 ? SIZE - 3 : kit_random(&seed) % SIZE;
		uint64_t budget = BUDGET;

		pagesum_store(page, SIZE, pagesum_of(page, SIZE, 7));
		memcpy(wrong, page, SIZE);
		wrong[at] ^= (unsigned char)(1 + kit_random(&seed) % 255);
		assert_true(mend_page(wrong, SIZE, 7, &budget, &m));
		mend_apply(wrong, &m);
		assert_memory_equal(wrong, page, SIZE - PAGESUM_BYTES);
		wrong[(at + 500) % (SIZE - 8)] ^= 1;
		wrong[(at + 900) % (SIZE - 8)] ^= 1;
		budget = 100000;
		assert_false(mend_page(wrong, SIZE, 7, &budget, &m));
		assert_int_equal(budget, 0);
	}
}

/* Files of any kind: an answer, never a crash. */
static void anything(void **s)
{
	struct salvage_report r;
	int i;

	(void)s;
	for (i = 0; i < 40; i++) {
		struct laid f = copy_of(i % 2 == 0 ? &closed : &killed);
		int which = i % 4 == 1 ? 1 : 0, k;
		size_t j;

		f.n[which] = kit_random(&seed) % 200000;
		if (f.n[which] > killed.n[which])
			f.n[which] = killed.n[which];
		for (k = 0; k < 300; k++) /* much of it is wrong */
			f.p[which][f.n[which] == 0 ? 0 : kit_random(&seed) % f.n[which]] =
				(unsigned char)kit_random(&seed);
		for (j = 0; i % 5 == 0 && j < f.n[which]; j++)
			f.p[which][j] = (unsigned char)kit_random(&seed);
		try_it(&f, 0, &r);
		laid_free(&f);
	}
}

#define T(name) cmocka_unit_test(name)
int main(void)
{
	const struct CMUnitTest tests[] = {
		T(a_sound_archive),
		T(one_byte),
		T(whole_pages),
		T(stretches),
		T(cut_off),
		T(the_log),
		T(a_page_without_its_head),
		T(forgotten_stays_forgotten),
		T(one_wrong_byte_is_found),
		T(rejects_are_kept_aside),
		T(anything),
	};

	return cmocka_run_group_tests(tests, make, drop);
}
