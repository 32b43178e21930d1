#include "common/base/clock.h"
#include "supervisor/ctl/drill/report.h"
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#define SLOWEST 40 /* injections in the second table */

static const char head[] =
	"<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">\n"
	"<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">\n"
	"<meta name=\"viewport\" content=\"width=device-width\"><title>Drill</title>\n<style>\n"
	":root{color-scheme:light "
	"dark;--ink:#1c2024;--dim:#687076;--line:#d7dbdf;--page:#fff;--good:#18794e;--bad:#cd2b31;"
	"--t0:#0b68cb;--t1:#8e4ec6;--t2:#946800;--t3:#c2298a;--t4:#11181c}\n"
	"@media(prefers-color-scheme:dark){:root{--ink:#ecedee;--dim:#9ba1a6;--line:#3a3f42;--page:#151718;--good:#"
	"4cc38a;"
	"--bad:#ff6369;--t0:#52a9ff;--t1:#bf7af0;--t2:#f0c000;--t3:#f65cb6;--t4:#ecedee}}\n"
	"body{font:15px/1.5 system-ui,sans-serif;color:var(--ink);background:var(--page);max-width:60rem;margin:2rem "
	"auto;"
	"padding:0 1rem}\nh1{font-size:1.4rem;margin:0}h2{font-size:1.05rem;margin:1.6rem 0 .4rem}"
	"table{border-collapse:collapse;width:100%;font-variant-numeric:tabular-nums}"
	"th,td{text-align:right;padding:.2rem .5rem;border-bottom:1px solid var(--line)}"
	"th:first-child,td:first-child{text-align:left}th{color:var(--dim);font-weight:500}code{font-size:.9em}"
	".good{color:var(--good)}.bad{color:var(--bad)}.dim{color:var(--dim)}svg{width:100%;height:auto}"
	"svg text{font-size:11px;fill:var(--dim)}svg .grid{stroke:var(--line)}svg path{fill:none;stroke-width:1.4}"
	"svg .p50{stroke:var(--good)}svg .p99{stroke:var(--t2)}svg .longest{stroke:var(--dim);stroke-width:.8}"
	"svg .bad{stroke:var(--bad)}svg .dot{fill:var(--dim)}svg line{stroke-width:1;stroke-opacity:.45}"
	"svg line.t0{stroke:var(--t0)}svg line.t1{stroke:var(--t1)}svg line.t2{stroke:var(--t2)}svg "
	"line.t3{stroke:var(--t3)}"
	"svg line.t4{stroke:var(--t4)}svg rect.t0{fill:var(--t0)}svg rect.t1{fill:var(--t1)}svg rect.t2{fill:var(--t2)}"
	"svg rect.t3{fill:var(--t3)}svg rect.t4{fill:var(--t4)}.key0{color:var(--t0)}.key1{color:var(--t1)}"
	".key2{color:var(--t2)}.key3{color:var(--t3)}.key4{color:var(--t4)}\n</style></head><body>\n";

/* What came from outside is text here and nothing else. */
static void text(struct buf *out, const char *s)
{
	for (; *s != '\0'; s++) {
		const char *as = *s == '<'   ? "&lt;"
				 : *s == '>' ? "&gt;"
				 : *s == '&' ? "&amp;"
				 : *s == '"' ? "&quot;"
					     : NULL;

		if (as != NULL)
			(void)buf_puts(out, as);
		else
			(void)buf_append(out, s, 1);
	}
}

static void summary(const struct report *r, struct buf *out)
{
	const char *look = r->valid == VALID_TRUE ? "good" : r->valid == VALID_FALSE ? "bad" : "dim";
	char from[TR_RFC3339_LEN];
	struct buf replay = {.max = 0};

	tr_rfc3339_format(r->started_ms, from);
	(void)buf_printf(out, "<h1>Drill: <span class=\"%s\">%s</span></h1>\n<p>valid: <b class=\"%s\">%s</b>", look,
			 report_verdict(r), look, report_valid_words[r->valid]);
	if (r->reason[0] != '\0') {
		(void)buf_puts(out, " (");
		text(out, r->reason);
		(void)buf_puts(out, ")");
	}
	(void)buf_printf(out,
			 ". %s, %.1f s, %zu of %zu injections. Steady state before: %s, during: %s, after: %s.<br>",
			 from, (double)(r->ended_ns - r->began_ns) / 1e9, r->nrows, r->planned,
			 report_steady_words[r->before], report_steady_words[r->during], report_steady_words[r->after]);
	(void)report_replay(r, &replay);
	(void)buf_puts(out, "The same again: <code>");
	text(out, replay.p == NULL ? "" : replay.p);
	(void)buf_puts(out, "</code><br><span class=\"dim\">id ");
	text(out, r->id);
	(void)buf_puts(out, ", version ");
	text(out, r->version);
	(void)buf_puts(out, "</span></p>\n");
	buf_free(&replay);
}

static int targets(const struct report *r, struct buf *out)
{
	(void)buf_puts(out,
		       "<h2>From the fault to the first good reply</h2>\n<table><tr><th>target<th>fault<th>n<th>back"
		       "<th>detect p50<th>p50<th>p95<th>p99<th>max, ms<th>refused");
	(void)buf_puts(out, r->loaded ? "<th>users: failed<th>resent<th>longest, ms</tr>\n" : "</tr>\n");
	for (int i = 0; i < REPORT_NTARGETS; i++) {
		struct report_figures f;
		int e = report_figures(r, i, &f);

		if (e < 0)
			return e;
		if (f.hit == 0)
			continue;
		(void)buf_printf(out, "<tr><td class=\"key%d\">%s<td>%s<td>%zu<td>%zu<td>", i, report_target(i),
				 harm_kinds[r->fault].word, f.hit, f.back);
		(void)buf_printf(out, isnan(f.detect_p50) ? "-" : "%.2f", f.detect_p50);
		if (f.back > 0)
			(void)buf_printf(out, "<td>%.2f<td>%.2f<td>%.2f<td>%.2f", f.p50, f.p95, f.p99, f.max);
		else
			(void)buf_puts(out, "<td>-<td>-<td>-<td>-");
		(void)buf_printf(out, "<td>%" PRIu64, f.refused + f.users_refused);
		if (r->loaded)
			(void)buf_printf(out, "<td>%" PRIu64 "<td>%" PRIu64 "<td>%.1f", f.users_failed, f.resent,
					 f.gap_ms);
		(void)buf_puts(out, "</tr>\n");
	}
	(void)buf_puts(out, "</table>\n");
	return 0;
}

static void checker(const struct report *r, struct buf *out)
{
	const struct check *c = &r->check;

	(void)buf_printf(out,
			 "<h2>What %u users saw</h2>\n<table><tr><th>requests<th>acknowledged<th>reads<th>repeats"
			 "<th>excused resets",
			 r->users);
	for (int i = 0; i < CHECK_NCOUNTS; i++)
		(void)buf_printf(out, "<th>%s", check_words[i]);
	(void)buf_printf(out, "</tr>\n<tr><td>%" PRIu64 "<td>%" PRIu64 "<td>%" PRIu64 "<td>%" PRIu64 "<td>%" PRIu64,
			 c->ops, c->acknowledged, c->reads, c->repeats, c->excused_resets);
	for (int i = 0; i < CHECK_NCOUNTS; i++)
		(void)buf_printf(out, "<td class=\"%s\">%" PRIu64, c->count[i] == 0 ? "good" : "bad", c->count[i]);
	(void)buf_puts(out, "</tr></table>\n<table><tr><th>requests<th>n<th>p50<th>p99<th>max, ms</tr>\n");
	for (int kind = 0; kind < OP_NKINDS; kind++) {
		struct report_latency l;

		if (report_latency(r, kind, &l) == 0 && l.n > 0)
			(void)buf_printf(out, "<tr><td>%s<td>%zu<td>%.2f<td>%.2f<td>%.2f</tr>\n", op_words[kind], l.n,
					 l.p50, l.p99, l.max);
	}
	(void)buf_puts(out, "</table>\n<ul>\n");
	for (int i = 0; i < CHECK_NCOUNTS; i++) {
		for (int k = 0; k < CHECK_EXAMPLES && c->example[i][k][0] != '\0'; k++) {
			(void)buf_printf(out, "<li>%s: ", check_words[i]);
			text(out, c->example[i][k]);
			(void)buf_puts(out, "\n");
		}
	}
	(void)buf_printf(out,
			 "</ul>\n<p class=\"dim\">%u memories of the drill were there at the end, %u were removed, ",
			 r->listed, r->removed);
	(void)buf_printf(out, r->looked ? "%u are left.</p>\n" : "whether any are left is not known.</p>\n", r->left);
}

static int slower(const void *a, const void *b)
{
	const struct report_row *const *x = a, *const *y = b;

	return ((*x)->ms < (*y)->ms) - ((*x)->ms > (*y)->ms);
}

static int slowest(const struct report *r, struct buf *out)
{
	const struct report_row **v = calloc(r->nrows + 1, sizeof(*v));

	if (v == NULL)
		return TR_ENOMEM;
	for (size_t i = 0; i < r->nrows; i++)
		v[i] = &r->rows[i];
	qsort(v, r->nrows, sizeof(*v), slower);
	(void)buf_printf(out,
			 "<h2>%s</h2>\n<table><tr><th>target<th>at, s<th>pid<th>new pid<th>epoch<th>detect<th>ready"
			 "<th>first reply, ms<th>seen as</tr>\n",
			 r->nrows > SLOWEST ? "The slowest injections" : "Every injection, slowest first");
	for (size_t i = 0; i < r->nrows && i < SLOWEST; i++) {
		const struct report_row *row = v[i];

		(void)buf_printf(out, "<tr><td class=\"key%d\">%s<td>%.3f<td>%u<td>", row->role,
				 report_target(row->role), (double)(row->inject_ns - r->began_ns) / 1e9, row->pid);
		(void)buf_printf(out, row->back.good ? "%u<td>%" PRIu64 "<td>" : "-<td>-<td>", row->back.pid,
				 row->back.epoch);
		(void)buf_printf(out, row->detect_ns != 0 ? "%.2f<td>" : "-<td>",
				 (double)(row->detect_ns - row->inject_ns) / 1e6);
		(void)buf_printf(out, row->back.ready_ns != 0 ? "%.2f<td>" : "-<td>",
				 (double)(row->back.ready_ns - row->inject_ns) / 1e6);
		(void)buf_printf(out, row->back.good ? "%.2f<td>" : "<span class=\"bad\">not back</span><td>", row->ms);
		text(out, row->detected_by);
		(void)buf_puts(out, "</tr>\n");
	}
	(void)buf_puts(out, "</table>\n");
	free(v);
	return 0;
}

int report_html(const struct report *r, struct buf *out)
{
	int e;

	(void)buf_puts(out, head);
	summary(r, out);
	if ((e = targets(r, out)) < 0)
		return e;
	if (r->loaded)
		checker(r, out);
	(void)buf_puts(out, "<h2>Over time</h2>\n");
	if ((e = report_plot(r, out)) < 0)
		return e;
	(void)buf_printf(
		out,
		"<p class=\"dim\">Lines: injections; squares: how long until the first good reply. %s Crosses: "
		"resets, refusals, 5xx, timeouts.%s</p>\n",
		!r->loaded                ? ""
		: r->history->nops > 2000 ? "Requests, by slices of time: median (green), 99th percentile (yellow), "
					    "longest (grey)."
					  : "Dots: requests.",
		r->nrows > 1500 ? " Of so many injections only every n-th is drawn." : "");
	if ((e = slowest(r, out)) < 0)
		return e;
	(void)buf_puts(out, "</body></html>\n");
	return out->failed;
}
