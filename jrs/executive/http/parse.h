/* One request from bytes: the guard and llhttp read the same bytes and must agree. Pure: no sockets, no clock. What
 * comes out does not depend on how the bytes were cut into pieces. */
#ifndef JRS_EXECUTIVE_HTTP_PARSE_H
#define JRS_EXECUTIVE_HTTP_PARSE_H
#include "common/base/buf.h"
#include "jrs/executive/http/guard.h"
#include "jrs/executive/http/target.h"
#include <llhttp.h>

struct http_field { /* offsets into head; names and values are NUL-terminated once the head is complete */
	uint16_t name, name_n, value, value_n;
};
struct http_parser {
	struct http_guard guard;
	llhttp_t ll;
	struct buf head, body;     /* owned; kept from one request to the next */
	struct http_target target; /* decoded */
	struct http_field fields[HTTP_HEADERS_MAX];
	unsigned nfields;
	uint16_t url, url_n;
	size_t max_body;
	uint64_t content_length;
	int minor; /* HTTP/1.x */
	bool head_done, chunked, has_body, keep_alive, expect_continue;
	bool ll_head, ll_end, ll_keep_alive; /* what llhttp said */
	int status;                          /* when refused */
	const char *why;                     /* static */
};

enum http_parsed {
	PARSE_MORE,
	PARSE_HEAD,
	PARSE_COMPLETE
}; /* PARSE_HEAD once, when the head is good and a body follows */

void http_parser_init(struct http_parser *ps, size_t max_body);
void http_parser_reset(struct http_parser *ps); /* ready for the next request; large buffers are given back */
void http_parser_free(struct http_parser *ps);
/* *used: bytes taken, the rest belongs to the next request. -1: refused, ps->status and ps->why say how. */
int http_parse(struct http_parser *ps, const char *p, size_t n, size_t *used);
/* Borrowed from the parser. The i-th field of that name (case-insensitive), NULL past the end. */
const struct http_field *http_parser_find(const struct http_parser *ps, const char *name, unsigned i);
const char *http_parser_method(const struct http_parser *ps);

#endif
