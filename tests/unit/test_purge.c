/* What a purge leaves in the live files of an archive on SQLite: nothing. */
#include "memory_rig.h"

#include "jrs/memory/archive/fts_merge.h"
#include <fcntl.h>
#include <signal.h>
#include <sys/wait.h>

#define LONG_MS 30000u /* longer than anything here takes */

/* Every text that is forgotten holds a word that begins so, stems of it do too, and nothing else does. */
#define ROOT "zuvq"

/* How often it stands in the files, in whatever case. By another program: closing a file here would take SQLite's
 * locks.
 */
static long left(const struct rig *g)
{
	char command[400], line[64] = "";
	FILE *f;

	snprintf(command, sizeof(command), "cat %s %s-wal %s-shm | grep -aio %s | wc -l", g->path, g->path, g->path,
		 ROOT);
	f = popen(command, "r");
	assert_non_null(f);
	assert_non_null(fgets(line, sizeof(line), f));
	assert_int_equal(pclose(f), 0);
	return strtol(line, NULL, 10);
}

static void until_nothing_is_left(struct rig *g)
{
	uint64_t until = tr_mono_ms() + LONG_MS;

	while (left(g) > 0) {
		assert_true(tr_mono_ms() < until);
		usleep(20000);
	}
}

static void forget(struct rig *g, wire_str id, bool now)
{
	struct msg_memory_forget msg = {.id = id, .has_now = now, .now = now};
	const struct res_memory_forget *res = rig_call(g, MSG_memory_forget, &msg);

	assert_true(!now || res->purged);
}

/* n memories that stay, some of them used, so that rows move about. */
static void noise(struct rig *g, int n)
{
	static unsigned x = 12345;
	struct item_new_memory *m = calloc((size_t)n, sizeof(*m));
	char(*text)[200] = calloc((size_t)n, sizeof(*text));
	struct msg_memory_add add = {.memories = {m, (uint32_t)n}};
	int i, k, len;

	assert_true(m != NULL && text != NULL);
	for (i = 0; i < n; i++) {
		for (k = len = 0; k < 12; k++) {
			x = x * 1664525u + 1013904223u;
			len += snprintf(text[i] + len, sizeof(text[i]) - (size_t)len, "w%u ", (x >> 10) % 3000);
		}
		m[i] = said(text[i]);
	}
	rig_call(g, MSG_memory_add, &add);
	rig_call(g, MSG_memory_add, &add); /* known by now: they heat */
	free(m);
	free(text);
}

/* ---- texts of every kind ---- */
#define PLAIN 40
struct secrets {
	wire_str id[PLAIN + 10];
	int n;
};

static wire_str keep(struct rig *g, wire_str s)
{
	char *p = msgpack_zone_malloc(g->zone, s.n + 1);

	assert_non_null(p);
	memcpy(p, s.p, s.n);
	p[s.n] = '\0';
	return (wire_str){p, s.n};
}

static void put(struct rig *g, struct secrets *all, const struct item_new_memory *m)
{
	all->id[all->n++] = keep(g, rig_add(g, m)->id);
}

static void put_plain(struct rig *g, struct secrets *all)
{
	static const char *const endings[] = {"ing", "ed", "s", "ation", "ness", "", "izer", "ally"};
	char text[PLAIN][200];
	int i;

	for (i = 0; i < PLAIN; i++) {
		snprintf(text[i], sizeof(text[i]), "The %s%d%s w17 and the %s%c%s of W%d", i % 3 == 0 ? "ZuVq" : ROOT,
			 i, endings[i % 8], ROOT, 'a' + i % 26, endings[(i + 3) % 8], i);
		put(g, all, &(struct item_new_memory){.content = wire_s(text[i])});
		if (i % 5 == 0)
			noise(g, 20);
	}
}

static void put_long(struct rig *g, struct secrets *all)
{
	static char text[60001];
	struct item_new_memory m;
	int i, n;

	for (i = n = 0; n < 50000; i++)
		n += snprintf(text + n, sizeof(text) - (size_t)n, ROOT "long%d ", i);
	m = said(text);
	put(g, all, &m);
}

/* In everything that comes along with a text. */
static void put_decorated(struct rig *g, struct secrets *all)
{
	const wire_str tags[] = {wire_s("one"), wire_s(ROOT "tag")};
	msgpack_object_kv kv = {.key = {.type = MSGPACK_OBJECT_STR, .via.str = {7, ROOT "key"}},
				.val = {.type = MSGPACK_OBJECT_STR, .via.str = {9, ROOT "value"}}};
	msgpack_object map = {.type = MSGPACK_OBJECT_MAP, .via.map = {1, &kv}};
	struct item_new_memory m = said("ordinary words with much about them");

	m.has_tags = m.has_metadata = m.has_speaker = m.has_session = m.has_source = m.has_id = true;
	m.tags = (wire_strs){tags, 2}, m.metadata = &map, m.id = wire_s(ROOT "id");
	m.speaker = wire_s("Zuvqella"), m.session = wire_s(ROOT "session"), m.source = wire_s(ROOT "source");
	put(g, all, &m);
}

/* Said to be patched, once with the answer kept, once with nothing to say. */
static void put_patched(struct rig *g, struct secrets *all)
{
	const wire_str tags[] = {wire_s(ROOT "later")};
	struct item_new_memory m = said("a text to be " ROOT "patched");
	struct msg_memory_patch patch = {.has_tags = true, .tags = {tags, 1}};

	put(g, all, &m);
	patch.id = all->id[all->n - 1];
	patch.common.has_request_id = true;
	patch.common.request_id = wire_s("patch");
	rig_call(g, MSG_memory_patch, &patch);
	patch.has_tags = false;
	patch.common.request_id = wire_s("nothing");
	rig_call(g, MSG_memory_patch, &patch);
	patch = (struct msg_memory_patch){.id = patch.id, .has_tags = true};
	rig_call(g, MSG_memory_patch, &patch);
}

static void put_decided(struct rig *g, struct secrets *all)
{
	struct msg_memory_decide decide = {.text = wire_s("We " ROOT "decide."), .by = wire_s("meta_jr")};
	const struct res_memory_decide *res;

	decide.common.has_request_id = true;
	decide.common.request_id = wire_s("decide");
	res = rig_call(g, MSG_memory_decide, &decide);
	all->id[all->n++] = keep(g, res->decision.memory_id);
}

/* The middle one of three goes: those beside it stay. */
static void put_chain(struct rig *g, struct secrets *all)
{
	struct item_new_memory m = said("the first word on it");

	m.has_id = true;
	m.id = wire_s("first");
	rig_add(g, &m);
	m = (struct item_new_memory){.content = wire_s("no, " ROOT "corrected"),
				     .has_id = true,
				     .id = wire_s(ROOT "-second"),
				     .has_supersedes = true,
				     .supersedes = wire_s("first")};
	put(g, all, &m);
	m = (struct item_new_memory){.content = wire_s("the last word on it"),
				     .has_id = true,
				     .id = wire_s("last"),
				     .has_supersedes = true,
				     .supersedes = wire_s(ROOT "-second")};
	rig_add(g, &m);
}

static void put_imported(struct rig *g)
{
	struct msg_memory_import_begin begin = {.id = wire_s("imp"), .name = wire_s("notes.txt"), .size = 10};
	struct item_new_memory m[3] = {said("came " ROOT "imported"), said("so did " ROOT "this"), said(ROOT)};
	struct msg_memory_add add = {.memories = {m, 3}, .has_import_id = true, .import_id = wire_s("imp")};

	rig_call(g, MSG_memory_import_begin, &begin);
	rig_call(g, MSG_memory_add, &add);
}

static void put_all(struct rig *g, struct secrets *all)
{
	put_plain(g, all);
	put_long(g, all);
	put_decorated(g, all);
	put_patched(g, all);
	put_decided(g, all);
	put_chain(g, all);
	put_imported(g);
}

static void nothing_is_left(void **s)
{
	struct rig *g = *s;
	struct msg_memory_import_undo undo = {.id = wire_s("imp")};
	struct secrets all = {.n = 0};
	struct entangle_change pair = {.npartners = 1};
	int i;

	noise(g, 1500);
	put_all(g, &all);
	rig_get(g, all.id[0]);
	pair.memory = g->answer.hits[0].memory, pair.partner[0] = (struct entangle_partner){1, 2};
	pair.phase = 0.25, pair.compared = 2;
	archive_entangled(g->a, &pair);
	noise(g, 1500);
	rig_settle(g);
	assert_true(left(g) > PLAIN);
	rig_call(g, MSG_memory_import_undo, &undo);
	for (i = 0; i < all.n; i++)
		forget(g, all.id[(i * 7) % all.n], i == all.n - 1);
	assert_int_equal(left(g), 0);
	noise(g, 500); /* nothing comes back with the pages that are written next */
	assert_int_equal(left(g), 0);
	assert_true(same(rig_get(g, wire_s("last"))->supersedes, "first"));
}

/* Longer than it was, with `word` in it: the row may have to go to another page. */
static void grow(struct rig *g, wire_str id, const char *word, unsigned len)
{
	char *text = msgpack_zone_malloc(g->zone, len + 1);
	wire_str tag;
	struct msg_memory_patch patch = {.id = id, .has_tags = true, .tags = {&tag, 1}};
	unsigned i;

	assert_non_null(text);
	for (i = 0; i < len; i++)
		text[i] = word[i % strlen(word)];
	tag = (wire_str){text, len};
	rig_call(g, MSG_memory_patch, &patch);
}

/* SQLite does not clear the place that a row leaves when its page is full; neither on disk nor in the writer's cache.
 */
static void rows_that_moved_leave_nothing(void **s)
{
	enum { N = 400 };
	struct rig *g = *s;
	wire_str gone[N], stays[N];
	char text[64];
	int i;

	for (i = 0; i < N; i++) {
		snprintf(text, sizeof(text), ROOT "%d moves", i);
		gone[i] = keep(g, rig_say(g, text)->id);
		snprintf(text, sizeof(text), "%d stays", i);
		stays[i] = keep(g, rig_say(g, text)->id);
	}
	for (i = 0; i < N; i++) {
		grow(g, gone[i * 7 % N], ROOT "tag", 40 + (unsigned)(i * 31 % 180));
		grow(g, stays[i * 11 % N], "tag", 40 + (unsigned)(i * 17 % 120));
	}
	for (i = 0; i < N; i++)
		forget(g, gone[i * 13 % N], i == N - 1);
	assert_int_equal(left(g), 0);
	for (i = 0; i < N; i += 5) /* pages that are written anew bring nothing back */
		grow(g, stays[i], "tag", 10);
	assert_int_equal(left(g), 0);
}

/* A text that is there is found; one that is forgotten is still found before the purge: else the others prove nothing.
 */
static void it_was_there_before(void **s)
{
	struct rig *g = *s;
	struct item_new_memory m = said(ROOT "kept");
	wire_str id = keep(g, rig_add(g, &m)->id);
	long before = left(g);

	assert_true(before > 0);
	forget(g, id, false);
	assert_true(left(g) > 0);
	m = said(ROOT "other");
	forget(g, keep(g, rig_add(g, &m)->id), true);
	assert_int_equal(left(g), 0);
	m = said(ROOT "kept");
	rig_add(g, &m);
	assert_true(left(g) > 0);
}

/* ---- when ---- */
static void open_with(struct rig *g, uint64_t purge_after_ms)
{
	struct archive_cfg cfg = rig_cfg(g);

	archive_close(&g->a);
	cfg.purge_after_ms = purge_after_ms;
	assert_int_equal(g->kind->open(&g->a, &cfg, NULL), 0);
}

static void within_the_hour(void **s)
{
	struct rig *g = *s;
	wire_str id = keep(g, rig_say(g, "a " ROOT "minute")->id);
	int i;

	forget(g, id, false);
	for (i = 0; i < 49; i++) {
		rig_now += 60000;
		rig_say(g, "time passes");
	}
	assert_true(left(g) > 0);
	assert_true(rig_sql(g, "SELECT value FROM counters WHERE name = 'purge_due'") == (double)RIG_BEGIN);
	rig_now += 60000;
	rig_say(g, "time is up");
	until_nothing_is_left(g);
	while (rig_sql(g, "SELECT value FROM counters WHERE name = 'purge_due'") != 0.0)
		usleep(1000);
	rig_now += HOUR;
	rig_say(g, "nothing is due");
	assert_true(rig_sql(g, "SELECT value FROM counters WHERE name = 'purge_due'") == 0.0);
}

static void earlier_when_it_is_quiet(void **s)
{
	struct rig *g = *s;

	open_with(g, 2000); /* quiet: 20 ms without a call; a tenth of it has passed */
	forget(g, keep(g, rig_say(g, ROOT "quiet")->id), false);
	rig_now += 200;
	until_nothing_is_left(g);
}

/* The child forgets and is killed before anything is purged; who comes next does it when its time has come. */
static void kill_9_does_not_save_it(void **s)
{
	struct rig *g = *s;
	int fd[2], status;
	char byte;
	pid_t pid;

	archive_close(&g->a);
	assert_int_equal(pipe(fd), 0);
	if ((pid = fork()) == 0) {
		if (uv_loop_init(&g->loop) < 0 || rig_open_again(g, NULL) < 0)
			_exit(2);
		noise(g, 300);
		forget(g, keep(g, rig_say(g, "not " ROOT "killed")->id), false);
		rig_say(g, "something behind it");
		_exit(write(fd[1], "x", 1) == 1 ? (pause(), 0) : 3);
	}
	assert_true(pid > 0);
	close(fd[1]);
	assert_int_equal(read(fd[0], &byte, 1), 1);
	close(fd[0]);
	assert_int_equal(kill(pid, SIGKILL), 0);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFSIGNALED(status));
	assert_int_equal(rig_open_again(g, NULL), 0);
	assert_true(left(g) > 0);
	rig_say(g, "another life");
	assert_true(left(g) > 0);
	rig_now += HOUR;
	rig_say(g, "an hour later");
	until_nothing_is_left(g);
}

/* ---- forgetting while a purge is under way ---- */
#define CALLS 60
struct many {
	int waiting, purged, failed;
};

static void on_forgotten(void *arg, int r, const struct archive_answer *answer, const struct tr_fault *fault)
{
	struct many *many = arg;

	(void)fault;
	many->waiting--;
	if (r < 0)
		many->failed++;
	else
		many->purged += ((const struct res_memory_forget *)answer->res)->purged;
}

static void forgetting_goes_on_meanwhile(void **s)
{
	struct rig *g = *s;
	struct msg_memory_forget msg[CALLS];
	struct archive_ctx ctx = {g->zone, 0};
	struct many many = {0, 0, 0};
	char text[64];
	int i, turn;

	noise(g, 5000);
	for (i = 0; i < CALLS; i++) {
		snprintf(text, sizeof(text), ROOT "%d is number %d", i, i);
		msg[i] = (struct msg_memory_forget){.id = keep(g, rig_say(g, text)->id), .has_now = true, .now = true};
	}
	for (i = 0; i < CALLS; i++) {
		many.waiting++;
		assert_int_equal(archive_call(g->a, MSG_memory_forget, &msg[i], &ctx, on_forgotten, &many), 0);
		for (turn = 0; turn < i % 7; turn++)
			rig_say(g, "meanwhile");
	}
	while (many.waiting > 0)
		uv_run(&g->loop, UV_RUN_ONCE);
	assert_true(many.failed == 0 && many.purged == CALLS);
	assert_int_equal(left(g), 0);
}

/* A reader that does not leave keeps the log from being cut. Who waits is told so in time, and it is done later. */
static void a_long_reader_puts_it_off(void **s)
{
	struct rig *g = *s;
	struct msg_memory_forget msg = {.has_now = true, .now = true};
	const struct res_memory_forget *res;
	sqlite3 *db = NULL;
	uint64_t deadline;

	msg.id = keep(g, rig_say(g, "seen " ROOT "still")->id);
	assert_int_equal(sqlite3_open(g->path, &db), SQLITE_OK);
	assert_int_equal(sqlite3_exec(db, "BEGIN; SELECT count(*) FROM thermal_memory_archive", NULL, NULL, NULL),
			 SQLITE_OK);
	deadline = tr_mono_ms() + 600;
	res = rig_call_until(g, MSG_memory_forget, &msg, deadline);
	assert_non_null(res);
	assert_true(res->has_purged && !res->purged && tr_mono_ms() < deadline);
	assert_false(rig_try_get(g, msg.id));
	assert_true(left(g) > 0);
	rig_say(g, "writing goes on");
	sqlite3_exec(db, "COMMIT", NULL, NULL, NULL);
	sqlite3_close(db);
	until_nothing_is_left(g); /* the pass has not been given up */
}

/* ---- the index's record ---- */
static struct fts_record record_of(unsigned nlevels, const unsigned (*level)[2])
{
	struct fts_record r = {.cookie = {0, 0, 0, 9}, .counter = 133, .nlevels = nlevels};
	unsigned i, k;

	for (i = 0; i < nlevels; i++) {
		r.level[i].merging = level[i][0];
		r.level[i].n = level[i][1];
		for (k = 0; k < level[i][1]; k++, r.n++)
			r.v[r.n] = (struct fts_segment){100 + r.n, 1, 10 * (r.n + 1)};
	}
	return r;
}

static void records_are_read_and_written(void **s)
{
	/* seven levels: 2 segments, one of them being merged, on the third; one on the last, numbered 300 */
	static const unsigned char bytes[] = {0, 0, 0, 9, 7, 3, 0x81, 0x05, 0, 0, 0, 0,    1,    2, 1,    1,   4,
					      2, 1, 1, 0, 0, 0, 0,    0,    0, 0, 1, 0x82, 0x2c, 1, 0x81, 0x16};
	unsigned char out[FTS_RECORD_BYTES];
	struct fts_record r;
	size_t n;

	(void)s;
	assert_int_equal(fts_record_read(bytes, sizeof(bytes), &r), 0);
	assert_true(r.nlevels == 7 && r.n == 3 && r.counter == 133 && r.level[2].merging == 1 && r.level[2].n == 2);
	assert_true(r.v[0].number == 1 && r.v[0].last == 4 && r.v[2].number == 300 && r.v[2].last == 150);
	assert_int_equal(fts_record_write(&r, out), sizeof(bytes));
	assert_memory_equal(out, bytes, sizeof(bytes));
	for (n = 0; n < sizeof(bytes); n++)
		assert_true(fts_record_read(bytes, n, &r) < 0);
}

/* A step sees the pass's segments only, the others find theirs as they were, and apart from the pass's. */
static void a_step_takes_its_segments_out(void **s)
{
	static const unsigned before[][2] = {{2, 3}, {0, 1}, {0, 0}, {0, 1}}, flushed[][2] = {{0, 2}};
	static struct fts_record all, step, hidden;
	static struct fts_merge m, was;
	unsigned i, k, level;

	(void)s;
	all = record_of(4, before);
	fts_merge_gather(&all, &m);
	assert_int_equal(m.n, 5); /* the oldest first: the highest level, and the first on it */
	assert_true(m.in[0].number == 104 && m.in[1].number == 103 && m.in[2].number == 100 && m.in[4].number == 102);
	assert_int_equal(fts_merge_open(&m, &all, &step), 0);
	assert_true(all.n == 0 && all.nlevels == 0 && step.nlevels == 1 && step.level[0].n == 5);
	assert_true(step.level[0].merging == 0 && step.v[4].number == 102);
	/* FTS5 has begun to merge all into 7 */
	step.level[0].merging = 5;
	step.level[1].n = 1, step.nlevels = 2;
	step.v[step.n++] = (struct fts_segment){7, 1, 3};
	step.v[0].first = 9;
	assert_int_equal(fts_merge_close(&m, &all, &step), 0);
	assert_true(m.n == 5 && m.has_out && m.out.number == 7 && m.in[0].first == 9);
	assert_int_equal(all.n, 6);
	for (i = level = 0; level < all.nlevels; level++) {
		assert_true(all.level[level].n <= 1); /* nothing for an automatic merge */
		assert_int_equal(all.level[level].merging, level == 4);
		i += all.level[level].n;
	}
	assert_true(all.v[0].number == 102 && all.v[4].number == 104 && all.v[5].number == 7 && all.level[4].n == 1);
	/* two more come; the next step still finds its own, and leaves them alone */
	hidden = all;
	all.level[0].n = 2;
	memmove(all.v + 2, hidden.v, sizeof(hidden.v[0]) * hidden.n);
	all.v[0] = (struct fts_segment){200, 1, 1}, all.v[1] = (struct fts_segment){201, 1, 1};
	all.n += 2;
	hidden = all;
	assert_int_equal(fts_merge_open(&m, &all, &step), 0);
	assert_true(all.n == 2 && all.nlevels == 1 && all.level[0].n == flushed[0][1] && all.v[1].number == 201);
	assert_true(step.nlevels == 2 && step.level[0].merging == 5 && step.n == 6 && step.v[5].number == 7);
	was = m;
	step.n = 1, step.nlevels = 1, step.level[0].n = 1, step.level[0].merging = 0, step.v[0] = step.v[5];
	assert_int_equal(fts_merge_close(&m, &all, &step), 0); /* it is over */
	assert_true(m.n == 0 && all.nlevels == 2 && all.n == 3 && all.v[2].number == 7 && all.level[1].merging == 0);
	/* whoever touched them makes it begin anew */
	for (k = 0; k < 3; k++) {
		all = hidden;
		m = was;
		if (k == 0)
			all.v[4].first++;
		else if (k == 1)
			all.level[5].merging = 1;
		else
			all.v[7].number++;
		assert_int_equal(fts_merge_open(&m, &all, &step), TR_ECONFLICT);
	}
}

static unsigned levels(struct rig *g, unsigned *segments)
{
	struct fts_record r;
	sqlite3 *db = NULL;
	sqlite3_stmt *st = NULL;

	assert_int_equal(sqlite3_open(g->path, &db), SQLITE_OK);
	assert_int_equal(sqlite3_prepare_v2(db, "SELECT block FROM memory_words_data WHERE id = 10", -1, &st, NULL),
			 SQLITE_OK);
	assert_int_equal(sqlite3_step(st), SQLITE_ROW);
	assert_int_equal(fts_record_read(sqlite3_column_blob(st, 0), (size_t)sqlite3_column_bytes(st, 0), &r), 0);
	sqlite3_finalize(st);
	sqlite3_close(db);
	*segments = r.n;
	return r.nlevels;
}

/* FTS5's own way would add two levels a purge and take none away; a record of 2,000 it calls damaged. */
static void the_record_stays_small(void **s)
{
	struct rig *g = *s;
	unsigned segments;
	char text[64];
	int i;

	noise(g, 3000);
	for (i = 0; i < 20; i++) {
		snprintf(text, sizeof(text), ROOT "%d", i);
		forget(g, keep(g, rig_say(g, text)->id), true);
		assert_true(levels(g, &segments) <= 3 && segments == 1);
	}
	assert_int_equal(left(g), 0);
}

#define T(name) cmocka_unit_test_setup_teardown(name, rig_setup, rig_teardown_sound)
int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(records_are_read_and_written),
		cmocka_unit_test(a_step_takes_its_segments_out),
		T(it_was_there_before),
		T(nothing_is_left),
		T(rows_that_moved_leave_nothing),
		T(within_the_hour),
		T(earlier_when_it_is_quiet),
		T(kill_9_does_not_save_it),
		T(forgetting_goes_on_meanwhile),
		T(a_long_reader_puts_it_off),
		T(the_record_stays_small),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
