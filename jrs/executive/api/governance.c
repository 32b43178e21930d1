/* GET and POST /api/v1/governance, GET /api/v1/governance/{id}, POST /api/v1/governance/{id}/objections. A body is a
 * DSSE envelope, passed on as it came (memory-jr verifies it, where the act happens), or what an admin asks for. */
#include "jrs/executive/api/internal.h"
#include <string.h>

bool api_is_admin(const struct api_call *call)
{
	return principal_may(&call->who, TR_SCOPE_ADMIN, true);
}

/* The router's "id" is a memory's to everybody else. */
static void name_act(struct api_call *call, struct tr_fault *fault)
{
	(void)call;
	if (fault->code == TR_ENOTFOUND)
		fault->field[0] = '\0';
	else if (strncmp(fault->field, "act.", 4) == 0) /* the body is the act */
		memmove(fault->field, fault->field + 4, strlen(fault->field + 4) + 1);
}

/* ---- what is there ---- */
static void listed(struct api_call *call, const void *res)
{
	api_reply_json(call, 200, api_encode(call, res));
}

static void shown(struct api_call *call, const void *res)
{
	const struct res_memory_acts *r = res;

	if (r->acts.n == 1)
		api_reply_json(call, 200, json_encode(&wire_shape_governed, &r->acts.v[0]));
	else
		api_failf(call, TR_ENOTFOUND, "", "no act has this id");
}

void api_get_acts(struct api_call *call)
{
	struct msg_memory_acts msg;

	if (api_query(call, wire_methods[MSG_memory_acts].params, NULL, (struct http_str){NULL, 0}, &msg) == 0)
		api_forward(call, call->api->cfg.memory, MSG_memory_acts, &msg, UINT32_MAX, listed);
}

void api_get_act(struct api_call *call)
{
	struct msg_memory_acts msg;

	if (api_query(call, wire_methods[MSG_memory_acts].params, "id", http_segment(call->req, 3), &msg) < 0)
		return;
	call->rename = name_act;
	api_forward(call, call->api->cfg.memory, MSG_memory_acts, &msg, UINT32_MAX, shown);
}

/* ---- asking, and objecting ---- */
static void governed(struct api_call *call, const void *res)
{
	const struct res_memory_govern *r = res;

	if (r->act.state.n == strlen("refused") && memcmp(r->act.state.p, "refused", r->act.state.n) == 0)
		api_failf(call, TR_EREFUSED, "", "the act is refused, and that is written down: %.*s",
			  (int)r->act.note.n, r->act.note.p);
	else
		api_reply_json(call, r->known ? 200 : 202, json_encode(&wire_shape_governed, &r->act));
}

static void objected(struct api_call *call, const void *res)
{
	const struct res_memory_govern *r = res;

	api_reply_json(call, r->known ? 200 : 201, json_encode(&wire_shape_governed, &r->act));
}

/* The body is one object. confirm stands beside what the act is. */
static int plain(struct api_call *call, json_t *doc, struct msg_memory_govern *msg, struct tr_fault *fault)
{
	json_t *confirm = json_object_get(doc, "confirm"), *kept;
	int r;

	if (confirm != NULL) {
		if (!json_is_string(confirm) || json_string_length(confirm) == 0 ||
		    json_string_length(confirm) > WIRE_ID_MAX)
			return tr_fault_set(fault, TR_EINVAL, "confirm", "must be 1 to 128 bytes");
		kept = json_incref(confirm);
		if ((r = api_keep(call, kept)) < 0)
			return r;
		msg->has_confirm = true;
		msg->confirm = (wire_str){json_string_value(kept), (uint32_t)json_string_length(kept)};
		json_object_del(doc, "confirm");
	}
	msg->has_act = msg->has_by = true;
	msg->by = wire_s(api_principal_name(call));
	return json_decode(&wire_shape_act, doc, call->zone, &msg->act, fault);
}

static int read_body(struct api_call *call, struct msg_memory_govern *msg, struct tr_fault *fault)
{
	struct http_str body = http_body(call->req);
	json_t *doc;
	int r = api_zone(call) == NULL ? TR_ENOMEM : json_parse(&doc, body.p, body.n, fault);

	if (r < 0 || (r = api_keep(call, doc)) < 0)
		return r;
	if (json_object_get(doc, "payloadType") != NULL) {
		msg->has_envelope = true;
		msg->envelope = (wire_str){body.p, (uint32_t)body.n};
		return 0;
	}
	if (msg->has_about && json_is_object(doc) &&
	    (json_object_get(doc, "act") != NULL || json_object_get(doc, "objects_to") != NULL))
		return tr_fault_set(fault, TR_EINVAL, json_object_get(doc, "act") != NULL ? "act" : "objects_to",
				    "stands in the path and must not be in the body");
	if (msg->has_about && json_is_object(doc) &&
	    (json_object_set_new(doc, "act", json_string("object")) < 0 ||
	     json_object_set_new(doc, "objects_to", json_stringn(msg->about.p, msg->about.n)) < 0))
		return TR_ENOMEM;
	return plain(call, doc, msg, fault);
}

static void govern(struct api_call *call, struct msg_memory_govern *msg,
		   void (*done)(struct api_call *call, const void *res))
{
	struct tr_fault fault = {0};
	int r = read_body(call, msg, &fault);

	if (r == 0 && !msg->has_envelope && !api_is_admin(call))
		r = tr_fault_set(&fault, TR_EREFUSED, "", "this takes an admin's token, or an envelope that is signed");
	if (r < 0) {
		fault.code = r;
		api_fail(call, &fault);
		return;
	}
	msg->common.request_id = wire_s(call->effect_id);
	msg->common.has_request_id = true;
	call->rename = name_act;
	api_forward(call, call->api->cfg.memory, MSG_memory_govern, msg, UINT32_MAX, done);
}

void api_post_act(struct api_call *call)
{
	struct msg_memory_govern msg = {.common = {.has_request_id = false}};

	govern(call, &msg, governed);
}

void api_post_objection(struct api_call *call)
{
	struct http_str id = http_segment(call->req, 3);
	struct msg_memory_govern msg = {.has_about = true, .about = {id.p, (uint32_t)id.n}};

	if (id.n > 64)
		api_failf(call, TR_ENOTFOUND, "", "no act has this id");
	else
		govern(call, &msg, objected);
}
