#include "tests/bench/oneshot.h"
#include "supervisor/ctl/drill/probe.h"
#include "tests/bench/common.h"
#include <arpa/inet.h>
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define ANSWER_MAX (1u << 20)

static char answer[ANSWER_MAX + 1]; /* NUL-terminated, so that text can be looked through */

static long number_after(const char *p)
{
	long v = strtol(p, NULL, 10);

	return v > 1 ? v : -1;
}

static long read_worker(const char *p, size_t n, bool closed)
{
	return memchr(p, '\n', n) != NULL ? number_after(p) : closed ? -1 : 0;
}

static long read_nginx(const char *p, size_t n, bool closed)
{
	const char *body = strstr(p, "\r\n\r\n");

	if (!closed && (body == NULL || memchr(body + 4, '\n', n - (size_t)(body + 4 - p)) == NULL))
		return 0;
	return body != NULL && strncmp(p, "HTTP/1.1 200 ", 13) == 0 ? number_after(body + 4) : -1;
}

static long read_status(const char *p, size_t n, bool closed)
{
	const char *jr = strstr(p, "\"jrs\":{"), *pid;

	(void)n;
	if (!closed) /* asked with Connection: close */
		return 0;
	if (strncmp(p, "HTTP/1.1 200 ", 13) != 0 || jr == NULL || (jr = strstr(jr, "\"executive_jr\":{")) == NULL ||
	    (pid = strstr(jr, "\"pid\":")) == NULL || memchr(jr, '}', (size_t)(pid - jr)) != NULL)
		return -1;
	return number_after(pid + 6);
}

static long read_jr(const char *p, size_t n, bool closed)
{
	struct tr_fault fault;
	struct res_ping who = {.pid = 0};
	unsigned good = 0;

	while (good < 2) {
		int64_t len = n == 0 ? 0 : wire_frame_length(p, n, WIRE_FRAME_MAX);
		struct wire_in in;
		bool ok;

		if (len <= 0)
			return len < 0 || closed ? -1 : 0;
		if (wire_parse(&in, p, (size_t)len) < 0)
			return -1;
		ok = in.kind == WIRE_RESPONSE && in.error == NULL &&
		     (in.msgid != 1 || wire_decode_result(&in, MSG_ping, &who, &fault) == 0);
		wire_in_free(&in);
		if (!ok)
			return -1;
		good++;
		p += len;
		n -= (size_t)len;
	}
	return who.pid > 1 ? (long)who.pid : -1;
}

static void set_request(struct oneshot *t, const char *text)
{
	bench_must(msgpack_sbuffer_write(&t->request, text, strlen(text)) == 0, "memory");
}

void oneshot_aim(struct oneshot *t, const char *kind, const char *address)
{
	size_t n = strlen(address);

	msgpack_sbuffer_init(&t->request);
	if (strcmp(kind, "status") == 0) {
		t->a.in = (struct sockaddr_in){.sin_family = AF_INET,
					       .sin_port = htons((uint16_t)bench_number(address, 1, 65535)),
					       .sin_addr = {htonl(INADDR_LOOPBACK)}};
		t->len = sizeof(t->a.in);
		t->read = read_status;
		set_request(t, "GET /api/v1/status HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n");
		return;
	}
	bench_must(n < sizeof(t->a.un.sun_path), "a socket path of that length: it");
	t->a.un.sun_family = AF_UNIX;
	memcpy(t->a.un.sun_path, address, n + 1);
	t->len = sizeof(t->a.un);
	if (strcmp(kind, "worker") == 0) {
		t->read = read_worker;
		set_request(t, "?");
	} else if (strcmp(kind, "nginx") == 0) {
		t->read = read_nginx;
		set_request(t, "GET / HTTP/1.1\r\nHost: peer\r\n\r\n");
	} else {
		t->read = read_jr;
		for (int i = 0; i < TR_NROLES; i++) {
			if (strcmp(kind, tr_roles[i].name) == 0)
				bench_must(probe_pack(&t->request, (enum tr_role)i) == 0, "memory");
		}
		bench_must(t->request.size > 0, "a target of that kind: it");
	}
}

static long read_answer(const struct oneshot *t, int fd)
{
	size_t have = 0;
	long pid = 0;

	while (pid == 0) {
		struct pollfd p = {.fd = fd, .events = POLLIN};
		ssize_t n;

		if (have == ANSWER_MAX || poll(&p, 1, (int)(ONESHOT_GIVE_UP_NS / 1000000)) <= 0)
			return -1;
		if ((n = recv(fd, answer + have, ANSWER_MAX - have, 0)) < 0)
			return -1;
		have += (size_t)n;
		answer[have] = '\0';
		pid = t->read(answer, have, n == 0);
		bench_must(n > 0 || pid != 0, "an answer's end");
	}
	return pid;
}

long oneshot_try(const struct oneshot *t, struct oneshot_counts *c)
{
	const struct timespec again = {.tv_nsec = ONESHOT_AGAIN_NS};
	int fd = socket(t->a.any.sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
	long pid = -1;

	bench_must(fd >= 0, "socket");
	if (connect(fd, &t->a.any, t->len) < 0) {
		bench_must(errno == ECONNREFUSED || errno == ENOENT || errno == EINTR, "connect");
		c->refused += errno != EINTR;
		(void)nanosleep(&again, NULL);
	} else {
		if (send(fd, t->request.data, t->request.size, MSG_NOSIGNAL) == (ssize_t)t->request.size)
			pid = read_answer(t, fd);
		c->failed += pid < 0;
	}
	(void)close(fd);
	return pid;
}

long oneshot_until(const struct oneshot *t, long not, struct oneshot_counts *c)
{
	int64_t until = bench_ns(CLOCK_MONOTONIC) + ONESHOT_GIVE_UP_NS;
	long pid;

	while ((pid = oneshot_try(t, c)) < 0 || pid == not )
		bench_must(bench_ns(CLOCK_MONOTONIC) < until, "an answer of another process within 30 s");
	return pid;
}
