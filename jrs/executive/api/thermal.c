/* GET /api/v1/thermal. Whoever asks while memory-jr is being asked waits for the next question, which is then asked
 * once for all of them: each answer is of a moment behind its request, and a hundred clients cost what one costs. */
#include "jrs/executive/api/internal.h"
#include <stdlib.h>
#include <string.h>

#define HOTTEST 10

static void ask(struct api *api);

/* ---- the end of the loop's turn ---- */
struct turn {
	uv_check_t check;
	struct api *api;
};

static void on_closed(uv_handle_t *h)
{
	free(h->data);
}

static void on_turn(uv_check_t *check)
{
	struct turn *t = check->data;

	uv_check_stop(check);
	ask(t->api);
}

/* Asks the next question when the sockets that are ready have been read: who stands there joins it. */
static void gather(struct api *api)
{
	struct turn *t = api->thermal.turn;

	if (TAILQ_EMPTY(&api->thermal.next)) {
		api->thermal.asking = false;
		return;
	}
	if (t == NULL && (t = calloc(1, sizeof(*t))) != NULL) {
		t->api = api;
		uv_check_init(api->cfg.loop, &t->check);
		t->check.data = t;
		api->thermal.turn = t;
	}
	if (t == NULL)
		ask(api);
	else
		uv_check_start(&t->check, on_turn);
}

void thermal_free(struct api *api)
{
	if (api->thermal.turn != NULL)
		uv_close((uv_handle_t *)&api->thermal.turn->check, on_closed);
	api->thermal.turn = NULL;
}

/* Those fields are always there: null when nobody knows them. */
#define NULLS "average_temperature sacred_min_temperature phase_coherence_avg thermal_entropy"

/* ---- one for all ---- */
static void fail_all(struct api *api, struct call_list *calls, int r, const struct tr_fault *fault)
{
	struct call_list again = TAILQ_HEAD_INITIALIZER(again);
	struct api_call *call;

	while ((call = TAILQ_FIRST(calls)) != NULL) {
		TAILQ_REMOVE(calls, call, in_turn);
		if (r == TR_EDEADLINE && api_left_ms(call) > 1) /* it came later, and has time left */
			TAILQ_INSERT_TAIL(&again, call, in_turn);
		else
			api_fail(call, fault);
	}
	TAILQ_CONCAT(&again, &api->thermal.next, in_turn); /* the oldest first */
	TAILQ_CONCAT(&api->thermal.next, &again, in_turn);
}

static void answer_all(struct api *api, struct call_list *calls, const struct res_memory_thermal *res)
{
	static const struct tr_fault no_memory = {.code = TR_ENOMEM};
	struct buf body = {0};
	struct api_call *call;

	if (json_write(wire_methods[MSG_memory_thermal].result, res, NULLS, &body) < 0)
		fail_all(api, calls, TR_ENOMEM, &no_memory);
	while ((call = TAILQ_FIRST(calls)) != NULL) {
		TAILQ_REMOVE(calls, call, in_turn);
		api_reply_fixed(call, 200, "application/json", body.p, body.len);
	}
	buf_free(&body);
}

static void on_answer(void *arg, int r, const void *res, const struct tr_fault *fault)
{
	struct api *api = arg;
	struct call_list calls = TAILQ_HEAD_INITIALIZER(calls);

	TAILQ_CONCAT(&calls, &api->thermal.now, in_turn);
	if (r == TR_ECLOSED) /* this process leaves: there is nobody to ask any more */
		TAILQ_CONCAT(&calls, &api->thermal.next, in_turn);
	if (r < 0) {
		fail_all(api, &calls, r, fault);
	} else {
		api_archive_answered(api);
		answer_all(api, &calls, res);
	}
	gather(api);
}

/* Answering may bring a connection's next request: until the last of them has its answer it waits in next. */
static void ask(struct api *api)
{
	struct msg_memory_thermal msg = {.hottest = HOTTEST, .has_hottest = true};
	struct api_call *first;

	api->thermal.asking = true;
	while ((first = TAILQ_FIRST(&api->thermal.next)) != NULL) { /* with the least time left, or nearly */
		struct call_list calls = TAILQ_HEAD_INITIALIZER(calls);
		struct tr_fault fault = {0};
		int r;

		msg.common.request_id = wire_s(http_request_id(first->req));
		msg.common.has_request_id = true;
		TAILQ_CONCAT(&api->thermal.now, &api->thermal.next, in_turn);
		r = api_ask(api, api->cfg.memory, MSG_memory_thermal, &msg, api_left_ms(first), on_answer, api);
		if (r == 0)
			return;
		(void)tr_fault_set(&fault, r, "", "%s", tr_strerror(r));
		TAILQ_CONCAT(&calls, &api->thermal.now, in_turn);
		fail_all(api, &calls, r, &fault);
	}
	api->thermal.asking = false;
}

/* ---- one for one: other memories exist for whoever is bound to a source ---- */
static void measured(struct api_call *call, const void *res)
{
	api_reply_struct(call, 200, call->shape, res, NULLS);
}

void api_get_thermal(struct api_call *call)
{
	struct msg_memory_thermal msg = {.hottest = HOTTEST, .has_hottest = true};
	struct api *api = call->api;

	if (call->who.has_source) {
		api_forward(call, api->cfg.memory, MSG_memory_thermal, &msg, UINT32_MAX, measured);
		return;
	}
	TAILQ_INSERT_TAIL(&api->thermal.next, call, in_turn);
	if (!api->thermal.asking)
		ask(api);
}
