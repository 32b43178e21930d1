#include "supervisor/app/report.h"
#include "common/base/clock.h"
#include "supervisor/app/drills.h"
#include <stdio.h>
#include <string.h>
#include <tribe/version.h>
#include <unistd.h>

/* A value and that it is there. */
#define PUT(obj, field, value) ((obj)->field = (value), (obj)->has_##field = true)

static uint64_t own_rss(void)
{
	unsigned long long pages = 0, skip;
	FILE *f = fopen("/proc/self/statm", "re");

	if (f == NULL)
		return 0;
	if (fscanf(f, "%llu %llu", &skip, &pages) != 2)
		pages = 0;
	fclose(f);
	return (uint64_t)pages * (uint64_t)sysconf(_SC_PAGESIZE);
}

void report_beat(const struct msg_heartbeat *m, struct item_beat *out)
{
	memset(out, 0, sizeof(*out));
#define COPY_REQ(name)                   out->name = m->name;
#define COPY_OPT(name)                   out->name = m->name, out->has_##name = m->has_##name;
#define COPY(need, type, name, min, max) COPY_##need(name)
#define NO_ITEM(need, item, name)
#define NO_LIST(need, item, name, min, max)
	ITEM_beat(COPY, NO_ITEM, NO_LIST)
#undef COPY
#undef COPY_REQ
#undef COPY_OPT
#undef NO_ITEM
#undef NO_LIST
}

static void fill_recoveries(struct report *r, struct item_jr *jr, const struct worker *w)
{
	struct item_recovery *list = r->recoveries[w->id];
	uint32_t n = 0;

	for (int i = 0; i < NDEATHS; i++) {
		const struct recovery *from = &w->recoveries[i];
		struct item_bucket *b = r->buckets[w->id][i];

		if (from->n == 0)
			continue;
		for (int k = 0; k < RECOVERY_NBUCKETS; k++)
			b[k] = (struct item_bucket){.le = recovery_le[k], .count = from->count[k]};
		list[n++] = (struct item_recovery){.cause = wire_s(death_names[i]),
						   .buckets = {b, RECOVERY_NBUCKETS},
						   .sum_s = from->sum_s,
						   .count = from->n};
	}
	jr->recoveries.v = list;
	jr->recoveries.n = n;
}

static uint32_t fill_counts(struct item_reason *out, const char *const *names, const uint64_t *counts, int n)
{
	uint32_t k = 0;

	for (int i = 0; i < n; i++)
		if (counts[i] != 0)
			out[k++] = (struct item_reason){.reason = wire_s(names[i]), .count = counts[i]};
	return k;
}

static void fill_history(struct report *r, struct item_jr *jr, const struct worker *w)
{
	struct item_reason *reasons = r->reasons[w->id], *detections = r->detections[w->id];

	fill_recoveries(r, jr, w);
	jr->restarts_by_reason.v = reasons;
	jr->restarts_by_reason.n = fill_counts(reasons, death_names, w->restarts, NDEATHS);
	jr->detections.v = detections;
	jr->detections.n = fill_counts(detections, detection_names, w->detected, NDETECTIONS);
	jr->restarts = worker_restarts(w);
}

/* One that has led and does not any more has lost the mutex by dying; SIGCHLD is on its way. */
static const char *understudy_word(const struct copy *c)
{
	if (c->lc.state != LC_UP)
		return lc_word(c->lc.state);
	return c->epoch != 0 ? lc_word(LC_KILLING) : "waiting";
}

static void fill_understudy(struct item_understudy *out, const struct copy *c, uint64_t now)
{
	*out = (struct item_understudy){.state = wire_s(understudy_word(c)), .generation = c->generation};
	if (c->proc == NULL)
		return;
	PUT(out, pid, (uint32_t)proc_pid(c->proc));
	PUT(out, uptime_s, (now - c->spawned_ms) / 1000);
	if (!c->has_beat)
		return;
	PUT(out, heartbeat_age_ms, now - c->heard_ms);
	PUT(out, rss_bytes, c->beat.rss_bytes);
}

static void fill_understudies(struct report *r, struct item_jr *jr, const struct worker *w, uint64_t now)
{
	struct item_understudy *list = r->understudies[w->id];
	const struct copy *face = worker_face(w);
	uint32_t n = 0;

	for (int i = 0; i < WORKER_COPIES; i++)
		if (&w->copies[i] != face && w->copies[i].lc.state != LC_DOWN)
			fill_understudy(&list[n++], &w->copies[i], now);
	/* or a role would look as if it wanted nobody behind its lead */
	for (unsigned i = 1; i <= worker_missing(w) && n < WORKER_COPIES - 1; i++)
		list[n++] = (struct item_understudy){.state = wire_s(lc_word(LC_STARTING)),
						     .generation = w->generation + i};
	jr->understudies.v = list;
	jr->understudies.n = n;
}

static void fill_jr(struct report *r, struct item_jr *jr, const struct worker *w, uint64_t now)
{
	const struct copy *c = worker_face(w);
	const struct msg_heartbeat *b = &c->beat;

	jr->state = wire_s(worker_word(w));
	jr->generation = c->generation;
	jr->epoch = w->role.taken;
	fill_history(r, jr, w);
	fill_understudies(r, jr, w, now);
	if (w->last_exit != NULL)
		PUT(jr, last_exit, wire_s(w->last_exit));
	if (copy_waits(c))
		PUT(jr, retry_in_ms, c->lc.wake_ms > now ? c->lc.wake_ms - now : 0);
	if (c->proc == NULL)
		return;
	PUT(jr, pid, (uint32_t)proc_pid(c->proc));
	PUT(jr, uptime_s, (now - c->spawned_ms) / 1000);
	if (!c->has_beat)
		return;
	PUT(jr, heartbeat_age_ms, now - c->heard_ms);
	PUT(jr, heartbeat_at, c->heard_wall);
	PUT(jr, rss_bytes, b->rss_bytes);
	PUT(jr, cpu_ms, b->cpu_ms);
	PUT(jr, inflight, b->inflight);
	PUT(jr, queue_depth, b->queue_depth);
	PUT(jr, loop_lag_us, b->loop_lag_us);
	PUT(jr, handled_total, b->handled_total);
	PUT(jr, errors_total, b->errors_total);
}

void report_sentience(struct tribe *t, struct sentience *out)
{
	const struct worker *memory = &t->workers[TR_ROLE_MEMORY];
	struct sentience_in in = {.heartbeat_ms = t->cfg.heartbeat_ms, .recalls = t->recalls_seen};
	uint64_t now = tr_mono_ms();

	for (int i = 0; i < TR_NROLES; i++) {
		struct worker *w = &t->workers[i];

		in.role[i] = (struct sentience_role){.serving = worker_serves(w),
						     .availability = avail_share(&w->avail, now),
						     .beat_age_ms = now - worker_face(w)->heard_ms};
	}
	if (worker_fresh(memory, now)) {
		const struct msg_heartbeat *b = &worker_face(memory)->beat;

		in.archive_bad = b->has_archive_healthy && !b->archive_healthy;
		in.has_phase_coherence = b->has_phase_coherence;
		in.phase_coherence = b->phase_coherence;
		in.has_thermal_balance = b->has_thermal_entropy;
		in.thermal_balance = b->thermal_entropy;
	}
	sentience_reckon(&in, out);
}

static void fill_sentience(struct item_sentience *out, struct tribe *t)
{
	struct sentience s;

	report_sentience(t, &s);
	PUT(out, uptime, s.uptime);
	PUT(out, heartbeat_coherence, s.heartbeat_coherence);
	if (s.has_index)
		PUT(out, index, s.index);
	if (s.has_coherence)
		PUT(out, coherence, s.coherence);
	if (s.has_thermal_balance)
		PUT(out, thermal_balance, s.thermal_balance);
	if (s.has_phase_coherence)
		PUT(out, phase_coherence, s.phase_coherence);
}

static bool is_up(const struct tribe *t, enum tr_role role)
{
	return worker_serves(&t->workers[role]);
}

enum event_kind report_overall(const struct tribe *t)
{
	const struct worker *memory = &t->workers[TR_ROLE_MEMORY];

	if (!is_up(t, TR_ROLE_MEMORY) || !is_up(t, TR_ROLE_EXECUTIVE))
		return EVENT_IS_DOWN;
	if (is_up(t, TR_ROLE_META) && is_up(t, TR_ROLE_INTEGRATION) && worker_fresh(memory, tr_mono_ms()) &&
	    worker_face(memory)->beat.has_archive_healthy && worker_face(memory)->beat.archive_healthy)
		return EVENT_OPERATIONAL;
	return EVENT_DEGRADED;
}

void report_fill(struct report *r, struct tribe *t)
{
	struct res_status *res = &r->res;
	const struct worker *memory = &t->workers[TR_ROLE_MEMORY];
	const struct msg_heartbeat *beat;
	struct item_jrs *jrs = &res->jrs;
	uint64_t now = tr_mono_ms();

	memset(r, 0, sizeof(*r));
	fill_jr(r, &jrs->memory_jr, memory, now);
	fill_jr(r, &jrs->executive_jr, &t->workers[TR_ROLE_EXECUTIVE], now);
	fill_jr(r, &jrs->meta_jr, &t->workers[TR_ROLE_META], now);
	fill_jr(r, &jrs->integration_jr, &t->workers[TR_ROLE_INTEGRATION], now);
	res->jrs_running = (struct item_role_flags){.memory_jr = is_up(t, TR_ROLE_MEMORY),
						    .executive_jr = is_up(t, TR_ROLE_EXECUTIVE),
						    .meta_jr = is_up(t, TR_ROLE_META),
						    .integration_jr = is_up(t, TR_ROLE_INTEGRATION)};
	beat = &worker_face(memory)->beat;
	if (worker_fresh(memory, now) && beat->has_archive_healthy)
		PUT(res, archive_healthy, beat->archive_healthy);
	if (res->has_archive_healthy && beat->has_archive_reason)
		PUT(res, archive_reason, beat->archive_reason);
	fill_sentience(&res->sentience, t);
	res->status = wire_s(event_words[report_overall(t)]);
	res->drills.v = r->drills;
	res->drills.n = drills_counts(t->drills, r->drills);
	res->uptime_s = (now - t->start_ms) / 1000;
	res->supervisor_pid = (uint32_t)getpid();
	res->supervisor_rss_bytes = own_rss();
	res->version = wire_s(TRIBE_VERSION);
	res->timestamp = tr_wall_ms();
	PUT(res, http_address, wire_s(t->listeners.http_address));
	PUT(res, http_tls, t->credentials.certificate.len > 0);
}
