/* Shapes of proto/wire as JSON schemas: the same names, types and bounds, with the words of words.def. */
#include "jrs/executive/openapi/document.h"
#include "jrs/vote/tally.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const struct {
	const char *name, *text;
} words[] = {
#define W(name, text) {name, text},
#define E(name, values)
#include "jrs/executive/openapi/words.def"
#undef W
#undef E
};
static const struct {
	const char *name, *values;
} enums[] = {
#define W(name, text)
#define E(name, values) {name, values},
#include "jrs/executive/openapi/words.def"
#undef W
#undef E
};

const struct wire_field *schema_find(const struct wire_shape *shape, const char *name)
{
	for (unsigned i = 0; i < shape->n; i++)
		if (strcmp(shape->fields[i].name, name) == 0)
			return &shape->fields[i];
	return NULL;
}

/* Its words: those for owner.name go before those for name. NULL: none. */
static const char *words_of(const char *owner, const char *name)
{
	const char *found = NULL;
	char full[128];

	snprintf(full, sizeof(full), "%s.%s", owner, name);
	for (size_t i = 0; i < sizeof(words) / sizeof(*words); i++) {
		if (strcmp(words[i].name, full) == 0)
			return words[i].text;
		if (strcmp(words[i].name, name) == 0)
			found = words[i].text;
	}
	return found;
}

static void put_enum(json_t *schema, const char *owner, const char *name)
{
	const char *v = NULL;
	json_t *list;
	char full[128];

	snprintf(full, sizeof(full), "%s.%s", owner, name);
	for (size_t i = 0; i < sizeof(enums) / sizeof(*enums); i++)
		if (strcmp(enums[i].name, full) == 0 || (strcmp(enums[i].name, name) == 0 && v == NULL))
			v = enums[i].values;
	if (v == NULL)
		return;
	list = must(json_array());
	while (*v != '\0') {
		size_t n = strcspn(v, " ");

		json_array_append_new(list, must(json_stringn(v, n)));
		v += n + (v[n] == ' ');
	}
	must_set(schema, "enum", list);
}

/* ---- bounds ---- */
static bool has_max(const struct wire_field *f)
{
	return (f->min != 0.0 || f->max != 0.0) && f->max >= f->min;
}

static void put_amount(json_t *s, const struct wire_field *f, const char *least, const char *most)
{
	if (f->min > 0.0)
		must_set(s, least, json_integer((json_int_t)f->min));
	if (has_max(f))
		must_set(s, most, json_integer((json_int_t)f->max));
}

/* Bytes are an upper bound of characters; the words say what counts. */
static void put_bytes(json_t *s, const struct wire_field *f)
{
	if (f->min > 0.0)
		must_set(s, "minLength", json_integer(1));
	if (has_max(f)) {
		must_set(s, "maxLength", json_integer((json_int_t)f->max));
		must_set(s, "x-max-bytes", json_integer((json_int_t)f->max));
	}
}

static void put_range(json_t *s, const struct wire_field *f, double least, double most)
{
	bool whole = f->type != WIRE_f64, bounded = f->min != 0.0 || f->max != 0.0;
	double min = bounded ? f->min : least, max = bounded && f->max >= f->min ? f->max : most;

	if (f->type != WIRE_f64 || bounded)
		must_set(s, "minimum", whole ? json_integer((json_int_t)min) : json_real(min));
	if (max > 0.0)
		must_set(s, "maximum", whole ? json_integer((json_int_t)max) : json_real(max));
}

static json_t *typed(const char *type)
{
	return must(json_pack("{s:s}", "type", type));
}

static json_t *strings(const struct wire_field *f)
{
	json_t *s = typed("array");

	must_set(s, "items",
		 json_pack("{s:s,s:i,s:i}", "type", "string", "minLength", 1, "maxLength", WIRE_STRS_ITEM_MAX));
	put_amount(s, f, "minItems", "maxItems");
	return s;
}

static json_t *by_type(json_t *components, const struct wire_field *f, enum schema_way way)
{
	json_t *s;

	switch (f->type) {
	case WIRE_u32:
		put_range(s = typed("integer"), f, 0, UINT32_MAX);
		return s;
	case WIRE_u64:
		put_range(s = typed("integer"), f, 0, 0);
		return s;
	case WIRE_i64:
		return typed("integer");
	case WIRE_f64:
		put_range(s = typed("number"), f, 0, 0);
		return s;
	case WIRE_flag:
		return typed("boolean");
	case WIRE_str:
		put_bytes(s = typed("string"), f);
		return s;
	case WIRE_text:
		put_amount(s = typed("string"), f, "minLength", "maxLength");
		return s;
	case WIRE_bin:
		s = typed("string");
		must_set(s, "contentEncoding", json_string("base64"));
		return s;
	case WIRE_time:
		s = typed("string");
		must_set(s, "format", json_string("date-time"));
		return s;
	case WIRE_strs:
		return strings(f);
	case WIRE_map:
		s = typed("object");
		must_set(s, "additionalProperties", json_true());
		must_set(s, "x-max-bytes", json_integer((json_int_t)f->max));
		return s;
	case WIRE_ITEM:
		return schema_item(components, f->item, way);
	case WIRE_LIST:
		s = typed("array");
		must_set(s, "items", schema_item(components, f->item, way));
		put_amount(s, f, "minItems", "maxItems");
		return s;
	}
	abort();
}

json_t *schema_field(json_t *components, const struct wire_field *f, const char *owner, enum schema_way way)
{
	json_t *s = by_type(components, f, way);
	const char *text = words_of(owner, f->name);

	if (f->type == WIRE_str)
		put_enum(s, owner, f->name);
	if (text != NULL)
		must_set(s, "description", json_string(text));
	return s;
}

/* What is null where nothing is known: {"type": [..., "null"]}. */
static void allow_null(json_t *s)
{
	must_set(s, "type", json_pack("[O,s]", json_object_get(s, "type"), "null"));
}

/* ---- shapes ---- */
json_t *schema_shape(json_t *components, const struct wire_shape *shape, const char *owner, enum schema_way way,
		     const char *without, const char *nulls)
{
	json_t *s = typed("object"), *properties = must(json_object()), *required = must(json_array());

	for (unsigned i = 0; i < shape->n; i++) {
		const struct wire_field *f = &shape->fields[i];
		bool null = listed(nulls, f->name);
		json_t *field;

		if (listed(without, f->name))
			continue;
		field = schema_field(components, f, owner, way);
		if (null)
			allow_null(field);
		must_set(properties, f->name, field);
		if (f->required || null)
			json_array_append_new(required, must(json_string(f->name)));
	}
	must_set(s, "properties", properties);
	if (json_array_size(required) > 0)
		must_set(s, "required", required);
	else
		json_decref(required);
	if (way == SCHEMA_SENT)
		must_set(s, "additionalProperties", json_false());
	return s;
}

/* Items whose fields are always there, as on_status() and vote_json() have it. */
static const char *nulls_of(const struct wire_shape *item)
{
	if (item == &wire_shape_vote)
		return "memory_id decision_id closes_at closed_at";
	return item == &wire_shape_sentience ? "index uptime coherence thermal_balance" : NULL;
}

json_t *schema_item(json_t *components, const struct wire_shape *item, enum schema_way way)
{
	json_t *schemas = json_object_get(components, "schemas");
	char name[80], ref[128];

	snprintf(name, sizeof(name), "%s%s", item->name,
		 way == SCHEMA_SENT && strncmp(item->name, "new_", 4) != 0 ? "_sent" : "");
	if (json_object_get(schemas, name) == NULL) {
		const char *text = words_of("item", item->name);
		json_t *s;

		must_set(schemas, name, json_object()); /* its place, also for an item that holds itself */
		s = schema_shape(components, item, item->name, way, NULL,
				 way == SCHEMA_ANSWERED ? nulls_of(item) : NULL);
		if (text != NULL)
			must_set(s, "description", json_string(text));
		must_set(schemas, name, s);
	}
	snprintf(ref, sizeof(ref), "#/components/schemas/%s", name);
	return must(json_pack("{s:s}", "$ref", ref));
}
