/* jrs/executive/http: TLS in memory, and a server that speaks it. Server and clients share one loop. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "common/loop/loop.h"
#include "jrs/executive/http/http.h"
#include "jrs/executive/http/secret.h"
#include "jrs/executive/http/tls.h"
#include "tests/unit/http_client.h"
#include "tests/unit/tls_client.h"
#include <arpa/inet.h>
#include <stdlib.h>
#include <sys/mman.h>

#define WAIT_MS 20000
#define NAMES   "DNS:tribe.test,DNS:*.example.org,IP:10.1.2.3,IP:::1"

static struct pem certificate, key, other_certificate, other_key;

static int make_all(void **state)
{
	(void)state;
	make_certificate(&certificate, &key, NAMES);
	make_certificate(&other_certificate, &other_key, "DNS:other.test");
	return 0;
}

static struct tls_ctx *new_ctx(void)
{
	struct pem k = key;
	struct tls_ctx *ctx = NULL;
	const char *why;

	assert_int_equal(tls_ctx_new(&ctx, certificate.text, certificate.n, k.text, k.n, NULL, 0, &why), 0);
	return ctx;
}

/* ---- in memory ---- */
static bool all_zero(const struct pem *k)
{
	for (size_t i = 0; i < k->n; i++)
		if (k->text[i] != 0)
			return false;
	return true;
}

static void test_credentials(void **state)
{
	static const char key_word[] = "PRIVATE KEY",
			  bad[] = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
	struct tls_ctx *ctx = NULL;
	struct pem k = key, chain = certificate;
	const char *why = NULL;

	(void)state;
	assert_int_equal(tls_ctx_new(&ctx, certificate.text, certificate.n, k.text, k.n, NULL, 0, &why), 0);
	assert_true(all_zero(&k)); /* wiped */
	tls_ctx_free(&ctx);
	tls_ctx_free(&ctx);
	k = other_key;
	assert_int_equal(tls_ctx_new(&ctx, certificate.text, certificate.n, k.text, k.n, NULL, 0, &why), TR_ECONFIG);
	assert_non_null(strstr(why, "private key"));
	assert_true(all_zero(&k)); /* also when it was refused */
	k = key;
	assert_int_equal(tls_ctx_new(&ctx, bad, sizeof(bad) - 1, k.text, k.n, NULL, 0, &why), TR_ECONFIG);
	assert_non_null(strstr(why, "certificate"));
	k = key;
	assert_int_equal(tls_ctx_new(&ctx, "", 0, k.text, k.n, NULL, 0, &why), TR_ECONFIG);
	k = key;
	assert_int_equal(tls_ctx_new(&ctx, certificate.text, certificate.n / 2, k.text, k.n, NULL, 0, &why),
			 TR_ECONFIG);
	k = key;
	assert_int_equal(tls_ctx_new(&ctx, certificate.text, certificate.n, k.text, k.n / 2, NULL, 0, &why),
			 TR_ECONFIG);
	k = key;
	memcpy(strstr(k.text, key_word), "PRIVATE CAT", 11);
	assert_int_equal(tls_ctx_new(&ctx, certificate.text, certificate.n, k.text, k.n, NULL, 0, &why), TR_ECONFIG);
	/* a chain, and one that ends in the middle */
	k = key;
	memcpy(chain.text + chain.n, other_certificate.text, other_certificate.n + 1);
	chain.n += other_certificate.n;
	assert_int_equal(tls_ctx_new(&ctx, chain.text, chain.n, k.text, k.n, NULL, 0, &why), 0);
	tls_ctx_free(&ctx);
	k = key;
	assert_int_equal(tls_ctx_new(&ctx, chain.text, chain.n - 40, k.text, k.n, NULL, 0, &why), TR_ECONFIG);
	assert_null(ctx);
}

static void test_covers(void **state)
{
	static const char *const yes[] = {"tribe.test", "TRIBE.test", "a.example.org", "10.1.2.3", "[::1]"};
	static const char *const no[] = {
		"",     "other.test", "xtribe.test", "tribe.test.evil", "a.b.example.org", "10.1.2.4", "[::2]",
		"[::1", "[]",         "test",        "example.org"};
	struct tls_ctx *ctx = new_ctx();

	(void)state;
	for (size_t i = 0; i < sizeof(yes) / sizeof(*yes); i++)
		if (!tls_ctx_covers(ctx, yes[i]))
			fail_msg("not covered: %s", yes[i]);
	for (size_t i = 0; i < sizeof(no) / sizeof(*no); i++)
		if (tls_ctx_covers(ctx, no[i]))
			fail_msg("covered: %s", no[i]);
	tls_ctx_free(&ctx);
}

/* What the client has to say goes in, `step` bytes at a time. The server's plaintext is gathered; its last result. */
static int feed_all(struct tls *t, struct tls_client *c, size_t step, struct buf *plain)
{
	char wire[65536], text[300];
	int n = BIO_read(c->out, wire, sizeof(wire)), r = TLS_MORE;

	for (int at = 0; at < n && r >= 0; at += (int)step) {
		size_t k = (size_t)(n - at) < step ? (size_t)(n - at) : step;

		tls_feed(t, wire + at, k);
		while ((r = tls_read(t, text, sizeof(text))) > 0)
			buf_append(plain, text, (size_t)r);
	}
	if (tls_out(t)->len > 0)
		BIO_write(c->in, tls_out(t)->p, (int)tls_out(t)->len);
	buf_clear(tls_out(t));
	return r;
}

static void shake(struct tls *t, struct tls_client *c, size_t step, struct buf *plain)
{
	for (int i = 0; i < 10 && !(tls_ready(t) && SSL_is_init_finished(c->ssl)); i++) {
		tc_turn(c);
		assert_int_equal(feed_all(t, c, step, plain), TLS_MORE);
	}
	assert_true(tls_ready(t));
	tc_turn(c);
}

static void test_in_memory(void **state)
{
	static const size_t steps[] = {1, 7, 16384, 65536};
	struct tls_ctx *ctx = new_ctx();
	char *big = malloc(200000);

	(void)state;
	memset(big, 'b', 200000);
	for (size_t i = 0; i < sizeof(steps) / sizeof(*steps); i++) {
		struct tls_client c;
		struct buf plain = {0};
		struct tls *t = NULL;

		tc_open(&c);
		assert_int_equal(tls_new(&t, ctx), 0);
		assert_false(tls_ready(t));
		tls_bye(t); /* before hands are shaken: nothing to say */
		assert_int_equal(tls_out(t)->len, 0);
		shake(t, &c, steps[i], &plain);
		assert_int_equal(SSL_write(c.ssl, "hello", 5), 5);
		SSL_write(c.ssl, big, 1000);
		assert_int_equal(feed_all(t, &c, steps[i], &plain), TLS_MORE);
		assert_int_equal(plain.len, 1005);
		assert_memory_equal(plain.p, "hellob", 6);
		assert_int_equal(tls_write(t, "", 0), 0);
		assert_int_equal(tls_write(t, big, 200000), 0);
		tls_bye(t);
		tls_bye(t);
		feed_all(t, &c, 1, &plain);
		tc_turn(&c);
		assert_int_equal(c.plain.len, 200000);
		assert_memory_equal(c.plain.p, big, 200000);
		assert_true(c.ended);
		SSL_shutdown(c.ssl);
		assert_int_equal(feed_all(t, &c, steps[i], &plain), TLS_END);
		tls_free(&t);
		tls_free(&t);
		tc_close(&c);
		buf_free(&plain);
	}
	free(big);
	tls_ctx_free(&ctx);
}

static void test_rules(void **state)
{
	struct tls_ctx *ctx = new_ctx();
	struct buf plain = {0};

	(void)state;
	for (int what = 0; what < 6; what++) {
		struct tls_client c;
		struct tls *t = NULL;
		char text[64];

		tc_open(&c);
		assert_int_equal(tls_new(&t, ctx), 0);
		switch (what) {
		case 0: /* 1.1 */
			SSL_set_security_level(c.ssl, 0);
			SSL_set_min_proto_version(c.ssl, TLS1_VERSION);
			SSL_set_max_proto_version(c.ssl, TLS1_1_VERSION);
			break;
		case 1:
			SSL_set_max_proto_version(c.ssl, TLS1_2_VERSION);
			SSL_set_cipher_list(c.ssl, "ECDHE-ECDSA-AES128-SHA256");
			break;
		case 2:
			SSL_set_alpn_protos(c.ssl, (const unsigned char *)"\x02h2", 3);
			break;
		case 3: /* renegotiation */
			SSL_set_max_proto_version(c.ssl, TLS1_2_VERSION);
			shake(t, &c, 65536, &plain);
			SSL_renegotiate(c.ssl);
			SSL_do_handshake(c.ssl);
			feed_all(t, &c, 65536, &plain);
			tc_turn(&c);
			assert_true(c.failed || !SSL_is_init_finished(c.ssl)); /* a warning, and no second handshake */
			goto next;
		case 4: /* no TLS */
			tls_feed(t, "GET / HTTP/1.1\r\n", 16);
			assert_int_equal(tls_read(t, text, sizeof(text)), TLS_PLAIN);
			assert_int_equal(tls_out(t)->len, 0);
			goto next;
		default: /* damage in a session */
			shake(t, &c, 65536, &plain);
			tls_feed(t, "\x17\x03\x03\x00\x14zzzzzzzzzzzzzzzzzzzz", 25);
			assert_int_equal(tls_read(t, text, sizeof(text)), TLS_BROKEN);
			assert_int_equal(tls_read(t, text, sizeof(text)), TLS_BROKEN);
			assert_int_equal(tls_write(t, "x", 1), TR_ECLOSED);
			goto next;
		}
		tc_turn(&c);
		assert_int_equal(feed_all(t, &c, 65536, &plain), TLS_BROKEN);
		tc_turn(&c);
		assert_true(c.failed); /* it was told by an alert */
	next:
		tls_free(&t);
		tc_close(&c);
	}
	buf_free(&plain);
	tls_ctx_free(&ctx);
}

static void test_secret(void **state)
{
	struct secret s = {0};
	int fd = memfd_create("secret", MFD_CLOEXEC);

	(void)state;
	assert_int_equal(secret_take(&s, -1), 0);
	assert_null(s.p);
	assert_int_equal(write(fd, "word", 4), 4); /* the position is at the end now */
	assert_int_equal(secret_take(&s, fd), 0);
	assert_int_equal(s.n, 4);
	assert_memory_equal(s.p, "word", 4);
	secret_wipe(&s);
	secret_wipe(&s);
	fd = memfd_create("secret", MFD_CLOEXEC);
	assert_int_equal(ftruncate(fd, SECRET_MAX + 1), 0);
	assert_int_equal(secret_take(&s, fd), TR_ETOOBIG);
	assert_null(s.p);
}

/* ---- a server ---- */
static struct fixture {
	uv_loop_t loop;
	struct http_server *srv;
	struct sockaddr_in addr;
	struct buf big;
	bool covered, local_ok, secure;
	struct loop_timer *watchdog;
} fx;

static void on_request(void *arg, struct http_req *req)
{
	char local[HTTP_ADDRESS_MAX];

	(void)arg;
	fx.secure = http_secure(req);
	fx.covered = http_certified(req, "tribe.test") && !http_certified(req, "evil.test");
	fx.local_ok = http_local_address(req, local) && strcmp(local, "127.0.0.1") == 0;
	if (strcmp(http_path(req).p, "/big") == 0)
		http_respond(req, 200, "text/plain", NULL, fx.big.p, fx.big.len);
	else
		http_respond(req, 200, "text/plain", NULL, http_body(req).p, http_body(req).n);
}

static void on_watchdog(void *arg)
{
	(void)arg;
	fail_msg("nothing happened for %d ms", WAIT_MS);
}

static int set_up(void **state)
{
	struct pem k = key;
	struct http_server_cfg cfg = {
		.loop = &fx.loop, .max_conns = 1000, .max_body = 1u << 20, .on_request = on_request};
	socklen_t len = sizeof(fx.addr);

	(void)state;
	memset(&fx, 0, sizeof(fx));
	uv_loop_init(&fx.loop);
	cfg.head_timeout_ms = 300;
	cfg.body_timeout_ms = cfg.idle_timeout_ms = 60000;
	cfg.certificate = certificate.text;
	cfg.certificate_n = certificate.n;
	cfg.private_key = k.text;
	cfg.private_key_n = k.n;
	cfg.fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	fx.addr.sin_family = AF_INET;
	fx.addr.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	assert_int_equal(bind(cfg.fd, (struct sockaddr *)&fx.addr, sizeof(fx.addr)), 0);
	assert_int_equal(listen(cfg.fd, 512), 0);
	assert_int_equal(getsockname(cfg.fd, (struct sockaddr *)&fx.addr, &len), 0);
	assert_int_equal(http_server_new(&fx.srv, &cfg), 0);
	assert_true(all_zero(&k));
	return loop_timer_new(&fx.watchdog, &fx.loop, on_watchdog, NULL);
}

static int tear_down(void **state)
{
	(void)state;
	http_server_free(&fx.srv);
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

struct both {
	struct client wire;
	struct tls_client tls;
};

/* Moves bytes between socket and TLS, both ways; true, so that it can stand in a condition. */
static bool turn(struct both *b)
{
	char tmp[65536];
	int n;

	if (b->wire.in.len > 0)
		BIO_write(b->tls.in, b->wire.in.p, (int)b->wire.in.len);
	buf_clear(&b->wire.in);
	tc_turn(&b->tls);
	while ((n = BIO_read(b->tls.out, tmp, sizeof(tmp))) > 0)
		say(&b->wire, tmp, (size_t)n);
	return true;
}

static void open_both(struct both *b)
{
	tc_open(&b->tls);
	dial(&b->wire, &fx.loop, &fx.addr);
	WAIT(turn(b) && SSL_is_init_finished(b->tls.ssl));
}

static void close_both(struct both *b)
{
	hang_up(&b->wire, false);
	tc_close(&b->tls);
}

static bool got(struct both *b, const char *text)
{
	turn(b);
	return b->tls.plain.p != NULL && strstr(b->tls.plain.p, text) != NULL;
}

static void ask(struct both *b, const char *text)
{
	assert_int_equal(SSL_write(b->tls.ssl, text, (int)strlen(text)), (int)strlen(text));
	turn(b);
}

static void test_served(void **state)
{
	struct both b;

	(void)state;
	open_both(&b);
	ask(&b, "GET / HTTP/1.1\r\nHost: a\r\n\r\nPOST / HTTP/1.1\r\nHost: a\r\nExpect: "
		"100-continue\r\nContent-Length: 4\r\n\r\n");
	WAIT(got(&b, "HTTP/1.1 100 Continue\r\n\r\n"));
	assert_true(fx.secure && fx.covered && fx.local_ok);
	ask(&b, "body");
	WAIT(got(&b, "\r\n\r\nbody"));
	buf_clear(&b.tls.plain);
	ask(&b, "GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
	WAIT(turn(&b) && b.wire.eof);
	assert_true(got(&b, "200 OK") && b.tls.ended && !b.wire.reset);
	close_both(&b);
	open_both(&b);
	ask(&b, "BREW / HTTP/1.1\r\n\r\n"); /* a refusal */
	WAIT(turn(&b) && b.wire.eof);
	assert_true(got(&b, "501 ") && b.tls.ended && !b.wire.reset);
	close_both(&b);
	open_both(&b);
	SSL_shutdown(b.tls.ssl); /* the client says good-bye */
	WAIT(turn(&b) && b.wire.eof);
	assert_true(b.tls.ended);
	close_both(&b);
	WAIT(http_server_stats(fx.srv)->conns == 0);
}

static void test_slow_reader(void **state)
{
	struct both b;

	(void)state;
	buf_reserve(&fx.big, 16u << 20);
	for (int i = 0; i < (16 << 20) / 8; i++)
		buf_printf(&fx.big, "%07d\n", i);
	open_both(&b);
	uv_poll_stop(&b.wire.poll);
	ask(&b, "GET /big HTTP/1.1\r\nHost: a\r\n\r\nGET /x HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
	WAIT(http_server_stats(fx.srv)->requests == 1);
	for (int i = 0; i < 20; i++)
		uv_run(&fx.loop, UV_RUN_NOWAIT);
	assert_int_equal(http_server_stats(fx.srv)->requests, 1);
	uv_poll_start(&b.wire.poll, UV_READABLE, on_poll);
	WAIT(turn(&b) && b.wire.eof);
	assert_true(b.tls.ended);
	assert_memory_equal(strstr(b.tls.plain.p, "\r\n\r\n") + 4, fx.big.p, fx.big.len);
	close_both(&b);
}

static void test_drops(void **state)
{
	const uint64_t *dropped = http_server_stats(fx.srv)->dropped;
	struct client plain, garbage, silent;
	struct both b;

	(void)state;
	dial(&silent, &fx.loop, &fx.addr);
	dial(&plain, &fx.loop, &fx.addr);
	SAY(&plain, "GET / HTTP/1.1\r\nHost: a\r\n\r\n");
	dial(&garbage, &fx.loop, &fx.addr);
	SAY(&garbage, "\x16\x03\x01\xff\xff a record that is too long");
	WAIT(plain.eof && garbage.eof && silent.eof);
	assert_int_equal(plain.in.len, 0);
	assert_int_equal(silent.in.len, 0);
	assert_int_equal(dropped[HTTP_DROP_PLAIN], 1);
	assert_int_equal(dropped[HTTP_DROP_TLS], 1);
	assert_int_equal(dropped[HTTP_DROP_TLS_SLOW], 1);
	hang_up(&silent, false);
	hang_up(&plain, false);
	hang_up(&garbage, false);
	open_both(&b); /* leaves inside a request, without a word */
	ask(&b, "GET / HT");
	WAIT(turn(&b) && http_server_stats(fx.srv)->accepted == 4);
	for (int i = 0; i < 5; i++)
		uv_run(&fx.loop, UV_RUN_NOWAIT);
	close_both(&b);
	WAIT(http_server_stats(fx.srv)->conns == 0);
	assert_int_equal(dropped[HTTP_DROP_EARLY], 1);
	open_both(&b); /* goes with the server */
	ask(&b, "GET / HT");
	http_server_free(&fx.srv);
	WAIT(turn(&b) && b.wire.eof);
	close_both(&b);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_credentials),
		cmocka_unit_test(test_covers),
		cmocka_unit_test(test_in_memory),
		cmocka_unit_test(test_rules),
		cmocka_unit_test(test_secret),
		T(test_served),
		T(test_slow_reader),
		T(test_drops),
	};

	return cmocka_run_group_tests(tests, make_all, NULL);
}
