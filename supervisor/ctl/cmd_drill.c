#include "common/base/clock.h"
#include "proto/json/json.h"
#include "supervisor/ctl/commands.h"
#include "supervisor/ctl/drill/stats.h"
#include "supervisor/ctl/drill_run.h"
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>
#include <tribe/version.h>

#define STORM_MAX   1000000 /* injections that are kept */
#define WATCH_MS    2000    /* tribed's events begin by then, or the moments of detection stay unknown */
#define RATE        10.0    /* requests a second and user */
#define AROUND_MS   1000    /* users are watched so long before the first injection and after the last one, */
#define BETWEEN_MS  100     /* and between two of them */
#define END_POLL_NS 20000000

/* ---- the plan ---- */

static enum ctl_exit usage(const struct drill *d, const char *what)
{
	ctl_say(d->c, "%s", what);
	return CTL_USAGE;
}

static enum ctl_exit check(const struct drill *d, const struct ctl_args *a)
{
	bool yes = ctl_flag(a, "yes"), whom = ctl_flag(a, "jr") || d->r.fault == HARM_SUPERVISOR;

	if (!ctl_flag(a, "storm") && (!whom || !ctl_flag(a, "kills")))
		return usage(d, !whom ? "wants --jr JR|all and --kills N, or --storm SECONDS and --every MS"
				      : "wants --kills N");
	if (ctl_flag(a, "storm") && (!ctl_flag(a, "every") || ctl_flag(a, "kills")))
		return usage(d, ctl_flag(a, "kills") ? "--storm goes by the clock: it takes no --kills"
						     : "--storm wants --every MS");
	if (ctl_flag(a, "every") && !ctl_flag(a, "storm"))
		return usage(d, "--every goes with --storm");
	if (ctl_flag(a, "storm") && d->r.fault == HARM_SUPERVISOR)
		return usage(d, "--storm harms Jrs; supervisor-kill wants --kills N");
	if (!d->c->dev && !yes)
		return usage(d, "this harms a tribe on purpose; outside --dev say --yes");
	if (d->r.fault == HARM_SUPERVISOR && !yes)
		return usage(d, "with --dev nothing starts tribed again; where something of yours does, say --yes");
	return CTL_DONE;
}

static bool room(struct drill *d, size_t n)
{
	d->cap = n;
	d->order = calloc(n, sizeof(*d->order));
	d->r.rows = calloc(n, sizeof(*d->r.rows));
	return d->order != NULL && d->r.rows != NULL;
}

static enum ctl_exit plan_kills(struct drill *d)
{
	struct report *r = &d->r;
	bool supervisor = r->fault == HARM_SUPERVISOR;
	size_t n = 0;

	r->planned = (size_t)r->kills * (r->only < 0 && !supervisor ? TR_NROLES : 1);
	if (!room(d, r->planned))
		return CTL_INTERNAL;
	for (int target = 0; target < REPORT_NTARGETS; target++) {
		r->roles[target] = supervisor ? target == REPORT_SUPERVISOR
					      : target < TR_NROLES && (r->only < 0 || r->only == target);
		for (uint32_t k = 0; k < r->kills && r->roles[target]; k++)
			d->order[n++] = (unsigned char)target;
	}
	stats_shuffle(d->order, n, r->seed);
	return CTL_DONE;
}

static enum ctl_exit plan_storm(struct drill *d)
{
	double n = ceil(d->r.storm_s * 1e3 / d->r.every_ms) + 1;

	for (int i = 0; i < TR_NROLES; i++)
		d->r.roles[i] = d->r.only < 0 || d->r.only == i;
	d->random = d->r.seed;
	d->r.planned = (size_t)fmin(n, STORM_MAX);
	return room(d, d->r.planned) ? CTL_DONE : CTL_INTERNAL;
}

static enum ctl_exit plan(struct drill *d, const struct ctl_args *a)
{
	const char *fault = ctl_str(a, "fault");
	const struct ctl_value *jr = ctl_given(a, "jr");
	struct report *r = &d->r;
	enum ctl_exit e;

	tr_id_new(d->id);
	r->id = d->id;
	r->version = TRIBE_VERSION;
	r->only = jr == NULL ? -1 : jr->as.role;
	r->fault = fault == NULL ? HARM_KILL : (enum harm_kind)harm_find(fault, strlen(fault));
	r->rate = RATE;
	(void)ctl_u32(a, "kills", &r->kills);
	(void)ctl_u32(a, "ms", &r->fault_ms);
	(void)ctl_u32(a, "amount", &r->amount);
	(void)ctl_f64(a, "slo-ms", &r->slo_ms);
	(void)ctl_f64(a, "every", &r->every_ms);
	(void)ctl_f64(a, "rate", &r->rate);
	r->loaded = ctl_u32(a, "load", &r->users);
	r->storm = ctl_f64(a, "storm", &r->storm_s);
	if (!ctl_u32(a, "seed", &r->seed) && getrandom(&r->seed, sizeof(r->seed), 0) != (ssize_t)sizeof(r->seed))
		return CTL_INTERNAL;
	if ((e = check(d, a)) != CTL_DONE)
		return e;
	return r->storm ? plan_storm(d) : plan_kills(d);
}

/* ---- the load ---- */
static enum ctl_exit start_load(struct drill *d, const struct ctl_args *a)
{
	struct load_cfg cfg = {
		.where = &d->where, .id = d->id, .users = d->r.users, .rate = d->r.rate, .seed = d->r.seed};
	enum ctl_exit e = drill_find_api(d, a);
	int r;

	if (e != CTL_DONE)
		return e;
	if ((r = load_start(&d->load, &cfg)) == 0)
		return CTL_DONE;
	ctl_say(d->c, "the load did not start: %s", tr_strerror(r));
	return CTL_INTERNAL;
}

/* Waits until it has settled, listed and cleaned, whatever Ctrl-C says. */
static void end_load(struct drill *d)
{
	static const char *const doing[] = {[LOAD_RUNS] = "ending",
					    [LOAD_SETTLES] = "waiting for the last answers",
					    [LOAD_LISTS] = "listing",
					    [LOAD_CLEANS] = "removing what the drill remembered",
					    [LOAD_ENDED] = "done"};
	const struct timespec nap = {.tv_nsec = END_POLL_NS};
	struct load_now now;

	load_end(d->load);
	for (load_now(d->load, &now); now.phase != LOAD_ENDED; load_now(d->load, &now)) {
		drill_progress(d, doing[now.phase]);
		(void)nanosleep(&nap, NULL);
	}
	load_join(d->load);
	d->r.history = load_history(d->load);
	d->r.listed = load_left(d->load)->listed;
	d->r.removed = load_left(d->load)->removed;
	d->r.left = load_left(d->load)->left;
	d->r.looked = load_left(d->load)->looked;
}

/* ---- the run ---- */

/* Ctrl-C is no news to whoever pressed it. */
static enum ctl_exit give_up(const struct drill *d, int r, const struct tr_fault *fault)
{
	return ctl_interrupted() ? CTL_FAILED : ctl_complain(d->c, r, fault);
}

static enum ctl_exit run_kills(struct drill *d)
{
	enum ctl_exit e = CTL_DONE;
	struct tr_fault fault;
	int r;

	for (size_t i = 0; e == CTL_DONE && i < d->r.planned && !ctl_interrupted(); i++) {
		if (i > 0 && (r = drill_steady(d, BETWEEN_MS, &fault)) != 0) {
			if (r < 0)
				return give_up(d, r, &fault);
			d->r.during = STEADY_MISSED;
			return CTL_DONE;
		}
		if (i > 0)
			d->r.during = STEADY_HELD;
		drill_notices(d);
		e = drill_inject(d, d->order[i]);
	}
	return e;
}

static int pick(struct drill *d)
{
	int target;

	do
		target = (int)(stats_random(&d->random) % TR_NROLES);
	while (!d->r.roles[target]);
	return target;
}

/* Is it there to be harmed? Nothing more is waited for: a storm is no series of single blows. */
static int await_role(struct drill *d, int role, struct tr_fault *fault)
{
	uint64_t until = tr_mono_ms() + DRILL_GIVE_UP_MS;
	const struct timespec nap = {.tv_nsec = 1000000};
	int r;

	while ((r = drill_look(d, 0, fault)) == 0 && !d->seen[role].up) {
		if (tr_mono_ms() >= until)
			return tr_fault_set(fault, TR_ECONFLICT, "", "%s is not up after %d s", tr_roles[role].api_name,
					    DRILL_GIVE_UP_MS / 1000);
		(void)nanosleep(&nap, NULL);
	}
	return r;
}

static enum ctl_exit run_storm(struct drill *d)
{
	uint64_t due = tr_mono_ns(), end = due + (uint64_t)(d->r.storm_s * 1e9),
		 every = (uint64_t)(d->r.every_ms * 1e6);
	enum ctl_exit e = CTL_DONE;
	struct tr_fault fault;
	int r;

	while (e == CTL_DONE && tr_mono_ns() < end && d->r.nrows < d->cap && !ctl_interrupted()) {
		uint64_t now = tr_mono_ns();
		int target = pick(d);

		if (now < due) {
			const struct timespec nap = {.tv_sec = (time_t)((due - now) / 1000000000),
						     .tv_nsec = (long)((due - now) % 1000000000)};

			(void)nanosleep(&nap, NULL);
		}
		drill_notices(d);
		if ((r = await_role(d, target, &fault)) < 0)
			return give_up(d, r, &fault);
		due = tr_mono_ns() + every;
		e = drill_inject(d, target);
		/* from blow to blow, as tribed saw them: one that came late is not made up for */
		if (d->r.nrows > 0 && d->r.rows[d->r.nrows - 1].inject_ns + every > due)
			due = d->r.rows[d->r.nrows - 1].inject_ns + every;
	}
	if (!ctl_interrupted()) /* one that could not be done as asked was not all of the storm */
		d->r.planned = d->r.nrows + (e != CTL_DONE);
	return e;
}

static enum report_steady steady(struct drill *d, int *r, struct tr_fault *fault)
{
	*r = drill_steady(d, AROUND_MS, fault);
	return *r == 0 ? STEADY_HELD : *r > 0 ? STEADY_MISSED : STEADY_UNKNOWN;
}

static enum ctl_exit run(struct drill *d, const struct ctl_args *a)
{
	char control[CTL_PATH_MAX];
	struct tr_fault fault;
	enum ctl_exit e = CTL_DONE;
	int r;

	d->r.started_ms = tr_wall_ms();
	d->r.began_ns = tr_mono_ns();
	if ((r = drill_look(d, 0, &fault)) < 0)
		return give_up(d, r, &fault);
	if (d->r.loaded && (e = start_load(d, a)) != CTL_DONE)
		return e;
	ctl_socket_path(d->c, CTL_CONTROL, control);
	(void)watch_start(&d->watch, control, WATCH_MS);
	d->r.before = steady(d, &r, &fault);
	if (r < 0)
		return give_up(d, r, &fault);
	if (d->r.before == STEADY_HELD)
		e = d->r.storm ? run_storm(d) : run_kills(d);
	if (d->r.nrows > 0 && !ctl_interrupted())
		d->r.after = steady(d, &r, &fault);
	drill_notices(d);
	return e;
}

/* ---- the end ---- */

static enum ctl_exit judge(struct drill *d)
{
	struct report *r = &d->r;
	struct check_window *windows = calloc(r->nrows + 1, sizeof(*windows));
	int e = windows == NULL ? TR_ENOMEM : 0;

	r->ended_ns = tr_mono_ns();
	r->finished_ms = tr_wall_ms();
	if (e == 0 && r->loaded) {
		e = check_history(r->history, windows, report_windows(r, windows), r->began_ns, &r->check);
		report_users(r);
	}
	if (e == 0)
		e = report_judge(r);
	free(windows);
	if (e == 0)
		return CTL_DONE;
	ctl_say(d->c, "%s", tr_strerror(e));
	return CTL_INTERNAL;
}

static enum ctl_exit print(const struct drill *d)
{
	struct buf out = {.max = 0};
	enum ctl_exit e;
	json_t *doc;

	if (d->c->json) {
		doc = report_json(&d->r);
		if (doc == NULL || json_print(doc, &out) < 0 || buf_puts(&out, "\n") < 0)
			out.failed = TR_ENOMEM;
		json_decref(doc);
	} else {
		drill_text(d, &out);
	}
	e = ctl_emit(d->c, &out);
	buf_free(&out);
	return e;
}

static enum ctl_exit finish(struct drill *d, const char *file, const char *html)
{
	enum ctl_exit e, wrote;

	if ((e = judge(d)) != CTL_DONE)
		return e;
	drill_progress(d, "");
	drill_tell(d);
	wrote = drill_write(d, file, html);
	if ((e = print(d)) != CTL_DONE)
		return e;
	return d->r.valid == VALID_TRUE ? wrote : CTL_FAILED;
}

enum ctl_exit cmd_drill(struct ctl *c, const struct ctl_args *a)
{
	struct drill d = {.c = c, .where = {.tls = NULL}};
	const char *file = ctl_str(a, "report"), *html = ctl_str(a, "html");
	char beside[CTL_PATH_MAX];
	enum ctl_exit e;

	(void)snprintf(beside, sizeof(beside), "%s.html", file == NULL ? "" : file);
	if (html == NULL && file != NULL)
		html = beside;
	if ((e = plan(&d, a)) == CTL_DONE && (e = drill_may_write(&d, file)) == CTL_DONE &&
	    (e = drill_may_write(&d, html)) == CTL_DONE && (e = ctl_catch(c)) == CTL_DONE) {
		e = run(&d, a);
		d.r.interrupted = ctl_interrupted();
		if (d.load != NULL)
			end_load(&d);
		drill_progress(&d, "");
		/* a drill that could not begin, or was refused its first fault, is a complaint and no result */
		if (d.r.nrows > 0 || d.r.interrupted || e == CTL_DONE) {
			enum ctl_exit said = finish(&d, file, html);

			e = e == CTL_DONE ? said : e;
		}
	}
	watch_stop(&d.watch);
	load_free(&d.load);
	drill_leave_api(&d);
	http_where_free(&d.where);
	free(d.order);
	free(d.r.rows);
	return e;
}
