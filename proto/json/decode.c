/* JSON trees -> structs, by the shapes and rules of proto/wire. */
#include "common/base/clock.h"
#include "common/base/base64.h"
#include "proto/json/json.h"
#include "proto/wire/rule.h"

static int no_memory(struct tr_fault *fault)
{
	return tr_fault_set(fault, TR_ENOMEM, "", "%s", tr_strerror(TR_ENOMEM));
}

static struct wire_scalar scalar_of(const json_t *j)
{
	struct wire_scalar v = {.kind = FOUND_OTHER};

	switch (json_typeof(j)) {
	case JSON_TRUE:
	case JSON_FALSE:
		v.kind = FOUND_FLAG;
		v.as.flag = json_is_true(j);
		break;
	case JSON_INTEGER:
		v.kind = FOUND_INT;
		v.as.i = json_integer_value(j);
		break;
	case JSON_REAL:
		v.kind = FOUND_REAL;
		v.as.real = json_real_value(j);
		break;
	case JSON_STRING:
		if (json_string_length(j) <= UINT32_MAX) {
			v.kind = FOUND_STR;
			v.as.s = (struct wire_bytes){json_string_value(j), (uint32_t)json_string_length(j)};
		}
		break;
	case JSON_OBJECT:
	case JSON_ARRAY:
	case JSON_NULL:
		break;
	}
	return v;
}

/* A string that stands for something else becomes that: a time or bytes. What cannot be read is left for wire_put to
 * refuse. */
static int read_string(const struct wire_field *f, struct wire_scalar *v, msgpack_zone *zone, struct tr_fault *fault)
{
	struct wire_bytes s = v->as.s;
	bool is_text = v->kind == FOUND_STR;
	int64_t ms;

	if (f->type != WIRE_time && f->type != WIRE_bin)
		return 0;
	v->kind = FOUND_OTHER;
	if (is_text && f->type == WIRE_time && tr_rfc3339_parse(s.p, s.n, &ms) == 0) {
		v->kind = FOUND_INT;
		v->as.i = ms;
	} else if (is_text && f->type == WIRE_bin) {
		unsigned char *bytes = msgpack_zone_malloc(zone, s.n / 4 * 3 + 1);
		long n;

		if (bytes == NULL)
			return no_memory(fault);
		n = base64_decode(s.p, s.n, bytes);
		if (n >= 0) {
			v->kind = FOUND_BIN;
			v->as.s = (struct wire_bytes){(const char *)bytes, (uint32_t)n};
		}
	}
	return 0;
}

static int decode_scalar(const struct wire_field *f, const json_t *j, msgpack_zone *zone, void *slot,
			 const struct wire_path *path, struct tr_fault *fault)
{
	struct wire_scalar v = scalar_of(j);
	int r = read_string(f, &v, zone, fault);

	return r < 0 ? r : wire_put(f, &v, slot, path, fault);
}

static int decode_map(const struct wire_field *f, const json_t *j, msgpack_zone *zone, void *slot,
		      const struct wire_path *path, struct tr_fault *fault)
{
	msgpack_object *o;
	int r;

	if (!json_is_object(j))
		return wire_broken(fault, path, f, RULE_TYPE);
	o = msgpack_zone_malloc(zone, sizeof(*o));
	if (o == NULL)
		return no_memory(fault);
	r = json_to_msgpack(j, zone, o);
	if (r == TR_ENOMEM)
		return no_memory(fault);
	if (r < 0)
		return wire_broken(fault, path, f, RULE_DEPTH);
	memcpy(slot, &o, sizeof(o));
	return wire_check_value(f, slot, path, fault);
}

static int decode_object(const struct wire_shape *shape, const json_t *obj, msgpack_zone *zone, void *out,
			 const struct wire_path *up, struct tr_fault *fault);

static int decode_array(const struct wire_field *f, const json_t *j, msgpack_zone *zone, void *slot,
			const struct wire_path *path, struct tr_fault *fault)
{
	size_t n = json_array_size(j), size = f->type == WIRE_LIST ? f->item->size : sizeof(wire_str);
	struct wire_list list = {NULL, (uint32_t)n};
	wire_strs strs = {NULL, (uint32_t)n};
	char *v;
	int r;

	if (!json_is_array(j))
		return wire_broken(fault, path, f, RULE_TYPE);
	r = wire_check_count(f, n, path, fault);
	if (r < 0 || n == 0)
		return r;
	v = n <= WIRE_ITEMS_MAX ? msgpack_zone_malloc(zone, n * size) : NULL;
	if (v == NULL)
		return no_memory(fault);
	for (size_t i = 0; i < n; i++) {
		struct wire_path at = {path->up, path->name, path->n, (int64_t)i};
		const json_t *entry = json_array_get(j, i);

		r = f->type == WIRE_LIST ? decode_object(f->item, entry, zone, v + i * size, &at, fault)
					 : decode_scalar(&wire_strs_entry, entry, zone, v + i * size, &at, fault);
		if (r < 0)
			return r;
	}
	list.v = v;
	strs.v = (const wire_str *)(const void *)v;
	memcpy(slot, f->type == WIRE_LIST ? (const void *)&list : (const void *)&strs, f->size);
	return 0;
}

static int decode_field(const struct wire_field *f, const json_t *j, msgpack_zone *zone, void *slot,
			const struct wire_path *path, struct tr_fault *fault)
{
	switch (f->type) {
	case WIRE_ITEM:
		return decode_object(f->item, j, zone, slot, path, fault);
	case WIRE_LIST:
	case WIRE_strs:
		return decode_array(f, j, zone, slot, path, fault);
	case WIRE_map:
		return decode_map(f, j, zone, slot, path, fault);
	default:
		return decode_scalar(f, j, zone, slot, path, fault);
	}
}

static int decode_object(const struct wire_shape *shape, const json_t *obj, msgpack_zone *zone, void *out,
			 const struct wire_path *up, struct tr_fault *fault)
{
	/* jansson iterates only what is not const, yet changes nothing. */
	union {
		const json_t *is;
		json_t *as;
	} o = {.is = obj};
	uint64_t given = 0;
	unsigned next = 0;

	memset(out, 0, shape->size);
	if (!json_is_object(obj))
		return wire_broken(fault, up, NULL, RULE_TYPE);
	for (void *it = json_object_iter(o.as); it != NULL; it = json_object_iter_next(o.as, it)) {
		const char *key = json_object_iter_key(it);
		const json_t *j = json_object_iter_value(it);
		struct wire_path at = {up, key, json_object_iter_key_len(it), -1};
		const struct wire_field *f = wire_field_find(shape, at.name, at.n, next);
		int r;

		if (f == NULL)
			return wire_broken(fault, &at, NULL, RULE_UNKNOWN);
		next = (unsigned)(f - shape->fields) + 1;
		if (json_is_null(j))
			continue;
		r = decode_field(f, j, zone, (char *)out + f->offset, &at, fault);
		if (r < 0)
			return r;
		given |= UINT64_C(1) << (next - 1);
		if (!f->required)
			*wire_has(f, out) = true;
	}
	return wire_check_required(shape, given, up, fault);
}

int json_decode(const struct wire_shape *shape, const json_t *obj, msgpack_zone *zone, void *out,
		struct tr_fault *fault)
{
	return decode_object(shape, obj, zone, out, NULL, fault);
}
