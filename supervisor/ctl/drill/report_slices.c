/* How long requests took over the time of a drill: what its plots are made of. */
#include "common/base/err.h"
#include "supervisor/ctl/drill/report.h"
#include "supervisor/ctl/drill/stats.h"
#include <stdlib.h>

static size_t slice_of(const struct report *r, size_t n, const struct op *op)
{
	double whole = (double)(r->ended_ns - r->began_ns),
	       at = op->sent_ns < r->began_ns ? 0 : (double)(op->sent_ns - r->began_ns);
	size_t i = whole > 0 ? (size_t)(at / whole * (double)n) : 0;

	return i < n ? i : n - 1;
}

static void figure(struct report_slice *s, double *v)
{
	if (s->n == 0)
		return;
	stats_sort(v, s->n);
	s->p50 = stats_quantile(v, s->n, 0.5);
	s->p99 = stats_quantile(v, s->n, 0.99);
	s->max = v[s->n - 1];
}

/* Counted, placed, each slice sorted. */
int report_slices(const struct report *r, struct report_slice *out, size_t n)
{
	const struct history *h = r->history;
	double *v = calloc(h == NULL || h->nops == 0 ? 1 : h->nops, sizeof(*v)), *at = v;
	double **next = calloc(n, sizeof(*next));
	int e = v == NULL || next == NULL ? TR_ENOMEM : 0;

	if (e < 0)
		goto out;
	for (size_t i = 0; i < n; i++)
		out[i] = (struct report_slice){.n = 0};
	for (size_t i = 0; h != NULL && i < h->nops; i++)
		out[slice_of(r, n, &h->ops[i])].n += h->ops[i].done_ns != 0;
	for (size_t i = 0; i < n; at += out[i++].n)
		next[i] = at;
	for (size_t i = 0; h != NULL && i < h->nops; i++)
		if (h->ops[i].done_ns != 0)
			*next[slice_of(r, n, &h->ops[i])]++ = (double)(h->ops[i].done_ns - h->ops[i].sent_ns) / 1e6;
	at = v;
	for (size_t i = 0; i < n; at += out[i++].n)
		figure(&out[i], at);
out:
	free(next);
	free(v);
	return e;
}
