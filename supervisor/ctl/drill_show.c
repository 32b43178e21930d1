#include "proto/json/json.h"
#include "supervisor/ctl/drill_run.h"
#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

void drill_progress(const struct drill *d, const char *what)
{
	struct load_now l = {.good = 0};

	if (!d->c->progress)
		return;
	(void)fputs("\r\x1b[K", stderr);
	if (what != NULL && *what == '\0')
		return;
	if (d->r.nrows > 0)
		(void)fprintf(stderr, "%zu/%zu  %s %s  %.2f ms", d->r.nrows, d->r.planned, harm_kinds[d->r.fault].word,
			      report_target(d->r.rows[d->r.nrows - 1].role), d->r.rows[d->r.nrows - 1].ms);
	if (d->load != NULL) {
		load_now(d->load, &l);
		(void)fprintf(stderr, "  %" PRIu64 " requests, %" PRIu64 " in trouble", l.good, l.troubles);
	}
	if (what != NULL)
		(void)fprintf(stderr, "  %s", what);
	(void)fflush(stderr);
}

static void table(const struct drill *d, struct buf *out)
{
	const struct report *r = &d->r;
	struct report_figures f;

	show_paint(out, &d->c->style, SHOW_BOLD, "%-12s %-15s %5s %5s %9s %9s %9s %9s %9s %8s %6s", "JR", "FAULT", "N",
		   "BACK", "detect ms", "p50 ms", "p95 ms", "p99 ms", "max ms", "REFUSED", "ERRORS");
	(void)buf_puts(out, "\n");
	for (int i = 0; i < REPORT_NTARGETS; i++) {
		if (report_figures(r, i, &f) < 0 || f.hit == 0)
			continue;
		(void)buf_printf(out, "%-12s %-15s %5zu %5zu ", report_target(i), harm_kinds[r->fault].word, f.hit,
				 f.back);
		if (isnan(f.detect_p50))
			(void)buf_printf(out, "%9s ", "-");
		else
			(void)buf_printf(out, "%9.2f ", f.detect_p50);
		show_paint(out, &d->c->style,
			   f.back == f.hit && (r->slo_ms <= 0 || f.max <= r->slo_ms) ? SHOW_GOOD : SHOW_BAD,
			   "%9.2f %9.2f %9.2f %9.2f", f.p50, f.p95, f.p99, f.max);
		(void)buf_printf(out, " %8" PRIu64 " %6" PRIu64 "\n", f.refused, f.failed);
	}
}

static void users(const struct drill *d, struct buf *out)
{
	const struct check *c = &d->r.check;
	struct report_latency all;

	if (!d->r.loaded || report_latency(&d->r, -1, &all) < 0)
		return;
	(void)buf_printf(
		out, "%u users: %" PRIu64 " requests, %" PRIu64 " repeats, p50 %.2f ms, p99 %.2f ms, max %.1f ms\n  ",
		d->r.users, c->ops, c->repeats, all.p50, all.p99, all.max);
	for (int i = 0; i < CHECK_NCOUNTS; i++)
		show_paint(out, &d->c->style, c->count[i] == 0 ? SHOW_GOOD : SHOW_BAD, "%s%s %" PRIu64,
			   i == 0 ? "" : ", ", check_words[i], c->count[i]);
	(void)buf_printf(out, "; resets while executive was down by order: %" PRIu64 "\n", c->excused_resets);
	for (int i = 0; i < CHECK_NCOUNTS; i++)
		for (int k = 0; k < CHECK_EXAMPLES && c->example[i][k][0] != '\0'; k++)
			(void)buf_printf(out, "  %s: %s\n", check_words[i], c->example[i][k]);
	(void)buf_printf(out, "memories of the drill: %u, removed %u, ", d->r.listed, d->r.removed);
	(void)buf_printf(out, d->r.looked ? "left %u\n" : "left: not known\n", d->r.left);
}

void drill_text(const struct drill *d, struct buf *out)
{
	const struct show_style *style = &d->c->style;
	const struct report *r = &d->r;
	const char *verdict = report_verdict(r);

	(void)buf_printf(out, "fault %s, seed %u\n", harm_kinds[r->fault].word, r->seed);
	table(d, out);
	for (size_t i = 0; i < r->nrows; i++) {
		const struct report_row *row = &r->rows[i];

		if (!row->back.good)
			show_paint(out, style, SHOW_BAD, "%s (pid %u) did not come back within %d s%s%s\n",
				   report_target_api(row->role), row->pid, DRILL_GIVE_UP_MS / 1000,
				   row->back.error[0] != '\0' ? ": " : "", row->back.error);
	}
	users(d, out);
	show_paint(out, style,
		   r->valid == VALID_TRUE    ? SHOW_GOOD
		   : r->valid == VALID_FALSE ? SHOW_BAD
					     : SHOW_WARN,
		   "%s", verdict);
	if (r->interrupted)
		(void)buf_printf(out, "%s after %zu of %zu", strcmp(verdict, "interrupted") == 0 ? "" : ", interrupted",
				 r->nrows, r->planned);
	else if (r->reason[0] != '\0')
		(void)buf_printf(out, ": %s", r->reason);
	if (r->slo_ms > 0)
		(void)buf_printf(out, " (every recovery within %g ms)", r->slo_ms);
	(void)buf_puts(out, "\n");
}

/* ---- files: there whole or not at all ---- */

static int part_name(char *out, size_t size, const char *file)
{
	int n = snprintf(out, size, "%s.part.%ld", file, (long)getpid());

	return n < 0 || (size_t)n >= size ? -ENAMETOOLONG : 0;
}

static int write_file(const char *file, const struct buf *b)
{
	char part[CTL_PATH_MAX];
	int r = part_name(part, sizeof(part), file);
	FILE *f = r < 0 ? NULL : fopen(part, "wxe");

	if (f == NULL)
		return r < 0 ? r : -errno;
	if (fwrite(b->p, 1, b->len, f) != b->len || fflush(f) != 0)
		r = -errno;
	if (fclose(f) != 0 && r == 0)
		r = -errno;
	if (r == 0 && rename(part, file) < 0)
		r = -errno;
	if (r < 0)
		(void)unlink(part);
	return r;
}

enum ctl_exit drill_may_write(const struct drill *d, const char *file)
{
	char part[CTL_PATH_MAX];
	int r = file == NULL ? 0 : part_name(part, sizeof(part), file);
	FILE *f = file == NULL || r < 0 ? NULL : fopen(part, "wxe");
	struct stat st;

	if (file == NULL)
		return CTL_DONE;
	if (f != NULL && stat(file, &st) == 0 && S_ISDIR(st.st_mode)) {
		(void)fclose(f);
		(void)unlink(part);
		ctl_say(d->c, "%s: it is a directory", file);
		return CTL_FAILED;
	}
	if (f == NULL) {
		ctl_say(d->c, "%s: %s", file, tr_strerror(r < 0 ? r : -errno));
		return CTL_FAILED;
	}
	(void)fclose(f);
	(void)unlink(part);
	return CTL_DONE;
}

static enum ctl_exit write_or_say(const struct drill *d, const char *file, struct buf *b, int r)
{
	r = r < 0 ? r : write_file(file, b);
	buf_free(b);
	if (r < 0)
		ctl_say(d->c, "%s: %s", file, tr_strerror(r));
	return r < 0 ? CTL_FAILED : CTL_DONE;
}

enum ctl_exit drill_write(const struct drill *d, const char *file, const char *html)
{
	enum ctl_exit e = CTL_DONE, also = CTL_DONE;
	struct buf b = {.max = 0};
	json_t *doc;

	if (file != NULL) {
		doc = report_json(&d->r);
		e = write_or_say(d, file, &b,
				 doc == NULL               ? TR_ENOMEM
				 : json_print(doc, &b) < 0 ? TR_ENOMEM
							   : buf_puts(&b, "\n"));
		json_decref(doc);
	}
	if (html != NULL)
		also = write_or_say(d, html, &b, report_html(&d->r, &b));
	return e != CTL_DONE ? e : also;
}
