/* In which coding an answer leaves, and whether the client has it already. Pure, but for the compressor's memory. */
#ifndef JRS_EXECUTIVE_HTTP_ENCODING_H
#define JRS_EXECUTIVE_HTTP_ENCODING_H
#include "common/base/buf.h"
#include <stdbool.h>

/* Accept-Encoding (NULL: absent): is gzip taken, and liked at least as well as identity? What is malformed is as if it
 * were not there. */
bool http_wants_gzip(const char *accept_encoding);
/* Does If-None-Match name this tag (in its quotes), weakly compared, or "*"? NULL: absent. */
bool http_tag_known(const char *if_none_match, const char *tag);

/* One compressor for all answers of a loop: some 270 KB, made when it is first needed. */
struct http_gzip;
/* Appends p..p+n as one gzip stream without name and time. TR_ENOMEM: out is as it was; a NULL *z may stay NULL. */
int http_gzip(struct http_gzip **z, struct buf *out, const void *p, size_t n);
void http_gzip_free(struct http_gzip **z);

#endif
