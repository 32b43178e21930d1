#include "jrs/meta/sampler.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/clock.h"
#include "common/log/log.h"
#include "common/loop/loop.h"
#include "jrs/meta/analysis/anomalies.h"
#include "jrs/meta/analysis/beat.h"
#include "jrs/vote/judge.h"

#define SAMPLES        2000
#define FIRST_AFTER_MS 5000
#define AGAIN_AFTER_MS 30000

struct sampler {
	struct sampler_cfg cfg;
	struct loop_timer *timer;
	uint32_t token;                    /* of the question that is out; for sampler_free() */
	bool asking, away;                 /* away: the last try failed, and that was said */
	struct res_memory_thermal thermal; /* its lists are not kept */
	struct beat beat;
	struct findings findings;
	struct told told[ANOMALY_NKINDS];
	char conclusion[ANOMALY_CONCLUSION];
	uint64_t analyses;
	int64_t analysed_at;
};

static uint64_t least(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

static void failed(struct sampler *s, int r)
{
	uint64_t now = tr_mono_ms(), due = beat_due_ms(&s->beat);
	uint64_t again = least(s->cfg.period_ms, s->analyses == 0 ? FIRST_AFTER_MS : AGAIN_AFTER_MS);

	s->asking = false;
	if (!s->away)
		log_warn("no sample from memory-jr, the findings stay as they are error=%s", tr_err_name(r));
	s->away = true;
	loop_timer_start(s->timer, due > now ? least(due - now, again) : again, 0);
}

static void wait_for_beat(struct sampler *s)
{
	uint64_t now = tr_mono_ms(), due = beat_due_ms(&s->beat);

	loop_timer_start(s->timer, due > now ? due - now : 0, 0);
}

/* That it was seen and what it rests on, for who reads the log later. */
static void acknowledge(struct sampler *s, const struct finding *f, const char *kind)
{
	char topic[64];

	if (s->cfg.decided == NULL)
		return;
	snprintf(topic, sizeof(topic), "anomaly %s", kind);
	decided_say(s->cfg.decided, topic, DECIDED_DAY_MS, tr_wall_ms(), "Anomaly acknowledged, %s: %.300s", kind,
		    f->summary);
}

static void tell(struct sampler *s, const struct findings *f, unsigned news)
{
	for (unsigned i = 0; i < ANOMALY_NKINDS; i++) {
		if (!((news >> i) & 1))
			continue;
		if (f->v[i].present)
			acknowledge(s, &f->v[i], anomaly_names[i]);
		if (f->v[i].present)
			log_info("finding kind=%s severity=%.2f count=%llu", anomaly_names[i], f->v[i].severity,
				 (unsigned long long)f->v[i].count);
		else
			log_info("finding gone kind=%s", anomaly_names[i]);
	}
}

static void on_samples(void *arg, int r, const void *res, const struct tr_fault *fault)
{
	struct sampler *s = arg;
	const struct res_memory_samples *samples = res;
	struct findings now;
	int64_t wall = tr_wall_ms();

	(void)fault;
	if (r < 0) {
		failed(s, r);
		return;
	}
	s->asking = s->away = false;
	anomalies_find(&now, samples, &s->thermal, s->analyses > 0 ? &s->findings : NULL, wall);
	tell(s, &now, anomalies_news(s->told, &now));
	s->findings = now;
	anomalies_conclude(s->conclusion, &now);
	s->analyses++;
	s->analysed_at = wall;
	beat_done(&s->beat, tr_mono_ms());
	wait_for_beat(s);
}

static void on_thermal(void *arg, int r, const void *res, const struct tr_fault *fault)
{
	struct msg_memory_samples ask = {
		.has_memories = true, .memories = SAMPLES, .has_recalls = true, .recalls = SAMPLES};
	struct sampler *s = arg;

	(void)fault;
	if (r == 0) {
		s->thermal = *(const struct res_memory_thermal *)res;
		memset(&s->thermal.histogram, 0, sizeof s->thermal.histogram); /* borrowed: gone after this call */
		memset(&s->thermal.hottest, 0, sizeof s->thermal.hottest);
		memset(&s->thermal.guard, 0, sizeof s->thermal.guard);
		r = peer_call(s->cfg.memory, MSG_memory_samples, &ask, s->cfg.timeout_ms, on_samples, s, &s->token);
	}
	if (r < 0)
		failed(s, r);
}

static void on_timer(void *arg)
{
	struct msg_memory_thermal ask = {.has_hottest = true};
	struct sampler *s = arg;
	int r;

	if (!beat_take(&s->beat, tr_mono_ms())) { /* the timer was a moment early */
		wait_for_beat(s);
		return;
	}
	s->asking = true;
	r = peer_call(s->cfg.memory, MSG_memory_thermal, &ask, s->cfg.timeout_ms, on_thermal, s, &s->token);
	if (r < 0)
		failed(s, r);
}

int sampler_new(struct sampler **out, const struct sampler_cfg *cfg)
{
	struct sampler *s = calloc(1, sizeof *s);
	int r = TR_ENOMEM;

	if (s == NULL)
		return r;
	s->cfg = *cfg;
	s->beat.period_ms = cfg->period_ms;
	if ((r = loop_timer_new(&s->timer, cfg->loop, on_timer, s)) < 0) {
		free(s);
		return r;
	}
	*out = s;
	return 0;
}

void sampler_start(struct sampler *s)
{
	uint64_t first_ms = least(s->cfg.period_ms, FIRST_AFTER_MS);

	s->beat.start_ms = tr_mono_ms() + first_ms;
	(void)loop_timer_start(s->timer, first_ms, 0); /* fails only for a handle that is closing */
}

void sampler_free(struct sampler **s)
{
	if (s == NULL || *s == NULL)
		return;
	if ((*s)->asking)
		peer_cancel((*s)->cfg.memory, (*s)->token);
	loop_timer_free(&(*s)->timer);
	free(*s);
	*s = NULL;
}

/* What the answer borrows beside the sampler. */
struct shown {
	struct item_anomaly v[ANOMALY_NKINDS];
	wire_str evidence[ANOMALY_NKINDS][ANOMALY_EVIDENCE_MAX];
};

static struct res_meta_anomalies show(const struct sampler *s, struct shown *out)
{
	struct res_meta_anomalies res = {.analyses = s->analyses};
	uint32_t n = 0;

	for (unsigned i = 0; i < ANOMALY_NKINDS; i++) {
		const struct finding *f = &s->findings.v[i];

		if (!f->present)
			continue;
		for (unsigned k = 0; k < f->nevidence; k++)
			out->evidence[n][k] = wire_s(f->evidence[k]);
		out->v[n] = (struct item_anomaly){.kind = wire_s(anomaly_names[i]),
						  .severity = f->severity,
						  .summary = wire_s(f->summary),
						  .count = f->count,
						  .evidence = {out->evidence[n], f->nevidence},
						  .has_value = true,
						  .value = f->value,
						  .has_threshold = true,
						  .threshold = f->threshold,
						  .has_unit = true,
						  .unit = wire_s(f->unit),
						  .has_sample = true,
						  .sample = f->sample,
						  .has_median = f->has_middle,
						  .median = f->median,
						  .has_mad = f->has_middle,
						  .mad = f->mad};
		n++;
	}
	res.anomalies = (struct list_anomaly){out->v, n};
	if (s->analyses > 0) {
		res.has_analysed_at = res.has_sampled = res.has_recalls_sampled = res.has_conclusion = true;
		res.analysed_at = s->analysed_at;
		res.sampled = s->findings.memories;
		res.recalls_sampled = s->findings.recalls;
		res.conclusion = wire_s(s->conclusion);
	}
	res.has_missed = true;
	res.missed = s->beat.missed;
	return res;
}

void sampler_anomalies(void *arg, struct chan_call *call, const void *msg)
{
	struct shown shown;
	struct res_meta_anomalies res = show(arg, &shown);

	(void)msg;
	chan_reply(call, &res);
}

void sampler_ballot(void *arg, struct chan_call *call, const void *msg)
{
	const struct msg_ballot *m = msg;
	const struct ballot_question question = {m->proposal, m->options};
	struct shown shown;
	struct res_meta_anomalies last = show(arg, &shown);
	struct ballot_judged judged;
	struct res_ballot res;

	judge_meta(&question, &last, &judged);
	res = judge_answer(&question, &judged);
	chan_reply(call, &res);
}
