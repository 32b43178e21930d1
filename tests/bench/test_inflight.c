/* What is under way while something is measured is counted rightly, and each add has one effect: against a server of
 * the test's own that resets some connections and refuses some requests. */
#include "tests/bench/inflight.h"
#include "tests/bench/web.h"
#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#define CONNS   6
#define IDS_MAX 100000
#define ENOUGH  500

struct server {
	int listener, fds[CONNS * 2];
	uint16_t port;
	pthread_t thread;
	atomic_uint requests, resets, refusals;
	atomic_bool over;
	unsigned char seen[IDS_MAX], done[IDS_MAX]; /* of adds: asked, acknowledged */
	char known[WEB_ID_MAX];
};
static struct server s;

static void lose(int *fd, bool hard)
{
	const struct linger now = {.l_onoff = 1, .l_linger = 0};

	if (hard)
		(void)setsockopt(*fd, SOL_SOCKET, SO_LINGER, &now, sizeof(now));
	(void)close(*fd);
	*fd = -1;
}

static void reply(int fd, int status, const char *id)
{
	char body[128], all[256];

	(void)snprintf(body, sizeof(body), "{\"id\":\"%s\"}", id);
	(void)snprintf(all, sizeof(all), "HTTP/1.1 %d word\r\nContent-Length: %zu\r\n\r\n%s", status, strlen(body),
		       body);
	assert_int_equal(send(fd, all, strlen(all), MSG_NOSIGNAL), strlen(all));
}

/* A whole request always comes in one piece: the client sends it in one, over loopback. */
static void serve(int *fd)
{
	char text[4096], id[WEB_ID_MAX] = "";
	ssize_t n = recv(*fd, text, sizeof(text) - 1, 0);
	const char *p;
	unsigned count, number = 0;
	bool add;

	if (n <= 0) {
		lose(fd, false);
		return;
	}
	text[n] = '\0';
	count = atomic_fetch_add(&s.requests, 1);
	add = strncmp(text, "POST", 4) == 0;
	if (add) {
		p = strstr(text, "\"id\":\"");
		assert_non_null(p);
		assert_int_equal(sscanf(p + 6, "%63[^\"]", id), 1);
		p = strstr(text, "Idempotency-Key: ");
		assert_non_null(p);
		assert_int_equal(strncmp(p + 17, id, strlen(id)), 0);
		assert_int_equal(sscanf(id, "under-way-7-%u", &number), 1);
		assert_true(number < IDS_MAX);
		s.seen[number] = 1;
	}
	if (count % 5 == 4) {
		atomic_fetch_add(&s.resets, 1);
		lose(fd, count % 10 == 4);
	} else if (count % 7 == 6) {
		atomic_fetch_add(&s.refusals, 1);
		reply(*fd, 503, id);
	} else {
		if (add)
			s.done[number]++;
		reply(*fd, add ? 201 : 200, add ? id : s.known);
	}
}

static void *run(void *arg)
{
	(void)arg;
	while (!atomic_load(&s.over)) {
		struct pollfd p[CONNS * 2 + 1] = {{.fd = s.listener, .events = POLLIN}};

		for (int i = 0; i < CONNS * 2; i++)
			p[i + 1] = (struct pollfd){.fd = s.fds[i], .events = POLLIN};
		if (poll(p, CONNS * 2 + 1, 20) <= 0)
			continue;
		for (int i = 0; i < CONNS * 2; i++) {
			if (p[i + 1].revents != 0)
				serve(&s.fds[i]);
		}
		for (int i = 0; i < CONNS * 2 && p[0].revents != 0; i++) {
			if (s.fds[i] < 0) {
				s.fds[i] = accept4(s.listener, NULL, NULL, SOCK_CLOEXEC);
				break;
			}
		}
	}
	return NULL;
}

static int open_server(void **state)
{
	struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
	socklen_t len = sizeof(a);

	(void)state;
	(void)strcpy(s.known, "known-7");
	memset(s.fds, -1, sizeof(s.fds));
	s.listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (bind(s.listener, (const struct sockaddr *)&a, sizeof(a)) < 0 || listen(s.listener, 64) < 0 ||
	    getsockname(s.listener, (struct sockaddr *)&a, &len) < 0)
		return -1;
	s.port = ntohs(a.sin_port);
	return pthread_create(&s.thread, NULL, run, NULL);
}

static int close_server(void **state)
{
	(void)state;
	atomic_store(&s.over, true);
	(void)pthread_join(s.thread, NULL);
	for (int i = 0; i < CONNS * 2; i++) {
		if (s.fds[i] >= 0)
			(void)close(s.fds[i]);
	}
	return close(s.listener);
}

static void burst_then_rest(unsigned rate)
{
	struct inflight_how how = {
		.port = s.port, .conns = CONNS, .rate = rate, .seed = 7, .known_id = s.known, .role = TR_ROLE_MEMORY};
	const struct timespec moment = {.tv_nsec = 1000000};
	unsigned before = atomic_load(&s.requests), resets = atomic_load(&s.resets),
		 refusals = atomic_load(&s.refusals), adds = 0;
	struct inflight *f;
	struct inflight_counts c;

	memset(s.seen, 0, sizeof(s.seen));
	memset(s.done, 0, sizeof(s.done));
	f = inflight_start(&how);
	inflight_go(f);
	for (int i = 0; i < 30000 && atomic_load(&s.requests) - before < ENOUGH; i++)
		(void)nanosleep(&moment, NULL);
	assert_in_range(inflight_fill(f), 0, CONNS);
	c = inflight_rest(f);
	before = atomic_load(&s.requests) - before;
	assert_true(before >= ENOUGH);
	assert_int_equal(c.refused, 0);
	assert_int_equal(c.reset, atomic_load(&s.resets) - resets);
	assert_int_equal(c.failed, atomic_load(&s.refusals) - refusals);
	assert_int_equal(c.answered, before - c.reset - c.failed);
	for (unsigned i = 0; i < IDS_MAX; i++) {
		assert_int_equal(s.seen[i], s.done[i]); /* whatever was begun is done, once */
		adds += s.done[i];
	}
	assert_int_equal(c.adds, adds);
	assert_true(adds > 10);
	inflight_stop(f);
}

static void without_a_pause(void **state)
{
	(void)state;
	burst_then_rest(0);
}

static void at_a_rate(void **state)
{
	(void)state;
	burst_then_rest(4000);
}

static void an_answer_that_is_not_what_was_asked_for_is_bad(void **state)
{
	struct web_request q;
	struct web_answer a;
	int fd[2];
	const char *other = "HTTP/1.1 200 OK\r\ncontent-length: 12\r\n\r\n{\"id\":\"abc\"}";

	(void)state;
	web_answer_new(&a);
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fd), 0);
	web_recall(&q, "abd");
	assert_int_equal(web_read(fd[0], &q, &a), WEB_MORE);
	assert_int_equal(send(fd[1], other, 20, 0), 20);
	assert_int_equal(web_read(fd[0], &q, &a), WEB_MORE);
	assert_int_equal(send(fd[1], other + 20, strlen(other) - 20, 0), strlen(other) - 20);
	assert_int_equal(web_read(fd[0], &q, &a), WEB_BAD);
	web_recall(&q, "abc");
	assert_int_equal(send(fd[1], other, strlen(other), 0), strlen(other));
	assert_int_equal(web_read(fd[0], &q, &a), WEB_GOOD);
	(void)close(fd[1]);
	assert_int_equal(web_read(fd[0], &q, &a), WEB_EOF);
	(void)close(fd[0]);
	web_answer_free(&a);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_answer_that_is_not_what_was_asked_for_is_bad),
		cmocka_unit_test(without_a_pause),
		cmocka_unit_test(at_a_rate),
	};

	return cmocka_run_group_tests(tests, open_server, close_server);
}
