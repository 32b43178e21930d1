/* jrs/executive/http: which coding a client wants, which tags it has, that gzip comes back whole; and what a server on
 * a real socket makes of it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "common/loop/loop.h"
#include "jrs/executive/http/encoding.h"
#include "jrs/executive/http/http.h"
#include "tests/unit/http_client.h"
#include <arpa/inet.h>
#include <string.h>
#include <zlib.h>

static void test_wants(void **state)
{
	static const char *const yes[] = {
		"gzip",
		"GZip",
		"x-gzip",
		"deflate, gzip",
		"gzip;q=1.0, identity; q=0.5, *;q=0",
		"gzip , deflate;q=0.1",
		"*",
		"br, *;q=0.2",
		"gzip;q=0.001",
		"identity;q=0.5, gzip;q=0.5",
		"identity;q=0, gzip;q=0.1",
		"gzip\t;\tQ=0.8",
		",,gzip",
		"broken;;;, gzip",
	};
	static const char *const no[] = {
		"",
		" ",
		"identity",
		"deflate, br",
		"gzip;q=0",
		"gzip;q=0.000",
		"*;q=0",
		"gzip;q=0, *;q=1",
		"gzip;q=0.4, identity;q=0.5",
		"gzip;q=1.5",
		"gzip;q=0.1234",
		"gzip;q=x",
		"gzip;level=9",
		"gzip q=1",
		"gzipped",
		"gzi",
		";q=1",
	};

	(void)state;
	assert_false(http_wants_gzip(NULL));
	for (size_t i = 0; i < sizeof(yes) / sizeof(*yes); i++)
		if (!http_wants_gzip(yes[i]))
			fail_msg("%s should be gzip", yes[i]);
	for (size_t i = 0; i < sizeof(no) / sizeof(*no); i++)
		if (http_wants_gzip(no[i]))
			fail_msg("%s should not be gzip", no[i]);
}

static void test_tags(void **state)
{
	static const struct {
		const char *header;
		bool known;
	} t[] = {
		{"\"a-1\"", true},
		{"W/\"a-1\"", true},
		{"*", true},
		{" \"b\" , \"a-1\"", true},
		{"\"b\",W/\"a-1\"", true},
		{"\"x,y\", \"a-1\"", true},
		{"", false},
		{"\"a-\"", false},
		{"\"a-11\"", false},
		{"a-1", false},
		{"\"b\", a-1", false},
		{"\"a-1", false},
		{"w/\"a-1\"", false},
		{"\"A-1\"", false},
	};

	(void)state;
	assert_false(http_tag_known(NULL, "\"a-1\""));
	for (size_t i = 0; i < sizeof(t) / sizeof(*t); i++)
		if (http_tag_known(t[i].header, "\"a-1\"") != t[i].known)
			fail_msg("%s", t[i].header);
}

static void unpacked_is(const struct buf *packed, size_t from, const char *p, size_t n)
{
	static unsigned char back[1u << 21];
	z_stream z = {0};

	z.next_in = (Bytef *)packed->p + from;
	z.avail_in = (uInt)(packed->len - from);
	z.next_out = back;
	z.avail_out = sizeof(back);
	assert_int_equal(inflateInit2(&z, 31), Z_OK);
	assert_int_equal(inflate(&z, Z_FINISH), Z_STREAM_END);
	assert_int_equal(z.total_out, n);
	assert_int_equal(z.avail_in, 0);
	if (n > 0)
		assert_memory_equal(back, p, n);
	inflateEnd(&z);
}

static void test_gzip(void **state)
{
	static const size_t sizes[] = {0, 1, 1024, 100000, 1u << 20};
	static char text[1u << 20];
	struct http_gzip *z = NULL;
	struct buf out = {0};
	uint64_t x = 1;

	(void)state;
	for (size_t i = 0; i < sizeof(text); i++) { /* every other byte as good as random */
		x = x * UINT64_C(6364136223846793005) + 1442695040888963407;
		text[i] = i % 2 == 0 ? (char)(x >> 56) : 'e';
	}
	for (size_t i = 0; i < sizeof(sizes) / sizeof(*sizes); i++) { /* one compressor for all */
		buf_puts(&out, "before");
		assert_int_equal(http_gzip(&z, &out, text, sizes[i]), 0);
		assert_memory_equal(out.p, "before", 6);
		unpacked_is(&out, 6, text, sizes[i]);
		buf_clear(&out);
	}
	out.max = 10; /* no room */
	assert_true(http_gzip(&z, &out, text, 1000) < 0);
	assert_int_equal(out.len, 0);
	http_gzip_free(&z);
	http_gzip_free(&z);
	buf_free(&out);
}

/* ---- on a socket ---- */
#define WAIT_MS 20000 /* a test that waits longer has failed */

static struct fixture {
	uv_loop_t loop;
	struct http_server *srv;
	struct sockaddr_in addr;
	struct loop_timer *watchdog;
} fx;

static const struct http_static fixed = {.type = "text/html",
					 .tag = "v1",
					 .extra = "Cache-Control: no-cache\r\n",
					 .bytes = "as it is",
					 .n = 8,
					 .gzip = "packed",
					 .gzip_n = 6};

static void on_request(void *arg, struct http_req *req)
{
	struct buf out = {0};

	(void)arg;
	if (strcmp(http_path(req).p, "/fixed") == 0) {
		http_respond_static(req, &fixed);
		return;
	}
	if (strcmp(http_path(req).p, "/text") == 0)
		for (int i = 0; i < 500; i++)
			buf_printf(&out, "line %d\n", i);
	else
		buf_printf(&out, "%s", http_path(req).p);
	http_respond_buf(req, 200, "text/plain", NULL, &out);
}

static void on_watchdog(void *arg)
{
	(void)arg;
	fail_msg("nothing happened for %d ms", WAIT_MS);
}

static int set_up(void **state)
{
	struct http_server_cfg cfg = {.loop = &fx.loop, .max_conns = 10, .max_body = 1000, .on_request = on_request};
	socklen_t len = sizeof(fx.addr);

	(void)state;
	memset(&fx, 0, sizeof(fx));
	uv_loop_init(&fx.loop);
	cfg.head_timeout_ms = cfg.body_timeout_ms = cfg.idle_timeout_ms = 60000;
	cfg.fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	fx.addr.sin_family = AF_INET;
	fx.addr.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	assert_int_equal(bind(cfg.fd, (struct sockaddr *)&fx.addr, sizeof(fx.addr)), 0);
	assert_int_equal(listen(cfg.fd, 64), 0);
	assert_int_equal(getsockname(cfg.fd, (struct sockaddr *)&fx.addr, &len), 0);
	assert_int_equal(http_server_new(&fx.srv, &cfg), 0);
	return loop_timer_new(&fx.watchdog, &fx.loop, on_watchdog, NULL);
}

static int tear_down(void **state)
{
	(void)state;
	http_server_free(&fx.srv);
	loop_timer_free(&fx.watchdog);
	return loop_finish(&fx.loop);
}

static bool holds(const struct client *c, const char *text)
{
	return c->in.p != NULL && memmem(c->in.p, c->in.len, text, strlen(text)) != NULL;
}

/* The body of the first answer in c.in, unpacked. */
static void gzip_is(const struct client *c, const char *begin, const char *end)
{
	const char *body = (const char *)memmem(c->in.p, c->in.len, "\r\n\r\n", 4) + 4;
	unsigned char back[8192];
	z_stream z = {0};

	z.next_in = (Bytef *)(uintptr_t)body;
	z.avail_in = (uInt)(c->in.len - (size_t)(body - c->in.p));
	z.next_out = back;
	z.avail_out = sizeof(back);
	assert_int_equal(inflateInit2(&z, 31), Z_OK);
	assert_int_equal(inflate(&z, Z_FINISH), Z_STREAM_END);
	assert_memory_equal(back, begin, strlen(begin));
	assert_memory_equal(back + z.total_out - strlen(end), end, strlen(end));
	assert_memory_equal(z.next_in, "HTTP/1.1 200 OK", 15); /* Content-Length told where it ends */
	inflateEnd(&z);
}

#define GET(path)               ASK("GET", path, "")
#define ASK(method, path, more) method " " path " HTTP/1.1\r\nHost: a\r\n" more "\r\n"

/* The answer to one request, alone in c.in. */
static void exchange(struct client *c, const char *request, const char *end)
{
	buf_clear(&c->in);
	SAY(c, request);
	loop_timer_start(fx.watchdog, WAIT_MS, 0); /* it also keeps uv_run() from returning at once */
	while (!holds(c, end))
		uv_run(&fx.loop, UV_RUN_ONCE);
	loop_timer_stop(fx.watchdog);
}

static void test_fixed(void **state)
{
	struct client c;

	(void)state;
	dial(&c, &fx.loop, &fx.addr);
	exchange(&c, GET("/fixed"), "as it is");
	assert_true(holds(&c, "200 OK") && holds(&c, "ETag: \"v1\"\r\n") && holds(&c, "Vary: Accept-Encoding\r\n"));
	assert_true(holds(&c, "Content-Length: 8\r\n") && holds(&c, "Cache-Control: no-cache\r\n"));
	assert_false(holds(&c, "Content-Encoding"));
	exchange(&c, ASK("GET", "/fixed", "Accept-Encoding: gzip\r\n"), "packed");
	assert_true(holds(&c, "ETag: \"v1-gzip\"\r\n") && holds(&c, "Content-Encoding: gzip\r\n"));
	assert_true(holds(&c, "Content-Length: 6\r\n") && holds(&c, "Content-Type: text/html\r\n"));
	exchange(&c, ASK("HEAD", "/fixed", "Accept-Encoding: gzip\r\n"), "\r\n\r\n");
	assert_true(holds(&c, "Content-Length: 6\r\n") && holds(&c, "Content-Encoding: gzip\r\n"));
	/* each coding's own tag; what follows a 304 is the next answer */
	exchange(&c, ASK("GET", "/fixed", "If-None-Match: \"v0\", W/\"v1\"\r\n"), "\r\n\r\n");
	assert_true(holds(&c, "304 Not Modified\r\n") && holds(&c, "ETag: \"v1\"\r\n"));
	assert_true(holds(&c, "Vary: Accept-Encoding\r\n") && holds(&c, "Cache-Control: no-cache\r\n"));
	assert_false(holds(&c, "\r\nContent-"));
	exchange(&c, ASK("GET", "/fixed", "If-None-Match: \"v1\"\r\nAccept-Encoding: gzip\r\n"), "packed");
	exchange(&c, ASK("HEAD", "/fixed", "If-None-Match: \"v1-gzip\"\r\nAccept-Encoding: gzip\r\n"), "\r\n\r\n");
	assert_true(holds(&c, "304 Not Modified\r\n"));
	exchange(&c, GET("/after"), "\r\n\r\n/after");
	hang_up(&c, false);
}

static void test_long_text(void **state)
{
	struct client c;
	size_t whole;

	(void)state;
	dial(&c, &fx.loop, &fx.addr);
	exchange(&c, GET("/text"), "line 499\n");
	assert_true(holds(&c, "Vary: Accept-Encoding\r\n"));
	assert_false(holds(&c, "Content-Encoding"));
	whole = c.in.len;
	exchange(&c, ASK("HEAD", "/text", "Accept-Encoding: gzip\r\n"), "\r\n\r\n");
	assert_true(holds(&c, "Content-Encoding: gzip\r\n"));
	exchange(&c, ASK("GET", "/text", "Accept-Encoding: gzip, identity;q=0.5\r\n") GET("/next"), "\r\n\r\n/next");
	assert_true(holds(&c, "Content-Encoding: gzip\r\n") && holds(&c, "Vary: Accept-Encoding\r\n"));
	assert_true(c.in.len < whole);
	gzip_is(&c, "line 0\n", "line 499\n");
	exchange(&c, ASK("GET", "/short", "Accept-Encoding: gzip\r\n"), "/short");
	assert_false(holds(&c, "Content-Encoding") || holds(&c, "Vary"));
	hang_up(&c, false);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_wants),
		cmocka_unit_test(test_tags),
		cmocka_unit_test(test_gzip),
		cmocka_unit_test_setup_teardown(test_fixed, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_long_text, set_up, tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
