/* Who leads a role, in real processes: this program is also the Jr (TEST_KIT_JR says which), several of them share a
 * socket and a page. The test plays tribed, a caller, and executive-jr, who is told of a new lead. Links jrs/kit.
 *
 * TEST_LEAD_ROUNDS=500 measures takeovers; TEST_LEAD_HEAP=512 with so many MB in the dead lead. */
#include "jrs/kit/jr.h"
#include "proto/chan/packet.h"
#include "tests/unit/kit_spawn.h"
#include <signal.h>
#include <sys/resource.h>
#include <sys/wait.h>

/* ---- every allocation, libraries' too ---- */

static volatile sig_atomic_t counting;
static volatile unsigned allocations;

static void count(void)
{
	if (counting)
		allocations++;
}

#ifdef __SANITIZE_ADDRESS__
extern int
__sanitizer_install_malloc_and_free_hooks(void (*allocated)(const volatile void *, size_t),
					  void (*freed)(const volatile void *)); /* gcc has no header for it */

static void on_malloc(const volatile void *p, size_t n)
{
	(void)p;
	(void)n;
	count();
}

static void on_free(const volatile void *p)
{
	(void)p;
}

static void count_allocations(void)
{
	assert_true(__sanitizer_install_malloc_and_free_hooks(on_malloc, on_free) > 0);
}
#else
extern void *__libc_malloc(size_t n);
extern void *__libc_calloc(size_t n, size_t size);
extern void *__libc_realloc(void *p, size_t n);

__attribute__((visibility("default"))) void *malloc(size_t n)
{
	count();
	return __libc_malloc(n);
}

__attribute__((visibility("default"))) void *calloc(size_t n, size_t size)
{
	count();
	return __libc_calloc(n, size);
}

__attribute__((visibility("default"))) void *realloc(void *p, size_t n)
{
	count();
	return __libc_realloc(p, n);
}

static void count_allocations(void)
{
}
#endif

static void on_usr1(int signum)
{
	(void)signum;
	counting = 1;
}

/* ---- the Jr ---- */

struct test_jr {
	struct jr *jr;
	const char *mode;
	struct loop_timer *later;
	struct chan_call *held;
	unsigned at_lead; /* allocations until then */
};

static void answer(struct chan_call *call)
{
	struct res_meta_anomalies out = {.analyses = (uint64_t)getpid()};

	chan_reply(call, &out);
}

static void jr_later(void *arg)
{
	struct test_jr *t = arg;

	if (t->held != NULL)
		answer(t->held);
	t->held = NULL;
}

static void jr_anomalies(void *arg, struct chan_call *call, const void *msg)
{
	struct test_jr *t = arg;

	(void)msg;
	if (strcmp(t->mode, "later") == 0 && t->held == NULL && jr_epoch(t->jr) == 1) {
		t->held = call;
		(void)loop_timer_start(t->later, 100, 0);
	} else if (strcmp(t->mode, "fatal") == 0 && jr_epoch(t->jr) == 1) {
		t->held = call;
		jr_fatal(t->jr, TR_ESTORE);
	} else {
		answer(call);
	}
}

static void jr_lead(void *arg, uint64_t epoch)
{
	struct test_jr *t = arg;

	t->at_lead = allocations;
	if (!jr_leads(t->jr) || jr_epoch(t->jr) != epoch)
		abort();
	if (strcmp(t->mode, "leaves") == 0)
		jr_leave(t->jr, "it does not like to lead");
}

static void jr_beat(void *arg, struct msg_heartbeat *beat)
{
	struct test_jr *t = arg;

	jr_gauge(t->jr, 0, allocations);
	beat->has_recalls_total = true;
	beat->recalls_total = t->at_lead;
}

/* Pages that the kernel has to take apart when this process dies. */
static void grow(void)
{
	const char *mb = getenv("TEST_LEAD_HEAP");
	size_t n = mb == NULL ? 0 : strtoul(mb, NULL, 10) << 20;
	char *p = n == 0 ? NULL : malloc(n);

	if (p != NULL)
		memset(p, 1, n);
}

static int jr_main(const char *mode, int argc, char **argv)
{
	struct test_jr t = {.mode = mode};
	struct jr_opts opts;
	int r;

	(void)signal(SIGUSR1, on_usr1);
	count_allocations();
	if ((r = jr_opts_parse(&opts, TR_ROLE_META, argc, argv)) != 0)
		return r < 0 ? 2 : 0;
	if ((r = jr_open(&t.jr, &opts)) < 0)
		goto out;
	if ((r = loop_timer_new(&t.later, jr_loop(t.jr), jr_later, &t)) < 0)
		goto out;
	grow();
	jr_handle(t.jr, MSG_meta_anomalies, jr_anomalies, &t);
	jr_on_beat(t.jr, jr_beat, &t);
	jr_on_lead(t.jr, jr_lead, &t);
	if (strcmp(mode, "above") == 0)
		jr_epoch_above(t.jr, 1000);
	if (jr_leads(t.jr) || jr_epoch(t.jr) != 0)
		return 9;
	if ((r = jr_ready(t.jr)) < 0)
		goto out;
	r = jr_run(t.jr);
	if (jr_leads(t.jr))
		return 9;
	if (strcmp(mode, "lingers") == 0) /* as one that closes its archive: until it is killed */
		for (;;)
			(void)pause();
out:
	if (t.held != NULL)
		chan_failf(t.held, TR_ECLOSED, NULL, "leaving");
	loop_timer_free(&t.later);
	jr_close(&t.jr);
	return tr_exit_code(r);
}

/* ---- tribed's side ---- */

#define COPIES_MAX 4

struct site;
struct copy {
	struct site *site;
	struct packet *channel;
	pid_t pid;
	int err;
	uint32_t generation;
	unsigned hellos, leads, beats;
	uint64_t epoch, since_ns, began_ns, allocations;
	uint32_t inflight, queue, lag_us;
	char state[16];
};
struct site {
	struct world w;
	int listener, executive_listener, lead_fd;
	struct lead_page *lead;
	uint32_t generation;
	struct copy copies[COPIES_MAX];
	struct chan_server *executive; /* hears jr.lead of meta-jr */
	char executive_path[128];
	unsigned heard;
	uint64_t heard_epoch, heard_ns;
	struct peer *caller;
	unsigned answers;
	int r;
	pid_t answered_by;
	uint64_t answered_ns;
};

static void on_message(void *arg, struct packet *ch, enum wire_msg_id id, uint32_t msgid, const void *msg)
{
	struct copy *c = arg;

	(void)ch;
	(void)msgid;
	if (id == MSG_hello) {
		c->hellos++;
		assert_int_equal(c->beats + c->leads, 0);
	} else if (id == MSG_lead) {
		const struct msg_lead *m = msg;

		assert_int_equal(c->hellos, 1);
		assert_int_equal(m->generation, c->generation);
		assert_int_equal(m->pid, c->pid);
		assert_true(m->monotonic_ns >= m->since_ns);
		c->leads++;
		c->epoch = m->epoch;
		c->since_ns = m->since_ns;
		c->began_ns = m->monotonic_ns;
	} else if (id == MSG_heartbeat) {
		const struct msg_heartbeat *m = msg;

		c->beats++;
		assert_int_equal(m->epoch, c->epoch); /* 0 while it waits */
		c->allocations = m->recalls_total;
		c->inflight = m->inflight;
		c->queue = m->queue_depth;
		if (m->loop_lag_us > c->lag_us)
			c->lag_us = (uint32_t)m->loop_lag_us;
		(void)snprintf(c->state, sizeof(c->state), "%.*s", (int)m->state.n, m->state.p);
	}
}

static void on_close(void *arg, struct packet *ch)
{
	(void)arg;
	(void)ch;
}

static void on_lead_note(void *arg, const void *msg)
{
	struct site *s = arg;
	const struct msg_lead *m = msg;

	s->heard++;
	s->heard_ns = tr_mono_ns();
	if (m->epoch > s->heard_epoch)
		s->heard_epoch = m->epoch;
	peer_move(s->caller, m->epoch);
}

static void on_ping(void *arg, struct chan_call *call, const void *msg)
{
	struct res_ping res = {.jr = wire_s("executive_jr"), .pid = 1, .generation = 1, .epoch = 1};

	(void)arg;
	(void)msg;
	chan_reply(call, &res);
}

static int setup(void **state)
{
	struct site *s = calloc(1, sizeof(*s));
	struct chan_server_cfg cfg = {.max_conns = 64, .max_inflight = 64, .max_queue = 1 << 20};

	world_open(&s->w);
	(void)snprintf(s->executive_path, sizeof(s->executive_path), "%s/executive.sock", s->w.dir);
	(void)strcpy(s->w.path, s->executive_path);
	cfg.loop = &s->w.loop;
	cfg.fd = world_listen(&s->w);
	assert_int_equal(chan_server_new(&s->executive, &cfg), 0);
	chan_server_handle(s->executive, MSG_ping, on_ping, s);
	chan_server_on_note(s->executive, MSG_lead, on_lead_note, s);
	(void)snprintf(s->w.path, sizeof(s->w.path), "%s/meta.sock", s->w.dir);
	s->listener = world_listen(&s->w);
	assert_int_equal(peer_new(&s->caller, &s->w.loop, s->w.path, 64), 0);
	assert_int_equal(lead_page_new(&s->lead_fd, &s->lead), 0);
	*state = s;
	return 0;
}

static const char *said(const struct copy *c)
{
	static char text[16384];
	ssize_t r = read(c->err, text, sizeof(text) - 1);

	text[r < 0 ? 0 : r] = '\0';
	return text;
}

static void forget(struct copy *c)
{
	if (c->pid > 0) {
		(void)kill(c->pid, SIGKILL);
		(void)waitpid(c->pid, NULL, 0);
	}
	packet_free(&c->channel);
	if (c->site != NULL)
		(void)close(c->err);
	memset(c, 0, sizeof(*c));
}

static int teardown(void **state)
{
	struct site *s = *state;

	for (int i = 0; i < COPIES_MAX; i++)
		forget(&s->copies[i]);
	peer_free(&s->caller);
	chan_server_free(&s->executive);
	(void)close(s->listener);
	lead_page_unmap(&s->lead);
	(void)close(s->lead_fd);
	(void)unlink(s->executive_path);
	world_close(&s->w);
	free(s);
	return 0;
}

/* Not waited for. */
static struct copy *spawn_with(struct site *s, const char *mode, const char *config)
{
	static const struct packet_ops ops = {on_message, on_close};
	char generation[16];
	struct spawn sp = {.mode = mode, .names = "channel:config:socket:lead", .generation = generation, .nfds = 4};
	struct spawn_fds fds = {.socket = s->listener, .lead = s->lead_fd};
	struct copy *c = s->copies;
	int ends[2], err[2];

	while (c->site != NULL)
		c++;
	assert_true(c < s->copies + COPIES_MAX);
	c->generation = ++s->generation;
	(void)snprintf(generation, sizeof(generation), "%u", c->generation);
	fds.config = spawn_config(config);
	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends), 0);
	assert_int_equal(pipe2(err, O_CLOEXEC | O_NONBLOCK), 0);
	fds.channel = ends[1];
	fds.err = err[1];
	c->pid = fork();
	assert_true(c->pid >= 0);
	if (c->pid == 0)
		spawn_become(&sp, &fds, s->w.dir);
	c->site = s;
	c->err = err[0];
	(void)close(fds.config);
	(void)close(ends[1]);
	(void)close(err[1]);
	assert_int_equal(packet_new(&c->channel, &s->w.loop, ends[0], FROM_META, &ops, c), 0);
	return c;
}

static bool is(const struct copy *c, const char *state)
{
	return strcmp(c->state, state) == 0;
}

static struct copy *spawn(struct site *s, const char *mode, const char *state)
{
	struct copy *c = spawn_with(s, mode, "heartbeat_ms: 10\nstop_timeout_ms: 5000\ndrills: true\n");

	SPIN(&s->w, is(c, state));
	assert_int_equal(c->hellos, 1);
	return c;
}

/* Exit status, or minus the signal. */
static int wait_exit(struct copy *c)
{
	int status = 0;

	SPIN(&c->site->w, waitpid(c->pid, &status, WNOHANG) == c->pid);
	c->pid = 0;
	return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
}

static void kill_it(struct copy *c)
{
	assert_int_equal(kill(c->pid, SIGKILL), 0);
	assert_int_equal(wait_exit(c), -SIGKILL);
}

static void answered(void *arg, int r, const void *res, const struct tr_fault *fault)
{
	struct site *s = arg;

	(void)fault;
	s->answered_ns = tr_mono_ns();
	s->answers++;
	s->r = r;
	s->answered_by = r == 0 ? (pid_t)((const struct res_meta_anomalies *)res)->analyses : 0;
}

static void ask(struct site *s)
{
	struct msg_meta_anomalies m = {0};

	assert_int_equal(peer_call(s->caller, MSG_meta_anomalies, &m, 10000, answered, s, NULL), 0);
}

/* Who answers? */
static pid_t who(struct site *s)
{
	unsigned n = s->answers;

	ask(s);
	SPIN(&s->w, s->answers == n + 1);
	assert_int_equal(s->r, 0);
	return s->answered_by;
}

static void tell_drain(struct copy *c, uint32_t deadline_ms)
{
	struct msg_drain m = {.generation = c->generation, .deadline_ms = deadline_ms};

	assert_int_equal(packet_note(c->channel, MSG_drain, &m), 0);
}

/* ---- takeovers ---- */

static void an_understudy_takes_over(void **state)
{
	struct site *s = *state;
	struct copy *a = spawn(s, "plain", "serving"), *b = spawn(s, "plain", "waiting");
	uint64_t t;
	unsigned n;

	assert_int_equal(a->leads, 1);
	assert_int_equal(a->epoch, 1);
	assert_int_equal(a->since_ns, 0); /* it never waited */
	assert_int_equal(atomic_load(&s->lead->pid), a->pid);
	for (int i = 0; i < 20; i++)
		assert_int_equal(who(s), a->pid);
	n = b->beats;
	SPIN(&s->w, b->beats > n + 3); /* goes on */
	assert_int_equal(b->leads, 0);
	t = tr_mono_ns();
	kill_it(a);
	SPIN(&s->w, b->leads == 1);
	assert_int_equal(b->epoch, 2);
	assert_true(b->since_ns >= t && b->began_ns >= b->since_ns);
	SPIN(&s->w, is(b, "serving"));
	assert_int_equal(who(s), b->pid);
	SPIN(&s->w, s->heard_epoch == 2); /* executive-jr was told */
	assert_int_equal(atomic_load(&s->lead->generation), b->generation);
}

static void one_of_several(void **state)
{
	struct site *s = *state;
	struct copy *c[COPIES_MAX] = {spawn(s, "plain", "serving")};
	uint64_t epoch = 1;

	for (int i = 1; i < COPIES_MAX; i++)
		c[i] = spawn(s, "plain", "waiting");
	for (int dead = 0; dead < COPIES_MAX - 1; dead++) {
		struct copy *lead = NULL;
		unsigned leads = 0, beats = 0;

		for (int i = 0; i < COPIES_MAX; i++)
			if (c[i]->pid != 0 && is(c[i], "serving"))
				lead = c[i];
		assert_non_null(lead);
		kill_it(lead);
		lead->leads = 0;
		epoch++;
		SPIN(&s->w, s->heard_epoch == epoch);
		for (int i = 0; i < COPIES_MAX; i++) {
			beats = c[i]->beats;
			if (c[i]->pid != 0)
				SPIN(&s->w, c[i]->beats > beats + 3); /* whoever thinks so has said so */
			leads += c[i]->leads;
		}
		assert_int_equal(leads, 1);
		assert_int_equal(lead_page_epoch(s->lead), epoch);
	}
}

static void a_stopped_lead_keeps_it(void **state)
{
	struct site *s = *state;
	struct copy *a = spawn(s, "plain", "serving"), *b = spawn(s, "plain", "waiting");
	unsigned n = b->beats;

	assert_int_equal(kill(a->pid, SIGSTOP), 0);
	SPIN(&s->w, b->beats > n + 10);
	assert_int_equal(b->leads, 0);
	kill_it(a);
	SPIN(&s->w, b->leads == 1);
}

static void both_die(void **state)
{
	struct site *s = *state;
	struct copy *a = spawn(s, "plain", "serving"), *b = spawn(s, "plain", "waiting"), *c;

	(void)kill(a->pid, SIGKILL);
	(void)kill(b->pid, SIGKILL);
	(void)wait_exit(a);
	(void)wait_exit(b);
	c = spawn(s, "plain", "serving");
	assert_int_equal(c->since_ns, 0);
	assert_int_equal(who(s), c->pid);
}

static void above_what_it_is_told(void **state)
{
	struct site *s = *state;
	struct copy *a = spawn(s, "above", "serving"), *b = spawn(s, "above", "waiting");

	assert_int_equal(a->epoch, 1001);
	kill_it(a);
	SPIN(&s->w, b->leads == 1);
	assert_int_equal(b->epoch, 1002);
}

static void promotion_allocates_nothing(void **state)
{
	struct site *s = *state;
	struct copy *a = spawn(s, "plain", "serving"), *b = spawn(s, "plain", "waiting");
	unsigned n = b->beats;

	SPIN(&s->w,
	     chan_server_stats(s->executive)->answered >= 2 && b->beats > n + 5); /* it knows who answers there */
	assert_int_equal(kill(b->pid, SIGUSR1), 0);
	n = b->beats;
	SPIN(&s->w, b->beats > n + 5);
	assert_int_equal(b->queue, 0); /* beats do not either */
	kill_it(a);
	SPIN(&s->w, is(b, "serving") && s->heard_epoch == 2);
	assert_int_equal(b->allocations, 0);
	assert_int_equal(who(s), b->pid);
	SPIN(&s->w, b->queue > 0); /* it can count */
}

/* ---- leaving ---- */

static void waiting_delays_no_leaving(void **state)
{
	struct site *s = *state;
	struct copy *a = spawn(s, "plain", "serving"), *b = spawn(s, "plain", "waiting"),
		    *c = spawn(s, "plain", "waiting");
	uint64_t t = tr_mono_ms();

	tell_drain(b, 5000);
	assert_int_equal(wait_exit(b), 0); /* with nothing for the leak checker */
	(void)kill(c->pid, SIGTERM);
	assert_int_equal(wait_exit(c), 0);
	assert_true(tr_mono_ms() - t < 4000);
	assert_int_equal(b->leads + c->leads, 0);
	assert_int_equal(who(s), a->pid);
	tell_drain(a, 5000);
	assert_int_equal(wait_exit(a), 0);
	assert_int_equal(spawn(s, "plain", "serving")->epoch, 2);
}

/* A lead that drains answers what it has read, and leads until then; what comes meanwhile its understudy answers. */
static void drains_then_hands_over(void **state)
{
	struct site *s = *state;
	struct copy *a = spawn(s, "later", "serving"), *b = spawn(s, "later", "waiting");
	struct peer *late = NULL;
	unsigned n = 0;

	ask(s);
	SPIN(&s->w, a->inflight == 1);
	tell_drain(a, 5000);
	SPIN(&s->w, is(a, "draining"));
	assert_int_equal(b->leads, 0);
	ask(s); /* over the connection that is not read any more */
	assert_int_equal(peer_new(&late, &s->w.loop, s->w.path, 4), 0);
	assert_int_equal(peer_call(late, MSG_meta_anomalies, &(struct msg_meta_anomalies){0}, 10000, answered, s, NULL),
			 0);
	SPIN(&s->w, s->answers == 1);
	assert_int_equal(s->answered_by, a->pid);
	SPIN(&s->w, s->answers >= 2);
	n = b->leads;
	SPIN(&s->w, s->answers == 3);
	assert_int_equal(s->r, 0);
	assert_int_equal(s->answered_by, b->pid);
	assert_int_equal(n, 1);
	assert_int_equal(wait_exit(a), 0);
	peer_free(&late);
}

/* Its parts may take their time to be closed. */
static void hands_over_before_it_is_gone(void **state)
{
	struct site *s = *state;
	struct copy *a = spawn(s, "lingers", "serving"), *b = spawn(s, "plain", "waiting");

	assert_int_equal(who(s), a->pid);
	tell_drain(a, 5000);
	SPIN(&s->w, b->leads == 1);
	assert_int_equal(who(s), b->pid);
	assert_int_equal(waitpid(a->pid, NULL, WNOHANG), 0);
}

/* No caller is told that it leaves: it asks the successor. */
static void fatal_is_no_answer(void **state)
{
	struct site *s = *state;
	struct copy *a = spawn(s, "fatal", "serving"), *b = spawn(s, "fatal", "waiting");

	assert_int_equal(who(s), b->pid);
	assert_int_equal(wait_exit(a), tr_exit_code(TR_ESTORE));
	assert_int_equal(s->answers, 1);
}

static void may_leave_as_soon_as_it_leads(void **state)
{
	struct site *s = *state;
	struct copy *a = spawn(s, "plain", "serving"), *b = spawn(s, "leaves", "waiting"), *c;

	kill_it(a);
	assert_int_equal(wait_exit(b), 0);
	assert_int_equal(b->leads, 1);
	c = spawn(s, "plain", "serving");
	assert_int_equal(c->epoch, 3);
}

/* ---- harms ---- */

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

static void answers_garbage(void **state)
{
	struct site *s = *state;
	struct copy *a = spawn(s, "plain", "serving"), *b = spawn(s, "plain", "waiting");

	peer_open(s->caller);
	assert_int_equal(who(s), a->pid);
	do_harm(a, "garbage", 0, 0);
	SPIN(&s->w, strstr(said(a), "fault=garbage") != NULL);
	ask(s);
	SPIN(&s->w, peer_stats(s->caller)->reconnects > 0 || s->answers == 2);
	kill_it(a);
	SPIN(&s->w, b->leads == 1);
	SPIN(&s->w, s->answers == 2);
	assert_int_equal(who(s), b->pid);
}

/* ---- how long it takes ---- */

static int by_size(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return x < y ? -1 : x > y;
}

static void tell_times(const char *what, uint64_t *ns, size_t n)
{
	qsort(ns, n, sizeof(*ns), by_size);
	print_message("%-42s p50 %7.1f us  p99 %7.1f us  max %7.1f us\n", what, (double)ns[n / 2] / 1e3,
		      (double)ns[n - 1 - n / 100] / 1e3, (double)ns[n - 1] / 1e3);
}

/* A call is under way when its lead is killed; the loop knows of it by jr.lead alone, or by the end of the connection.
 */
static void takeover_is_quick(void **state)
{
	const char *want = getenv("TEST_LEAD_ROUNDS");
	size_t n = want == NULL ? 20 : strtoul(want, NULL, 10);
	uint64_t *woken = calloc(n, sizeof(*woken)), *began = calloc(n, sizeof(*began)),
		 *first = calloc(n, sizeof(*first)), *told = calloc(n, sizeof(*told));
	struct site *s = *state;
	struct copy *a = spawn(s, "plain", "serving");

	peer_open(s->caller);
	for (size_t i = 0; i < n; i++) {
		struct copy *b = spawn(s, "plain", "waiting");
		unsigned answers = s->answers, heard;
		uint64_t t, heard_ns;

		assert_int_equal(who(s), a->pid);
		assert_int_equal(s->answers, ++answers);
		world_settle(&s->w);
		t = tr_mono_ns();
		(void)kill(a->pid, SIGKILL);
		ask(s);
		heard = s->heard;
		heard_ns = 0;
		while (s->answers == answers) {
			(void)uv_run(&s->w.loop, UV_RUN_ONCE);
			if (heard_ns == 0 && s->heard > heard)
				heard_ns = s->heard_ns;
		}
		assert_int_equal(s->r, 0);
		if (s->answered_by == b->pid) { /* else the dead one was quicker than the kill */
			SPIN(&s->w, b->leads == 1);
			woken[i] = b->since_ns - t;
			told[i] = heard_ns > b->since_ns ? heard_ns - b->since_ns : 0;
			began[i] = b->began_ns - b->since_ns;
			first[i] = s->answered_ns - b->since_ns;
		} else {
			i--;
		}
		(void)wait_exit(a);
		forget(a);
		SPIN(&s->w, is(b, "serving"));
		a = b;
	}
	tell_times("kill to the mutex known as free", woken, n);
	tell_times("from then to jr.lead", began, n);
	tell_times("from then to the caller told", told, n);
	tell_times("from then to the first answer of a call", first, n);
	assert_true(first[n / 2] < 20u * 1000 * 1000); /* generous: a shared machine, sanitizers */
	free(woken);
	free(began);
	free(first);
	free(told);
}

int main(int argc, char **argv)
{
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(an_understudy_takes_over),
		T(one_of_several),
		T(a_stopped_lead_keeps_it),
		T(both_die),
		T(above_what_it_is_told),
		T(promotion_allocates_nothing),
		T(waiting_delays_no_leaving),
		T(drains_then_hands_over),
		T(hands_over_before_it_is_gone),
		T(fatal_is_no_answer),
		T(may_leave_as_soon_as_it_leads),
		T(only_with_drills),
		T(no_harm_of_others),
		T(spins),
		T(blocks),
		T(exits),
		T(runs_out_of_memory),
		T(is_slow),
		T(has_no_descriptors),
		T(is_half_open),
		T(answers_garbage),
		T(takeover_is_quick),
	};
	const char *mode = getenv("TEST_KIT_JR");

	if (mode != NULL)
		return jr_main(mode, argc, argv);
	if (getenv("TEST_LEAD_ROUNDS") != NULL)
		cmocka_set_test_filter("takeover_is_quick");
	return cmocka_run_group_tests(tests, NULL, NULL);
}
