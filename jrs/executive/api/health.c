/* GET / in JSON, /openapi.json, /healthz, /readyz, /api/v1/status, /metrics */
#include "jrs/executive/api/internal.h"
#include "jrs/executive/openapi/openapi.h"
#include <stdlib.h>
#include <tribe/version.h>

#define READY_MS  1000 /* a memory must be recalled within */
#define STATUS_MS 2000 /* tribed answers at once or not at all */
#define SCRAPE_MS 400  /* each part of /metrics: a scrape must come back while something is away */

/* GET / for who asks for JSON and not for HTML. */
void api_welcome(struct api_call *call)
{
	api_reply_json(call, 200,
		       json_pack("{s:s,s:s,s:{s:s,s:s,s:s,s:s,s:s,s:s,s:s,s:s}}", "name", "tribe", "version",
				 TRIBE_VERSION, "links", "memories", "/api/v1/memories", "ask", "/api/v1/ask", "status",
				 "/api/v1/status", "thermal", "/api/v1/thermal", "decisions", "/api/v1/decisions",
				 "votes", "/api/v1/votes", "events", "/api/v1/events", "metrics", "/metrics"));
}

void api_get_healthz(struct api_call *call)
{
	static const char ok[] = "{\"status\":\"ok\"}";

	api_reply_fixed(call, 200, "application/json", ok, sizeof(ok) - 1);
}

static void ready(struct api_call *call, const void *res)
{
	(void)res;
	api_reply_json(call, 200, json_pack("{s:s}", "status", "ready"));
}

void api_get_readyz(struct api_call *call)
{
	struct msg_memory_recall msg = {.limit = 1, .has_limit = true, .touch = false, .has_touch = true};

	api_forward(call, call->api->cfg.memory, MSG_memory_recall, &msg, READY_MS, ready);
}

/* It tells nobody anything but what the program can do. */
void api_get_openapi(struct api_call *call)
{
	const struct http_static document = {.type = "application/json",
					     .tag = openapi_tag,
					     .extra = "Cache-Control: no-cache\r\n",
					     .bytes = openapi_json,
					     .n = openapi_json_n,
					     .gzip = openapi_gzip,
					     .gzip_n = openapi_gzip_n};

	api_reply_static(call, &document);
}

/* ---- status ---- */
static int ask_status(struct api_call *call, uint32_t timeout_ms, peer_cb *cb)
{
	const struct api_cfg *cfg = &call->api->cfg;
	uint32_t left = api_left_ms(call);

	return cfg->status(cfg->arg, left < timeout_ms ? left : timeout_ms, cb, call);
}

/* What a client may rely on is there even when nobody knows it: null. */
static void on_status(void *arg, int r, const void *res, const struct tr_fault *fault)
{
	struct api_call *call = arg;
	const struct res_status *s = res;
	json_t *doc;

	if (r < 0) {
		struct tr_fault named = *fault;

		if (r == TR_EDEADLINE || r == TR_EUNAVAILABLE)
			api_absent(&named, r, "tribed");
		api_fail(call, &named);
		return;
	}
	doc = json_encode(wire_methods[MSG_status].result, s);
	api_nulls(doc, "archive_healthy");
	if (doc != NULL)
		json_object_set_new(doc, "postgres_healthy",
				    call->api->cfg.postgres && s->has_archive_healthy ? json_boolean(s->archive_healthy)
										      : json_null());
	api_nulls(json_object_get(doc, "sentience"), "index uptime coherence thermal_balance");
	api_reply_json(call, 200, doc);
}

void api_get_status(struct api_call *call)
{
	int r = ask_status(call, STATUS_MS, on_status);

	if (r < 0)
		api_failf(call, r, "", "%s", tr_strerror(r));
}

/* ---- metrics: memory-jr and meta-jr at once, then tribed, whatever any of them says ---- */
#define SCRAPE_GUARD 100 /* lines of the guard's counts; as many as memory.thermal has */
struct scrape {
	struct api_call *call;
	unsigned waits;
	bool has_thermal, has_meta;
	struct res_memory_thermal thermal; /* numbers, and the guard's counts, which are kept here: an answer is gone
					    * with its callback */
	struct item_guard_count guard[SCRAPE_GUARD];
	char words[SCRAPE_GUARD][2][33];
	struct scrape_meta meta;
};

static void write_metrics(struct scrape *s, const struct res_status *status)
{
	struct api_call *call = s->call;
	struct buf body = {0};
	int r = scrape_write(&body, call->api, status, s->has_thermal ? &s->thermal : NULL,
			     s->has_meta ? &s->meta : NULL);

	free(s);
	if (r < 0) {
		buf_free(&body);
		api_failf(call, TR_ENOMEM, "", "%s", tr_strerror(TR_ENOMEM));
		return;
	}
	api_reply_text(call, 200, "text/plain; version=0.0.4; charset=utf-8", &body);
}

static void on_scrape_status(void *arg, int r, const void *res, const struct tr_fault *fault)
{
	(void)fault;
	write_metrics(arg, r < 0 ? NULL : res);
}

/* tribed is not bounded by what the others' silence has left of the request's time: what it knows is wanted then above
 * all. */
static void part_done(struct scrape *s)
{
	const struct api_cfg *cfg = &s->call->api->cfg;

	if (--s->waits > 0)
		return;
	if (cfg->status(cfg->arg, SCRAPE_MS, on_scrape_status, s) < 0)
		write_metrics(s, NULL);
}

static wire_str keep(char words[33], wire_str text)
{
	tr_copy(words, 33, text.p, text.n);
	return wire_s(words);
}

static void on_scrape_thermal(void *arg, int r, const void *res, const struct tr_fault *fault)
{
	const struct res_memory_thermal *t = res;
	struct scrape *s = arg;

	(void)fault;
	if (r == 0) {
		api_archive_answered(s->call->api);
		s->has_thermal = true;
		s->thermal = *t;
		s->thermal.histogram.n = s->thermal.hottest.n = 0;
		s->thermal.guard.v = s->guard;
		for (uint32_t i = 0; i < t->guard.n && i < SCRAPE_GUARD; i++)
			s->guard[i] = (struct item_guard_count){.class = keep(s->words[i][0], t->guard.v[i].class),
								.action = keep(s->words[i][1], t->guard.v[i].action),
								.count = t->guard.v[i].count};
	}
	part_done(s);
}

static void on_scrape_meta(void *arg, int r, const void *res, const struct tr_fault *fault)
{
	const struct res_meta_figures *f = res;
	struct scrape *s = arg;
	struct scrape_meta *m = &s->meta;

	(void)fault;
	if (r == 0) {
		s->has_meta = true;
		m->has_r_squared = f->has_r_squared;
		m->r_squared = f->r_squared;
		for (; m->n < f->degradations.n && m->n < SCRAPE_DEGRADATIONS; m->n++) {
			const struct item_degradation *d = &f->degradations.v[m->n];

			(void)keep(m->degradation[m->n].metric, d->metric);
			m->degradation[m->n].of_archive = d->of_archive;
			m->degradation[m->n].ratio = d->ratio;
		}
	}
	part_done(s);
}

void api_get_metrics(struct api_call *call)
{
	struct msg_memory_thermal thermal = {.hottest = 0, .has_hottest = true};
	struct msg_meta_figures figures = {0};
	struct scrape *s = calloc(1, sizeof(*s));
	struct api *api = call->api;

	if (s == NULL) {
		api_failf(call, TR_ENOMEM, "", "%s", tr_strerror(TR_ENOMEM));
		return;
	}
	s->call = call;
	thermal.common.request_id = figures.common.request_id = wire_s(http_request_id(call->req));
	thermal.common.has_request_id = figures.common.has_request_id = true;
	s->waits = 3; /* the third is this function: nothing is written before both are asked */
	if (api_ask(api, api->cfg.memory, MSG_memory_thermal, &thermal, SCRAPE_MS, on_scrape_thermal, s) < 0)
		s->waits--;
	if (api_ask(api, api->cfg.meta, MSG_meta_figures, &figures, SCRAPE_MS, on_scrape_meta, s) < 0)
		s->waits--;
	part_done(s);
}
