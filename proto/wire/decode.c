/* MessagePack objects -> structs, by shape. Recursion follows the shapes, which nest a fixed few levels. */
#include "proto/wire/rule.h"

static struct wire_scalar scalar_of(const msgpack_object *o)
{
	struct wire_scalar v = {.kind = FOUND_OTHER};

	switch (o->type) {
	case MSGPACK_OBJECT_BOOLEAN:
		v.kind = FOUND_FLAG;
		v.as.flag = o->via.boolean;
		break;
	case MSGPACK_OBJECT_POSITIVE_INTEGER:
		v.kind = o->via.u64 <= INT64_MAX ? FOUND_INT : FOUND_BIG;
		v.as.u = o->via.u64;
		if (v.kind == FOUND_INT)
			v.as.i = (int64_t)o->via.u64;
		break;
	case MSGPACK_OBJECT_NEGATIVE_INTEGER:
		v.kind = FOUND_INT;
		v.as.i = o->via.i64;
		break;
	case MSGPACK_OBJECT_FLOAT32:
	case MSGPACK_OBJECT_FLOAT64:
		v.kind = FOUND_REAL;
		v.as.real = o->via.f64;
		break;
	case MSGPACK_OBJECT_STR:
		v.kind = FOUND_STR;
		v.as.s = (struct wire_bytes){o->via.str.ptr, o->via.str.size};
		break;
	case MSGPACK_OBJECT_BIN:
		v.kind = FOUND_BIN;
		v.as.s = (struct wire_bytes){o->via.bin.ptr, o->via.bin.size};
		break;
	case MSGPACK_OBJECT_NIL:
	case MSGPACK_OBJECT_ARRAY:
	case MSGPACK_OBJECT_MAP:
	case MSGPACK_OBJECT_EXT:
		break;
	}
	return v;
}

static int decode_shape(const struct wire_shape *shape, const msgpack_object *obj, msgpack_zone *zone, void *out,
			const struct wire_path *up, struct tr_fault *fault);

static int decode_strs(const struct wire_field *f, const msgpack_object_array *in, msgpack_zone *zone, void *slot,
		       const struct wire_path *path, struct tr_fault *fault)
{
	wire_strs list = {NULL, in->size};
	wire_str *v;
	int r = wire_check_count(f, in->size, path, fault);

	if (r < 0 || in->size == 0)
		return r;
	v = msgpack_zone_malloc(zone, in->size * sizeof(*v));
	if (v == NULL)
		return tr_fault_set(fault, TR_ENOMEM, "", "%s", tr_strerror(TR_ENOMEM));
	for (uint32_t i = 0; i < in->size; i++) {
		struct wire_path at = {path->up, path->name, path->n, i};
		struct wire_scalar found = scalar_of(&in->ptr[i]);

		r = wire_put(&wire_strs_entry, &found, &v[i], &at, fault);
		if (r < 0)
			return r;
	}
	list.v = v;
	memcpy(slot, &list, sizeof(list));
	return 0;
}

static int decode_list(const struct wire_field *f, const msgpack_object_array *in, msgpack_zone *zone, void *slot,
		       const struct wire_path *path, struct tr_fault *fault)
{
	struct wire_list list = {NULL, in->size};
	size_t size = f->item->size;
	char *v;
	int r = wire_check_count(f, in->size, path, fault);

	if (r < 0 || in->size == 0)
		return r;
	v = msgpack_zone_malloc(zone, in->size * size);
	if (v == NULL)
		return tr_fault_set(fault, TR_ENOMEM, "", "%s", tr_strerror(TR_ENOMEM));
	for (uint32_t i = 0; i < in->size; i++) {
		struct wire_path at = {path->up, path->name, path->n, i};

		r = decode_shape(f->item, &in->ptr[i], zone, v + i * size, &at, fault);
		if (r < 0)
			return r;
	}
	list.v = v;
	memcpy(slot, &list, sizeof(list));
	return 0;
}

static int decode_field(const struct wire_field *f, const msgpack_object *o, msgpack_zone *zone, void *slot,
			const struct wire_path *path, struct tr_fault *fault)
{
	struct wire_scalar found;

	switch (f->type) {
	case WIRE_ITEM:
		return decode_shape(f->item, o, zone, slot, path, fault);
	case WIRE_LIST:
	case WIRE_strs:
		if (o->type != MSGPACK_OBJECT_ARRAY)
			return wire_broken(fault, path, f, RULE_TYPE);
		return f->type == WIRE_LIST ? decode_list(f, &o->via.array, zone, slot, path, fault)
					    : decode_strs(f, &o->via.array, zone, slot, path, fault);
	case WIRE_map:
		memcpy(slot, &o, sizeof(o));
		return wire_check_value(f, slot, path, fault);
	default:
		found = scalar_of(o);
		return wire_put(f, &found, slot, path, fault);
	}
}

/* Which fields were seen, by their index in the shape; nil counts as seen (a second one is a repeat) but not as given.
 */
struct seen {
	uint64_t seen, given;
};

static int decode_map(const struct wire_shape *shape, const msgpack_object_map *map, msgpack_zone *zone, void *out,
		      const struct wire_path *up, struct seen *s, struct tr_fault *fault)
{
	unsigned next = 0;

	for (uint32_t i = 0; i < map->size && shape->n > 0; i++) {
		const msgpack_object *key = &map->ptr[i].key, *o = &map->ptr[i].val;
		const struct wire_field *f = NULL;
		uint64_t bit;
		int r;

		if (key->type == MSGPACK_OBJECT_STR)
			f = wire_field_find(shape, key->via.str.ptr, key->via.str.size, next);
		if (f == NULL)
			continue;
		struct wire_path at = {up, f->name, key->via.str.size, -1};

		next = (unsigned)(f - shape->fields) + 1;
		bit = UINT64_C(1) << (next - 1);
		if (s->seen & bit)
			return wire_broken(fault, &at, f, RULE_TWICE);
		s->seen |= bit;
		if (o->type == MSGPACK_OBJECT_NIL)
			continue;
		r = decode_field(f, o, zone, (char *)out + f->offset, &at, fault);
		if (r < 0)
			return r;
		s->given |= bit;
		if (!f->required)
			*wire_has(f, out) = true;
	}
	return 0;
}

static int decode_shape(const struct wire_shape *shape, const msgpack_object *obj, msgpack_zone *zone, void *out,
			const struct wire_path *up, struct tr_fault *fault)
{
	struct seen s = {0, 0};

	memset(out, 0, shape->size);
	if (obj != NULL && obj->type != MSGPACK_OBJECT_MAP)
		return wire_broken(fault, up, NULL, RULE_TYPE);
	if (obj != NULL) {
		int r = decode_map(shape, &obj->via.map, zone, out, up, &s, fault);

		if (r < 0)
			return r;
	}
	return wire_check_required(shape, s.given, up, fault);
}

int wire_decode(const struct wire_shape *shape, const msgpack_object *obj, msgpack_zone *zone, void *out,
		struct tr_fault *fault)
{
	return decode_shape(shape, obj, zone, out, NULL, fault);
}

int wire_decode_params(const struct wire_in *in, void *msg, struct tr_fault *fault)
{
	const struct wire_method *m;
	int r;

	if (in->id < 0 || in->kind == WIRE_RESPONSE)
		return tr_fault_set(fault, TR_EMETHOD, "", "%s", tr_strerror(TR_EMETHOD));
	m = &wire_methods[in->id];
	if (in->body_bytes > m->cap) /* then the body was not unpacked */
		return wire_check(in, m->callers, fault);
	r = wire_decode(m->params, in->body, in->zone, msg, fault);
	/* Every struct msg_* begins with its wire_common. */
	if (r == 0 && m->kind == WIRE_REQUEST)
		r = wire_decode(&wire_shape_common, in->body, in->zone, msg, fault);
	return r;
}

int wire_decode_result(const struct wire_in *in, enum wire_msg_id id, void *res, struct tr_fault *fault)
{
	if (in->kind != WIRE_RESPONSE || wire_methods[id].result == NULL)
		return tr_fault_set(fault, TR_EPROTO, "", "%s", tr_strerror(TR_EPROTO));
	return wire_decode(wire_methods[id].result, in->body, in->zone, res, fault);
}
