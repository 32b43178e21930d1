/* jrs/memory/archive when the power goes, and when the system fails it: sixteen writers, a disk that forgets
 * (tests/kit/powercut_vfs.h), and a judge (powercut_judge.c). Nothing that was acknowledged may be lost, done twice or
 * half.
 *
 *   test_powercut [--seed N] [--cuts N] [--faulty N] [--injections N] [--disk SEED]
 *   test_powercut --image DIR
 * One seed (0: drawn, and named) gives the disks; each lives through some cuts. --disk replays one of them alone: what
 * is asked, when the power goes and what the disk forgets are the seed's. How threads interleave, and ids, are the
 * machine's; therefore a red disk leaves its files as they had survived, before they were opened, and --image opens
 * just those. The same tests with a disk that lies and with synchronous=OFF must come out red. */
#include "jrs/memory/archive/gather.h"
#include "jrs/memory/archive/pagesum.h"
#include "powercut_world.h"
#include <dirent.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static struct {
	uint64_t seed, disk;
	unsigned cuts, faulty, injections, red_disks; /* faulty: lives with each kind of failure */
} opt = {.seed = 20261128, .cuts = 60, .faulty = 3, .injections = 2000, .red_disks = 12};

#define LIVES 12 /* cuts one disk goes through */

static void say(const char *what, const struct verdict *v, uint64_t began_ms)
{
	print_message("%s: cuts %u lives %u (followed %u promoted %u) calls %u acknowledged %u unknown %u failed reads "
		      "%u sent again %u;",
		      what, v->cuts, v->lives, v->followed, v->promoted, v->calls, v->acknowledged, v->unknown,
		      v->failed, v->replays);
#define X(name) print_message(" " #name " %u", v->name);
	WRONG(X)
#undef X
	print_message("; %.1f s\n", (double)(tr_mono_ms() - began_ms) / 1e3);
	if (v->first[0] != '\0')
		print_message("  first: %s\n", v->first);
}

/* Spread over the magnitudes: as many below 10 as from 10 to 100. */
static unsigned spread(uint64_t dice, unsigned max)
{
	unsigned top = 1;

	while (top < max && dice % 8 < 6) {
		dice /= 8;
		top *= 3;
	}
	top = top > max ? max : top;
	return 1 + (unsigned)(dice / 8 % top);
}

enum when { AT_OPEN, AT_LOAD, AT_COMMIT, AT_CHECKPOINT, AT_CLOSE, AFTER_CLOSE, NWHEN };

static enum when when_of(uint64_t seed, bool first)
{
	uint64_t dice = vdisk_dice(seed, 1, 0) % 100;

	if (first && dice < 60)
		return AT_OPEN; /* being made, migrated */
	return dice < 10   ? AT_OPEN
	       : dice < 45 ? AT_LOAD
	       : dice < 65 ? AT_COMMIT
	       : dice < 80 ? AT_CHECKPOINT
	       : dice < 94 ? AT_CLOSE
			   : AFTER_CLOSE;
}

static void arm(enum when when, uint64_t seed, bool first)
{
	uint64_t dice = vdisk_dice(seed, 2, 0);

	switch (when) {
	case AT_OPEN:
		power_cut_at(POWER_ALL_OPS, POWER_ALL_FILES, 1 + dice % (first ? 160 : 12));
		break;
	case AT_LOAD:
		power_cut_at(POWER_ALL_OPS, POWER_ALL_FILES, spread(dice, 2000));
		break;
	case AT_COMMIT:
		power_cut_at(1u << POWER_SYNC, 1u << POWER_WAL, spread(dice, 150));
		break;
	case AT_CHECKPOINT: /* its writes, or the sync that lets the log go */
		power_cut_at(dice % 4 == 0 ? 1u << POWER_SYNC : POWER_ALL_OPS, 1u << POWER_DB,
			     dice % 4 == 0 ? 1 : spread(dice / 4, 100));
		break;
	case AT_CLOSE:
		power_cut_at(POWER_ALL_OPS, POWER_ALL_FILES, spread(dice, 40));
		break;
	default:
		break;
	}
}

/* Opens until it is open; the power may go meanwhile, again and again. False: it refuses though nothing fails. */
static bool open_again(struct world *w, uint64_t seed)
{
	struct tr_fault fault = {0};
	unsigned tries;

	for (tries = 0; tries < 20; tries++) {
		bool again = tries < 6 && vdisk_dice(seed, 3, tries) % 6 == 0; /* during recovery */
		uint64_t dice = vdisk_dice(seed, 4, tries);

		if (again && dice / 20 % 3 == 0) /* when the old log is cut */
			power_cut_at(1u << POWER_TRUNCATE, 1u << POWER_WAL, 1);
		else if (again)
			power_cut_at(POWER_ALL_OPS, POWER_ALL_FILES, 1 + dice % 20);
		if (world_open(w, &fault) == 0) {
			if (again)
				world_await_lead(w);
			power_cut_never();
			if (!power_is_off())
				return true;
			world_close(w);
		} else if (!power_is_off()) {
			wrong(w, &w->v.unopened, "it cannot be opened: %s %s", fault.field, fault.rule);
			return false;
		}
		w->v.cuts++;
		power_on_again(vdisk_dice(seed, 5, tries));
	}
	wrong(w, &w->v.unopened, "it was never open"); /* not reached: at the seventh try nothing is armed */
	return false;
}

/* One life: from an open, judged archive to the next one. */
static bool live(struct world *w, uint64_t seed, unsigned calls)
{
	bool first = w->a == NULL;
	enum when when = when_of(seed, first);
	uint64_t beside = vdisk_dice(seed, 20, 0); /* a follower, promoted half-way */

	w->v.lives++;
	if (when == AT_OPEN) {
		world_close(w);
		arm(when, seed, first);
		world_open(w, NULL);
	} else if (first && !open_again(w, seed)) {
		return false;
	}
	if (beside % 2 == 0 && w->a != NULL && !power_is_off() && !world_follow(w))
		return false;
	if (when == AT_LOAD || when == AT_COMMIT || when == AT_CHECKPOINT)
		arm(when, seed, false);
	if (w->a != NULL && !power_is_off())
		world_run(w, beside % 4 == 0 ? calls / 2 : calls);
	if (beside % 4 == 0 && w->f != NULL && !power_is_off()) {
		world_promote(w, beside % 8 == 0);
		if (w->a != NULL && !power_is_off())
			world_run(w, calls / 2);
	}
	if (when == AT_CLOSE)
		arm(when, seed, false);
	if (when == AT_CHECKPOINT || when == AT_CLOSE || when == AFTER_CLOSE || vdisk_dice(seed, 6, 0) % 4 == 0)
		world_close(w); /* in order, as far as the power lets it */
	power_cut();
	world_close(w); /* what is left of the old process */
	w->v.cuts++;
	power_on_again(vdisk_dice(seed, 7, 0));
	if (!open_again(w, vdisk_dice(seed, 8, 0)))
		return false;
	world_judge(w);
	w->life++;
	return true;
}

/* A disk that goes through cuts until it is red or has had enough. */
static void one_disk(uint64_t seed, unsigned cuts, bool keep, struct verdict *sum)
{
	struct world *w = world_new(seed);

	w->keep = keep;
	while (w->v.cuts < cuts && verdict_wrong(&w->v) == 0) {
		uint64_t life = vdisk_dice(seed, 9, w->life);
		bool heavy = life % 12 == 0; /* so much that checkpoints come by themselves */

		w->bulk = heavy ? 400 : 30;
		if (!live(w, life, heavy ? 900 : 20 + spread(vdisk_dice(life, 10, 0), 250)))
			break;
	}
	verdict_add(sum, &w->v);
	world_free(&w);
}

static void many_disks(const char *what, unsigned cuts, struct verdict *sum)
{
	uint64_t began = tr_mono_ms();
	unsigned i;

	memset(sum, 0, sizeof(*sum));
	for (i = 0; sum->cuts < cuts && verdict_wrong(sum) == 0; i++) {
		unsigned left = cuts - sum->cuts;

		one_disk(opt.disk != 0 ? opt.disk : vdisk_dice(opt.seed, 11, i),
			 left < LIVES && opt.disk == 0 ? left : LIVES, true, sum);
		if (opt.disk != 0)
			break;
	}
	say(what, sum, began);
}

/* Where the power went: a run that never cut a checkpoint shows nothing about checkpoints. */
static void tell_where(void)
{
	static const char *const ops[] = {"create", "write", "truncate", "sync", "delete"};
	static const char *const files[] = {"database", "log", "journal", "other"};
	struct power_seen seen;
	int i, k;

	power_seen(&seen);
	print_message("cut at");
	for (i = 0; i < POWER_NOPS; i++) {
		for (k = 0; k < POWER_NFILES; k++) {
			if (seen.cuts[i][k] > 0)
				print_message(" %s-%s:%llu", ops[i], files[k], (unsigned long long)seen.cuts[i][k]);
		}
	}
	print_message("\n");
	if (opt.disk == 0 && opt.cuts >= 60)
		assert_true(seen.cuts[POWER_WRITE][POWER_DB] > 0 && seen.cuts[POWER_WRITE][POWER_WAL] > 0 &&
			    seen.cuts[POWER_SYNC][POWER_WAL] > 0);
	if (opt.disk == 0 && opt.cuts >= 500)
		assert_true(seen.cuts[POWER_SYNC][POWER_DB] > 0 && seen.cuts[POWER_TRUNCATE][POWER_WAL] > 0 &&
			    seen.cuts[POWER_WRITE][POWER_JOURNAL] > 0 && seen.cuts[POWER_OPEN][POWER_WAL] > 0);
}

static void nothing_acknowledged_is_lost(void **s)
{
	struct verdict v;

	(void)s;
	many_disks("power cuts", opt.cuts, &v);
	tell_where();
	assert_int_equal(verdict_wrong(&v), 0);
	assert_true(opt.disk != 0 ||
		    (v.cuts >= opt.cuts && v.acknowledged > 10 * opt.cuts && v.promoted > opt.cuts / 20));
}

/* ---- failing system calls ---- */
static const struct {
	const char *name;
	unsigned kinds; /* bits of enum power_fault */
	bool readonly;
} failures[] = {
	{"busy", 1u << FAULT_BUSY, false},
	{"eio-read", 1u << FAULT_EIO_READ, false},
	{"eio-write", 1u << FAULT_EIO_WRITE, false},
	{"eio-sync", 1u << FAULT_EIO_SYNC, false},
	{"eio-truncate-delete", 1u << FAULT_EIO_TRUNCATE | 1u << FAULT_EIO_DELETE, false},
	{"short-write", 1u << FAULT_SHORT_WRITE, false},
	{"enospc", 1u << FAULT_ENOSPC, false},
	{"emfile", 1u << FAULT_EMFILE, false},
	{"read-only", 0, true},
	{"all", (1u << FAULT_NKINDS) - 1, false},
};
#define NFAILURES (sizeof(failures) / sizeof(failures[0]))

static struct power_faults faults_of(unsigned kinds, bool readonly, bool harsh, uint64_t seed)
{
	/* of a million */
	static const uint32_t rates[2][5] = {{500, 5000, 30000, 150000, 500000},
					     {10000, 50000, 200000, 500000, 800000}};
	struct power_faults f = {.seed = seed, .readonly = readonly};
	int i;

	for (i = 0; i < FAULT_NKINDS; i++)
		f.ppm[i] = (kinds >> i & 1) != 0 ? rates[harsh][vdisk_dice(seed, 1, (uint64_t)i) % 5] : 0;
	return f;
}

/* Calls fail; the power may go, or somebody tries to start it anew. Then all is well again, and must be seen to be. */
static bool troubled_life(struct world *w, const struct power_faults *f, uint64_t seed, unsigned calls, bool cuts)
{
	unsigned tries;

	w->v.lives++;
	w->patient = true;
	power_faults(f);
	if (cuts && vdisk_dice(seed, 2, 0) % 3 == 0)
		arm(AT_LOAD, seed, false);
	world_run(w, calls);
	for (tries = (unsigned)(vdisk_dice(seed, 3, 0) % 8); tries > 4 && !power_is_off(); tries--) {
		world_close(w);
		world_open(w, NULL);
		if (w->a != NULL)
			world_run(w, calls / 4);
	}
	power_faults(NULL);
	power_cut_never();
	w->patient = false;
	if (!power_is_off()) {
		if (w->a == NULL && !open_again(w, seed | 1))
			return false;
		if (!power_is_off() && world_settle(w))
			world_judge(w);
		w->life++;
	}
	return verdict_wrong(&w->v) == 0;
}

/* And what was acknowledged meanwhile is on the disk, not only in the cache. */
static bool dark_and_light(struct world *w, uint64_t seed)
{
	power_cut();
	world_close(w);
	w->v.cuts++;
	power_on_again(vdisk_dice(seed, 4, 0));
	if (!open_again(w, vdisk_dice(seed, 5, 0)))
		return false;
	world_judge(w);
	w->life++;
	return verdict_wrong(&w->v) == 0;
}

static void failing_calls_lose_nothing(void **s)
{
	struct verdict sum = {0};
	uint64_t began = tr_mono_ms(), injected[NFAILURES];
	unsigned i, k;

	(void)s;
	for (i = 0; i < NFAILURES; i++) {
		uint64_t before = power_injected_all(), disk = vdisk_dice(opt.seed, 13, i);
		struct world *w = world_new(disk);
		bool well = open_again(w, 1);

		w->keep = true;
		for (k = 0; well && k < opt.faulty; k++) {
			uint64_t life = vdisk_dice(disk, 14, k);
			struct power_faults f = faults_of(failures[i].kinds, failures[i].readonly, k == 0, life);

			well = troubled_life(w, &f, life, 60 + spread(life, 200), true) && dark_and_light(w, life);
		}
		print_message("%s: injected %llu, lives %u, acknowledged %u, unknown %u\n", failures[i].name,
			      (unsigned long long)(power_injected_all() - before), w->v.lives, w->v.acknowledged,
			      w->v.unknown);
		injected[i] = power_injected_all() - before;
		if (w->v.first[0] != '\0')
			print_message("  %s\n", w->v.first);
		verdict_add(&sum, &w->v);
		world_free(&w);
	}
	say("failing calls", &sum, began);
	assert_int_equal(verdict_wrong(&sum), 0);
	for (i = 0; i < NFAILURES; i++) /* a log is rarely cut: in a short run it may not come to it */
		assert_true(failures[i].kinds == 0 || injected[i] > 0 || opt.faulty < 40);
}

/* ---- no false repair ---- */
struct suspicion {
	uint64_t statements;
	unsigned repairs;
	char first[160];
};

/* What a repair would have to say. Nobody forgets in this run. */
static void on_statement(void *arg, const char *sql)
{
	static const char *const signs[] = {
		"REINDEX",   "VACUUM",       "DROP ",           "ALTER ",
		"'rebuild'", "'delete-all'", "writable_schema", "DELETE FROM thermal_memory_archive",
		"ATTACH",    "ignore_check"};
	struct suspicion *it = arg;
	size_t i;

	it->statements++;
	for (i = 0; i < sizeof(signs) / sizeof(signs[0]); i++) {
		if (strcasestr(sql, signs[i]) != NULL && it->repairs++ == 0)
			snprintf(it->first, sizeof(it->first), "%s", sql);
	}
}

static uint64_t injected_eio(void)
{
	return power_injected(FAULT_EIO_READ) + power_injected(FAULT_EIO_WRITE) + power_injected(FAULT_EIO_SYNC) +
	       power_injected(FAULT_EIO_TRUNCATE);
}

/* Some lives of one disk with failing locks and failing I/O in turns, until there were enough of both. */
static void tempted(struct world *w, uint64_t busy_until, uint64_t eio_until)
{
	static const unsigned kinds[] = {1u << FAULT_EIO_READ, 1u << FAULT_EIO_WRITE, 1u << FAULT_EIO_SYNC,
					 1u << FAULT_EIO_WRITE | 1u << FAULT_EIO_SYNC | 1u << FAULT_EIO_TRUNCATE,
					 1u << FAULT_EIO_READ | 1u << FAULT_EIO_SYNC | 1u << FAULT_BUSY};
	struct power_seen seen;
	unsigned life;

	power_seen_reset();
	for (life = 0; life < 14; life++) {
		bool busy = power_injected(FAULT_BUSY) < busy_until, eio = injected_eio() < eio_until;
		uint64_t seed = vdisk_dice(w->seed, 16, life);
		struct power_faults f;

		if (!busy && !eio)
			break;
		f = faults_of(busy && (life % 3 == 2 || !eio) ? 1u << FAULT_BUSY : kinds[life % 5], false, true, seed);
		if (f.ppm[FAULT_BUSY] > 400000)
			f.ppm[FAULT_BUSY] = 1000000; /* nobody gets through, and is told so after two seconds */
		if (!troubled_life(w, &f, seed, 800, false))
			return;
	}
	power_seen(&seen);
	if (seen.strangers + seen.db_deleted + seen.db_shrunk > 0)
		wrong(w, &w->v.strange, "files: %llu others (%s), database deleted %llu, shortened %llu",
		      (unsigned long long)seen.strangers, seen.stranger, (unsigned long long)seen.db_deleted,
		      (unsigned long long)seen.db_shrunk);
	if (world_place(w) != w->place)
		wrong(w, &w->v.strange, "the directory is another");
}

static void no_false_repair(void **s)
{
	uint64_t began = tr_mono_ms(), busy = power_injected(FAULT_BUSY), eio = injected_eio(),
		 half = opt.injections / 2;
	struct suspicion suspicion = {0};
	struct verdict v = {0};
	unsigned disk;

	if (opt.injections == 0)
		skip();
	(void)s;
	for (disk = 0; verdict_wrong(&v) == 0 && disk < 10000; disk++) {
		struct world *w = world_new(vdisk_dice(opt.seed, 15, disk));

		w->forgets = false;
		w->keep = true;
		w->reads = 50;
		w->again = 10;
		if (open_again(w, 1)) { /* made in peace */
			world_close(w);
			power_trace(on_statement, &suspicion);
			if (open_again(w, 1))
				tempted(w, busy + half, eio + half);
			power_trace(NULL, NULL);
			if (verdict_wrong(&w->v) == 0)
				dark_and_light(w, w->seed);
		}
		verdict_add(&v, &w->v);
		world_free(&w);
		if (power_injected(FAULT_BUSY) - busy >= half && injected_eio() - eio >= half)
			break;
	}
	say("no false repair", &v, began);
	busy = power_injected(FAULT_BUSY) - busy;
	eio = injected_eio() - eio;
	print_message("injected busy %llu, I/O errors %llu; statements seen %llu, repairs %u %s\n",
		      (unsigned long long)busy, (unsigned long long)eio, (unsigned long long)suspicion.statements,
		      suspicion.repairs, suspicion.first);
	assert_int_equal(verdict_wrong(&v), 0);
	assert_int_equal(suspicion.repairs, 0);
	assert_true(busy >= half && eio >= half && suspicion.statements > 1000);
}

/* How many of some disks come out red? */
static unsigned red_disks(const char *what, unsigned disks, struct verdict *sum)
{
	uint64_t began = tr_mono_ms();
	unsigned i, red = 0;

	memset(sum, 0, sizeof(*sum));
	for (i = 0; i < disks; i++) {
		struct verdict v = {0};

		one_disk(vdisk_dice(opt.seed, 12, i), LIVES, false, &v);
		red += verdict_wrong(&v) > 0;
		verdict_add(sum, &v);
	}
	say(what, sum, began);
	print_message("%s: %u of %u disks red\n", what, red, disks);
	return red;
}

/* The negative controls: were these green, the test above would show nothing. */
static void a_disk_that_lies_is_red(void **s)
{
	struct power_faults lie = {.lie = true};
	struct verdict v;

	(void)s;
	power_faults(&lie);
	assert_true(red_disks("a disk that lies", opt.red_disks, &v) > opt.red_disks / 2);
	power_faults(NULL);
	assert_true(v.lost > 0);
}

/* What is gathered for the log reaches it with a sync (gather.h): an archive that never syncs could not be used at all.
 * So here nothing is gathered: under the name of the VFS that gathers is the one below it. */
static void gather_nothing(sqlite3_vfs *instead)
{
	const char *name = gather_vfs(pagesum_vfs());
	const sqlite3_vfs *below = sqlite3_vfs_find(pagesum_vfs());

	assert_true(name != NULL && below != NULL);
	*instead = *below;
	instead->zName = name;
	instead->pNext = NULL;
	assert_int_equal(sqlite3_vfs_register(instead, 0), SQLITE_OK);
	assert_ptr_equal(sqlite3_vfs_find(name), instead);
}

/* What is asked for is not what is got, and that does not go unnoticed. */
static void synchronous_off_is_red(void **s)
{
	static sqlite3_vfs instead;
	struct power_seen seen;
	struct verdict v;

	(void)s;
	gather_nothing(&instead);
	power_synchronous_off(true);
	assert_true(red_disks("synchronous=OFF", opt.red_disks, &v) > opt.red_disks / 2);
	power_synchronous_off(false);
	sqlite3_vfs_unregister(&instead);
	power_seen(&seen);
	/* it was off indeed: the log is synced once where opening emptied it, and by no commit */
	assert_true(seen.ops[POWER_SYNC][POWER_WAL] <= v.lives + v.cuts);
	assert_true(v.acknowledged > 10 * opt.red_disks && v.lost > 0);
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

/* What is wrong with what was left? */
static int look_at(const char *dir)
{
	struct archive_cfg cfg = {.path = FILE_NAME, .epoch = 1};
	struct tr_fault fault = {0};
	struct archive_stats stats = {0};
	struct archive *a = NULL;
	struct dirent *e;
	uv_loop_t loop;
	DIR *d;
	int r;

	power_register();
	if (chdir(dir) < 0 || (d = opendir(".")) == NULL || uv_loop_init(&loop) < 0)
		return 2;
	while ((e = readdir(d)) != NULL) {
		FILE *f = e->d_name[0] == '.' ? NULL : fopen(e->d_name, "rb");
		static char bytes[64 << 20];

		if (f != NULL) {
			power_file_put(e->d_name, bytes, fread(bytes, 1, sizeof(bytes), f));
			fclose(f);
		}
	}
	closedir(d);
	cfg.loop = &loop;
	r = archive_open(&a, &cfg, &fault);
	if (r == 0)
		archive_stats(a, &stats);
	printf("%s: %s %s%s%s\n", r < 0 ? tr_err_name(r) : "opened", fault.field, fault.rule,
	       stats.damage == NULL ? "" : "damaged: ", stats.damage == NULL ? "" : stats.damage);
	archive_close(&a);
	loop_finish(&loop);
	power_shutdown();
	return r < 0;
}

static void arguments(int argc, char **argv)
{
	int i;

	for (i = 1; i + 1 < argc; i += 2) {
		unsigned long long n = strtoull(argv[i + 1], NULL, 0);

		if (strcmp(argv[i], "--seed") == 0)
			opt.seed = n != 0 ? n : (uint64_t)tr_wall_ms();
		else if (strcmp(argv[i], "--disk") == 0)
			opt.disk = n;
		else if (strcmp(argv[i], "--cuts") == 0)
			opt.cuts = (unsigned)n;
		else if (strcmp(argv[i], "--faulty") == 0)
			opt.faulty = (unsigned)n;
		else if (strcmp(argv[i], "--injections") == 0)
			opt.injections = (unsigned)n;
		else
			break;
	}
	if (i != argc) {
		fprintf(stderr, "usage: %s [--seed N] [--cuts N] [--faulty N] [--injections N] [--disk SEED]\n",
			argv[0]);
		exit(2);
	}
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(nothing_acknowledged_is_lost),
		cmocka_unit_test(failing_calls_lose_nothing),
		cmocka_unit_test(no_false_repair),
		cmocka_unit_test(a_disk_that_lies_is_red),
		cmocka_unit_test(synchronous_off_is_red),
	};

	if (argc == 3 && strcmp(argv[1], "--image") == 0)
		return look_at(argv[2]);
	arguments(argc, argv);
	print_message("seed %llu\n", (unsigned long long)opt.seed);
	return cmocka_run_group_tests(tests, setup, teardown);
}
