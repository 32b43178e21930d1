#include "jrs/integration/import/import.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/text.h"
#include "jrs/integration/import/reader.h"
#include "jrs/integration/import/rows.h"
#include "jrs/integration/text/chars.h"
#include "jrs/integration/text/sentences.h"

int import_format_parse(wire_str name, enum import_format *out, struct tr_fault *fault)
{
	static const char *const list[] = {[IMPORT_TEXT] = "text",
					   [IMPORT_MARKDOWN] = "markdown",
					   [IMPORT_JSONL] = "jsonl",
					   [IMPORT_GIT] = "git",
					   [IMPORT_MCP_MEMORY] = "mcp-memory"};

	for (size_t i = 0; i < sizeof list / sizeof list[0]; i++)
		if (strlen(list[i]) == name.n && memcmp(list[i], name.p, name.n) == 0) {
			*out = (enum import_format)i;
			return 0;
		}
	return tr_fault_set(fault, TR_EINVAL, "format", "must be jsonl, markdown, text, git or mcp-memory");
}

char *zone_dup(msgpack_zone *zone, const char *p, size_t n)
{
	char *q = msgpack_zone_malloc(zone, n + 1);

	if (q == NULL)
		return NULL;
	if (n > 0)
		memcpy(q, p, n);
	q[n] = '\0';
	return q;
}

static struct skip_group *skip_group(struct import *im, const char *reason)
{
	unsigned i = 0;

	while (i < im->ngroups && strcmp(im->groups[i].reason, reason) != 0)
		i++;
	if (i < im->ngroups)
		return &im->groups[i];
	if (i >= IMPORT_GROUPS) {
		i = IMPORT_GROUPS;
		reason = "another reason";
	}
	if (i == im->ngroups) {
		strcpy(im->groups[i].reason, reason); /* both 256 bytes, NUL-terminated */
		im->ngroups++;
	}
	return &im->groups[i];
}

void skip(struct import *im, uint64_t line, const char *fmt, ...)
{
	struct skip_group *g;
	char to[sizeof g->reason];
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vsnprintf(to, sizeof to, fmt, ap);
	va_end(ap);
	if (n < 0)
		n = 0;
	if ((size_t)n >= sizeof to)
		n = (int)chars_cut(to, sizeof to - 1, sizeof to - 2);
	to[n] = '\0';
	/* a field's name may have been cut inside a character on its way here */
	for (int i = 0; i < n;) {
		int32_t c;
		size_t len = chars_next(to + i, (size_t)(n - i), &c);

		if (c == CHARS_BROKEN)
			to[i] = '?';
		i += (int)len;
	}
	g = skip_group(im, n > 0 ? to : "it cannot be taken");
	im->skips.total++;
	g->count++;
	if (g->nlines < IMPORT_PLACES)
		g->line[g->nlines++] = line;
}

static int piece_push(struct import *im, const char *p, size_t n, const struct piece *base)
{
	struct piece piece = *base;

	if (im->npieces == im->cap) {
		size_t cap = im->cap == 0 ? 64 : im->cap * 2;
		struct piece *v = realloc(im->pieces, cap * sizeof *v);

		if (v == NULL)
			return TR_ENOMEM;
		im->pieces = v;
		im->cap = cap;
	}
	piece.offset = im->text.len;
	piece.n = n;
	if (buf_append(&im->text, p, n) < 0)
		return TR_ENOMEM;
	im->pieces[im->npieces++] = piece;
	return 0;
}

static size_t newlines(const char *p, size_t n)
{
	size_t k = 0;

	for (size_t i = 0; i < n; i++)
		k += p[i] == '\n';
	return k;
}

/* Whole lines up to a bound; code is cut nowhere else unless one line alone is longer. */
static size_t code_part(const char *p, size_t n)
{
	size_t end = 4 * IMPORT_CHARS;

	if (n <= end)
		return n;
	while (end > 0 && p[end - 1] != '\n')
		end--;
	return end > 0 ? end : chars_cut(p, n, 4 * IMPORT_CHARS);
}

/* Sentences until the next one would pass the bound, about; at least one. */
static size_t prose_part(const char *p, size_t n)
{
	size_t pos = 0, end = 0, chars = 0, at;
	struct span s;
	int32_t c;

	for (at = 0; at < n && chars <= IMPORT_CHARS; chars++)
		at += chars_next(p + at, n - at, &c);
	if (at >= n && chars <= IMPORT_CHARS)
		return n;
	while (sentence_next(p, n, &pos, &s)) {
		if (end > 0 && (size_t)(s.p - p) + s.n > at)
			break;
		end = (size_t)(s.p - p) + s.n;
	}
	return end > 0 ? end : n;
}

int piece_add(struct import *im, const char *p, size_t n, const struct piece *base)
{
	struct piece piece = *base;
	bool code = base->code;
	size_t part;
	int r;

	if (!tr_utf8_ok(p, n, NULL)) {
		skip(im, base->line, memchr(p, 0, n) != NULL ? "it has a NUL in it" : "it is not valid UTF-8");
		return 0;
	}
	if (!rows_has_word(p, n)) {
		skip(im, base->line, NO_WORD);
		return 0;
	}
	while (n > 0) {
		size_t from = 0, end;

		part = code ? code_part(p, n) : prose_part(p, n);
		end = part;
		while (!code && from < end && strchr(" \t\r\n", p[from]) != NULL)
			from++;
		while (end > from && strchr(" \t\r\n", p[end - 1]) != NULL)
			end--;
		if (end > from) {
			r = piece_push(im, p + from, end - from, &piece);
			if (r < 0)
				return r;
		}
		piece.line += newlines(p, part);
		p += part;
		n -= part;
	}
	return 0;
}

int import_open(struct import **out, const struct import_cfg *cfg)
{
	struct import *im = calloc(1, sizeof *im);

	if (im == NULL)
		return TR_ENOMEM;
	im->cfg = *cfg;
	im->line = cfg->first_line;
	if (cfg->len >= 3 && memcmp(cfg->data, "\xef\xbb\xbf", 3) == 0) /* a byte order mark is no text */
		im->pos = 3;
	*out = im;
	return 0;
}

void import_free(struct import **im)
{
	if (im == NULL || *im == NULL)
		return;
	jsonl_release(*im);
	markdown_free(*im);
	graph_free(*im);
	buf_free(&(*im)->text);
	free((*im)->pieces);
	free(*im);
	*im = NULL;
}

const struct import_skips *import_skips(struct import *im)
{
	struct import_skips *s = &im->skips;

	s->n = 0;
	for (unsigned i = 0; i < im->ngroups; i++) {
		const struct skip_group *g = &im->groups[i];

		for (unsigned k = 0; k < g->nlines; k++)
			s->v[s->n++] = (struct item_skipped){.line = g->line[k],
							     .reason = wire_s(g->reason),
							     .has_count = k == 0,
							     .count = k == 0 ? g->count : 0};
	}
	return s;
}

void import_refused(struct import *im, uint32_t index, const char *reason)
{
	skip(im, index < im->nlast ? im->lines[index] : 0, "%s", reason);
}

/* Does the text lack a content word of the innermost heading? Then recall by that word would miss it. */
static bool lacks_word(struct import *im, const char *heading, size_t n, const char *text, size_t len)
{
	struct word h[16], t[400];
	size_t nh = words_split(im->cfg.words, heading, n, h, 16), nt = words_split(im->cfg.words, text, len, t, 400);

	for (size_t i = 0; i < nh; i++) {
		size_t k = 0;

		if ((h[i].flags & WORD_STOP) || (h[i].flags & WORD_NUMBER))
			continue;
		while (k < nt && t[k].key != h[i].key)
			k++;
		if (k == nt)
			return true;
	}
	return false;
}

static int content_of(struct import *im, const struct piece *pc, msgpack_zone *zone, wire_str *out)
{
	const char *text = im->text.p + pc->offset;
	size_t n = pc->n;
	char *p;

	if (pc->heading_n > 0) {
		wire_str h = {im->text.p + pc->heading_offset + pc->heading_n - pc->innermost_n,
			      (uint32_t)pc->innermost_n};
		char last = h.n > 0 ? h.p[h.n - 1] : 0;

		if (h.n > 0 && h.n + 3 + n <= WIRE_CONTENT_MAX && lacks_word(im, h.p, h.n, text, n)) {
			bool stop = last == '?' || last == '!' || last == '.' || last == ':';
			size_t more = h.n + (stop ? 2 : 3);

			p = msgpack_zone_malloc(zone, more + n);
			if (p == NULL)
				return TR_ENOMEM;
			memcpy(p, h.p, h.n);
			/* a line of its own, so that an answer can quote the text without it */
			memcpy(p + h.n, stop ? "\n\n" : ":\n\n", more - h.n);
			memcpy(p + more, text, n);
			*out = (wire_str){p, (uint32_t)(more + n)};
			return 0;
		}
	}
	p = zone_dup(zone, text, n);
	if (p == NULL)
		return TR_ENOMEM;
	*out = (wire_str){p, (uint32_t)n};
	return 0;
}

static void put_str(msgpack_object *o, const char *p, size_t n)
{
	o->type = MSGPACK_OBJECT_STR;
	o->via.str.ptr = p;
	o->via.str.size = (uint32_t)n;
}

static int metadata_of(struct import *im, const struct piece *pc, msgpack_zone *zone, wire_map *out)
{
	msgpack_object *map = msgpack_zone_malloc(zone, sizeof *map);
	msgpack_object_kv *kv = msgpack_zone_malloc(zone, 3 * sizeof *kv);
	const char *heading = zone_dup(zone, im->text.p + pc->heading_offset, pc->heading_n);
	const char *lang = zone_dup(zone, im->text.p + pc->lang_offset, pc->lang_n);
	uint32_t n = 0;

	if (map == NULL || kv == NULL || heading == NULL || lang == NULL)
		return TR_ENOMEM;
	if (pc->heading_n > 0) {
		put_str(&kv[n].key, "heading", 7);
		put_str(&kv[n++].val, heading, pc->heading_n);
	}
	put_str(&kv[n].key, "line", 4);
	kv[n].val.type = MSGPACK_OBJECT_POSITIVE_INTEGER;
	kv[n++].val.via.u64 = pc->line;
	if (pc->code) {
		put_str(&kv[n].key, "code", 4);
		put_str(&kv[n++].val, lang, pc->lang_n);
	}
	map->type = MSGPACK_OBJECT_MAP;
	map->via.map.ptr = kv;
	map->via.map.size = n;
	*out = map;
	return 0;
}

static int document_batch(struct import *im, msgpack_zone *zone, struct import_rows *rows)
{
	size_t bytes = 0;

	if (im->next == im->npieces) {
		int r;

		im->next = im->npieces = 0;
		buf_clear(&im->text);
		if (im->pos >= im->cfg.len)
			return 0;
		r = im->cfg.format == IMPORT_MARKDOWN ? markdown_turn(im) : text_turn(im);
		if (r < 0)
			return r;
	}
	while (rows->n < IMPORT_BATCH && im->next < im->npieces && bytes < IMPORT_BATCH_BYTES) {
		const struct piece *pc = &im->pieces[im->next];
		struct item_new_memory *m = &rows->memories[rows->n];

		memset(m, 0, sizeof *m);
		if (content_of(im, pc, zone, &m->content) < 0 || metadata_of(im, pc, zone, &m->metadata) < 0)
			return TR_ENOMEM;
		m->has_metadata = true;
		m->has_session = true;
		m->session = im->cfg.name;
		im->lines[rows->n++] = pc->line;
		bytes += m->content.n;
		im->next++;
	}
	return im->next < im->npieces || im->pos < im->cfg.len;
}

static int jsonl_batch(struct import *im, msgpack_zone *zone, struct import_rows *rows)
{
	size_t start = im->pos;

	while (im->pos < im->cfg.len && rows->n < IMPORT_BATCH && im->pos - start < IMPORT_BATCH_BYTES) {
		const char *p = im->cfg.data + im->pos;
		const char *nl = memchr(p, '\n', im->cfg.len - im->pos);
		size_t len = nl != NULL ? (size_t)(nl - p) : im->cfg.len - im->pos;
		int r = jsonl_line(im, p, len, im->line, zone, rows);

		if (r == TR_EBUSY)
			return 1;
		if (r < 0)
			return r;
		if (r > 0)
			im->lines[rows->n - 1] = im->line;
		im->pos += len + (nl != NULL);
		im->line++;
	}
	return im->pos < im->cfg.len;
}

int import_batch(struct import *im, msgpack_zone *zone, struct import_rows *rows)
{
	typedef int reader(struct import * im, msgpack_zone * zone, struct import_rows * rows);
	static reader *const readers[] = {[IMPORT_TEXT] = document_batch,
					  [IMPORT_MARKDOWN] = document_batch,
					  [IMPORT_JSONL] = jsonl_batch,
					  [IMPORT_GIT] = git_batch,
					  [IMPORT_MCP_MEMORY] = graph_batch};
	int r;

	rows->kind = IMPORT_MEMORIES;
	rows->n = 0;
	jsonl_release(im);
	r = readers[im->cfg.format](im, zone, rows);
	im->nlast = rows->n;
	return r;
}
