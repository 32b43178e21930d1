/* GET /api/v1/thermal. Whoever asks while memory-jr is being asked waits for the next question, which is then asked
 * once for all of them: each answer is of a moment behind its request, and a hundred clients cost what one costs. Those
 * who are bound to a source stand in a line of their own, where one source is asked for at a time, once for all who may
 * see it: its rows are counted for that, on one of memory-jr's two readers. */
#include "jrs/executive/api/internal.h"
#include <stdlib.h>
#include <string.h>

#define HOTTEST 10

static void ask(struct api *api, struct thermal_line *line);

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
	for (int i = 0; i < 2; i++) {
		struct thermal_line *line = i == 0 ? &t->api->thermal.all : &t->api->thermal.own;
		bool due = line->due;

		line->due = false;
		if (due)
			ask(t->api, line);
	}
}

/* Asks the next question when the sockets that are ready have been read: who stands there joins it. */
static void gather(struct api *api, struct thermal_line *line)
{
	struct turn *t = api->thermal.turn;

	if (TAILQ_EMPTY(&line->next)) {
		line->asking = false;
		return;
	}
	if (t == NULL && (t = calloc(1, sizeof(*t))) != NULL) {
		t->api = api;
		uv_check_init(api->cfg.loop, &t->check);
		t->check.data = t;
		api->thermal.turn = t;
	}
	line->due = t != NULL;
	if (t == NULL)
		ask(api, line);
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
static void fail_all(struct thermal_line *line, struct call_list *calls, int r, const struct tr_fault *fault)
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
	TAILQ_CONCAT(&again, &line->next, in_turn); /* the oldest first */
	TAILQ_CONCAT(&line->next, &again, in_turn);
}

static void answer_all(struct thermal_line *line, struct call_list *calls, const struct res_memory_thermal *res)
{
	static const struct tr_fault no_memory = {.code = TR_ENOMEM};
	struct buf body = {0};
	struct api_call *call;

	if (json_write(wire_methods[MSG_memory_thermal].result, res, NULLS, &body) < 0)
		fail_all(line, calls, TR_ENOMEM, &no_memory);
	while ((call = TAILQ_FIRST(calls)) != NULL) {
		TAILQ_REMOVE(calls, call, in_turn);
		api_reply_fixed(call, 200, "application/json", body.p, body.len);
	}
	buf_free(&body);
}

static void on_answer(struct api *api, struct thermal_line *line, int r, const void *res, const struct tr_fault *fault)
{
	struct call_list calls = TAILQ_HEAD_INITIALIZER(calls);

	TAILQ_CONCAT(&calls, &line->now, in_turn);
	if (r == TR_ECLOSED) /* this process leaves: there is nobody to ask any more */
		TAILQ_CONCAT(&calls, &line->next, in_turn);
	if (r < 0) {
		fail_all(line, &calls, r, fault);
	} else {
		api_archive_answered(api);
		answer_all(line, &calls, res);
	}
	gather(api, line);
}

static void on_all(void *arg, int r, const void *res, const struct tr_fault *fault)
{
	struct api *api = arg;

	on_answer(api, &api->thermal.all, r, res, fault);
}

static void on_own(void *arg, int r, const void *res, const struct tr_fault *fault)
{
	struct api *api = arg;

	on_answer(api, &api->thermal.own, r, res, fault);
}

/* Those for whom the same memories exist as for the first of the line. */
static struct api_call *take_alike(struct thermal_line *line)
{
	struct api_call *first = TAILQ_FIRST(&line->next), *call, *next;

	for (call = first; call != NULL; call = next) {
		next = TAILQ_NEXT(call, in_turn);
		if (strcmp(call->who.source, first->who.source) != 0)
			continue;
		TAILQ_REMOVE(&line->next, call, in_turn);
		TAILQ_INSERT_TAIL(&line->now, call, in_turn);
	}
	return first;
}

/* Answering may bring a connection's next request: until the last of them has its answer it waits in next. */
static void ask(struct api *api, struct thermal_line *line)
{
	struct msg_memory_thermal msg = {.hottest = HOTTEST, .has_hottest = true};
	struct api_call *first;

	line->asking = true;
	while ((first = take_alike(line)) != NULL) { /* with the least time left, or nearly */
		struct call_list calls = TAILQ_HEAD_INITIALIZER(calls);
		struct tr_fault fault = {0};
		int r;

		msg.common.request_id = wire_s(http_request_id(first->req));
		msg.common.has_request_id = true;
		msg.common.only_source = wire_s(first->who.source);
		msg.common.has_only_source = first->who.has_source;
		r = api_ask_gated(api, api->cfg.memory, MSG_memory_thermal, &msg, api_left_ms(first),
				  line == &api->thermal.all ? on_all : on_own, api);
		if (r == 0)
			return;
		(void)tr_fault_set(&fault, r, "", "%s", tr_strerror(r));
		TAILQ_CONCAT(&calls, &line->now, in_turn);
		fail_all(line, &calls, r, &fault);
	}
	line->asking = false;
}

void api_get_thermal(struct api_call *call)
{
	struct api *api = call->api;
	struct thermal_line *line = call->who.has_source ? &api->thermal.own : &api->thermal.all;

	TAILQ_INSERT_TAIL(&line->next, call, in_turn);
	if (!line->asking)
		ask(api, line);
}
