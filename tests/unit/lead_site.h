/* Several processes of one role, which are this very program (a Jr's main of the including test's), on one socket and
 * one page. The test plays tribed, a caller, and executive-jr, who is told of a new lead. */
#ifndef TESTS_UNIT_LEAD_SITE_H
#define TESTS_UNIT_LEAD_SITE_H
#include "jrs/kit/jr.h"
#include "proto/chan/packet.h"
#include "tests/unit/kit_spawn.h"
#include <signal.h>
#include <sys/wait.h>

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
	uint32_t inflight, queue, lag_us, overdue;
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
	struct chan_call *asked[4]; /* questions to it, unanswered */
	unsigned nasked;
	unsigned heard;
	uint64_t heard_epoch, heard_ns;
	struct peer *caller;
	unsigned answers;
	int r;
	pid_t answered_by, by[4]; /* the last one; the first ones */
	uint64_t answered_ns;
};

static inline void on_message(void *arg, struct packet *ch, enum wire_msg_id id, uint32_t msgid, const void *msg)
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
		c->overdue = m->overdue;
		if (m->loop_lag_us > c->lag_us)
			c->lag_us = (uint32_t)m->loop_lag_us;
		(void)snprintf(c->state, sizeof(c->state), "%.*s", (int)m->state.n, m->state.p);
	}
}

static inline void on_close(void *arg, struct packet *ch)
{
	(void)arg;
	(void)ch;
}

static inline void on_lead_note(void *arg, const void *msg)
{
	struct site *s = arg;
	const struct msg_lead *m = msg;

	s->heard++;
	s->heard_ns = tr_mono_ns();
	if (m->epoch > s->heard_epoch)
		s->heard_epoch = m->epoch;
	peer_move(s->caller, m->epoch);
}

static inline void on_ping(void *arg, struct chan_call *call, const void *msg)
{
	struct res_ping res = {.jr = wire_s("executive_jr"), .pid = 1, .generation = 1, .epoch = 1};

	(void)arg;
	(void)msg;
	chan_reply(call, &res);
}

static inline void on_ask(void *arg, struct chan_call *call, const void *msg)
{
	struct site *s = arg;

	(void)msg;
	assert_true(s->nasked < 4);
	s->asked[s->nasked++] = call;
}

static inline int setup(void **state)
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
	chan_server_handle(s->executive, MSG_executive_ask, on_ask, s);
	chan_server_on_note(s->executive, MSG_lead, on_lead_note, s);
	(void)snprintf(s->w.path, sizeof(s->w.path), "%s/meta.sock", s->w.dir);
	s->listener = world_listen(&s->w);
	assert_int_equal(peer_new(&s->caller, &s->w.loop, s->w.path, 64), 0);
	assert_int_equal(lead_page_new(&s->lead_fd, &s->lead), 0);
	*state = s;
	return 0;
}

static inline const char *said(const struct copy *c)
{
	static char text[16384];
	ssize_t r = read(c->err, text, sizeof(text) - 1);

	text[r < 0 ? 0 : r] = '\0';
	return text;
}

static inline void forget(struct copy *c)
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

static inline int teardown(void **state)
{
	struct site *s = *state;

	for (int i = 0; i < COPIES_MAX; i++)
		forget(&s->copies[i]);
	peer_free(&s->caller);
	chan_server_free(&s->executive);
	for (unsigned i = 0; i < s->nasked; i++)
		if (s->asked[i] != NULL)
			chan_failf(s->asked[i], TR_ECLOSED, NULL, "the test is over");
	(void)close(s->listener);
	lead_page_unmap(&s->lead);
	(void)close(s->lead_fd);
	(void)unlink(s->executive_path);
	world_close(&s->w);
	free(s);
	return 0;
}

/* Not waited for. */
static inline struct copy *spawn_with(struct site *s, const char *mode, const char *config)
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

static inline bool is(const struct copy *c, const char *state)
{
	return strcmp(c->state, state) == 0;
}

static inline struct copy *spawn(struct site *s, const char *mode, const char *state)
{
	struct copy *c = spawn_with(s, mode, "heartbeat_ms: 10\nstop_timeout_ms: 5000\ndrills: true\n");

	SPIN(&s->w, is(c, state));
	assert_int_equal(c->hellos, 1);
	if (c->leads > 0)
		SPIN(&s->w, s->heard_epoch >= c->epoch); /* the caller moves now, not in the midst of a test */
	return c;
}

/* Exit status, or minus the signal. */
static inline int wait_exit(struct copy *c)
{
	int status = 0;

	SPIN(&c->site->w, waitpid(c->pid, &status, WNOHANG) == c->pid);
	c->pid = 0;
	return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
}

static inline void kill_it(struct copy *c)
{
	assert_int_equal(kill(c->pid, SIGKILL), 0);
	assert_int_equal(wait_exit(c), -SIGKILL);
}

static inline void answered(void *arg, int r, const void *res, const struct tr_fault *fault)
{
	struct site *s = arg;

	(void)fault;
	s->answered_ns = tr_mono_ns();
	s->r = r;
	s->answered_by = r == 0 ? (pid_t)((const struct res_meta_anomalies *)res)->analyses : 0;
	if (s->answers < 4)
		s->by[s->answers] = s->answered_by;
	s->answers++;
}

static inline void ask(struct site *s)
{
	struct msg_meta_anomalies m = {0};

	assert_int_equal(peer_call(s->caller, MSG_meta_anomalies, &m, 10000, answered, s, NULL), 0);
}

/* Who answers? */
static inline pid_t who(struct site *s)
{
	unsigned n = s->answers;

	ask(s);
	SPIN(&s->w, s->answers == n + 1);
	assert_int_equal(s->r, 0);
	return s->answered_by;
}

static inline void tell_drain(struct copy *c, uint32_t deadline_ms)
{
	struct msg_drain m = {.generation = c->generation, .deadline_ms = deadline_ms};

	assert_int_equal(packet_note(c->channel, MSG_drain, &m), 0);
}

#endif
