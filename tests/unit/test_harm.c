/* The harms that a Jr does itself, in real processes: this program is also the Jr. Links jrs/kit. */
#include "tests/unit/lead_site.h"
#include <sys/resource.h>

static void jr_anomalies(void *arg, struct chan_call *call, const void *msg)
{
	struct res_meta_anomalies out = {.analyses = (uint64_t)getpid()};

	(void)arg;
	(void)msg;
	chan_reply(call, &out);
}

static int jr_main(int argc, char **argv)
{
	struct jr *jr = NULL;
	struct jr_opts opts;
	int r;

	if ((r = jr_opts_parse(&opts, TR_ROLE_META, argc, argv)) != 0)
		return r < 0 ? 2 : 0;
	if ((r = jr_open(&jr, &opts)) < 0)
		goto out;
	jr_handle(jr, MSG_meta_anomalies, jr_anomalies, NULL);
	if ((r = jr_ready(jr)) == 0)
		r = jr_run(jr);
out:
	jr_close(&jr);
	return tr_exit_code(r);
}

static void do_harm(struct copy *c, const char *word, uint32_t ms, uint32_t amount)
{
	struct msg_fault m = {.generation = c->generation,
			      .fault = wire_s(word),
			      .has_ms = ms > 0,
			      .ms = ms,
			      .has_amount = amount > 0,
			      .amount = amount};

	assert_int_equal(packet_note(c->channel, MSG_fault, &m), 0);
}

static void heal(struct copy *c)
{
	struct msg_heal m = {.generation = c->generation};

	assert_int_equal(packet_note(c->channel, MSG_heal, &m), 0);
}

static void only_with_drills(void **state)
{
	struct site *s = *state;
	struct copy *a = spawn_with(s, "plain", "heartbeat_ms: 10\n");
	unsigned n;

	SPIN(&s->w, is(a, "serving"));
	do_harm(a, "exit", 0, 0);
	do_harm(a, "oom", 0, 0);
	do_harm(a, "half-open", 0, 0);
	n = a->beats;
	SPIN(&s->w, a->beats > n + 3);
	assert_int_equal(who(s), a->pid);
}

static void no_harm_of_others(void **state)
{
	struct site *s = *state;
	struct copy *a = spawn(s, "plain", "serving");
	unsigned n;

	do_harm(a, "kill", 0, 0); /* tribed's to do */
	do_harm(a, "earthquake", 0, 0);
	a->generation++;
	do_harm(a, "exit", 0, 0); /* of another life */
	a->generation--;
	n = a->beats;
	SPIN(&s->w, a->beats > n + 3);
	assert_int_equal(who(s), a->pid);
}

static uint64_t cpu_ticks(pid_t pid)
{
	unsigned long user = 0, sys = 0;
	char path[64], text[512], *p;
	int fd;
	ssize_t n;

	(void)snprintf(path, sizeof(path), "/proc/%ld/stat", (long)pid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	assert_true(fd >= 0);
	n = read(fd, text, sizeof(text) - 1);
	(void)close(fd);
	assert_true(n > 0);
	text[n] = '\0';
	p = strrchr(text, ')');
	assert_int_equal(sscanf(p, ") %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %lu %lu", &user, &sys), 2);
	return user + sys;
}

/* Silent, and either burning a CPU or not; tribed's SIGKILL ends it, the understudy leads. */
static void spins_or_blocks(struct site *s, const char *word, bool burns)
{
	struct copy *a = spawn(s, "plain", "serving"), *b = spawn(s, "plain", "waiting");
	uint64_t ticks, t;
	unsigned n;

	do_harm(a, word, 0, 0);
	do {
		n = a->beats;
		t = tr_mono_ms();
		SPIN(&s->w, tr_mono_ms() - t > 100);
	} while (a->beats != n); /* it is silent */
	ticks = cpu_ticks(a->pid);
	t = tr_mono_ms();
	SPIN(&s->w, tr_mono_ms() - t > 300 && (!burns || cpu_ticks(a->pid) >= ticks + 2));
	if (!burns)
		assert_in_range(cpu_ticks(a->pid) - ticks, 0, 1);
	assert_int_equal(b->leads, 0);
	kill_it(a);
	SPIN(&s->w, b->leads == 1);
	kill_it(b);
}

static void spins(void **state)
{
	spins_or_blocks(*state, "spin", true);
}

static void blocks(void **state)
{
	spins_or_blocks(*state, "block", false);
}

static void exits(void **state)
{
	struct site *s = *state;
	struct copy *a = spawn(s, "plain", "serving"), *b = spawn(s, "plain", "waiting");

	do_harm(a, "exit", 0, 0);
	assert_int_equal(wait_exit(a), 1);
	SPIN(&s->w, b->leads == 1);
	do_harm(b, "exit", 0, 42);
	assert_int_equal(wait_exit(b), 42);
}

static void runs_out_of_memory(void **state)
{
	struct site *s = *state;
	struct copy *a = spawn(s, "plain", "serving"), *b = spawn(s, "plain", "waiting");

	do_harm(a, "oom", 0, 0);
	assert_int_equal(wait_exit(a), 12);
	SPIN(&s->w, b->leads == 1);
}

static void is_slow(void **state)
{
	struct site *s = *state;
	struct copy *a = spawn(s, "plain", "serving");
	uint64_t t;

	do_harm(a, "slow", 0, 60);
	SPIN(&s->w, a->lag_us > 40000); /* each turn is late */
	t = tr_mono_ms();
	assert_int_equal(who(s), a->pid); /* and it goes on */
	assert_true(tr_mono_ms() - t >= 50);
	heal(a);
	SPIN(&s->w, strstr(said(a), "fault=slow") != NULL);
	a->lag_us = 0;
	do_harm(a, "slow", 150, 60); /* by itself */
	SPIN(&s->w, strstr(said(a), "the time of the harm is over") != NULL);
	assert_int_equal(who(s), a->pid);
}

static uint64_t resident_mb(pid_t pid)
{
	unsigned long pages = 0;
	char path[64];
	FILE *f;

	(void)snprintf(path, sizeof(path), "/proc/%ld/statm", (long)pid);
	f = fopen(path, "re");
	assert_non_null(f);
	assert_int_equal(fscanf(f, "%*u %lu", &pages), 1);
	(void)fclose(f);
	return pages * (uint64_t)sysconf(_SC_PAGESIZE) >> 20;
}

static void is_heavy(void **state)
{
	struct site *s = *state;
	struct copy *a = spawn(s, "plain", "serving"), *b = spawn(s, "plain", "waiting");
	uint64_t before = resident_mb(a->pid);

	do_harm(a, "heap", 0, 64);
	SPIN(&s->w, resident_mb(a->pid) >= before + 60);
	assert_int_equal(who(s), a->pid); /* and it goes on */
	heal(a);
	SPIN(&s->w, resident_mb(a->pid) < before + 16);
	do_harm(a, "heap", 0, 64);
	SPIN(&s->w, resident_mb(a->pid) >= before + 60);
	kill_it(a);
	SPIN(&s->w, b->leads == 1);
}

static void has_no_descriptors(void **state)
{
	struct site *s = *state;
	struct copy *a = spawn(s, "plain", "serving");
	struct rlimit before, during, after;
	struct raw c;
	unsigned n;

	assert_int_equal(who(s), a->pid);
	assert_int_equal(prlimit(a->pid, RLIMIT_NOFILE, NULL, &before), 0);
	do_harm(a, "fd-exhaustion", 0, 0);
	SPIN(&s->w, strstr(said(a), "fault=fd-exhaustion") != NULL);
	n = a->beats;
	SPIN(&s->w, a->beats > n + 3); /* it lives */
	assert_int_equal(prlimit(a->pid, RLIMIT_NOFILE, NULL, &during), 0);
	assert_true(during.rlim_cur < before.rlim_cur && during.rlim_cur < 64);
	assert_int_equal(who(s), a->pid); /* who has a connection is served */
	raw_open(&c, &s->w);
	raw_ask(&c, 9, MSG_ping, &(struct msg_ping){0});
	n = a->beats;
	SPIN(&s->w, a->beats > n + 5);
	assert_int_equal(raw_has(&c), 0); /* others wait, and are not turned away */
	assert_false(c.eof);
	heal(a);
	assert_int_equal(raw_answer(&s->w, &c, 9, NULL), 0);
	assert_int_equal(prlimit(a->pid, RLIMIT_NOFILE, NULL, &after), 0);
	assert_int_equal(after.rlim_cur, before.rlim_cur);
	raw_close(&c);
}

static void is_half_open(void **state)
{
	struct site *s = *state;
	struct copy *a = spawn(s, "plain", "serving");

	do_harm(a, "half-open", 0, 0);
	SPIN(&s->w, strstr(said(a), "fault=half-open") != NULL);
	ask(s);
	SPIN(&s->w, a->inflight == 1); /* it beats, and says what is in flight */
	assert_int_equal(s->answers, 0);
	heal(a);
	SPIN(&s->w, s->answers == 1);
	assert_int_equal(s->r, 0);
	do_harm(a, "half-open", 50, 0);
	assert_int_equal(who(s), a->pid); /* when its time is over */
}

/* Whom nobody answers is overdue, but not before his own deadline. */
static void is_late(void **state)
{
	struct site *s = *state;
	struct copy *a =
		spawn_with(s, "plain", "heartbeat_ms: 10\nhang_after_ms: 50\nrequest_timeout_ms: 100\ndrills: true\n");
	struct raw c;
	unsigned n;
	uint64_t t;

	SPIN(&s->w, is(a, "serving"));
	do_harm(a, "half-open", 0, 0);
	SPIN(&s->w, strstr(said(a), "fault=half-open") != NULL);
	ask(s); /* it has 10 s */
	SPIN(&s->w, a->inflight == 1);
	t = tr_mono_ms();
	raw_open(&c, &s->w);
	raw_ask(&c, 9, MSG_ping, &(struct msg_ping){0});
	SPIN(&s->w, a->inflight == 2);
	SPIN(&s->w, a->overdue > 0);
	assert_true(tr_mono_ms() - t >= 150);
	n = a->beats;
	SPIN(&s->w, a->beats > n + 10);
	assert_int_equal(a->overdue, 1);
	assert_int_equal(a->inflight, 2);
	heal(a);
	SPIN(&s->w, s->answers == 1);
	n = a->beats;
	SPIN(&s->w, a->beats > n + 1);
	assert_int_equal(a->overdue, 0);
	raw_close(&c);
}

static void answers_garbage(void **state)
{
	struct site *s = *state;
	struct copy *a = spawn(s, "plain", "serving"), *b = spawn(s, "plain", "waiting");

	unsigned asked = 1;
	uint64_t n;

	peer_open(s->caller);
	assert_int_equal(who(s), a->pid);
	do_harm(a, "garbage", 0, 0);
	SPIN(&s->w, strstr(said(a), "fault=garbage") != NULL);
	for (int i = 0; i < 3; i++, asked++)
		ask(s);
	SPIN(&s->w, peer_stats(s->caller)->broken > 8); /* each way of it twice, and nobody is told */
	assert_int_equal(s->answers, 1);
	heal(a);
	SPIN(&s->w, s->answers == asked);
	assert_int_equal(s->r, 0);
	for (int i = 0; i < 4; i++)
		assert_int_equal(s->by[i], a->pid);
	do_harm(a, "garbage", 0, 0);
	SPIN(&s->w, strstr(said(a), "fault=garbage") != NULL);
	n = peer_stats(s->caller)->broken;
	ask(s);
	SPIN(&s->w, peer_stats(s->caller)->broken > n + 4);
	kill_it(a);
	SPIN(&s->w, b->leads == 1);
	SPIN(&s->w, s->answers == asked + 1);
	assert_int_equal(s->r, 0);
	assert_int_equal(who(s), b->pid);
}

int main(int argc, char **argv)
{
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(only_with_drills),
		T(no_harm_of_others),
		T(spins),
		T(blocks),
		T(exits),
		T(runs_out_of_memory),
		T(is_slow),
		T(is_heavy),
		T(has_no_descriptors),
		T(is_half_open),
		T(is_late),
		T(answers_garbage),
	};
	const char *mode = getenv("TEST_KIT_JR");

	if (mode != NULL)
		return jr_main(argc, argv);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
