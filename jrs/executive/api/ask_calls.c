/* The two doors of the question pipeline: POST /api/v1/ask and the RPC method executive.ask. */
#include "common/base/text.h"
#include "jrs/executive/api/internal.h"

/* ---- HTTP ---- */
static void on_http_answer(void *arg, int r, const struct res_executive_ask *res, const struct tr_fault *fault)
{
	struct api_call *call = arg;
	json_t *doc;

	if (r < 0) {
		api_fail(call, fault);
		return;
	}
	doc = json_encode(wire_methods[MSG_executive_ask].result, res);
	api_nulls(doc, "phase_coherence");
	api_reply_json(call, 200, doc);
}

void api_post_ask(struct api_call *call)
{
	struct msg_executive_ask q;
	struct tr_fault fault = {0};

	if (api_body(call, wire_methods[MSG_executive_ask].params, &q) == 0 &&
	    ask_start(call->api, &q, api_left_ms(call), http_request_id(call->req), on_http_answer, call, &fault) < 0)
		api_fail(call, &fault);
}

/* ---- RPC ---- */
struct rpc_ask { /* lives in the call's zone */
	struct api *api;
	struct chan_call *call;
};

static void on_rpc_answer(void *arg, int r, const struct res_executive_ask *res, const struct tr_fault *fault)
{
	struct rpc_ask *a = arg;
	struct api *api = a->api;

	if (r < 0)
		chan_fail(a->call, fault);
	else
		chan_reply(a->call, res);
	api->asks--;
}

void api_rpc_ask(void *arg, struct chan_call *call, const void *msg)
{
	struct api *api = arg;
	const struct wire_common *common = chan_call_common(call);
	struct rpc_ask *a = msgpack_zone_malloc(chan_call_zone(call), sizeof(*a));
	uint32_t left = chan_call_left_ms(call);
	struct tr_fault fault = {0};
	char id[WIRE_ID_MAX + 1];

	if (a == NULL) {
		chan_failf(call, TR_ENOMEM, "", "%s", tr_strerror(TR_ENOMEM));
		return;
	}
	*a = (struct rpc_ask){api, call};
	if (common->has_request_id)
		tr_copy(id, sizeof(id), common->request_id.p, common->request_id.n);
	else
		tr_id_new(id);
	if (left > api->cfg.request_timeout_ms)
		left = api->cfg.request_timeout_ms;
	api->asks++;
	if (ask_start(api, msg, left, id, on_rpc_answer, a, &fault) < 0) {
		chan_fail(call, &fault);
		api->asks--;
	}
}
