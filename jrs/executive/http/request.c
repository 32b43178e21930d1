#include "common/base/text.h"
#include "jrs/executive/http/internal.h"
#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct http_req *req_new(size_t max_body)
{
	struct http_req *r = calloc(1, sizeof(*r));

	if (r != NULL)
		http_parser_init(&r->ps, max_body);
	return r;
}

static void free_joins(struct http_req *r)
{
	while (r->joins != NULL) {
		struct join *j = r->joins;

		r->joins = j->next;
		free(j);
	}
}

static void discharge(struct http_req *r)
{
	if (r->srv != NULL)
		r->srv->held -= r->charged;
	r->charged = 0;
}

void req_reset(struct http_req *r)
{
	discharge(r);
	free_joins(r);
	http_parser_reset(&r->ps);
	r->in_flight = r->answered = false;
	r->also = NULL;
	r->id[0] = '\0';
}

void req_free(struct http_req *r)
{
	if (r == NULL)
		return;
	discharge(r);
	free_joins(r);
	http_parser_free(&r->ps);
	free(r);
}

/* ---- what the handler may look at ---- */
static struct http_str span(const struct http_req *r, struct http_span s)
{
	return (struct http_str){r->ps.target.text.p + s.off, s.n};
}

struct http_str http_method(const struct http_req *req)
{
	const char *m = http_parser_method(&req->ps);

	return (struct http_str){m, strlen(m)};
}

struct http_str http_path(const struct http_req *req)
{
	return span(req, req->ps.target.path);
}

struct http_str http_segment(const struct http_req *req, unsigned i)
{
	const struct http_target *t = &req->ps.target;

	if (i >= t->nsegments || i >= HTTP_SEGMENTS_MAX)
		return (struct http_str){NULL, 0};
	return span(req, t->segments[i]);
}

static struct http_str value(const struct http_req *r, const struct http_field *f)
{
	return (struct http_str){r->ps.head.p + f->value, f->value_n};
}

struct http_str http_host(const struct http_req *req)
{
	const struct http_field *f = http_parser_find(&req->ps, "host", 0);

	if (req->ps.target.has_authority)
		return span(req, req->ps.target.authority);
	return f == NULL ? (struct http_str){NULL, 0} : value(req, f);
}

struct http_str http_header(const struct http_req *creq, const char *name)
{
	struct http_req *req = (struct http_req *)(uintptr_t)creq; /* the joined text is kept with the request */
	const struct http_field *f = http_parser_find(&req->ps, name, 0);
	struct join *j;
	size_t n = 0;

	if (f == NULL)
		return (struct http_str){NULL, 0};
	if (http_parser_find(&req->ps, name, 1) == NULL)
		return value(req, f);
	for (unsigned i = 0; (f = http_parser_find(&req->ps, name, i)) != NULL; i++)
		n += f->value_n + 2u;
	if ((j = malloc(sizeof(*j) + n + 1)) == NULL)
		return (struct http_str){NULL, 0};
	n = 0;
	for (unsigned i = 0; (f = http_parser_find(&req->ps, name, i)) != NULL; i++) {
		if (i > 0) {
			memcpy(j->text + n, ", ", 2);
			n += 2;
		}
		memcpy(j->text + n, req->ps.head.p + f->value, f->value_n);
		n += f->value_n;
	}
	j->text[n] = '\0';
	j->next = req->joins;
	req->joins = j;
	return (struct http_str){j->text, n};
}

struct http_str http_body(const struct http_req *req)
{
	return (struct http_str){req->ps.body.p != NULL ? req->ps.body.p : "", req->ps.body.len};
}

bool http_query_at(const struct http_req *req, unsigned i, struct http_str *name, struct http_str *val)
{
	const struct http_target *t = &req->ps.target;

	if (i >= t->nquery)
		return false;
	*name = span(req, t->query[i].name);
	*val = span(req, t->query[i].value);
	return true;
}

int http_query(const struct http_req *req, const char *name, struct http_str *out)
{
	struct http_str k, v, found = {NULL, 0};
	size_t n = strlen(name);

	for (unsigned i = 0; http_query_at(req, i, &k, &v); i++) {
		if (k.n != n || memcmp(k.p, name, n) != 0)
			continue;
		if (found.p != NULL)
			return TR_EINVAL;
		found = v;
	}
	if (found.p == NULL)
		return 1;
	*out = found;
	return 0;
}

const char *http_request_id(const struct http_req *creq)
{
	struct http_req *req = (struct http_req *)(uintptr_t)creq; /* made when first asked for */
	const struct http_field *f =
		req->ps.head_done || req->ps.ll_head ? http_parser_find(&req->ps, "x-request-id", 0) : NULL;
	bool sane = f != NULL && f->value_n > 0 && f->value_n <= HTTP_ID_MAX &&
		    http_parser_find(&req->ps, "x-request-id", 1) == NULL;

	if (req->id[0] != '\0')
		return req->id;
	for (unsigned i = 0; sane && i < f->value_n; i++) {
		unsigned char c = (unsigned char)req->ps.head.p[f->value + i];

		sane = (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || c == '.' ||
		       c == '_' || c == '-';
	}
	if (sane)
		tr_copy(req->id, sizeof(req->id), req->ps.head.p + f->value, f->value_n);
	else
		tr_id_new(req->id);
	return req->id;
}

uint64_t http_started_ns(const struct http_req *req)
{
	return req->started_ns;
}

bool http_expects_continue(const struct http_req *req)
{
	return req->ps.expect_continue;
}

bool http_secure(const struct http_req *req)
{
	return req->conn != NULL && req->conn->tls != NULL;
}

bool http_local_address(const struct http_req *req, char out[HTTP_ADDRESS_MAX])
{
	struct sockaddr_storage ss;
	const struct sockaddr_in6 *v6 = (const struct sockaddr_in6 *)(const void *)&ss;
	int n = sizeof(ss);
	char text[INET6_ADDRSTRLEN];

	if (req->conn == NULL || uv_tcp_getsockname(&req->conn->tcp, (struct sockaddr *)&ss, &n) < 0)
		return false;
	if (ss.ss_family == AF_INET)
		return uv_ip4_name((const struct sockaddr_in *)(const void *)&ss, out, HTTP_ADDRESS_MAX) == 0;
	if (ss.ss_family != AF_INET6)
		return false;
	if (IN6_IS_ADDR_V4MAPPED(&v6->sin6_addr))
		return uv_inet_ntop(AF_INET, &v6->sin6_addr.s6_addr[12], out, HTTP_ADDRESS_MAX) == 0;
	if (uv_ip6_name(v6, text, sizeof(text)) != 0)
		return false;
	snprintf(out, HTTP_ADDRESS_MAX, "[%s]", text);
	return true;
}

size_t http_peer(const struct http_req *req, unsigned char out[HTTP_PEER_MAX])
{
	struct sockaddr_storage ss;
	const struct sockaddr_in *v4 = (const struct sockaddr_in *)(const void *)&ss;
	const struct sockaddr_in6 *v6 = (const struct sockaddr_in6 *)(const void *)&ss;
	int n = sizeof(ss);

	if (req->conn == NULL || uv_tcp_getpeername(&req->conn->tcp, (struct sockaddr *)&ss, &n) < 0)
		return 0;
	if (ss.ss_family == AF_INET) {
		memcpy(out, &v4->sin_addr, 4);
		return 4;
	}
	if (IN6_IS_ADDR_V4MAPPED(&v6->sin6_addr)) {
		memcpy(out, &v6->sin6_addr.s6_addr[12], 4);
		return 4;
	}
	memcpy(out, &v6->sin6_addr, 8);
	return 8;
}

bool http_certified(const struct http_req *req, const char *host)
{
	return http_secure(req) && req->conn->srv != NULL && tls_ctx_covers(req->conn->srv->tls, host);
}

const char *http_client_name(const struct http_req *req, unsigned i)
{
	return http_secure(req) ? tls_client_name(req->conn->tls, i) : NULL;
}

bool http_gone(const struct http_req *req)
{
	return req->conn == NULL;
}

/* ---- the answer ---- */
void http_also(struct http_req *req, const char *lines)
{
	req->also = lines;
}

static bool bodiless(int status)
{
	return status == 204 || status == 304;
}

#define TEXT(head, text) ((void)buf_append(head, text, sizeof(text) - 1))

static void put_number(struct buf *head, uint64_t n)
{
	char digits[20];
	size_t at = sizeof(digits);

	do
		digits[--at] = (char)('0' + n % 10);
	while ((n /= 10) > 0);
	buf_append(head, digits + at, sizeof(digits) - at);
}

int req_head(struct buf *head, const struct conn *c, const struct http_req *r, int status, const char *type,
	     const char *framing, int64_t length, const char *extra)
{
	/* a printf here was a fifth of a short request */
	TEXT(head, "HTTP/1.1 ");
	put_number(head, (uint64_t)status);
	TEXT(head, " ");
	buf_puts(head, http_statuses[http_status_row(status)].text);
	TEXT(head, "\r\nDate: ");
	buf_puts(head, server_date(c->srv));
	TEXT(head, "\r\n");
	if (type != NULL && !bodiless(status)) {
		TEXT(head, "Content-Type: ");
		buf_puts(head, type);
		TEXT(head, "\r\n");
	}
	buf_puts(head, framing);
	if (length >= 0) {
		TEXT(head, "Content-Length: ");
		put_number(head, (uint64_t)length);
		TEXT(head, "\r\n");
	}
	TEXT(head, "X-Request-Id: ");
	buf_puts(head, http_request_id(r));
	TEXT(head, "\r\nX-Content-Type-Options: nosniff\r\n");
	if (r->also != NULL)
		buf_puts(head, r->also);
	if (extra != NULL)
		buf_puts(head, extra);
	if (c->close_after)
		TEXT(head, "Connection: close\r\n\r\n");
	else
		TEXT(head, "Connection: keep-alive\r\n\r\n");
	return head->failed;
}

/* What is answered. owned: body's memory, to be taken over; NULL: it is borrowed. coding: header lines about it. */
struct reply {
	int status;
	const char *type, *extra, *coding;
	const void *body;
	size_t n;
	struct buf *owned;
};

static void answer(struct conn *c, struct http_req *r, const struct reply *a)
{
	bool head_only = r->ps.ll_head && r->ps.ll.method == HTTP_HEAD;
	struct buf *head = &c->srv->head;

	buf_clear(head);
	req_head(head, c, r, a->status, a->type, a->coding, bodiless(a->status) ? -1 : (int64_t)a->n, a->extra);
	if (head->failed != 0)
		conn_close(c);
	else
		conn_send(c, head, a->body, head_only || bodiless(a->status) ? 0 : a->n, a->owned);
}

/* ---- codings ---- */
#define VARY      "Vary: Accept-Encoding\r\n"
#define VARY_GZIP "Content-Encoding: gzip\r\n" VARY

static bool wants_gzip(const struct http_req *r)
{
	return http_wants_gzip(http_header(r, "accept-encoding").p);
}

/* Text that is long enough to gain by it, and not so long that others would wait. */
static bool compressible(const struct reply *a)
{
	return a->n >= HTTP_GZIP_MIN && a->n <= HTTP_GZIP_MAX && a->type != NULL && !bodiless(a->status) &&
	       (strncmp(a->type, "text/", 5) == 0 || strstr(a->type, "json") != NULL);
}

/* packed: for the compressed body; the caller's to free. */
static void encode(struct http_server *s, const struct http_req *r, struct reply *a, struct buf *packed)
{
	if (!compressible(a))
		return;
	a->coding = VARY;
	if (!wants_gzip(r) || http_gzip(&s->gzip, packed, a->body, a->n) < 0 || packed->len >= a->n)
		return;
	a->coding = VARY_GZIP;
	a->body = packed->p;
	a->n = packed->len;
	a->owned = packed;
}

void req_landed(struct http_req *r)
{
	struct http_server *s = r->srv;

	assert(r->in_flight);
	r->in_flight = false;
	r->answered = true;
	if (s == NULL)
		return;
	if (r->prev != NULL)
		r->prev->next = r->next;
	else
		s->flights = r->next;
	if (r->next != NULL)
		r->next->prev = r->prev;
	s->stats.inflight--;
	discharge(r);
	r->srv = NULL;
}

static void respond(struct http_req *r, struct reply *a)
{
	struct http_server *s = r->srv;
	struct conn *c = r->conn;
	struct buf packed = {0};

	req_landed(r);
	if (c != NULL) {
		if (a->coding[0] == '\0')
			encode(s, r, a, &packed);
		answer(c, r, a);
		buf_free(&packed);
	}
	if (r->conn == NULL) { /* the client had gone, or went just now */
		req_free(r);
		return;
	}
	req_reset(r); /* serves the connection's next request */
	conn_resume(c);
}

void http_respond(struct http_req *req, int status, const char *content_type, const char *extra, const void *body,
		  size_t n)
{
	struct reply a = {status, content_type, extra, "", body, n, NULL};

	respond(req, &a);
}

void http_respond_buf(struct http_req *req, int status, const char *content_type, const char *extra, struct buf *b)
{
	struct reply a = {status, content_type, extra, "", b->p, b->len, b};

	respond(req, &a);
	buf_free(b);
}

/* ---- what never changes ---- */
#define TAG_MAX 160

/* The tag of the coding this client gets, in its quotes. */
static bool static_tag(const struct http_req *req, const struct http_static *s, char out[TAG_MAX])
{
	bool gzip = s->gzip_n > 0 && wants_gzip(req);

	snprintf(out, TAG_MAX, "\"%.128s%s\"", s->tag, gzip ? "-gzip" : "");
	return gzip;
}

int http_static_status(const struct http_req *req, const struct http_static *s)
{
	bool reads = req->ps.ll.method == HTTP_GET || req->ps.ll.method == HTTP_HEAD;
	char tag[TAG_MAX];

	(void)static_tag(req, s, tag);
	return reads && http_tag_known(http_header(req, "if-none-match").p, tag) ? 304 : 200;
}

void http_respond_static(struct http_req *req, const struct http_static *s)
{
	struct reply a = {http_static_status(req, s), s->type, NULL, "", s->bytes, s->n, NULL};
	struct buf extra = {0};
	char tag[TAG_MAX];
	bool gzip = static_tag(req, s, tag);

	if (s->gzip_n > 0)
		a.coding = gzip && a.status == 200 ? VARY_GZIP : VARY;
	if (gzip) {
		a.body = s->gzip;
		a.n = s->gzip_n;
	}
	buf_printf(&extra, "ETag: %s\r\n%s", tag, s->extra != NULL ? s->extra : "");
	a.extra = extra.failed == 0 ? extra.p : NULL;
	respond(req, &a);
	buf_free(&extra);
}

void req_refuse(struct conn *c, int status, const char *why)
{
	struct http_server *s = c->srv;
	struct http_req *r = c->req;
	struct buf body = {0};

	s->stats.refused++;
	if (s->cfg.on_refused != NULL)
		s->cfg.on_refused(s->cfg.arg, status);
	c->close_after = c->linger_after = true;
	if (http_problem(&body, status, NULL, NULL, why, http_request_id(r)) < 0) {
		buf_free(&body);
		conn_close(c);
		return;
	}
	r->answered = true; /* conn_close() leaves it to us */
	answer(c, r,
	       &(struct reply){status, HTTP_PROBLEM_TYPE, status == 503 ? "Retry-After: 1\r\n" : NULL, "", body.p,
			       body.len, &body});
	buf_free(&body);
	if (r->conn == NULL)
		req_free(r);
	else
		req_reset(r);
}
