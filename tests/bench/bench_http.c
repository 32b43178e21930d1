/* A client that costs little: keep-alive connections, one request at a time on each, all composed before the clock
 * starts. A latency is first byte sent to last byte read. Any other answer than a good one ends it with status 1.
 *   bench-http PORT fill|add|ask|thermal|healthz COUNT SEED [CONNECTIONS [SECONDS [RATE]]]
 * SECONDS: nothing is sent after that time; questions are asked again from the first when all have been, new memories
 * end it. Each line then has the nanoseconds of CLOCK_MONOTONIC at which it was sent, too.
 * RATE: so many are due a second, at even distances, on whichever connection has been idle longest; without it each
 * connection sends as soon as it is answered. A latency then begins when the request was due: one that finds no idle
 * connection waits for it, and that counts. */
#include "tests/bench/common.h"
#include "tests/bench/words.h"
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#define BATCH        100 /* memories of one request of fill */
#define HEAD_MAX     256
#define CONNS_MAX    256
#define RESPONSE_MAX (256u << 10)
#define PATIENCE_MS  30000

struct kind {
	const char *name, *path;
	int status;
	unsigned batch; /* memories of a request */
};
static const struct kind kinds[] = {
	{"fill", "/api/v1/memories", 201, BATCH}, {"add", "/api/v1/memories", 201, 1}, {"ask", "/api/v1/ask", 200, 0},
	{"thermal", "/api/v1/thermal", 200, 0},   {"healthz", "/healthz", 200, 0},
};

struct request {
	size_t at, n; /* its bytes in the arena */
};
struct conn {
	int fd;
	size_t request, sent, have, whole; /* whole: bytes of the answer, 0 while its head is not complete */
	int64_t start_ns;
	char *response; /* owned, RESPONSE_MAX + 1 */
};
struct run {
	const struct kind *kind;
	char *arena; /* owned: all requests, one after the other */
	struct request *requests;
	int64_t *ns, *start_ns; /* owned; start_ns only in a run for a time */
	size_t count, next, done, room;
	int64_t until_ns;             /* 0: until all are done */
	double every_ns;              /* 0: at once */
	struct conn *idle[CONNS_MAX]; /* a ring; only when every_ns > 0 */
	size_t idle_at, nidle;
	int epoll;
};

static size_t add_body(struct words *w, unsigned n, char *out)
{
	char text[WORDS_TEXT_MAX];
	size_t at = 0;

	if (n > 1)
		out[at++] = '[';
	for (unsigned i = 0; i < n; i++) {
		words_memory(w, text);
		at += (size_t)sprintf(out + at, "%s{\"content\":\"%s\"}", i > 0 ? "," : "", text);
	}
	if (n > 1)
		out[at++] = ']';
	return at;
}

static size_t compose(const struct kind *k, struct words *w, unsigned batch, char *out)
{
	char body[BATCH * (WORDS_TEXT_MAX + 32)], text[WORDS_TEXT_MAX];
	size_t n = 0;
	int head;

	if (batch > 0) {
		n = add_body(w, batch, body);
	} else if (strcmp(k->name, "ask") == 0) {
		words_question(w, text);
		n = (size_t)sprintf(body, "{\"question\":\"%s\"}", text);
	} else {
		return (size_t)sprintf(out, "GET %s HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n", k->path);
	}
	head = snprintf(out, HEAD_MAX,
			"POST %s HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"
			"Content-Length: %zu\r\n\r\n",
			k->path, n);
	memcpy(out + head, body, n);
	return (size_t)head + n;
}

static void compose_all(struct run *r, struct words *w, long items)
{
	unsigned batch = r->kind->batch;
	size_t each = HEAD_MAX + (size_t)(batch > 0 ? batch : 1) * (WORDS_TEXT_MAX + 32), at = 0;

	r->count = batch > 0 ? ((size_t)items + batch - 1) / batch : (size_t)items;
	r->arena = bench_room(r->count, each);
	r->requests = bench_room(r->count, sizeof(*r->requests));
	r->room = r->count;
	r->ns = bench_room(r->room, sizeof(*r->ns));
	r->start_ns = bench_room(r->room, sizeof(*r->start_ns));
	for (size_t i = 0; i < r->count; i++) {
		unsigned n = batch > 1 && items < (long)batch ? (unsigned)items : batch;

		r->requests[i] = (struct request){at, compose(r->kind, w, n, r->arena + at)};
		at += r->requests[i].n;
		items -= n;
	}
}

static void dial(struct run *r, struct conn *c, uint16_t port)
{
	struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons(port), .sin_addr = {htonl(INADDR_LOOPBACK)}};
	struct epoll_event e = {.events = EPOLLIN, .data = {.ptr = c}};
	int one = 1;

	c->response = bench_room(1, RESPONSE_MAX + 1);
	c->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	bench_must(c->fd >= 0 && connect(c->fd, (const struct sockaddr *)&a, sizeof(a)) == 0, "connect");
	(void)setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	bench_must(epoll_ctl(r->epoll, EPOLL_CTL_ADD, c->fd, &e) == 0, "epoll");
}

/* Bytes of the whole response, 0 while its head is not complete. */
static size_t response_length(struct conn *c)
{
	const char *end, *line = c->response;

	c->response[c->have] = '\0';
	if ((end = strstr(c->response, "\r\n\r\n")) == NULL)
		return 0;
	while (line < end && (line = strstr(line, "\r\n")) != NULL && line < end) {
		line += 2;
		if (strncasecmp(line, "content-length:", 15) == 0)
			return (size_t)(end + 4 - c->response) + strtoul(line + 15, NULL, 10);
	}
	bench_must(false, "an answer without Content-Length: it");
	return 0;
}

/* Is there another request to be sent? */
static bool more(const struct run *r)
{
	bool again = r->until_ns != 0 && r->kind->batch == 0;

	return (r->next < r->count || again) && (r->until_ns == 0 || bench_ns(CLOCK_MONOTONIC) < r->until_ns);
}

static void note(struct run *r, int64_t start_ns)
{
	if (r->done == r->room) {
		r->room *= 2;
		r->ns = realloc(r->ns, r->room * sizeof(*r->ns));
		r->start_ns = realloc(r->start_ns, r->room * sizeof(*r->start_ns));
		bench_must(r->ns != NULL && r->start_ns != NULL, "memory");
	}
	r->start_ns[r->done] = start_ns;
	r->ns[r->done++] = bench_ns(CLOCK_MONOTONIC) - start_ns;
}

/* The next request of this connection; it blocks for the few that are larger than the socket's buffer. */
static void send_next(struct run *r, struct conn *c)
{
	const struct request *q = &r->requests[c->request = r->next++ % r->count];

	c->have = c->whole = 0;
	c->start_ns = bench_ns(CLOCK_MONOTONIC);
	for (c->sent = 0; c->sent < q->n;) {
		ssize_t k = send(c->fd, r->arena + q->at + c->sent, q->n - c->sent, MSG_NOSIGNAL);

		bench_must(k > 0 || errno == EINTR, "send");
		c->sent += k > 0 ? (size_t)k : 0;
	}
}

static void on_readable(struct run *r, struct conn *c)
{
	ssize_t k = recv(c->fd, c->response + c->have, RESPONSE_MAX - c->have, 0);

	if (k < 0 && errno == EINTR)
		return;
	bench_must(k > 0, "reading an answer");
	c->have += (size_t)k;
	if (c->whole == 0 && (c->whole = response_length(c)) == 0)
		return;
	bench_must(c->whole <= RESPONSE_MAX, "an answer of that size: it");
	if (c->have < c->whole)
		return;
	note(r, c->start_ns);
	if (strncmp(c->response, "HTTP/1.1 ", 9) != 0 || strtol(c->response + 9, NULL, 10) != r->kind->status) {
		(void)fprintf(stderr, "bench-http: %s number %zu was not answered well: %.200s\n", r->kind->name,
			      c->request, c->response);
		exit(1);
	}
	if (r->every_ns > 0.0)
		r->idle[(r->idle_at + r->nidle++) % CONNS_MAX] = c;
	else if (more(r))
		send_next(r, c);
}

static void run_all(struct run *r, struct conn *conns, size_t nconns)
{
	struct epoll_event events[CONNS_MAX];

	for (size_t i = 0; i < nconns && more(r); i++)
		send_next(r, &conns[i]);
	while (r->done < r->next) {
		int n = epoll_wait(r->epoll, events, CONNS_MAX, PATIENCE_MS);

		bench_must(n > 0 || (n < 0 && errno == EINTR), "an answer within 30 s");
		for (int i = 0; i < n; i++)
			on_readable(r, events[i].data.ptr);
	}
}

static void run_paced(struct run *r, struct conn *conns, size_t nconns)
{
	struct epoll_event events[CONNS_MAX];
	int64_t begin = bench_ns(CLOCK_MONOTONIC), due = begin, now;

	for (size_t i = 0; i < nconns; i++)
		r->idle[r->nidle++] = &conns[i];
	while (more(r) || r->done < r->next) {
		struct timespec wait = {.tv_sec = PATIENCE_MS / 1000};
		bool sends = more(r) && r->nidle > 0;
		int n;

		if (sends && (now = bench_ns(CLOCK_MONOTONIC)) >= due) {
			struct conn *c = r->idle[r->idle_at];

			r->idle_at = (r->idle_at + 1) % CONNS_MAX;
			r->nidle--;
			send_next(r, c);
			c->start_ns = due;
			due = begin + (int64_t)((double)r->next * r->every_ns);
			continue;
		}
		if (sends)
			wait = (struct timespec){.tv_sec = (due - now) / 1000000000,
						 .tv_nsec = (due - now) % 1000000000};
		n = epoll_pwait2(r->epoll, events, CONNS_MAX, &wait, NULL);
		bench_must(n > 0 || sends || (n < 0 && errno == EINTR), "an answer within 30 s");
		for (int i = 0; i < n; i++)
			on_readable(r, events[i].data.ptr);
	}
}

int main(int argc, char **argv)
{
	static struct conn conns[CONNS_MAX];
	static struct run r;
	struct words w;
	size_t nconns;
	int64_t start;

	for (size_t i = 0; argc >= 5 && i < sizeof(kinds) / sizeof(kinds[0]); i++) {
		if (strcmp(argv[2], kinds[i].name) == 0)
			r.kind = &kinds[i];
	}
	if (r.kind == NULL || argc > 8) {
		(void)fputs("usage: bench-http PORT fill|add|ask|thermal|healthz COUNT SEED [CONNECTIONS [SECONDS "
			    "[RATE]]]\n",
			    stderr);
		return 2;
	}
	nconns = argc > 5 ? (size_t)bench_number(argv[5], 1, CONNS_MAX) : 1;
	bench_must(words_open(&w, strtoull(argv[4], NULL, 10)) == 0, "memory");
	compose_all(&r, &w, bench_number(argv[3], 1, 10000000));
	words_close(&w);
	r.epoll = epoll_create1(EPOLL_CLOEXEC);
	bench_must(r.epoll >= 0, "epoll");
	for (size_t i = 0; i < nconns; i++)
		dial(&r, &conns[i], (uint16_t)bench_number(argv[1], 1, 65535));
	start = bench_ns(CLOCK_MONOTONIC);
	if (argc > 6)
		r.until_ns = start + bench_number(argv[6], 1, 3600) * 1000000000;
	if (argc > 7)
		r.every_ns = 1e9 / (double)bench_number(argv[7], 1, 1000000);
	if (r.every_ns > 0.0)
		run_paced(&r, conns, nconns);
	else
		run_all(&r, conns, nconns);
	start = bench_ns(CLOCK_MONOTONIC) - start;
	for (size_t i = 0; r.until_ns != 0 && i < r.done; i++)
		(void)printf("%lld %lld\n", (long long)r.ns[i], (long long)r.start_ns[i]);
	bench_print(r.ns, r.until_ns != 0 ? 0 : r.done, start, -1);
	for (size_t i = 0; i < nconns; i++) {
		(void)close(conns[i].fd);
		free(conns[i].response);
	}
	(void)close(r.epoll);
	free(r.arena);
	free(r.requests);
	free(r.ns);
	free(r.start_ns);
	return 0;
}
