#include "supervisor/app/harm.h"
#include "supervisor/app/control.h"
#include <signal.h>

static const int signals[HARM_NKINDS] = {[HARM_KILL] = SIGKILL, [HARM_HANG] = SIGSTOP};

void harm_on_inject(void *arg, struct chan_call *call, const void *msg)
{
	const struct msg_fault_inject *m = msg;
	struct harm *h = arg;
	struct worker *w = control_worker(h->tribe, call, m->jr);
	struct res_fault_inject res = {0};
	struct fault fault = {.owner = chan_call_conn(call)};
	int kind = harm_find(m->fault.p, m->fault.n), r;

	if (w == NULL)
		return;
	if (kind < 0 || signals[kind] == 0) {
		chan_failf(call, TR_EINVAL, "fault", "must be kill or hang; this version has no other fault");
		return;
	}
	res.generation = w->lc.generation;
	r = worker_harm(w, signals[kind], &res.pid, &res.monotonic_ns);
	if (r < 0) {
		chan_failf(call, r, "jr", "it has no process that could be harmed (%s)", lc_word(w->lc.state));
		return;
	}
	fault.kind = (enum harm_kind)kind;
	fault.pid = res.pid;
	fault.generation = res.generation;
	faults_done(&h->faults, w->id, &fault);
	chan_conn_keep(chan_call_conn(call)); /* it tells us whether the drill lives; silence does not make it idle */
	chan_reply(call, &res);
}

/* The fault of one Jr that `owner` (NULL: anybody) began; true: it was in force and is no more. */
static bool heal(struct harm *h, enum tr_role role, const void *owner, struct item_ended_fault *out)
{
	struct fault fault;

	if (!faults_take(&h->faults, role, owner, &fault) || !worker_heal(&h->tribe->workers[role]))
		return false;
	*out = (struct item_ended_fault){.jr = wire_s(tr_roles[role].api_name),
					 .fault = wire_s(harm_kinds[fault.kind].word),
					 .pid = fault.pid,
					 .generation = fault.generation};
	return true;
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
	for (int i = 0; i < TR_NROLES; i++)
		if (only == NULL || (int)only->id == i)
			res.healed.n += heal(h, (enum tr_role)i, NULL, &list[res.healed.n]);
	chan_reply(call, &res);
}

void harm_on_close(struct harm *h, const struct chan_conn *conn)
{
	struct item_ended_fault out;

	for (int i = 0; i < TR_NROLES; i++)
		(void)heal(h, (enum tr_role)i, conn, &out);
}

void harm_on_change(struct harm *h, const struct worker *w)
{
	const struct fault *f = &h->faults.of[w->id];

	if (f->owner != NULL && (w->lc.generation != f->generation || !lc_alive(w->lc.state) ||
				 w->lc.state == LC_KILLING || w->lc.state == LC_ENDING))
		faults_passed(&h->faults, w->id);
}
