/* A client that costs little: one keep-alive connection, one request at a time, each latency in nanoseconds on a line
 * of its own (first byte sent to last byte read). Any other answer than a good one ends it with status 1. bench-http
 * PORT fill|add|ask COUNT SEED */
#include "tests/bench/words.h"
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define BATCH        100 /* memories of one request of fill */
#define REQUEST_MAX  (BATCH * (WORDS_TEXT_MAX + 32) + 1024)
#define RESPONSE_MAX (4u << 20)

static char body[REQUEST_MAX], request[REQUEST_MAX + 512], response[RESPONSE_MAX + 1];

static int64_t now_ns(void)
{
	struct timespec t;

	(void)clock_gettime(CLOCK_MONOTONIC, &t);
	return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

static int dial(uint16_t port)
{
	struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons(port), .sin_addr = {htonl(INADDR_LOOPBACK)}};
	const struct timeval patience = {.tv_sec = 30};
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), one = 1;

	if (fd < 0 || connect(fd, (const struct sockaddr *)&a, sizeof(a)) < 0) {
		perror("bench-http: connect");
		exit(1);
	}
	(void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	(void)setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
	return fd;
}

/* Bytes of the whole response, 0 while its head is not complete, -1 when it says no length. */
static long response_length(size_t have)
{
	const char *end, *line = response;

	response[have] = '\0';
	if ((end = strstr(response, "\r\n\r\n")) == NULL)
		return 0;
	while (line < end && (line = strstr(line, "\r\n")) != NULL && line < end) {
		line += 2;
		if (strncasecmp(line, "content-length:", 15) == 0)
			return end + 4 - response + strtol(line + 15, NULL, 10);
	}
	return -1;
}

static bool exchange(int fd, size_t n, int want)
{
	size_t have = 0;
	long whole = 0;

	for (size_t sent = 0; sent < n;) {
		ssize_t k = send(fd, request + sent, n - sent, MSG_NOSIGNAL);

		if (k <= 0)
			return false;
		sent += (size_t)k;
	}
	while (whole == 0 || have < (size_t)whole) {
		ssize_t k = recv(fd, response + have, RESPONSE_MAX - have, 0);

		if (k <= 0)
			return false;
		have += (size_t)k;
		if (whole == 0 && (whole = response_length(have)) < 0)
			return false;
	}
	return strncmp(response, "HTTP/1.1 ", 9) == 0 && strtol(response + 9, NULL, 10) == want;
}

static size_t compose(const char *path, size_t n)
{
	int head = snprintf(
		request, sizeof(request),
		"POST %s HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\nContent-Length: %zu\r\n\r\n",
		path, n);

	memcpy(request + head, body, n);
	return (size_t)head + n;
}

static size_t add_body(struct words *w, unsigned n)
{
	char text[WORDS_TEXT_MAX];
	size_t at = 0;

	if (n > 1)
		body[at++] = '[';
	for (unsigned i = 0; i < n; i++) {
		words_memory(w, text);
		at += (size_t)snprintf(body + at, sizeof(body) - at, "%s{\"content\":\"%s\"}", i > 0 ? "," : "", text);
	}
	if (n > 1)
		body[at++] = ']';
	return at;
}

static size_t ask_body(struct words *w)
{
	char text[WORDS_TEXT_MAX];

	words_question(w, text);
	return (size_t)snprintf(body, sizeof(body), "{\"question\":\"%s\"}", text);
}

int main(int argc, char **argv)
{
	struct words w;
	long count, done = 0;
	bool ask, fill;
	int fd;

	if (argc != 5 || words_open(&w, strtoull(argv[4], NULL, 10)) < 0) {
		(void)fputs("usage: bench-http PORT fill|add|ask COUNT SEED\n", stderr);
		return 2;
	}
	ask = strcmp(argv[2], "ask") == 0;
	fill = strcmp(argv[2], "fill") == 0;
	count = strtol(argv[3], NULL, 10);
	fd = dial((uint16_t)strtoul(argv[1], NULL, 10));
	while (done < count) {
		unsigned batch = !fill ? 1 : count - done < BATCH ? (unsigned)(count - done) : BATCH;
		size_t n = compose(ask ? "/api/v1/ask" : "/api/v1/memories", ask ? ask_body(&w) : add_body(&w, batch));
		int64_t start = now_ns();

		if (!exchange(fd, n, ask ? 200 : 201)) {
			(void)fprintf(stderr, "bench-http: %s number %ld was not answered well: %.200s\n", argv[2],
				      done, response);
			return 1;
		}
		if (!fill)
			(void)printf("%lld\n", (long long)(now_ns() - start));
		done += batch;
	}
	(void)close(fd);
	words_close(&w);
	return fflush(stdout) == 0 ? 0 : 1;
}
