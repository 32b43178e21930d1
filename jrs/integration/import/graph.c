/* Lines of the official MCP memory server's file, as import.h describes them. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/text.h"
#include "jrs/integration/import/graph.h"
#include "jrs/integration/import/reader.h"
#include "jrs/integration/import/rows.h"
#include "jrs/integration/text/chars.h"

#define GRAPH_SOURCE "mcp-memory"
#define NAME_BYTES   (16u << 10) /* of a name or a type: three of them fit into a metadata map */
#define NAME_WORDS   64
#define TEXT_WORDS   400

/* An entity under way: its observations may fill more than one batch. */
struct graph_line {
	json_t *obj;         /* owned */
	wire_str name, type; /* in obj */
	const json_t *texts; /* in obj */
	uint64_t line;
	size_t index; /* of the observation in hand */
	wire_str text;
	unsigned char digest[TR_SHA256_LEN]; /* of it */
	size_t prefix, parts, part, pos;     /* bytes of the name in front; part that comes next and its first byte */
};

void graph_free(struct import *im)
{
	if (im->graph == NULL)
		return;
	json_decref(im->graph->obj);
	free(im->graph);
	im->graph = NULL;
}

static wire_str text_of(const json_t *s)
{
	return (wire_str){json_string_value(s), (uint32_t)json_string_length(s)};
}

/* A row of its own: text in pieces, copied. */
static int content(struct item_new_memory *m, msgpack_zone *zone, const wire_str *v, unsigned n)
{
	uint32_t size = 0, to = 0;
	char *p;

	for (unsigned i = 0; i < n; i++)
		size += v[i].n;
	p = msgpack_zone_malloc(zone, size + 1);
	if (p == NULL)
		return TR_ENOMEM;
	for (unsigned i = 0; i < n; to += v[i].n, i++)
		if (v[i].n > 0)
			memcpy(p + to, v[i].p, v[i].n);
	m->content = (wire_str){p, size};
	return 0;
}

/* The same source, kind and names have the same id, wherever they stand in the file. */
static int own_id(struct import *im, struct item_new_memory *m, msgpack_zone *zone, const struct tr_piece *v, size_t n)
{
	unsigned char sum[TR_SHA256_LEN];
	char id[sizeof GRAPH_SOURCE + TR_SHA256_LEN + 1] = GRAPH_SOURCE ":";
	struct tr_piece all[6] = {{im->cfg.source.n > 0 ? im->cfg.source.p : GRAPH_SOURCE,
				   im->cfg.source.n > 0 ? im->cfg.source.n : sizeof GRAPH_SOURCE - 1}};
	int r;

	for (size_t i = 0; i < n; i++)
		all[i + 1] = (struct tr_piece){v[i].p != NULL ? v[i].p : "", v[i].n};
	if ((r = tr_sha256_pieces(all, n + 1, sum)) < 0)
		return r;
	tr_hex(sum, TR_SHA256_LEN / 2, id + sizeof GRAPH_SOURCE);
	m->has_id = true;
	return rows_text(zone, id, strlen(id), sizeof id, &m->id);
}

/* What the three kinds share; name and type are in JSON that ends with the batch, so the row gets copies. */
static int common(struct import *im, struct item_new_memory *m, msgpack_zone *zone, struct meta *meta, const char *kind,
		  wire_str type, uint64_t line)
{
	wire_str *tag = msgpack_zone_malloc(zone, sizeof *tag);
	wire_str copy;

	if (tag == NULL || rows_text(zone, type.p, type.n, NAME_BYTES, &copy) < 0)
		return TR_ENOMEM;
	*tag = copy;
	m->has_tags = copy.n > 0 && copy.n <= WIRE_STRS_ITEM_MAX;
	m->tags = (wire_strs){tag, m->has_tags ? 1 : 0};
	m->has_source = true;
	m->source = im->cfg.source.n > 0 ? im->cfg.source : wire_s(GRAPH_SOURCE);
	meta_str(meta, "kind", wire_s(kind));
	meta_str(meta, "type", copy);
	meta_u64(meta, "line", line);
	return 0;
}

static int meta_copy(struct meta *meta, msgpack_zone *zone, const char *key, wire_str value)
{
	wire_str copy;
	int r = rows_text(zone, value.p, value.n, NAME_BYTES, &copy);

	if (r == 0)
		meta_str(meta, key, copy);
	return r;
}

/* Would a question by the name miss the text? */
static bool lacks_name(struct import *im, wire_str name, const char *text, size_t n)
{
	struct word a[NAME_WORDS], b[TEXT_WORDS];
	size_t na = words_split(im->cfg.words, name.p, name.n, a, NAME_WORDS);
	size_t nb = words_split(im->cfg.words, text, n, b, TEXT_WORDS);

	for (size_t i = 0; i < na; i++) {
		size_t k = 0;

		while (k < nb && a[i].key != b[k].key)
			k++;
		if (k == nb)
			return true;
	}
	return na == 0 && name.n > 0; /* a name without words is told by nothing else */
}

/* What is the same for all parts of an observation. */
static int begin_observation(struct import *im, struct graph_line *g)
{
	size_t room, len;

	g->text = text_of(json_array_get(g->texts, g->index));
	g->prefix = g->name.n > 0 && lacks_name(im, g->name, g->text.p, g->text.n) ? g->name.n + 2 : 0;
	room = WIRE_CONTENT_MAX - g->prefix;
	g->parts = 1;
	for (size_t pos = 0; (len = g->text.n - pos) > room; g->parts++)
		pos += chars_cut(g->text.p + pos, len, room);
	return tr_sha256(g->text.p, g->text.n, g->digest);
}

static int observation_id(struct import *im, const struct graph_line *g, msgpack_zone *zone, struct item_new_memory *m)
{
	char part[24];
	int n = snprintf(part, sizeof part, "%zu", g->part + 1);
	const struct tr_piece id[] = {
		{"observation", 11}, {g->name.p, g->name.n}, {g->digest, sizeof g->digest}, {part, (size_t)n}};

	return own_id(im, m, zone, id, 4);
}

/* The next part of the observation in hand as *m; moves behind it. 1: taken; 0: skipped; TR_ENOMEM. */
static int observation(struct import *im, struct graph_line *g, msgpack_zone *zone, struct item_new_memory *m)
{
	const char *p = g->text.p + g->pos;
	size_t left = g->text.n - g->pos, room = WIRE_CONTENT_MAX - g->prefix;
	size_t len = left > room ? chars_cut(p, left, room) : left;
	const wire_str v[] = {
		{g->name.p, g->prefix > 0 ? g->name.n : 0}, {": ", g->prefix > 0 ? 2 : 0}, {p, (uint32_t)len}};
	struct meta meta = {.n = 0};
	int r;

	memset(m, 0, sizeof *m);
	if ((r = content(m, zone, v, 3)) < 0 || (r = observation_id(im, g, zone, m)) < 0 ||
	    (r = common(im, m, zone, &meta, "observation", g->type, g->line)) < 0 ||
	    (r = meta_copy(&meta, zone, "entity", g->name)) < 0)
		return r;
	meta_u64(&meta, "index", g->index);
	if (g->prefix > 0)
		meta_u64(&meta, "prefix", g->prefix);
	if (g->parts > 1) {
		meta_u64(&meta, "part", g->part + 1);
		meta_u64(&meta, "parts", g->parts);
	}
	g->pos += len;
	g->part++;
	return (r = meta_done(&meta, zone, m)) < 0 ? r : 1;
}

static int observation_next(struct import *im, struct graph_line *g, msgpack_zone *zone, struct item_new_memory *m)
{
	int r = g->part == 0 ? begin_observation(im, g) : 0;

	if (r < 0)
		return r;
	if (g->prefix + g->text.n > 0)
		r = observation(im, g, zone, m);
	else
		skip(im, g->line, "an observation without a text, of an entity without a name");
	if (r <= 0 || g->part == g->parts) {
		g->index++;
		g->part = g->pos = 0;
	}
	return r;
}

/* An entity of which nothing was observed yet. */
static int bare_entity(struct import *im, const struct graph_line *g, msgpack_zone *zone, struct item_new_memory *m)
{
	bool typed = g->type.n > 0;
	const wire_str v[] = {g->name, {" (", typed ? 2 : 0}, {g->type.p, g->type.n}, {")", typed ? 1 : 0}};
	const struct tr_piece id[] = {{"entity", 6}, {g->name.p, g->name.n}, {g->type.p, g->type.n}};
	struct meta meta = {.n = 0};
	int r;

	if (g->name.n + g->type.n == 0) {
		skip(im, g->line, "an entity without a name, a type and observations");
		return 0;
	}
	memset(m, 0, sizeof *m);
	if ((r = content(m, zone, v, 4)) < 0 || (r = own_id(im, m, zone, id, 3)) < 0 ||
	    (r = common(im, m, zone, &meta, "entity", g->type, g->line)) < 0 ||
	    (r = meta_copy(&meta, zone, "entity", g->name)) < 0)
		return r;
	return (r = meta_done(&meta, zone, m)) < 0 ? r : 1;
}

static int relation(struct import *im, wire_str from, wire_str to, wire_str type, msgpack_zone *zone,
		    struct item_new_memory *m)
{
	const wire_str space = {" ", 1}, v[] = {from, space, type, {" ", type.n > 0 ? 1 : 0}, to};
	const struct tr_piece id[] = {{"relation", 8}, {from.p, from.n}, {to.p, to.n}, {type.p, type.n}};
	struct meta meta = {.n = 0};
	int r;

	memset(m, 0, sizeof *m);
	if ((r = content(m, zone, v, 5)) < 0 || (r = own_id(im, m, zone, id, 4)) < 0 ||
	    (r = common(im, m, zone, &meta, "relation", type, im->line)) < 0 ||
	    (r = meta_copy(&meta, zone, "from", from)) < 0 || (r = meta_copy(&meta, zone, "to", to)) < 0)
		return r;
	return (r = meta_done(&meta, zone, m)) < 0 ? r : 1;
}

/* The string under key, or what is wrong with it is told. */
static bool string_at(struct import *im, const json_t *obj, const char *key, wire_str *out)
{
	const json_t *v = json_object_get(obj, key);

	if (!json_is_string(v)) {
		skip(im, im->line, "%s must be a string", key);
		return false;
	}
	*out = text_of(v);
	if (out->n > NAME_BYTES) {
		skip(im, im->line, "%s is over %u KiB", key, NAME_BYTES >> 10);
		return false;
	}
	return true;
}

static bool all_strings(const json_t *list)
{
	const json_t *v;
	size_t i;

	if (!json_is_array(list))
		return false;
	json_array_foreach(list, i, v) if (!json_is_string(v)) return false;
	return true;
}

/* The line becomes the entity under way. */
static int begin_entity(struct import *im, json_t *obj)
{
	struct graph_line g = {.obj = obj, .texts = json_object_get(obj, "observations"), .line = im->line};

	if (!string_at(im, obj, "name", &g.name) || !string_at(im, obj, "entityType", &g.type))
		return 0;
	if (!all_strings(g.texts)) {
		skip(im, im->line, "observations must be a list of strings");
		return 0;
	}
	im->graph = malloc(sizeof *im->graph);
	if (im->graph == NULL)
		return TR_ENOMEM;
	*im->graph = g;
	json_incref(obj);
	return 0;
}

static int take(struct import *im, json_t *obj, msgpack_zone *zone, struct import_rows *rows)
{
	const char *type = json_string_value(json_object_get(obj, "type"));
	wire_str from, to, kind;
	int r = 0;

	if (!json_is_object(obj)) {
		skip(im, im->line, "it is not a JSON object");
	} else if (type != NULL && strcmp(type, "entity") == 0) {
		r = begin_entity(im, obj);
	} else if (type == NULL || strcmp(type, "relation") != 0) {
		skip(im, im->line, "type must be entity or relation");
	} else if (string_at(im, obj, "from", &from) && string_at(im, obj, "to", &to) &&
		   string_at(im, obj, "relationType", &kind)) {
		r = relation(im, from, to, kind, zone, &rows->memories[rows->n]);
		if (r > 0)
			im->lines[rows->n++] = im->line;
	}
	return r < 0 ? r : 0;
}

/* The line at im->pos. */
static int line_next(struct import *im, msgpack_zone *zone, struct import_rows *rows)
{
	const char *p = im->cfg.data + im->pos, *nl = memchr(p, '\n', im->cfg.len - im->pos);
	size_t n = nl != NULL ? (size_t)(nl - p) : im->cfg.len - im->pos;
	struct tr_fault fault = {0};
	json_t *obj = NULL;
	int r = 0;

	im->pos += n + (nl != NULL);
	if (!graph_blank(p, n)) {
		r = graph_parse(&obj, p, n, &fault);
		if (r == TR_EMALFORMED) {
			skip_broken(im, im->line, fault.rule);
			r = 0;
		} else if (r == 0) {
			r = take(im, obj, zone, rows);
		}
		json_decref(obj);
	}
	im->line++;
	return r;
}

/* The next memory of the entity under way; the line is done with its last one. */
static int entity_next(struct import *im, msgpack_zone *zone, struct import_rows *rows)
{
	struct graph_line *g = im->graph;
	struct item_new_memory *m = &rows->memories[rows->n];
	size_t n = json_array_size(g->texts);
	int r = n == 0 ? bare_entity(im, g, zone, m) : observation_next(im, g, zone, m);

	if (r > 0)
		im->lines[rows->n++] = g->line;
	if (r >= 0 && g->index >= n)
		graph_free(im);
	return r < 0 ? r : 0;
}

int graph_batch(struct import *im, msgpack_zone *zone, struct import_rows *rows)
{
	size_t start = im->pos, bytes = 0;

	while ((im->graph != NULL || im->pos < im->cfg.len) && rows->n < IMPORT_BATCH && bytes < IMPORT_BATCH_BYTES &&
	       im->pos - start < IMPORT_BATCH_BYTES) {
		uint32_t before = rows->n;
		int r = im->graph != NULL ? entity_next(im, zone, rows) : line_next(im, zone, rows);

		if (r < 0)
			return r;
		if (rows->n > before)
			bytes += rows->memories[before].content.n;
	}
	return im->graph != NULL || im->pos < im->cfg.len;
}
