/* POST /api/v1/vote, GET /api/v1/votes, GET /api/v1/votes/{id}, POST /api/v1/votes/{id}/ballots, and executive.vote. */
#include "common/base/text.h"
#include "jrs/executive/api/internal.h"

#define NULLS "memory_id decision_id closes_at closed_at"

/* Where nobody has a token the caller says for whom he votes. */
static bool names_others(const struct api_call *call)
{
	return call->who.via == VIA_LOOPBACK;
}

/* ---- putting to the vote ---- */
static struct msg_memory_vote_open open_of(const struct msg_executive_vote *q)
{
	return (struct msg_memory_vote_open){.has_vote_id = q->has_vote_id,
					     .vote_id = q->vote_id,
					     .proposal = q->proposal,
					     .has_options = q->has_options,
					     .options = q->options,
					     .has_quorum = q->has_quorum,
					     .quorum = q->quorum,
					     .has_threshold = q->has_threshold,
					     .threshold = q->threshold,
					     .has_deadline_s = q->has_deadline_s,
					     .deadline_s = q->deadline_s,
					     .by = q->has_by ? q->by : wire_s("operator")};
}

static json_t *vote_json(const struct item_vote *vote)
{
	json_t *doc = json_encode(&wire_shape_vote, vote);

	api_nulls(doc, NULLS);
	return doc;
}

static void on_http_vote(void *arg, int r, const struct item_vote *vote, bool created, const struct tr_fault *fault)
{
	if (r < 0)
		api_fail(arg, fault);
	else
		api_reply_json(arg, created ? 201 : 200, vote_json(vote));
}

void api_post_vote(struct api_call *call)
{
	struct msg_memory_vote_open msg;
	struct msg_executive_vote q;
	int r;

	if (api_body(call, wire_methods[MSG_executive_vote].params, &q) < 0)
		return;
	if (q.has_by) {
		api_failf(call, TR_EINVAL, "by", "is the name of whoever calls, and must not be in the body");
		return;
	}
	msg = open_of(&q);
	msg.by = wire_s(api_principal_name(call));
	msg.common.has_request_id = true;
	msg.common.request_id = wire_s(call->effect_id);
	if ((r = vote_start(call->api, &msg, api_left_ms(call), on_http_vote, call)) < 0)
		api_failf(call, r, "", "%s", tr_strerror(r));
}

/* ---- looking ---- */
static void listed(struct api_call *call, const void *res)
{
	api_reply_json(call, 200, api_encode(call, res));
}

void api_get_votes(struct api_call *call)
{
	struct msg_memory_votes msg;

	if (api_query(call, wire_methods[MSG_memory_votes].params, NULL, (struct http_str){NULL, 0}, &msg) == 0)
		api_forward(call, call->api->cfg.memory, MSG_memory_votes, &msg, UINT32_MAX, listed);
}

static void shown(struct api_call *call, const void *res)
{
	api_reply_json(call, 200, vote_json(&((const struct res_memory_vote *)res)->vote));
}

static void shown_new(struct api_call *call, const void *res)
{
	api_reply_json(call, 201, vote_json(&((const struct res_memory_vote *)res)->vote));
}

void api_get_vote(struct api_call *call)
{
	struct msg_memory_vote msg;

	if (api_query(call, wire_methods[MSG_memory_vote].params, "id", http_segment(call->req, 3), &msg) == 0)
		api_forward(call, call->api->cfg.memory, MSG_memory_vote, &msg, UINT32_MAX, shown);
}

/* ---- a ballot from outside ---- */
/* Who is bound to a source is shown what it said itself: the proposal and others' ballots are of no source of its. */
static void counted_own(struct api_call *call, const struct res_memory_vote_cast *res)
{
	json_t *doc = json_pack("{s:o,s:o}", "vote_id", json_stringn_nocheck(res->vote_id.p, res->vote_id.n), "ballot",
				json_encode(&wire_shape_ballot, call->own));

	api_reply_json(call, res->changed ? 201 : 200, doc);
}

static void counted(struct api_call *call, const void *res)
{
	const struct res_memory_vote_cast *r = res;
	struct msg_memory_vote msg = {.id = r->vote_id};

	if (call->who.has_source)
		counted_own(call, r);
	else
		api_forward(call, call->api->cfg.memory, MSG_memory_vote, &msg, UINT32_MAX,
			    r->changed ? shown_new : shown);
}

void api_post_ballot(struct api_call *call)
{
	const char *name = api_principal_name(call);
	struct item_ballot ballot = {.voter = wire_s(name)}, *own;
	struct msg_memory_vote_cast msg = {.ballots = {&ballot, 1}};
	struct msg_memory_vote vote;
	struct item_new_ballot cast;

	if (api_query(call, wire_methods[MSG_memory_vote].params, "id", http_segment(call->req, 3), &vote) < 0 ||
	    api_body(call, &wire_shape_new_ballot, &cast) < 0)
		return;
	if (cast.has_voter && !names_others(call)) {
		api_failf(call, TR_EREFUSED, "voter", "is the name of the token, and must not be in the body");
		return;
	}
	if (cast.has_voter)
		ballot.voter = cast.voter;
	ballot.choice = cast.choice;
	ballot.has_confidence = cast.has_confidence;
	ballot.confidence = cast.confidence;
	ballot.has_reason = cast.has_reason;
	ballot.reason = cast.reason;
	ballot.has_evidence = cast.has_evidence;
	ballot.evidence = cast.evidence;
	if ((own = msgpack_zone_malloc(call->zone, sizeof(*own))) == NULL) {
		api_failf(call, TR_ENOMEM, "", "%s", tr_strerror(TR_ENOMEM));
		return;
	}
	*own = ballot;
	call->own = own;
	msg.vote_id = vote.id;
	msg.common.has_request_id = true;
	msg.common.request_id = wire_s(call->effect_id);
	api_forward(call, call->api->cfg.memory, MSG_memory_vote_cast, &msg, UINT32_MAX, counted);
}

/* ---- RPC ---- */
static void on_rpc_vote(void *arg, int r, const struct item_vote *vote, bool created, const struct tr_fault *fault)
{
	struct res_executive_vote res = {.none = 0};

	(void)created;
	if (r < 0) {
		chan_fail(arg, fault);
		return;
	}
	res.vote = *vote;
	chan_reply(arg, &res);
}

void api_rpc_vote(void *arg, struct chan_call *call, const void *msg)
{
	const struct wire_common *common = chan_call_common(call);
	struct msg_memory_vote_open open = open_of(msg);
	struct api *api = arg;
	uint32_t left = chan_call_left_ms(call);
	int r;

	open.common.has_request_id = common->has_request_id; /* else memory-jr's peer makes one */
	open.common.request_id = common->request_id;
	if (left > api->cfg.request_timeout_ms)
		left = api->cfg.request_timeout_ms;
	if ((r = vote_start(api, &open, left, on_rpc_vote, call)) < 0)
		chan_failf(call, r, "", "%s", tr_strerror(r));
}
