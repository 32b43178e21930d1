/* The request target: which path, which query, on which host. Pure. */
#ifndef JRS_EXECUTIVE_HTTP_TARGET_H
#define JRS_EXECUTIVE_HTTP_TARGET_H
#include "common/base/buf.h"
#include <stdbool.h>
#include <stdint.h>

#define HTTP_SEGMENTS_MAX 16
#define HTTP_QUERY_MAX    64

struct http_span { /* of target.text; a NUL stands behind it */
	uint16_t off, n;
};
struct http_target {
	struct buf text; /* owned: everything decoded; kept from one request to the next */
	struct http_span path, segments[HTTP_SEGMENTS_MAX], authority;
	struct {
		struct http_span name, value;
	} query[HTTP_QUERY_MAX];
	unsigned nsegments; /* HTTP_SEGMENTS_MAX + 1: more than are kept */
	unsigned nquery;
	bool has_authority; /* absolute form */
};

/* p..p+n as sent, n <= HTTP_LINE_MAX. options: the method is OPTIONS, for which "*" is a target. 0; 400 with *why
 * (static); 500 out of memory. On failure *t holds nothing usable but may be parsed into again. */
int http_target_parse(struct http_target *t, const char *p, size_t n, bool options, const char **why);
void http_target_free(struct http_target *t);

#endif
