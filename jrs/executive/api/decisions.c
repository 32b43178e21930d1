/* GET and POST /api/v1/decisions, GET /api/v1/audit, GET /api/v1/analysis/... */
#include "jrs/executive/api/internal.h"
#include <ctype.h>
#include <string.h>

static void listed(struct api_call *call, const void *res)
{
	api_reply_struct(call, 200, call->shape, res, NULL);
}

static void decided(struct api_call *call, const void *res)
{
	api_reply_struct(call, 201, call->shape, res, NULL);
}

void api_get_decisions(struct api_call *call)
{
	struct msg_memory_decisions msg;

	if (api_query(call, wire_methods[MSG_memory_decisions].params, NULL, (struct http_str){NULL, 0}, &msg) == 0)
		api_forward(call, call->api->cfg.memory, MSG_memory_decisions, &msg, UINT32_MAX, listed);
}

static void by_its_source(struct api_call *call, struct tr_fault *fault)
{
	if (call->who.has_source && fault->code == TR_EREFUSED && strcmp(fault->field, "by") == 0)
		call->refused_as = "source";
}

/* Names that others decide under: their decisions count as their own word. */
static bool is_anothers(wire_str by)
{
	static const char *const all[] = {"tribed",    "memory_jr", "executive_jr", "meta_jr",       "integration_jr",
					  "war_chief", "vote",      "peace_chief",  "medicine_woman"};
	char name[32];

	if (by.n >= sizeof(name))
		return false;
	for (uint32_t i = 0; i < by.n; i++)
		name[i] = by.p[i] == '-' || by.p[i] == ' ' ? '_' : (char)tolower((unsigned char)by.p[i]);
	name[by.n] = '\0';
	for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++)
		if (strcmp(name, all[i]) == 0)
			return true;
	return false;
}

void api_post_decisions(struct api_call *call)
{
	struct msg_memory_decide msg;

	if (api_body(call, wire_methods[MSG_memory_decide].params, &msg) < 0)
		return;
	if (is_anothers(msg.by)) {
		api_forbid(call, "refused", "\"by\" is the name of one who writes its decisions itself");
		return;
	}
	msg.common.request_id = wire_s(call->effect_id);
	msg.common.has_request_id = true;
	call->rename = by_its_source;
	api_forward(call, call->api->cfg.memory, MSG_memory_decide, &msg, UINT32_MAX, decided);
}

void api_get_audit(struct api_call *call)
{
	struct msg_memory_audit msg;

	if (api_query(call, wire_methods[MSG_memory_audit].params, NULL, (struct http_str){NULL, 0}, &msg) == 0)
		api_forward(call, call->api->cfg.memory, MSG_memory_audit, &msg, UINT32_MAX, listed);
}

static void analysed(struct api_call *call, const void *res)
{
	json_t *doc = api_encode(call, res);

	api_nulls(doc, "analysed_at");
	api_reply_json(call, 200, doc);
}

void api_get_anomalies(struct api_call *call)
{
	struct msg_meta_anomalies msg = {0};

	api_forward(call, call->api->cfg.meta, MSG_meta_anomalies, &msg, UINT32_MAX, analysed);
}

void api_get_later(struct api_call *call)
{
	api_refuse(call, 404, NULL, "this version has no such analysis; /api/v1/analysis/anomalies is there");
}
