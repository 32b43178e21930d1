/* jrs/kit in real processes: this program is also the Jr (TEST_KIT_JR says which), started as tribed starts one. Links
 * jrs/kit. */
#include "common/base/version.h"
#include "jrs/kit/jr.h"
#include "proto/chan/packet.h"
#include "tests/unit/kit_spawn.h"
#include <poll.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>

/* ---- the Jr ---- */

struct test_jr {
	struct jr *jr;
	const char *mode;
	struct chan_call *held;
};

static void jr_answered(void *arg, int r, const void *res, const struct tr_fault *fault)
{
	struct test_jr *t = arg;
	struct res_meta_anomalies out = {.analyses = r == 0 ? ((const struct res_ping *)res)->pid : 0};

	if (r < 0)
		chan_fail(t->held, fault);
	else
		chan_reply(t->held, &out);
	t->held = NULL;
}

static void jr_anomalies(void *arg, struct chan_call *call, const void *msg)
{
	struct test_jr *t = arg;
	struct msg_ping ping = {0};
	struct msg_status status = {0};
	int r = 0;

	(void)msg;
	t->held = call;
	if (strcmp(t->mode, "peer") == 0)
		r = peer_call(jr_peer(t->jr, TR_ROLE_META), MSG_ping, &ping, 5000, jr_answered, t, NULL);
	else if (strcmp(t->mode, "ask") == 0)
		r = jr_ask_supervisor(t->jr, MSG_status, &status, 5000, jr_answered, t);
	else if (strcmp(t->mode, "fatal") == 0)
		jr_fatal(t->jr, TR_ESTORE);
	if (strcmp(t->mode, "spin") == 0) {
		(void)!write(STDOUT_FILENO, "spinning\n", 9);
		for (;;)
			;
	}
	if (r < 0)
		abort();
}

static void jr_beat(void *arg, struct msg_heartbeat *beat)
{
	struct test_jr *t = arg;

	jr_count(t->jr, 1, 2);
	jr_gauge(t->jr, 10, 20);
	beat->has_recalls_total = true;
	beat->recalls_total = 77;
}

/* Drains by itself: what was held is answered, then it says so. */
static void jr_draining(void *arg)
{
	struct test_jr *t = arg;
	struct res_meta_anomalies out = {.analyses = 99};

	if (t->held != NULL)
		chan_reply(t->held, &out);
	t->held = NULL;
	jr_drained(t->jr);
}

static int jr_main(const char *mode, int argc, char **argv)
{
	static const struct tr_library libs[] = {{"imagined", "1.2"}};
	struct test_jr t = {.mode = mode};
	struct jr_opts opts;
	struct rlimit core;
	int r;

	jr_libraries(libs, 1);
	if ((r = jr_opts_parse(&opts, TR_ROLE_META, argc, argv)) != 0)
		return r < 0 ? 2 : 0;
	if ((r = jr_open(&t.jr, &opts)) < 0)
		goto out;
	if (getenv("LISTEN_FDS") != NULL || getrlimit(RLIMIT_CORE, &core) < 0 || core.rlim_max != 0 ||
	    prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) != 1)
		return 9;
	jr_handle(t.jr, MSG_meta_anomalies, jr_anomalies, &t);
	jr_on_beat(t.jr, jr_beat, &t);
	if (strcmp(mode, "drains") == 0)
		jr_on_drain(t.jr, jr_draining, &t);
	if ((r = jr_ready(t.jr)) < 0)
		goto out;
	r = jr_run(t.jr);
out:
	if (t.held != NULL)
		chan_failf(t.held, TR_ECLOSED, NULL, "leaving");
	jr_close(&t.jr);
	return tr_exit_code(r);
}

/* ---- tribed's side ---- */

struct site {
	struct world w;
	int listener, stderr_fd, lead_fd;
	struct lead_page *lead;
	struct packet *channel;
	pid_t pid, middle; /* the Jr; its parent where that is not this program */
	unsigned hellos, leads, beats, closed, asked;
	uint64_t epoch, seq, recalls, handled;
	uint32_t inflight, queue;
	char state[16];
	bool bad_beat;
	struct raw c;
};

static void on_message(void *arg, struct packet *ch, enum wire_msg_id id, uint32_t msgid, const void *msg)
{
	struct site *s = arg;

	if (id == MSG_hello) {
		const struct msg_hello *m = msg;

		s->hellos++;
		assert_int_equal(s->beats, 0);
		assert_int_equal(m->generation, 4);
		assert_int_equal(m->proto_rev, WIRE_PROTO_REV);
		assert_int_equal(m->pid, s->pid);
		assert_memory_equal(m->jr.p, "meta_jr", 7);
	} else if (id == MSG_heartbeat) {
		const struct msg_heartbeat *m = msg;

		s->bad_beat |= m->seq != s->seq + 1 || m->rss_bytes < 100000 || m->generation != 4 ||
			       m->epoch != s->epoch || m->pid != (uint32_t)s->pid || m->handled_total < s->handled;
		s->seq = m->seq;
		s->handled = m->handled_total;
		s->recalls = m->recalls_total;
		s->inflight = m->inflight;
		s->queue = m->queue_depth;
		(void)snprintf(s->state, sizeof(s->state), "%.*s", (int)m->state.n, m->state.p);
		s->beats++;
	} else if (id == MSG_lead) {
		const struct msg_lead *m = msg;

		assert_int_equal(s->hellos, 1);
		assert_int_equal(s->beats, 0); /* at once: nobody led */
		assert_int_equal(m->generation, 4);
		assert_int_equal(m->pid, s->pid);
		assert_int_equal(m->since_ns, 0);
		assert_memory_equal(m->jr.p, "meta_jr", 7);
		s->leads++;
		s->epoch = m->epoch;
	} else if (id == MSG_status) {
		struct tr_fault f = {0};

		(void)tr_fault_set(&f, TR_EBUSY, "", "asked too early");
		s->asked++;
		assert_int_equal(packet_fail(ch, msgid, &f), 0);
	}
}

static void on_close(void *arg, struct packet *ch)
{
	struct site *s = arg;

	(void)ch;
	s->closed++;
}

static int setup(void **state)
{
	struct site *s = calloc(1, sizeof(*s));

	world_open(&s->w);
	(void)snprintf(s->w.path, sizeof(s->w.path), "%s/meta.sock", s->w.dir);
	s->listener = world_listen(&s->w);
	s->c.fd = s->stderr_fd = -1;
	assert_int_equal(lead_page_new(&s->lead_fd, &s->lead), 0);
	atomic_store(&s->lead->epoch, 5);
	*state = s;
	return 0;
}

static int teardown(void **state)
{
	struct site *s = *state;

	pid_t left[2] = {s->middle, s->pid}; /* in this order: the second may become our child by it */

	for (int i = 0; i < 2; i++) {
		if (left[i] > 0) {
			(void)kill(left[i], SIGKILL);
			(void)waitpid(left[i], NULL, 0);
		}
	}
	packet_free(&s->channel);
	raw_close(&s->c);
	if (s->stderr_fd >= 0)
		(void)close(s->stderr_fd);
	(void)close(s->listener);
	lead_page_unmap(&s->lead);
	(void)close(s->lead_fd);
	world_close(&s->w);
	free(s);
	return 0;
}

/* parent_dies: the Jr's parent is a process of its own that ends when `go` is closed. */
static void start_with(struct site *s, struct spawn sp, int go)
{
	static const struct packet_ops ops = {on_message, on_close};
	struct spawn_fds fds = {.socket = s->listener, .lead = s->lead_fd};
	int ends[2], err[2], pid_pipe[2];
	pid_t pid;

	sp.names = sp.names == NULL ? "channel:config:socket:lead" : sp.names;
	sp.generation = sp.generation == NULL ? "4" : sp.generation;
	fds.config = spawn_config(sp.config == NULL ? "heartbeat_ms: 10\nstop_timeout_ms: 5000\n" : sp.config);
	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends), 0);
	assert_int_equal(pipe2(err, O_CLOEXEC), 0);
	assert_int_equal(pipe2(pid_pipe, O_CLOEXEC), 0);
	fds.channel = ends[1];
	fds.err = err[1];
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0 && go < 0)
		spawn_become(&sp, &fds, s->w.dir);
	if (pid == 0) {
		char c;

		pid = fork();
		if (pid == 0)
			spawn_become(&sp, &fds, s->w.dir);
		(void)!write(pid_pipe[1], &pid, sizeof(pid));
		(void)!read(go, &c, 1);
		_exit(0);
	}
	s->pid = pid;
	s->middle = go >= 0 ? pid : 0;
	if (go >= 0)
		assert_int_equal(read(pid_pipe[0], &s->pid, sizeof(s->pid)), sizeof(s->pid));
	(void)close(pid_pipe[0]);
	(void)close(pid_pipe[1]);
	(void)close(fds.config);
	(void)close(ends[1]);
	(void)close(err[1]);
	s->stderr_fd = err[0];
	assert_int_equal(packet_new(&s->channel, &s->w.loop, ends[0], FROM_META, &ops, s), 0);
}

static void start(struct site *s, const char *mode)
{
	start_with(s, (struct spawn){.mode = mode, .nfds = 4}, -1);
	SPIN(&s->w, s->beats > 0);
	assert_int_equal(s->hellos, 1);
	assert_int_equal(s->leads, 1);
	assert_true(s->epoch > 5);
}

/* Exit status, or minus the signal. */
static int wait_exit(struct site *s)
{
	int status = 0;

	SPIN(&s->w, waitpid(s->pid, &status, WNOHANG) == s->pid);
	s->pid = 0;
	return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
}

static const char *said(struct site *s)
{
	static char text[8192];
	size_t n = 0;
	ssize_t r;

	while ((r = read(s->stderr_fd, text + n, sizeof(text) - 1 - n)) > 0)
		n += (size_t)r;
	text[n] = '\0';
	return text;
}

static void ask_anomalies(struct site *s, uint32_t msgid)
{
	struct msg_meta_anomalies m = {0};

	raw_ask(&s->c, msgid, MSG_meta_anomalies, &m);
}

static void tell_drain(struct site *s, uint32_t generation, uint32_t deadline_ms)
{
	struct msg_drain m = {.generation = generation, .deadline_ms = deadline_ms};

	assert_int_equal(packet_note(s->channel, MSG_drain, &m), 0);
}

static void a_life(void **state)
{
	struct site *s = *state;
	struct msg_ping m = {0};
	struct res_ping res;
	struct wire_in in;
	struct tr_fault f;
	size_t len;

	start(s, "plain");
	SPIN(&s->w, s->beats >= 5);
	assert_false(s->bad_beat);
	assert_string_equal(s->state, "serving");
	assert_int_equal(s->recalls, 77);
	assert_int_equal(s->inflight, 10);
	assert_int_equal(s->queue, 20);
	raw_open(&s->c, &s->w);
	raw_ask(&s->c, 1, MSG_ping, &m);
	raw_next(&s->w, &s->c, &in, &len);
	assert_int_equal(wire_decode_result(&in, MSG_ping, &res, &f), 0);
	assert_int_equal(res.pid, s->pid);
	assert_int_equal(res.generation, 4);
	assert_int_equal(res.epoch, 6);
	assert_true(res.monotonic_ns <= tr_mono_ns());
	raw_done(&s->c, &in, len);
	tell_drain(s, 3, 1000); /* meant for an earlier life */
	SPIN(&s->w, s->beats >= 8);
	assert_string_equal(s->state, "serving");
	tell_drain(s, 4, 10000);
	SPIN(&s->w, s->closed == 1); /* its last beats are read */
	assert_int_equal(wait_exit(s), 0);
	assert_string_equal(s->state, "draining");
	assert_false(s->bad_beat);
}

static void finishes_what_is_in_flight(void **state)
{
	struct site *s = *state;

	start(s, "ask");
	raw_open(&s->c, &s->w);
	ask_anomalies(s, 1);
	tell_drain(s, 4, 10000); /* either before or after the question has arrived */
	assert_int_equal(wait_exit(s), 0);
	raw_read(&s->c);
	assert_int_equal(s->c.n > 0, s->asked > 0); /* taken means answered */
}

static void asks_the_supervisor(void **state)
{
	struct site *s = *state;
	struct tr_fault f;

	start(s, "ask");
	raw_open(&s->c, &s->w);
	ask_anomalies(s, 1);
	assert_int_equal(raw_answer(&s->w, &s->c, 1, &f), TR_EBUSY);
	assert_string_equal(f.rule, "asked too early");
	(void)kill(s->pid, SIGTERM);
	assert_int_equal(wait_exit(s), 0);
}

static void asks_a_peer(void **state)
{
	struct site *s = *state;

	start(s, "peer");
	raw_open(&s->c, &s->w);
	ask_anomalies(s, 1);
	assert_int_equal(raw_answer(&s->w, &s->c, 1, NULL), 0);
	(void)kill(s->pid, SIGINT);
	assert_int_equal(wait_exit(s), 0);
}

static void drains_its_own_way(void **state)
{
	struct site *s = *state;

	start(s, "drains");
	raw_open(&s->c, &s->w);
	ask_anomalies(s, 1);
	SPIN(&s->w, s->inflight == 11); /* taken, and not answered before the drain */
	tell_drain(s, 4, 10000);
	assert_int_equal(raw_answer(&s->w, &s->c, 1, NULL), 0);
	assert_int_equal(wait_exit(s), 0);
}

static void drain_has_a_deadline(void **state)
{
	struct site *s = *state;
	uint64_t t;

	start(s, "plain");
	raw_open(&s->c, &s->w);
	ask_anomalies(s, 1); /* never answered */
	SPIN(&s->w, s->inflight == 11);
	t = tr_mono_ms();
	tell_drain(s, 4, 300);
	assert_int_equal(wait_exit(s), 0);
	assert_true(tr_mono_ms() - t >= 250);
}

static void fatal(void **state)
{
	struct site *s = *state;

	start(s, "fatal");
	raw_open(&s->c, &s->w);
	ask_anomalies(s, 1);
	assert_int_equal(wait_exit(s), tr_exit_code(TR_ESTORE));
}

static void tribed_gone(void **state)
{
	struct site *s = *state;
	uint64_t t;

	start(s, "plain");
	packet_free(&s->channel);
	assert_int_equal(wait_exit(s), 0);
	(void)close(s->stderr_fd);
	s->hellos = s->leads = s->beats = 0;
	s->seq = s->handled = 0;
	start(s, "plain"); /* and once with work that never ends */
	raw_open(&s->c, &s->w);
	ask_anomalies(s, 1);
	SPIN(&s->w, s->inflight == 11);
	t = tr_mono_ms();
	packet_free(&s->channel);
	assert_int_equal(wait_exit(s), 0);
	assert_true(tr_mono_ms() - t >= 1900);
}

static void tribed_gone_and_the_loop_spins(void **state)
{
	struct site *s = *state;
	struct pollfd said_so;

	start_with(s, (struct spawn){.mode = "spin", .nfds = 4, .config = "heartbeat_ms: 10\nlog.level: warn\n"}, -1);
	SPIN(&s->w, s->beats > 0);
	raw_open(&s->c, &s->w);
	ask_anomalies(s, 1);
	said_so = (struct pollfd){.fd = s->stderr_fd, .events = POLLIN};
	SPIN(&s->w, poll(&said_so, 1, 0) == 1); /* its log is quiet until then */
	packet_free(&s->channel);
	assert_int_equal(wait_exit(s), 5);
	assert_string_equal(said(s), "spinning\n");
}

/* A stopped Jr goes on when its parent dies, and leaves. */
static void tribed_gone_while_stopped(void **state)
{
	struct site *s = *state;
	int go[2], status = 0;

	assert_int_equal(prctl(PR_SET_CHILD_SUBREAPER, 1), 0); /* so that we can wait for it */
	assert_int_equal(pipe2(go, O_CLOEXEC), 0);
	start_with(s, (struct spawn){.mode = "plain", .nfds = 4}, go[0]);
	SPIN(&s->w, s->beats > 0);
	(void)kill(s->pid, SIGSTOP);
	packet_free(&s->channel);
	assert_int_equal(waitpid(s->pid, &status, WNOHANG), -1); /* not our child yet */
	assert_int_equal(write(go[1], "x", 1), 1);               /* ends the process between us */
	SPIN(&s->w, waitpid(s->middle, NULL, WNOHANG) == s->middle);
	s->middle = 0;
	SPIN(&s->w, waitpid(s->pid, &status, WNOHANG) == s->pid);
	s->pid = 0;
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 0);
	(void)close(go[0]);
	(void)close(go[1]);
}

/* ---- not started by tribed, or badly ---- */

static void refuses(struct site *s, struct spawn sp, int code, const char *line)
{
	const char *text;

	if (sp.mode == NULL)
		sp.mode = "plain";
	start_with(s, sp, -1);
	assert_int_equal(wait_exit(s), code);
	text = said(s);
	if (strstr(text, line) == NULL)
		fail_msg("expected \"%s\" in: %s", line, text);
	assert_int_equal(s->hellos, 0);
	packet_free(&s->channel);
	(void)close(s->stderr_fd);
	s->stderr_fd = -1;
}

static void by_hand(void **state)
{
	struct site *s = *state;

	refuses(s, (struct spawn){.nfds = 0}, 2, "meta-jr is started by tribed; run `tribed` instead\n");
	refuses(s, (struct spawn){.nfds = 0, .arg = "-V"}, 0, "imagined 1.2\n");
	refuses(s, (struct spawn){.nfds = 0, .arg = "--version"}, 0, "meta-jr ");
	refuses(s, (struct spawn){.nfds = 0, .arg = "-h"}, 0, "--check");
	refuses(s, (struct spawn){.nfds = 0, .arg = "--nope"}, 2, "nope");
	refuses(s, (struct spawn){.nfds = 0, .arg = "word"}, 2, "takes no arguments");
}

static void badly_started(void **state)
{
	struct site *s = *state;

	refuses(s, (struct spawn){.nfds = 2, .names = "channel:config"}, 2, "lead is missing");
	refuses(s, (struct spawn){.nfds = 3, .names = "channel:config:socket"}, 2, "lead is missing");
	refuses(s, (struct spawn){.nfds = 3, .names = "channel:config"}, 2, "LISTEN_FDS");
	refuses(s, (struct spawn){.nfds = 3, .names = "channel:channel:socket"}, 2, "twice");
	refuses(s, (struct spawn){.nfds = 3, .names = "socket:config:channel"}, 2, "wrong kind");
	refuses(s, (struct spawn){.nfds = 4, .generation = "x"}, 2, "TRIBE_GENERATION");
	refuses(s, (struct spawn){.nfds = 4, .generation = "4294967296"}, 2, "TRIBE_GENERATION");
	refuses(s, (struct spawn){.nfds = 4, .config = "heartbeat_ms: 1\n"}, 2, "heartbeat_ms");
	refuses(s, (struct spawn){.nfds = 4, .config = "{"}, 2, "is not YAML");
	(void)close(s->lead_fd);
	s->lead_fd = spawn_config("no page at all");
	refuses(s, (struct spawn){.nfds = 4}, tr_exit_code(TR_EPROTO), "cannot start: ");
}

int main(int argc, char **argv)
{
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(a_life),
		T(finishes_what_is_in_flight),
		T(asks_the_supervisor),
		T(asks_a_peer),
		T(drains_its_own_way),
		T(drain_has_a_deadline),
		T(fatal),
		T(tribed_gone),
		T(tribed_gone_and_the_loop_spins),
		T(tribed_gone_while_stopped),
		T(by_hand),
		T(badly_started),
	};
	const char *mode = getenv("TEST_KIT_JR");

	if (mode != NULL)
		return jr_main(mode, argc, argv);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
