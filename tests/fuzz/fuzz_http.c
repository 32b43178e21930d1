/* Any bytes as what a client sends: requests one behind the other, until one is refused or is not finished. What they
 * mean may not depend on how the bytes were cut, so each input is read whole, byte by byte and in pieces of the input's
 * own choosing, and must give the same. Guard and llhttp judge each other inside http_parse(). */
#include "jrs/executive/http/parse.h"
#include "jrs/executive/http/problem.h"
#include "tests/fuzz/fuzz.h"
#include <stdlib.h>
#include <string.h>

#define MAX_BODY 5000

struct reading {
	uint64_t sum;      /* over everything a handler would see */
	size_t used, body; /* body: of the last request */
	unsigned requests;
	int status; /* of the refusal; 0: none */
};

static void mix(uint64_t *sum, const void *p, size_t n)
{
	const unsigned char *s = p;

	for (size_t i = 0; i < n; i++)
		*sum = (*sum ^ s[i]) * UINT64_C(0x100000001b3);
	*sum = (*sum ^ n) * UINT64_C(0x100000001b3);
}

#define HOLDS(cond)              \
	do {                     \
		if (!(cond))     \
			abort(); \
	} while (0)

static const char *text(const struct http_target *t, struct http_span s)
{
	HOLDS((size_t)s.off + s.n < t->text.len && t->text.p[s.off + s.n] == '\0');
	return t->text.p + s.off;
}

/* A request is complete: all that is promised of one, and its sum. */
static void look(const struct http_parser *ps, struct reading *r)
{
	const struct http_target *t = &ps->target;
	const struct http_field *f;

	HOLDS(ps->body.len <= MAX_BODY && ps->head.len <= HTTP_HEAD_MAX && ps->nfields <= HTTP_HEADERS_MAX);
	HOLDS(ps->minor == 0 || ps->minor == 1);
	HOLDS(http_parser_find(ps, "host", 1) == NULL && (ps->minor == 0 || http_parser_find(ps, "host", 0) != NULL));
	HOLDS(http_parser_find(ps, "content-length", 0) == NULL ||
	      http_parser_find(ps, "transfer-encoding", 0) == NULL);
	HOLDS(http_parser_find(ps, "content-length", 1) == NULL &&
	      http_parser_find(ps, "transfer-encoding", 1) == NULL);
	HOLDS(ps->chunked || ps->body.len == ps->content_length);
	mix(&r->sum, http_parser_method(ps), strlen(http_parser_method(ps)));
	mix(&r->sum, text(t, t->path), t->path.n);
	for (unsigned i = 0; i < t->nsegments && i < HTTP_SEGMENTS_MAX; i++)
		mix(&r->sum, text(t, t->segments[i]), t->segments[i].n);
	for (unsigned i = 0; i < t->nquery; i++) {
		mix(&r->sum, text(t, t->query[i].name), t->query[i].name.n);
		mix(&r->sum, text(t, t->query[i].value), t->query[i].value.n);
	}
	for (unsigned i = 0; i < ps->nfields; i++) {
		f = &ps->fields[i];
		HOLDS(f->name_n > 0 && strlen(ps->head.p + f->name) == f->name_n);
		HOLDS(strlen(ps->head.p + f->value) == f->value_n); /* so no NUL inside */
		HOLDS(strpbrk(ps->head.p + f->value, "\r\n") == NULL);
		mix(&r->sum, ps->head.p + f->name, f->name_n);
		mix(&r->sum, ps->head.p + f->value, f->value_n);
	}
	mix(&r->sum, ps->body.p, ps->body.len);
	mix(&r->sum, &ps->keep_alive, sizeof(ps->keep_alive));
	r->body = ps->body.len;
	r->requests++;
}

/* step: bytes at a time; 0: pieces of 1 to 64 bytes, as `cuts` says. */
static struct reading read_all(const char *p, size_t n, size_t step, uint64_t cuts)
{
	struct reading r = {.sum = UINT64_C(0xcbf29ce484222325)};
	struct http_parser ps;
	size_t piece = 0;

	http_parser_init(&ps, MAX_BODY);
	while (r.used < n) {
		size_t used = 0;
		char *copy;
		int got;

		if (piece == 0) {
			cuts = cuts * UINT64_C(6364136223846793005) + 1442695040888963407;
			piece = step != 0 ? step : 1 + (cuts >> 58);
		}
		if (piece > n - r.used)
			piece = n - r.used;
		copy = malloc(piece); /* of its exact size: reading behind it is seen */
		HOLDS(copy != NULL);
		memcpy(copy, p + r.used, piece);
		got = http_parse(&ps, copy, piece, &used);
		free(copy);
		if (got < 0) {
			HOLDS(ps.why != NULL);
			r.status =
				http_statuses[http_status_row(ps.status)].code; /* asserts that there is such a row */
			break;
		}
		HOLDS(used > 0 && used <= piece && (got != PARSE_MORE || used == piece));
		r.used += used;
		piece -= used;
		if (got == PARSE_COMPLETE) {
			look(&ps, &r);
			http_parser_reset(&ps);
		}
	}
	http_parser_free(&ps);
	return r;
}

static void same(const struct reading *a, const struct reading *b)
{
	HOLDS(a->sum == b->sum && a->requests == b->requests && a->status == b->status && a->body == b->body);
	HOLDS(a->status != 0 || a->used == b->used);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const char *p = (const char *)data;
	struct reading whole, other;
	uint64_t cuts = size;

	if (size == 0)
		return 0;
	mix(&cuts, data, size < 64 ? size : 64);
	whole = read_all(p, size, size, 0);
	other = read_all(p, size, 0, cuts);
	same(&whole, &other);
	if (size < 2000) {
		other = read_all(p, size, 1, 0);
		same(&whole, &other);
	}
	return 0;
}
