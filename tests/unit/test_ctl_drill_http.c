/* A user's connection against a server of cardboard: every way in which a request can end is told apart. */
#include "common/base/err.h"
#include "common/loop/loop.h"
#include "supervisor/ctl/drill/http.h"
#include <arpa/inet.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

/* Answers connection after connection: each reads a request (to its empty line) and sends the next piece of its script;
 * NULL ends the connection, "..." waits until the client has gone. */
static struct server {
	pthread_t thread;
	int fd;
	unsigned port;
	const char *const *script;
	unsigned connections;
	char seen[4096]; /* the last request */
} server;

static bool read_request(int fd)
{
	size_t n = 0;
	ssize_t r;

	while (n < sizeof(server.seen) - 1 && (r = recv(fd, server.seen + n, sizeof(server.seen) - 1 - n, 0)) > 0) {
		n += (size_t)r;
		server.seen[n] = '\0';
		if (strstr(server.seen, "\r\n\r\n") != NULL)
			return true;
	}
	return false;
}

static void *serve(void *arg)
{
	char byte;

	(void)arg;
	while (*server.script != NULL) {
		int fd = accept(server.fd, NULL, NULL);

		if (fd < 0)
			break;
		server.connections++;
		while (read_request(fd)) {
			const char *say = *server.script++;

			if (strcmp(say, "...") == 0) {
				(void)recv(fd, &byte, 1, 0);
				break;
			}
			/* byte by byte: a reader must not count on pieces */
			for (; *say != '\0'; say++)
				(void)send(fd, say, 1, MSG_NOSIGNAL);
			if (*server.script == NULL || strcmp(*server.script, "") == 0) {
				server.script += *server.script != NULL;
				break;
			}
		}
		(void)close(fd);
	}
	return NULL;
}

static void start(const char *const *script)
{
	struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t n = sizeof(a);

	server = (struct server){.script = script, .fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)};
	assert_int_equal(bind(server.fd, (const struct sockaddr *)&a, n), 0);
	assert_int_equal(listen(server.fd, 8), 0);
	assert_int_equal(getsockname(server.fd, (struct sockaddr *)&a, &n), 0);
	server.port = ntohs(a.sin_port);
	assert_int_equal(pthread_create(&server.thread, NULL, serve, NULL), 0);
}

static void stop(void)
{
	(void)shutdown(server.fd, SHUT_RDWR);
	assert_int_equal(pthread_join(server.thread, NULL), 0);
	(void)close(server.fd);
}

static struct answer {
	bool came;
	enum http_end end;
	int status;
	char body[256];
} answer;

static void on_answer(void *arg, enum http_end end, int status, const char *body, size_t n)
{
	(void)arg;
	answer = (struct answer){.came = true, .end = end, .status = status};
	(void)snprintf(answer.body, sizeof(answer.body), "%.*s", (int)n, body);
}

static uv_loop_t loop;
static struct http_where where;
static struct http *http;

static void open_client(void)
{
	char address[64];

	(void)snprintf(address, sizeof(address), "127.0.0.1:%u", server.port);
	assert_int_equal(uv_loop_init(&loop), 0);
	assert_int_equal(http_where(&where, address, NULL), 0);
	assert_int_equal(http_new(&http, &loop, &where), 0);
}

static void close_client(void)
{
	http_free(&http);
	assert_int_equal(loop_finish(&loop), 0);
	http_where_free(&where);
}

static void ask(uint32_t timeout_ms, enum http_end end, int status, const char *body)
{
	answer.came = false;
	assert_int_equal(http_send(http, "POST", "/x", "key-1", "{}", timeout_ms, on_answer, NULL), 0);
	assert_false(answer.came); /* never from inside */
	while (!answer.came)
		(void)uv_run(&loop, UV_RUN_ONCE);
	assert_int_equal(answer.end, end);
	assert_int_equal(answer.status, status);
	assert_string_equal(answer.body, body);
}

#define OK(body) "HTTP/1.1 200 OK\r\nContent-Length: " body

static void answers(void **state)
{
	static const char *const script[] = {
		OK("2\r\n\r\nhi"),
		"HTTP/1.1 201 Created\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n",
		"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 503 Busy\r\nContent-Length: 1\r\n\r\nx",
		"HTTP/1.1 204 No Content\r\n\r\n",
		"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 1\r\n\r\ny",
		"",
		OK("1\r\n\r\nz"),
		NULL};

	(void)state;
	start(script);
	open_client();
	ask(10000, HTTP_ANSWERED, 200, "hi");
	assert_non_null(strstr(server.seen, "POST /x HTTP/1.1\r\nHost: 127.0.0.1:"));
	assert_non_null(strstr(server.seen, "\r\nIdempotency-Key: key-1\r\n"));
	assert_null(strstr(server.seen, "Authorization")); /* never without TLS */
	ask(10000, HTTP_ANSWERED, 201, "abcde");
	ask(10000, HTTP_ANSWERED, 503, "x");
	ask(10000, HTTP_ANSWERED, 204, "");
	ask(10000, HTTP_ANSWERED, 200, "y");
	ask(10000, HTTP_ANSWERED, 200, "z");
	assert_int_equal(server.connections, 2);
	close_client();
	stop();
}

static void troubles(void **state)
{
	static const char *const script[] = {OK("5\r\n\r\nhal"),
					     "", /* half an answer */
					     "SSH-2.0-OpenSSH_9.2\r\n",
					     "",    /* another protocol */
					     "...", /* no answer in time */
					     OK("2\r\n\r\nok"),
					     NULL};

	(void)state;
	start(script);
	open_client();
	ask(10000, HTTP_RESET, 0, "hal");
	ask(10000, HTTP_GARBAGE, 0, "");
	ask(50, HTTP_LATE, 0, "");
	ask(10000, HTTP_ANSWERED, 200, "ok");
	stop();
	(void)uv_run(&loop, UV_RUN_NOWAIT); /* it hears that its connection has ended */
	ask(10000, HTTP_REFUSED, 0, "");    /* nobody listens any more */
	close_client();
}

static void a_request_under_way_may_be_left(void **state)
{
	static const char *const script[] = {"...", NULL};

	(void)state;
	start(script);
	open_client();
	answer.came = false;
	assert_int_equal(http_send(http, "GET", "/", NULL, NULL, 10000, on_answer, NULL), 0);
	(void)uv_run(&loop, UV_RUN_ONCE);
	close_client();
	assert_false(answer.came);
	stop();
}

static void addresses(void **state)
{
	static const struct {
		const char *address, *host;
	} good[] = {{"127.0.0.1:80", "127.0.0.1:80"},
		    {"0.0.0.0:8443", "127.0.0.1:8443"},
		    {"[::]:1", "[::1]:1"},
		    {"[::1]:9", "[::1]:9"}};
	static const char *const bad[] = {"",     ":80", "127.0.0.1", "127.0.0.1:0", "127.0.0.1:65536", "localhost:80",
					  "[::1]"};
	struct http_where w;

	(void)state;
	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
		assert_int_equal(http_where(&w, good[i].address, NULL), 0);
		assert_string_equal(w.host, good[i].host);
	}
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_int_equal(http_where(&w, bad[i], NULL), TR_EINVAL);
	assert_int_equal(http_where(&w, "127.0.0.1:80", "/no/such/file"), TR_ECONFIG);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(answers),
		cmocka_unit_test(troubles),
		cmocka_unit_test(a_request_under_way_may_be_left),
		cmocka_unit_test(addresses),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
