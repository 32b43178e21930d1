#include "supervisor/app/harm.h"
#include "supervisor/app/control.h"
#include <signal.h>
#include <string.h>

/* One injection, while it is carried out. */
struct shot {
	struct harm *harm;
	struct worker *w;
	struct copy *lead; /* or who would be it */
	enum harm_kind kind;
	const struct msg_fault_inject *msg;
	struct res_fault_inject res;
};

/* ---- by tribed ---- */

static int signal_lead(struct shot *s, int sig)
{
	return copy_hit(s->lead, sig, &s->res.monotonic_ns);
}

/* Both before anything else happens. */
static int kill_two(struct shot *s)
{
	struct copy *second = worker_understudy(s->w);
	int r;

	if (second == NULL)
		return TR_EUNAVAILABLE;
	s->res.also = (uint32_t)proc_pid(second->proc);
	s->res.has_also = true;
	if ((r = signal_lead(s, SIGKILL)) < 0)
		return r;
	return copy_hit(second, SIGKILL, &(uint64_t){0});
}

static int kill_twice(struct shot *s, const void *owner)
{
	bool covered = worker_understudy(s->w) != NULL;
	int r = signal_lead(s, SIGKILL);

	if (r < 0)
		return r;
	s->w->hit = covered ? HIT_LEAD : HIT_HELLO;
	s->harm->watch[s->w->id].hitter = owner;
	return r;
}

static int by_tribed(struct shot *s, const void *owner)
{
	switch (s->kind) {
	case HARM_HANG:
		return signal_lead(s, SIGSTOP);
	case HARM_DOUBLE:
		return kill_two(s);
	case HARM_DURING:
		return kill_twice(s, owner);
	default:
		return signal_lead(s, SIGKILL);
	}
}

/* ---- by a fault point of the Jr's own ---- */

static int inside(struct shot *s)
{
	const struct msg_fault_inject *m = s->msg;
	struct msg_fault note = {.fault = wire_s(harm_kinds[s->kind].word),
				 .has_ms = m->has_ms,
				 .ms = m->ms,
				 .has_amount = m->has_amount,
				 .amount = m->amount};

	return copy_fault(s->lead, &note, harm_kinds[s->kind].lasts, &s->res.monotonic_ns);
}

/* ---- orders ---- */

/* False: it was answered. */
static bool allowed(const struct harm *h, struct chan_call *call, int kind)
{
	if (kind < 0) {
		chan_failf(call, TR_EINVAL, "fault", "there is no such fault");
		return false;
	}
	if (harm_kinds[kind].by == HARM_BY_RUNNER) {
		chan_failf(call, TR_EINVAL, "fault", "a drill does that itself");
		return false;
	}
	if (harm_kinds[kind].by == HARM_BY_INSIDE && !h->tribe->cfg.drills) {
		chan_failf(call, TR_EREFUSED, "fault", "it needs the setting drills: true");
		return false;
	}
	return true;
}

/* The book knows at most one lasting fault of a role; a later one takes its place. */
static void note(struct shot *s, struct chan_conn *conn)
{
	struct fault fault = {.kind = s->kind, .pid = s->res.pid, .generation = s->res.generation, .owner = conn};
	struct harm_watch *watch = &s->harm->watch[s->w->id];

	faults_done(&s->harm->faults, s->w->id, &fault);
	if (harm_kinds[s->kind].lasts && s->msg->has_ms)
		(void)loop_timer_start(watch->timer, s->msg->ms, 0);
	else
		loop_timer_stop(watch->timer);
}

void harm_on_inject(void *arg, struct chan_call *call, const void *msg)
{
	const struct msg_fault_inject *m = msg;
	struct harm *h = arg;
	int kind = harm_find(m->fault.p, m->fault.n), r;
	struct shot s = {.harm = h, .w = control_worker(h->tribe, call, m->jr), .msg = m};

	if (s.w == NULL || !allowed(h, call, kind))
		return;
	s.kind = (enum harm_kind)kind;
	s.lead = &s.w->copies[worker_face(s.w)->slot];
	if (s.lead->proc == NULL) {
		chan_failf(call, TR_EUNAVAILABLE, "jr", "it has no process that could be harmed (%s)",
			   worker_word(s.w));
		return;
	}
	s.res.pid = (uint32_t)proc_pid(s.lead->proc);
	s.res.generation = s.lead->generation;
	r = harm_kinds[kind].by == HARM_BY_INSIDE ? inside(&s) : by_tribed(&s, chan_call_conn(call));
	if (r < 0) {
		chan_failf(call, r, "jr", "it has no %s that could be harmed so (%s)",
			   kind == HARM_DOUBLE ? "understudy" : "process", worker_word(s.w));
		return;
	}
	note(&s, chan_call_conn(call));
	chan_conn_keep(chan_call_conn(call)); /* it tells us whether the drill lives; silence does not make it idle */
	chan_reply(call, &s.res);
}

/* The fault of one Jr that `owner` (NULL: anybody) began; true: it was in force and is no more. */
static bool heal(struct harm *h, enum tr_role role, const void *owner, struct item_ended_fault *out)
{
	struct fault fault;
	struct copy *c;

	if (!faults_take(&h->faults, role, owner, &fault))
		return false;
	loop_timer_stop(h->watch[role].timer);
	c = worker_find(&h->tribe->workers[role], fault.generation);
	if (c == NULL || !copy_heal(c, harm_kinds[fault.kind].by == HARM_BY_TRIBED))
		return false;
	*out = (struct item_ended_fault){.jr = wire_s(tr_roles[role].api_name),
					 .fault = wire_s(harm_kinds[fault.kind].word),
					 .pid = fault.pid,
					 .generation = fault.generation};
	return true;
}

/* The Jr's own timer ends it as well; this one also clears the book. */
static void on_time(void *arg)
{
	struct harm_watch *watch = arg;
	struct item_ended_fault out;

	(void)heal(watch->harm, (enum tr_role)(watch - watch->harm->watch), NULL, &out);
}

void harm_on_heal(void *arg, struct chan_call *call, const void *msg)
{
	const struct msg_fault_heal *m = msg;
	struct harm *h = arg;
	const struct worker *only = NULL;
	struct item_ended_fault list[TR_NROLES];
	struct res_fault_heal res = {.healed = {.v = list}};

	if (m->has_jr && (only = control_worker(h->tribe, call, m->jr)) == NULL)
		return;
	for (int i = 0; i < TR_NROLES; i++) {
		if (only != NULL && (int)only->id != i)
			continue;
		h->tribe->workers[i].hit = HIT_NOBODY;
		res.healed.n += heal(h, (enum tr_role)i, NULL, &list[res.healed.n]);
	}
	chan_reply(call, &res);
}

void harm_on_close(struct harm *h, const struct chan_conn *conn)
{
	struct item_ended_fault out;

	for (int i = 0; i < TR_NROLES; i++) {
		if (h->watch[i].hitter == conn) {
			h->watch[i].hitter = NULL;
			h->tribe->workers[i].hit = HIT_NOBODY;
		}
		(void)heal(h, (enum tr_role)i, conn, &out);
	}
}

void harm_on_change(struct harm *h, struct worker *w)
{
	const struct fault *f = &h->faults.of[w->id];
	const struct copy *c;

	if (f->owner == NULL)
		return;
	c = worker_find(w, f->generation);
	if (c != NULL && c->lc.state != LC_KILLING && c->lc.state != LC_ENDING)
		return;
	faults_passed(&h->faults, w->id);
	loop_timer_stop(h->watch[w->id].timer);
}

int harm_init(struct harm *h, struct tribe *t)
{
	int r = 0;

	memset(h, 0, sizeof(*h));
	h->tribe = t;
	for (int i = 0; i < TR_NROLES && r == 0; i++) {
		h->watch[i].harm = h;
		r = loop_timer_new(&h->watch[i].timer, &t->loop, on_time, &h->watch[i]);
	}
	return r;
}

void harm_free(struct harm *h)
{
	for (int i = 0; i < TR_NROLES; i++)
		loop_timer_free(&h->watch[i].timer);
}
