#include <stdio.h>
#include <string.h>

#include "common/base/clock.h"
#include "common/base/text.h"
#include "jrs/integration/import/reader.h"

static bool known_field(const char *key)
{
	const struct wire_shape *shape = &wire_shape_new_memory;

	for (unsigned i = 0; i < shape->n; i++)
		if (strcmp(shape->fields[i].name, key) == 0)
			return true;
	return false;
}

/* A time as the contract wants it, or NULL: no time. Without an offset it is read as UTC, a date alone as its midnight.
 */
static json_t *time_value(const json_t *v)
{
	static const char *const tails[] = {"", "Z", ":00Z", "T00:00:00Z"};
	const char *s = json_string_value(v);
	size_t n = s != NULL ? strlen(s) : 0;
	char text[64];

	for (size_t i = 0; n > 0 && i < sizeof tails / sizeof tails[0]; i++) {
		int len = n < 48 ? snprintf(text, sizeof text, "%s%s", s, tails[i]) : 0;
		int64_t at;

		if (len > 11 && text[10] == ' ')
			text[10] = 'T';
		if (len > 0 && tr_rfc3339_parse(text, (size_t)len, &at) == 0)
			return json_string(text);
	}
	return NULL;
}

/* What a line means: known fields as they are, "time" as "at", the rest into metadata. NULL: out of memory. */
static json_t *normalise(json_t *line)
{
	json_t *out = json_object(), *given = json_object_get(line, "metadata");
	json_t *meta = json_is_object(given) ? json_copy(given) : json_object();
	bool has_at = json_object_get(line, "at") != NULL;
	int bad = out == NULL || meta == NULL;
	const char *key;
	json_t *v;

	json_object_foreach(line, key, v)
	{
		json_t *t = strcmp(key, "at") == 0 || (strcmp(key, "time") == 0 && !has_at) ? time_value(v) : NULL;

		if (t != NULL)
			bad |= json_object_set_new(out, "at", t);
		else if (json_is_null(v)) /* as if it were not there */
			continue;
		else if (v == given && json_is_object(v))
			continue;
		else if (known_field(key))
			bad |= json_object_set(out, key, v);
		else if (json_object_get(meta, key) == NULL)
			bad |= json_object_set(meta, key, v);
	}
	if (!bad && json_object_size(meta) > 0)
		bad |= json_object_set(out, "metadata", meta);
	json_decref(meta);
	if (bad) {
		json_decref(out);
		return NULL;
	}
	return out;
}

/* Only an export has all three: they say how hot a memory was, since when, and whose its id is. */
static bool is_record(const json_t *line)
{
	return json_object_get(line, "heat_key") != NULL && json_object_get(line, "created_at") != NULL &&
	       json_object_get(line, "own_id") != NULL;
}

/* Somebody took the MCP memory server's file for ours: say so, once for all its lines. */
static bool is_graph(const json_t *line)
{
	const char *type = json_string_value(json_object_get(line, "type"));

	return json_object_get(line, "content") == NULL && type != NULL &&
	       ((strcmp(type, "entity") == 0 && json_object_get(line, "observations") != NULL) ||
		(strcmp(type, "relation") == 0 && json_object_get(line, "relationType") != NULL));
}

static int take(struct import *im, json_t *line, uint64_t number, msgpack_zone *zone, struct import_rows *rows)
{
	enum import_kind kind = is_record(line) ? IMPORT_RECORDS : IMPORT_MEMORIES;
	struct tr_fault fault = {0};
	json_t *obj;
	int r;

	if (!json_is_object(line)) {
		skip(im, number, "it is not a JSON object");
		return 0;
	}
	if (is_graph(line)) {
		skip(im, number, "it is of an MCP memory file: import it with --format mcp-memory");
		return 0;
	}
	if (rows->n > 0 && rows->kind != kind)
		return TR_EBUSY;
	obj = kind == IMPORT_RECORDS ? json_incref(line) : normalise(line);
	if (obj == NULL)
		return TR_ENOMEM;
	r = kind == IMPORT_RECORDS ? json_decode(&wire_shape_record, obj, zone, &rows->records[rows->n], &fault)
				   : json_decode(&wire_shape_new_memory, obj, zone, &rows->memories[rows->n], &fault);
	if (r == 0) {
		rows->kind = kind;
		rows->n++;
		im->held[im->nheld++] = obj; /* its strings are in use */
		return 1;
	}
	if (r != TR_ENOMEM) {
		skip(im, number, "%s%s%s", fault.field, fault.field[0] != '\0' ? " " : "", fault.rule);
		r = 0;
	}
	json_decref(obj);
	return r;
}

void jsonl_release(struct import *im)
{
	while (im->nheld > 0)
		json_decref(im->held[--im->nheld]);
}

void skip_broken(struct import *im, uint64_t line, const char *rule)
{
	const char *place = strstr(rule, " (line ");

	skip(im, line, "it is not valid JSON: %.*s", place != NULL ? (int)(place - rule) : (int)strlen(rule), rule);
}

int jsonl_line(struct import *im, const char *p, size_t n, uint64_t line, msgpack_zone *zone, struct import_rows *rows)
{
	struct tr_fault fault = {0};
	json_t *v = NULL;
	int r;

	while (n > 0 && memchr(" \t\r", p[n - 1], 3) != NULL)
		n--;
	while (n > 0 && memchr(" \t", *p, 2) != NULL) {
		p++;
		n--;
	}
	if (n == 0)
		return 0;
	if (!tr_utf8_ok(p, n, NULL)) {
		skip(im, line, "it is not valid UTF-8");
		return 0;
	}
	r = json_parse(&v, p, n, &fault);
	if (r == TR_ENOMEM)
		return r;
	if (r < 0) {
		skip_broken(im, line, fault.rule[0] != '\0' ? fault.rule : tr_strerror(r));
		return 0;
	}
	r = take(im, v, line, zone, rows);
	json_decref(v);
	return r;
}
