/* POST /api/v1/ask and the RPC method executive.ask; the Jrs behind are played (api_fake.h). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "tests/unit/api_client.h"

static void ask(void **state)
{
	(void)state;
	fx.found = 3;
	assert_int_equal(
		POST("/api/v1/ask", "{\"question\":\"When did Caroline move?\",\"detail\":\"full\",\"limit\":3}"), 200);
	assert_string_equal(fx.last, "When did Caroline move? sources=3 detail=full");
	assert_string_equal(text("answer"), "In May.");
	assert_string_equal(text("memory_id"), "m-0");
	assert_string_equal(text("synthesis"), "extractive");
	assert_string_equal(text("confidence_basis"), "played");
	assert_true(json_real_value(json_object_get(rp.doc, "confidence")) == 0.8);
	assert_true(json_real_value(json_object_get(rp.doc, "phase_coherence")) == 0.5); /* of the two that are known */
	assert_int_equal(json_array_size(json_object_get(rp.doc, "sources")), 3);
	assert_true(json_is_array(json_object_get(rp.doc, "degraded")));
	assert_int_equal(json_array_size(json_object_get(rp.doc, "degraded")), 0);
	assert_int_equal(strlen(text("timestamp")), 24);
	assert_true(has(text("request_id")));

	assert_string_equal(fx.recall_id, text("request_id"));
	assert_string_equal(fx.request_id, text("request_id")); /* of integration-jr's call */
	assert_int_equal(request("POST", "/api/v1/ask", JSON "X-Request-Id: mine\r\nIdempotency-Key: k\r\n",
				 "{\"question\":\"a\"}"),
			 200);
	assert_string_equal(fx.recall_id, "mine");
	assert_string_equal(fx.request_id, "mine");

	fx.found = 0;
	assert_int_equal(POST("/api/v1/ask", "{\"question\":\"Why?\"}"), 200);
	assert_string_equal(fx.last, "q=Why? limit=5 touch=-1 tag= before=0 min=-1 explain=0");
	assert_true(strstr(text("answer"), "Nothing") != NULL);
	assert_true(json_number_value(json_object_get(rp.doc, "confidence")) == 0);
	assert_int_equal(json_array_size(json_object_get(rp.doc, "sources")), 0);
	assert_null(json_object_get(rp.doc, "memory_id"));
	assert_true(json_is_null(json_object_get(rp.doc, "phase_coherence")));
	assert_int_equal(POST("/api/v1/ask", "{\"question\":\"Why?\",\"context\":\"Berlin\",\"tag\":\"t\"}"), 200);
	assert_string_equal(fx.last, "q=Why? Berlin limit=5 touch=-1 tag=t before=0 min=-1 explain=0");

	POST("/api/v1/ask", "{\"question\":\"\"}");
	check_problem(422, "invalid", "\"question\"");
	POST("/api/v1/ask", "{\"question\":\"a\",\"detail\":\"long\"}");
	check_problem(422, "invalid", "\"detail\" must be concise, summary or full");
	POST("/api/v1/ask", "[]");
	check_problem(422, "invalid", "object");
}

static void ask_again(void **state)
{
	static const char question[] = "{\"question\":\"When did Caroline move?\"}";
	char *first;

	(void)state;
	fx.found = 2;
	assert_int_equal(request("POST", "/api/v1/ask", JSON "Idempotency-Key: q\r\n", question), 200);
	first = strdup(rp.body);
	fx.found = 0; /* an answer made now would be another one */
	assert_int_equal(request("POST", "/api/v1/ask", JSON "Idempotency-Key: q\r\n",
				 "{ \"question\" : \"When did Caroline move?\" }"),
			 200);
	assert_string_equal(rp.body, first);
	free(first);
	assert_true(has("Content-Type: application/json\r\n") && has("Cache-Control: no-store\r\n"));
	request("POST", "/api/v1/ask", JSON "Idempotency-Key: q\r\n", "{\"question\":\"Why?\"}");
	check_problem(422, "key_reused", "\"Idempotency-Key\" was used for another request");
	assert_int_equal(request("POST", "/api/v1/ask", JSON "Idempotency-Key: other\r\n", question), 200);
	assert_int_equal(json_array_size(json_object_get(rp.doc, "sources")), 0);
	fx.memory_mood = FAIL; /* what failed may be tried again */
	fx.code = TR_EUNAVAILABLE;
	assert_int_equal(request("POST", "/api/v1/ask", JSON "Idempotency-Key: r\r\n", question), 503);
	fx.memory_mood = ANSWER;
	assert_int_equal(request("POST", "/api/v1/ask", JSON "Idempotency-Key: r\r\n", question), 200);
	assert_int_equal(request("POST", "/api/v1/ask", JSON "Idempotency-Key: s\r\n",
				 "{\"question\":\"a\",\"detail\":\"long\"}"),
			 422);
	assert_int_equal(request("POST", "/api/v1/ask", JSON "Idempotency-Key: s\r\n", question), 200);
}

/* An answer that is kept does not outlive what it quotes. */
static void ask_after_forgetting(void **state)
{
	static const char question[] = "{\"question\":\"When did Caroline move?\"}";
	char path[64];

	(void)state;
	fx.found = 2;
	assert_int_equal(request("POST", "/api/v1/ask", JSON "Idempotency-Key: f\r\n", question), 200);
	snprintf(path, sizeof(path), "/api/v1/memories/%s", text("memory_id"));
	fx.found = 0;
	assert_int_equal(request("DELETE", "/api/v1/memories/another", "", NULL), 204);
	assert_int_equal(request("POST", "/api/v1/ask", JSON "Idempotency-Key: f\r\n", question), 200);
	assert_int_equal(json_array_size(json_object_get(rp.doc, "sources")), 2);
	assert_int_equal(request("DELETE", path, "", NULL), 204);
	assert_int_equal(request("POST", "/api/v1/ask", JSON "Idempotency-Key: f\r\n", question), 200);
	assert_int_equal(json_array_size(json_object_get(rp.doc, "sources")), 0);
}

static void ask_lengths(void **state)
{
	struct buf b = {0};

	(void)state;
	for (int past = 0; past < 2; past++) { /* characters, not bytes; with a context the words still fit */
		buf_clear(&b);
		buf_puts(&b, "{\"question\":\"");
		for (int i = 0; i < 1000 + past; i++)
			buf_puts(&b, "\xc3\xa4");
		buf_puts(&b, "\",\"context\":\"\xc3\xa4\xc3\xa4\"}");
		assert_int_equal(POST("/api/v1/ask", b.p), past ? 422 : 200);
	}
	buf_free(&b);
}

static void ask_degraded(void **state)
{
	(void)state;
	fx.found = 2;
	for (int i = 0; i < 2; i++) {
		fx.integration_mood = i == 0 ? FAIL : SILENT;
		fx.code = TR_EINTERNAL;
		assert_int_equal(POST("/api/v1/ask", "{\"question\":\"When did Caroline move?\"}"), 200);
		assert_string_equal(text("answer"), "Caroline moved to Berlin in May.");
		assert_string_equal(text("synthesis"), "extractive");
		assert_string_equal(json_string_value(json_array_get(json_object_get(rp.doc, "degraded"), 0)),
				    "integration_jr");
		assert_true(json_real_value(json_object_get(rp.doc, "confidence")) <= 0.5);
		assert_non_null(strstr(text("confidence_basis"), "integration_jr"));
		assert_string_equal(text("memory_id"), "m-0");
	}
	fx.integration_state = "down"; /* not waited for, and nobody else ends with it */
	assert_int_equal(POST("/api/v1/ask", "{\"question\":\"When did Caroline move?\"}"), 200);
	assert_int_equal(json_array_size(json_object_get(rp.doc, "degraded")), 1);
	fx.memory_mood = FAIL;
	fx.code = TR_EUNAVAILABLE;
	POST("/api/v1/ask", "{\"question\":\"When?\"}");
	check_problem(503, "unavailable", "must be a number"); /* its own words say more than ours */
	fx.memory_mood = SILENT;
	fx.memory_state = "down";
	POST("/api/v1/ask", "{\"question\":\"When?\"}");
	check_problem(503, "unavailable", "memory_jr is down");
}

struct rpc {
	int r;
	bool done;
	char answer[64], field[64], id[64];
};

static void on_rpc(void *arg, int r, const void *res, const struct tr_fault *fault)
{
	const struct res_executive_ask *a = res;
	struct rpc *rpc = arg;

	rpc->r = r;
	rpc->done = true;
	if (r == 0) {
		snprintf(rpc->answer, sizeof(rpc->answer), "%.*s", (int)a->answer.n, a->answer.p);
		snprintf(rpc->id, sizeof(rpc->id), "%.*s", (int)a->request_id.n, a->request_id.p);
	} else {
		snprintf(rpc->field, sizeof(rpc->field), "%s", fault->field);
	}
}

static struct rpc rpc_ask(const char *detail)
{
	struct msg_executive_ask q = {.question = wire_s("When?"), .detail = wire_s(detail), .has_detail = true};
	struct rpc rpc = {0};

	q.common.request_id = wire_s("rpc-1");
	q.common.has_request_id = true;
	assert_int_equal(peer_call(fx.to_executive, MSG_executive_ask, &q, 5000, on_rpc, &rpc, NULL), 0);
	loop_timer_start(fx.watchdog, WAIT_MS, 0);
	while (!rpc.done)
		uv_run(&fx.loop, UV_RUN_ONCE);
	loop_timer_stop(fx.watchdog);
	return rpc;
}

static void ask_by_rpc(void **state)
{
	struct rpc rpc;

	(void)state;
	fx.found = 1;
	rpc = rpc_ask("concise");
	assert_int_equal(rpc.r, 0);
	assert_string_equal(rpc.answer, "In May.");
	assert_string_equal(rpc.id, "rpc-1");
	assert_string_equal(fx.recall_id, "rpc-1");
	rpc = rpc_ask("long");
	assert_int_equal(rpc.r, TR_EINVAL);
	assert_string_equal(rpc.field, "detail");
	fx.memory_mood = FAIL;
	fx.code = TR_EBUSY;
	assert_int_equal(rpc_ask("full").r, TR_EBUSY);
}

static void forget_last(void **state)
{
	(void)state;
	forget();
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		T(ask),          T(ask_again),  T(ask_after_forgetting),       T(ask_lengths),
		T(ask_degraded), T(ask_by_rpc), cmocka_unit_test(forget_last),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
