#include "jrs/executive/http/guard.h"
#include <assert.h>
#include <string.h>

enum {
	G_START,
	G_START_LF,
	G_LINE,
	G_LINE_LF,
	G_HEADER,
	G_NAME,
	G_VALUE,
	G_VALUE_LF,
	G_END_LF,
	G_SIZE, /* the head is done; first digit of a chunk size */
	G_DIGITS,
	G_EXTENSION,
	G_SIZE_LF,
	G_DATA,
	G_DATA_CR,
	G_DATA_LF,
	G_TRAILER, /* the last chunk is done: a trailer, or the empty line */
	G_TRAILER_NAME,
	G_TRAILER_VALUE,
	G_TRAILER_LF,
	G_LAST_LF,
	G_DONE
};

#define SIZE_DIGITS_MAX 15 /* keeps sums of sizes far from 2^64 */

void http_guard_init(struct http_guard *g, uint64_t max_data)
{
	memset(g, 0, sizeof(*g));
	g->max_data = max_data;
}

static int refuse(struct http_guard *g, int status, const char *why)
{
	g->status = status;
	g->why = why;
	return -1;
}

bool http_is_tchar(unsigned char c)
{
	return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') ||
	       (c != '\0' && strchr("!#$%&'*+-.^_`|~", c) != NULL);
}

/* One byte of the request line; blank lines before it are allowed a little. */
static int line_byte(struct http_guard *g, unsigned char c)
{
	switch (g->state) {
	case G_START:
		if (c == '\r') {
			g->state = G_START_LF;
			return ++g->blanks > HTTP_BLANK_MAX ? refuse(g, 400, "empty lines instead of a request") : 0;
		}
		g->state = G_LINE;
		break;
	case G_START_LF:
		g->state = G_START;
		return c == '\n' ? 0 : refuse(g, 400, "a line must end with CR LF");
	case G_LINE_LF:
		g->state = G_HEADER;
		return c == '\n' ? 0 : refuse(g, 400, "a line must end with CR LF");
	default:
		break;
	}
	if (c == '\r') {
		g->state = G_LINE_LF;
		return 0;
	}
	if (c < 0x20 || c > 0x7e)
		return refuse(g, 400, "the request line holds a byte that is not visible ASCII");
	return ++g->line > HTTP_LINE_MAX ? refuse(g, 414, "the request line is longer than 8 KiB") : 0;
}

static int header_byte(struct http_guard *g, unsigned char c)
{
	if (g->state == G_HEADER && c == '\r') {
		g->state = G_END_LF;
		return 0;
	}
	if (g->state == G_END_LF) {
		g->state = G_SIZE;
		return c == '\n' ? 0 : refuse(g, 400, "a line must end with CR LF");
	}
	if (++g->header_bytes > HTTP_HEADER_MAX)
		return refuse(g, 431, "the header lines are longer than 32 KiB");
	switch (g->state) {
	case G_HEADER:
		if (c == ' ' || c == '\t')
			return refuse(g, 400, "folded header lines are not accepted");
		if (++g->headers > HTTP_HEADERS_MAX)
			return refuse(g, 431, "more than 100 header lines");
		g->state = G_NAME;
		return http_is_tchar(c) ? 0
					: refuse(g, 400, "a header name holds a character that may not stand there");
	case G_NAME:
		if (c == ':')
			g->state = G_VALUE;
		else if (!http_is_tchar(c))
			return refuse(g, 400, "a header name holds a character that may not stand there");
		return 0;
	case G_VALUE:
		if (c == '\r')
			g->state = G_VALUE_LF;
		else if ((c < 0x20 && c != '\t') || c == 0x7f)
			return refuse(g, 400, "a header value holds a control character");
		return 0;
	default: /* G_VALUE_LF */
		g->state = G_HEADER;
		return c == '\n' ? 0 : refuse(g, 400, "a line must end with CR LF");
	}
}

int http_guard_head(struct http_guard *g, const char *p, size_t n, size_t *used)
{
	size_t i;

	assert(g->state < G_SIZE);
	for (i = 0; i < n; i++) {
		unsigned char c = (unsigned char)p[i];
		bool in_line = g->state <= G_LINE_LF;

		if ((in_line ? line_byte(g, c) : header_byte(g, c)) < 0)
			return -1;
		if ((in_line && g->state == G_HEADER) || g->state == G_SIZE) {
			*used = i + 1;
			return g->state == G_SIZE ? GUARD_END : GUARD_LINE;
		}
	}
	*used = n;
	return GUARD_MORE;
}

static int hex(unsigned char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c |= 0x20;
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* The size line is complete: what it needed (digits, its CRLF) is no longer extra. */
static int size_line(struct http_guard *g, unsigned char c)
{
	if (c != '\n')
		return refuse(g, 400, "a chunk size line must end with CR LF");
	g->extra -= (g->digits > 0 ? g->digits : 1) + 2;
	if (g->extra > HTTP_CHUNK_EXTRA_MAX)
		return refuse(g, 400, "more than 4 KiB of chunk extensions");
	if (g->data + g->size > g->max_data)
		return refuse(g, 413, "the body is larger than is accepted here");
	g->left = g->size;
	g->state = g->size == 0 ? G_TRAILER : G_DATA;
	return 0;
}

static int size_byte(struct http_guard *g, unsigned char c)
{
	int v = hex(c);

	/* An open line is charged whole; what it may still be forgiven is SIZE_DIGITS_MAX and CR LF. */
	if (++g->extra > HTTP_CHUNK_EXTRA_MAX + SIZE_DIGITS_MAX + 2)
		return refuse(g, 400, "more than 4 KiB of chunk extensions");
	switch (g->state) {
	case G_SIZE:
		g->size = 0;
		g->digits = 0;
		g->state = G_DIGITS;
		if (v < 0)
			return refuse(g, 400, "a chunk size must be hexadecimal digits");
		break;
	case G_EXTENSION:
		if (c == '\r')
			g->state = G_SIZE_LF;
		else if ((c < 0x20 && c != '\t') || c >= 0x7f)
			return refuse(g, 400, "a chunk extension holds a byte that is not visible ASCII");
		return 0;
	case G_SIZE_LF:
		return size_line(g, c);
	default:
		break;
	}
	if (v >= 0) {
		if (g->digits > 0 || v > 0)
			g->digits++;
		if (g->digits > SIZE_DIGITS_MAX)
			return refuse(g, 400, "a chunk size is out of range");
		g->size = g->size * 16 + (uint64_t)v;
		return 0;
	}
	if (c != '\r' && c != ';')
		return refuse(g, 400, "a chunk size must be hexadecimal digits");
	g->state = c == ';' ? G_EXTENSION : G_SIZE_LF;
	return 0;
}

/* CR LF behind the data of a chunk, and the end of the empty line behind the last one. */
static int crlf_byte(struct http_guard *g, unsigned char c)
{
	if (c != (g->state == G_DATA_CR ? '\r' : '\n'))
		return refuse(g, 400, "a chunk must end with CR LF");
	g->state = g->state == G_DATA_CR ? G_DATA_LF : g->state == G_DATA_LF ? G_SIZE : G_DONE;
	return 0;
}

/* What says where a message ends, whom it is for and what becomes of the connection must stand in the head. */
static bool trailer_ok(const struct http_guard *g)
{
	static const char *const never[] = {"content-length", "transfer-encoding", "host", "connection", "upgrade"};

	for (size_t i = 0; i < sizeof(never) / sizeof(*never); i++)
		if (strlen(never[i]) == g->name_n && memcmp(never[i], g->name, g->name_n) == 0)
			return false;
	return true;
}

static int trailer_name(struct http_guard *g, unsigned char c)
{
	if (c == ':') {
		g->state = G_TRAILER_VALUE;
		return trailer_ok(g) ? 0 : refuse(g, 400, "a trailer may not be one of those that frame a message");
	}
	if (!http_is_tchar(c))
		return refuse(g, 400, "a trailer's name holds a character that may not stand there");
	if (g->name_n < sizeof(g->name)) /* longer than any that counts */
		g->name[g->name_n++] = (char)(c >= 'A' && c <= 'Z' ? c | 0x20 : c);
	return 0;
}

static int trailer_byte(struct http_guard *g, unsigned char c)
{
	if (g->state == G_TRAILER && c == '\r') {
		g->state = G_LAST_LF;
		return 0;
	}
	if (++g->header_bytes > HTTP_HEADER_MAX)
		return refuse(g, 431, "the header lines and trailers are longer than 32 KiB");
	switch (g->state) {
	case G_TRAILER:
		if (++g->headers > HTTP_HEADERS_MAX)
			return refuse(g, 431, "more than 100 header lines and trailers");
		g->name_n = 0;
		g->state = G_TRAILER_NAME;
		return c == ':' ? refuse(g, 400, "a trailer without a name") : trailer_name(g, c);
	case G_TRAILER_NAME:
		return trailer_name(g, c);
	case G_TRAILER_VALUE:
		if (c == '\r')
			g->state = G_TRAILER_LF;
		else if ((c < 0x20 && c != '\t') || c == 0x7f)
			return refuse(g, 400, "a trailer's value holds a control character");
		return 0;
	default: /* G_TRAILER_LF */
		g->state = G_TRAILER;
		return c == '\n' ? 0 : refuse(g, 400, "a line must end with CR LF");
	}
}

static int body_byte(struct http_guard *g, unsigned char c)
{
	if (g->state < G_DATA)
		return size_byte(g, c);
	return g->state >= G_TRAILER && g->state <= G_TRAILER_LF ? trailer_byte(g, c) : crlf_byte(g, c);
}

int http_guard_chunked(struct http_guard *g, const char *p, size_t n, size_t *used)
{
	size_t i = 0;

	assert(g->state >= G_SIZE && g->state < G_DONE);
	while (i < n) {
		if (g->state == G_DATA) {
			uint64_t run = n - i < g->left ? n - i : g->left;

			i += (size_t)run;
			g->left -= run;
			g->data += run;
			if (g->left == 0)
				g->state = G_DATA_CR;
			continue;
		}
		if (body_byte(g, (unsigned char)p[i]) < 0) {
			*used = i;
			return -1;
		}
		i++;
		if (g->state == G_DONE) {
			*used = i;
			return GUARD_END;
		}
	}
	*used = n;
	return GUARD_MORE;
}

int http_guard_line(const char *p, size_t n, struct http_line *out, const char **why)
{
	const char *sp = memchr(p, ' ', n), *end = p + n, *version;
	struct http_line l = {.method = p};

	*why = "the request line must be METHOD, target and HTTP/1.1, one space between";
	if (sp == NULL || sp == p)
		return 400;
	l.method_n = (size_t)(sp - p);
	for (size_t i = 0; i < l.method_n; i++)
		if (!http_is_tchar((unsigned char)p[i]))
			return 400;
	l.target = sp + 1;
	sp = memchr(l.target, ' ', (size_t)(end - l.target));
	if (sp == NULL || sp == l.target)
		return 400;
	l.target_n = (size_t)(sp - l.target);
	version = sp + 1;
	if (end - version != 8 || memcmp(version, "HTTP/", 5) != 0 || version[5] < '0' || version[5] > '9' ||
	    version[6] != '.' || version[7] < '0' || version[7] > '9')
		return 400;
	*why = "only HTTP/1.1 and HTTP/1.0 are spoken here";
	if (version[5] != '1' || version[7] > '1')
		return 505;
	l.minor = version[7] - '0';
	*out = l;
	return 0;
}
