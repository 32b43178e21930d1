#include "common/base/clock.h"
#include "proto/json/json.h"
#include "supervisor/ctl/commands.h"
#include "supervisor/ctl/probe.h"
#include "supervisor/ctl/stats.h"
#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>

#define GIVE_UP_MS  30000 /* a Jr that is not back by then is lost */
#define POLL_MAX_MS 20

struct row {
	enum tr_role role;
	uint32_t pid, generation; /* of the process that was hit */
	struct probe_result back;
	double ms; /* from right before the fault to the answer */
};
struct drill {
	struct ctl *c;
	const char *fault;
	double slo_ms; /* 0: none */
	uint32_t kills, seed;
	int only;             /* a role, or -1: all */
	unsigned char *order; /* one role a fault */
	struct row *rows;
	size_t nrows, planned;
	double *sorted; /* room for the figures of one Jr */
	bool interrupted;
};
struct summary {
	size_t hit, back;
	uint64_t refused, lost, failed;
	double p50, p95, p99, max;
};

static void on_injected(void *arg, const void *res)
{
	const struct res_fault_inject *r = res;
	struct row *row = arg;

	row->pid = r->pid;
	row->generation = r->generation;
}

struct up {
	enum tr_role role;
	bool yes;
};

static void on_status(void *arg, const void *res)
{
	struct up *u = arg;

	u->yes = status_is(status_jr(res, (int)u->role), "up");
}

static int await_up(struct drill *d, enum tr_role role, struct tr_fault *fault)
{
	uint64_t until = tr_mono_ms() + GIVE_UP_MS;
	struct msg_status msg = {.common = {.has_request_id = false}};
	struct up u = {.role = role};
	long pause_ms = 1;
	int r;

	while ((r = ctl_call(d->c, MSG_status, &msg, on_status, &u, fault)) == 0 && !u.yes) {
		struct timespec t = {.tv_nsec = pause_ms * 1000000};

		if (tr_mono_ms() >= until)
			return tr_fault_set(fault, TR_ECONFLICT, "", "%s is not up after %d s", tr_roles[role].api_name,
					    GIVE_UP_MS / 1000);
		(void)nanosleep(&t, NULL);
		pause_ms = pause_ms * 2 > POLL_MAX_MS ? POLL_MAX_MS : pause_ms * 2;
	}
	return r;
}

static void show_progress(const struct drill *d, bool end)
{
	if (!d->c->progress)
		return;
	(void)fputs("\r\x1b[K", stderr);
	if (!end)
		(void)fprintf(stderr, "%zu/%zu  %s %s  %.2f ms", d->nrows, d->planned, d->fault,
			      tr_roles[d->rows[d->nrows - 1].role].name, d->rows[d->nrows - 1].ms);
}

/* Ctrl-C is no news to whoever pressed it. */
static enum ctl_exit give_up(const struct drill *d, int r, const struct tr_fault *fault)
{
	return ctl_interrupted() ? CTL_FAILED : ctl_complain(d->c, r, fault);
}

/* One fault and its recovery. CTL_FAILED: the Jr did not come back; the row says so. */
static enum ctl_exit one(struct drill *d, enum tr_role role)
{
	struct msg_fault_inject inject = {.jr = wire_s(tr_roles[role].api_name), .fault = wire_s(d->fault)};
	struct row *row = &d->rows[d->nrows];
	char path[CTL_PATH_MAX];
	struct tr_fault fault;
	uint64_t start;
	int r;

	*row = (struct row){.role = role};
	ctl_socket_path(d->c, (int)role, path);
	/* memory-jr too: other roles' questions may need it, and the drill would measure the wrong one */
	if ((r = await_up(d, TR_ROLE_MEMORY, &fault)) < 0 || (r = await_up(d, role, &fault)) < 0)
		return give_up(d, r, &fault);
	start = tr_mono_ns();
	if ((r = ctl_call(d->c, MSG_fault_inject, &inject, on_injected, row, &fault)) < 0)
		return give_up(d, r, &fault);
	probe_until(path, role, row->pid, row->generation, start + GIVE_UP_MS * 1000000ull, ctl_interrupted,
		    &row->back);
	if (!row->back.good && ctl_interrupted())
		return CTL_FAILED; /* nobody saw whether it came back: no row */
	row->ms = (double)((row->back.good ? row->back.at_ns : tr_mono_ns()) - start) / 1e6;
	d->nrows++;
	show_progress(d, false);
	return row->back.good ? CTL_DONE : CTL_FAILED;
}

static void summarise(const struct drill *d, enum tr_role role, struct summary *s)
{
	*s = (struct summary){.hit = 0};
	for (size_t i = 0; i < d->nrows; i++) {
		const struct row *row = &d->rows[i];

		if (row->role != role)
			continue;
		s->hit++;
		s->refused += row->back.refused;
		s->lost += row->back.lost;
		s->failed += row->back.failed;
		if (row->back.good)
			d->sorted[s->back++] = row->ms;
	}
	if (s->back == 0)
		return;
	stats_sort(d->sorted, s->back);
	s->p50 = stats_quantile(d->sorted, s->back, 0.50);
	s->p95 = stats_quantile(d->sorted, s->back, 0.95);
	s->p99 = stats_quantile(d->sorted, s->back, 0.99);
	s->max = d->sorted[s->back - 1];
}

static bool good(const struct drill *d, const struct summary *s)
{
	return s->back == s->hit && (d->slo_ms <= 0 || s->max <= d->slo_ms);
}

static bool passed(const struct drill *d)
{
	bool yes = d->nrows == d->planned;
	struct summary s;

	for (int i = 0; i < TR_NROLES; i++) {
		summarise(d, (enum tr_role)i, &s);
		yes = yes && good(d, &s);
	}
	return yes;
}

static const char *verdict(const struct drill *d)
{
	return d->interrupted ? "interrupted" : passed(d) ? "passed" : "failed";
}

static json_t *row_json(const struct row *r)
{
	json_t *j = json_pack("{s:s, s:I, s:I, s:b, s:f, s:I, s:I, s:I, s:I}", "jr", tr_roles[r->role].api_name, "pid",
			      (json_int_t)r->pid, "generation", (json_int_t)r->generation, "recovered",
			      (int)r->back.good, "recovery_ms", r->ms, "attempts", (json_int_t)r->back.attempts,
			      "refused", (json_int_t)r->back.refused, "lost", (json_int_t)r->back.lost, "failed",
			      (json_int_t)r->back.failed);

	if (j != NULL && r->back.error[0] != '\0')
		(void)json_object_set_new(j, "last_error", json_string(r->back.error));
	if (j != NULL && r->back.good) {
		(void)json_object_set_new(j, "new_pid", json_integer(r->back.pid));
		(void)json_object_set_new(j, "new_generation", json_integer(r->back.generation));
	}
	return j;
}

static int report_json(const struct drill *d, struct buf *out)
{
	json_t *jrs = json_array(), *rows = json_array(), *doc;
	struct summary s;
	int r;

	for (int i = 0; i < TR_NROLES; i++) {
		summarise(d, (enum tr_role)i, &s);
		if (s.hit == 0)
			continue;
		(void)json_array_append_new(jrs, json_pack("{s:s, s:I, s:I, s:f, s:f, s:f, s:f, s:I, s:I, s:I, s:b}",
							   "jr", tr_roles[i].api_name, "kills", (json_int_t)s.hit,
							   "recovered", (json_int_t)s.back, "p50_ms", s.p50, "p95_ms",
							   s.p95, "p99_ms", s.p99, "max_ms", s.max, "refused",
							   (json_int_t)s.refused, "lost", (json_int_t)s.lost, "failed",
							   (json_int_t)s.failed, "passed", (int)good(d, &s)));
	}
	for (size_t i = 0; i < d->nrows; i++)
		(void)json_array_append_new(rows, row_json(&d->rows[i]));
	doc = json_pack("{s:s, s:s, s:I, s:I, s:I, s:o, s:o}", "verdict", verdict(d), "fault", d->fault, "seed",
			(json_int_t)d->seed, "planned", (json_int_t)d->planned, "done", (json_int_t)d->nrows, "jrs",
			jrs, "rows", rows);
	if (doc != NULL && d->slo_ms > 0)
		(void)json_object_set_new(doc, "slo_ms", json_real(d->slo_ms));
	r = doc == NULL ? TR_ENOMEM : json_print(doc, out);
	json_decref(doc);
	return r < 0 ? r : buf_puts(out, "\n");
}

static void report_text(const struct drill *d, struct buf *out)
{
	const struct show_style *style = &d->c->style;
	struct summary s;
	bool yes = passed(d);

	(void)buf_printf(out, "fault %s, seed %u\n", d->fault, d->seed);
	show_paint(out, style, SHOW_BOLD, "%-12s %6s %6s %9s %9s %9s %8s %6s", "JR", "HIT", "BACK", "p50 ms", "p95 ms",
		   "max ms", "REFUSED", "ERRORS");
	(void)buf_puts(out, "\n");
	for (int i = 0; i < TR_NROLES; i++) {
		summarise(d, (enum tr_role)i, &s);
		if (s.hit == 0)
			continue;
		(void)buf_printf(out, "%-12s %6zu %6zu ", tr_roles[i].name, s.hit, s.back);
		show_paint(out, style, good(d, &s) ? SHOW_GOOD : SHOW_BAD, "%9.2f %9.2f %9.2f", s.p50, s.p95, s.max);
		(void)buf_printf(out, " %8" PRIu64 " %6" PRIu64 "\n", s.refused, s.failed);
	}
	for (size_t i = 0; i < d->nrows; i++) {
		if (!d->rows[i].back.good)
			show_paint(out, style, SHOW_BAD, "%s (pid %u) did not come back within %d s%s%s\n",
				   tr_roles[d->rows[i].role].api_name, d->rows[i].pid, GIVE_UP_MS / 1000,
				   d->rows[i].back.error[0] != '\0' ? ": " : "", d->rows[i].back.error);
	}
	show_paint(out, style, yes ? SHOW_GOOD : SHOW_BAD, "%s", verdict(d));
	if (d->interrupted)
		(void)buf_printf(out, " after %zu of %zu", d->nrows, d->planned);
	if (d->slo_ms > 0)
		(void)buf_printf(out, " (every recovery within %g ms)", d->slo_ms);
	(void)buf_puts(out, "\n");
}

static enum ctl_exit report(const struct drill *d)
{
	struct buf out = {.max = 0};
	enum ctl_exit e;

	if (!d->c->json)
		report_text(d, &out);
	else if (report_json(d, &out) < 0)
		out.failed = TR_ENOMEM;
	e = ctl_emit(d->c, &out);
	buf_free(&out);
	return e != CTL_DONE ? e : passed(d) ? CTL_DONE : CTL_FAILED;
}

static enum ctl_exit plan(struct drill *d, const struct ctl_args *a)
{
	const struct ctl_value *jr = ctl_given(a, "jr");
	size_t n = 0;

	d->only = jr->as.role;
	d->fault = ctl_str(a, "fault") != NULL ? ctl_str(a, "fault") : "kill";
	(void)ctl_u32(a, "kills", &d->kills);
	(void)ctl_f64(a, "slo-ms", &d->slo_ms);
	if (!ctl_u32(a, "seed", &d->seed) && getrandom(&d->seed, sizeof(d->seed), 0) != (ssize_t)sizeof(d->seed))
		return CTL_INTERNAL;
	d->planned = (size_t)d->kills * (d->only < 0 ? TR_NROLES : 1);
	d->order = calloc(d->planned, sizeof(*d->order));
	d->rows = calloc(d->planned, sizeof(*d->rows));
	d->sorted = calloc(d->planned, sizeof(*d->sorted));
	if (d->order == NULL || d->rows == NULL || d->sorted == NULL)
		return CTL_INTERNAL;
	for (int role = 0; role < TR_NROLES; role++) {
		for (uint32_t k = 0; k < d->kills && (d->only < 0 || d->only == role); k++)
			d->order[n++] = (unsigned char)role;
	}
	stats_shuffle(d->order, n, d->seed);
	return CTL_DONE;
}

enum ctl_exit cmd_drill(struct ctl *c, const struct ctl_args *a)
{
	struct drill d = {.c = c};
	enum ctl_exit e;

	if (!c->dev && !ctl_flag(a, "yes")) {
		ctl_say(c, "this harms a tribe on purpose; outside --dev say --yes");
		return CTL_USAGE;
	}
	if ((e = plan(&d, a)) == CTL_DONE)
		e = ctl_catch(c);
	for (size_t i = 0; e == CTL_DONE && i < d.planned && !ctl_interrupted(); i++)
		e = one(&d, (enum tr_role)d.order[i]);
	d.interrupted = ctl_interrupted() && d.nrows < d.planned;
	show_progress(&d, true);
	if ((d.nrows > 0 || d.interrupted) && (e == CTL_DONE || e == CTL_FAILED)) {
		enum ctl_exit said = report(&d);

		e = e == CTL_DONE ? said : e;
	}
	free(d.order);
	free(d.rows);
	free(d.sorted);
	return e;
}
