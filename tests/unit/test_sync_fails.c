/* jrs/memory/archive when a sync fails, and the power goes later: what the kernel then takes for written is on no disk,
 * and nothing that was acknowledged may rest on it. The two ways in which SQLite alone loses it, step by step;
 * test_powercut.c draws all kinds of failures at random. */
#include "jrs/memory/archive/sqlite.h"
#include "powercut_world.h"
#include <unistd.h>

#define DISKS 12

static void open_it(struct world *w)
{
	struct tr_fault fault = {0};

	if (world_open(w, &fault) < 0)
		fail_msg("it cannot be opened: %s %s", fault.field, fault.rule);
}

/* As kill -9 does: nothing is tidied up. */
static void killed(struct world *w)
{
	struct power_faults f = {.readonly = true};

	power_faults(&f);
	world_close(w);
	power_faults(NULL);
}

static void dark_and_judged(struct world *w, uint64_t seed)
{
	power_cut();
	world_close(w);
	power_on_again(seed);
	open_it(w);
	world_judge(w);
	if (verdict_wrong(&w->v) > 0)
		fail_msg("%s", w->v.first);
}

struct claimed {
	unsigned flying;
	int r;
};

static void on_lead(void *arg, int r, uint64_t epoch, const struct tr_fault *fault)
{
	struct claimed *c = arg;

	(void)epoch;
	(void)fault;
	c->r = r;
	c->flying--;
}

static void promote(struct world *w)
{
	struct claimed c = {1, 0};
	struct archive_stats stats;

	archive_stats(w->a, &stats);
	assert_int_equal(archive_lead(w->a, stats.epoch + 1, on_lead, &c), 0);
	assert_true(world_await(w, &c.flying));
	assert_int_equal(c.r, 0);
}

/* A commit that fails at its sync stays in the cache behind the log; the next life finds it there and counts it. What
 * is acknowledged then must not stand behind frames that the disk does not have. */
static void commits_after_a_failed_sync(bool follower)
{
	uint64_t disk;

	for (disk = 1; disk <= DISKS; disk++) {
		struct world *w = world_new(disk);
		struct power_faults f = {.seed = disk, .nth[FAULT_EIO_SYNC] = 1};
		uint64_t before = power_injected(FAULT_EIO_SYNC);

		w->bulk = 300;
		w->patient = true;
		open_it(w);
		world_run(w, 40);
		power_faults(&f);
		while (power_injected(FAULT_EIO_SYNC) == before)
			world_run(w, 1);
		killed(w);
		w->follow = follower;
		open_it(w);
		w->follow = false;
		if (follower)
			promote(w);
		world_run(w, 40);
		dark_and_judged(w, disk);
		world_free(&w);
	}
}

static void the_log_cannot_be_synced(void **s)
{
	(void)s;
	commits_after_a_failed_sync(false);
}

static void and_a_follower_takes_over(void **s)
{
	(void)s;
	commits_after_a_failed_sync(true);
}

/* The keeper moves the log now, as far as readers let it. */
static void move_now(struct world *w)
{
	struct sql_archive *a = (struct sql_archive *)w->a;
	uint64_t until = tr_mono_ms() + 20000;

	while (!sqlite_log_hurry(a, 0) && tr_mono_ms() < until)
		world_run(w, 2);
	while (a->moved_pages != a->wal_pages && tr_mono_ms() < until)
		usleep(500);
	assert_int_equal(a->moved_pages, a->wal_pages);
}

/* A reader keeps the first pass from the end of the log, so it moves pages without a sync; the second one's sync fails.
 * The third must move all of it again before the log may begin anew. */
static void the_database_cannot_be_synced(void **s)
{
	uint64_t disk;

	(void)s;
	for (disk = 1; disk <= DISKS; disk++) {
		struct world *w = world_new(disk);
		struct power_faults f = {.seed = disk, .nth[FAULT_EIO_SYNC] = 2}; /* 1: the log's */
		sqlite3 *reader = NULL;

		w->bulk = 300;
		w->patient = true;
		open_it(w);
		world_run(w, 60);
		power_observe(true);
		assert_int_equal(sqlite3_open(w->path, &reader), SQLITE_OK);
		power_observe(false);
		assert_int_equal(sqlite3_exec(reader, "BEGIN; SELECT count(*) FROM decisions", NULL, NULL, NULL),
				 SQLITE_OK);
		world_run(w, 60);
		move_now(w);
		sqlite3_close(reader);
		world_run(w, 4);
		power_faults(&f);
		move_now(w);
		power_faults(NULL);
		world_run(w, 4);
		move_now(w);
		world_run(w, 4); /* the log begins anew */
		dark_and_judged(w, disk);
		world_free(&w);
	}
}

static int setup(void **s)
{
	(void)s;
	power_register();
	return 0;
}

static int teardown(void **s)
{
	(void)s;
	power_shutdown();
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_log_cannot_be_synced),
		cmocka_unit_test(and_a_follower_takes_over),
		cmocka_unit_test(the_database_cannot_be_synced),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
