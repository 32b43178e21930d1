/* jrs/executive/api behind a real HTTP socket, with memory-jr, integration-jr and meta-jr played by this program on
 * Unix sockets in a directory of its own; everything on one loop. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "common/loop/loop.h"
#include "jrs/executive/api/api.h"
#include "proto/json/json.h"
#include "tests/unit/api_fake.h"
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

/* ---- the client: one request a connection, read to its end ---- */
static struct reply {
	struct buf raw;
	int status;
	const char *body;
	json_t *doc; /* NULL when the body is not JSON */
	bool end;
} rp;

static void on_poll(uv_poll_t *p, int status_, int events)
{
	char tmp[65536];
	int fd = *(int *)p->data;
	ssize_t n = recv(fd, tmp, sizeof(tmp), MSG_DONTWAIT);

	(void)status_;
	(void)events;
	if (n > 0)
		buf_append(&rp.raw, tmp, (size_t)n);
	else if (n == 0 || errno != EAGAIN)
		rp.end = true;
}

static void on_poll_closed(uv_handle_t *h)
{
	h->data = NULL;
}

static void forget(void)
{
	json_decref(rp.doc);
	buf_free(&rp.raw);
	memset(&rp, 0, sizeof(rp));
}

static int exchange(const char *p, size_t n)
{
	struct tr_fault fault;
	uv_poll_t poll;
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	forget();
	assert_int_equal(connect(fd, (struct sockaddr *)&fx.addr, sizeof(fx.addr)), 0);
	uv_poll_init(&fx.loop, &poll, fd);
	poll.data = &fd;
	uv_poll_start(&poll, UV_READABLE, on_poll);
	loop_timer_start(fx.watchdog, WAIT_MS, 0);
	while (n > 0) {
		ssize_t k = send(fd, p, n, MSG_DONTWAIT | MSG_NOSIGNAL);

		if (k < 0 && errno != EAGAIN)
			break;
		p += k < 0 ? 0 : k;
		n -= k < 0 ? 0 : (size_t)k;
		uv_run(&fx.loop, UV_RUN_NOWAIT);
	}
	while (!rp.end)
		uv_run(&fx.loop, UV_RUN_ONCE);
	uv_close((uv_handle_t *)&poll, on_poll_closed);
	while (poll.data != NULL)
		uv_run(&fx.loop, UV_RUN_NOWAIT);
	loop_timer_stop(fx.watchdog);
	close(fd);
	assert_non_null(rp.raw.p);
	rp.status = atoi(rp.raw.p + strlen("HTTP/1.1 "));
	rp.body = strstr(rp.raw.p, "\r\n\r\n") + 4;
	if (json_parse(&rp.doc, rp.body, strlen(rp.body), &fault) < 0)
		rp.doc = NULL;
	return rp.status;
}

static int request(const char *method, const char *target, const char *headers, const char *body)
{
	struct buf b = {0};
	int r;

	buf_printf(&b, "%s %s HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n%s", method, target, headers);
	if (body != NULL)
		buf_printf(&b, "Content-Length: %zu\r\n\r\n%s", strlen(body), body);
	else
		buf_puts(&b, "\r\n");
	r = exchange(b.p, b.len);
	buf_free(&b);
	return r;
}
#define SEND(bytes)        exchange(bytes, strlen(bytes))
#define JSON               "Content-Type: application/json\r\n"
#define NDJSON             "Content-Type: application/x-ndjson\r\n"
#define GET(target)        request("GET", target, "", NULL)
#define POST(target, body) request("POST", target, JSON, body)

static const char *text(const char *name)
{
	const char *s = json_string_value(json_object_get(rp.doc, name));

	return s == NULL ? "(none)" : s;
}

static bool has(const char *needle)
{
	return strstr(rp.raw.p, needle) != NULL;
}

/* Every error is a problem with all its members, and says nothing of the inside. */
static void check_problem(int status_, const char *name, const char *detail)
{
	char type[128];

	if (rp.status != status_)
		fail_msg("%d instead of %d: %s", rp.status, status_, rp.raw.p);
	snprintf(type, sizeof(type), "urn:tribe:problem:%s", name);
	assert_true(has("Content-Type: application/problem+json\r\n"));
	assert_true(has("Cache-Control: no-store\r\n"));
	assert_non_null(rp.doc);
	assert_string_equal(text("type"), type);
	assert_int_equal(json_integer_value(json_object_get(rp.doc, "status")), status_);
	assert_true(strlen(text("title")) > 3 && strlen(text("request_id")) > 3);
	if (strstr(text("detail"), detail) == NULL)
		fail_msg("\"%s\" is not in: %s", detail, text("detail"));
	assert_int_equal(has("Retry-After: "), status_ == 503);
}

/* ---- tests ---- */
static void add_memories(void **state)
{
	char id[160];

	(void)state;
	assert_int_equal(
		POST("/api/v1/memories", "{\"content\":\"one\",\"tags\":[\"a\"],\"at\":\"2026-01-02T03:04:05Z\"}"),
		201);
	assert_string_equal(fx.last, "one");
	assert_int_equal(fx.last_n, 1);
	assert_int_equal(strncmp(fx.request_id, "req:", 4), 0);
	assert_true(fx.deadline > 0 && fx.deadline <= 5000);
	strcpy(id, fx.request_id);
	assert_int_equal(json_array_size(json_object_get(rp.doc, "memories")), 1);
	assert_true(has("X-Content-Type-Options: nosniff\r\n") && has("Cache-Control: no-store\r\n"));
	assert_int_equal(request("POST", "/api/v1/memories", JSON "X-Request-Id: mine\r\n",
				 "[{\"content\":\"a\"},{\"content\":\"b\"}]"),
			 201);
	assert_int_equal(fx.last_n, 2);
	assert_string_not_equal(fx.request_id, id); /* another request, another id */
	assert_null(strstr(fx.request_id, "mine"));
	assert_true(has("X-Request-Id: mine\r\n"));
	fx.known = true;
	assert_int_equal(
		request("POST", "/api/v1/memories", NDJSON, "{\"content\":\"a\"}\r\n\n  \n{\"content\":\"b\"}"), 200);
	assert_int_equal(fx.last_n, 2);
	assert_string_equal(fx.last, "b");
	assert_int_equal(request("POST", "/api/v1/memories", JSON "Idempotency-Key: k-1\r\n", "{\"content\":\"a\"}"),
			 200);
	assert_string_equal(fx.request_id, "key:k-1");
	assert_int_equal(fx.errors, 0);
}

static void add_refused(void **state)
{
	static const struct {
		const char *headers, *body;
		int status;
		const char *name, *detail;
	} t[] = {
		{JSON, "{\"content\":\"a\"", 400, "malformed", "line 1"},
		{JSON, "", 400, "malformed", ""},
		{JSON, "{\"content\":\"\\u0000\"}", 400, "malformed", ""},
		{JSON, "{\"content\":\"\xff\"}", 400, "malformed", ""},
		{JSON, "{\"content\":\"a\",\"content\":\"b\"}", 400, "malformed", ""},
		{JSON, "{}", 422, "invalid", "\"content\""},
		{JSON, "3", 422, "invalid", "object"},
		{JSON, "[]", 422, "invalid", "at least one"},
		{JSON, "{\"content\":\"\"}", 422, "invalid", "\"content\""},
		{JSON, "{\"content\":3}", 422, "invalid", "\"content\" must be a string"},
		{JSON, "{\"content\":\"a\",\"importance\":1.5}", 422, "invalid",
		 "\"importance\" must be a number from 0 to 1"},
		{JSON, "{\"content\":\"a\",\"at\":\"yesterday\"}", 422, "invalid", "\"at\""},
		{JSON, "{\"content\":\"a\",\"colour\":1}", 422, "invalid", "\"colour\""},
		{JSON, "[{\"content\":\"a\"},{\"content\":\"a\",\"tags\":[1]}]", 422, "invalid", "\"[1].tags[0]\""},
		{NDJSON, "{\"content\":\"a\"}\n\n{\"content\":2}\n", 422, "invalid", "\"line 3.content\""},
		{NDJSON, "{\"content\":\"a\"}\n{\"content\"\n", 400, "malformed", "line 2"},
		{NDJSON, "\n \n", 422, "invalid", "at least one"},
		{"Content-Type: text/plain\r\n", "x", 415, "unsupported_media_type", "application/json"},
		{"Content-Type: application/json;charset=latin1\r\n", "{}", 415, "unsupported_media_type", ""},
		{JSON "Content-Encoding: gzip\r\n", "{}", 415, "unsupported_media_type", ""},
		{"", "{}", 415, "unsupported_media_type", ""},
		{JSON "Accept: text/html\r\n", "{\"content\":\"a\"}", 406, "not_acceptable", "application/json"},
		{JSON "Idempotency-Key: a b\r\n", "{\"content\":\"a\"}", 422, "invalid", "\"Idempotency-Key\""},
		{JSON "Idempotency-Key:\r\n", "{\"content\":\"a\"}", 422, "invalid", "\"Idempotency-Key\""},
		{JSON "Idempotency-Key: a\r\nIdempotency-Key: b\r\n", "{\"content\":\"a\"}", 422, "invalid", ""},
	};
	struct buf b = {0};

	(void)state;
	for (size_t i = 0; i < sizeof(t) / sizeof(*t); i++) {
		request("POST", "/api/v1/memories", t[i].headers, t[i].body);
		check_problem(t[i].status, t[i].name, t[i].detail);
	}
	assert_int_equal(chan_server_stats(fx.memory)->requests, 0); /* none of it went further */

	/* 64 KiB at the bound and one past; 10,000 memories and one more; more values than anybody needs */
	for (int past = 0; past < 2; past++) {
		buf_clear(&b);
		buf_puts(&b, "{\"content\":\"");
		for (int i = 0; i < WIRE_CONTENT_MAX + past; i++)
			buf_puts(&b, "x");
		buf_puts(&b, "\"}");
		assert_int_equal(POST("/api/v1/memories", b.p), past ? 422 : 201);
		buf_clear(&b);
		for (int i = 0; i < WIRE_BATCH_MAX + past; i++)
			buf_puts(&b, "{\"content\":\"x\"}\n");
		assert_int_equal(request("POST", "/api/v1/memories", NDJSON, b.p), past ? 422 : 201);
	}
	assert_int_equal(fx.last_n, WIRE_BATCH_MAX);
	buf_clear(&b);
	for (int i = 0; i < 1000001; i++)
		buf_puts(&b, "[");
	POST("/api/v1/memories", b.p);
	check_problem(413, "too_big", "values");
	buf_free(&b);
}

static void errors_of_memory_jr(void **state)
{
	static const struct {
		int code, status;
		const char *name;
		bool telling;
	} t[] = {
		{TR_EINVAL, 422, "invalid", true},
		{TR_ECONFLICT, 409, "conflict", true},
		{TR_EMISMATCH, 422, "key_reused", false},
		{TR_ENOTFOUND, 404, "not_found", true},
		{TR_EREFUSED, 403, "refused", true},
		{TR_EBUSY, 503, "busy", false},
		{TR_EUNAVAILABLE, 503, "unavailable", false},
		{TR_ESTORE, 503, "store", false},
		{TR_EINTERNAL, 500, "internal", false},
		{TR_EPROTO, 500, "internal", false},
	};

	(void)state;
	fx.memory_mood = FAIL;
	for (size_t i = 0; i < sizeof(t) / sizeof(*t); i++) {
		fx.code = t[i].code;
		POST("/api/v1/memories", "{\"content\":\"a\"}");
		check_problem(t[i].status, t[i].name, t[i].telling ? "\"importance\" must be" : "");
		if (!t[i].telling)
			assert_null(strstr(text("detail"), "importance"));
	}
	assert_int_equal(fx.errors, 5);
}

static void recall(void **state)
{
	(void)state;
	fx.found = 2;
	assert_int_equal(GET("/api/v1/memories?q=Wo+ist%20sie%3F&limit=200&tag=t&touch=false&min_temperature=3.5"
			     "&before=1970-01-01T00:00:01Z"),
			 200);
	assert_string_equal(fx.last, "q=Wo ist sie? limit=200 touch=0 tag=t before=1000 min=3.5");
	assert_int_equal(json_array_size(json_object_get(rp.doc, "memories")), 2);
	assert_true(json_is_null(json_object_get(rp.doc, "next_cursor")));
	assert_int_equal(GET("/api/v1/memories"), 200);
	assert_string_equal(fx.last, "q=- limit=0 touch=-1 tag= before=0 min=-1");
	assert_int_equal(request("HEAD", "/api/v1/memories", "", NULL), 200);
	assert_string_equal(rp.body, "");
	GET("/api/v1/memories?colour=1");
	check_problem(422, "invalid", "\"colour\" is not a parameter of this call");
	GET(
		"/api/v1/"
		"memories?%C3%A4%C3%A4%C3%A4%C3%A4%C3%A4%C3%A4%C3%A4%C3%A4%C3%A4%C3%A4%C3%A4%C3%A4%C3%A4%C3%A4%C3%A4%"
		"C3%A4%C3%A4"
		"%C3%A4%C3%A4%C3%A4%C3%A4%C3%A4%C3%A4%C3%A4%C3%A4%C3%A4%C3%A4%C3%A4%C3%A4%C3%A4%C3%A4%C3%A4%C3%A4%C3%"
		"A4"); /* too long */
	check_problem(422, "invalid", "is not a parameter of this call");
	GET("/api/v1/memories?toucher=x"); /* known inside, not outside */
	check_problem(422, "invalid", "\"toucher\"");
	GET("/api/v1/memories?limit=1&limit=2");
	check_problem(422, "invalid", "\"limit\" is given twice");
	GET("/api/v1/memories?limit=0");
	check_problem(422, "invalid", "\"limit\"");
	GET("/api/v1/memories?limit=201");
	check_problem(422, "invalid", "\"limit\"");
	GET("/api/v1/memories?limit=ten");
	check_problem(422, "invalid", "\"limit\"");
	GET("/api/v1/memories?touch=no");
	check_problem(422, "invalid", "\"touch\" must be true or false");
	GET("/api/v1/memories?min_temperature=nan");
	check_problem(422, "invalid", "\"min_temperature\"");
	GET("/api/v1/memories?after=2026-13-01T00:00:00Z");
	check_problem(422, "invalid", "\"after\"");
	GET("/api/v1/memories/a%2Fb%252F?touch=false");
	assert_int_equal(rp.status, 200);
	assert_string_equal(fx.last, "a/b%2F touch=0");
	assert_string_equal(text("content"), "Caroline moved to Berlin in May.");
	GET("/api/v1/memories/missing");
	check_problem(404, "not_found", "\"id\"");
	GET("/api/v1/memories/m?limit=1");
	check_problem(422, "invalid", "\"limit\"");
}

static void routing(void **state)
{
	(void)state;
	GET("/api/v1/nothing");
	check_problem(404, "not_found", "no such path");
	assert_int_equal(GET("/api/v1/memories/"), 404);
	assert_int_equal(GET("/api/v1/memories/a/b"), 404);
	assert_int_equal(GET("//"), 404);
	assert_int_equal(GET("/../healthz"), 404);
	request("DELETE", "/api/v1/memories", "", NULL);
	check_problem(405, "method_not_allowed", "DELETE");
	assert_true(has("Allow: GET, HEAD, POST, OPTIONS\r\n"));
	request("HEAD", "/api/v1/ask", "", NULL);
	assert_int_equal(rp.status, 405);
	assert_true(has("Allow: POST, OPTIONS\r\n"));
	assert_int_equal(request("OPTIONS", "/api/v1/ask", "", NULL), 204);
	assert_true(has("Allow: POST, OPTIONS\r\n") && !has("Content-Length"));
	assert_int_equal(request("OPTIONS", "*", "", NULL), 204);
	assert_int_equal(request("OPTIONS", "/nothing", "", NULL), 404);
	assert_int_equal(GET("/"), 200);
	assert_string_equal(text("name"), "tribe");
	assert_int_equal(GET("/healthz?probe=1"), 200);
	assert_int_equal(GET("http://localhost/healthz"), 200); /* absolute form */

	SEND("GET /healthz HTTP/1.1\r\nHost: evil.example\r\nConnection: close\r\n\r\n");
	check_problem(421, "misdirected", "Host");
	SEND("GET http://evil.example/healthz HTTP/1.1\r\nHost: evil.example\r\nConnection: close\r\n\r\n");
	check_problem(421, "misdirected", "Host");
	request("GET", "/healthz", "Origin: http://evil.example\r\n", NULL);
	check_problem(403, "refused", "Origin");
	request("GET", "/healthz", "Origin: null\r\n", NULL);
	check_problem(403, "refused", "Origin");
	assert_int_equal(request("GET", "/healthz", "Origin: http://127.0.0.1:3000\r\n", NULL), 200);
	request("GET", "/healthz", "Accept: text/html\r\n", NULL);
	check_problem(406, "not_acceptable", "");
}

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

	fx.found = 0;
	assert_int_equal(POST("/api/v1/ask", "{\"question\":\"Why?\"}"), 200);
	assert_string_equal(fx.last, "q=Why? limit=5 touch=-1 tag= before=0 min=-1");
	assert_true(strstr(text("answer"), "Nothing") != NULL);
	assert_true(json_number_value(json_object_get(rp.doc, "confidence")) == 0);
	assert_int_equal(json_array_size(json_object_get(rp.doc, "sources")), 0);
	assert_null(json_object_get(rp.doc, "memory_id"));
	assert_true(json_is_null(json_object_get(rp.doc, "phase_coherence")));
	assert_int_equal(POST("/api/v1/ask", "{\"question\":\"Why?\",\"context\":\"Berlin\",\"tag\":\"t\"}"), 200);
	assert_string_equal(fx.last, "q=Why? Berlin limit=5 touch=-1 tag=t before=0 min=-1");

	POST("/api/v1/ask", "{\"question\":\"\"}");
	check_problem(422, "invalid", "\"question\"");
	POST("/api/v1/ask", "{\"question\":\"a\",\"detail\":\"long\"}");
	check_problem(422, "invalid", "\"detail\" must be concise, summary or full");
	POST("/api/v1/ask", "[]");
	check_problem(422, "invalid", "object");
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
	fx.memory_mood = FAIL;
	fx.code = TR_EUNAVAILABLE;
	POST("/api/v1/ask", "{\"question\":\"When?\"}");
	check_problem(503, "unavailable", "");
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
	rpc = rpc_ask("long");
	assert_int_equal(rpc.r, TR_EINVAL);
	assert_string_equal(rpc.field, "detail");
	fx.memory_mood = FAIL;
	fx.code = TR_EBUSY;
	assert_int_equal(rpc_ask("full").r, TR_EBUSY);
}

static void decisions(void **state)
{
	(void)state;
	assert_int_equal(request("POST", "/api/v1/decisions", JSON "Idempotency-Key: d\r\n",
				 "{\"text\":\"We do.\",\"by\":\"ana\"}"),
			 201);
	assert_string_equal(fx.request_id, "key:d");
	assert_string_equal(json_string_value(json_object_get(json_object_get(rp.doc, "decision"), "text")), "We do.");
	assert_int_equal(GET("/api/v1/decisions?since=1970-01-01T00:00:02Z&limit=7"), 200);
	assert_string_equal(fx.last, "since=2000 limit=7");
	assert_true(json_is_array(json_object_get(rp.doc, "decisions")));
	POST("/api/v1/decisions", "{\"text\":\"We do.\"}");
	check_problem(422, "invalid", "\"by\"");
	assert_int_equal(GET("/api/v1/analysis/anomalies"), 200);
	assert_true(json_is_null(json_object_get(rp.doc, "analysed_at")));
}

static void health(void **state)
{
	(void)state;
	assert_int_equal(GET("/api/v1/status"), 200);
	assert_true(json_is_null(json_object_get(rp.doc, "postgres_healthy")));
	assert_true(json_is_null(json_object_get(rp.doc, "archive_healthy")));
	assert_true(json_is_null(json_object_get(json_object_get(rp.doc, "sentience"), "index")));
	assert_string_equal(text("status"), "operational");
	assert_int_equal(GET("/api/v1/thermal"), 200);
	assert_string_equal(fx.last, "hottest=10");
	assert_true(json_is_null(json_object_get(rp.doc, "average_temperature")));
	assert_int_equal(GET("/readyz"), 200);
	assert_string_equal(fx.last, "q=- limit=1 touch=0 tag= before=0 min=-1");
	fx.status_mood = FAIL;
	GET("/api/v1/status");
	check_problem(503, "unavailable", "");
	fx.memory_mood = SILENT;
	GET("/readyz");
	check_problem(503, "deadline", "");
	assert_int_equal(GET("/healthz"), 200); /* answered here, whatever is away */
}

static void scrapes(void **state)
{
	(void)state;
	GET("/healthz");
	GET("/nothing");
	POST("/api/v1/memories", "{}");
	SEND("BAD\r\n\r\n");
	assert_int_equal(request("GET", "/metrics", "Accept: text/plain;version=0.0.4;q=0.5,*/*;q=0.1\r\n", NULL), 200);
	assert_true(has("Content-Type: text/plain; version=0.0.4; charset=utf-8\r\n"));
	assert_true(has("\ncherokee_archive_up 1\n") && has("\nthermal_memory_total 3\n"));
	assert_true(has("\ncherokee_uptime_seconds 5\n"));
	assert_true(has("\ncherokee_api_requests_total{method=\"GET\",endpoint=\"/healthz\",status=\"200\"} 1\n"));
	assert_true(has("\ncherokee_api_requests_total{method=\"GET\",endpoint=\"other\",status=\"404\"} 1\n"));
	assert_true(
		has("\ncherokee_api_requests_total{method=\"POST\",endpoint=\"/api/v1/memories\",status=\"422\"} 1\n"));
	assert_true(has("\ncherokee_api_requests_total{method=\"other\",endpoint=\"other\",status=\"400\"} 1\n"));
	assert_true(has("\ncherokee_query_latency_seconds_count{endpoint=\"/healthz\"} 1\n"));
	fx.memory_mood = fx.status_mood = FAIL;
	fx.code = TR_EUNAVAILABLE;
	assert_int_equal(GET("/metrics"), 200);
	assert_true(has("\ncherokee_archive_up 0\n") && !has("\nthermal_memory") && !has("cherokee_uptime_seconds"));
	assert_true(has("\ncherokee_archive_last_success_timestamp "));
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
		T(add_memories),
		T(add_refused),
		T(errors_of_memory_jr),
		T(recall),
		T(routing),
		T(ask),
		T(ask_lengths),
		T(ask_degraded),
		T(ask_by_rpc),
		T(decisions),
		T(health),
		T(scrapes),
		cmocka_unit_test(forget_last),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
