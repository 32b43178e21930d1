/* What came of a drill, for tribed: it keeps and lists it, and the page draws it. */
#include "supervisor/ctl/drill_run.h"

#define PER_SLICE  20 /* requests, about: fewer, and their 99th percentile is their longest */
#define SLICES_MIN 10
#define REPORT_MS  2000 /* tribed takes the result by then, or it is only warned of */

/* What the page's plot is made of: of many blows every so manyth, and the load's latency. */
static void tell_steps(const struct report *r, struct msg_drill_report *msg, struct item_drill_step *steps)
{
	size_t every = (r->nrows + WIRE_DRILL_STEPS_MAX - 1) / WIRE_DRILL_STEPS_MAX;

	msg->steps.v = steps;
	for (size_t i = 0; i < r->nrows; i += every) {
		const struct report_row *row = &r->rows[i];
		bool noticed = row->detect_ns >= row->inject_ns && row->detected_by[0] != '\0';

		steps[msg->steps.n++] = (struct item_drill_step){
			.jr = wire_s(report_target_api(row->role)),
			.at_ms = (double)(row->inject_ns - r->began_ns) / 1e6,
			.has_ms = row->back.good,
			.ms = row->ms,
			.has_noticed_ms = noticed,
			.noticed_ms = noticed ? (double)(row->detect_ns - row->inject_ns) / 1e6 : 0,
			.has_noticed_by = noticed,
			.noticed_by = wire_s(row->detected_by)};
	}
	msg->has_steps = msg->steps.n > 0;
}

static void tell_slices(const struct report *r, struct msg_drill_report *msg, struct item_drill_slice *slices)
{
	struct report_slice v[WIRE_DRILL_SLICES_MAX];
	size_t n = r->history != NULL ? r->history->nops / PER_SLICE : 0;
	double ms;

	n = n < SLICES_MIN ? SLICES_MIN : n > WIRE_DRILL_SLICES_MAX ? WIRE_DRILL_SLICES_MAX : n;
	ms = (double)(r->ended_ns - r->began_ns) / 1e6 / (double)n;
	msg->slices.v = slices;
	if (r->history == NULL || report_slices(r, v, n) < 0)
		return;
	for (size_t i = 0; i < n; i++)
		if (v[i].n > 0)
			slices[msg->slices.n++] = (struct item_drill_slice){.at_ms = ((double)i + 0.5) * ms,
									    .p50_ms = v[i].p50,
									    .p99_ms = v[i].p99,
									    .max_ms = v[i].max};
	msg->has_slices = msg->slices.n > 0;
}

/* Tribed keeps it; one that does not know how is only warned of. */
void drill_tell(struct drill *d)
{
	struct item_drill_step steps[WIRE_DRILL_STEPS_MAX];
	struct item_drill_slice slices[WIRE_DRILL_SLICES_MAX];
	struct report *r = &d->r;
	struct report_figures f;
	wire_str jrs[TR_NROLES];
	struct msg_drill_report msg = {.id = wire_s(r->id),
				       .started = r->started_ms,
				       .finished = r->finished_ms,
				       .fault = wire_s(harm_kinds[r->fault].word),
				       .jrs = {.v = jrs},
				       .seed = r->seed,
				       .valid = wire_s(report_valid_words[r->valid]),
				       .has_reason = r->reason[0] != '\0',
				       .reason = wire_s(r->reason),
				       .planned = (uint32_t)r->planned,
				       .injected = (uint32_t)r->nrows};
	const uint64_t *c = r->check.count;
	struct tr_fault fault;
	int e;

	if (report_figures(r, -1, &f) < 0)
		return;
	for (int i = 0; i < TR_NROLES; i++)
		if (r->roles[i])
			jrs[msg.jrs.n++] = wire_s(tr_roles[i].api_name);
	msg.recovered = (uint32_t)f.back;
	msg.has_p50_ms = msg.has_p95_ms = msg.has_p99_ms = msg.has_max_ms = f.back > 0;
	msg.p50_ms = f.p50, msg.p95_ms = f.p95, msg.p99_ms = f.p99, msg.max_ms = f.max;
	msg.has_load = true, msg.load = r->users;
	tell_steps(r, &msg, steps);
	tell_slices(r, &msg, slices);
	msg.requests = r->check.ops;
	msg.refused = c[CHECK_REFUSED], msg.failed = c[CHECK_FAILED], msg.lost = c[CHECK_LOST];
	msg.doubled = c[CHECK_DOUBLED], msg.stale = c[CHECK_STALE];
	e = drill_call(d, MSG_drill_report, &msg, REPORT_MS, &fault);
	if (e < 0)
		ctl_say(d->c, "warning: tribed did not take the result: %s",
			e == TR_EMETHOD         ? "it is of an older version"
			: fault.rule[0] != '\0' ? fault.rule
						: tr_strerror(e));
}
