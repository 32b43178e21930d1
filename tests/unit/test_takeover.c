/* Two processes on one archive: a lead that is killed -9 while it commits, and a follower that takes over at that
 * moment, without waiting for anything. Nothing that was acknowledged is lost, nothing is there twice, and no caller
 * hears of a lock.
 *
 *   test_takeover sqlite|postgresql [--measure MEMORIES | --takeovers N]
 *   test_takeover KIND --lead PATH CONNINFO EPOCH ROUND       the other process; acknowledges on descriptor 3
 */
#include "memory_rig.h"

#include "jrs/memory/warm.h"
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/wait.h>

#define ROUNDS      12
#define WRITERS     8
#define ADDS        4000 /* the lead is killed long before */
#define WAIT_MS     20000
#define ACK_FD      3
#define IDLE_ROUNDS 1000 /* from this round on a lead only adds so many */
#define IDLE_ADDS   40
#define TO_BE_SEEN  24 /* acknowledged ones, at least, when the lead is killed */

/* One request of a round: the same in either process. */
struct request {
	char id[24], content[200], at[48];
	struct item_new_memory m;
	struct msg_memory_add msg;
	struct archive_ctx ctx;
	bool answered;
	int r;
	char got[48]; /* the memory's id, as it was answered */
	void *arg;
};

static const char *const words[] = {"amber",  "birch",   "cedar", "delta",  "ember", "fjord",  "gravel", "heron",
				    "indigo", "juniper", "kelp",  "lichen", "moss",  "nettle", "otter",  "pebble"};

static void make_request(struct request *q, unsigned round, unsigned number)
{
	unsigned i, dice = round * 7919 + number * 104729;
	int n;

	memset(q, 0, sizeof(*q));
	snprintf(q->id, sizeof(q->id), "round%u-%u", round, number);
	n = snprintf(q->content, sizeof(q->content), "thing%u of round%u:", number, round);
	for (i = 0; i < 12; i++, dice = dice * 1103515245 + 12345)
		n += snprintf(q->content + n, sizeof(q->content) - (size_t)n, " %s", words[dice >> 16 & 15]);
	q->m = said(q->content);
	q->msg = (struct msg_memory_add){.memories = {&q->m, 1}};
	q->msg.common.has_request_id = true;
	q->msg.common.request_id = wire_s(q->id);
	q->ctx.zone = msgpack_zone_new(1024);
	if (q->ctx.zone == NULL)
		abort();
}

static void on_added(void *arg, int r, const struct archive_answer *answer, const struct tr_fault *fault)
{
	struct request *q = arg;

	(void)fault;
	q->answered = true;
	q->r = r;
	if (r == 0) {
		const struct item_added *it = &((const struct res_memory_add *)answer->res)->memories.v[0];

		snprintf(q->got, sizeof(q->got), "%.*s", (int)it->id.n, it->id.p);
	}
}

/* ---- the lead ---- */
struct led {
	struct archive *a;
	unsigned round, next;
	bool leads;
};

static void next_add(struct led *l);

static void on_lead_added(void *arg, int r, const struct archive_answer *answer, const struct tr_fault *fault)
{
	struct request *q = arg;
	struct led *l = q->arg;
	char line[96];
	int n;

	on_added(q, r, answer, fault);
	if (r < 0) {
		dprintf(ACK_FD, "failed %s\n", tr_err_name(r));
		return;
	}
	n = snprintf(line, sizeof(line), "%s %s\n", q->id, q->got);
	if (write(ACK_FD, line, (size_t)n) != n)
		_exit(3);
	msgpack_zone_free(q->ctx.zone);
	free(q);
	next_add(l);
}

static void next_add(struct led *l)
{
	struct request *q;

	if (l->round >= IDLE_ROUNDS && l->next >= IDLE_ADDS)
		return; /* it has nothing to do any more */
	q = malloc(sizeof(*q));
	if (q == NULL || l->next >= ADDS)
		_exit(3);
	make_request(q, l->round, l->next++);
	q->arg = l;
	if (archive_call(l->a, MSG_memory_add, &q->msg, &q->ctx, on_lead_added, q) < 0)
		_exit(3);
}

static void on_lead(void *arg, int r, uint64_t epoch, const struct tr_fault *fault)
{
	struct led *l = arg;
	unsigned i;

	(void)epoch;
	if (r < 0) {
		dprintf(ACK_FD, "failed to lead: %s\n", fault->rule);
		_exit(3);
	}
	l->leads = true;
	for (i = 0; i < WRITERS; i++)
		next_add(l);
}

/* Ends by being killed; bounded all the same. */
static int lead(const struct rig_backend *kind, char **arg)
{
	struct archive_cfg cfg = {.path = arg[0],
				  .conninfo = arg[1][0] == '\0' ? NULL : arg[1],
				  .wall_ms = rig_clock,
				  .follow = true,
				  .alone = strtoull(arg[2], NULL, 10) == 1};
	struct led l = {.round = (unsigned)atoi(arg[3])};
	struct tr_fault fault = {0};
	uv_loop_t loop;

	alarm(120);
	if (uv_loop_init(&loop) < 0)
		return 3;
	cfg.loop = &loop;
	if (kind->open(&l.a, &cfg, &fault) < 0) {
		dprintf(ACK_FD, "failed to open: %s\n", fault.rule);
		return 3;
	}
	if (archive_lead(l.a, strtoull(arg[2], NULL, 10), on_lead, &l) < 0)
		return 3;
	uv_run(&loop, UV_RUN_DEFAULT);
	return 3;
}

/* ---- the follower ---- */
struct other {
	pid_t pid;
	int fd;
	char text[1 << 18];
	size_t n;
};

static void spawn_lead(struct other *o, struct rig *g, uint64_t epoch, unsigned round)
{
	char e[24], r[24], kind[16];
	char lead_word[] = "--lead", *const argv[] = {lead_word, kind, lead_word, g->path, g->conninfo, e, r, NULL};
	int fds[2];

	snprintf(kind, sizeof(kind), "%s", g->kind->name);
	snprintf(e, sizeof(e), "%llu", (unsigned long long)epoch);
	snprintf(r, sizeof(r), "%u", round);
	assert_int_equal(pipe2(fds, O_CLOEXEC), 0);
	o->n = 0;
	o->fd = fds[0];
	assert_true((o->pid = fork()) >= 0);
	if (o->pid == 0) {
		if (dup2(fds[1], ACK_FD) == ACK_FD)
			execv("/proc/self/exe", argv);
		_exit(4);
	}
	close(fds[1]);
}

/* Reads what it has acknowledged; until there are `lines`, or it has ended (0: until then). */
static void hear(struct other *o, unsigned lines)
{
	uint64_t until = tr_mono_ms() + WAIT_MS;
	struct pollfd p = {o->fd, POLLIN, 0};
	unsigned seen = 0;
	ssize_t got = 1;
	size_t i;

	for (i = 0; i < o->n; i++)
		seen += o->text[i] == '\n';
	while ((lines == 0 || seen < lines) && got > 0 && tr_mono_ms() < until) {
		if (poll(&p, 1, 100) <= 0)
			continue;
		got = read(o->fd, o->text + o->n, sizeof(o->text) - 1 - o->n);
		for (i = 0; got > 0 && i < (size_t)got; i++)
			seen += o->text[o->n + i] == '\n';
		o->n += got > 0 ? (size_t)got : 0;
	}
	o->text[o->n] = '\0';
	if (strstr(o->text, "failed") != NULL || (lines > 0 && seen < lines))
		fail_msg("the lead: %s", o->text);
}

struct told {
	bool done;
	int r;
	uint64_t at_ns;
};

static void on_led(void *arg, int r, uint64_t epoch, const struct tr_fault *fault)
{
	struct told *t = arg;

	(void)epoch, (void)fault;
	*t = (struct told){true, r, tr_mono_ns()};
}

static void await(struct rig *g, const bool *done)
{
	uint64_t until = tr_mono_ms() + WAIT_MS;

	while (!*done && tr_mono_ms() < until)
		uv_run(&g->loop, UV_RUN_ONCE);
	assert_true(*done);
}

static void open_follower(struct rig *g)
{
	struct archive_cfg cfg = rig_cfg(g);
	struct tr_fault fault = {0};

	cfg.follow = true;
	if (g->kind->open(&g->a, &cfg, &fault) < 0)
		fail_msg("cannot follow: %s %s", fault.field, fault.rule);
}

/* What the lead said: number -> the id it answered. */
static unsigned heard(const struct other *o, unsigned round, char (*ids)[48])
{
	const char *p = o->text, *end;
	unsigned n = 0, i, r;

	memset(ids, 0, sizeof(*ids) * ADDS);
	for (; (end = strchr(p, '\n')) != NULL; p = end + 1) { /* a line that was cut off was never sent */
		char id[48];

		if (sscanf(p, "round%u-%u %47s", &r, &i, id) != 3 || r != round || i >= ADDS)
			fail_msg("not an acknowledgement: %.60s", p);
		snprintf(ids[i], sizeof(ids[i]), "%s", id);
		n = i >= n ? i + 1 : n;
	}
	return n;
}

/* Asked at once, of whoever only just leads: it shows everything that was acknowledged. */
static void shows_all(struct rig *g, char (*ids)[48], unsigned n)
{
	unsigned i;

	for (i = 0; i < n; i++) {
		if (ids[i][0] != '\0' && !rig_try_get(g, wire_s(ids[i])))
			fail_msg("%s was acknowledged and is not shown: %s", ids[i], tr_err_name(g->r));
	}
}

/* Everything is sent again, acknowledged or not, before it is known whether we lead. */
static unsigned send_again(struct rig *g, unsigned round, char (*ids)[48], unsigned n, struct told *t)
{
	struct request *v = calloc(n, sizeof(*v));
	unsigned i, new = 0;

	assert_non_null(v);
	for (i = 0; i < n; i++) {
		make_request(&v[i], round, i);
		assert_int_equal(archive_call(g->a, MSG_memory_add, &v[i].msg, &v[i].ctx, on_added, &v[i]), 0);
	}
	for (i = 0; i < n; i++) {
		await(g, &v[i].answered);
		if (v[i].r < 0)
			fail_msg("%s sent again: %s", v[i].id, tr_err_name(v[i].r));
		assert_true(t->done); /* no write is answered before */
		if (ids[i][0] != '\0')
			assert_string_equal(v[i].got, ids[i]);
		new += ids[i][0] == '\0';
		msgpack_zone_free(v[i].ctx.zone);
	}
	free(v);
	return new;
}

static void there_once(struct rig *g, unsigned round, unsigned n)
{
	char all[120], sql[320];

	snprintf(all, sizeof(all), "FROM thermal_memory_archive WHERE original_content LIKE '%% of round%u:%%'", round);
	snprintf(sql, sizeof(sql), "SELECT count(*) %s", all);
	assert_true(rig_sql(g, sql) == n);
	snprintf(sql, sizeof(sql), "SELECT count(DISTINCT original_content) %s", all);
	assert_true(rig_sql(g, sql) == n);
	snprintf(sql, sizeof(sql), "SELECT sum(access_count) %s", all); /* nor is one heated */
	assert_true(rig_sql(g, sql) == n);
	snprintf(sql, sizeof(sql), "SELECT count(*) FROM requests WHERE id LIKE 'round%u-%%'", round);
	assert_true(rig_sql(g, sql) == n);
}

static int by_size(const void *x, const void *y)
{
	double a = *(const double *)x, b = *(const double *)y;

	return a < b ? -1 : a > b;
}

static double one_round(struct rig *g, unsigned round, uint64_t *epoch, unsigned *unknown)
{
	static struct other o;
	static char ids[ADDS][48];
	struct told t = {0};
	uint64_t began;
	unsigned n, status;

	spawn_lead(&o, g, ++*epoch, round);
	hear(&o, 1);
	open_follower(g);
	hear(&o, TO_BE_SEEN + round * 17 % 60);
	assert_int_equal(kill(o.pid, SIGKILL), 0);
	began = tr_mono_ns();
	assert_int_equal(archive_lead(g->a, ++*epoch, on_led, &t), 0);
	hear(&o, 0);
	n = heard(&o, round, ids);
	shows_all(g, ids, n);
	n += WRITERS; /* and those that were under way */
	*unknown += send_again(g, round, ids, n, &t);
	assert_int_equal(t.r, 0);
	there_once(g, round, n);
	rig_figures_hold(g); /* counted behind the last commit of the dead one; opens it again */
	assert_int_equal(waitpid(o.pid, (int *)&status, 0), o.pid);
	assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
	close(o.fd);
	archive_close(&g->a);
	uv_run(&g->loop, UV_RUN_NOWAIT);
	*epoch = (uint64_t)rig_look(g, LOOK_EPOCH);
	return (double)(t.at_ns - began) / 1e6;
}

static void a_lead_is_killed_while_it_commits(void **s)
{
	struct rig *g = *s;
	double took[ROUNDS];
	unsigned round, unknown = 0;
	uint64_t epoch = 0;

	archive_close(&g->a);
	uv_run(&g->loop, UV_RUN_NOWAIT);
	g->kind->wipe(g);
	for (round = 0; round < ROUNDS; round++)
		took[round] = one_round(g, round, &epoch, &unknown);
	qsort(took, ROUNDS, sizeof(took[0]), by_size);
	print_message("%s: %u kills; to the lead ms p50 %.1f max %.1f; sent again without an answer before: %u\n",
		      g->kind->name, ROUNDS, took[ROUNDS / 2], took[ROUNDS - 1], unknown);
	assert_int_equal(rig_open_again(g, NULL), 0);
}

/* ---- what a takeover costs ---- */
static double p50(double *v, unsigned n)
{
	qsort(v, n, sizeof(v[0]), by_size);
	return v[n / 2];
}

/* kB of a process's own memory, and of all it uses. */
static void memory_of(pid_t pid, unsigned *own, unsigned *all)
{
	char path[40], line[200];
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%d/status", (int)pid);
	*own = *all = 0;
	assert_non_null(f = fopen(path, "re"));
	while (fgets(line, sizeof(line), f) != NULL) {
		if (sscanf(line, "RssAnon: %u", own) != 1)
			(void)sscanf(line, "VmRSS: %u", all);
	}
	fclose(f);
}

static void fill(struct rig *g, unsigned memories)
{
	static struct request v[500];
	static struct item_new_memory m[500];
	unsigned at, i;

	for (at = 0; at < memories; at += i) {
		struct msg_memory_add msg = {.memories = {m, 0}};

		for (i = 0; i < 500 && at + i < memories; i++) {
			make_request(&v[i], 90000, at + i);
			m[i] = v[i].m;
			msgpack_zone_free(v[i].ctx.zone);
		}
		msg.memories.n = i;
		rig_call(g, MSG_memory_add, &msg);
		msgpack_zone_clear(g->zone);
	}
}

static double recall_ms(struct rig *g, unsigned n)
{
	char q[60];
	struct msg_memory_recall msg = {.has_q = true, .has_touch = true, .has_limit = true, .limit = 10};
	uint64_t began = tr_mono_ns();

	snprintf(q, sizeof(q), "what about thing%u, and thing%u?", n * 37 % 1000, n * 71 % 999);
	msg.q = wire_s(q);
	rig_call(g, MSG_memory_recall, &msg);
	return (double)(tr_mono_ns() - began) / 1e6;
}

static double get_ms(struct rig *g, wire_str id)
{
	uint64_t began = tr_mono_ns();

	if (!rig_try_get(g, id))
		fail_msg("a known one is not found");
	return (double)(tr_mono_ns() - began) / 1e6;
}

static void run_for(struct rig *g, uint64_t ms)
{
	uint64_t until = tr_mono_ms() + ms;

	while (tr_mono_ms() < until) {
		uv_run(&g->loop, UV_RUN_NOWAIT);
		usleep(1000);
	}
}

#define TAKEOVERS 20
static void measure(struct rig *g, bool warmed)
{
	double got[TAKEOVERS], first[TAKEOVERS], later[TAKEOVERS * 20], lead_ms[TAKEOVERS], beside[TAKEOVERS],
		behind[TAKEOVERS];
	uint64_t epoch = (uint64_t)rig_look(g, LOOK_EPOCH), began;
	unsigned i, k, own = 0, all = 0, lead_own = 0, lead_all = 0, n = 0;
	const wire_str known = wire_s("known");
	static struct other o;

	for (i = 0; i < TAKEOVERS; i++) {
		struct told t = {0};
		struct warm *w = NULL;

		spawn_lead(&o, g, ++epoch, IDLE_ROUNDS + i);
		hear(&o, 8);
		open_follower(g);
		assert_int_equal(warm_new(&w, g->a), 0);
		for (k = 0; warmed && k < 4; k++) {
			warm_ask(w);
			run_for(g, 500);
		}
		hear(&o, IDLE_ADDS); /* and others wrote since */
		memory_of(getpid(), &own, &all);
		memory_of(o.pid, &lead_own, &lead_all);
		beside[i] = warmed ? recall_ms(g, 50 + i) : 0.0;
		assert_int_equal(kill(o.pid, SIGKILL), 0);
		began = tr_mono_ns();
		assert_int_equal(archive_lead(g->a, ++epoch, on_led, &t), 0);
		got[i] = get_ms(g, known);
		first[i] = recall_ms(g, i);
		await(g, &t.done);
		lead_ms[i] = (double)(t.at_ns - began) / 1e6;
		hear(&o, 0);
		for (k = 0; k < 20; k++)
			later[n++] = recall_ms(g, 100 + i * 20 + k);
		rig_settle(g); /* a commit: readers' pages are read anew */
		behind[i] = recall_ms(g, 900 + i);
		assert_int_equal(waitpid(o.pid, NULL, 0), o.pid);
		close(o.fd);
		archive_close(&g->a);
		warm_free(&w);
		uv_run(&g->loop, UV_RUN_NOWAIT);
		msgpack_zone_clear(g->zone);
	}
	(void)p50(first, TAKEOVERS); /* sorts it */
	(void)p50(got, TAKEOVERS);
	print_message("%s %s: first get p50 %.2f max %.2f ms, then a recall p50 %.2f max %.2f ms, later ones p50 %.2f "
		      "ms, one behind a commit p50 %.2f ms, one beside the lead p50 %.2f ms; claimed p50 %.1f ms; own "
		      "(all) kB: "
		      "waiting %u (%u), leading %u (%u)\n",
		      g->kind->name, warmed ? "warmed" : "not warmed", got[TAKEOVERS / 2], got[TAKEOVERS - 1],
		      first[TAKEOVERS / 2], first[TAKEOVERS - 1], p50(later, n), p50(behind, TAKEOVERS),
		      p50(beside, TAKEOVERS), p50(lead_ms, TAKEOVERS), own, all, lead_own, lead_all);
}

/* How long it takes to the lead, in powers of two of ms. */
static int many_takeovers(unsigned takeovers)
{
	struct rig *g = rig_new();
	unsigned bins[16] = {0}, i, bin;
	uint64_t epoch, began;
	static struct other o;

	g->kind->wipe(g);
	assert_int_equal(rig_open_again(g, NULL), 0);
	archive_close(&g->a);
	uv_run(&g->loop, UV_RUN_NOWAIT);
	epoch = (uint64_t)rig_look(g, LOOK_EPOCH);
	for (i = 0; i < takeovers; i++) {
		struct told t = {0};
		double ms;

		spawn_lead(&o, g, ++epoch, i % IDLE_ROUNDS);
		hear(&o, 1);
		open_follower(g);
		hear(&o, TO_BE_SEEN);
		assert_int_equal(kill(o.pid, SIGKILL), 0);
		began = tr_mono_ns();
		assert_int_equal(archive_lead(g->a, ++epoch, on_led, &t), 0);
		await(g, &t.done);
		assert_int_equal(t.r, 0);
		ms = (double)(t.at_ns - began) / 1e6;
		for (bin = 0; bin < 15 && ms >= (double)(1u << bin); bin++)
			;
		bins[bin]++;
		if (ms >= 20)
			print_message("nr %u: %.1f ms\n", i, ms);
		hear(&o, 0);
		assert_int_equal(waitpid(o.pid, NULL, 0), o.pid);
		close(o.fd);
		archive_close(&g->a);
		uv_run(&g->loop, UV_RUN_NOWAIT);
	}
	for (bin = 0; bin < 16; bin++)
		if (bins[bin] > 0)
			print_message("%s: below %u ms: %u\n", g->kind->name, 1u << bin, bins[bin]);
	rig_free(g);
	return 0;
}

static int measure_all(unsigned memories)
{
	struct item_new_memory known = said("a known one");
	struct rig *g = rig_new();

	g->kind->wipe(g);
	assert_int_equal(rig_open_again(g, NULL), 0);
	fill(g, memories);
	known.has_id = true;
	known.id = wire_s("known");
	rig_add(g, &known);
	archive_close(&g->a);
	uv_run(&g->loop, UV_RUN_NOWAIT);
	measure(g, false);
	measure(g, true);
	rig_free(g);
	return 0;
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(a_lead_is_killed_while_it_commits, rig_setup, rig_teardown_sound),
	};

	if (argc == 7 && strcmp(argv[2], "--lead") == 0)
		return lead(rig_find(argv[1]), argv + 3);
	rig_choose(argc, argv);
	if (argc == 4 && strcmp(argv[2], "--measure") == 0)
		return measure_all((unsigned)atoi(argv[3]));
	if (argc == 4 && strcmp(argv[2], "--takeovers") == 0)
		return many_takeovers((unsigned)atoi(argv[3]));
	return cmocka_run_group_tests(tests, NULL, NULL);
}
