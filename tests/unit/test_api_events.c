/* GET /api/v1/events behind a real HTTP socket; tribed's ring and notifications are played by this program. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "jrs/executive/api/internal.h"
#include "tests/unit/api_fake.h"
#include "tests/unit/http_client.h"

#define WAIT(cond)                                         \
	do {                                               \
		loop_timer_start(fx.watchdog, WAIT_MS, 0); \
		while (!(cond))                            \
			uv_run(&fx.loop, UV_RUN_ONCE);     \
		loop_timer_stop(fx.watchdog);              \
	} while (0)
#define EVENTS "GET /api/v1/events HTTP/1.1\r\nHost: localhost\r\n"

static void ask_for(struct client *c, const char *request)
{
	dial(c, &fx.loop, &fx.addr);
	say(c, request, strlen(request));
}

/* A stream that has begun. */
static void watch(struct client *c, const char *request)
{
	ask_for(c, request);
	WAIT(has(c, "retry: 1000\n"));
}

static void happens(uint64_t seq)
{
	struct item_event e = event_of(seq);
	struct msg_event m = {.seq = e.seq, .at = e.at, .kind = e.kind, .jr = e.jr, .has_jr = true};

	fx.ring_first = fx.ring_first == 0 ? seq : fx.ring_first;
	fx.ring_last = seq;
	api_note(fx.api, MSG_event, &m);
}

static void beats(void)
{
	struct msg_heartbeat b = {.jr = wire_s("meta_jr"), .pid = 7, .seq = 99, .state = wire_s("serving")};

	api_note(fx.api, MSG_heartbeat, &b);
}

/* The ids a client saw, "5 6 7 ". */
static const char *ids(const struct client *c)
{
	static char out[1024];
	size_t n = 0;

	out[0] = '\0';
	for (const char *p = c->in.p; (p = strstr(p, "\nid: ")) != NULL; p++)
		n += (size_t)snprintf(out + n, sizeof(out) - n, "%d ", atoi(p + 5));
	return out;
}

static void lives(void **state)
{
	struct client c, d;

	(void)state;
	happens(1); /* before anybody looked */
	watch(&c, EVENTS "Accept: text/event-stream\r\n\r\n");
	assert_true(has(&c, "HTTP/1.1 200 OK\r\n") && has(&c, "Content-Type: text/event-stream\r\n"));
	assert_true(has(&c, "Transfer-Encoding: chunked\r\n") && has(&c, "Connection: close\r\n"));
	assert_true(has(&c, "Cache-Control: no-store\r\n") && !has(&c, "Content-Length"));
	watch(&d, "GET /api/v1/events HTTP/1.0\r\n\r\n"); /* no chunks there */
	happens(2);
	beats();
	WAIT(has(&c, "event: heartbeat\ndata: {\"jr\":\"meta_jr\",\"pid\":7,") && has(&d, "event: heartbeat\n"));
	assert_true(has(&c,
			"event: spawn\nid: 2\ndata: {\"seq\":2,\"at\":\"2023-11-14T22:13:20.000Z\",\"kind\":\"spawn\","
			"\"jr\":\"memory_jr\"}\n\n"));
	assert_string_equal(ids(&c), "2 "); /* no older one, and a heartbeat has none */
	assert_true(has(&d, "\r\n\r\nretry: 1000\n") && !has(&d, "chunked"));
	c.in.len = 0;
	WAIT(has(&c, "3\r\n:\n\n\r\n") && has(&d, "\n:\n\n")); /* keep-alive */
	assert_int_equal(count(&d, "event: heartbeat"), 1);
	assert_int_equal(fx.api->streams, 2);
	assert_true(fx.followed);
	assert_int_equal(api_inflight(fx.api), 0);
	hang_up(&c, true);
	hang_up(&d, false);
	WAIT(fx.api->streams == 0); /* told by the keep-alive, if by nothing else */
	assert_null(fx.api->keepalive);
	assert_false(fx.followed); /* nobody listens any more */
	assert_int_equal(fx.api->streams_cut, 0);
	watch(&c, EVENTS "\r\n");
	beats(); /* left open: the server is freed with it */
	hang_up(&c, false);
}

static void comes_back(void **state)
{
	static const struct {
		const char *last, *ids;
	} t[] = {{"3", "4 5 6 "}, {"6", ""}, {"0", "3 4 5 6 "}, {"77", "3 4 5 6 "}};
	char request[256];
	struct client c;

	(void)state;
	fx.ring_first = 3;
	fx.ring_last = 6;
	for (unsigned i = 0; i < 2 * sizeof(t) / sizeof(*t); i++) {
		fx.ring_falls = i % 2 != 0;
		snprintf(request, sizeof(request), EVENTS "Last-Event-ID: %s\r\n\r\n", t[i / 2].last);
		watch(&c, request);
		happens(6); /* twice is once */
		beats();
		WAIT(has(&c, "event: heartbeat"));
		assert_string_equal(ids(&c), t[i / 2].ids);
		hang_up(&c, true);
		WAIT(fx.api->streams == 0);
	}
}

static void a_gap_is_closed(void **state)
{
	struct client c, d;

	(void)state;
	fx.ring_first = fx.ring_last = 5;
	watch(&c, EVENTS "\r\n");
	assert_int_equal(fx.events_asked, 1);
	fx.events_mood = FAIL; /* the first try */
	happens(9);            /* 6 to 8 were dropped on the way */
	happens(10);
	WAIT(fx.events_asked == 2);
	fx.events_mood = ANSWER; /* the keep-alive tries again */
	WAIT(has(&c, "id: 10\n"));
	happens(11);
	WAIT(has(&c, "id: 11\n"));
	assert_string_equal(ids(&c), "6 7 8 9 10 11 ");
	fx.ring_last = 13; /* nothing told of these two: a newcomer's answer brings them to everybody */
	watch(&d, EVENTS "\r\n");
	WAIT(has(&c, "id: 13\n"));
	assert_string_equal(ids(&d), "");
	hang_up(&c, true);
	hang_up(&d, true);
	WAIT(fx.api->streams == 0);
}

static void an_overtaken_answer(void **state)
{
	struct client c;

	(void)state;
	fx.events_mood = SILENT;
	ask_for(&c, EVENTS "Last-Event-ID: 3\r\n\r\n");
	WAIT(fx.events_asked == 1);
	happens(4);
	happens(5); /* told before the answer that ends with 4 */
	fx.events_mood = ANSWER;
	fx.ring_last = 4;
	answer_events(NULL);
	assert_int_equal(fx.events_asked, 2);
	fx.ring_last = 5;
	WAIT(has(&c, "id: 5\n"));
	assert_string_equal(ids(&c), "4 5 ");
	hang_up(&c, true);
	WAIT(fx.api->streams == 0);
	fx.ring_first = fx.ring_last = 1; /* tribed began to count anew */
	watch(&c, EVENTS "\r\n");
	happens(2);
	WAIT(has(&c, "id: 2\n"));
	hang_up(&c, true);
	WAIT(fx.api->streams == 0);
}

static void refused(void **state)
{
	struct client c, d, e;

	(void)state;
	ask_for(&c, EVENTS "Last-Event-ID: 1x\r\n\r\n");
	WAIT(has(&c, "\"Last-Event-ID\\\" must be"));
	assert_true(has(&c, "HTTP/1.1 422 "));
	hang_up(&c, false);
	ask_for(&c, EVENTS "Accept: application/json\r\n\r\n");
	WAIT(has(&c, "text/event-stream"));
	assert_true(has(&c, "HTTP/1.1 406 "));
	hang_up(&c, false);
	ask_for(&c, "HEAD /api/v1/events HTTP/1.1\r\nHost: localhost\r\n\r\n");
	WAIT(c.eof);
	assert_true(has(&c, "HTTP/1.1 200 OK\r\n") && has(&c, "text/event-stream"));
	assert_string_equal(strstr(c.in.p, "\r\n\r\n"), "\r\n\r\n");
	hang_up(&c, false);
	fx.events_mood = FAIL;
	ask_for(&c, EVENTS "\r\n");
	WAIT(has(&c, "problem:deadline"));
	assert_true(has(&c, "HTTP/1.1 503 ") && has(&c, "Retry-After: 1\r\n"));
	hang_up(&c, false);
	assert_int_equal(fx.api->streams, 0);
	fx.events_mood = SILENT; /* one that waits for tribed counts as well */
	ask_for(&c, EVENTS "\r\n");
	WAIT(fx.api->streams == 1);
	ask_for(&d, EVENTS "\r\n");
	WAIT(fx.api->streams == 2);
	ask_for(&e, EVENTS "\r\n");
	WAIT(has(&e, "there are 2 streams of events already"));
	assert_true(has(&e, "HTTP/1.1 503 ") && has(&e, "Retry-After: 1\r\n"));
	hang_up(&e, false);
	hang_up(&d, true); /* gone before it began */
	uv_run(&fx.loop, UV_RUN_NOWAIT);
	fx.events_mood = ANSWER;
	answer_events(NULL);
	WAIT(has(&c, "retry: ") && fx.api->streams == 1);
	hang_up(&c, true);
	WAIT(fx.api->streams == 0);
}

static void a_slow_reader_is_cut_off(void **state)
{
	struct client slow, quick;
	int size = 4096;

	(void)state;
	watch(&slow, EVENTS "\r\n");
	watch(&quick, EVENTS "\r\n");
	setsockopt(slow.fd, SOL_SOCKET, SO_RCVBUF, &size, sizeof(size));
	uv_poll_stop(&slow.poll); /* reads no more */
	loop_timer_start(fx.watchdog, WAIT_MS, 0);
	for (uint64_t seq = 1; fx.api->streams_cut == 0; seq++) {
		happens(seq);
		uv_run(&fx.loop, UV_RUN_NOWAIT);
		buf_clear(&quick.in);
	}
	assert_int_equal(fx.api->streams, 1);
	happens(fx.ring_last + 1);
	WAIT(quick.in.len > 0);
	uv_poll_start(&slow.poll, UV_READABLE, on_poll);
	WAIT(slow.eof);
	assert_false(has(&slow, "\r\n0\r\n\r\n")); /* it can tell that something is missing */
	hang_up(&slow, false);
	hang_up(&quick, true);
	WAIT(fx.api->streams == 0);
}

static bool drained;
static void on_drained(void *arg)
{
	(void)arg;
	drained = true;
}

static void ends_with_a_drain(void **state)
{
	struct client c, waits;

	(void)state;
	watch(&c, EVENTS "\r\n");
	fx.events_mood = SILENT;
	ask_for(&waits, EVENTS "\r\n");
	WAIT(fx.api->streams == 2);
	drained = false;
	api_drain(fx.api);
	http_server_drain(fx.http, on_drained, NULL);
	WAIT(c.eof);
	assert_false(c.reset);
	assert_string_equal(c.in.p + c.in.len - 7, "\r\n0\r\n\r\n");
	fx.events_mood = ANSWER;
	answer_events(NULL);
	WAIT(waits.eof && drained);
	assert_true(has(&waits, "HTTP/1.1 503 ") && has(&waits, "Retry-After: 1\r\n"));
	assert_int_equal(fx.api->streams, 0);
	hang_up(&c, false);
	hang_up(&waits, false);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		T(lives),
		T(comes_back),
		T(a_gap_is_closed),
		T(an_overtaken_answer),
		T(refused),
		T(a_slow_reader_is_cut_off),
		T(ends_with_a_drain),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
