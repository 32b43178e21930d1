/* jrs/executive/http: guard, target and parser without a socket. Every probe is read whole, in pieces and byte by byte,
 * and must end the same way: what a request means may not depend on how its bytes travelled. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "jrs/executive/http/parse.h"
#include "jrs/executive/http/problem.h"
#include "jrs/executive/http/wheel.h"
#include <stdlib.h>
#include <string.h>

#define MAX_BODY 1000

/* What became of the bytes: a status it was refused with, 200 for a whole request, 0 for one that wants more. */
struct outcome {
	int status;
	size_t used, body;
};

static struct outcome read_in_steps(struct http_parser *ps, const char *p, size_t n, size_t step)
{
	struct outcome o = {0};
	int r = PARSE_MORE;

	http_parser_reset(ps);
	while (o.used < n && r != PARSE_COMPLETE) {
		size_t k = n - o.used < step ? n - o.used : step, used = 0;
		char *piece = malloc(k); /* its own block: reading past it is seen */

		memcpy(piece, p + o.used, k);
		r = http_parse(ps, piece, k, &used);
		free(piece);
		if (r < 0) {
			o.status = ps->status;
			assert_non_null(ps->why);
			return o;
		}
		o.used += used;
	}
	o.status = r == PARSE_COMPLETE ? 200 : 0;
	o.body = ps->body.len;
	return o;
}

static struct outcome probe(const char *p, size_t n)
{
	static const size_t steps[] = {2, 3, 7, 64, 1u << 20};
	struct http_parser ps;
	struct outcome first, o;

	http_parser_init(&ps, MAX_BODY);
	first = read_in_steps(&ps, p, n, 1);
	for (size_t i = 0; i < sizeof(steps) / sizeof(*steps); i++) {
		o = read_in_steps(&ps, p, n, steps[i]);
		if (o.status != first.status)
			fail_msg("in steps of %zu: %d, byte by byte: %d: %.80s", steps[i], o.status, first.status, p);
		if (o.status == 200) {
			assert_int_equal(o.used, first.used);
			assert_int_equal(o.body, first.body);
		}
	}
	http_parser_free(&ps);
	return first;
}

#define POST    "POST / HTTP/1.1\r\nHost: a\r\n"
#define CHUNKED POST "Transfer-Encoding: chunked\r\n\r\n"
static const struct {
	const char *name, *bytes;
	size_t n;
	int status;
	size_t left; /* bytes that belong to the next request */
} probes[] = {
#define P(name, bytes, status, left) {name, bytes, sizeof(bytes) - 1, status, left},
	/* clang-format off */
	P("plain",                 "GET / HTTP/1.1\r\nHost: a\r\n\r\n", 200, 0)
	P("1.0 without Host",      "GET / HTTP/1.0\r\n\r\n", 200, 0)
	P("blank line in front",   "\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n", 200, 0)
	P("body",                  POST "Content-Length: 3\r\n\r\nabcGET", 200, 3)
	P("length 0",              POST "Content-Length: 0\r\n\r\nGET", 200, 3)
	P("chunked",               CHUNKED "3\r\nabc\r\n0\r\n\r\nGET", 200, 3)
	P("chunked, extension",    CHUNKED "3;a=b\r\nabc\r\n0;z\r\n\r\n", 200, 0)
	P("chunked, any case",     POST "TRANSFER-encoding: Chunked\r\n\r\nA\r\n0123456789\r\n000\r\n\r\n", 200, 0)
	P("chunked, empty",        CHUNKED "0\r\n\r\n", 200, 0)
	P("upgrade not granted",   "GET / HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: h2c\r\n\r\n", 200, 0)
	P("upgrade with body",     POST "Connection: upgrade\r\nUpgrade: h2c\r\nContent-Length: 3\r\n\r\nabcX", 200, 1)
	P("obs-text in a value",   "GET / HTTP/1.1\r\nHost: a\r\nX: \xc3\xa4\r\n\r\n", 200, 0)
	P("absolute form",         "GET http://a/b HTTP/1.1\r\nHost: A\r\n\r\n", 200, 0)
	P("OPTIONS *",             "OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n", 200, 0)
	P("not finished",          POST "Content-Length: 3\r\n\r\nab", 0, 0)

	/* the table of facts: how requests are smuggled */
	P("TE and CL",             POST "Transfer-Encoding: chunked\r\nContent-Length: 3\r\n\r\n0\r\n\r\n", 400, 0)
	P("CL and TE",             POST "Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400, 0)
	P("two lengths",           POST "Content-Length: 3\r\nContent-Length: 4\r\n\r\nabcd", 400, 0)
	P("the same length twice", POST "Content-Length: 3\r\nContent-Length: 3\r\n\r\nabc", 400, 0)
	P("list of lengths",       POST "Content-Length: 3, 3\r\n\r\nabc", 400, 0)
	P("length +5",             POST "Content-Length: +5\r\n\r\nabcde", 400, 0)
	P("length -1",             POST "Content-Length: -1\r\n\r\n", 400, 0)
	P("length 0x3",            POST "Content-Length: 0x3\r\n\r\nabc", 400, 0)
	P("length empty",          POST "Content-Length: \r\n\r\n", 400, 0)
	P("length over 2^64",      POST "Content-Length: 18446744073709551617\r\n\r\n", 400, 0)
	P("space before colon",    "GET / HTTP/1.1\r\nHost : a\r\n\r\n", 400, 0)
	P("bare LF everywhere",    "GET / HTTP/1.1\nHost: a\n\n", 400, 0)
	P("bare LF in a header",   "GET / HTTP/1.1\r\nHost: a\nX: b\r\n\r\n", 400, 0)
	P("bare LF at the end",    "GET / HTTP/1.1\r\nHost: a\r\n\n", 400, 0)
	P("LF in front",           "\nGET / HTTP/1.1\r\nHost: a\r\n\r\n", 400, 0)
	P("NUL in a value",        "GET / HTTP/1.1\r\nHost: a\r\nX: a\0b\r\n\r\n", 400, 0)
	P("NUL in a name",         "GET / HTTP/1.1\r\nHost: a\r\nX\0: a\r\n\r\n", 400, 0)
	P("bare CR in a header",   "GET / HTTP/1.1\r\nHost: a\r\nX: a\rb\r\n\r\n", 400, 0)
	P("CVE-2023-30589",        "GET / HTTP/1.1\r\nHost: a\r\nX: y\rTransfer-Encoding: chunked\r\n\r\n", 400, 0)
	P("obs-fold",              "GET / HTTP/1.1\r\nHost: a\r\nX: a\r\n b\r\n\r\n", 400, 0)
	P("obs-fold with tab",     "GET / HTTP/1.1\r\nHost: a\r\nX: a\r\n\tb\r\n\r\n", 400, 0)
	P("CVE-2024-27982",        "GET / HTTP/1.1\r\n Host: a\r\nContent-Length: 3\r\n\r\nabc", 400, 0)
	P("fold of a length",      POST "X: y\r\n Content-Length: 3\r\n\r\nabc", 400, 0)
	P("no Host",               "GET / HTTP/1.1\r\nX: a\r\n\r\n", 400, 0)
	P("two Hosts",             "GET / HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n", 400, 0)
	P("two Hosts in 1.0",      "GET / HTTP/1.0\r\nHost: a\r\nHost: b\r\n\r\n", 400, 0)
	P("Host with a path",      "GET / HTTP/1.1\r\nHost: a/b\r\n\r\n", 400, 0)
	P("Host list",             "GET / HTTP/1.1\r\nHost: a, b\r\n\r\n", 400, 0)
	P("Host and target",       "GET http://a/ HTTP/1.1\r\nHost: b\r\n\r\n", 400, 0)
	P("user in the target",    "GET http://u@a/ HTTP/1.1\r\nHost: a\r\n\r\n", 400, 0)
	P("TE gzip",               POST "Transfer-Encoding: gzip\r\n\r\n", 501, 0)
	P("TE gzip, chunked",      POST "Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n", 501, 0)
	P("TE identity",           POST "Transfer-Encoding: identity\r\n\r\n", 501, 0)
	P("TE xchunked",           POST "Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n", 501, 0)
	P("TE chunked;q=1",        POST "Transfer-Encoding: chunked;q=1\r\n\r\n0\r\n\r\n", 501, 0)
	P("TE empty",              POST "Transfer-Encoding:\r\n\r\n", 501, 0)
	P("TE twice",              POST "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400, 0)
	P("TE in 1.0",             "POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400, 0)
	P("chunk size 0x1",        CHUNKED "0x1\r\na\r\n0\r\n\r\n", 400, 0)
	P("chunk size +1",         CHUNKED "+1\r\na\r\n0\r\n\r\n", 400, 0)
	P("chunk size ' 1'",       CHUNKED " 1\r\na\r\n0\r\n\r\n", 400, 0)
	P("chunk size '1 '",       CHUNKED "1 \r\na\r\n0\r\n\r\n", 400, 0)
	P("chunk size empty",      CHUNKED "\r\na\r\n0\r\n\r\n", 400, 0)
	P("chunk size 2^64",       CHUNKED "10000000000000000\r\na\r\n0\r\n\r\n", 400, 0)
	P("chunk, bare LF",        CHUNKED "1\na\r\n0\r\n\r\n", 400, 0)
	P("chunk too long",        CHUNKED "1\r\nab\r\n0\r\n\r\n", 400, 0)
	P("chunk data LF only",    CHUNKED "1\r\na\n0\r\n\r\n", 400, 0)
	P("last chunk bare LF",    CHUNKED "0\r\n\n", 400, 0)
	P("extension bare LF",     CHUNKED "1;a\nb\r\nx\r\n0\r\n\r\n", 400, 0)
	P("extension with NUL",    CHUNKED "1;a\0\r\nx\r\n0\r\n\r\n", 400, 0)
	P("trailer",               CHUNKED "1\r\na\r\n0\r\nX: y\r\n\r\nGET", 200, 3)
	P("trailers",              CHUNKED "0\r\nX:\r\nContent-Length-2: 5\r\nhos: a\r\n\r\n", 200, 0)
	P("trailer not finished",  CHUNKED "0\r\nX: y\r\n", 0, 0)
	P("trailer fold",          CHUNKED "0\r\nX: y\r\n z\r\n\r\n", 400, 0)
	P("trailer of blanks",     CHUNKED "0\r\n \r\n\r\n", 400, 0)
	P("trailer, bare LF",      CHUNKED "0\r\nX: y\n\r\n", 400, 0)
	P("trailers, bare LF",     CHUNKED "0\r\nX: y\r\n\n", 400, 0)
	P("trailer, bare CR",      CHUNKED "0\r\nX: y\rZ: 1\r\n\r\n", 400, 0)
	P("trailer with NUL",      CHUNKED "0\r\nX: \0\r\n\r\n", 400, 0)
	P("trailer without name",  CHUNKED "0\r\n: y\r\n\r\n", 400, 0)
	P("trailer without colon", CHUNKED "0\r\nX\r\n\r\n", 400, 0)
	P("trailer, blank, colon", CHUNKED "0\r\nX : y\r\n\r\n", 400, 0)
	P("trailing length",       CHUNKED "1\r\na\r\n0\r\nContent-Length: 3\r\n\r\nabc", 400, 0)
	P("trailing length, caps", CHUNKED "0\r\nCONTENT-LENGTH: 3\r\n\r\nabc", 400, 0)
	P("trailing TE",           CHUNKED "0\r\nTransfer-encoding: chunked\r\n\r\n", 400, 0)
	P("trailing Host",         CHUNKED "0\r\nhost: b\r\n\r\n", 400, 0)
	P("trailing Connection",   CHUNKED "0\r\nConnection: close\r\n\r\n", 400, 0)

	/* the request line */
	P("three blank lines",     "\r\n\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n", 400, 0)
	P("two spaces",            "GET  / HTTP/1.1\r\nHost: a\r\n\r\n", 400, 0)
	P("tab",                   "GET\t/ HTTP/1.1\r\nHost: a\r\n\r\n", 400, 0)
	P("space at the end",      "GET / HTTP/1.1 \r\nHost: a\r\n\r\n", 400, 0)
	P("space in the target",   "GET /a b HTTP/1.1\r\nHost: a\r\n\r\n", 400, 0)
	P("0.9",                   "GET /\r\n", 400, 0)
	P("HTTP/2.0",              "GET / HTTP/2.0\r\n\r\n", 505, 0)
	P("HTTP/1.2",              "GET / HTTP/1.2\r\nHost: a\r\n\r\n", 505, 0)
	P("HTTP/0.9",              "GET / HTTP/0.9\r\n\r\n", 505, 0)
	P("h2 preface",            "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 505, 0)
	P("http/1.1",              "GET / http/1.1\r\nHost: a\r\n\r\n", 400, 0)
	P("RTSP",                  "DESCRIBE rtsp://a/ RTSP/1.0\r\n\r\n", 400, 0)
	P("unknown method",        "BREW / HTTP/1.1\r\nHost: a\r\n\r\n", 501, 0)
	P("method in small",       "get / HTTP/1.1\r\nHost: a\r\n\r\n", 501, 0)
	P("method with brackets",  "G(T / HTTP/1.1\r\nHost: a\r\n\r\n", 400, 0)
	P("CONNECT",               "CONNECT a:80 HTTP/1.1\r\nHost: a:80\r\n\r\n", 501, 0)
	P("GET *",                 "GET * HTTP/1.1\r\nHost: a\r\n\r\n", 400, 0)
	P("ftp target",            "GET ftp://a/ HTTP/1.1\r\nHost: a\r\n\r\n", 400, 0)
	P("no slash",              "GET a HTTP/1.1\r\nHost: a\r\n\r\n", 400, 0)
	P("fragment",              "GET /a#b HTTP/1.1\r\nHost: a\r\n\r\n", 400, 0)
	P("TLS",                   "\x16\x03\x01\x02\x00\x01", 400, 0)
	P("UTF-8 as it is",        "GET /\xc3\xa4 HTTP/1.1\r\nHost: a\r\n\r\n", 400, 0)
	P("path with NUL",         "GET /a%00b HTTP/1.1\r\nHost: a\r\n\r\n", 400, 0)
	P("path not UTF-8",        "GET /%ff HTTP/1.1\r\nHost: a\r\n\r\n", 400, 0)
	P("overlong UTF-8",        "GET /%c0%af HTTP/1.1\r\nHost: a\r\n\r\n", 400, 0)
	P("escape cut short",      "GET /a%2 HTTP/1.1\r\nHost: a\r\n\r\n", 400, 0)
	P("escape of letters",     "GET /a%zz HTTP/1.1\r\nHost: a\r\n\r\n", 400, 0)
	P("query escape",          "GET /a?b=%4 HTTP/1.1\r\nHost: a\r\n\r\n", 400, 0)
	P("query with NUL",        "GET /a?b=%00 HTTP/1.1\r\nHost: a\r\n\r\n", 400, 0)
	P("query not UTF-8",       "GET /a?%fe HTTP/1.1\r\nHost: a\r\n\r\n", 400, 0)

	/* the rest */
	P("POST without length",   POST "\r\n", 411, 0)
	P("body at the bound",     POST "Content-Length: 1000\r\n\r\n", 0, 0)
	P("body past the bound",   POST "Content-Length: 1001\r\n\r\n", 413, 0)
	P("chunk past the bound",  CHUNKED "3e9\r\n", 413, 0)
	P("chunk at the bound",    CHUNKED "3e8\r\n", 0, 0)
	P("expectation",           POST "Expect: 200-ok\r\nContent-Length: 1\r\n\r\na", 417, 0)
	P("two expectations",      POST "Expect: 100-continue\r\nExpect: 100-continue\r\nContent-Length: 1\r\n\r\na", 417, 0)
	P("1.0 expects nothing",   "POST / HTTP/1.0\r\nExpect: x\r\nContent-Length: 1\r\n\r\na", 200, 0)
/* clang-format on */
#undef P
};

static void test_probes(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(probes) / sizeof(*probes); i++) {
		struct outcome o = probe(probes[i].bytes, probes[i].n);

		if (o.status != probes[i].status)
			fail_msg("%s: %d instead of %d", probes[i].name, o.status, probes[i].status);
		if (o.status == 200 && probes[i].n - o.used != probes[i].left)
			fail_msg("%s: %zu bytes left instead of %zu", probes[i].name, probes[i].n - o.used,
				 probes[i].left);
	}
}

static int probe_buf(struct buf *b)
{
	struct outcome o;

	assert_int_equal(b->failed, 0);
	o = probe(b->p, b->len);
	buf_clear(b);
	return o.status;
}

static void fill(struct buf *b, char c, size_t n)
{
	assert_int_equal(buf_reserve(b, n), 0);
	while (n-- > 0)
		buf_append(b, &c, 1);
}

static void test_limits(void **state)
{
	struct buf b = {0};

	(void)state;
	for (int past = 0; past < 2; past++) {
		buf_puts(&b, "GET /");
		fill(&b, 'a', HTTP_LINE_MAX - strlen("GET / HTTP/1.1") + (size_t)past);
		buf_puts(&b, " HTTP/1.1\r\nHost: a\r\n\r\n");
		assert_int_equal(probe_buf(&b), past ? 414 : 200);

		buf_puts(&b, "GET / HTTP/1.1\r\nHost: a\r\nX: ");
		fill(&b, 'a', HTTP_HEADER_MAX - strlen("Host: a\r\nX: \r\n") + (size_t)past);
		buf_puts(&b, "\r\n\r\n");
		assert_int_equal(probe_buf(&b), past ? 431 : 200);

		buf_puts(&b, "GET / HTTP/1.1\r\nHost: a\r\n");
		for (int i = 1; i < HTTP_HEADERS_MAX + past; i++)
			buf_puts(&b, "X: a\r\n");
		buf_puts(&b, "\r\n");
		assert_int_equal(probe_buf(&b), past ? 431 : 200);

		/* one extension; extensions of several chunks together; leading zeros */
		buf_puts(&b, CHUNKED "1;");
		fill(&b, 'x', HTTP_CHUNK_EXTRA_MAX - 1 + (size_t)past);
		buf_puts(&b, "\r\na\r\n0\r\n\r\n");
		assert_int_equal(probe_buf(&b), past ? 400 : 200);
		buf_puts(&b, CHUNKED);
		for (int i = 0; i < 2; i++) {
			buf_puts(&b, "1;");
			fill(&b, 'x', HTTP_CHUNK_EXTRA_MAX / 2 - 1 + (size_t)(past * i));
			buf_puts(&b, "\r\na\r\n");
		}
		buf_puts(&b, "0\r\n\r\n");
		assert_int_equal(probe_buf(&b), past ? 400 : 200);
		buf_puts(&b, CHUNKED);
		fill(&b, '0', HTTP_CHUNK_EXTRA_MAX + (size_t)past);
		buf_puts(&b, "1\r\na\r\n0\r\n\r\n");
		assert_int_equal(probe_buf(&b), past ? 400 : 200);

		buf_puts(&b, CHUNKED "3e7\r\n");
		fill(&b, 'x', 999);
		buf_printf(&b, "\r\n%d\r\n%s\r\n0\r\n\r\n", 1 + past, past ? "ab" : "a");
		assert_int_equal(probe_buf(&b), past ? 413 : 200);

		buf_puts(&b, "GET /?");
		for (int i = 0; i < HTTP_QUERY_MAX + past; i++)
			buf_puts(&b, "a=b&&");
		buf_puts(&b, " HTTP/1.1\r\nHost: a\r\n\r\n");
		assert_int_equal(probe_buf(&b), past ? 400 : 200);
	}
	/* many small chunks are fine: what framing needs is not counted */
	buf_puts(&b, CHUNKED);
	for (int i = 0; i < MAX_BODY; i++)
		buf_puts(&b, "1\r\na\r\n");
	buf_puts(&b, "0\r\n\r\n");
	assert_int_equal(probe_buf(&b), 200);
	/* 20 KB of extension, and a size line that never ends */
	buf_puts(&b, CHUNKED "1;");
	fill(&b, 'x', 20000);
	assert_int_equal(probe_buf(&b), 400);
	buf_free(&b);
}

static const char *part(const struct http_target *t, struct http_span s)
{
	assert_int_equal(t->text.p[s.off + s.n], '\0');
	return t->text.p + s.off;
}

static int parse_target(struct http_target *t, const char *s)
{
	const char *why;

	return http_target_parse(t, s, strlen(s), false, &why);
}

static void test_target(void **state)
{
	struct http_target t = {0};

	(void)state;
	assert_int_equal(parse_target(&t, "/a%20b/c%2Fd%252F/%C3%A4?x=1+2&y=%26&&z"), 0);
	assert_string_equal(part(&t, t.path), "/a b/c%2Fd%2F/\xc3\xa4");
	assert_int_equal(t.nsegments, 3);
	assert_string_equal(part(&t, t.segments[0]), "a b");
	assert_string_equal(part(&t, t.segments[1]), "c/d%2F");
	assert_string_equal(part(&t, t.segments[2]), "\xc3\xa4");
	assert_int_equal(t.nquery, 3);
	assert_string_equal(part(&t, t.query[0].value), "1 2");
	assert_string_equal(part(&t, t.query[1].value), "&");
	assert_string_equal(part(&t, t.query[2].name), "z");
	assert_string_equal(part(&t, t.query[2].value), "");

	assert_int_equal(parse_target(&t, "/"), 0);
	assert_int_equal(t.nsegments, 1);
	assert_string_equal(part(&t, t.segments[0]), "");
	assert_int_equal(parse_target(&t, "HTTP://h:80?q=1"), 0);
	assert_true(t.has_authority);
	assert_string_equal(part(&t, t.authority), "h:80");
	assert_string_equal(part(&t, t.path), "/");
	assert_int_equal(t.nquery, 1);
	assert_int_equal(parse_target(&t, "/1/2/3/4/5/6/7/8/9/10/11/12/13/14/15/16/17/18"), 0);
	assert_int_equal(t.nsegments, HTTP_SEGMENTS_MAX + 1);
	assert_int_equal(parse_target(&t, "http:///x"), 400);
	assert_int_equal(parse_target(&t, "//x"), 0); /* a path, never a host */
	assert_false(t.has_authority);
	http_target_free(&t);
}

static void test_fields(void **state)
{
	static const char bytes[] =
		"GET /p HTTP/1.1\r\nHost:\t h \t\r\nEmpty:\r\nTwo: a \r\ntwo:b\r\nLast: x y\r\n\r\n";
	struct http_parser ps;

	(void)state;
	http_parser_init(&ps, MAX_BODY);
	for (size_t step = 1; step < 80; step += 13) {
		assert_int_equal(read_in_steps(&ps, bytes, sizeof(bytes) - 1, step).status, 200);
		assert_int_equal(ps.nfields, 5);
		assert_string_equal(ps.head.p + http_parser_find(&ps, "host", 0)->value, "h");
		assert_string_equal(ps.head.p + http_parser_find(&ps, "EMPTY", 0)->value, "");
		assert_string_equal(ps.head.p + http_parser_find(&ps, "two", 0)->value, "a");
		assert_string_equal(ps.head.p + http_parser_find(&ps, "Two", 1)->value, "b");
		assert_null(http_parser_find(&ps, "two", 2));
		assert_string_equal(ps.head.p + http_parser_find(&ps, "last", 0)->value, "x y");
		assert_null(http_parser_find(&ps, "las", 0));
		assert_true(ps.keep_alive);
	}
	http_parser_free(&ps);
}

/* Damage every byte of good requests in several ways: whatever comes out, it is the same for every cut, and nothing is
 * overrun. */
static void test_damage(void **state)
{
	static const char good[] = CHUNKED "3;a=b\r\nabc\r\n0\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n";
	static const char with[] = {'\0', '\r', '\n', ' ', '\t', ':', ';', '0', 'f', '%', (char)0x80, (char)0xff};
	char bad[sizeof(good)];

	(void)state;
	for (size_t i = 0; i + 1 < sizeof(good); i++) {
		for (size_t k = 0; k < sizeof(with); k++) {
			memcpy(bad, good, sizeof(good));
			bad[i] = with[k];
			probe(bad, sizeof(good) - 1);
		}
		memcpy(bad, good, i); /* and one byte left out */
		memcpy(bad + i, good + i + 1, sizeof(good) - i - 1);
		probe(bad, sizeof(good) - 2);
	}
}

static void test_problem(void **state)
{
	struct buf b = {0};

	(void)state;
	assert_int_equal(http_problem(&b, 422, NULL, NULL, "a \"b\" \\ \n", "id-1"), 0);
	assert_string_equal(
		b.p, "{\"type\":\"urn:tribe:problem:invalid\",\"title\":\"Unprocessable Content\",\"status\":422,"
		     "\"detail\":\"a \\\"b\\\" \\\\ \\u000a\",\"request_id\":\"id-1\"}");
	buf_free(&b);
	for (unsigned i = 0; i < HTTP_NSTATUSES; i++) {
		assert_int_equal(http_status_row(http_statuses[i].code), i);
		assert_true((http_statuses[i].code < 400) == (http_statuses[i].problem == NULL));
	}
}

static void test_wheel(void **state)
{
	enum { N = 500, TICK = 10 };
	static struct wheel_node nodes[N];
	static uint64_t fired[N], due[N];
	struct wheel w;
	uint64_t seed = 1;
	unsigned left = N;

	(void)state;
	wheel_init(&w, TICK, 0);
	for (unsigned i = 0; i < N; i++) {
		seed = seed * 6364136223846793005u + 1442695040888963407u;
		wheel_set(&w, &nodes[i], (seed >> 33) % 5000); /* a first one, soon moved back or forth */
		due[i] = 1 + (seed >> 40) % 3000;
		wheel_set(&w, &nodes[i], due[i]);
	}
	for (uint64_t now = 0; left > 0 && now < 4000; now += 7) {
		struct wheel_node *n;

		while ((n = wheel_expired(&w, now)) != NULL) {
			fired[n - nodes] = now;
			left--;
		}
	}
	assert_int_equal(left, 0);
	for (unsigned i = 0; i < N; i++) {
		assert_true(fired[i] >= due[i]);
		assert_true(fired[i] <= due[i] + 2 * TICK + 7);
	}
	wheel_set(&w, &nodes[0], UINT64_MAX);
	assert_null(wheel_expired(&w, 1000000));
	wheel_remove(&nodes[0]);
	wheel_remove(&nodes[0]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_probes), cmocka_unit_test(test_limits), cmocka_unit_test(test_target),
		cmocka_unit_test(test_fields), cmocka_unit_test(test_damage), cmocka_unit_test(test_problem),
		cmocka_unit_test(test_wheel),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
