#include "jrs/executive/http/parse.h"
#include "jrs/executive/http/http.h"
#include <assert.h>
#include <string.h>
#include <strings.h>

#define KEEP_HEAD 4096 /* bytes of a buffer kept for the next request */
#define KEEP_BODY 16384

_Static_assert(HTTP_HEAD_MAX < UINT16_MAX, "offsets into a head are 16 bits");

static int refuse(struct http_parser *ps, int status, const char *why)
{
	ps->status = status;
	ps->why = why;
	return -1;
}

/* ---- what llhttp tells ---- */
static struct http_parser *of(llhttp_t *ll)
{
	return ll->data;
}

static uint16_t offset(const struct http_parser *ps, const char *at)
{
	return (uint16_t)(at - ps->head.p);
}

static int on_url(llhttp_t *ll, const char *at, size_t n)
{
	struct http_parser *ps = of(ll);

	if (ps->url_n == 0)
		ps->url = offset(ps, at);
	ps->url_n = (uint16_t)(ps->url_n + n);
	return 0;
}

static int on_field(llhttp_t *ll, const char *at, size_t n)
{
	struct http_parser *ps = of(ll);
	struct http_field *f = &ps->fields[ps->nfields];

	if (ps->ll_head) /* a trailer: the guard has looked at it, and nobody else does */
		return 0;
	if (ps->nfields == HTTP_HEADERS_MAX) /* the guard counts otherwise */
		return HPE_USER;
	if (f->name_n == 0)
		f->name = offset(ps, at);
	f->name_n = (uint16_t)(f->name_n + n);
	return 0;
}

static int on_value(llhttp_t *ll, const char *at, size_t n)
{
	struct http_parser *ps = of(ll);
	struct http_field *f = &ps->fields[ps->nfields];

	if (ps->ll_head)
		return 0;
	if (ps->nfields == HTTP_HEADERS_MAX)
		return HPE_USER;
	if (f->value_n == 0)
		f->value = offset(ps, at);
	f->value_n = (uint16_t)(f->value_n + n);
	return 0;
}

static int on_value_end(llhttp_t *ll)
{
	struct http_parser *ps = of(ll);
	struct http_field *f = &ps->fields[ps->nfields];

	if (ps->ll_head)
		return 0;
	while (f->value_n > 0 && memchr(" \t", ps->head.p[f->value + f->value_n - 1], 2) != NULL)
		f->value_n--;
	ps->nfields++;
	return 0;
}

static int on_head(llhttp_t *ll)
{
	struct http_parser *ps = of(ll);

	ps->ll_head = true;
	ps->ll_keep_alive = llhttp_should_keep_alive(ll) != 0;
	return 0;
}

static int on_body(llhttp_t *ll, const char *at, size_t n)
{
	struct http_parser *ps = of(ll);

	if (buf_append(&ps->body, at, n) < 0)
		return HPE_USER;
	return 0;
}

static int on_end(llhttp_t *ll)
{
	of(ll)->ll_end = true;
	return 0;
}

static const llhttp_settings_t settings = {
	.on_url = on_url,
	.on_header_field = on_field,
	.on_header_value = on_value,
	.on_header_value_complete = on_value_end,
	.on_headers_complete = on_head,
	.on_body = on_body,
	.on_message_complete = on_end,
};

/* Feeds llhttp; a wish to upgrade is not an error, it is not granted. */
static int feed(struct http_parser *ps, const char *p, size_t n)
{
	llhttp_errno_t e = llhttp_execute(&ps->ll, p, n);

	if (e == HPE_PAUSED_UPGRADE && ps->ll_end)
		return HPE_OK;
	return (int)e;
}

/* ---- life ---- */
#define TEXT(x)                      #x
#define VERSION(major, minor, patch) TEXT(major) "." TEXT(minor) "." TEXT(patch)

const char *http_parser_version(void)
{
	return VERSION(LLHTTP_VERSION_MAJOR, LLHTTP_VERSION_MINOR, LLHTTP_VERSION_PATCH);
}

void http_parser_init(struct http_parser *ps, size_t max_body)
{
	memset(ps, 0, sizeof(*ps));
	buf_init(&ps->head, HTTP_HEAD_MAX);
	buf_init(&ps->body, max_body);
	ps->max_body = max_body;
	http_parser_reset(ps);
}

static void shrink(struct buf *b, size_t keep)
{
	if (b->cap > keep)
		buf_free(b);
	buf_clear(b);
}

void http_parser_reset(struct http_parser *ps)
{
	shrink(&ps->head, KEEP_HEAD);
	shrink(&ps->body, KEEP_BODY);
	if (ps->target.text.cap > KEEP_HEAD)
		http_target_free(&ps->target);
	http_guard_init(&ps->guard, ps->max_body);
	llhttp_init(&ps->ll, HTTP_REQUEST, &settings);
	ps->ll.data = ps;
	ps->nfields = 0;
	ps->url = ps->url_n = 0;
	ps->content_length = 0;
	ps->head_done = ps->chunked = ps->has_body = ps->keep_alive = ps->expect_continue = false;
	ps->ll_head = ps->ll_end = ps->ll_keep_alive = false;
	memset(ps->fields, 0, sizeof(ps->fields));
	ps->status = 0;
	ps->why = NULL;
}

void http_parser_free(struct http_parser *ps)
{
	buf_free(&ps->head);
	buf_free(&ps->body);
	http_target_free(&ps->target);
}

const char *http_parser_method(const struct http_parser *ps)
{
	return llhttp_method_name((llhttp_method_t)ps->ll.method);
}

/* ---- the head ---- */
static const char *value_of(const struct http_parser *ps, const struct http_field *f)
{
	return ps->head.p + f->value;
}

const struct http_field *http_parser_find(const struct http_parser *ps, const char *name, unsigned i)
{
	size_t n = strlen(name);

	for (unsigned k = 0; k < ps->nfields; k++) {
		const struct http_field *f = &ps->fields[k];

		if (f->name_n == n && strncasecmp(ps->head.p + f->name, name, n) == 0 && i-- == 0)
			return f;
	}
	return NULL;
}

/* Values and names become C strings: ':' and the byte behind a value (a blank or CR) are not needed any more. */
static void terminate(struct http_parser *ps)
{
	for (unsigned k = 0; k < ps->nfields; k++) {
		struct http_field *f = &ps->fields[k];

		if (f->value_n == 0)
			f->value = (uint16_t)(f->name + f->name_n);
		ps->head.p[f->name + f->name_n] = '\0';
		ps->head.p[f->value + f->value_n] = '\0';
	}
}

static bool host_chars_ok(const char *p, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		char c = p[i];

		if (!((c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') ||
		      (c != '\0' && strchr("-._~:[]", c) != NULL)))
			return false;
	}
	return true;
}

static int check_host(struct http_parser *ps)
{
	const struct http_field *host = http_parser_find(ps, "host", 0);
	const struct http_target *t = &ps->target;

	if (http_parser_find(ps, "host", 1) != NULL)
		return refuse(ps, 400, "more than one Host header");
	if (host == NULL)
		return ps->minor == 0 ? 0 : refuse(ps, 400, "a Host header is required");
	if (!host_chars_ok(value_of(ps, host), host->value_n))
		return refuse(ps, 400, "the Host header is not a host and a port");
	if (t->has_authority && (t->authority.n != host->value_n ||
				 strncasecmp(t->text.p + t->authority.off, value_of(ps, host), host->value_n) != 0))
		return refuse(ps, 400, "the Host header and the target name different hosts");
	return 0;
}

static int check_length(struct http_parser *ps, const struct http_field *f)
{
	uint64_t v = 0;

	if (http_parser_find(ps, "content-length", 1) != NULL)
		return refuse(ps, 400, "more than one Content-Length header");
	if (f->value_n == 0)
		return refuse(ps, 400, "Content-Length must be a number");
	for (unsigned i = 0; i < f->value_n; i++) {
		char c = value_of(ps, f)[i];

		if (c < '0' || c > '9')
			return refuse(ps, 400, "Content-Length must be a number");
		if (v > (UINT64_MAX - 9) / 10)
			return refuse(ps, 400, "Content-Length is out of range");
		v = v * 10 + (uint64_t)(c - '0');
	}
	ps->content_length = v;
	ps->has_body = v > 0;
	return 0;
}

static int check_framing(struct http_parser *ps)
{
	const struct http_field *te = http_parser_find(ps, "transfer-encoding", 0);
	const struct http_field *cl = http_parser_find(ps, "content-length", 0);

	if (te != NULL && cl != NULL)
		return refuse(ps, 400, "Transfer-Encoding and Content-Length in one request");
	if (te != NULL) {
		if (ps->minor == 0)
			return refuse(ps, 400, "HTTP/1.0 has no Transfer-Encoding");
		if (http_parser_find(ps, "transfer-encoding", 1) != NULL)
			return refuse(ps, 400, "more than one Transfer-Encoding header");
		if (te->value_n != 7 || strncasecmp(value_of(ps, te), "chunked", 7) != 0)
			return refuse(ps, 501, "the only Transfer-Encoding known here is chunked");
		ps->chunked = ps->has_body = true;
	} else if (cl != NULL) {
		return check_length(ps, cl);
	} else if (strcmp(http_parser_method(ps), "POST") == 0 || strcmp(http_parser_method(ps), "PUT") == 0 ||
		   strcmp(http_parser_method(ps), "PATCH") == 0) {
		return refuse(ps, 411, "Content-Length or Transfer-Encoding: chunked is required");
	}
	return 0;
}

static int check_expect(struct http_parser *ps)
{
	const struct http_field *f = http_parser_find(ps, "expect", 0);

	if (f == NULL || ps->minor == 0)
		return 0;
	if (http_parser_find(ps, "expect", 1) != NULL || f->value_n != 12 ||
	    strncasecmp(value_of(ps, f), "100-continue", 12) != 0)
		return refuse(ps, 417, "the only expectation known here is 100-continue");
	ps->expect_continue = ps->has_body;
	return 0;
}

/* What llhttp accepted, by our rules. */
static int check_head(struct http_parser *ps)
{
	const char *why = NULL;
	int status;

	if (ps->ll.method == HTTP_CONNECT)
		return refuse(ps, 501, "this method is not known here");
	status = http_target_parse(&ps->target, ps->head.p + ps->url, ps->url_n, ps->ll.method == HTTP_OPTIONS, &why);
	if (status != 0)
		return refuse(ps, status, why);
	if (check_host(ps) < 0 || check_framing(ps) < 0 || check_expect(ps) < 0)
		return -1;
	if (ps->content_length > ps->max_body)
		return refuse(ps, 413, "the body is larger than is accepted here");
	return 0;
}

static int head_complete(struct http_parser *ps)
{
	int e = feed(ps, ps->head.p, ps->head.len);

	if (e == HPE_INVALID_METHOD)
		return refuse(ps, 501, "this method is not known here");
	if (ps->ll_head && check_head(ps) < 0)
		return -1;
	if (e != HPE_OK)
		return refuse(ps, 400, "the request head is malformed");
	/* Both readers must see the same request, or none is served. */
	if (!ps->ll_head || ps->ll_end == ps->has_body || ps->nfields != ps->guard.headers || ps->ll.http_major != 1 ||
	    ps->ll.http_minor != ps->minor ||
	    (!ps->chunked && ps->has_body && ps->ll.content_length != ps->content_length))
		return refuse(ps, 400, "the request head is malformed");
	ps->keep_alive = ps->ll_keep_alive;
	ps->head_done = true;
	terminate(ps);
	return ps->has_body ? PARSE_HEAD : PARSE_COMPLETE;
}

static int line_complete(struct http_parser *ps)
{
	const char *p = ps->head.p, *why;
	size_t n = ps->head.len - 2;
	struct http_line line;
	int status;

	while (n > 0 && (*p == '\r' || *p == '\n')) { /* blank lines in front */
		p++;
		n--;
	}
	if ((status = http_guard_line(p, n, &line, &why)) != 0)
		return refuse(ps, status, why);
	ps->minor = line.minor;
	return 0;
}

static int parse_head(struct http_parser *ps, const char *p, size_t n, size_t *used)
{
	size_t done = 0;

	while (done < n) {
		size_t k = 0;
		int r = http_guard_head(&ps->guard, p + done, n - done, &k);

		if (r < 0)
			return refuse(ps, ps->guard.status, ps->guard.why);
		if (buf_append(&ps->head, p + done, k) < 0)
			return refuse(ps, 503, "out of memory");
		done += k;
		if (r == GUARD_LINE && line_complete(ps) < 0)
			return -1;
		if (r == GUARD_END) {
			*used = done;
			return head_complete(ps);
		}
	}
	*used = n;
	return PARSE_MORE;
}

/* ---- the body ---- */
static int parse_body(struct http_parser *ps, const char *p, size_t n, size_t *used)
{
	size_t k = n;
	int r, e;

	if (ps->chunked) {
		r = http_guard_chunked(&ps->guard, p, n, &k);
		/* an earlier byte may be one that llhttp refuses: then that is the reason, however the bytes were cut
		 */
		if (r < 0 && feed(ps, p, k) == HPE_OK && ps->body.failed == 0)
			return refuse(ps, ps->guard.status, ps->guard.why);
		if (r < 0)
			return refuse(ps, 400, "the request body is malformed");
	} else {
		uint64_t left = ps->content_length - ps->guard.data;

		k = n < left ? n : (size_t)left;
		ps->guard.data += k;
		r = ps->guard.data == ps->content_length ? GUARD_END : GUARD_MORE;
	}
	e = feed(ps, p, k);
	if (ps->body.failed != 0)
		return refuse(ps, 503, "out of memory");
	if (e != HPE_OK || ps->ll_end != (r == GUARD_END) || ps->body.len != ps->guard.data)
		return refuse(ps, 400, "the request body is malformed");
	*used = k;
	return r == GUARD_END ? PARSE_COMPLETE : PARSE_MORE;
}

int http_parse(struct http_parser *ps, const char *p, size_t n, size_t *used)
{
	assert(ps->status == 0);
	return ps->head_done ? parse_body(ps, p, n, used) : parse_head(ps, p, n, used);
}
