#include "supervisor/app/worker.h"
#include "common/base/clock.h"
#include "common/base/text.h"
#include "common/log/log.h"
#include <assert.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

#define SLOT    0    /* the only one in this version */
#define KILL_MS 1000 /* SIGKILL to the next one, should the kernel be slow to reap */

const char *const death_names[NDEATHS] = {
#define X(id, name, doc) name,
	DEATHS(X)
#undef X
};

static void step(struct worker *w, enum lc_event ev);

static const char *api_name(const struct worker *w)
{
	return tr_roles[w->id].api_name;
}

/* Something happened to this Jr's life. */
static void tell(struct worker *w, enum event_kind kind, const char *detail)
{
	struct event e = {.kind = kind,
			  .role = (int)w->id,
			  .pid = w->proc != NULL ? (uint32_t)proc_pid(w->proc) : 0,
			  .generation = w->lc.generation,
			  .epoch = w->role.epoch};

	if (detail != NULL)
		tr_copy(e.detail, sizeof(e.detail), detail, strlen(detail));
	w->env->ops->on_event(w->env->arg, &e);
}

/* ---- the end of a life ---- */

static uint32_t any_32_bits(void)
{
	uint32_t r = 0;

	(void)!getrandom(&r, sizeof(r), GRND_NONBLOCK);
	return r;
}

static bool leaving(const struct worker *w)
{
	return w->lc.state == LC_STOPPING || w->lc.state == LC_TERMINATING || w->lc.state == LC_ENDING;
}

/* What the back-off says decides which event the death is. */
static enum lc_event death_event(struct worker *w)
{
	static const enum lc_event events[] = {EV_EXIT, EV_EXIT_LATER, EV_EXIT_OFTEN};
	uint64_t healthy = w->up_ms != 0 ? tr_mono_ms() - w->up_ms : 0;

	if (leaving(w))
		return EV_EXIT;
	if (w->ordered) {
		backoff_ordered(&w->backoff, healthy);
		return EV_EXIT;
	}
	return events[backoff_crash(&w->backoff, healthy, any_32_bits(), &w->retry_ms)];
}

/* An unwanted absence starts when it is noticed. */
static void lost(struct worker *w, uint64_t at_ns)
{
	if (!leaving(w))
		recovery_lost(&w->recovery, at_ns);
}

/* The first cause counts; a life that was told to leave needs none. */
static void blame(struct worker *w, enum death why)
{
	if (w->why == DEATH_NONE && !leaving(w))
		w->why = w->ordered ? DEATH_DRILL : why;
}

/* The same exit status again and again, and never a hello: nothing that time would heal. */
static void count_exits(struct worker *w, const struct proc_end *end)
{
	if (w->was_up || end->how != PROC_EXITED || leaving(w)) {
		w->exits = 0;
		return;
	}
	w->exits = w->exits > 0 && w->exit_value == end->value ? w->exits + 1 : 1;
	w->exit_value = end->value;
}

static void on_end(void *arg, struct proc *p, const struct proc_end *end)
{
	struct worker *w = arg;
	char text[96];

	assert(w->proc == p);
	(void)p;
	lost(w, end->at_ns);
	blame(w, end->how == PROC_EXITED ? DEATH_EXIT : DEATH_SIGNAL);
	count_exits(w, end);
	if (end->how == PROC_EXITED)
		snprintf(w->last_exit, sizeof(w->last_exit), "exit %d", end->value);
	else
		snprintf(w->last_exit, sizeof(w->last_exit), "signal %d (%s)", end->value, strsignal(end->value));
	log_info("jr ended jr=%s pid=%d generation=%" PRIu32 " end=\"%s\" cause=%s", api_name(w), end->pid,
		 w->lc.generation, w->last_exit, leaving(w) ? "stop" : death_names[w->why]);
	snprintf(text, sizeof(text), "%s, cause: %s", w->last_exit, leaving(w) ? "stop" : death_names[w->why]);
	tell(w, EVENT_EXIT, text);
	w->proc = NULL;
	step(w, death_event(w));
}

/* A stopped process sees neither drain nor SIGTERM, and holds what it holds: end it. */
static void on_stop(void *arg, struct proc *p, int sig)
{
	struct worker *w = arg;
	char text[96];

	assert(w->proc == p);
	log_warn("jr stopped jr=%s pid=%d signal=%d", api_name(w), proc_pid(p), sig);
	lost(w, tr_mono_ns());
	blame(w, DEATH_STOPPED);
	snprintf(text, sizeof(text), "signal %d (%s)", sig, strsignal(sig));
	tell(w, EVENT_STOPPED, text);
	step(w, EV_STOPPED);
}

const struct proc_ops worker_proc_ops = {on_end, on_stop};

/* ---- the channel ---- */

static void take_hello(struct worker *w, const struct msg_hello *m)
{
	if (m->generation != w->lc.generation || m->pid != (uint32_t)proc_pid(w->proc) ||
	    m->proto_rev != WIRE_PROTO_REV || tr_role_find(m->jr.p, m->jr.n) != (int)w->id) {
		log_warn("hello dropped: not of this life jr=%s generation=%" PRIu32 " got=%" PRIu32
			 " proto_rev=%" PRIu32,
			 api_name(w), w->lc.generation, m->generation, m->proto_rev);
		return;
	}
	step(w, EV_HELLO);
}

static void take_beat(struct worker *w, const struct msg_heartbeat *m)
{
	uint64_t now = tr_mono_ms();

	if (m->generation != w->lc.generation || m->pid != (uint32_t)proc_pid(w->proc) ||
	    tr_role_find(m->jr.p, m->jr.n) != (int)w->id)
		return;
	w->beat = *m;
	tr_copy(w->beat_state, sizeof(w->beat_state), m->state.p, m->state.n);
	w->beat.state = wire_s(w->beat_state);
	tr_copy(w->beat_reason, sizeof(w->beat_reason), m->archive_reason.p, m->archive_reason.n);
	w->beat.archive_reason = wire_s(w->beat_reason);
	w->beat.jr = wire_s(api_name(w));
	w->has_beat = true;
	w->starved = false;
	w->heard_ms = now;
	w->heard_wall = tr_wall_ms();
	hang_beat(&w->hang, now);
	step(w, EV_BEAT);
	w->env->ops->on_beat(w->env->arg, w, &w->beat);
}

static void on_message(void *arg, struct packet *ch, enum wire_msg_id id, uint32_t msgid, const void *msg)
{
	struct worker *w = arg;

	(void)ch;
	if (w->proc == NULL)
		return;
	if (id == MSG_hello)
		take_hello(w, msg);
	else if (id == MSG_heartbeat)
		take_beat(w, msg);
	else if (wire_methods[id].kind == WIRE_REQUEST)
		w->env->ops->on_ask(w->env->arg, w, id, msgid, msg);
}

static void close_channel(struct worker *w)
{
	if (w->chan != NULL && packet_stats(w->chan)->dropped > 0)
		log_info("channel was full at times jr=%s dropped=%" PRIu64, api_name(w),
			 packet_stats(w->chan)->dropped);
	packet_free(&w->chan);
	w->follows = false;
}

/* The process is dying, or has lost its mind: SIGCHLD or the missing beats will tell. */
static void on_close(void *arg, struct packet *ch)
{
	(void)ch;
	close_channel(arg);
}

static const struct packet_ops channel_ops = {on_message, on_close};

/* ---- carrying out ---- */

/* 0, or why there is no process. */
static int spawn(struct worker *w)
{
	unsigned act = role_step(&w->role, RV_SPAWN, SLOT);
	struct life life = {w->id, w->lc.generation, w->role.epoch};
	int fd = -1, r;

	assert(act == RO_APPOINT);
	(void)act;
	if (w->why != DEATH_NONE)
		w->restarts[w->why]++;
	w->why = DEATH_NONE;
	w->ordered = w->starved = w->follows = false;
	w->revision = w->env->launch->revision;
	w->heartbeat_ms = w->env->cfg->heartbeat_ms;
	w->hang_after_ms = w->env->cfg->hang_after_ms;
	w->up_ms = 0;
	w->spawned_ms = tr_mono_ms();
	r = launch_jr(w->env->launch, w->env->procs, &life, w, &w->proc, &fd);
	if (r == 0 && (r = packet_new(&w->chan, w->env->loop, fd, 1u << w->id, &channel_ops, w)) < 0) {
		/* Without a channel it is of no use; it ends like any other and the back-off decides. */
		log_error("jr has no channel jr=%s: %s", api_name(w), tr_strerror(r));
		proc_signal(w->proc, SIGKILL);
		return 0;
	}
	if (r == 0) {
		log_info("jr started jr=%s pid=%d generation=%" PRIu32 " epoch=%" PRIu64, api_name(w),
			 proc_pid(w->proc), life.generation, life.epoch);
		tell(w, EVENT_SPAWN, NULL);
		tell(w, EVENT_PROMOTE, NULL);
		return 0;
	}
	log_error("jr cannot be started jr=%s: %s", api_name(w), tr_strerror(r));
	snprintf(w->last_exit, sizeof(w->last_exit), "not started: %.48s", tr_strerror(r));
	tell(w, EVENT_EXIT, w->last_exit);
	recovery_lost(&w->recovery, tr_mono_ns());
	w->why = DEATH_START_FAILED;
	return r;
}

static void gone(struct worker *w)
{
	close_channel(w);
	w->has_beat = false;
	role_step(&w->role, RV_LOST, SLOT);
}

static void up(struct worker *w)
{
	uint64_t now = tr_mono_ms();
	char text[96];
	double s;

	w->was_up = true;
	w->exits = 0;
	w->up_ms = w->heard_ms = now;
	w->heard_wall = tr_wall_ms();
	hang_start(&w->hang, now);
	role_step(&w->role, RV_READY, SLOT);
	s = recovery_back(&w->recovery, tr_mono_ns());
	if (s < 0)
		log_info("jr up jr=%s pid=%d start_ms=%" PRIu64, api_name(w), proc_pid(w->proc), now - w->spawned_ms);
	else
		log_info("jr up jr=%s pid=%d start_ms=%" PRIu64 " away_ms=%.3f", api_name(w), proc_pid(w->proc),
			 now - w->spawned_ms, s * 1e3);
	if (s < 0)
		snprintf(text, sizeof(text), "after %" PRIu64 " ms", now - w->spawned_ms);
	else
		snprintf(text, sizeof(text), "after %" PRIu64 " ms, was away for %.1f ms", now - w->spawned_ms,
			 s * 1e3);
	tell(w, EVENT_READY, text);
}

static void drain(struct worker *w)
{
	struct msg_drain m = {.generation = w->lc.generation, .deadline_ms = w->env->cfg->stop_timeout_ms};

	if (w->chan == NULL || packet_note(w->chan, MSG_drain, &m) < 0)
		proc_signal(w->proc, SIGTERM); /* it means the same to a Jr */
}

static void arm(struct worker *w)
{
	uint64_t now = tr_mono_ms();

	if (w->lc.wake_ms == 0)
		loop_timer_stop(w->timer);
	else
		loop_timer_start(w->timer, w->lc.wake_ms > now ? w->lc.wake_ms - now : 1, 0);
}

/* Waiting for another start is worth telling. */
static void tell_wait(struct worker *w)
{
	char text[96];

	if (w->lc.state != LC_BACKOFF && w->lc.state != LC_FAILED)
		return;
	snprintf(text, sizeof(text), "next start in %" PRIu64 " ms, last: %.40s", w->retry_ms, w->last_exit);
	tell(w, w->lc.state == LC_BACKOFF ? EVENT_BACKOFF : EVENT_FAILED, text);
}

static void step_once(struct worker *w, enum lc_event ev, int *spawned)
{
	const struct tr_config *cfg = w->env->cfg;
	struct lc_limits lim = {.start_ms = cfg->start_timeout_ms,
				.drain_ms = cfg->stop_timeout_ms,
				.term_ms = cfg->stop_timeout_ms,
				.kill_ms = KILL_MS,
				.retry_ms = w->retry_ms};
	unsigned act = lc_step(&w->lc, &lim, ev, tr_mono_ms());

	assert(!(act & DO_BUG));
	if (act & DO_GONE)
		gone(w);
	if (act & DO_SPAWN)
		*spawned = spawn(w);
	if (act & DO_UP)
		up(w);
	if (act & DO_DRAIN)
		drain(w);
	if (act & (DO_TERM | DO_KILL)) {
		log_info("jr signalled jr=%s pid=%d signal=%s", api_name(w), proc_pid(w->proc),
			 act & DO_KILL ? "KILL" : "TERM");
		proc_signal(w->proc, act & DO_KILL ? SIGKILL : SIGTERM);
	}
}

/* One event, and what follows from it at once: a program that cannot be run is a death; a role that is wanted while its
 * worker is down (a restart, a start that came while stopping) begins a new life. */
static void step(struct worker *w, enum lc_event ev)
{
	enum lc_state before = w->lc.state;
	uint32_t generation = w->lc.generation;
	uint64_t wake = w->lc.wake_ms;
	int spawned = 0;

	for (;;) {
		step_once(w, ev, &spawned);
		if (spawned < 0) {
			spawned = 0;
			ev = death_event(w);
		} else if (w->lc.state == LC_DOWN && w->role.state == ROLE_VACANT) {
			ev = EV_START;
		} else {
			break;
		}
	}
	if (w->lc.wake_ms != wake || w->lc.generation != generation)
		arm(w);
	if (w->lc.state == before && w->lc.generation == generation)
		return;
	avail_step(&w->avail, w->lc.state == LC_UP, tr_mono_ms());
	tell_wait(w);
	w->env->ops->on_change(w->env->arg, w);
}

static void on_timer(void *arg)
{
	struct worker *w = arg;

	if (w->lc.wake_ms == 0)
		return;
	if (tr_mono_ms() < w->lc.wake_ms) { /* the loop's clock is coarser than ours */
		arm(w);
		return;
	}
	if (w->lc.state == LC_STARTING) {
		log_warn("jr said no hello in time jr=%s pid=%d", api_name(w), proc_pid(w->proc));
		lost(w, tr_mono_ns());
		blame(w, DEATH_START_TIMEOUT);
		tell(w, EVENT_LATE, NULL);
	}
	step(w, EV_TIMEOUT);
}

/* ---- hang detection ---- */

/* /proc/PID/schedstat: run delay slices, in ns, of the thread that runs the loop. */
static struct hang_sample read_sample(pid_t pid)
{
	struct hang_sample s = {.known = false};
	char path[64], text[512], *p, *end;
	ssize_t n;
	int fd;

	snprintf(path, sizeof(path), "/proc/%d/schedstat", pid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return s;
	n = read(fd, text, sizeof(text) - 1);
	close(fd);
	if (n <= 0)
		return s;
	text[n] = '\0';
	s.run_ns = strtoull(text, &end, 10);
	s.delay_ns = strtoull(end, &p, 10);
	s.known = p != end;
	snprintf(path, sizeof(path), "/proc/%d/stat", pid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return s;
	n = read(fd, text, sizeof(text) - 1);
	close(fd);
	text[n > 0 ? n : 0] = '\0';
	p = strrchr(text, ')');
	s.runnable = p != NULL && p[1] == ' ' && p[2] == 'R';
	return s;
}

void worker_tick(struct worker *w)
{
	uint64_t now = tr_mono_ms();
	struct hang_sample s, *sample = NULL;
	char text[96];

	if (w->lc.state != LC_UP)
		return;
	if (hang_wants_sample(&w->hang, w->heartbeat_ms, now)) {
		s = read_sample(proc_pid(w->proc));
		sample = &s;
	}
	switch (hang_tick(&w->hang, w->hang_after_ms, sample, now)) {
	case HANG_ALIVE:
		break;
	case HANG_STARVED:
		if (!w->starved)
			log_warn("jr starved: it waits for a CPU jr=%s pid=%d", api_name(w), proc_pid(w->proc));
		w->starved = true;
		break;
	case HANG_HUNG:
		log_warn("jr hung jr=%s pid=%d silent_ms=%" PRIu64, api_name(w), proc_pid(w->proc), now - w->heard_ms);
		lost(w, tr_mono_ns());
		blame(w, DEATH_HANG);
		snprintf(text, sizeof(text), "silent for %" PRIu64 " ms", now - w->heard_ms);
		tell(w, EVENT_HANG, text);
		step(w, EV_HUNG);
		break;
	}
}

/* ---- orders ---- */

void worker_start(struct worker *w)
{
	if (w->role.state == ROLE_IDLE || w->role.state == ROLE_CLOSING)
		tell(w, EVENT_START, NULL);
	role_step(&w->role, RV_START, SLOT);
	step(w, EV_START);
}

void worker_stop(struct worker *w)
{
	if (w->role.state != ROLE_IDLE && w->role.state != ROLE_CLOSING)
		tell(w, EVENT_STOP, NULL);
	role_step(&w->role, RV_STOP, SLOT);
	step(w, EV_STOP);
	recovery_forget(&w->recovery);
	w->why = DEATH_NONE;
}

static void again(struct worker *w, enum death why)
{
	if (!lc_alive(w->lc.state) || leaving(w)) {
		worker_start(w);
		return;
	}
	tell(w, EVENT_STOP, why == DEATH_RELOAD ? "to start again with the new configuration" : "to start again");
	step(w, EV_STOP);
	recovery_forget(&w->recovery);
	w->why = why;
}

void worker_restart(struct worker *w)
{
	again(w, DEATH_REQUEST);
}

void worker_replace(struct worker *w)
{
	again(w, DEATH_RELOAD);
}

int worker_harm(struct worker *w, int sig, uint32_t *pid, uint64_t *monotonic_ns)
{
	char text[96];

	if (w->proc == NULL || leaving(w))
		return TR_EUNAVAILABLE;
	w->ordered = true;
	*pid = (uint32_t)proc_pid(w->proc);
	log_info("fault injected jr=%s pid=%d generation=%" PRIu32 " signal=%d", api_name(w), proc_pid(w->proc),
		 w->lc.generation, sig);
	snprintf(text, sizeof(text), "signal %d (%s)", sig, strsignal(sig));
	tell(w, EVENT_DRILL, text);
	*monotonic_ns = tr_mono_ns();
	return proc_signal(w->proc, sig);
}

bool worker_heal(struct worker *w)
{
	bool stopped;

	if (w->proc == NULL)
		return false;
	stopped = proc_stopped(w->proc);
	w->ordered = false; /* how it ends from now on is its own doing */
	if (proc_signal(w->proc, SIGCONT) < 0 || !stopped)
		return false;
	log_info("fault healed jr=%s pid=%d generation=%" PRIu32, api_name(w), proc_pid(w->proc), w->lc.generation);
	tell(w, EVENT_HEAL, NULL);
	return true;
}

bool worker_fresh(const struct worker *w, uint64_t now_ms)
{
	return w->lc.state == LC_UP && w->has_beat && now_ms - w->heard_ms <= w->hang_after_ms;
}

uint64_t worker_restarts(const struct worker *w)
{
	uint64_t n = 0;

	for (int i = 0; i < NDEATHS; i++)
		n += w->restarts[i];
	return n;
}

int worker_init(struct worker *w, const struct worker_env *env, enum tr_role id)
{
	memset(w, 0, sizeof(*w));
	w->env = env;
	w->id = id;
	w->why = DEATH_NONE;
	role_init(&w->role);
	lc_init(&w->lc);
	avail_init(&w->avail, tr_mono_ms());
	return loop_timer_new(&w->timer, env->loop, on_timer, w);
}

void worker_free(struct worker *w)
{
	packet_free(&w->chan);
	loop_timer_free(&w->timer);
}
