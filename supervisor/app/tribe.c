#include "supervisor/app/tribe.h"
#include "common/base/clock.h"
#include "common/log/log.h"
#include "supervisor/app/control.h"
#include "supervisor/app/notify.h"
#include "supervisor/app/report.h"
#include "supervisor/proc/detach.h"
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>

/* ---- shutdown: the reverse of the order of start, each after the one before has left ---- */

static void stop_next(struct tribe *t)
{
	for (int i = TR_NROLES - 1; i >= 0; i--) {
		struct worker *w = &t->workers[i];

		if (w->role.state != ROLE_IDLE && w->role.state != ROLE_CLOSING)
			worker_stop(w); /* may be down at once; then on_change has gone on already */
		if (w->lc.state != LC_DOWN)
			return;
	}
	uv_stop(&t->loop);
}

void tribe_shutdown(struct tribe *t)
{
	if (t->stopping)
		return;
	t->stopping = true;
	log_info("shutting down");
	notify_stopping();
	stop_next(t);
}

static void on_stopper(void *arg)
{
	tribe_shutdown(arg);
}

/* ---- what the workers tell ---- */

static void announce(struct tribe *t, unsigned up)
{
	char text[80];

	if (t->up_told != 1 + up) {
		snprintf(text, sizeof(text), "%u of %d Jrs up", up, TR_NROLES);
		notify_status(text);
		t->up_told = 1 + up;
	}
	if (up < TR_NROLES || t->announced)
		return;
	t->announced = true;
	log_info("ready start_ms=%llu http=%s", (unsigned long long)(tr_mono_ms() - t->start_ms),
		 t->listeners.http_address);
	notify_ready();
	detach_report(&t->report_fd, NULL);
	loop_timer_stop(t->late);
}

static void on_change(void *arg, struct worker *w)
{
	struct tribe *t = arg;
	unsigned up = 0;

	for (int i = 0; i < TR_NROLES; i++)
		up += t->workers[i].lc.state == LC_UP;
	if (t->control != NULL)
		control_on_change(t->control, w);
	if (t->stopping)
		stop_next(t);
	else
		announce(t, up);
}

static void on_beat(void *arg, struct worker *w, const struct msg_heartbeat *beat)
{
	struct tribe *t = arg;

	if (w->id == TR_ROLE_MEMORY && beat->has_recalls_total)
		t->recalls_seen = sentience_recalls(&t->recalls, beat->recalls_total);
	if (t->control != NULL)
		control_on_beat(t->control, beat);
}

/* messages.def says who may ask what; status is all there is so far. */
static void on_ask(void *arg, struct worker *w, enum wire_msg_id id, uint32_t msgid)
{
	struct tribe *t = arg;
	struct tr_fault fault;
	struct report r;

	if (id != MSG_status) {
		tr_fault_set(&fault, TR_EMETHOD, "", "tribed does not answer that here");
		packet_fail(w->chan, msgid, &fault);
		return;
	}
	report_fill(&r, t);
	packet_reply(w->chan, MSG_status, msgid, &r.res);
}

static const struct worker_ops worker_ops = {on_change, on_beat, on_ask};

/* ---- timers and signals ---- */

static void on_tick(void *arg)
{
	struct tribe *t = arg;

	for (int i = 0; i < TR_NROLES; i++)
		worker_tick(&t->workers[i]);
}

/* --detach promised an answer within the start timeout. */
static void on_late(void *arg)
{
	struct tribe *t = arg;
	char *why = t->failure;

	snprintf(why, sizeof(t->failure), "not every Jr came up in time:");
	for (int i = 0; i < TR_NROLES; i++) {
		const struct worker *w = &t->workers[i];
		size_t n = strlen(why);

		if (w->lc.state != LC_UP)
			snprintf(why + n, sizeof(t->failure) - n, " %s %s%s%s;", tr_roles[i].program,
				 lc_word(w->lc.state), w->last_exit[0] != '\0' ? ", last: " : "", w->last_exit);
	}
	log_error("%s", why);
	tribe_shutdown(t);
}

static void on_signal(uv_signal_t *h, int signum)
{
	struct tribe *t = h->data;

	if (signum == SIGHUP)
		log_warn("SIGHUP: this version does not reload; a new configuration needs a restart");
	else
		tribe_shutdown(t);
}

static int watch_signals(struct tribe *t)
{
	static const int sigs[] = {SIGTERM, SIGINT, SIGHUP};
	int r;

	signal(SIGPIPE, SIG_IGN);
	for (unsigned i = 0; i < sizeof(sigs) / sizeof(sigs[0]); i++) {
		if ((r = uv_signal_init(&t->loop, &t->signals[i])) < 0)
			return r;
		t->nsignals++;
		t->signals[i].data = t;
		if ((r = uv_signal_start(&t->signals[i], on_signal, sigs[i])) < 0)
			return r;
	}
	return 0;
}

static int start_timers(struct tribe *t)
{
	const struct tr_config *cfg = &t->opts->cfg;
	uint64_t period = cfg->heartbeat_ms < cfg->hang_after_ms / 4 ? cfg->heartbeat_ms : cfg->hang_after_ms / 4;
	int r;

	if ((r = loop_timer_new(&t->tick, &t->loop, on_tick, t)) < 0 ||
	    (r = loop_timer_new(&t->late, &t->loop, on_late, t)) < 0 ||
	    (r = loop_timer_new(&t->stopper, &t->loop, on_stopper, t)) < 0 ||
	    (r = loop_timer_start(t->tick, period, period)) < 0)
		return r;
	return t->report_fd < 0 ? 0 : loop_timer_start(t->late, cfg->start_timeout_ms, 0);
}

/* ---- together ---- */

static int open_parts(struct tribe *t)
{
	const struct app_opts *o = t->opts;
	int r;

	if ((r = uv_loop_init(&t->loop)) < 0)
		return r;
	t->loop_open = true;
	if ((r = proc_set_new(&t->procs, &t->loop, &worker_proc_ops)) < 0 || (r = watch_signals(t)) < 0 ||
	    (r = start_timers(t)) < 0 || (r = notify_new(&t->notify, &t->loop)) < 0 ||
	    (r = launch_init(&t->launch, &o->cfg, &o->paths, &t->listeners, t->lock.state_fd)) < 0)
		return r;
	t->env = (struct worker_env){&t->loop, t->procs, &t->launch, &o->cfg, &worker_ops, t};
	for (int i = 0; i < TR_NROLES; i++)
		if ((r = worker_init(&t->workers[i], &t->env, (enum tr_role)i)) < 0)
			return r;
	return control_new(&t->control, t);
}

int tribe_open(struct tribe *t, const struct app_opts *opts, int report_fd)
{
	char *why = t->failure;
	size_t size = sizeof(t->failure);
	int r;

	memset(t, 0, sizeof(*t));
	t->opts = opts;
	t->report_fd = report_fd;
	t->start_ms = tr_mono_ms();
	t->lock = (struct state_lock){.state_fd = -1, .runtime_fd = -1};
	t->listeners = (struct listeners){.control = -1, .http = -1};
	for (int i = 0; i < TR_NROLES; i++)
		t->listeners.jr[i] = -1;
	umask(077);
	setrlimit(RLIMIT_CORE, &(struct rlimit){0, 0}); /* a core would hold memories */
	if ((r = state_lock_take(&t->lock, opts->paths.state, opts->paths.runtime, why, size)) < 0 ||
	    (r = listeners_open(&t->listeners, opts->paths.runtime, opts->cfg.http_listen, t->lock.unclean, why,
				size)) < 0)
		return r;
	if ((r = open_parts(t)) < 0)
		snprintf(why, size, "%s", tr_strerror(r));
	return r;
}

int tribe_run(struct tribe *t)
{
	for (int i = 0; i < TR_NROLES && !t->stopping; i++)
		worker_start(&t->workers[i]);
	uv_run(&t->loop, UV_RUN_DEFAULT);
	log_info("down uptime_s=%llu", (unsigned long long)((tr_mono_ms() - t->start_ms) / 1000));
	return t->failure[0] == '\0' ? 0 : 1;
}

void tribe_free(struct tribe *t)
{
	control_free(&t->control);
	for (int i = 0; i < TR_NROLES; i++)
		worker_free(&t->workers[i]);
	launch_free(&t->launch);
	if (t->notify != NULL)
		notify_free(&t->notify);
	loop_timer_free(&t->tick);
	loop_timer_free(&t->late);
	loop_timer_free(&t->stopper);
	for (unsigned i = 0; i < t->nsignals; i++)
		uv_close((uv_handle_t *)&t->signals[i], NULL);
	proc_set_free(&t->procs); /* after a failed start: ends what was begun */
	if (t->loop_open && loop_finish(&t->loop) < 0)
		log_error("a handle was left open");
	listeners_close(&t->listeners, t->opts->paths.runtime);
	state_lock_drop(&t->lock);
	detach_report(&t->report_fd, t->failure[0] != '\0' ? t->failure : "told to stop before it was ready");
}
