#include "supervisor/ctl/drill/report.h"
#include "common/base/err.h"
#include "supervisor/ctl/drill/stats.h"
#include <inttypes.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#define GRACE_NS    1000000000ull /* a reset may be heard so long after the first good answer of who came next */
#define ENOUGH_ADDS 10            /* acknowledged, and as many reads: below that a history says nothing */

const char *const report_steady_words[] = {"unknown", "held", "missed"};
const char *const report_valid_words[] = {"unknown", "true", "false"};

const char *report_target(int role)
{
	return role == REPORT_SUPERVISOR ? "supervisor" : tr_roles[role].name;
}

const char *report_target_api(int role)
{
	return role == REPORT_SUPERVISOR ? "supervisor" : tr_roles[role].api_name;
}

const char *report_verdict(const struct report *r)
{
	if (r->valid == VALID_TRUE)
		return "passed";
	return r->valid == VALID_FALSE ? "failed" : r->interrupted ? "interrupted" : "unknown";
}

int report_replay(const struct report *r, struct buf *out)
{
	(void)buf_puts(out, "tribectl drill");
	if (r->storm)
		(void)buf_printf(out, " --storm %g --every %g", r->storm_s, r->every_ms);
	else
		(void)buf_printf(out, " --jr %s --kills %u", r->only < 0 ? "all" : tr_roles[r->only].name, r->kills);
	(void)buf_printf(out, " --fault %s --seed %u", harm_kinds[r->fault].word, r->seed);
	if (r->fault_ms > 0)
		(void)buf_printf(out, " --ms %u", r->fault_ms);
	if (r->amount > 0)
		(void)buf_printf(out, " --amount %u", r->amount);
	if (r->loaded)
		(void)buf_printf(out, " --load %u --rate %g", r->users, r->rate);
	if (r->slo_ms > 0)
		(void)buf_printf(out, " --slo-ms %g", r->slo_ms);
	return out->failed;
}

static uint64_t row_end(const struct report *r, const struct report_row *row)
{
	return row->back.good ? row->back.at_ns + GRACE_NS : r->ended_ns;
}

size_t report_windows(const struct report *r, struct check_window *v)
{
	size_t n = 0;

	for (size_t i = 0; i < r->nrows; i++)
		if (r->rows[i].role == TR_ROLE_EXECUTIVE || r->rows[i].role == REPORT_SUPERVISOR)
			v[n++] = (struct check_window){r->rows[i].inject_ns, row_end(r, &r->rows[i])};
	return n;
}

/* The last row that was injected at or before ns; NULL: none. */
static struct report_row *row_at(const struct report *r, uint64_t ns)
{
	size_t lo = 0, hi = r->nrows;

	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;

		if (r->rows[mid].inject_ns <= ns)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo == 0 ? NULL : &r->rows[lo - 1];
}

void report_users(struct report *r)
{
	const struct history *h = r->history;

	for (size_t i = 0; i < r->nrows; i++)
		r->rows[i].refused = r->rows[i].failed = r->rows[i].resent = 0, r->rows[i].gap_ns = 0;
	for (size_t i = 0; h != NULL && i < h->ntroubles; i++) {
		struct report_row *row = row_at(r, h->troubles[i].at_ns);

		if (row == NULL)
			continue;
		row->resent++; /* every trouble is followed by a repeat, within a user's patience */
		row->refused += h->troubles[i].kind == TROUBLE_REFUSED;
		row->failed += h->troubles[i].kind != TROUBLE_REFUSED && h->troubles[i].kind != TROUBLE_RESET;
	}
	for (size_t i = 0; h != NULL && i < h->nops; i++) {
		const struct op *op = &h->ops[i];
		struct report_row *row = op->done_ns == 0 ? NULL : row_at(r, op->done_ns);

		if (row != NULL && op->done_ns - op->sent_ns > row->gap_ns)
			row->gap_ns = op->done_ns - op->sent_ns;
	}
}

int report_figures(const struct report *r, int role, struct report_figures *out)
{
	double *sorted = calloc(2 * r->nrows + 1, sizeof(*sorted)), *detect = sorted == NULL ? NULL : sorted + r->nrows;
	struct report_figures f = {.detect_p50 = (double)NAN};
	size_t ndetect = 0;

	if (sorted == NULL)
		return TR_ENOMEM;
	for (size_t i = 0; i < r->nrows; i++) {
		const struct report_row *row = &r->rows[i];

		if (role >= 0 && row->role != role)
			continue;
		f.hit++;
		f.refused += row->back.refused;
		f.lost += row->back.lost;
		f.failed += row->back.failed;
		f.users_refused += row->refused;
		f.users_failed += row->failed;
		f.resent += row->resent;
		f.gap_ms = fmax(f.gap_ms, (double)row->gap_ns / 1e6);
		if (row->detect_ns != 0)
			detect[ndetect++] = (double)(row->detect_ns - row->inject_ns) / 1e6;
		if (row->back.good)
			sorted[f.back++] = row->ms;
	}
	if (ndetect > 0) {
		stats_sort(detect, ndetect);
		f.detect_p50 = stats_quantile(detect, ndetect, 0.5);
	}
	if (f.back > 0) {
		stats_sort(sorted, f.back);
		f.p50 = stats_quantile(sorted, f.back, 0.50);
		f.p95 = stats_quantile(sorted, f.back, 0.95);
		f.p99 = stats_quantile(sorted, f.back, 0.99);
		f.max = sorted[f.back - 1];
	}
	free(sorted);
	*out = f;
	return 0;
}

int report_latency(const struct report *r, int kind, struct report_latency *out)
{
	const struct history *h = r->history;
	double *v = h == NULL ? NULL : calloc(h->nops + 1, sizeof(*v));
	struct report_latency l = {.n = 0};

	if (h != NULL && v == NULL)
		return TR_ENOMEM;
	for (size_t i = 0; h != NULL && i < h->nops; i++)
		if ((kind < 0 || h->ops[i].kind == kind) && h->ops[i].done_ns != 0)
			v[l.n++] = (double)(h->ops[i].done_ns - h->ops[i].sent_ns) / 1e6;
	if (l.n > 0) {
		stats_sort(v, l.n);
		l.p50 = stats_quantile(v, l.n, 0.5);
		l.p99 = stats_quantile(v, l.n, 0.99);
		l.max = v[l.n - 1];
	}
	free(v);
	*out = l;
	return 0;
}

/* ---- the verdict ---- */

static void because(struct report *r, enum report_valid valid, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));
static void because(struct report *r, enum report_valid valid, const char *fmt, ...)
{
	va_list ap;

	r->valid = valid;
	va_start(ap, fmt);
	(void)vsnprintf(r->reason, sizeof(r->reason), fmt, ap);
	va_end(ap);
}

static bool judge_recoveries(struct report *r, const struct report_figures *f)
{
	if (f->back < f->hit)
		because(r, VALID_FALSE, "%zu of %zu did not come back", f->hit - f->back, f->hit);
	else if (r->slo_ms > 0 && f->max > r->slo_ms)
		because(r, VALID_FALSE, "the slowest recovery took %.2f ms, more than %g ms", f->max, r->slo_ms);
	else if (f->refused > 0 && r->fault != HARM_SUPERVISOR)
		because(r, VALID_FALSE, "%" PRIu64 " connections to a Jr were refused", f->refused);
	else
		return true;
	return false;
}

static bool judge_load(struct report *r)
{
	const struct check *c = &r->check;

	for (int i = 0; r->loaded && i < CHECK_NCOUNTS; i++) {
		if (c->count[i] == 0)
			continue;
		because(r, VALID_FALSE,
			"%" PRIu64 " lost, %" PRIu64 " doubled, %" PRIu64 " stale, %" PRIu64 " refused, %" PRIu64
			" failed",
			c->count[CHECK_LOST], c->count[CHECK_DOUBLED], c->count[CHECK_STALE], c->count[CHECK_REFUSED],
			c->count[CHECK_FAILED]);
		return false;
	}
	return true;
}

static const char *why_unknown(const struct report *r)
{
	if (r->interrupted)
		return "interrupted";
	if (r->before != STEADY_HELD)
		return "no steady state before the first injection";
	if (r->nrows < r->planned || r->nrows == 0)
		return "not everything that was planned was injected";
	if (r->during == STEADY_MISSED)
		return "no steady state between two injections";
	if (r->after != STEADY_HELD)
		return "no steady state after the last injection";
	if (r->loaded && !r->check.whole)
		return "the history is not whole";
	if (r->loaded && (r->check.acknowledged < ENOUGH_ADDS || r->check.reads < ENOUGH_ADDS))
		return "too few requests to say anything";
	return NULL;
}

int report_judge(struct report *r)
{
	struct report_figures f;
	const char *why;

	if (report_figures(r, -1, &f) < 0)
		return TR_ENOMEM;
	r->reason[0] = '\0';
	if (!judge_recoveries(r, &f) || !judge_load(r))
		return 0;
	if ((why = why_unknown(r)) != NULL)
		because(r, VALID_UNKNOWN, "%s", why);
	else
		r->valid = VALID_TRUE;
	return 0;
}
