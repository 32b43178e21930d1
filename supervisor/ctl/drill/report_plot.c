/* The plot of a report, as SVG: latency of the load's requests over time (every one while they are few, else the
 * median, the 99th percentile and the longest of each slice), every injection as a line, every recovery as a square. */
#include "common/base/err.h"
#include "supervisor/ctl/drill/report.h"
#include "supervisor/ctl/drill/stats.h"
#include <math.h>
#include <stdlib.h>

#define WIDTH     960.0
#define HEIGHT    320.0
#define LEFT      56.0
#define BOTTOM    28.0
#define TOP       12.0
#define BINS_MAX  360
#define BINS_MIN  60
#define PER_BIN   40   /* requests in a slice, about: fewer, and its 99th percentile is its longest */
#define DOTS_MAX  2000 /* more requests than that are binned */
#define MARKS_MAX 1500 /* injections and troubles drawn; of more every n-th */
#define FLOOR_MS  0.05

struct plot {
	const struct report *r;
	struct buf *out;
	double seconds, top_ms; /* of the axes */
	size_t bins;
};

static double x_at(const struct plot *p, uint64_t ns)
{
	double s = ns <= p->r->began_ns ? 0 : (double)(ns - p->r->began_ns) / 1e9;

	return LEFT + (WIDTH - LEFT - 8) * (s > p->seconds ? 1 : s / p->seconds);
}

static double y_at(const struct plot *p, double ms)
{
	double share = log10(fmax(ms, FLOOR_MS) / FLOOR_MS) / log10(p->top_ms / FLOOR_MS);

	return HEIGHT - BOTTOM - (HEIGHT - BOTTOM - TOP) * share;
}

static double op_ms(const struct op *op)
{
	return (double)(op->done_ns - op->sent_ns) / 1e6;
}

static void axes(const struct plot *p)
{
	double step = pow(10, floor(log10(p->seconds / 2)));

	if (p->seconds / step > 10)
		step *= p->seconds / step > 25 ? 5 : 2;
	for (double ms = 0.1; ms <= p->top_ms * 1.001; ms *= 10) {
		(void)buf_printf(p->out, "<line class=\"grid\" x1=\"%.0f\" x2=\"%.0f\" y1=\"%.1f\" y2=\"%.1f\"/>", LEFT,
				 WIDTH - 8, y_at(p, ms), y_at(p, ms));
		(void)buf_printf(p->out, "<text x=\"%.0f\" y=\"%.1f\" text-anchor=\"end\">%g ms</text>", LEFT - 6,
				 y_at(p, ms) + 4, ms);
	}
	for (double s = 0; s <= p->seconds * 1.001; s += step)
		(void)buf_printf(p->out, "<text x=\"%.1f\" y=\"%.0f\" text-anchor=\"middle\">%g s</text>",
				 LEFT + (WIDTH - LEFT - 8) * s / p->seconds, HEIGHT - 8, s);
}

static void injections(const struct plot *p)
{
	size_t step = p->r->nrows / MARKS_MAX + 1;

	for (size_t i = 0; i < p->r->nrows; i += step) {
		const struct report_row *row = &p->r->rows[i];

		(void)buf_printf(p->out,
				 "<line class=\"t%d\" x1=\"%.1f\" x2=\"%.1f\" y1=\"%.0f\" y2=\"%.0f\"><title>%s %s: ",
				 row->role, x_at(p, row->inject_ns), x_at(p, row->inject_ns), TOP, HEIGHT - BOTTOM,
				 harm_kinds[p->r->fault].word, report_target(row->role));
		(void)buf_printf(p->out,
				 row->back.good ? "%.2f ms</title></line>" : "not back after %.0f ms</title></line>",
				 row->ms);
		if (row->back.good)
			(void)buf_printf(p->out, "<rect class=\"t%d\" x=\"%.1f\" y=\"%.1f\" width=\"5\" height=\"5\"/>",
					 row->role, x_at(p, row->inject_ns) - 2.5, y_at(p, row->ms) - 2.5);
	}
}

static void troubles(const struct plot *p)
{
	size_t n = p->r->history == NULL ? 0 : p->r->history->ntroubles;

	for (size_t i = 0; i < n; i += n / MARKS_MAX + 1) {
		const struct trouble *t = &p->r->history->troubles[i];
		double x = x_at(p, t->at_ns);

		(void)buf_printf(p->out, "<path class=\"bad\" d=\"M%.1f %.0fl6 6m0-6l-6 6\"><title>%s</title></path>",
				 x - 3, TOP, trouble_words[t->kind]);
	}
}

static void dots(const struct plot *p)
{
	const struct history *h = p->r->history;

	for (size_t i = 0; i < h->nops; i++)
		if (h->ops[i].done_ns != 0)
			(void)buf_printf(p->out, "<circle class=\"dot\" cx=\"%.1f\" cy=\"%.1f\" r=\"1.5\"/>",
					 x_at(p, h->ops[i].sent_ns), y_at(p, op_ms(&h->ops[i])));
}

static double slice_value(const struct report_slice *s, int which)
{
	return s->n == 0 ? -1 : which == 0 ? s->max : which == 1 ? s->p99 : s->p50;
}

static void line(const struct plot *p, const char *what, const struct report_slice *slices, int which)
{
	bool open = false;

	(void)buf_printf(p->out, "<path class=\"%s\" d=\"", what);
	for (size_t i = 0; i < p->bins; i++) {
		double x = LEFT + (WIDTH - LEFT - 8) * ((double)i + 0.5) / (double)p->bins,
		       v = slice_value(&slices[i], which);

		if (v < 0) {
			open = false;
			continue;
		}
		(void)buf_printf(p->out, "%c%.1f %.1f", open ? 'L' : 'M', x, y_at(p, v));
		open = true;
	}
	(void)buf_puts(p->out, "\"/>");
}

static int slices(const struct plot *p)
{
	static const char *const what[] = {"longest", "p99", "p50"};
	struct report_slice v[BINS_MAX];
	int e = report_slices(p->r, v, p->bins);

	for (int i = 0; e == 0 && i < 3; i++)
		line(p, what[i], v, i);
	return e;
}

static double top_of(const struct report *r)
{
	double top = 10;

	for (size_t i = 0; i < r->nrows; i++)
		top = fmax(top, r->rows[i].ms);
	for (size_t i = 0; r->history != NULL && i < r->history->nops; i++)
		if (r->history->ops[i].done_ns != 0)
			top = fmax(top, op_ms(&r->history->ops[i]));
	return pow(10, ceil(log10(top)));
}

int report_plot(const struct report *r, struct buf *out)
{
	struct plot p = {.r = r, .out = out, .seconds = (double)(r->ended_ns - r->began_ns) / 1e9, .top_ms = top_of(r)};
	size_t bins = r->history == NULL ? 0 : r->history->nops / PER_BIN;
	int e = 0;

	p.bins = bins < BINS_MIN ? BINS_MIN : bins > BINS_MAX ? BINS_MAX : bins;
	if (p.seconds <= 0 || (r->nrows == 0 && r->history == NULL))
		return 0;
	(void)buf_printf(out, "<svg viewBox=\"0 0 %.0f %.0f\" role=\"img\" aria-label=\"latency over time\">", WIDTH,
			 HEIGHT);
	axes(&p);
	injections(&p);
	if (r->history != NULL && r->history->nops <= DOTS_MAX)
		dots(&p);
	else if (r->history != NULL)
		e = slices(&p);
	troubles(&p);
	(void)buf_puts(out, "</svg>\n");
	return e < 0 ? e : out->failed;
}
