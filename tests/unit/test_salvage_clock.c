/* jrs/memory/archive/salvage of an archive whose half-life was changed by governance: memories of damaged pages are
 * judged by the clock they were written under, and the clock itself survives damage to its own page. */
#include "acts_kit.h"
#include "damage_archive.h"

#include "jrs/memory/archive/salvage.h"

#define SIZE 4096u
#define EACH 225

/* One in each epoch of the clock; drop() counts on own-N with 5 | N, not 50 | N. */
static const char *const watched[] = {"own-15", "own-315", "own-615"};
#define NWATCHED (sizeof(watched) / sizeof(watched[0]))

static struct laid sound;
static char dir[64], broken[96], out[96], result[120];
static double hot[NWATCHED];
static int64_t rows, now;
static uint64_t seed = 5;

static void temperatures(struct rig *g, double to[NWATCHED])
{
	for (size_t i = 0; i < NWATCHED; i++)
		to[i] = rig_get(g, wire_s(watched[i]))->temperature;
}

static void half_life(struct rig *g, const char *id, const char *ms)
{
	char rest[80];

	snprintf(rest, sizeof(rest), ",\"constants\":{\"half_life_ms\":%s}", ms);
	govern(g, id, "constants", rest, WAR | PEACE);
	rig_now += DELAY;
	assert_true(carried(g));
}

static int make(void **s)
{
	struct rig *g;

	make_keys(s);
	with_keys((void **)&g);
	snprintf(dir, sizeof(dir), "/tmp/tribe-clock-XXXXXX");
	if (mkdtemp(dir) == NULL)
		return -1;
	snprintf(broken, sizeof(broken), "%s/broken.sqlite", dir);
	snprintf(out, sizeof(out), "%s/out", dir);
	snprintf(result, sizeof(result), "%s/new.sqlite", out);
	fill_on(g, 1, EACH);
	half_life(g, "day", "86400000");
	rig_now += 3 * DAY;
	fill_on(g, 301, EACH);
	half_life(g, "month", "2592000000");
	rig_now += 3 * DAY;
	fill_on(g, 601, EACH);
	temperatures(g, hot);
	rows = (int64_t)rig_sql(g, "SELECT count(*) FROM thermal_memory_archive");
	now = rig_now;
	archive_close(&g->a);
	sound = laid_take(g->path);
	rig_free(g);
	return sound.n[1] == 0 ? 0 : -1;
}

static int drop(void **s)
{
	laid_free(&sound);
	kit_drop_dir(dir);
	return drop_keys(s);
}

static unsigned char *page_of(const char *sql, int64_t *page)
{
	sqlite3 *db;

	laid_out(&sound, broken);
	db = look_into(broken);
	*page = look_number(db, sql);
	sqlite3_close(db);
	assert_true(*page > 1 && (size_t)*page * SIZE <= sound.n[0]);
	return sound.p[0] + (size_t)(*page - 1) * SIZE;
}

static unsigned char *root_of(const char *table, int64_t *page)
{
	char sql[100];

	snprintf(sql, sizeof(sql), "SELECT rootpage FROM sqlite_schema WHERE name = '%s'", table);
	return page_of(sql, page);
}

/* Salvages what is there now and puts the page back as it was. */
static void salvage_and_mend(unsigned char *page, const unsigned char was[SIZE], struct salvage_report *r)
{
	struct salvage_cfg cfg = {
		.from = broken, .to_dir = out, .name = "new.sqlite", .reason = "a test", .now_ms = now};
	struct tr_fault fault = {0};

	laid_out(&sound, broken);
	memcpy(page, was, SIZE);
	kit_drop_dir(out);
	assert_int_equal(mkdir(out, 0700), 0);
	if (salvage(&cfg, r, &fault) < 0)
		fail_msg("%s %s", fault.field, fault.rule);
}

/* The new archive opens, and everything is as hot in it as it was. */
static void as_hot(double tolerance)
{
	struct rig *g = rig_new();
	struct tr_fault fault = {0};
	struct laid f = laid_take(result);
	double t[NWATCHED];

	laid_out(&f, g->path);
	laid_free(&f);
	rig_now = now;
	if (rig_open_again(g, &fault) < 0)
		fail_msg("%s %s", fault.field, fault.rule);
	assert_true(acts(g)->constants.half_life_ms == 2592000000.0);
	temperatures(g, t);
	for (size_t i = 0; i < NWATCHED; i++) {
		if (!(fabs(t[i] - hot[i]) <= tolerance))
			fail_msg("%s: %f, not %f", watched[i], t[i], hot[i]);
	}
	rig_free(g);
}

/* Pages without their heads: each row proves itself, by the half-lives of its time. */
static void memories_of_every_epoch(void **s)
{
	unsigned char was[SIZE], *p;
	struct salvage_report r;
	uint64_t doubtful = 0;
	int64_t page;
	char sql[300];

	(void)s;
	for (size_t i = 0; i < NWATCHED; i++) {
		for (int k = 0; k < 3; k++) {
			snprintf(sql, sizeof(sql),
				 "SELECT pageno FROM dbstat WHERE name = 'thermal_memory_archive' AND pagetype = "
				 "'leaf' AND "
				 "ncell BETWEEN 8 AND 20 ORDER BY pageno LIMIT 1 OFFSET (SELECT count(*) / 3 * %zu + "
				 "%d FROM dbstat "
				 "WHERE name = 'thermal_memory_archive' AND pagetype = 'leaf' AND ncell BETWEEN 8 AND "
				 "20)",
				 i, k + 1);
			p = page_of(sql, &page);
			memcpy(was, p, SIZE);
			kit_noise(p, 60, &seed);
			salvage_and_mend(p, was, &r);
			if (r.memories != (uint64_t)rows || r.rejected != 0)
				fail_msg("page %lld: of %lld %llu taken, %llu rejected", (long long)page,
					 (long long)rows, (unsigned long long)r.memories,
					 (unsigned long long)r.rejected);
			doubtful += r.doubtful;
			as_hot(1e-9);
		}
	}
	assert_true(doubtful > 60);
}

/* A wrong byte between the clock's rows: they prove one another. */
static void a_clock_proves_itself(void **s)
{
	unsigned char was[SIZE], *p;
	struct salvage_report r;
	int64_t page;

	(void)s;
	p = root_of("thermal_clock", &page);
	memcpy(was, p, SIZE);
	kit_noise(p + 200, 60, &seed);
	salvage_and_mend(p, was, &r);
	assert_true(r.memories == (uint64_t)rows && r.rejected == 0 && r.doubtful == 0);
	as_hot(1e-9);
}

/* Gone, or not what it was: the newest memories say what it must have been. */
static void a_lost_clock(void **s)
{
	unsigned char was[SIZE], *p;
	struct salvage_report r;
	int64_t page;

	(void)s;
	p = root_of("thermal_clock", &page);
	memcpy(was, p, SIZE);
	memset(p, 0, SIZE);
	salvage_and_mend(p, was, &r);
	assert_true(r.memories == (uint64_t)rows && r.rejected == 0);
	as_hot(1e-6);
	for (unsigned i = 1; i < 30; i += 4) { /* within the rows, which stand at the page's end */
		memcpy(was, p, SIZE);
		p[SIZE - 8 - i] ^= 0x10;
		salvage_and_mend(p, was, &r);
		assert_int_equal(r.memories, rows);
		as_hot(1e-6);
	}
}

/* The half-life is what the clock runs by. */
static void lost_settings(void **s)
{
	unsigned char was[SIZE], *p;
	struct salvage_report r;
	int64_t page;

	(void)s;
	p = root_of("settings", &page);
	memcpy(was, p, SIZE);
	kit_noise(p, SIZE, &seed);
	salvage_and_mend(p, was, &r);
	assert_int_equal(r.memories, rows);
	as_hot(1e-9);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(memories_of_every_epoch),
		cmocka_unit_test(a_clock_proves_itself),
		cmocka_unit_test(a_lost_clock),
		cmocka_unit_test(lost_settings),
	};

	return cmocka_run_group_tests(tests, make, drop);
}
