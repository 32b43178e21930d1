/* jrs/executive/http: what many, slow and greedy clients may cost, and how they are counted. Server and clients share
 * one loop. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "common/loop/loop.h"
#include "jrs/executive/http/http.h"
#include "tests/unit/http_client.h"
#include <arpa/inet.h>
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>

#define WAIT_MS  20000
#define MAX_BODY (4u << 20)
#define MAX_HELD (8u << 20)
#define MANY     400
#define BOUND    32768 /* bytes a connection may hold between two requests */

static struct fixture {
	uv_loop_t loop;
	struct http_server *srv;
	struct sockaddr_in addr;
	struct http_req *held;
	unsigned refused, drops[HTTP_NDROPS];
	bool unwanted;
	struct buf big;
	struct loop_timer *watchdog;
	unsigned max_conns;         /* 0: as many as any test wants */
	int listener;               /* a second descriptor of it, as tribed has one; -1: none wanted */
	struct http_server_cfg cfg; /* of fx.srv */
} fx;

static void on_request(void *arg, struct http_req *req)
{
	(void)arg;
	if (strcmp(http_path(req).p, "/hold") == 0)
		fx.held = req;
	else if (strcmp(http_path(req).p, "/big") == 0)
		http_respond(req, 200, "text/plain", NULL, fx.big.p, fx.big.len);
	else if (fx.unwanted)
		http_respond(req, 401, "text/plain", NULL, "no", http_body(req).n == 0 ? 2 : 0);
	else
		http_respond(req, 200, "text/plain", NULL, "yes", 3);
}

static void on_refused(void *arg, int status)
{
	(void)arg;
	fx.refused = (unsigned)status;
}

static void on_dropped(void *arg, enum http_drop why)
{
	(void)arg;
	fx.drops[why]++;
}

static bool wants_body(void *arg, const struct http_req *req)
{
	(void)arg;
	return http_header(req, "x-good").p != NULL;
}

static void on_watchdog(void *arg)
{
	(void)arg;
	fail_msg("nothing happened for %d ms", WAIT_MS);
}

static void start(uint32_t timeout_ms)
{
	struct http_server_cfg cfg = {.loop = &fx.loop,
				      .max_conns = fx.max_conns != 0 ? fx.max_conns : MANY + 10,
				      .max_body = MAX_BODY,
				      .max_held = MAX_HELD};
	socklen_t len = sizeof(fx.addr);

	cfg.head_timeout_ms = cfg.body_timeout_ms = cfg.idle_timeout_ms = timeout_ms;
	cfg.on_request = on_request;
	cfg.on_refused = on_refused;
	cfg.on_dropped = on_dropped;
	cfg.wants_body = fx.unwanted ? wants_body : NULL;
	cfg.fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	fx.addr.sin_family = AF_INET;
	fx.addr.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	assert_int_equal(bind(cfg.fd, (struct sockaddr *)&fx.addr, sizeof(fx.addr)), 0);
	assert_int_equal(listen(cfg.fd, 512), 0);
	assert_int_equal(getsockname(cfg.fd, (struct sockaddr *)&fx.addr, &len), 0);
	fx.cfg = cfg;
	fx.listener = dup(cfg.fd);
	assert_int_equal(http_server_new(&fx.srv, &cfg), 0);
}

static int set_up(void **state)
{
	(void)state;
	memset(&fx, 0, sizeof(fx));
	fx.listener = -1;
	uv_loop_init(&fx.loop);
	return loop_timer_new(&fx.watchdog, &fx.loop, on_watchdog, NULL);
}

static int tear_down(void **state)
{
	(void)state;
	http_server_free(&fx.srv);
	if (fx.listener >= 0)
		close(fx.listener);
	buf_free(&fx.big);
	loop_timer_free(&fx.watchdog);
	return loop_finish(&fx.loop);
}

#define WAIT(cond)                                         \
	do {                                               \
		loop_timer_start(fx.watchdog, WAIT_MS, 0); \
		while (!(cond))                            \
			uv_run(&fx.loop, UV_RUN_ONCE);     \
		loop_timer_stop(fx.watchdog);              \
	} while (0)

#define HEAD "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 4194304\r\n\r\n"

/* Bodies of several clients at once are gathered up to a limit, and there is always room for small ones. */
static void test_arriving_bodies(void **state)
{
	char *body = calloc(1, MAX_BODY);
	struct client c[4], small;
	unsigned full = 0;

	(void)state;
	start(60000);
	for (int i = 0; i < 4; i++) {
		dial(&c[i], &fx.loop, &fx.addr);
		SAY(&c[i], HEAD);
		say(&c[i], body, MAX_BODY - 1);
	}
	WAIT(has(&c[0], "503 ") || has(&c[1], "503 ") || has(&c[2], "503 ") || has(&c[3], "503 "));
	assert_int_equal(fx.refused, 503);
	dial(&small, &fx.loop, &fx.addr);
	SAY(&small, "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nsmall");
	WAIT(has(&small, "200 OK"));
	for (int i = 0; i < 4; i++)
		say(&c[i], body, 1);
	WAIT(c[0].in.len > 0 && c[1].in.len > 0 && c[2].in.len > 0 && c[3].in.len > 0);
	for (int i = 0; i < 4; i++) {
		full += has(&c[i], "200 OK");
		hang_up(&c[i], false);
	}
	assert_true(full > 0 && full < 4);
	WAIT(http_server_stats(fx.srv)->conns == 1);
	/* all of it is free again */
	dial(&c[0], &fx.loop, &fx.addr);
	SAY(&c[0], HEAD);
	say(&c[0], body, MAX_BODY);
	WAIT(has(&c[0], "200 OK"));
	hang_up(&c[0], false);
	hang_up(&small, false);
	free(body);
}

static void test_unread_answers(void **state)
{
	struct client c;

	(void)state;
	start(60000);
	buf_reserve(&fx.big, 16u << 20);
	while (fx.big.len < 16u << 20)
		buf_append(&fx.big, "0123456789abcdef", 16);
	dial(&c, &fx.loop, &fx.addr);
	uv_poll_stop(&c.poll);
	SAY(&c, "GET /big HTTP/1.1\r\nHost: a\r\n\r\n");
	WAIT(fx.drops[HTTP_DROP_MEMORY] == 1);
	WAIT(http_server_stats(fx.srv)->conns == 0);
	assert_int_equal(http_server_stats(fx.srv)->dropped[HTTP_DROP_MEMORY], 1);
	hang_up(&c, false);
}

static void test_slow_reader_and_idle(void **state)
{
	struct client c, idle;
	int small = 4096;

	(void)state;
	start(80);
	buf_reserve(&fx.big, 6u << 20);
	while (fx.big.len < 6u << 20)
		buf_append(&fx.big, "0123456789abcdef", 16);
	dial(&c, &fx.loop, &fx.addr);
	dial(&idle, &fx.loop, &fx.addr);
	uv_poll_stop(&c.poll);
	setsockopt(c.fd, SOL_SOCKET, SO_RCVBUF, &small, sizeof(small));
	SAY(&c, "GET /big HTTP/1.1\r\nHost: a\r\n\r\n");
	WAIT(fx.drops[HTTP_DROP_SLOW] == 1 && fx.drops[HTTP_DROP_IDLE] == 1);
	WAIT(http_server_stats(fx.srv)->conns == 0);
	hang_up(&c, false);
	hang_up(&idle, false);
}

static void test_unwanted_body(void **state)
{
	struct client c;
	char *body = calloc(1, MAX_BODY);

	(void)state;
	fx.unwanted = true;
	start(60000);
	dial(&c, &fx.loop, &fx.addr);
	SAY(&c, "POST / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 4194304\r\n\r\n");
	WAIT(has(&c, "\r\n\r\nno"));
	assert_true(has(&c, "401 Unauthorized") && has(&c, "Connection: close") && !has(&c, "100 Continue"));
	say(&c, body, MAX_BODY); /* who sends it all the same is heard out */
	shutdown(c.fd, SHUT_WR);
	WAIT(c.eof);
	assert_false(c.reset);
	hang_up(&c, false);
	dial(&c, &fx.loop, &fx.addr);
	fx.unwanted = false;
	SAY(&c, "POST / HTTP/1.1\r\nHost: a\r\nX-Good: 1\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n");
	WAIT(has(&c, "100 Continue"));
	SAY(&c, "ab");
	WAIT(has(&c, "\r\n\r\nyes"));
	hang_up(&c, false);
	free(body);
}

/* What ends the connection was read ahead while a request was in flight. */
static void test_end_read_ahead(void **state)
{
	static const char *const ends[] = {"GET /a HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n",
					   "GET / HTTP/9.9\r\n\r\n"};

	(void)state;
	start(60000);
	for (unsigned i = 0; i < 2; i++) {
		struct client c;

		dial(&c, &fx.loop, &fx.addr);
		SAY(&c, "GET /hold HTTP/1.1\r\nHost: a\r\n\r\n");
		SAY(&c, ends[i]);
		SAY(&c, "GET /never HTTP/1.1\r\nHost: a\r\n\r\n");
		WAIT(fx.held != NULL);
		for (int k = 0; k < 5; k++)
			uv_run(&fx.loop, UV_RUN_NOWAIT);
		http_respond(fx.held, 200, "text/plain", NULL, "held", 4);
		fx.held = NULL;
		WAIT(c.eof);
		assert_int_equal(count(&c, "\r\nDate: "), 2);
		assert_true(has(&c, "\r\n\r\nheldHTTP/1.1 "));
		assert_false(c.reset);
		hang_up(&c, false);
	}
}

size_t __sanitizer_get_current_allocated_bytes(void) __attribute__((weak));

static size_t heap(void)
{
	if (__sanitizer_get_current_allocated_bytes != NULL)
		return __sanitizer_get_current_allocated_bytes();
	return mallinfo2().uordblks;
}

/* A connection that waits holds little, whatever it asked before. */
static void many(size_t headers, size_t body_n)
{
	struct client *c = calloc(MANY, sizeof(*c));
	char *body = calloc(1, body_n);
	struct buf text = {0};
	size_t before, each;

	buf_printf(&text, "POST /a?x=%0*d HTTP/1.1\r\nHost: a\r\nContent-Length: %zu\r\n", (int)headers, 1, body_n);
	for (size_t i = 0; i < headers / 50; i++)
		buf_printf(&text, "X-Header: %0100d\r\n", 1);
	buf_puts(&text, "\r\n");
	before = heap();
	for (int i = 0; i < MANY; i++) {
		dial(&c[i], &fx.loop, &fx.addr);
		say(&c[i], text.p, text.len);
		say(&c[i], body, body_n);
		WAIT(has(&c[i], "200 OK"));
		buf_free(&c[i].in);
	}
	each = (heap() - before) / MANY;
	print_message("%zu bytes a connection\n", each);
	assert_in_range(each, 1, BOUND);
	assert_int_equal(http_server_stats(fx.srv)->conns, MANY);
	for (int i = 0; i < MANY; i++)
		hang_up(&c[i], false);
	WAIT(http_server_stats(fx.srv)->conns == 0);
	buf_free(&text);
	free(body);
	free(c);
}

static void test_idle_memory(void **state)
{
	(void)state;
	start(60000);
	many(4500, 100000); /* given back */
	many(1200, 16000);  /* about the most that is kept for the next request */
}

/* Who comes while there are no descriptors left waits, and is not turned away. */
static void test_no_descriptors(void **state)
{
	struct client before, c[20];
	struct rlimit usual, none;
	int fd;

	(void)state;
	start(60000);
	dial(&before, &fx.loop, &fx.addr);
	SAY(&before, "GET /a HTTP/1.1\r\nHost: a\r\n\r\n");
	WAIT(has(&before, "yes"));
	buf_clear(&before.in);
	for (int i = 0; i < 20; i++)
		dial(&c[i], &fx.loop, &fx.addr);
	fd = dup(0); /* the lowest number that is free */
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &usual), 0);
	none = (struct rlimit){(rlim_t)fd, usual.rlim_max};
	close(fd);
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &none), 0);
	for (int i = 0; i < 20; i++)
		SAY(&c[i], "GET /a HTTP/1.1\r\nHost: a\r\n\r\n");
	for (int i = 0; i < 5; i++) { /* who has a connection is served */
		SAY(&before, "GET /a HTTP/1.1\r\nHost: a\r\n\r\n");
		WAIT(has(&before, "yes"));
		buf_clear(&before.in);
	}
	for (int i = 0; i < 20; i++)
		assert_true(!c[i].eof && c[i].in.len == 0);
	assert_int_equal(http_server_stats(fx.srv)->accepted, 1);
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &usual), 0);
	for (int i = 0; i < 20; i++) {
		WAIT(has(&c[i], "yes") || c[i].eof);
		assert_false(c[i].eof);
		hang_up(&c[i], false);
	}
	hang_up(&before, false);
}

static void on_drained(void *arg)
{
	*(bool *)arg = true;
}

/* One for whom there is no room is not taken ahead: he belongs to whoever listens there next. */
static void test_successor(void **state)
{
	struct client a, b, late;
	struct http_server *next = NULL;
	bool drained = false;

	(void)state;
	fx.max_conns = 1;
	start(60000);
	dial(&a, &fx.loop, &fx.addr);
	SAY(&a, "GET /hold HTTP/1.1\r\nHost: a\r\n\r\n");
	WAIT(fx.held != NULL);
	dial(&b, &fx.loop, &fx.addr);
	SAY(&b, "GET /b HTTP/1.1\r\nHost: a\r\n\r\n");
	for (int i = 0; i < 5; i++)
		uv_run(&fx.loop, UV_RUN_NOWAIT);
	http_server_drain(fx.srv, on_drained, &drained);
	dial(&late, &fx.loop, &fx.addr);
	SAY(&late, "GET /late HTTP/1.1\r\nHost: a\r\n\r\n");
	http_respond(fx.held, 200, "text/plain", NULL, "held", 4);
	WAIT(drained && a.eof);
	assert_true(has(&a, "held") && !b.eof && !late.eof && b.in.len == 0);
	assert_int_equal(http_server_stats(fx.srv)->accepted, 1);
	fx.cfg.fd = dup(fx.listener);
	fx.cfg.max_conns = 2;
	assert_int_equal(http_server_new(&next, &fx.cfg), 0);
	WAIT(has(&b, "yes") && has(&late, "yes"));
	hang_up(&a, false);
	hang_up(&b, false);
	hang_up(&late, false);
	http_server_free(&next);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		T(test_arriving_bodies), T(test_unread_answers), T(test_slow_reader_and_idle), T(test_unwanted_body),
		T(test_end_read_ahead),  T(test_idle_memory),    T(test_no_descriptors),       T(test_successor),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
