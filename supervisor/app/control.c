#include "supervisor/app/control.h"
#include "common/base/clock.h"
#include "proto/chan/server.h"
#include "supervisor/app/drills.h"
#include "supervisor/app/feed.h"
#include "supervisor/app/harm.h"
#include "supervisor/app/reload.h"
#include "supervisor/app/report.h"
#include "supervisor/app/runner.h"
#include "supervisor/app/settings.h"
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <tribe/version.h>
#include <unistd.h>

#define MAX_CONNS    64
#define MAX_QUEUE    (4u << 20)
#define MAX_INFLIGHT 16
#define MAX_WAITING  32

/* jr.start, jr.stop, jr.restart are answered when it is done, or when it is certain that it is not. */
struct waiting {
	struct chan_call *call; /* NULL: free */
	enum tr_role role;
	bool down;      /* waits for it to be down, else up */
	uint32_t after; /* up: a lead later than this generation */
};

/* Connections that asked for every further one. */
struct followers {
	struct chan_conn *v[MAX_CONNS];
	unsigned n;
};

struct control {
	struct tribe *tribe;
	struct chan_server *server;
	struct followers beats, events;
	struct harm harm;
	struct waiting waiting[MAX_WAITING];
};

static unsigned identify(void *arg, pid_t pid, uid_t uid, gid_t gid)
{
	struct control *c = arg;

	(void)gid;
	for (int i = 0; i < TR_NROLES; i++)
		for (int k = 0; k < WORKER_COPIES; k++) {
			const struct copy *jr = &c->tribe->workers[i].copies[k];

			if (jr->proc != NULL && proc_pid(jr->proc) == pid)
				return 0;
		}
	if (uid == 0 || uid == geteuid())
		return FROM_USER;
	/* Only a member of the group can have opened a 0660 socket that is not his own: the kernel looked at all his
	 * groups. */
	return c->tribe->listeners.readers ? FROM_READER : 0;
}

struct worker *control_worker(struct tribe *t, struct chan_call *call, wire_str jr)
{
	int role = tr_role_find(jr.p, jr.n);

	if (role >= 0)
		return &t->workers[role];
	chan_failf(call, TR_EINVAL, "jr", "must be memory, integration, meta or executive");
	return NULL;
}

/* ---- reading ---- */

static void on_status(void *arg, struct chan_call *call, const void *msg)
{
	struct control *c = arg;
	struct report r;

	(void)msg;
	report_fill(&r, c->tribe);
	chan_reply(call, &r.res);
}

static void on_version(void *arg, struct chan_call *call, const void *msg)
{
	struct res_version res = {.version = wire_s(TRIBE_VERSION),
				  .commit = wire_s(TRIBE_COMMIT),
				  .proto_rev = WIRE_PROTO_REV,
				  .pid = (uint32_t)getpid()};

	(void)arg;
	(void)msg;
	chan_reply(call, &res);
}

static void on_config(void *arg, struct chan_call *call, const void *msg)
{
	struct control *c = arg;

	(void)msg;
	settings_answer(c->tribe, call);
}

static void follow(struct followers *f, struct chan_conn *conn)
{
	for (unsigned i = 0; i < f->n; i++)
		if (f->v[i] == conn)
			return;
	if (f->n < MAX_CONNS) /* no more connections than that */
		f->v[f->n++] = conn;
	chan_conn_keep(conn);
}

static void unfollow(struct followers *f, const struct chan_conn *conn)
{
	for (unsigned i = 0; i < f->n; i++)
		if (f->v[i] == conn)
			f->v[i] = f->v[--f->n];
}

static void notify_all(struct followers *f, enum wire_msg_id id, const void *msg)
{
	/* From the end: a connection that cannot keep up is closed, and may leave the list, inside chan_notify. */
	for (unsigned i = f->n; i-- > 0;)
		if (i < f->n)
			chan_notify(f->v[i], id, msg);
}

static void on_close(void *arg, struct chan_conn *conn)
{
	struct control *c = arg;

	unfollow(&c->beats, conn);
	unfollow(&c->events, conn);
	harm_on_close(&c->harm, conn);
}

static void on_heartbeats(void *arg, struct chan_call *call, const void *msg)
{
	const struct msg_heartbeats *m = msg;
	struct control *c = arg;
	struct chan_conn *conn = chan_call_conn(call);
	struct item_beat beats[TR_NROLES];
	struct res_heartbeats res = {.heartbeats = {.v = beats}};

	for (int i = 0; i < TR_NROLES; i++)
		if (worker_face(&c->tribe->workers[i])->has_beat)
			report_beat(&worker_face(&c->tribe->workers[i])->beat, &beats[res.heartbeats.n++]);
	if (m->has_follow && m->follow && conn != NULL)
		follow(&c->beats, conn);
	chan_reply(call, &res);
}

/* The answer is packed before anything else can happen: what follows it begins with the next number. */
static void on_events(void *arg, struct chan_call *call, const void *msg)
{
	const struct msg_events *m = msg;
	struct control *c = arg;
	struct chan_conn *conn = chan_call_conn(call);
	uint32_t limit = m->has_limit ? m->limit : EVENTS_KEPT;
	struct item_event *list = calloc(limit, sizeof(*list));
	struct res_events res = {.events = {.v = list}};

	if (list == NULL) {
		chan_failf(call, TR_ENOMEM, "", "out of memory");
		return;
	}
	res.events.n = feed_list(c->tribe, limit, list);
	if (m->has_follow && m->follow && conn != NULL)
		follow(&c->events, conn);
	chan_reply(call, &res);
	free(list);
}

static void on_drills(void *arg, struct chan_call *call, const void *msg)
{
	const struct msg_drills *m = msg;
	struct control *c = arg;
	struct item_drill list[DRILLS_KEPT];
	struct res_drills res = {.drills = {.v = list}};

	res.drills.n = drills_list(c->tribe->drills, m->has_limit ? m->limit : DRILLS_KEPT, list);
	res.has_running = runner_now(c->tribe->runner, &res.running);
	chan_reply(call, &res);
}

static void on_drill_report(void *arg, struct chan_call *call, const void *msg)
{
	const struct msg_drill_report *m = msg;
	struct control *c = arg;
	struct res_drill_report res = {0};
	struct item_drill drill;
	struct tr_fault fault;
	char text[96];

#define COPY_REQ(name)                   drill.name = m->name;
#define COPY_OPT(name)                   drill.name = m->name, drill.has_##name = m->has_##name;
#define COPY(need, type, name, min, max) COPY_##need(name)
#define NO_ITEM(need, item, name)
#define COPY_LIST(need, item, name, min, max) COPY_##need(name)
	ITEM_drill(COPY, NO_ITEM, COPY_LIST)
#undef COPY
#undef COPY_REQ
#undef COPY_OPT
#undef NO_ITEM
#undef COPY_LIST
		if (drills_add(c->tribe->drills, &drill, &fault) < 0)
	{
		chan_fail(call, &fault);
		return;
	}
	(void)snprintf(text, sizeof(text), "%.*s ended, valid: %.*s", (int)m->fault.n, m->fault.p, (int)m->valid.n,
		       m->valid.p);
	feed_word(c->tribe, EVENT_DRILL, text);
	chan_reply(call, &res);
}

void control_on_beat(struct control *c, const struct msg_heartbeat *beat)
{
	notify_all(&c->beats, MSG_heartbeat, beat);
}

void control_on_event(struct control *c, const struct msg_event *event)
{
	notify_all(&c->events, MSG_event, event);
}

/* ---- orders ---- */

static void answer_state(const struct waiting *w, const struct worker *worker)
{
	struct res_jr_stop res = {.state = wire_s(worker_word(worker))};

	_Static_assert(sizeof(struct res_jr_stop) == sizeof(struct res_jr_start) &&
			       sizeof(struct res_jr_stop) == sizeof(struct res_jr_restart),
		       "one answer fits all three");
	chan_reply(w->call, &res);
}

/* True when it was answered. */
static bool settle(const struct waiting *w, const struct worker *worker)
{
	const struct copy *stuck = worker_stuck(worker);

	if (w->down ? worker_down(worker)
		    : worker_serves(worker) && !worker->rolling && worker_face(worker)->generation > w->after) {
		answer_state(w, worker);
		return true;
	}
	if (!w->down && stuck != NULL) {
		chan_failf(w->call, TR_EUNAVAILABLE, "jr", "it does not come up (%s); tried again by itself",
			   stuck->last_exit);
		return true;
	}
	if (w->down == worker_wanted(worker)) {
		chan_failf(w->call, TR_ECONFLICT, "jr", "somebody ordered the opposite meanwhile");
		return true;
	}
	return false;
}

void control_on_change(struct control *c, struct worker *w)
{
	harm_on_change(&c->harm, w);
	for (int i = 0; i < MAX_WAITING; i++)
		if (c->waiting[i].call != NULL && c->waiting[i].role == w->id && settle(&c->waiting[i], w))
			c->waiting[i].call = NULL;
}

/* An order and its wait. The order may be done before this returns. */
static void order(struct control *c, struct chan_call *call, wire_str jr, void (*what)(struct worker *), bool down,
		  bool again)
{
	struct worker *w = control_worker(c->tribe, call, jr);
	struct waiting *slot = NULL;

	if (w == NULL)
		return;
	for (int i = 0; i < MAX_WAITING && slot == NULL; i++)
		if (c->waiting[i].call == NULL)
			slot = &c->waiting[i];
	if (c->tribe->stopping || slot == NULL) {
		chan_failf(call, c->tribe->stopping ? TR_EUNAVAILABLE : TR_EBUSY, "", "%s",
			   c->tribe->stopping ? "the tribe is shutting down" : "too many orders are under way");
		return;
	}
	slot->after = again ? w->generation : 0;
	slot->role = w->id;
	slot->down = down;
	slot->call = call;
	what(w);
	if (slot->call != NULL && slot->call == call && settle(slot, w))
		slot->call = NULL;
}

static void on_jr_start(void *arg, struct chan_call *call, const void *msg)
{
	order(arg, call, ((const struct msg_jr_start *)msg)->jr, worker_start, false, false);
}

static void on_jr_stop(void *arg, struct chan_call *call, const void *msg)
{
	order(arg, call, ((const struct msg_jr_stop *)msg)->jr, worker_stop, true, false);
}

static void on_jr_restart(void *arg, struct chan_call *call, const void *msg)
{
	order(arg, call, ((const struct msg_jr_restart *)msg)->jr, worker_restart, false, true);
}

static void on_reload(void *arg, struct chan_call *call, const void *msg)
{
	struct control *c = arg;

	(void)msg;
	reload_begin(c->tribe->reload, call);
}

static void on_shutdown(void *arg, struct chan_call *call, const void *msg)
{
	struct control *c = arg;
	struct res_shutdown res = {0};

	(void)msg;
	chan_reply(call, &res);
	loop_timer_start(c->tribe->stopper, 0, 0); /* the answer leaves first */
}

int control_new(struct control **out, struct tribe *t)
{
	static const struct {
		enum wire_msg_id id;
		chan_handler *fn;
	} handlers[] = {
		{MSG_status, on_status},     {MSG_version, on_version},       {MSG_heartbeats, on_heartbeats},
		{MSG_events, on_events},     {MSG_config, on_config},         {MSG_jr_start, on_jr_start},
		{MSG_jr_stop, on_jr_stop},   {MSG_jr_restart, on_jr_restart}, {MSG_reload, on_reload},
		{MSG_shutdown, on_shutdown}, {MSG_drills, on_drills},         {MSG_drill_report, on_drill_report},
	};
	struct control *c = calloc(1, sizeof(*c));
	struct chan_server_cfg cfg = {.loop = &t->loop,
				      .max_conns = MAX_CONNS,
				      .max_queue = MAX_QUEUE,
				      .max_inflight = MAX_INFLIGHT,
				      .identify = identify,
				      .on_close = on_close,
				      .arg = c};
	int r;

	if (c == NULL)
		return TR_ENOMEM;
	c->tribe = t;
	/* A copy: the listeners stay held until the last Jr has left. */
	cfg.fd = fcntl(t->listeners.control, F_DUPFD_CLOEXEC, 3);
	if (cfg.fd < 0 || (r = chan_server_new(&c->server, &cfg)) < 0) {
		free(c);
		return cfg.fd < 0 ? TR_EINTERNAL : r;
	}
	for (unsigned i = 0; i < sizeof(handlers) / sizeof(handlers[0]); i++)
		chan_server_handle(c->server, handlers[i].id, handlers[i].fn, c);
	if ((r = harm_init(&c->harm, t)) < 0) {
		control_free(&c);
		return r;
	}
	chan_server_handle(c->server, MSG_fault_inject, harm_on_inject, &c->harm);
	chan_server_handle(c->server, MSG_fault_heal, harm_on_heal, &c->harm);
	*out = c;
	return 0;
}

void control_free(struct control **cp)
{
	struct control *c = *cp;

	if (c == NULL)
		return;
	*cp = NULL;
	for (int i = 0; i < MAX_WAITING; i++)
		if (c->waiting[i].call != NULL)
			chan_failf(c->waiting[i].call, TR_EUNAVAILABLE, "", "the tribe is shutting down");
	chan_server_free(&c->server);
	harm_free(&c->harm);
	free(c);
}
