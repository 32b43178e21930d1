#include "supervisor/app/copy.h"
#include "common/base/clock.h"
#include "common/base/text.h"
#include "common/log/log.h"
#include "supervisor/app/silence.h"
#include "supervisor/app/store.h"
#include "supervisor/app/worker.h"
#include <assert.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>

#define KILL_MS        1000 /* SIGKILL to the next one, should the kernel be slow to reap */
#define ADOPT_AGAIN_MS 20   /* an adopted process is asked for its hello so often */
#define ADOPT_LOOK_MS  100  /* and looked at so often, whether it is stopped: nobody tells us */

static const char *api_name(const struct copy *c)
{
	return tr_roles[c->w->id].api_name;
}

void copy_tell(const struct copy *c, enum event_kind kind, const char *detail)
{
	struct event e = {.kind = kind,
			  .role = (int)c->w->id,
			  .pid = c->proc != NULL ? (uint32_t)proc_pid(c->proc) : 0,
			  .generation = c->generation,
			  .epoch = c->epoch != 0 ? c->epoch : c->w->role.taken};

	if (detail != NULL)
		tr_copy(e.detail, sizeof(e.detail), detail, strlen(detail));
	c->w->env->ops->on_event(c->w->env->arg, &e);
}

bool copy_leaves(const struct copy *c)
{
	return c->lc.state == LC_STOPPING || c->lc.state == LC_TERMINATING || c->lc.state == LC_ENDING;
}

bool copy_waits(const struct copy *c)
{
	return c->lc.state == LC_BACKOFF || c->lc.state == LC_FAILED;
}

/* Nobody asked it to end. */
static bool unasked(const struct copy *c)
{
	return !copy_leaves(c) && worker_wanted(c->w);
}

/* ---- the end of a life ---- */

/* The first notice counts, and is the cause of what follows. */
static void notice(struct copy *c, enum detection d)
{
	if (c->why != DEATH_NONE || !unasked(c))
		return;
	c->w->detected[d]++;
	c->why = c->ordered ? DEATH_DRILL : detection_death(d);
}

static uint32_t any_32_bits(void)
{
	uint32_t r = 0;

	(void)!getrandom(&r, sizeof(r), GRND_NONBLOCK);
	return r;
}

/* What the back-off says, and whether somebody else is about to lead, decides which event the death is. */
static enum lc_event death_event(struct copy *c)
{
	static const enum lc_event events[] = {EV_EXIT, EV_EXIT_LATER, EV_EXIT_OFTEN};
	uint64_t healthy = c->up_ms != 0 && !c->barren ? tr_mono_ms() - c->up_ms : 0;
	enum lc_event ev = EV_EXIT;

	if (!unasked(c))
		return EV_EXIT_SPENT;
	if (c->ordered)
		backoff_ordered(&c->backoff, healthy);
	else
		ev = events[backoff_crash(&c->backoff, healthy, any_32_bits(), &c->retry_ms)];
	return ev == EV_EXIT && worker_spent(c) ? EV_EXIT_SPENT : ev;
}

/* The same exit status again and again, and never a hello: nothing that time would heal. */
static void count_exits(struct copy *c, const struct proc_end *end)
{
	if (c->was_up || end->how != PROC_EXITED || !unasked(c)) {
		c->exits = 0;
		return;
	}
	c->exits = c->exits > 0 && c->exit_value == end->value ? c->exits + 1 : 1;
	c->exit_value = end->value;
}

static void on_end(void *arg, struct proc *p, const struct proc_end *end)
{
	struct copy *c = arg;
	bool exited = end->how == PROC_EXITED, unknown = end->how == PROC_UNKNOWN;
	const char *cause;
	double away_s = -1;
	char text[160];

	assert(c->proc == p);
	(void)p;
	notice(c, unknown ? DETECTED_UNKNOWN
			  : detection_of_end(exited, end->value,
					     !exited && end->value == SIGKILL && c->why == DEATH_NONE &&
						     oom_again(c->w->env->oom)));
	count_exits(c, end);
	cause = unasked(c) ? death_names[c->why] : "stop";
	if (unknown)
		snprintf(c->last_exit, sizeof(c->last_exit), "unknown: it was adopted");
	else if (exited)
		snprintf(c->last_exit, sizeof(c->last_exit), "exit %d", end->value);
	else
		snprintf(c->last_exit, sizeof(c->last_exit), "signal %d (%s)", end->value, strsignal(end->value));
	c->w->last_exit = c->last_exit;
	log_info("jr ended jr=%s pid=%d generation=%" PRIu32 " end=\"%s\" cause=%s", api_name(c), end->pid,
		 c->generation, c->last_exit, cause);
	c->reign.reaped_ns = end->at_ns;
	if (unasked(c))
		away_s = worker_reaped(c);
	if (away_s < 0)
		snprintf(text, sizeof(text), "%s, cause: %s", c->last_exit, cause);
	else /* somebody else leads already */
		snprintf(text, sizeof(text), "%s, cause: %s, the role was away for %.2f ms", c->last_exit, cause,
			 away_s * 1e3);
	copy_tell(c, EVENT_EXIT, text);
	c->proc = NULL;
	copy_step(c, death_event(c));
}

/* A stopped process sees neither drain nor SIGTERM, and holds what it holds: end it. */
static void on_stop(void *arg, struct proc *p, int sig)
{
	struct copy *c = arg;
	char text[96];

	assert(c->proc == p);
	log_warn("jr stopped jr=%s pid=%d signal=%d", api_name(c), proc_pid(p), sig);
	notice(c, DETECTED_STOPPED);
	reign_hurt(&c->reign, tr_mono_ns());
	snprintf(text, sizeof(text), "signal %d (%s)", sig, strsignal(sig));
	copy_tell(c, EVENT_STOPPED, text);
	copy_step(c, EV_STOPPED);
}

const struct proc_ops copy_proc_ops = {on_end, on_stop};

/* ---- the channel ---- */

static bool is_own(const struct copy *c, wire_str jr, uint32_t pid, uint32_t generation)
{
	return generation == c->generation && pid == (uint32_t)proc_pid(c->proc) &&
	       tr_role_find(jr.p, jr.n) == (int)c->w->id;
}

static void take_hello(struct copy *c, const struct msg_hello *m)
{
	if (!is_own(c, m->jr, m->pid, m->generation) || m->proto_rev != WIRE_PROTO_REV) {
		log_warn("hello dropped: not of this life jr=%s generation=%" PRIu32 " got=%" PRIu32
			 " proto_rev=%" PRIu32,
			 api_name(c), c->generation, m->generation, m->proto_rev);
		return;
	}
	copy_step(c, EV_HELLO);
}

static void take_lead(struct copy *c, const struct msg_lead *m)
{
	if (is_own(c, m->jr, m->pid, m->generation) && c->up_ms != 0)
		worker_takes(c, m);
	else
		log_warn("jr.lead dropped: not of this life jr=%s generation=%" PRIu32 " got=%" PRIu32, api_name(c),
			 c->generation, m->generation);
}

static void judge_beat(struct copy *c, uint64_t now)
{
	const struct msg_heartbeat *b = &c->beat;
	uint32_t overdue = b->has_overdue ? b->overdue : 0;
	bool slow = b->loop_lag_us >= c->hang_after_ms * UINT64_C(500);
	char text[96];

	if (slow && !c->slow && unasked(c)) {
		c->w->detected[DETECTED_SLOW]++;
		log_warn("jr slow jr=%s pid=%d loop_lag_us=%" PRIu64, api_name(c), proc_pid(c->proc), b->loop_lag_us);
		snprintf(text, sizeof(text), "its loop ran late by %" PRIu64 " ms", b->loop_lag_us / 1000);
		copy_tell(c, EVENT_SLOW, text);
	}
	c->slow = slow;
	if (!mute_beat(&c->mute, overdue > 0, c->hang_after_ms, now) || c->lc.state != LC_UP)
		return;
	log_warn("jr mute jr=%s pid=%d overdue=%" PRIu32, api_name(c), proc_pid(c->proc), overdue);
	notice(c, DETECTED_MUTE);
	reign_hurt(&c->reign, tr_mono_ns());
	snprintf(text, sizeof(text), "%" PRIu32 " requests not answered, long after their deadlines", overdue);
	copy_tell(c, EVENT_MUTE, text);
	copy_step(c, EV_HUNG);
}

/* It could lead and nobody does, but it has not taken the mutex. */
static void stuck(struct copy *c)
{
	log_warn("jr stuck: it does not take the lead jr=%s pid=%d", api_name(c), proc_pid(c->proc));
	notice(c, DETECTED_STUCK);
	c->barren = true;
	copy_tell(c, EVENT_HANG, "nobody leads, and it does not take the lead");
	copy_step(c, EV_HUNG);
}

static void take_beat(struct copy *c, const struct msg_heartbeat *m)
{
	uint64_t now = tr_mono_ms();

	if (!is_own(c, m->jr, m->pid, m->generation))
		return;
	c->beat = *m;
	tr_copy(c->beat_state, sizeof(c->beat_state), m->state.p, m->state.n);
	c->beat.state = wire_s(c->beat_state);
	tr_copy(c->beat_reason, sizeof(c->beat_reason), m->archive_reason.p, m->archive_reason.n);
	c->beat.archive_reason = wire_s(c->beat_reason);
	c->beat.jr = wire_s(api_name(c));
	if (!c->has_beat && proc_adopted(c->proc))
		c->spawned_ms = now - m->uptime_ms; /* before our time */
	c->has_beat = true;
	c->starved = false;
	c->heard_ms = now;
	c->heard_wall = tr_wall_ms();
	hang_beat(&c->hang, now);
	copy_step(c, EV_BEAT);
	if (m->epoch > c->epoch && m->epoch > c->w->role.taken &&
	    c->up_ms != 0) /* its word was lost: the channel was full */
		worker_takes(c, &(struct msg_lead){.epoch = m->epoch,
						   .pid = m->pid,
						   .generation = m->generation,
						   .monotonic_ns = m->monotonic_ns});
	if (c->slot == c->w->role.lead && worker_serves(c->w))
		c->w->env->ops->on_beat(c->w->env->arg, c->w, &c->beat);
	if (worker_stuck_at(c, now))
		stuck(c);
	else
		judge_beat(c, now);
}

/* Of the kinds of events a Jr may tell only its own. */
static void take_news(struct copy *c, const struct msg_news *m)
{
	char text[96];
	size_t n;

	if (m->kind.n != strlen(event_words[EVENT_VOTE]) || memcmp(m->kind.p, event_words[EVENT_VOTE], m->kind.n) != 0)
		return;
	tr_copy(text, sizeof(text), m->has_detail ? m->detail.p : "", m->has_detail ? m->detail.n : 0);
	for (n = strlen(text); n > 0 && !tr_utf8_ok(text, n, NULL); n--) /* cut within a character */
		text[n - 1] = '\0';
	copy_tell(c, EVENT_VOTE, text);
}

static void on_message(void *arg, struct packet *ch, enum wire_msg_id id, uint32_t msgid, const void *msg)
{
	struct copy *c = arg;

	(void)ch;
	if (c->proc == NULL)
		return;
	if (id == MSG_hello)
		take_hello(c, msg);
	else if (id == MSG_lead)
		take_lead(c, msg);
	else if (id == MSG_heartbeat)
		take_beat(c, msg);
	else if (id == MSG_news)
		take_news(c, msg);
	else if (wire_methods[id].kind == WIRE_REQUEST)
		c->w->env->ops->on_ask(c->w->env->arg, c, id, msgid, msg);
}

static void close_channel(struct copy *c)
{
	if (c->chan != NULL && packet_stats(c->chan)->dropped > 0)
		log_info("channel was full at times jr=%s dropped=%" PRIu64, api_name(c),
			 packet_stats(c->chan)->dropped);
	packet_free(&c->chan);
	c->follows = false;
}

/* The process is dying, or has lost its mind: SIGCHLD or the missing beats will tell. */
static void on_close(void *arg, struct packet *ch)
{
	(void)ch;
	close_channel(arg);
}

static const struct packet_ops channel_ops = {on_message, on_close};

/* ---- carrying out ---- */

static void begin(struct copy *c)
{
	const struct tr_config *cfg = c->w->env->cfg;

	worker_spawns(c);
	c->ordered = c->starved = c->slow = c->follows = c->barren = false;
	c->mute = (struct mute){.since_ms = 0};
	c->revision = c->w->env->launch->revision;
	c->hang_after_ms = cfg->hang_after_ms;
	c->up_ms = 0;
	c->spawned_ms = tr_mono_ms();
}

/* It says hello again, and whether it leads; until then it is as one that was just made. */
static void ask_adopted(struct copy *c)
{
	struct msg_adopt m = {.generation = c->generation};

	if (c->chan != NULL)
		(void)packet_note(c->chan, MSG_adopt, &m);
	loop_timer_start(c->watch, ADOPT_AGAIN_MS, 0); /* its answer may find the channel full */
}

static int take_adopted(struct copy *c, int *channel)
{
	struct store_process *p = c->adopt;
	int r = proc_adopt(c->w->env->procs, p->pidfd, c, &c->proc);

	if (r < 0)
		return r;
	p->pidfd = -1;
	*channel = p->channel;
	p->channel = -1;
	return 0;
}

static int make(struct copy *c, int *channel)
{
	const struct worker_env *env = c->w->env;
	struct life life = {c->w->id, c->generation, worker_serves(c->w)};
	int r = launch_jr(env->launch, env->procs, &life, c, &c->proc, channel);

	if (r == 0)
		store_keep_process(
			&(struct store_process){c->w->id, c->slot, c->generation, *channel, proc_pidfd(c->proc)});
	return r;
}

/* 0, or why there is no process. */
static int spawn(struct copy *c)
{
	const struct worker_env *env = c->w->env;
	bool adopted = c->adopt != NULL;
	int fd = -1, r;

	begin(c);
	r = adopted ? take_adopted(c, &fd) : make(c, &fd);
	if (r == 0 && (r = packet_new(&c->chan, env->loop, fd, 1u << c->w->id, &channel_ops, c)) < 0) {
		/* Without a channel it is of no use; it ends like any other and the back-off decides. */
		log_error("jr has no channel jr=%s: %s", api_name(c), tr_strerror(r));
		proc_signal(c->proc, SIGKILL);
		return 0;
	}
	if (r == 0 && adopted) {
		log_info("jr adopted jr=%s pid=%d generation=%" PRIu32, api_name(c), proc_pid(c->proc), c->generation);
		copy_tell(c, EVENT_ADOPT, NULL);
		ask_adopted(c);
		return 0;
	}
	if (r == 0) {
		log_info("jr started jr=%s pid=%d generation=%" PRIu32, api_name(c), proc_pid(c->proc), c->generation);
		copy_tell(c, EVENT_SPAWN, NULL);
		return 0;
	}
	log_error("jr cannot be started jr=%s: %s", api_name(c), tr_strerror(r));
	snprintf(c->last_exit, sizeof(c->last_exit), "not started: %.48s", tr_strerror(r));
	c->w->last_exit = c->last_exit;
	copy_tell(c, EVENT_EXIT, c->last_exit);
	notice(c, DETECTED_START_FAILED);
	return r;
}

static void gone(struct copy *c)
{
	close_channel(c);
	store_drop_process(c->w->id, c->slot, c->generation);
	loop_timer_stop(c->watch);
	c->has_beat = false;
	worker_gone(c);
}

static void up(struct copy *c)
{
	uint64_t now = tr_mono_ms();

	c->was_up = true;
	c->exits = 0;
	c->up_ms = c->heard_ms = now;
	c->heard_wall = tr_wall_ms();
	hang_start(&c->hang, c->hang_after_ms, now);
	loop_timer_start(c->watch, c->hang.due_ms - now, 0);
	log_info("jr up jr=%s pid=%d start_ms=%" PRIu64, api_name(c), proc_pid(c->proc), now - c->spawned_ms);
	worker_hello(c);
}

static void drain(struct copy *c)
{
	struct msg_drain m = {.generation = c->generation, .deadline_ms = c->w->env->cfg->stop_timeout_ms};

	if (c->chan == NULL || packet_note(c->chan, MSG_drain, &m) < 0)
		proc_signal(c->proc, SIGTERM); /* it means the same to a Jr */
}

static void arm(struct copy *c)
{
	uint64_t now = tr_mono_ms();

	if (c->lc.wake_ms == 0)
		loop_timer_stop(c->timer);
	else
		loop_timer_start(c->timer, c->lc.wake_ms > now ? c->lc.wake_ms - now : 1, 0);
}

/* Waiting for another start is worth telling. */
static void tell_wait(struct copy *c)
{
	char text[96];

	if (!copy_waits(c))
		return;
	snprintf(text, sizeof(text), "next start in %" PRIu64 " ms, last: %.40s", c->retry_ms, c->last_exit);
	copy_tell(c, c->lc.state == LC_BACKOFF ? EVENT_BACKOFF : EVENT_FAILED, text);
}

static void step_once(struct copy *c, enum lc_event ev, int *spawned)
{
	const struct tr_config *cfg = c->w->env->cfg;
	struct lc_limits lim = {.start_ms = cfg->start_timeout_ms,
				.drain_ms = cfg->stop_timeout_ms,
				.term_ms = cfg->stop_timeout_ms,
				.kill_ms = KILL_MS,
				.retry_ms = c->retry_ms};
	unsigned act = lc_step(&c->lc, &lim, ev, tr_mono_ms());

	assert(!(act & DO_BUG));
	if (act & DO_GONE)
		gone(c);
	if (act & DO_SPAWN)
		*spawned = spawn(c);
	if (act & DO_UP)
		up(c);
	if (act & DO_DRAIN)
		drain(c);
	if (act & (DO_TERM | DO_KILL)) {
		log_info("jr signalled jr=%s pid=%d signal=%s", api_name(c), proc_pid(c->proc),
			 act & DO_KILL ? "KILL" : "TERM");
		proc_signal(c->proc, act & DO_KILL ? SIGKILL : SIGTERM);
	}
}

/* A program that cannot be run is a death. */
void copy_step(struct copy *c, enum lc_event ev)
{
	enum lc_state before = c->lc.state;
	uint32_t life = c->lc.generation;
	uint64_t wake = c->lc.wake_ms;
	int spawned = 0;

	step_once(c, ev, &spawned);
	while (spawned < 0) {
		spawned = 0;
		step_once(c, death_event(c), &spawned);
	}
	if (c->lc.wake_ms != wake || c->lc.generation != life)
		arm(c);
	if (c->lc.state == before && c->lc.generation == life)
		return;
	tell_wait(c);
	worker_changed(c->w);
}

/* ---- timers ---- */

static void on_timer(void *arg)
{
	struct copy *c = arg;

	if (c->lc.wake_ms == 0)
		return;
	if (tr_mono_ms() < c->lc.wake_ms) { /* the loop's clock is coarser than ours */
		arm(c);
		return;
	}
	if (c->lc.state == LC_STARTING) {
		log_warn("jr said no hello in time jr=%s pid=%d", api_name(c), proc_pid(c->proc));
		notice(c, DETECTED_START_TIMEOUT);
		copy_tell(c, EVENT_LATE, NULL);
	}
	copy_step(c, EV_TIMEOUT);
}

static void hung(struct copy *c, bool spins, uint64_t silent_ms)
{
	char text[96];

	log_warn("jr hung jr=%s pid=%d silent_ms=%" PRIu64 " it=%s", api_name(c), proc_pid(c->proc), silent_ms,
		 spins ? "spins" : "blocks");
	notice(c, spins ? DETECTED_SPIN : DETECTED_BLOCK);
	reign_hurt(&c->reign, tr_mono_ns());
	snprintf(text, sizeof(text), "silent for %" PRIu64 " ms: it %s", silent_ms, spins ? "spins" : "blocks");
	copy_tell(c, EVENT_HANG, text);
	copy_step(c, EV_HUNG);
}

static void look(struct copy *c, uint64_t now)
{
	struct hang_sample s, *sample = NULL;
	enum hang_verdict v;

	if (hang_wants_sample(&c->hang, c->hang_after_ms, now)) {
		s = silence_sample(proc_pid(c->proc));
		sample = &s;
	}
	v = hang_look(&c->hang, c->hang_after_ms, sample, now);
	if (v == HANG_STARVED && !c->starved)
		log_warn("jr starved: it waits for a CPU jr=%s pid=%d", api_name(c), proc_pid(c->proc));
	c->starved = v == HANG_STARVED;
	if (v == HANG_SPINS || v == HANG_BLOCKS)
		hung(c, v == HANG_SPINS, now - c->heard_ms);
}

static void on_watch(void *arg)
{
	struct copy *c = arg;
	bool adopted = c->proc != NULL && proc_adopted(c->proc);
	uint64_t now = tr_mono_ms(), wait;

	if (adopted && c->lc.state == LC_STARTING)
		ask_adopted(c);
	if (c->lc.state != LC_UP)
		return;
	if (adopted && proc_stopped(c->proc)) {
		on_stop(c, c->proc, SIGSTOP);
		return;
	}
	if (now >= c->hang.due_ms)
		look(c, now);
	if (c->lc.state != LC_UP)
		return;
	wait = c->hang.due_ms > now ? c->hang.due_ms - now : 1;
	loop_timer_start(c->watch, adopted && wait > ADOPT_LOOK_MS ? ADOPT_LOOK_MS : wait, 0);
}

void copy_adopt(struct copy *c, struct store_process *p, uint32_t revision)
{
	c->adopt = p;
	copy_step(c, EV_START);
	c->adopt = NULL;
	c->revision = revision;
}

int copy_init(struct copy *c, struct worker *w, int slot)
{
	int r;

	c->w = w;
	c->slot = slot;
	c->why = DEATH_NONE;
	lc_init(&c->lc);
	if ((r = loop_timer_new(&c->timer, w->env->loop, on_timer, c)) < 0)
		return r;
	return loop_timer_new(&c->watch, w->env->loop, on_watch, c);
}

void copy_free(struct copy *c)
{
	packet_free(&c->chan);
	loop_timer_free(&c->timer);
	loop_timer_free(&c->watch);
}
