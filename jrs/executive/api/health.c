/* GET /, /openapi.json, /healthz, /readyz, /api/v1/status, /api/v1/drills, /metrics */
#include "jrs/executive/api/internal.h"
#include "jrs/executive/openapi/openapi.h"
#include <tribe/version.h>

#define READY_MS  1000 /* a memory must be recalled within */
#define STATUS_MS 2000 /* tribed answers at once or not at all */
#define SCRAPE_MS 400  /* each part of /metrics: a scrape must come back while something is away */

void api_get_welcome(struct api_call *call)
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

/* ---- drills ---- */
static void on_drills(void *arg, int r, const void *res, const struct tr_fault *fault)
{
	struct tr_fault named;

	if (r == 0) {
		api_reply_json(arg, 200, json_encode(wire_methods[MSG_drills].result, res));
		return;
	}
	named = *fault;
	if (r == TR_EDEADLINE || r == TR_EUNAVAILABLE)
		api_absent(&named, r, "tribed");
	api_fail(arg, &named);
}

void api_get_drills(struct api_call *call)
{
	const struct api_cfg *cfg = &call->api->cfg;
	uint32_t left = api_left_ms(call);
	struct msg_drills msg;
	int r;

	if (api_query(call, wire_methods[MSG_drills].params, NULL, (struct http_str){NULL, 0}, &msg) < 0)
		return;
	r = cfg->drills(cfg->arg, &msg, left < STATUS_MS ? left : STATUS_MS, on_drills, call);
	if (r < 0)
		api_failf(call, r, "", "%s", tr_strerror(r));
}

/* ---- metrics: memory-jr first, then tribed, whatever either says ---- */
static void write_metrics(struct api_call *call, const struct res_status *status)
{
	struct buf body = {0};

	if (scrape_write(&body, call->api, status, call->has_thermal ? &call->thermal : NULL) < 0) {
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

/* Not bounded by what memory-jr's silence has left of the request's time: what tribed knows is wanted then above all.
 */
static int scrape_status(struct api_call *call)
{
	return call->api->cfg.status(call->api->cfg.arg, SCRAPE_MS, on_scrape_status, call);
}

/* The answer goes; its numbers stay, and of its lists this one, which without memory is left out. */
static void keep_thermal(struct api_call *call, const struct res_memory_thermal *res)
{
	const struct list_guard_count *from = &res->guard;
	size_t size = sizeof(*from->v) * from->n, at = size;
	msgpack_zone *zone = api_zone(call);
	struct item_guard_count *v;
	char *p;

	for (uint32_t i = 0; i < from->n; i++)
		size += from->v[i].class.n + from->v[i].action.n;
	call->thermal = *res;
	call->has_thermal = true;
	p = size == 0 || zone == NULL ? NULL : msgpack_zone_malloc(zone, size);
	v = (struct item_guard_count *)(void *)p;
	call->thermal.guard = (struct list_guard_count){v, p == NULL ? 0 : from->n};
	for (uint32_t i = 0; p != NULL && i < from->n; i++) {
		v[i] = from->v[i];
		memcpy(p + at, v[i].class.p, v[i].class.n);
		v[i].class.p = p + at;
		at += v[i].class.n;
		memcpy(p + at, v[i].action.p, v[i].action.n);
		v[i].action.p = p + at;
		at += v[i].action.n;
	}
}

static void on_scrape_thermal(void *arg, int r, const void *res, const struct tr_fault *fault)
{
	struct api_call *call = arg;

	(void)fault;
	if (r == 0) {
		api_archive_answered(call->api);
		keep_thermal(call, res);
	}
	if (scrape_status(call) < 0)
		write_metrics(call, NULL);
}

void api_get_metrics(struct api_call *call)
{
	struct msg_memory_thermal msg = {.hottest = 0, .has_hottest = true};

	msg.common.request_id = wire_s(http_request_id(call->req));
	msg.common.has_request_id = true;
	if (api_ask(call->api, call->api->cfg.memory, MSG_memory_thermal, &msg, SCRAPE_MS, on_scrape_thermal, call) <
		    0 &&
	    scrape_status(call) < 0)
		write_metrics(call, NULL);
}
