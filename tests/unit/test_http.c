/* jrs/executive/http: the server on a real loopback socket; server and clients share one loop, so nothing waits by the
 * clock. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "common/loop/loop.h"
#include "jrs/executive/http/guard.h"
#include "jrs/executive/http/http.h"
#include "tests/unit/http_client.h"
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define MAX_BODY (4u << 20)
#define HELD_MAX 64
#define WAIT_MS  20000 /* a test that waits longer has failed */

static struct fixture {
	uv_loop_t loop;
	struct http_server *srv;
	struct sockaddr_in addr;
	struct http_req *held[HELD_MAX];
	unsigned nheld, refused, last_refused;
	bool drained;
	struct buf big;
	struct loop_timer *watchdog;
} fx;

/* ---- the handler ---- */
static void answer(struct http_req *req)
{
	struct http_str m = http_method(req), p = http_path(req), b = http_body(req), h = http_header(req, "x-two");
	struct buf out = {0};

	if (strcmp(p.p, "/big") == 0) {
		http_respond(req, 200, "text/plain", NULL, fx.big.p, fx.big.len);
		return;
	}
	if (strcmp(p.p, "/nothing") == 0) {
		http_respond(req, 204, NULL, "Allow: GET\r\n", NULL, 0);
		return;
	}
	if (strcmp(p.p, "/echo") == 0) { /* a body of the request itself */
		http_respond(req, 200, "text/plain", NULL, b.p, b.n);
		return;
	}
	buf_printf(&out, "%s %s %zu %s", m.p, p.p, b.n, h.p != NULL ? h.p : "-");
	http_respond_buf(req, 200, "text/plain", NULL, &out);
}

static void on_request(void *arg, struct http_req *req)
{
	assert_ptr_equal(arg, &fx);
	if (strncmp(http_path(req).p, "/hold", 5) == 0) {
		assert_true(fx.nheld < HELD_MAX);
		fx.held[fx.nheld++] = req;
	} else if (strcmp(http_path(req).p, "/free") == 0) {
		http_server_free(&fx.srv);
		answer(req);
	} else {
		answer(req);
	}
}

static void on_refused(void *arg, int status)
{
	(void)arg;
	fx.refused++;
	fx.last_refused = (unsigned)status;
}

static void on_drained(void *arg)
{
	(void)arg;
	fx.drained = true;
}

static void on_watchdog(void *arg)
{
	(void)arg;
	fail_msg("nothing happened for %d ms", WAIT_MS);
}

/* ---- set-up ---- */
static void start(unsigned max_conns, uint32_t timeout_ms)
{
	struct http_server_cfg cfg = {.loop = &fx.loop, .max_conns = max_conns, .max_body = MAX_BODY};
	socklen_t len = sizeof(fx.addr);

	cfg.head_timeout_ms = cfg.body_timeout_ms = cfg.idle_timeout_ms = timeout_ms;
	cfg.on_request = on_request;
	cfg.on_refused = on_refused;
	cfg.arg = &fx;
	cfg.fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_true(cfg.fd >= 0);
	fx.addr.sin_family = AF_INET;
	fx.addr.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	fx.addr.sin_port = 0;
	assert_int_equal(bind(cfg.fd, (struct sockaddr *)&fx.addr, sizeof(fx.addr)), 0);
	assert_int_equal(listen(cfg.fd, 64), 0);
	assert_int_equal(getsockname(cfg.fd, (struct sockaddr *)&fx.addr, &len), 0);
	assert_int_equal(http_server_new(&fx.srv, &cfg), 0);
}

static int set_up(void **state)
{
	(void)state;
	memset(&fx, 0, sizeof(fx));
	uv_loop_init(&fx.loop);
	return loop_timer_new(&fx.watchdog, &fx.loop, on_watchdog, NULL);
}

static int tear_down(void **state)
{
	(void)state;
	http_server_free(&fx.srv);
	for (unsigned i = 0; i < fx.nheld; i++)
		if (fx.held[i] != NULL)
			answer(fx.held[i]);
	buf_free(&fx.big);
	loop_timer_free(&fx.watchdog);
	return loop_finish(&fx.loop);
}

/* Turns the loop until cond holds. The watchdog also keeps uv_run() from returning at once. */
#define WAIT(cond)                                         \
	do {                                               \
		loop_timer_start(fx.watchdog, WAIT_MS, 0); \
		while (!(cond))                            \
			uv_run(&fx.loop, UV_RUN_ONCE);     \
		loop_timer_stop(fx.watchdog);              \
	} while (0)

#define GET(path) "GET " path " HTTP/1.1\r\nHost: a\r\n\r\n"

/* ---- tests ---- */
static void test_simple(void **state)
{
	struct client c;

	(void)state;
	start(10, 60000);
	dial(&c, &fx.loop, &fx.addr);
	SAY(&c, "GET /a HTTP/1.1\r\nHost: a\r\nX-Two: 1\r\nX-Request-Id: my.id-7\r\nx-two: 2\r\n\r\n");
	WAIT(has(&c, "GET /a 0 1, 2"));
	assert_true(has(&c, "HTTP/1.1 200 OK\r\nDate: "));
	assert_true(has(&c, "X-Request-Id: my.id-7\r\n"));
	assert_true(has(&c, "X-Content-Type-Options: nosniff\r\n"));
	assert_true(has(&c, "Content-Length: 13\r\n"));
	assert_true(has(&c, "Connection: keep-alive\r\n"));
	buf_clear(&c.in);
	SAY(&c, "HEAD /a HTTP/1.1\r\nHost: a\r\nX-Request-Id: not sane\r\n\r\n");
	SAY(&c, GET("/nothing"));
	WAIT(has(&c, "204 No Content"));
	assert_true(has(&c, "Content-Length: 11\r\n")); /* "HEAD /a 0 -", which is not sent */
	assert_int_equal(count(&c, "HEAD /a"), 0);
	assert_int_equal(count(&c, "not sane"), 0);
	assert_int_equal(count(&c, "Content-Length"), 1); /* none with 204 */
	assert_true(has(&c, "Allow: GET\r\n"));
	buf_clear(&c.in);
	SAY(&c, "GET /last HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
	WAIT(c.eof);
	assert_true(has(&c, "Connection: close\r\n") && has(&c, "GET /last 0 -"));
	assert_false(c.reset);
	assert_int_equal(http_server_stats(fx.srv)->requests, 4);
	hang_up(&c, false);

	dial(&c, &fx.loop, &fx.addr);
	SAY(&c, "GET /old HTTP/1.0\r\n\r\n");
	WAIT(c.eof);
	assert_true(has(&c, "GET /old 0 -"));
	hang_up(&c, false);
	dial(&c, &fx.loop, &fx.addr);
	SAY(&c, "GET /old HTTP/1.0\r\nConnection: keep-alive\r\n\r\n");
	WAIT(has(&c, "GET /old 0 -"));
	assert_true(has(&c, "Connection: keep-alive\r\n"));
	assert_false(c.eof);
	hang_up(&c, false);
	WAIT(http_server_stats(fx.srv)->conns == 0);
}

static void test_byte_by_byte(void **state)
{
	static const char text[] = "\r\nPOST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
				   "5;x=y\r\nhello\r\n1\r\n!\r\n0\r\n\r\n" GET("/b");
	struct client c;

	(void)state;
	start(10, 60000);
	dial(&c, &fx.loop, &fx.addr);
	for (size_t i = 0; i + 1 < sizeof(text); i++) {
		say(&c, text + i, 1);
		uv_run(&fx.loop, UV_RUN_NOWAIT);
	}
	WAIT(has(&c, "GET /b 0 -"));
	assert_true(has(&c, "\r\n\r\nhello!HTTP/1.1 200 OK"));
	hang_up(&c, false);
}

static void test_pipelining(void **state)
{
	struct client c;
	struct buf b = {0};

	(void)state;
	start(10, 60000);
	dial(&c, &fx.loop, &fx.addr);
	SAY(&c, GET("/hold/1") GET("/now/2") GET("/hold/3") GET("/now/4"));
	WAIT(fx.nheld == 1);
	for (int i = 0; i < 5; i++) /* nothing may overtake the first one */
		uv_run(&fx.loop, UV_RUN_NOWAIT);
	assert_int_equal(c.in.len, 0);
	assert_int_equal(http_server_stats(fx.srv)->inflight, 1);
	answer(fx.held[0]);
	fx.held[0] = NULL;
	WAIT(fx.nheld == 2);
	WAIT(has(&c, "GET /now/2 0 -"));
	assert_false(has(&c, "GET /now/4"));
	answer(fx.held[1]);
	fx.held[1] = NULL;
	WAIT(has(&c, "GET /now/4"));
	assert_true(strstr(c.in.p, "/hold/1") < strstr(c.in.p, "/now/2"));
	assert_true(strstr(c.in.p, "/hold/3") < strstr(c.in.p, "/now/4"));
	buf_clear(&c.in);

	/* thousands in one go: answered in order, and what is read ahead of the one in flight is bounded */
	SAY(&c, GET("/hold/5"));
	WAIT(fx.nheld == 3);
	for (int i = 0; i < 1500; i++)
		buf_printf(&b, "GET /n/%d HTTP/1.1\r\nHost: a\r\n\r\n", i);
	say(&c, b.p, b.len);
	for (int i = 0; i < 20; i++)
		uv_run(&fx.loop, UV_RUN_NOWAIT);
	assert_int_equal(c.in.len, 0);
	answer(fx.held[2]);
	fx.held[2] = NULL;
	WAIT(count(&c, "HTTP/1.1 200 OK") == 1501);
	for (int i = 1; i < 1500; i += 100) {
		char before[32], after[32];

		snprintf(before, sizeof(before), "GET /n/%d 0 -", i - 1);
		snprintf(after, sizeof(after), "GET /n/%d 0 -", i);
		assert_true(strstr(c.in.p, before) != NULL && strstr(c.in.p, before) < strstr(c.in.p, after));
	}
	buf_free(&b);
	hang_up(&c, false);
}

static void test_half_close(void **state)
{
	struct client c;

	(void)state;
	start(10, 60000);
	dial(&c, &fx.loop, &fx.addr);
	SAY(&c, GET("/hold") GET("/then"));
	shutdown(c.fd, SHUT_WR);
	WAIT(fx.nheld == 1);
	for (int i = 0; i < 5; i++)
		uv_run(&fx.loop, UV_RUN_NOWAIT);
	answer(fx.held[0]);
	fx.held[0] = NULL;
	WAIT(c.eof);
	assert_true(has(&c, "GET /hold 0 -") && has(&c, "GET /then 0 -"));
	hang_up(&c, false);
}

static void test_expect(void **state)
{
	struct client c;

	(void)state;
	start(10, 60000);
	dial(&c, &fx.loop, &fx.addr);
	SAY(&c, "POST /echo HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 4\r\n\r\n");
	WAIT(has(&c, "HTTP/1.1 100 Continue\r\n\r\n"));
	assert_false(has(&c, "200 OK"));
	SAY(&c, "body");
	WAIT(has(&c, "200 OK"));
	WAIT(has(&c, "\r\n\r\nbody"));
	buf_clear(&c.in);
	SAY(&c, "POST /echo HTTP/1.1\r\nHost: a\r\nExpect: 100-CONTINUE\r\nContent-Length: 4\r\n\r\nhere");
	WAIT(has(&c, "here"));
	assert_false(has(&c, "100 Continue"));
	buf_clear(&c.in);
	SAY(&c, "POST /echo HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 99999999\r\n\r\n");
	WAIT(c.eof || has(&c, "413 Content Too Large"));
	assert_false(has(&c, "100 Continue"));
	hang_up(&c, false);
	dial(&c, &fx.loop, &fx.addr);
	SAY(&c, "POST /echo HTTP/1.1\r\nHost: a\r\nExpect: miracles\r\nContent-Length: 4\r\n\r\n");
	WAIT(has(&c, "417 Expectation Failed"));
	hang_up(&c, false);
}

/* A refusal is readable although the client goes on sending, and the connection is closed behind it. */
static void test_refusals(void **state)
{
	static const struct {
		const char *text;
		int status;
	} t[] = {
		{"GET / HTTP/1.1\r\n\r\n", 400},
		{"GET / HTTP/1.1\r\nHost: a\r\nX: a\r\n b\r\n\r\n", 400},
		{"GET /%00 HTTP/1.1\r\nHost: a\r\n\r\n", 400},
		{"GET / HTTP/3.0\r\n\r\n", 505},
		{"BREW / HTTP/1.1\r\nHost: a\r\n\r\n", 501},
		{"POST / HTTP/1.1\r\nHost: a\r\n\r\n", 411},
		{"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5000000\r\n\r\n", 413},
	};
	char *flood = calloc(1, 1u << 20);
	struct client c;
	char line[32];

	(void)state;
	start(10, 60000);
	for (unsigned i = 0; i < sizeof(t) / sizeof(*t); i++) {
		dial(&c, &fx.loop, &fx.addr);
		SAY(&c, t[i].text);
		say(&c, flood, 1u << 20);
		SAY(&c, GET("/smuggled"));
		WAIT(c.in.len > 0 && strstr(c.in.p, "request_id") != NULL);
		snprintf(line, sizeof(line), "HTTP/1.1 %d ", t[i].status);
		assert_memory_equal(c.in.p, line, strlen(line));
		assert_true(has(&c, "Content-Type: application/problem+json\r\n"));
		assert_true(has(&c, "Connection: close\r\n"));
		assert_true(has(&c, "\"type\":\"urn:tribe:problem:"));
		WAIT(c.eof);
		assert_false(c.reset);
		assert_int_equal(count(&c, "\r\nDate: "), 1);
		assert_int_equal(fx.last_refused, t[i].status);
		hang_up(&c, false);
	}
	free(flood);
	assert_int_equal(fx.refused, sizeof(t) / sizeof(*t));
	assert_int_equal(http_server_stats(fx.srv)->refused, fx.refused);
	assert_int_equal(http_server_stats(fx.srv)->requests, 0);
	WAIT(http_server_stats(fx.srv)->conns == 0);
}

static void test_limits(void **state)
{
	static const char head[] = "POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 4194304\r\n\r\n";
	char *body = malloc(MAX_BODY);
	struct client c;

	(void)state;
	memset(body, 'x', MAX_BODY);
	start(10, 60000);
	dial(&c, &fx.loop, &fx.addr);
	SAY(&c, head);
	say(&c, body, MAX_BODY);
	WAIT(c.in.len > MAX_BODY);
	assert_true(has(&c, "200 OK"));
	assert_memory_equal(c.in.p + c.in.len - MAX_BODY, body, MAX_BODY);
	buf_clear(&c.in);
	say(&c, "GET /", 5);
	say(&c, body, HTTP_LINE_MAX);
	WAIT(has(&c, "414 URI Too Long"));
	hang_up(&c, false);
	dial(&c, &fx.loop, &fx.addr);
	SAY(&c, "GET / HTTP/1.1\r\nHost: a\r\nX:");
	say(&c, body, HTTP_HEADER_MAX);
	WAIT(has(&c, "431 Request Header Fields Too Large"));
	hang_up(&c, false);
	free(body);
}

static void test_slow_reader(void **state)
{
	struct client c;

	(void)state;
	start(10, 60000);
	buf_reserve(&fx.big, 16u << 20); /* more than both kernel buffers hold */
	for (int i = 0; i < (16 << 20) / 8; i++)
		buf_printf(&fx.big, "%07d\n", i);
	dial(&c, &fx.loop, &fx.addr);
	uv_poll_stop(&c.poll);
	SAY(&c, GET("/big") GET("/after"));
	WAIT(http_server_stats(fx.srv)->requests == 1);
	for (int i = 0; i < 20; i++)
		uv_run(&fx.loop, UV_RUN_NOWAIT);
	assert_int_equal(http_server_stats(fx.srv)->requests, 1); /* the next one waits for the answer to leave */
	uv_poll_start(&c.poll, UV_READABLE, on_poll);
	WAIT(c.in.len > fx.big.len && strstr(c.in.p + fx.big.len, "GET /after 0 -") != NULL);
	assert_memory_equal(strstr(c.in.p, "\r\n\r\n") + 4, fx.big.p, fx.big.len);
	buf_clear(&c.in);
	uv_poll_stop(&c.poll);
	SAY(&c, GET("/big"));
	WAIT(http_server_stats(fx.srv)->requests == 3);
	hang_up(&c, true); /* and one that leaves in the middle of it */
	WAIT(http_server_stats(fx.srv)->conns == 0);
}

static void test_early_close(void **state)
{
	struct client c;

	(void)state;
	start(10, 60000);
	dial(&c, &fx.loop, &fx.addr); /* before, in and after the head, with a request in flight */
	hang_up(&c, false);
	dial(&c, &fx.loop, &fx.addr);
	SAY(&c, "GET / HT");
	hang_up(&c, false);
	dial(&c, &fx.loop, &fx.addr);
	SAY(&c, "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\nabc");
	hang_up(&c, true);
	dial(&c, &fx.loop, &fx.addr);
	SAY(&c, GET("/hold"));
	WAIT(fx.nheld == 1);
	assert_false(http_gone(fx.held[0]));
	hang_up(&c, true);
	WAIT(http_gone(fx.held[0]));
	WAIT(http_server_stats(fx.srv)->conns == 0);
	assert_string_equal(http_path(fx.held[0]).p, "/hold"); /* still readable */
	assert_int_equal(http_server_stats(fx.srv)->inflight, 1);
	answer(fx.held[0]);
	fx.held[0] = NULL;
	assert_int_equal(http_server_stats(fx.srv)->inflight, 0);
	assert_int_equal(http_server_stats(fx.srv)->closed_early, 3);
}

static void test_timeouts(void **state)
{
	struct client idle, head, body, served;

	(void)state;
	start(10, 80);
	dial(&idle, &fx.loop, &fx.addr);
	dial(&head, &fx.loop, &fx.addr);
	dial(&body, &fx.loop, &fx.addr);
	dial(&served, &fx.loop, &fx.addr);
	SAY(&head, "GET / HTTP/1.1\r\nHo");
	SAY(&body, "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\nabc");
	SAY(&served, GET("/hold"));
	WAIT(idle.eof && head.eof && body.eof);
	assert_int_equal(idle.in.len, 0);
	assert_true(has(&head, "HTTP/1.1 408 Request Timeout"));
	assert_true(has(&body, "HTTP/1.1 408 Request Timeout"));
	assert_int_equal(fx.refused, 2);
	assert_false(served.eof); /* a request in flight is its handler's affair */
	answer(fx.held[0]);
	fx.held[0] = NULL;
	WAIT(served.eof); /* idle now, and then closed without a word */
	assert_int_equal(count(&served, "HTTP/1.1"), 1);
	hang_up(&idle, false);
	hang_up(&head, false);
	hang_up(&body, false);
	hang_up(&served, false);
}

static void test_max_conns(void **state)
{
	struct client a, b, c;

	(void)state;
	start(2, 60000);
	dial(&a, &fx.loop, &fx.addr);
	dial(&b, &fx.loop, &fx.addr);
	dial(&c, &fx.loop, &fx.addr);
	SAY(&a, GET("/a"));
	SAY(&b, GET("/b"));
	SAY(&c, GET("/c"));
	WAIT(has(&a, "GET /a 0 -") && has(&b, "GET /b 0 -"));
	for (int i = 0; i < 5; i++)
		uv_run(&fx.loop, UV_RUN_NOWAIT);
	assert_int_equal(http_server_stats(fx.srv)->conns, 2);
	assert_int_equal(c.in.len, 0);
	hang_up(&a, false);
	WAIT(has(&c, "GET /c 0 -"));
	hang_up(&b, false);
	hang_up(&c, false);
	WAIT(http_server_stats(fx.srv)->conns == 0);
}

static void test_drain(void **state)
{
	struct client idle, flight, partial, fresh, late;

	(void)state;
	start(10, 60000);
	dial(&idle, &fx.loop, &fx.addr);
	dial(&flight, &fx.loop, &fx.addr);
	dial(&partial, &fx.loop, &fx.addr);
	SAY(&idle, GET("/x"));
	SAY(&flight, GET("/hold"));
	SAY(&partial, "GET /par");
	WAIT(has(&idle, "GET /x 0 -") && fx.nheld == 1 && http_server_stats(fx.srv)->conns == 3);
	dial(&fresh, &fx.loop, &fx.addr);
	WAIT(http_server_stats(fx.srv)->conns == 4);
	SAY(&idle, GET("/y")); /* sent before the drain, not read yet: not lost */
	http_server_drain(fx.srv, on_drained, NULL);
	assert_false(fx.drained);
	SAY(&partial, "tial HTTP/1.1\r\nHost: a\r\n\r\n");
	SAY(&fresh, GET("/fresh"));
	WAIT(idle.eof && partial.eof && fresh.eof);
	assert_true(has(&idle, "GET /y 0 -"));
	assert_true(has(&partial, "GET /partial 0 -") && has(&partial, "Connection: close"));
	assert_true(has(&fresh, "GET /fresh 0 -"));
	assert_false(fx.drained);
	answer(fx.held[0]);
	fx.held[0] = NULL;
	WAIT(flight.eof && fx.drained);
	assert_true(has(&flight, "GET /hold 0 -") && has(&flight, "Connection: close"));
	late.fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_int_equal(connect(late.fd, (struct sockaddr *)&fx.addr, sizeof(fx.addr)), -1);
	close(late.fd);
	hang_up(&idle, false);
	hang_up(&flight, false);
	hang_up(&partial, false);
	hang_up(&fresh, false);
}

static void test_drain_idle(void **state)
{
	struct client quiet, c;

	(void)state;
	start(10, 60000);
	dial(&quiet, &fx.loop, &fx.addr); /* never says anything */
	dial(&c, &fx.loop, &fx.addr);
	SAY(&c, GET("/x"));
	WAIT(has(&c, "GET /x 0 -") && http_server_stats(fx.srv)->conns == 2);
	http_server_drain(fx.srv, on_drained, NULL);
	assert_false(fx.drained); /* never from inside */
	for (int i = 0; i < 5; i++)
		uv_run(&fx.loop, UV_RUN_NOWAIT);
	assert_false(c.eof);
	SAY(&c,
	    GET("/once-more")); /* it was busy a moment ago: what it sends now is answered, and that was the last one */
	WAIT(c.eof);
	assert_true(has(&c, "GET /once-more 0 -") && has(&c, "Connection: close\r\n"));
	WAIT(fx.drained && quiet.eof);
	hang_up(&quiet, false);
	hang_up(&c, false);
}

static void test_freed_in_flight(void **state)
{
	struct client a, b, w;

	(void)state;
	start(10, 60000);
	dial(&a, &fx.loop, &fx.addr);
	dial(&b, &fx.loop, &fx.addr);
	dial(&w, &fx.loop, &fx.addr);
	SAY(&a, GET("/hold/1"));
	SAY(&b, GET("/hold/2") GET("/then"));
	SAY(&w, "GET / HT");
	WAIT(fx.nheld == 2 && http_server_stats(fx.srv)->conns == 3);
	hang_up(&b, true);
	http_server_free(&fx.srv);
	http_server_free(&fx.srv);
	WAIT(a.eof && w.eof);
	assert_true(http_gone(fx.held[0]));
	assert_string_equal(http_path(fx.held[1]).p, "/hold/2");
	answer(fx.held[0]);
	answer(fx.held[1]);
	fx.nheld = 0;
	hang_up(&a, false);
	hang_up(&w, false);
}

static void test_freed_from_handler(void **state)
{
	struct client c;

	(void)state;
	start(10, 60000);
	dial(&c, &fx.loop, &fx.addr);
	SAY(&c, GET("/a") GET("/free") GET("/b"));
	WAIT(c.eof);
	assert_true(has(&c, "GET /a 0 -"));
	assert_false(has(&c, "GET /b"));
	hang_up(&c, false);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		T(test_simple),     T(test_byte_by_byte),    T(test_pipelining),
		T(test_half_close), T(test_expect),          T(test_refusals),
		T(test_limits),     T(test_slow_reader),     T(test_early_close),
		T(test_timeouts),   T(test_max_conns),       T(test_drain),
		T(test_drain_idle), T(test_freed_in_flight), T(test_freed_from_handler),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
