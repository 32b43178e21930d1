/* The two doors of the question pipeline: POST /api/v1/ask and the RPC method executive.ask. */
#include "common/base/clock.h"
#include "common/base/text.h"
#include "jrs/executive/api/internal.h"

/* ---- HTTP ---- */
static void on_http_answer(void *arg, int r, const struct res_executive_ask *res, const struct tr_fault *fault)
{
	struct api_call *call = arg;
	struct buf body = {0};

	if (r < 0) {
		if (call->has_key)
			replay_drop(call->api->answers, call->effect_id);
		api_fail(call, fault);
		return;
	}
	r = json_write(wire_methods[MSG_executive_ask].result, res, "phase_coherence", &body);
	if (call->has_key && r == 0)
		replay_done(call->api->answers, call->effect_id, &body, tr_mono_ms());
	else if (call->has_key)
		replay_drop(call->api->answers, call->effect_id);
	if (r < 0)
		api_failf(call, r, "", "%s", tr_strerror(r));
	else
		api_reply_text(call, 200, "application/json", &body);
	buf_free(&body);
}

/* Is this question with this key new here? Else the call is answered. */
static bool is_new(struct api_call *call, const struct msg_executive_ask *q)
{
	unsigned char digest[TR_SHA256_LEN];
	const struct buf *known = NULL;
	struct buf copy = {0};
	msgpack_sbuffer sb;
	int r;

	msgpack_sbuffer_init(&sb);
	r = wire_encode(&sb, wire_methods[MSG_executive_ask].params,
			q); /* field by field: blanks and order do not count */
	if (r == 0)
		r = tr_sha256(sb.data, sb.size, digest);
	msgpack_sbuffer_destroy(&sb);
	if (r == 0)
		r = replay_begin(call->api->answers, call->effect_id, digest, tr_mono_ms(), &known);
	if (r == 1)
		r = buf_append(&copy, known->p, known->len) < 0 ? TR_ENOMEM : 1;
	if (r == TR_ECONFLICT)
		api_failf(call, r, "Idempotency-Key", "is that of a question which is being answered");
	else if (r < 0)
		api_failf(call, r, "", "%s", tr_strerror(r));
	else if (r == 1)
		api_reply_text(call, 200, "application/json", &copy);
	buf_free(&copy);
	return r == 0;
}

void api_post_ask(struct api_call *call)
{
	struct msg_executive_ask q;
	struct tr_fault fault = {0};

	if (api_body(call, wire_methods[MSG_executive_ask].params, &q) < 0 || (call->has_key && !is_new(call, &q)))
		return;
	if (ask_start(call->api, &q, &call->who, api_left_ms(call), http_request_id(call->req), on_http_answer, call,
		      &fault) < 0)
		on_http_answer(call, fault.code, NULL, &fault);
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
	if (ask_start(api, msg, NULL, left, id, on_rpc_answer, a, &fault) < 0) {
		chan_fail(call, &fault);
		api->asks--;
	}
}
