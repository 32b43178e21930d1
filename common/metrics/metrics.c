#include "common/metrics/metrics.h"
#include <assert.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const struct metric metrics[METRIC_N] = {
#define M(id, name, type, labels, help) {name, labels, help, METRIC_##type},
#include "common/metrics/metrics.def"
#undef M
};

static const char *const type_names[] = {"gauge", "counter", "histogram", "untyped"};

void metrics_latency_init(struct metrics_histogram *h)
{
	static const double le[] = {0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025,
				    0.05,   0.1,     0.25,   0.5,   1,      2.5,   5,    10};

	memset(h, 0, sizeof(*h));
	memcpy(h->le, le, sizeof(le));
	h->buckets = sizeof(le) / sizeof(*le);
}

void metrics_observe(struct metrics_histogram *h, double value)
{
	if (isnan(value))
		return;
	h->count++;
	h->sum += value;
	for (unsigned i = 0; i < h->buckets; i++) {
		if (value <= h->le[i]) {
			h->n[i]++;
			return;
		}
	}
}

/* A short text that reads back as the same double; whole numbers plainly. */
static void put_number(struct buf *out, double v)
{
	char text[32];
	int digits = 6;

	if (fabs(v) < 9007199254740992.0 && v == floor(v)) { /* 2^53: all whole numbers below are exact */
		buf_printf(out, "%.0f", v == 0 ? 0.0 : v);   /* not -0 */
		return;
	}
	do
		snprintf(text, sizeof(text), "%.*g", digits, v);
	while (strtod(text, NULL) != v && ++digits <= 17);
	buf_puts(out, text);
}

static void put_escaped(struct buf *out, const char *s, const char *special)
{
	for (; *s != '\0'; s++) {
		if (*s == '\n')
			buf_puts(out, "\\n");
		else if (strchr(special, *s) != NULL)
			buf_printf(out, "\\%c", *s);
		else
			buf_append(out, s, 1);
	}
}

struct label_values {
	const char *v[METRICS_LABELS_MAX];
	unsigned n;
};

/* {a="x",b="y"}; le: one more label for buckets, or NULL */
static void put_labels(struct buf *out, const char *names, const struct label_values *values, const char *le)
{
	unsigned i = 0;

	if (values->n == 0 && le == NULL)
		return;
	buf_puts(out, "{");
	for (const char *name = names; i < values->n; i++) {
		size_t len = strcspn(name, ",");

		if (i > 0)
			buf_puts(out, ",");
		buf_append(out, name, len);
		buf_puts(out, "=\"");
		put_escaped(out, values->v[i], "\\\"");
		buf_puts(out, "\"");
		name += len + (name[len] == ',');
	}
	if (le != NULL)
		buf_printf(out, "%sle=\"%s\"", i > 0 ? "," : "", le);
	buf_puts(out, "}");
}

static void collect(struct label_values *out, const char *names, va_list ap)
{
	out->n = 0;
	if (*names == '\0')
		return;
	do {
		assert(out->n < METRICS_LABELS_MAX);
		out->v[out->n++] = va_arg(ap, const char *);
	} while ((names = strchr(names, ',')) != NULL && names++ != NULL);
}

static void open_metric(struct metrics_writer *w, enum metric_id id)
{
	const struct metric *m = &metrics[id];

	if (w->open == (int)id)
		return;
	assert(!w->seen[id]);
	w->seen[id] = true;
	w->open = (int)id;
	buf_printf(w->out, "# HELP %s ", m->name);
	put_escaped(w->out, m->help, "\\");
	buf_printf(w->out, "\n# TYPE %s %s\n", m->name, type_names[m->type]);
}

void metrics_begin(struct metrics_writer *w, struct buf *out)
{
	memset(w, 0, sizeof(*w));
	w->out = out;
	w->open = -1;
}

void metrics_put(struct metrics_writer *w, enum metric_id id, double value, ...)
{
	const struct metric *m = &metrics[id];
	struct label_values values;
	va_list ap;

	assert(m->type != METRIC_HISTOGRAM);
	if (!isfinite(value))
		return;
	va_start(ap, value);
	collect(&values, m->labels, ap);
	va_end(ap);
	open_metric(w, id);
	buf_puts(w->out, m->name);
	put_labels(w->out, m->labels, &values, NULL);
	buf_puts(w->out, " ");
	put_number(w->out, value);
	buf_puts(w->out, "\n");
}

static void put_bucket(struct metrics_writer *w, const struct metric *m, const struct label_values *values,
		       const char *le, uint64_t n)
{
	buf_printf(w->out, "%s_bucket", m->name);
	put_labels(w->out, m->labels, values, le);
	buf_printf(w->out, " %llu\n", (unsigned long long)n);
}

void metrics_put_histogram(struct metrics_writer *w, enum metric_id id, const struct metrics_histogram *h, ...)
{
	const struct metric *m = &metrics[id];
	struct label_values values;
	struct buf le = {0};
	uint64_t below = 0;
	va_list ap;

	assert(m->type == METRIC_HISTOGRAM);
	va_start(ap, h);
	collect(&values, m->labels, ap);
	va_end(ap);
	open_metric(w, id);
	for (unsigned i = 0; i < h->buckets; i++) {
		below += h->n[i];
		buf_clear(&le);
		put_number(&le, h->le[i]);
		put_bucket(w, m, &values, le.failed == 0 ? le.p : "", below);
	}
	if (le.failed != 0)
		w->out->failed = le.failed;
	buf_free(&le);
	put_bucket(w, m, &values, "+Inf", h->count);
	buf_printf(w->out, "%s_sum", m->name);
	put_labels(w->out, m->labels, &values, NULL);
	buf_puts(w->out, " ");
	put_number(w->out, h->sum);
	buf_printf(w->out, "\n%s_count", m->name);
	put_labels(w->out, m->labels, &values, NULL);
	buf_printf(w->out, " %llu\n", (unsigned long long)h->count);
}

int metrics_end(struct metrics_writer *w)
{
	return w->out->failed;
}
