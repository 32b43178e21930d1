#include "tests/bench/web.h"
#include "tests/bench/common.h"
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <unistd.h>

#define HOST "HTTP/1.1\r\nHost: 127.0.0.1\r\n"

static void composed(struct web_request *q, int n)
{
	bench_must(n > 0 && (size_t)n < sizeof(q->p), "a request of that size: it");
	q->n = (size_t)n;
}

void web_get(struct web_request *q, const char *path)
{
	q->want[0] = '\0';
	composed(q, snprintf(q->p, sizeof(q->p), "GET %s " HOST "\r\n", path));
}

static void want_id(struct web_request *q, const char *id)
{
	bench_must(strlen(id) < WEB_ID_MAX, "an id of that length: it");
	(void)snprintf(q->want, sizeof(q->want), "\"id\":\"%s\"", id);
}

void web_recall(struct web_request *q, const char *id)
{
	char path[WEB_ID_MAX + 64];

	(void)snprintf(path, sizeof(path), "/api/v1/memories/%s?touch=false", id);
	web_get(q, path);
	want_id(q, id);
}

static void post(struct web_request *q, const char *path, const char *key, const char *body)
{
	composed(q, snprintf(q->p, sizeof(q->p),
			     "POST %s " HOST "Content-Type: application/json\r\n%s%s%sContent-Length: %zu\r\n\r\n%s",
			     path, key != NULL ? "Idempotency-Key: " : "", key != NULL ? key : "",
			     key != NULL ? "\r\n" : "", strlen(body), body));
}

void web_add(struct web_request *q, const char *id, const char *text)
{
	char body[1024];

	(void)snprintf(body, sizeof(body), "{\"id\":\"%s\",\"content\":\"%s\"}", id, text);
	post(q, "/api/v1/memories", id, body);
	want_id(q, id);
}

void web_ask(struct web_request *q, const char *question)
{
	char body[1024];

	(void)snprintf(body, sizeof(body), "{\"question\":\"%s\"}", question);
	post(q, "/api/v1/ask", NULL, body);
	(void)strcpy(q->want, "\"answer\":");
}

int web_dial(uint16_t port)
{
	struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons(port), .sin_addr = {htonl(INADDR_LOOPBACK)}};
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), one = 1;

	bench_must(fd >= 0, "socket");
	if (connect(fd, (const struct sockaddr *)&a, sizeof(a)) < 0) {
		bench_must(errno == ECONNREFUSED || errno == ECONNRESET || errno == EINTR, "connect");
		(void)close(fd);
		return -1;
	}
	(void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	return fd;
}

bool web_send(int fd, const struct web_request *q)
{
	return send(fd, q->p, q->n, MSG_NOSIGNAL) == (ssize_t)q->n;
}

void web_answer_new(struct web_answer *a)
{
	*a = (struct web_answer){.p = bench_room(1, WEB_ANSWER_MAX + 1)};
}

void web_answer_free(struct web_answer *a)
{
	free(a->p);
	a->p = NULL;
}

/* Bytes of the whole answer, 0 while its head is not complete. */
static size_t whole(const char *p)
{
	const char *end = strstr(p, "\r\n\r\n"), *line = p;

	if (end == NULL)
		return 0;
	while ((line = strstr(line, "\r\n")) != NULL && line < end) {
		line += 2;
		if (strncasecmp(line, "content-length:", 15) == 0)
			return (size_t)(end + 4 - p) + strtoul(line + 15, NULL, 10);
	}
	bench_must(false, "an answer without Content-Length: it");
	return 0;
}

enum web_end web_read(int fd, const struct web_request *q, struct web_answer *a)
{
	ssize_t k = recv(fd, a->p + a->have, WEB_ANSWER_MAX - a->have, MSG_DONTWAIT);
	size_t n;
	bool good;

	if (k < 0 && (errno == EAGAIN || errno == EINTR))
		return WEB_MORE;
	if (k <= 0) {
		a->have = 0;
		return k == 0 ? WEB_EOF : WEB_RESET;
	}
	a->have += (size_t)k;
	a->p[a->have] = '\0';
	n = whole(a->p);
	bench_must(n <= WEB_ANSWER_MAX, "an answer of that size: it");
	if (n == 0 || a->have < n)
		return WEB_MORE;
	bench_must(a->have == n, "an answer that ends where it says: it");
	a->have = 0;
	good = (strncmp(a->p, "HTTP/1.1 200 ", 13) == 0 || strncmp(a->p, "HTTP/1.1 201 ", 13) == 0) &&
	       strstr(a->p, q->want) != NULL;
	return good ? WEB_GOOD : WEB_BAD;
}
