#include "jrs/kit/jr.h"
#include "common/base/clock.h"
#include "common/base/urgency.h"
#include "common/log/log.h"
#include "common/loop/loop.h"
#include "jrs/kit/harm.h"
#include "jrs/kit/lead.h"
#include "jrs/kit/orphan.h"
#include "jrs/kit/pulse.h"
#include "proto/chan/packet.h"
#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

#define CONNS_MAX    256         /* on the Jr's own socket: other Jrs and tribectl */
#define QUEUE_MAX    (32u << 20) /* bytes of unread answers on one connection */
#define INFLIGHT_MAX 1024        /* unanswered requests on one connection */
#define WAITING_MAX  4096        /* unanswered requests to one other Jr */
#define NSIGNALS     2
#define SETTLE_MS    10     /* of a new lead, before it does what nobody waits for */
#define WAKE_NS      100000 /* turns (tr_slice) of who waits for the lead: it shall not wait for who dies */
#define FACE_NS      300000 /* of the lead that users wait behind */
#define URGENT_US    200000 /* whoever computes so long on end while it is urgent is killed by the kernel */

enum state { STARTING, WAITING, SERVING, DRAINING };
static const char *const state_names[] = {"starting", "waiting", "serving", "draining"};

struct jr {
	struct jr_opts opts;
	uv_loop_t loop;
	bool loop_open, signals_open;
	uv_signal_t signals[NSIGNALS];
	struct packet *channel;
	struct chan_server *server;
	struct peer *peers[TR_NROLES];
	struct loop_timer *beat_timer, *leave_timer;
	struct loop_lag *lag;
	struct orphan *orphan;
	struct lead *lead;
	struct loop_timer *settle;
	pid_t face;           /* executive-jr, while it is urgent for our sake; 0: it is not */
	struct msg_lead news; /* that this one leads */
	bool unsettled;       /* it leads, and not everybody was told */
	struct harm *harm;
	struct pulse pulse;
	enum state state;
	uint64_t seq, leave_at_ms;
	uint64_t handled, errors;             /* jr_count() */
	uint32_t gauge_inflight, gauge_queue; /* jr_gauge() */
	bool drained, idle;                   /* the Jr itself; its socket */
	bool leaving;
	int result;
	void (*on_beat)(void *arg, struct msg_heartbeat *beat);
	void *beat_arg;
	void (*on_drain)(void *arg);
	void *drain_arg;
	void (*on_lead)(void *arg, uint64_t epoch);
	void *lead_arg;
	chan_handler *on_ballot;
	void *ballot_arg;
	peer_note_cb *on_note;
	void *note_arg;
};

static const char *api_name(const struct jr *jr)
{
	return tr_roles[jr->opts.role].api_name;
}

/* ---- heartbeats ---- */

static void send_beat(struct jr *jr)
{
	const struct chan_stats *st = chan_server_stats(jr->server);
	struct msg_heartbeat b = {.jr = wire_s(api_name(jr)),
				  .pid = (uint32_t)getpid(),
				  .generation = jr->opts.generation,
				  .epoch = lead_epoch(jr->lead),
				  .seq = ++jr->seq,
				  .monotonic_ns = tr_mono_ns(),
				  .uptime_ms = pulse_uptime_ms(&jr->pulse),
				  .state = wire_s(state_names[jr->state]),
				  .inflight = st->inflight + jr->gauge_inflight,
				  .queue_depth = jr->gauge_queue,
				  .loop_lag_us = loop_lag_us(jr->lag),
				  .rss_bytes = pulse_rss_bytes(&jr->pulse),
				  .cpu_ms = pulse_cpu_ms(),
				  .handled_total = st->answered + jr->handled,
				  .errors_total = st->failed + jr->errors,
				  .has_overdue = true,
				  .overdue = chan_server_overdue(jr->server, jr->opts.cfg.hang_after_ms)};

	for (int i = 0; i < TR_NROLES; i++)
		b.queue_depth += peer_stats(jr->peers[i])->waiting; /* waits for another Jr */
	loop_lag_reset(jr->lag);
	if (jr->on_beat != NULL)
		jr->on_beat(jr->beat_arg, &b);
	(void)packet_note(jr->channel, MSG_heartbeat, &b); /* a full socket: tribed is behind, the next one will do */
}

static void settle(struct jr *jr);

static void on_beat_timer(void *arg)
{
	struct jr *jr = arg;

	settle(jr);
	tr_calm(0); /* should whoever made us urgent have died */
	send_beat(jr);
}

static int say_hello(struct jr *jr)
{
	struct msg_hello h = {.jr = wire_s(api_name(jr)),
			      .pid = (uint32_t)getpid(),
			      .generation = jr->opts.generation,
			      .proto_rev = WIRE_PROTO_REV};

	return packet_note(jr->channel, MSG_hello, &h);
}

/* ---- leaving ---- */

static void leave(struct jr *jr, int r)
{
	if (jr->leaving)
		return;
	jr->leaving = true;
	jr->result = r;
	uv_stop(&jr->loop);
}

static void leave_if_done(struct jr *jr)
{
	if (jr->state == DRAINING && jr->drained && jr->idle)
		leave(jr, 0);
}

static void on_server_idle(void *arg)
{
	struct jr *jr = arg;

	jr->idle = true;
	leave_if_done(jr);
}

static void on_leave_timer(void *arg)
{
	struct jr *jr = arg;

	log_warn("drain: time is over inflight=%" PRIu32, chan_server_stats(jr->server)->inflight);
	leave(jr, 0);
}

/* Takes no new work; leaves when what is in flight is done, at the latest within_ms from now. A second reason to leave
 * can only make it sooner. */
static void begin_drain(struct jr *jr, uint32_t within_ms, const char *why)
{
	uint64_t at = tr_mono_ms() + within_ms;

	if (jr->state == DRAINING && at >= jr->leave_at_ms)
		return;
	jr->leave_at_ms = at;
	(void)loop_timer_start(jr->leave_timer, within_ms, 0);
	if (jr->state == DRAINING)
		return;
	log_info("drain why=\"%s\" within_ms=%" PRIu32 " inflight=%" PRIu32, why, within_ms,
		 chan_server_stats(jr->server)->inflight);
	settle(jr);
	jr->state = DRAINING;
	lead_stop(jr->lead); /* who leads goes on to until the last answer has left */
	chan_server_stop_accepting(jr->server);
	chan_server_on_idle(jr->server, on_server_idle, jr);
	send_beat(jr);
	if (jr->on_drain != NULL)
		jr->on_drain(jr->drain_arg);
	else
		jr->drained = true;
	leave_if_done(jr);
}

static void on_signal(uv_signal_t *h, int signum)
{
	struct jr *jr = h->data;

	begin_drain(jr, jr->opts.cfg.stop_timeout_ms, signum == SIGTERM ? "SIGTERM" : "SIGINT");
}

/* ---- leading ---- */

static void tell_others(struct jr *jr, const struct msg_lead *m)
{
	for (int i = 0; i < TR_NROLES; i++)
		if (i != (int)jr->opts.role)
			(void)peer_note(jr->peers[i], MSG_lead,
					m); /* not connected: he has nothing of ours to ask again */
}

/* Who waits for an answer may have it by now, and nobody else needed a CPU meanwhile. One who has waited may have
 * connections that lead to somebody dead, who would not tell the living one, so it is said on new ones. */
static void settle(struct jr *jr)
{
	const struct msg_lead *m = &jr->news;

	if (!jr->unsettled)
		return;
	jr->unsettled = false;
	(void)packet_note(jr->channel, MSG_lead, m);
	for (int i = 0; m->since_ns != 0 && i < TR_NROLES; i++)
		if (i != (int)jr->opts.role)
			peer_move(jr->peers[i], 0);
	tell_others(jr, m);
	log_info("leads epoch=%" PRIu64 " taken_us=%" PRIu64, m->epoch,
		 m->since_ns == 0 ? 0 : (m->monotonic_ns - m->since_ns) / 1000);
}

static void on_settle(void *arg)
{
	struct jr *jr = arg;

	settle(jr);
	send_beat(jr);
	tr_slice(jr->opts.role == TR_ROLE_EXECUTIVE ? FACE_NS : 0);
	tr_calm(0);
	if (jr->face != 0)
		tr_calm(jr->face);
	jr->face = 0;
}

/* Until on_settle(): users wait behind executive-jr, too. */
static void hurry(struct jr *jr)
{
	jr->face = jr->opts.role == TR_ROLE_EXECUTIVE ? 0 : peer_pid(jr->peers[TR_ROLE_EXECUTIVE]);
	if (jr->face != 0)
		tr_urgent(jr->face);
}

/* The mutex is ours. What users wait for comes first, and nothing is allocated for it: each process that is told wakes
 * up and takes a CPU that they need, tribed and what it then starts before all. The rest has a turn of its own. */
static void begin_to_lead(struct jr *jr, uint64_t since_ns)
{
	struct msg_lead *m = &jr->news;

	jr->state = SERVING;
	chan_server_start(jr->server);
	*m = (struct msg_lead){.jr = wire_s(api_name(jr)),
			       .pid = (uint32_t)getpid(),
			       .generation = jr->opts.generation,
			       .epoch = lead_epoch(jr->lead),
			       .monotonic_ns = tr_mono_ns(),
			       .since_ns = since_ns};
	if (since_ns != 0)
		hurry(jr);
	if (jr->opts.role != TR_ROLE_EXECUTIVE) /* behind which the users wait */
		(void)peer_note(jr->peers[TR_ROLE_EXECUTIVE], MSG_lead, m);
	jr->unsettled = true;
	(void)loop_timer_start(jr->settle, since_ns == 0 ? 0 : SETTLE_MS, 0);
	if (jr->on_lead != NULL)
		jr->on_lead(jr->lead_arg, m->epoch);
}

/* A new tribed has our channel. Its answer to a full one is to ask again. */
static void introduce(struct jr *jr)
{
	struct msg_lead m = {.jr = wire_s(api_name(jr)),
			     .pid = (uint32_t)getpid(),
			     .generation = jr->opts.generation,
			     .epoch = lead_epoch(jr->lead),
			     .monotonic_ns = tr_mono_ns()};

	if (jr->state == STARTING || say_hello(jr) < 0)
		return;
	if (lead_has(jr->lead))
		(void)packet_note(jr->channel, MSG_lead, &m);
	send_beat(jr);
}

static void on_mutex(void *arg, int r, uint64_t since_ns)
{
	struct jr *jr = arg;

	if (r == 0 && jr->state == WAITING && !jr->leaving)
		begin_to_lead(jr, since_ns);
	else if (r < 0)
		leave(jr, r);
}

/* Another role has a new lead: what its last one has not answered is asked again. */
static void on_others_lead(void *arg, const void *msg)
{
	const struct msg_lead *m = msg;
	struct jr *jr = arg;
	int role = tr_role_find(m->jr.p, m->jr.n);

	if (role >= 0 && role != (int)jr->opts.role)
		peer_move(jr->peers[role], m->epoch);
}

/* ---- the channel ---- */

static void do_harm(struct jr *jr, const struct msg_fault *m)
{
	int r = m->generation == jr->opts.generation ? harm_begin(jr->harm, m) : TR_EINVAL;

	if (r < 0)
		log_warn("channel: a harm is not done error=%s", tr_err_name(r));
}

static void on_message(void *arg, struct packet *ch, enum wire_msg_id id, uint32_t msgid, const void *msg)
{
	struct jr *jr = arg;

	(void)ch;
	(void)msgid; /* the table lets tribed ask nothing of a Jr */
	if (id == MSG_drain) {
		const struct msg_drain *m = msg;

		if (m->generation != jr->opts.generation)
			log_warn("channel: drain for generation=%" PRIu32 " is not for us", m->generation);
		else /* a tenth earlier: to be gone by the deadline, not to begin to go */
			begin_drain(jr, m->deadline_ms - m->deadline_ms / 10, "tribed");
	} else if (id == MSG_fault) {
		do_harm(jr, msg);
	} else if (id == MSG_heal) {
		if (((const struct msg_heal *)msg)->generation == jr->opts.generation)
			harm_heal(jr->harm);
	} else if (id == MSG_adopt) {
		if (((const struct msg_adopt *)msg)->generation == jr->opts.generation)
			introduce(jr);
	} else if (jr->on_note != NULL) {
		jr->on_note(jr->note_arg, id, msg);
	}
}

static void on_channel_closed(void *arg, struct packet *ch)
{
	(void)ch;
	begin_drain(arg, ORPHAN_DRAIN_MS, "tribed is gone");
}

/* ---- opening ---- */

/* Memories and tokens must not end in a core file; a piped handler ignores the limit, hence also the filter. Dumpable
 * stays: without it /proc/self belongs to root, and leak checkers and debuggers of the same user are locked out. */
static int harden(void)
{
	const struct rlimit none = {0, 0}, urgent = {URGENT_US, URGENT_US};
	int fd = open("/proc/self/coredump_filter", O_WRONLY | O_CLOEXEC);

	if (fd >= 0) {
		if (write(fd, "0\n", 2) != 2)
			log_warn("coredump_filter cannot be set");
		(void)close(fd);
	}
	(void)setrlimit(RLIMIT_RTTIME, &urgent);
	if (setrlimit(RLIMIT_CORE, &none) < 0 || prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
		return -errno;
	return 0;
}

static int open_signals(struct jr *jr)
{
	static const int numbers[NSIGNALS] = {SIGTERM, SIGINT};
	sigset_t none;
	int r = 0;

	(void)signal(SIGPIPE, SIG_IGN);
	(void)signal(SIGHUP, SIG_IGN);
	(void)sigemptyset(&none); /* whatever tribed had blocked when it spawned us */
	(void)sigprocmask(SIG_SETMASK, &none, NULL);
	for (int i = 0; i < NSIGNALS; i++) {
		(void)uv_signal_init(&jr->loop, &jr->signals[i]);
		jr->signals[i].data = jr;
	}
	jr->signals_open = true;
	for (int i = 0; i < NSIGNALS && r == 0; i++)
		r = uv_signal_start(&jr->signals[i], on_signal, numbers[i]);
	return r;
}

static void on_ping(void *arg, struct chan_call *call, const void *msg)
{
	const struct jr *jr = arg;
	struct res_ping res = {.jr = wire_s(api_name(jr)),
			       .pid = (uint32_t)getpid(),
			       .generation = jr->opts.generation,
			       .epoch = lead_epoch(jr->lead),
			       .monotonic_ns = tr_mono_ns()};

	(void)msg;
	chan_reply(call, &res);
}

static int open_server(struct jr *jr)
{
	struct chan_server_cfg cfg = {.loop = &jr->loop,
				      .fd = jr->opts.socket_fd,
				      .max_conns = CONNS_MAX,
				      .max_queue = QUEUE_MAX,
				      .max_inflight = INFLIGHT_MAX,
				      .timeout_ms = jr->opts.cfg.request_timeout_ms,
				      .held = true};
	int r;

	jr->opts.socket_fd = -1; /* the server's now, also on failure */
	if ((r = chan_server_new(&jr->server, &cfg)) < 0)
		return r;
	chan_server_handle(jr->server, MSG_ping, on_ping, jr);
	chan_server_on_note(jr->server, MSG_lead, on_others_lead, jr);
	return harm_open(&jr->harm, &jr->loop, jr->server, jr->opts.cfg.drills);
}

static int open_channel(struct jr *jr)
{
	static const struct packet_ops ops = {on_message, on_channel_closed};
	int fd = jr->opts.channel_fd, r;

	if ((r = orphan_watch(&jr->orphan, fd)) < 0)
		return r;
	jr->opts.channel_fd = -1; /* the channel's now, also on failure */
	return packet_new(&jr->channel, &jr->loop, fd, FROM_SUPERVISOR, &ops, jr);
}

static int open_peers(struct jr *jr)
{
	char path[4200];
	int r = 0;

	for (int i = 0; i < TR_NROLES && r == 0; i++) {
		(void)snprintf(path, sizeof(path), "%s/%s", jr->opts.runtime, tr_roles[i].socket);
		r = peer_new(&jr->peers[i], &jr->loop, path, WAITING_MAX);
		if (r == 0 && i != (int)jr->opts.role)
			peer_open(jr->peers[i]);
	}
	return r;
}

static int open_lead(struct jr *jr)
{
	return lead_open(&jr->lead, &jr->loop, jr->opts.lead_fd, jr->opts.generation, on_mutex, jr);
}

int jr_open(struct jr **out, const struct jr_opts *opts)
{
	struct jr *jr = calloc(1, sizeof(*jr));
	struct jr_opts mine = *opts;
	int level = log_level_find(opts->cfg.log_level), r;

	log_open(tr_roles[opts->role].program, level < 0 ? LOG_LEVEL_INFO : (enum log_level)level);
	if (jr == NULL) {
		mine.http_fd = -1; /* not ours */
		jr_opts_close(&mine);
		return TR_ENOMEM;
	}
	jr->opts = *opts;
	pulse_open(&jr->pulse);
	if ((r = uv_loop_init(&jr->loop)) < 0)
		goto fail;
	jr->loop_open = true;
	if ((r = harden()) < 0 || (r = open_signals(jr)) < 0 || (r = open_lead(jr)) < 0 || (r = open_channel(jr)) < 0 ||
	    (r = open_server(jr)) < 0 || (r = open_peers(jr)) < 0 || (r = loop_lag_new(&jr->lag, &jr->loop)) < 0 ||
	    (r = loop_timer_new(&jr->beat_timer, &jr->loop, on_beat_timer, jr)) < 0 ||
	    (r = loop_timer_new(&jr->leave_timer, &jr->loop, on_leave_timer, jr)) < 0 ||
	    (r = loop_timer_new(&jr->settle, &jr->loop, on_settle, jr)) < 0)
		goto fail;
	*out = jr;
	return 0;
fail:
	log_error("cannot start: %s", tr_strerror(r));
	jr_close(&jr);
	return r;
}

void jr_close(struct jr **pjr)
{
	struct jr *jr = pjr == NULL ? NULL : *pjr;
	int r = 0;

	if (jr == NULL)
		return;
	*pjr = NULL;
	for (int i = 0; i < TR_NROLES; i++)
		peer_free(&jr->peers[i]);
	harm_close(&jr->harm);
	chan_server_free(&jr->server);
	packet_free(&jr->channel);
	loop_timer_free(&jr->beat_timer);
	loop_timer_free(&jr->leave_timer);
	loop_timer_free(&jr->settle);
	loop_lag_free(&jr->lag);
	lead_close(&jr->lead);
	for (int i = 0; i < NSIGNALS && jr->signals_open; i++)
		uv_close((uv_handle_t *)&jr->signals[i], NULL);
	if (jr->loop_open)
		r = loop_finish(&jr->loop);
	orphan_unwatch(&jr->orphan); /* last: it also ends a Jr that hangs in its own clean-up */
	pulse_close(&jr->pulse);
	jr->opts.http_fd = -1; /* not ours */
	jr_opts_close(&jr->opts);
	if (r == 0)
		free(jr);
	else
		log_error("a handle was left open: %s", tr_strerror(r)); /* it still points into jr->loop */
}

/* ---- what a Jr calls ---- */

void jr_handle(struct jr *jr, enum wire_msg_id id, chan_handler *fn, void *arg)
{
	chan_server_handle(jr->server, id, fn, arg);
}

void jr_on_beat(struct jr *jr, void (*fill)(void *arg, struct msg_heartbeat *beat), void *arg)
{
	jr->on_beat = fill;
	jr->beat_arg = arg;
}

void jr_on_drain(struct jr *jr, void (*drain)(void *arg), void *arg)
{
	jr->on_drain = drain;
	jr->drain_arg = arg;
}

void jr_on_note(struct jr *jr, peer_note_cb *cb, void *arg)
{
	jr->on_note = cb;
	jr->note_arg = arg;
}

void jr_on_lead(struct jr *jr, void (*lead)(void *arg, uint64_t epoch), void *arg)
{
	jr->on_lead = lead;
	jr->lead_arg = arg;
}

void jr_epoch_above(struct jr *jr, uint64_t epoch)
{
	lead_above(jr->lead, epoch);
}

bool jr_leads(const struct jr *jr)
{
	return lead_has(jr->lead);
}

uint64_t jr_epoch(const struct jr *jr)
{
	return lead_epoch(jr->lead);
}

void jr_on_half_open(struct jr *jr, void (*fn)(void *arg, bool half_open), void *arg)
{
	harm_on_half_open(jr->harm, fn, arg);
}

void jr_drained(struct jr *jr)
{
	jr->drained = true;
	leave_if_done(jr);
}

int jr_ready(struct jr *jr)
{
	int r;

	assert(jr->state == STARTING || jr->state == DRAINING);
	if (jr->state == DRAINING) /* told to leave while it was starting */
		return 0;
	if ((r = say_hello(jr)) < 0 ||
	    (r = loop_timer_start(jr->beat_timer, jr->opts.cfg.heartbeat_ms, jr->opts.cfg.heartbeat_ms)) < 0)
		return r;
	jr->state = WAITING;
	tr_slice(WAKE_NS);
	r = lead_begin(jr->lead);
	if (r == 0)
		begin_to_lead(jr, 0);
	else if (r == TR_EBUSY)
		send_beat(jr);
	return r == TR_EBUSY ? 0 : r;
}

/* Calls that wait for others end before this returns: what they belong to is taken down next. Nobody may take their end
 * for an answer, so the connections go first; nothing is answered any more when the mutex is given back. */
int jr_run(struct jr *jr)
{
	if (!jr->leaving)
		(void)uv_run(&jr->loop, UV_RUN_DEFAULT);
	harm_heal(jr->harm);
	chan_server_shut(jr->server);
	for (int i = 0; i < TR_NROLES; i++)
		peer_shut(jr->peers[i]);
	packet_shut(jr->channel);
	lead_give(jr->lead);
	return jr->result;
}

void jr_leave(struct jr *jr, const char *why)
{
	begin_drain(jr, jr->opts.cfg.stop_timeout_ms, why);
}

void jr_fatal(struct jr *jr, int r)
{
	leave(jr, r);
}

uv_loop_t *jr_loop(struct jr *jr)
{
	return &jr->loop;
}

const struct jr_opts *jr_options(const struct jr *jr)
{
	return &jr->opts;
}

struct peer *jr_peer(struct jr *jr, enum tr_role role)
{
	return jr->peers[role];
}

int jr_ask_supervisor(struct jr *jr, enum wire_msg_id id, const void *msg, uint32_t timeout_ms, peer_cb *cb, void *arg)
{
	return packet_call(jr->channel, id, msg, timeout_ms, cb, arg);
}

static void ballot(void *arg, struct chan_call *call, const void *msg)
{
	const struct msg_ballot *m = msg;
	struct jr *jr = arg;

	if (jr->pulse.start_ns > m->called_ns)
		chan_failf(call, TR_EUNAVAILABLE, "", "it died when it was called; who came behind it was not");
	else
		jr->on_ballot(jr->ballot_arg, call, msg);
}

void jr_on_ballot(struct jr *jr, chan_handler *fn, void *arg)
{
	jr->on_ballot = fn;
	jr->ballot_arg = arg;
	chan_server_handle(jr->server, MSG_ballot, ballot, jr);
}

void jr_tell(struct jr *jr, const char *kind, const char *detail)
{
	struct msg_news m = {.kind = wire_s(kind), .has_detail = true, .detail = wire_s(detail)};

	(void)packet_note(jr->channel, MSG_news, &m);
}

void jr_count(struct jr *jr, uint64_t handled, uint64_t errors)
{
	jr->handled += handled;
	jr->errors += errors;
}

void jr_gauge(struct jr *jr, uint32_t inflight, uint32_t queue_depth)
{
	jr->gauge_inflight = inflight;
	jr->gauge_queue = queue_depth;
}
