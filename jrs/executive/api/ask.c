/* The way of a question: memory.recall, then integration.synthesise, then the answer. One place for HTTP and RPC. */
#include "common/base/clock.h"
#include "common/base/text.h"
#include "common/log/log.h"
#include "jrs/executive/api/internal.h"
#include <stdlib.h>
#include <string.h>

#define DEFAULT_SOURCES 5
#define QUERY_MAX       1000 /* characters; what memory.recall takes */

struct ask {
	struct api *api;
	ask_done *done;
	void *arg;
	msgpack_zone *zone; /* everything below that is text */
	uint64_t deadline_ms;
	wire_str question, detail;
	bool has_detail;
	struct res_executive_ask res;
};

static void finish(struct ask *a, int r, const struct tr_fault *fault)
{
	a->res.timestamp = tr_wall_ms();
	a->done(a->arg, r, r < 0 ? NULL : &a->res, fault);
	msgpack_zone_free(a->zone);
	free(a);
}

static void fail(struct ask *a, int code)
{
	struct tr_fault fault = {0};

	tr_fault_set(&fault, code, "", "%s", tr_strerror(code));
	finish(a, code, &fault);
}

static int keep(struct ask *a, wire_str s, wire_str *out)
{
	char *p = msgpack_zone_malloc(a->zone, s.n + 1u);

	if (p == NULL)
		return TR_ENOMEM;
	memcpy(p, s.p, s.n);
	p[s.n] = '\0';
	*out = (wire_str){p, s.n};
	return 0;
}

static uint32_t left_ms(const struct ask *a)
{
	uint64_t now = tr_mono_ms();

	return now < a->deadline_ms ? (uint32_t)(a->deadline_ms - now) : 1;
}

/* ---- the answer ---- */
static void nothing_found(struct ask *a)
{
	a->res.answer = wire_s("Nothing that is remembered answers this question.");
	a->res.confidence_basis = wire_s("no memory matched the question");
	a->res.synthesis = wire_s("extractive");
	finish(a, 0, NULL);
}

static void quote_best(struct ask *a, int r)
{
	static const wire_str degraded[] = {{"integration_jr", sizeof("integration_jr") - 1}};
	const struct item_source *best = &a->res.sources.v[0];

	if (!a->api->without_integration)
		log_warn("answering without integration-jr reason=\"%s\"", tr_strerror(r));
	a->api->without_integration = true;
	a->res.answer = best->content;
	a->res.confidence = quote_confidence(a->question.p, a->question.n, best->content.p, best->content.n);
	a->res.confidence_basis =
		wire_s("half the share of the question's words found in the best source, which is quoted "
		       "whole: integration_jr did not answer in time");
	a->res.synthesis = wire_s("extractive");
	a->res.degraded = (wire_strs){degraded, 1};
	finish(a, 0, NULL);
}

static void on_synthesis(void *arg, int r, const void *res, const struct tr_fault *fault)
{
	const struct res_integration_synthesise *s = res;
	struct ask *a = arg;

	(void)fault;
	if (r < 0) {
		quote_best(a, r);
		return;
	}
	if (a->api->without_integration)
		log_info("answers come from integration-jr again");
	a->api->without_integration = false;
	a->res.answer = s->answer; /* borrowed until finish() returns */
	a->res.confidence = s->confidence;
	a->res.confidence_basis = s->confidence_basis;
	a->res.synthesis = s->synthesis;
	finish(a, 0, NULL);
}

static void synthesise(struct ask *a)
{
	struct msg_integration_synthesise msg = {0};
	uint32_t budget = a->api->cfg.synthesis_timeout_ms, left = left_ms(a);
	int r;

	msg.question = a->question;
	msg.detail = a->detail;
	msg.has_detail = a->has_detail;
	msg.sources = a->res.sources;
	msg.common.request_id = a->res.request_id;
	msg.common.has_request_id = true;
	r = api_ask(a->api, a->api->cfg.integration, MSG_integration_synthesise, &msg, left < budget ? left : budget,
		    on_synthesis, a);
	if (r < 0)
		quote_best(a, r);
}

/* ---- the sources ---- */
static int keep_source(struct ask *a, const struct item_memory *m, struct item_source *out)
{
	memset(out, 0, sizeof(*out));
	out->score = m->has_score ? m->score : 0;
	out->temperature = m->temperature;
	out->at = m->at;
	out->has_at = m->has_at;
	out->has_speaker = m->has_speaker;
	out->has_source = m->has_source;
	if (keep(a, m->id, &out->id) < 0 || keep(a, m->content, &out->content) < 0 ||
	    (m->has_speaker && keep(a, m->speaker, &out->speaker) < 0) ||
	    (m->has_source && keep(a, m->source, &out->source) < 0))
		return TR_ENOMEM;
	return 0;
}

static int keep_sources(struct ask *a, const struct list_memory *found)
{
	struct item_source *v = msgpack_zone_malloc(a->zone, found->n * sizeof(*v));
	double coherence = 0;
	unsigned known = 0;

	if (v == NULL)
		return TR_ENOMEM;
	for (uint32_t i = 0; i < found->n; i++) {
		if (keep_source(a, &found->v[i], &v[i]) < 0)
			return TR_ENOMEM;
		if (found->v[i].has_phase_coherence) {
			coherence += found->v[i].phase_coherence;
			known++;
		}
	}
	a->res.sources.v = v;
	a->res.sources.n = found->n;
	a->res.memory_id = v[0].id;
	a->res.has_memory_id = true;
	if (known > 0) {
		a->res.phase_coherence = coherence / known;
		a->res.has_phase_coherence = true;
	}
	return 0;
}

static void on_recall(void *arg, int r, const void *res, const struct tr_fault *fault)
{
	const struct res_memory_recall *m = res;
	struct ask *a = arg;

	if (r < 0) {
		finish(a, r, fault);
		return;
	}
	api_archive_answered(a->api);
	if (m->memories.n == 0)
		nothing_found(a);
	else if (keep_sources(a, &m->memories) < 0)
		fail(a, TR_ENOMEM);
	else
		synthesise(a);
}

/* The context says what the question is about, so its words are searched for too, as far as they fit. */
static int query_of(struct ask *a, const struct msg_executive_ask *q, wire_str *out)
{
	size_t n, chars, more;
	char *p;

	*out = a->question;
	if (!q->has_context || q->context.n == 0)
		return 0;
	p = msgpack_zone_malloc(a->zone, a->question.n + 1u + q->context.n);
	if (p == NULL)
		return TR_ENOMEM;
	memcpy(p, a->question.p, a->question.n);
	p[a->question.n] = ' ';
	memcpy(p + a->question.n + 1, q->context.p, q->context.n);
	n = a->question.n + 1u + q->context.n;
	tr_utf8_ok(p, n, &chars);
	for (more = chars > QUERY_MAX ? chars - QUERY_MAX : 0; more > 0; more--)
		do
			n--;
		while (((unsigned char)p[n] & 0xc0) == 0x80);
	*out = (wire_str){p, (uint32_t)n};
	return 0;
}

static bool known_detail(wire_str d)
{
	static const char *const words[] = {"concise", "summary", "full"};

	for (size_t i = 0; i < sizeof(words) / sizeof(*words); i++)
		if (strlen(words[i]) == d.n && memcmp(words[i], d.p, d.n) == 0)
			return true;
	return false;
}

static int recall(struct ask *a, const struct msg_executive_ask *q, const struct principal *who)
{
	struct msg_memory_recall msg = {0};
	int r = query_of(a, q, &msg.q);

	if (r < 0)
		return r;
	msg.common.request_id = a->res.request_id;
	msg.common.has_request_id = true;
	if (who != NULL && who->has_source) {
		msg.common.has_only_source = true;
		msg.common.only_source = wire_s(who->source);
	}
	msg.has_q = true;
	msg.limit = q->has_limit ? q->limit : DEFAULT_SOURCES;
	msg.has_limit = true;
	msg.tag = q->tag;
	msg.has_tag = q->has_tag;
	msg.source = q->source;
	msg.has_source = q->has_source;
	msg.session = q->session;
	msg.has_session = q->has_session;
	msg.has_toucher = q->has_session || (who != NULL && who->via != VIA_LOOPBACK);
	msg.toucher = q->has_session ? q->session : wire_s(msg.has_toucher ? who->name : NULL);
	msg.touch = q->touch;
	msg.has_touch = q->has_touch;
	return api_ask_gated(a->api, a->api->cfg.memory, MSG_memory_recall, &msg, left_ms(a), on_recall, a);
}

int ask_start(struct api *api, const struct msg_executive_ask *q, const struct principal *who, uint32_t timeout_ms,
	      const char *request_id, ask_done *done, void *arg, struct tr_fault *fault)
{
	struct ask *a;
	int r = TR_ENOMEM;

	if (q->has_detail && !known_detail(q->detail))
		return tr_fault_set(fault, TR_EINVAL, "detail", "must be concise, summary or full");
	a = calloc(1, sizeof(*a));
	if (a != NULL && (a->zone = msgpack_zone_new(8192)) != NULL) {
		a->api = api;
		a->done = done;
		a->arg = arg;
		a->deadline_ms = tr_mono_ms() + timeout_ms;
		a->has_detail = q->has_detail;
		if (keep(a, wire_s(request_id), &a->res.request_id) == 0 && keep(a, q->question, &a->question) == 0 &&
		    (!q->has_detail || keep(a, q->detail, &a->detail) == 0))
			r = recall(a, q, who);
		if (r == 0)
			return 0;
		msgpack_zone_free(a->zone);
	}
	free(a);
	return tr_fault_set(fault, r, "", "%s", tr_strerror(r));
}
