/* /api/v1/drills: what the last ones found, and the beginning of another. tribed keeps them and runs it. */
#include "jrs/executive/api/internal.h"

#define TRIBED_MS 2000 /* tribed answers at once or not at all */

static void absent(struct api_call *call, int r, const struct tr_fault *fault)
{
	struct tr_fault named = *fault;

	if (r == TR_EDEADLINE || r == TR_EUNAVAILABLE)
		api_absent(&named, r, "tribed");
	api_fail(call, &named);
}

static uint32_t patience(const struct api_call *call)
{
	uint32_t left = api_left_ms(call);

	return left < TRIBED_MS ? left : TRIBED_MS;
}

static void on_drills(void *arg, int r, const void *res, const struct tr_fault *fault)
{
	if (r < 0)
		absent(arg, r, fault);
	else
		api_reply_json(arg, 200, json_encode(wire_methods[MSG_drills].result, res));
}

void api_get_drills(struct api_call *call)
{
	const struct api_cfg *cfg = &call->api->cfg;
	struct msg_drills msg;
	int r;

	if (api_query(call, wire_methods[MSG_drills].params, NULL, (struct http_str){NULL, 0}, &msg) < 0)
		return;
	r = cfg->drills(cfg->arg, &msg, patience(call), on_drills, call);
	if (r < 0)
		api_failf(call, r, "", "%s", tr_strerror(r));
}

static void on_begun(void *arg, int r, const void *res, const struct tr_fault *fault)
{
	struct tr_fault named;

	if (r == 0) {
		api_reply_json(arg, 202, json_encode(wire_methods[MSG_drill_start].result, res));
		return;
	}
	named = *fault;
	if (r == TR_EUNAVAILABLE && fault->rule[0] != '\0' && fault->field[0] == '\0')
		api_fail(arg, &named); /* tribed says why */
	else
		absent(arg, r, fault);
}

void api_post_drills(struct api_call *call)
{
	const struct api_cfg *cfg = &call->api->cfg;
	struct msg_drill_start msg;
	int r;

	if (api_body(call, wire_methods[MSG_drill_start].params, &msg) < 0)
		return;
	msg.common.request_id = wire_s(call->effect_id);
	msg.common.has_request_id = true;
	r = cfg->drill(cfg->arg, &msg, patience(call), on_begun, call);
	if (r < 0)
		api_failf(call, r, "", "%s", tr_strerror(r));
}
