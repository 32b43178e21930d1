/* The byte rules that llhttp 8.1.0 leaves open (docs/adr/0003-http-parser.md). Pure; knows nothing of sockets or
 * llhttp. The guard reads every byte first and says where head and body end; the parser then lets llhttp read the same
 * bytes, and refuses the request when the two do not agree. */
#ifndef JRS_EXECUTIVE_HTTP_GUARD_H
#define JRS_EXECUTIVE_HTTP_GUARD_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define HTTP_LINE_MAX    8192  /* request line without its CRLF; more: 414 */
#define HTTP_HEADER_MAX  32768 /* header lines, and trailers, with their CRLFs; more: 431 */
#define HTTP_HEADERS_MAX 100   /* header lines; more: 431 */
#define HTTP_CHUNK_EXTRA_MAX                                                                                \
	4096             /* chunk bytes beyond size digits and CRLFs (extensions, leading zeros); more: 400 \
			  */
#define HTTP_BLANK_MAX 2 /* empty lines in front of a request line */
#define HTTP_HEAD_MAX  (2 * HTTP_BLANK_MAX + HTTP_LINE_MAX + 2 + HTTP_HEADER_MAX + 2)

enum guard_result {
	GUARD_MORE,
	GUARD_LINE,
	GUARD_END
}; /* needs more bytes; request line is complete; the part is complete */

struct http_guard {
	unsigned char state;
	unsigned blanks;
	uint32_t line, header_bytes, headers;
	uint64_t size, left; /* of the chunk being read */
	unsigned digits;     /* of its size, leading zeros not counted */
	uint32_t extra;      /* framing bytes beyond what the chunks so far needed; the open size line counts whole */
	char name[20];       /* of the trailer being read, in small letters, cut */
	unsigned name_n;
	uint64_t data;     /* body bytes seen */
	uint64_t max_data; /* a chunk that would lead past it: 413 */
	int status;        /* why it was refused */
	const char *why;   /* static text for a person */
};

void http_guard_init(struct http_guard *g, uint64_t max_data);
/* Head bytes. *used: how many were taken; after GUARD_LINE and GUARD_END the rest stays with the caller. -1: refused.
 */
int http_guard_head(struct http_guard *g, const char *p, size_t n, size_t *used);
/* Bytes of a chunked body, after the head. GUARD_END behind the last CRLF. -1: refused, *used
 * bytes were good. Trailers are let by, within the
 * bounds of the head's lines: nobody is to look at them. Those that could be taken for framing are refused. */
int http_guard_chunked(struct http_guard *g, const char *p, size_t n, size_t *used);

/* "METHOD SP target SP HTTP/d.d" with single spaces. 0, or the status it is refused with. */
struct http_line {
	const char *method, *target;
	size_t method_n, target_n;
	int minor; /* of HTTP/1.x */
};
int http_guard_line(const char *p, size_t n, struct http_line *out, const char **why);

bool http_is_tchar(unsigned char c);

#endif
