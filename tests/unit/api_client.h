/* The client of the API's tests: one request a connection, on the fixture's loop (api_fake.h). Included once by one
 * test program. */
#ifndef TESTS_UNIT_API_CLIENT_H
#define TESTS_UNIT_API_CLIENT_H
#include "proto/json/json.h"
#include "tests/unit/api_fake.h"
#include <errno.h>

/* ---- the client: one request a connection, read to its end ---- */
static struct reply {
	struct buf raw;
	int status;
	const char *body;
	json_t *doc; /* NULL when the body is not JSON */
	bool end;
} rp;

static void on_poll(uv_poll_t *p, int status_, int events)
{
	char tmp[65536];
	int fd = *(int *)p->data;
	ssize_t n = recv(fd, tmp, sizeof(tmp), MSG_DONTWAIT);

	(void)status_;
	(void)events;
	if (n > 0)
		buf_append(&rp.raw, tmp, (size_t)n);
	else if (n == 0 || errno != EAGAIN)
		rp.end = true;
}

static void on_poll_closed(uv_handle_t *h)
{
	h->data = NULL;
}

static void forget(void)
{
	json_decref(rp.doc);
	buf_free(&rp.raw);
	memset(&rp, 0, sizeof(rp));
}

static int exchange(const char *p, size_t n)
{
	struct tr_fault fault;
	uv_poll_t poll;
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	forget();
	assert_int_equal(connect(fd, (struct sockaddr *)&fx.addr, sizeof(fx.addr)), 0);
	uv_poll_init(&fx.loop, &poll, fd);
	poll.data = &fd;
	uv_poll_start(&poll, UV_READABLE, on_poll);
	loop_timer_start(fx.watchdog, WAIT_MS, 0);
	while (n > 0) {
		ssize_t k = send(fd, p, n, MSG_DONTWAIT | MSG_NOSIGNAL);

		if (k < 0 && errno != EAGAIN)
			break;
		p += k < 0 ? 0 : k;
		n -= k < 0 ? 0 : (size_t)k;
		uv_run(&fx.loop, UV_RUN_NOWAIT);
	}
	while (!rp.end)
		uv_run(&fx.loop, UV_RUN_ONCE);
	uv_close((uv_handle_t *)&poll, on_poll_closed);
	while (poll.data != NULL)
		uv_run(&fx.loop, UV_RUN_NOWAIT);
	loop_timer_stop(fx.watchdog);
	close(fd);
	assert_non_null(rp.raw.p);
	rp.status = atoi(rp.raw.p + strlen("HTTP/1.1 "));
	rp.body = strstr(rp.raw.p, "\r\n\r\n") + 4;
	if (json_parse(&rp.doc, rp.body, strlen(rp.body), &fault) < 0)
		rp.doc = NULL;
	return rp.status;
}

static int request(const char *method, const char *target, const char *headers, const char *body)
{
	struct buf b = {0};
	int r;

	buf_printf(&b, "%s %s HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n%s", method, target, headers);
	if (body != NULL)
		buf_printf(&b, "Content-Length: %zu\r\n\r\n%s", strlen(body), body);
	else
		buf_puts(&b, "\r\n");
	r = exchange(b.p, b.len);
	buf_free(&b);
	return r;
}
#define SEND(bytes)        exchange(bytes, strlen(bytes))
#define JSON               "Content-Type: application/json\r\n"
#define NDJSON             "Content-Type: application/x-ndjson\r\n"
#define GET(target)        request("GET", target, "", NULL)
#define POST(target, body) request("POST", target, JSON, body)

static const char *text(const char *name)
{
	const char *s = json_string_value(json_object_get(rp.doc, name));

	return s == NULL ? "(none)" : s;
}

static bool has(const char *needle)
{
	return strstr(rp.raw.p, needle) != NULL;
}

/* Every error is a problem with all its members, and says nothing of the inside. */
static void check_problem(int status_, const char *name, const char *detail)
{
	char type[128];

	if (rp.status != status_)
		fail_msg("%d instead of %d: %s", rp.status, status_, rp.raw.p);
	snprintf(type, sizeof(type), "urn:tribe:problem:%s", name);
	assert_true(has("Content-Type: application/problem+json\r\n"));
	assert_true(has("Cache-Control: no-store\r\n"));
	assert_non_null(rp.doc);
	assert_string_equal(text("type"), type);
	assert_int_equal(json_integer_value(json_object_get(rp.doc, "status")), status_);
	assert_true(strlen(text("title")) > 3 && strlen(text("request_id")) > 3);
	if (strstr(text("detail"), detail) == NULL)
		fail_msg("\"%s\" is not in: %s", detail, text("detail"));
	assert_int_equal(has("Retry-After: "), status_ == 503);
}

#endif
