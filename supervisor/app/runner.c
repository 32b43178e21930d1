#include "supervisor/app/runner.h"
#include "common/base/clock.h"
#include "common/base/harms.h"
#include "common/base/text.h"
#include "common/log/log.h"
#include "supervisor/app/drills.h"
#include "supervisor/app/feed.h"
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define BEGUN_KEPT 16    /* request ids that are still known */
#define EACH_MS    15000 /* one injection takes tribectl at most so long, then it gives up by itself */
#define AROUND_MS  60000 /* and what is before and after them */
#define LOAD_MS    60000u /* and what its users take until they have settled and tidied up */

struct begun {
	char request_id[WIRE_ID_MAX + 1];
	int role; /* enum tr_role; -1: all */
	int fault;
	uint32_t kills;
	uint32_t load; /* users meanwhile */
	int64_t started_ms;
};

struct runner {
	struct tribe *tribe;
	struct proc *proc; /* NULL: none is running */
	struct loop_timer *late;
	struct begun ring[BEGUN_KEPT];
	uint32_t count;  /* the last one is ring[(count - 1) % BEGUN_KEPT] */
	uint64_t before; /* reports that were there when it began */
};

static const char *whom(const struct begun *b)
{
	return b->role < 0 ? "all" : tr_roles[b->role].api_name;
}

static void show(const struct begun *b, struct item_drill_run *out)
{
	*out = (struct item_drill_run){.started = b->started_ms,
				       .jr = wire_s(whom(b)),
				       .fault = wire_s(harm_kinds[b->fault].word),
				       .kills = b->kills,
				       .has_load = true,
				       .load = b->load};
}

static struct begun *last(struct runner *r)
{
	return &r->ring[(r->count - 1) % BEGUN_KEPT];
}

/* ---- the process ---- */

static void on_end(void *arg, struct proc *p, const struct proc_end *end)
{
	struct runner *r = arg;
	char text[96];

	(void)p;
	r->proc = NULL;
	loop_timer_stop(r->late);
	log_info("drill ended pid=%d end=%s value=%d", end->pid, end->how == PROC_EXITED ? "exit" : "signal",
		 end->value);
	if (drills_total(r->tribe->drills) != r->before) /* it told by itself */
		return;
	(void)snprintf(text, sizeof(text), "%s was not finished: %s %d", harm_kinds[last(r)->fault].word,
		       end->how == PROC_EXITED ? "exit" : "signal", end->value);
	feed_word(r->tribe, EVENT_DRILL, text);
}

static void on_stop(void *arg, struct proc *p, int sig)
{
	(void)arg;
	(void)p;
	(void)sig; /* whoever stopped it goes on, or on_late() ends it */
}

static const struct proc_ops runner_ops = {on_end, on_stop};

static void on_late(void *arg)
{
	struct runner *r = arg;

	if (r->proc != NULL)
		(void)proc_signal(r->proc, SIGKILL); /* its connection closes with it, and what it began is healed */
}

static int spawn(struct runner *r, const struct begun *b)
{
	const struct tr_paths *paths = r->tribe->launch.paths;
	char words[16][4200], *argv[17], kills[16], load[16];
	const char *text[] = {"tribectl",     "--state", paths->state, "--runtime",
			      paths->runtime, "drill",   "--jr",       b->role < 0 ? "all" : tr_roles[b->role].name,
			      "--kills",      kills,     "--fault",    harm_kinds[b->fault].word,
			      "--yes",        "--load",  load};
	unsigned n = 0, all = sizeof(text) / sizeof(*text) - (b->load == 0 ? 2 : 0);

	(void)snprintf(kills, sizeof(kills), "%" PRIu32, b->kills);
	(void)snprintf(load, sizeof(load), "%" PRIu32, b->load);
	for (; n < all; n++) { /* execve wants them writable */
		(void)snprintf(words[n], sizeof(words[n]), "%s", text[n]);
		argv[n] = words[n];
	}
	argv[n] = NULL;
	return launch_tool(&r->tribe->launch, r->tribe->procs, argv, &runner_ops, r, &r->proc);
}

/* ---- who may, and what ---- */

static int understand(const struct runner *r, const struct msg_drill_start *m, struct begun *b, struct tr_fault *fault)
{
	const struct tribe *t = r->tribe;
	bool all = !m->has_jr || (m->jr.n == 3 && memcmp(m->jr.p, "all", 3) == 0);

	*b = (struct begun){.role = -1, .fault = HARM_KILL, .kills = m->kills, .load = m->has_load ? m->load : 0};
	if (!all && (b->role = tr_role_find(m->jr.p, m->jr.n)) < 0)
		return tr_fault_set(fault, TR_EINVAL, "jr", "must be all, memory, integration, meta or executive");
	if (m->has_fault && (b->fault = harm_find(m->fault.p, m->fault.n)) < 0)
		return tr_fault_set(fault, TR_EINVAL, "fault", "is no fault of a drill: kill, hang, double ...");
	if (harm_kinds[b->fault].by == HARM_BY_RUNNER)
		return tr_fault_set(fault, TR_EINVAL, "fault", "harms tribed itself: tribectl drill alone does that");
	if (harm_kinds[b->fault].by == HARM_BY_INSIDE && !t->cfg.drills)
		return tr_fault_set(fault, TR_EREFUSED, "fault", "needs the setting drills: true");
	if (!t->opts->dev && !t->cfg.drills && !(m->has_yes && m->yes))
		return tr_fault_set(
			fault, TR_EINVAL, "yes",
			"must be true: this harms a tribe on purpose, outside --dev and without drills: true");
	return 0;
}

/* That of an earlier call with this id; NULL: there was none. */
static const struct begun *known(const struct runner *r, wire_str id)
{
	for (uint32_t i = 0; i < BEGUN_KEPT && i < r->count; i++) {
		const struct begun *b = &r->ring[i];

		if (strlen(b->request_id) == id.n && memcmp(b->request_id, id.p, id.n) == 0)
			return b;
	}
	return NULL;
}

int runner_start(struct runner *r, const struct msg_drill_start *msg, struct item_drill_run *out,
		 struct tr_fault *fault)
{
	const struct begun *was = msg->common.has_request_id ? known(r, msg->common.request_id) : NULL;
	struct begun b;
	char text[96], users[32] = "";
	int e;

	if ((e = understand(r, msg, &b, fault)) < 0)
		return e;
	if (was != NULL) {
		if (was->role != b.role || was->fault != b.fault || was->kills != b.kills || was->load != b.load)
			return tr_fault_set(fault, TR_EMISMATCH, "", "%s", tr_strerror(TR_EMISMATCH));
		show(was, out);
		return 0;
	}
	if (r->tribe->stopping)
		return tr_fault_set(fault, TR_EUNAVAILABLE, "", "the tribe is shutting down");
	if (r->proc != NULL)
		return tr_fault_set(fault, TR_ECONFLICT, "", "a drill is running already");
	b.started_ms = tr_wall_ms();
	if (msg->common.has_request_id)
		tr_copy(b.request_id, sizeof(b.request_id), msg->common.request_id.p, msg->common.request_id.n);
	r->before = drills_total(r->tribe->drills);
	if ((e = spawn(r, &b)) < 0) {
		log_error("a drill did not start reason=\"%s\"", tr_strerror(e));
		return tr_fault_set(fault, TR_EUNAVAILABLE, "", "tribectl could not be started");
	}
	(void)loop_timer_start(
		r->late,
		AROUND_MS + (b.load > 0 ? LOAD_MS : 0u) + (uint64_t)EACH_MS * b.kills * (b.role < 0 ? TR_NROLES : 1), 0);
	r->ring[r->count++ % BEGUN_KEPT] = b;
	if (b.load > 0)
		(void)snprintf(users, sizeof(users), ", under %" PRIu32 " users", b.load);
	(void)snprintf(text, sizeof(text), "%s began: %s, %" PRIu32 " times%s", harm_kinds[b.fault].word, whom(&b),
		       b.kills, users);
	feed_word(r->tribe, EVENT_DRILL, text);
	show(last(r), out);
	return 0;
}

bool runner_now(const struct runner *r, struct item_drill_run *out)
{
	if (r->proc == NULL)
		return false;
	show(&r->ring[(r->count - 1) % BEGUN_KEPT], out);
	return true;
}

void runner_stop(struct runner *r)
{
	if (r != NULL && r->proc != NULL)
		(void)proc_signal(r->proc, SIGTERM);
}

int runner_new(struct runner **out, struct tribe *t)
{
	struct runner *r = calloc(1, sizeof(*r));
	int e;

	if (r == NULL)
		return TR_ENOMEM;
	r->tribe = t;
	if ((e = loop_timer_new(&r->late, &t->loop, on_late, r)) < 0) {
		free(r);
		return e;
	}
	*out = r;
	return 0;
}

void runner_free(struct runner **r)
{
	if (*r == NULL)
		return;
	loop_timer_free(&(*r)->late);
	free(*r);
	*r = NULL;
}
