#include "common/base/clock.h"
#include "common/base/text.h"
#include "jrs/executive/api/internal.h"
#include <assert.h>
#include <stdlib.h>
#include <string.h>

static const char *const method_names[NMETHODS] = {
#define X(name) #name,
	API_METHODS(X)
#undef X
		"other"};

const char *api_method_name(unsigned row)
{
	return method_names[row];
}

unsigned api_method_row(const char *name)
{
	unsigned i = 0;

	while (i < NMETHODS - 1 && strcmp(method_names[i], name) != 0)
		i++;
	return i;
}

struct api_call *api_call_new(struct api *api, struct http_req *req)
{
	struct api_call *call = calloc(1, sizeof(*call));
	const char *method = http_method(req).p;

	if (call == NULL)
		return NULL;
	call->api = api;
	call->req = req;
	call->start_ms = tr_mono_ms();
	if (method[0] != 'G' && method[0] != 'H') { /* what is no GET or HEAD may have an effect */
		memcpy(call->effect_id, "req:", 4);
		tr_id_new(call->effect_id + 4); /* never the client's X-Request-Id: that may repeat */
	}
	api->inflight++;
	TAILQ_INSERT_TAIL(&api->calls, call, in_order);
	return call;
}

const char *api_principal_name(const struct api_call *call)
{
	return call->who.name;
}

void api_call_keyed(struct api_call *call)
{
	struct api *api = call->api;

	call->has_key = true;
	call->next = api->keyed;
	if (api->keyed != NULL)
		api->keyed->prev = call;
	api->keyed = call;
}

static void unlink_keyed(struct api_call *call)
{
	if (call->prev != NULL)
		call->prev->next = call->next;
	else
		call->api->keyed = call->next;
	if (call->next != NULL)
		call->next->prev = call->prev;
}

struct http_req *api_call_end(struct api_call *call, int status)
{
	struct api *api = call->api;
	struct http_req *req = call->req;
	size_t row = call->route != NULL ? (size_t)(call->route - routes) : NROUTES;

	api->requests[row][api_method_row(http_method(req).p)][http_status_row(status)]++;
	metrics_observe(&api->latency[row], (double)(tr_mono_ns() - http_started_ns(req)) / 1e9);
	api->inflight--;
	api->bodies -= call->body;
	TAILQ_REMOVE(&api->calls, call, in_order);
	if (call->has_key)
		unlink_keyed(call);
	if (api->cfg.on_done != NULL)
		api->cfg.on_done(api->cfg.arg, status >= 500);
	for (size_t i = 0; i < call->ndocs; i++)
		json_decref(call->docs[i]);
	free(call->docs);
	if (call->zone != NULL)
		msgpack_zone_free(call->zone);
	free(call);
	return req;
}

uint32_t api_left_ms(const struct api_call *call)
{
	uint64_t passed = tr_mono_ms() - call->start_ms;

	return passed < call->api->cfg.request_timeout_ms ? call->api->cfg.request_timeout_ms - (uint32_t)passed : 1;
}

msgpack_zone *api_zone(struct api_call *call)
{
	if (call->zone == NULL)
		call->zone = msgpack_zone_new(4096);
	return call->zone;
}

int api_keep(struct api_call *call, json_t *doc)
{
	if ((call->ndocs & (call->ndocs - 1)) == 0) { /* full at every power of two */
		json_t **more = realloc(call->docs, (call->ndocs == 0 ? 1 : 2 * call->ndocs) * sizeof(*more));

		if (more == NULL) {
			json_decref(doc);
			return TR_ENOMEM;
		}
		call->docs = more;
	}
	call->docs[call->ndocs++] = doc;
	return 0;
}

/* The path has said it already. */
static int put_path(json_t *doc, const char *name, struct http_str value, struct tr_fault *fault)
{
	if (!json_is_object(doc))
		return 0; /* json_decode() refuses it */
	if (json_object_get(doc, name) != NULL)
		return tr_fault_set(fault, TR_EINVAL, name, "stands in the path and must not be in the body");
	return json_object_set_new_nocheck(doc, name, json_stringn_nocheck(value.p, value.n)) < 0 ? TR_ENOMEM : 0;
}

int api_body(struct api_call *call, const struct wire_shape *shape, void *out)
{
	return api_body_at(call, shape, NULL, (struct http_str){NULL, 0}, out);
}

int api_body_at(struct api_call *call, const struct wire_shape *shape, const char *path_name,
		struct http_str path_value, void *out)
{
	struct http_str body = http_body(call->req);
	struct tr_fault fault = {0};
	json_t *doc;
	int r = json_parse(&doc, body.p, body.n, &fault);

	if (r == 0 && (r = api_keep(call, doc)) == 0 && path_name != NULL)
		r = put_path(doc, path_name, path_value, &fault);
	if (r == 0)
		r = api_zone(call) == NULL ? TR_ENOMEM : json_decode(shape, doc, call->zone, out, &fault);
	if (r < 0) {
		fault.code = r;
		api_fail(call, &fault);
	}
	return r;
}

/* The text of one parameter as JSON of its field's type; text that is not of that type stays a string, for json_decode
 * to refuse. */
static json_t *parameter(const struct wire_field *f, struct http_str v)
{
	int64_t i;
	double d;

	switch (f->type) {
	case WIRE_u32:
	case WIRE_u64:
	case WIRE_i64:
		if (tr_parse_i64(v.p, INT64_MIN, INT64_MAX, &i) == 0)
			return json_integer(i);
		break;
	case WIRE_f64:
		if (tr_parse_f64(v.p, -1e300, 1e300, &d) == 0)
			return json_real(d);
		break;
	case WIRE_flag:
		if (strcmp(v.p, "true") == 0 || strcmp(v.p, "false") == 0)
			return json_boolean(v.p[0] == 't');
		break;
	default:
		break;
	}
	return json_stringn_nocheck(v.p, v.n); /* the HTTP side has checked that it is UTF-8 */
}

/* The router has refused what the route does not name and what is given twice. */
int api_query(struct api_call *call, const struct wire_shape *shape, const char *path_name, struct http_str path_value,
	      void *out)
{
	struct tr_fault fault = {0};
	json_t *doc = json_object();
	struct http_str name, v;
	int r = doc == NULL ? TR_ENOMEM : api_keep(call, doc);

	if (r == 0 && path_name != NULL &&
	    json_object_set_new_nocheck(doc, path_name, json_stringn_nocheck(path_value.p, path_value.n)) < 0)
		r = TR_ENOMEM;
	for (unsigned i = 0; r == 0 && http_query_at(call->req, i, &name, &v); i++) {
		for (unsigned k = 0; k < shape->n; k++)
			if (strcmp(shape->fields[k].name, name.p) == 0 &&
			    json_object_set_new_nocheck(doc, name.p, parameter(&shape->fields[k], v)) < 0)
				r = TR_ENOMEM;
	}
	if (r == 0)
		r = api_zone(call) == NULL ? TR_ENOMEM : json_decode(shape, doc, call->zone, out, &fault);
	if (r < 0) {
		fault.code = r;
		api_fail(call, &fault);
	}
	return r;
}

void api_archive_answered(struct api *api)
{
	api->archive_ms = tr_wall_ms();
}

static void on_answer(void *arg, int r, const void *res, const struct tr_fault *fault)
{
	struct api_call *call = arg;

	if (r < 0) {
		struct tr_fault renamed = *fault;

		if (call->rename != NULL)
			call->rename(call, &renamed);
		api_fail(call, &renamed);
		return;
	}
	if (call->peer == call->api->cfg.memory)
		api_archive_answered(call->api);
	call->done(call, res);
}

void api_forward(struct api_call *call, struct peer *peer, enum wire_msg_id id, void *msg, uint32_t timeout_ms,
		 void (*done)(struct api_call *call, const void *res))
{
	struct wire_common *common = msg; /* the first member of every struct msg_ID */
	uint32_t left = api_left_ms(call);
	int r;

	call->peer = peer;
	call->done = done;
	call->shape = wire_methods[id].result;
	if (!common->has_request_id) {
		common->request_id = wire_s(http_request_id(call->req));
		common->has_request_id = true;
	}
	common->has_only_source = call->who.has_source;
	common->only_source = wire_s(call->who.source);
	common->has_rationed = common->rationed = !api_is_admin(call);
	common->who = wire_s(api_principal_name(call));
	common->has_who = common->who.n > 0;
	r = (call->route->scope == 0 ? api_ask : api_ask_gated)(call->api, peer, id, msg,
								left < timeout_ms ? left : timeout_ms, on_answer, call);
	if (r == TR_ETOOBIG)
		api_failf(call, r, "", "what the body says must come to at most %u bytes; send it in several requests",
			  wire_methods[id].cap);
	else if (r < 0)
		api_failf(call, r, "", "%s", tr_strerror(r));
}

json_t *api_encode(const struct api_call *call, const void *res)
{
	return json_encode(call->shape, res);
}

void api_nulls(json_t *doc, const char *names)
{
	while (doc != NULL && *names != '\0') {
		size_t n = strcspn(names, " ");
		char name[64];

		tr_copy(name, sizeof(name), names, n);
		if (json_object_get(doc, name) == NULL)
			json_object_set_new(doc, name, json_null());
		names += n + (names[n] == ' ');
	}
}
