/* Events, load, findings. */
#include "supervisor/ctl/clean.h"
#include "supervisor/ctl/show.h"
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

static bool among(const wire_str *s, const char *const *words)
{
	for (; *words != NULL; words++) {
		if (s->n == strlen(*words) && memcmp(s->p, *words, s->n) == 0)
			return true;
	}
	return false;
}

static enum show_colour event_colour(const wire_str *kind)
{
	static const char *const good[] = {"ready", "operational", "promote", "waits", NULL};
	static const char *const bad[] = {"exit", "hang", "stopped", "late", "mute", "failed", "down", NULL};
	static const char *const warn[] = {"backoff", "stop", "shutdown", "drill", "degraded", "slow", NULL};

	return among(kind, good) ? SHOW_GOOD : among(kind, bad) ? SHOW_BAD : among(kind, warn) ? SHOW_WARN : SHOW_PLAIN;
}

void show_event(struct buf *out, const struct show_style *s, const struct item_event *e)
{
	char when[SHOW_SHORT];

	show_time(when, e->at);
	show_paint(out, s, SHOW_DIM, "%s", when);
	(void)buf_puts(out, "  ");
	show_paint(out, s, event_colour(&e->kind), "%-11.*s", (int)e->kind.n, e->kind.p);
	(void)buf_printf(out, "  %-*.*s", e->has_pid || e->has_generation || e->has_detail ? 14 : 0,
			 e->has_jr ? (int)e->jr.n : 1, e->has_jr ? e->jr.p : "-");
	if (e->has_pid)
		(void)buf_printf(out, "  pid %u", e->pid);
	if (e->has_generation)
		(void)buf_printf(out, "  life %u", e->generation);
	if (e->has_detail && e->detail.n > 0) {
		(void)buf_puts(out, "  ");
		clean_text(out, e->detail.p, e->detail.n, " ", 0);
	}
	(void)buf_puts(out, "\n");
}

void show_events(struct buf *out, const struct show_style *s, const void *res)
{
	const struct res_events *r = res;

	if (r->events.n == 0)
		(void)buf_puts(out, "no events\n");
	for (uint32_t i = 0; i < r->events.n; i++)
		show_event(out, s, &r->events.v[i]);
}

void show_reloaded(struct buf *out, const struct show_style *s, const void *res)
{
	const struct res_reload *r = res;

	(void)s;
	if (r->changed.n == 0)
		(void)buf_puts(out, "read again; no value differs, so nothing was replaced\n");
	for (uint32_t i = 0; i < r->changed.n; i++) {
		(void)buf_puts(out, i == 0 ? "read again; changed: " : ", ");
		clean_text(out, r->changed.v[i].p, r->changed.v[i].n, " ", 0);
	}
	(void)buf_puts(out, r->changed.n > 0 ? "\n" : "");
}

static const struct item_beat *same_life(const struct list_beat *l, const struct item_beat *b)
{
	for (uint32_t i = 0; i < l->n; i++) {
		const struct item_beat *o = &l->v[i];

		if (o->pid == b->pid && o->generation == b->generation && o->monotonic_ns < b->monotonic_ns &&
		    o->cpu_ms <= b->cpu_ms && o->handled_total <= b->handled_total)
			return o;
	}
	return NULL;
}

void show_load(struct buf *out, const struct show_style *s, const struct list_beat *before, const struct list_beat *now)
{
	show_paint(out, s, SHOW_BOLD, "%-14s %6s %9s %9s %7s %9s %9s", "JR", "CPU %", "REQ/S", "INFLIGHT", "QUEUE",
		   "LAG ms", "ERRORS");
	(void)buf_puts(out, "\n");
	for (uint32_t i = 0; i < now->n; i++) {
		const struct item_beat *b = &now->v[i], *o = same_life(before, b);
		char cpu[SHOW_SHORT] = "-", rate[SHOW_SHORT] = "-";
		double seconds = o == NULL ? 0 : (double)(b->monotonic_ns - o->monotonic_ns) / 1e9;

		if (o != NULL) {
			(void)snprintf(cpu, sizeof(cpu), "%.1f", (double)(b->cpu_ms - o->cpu_ms) / seconds / 10);
			(void)snprintf(rate, sizeof(rate), "%.1f",
				       (double)(b->handled_total - o->handled_total) / seconds);
		}
		(void)buf_printf(out, "%-14.*s %6s %9s %9u %7u %9.2f ", (int)b->jr.n, b->jr.p, cpu, rate, b->inflight,
				 b->queue_depth, (double)b->loop_lag_us / 1e3);
		show_paint(out, s, b->errors_total > 0 ? SHOW_WARN : SHOW_PLAIN, "%9" PRIu64, b->errors_total);
		(void)buf_puts(out, "\n");
	}
}

void show_anomalies(struct buf *out, const struct show_style *s, const void *res)
{
	const struct res_meta_anomalies *r = res;
	char when[SHOW_SHORT], sampled[SHOW_SHORT];

	if (!r->has_analysed_at) {
		(void)buf_puts(out, "meta-jr has not analysed anything yet\n");
		return;
	}
	show_time(when, r->analysed_at);
	(void)buf_printf(out, "analysed %s, analysis %" PRIu64, when, r->analyses);
	if (r->has_sampled) {
		show_count(sampled, r->sampled);
		(void)buf_printf(out, ", %s memories sampled", sampled);
	}
	(void)buf_puts(out, r->anomalies.n == 0 ? "\nnothing unusual\n" : "\n");
	for (uint32_t i = 0; i < r->anomalies.n; i++) {
		const struct item_anomaly *a = &r->anomalies.v[i];

		(void)buf_puts(out, "\n");
		show_paint(out, s, a->severity >= 0.5 ? SHOW_BAD : SHOW_WARN, "%.2f", a->severity);
		(void)buf_puts(out, "  ");
		clean_text(out, a->kind.p, a->kind.n, " ", 0);
		(void)buf_printf(out, " (%" PRIu64 ")\n    ", a->count);
		clean_text(out, a->summary.p, a->summary.n, " ", 0);
		(void)buf_puts(out, "\n");
		for (uint32_t k = 0; k < a->evidence.n; k++) {
			(void)buf_puts(out, "    id ");
			clean_text(out, a->evidence.v[k].p, a->evidence.v[k].n, " ", 0);
			(void)buf_puts(out, "\n");
		}
	}
}
