#include "supervisor/app/tribe.h"
#include "common/base/clock.h"
#include "common/base/urgency.h"
#include "common/log/log.h"
#include "supervisor/app/adopt.h"
#include "supervisor/app/control.h"
#include "supervisor/app/drills.h"
#include "supervisor/app/feed.h"
#include "supervisor/app/notify.h"
#include "supervisor/app/reload.h"
#include "supervisor/app/report.h"
#include "supervisor/app/runner.h"
#include "supervisor/proc/detach.h"
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#define TURN_NS  100000 /* it does little, and what it waits for is somebody down: see tr_slice() */
#define HOPELESS 3      /* so many equal exits in a row of a Jr that was never up */

/* ---- shutdown: the reverse of the order of start, each after the one before has left ---- */

static void stop_next(struct tribe *t)
{
	for (int i = TR_NROLES - 1; i >= 0; i--) {
		struct worker *w = &t->workers[i];

		if (worker_wanted(w))
			worker_stop(w); /* may be down at once; then on_change has gone on already */
		if (!worker_down(w))
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
	feed_word(t, EVENT_SHUTDOWN, NULL);
	notify_stopping();
	runner_stop(t->runner);
	stop_next(t);
}

static void on_stopper(void *arg)
{
	tribe_shutdown(arg);
}

/* ---- what the workers tell ---- */

/* After a first start beyond loopback: once, then the token is forgotten. The journal gets it without the token. */
static void welcome_text(struct tribe *t, struct buf *text)
{
	const char *journal = getenv("JOURNAL_STREAM");
	char have[64] = "";
	struct stat st;
	bool quiet;

	if (fstat(STDOUT_FILENO, &st) == 0)
		snprintf(have, sizeof(have), "%ju:%ju", (uintmax_t)st.st_dev, (uintmax_t)st.st_ino);
	quiet = journal != NULL && strcmp(journal, have) == 0;
	if (credentials_welcome(&t->credentials, t->opts->paths.state, t->listeners.http_address, quiet, text) < 0)
		log_error("out of memory");
	explicit_bzero(t->credentials.token, sizeof(t->credentials.token));
}

static void wipe(struct buf *text)
{
	if (text->len > 0)
		explicit_bzero(text->p, text->len);
	buf_free(text);
}

static void welcome(struct tribe *t)
{
	struct buf text = {0};

	welcome_text(t, &text);
	if (text.len > 0) {
		(void)!fwrite(text.p, 1, text.len, stdout);
		fflush(stdout);
	}
	wipe(&text);
}

/* The daemon's own standard output is gone: through the process that waits. */
static void welcome_detached(struct tribe *t)
{
	struct buf text = {0};

	if (t->report_fd < 0)
		return;
	welcome_text(t, &text);
	detach_ready(&t->report_fd, text.p);
	wipe(&text);
}

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
	welcome_detached(t);
	loop_timer_stop(t->late);
}

/* Operational, degraded or down: told when it turns. Silent while starting, while leaving, and while a memory-jr that
 * is up has not yet said how its archive is. */
static void judge(struct tribe *t)
{
	const struct worker *memory = &t->workers[TR_ROLE_MEMORY];
	enum event_kind now = report_overall(t);

	if (t->stopping || now == t->told || (worker_serves(memory) && !worker_face(memory)->has_beat) ||
	    (t->told == EVENT_NKINDS && now != EVENT_OPERATIONAL))
		return;
	t->told = now;
	feed_word(t, now, NULL);
}

/* Who waits behind --detach need not wait for the end of the start timeout: not from in here, a turn later. */
static void look_for_hopeless(struct tribe *t, const struct worker *w)
{
	if (t->report_fd >= 0 && !t->announced && worker_exits(w) >= HOPELESS)
		loop_timer_start(t->late, 0, 0);
}

static void on_change(void *arg, struct worker *w)
{
	struct tribe *t = arg;
	unsigned up = 0;

	for (int i = 0; i < TR_NROLES; i++)
		up += worker_serves(&t->workers[i]);
	if (t->control != NULL)
		control_on_change(t->control, w);
	if (t->stopping) {
		stop_next(t);
		return;
	}
	look_for_hopeless(t, w);
	announce(t, up);
	judge(t);
	if (t->reload != NULL)
		reload_on_change(t->reload);
}

static void on_beat(void *arg, struct worker *w, const struct msg_heartbeat *beat)
{
	struct tribe *t = arg;

	if (w->id == TR_ROLE_MEMORY && beat->has_recalls_total)
		t->recalls_seen = sentience_recalls(&t->recalls, beat->recalls_total);
	feed_beat(t, beat);
	if (w->id == TR_ROLE_MEMORY)
		judge(t);
}

static void on_event(void *arg, struct event *e)
{
	feed_event(arg, e);
}

/* messages.def says who may ask what. */
static void on_ask(void *arg, struct copy *c, enum wire_msg_id id, uint32_t msgid, const void *msg)
{
	struct item_drill list[DRILLS_KEPT];
	struct res_drills res = {.drills = {.v = list}};
	const struct msg_drills *m = msg;
	struct res_drill_start start;
	struct tribe *t = arg;
	struct tr_fault fault;
	struct report r;

	if (id == MSG_events) {
		feed_answer(t, c, msgid, msg);
		return;
	}
	if (id == MSG_drills) {
		res.drills.n = drills_list(t->drills, m->has_limit ? m->limit : DRILLS_KEPT, list);
		res.has_running = runner_now(t->runner, &res.running);
		packet_reply(c->chan, MSG_drills, msgid, &res);
		return;
	}
	if (id == MSG_drill_start) {
		if (runner_start(t->runner, msg, &start.running, &fault) < 0)
			packet_fail(c->chan, msgid, &fault);
		else
			packet_reply(c->chan, MSG_drill_start, msgid, &start);
		return;
	}
	if (id != MSG_status) {
		tr_fault_set(&fault, TR_EMETHOD, "", "tribed does not answer that here");
		packet_fail(c->chan, msgid, &fault);
		return;
	}
	report_fill(&r, t);
	packet_reply(c->chan, MSG_status, msgid, &r.res);
}

static const struct worker_ops worker_ops = {on_change, on_beat, on_ask, on_event};

/* ---- timers and signals ---- */

/* --detach promised an answer within the start timeout; also when there is no hope. */
static void on_late(void *arg)
{
	struct tribe *t = arg;
	char *why = t->failure;
	bool hopeless = false;
	size_t n;

	if (t->stopping || t->announced)
		return;
	for (int i = 0; i < TR_NROLES; i++)
		hopeless = hopeless || worker_exits(&t->workers[i]) >= HOPELESS;
	snprintf(why, sizeof(t->failure), "not every Jr came up%s", hopeless ? "" : " in time");
	for (int i = 0; i < TR_NROLES; i++) {
		const struct worker *w = &t->workers[i];

		if (worker_serves(w) || (hopeless && worker_exits(w) < HOPELESS))
			continue; /* those that were still on their way are not to blame */
		n = strlen(why);
		snprintf(why + n, sizeof(t->failure) - n, "%s %s %s", why[n - 1] == ')' ? "," : ":",
			 tr_roles[i].program, worker_exits(w) >= HOPELESS ? "leaves each time" : "did not");
		n = strlen(why);
		snprintf(why + n, sizeof(t->failure) - n, " (%s)",
			 w->last_exit != NULL ? w->last_exit : worker_word(w));
	}
	log_error("%s", why);
	n = strlen(why);
	snprintf(why + n, sizeof(t->failure) - n, "; the reason is in %s/tribed.log", t->opts->paths.state);
	tribe_shutdown(t);
}

static void on_signal(uv_signal_t *h, int signum)
{
	struct tribe *t = h->data;

	if (signum == SIGHUP)
		reload_begin(t->reload, NULL);
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
	int r;

	if ((r = loop_timer_new(&t->late, &t->loop, on_late, t)) < 0 ||
	    (r = loop_timer_new(&t->stopper, &t->loop, on_stopper, t)) < 0)
		return r;
	return t->report_fd < 0 ? 0 : loop_timer_start(t->late, t->cfg.start_timeout_ms, 0);
}

/* ---- together ---- */

static int open_parts(struct tribe *t)
{
	const struct app_opts *o = t->opts;
	int r;

	if ((r = uv_loop_init(&t->loop)) < 0)
		return r;
	t->loop_open = true;
	if ((r = proc_set_new(&t->procs, &t->loop, &copy_proc_ops)) < 0 || (r = watch_signals(t)) < 0 ||
	    (r = start_timers(t)) < 0 || (r = notify_new(&t->notify, &t->loop)) < 0 ||
	    (r = launch_init(&t->launch, &o->paths, &t->listeners, &t->credentials, t->lock.state_fd,
			     t->adopting ? t->store.lead : NULL)) < 0 ||
	    (r = launch_configure(&t->launch, &t->cfg)) < 0 || (r = reload_new(&t->reload, t)) < 0 ||
	    (r = drills_new(&t->drills, o->paths.state)) < 0 || (r = runner_new(&t->runner, t)) < 0)
		return r;
	oom_init(&t->oom);
	t->env = (struct worker_env){&t->loop, t->procs, &t->launch, &t->cfg, &worker_ops, t, &t->oom};
	for (int i = 0; i < TR_NROLES; i++)
		if ((r = worker_init(&t->workers[i], &t->env, (enum tr_role)i)) < 0)
			return r;
	return control_new(&t->control, t);
}

static int open_base(struct tribe *t)
{
	const struct app_opts *o = t->opts;
	char *why = t->failure;
	size_t size = sizeof(t->failure);
	int r = state_lock_take(&t->lock, o->paths.state, o->paths.runtime, why, size);

	return r < 0 ? r
		     : listeners_open(&t->listeners, o->paths.runtime, o->cfg.http_listen, t->lock.unclean, why, size);
}

int tribe_open(struct tribe *t, const struct app_opts *opts, int report_fd)
{
	char *why = t->failure;
	size_t size = sizeof(t->failure);
	int r;

	memset(t, 0, sizeof(*t));
	t->opts = opts;
	t->cfg = opts->cfg;
	t->origins = opts->origins;
	t->told = EVENT_NKINDS;
	t->report_fd = report_fd;
	t->start_ms = tr_mono_ms();
	t->lock = (struct state_lock){.state_fd = -1, .runtime_fd = -1};
	t->listeners = listeners_none;
	umask(077);
	setrlimit(RLIMIT_CORE, &(struct rlimit){0, 0}); /* a core would hold memories */
	t->adopting = adopt_base(t);
	if ((!t->adopting && (r = open_base(t)) < 0) ||
	    (r = credentials_load(&t->credentials, &t->cfg, opts->paths.state, NULL, why, size)) < 0)
		return r;
	if (report_fd < 0)
		welcome(t);
	if ((r = open_parts(t)) < 0)
		snprintf(why, size, "%s", tr_strerror(r));
	else if (!t->adopting)
		adopt_keep(t);
	return r;
}

int tribe_run(struct tribe *t)
{
	if (t->adopting)
		adopt_jrs(t);
	for (int i = 0; i < TR_NROLES && !t->stopping; i++)
		worker_start(&t->workers[i]);
	tr_slice(TURN_NS);
	uv_run(&t->loop, UV_RUN_DEFAULT);
	log_info("down uptime_s=%llu", (unsigned long long)((tr_mono_ms() - t->start_ms) / 1000));
	return t->failure[0] == '\0' ? 0 : 1;
}

void tribe_free(struct tribe *t)
{
	reload_free(&t->reload);
	control_free(&t->control);
	drills_free(&t->drills);
	runner_free(&t->runner);
	for (int i = 0; i < TR_NROLES; i++)
		worker_free(&t->workers[i]);
	launch_free(&t->launch);
	credentials_free(&t->credentials);
	if (t->notify != NULL)
		notify_free(&t->notify);
	loop_timer_free(&t->late);
	loop_timer_free(&t->stopper);
	for (unsigned i = 0; i < t->nsignals; i++)
		uv_close((uv_handle_t *)&t->signals[i], NULL);
	proc_set_free(&t->procs); /* after a failed start: ends what was begun */
	if (t->loop_open && loop_finish(&t->loop) < 0)
		log_error("a handle was left open");
	store_close(&t->store);
	store_drop_all();
	listeners_close(&t->listeners, t->opts->paths.runtime);
	state_lock_drop(&t->lock);
	detach_report(&t->report_fd, t->failure[0] != '\0' ? t->failure : "told to stop before it was ready");
}
