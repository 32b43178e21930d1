#include "common/base/clock.h"
#include "supervisor/ctl/drill/report.h"
#include <math.h>
#include <sys/utsname.h>
#include <unistd.h>

static json_t *n(uint64_t v)
{
	return json_integer((json_int_t)v);
}

static json_t *ms(uint64_t from_ns, uint64_t to_ns)
{
	return to_ns == 0 ? json_null() : json_real(((double)to_ns - (double)from_ns) / 1e6);
}

static json_t *when(int64_t at_ms)
{
	char text[TR_RFC3339_LEN];

	tr_rfc3339_format(at_ms, text);
	return json_string(text);
}

static json_t *row_json(const struct report *r, const struct report_row *row)
{
	json_t *j = json_pack("{s:o, s:s, s:s, s:o, s:o, s:o, s:b, s:o, s:o, s:o, s:f, s:o, s:o, s:o, s:o}", "t_ms",
			      ms(r->began_ns, row->inject_ns), "fault", harm_kinds[r->fault].word, "jr",
			      report_target_api(row->role), "pid", n(row->pid), "generation", n(row->generation),
			      "epoch", n(row->epoch), "recovered", (int)row->back.good, "t_detect_ms",
			      ms(row->inject_ns, row->detect_ns), "t_ready_ms", ms(row->inject_ns, row->back.ready_ns),
			      "t_first_reply_ms", ms(row->inject_ns, row->back.good ? row->back.at_ns : 0),
			      "recovery_ms", row->ms, "attempts", n(row->back.attempts), "refused",
			      n(row->back.refused), "lost", n(row->back.lost), "failed", n(row->back.failed));

	if (j == NULL)
		return NULL;
	if (row->also != 0)
		(void)json_object_set_new(j, "also", n(row->also));
	if (row->detected_by[0] != '\0')
		(void)json_object_set_new(j, "detected_by", json_string(row->detected_by));
	if (row->back.error[0] != '\0')
		(void)json_object_set_new(j, "last_error", json_string(row->back.error));
	if (row->back.good) {
		(void)json_object_set_new(j, "new_pid", n(row->back.pid));
		(void)json_object_set_new(j, "new_generation", n(row->back.generation));
		(void)json_object_set_new(j, "new_epoch", n(row->back.epoch));
	}
	if (r->loaded)
		(void)json_object_set_new(j, "users",
					  json_pack("{s:o, s:o, s:o, s:f}", "refused", n(row->refused), "failed",
						    n(row->failed), "resent", n(row->resent), "longest_ms",
						    (double)row->gap_ns / 1e6));
	return j;
}

static json_t *target_json(const struct report *r, int role)
{
	struct report_figures f;
	json_t *j;

	if (report_figures(r, role, &f) < 0 || f.hit == 0)
		return NULL;
	j = json_pack("{s:s, s:s, s:o, s:o, s:o, s:o, s:o, s:b}", "jr", report_target_api(role), "fault",
		      harm_kinds[r->fault].word, "kills", n(f.hit), "recovered", n(f.back), "refused", n(f.refused),
		      "lost", n(f.lost), "failed", n(f.failed), "passed",
		      (int)(f.back == f.hit && (r->slo_ms <= 0 || f.max <= r->slo_ms)));
	if (!isnan(f.detect_p50))
		(void)json_object_set_new(j, "detect_p50_ms", json_real(f.detect_p50));
	if (f.back > 0) {
		(void)json_object_set_new(j, "p50_ms", json_real(f.p50));
		(void)json_object_set_new(j, "p95_ms", json_real(f.p95));
		(void)json_object_set_new(j, "p99_ms", json_real(f.p99));
		(void)json_object_set_new(j, "max_ms", json_real(f.max));
	}
	if (r->loaded)
		(void)json_object_set_new(j, "users",
					  json_pack("{s:o, s:o, s:o, s:f}", "refused", n(f.users_refused), "failed",
						    n(f.users_failed), "resent", n(f.resent), "longest_ms", f.gap_ms));
	return j;
}

static json_t *check_json(const struct report *r)
{
	const struct check *c = &r->check;
	json_t *j = json_pack("{s:o, s:o, s:o, s:o, s:o, s:o, s:b}", "requests", n(c->ops), "acknowledged",
			      n(c->acknowledged), "reads", n(c->reads), "repeats", n(c->repeats), "excused_resets",
			      n(c->excused_resets), "recovered", n(c->recovered), "history_whole", (int)c->whole);

	for (int i = 0; j != NULL && i < CHECK_NCOUNTS; i++) {
		json_t *one = json_pack("{s:o, s:[]}", "count", n(c->count[i]), "examples");

		for (int k = 0; one != NULL && k < CHECK_EXAMPLES && c->example[i][k][0] != '\0'; k++)
			(void)json_array_append_new(json_object_get(one, "examples"), json_string(c->example[i][k]));
		(void)json_object_set_new(j, check_words[i], one);
	}
	return j;
}

static json_t *latency_json(const struct report *r)
{
	json_t *j = json_object();

	for (int kind = -1; kind < OP_NKINDS; kind++) {
		struct report_latency l;

		if (report_latency(r, kind, &l) == 0 && l.n > 0)
			(void)json_object_set_new(j, kind < 0 ? "all" : op_words[kind],
						  json_pack("{s:o, s:f, s:f, s:f}", "n", n(l.n), "p50_ms", l.p50,
							    "p99_ms", l.p99, "max_ms", l.max));
	}
	return j;
}

static json_t *load_json(const struct report *r)
{
	json_t *kinds = json_object(), *troubles = json_object();
	uint64_t of[OP_NKINDS] = {0}, bad[TROUBLE_NKINDS] = {0};

	for (size_t i = 0; i < r->history->nops; i++)
		of[r->history->ops[i].kind]++;
	for (size_t i = 0; i < r->history->ntroubles; i++)
		bad[r->history->troubles[i].kind]++;
	for (int i = 0; i < OP_NKINDS; i++)
		(void)json_object_set_new(kinds, op_words[i], n(of[i]));
	for (int i = 0; i < TROUBLE_NKINDS; i++)
		(void)json_object_set_new(troubles, trouble_words[i], n(bad[i]));
	return json_pack("{s:o, s:f, s:o, s:o, s:o, s:{s:o, s:o, s:o}}", "users", n(r->users), "rate", r->rate,
			 "latency", latency_json(r), "requests", kinds, "troubles", troubles, "memories", "listed",
			 n(r->listed), "removed", n(r->removed), "left", r->looked ? n(r->left) : json_null());
}

static json_t *platform_json(const struct report *r)
{
	struct utsname u;

	if (uname(&u) < 0)
		return json_null();
	return json_pack("{s:s, s:s, s:s, s:I, s:s}", "system", u.sysname, "release", u.release, "machine", u.machine,
			 "cpus", (json_int_t)sysconf(_SC_NPROCESSORS_ONLN), "tribectl", r->version);
}

json_t *report_json(const struct report *r)
{
	json_t *jrs = json_array(), *run = json_array(), *doc;
	struct buf replay = {.max = 0};

	(void)report_replay(r, &replay);
	for (int i = 0; i < REPORT_NTARGETS; i++) {
		json_t *one = target_json(r, i);

		if (one != NULL)
			(void)json_array_append_new(jrs, one);
	}
	for (size_t i = 0; i < r->nrows; i++)
		(void)json_array_append_new(run, row_json(r, &r->rows[i]));
	doc = json_pack("{s:s, s:s, s:s, s:s, s:I, s:s, s:o, s:o, s:o, s:f, s:I, s:I, s:{s:s, s:s, s:s}, s:o, s:o}",
			"id", r->id, "verdict", report_verdict(r), "valid", report_valid_words[r->valid], "fault",
			harm_kinds[r->fault].word, "seed", (json_int_t)r->seed, "replay",
			replay.p == NULL ? "" : replay.p, "platform", platform_json(r), "start", when(r->started_ms),
			"end", when(r->finished_ms), "duration_s", (double)(r->ended_ns - r->began_ns) / 1e9, "planned",
			(json_int_t)r->planned, "done", (json_int_t)r->nrows, "steady_states", "before",
			report_steady_words[r->before], "during", report_steady_words[r->during], "after",
			report_steady_words[r->after], "jrs", jrs, "run", run);
	buf_free(&replay);
	if (doc == NULL)
		return NULL;
	if (r->reason[0] != '\0')
		(void)json_object_set_new(doc, "reason", json_string(r->reason));
	if (r->slo_ms > 0)
		(void)json_object_set_new(doc, "slo_ms", json_real(r->slo_ms));
	if (r->loaded) {
		(void)json_object_set_new(doc, "load", load_json(r));
		(void)json_object_set_new(doc, "checker", check_json(r));
	}
	return doc;
}
