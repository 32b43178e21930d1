#include "common/base/clock.h"
#include "common/base/text.h"
#include "jrs/executive/api/auth.h"
#include "jrs/executive/api/internal.h"
#include "jrs/kit/decided.h"
#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const struct route routes[NROUTES] = {
#define R(method, pattern, handler, needs, takes, gives, max_body, query) \
	{method, pattern, handler, needs, takes, gives, max_body, query},
#include "jrs/executive/api/routes.def"
#undef R
};

/* ---- life ---- */
int api_new(struct api **out, const struct api_cfg *cfg)
{
	struct api *api = calloc(1, sizeof(*api));
	int r;

	if (api == NULL)
		return TR_ENOMEM;
	api->cfg = *cfg;
	TAILQ_INIT(&api->calls);
	gate_init(&api->gate);
	TAILQ_INIT(&api->thermal.all.next);
	TAILQ_INIT(&api->thermal.all.now);
	TAILQ_INIT(&api->thermal.own.next);
	TAILQ_INIT(&api->thermal.own.now);
	if (cfg->listen_host != NULL)
		tr_copy(api->listen_host, sizeof(api->listen_host), cfg->listen_host, strlen(cfg->listen_host));
	if (cfg->token_hash != NULL) {
		memcpy(api->token_hash, cfg->token_hash, sizeof(api->token_hash));
		api->has_token = true;
	}
	if (cors_new(&api->cors, cfg->cors_origins) < 0 ||
	    replay_new(&api->answers, REPLAY_MAX_ENTRIES, REPLAY_MAX_BYTES) < 0) {
		cors_free(&api->cors);
		free(api);
		return TR_ENOMEM;
	}
	for (unsigned i = 0; i <= NROUTES; i++)
		metrics_latency_init(&api->latency[i]);
	for (int i = 0; i < SHED_NCLASSES; i++)
		shed_init(&api->shed[i], cfg->shed_target_ms, tr_mono_ms());
	r = cfg->rate_per_s == 0 ? 0 : buckets_new(&api->rates, cfg->rate_per_s, cfg->rate_burst, 0);
	if (r < 0 || (r = door_open(api)) < 0) {
		api_free(&api);
		return r;
	}
	*out = api;
	return 0;
}

void api_free(struct api **api)
{
	if (*api == NULL)
		return;
	assert((*api)->inflight == 0 && (*api)->asks == 0 && (*api)->runs == NULL && (*api)->streams == 0);
	loop_timer_free(&(*api)->resume);
	replay_free(&(*api)->answers);
	tokens_free(&(*api)->tokens);
	cors_free(&(*api)->cors);
	buckets_free(&(*api)->rates);
	decided_free(&(*api)->decided);
	thermal_free(*api);
	free(*api);
	*api = NULL;
}

uint32_t api_inflight(const struct api *api)
{
	return api->inflight;
}

uint32_t api_overdue(const struct api *api, uint32_t late_ms)
{
	const struct api_call *call;
	uint64_t now = tr_mono_ms();
	uint32_t n = 0;

	TAILQ_FOREACH(call, &api->calls, in_order)
	{
		if (now - call->start_ms < (uint64_t)api->cfg.request_timeout_ms + late_ms)
			break;
		n++;
	}
	return n;
}

void api_refused(void *arg, int status)
{
	struct api *api = arg;

	api->requests[NROUTES][NMETHODS - 1][http_status_row(status)]++;
	api->refused[http_status_row(status)]++;
}

void api_dropped(void *arg, enum http_drop why)
{
	((struct api *)arg)->dropped[why]++;
}

void api_conns(struct api *api, const uint32_t *conns)
{
	api->conns = conns;
}

/* ---- which route ---- */
static bool matches(const char *pattern, const struct http_req *req)
{
	unsigned i = 0;

	/* most rows differ in their first letter; a path without one ends there, too */
	if (pattern[1] != '{' && http_path(req).n > 0 && http_path(req).p[1] != pattern[1])
		return false;
	for (const char *p = pattern; *p == '/'; i++) {
		size_t n = strcspn(p + 1, "/");
		struct http_str s = http_segment(req, i);

		if (s.p == NULL || (p[1] == '{' ? s.n == 0 : s.n != n || memcmp(s.p, p + 1, n) != 0))
			return false;
		p += 1 + n;
	}
	return http_segment(req, i).p == NULL;
}

/* "Allow: GET, HEAD, OPTIONS\r\n" for a path, or for the whole server when req is NULL. false: no route has that path.
 */
static bool allow(struct buf *out, const struct http_req *req)
{
	bool found[NMETHODS] = {false}, any = false;

	for (unsigned i = 0; i < NROUTES; i++) {
		if (req != NULL && !matches(routes[i].pattern, req))
			continue;
		found[api_method_row(routes[i].method)] = any = true;
	}
	found[api_method_row("HEAD")] = found[api_method_row("GET")];
	buf_puts(out, "Allow: ");
	for (unsigned i = 0; i < NMETHODS - 1; i++)
		if (found[i])
			buf_printf(out, "%s, ", api_method_name(i));
	buf_puts(out, "OPTIONS\r\n");
	if (found[api_method_row("PATCH")])
		buf_puts(out, "Accept-Patch: application/json\r\n");
	return any;
}

/* What Allow says, said to a browser as well. */
static void grant(struct buf *head)
{
	struct buf more = {0};

	cors_grant(&more, head->p);
	if (more.failed != 0)
		head->failed = more.failed;
	else
		buf_append(head, more.p, more.len);
	buf_free(&more);
}

const struct route *api_route(const struct http_req *req)
{
	const char *method = http_method(req).p;

	if (strcmp(method, "HEAD") == 0)
		method = "GET";
	for (unsigned i = 0; i < NROUTES; i++)
		if (strcmp(routes[i].method, method) == 0 && matches(routes[i].pattern, req))
			return &routes[i];
	return NULL;
}

/* ---- what must hold before a handler sees it; false: the call is answered ---- */
static bool listed(const char *names, const char *name, size_t len)
{
	while (*names != '\0') {
		size_t n = strcspn(names, " ");

		if (n == len && memcmp(names, name, n) == 0)
			return true;
		names += n + (names[n] == ' ');
	}
	return false;
}

static bool check_query(struct api_call *call)
{
	struct http_str name, v, one;

	if (strcmp(call->route->query, "*") == 0)
		return true;
	for (unsigned i = 0; http_query_at(call->req, i, &name, &v); i++) {
		const char *rule = !listed(call->route->query, name.p, name.n) ? "is not a parameter of this call"
				   : http_query(call->req, name.p, &one) < 0   ? "is given twice"
									       : NULL;

		if (name.n == 0) {
			api_failf(call, TR_EINVAL, "", "the name of a parameter is empty");
			return false;
		}
		if (rule != NULL) {
			api_failf(call, TR_EINVAL, name.p, "%s", rule);
			return false;
		}
	}
	return true;
}

static bool type_ok(const struct route *route, const struct http_req *req)
{
	struct http_str type = http_header(req, "content-type");

	return route->takes == 0 || (type.p != NULL && (check_content_type(type.p) & route->takes) != 0 &&
				     http_header(req, "content-encoding").p == NULL);
}

bool api_head_ok(const struct http_req *req)
{
	const struct route *route = api_route(req);

	return route != NULL && check_accept(http_header(req, "accept").p, route->gives) && type_ok(route, req);
}

static bool check_body(struct api_call *call)
{
	size_t longest;

	if (call->route->takes == 0)
		return true;
	if (!type_ok(call->route, call->req)) {
		api_refuse(call, 415, NULL, "the body must be application/json%s in UTF-8, not compressed",
			   (call->route->takes & MEDIA_NDJSON) != 0 ? " or application/x-ndjson" : "");
		return false;
	}
	if (http_body(call->req).n > call->route->max_body) {
		api_failf(call, TR_ETOOBIG, "", "the body must be at most %zu bytes", call->route->max_body);
		return false;
	}
	if (check_values(http_body(call->req).p, http_body(call->req).n, &longest) > VALUES_MAX) {
		api_failf(call, TR_ETOOBIG, "", "the body must hold at most %d values", VALUES_MAX);
		return false;
	}
	if (longest > STRING_MAX) {
		api_failf(call, TR_ETOOBIG, "", "a text in the body must be at most %d bytes", WIRE_CONTENT_MAX);
		return false;
	}
	return true;
}

/* Each caller has keys of its own: what another one did under the same key is not for it to see. */
static int own_key(const struct principal *who, const struct http_str *key, char out[KEY_MAX + 1])
{
	const struct tr_piece pieces[3] = {
		{who->name, strlen(who->name)}, {(const char *)&who->since, sizeof(who->since)}, {key->p, key->n}};
	unsigned char digest[TR_SHA256_LEN];
	char hex[2 * TR_SHA256_LEN + 1];
	int r;

	if (who->via == VIA_LOOPBACK)
		return 0;
	if ((r = tr_sha256_pieces(pieces, 3, digest)) < 0)
		return r;
	tr_hex(digest, sizeof(digest), hex);
	snprintf(out, KEY_MAX + 1, "key:%s", hex);
	return 0;
}

/* Reading needs no key. A request that is sent again while the first one is still being carried out has no answer yet.
 */
static bool check_idempotency(struct api_call *call)
{
	struct http_str key = http_header(call->req, "idempotency-key");
	struct api_call *other;

	if (key.p == NULL || strcmp(call->route->method, "GET") == 0)
		return true;
	if (check_key(key.p, key.n, call->effect_id) < 0) {
		api_failf(call, TR_EINVAL, "Idempotency-Key", "must be 1 to %d visible ASCII characters", KEY_MAX);
		return false;
	}
	if (own_key(&call->who, &key, call->effect_id) < 0) {
		api_failf(call, TR_EINTERNAL, "", "%s", tr_strerror(TR_EINTERNAL));
		return false;
	}
	for (other = call->api->keyed; other != NULL; other = other->next) {
		if (strcmp(other->effect_id, call->effect_id) == 0) {
			api_failf(call, TR_ECONFLICT, "Idempotency-Key",
				  "is that of a request which is still being carried out");
			return false;
		}
	}
	api_call_keyed(call);
	return true;
}

static void route_call(struct api_call *call)
{
	const char *method = http_method(call->req).p;
	bool options = strcmp(method, "OPTIONS") == 0, whole = strcmp(http_path(call->req).p, "*") == 0;
	struct http_str accept = http_header(call->req, "accept");
	struct buf head = {0};

	if (call->route == NULL) {
		bool known = allow(&head, whole ? NULL : call->req);

		if (known && options && head.failed == 0 && cors_preflight(call->api->cors, call->req))
			grant(&head);
		if (head.failed != 0)
			api_failf(call, TR_ENOMEM, "", "%s", tr_strerror(TR_ENOMEM));
		else if (!known)
			api_refuse(call, 404, NULL, "there is no such path");
		else if (options)
			api_reply_empty(call, head.p);
		else
			api_refuse(call, 405, head.p, "this path does not take %s", method);
		buf_free(&head);
		return;
	}
	if (!check_accept(accept.p, call->route->gives)) {
		api_refuse(call, 406, NULL, "the answer would be %s", check_media_name(call->route->gives));
		return;
	}
	if (check_query(call) && check_body(call) && check_idempotency(call))
		call->route->handler(call);
}

/* A browser sends no token with its question what a page may send; it learns nothing that Allow would not say. */
void api_admit(struct api_call *call)
{
	if (cors_preflight(call->api->cors, call->req) ? admit_address(call)
						       : auth_check(call) && admit_principal(call))
		route_call(call);
}

void api_request(void *arg, struct http_req *req)
{
	struct api_call *call = api_call_new(arg, req);

	if (call == NULL) {
		http_respond(req, 503, NULL, "Retry-After: 1\r\n", NULL, 0);
		return;
	}
	call->route = api_route(req);
	if (call->api->cors != NULL)
		http_also(req, cors_lines(call->api->cors, http_header(req, "origin").p));
	if (call->api->mute) {
		call->unheard = call->api->unheard;
		call->api->unheard = call;
	} else {
		api_admit(call);
	}
}

void api_mute(void *arg, bool mute)
{
	struct api *api = arg;
	struct api_call *call;

	api->mute = mute;
	while (!api->mute && (call = api->unheard) != NULL) {
		api->unheard = call->unheard;
		api_admit(call);
	}
}
