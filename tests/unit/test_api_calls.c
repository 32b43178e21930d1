/* jrs/executive/api behind a real HTTP socket, with memory-jr, integration-jr and meta-jr played by this program on
 * Unix sockets in a directory of its own; everything on one loop. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "common/base/clock.h"
#include "tests/unit/api_client.h"

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
		{JSON, "{\"content\":\"a\",\"at\":\"yesterday\"}", 422, "invalid",
		 "\"at\" must be a time as in RFC 3339, such as"},
		{JSON, "{\"content\":\"a\",\"colour\":1}", 422, "invalid", "\"colour\""},
		{JSON, "[{\"content\":\"a\"},{\"content\":\"a\",\"tags\":[1]}]", 422, "invalid", "\"[1].tags[0]\""},
		{NDJSON, "{\"content\":\"a\"}\n\n{\"content\":2}\n", 422, "invalid", "\"line 3.content\""},
		{NDJSON, "{\"content\":\"a\"}\n{\"content\"\n", 400, "malformed",
		 "it ends too early (line 2, column 10)"},
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
	for (int i = 0; i < 250001; i++)
		buf_puts(&b, "[");
	POST("/api/v1/memories", b.p);
	check_problem(413, "too_big", "values");
	buf_clear(&b);
	buf_puts(&b, "{\"content\":\"");
	for (int i = 0; i < WIRE_CONTENT_MAX + 1; i++) /* longer than the longest text can be written */
		buf_puts(&b, "\\u0041");
	buf_puts(&b, "\"}");
	POST("/api/v1/memories", b.p);
	check_problem(413, "too_big", "a text in the body");
	buf_free(&b);
}

static void errors_of_memory_jr(void **state)
{
	static const struct {
		int code, status;
		const char *name;
		bool telling;
	} t[] = {
		{TR_EINVAL, 422, "invalid", true},        {TR_ECONFLICT, 409, "conflict", true},
		{TR_EMISMATCH, 422, "key_reused", false}, /* in HTTP's words */
		{TR_ENOTFOUND, 404, "not_found", true},   {TR_EREFUSED, 403, "refused", true},
		{TR_EBUSY, 503, "busy", false},           {TR_EUNAVAILABLE, 503, "unavailable", true},
		{TR_ESTORE, 503, "store", false},         {TR_EINTERNAL, 500, "internal", false},
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
	fx.code = TR_EMISMATCH;
	fx.field = "request_id";
	POST("/api/v1/memories", "{\"content\":\"a\"}");
	check_problem(422, "key_reused", "\"Idempotency-Key\" was used for another request");
	fx.code = TR_ENOTFOUND;
	POST("/api/v1/memories", "{\"content\":\"a\"}");
	check_problem(404, "not_found", "\"Idempotency-Key\" must be"); /* the played words */
}

static void fields_of_memory_jr(void **state)
{
	static const struct {
		const char *headers, *body, *field, *detail;
	} t[] = {
		{JSON, " {\"content\":\"a\"}", "memories[0].supersedes", "\"supersedes\" must"},
		{JSON, "\n[{\"content\":\"a\"},{\"content\":\"b\"}]", "memories[1].id", "\"[1].id\" must"},
		{NDJSON, "{\"content\":\"a\"}\n \r\n\n{\"content\":\"b\"}\n", "memories[1].id", "\"line 4.id\" must"},
		{NDJSON, "{\"content\":\"a\"}", "memories[0].id", "\"line 1.id\" must"},
		{JSON, "[{\"content\":\"a\"}]", "memories[0]", "\"[0]\" must"},
		{JSON, "{\"content\":\"a\"}", "memories", "\"memories\" must"},
	};

	(void)state;
	fx.memory_mood = FAIL;
	fx.code = TR_EINVAL;
	for (size_t i = 0; i < sizeof(t) / sizeof(*t); i++) {
		fx.field = t[i].field;
		request("POST", "/api/v1/memories", t[i].headers, t[i].body);
		check_problem(422, "invalid", t[i].detail);
	}
}

/* A Jr that is not coming back is not waited for; one that is on its way is. */
static void nobody_there(void **state)
{
	uint64_t start = tr_mono_ms();

	(void)state;
	fx.memory_mood = SILENT;
	fx.memory_state = "down";
	GET("/api/v1/thermal");
	check_problem(503, "unavailable", "memory_jr is down");
	assert_int_equal(fx.status_asked, 1);
	fx.memory_state = "failed";
	POST("/api/v1/memories", "{\"content\":\"a\"}");
	check_problem(503, "unavailable", "memory_jr has failed too often");
	assert_true(tr_mono_ms() - start < 3000); /* the timeout is 5000 */
	fx.memory_state = "starting";
	GET("/readyz");
	check_problem(503, "deadline", "memory_jr did not answer in time");
	assert_true(fx.status_asked <= 2 + 5); /* in one second */
	fx.memory_state = "down";
	fx.status_mood = FAIL;
	GET("/readyz");
	check_problem(503, "deadline", "memory_jr did not answer in time");
	GET("/api/v1/status");
	check_problem(503, "unavailable", "tribed is not there");
	peer_shut(fx.to_memory);
	GET("/readyz");
	check_problem(503, "closed", "");
}

static void request_ids(void **state)
{
	(void)state;
	assert_int_equal(request("GET", "/api/v1/memories", "X-Request-Id: mine\r\n", NULL), 200);
	assert_string_equal(fx.request_id, "mine");
	assert_int_equal(request("GET", "/api/v1/thermal", "X-Request-Id: mine-2\r\nIdempotency-Key: k\r\n", NULL),
			 200);
	assert_string_equal(fx.request_id, "mine-2");
	assert_int_equal(request("GET", "/metrics", "X-Request-Id: mine-3\r\n", NULL), 200);
	assert_string_equal(fx.request_id, "mine-3");
	assert_int_equal(GET("/api/v1/memories/m"), 200);
	assert_true(strlen(fx.request_id) > 3 && has(fx.request_id)); /* the one that was made for it */
}

static void recall(void **state)
{
	(void)state;
	fx.found = 2;
	assert_int_equal(GET("/api/v1/memories?q=Wo+ist%20sie%3F&limit=200&tag=t&touch=false&min_temperature=3.5"
			     "&before=1970-01-01T00:00:01Z"),
			 200);
	assert_string_equal(fx.last, "q=Wo ist sie? limit=200 touch=0 tag=t before=1000 min=3.5 explain=0");
	assert_int_equal(GET("/api/v1/memories?q=Wo&explain=true"), 200);
	assert_true(strstr(fx.last, "explain=1") != NULL);
	assert_true(json_real_value(json_object_get(
			    json_object_get(json_array_get(json_object_get(rp.doc, "memories"), 0), "explanation"),
			    "match")) == 1.5);
	assert_int_equal(json_array_size(json_object_get(rp.doc, "memories")), 2);
	assert_true(json_is_null(json_object_get(rp.doc, "next_cursor")));
	assert_int_equal(GET("/api/v1/memories"), 200);
	assert_string_equal(fx.last, "q=- limit=0 touch=-1 tag= before=0 min=-1 explain=0");
	assert_int_equal(request("HEAD", "/api/v1/memories", "", NULL), 200);
	assert_string_equal(rp.body, "");
	GET("/api/v1/memories?colour=1");
	check_problem(422, "invalid", "\"colour\" is not a parameter of this call");
	GET("/api/v1/"
	    "memories?%C3%A4%C3%A4%C3%A4%C3%A4%C3%A4%C3%A4%C3%A4%C3%A4%C3%A4%C3%A4%C3%A4%C3%A4%C3%A4%C3%A4%C3%A4%"
	    "C3%A4%C3%A4"
	    "%C3%A4%C3%A4%C3%A4%C3%A4%C3%A4%C3%A4%C3%A4%C3%A4%C3%A4%C3%A4%C3%A4%C3%A4%C3%A4%C3%A4%C3%A4%C3%A4%C3%"
	    "A4"); /* too long */
	check_problem(422, "invalid", "is not a parameter of this call");
	GET("/api/v1/memories?toucher=x"); /* known inside, not outside */
	check_problem(422, "invalid", "\"toucher\"");
	GET("/api/v1/memories?=");
	check_problem(422, "invalid", "the name of a parameter is empty");
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
	check_problem(422, "invalid", "\"after\" must be a time as in RFC 3339");
	assert_null(strstr(text("detail"), "MessagePack"));
	GET("/api/v1/memories/a%2Fb%252F?touch=false");
	assert_int_equal(rp.status, 200);
	assert_string_equal(fx.last, "a/b%2F touch=0");
	assert_string_equal(text("content"), "Caroline moved to Berlin in May.");
	GET("/api/v1/memories/missing");
	check_problem(404, "not_found", "there is no memory with this id");
	GET("/api/v1/memories/m?limit=1");
	check_problem(422, "invalid", "\"limit\"");
}

static void patch_and_delete(void **state)
{
	static const struct {
		const char *headers, *body;
		int status;
		const char *name, *detail;
	} t[] = {
		{JSON, "{\"id\":\"m-2\"}", 422, "invalid", "\"id\" stands in the path"},
		{JSON, "{\"content\":\"new\"}", 422, "invalid", "\"content\""},
		{JSON, "{\"importance\":2}", 422, "invalid", "\"importance\" must be a number from 0 to 1"},
		{JSON, "{\"sacred\":\"yes\"}", 422, "invalid", "\"sacred\""},
		{JSON, "[]", 422, "invalid", "object"},
		{JSON, "{", 400, "malformed", "line 1"},
		{"Content-Type: application/merge-patch+json\r\n", "{}", 415, "unsupported_media_type", ""},
		{JSON "Idempotency-Key: a b\r\n", "{}", 422, "invalid", "\"Idempotency-Key\""},
	};

	(void)state;
	assert_int_equal(request("PATCH", "/api/v1/memories/a%2Fb", JSON,
				 "{\"tags\":[\"x\",\"y\"],\"importance\":0.5,\"sacred\":true,\"metadata\":{}}"),
			 200);
	assert_string_equal(fx.last, "a/b tags=2 importance=0.5 sacred=1 metadata=1");
	assert_string_equal(text("content"), "Caroline moved to Berlin in May.");
	assert_int_equal(strncmp(fx.request_id, "req:", 4), 0);
	assert_int_equal(request("PATCH", "/api/v1/memories/m", JSON "Idempotency-Key: p\r\n", "{\"tags\":[]}"), 200);
	assert_string_equal(fx.last, "m tags=0 importance=-1 sacred=-1 metadata=0");
	assert_string_equal(fx.request_id, "key:p");
	for (size_t i = 0; i < sizeof(t) / sizeof(*t); i++) {
		request("PATCH", "/api/v1/memories/m", t[i].headers, t[i].body);
		check_problem(t[i].status, t[i].name, t[i].detail);
	}
	assert_int_equal(request("DELETE", "/api/v1/memories/m", "Idempotency-Key: d\r\n", NULL), 204);
	assert_string_equal(fx.last, "m now=-1");
	assert_string_equal(fx.request_id, "key:d");
	assert_int_equal(request("DELETE", "/api/v1/memories/m?now=true", "", NULL), 204);
	assert_string_equal(fx.last, "m now=1");
	assert_int_equal(request("DELETE", "/api/v1/memories/slow", "", NULL), 204);
	assert_int_equal(request("DELETE", "/api/v1/memories/slow?now=true", "", NULL),
			 202); /* forgotten, not purged */
	assert_string_equal(text("id"), "slow");
	assert_true(json_is_false(json_object_get(rp.doc, "purged")));
	request("DELETE", "/api/v1/memories/m?now=1", "", NULL);
	check_problem(422, "invalid", "\"now\" must be true or false");
	assert_int_equal(request("OPTIONS", "/api/v1/memories/m", "", NULL), 204);
	assert_true(has("Allow: GET, HEAD, PATCH, DELETE, OPTIONS\r\nAccept-Patch: application/json\r\n"));

	fx.memory_mood = FAIL;
	fx.code = TR_EREFUSED;
	request("PATCH", "/api/v1/memories/m", JSON, "{\"sacred\":false}");
	check_problem(403, "sacred", "");
	request("DELETE", "/api/v1/memories/m", "", NULL);
	check_problem(403, "sacred", "");
	fx.code = TR_ENOTFOUND;
	request("DELETE", "/api/v1/memories/m", "", NULL);
	check_problem(404, "not_found", "");
	fx.code = TR_EQUOTA;
	request("PATCH", "/api/v1/memories/m", JSON, "{\"metadata\":{\"a\":1}}");
	check_problem(403, "quota", "");
	request("POST", "/api/v1/memories", JSON, "{\"content\":\"one too many\"}");
	check_problem(403, "quota", "");
	fx.code = TR_ENOSPACE;
	request("POST", "/api/v1/memories", JSON, "{\"content\":\"no room\"}");
	check_problem(503, "no_space", "");
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
	assert_int_equal(request("GET", "/", "Accept: application/json\r\n", NULL), 200);
	assert_string_equal(text("name"), "tribe");
	assert_int_equal(request("GET", "/", "Accept: text/html,application/json;q=0.5\r\n", NULL), 200);
	assert_true(has("Content-Type: text/html; charset=utf-8\r\n") &&
		    has("Content-Security-Policy: default-src 'none';"));
	assert_int_equal(request("GET", "/docs", "", NULL), 200);
	assert_int_equal(request("GET", "/assets/app.js", "Accept: */*\r\n", NULL), 200);
	assert_true(has("Content-Type: text/javascript; charset=utf-8\r\n") && has("ETag: "));
	assert_int_equal(request("GET", "/assets/nothing.js", "", NULL), 404);
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
	GET("/api/v1/analysis/regression");
	check_problem(404, "not_found", "this version has no such analysis");
	GET("/api/v1/analysis/patterns");
	check_problem(404, "not_found", "this version has no such analysis");
	GET("/api/v1/analysis/other");
	check_problem(404, "not_found", "no such path");
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
	assert_string_equal(fx.last, "q=- limit=1 touch=0 tag= before=0 min=-1 explain=0");
	fx.status_mood = FAIL;
	GET("/api/v1/status");
	check_problem(503, "unavailable", "");
	fx.memory_mood = SILENT;
	GET("/readyz");
	check_problem(503, "deadline", "memory_jr did not answer in time");
	assert_int_equal(GET("/healthz"), 200); /* answered here, whatever is away */
}

static void drills_that_were(void **state)
{
	json_t *list;

	(void)state;
	assert_int_equal(GET("/api/v1/drills"), 200);
	list = json_object_get(rp.doc, "drills");
	assert_int_equal(json_array_size(list), 2);
	assert_string_equal(json_string_value(json_object_get(json_array_get(list, 0), "valid")), "unknown");
	assert_string_equal(json_string_value(json_object_get(json_array_get(list, 0), "reason")), "cut short");
	assert_int_equal(json_integer_value(json_object_get(json_array_get(list, 1), "requests")), 7);
	assert_int_equal(GET("/api/v1/drills?limit=1"), 200);
	assert_int_equal(json_array_size(json_object_get(rp.doc, "drills")), 1);
	GET("/api/v1/drills?limit=65");
	check_problem(422, "invalid", "\"limit\"");
	GET("/api/v1/drills?jr=memory");
	check_problem(422, "invalid", "\"jr\"");
	fx.status_mood = FAIL;
	GET("/api/v1/drills");
	check_problem(503, "unavailable", "tribed is not there");
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
	assert_true(has("\ncherokee_http_refused_total{status=\"400\"} 1\n") && has("\ncherokee_sse_streams 0\n"));
	assert_true(has("\ncherokee_regression_r_squared 0.125\n"));
	assert_true(has("\ncherokee_degradation_ratio{metric=\"recall_latency\"} 1.25\n"));
	assert_true(has("\ncherokee_degradation_ratio{metric=\"loop_lag\"} 0.5\n"));
	fx.meta_mood = FAIL;
	assert_int_equal(GET("/metrics"), 200);
	assert_true(has("\ncherokee_archive_up 1\n") && !has("cherokee_regression") && !has("cherokee_degradation"));
	fx.meta_mood = ANSWER;
	fx.memory_mood = fx.status_mood = FAIL;
	fx.code = TR_EUNAVAILABLE;
	assert_int_equal(GET("/metrics"), 200);
	assert_true(!has("cherokee_regression") && !has("recall_latency"));
	assert_true(has("\ncherokee_degradation_ratio{metric=\"loop_lag\"} 0.5\n"));
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
		T(fields_of_memory_jr),
		T(nobody_there),
		T(request_ids),
		T(recall),
		T(patch_and_delete),
		T(routing),
		T(decisions),
		T(health),
		T(drills_that_were),
		T(scrapes),
		cmocka_unit_test(forget_last),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
