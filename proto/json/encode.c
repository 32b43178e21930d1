/* Structs -> JSON trees, by shape. */
#include "common/base/clock.h"
#include "common/base/text.h"
#include "common/base/base64.h"
#include "proto/json/json.h"
#include "proto/wire/rule.h"
#include <math.h>
#include <stdlib.h>

/* JSON has no infinity; our senders check before, so null here is only the last resort. */
static json_t *real(double v)
{
	return isfinite(v) ? json_real(v) : json_null();
}

static json_t *whole(uint64_t v)
{
	return json_integer(v > INT64_MAX ? INT64_MAX : (json_int_t)v);
}

static json_t *string(const char *p, size_t n)
{
	json_t *j = json_stringn(n > 0 ? p : "", n);

	return j == NULL && !tr_utf8_ok(p, n, NULL) ? json_null() : j;
}

static json_t *base64(const void *p, size_t n)
{
	char *text = malloc(BASE64_LEN(n) + 1);
	json_t *j = NULL;

	if (text != NULL) {
		base64_encode(p, n, text);
		j = json_stringn_nocheck(text, BASE64_LEN(n));
	}
	free(text);
	return j;
}

json_t *json_bytes(const void *slot)
{
	struct wire_bytes s;

	memcpy(&s, slot, sizeof(s));
	return base64(s.p, s.n);
}

static json_t *encode_list(const struct wire_field *f, const void *slot)
{
	struct wire_list list;
	json_t *a = json_array();

	memcpy(&list, slot, sizeof(list));
	for (uint32_t i = 0; a != NULL && i < list.n; i++)
		if (json_array_append_new(a, json_encode(f->item, (const char *)list.v + i * f->item->size)) < 0) {
			json_decref(a);
			a = NULL;
		}
	return a;
}

static json_t *encode_strs(const void *slot)
{
	wire_strs list;
	json_t *a = json_array();

	memcpy(&list, slot, sizeof(list));
	for (uint32_t i = 0; a != NULL && i < list.n; i++)
		if (json_array_append_new(a, string(list.v[i].p, list.v[i].n)) < 0) {
			json_decref(a);
			a = NULL;
		}
	return a;
}

static json_t *encode_number(const struct wire_field *f, const void *slot)
{
	char text[TR_RFC3339_LEN];
	uint32_t u32;
	uint64_t u64;
	int64_t i64;
	double f64;

	switch (f->type) {
	case WIRE_u32:
		memcpy(&u32, slot, sizeof(u32));
		return json_integer(u32);
	case WIRE_u64:
		memcpy(&u64, slot, sizeof(u64));
		return whole(u64);
	case WIRE_f64:
		memcpy(&f64, slot, sizeof(f64));
		return real(f64);
	case WIRE_time:
		memcpy(&i64, slot, sizeof(i64));
		tr_rfc3339_format(i64, text);
		return json_string_nocheck(text);
	default:
		memcpy(&i64, slot, sizeof(i64));
		return json_integer(i64);
	}
}

static json_t *encode_field(const struct wire_field *f, const void *slot)
{
	const msgpack_object *map;
	struct wire_bytes s;
	bool flag;

	switch (f->type) {
	case WIRE_u32:
	case WIRE_u64:
	case WIRE_i64:
	case WIRE_f64:
	case WIRE_time:
		return encode_number(f, slot);
	case WIRE_flag:
		memcpy(&flag, slot, sizeof(flag));
		return json_boolean(flag);
	case WIRE_str:
	case WIRE_text:
		memcpy(&s, slot, sizeof(s));
		return string(s.p, s.n);
	case WIRE_bin:
		return json_bytes(slot);
	case WIRE_strs:
		return encode_strs(slot);
	case WIRE_map:
		memcpy(&map, slot, sizeof(map));
		return map == NULL ? json_object() : json_from_msgpack(map);
	case WIRE_ITEM:
		return json_encode(f->item, slot);
	case WIRE_LIST:
		return encode_list(f, slot);
	}
	return NULL;
}

json_t *json_encode(const struct wire_shape *shape, const void *value)
{
	json_t *o = json_object();

	for (unsigned i = 0; o != NULL && i < shape->n; i++) {
		const struct wire_field *f = &shape->fields[i];

		/* json_object_set_new_nocheck takes the NULL of a failed field as its own failure. */
		if (wire_is_there(f, value) &&
		    json_object_set_new_nocheck(o, f->name, encode_field(f, (const char *)value + f->offset)) < 0) {
			json_decref(o);
			o = NULL;
		}
	}
	return o;
}

/* ---- any MessagePack value ---- */

static json_t *from_msgpack(const msgpack_object *o, unsigned depth);

static json_t *array_from(const msgpack_object_array *in, unsigned depth)
{
	json_t *a = json_array();

	for (uint32_t i = 0; a != NULL && i < in->size; i++)
		if (json_array_append_new(a, from_msgpack(&in->ptr[i], depth)) < 0) {
			json_decref(a);
			a = NULL;
		}
	return a;
}

/* Of repeated keys the last one stays; an entry whose key is not text is left out. */
static json_t *object_from(const msgpack_object_map *in, unsigned depth)
{
	json_t *j = json_object();

	for (uint32_t i = 0; j != NULL && i < in->size; i++) {
		const msgpack_object *key = &in->ptr[i].key;

		if (key->type != MSGPACK_OBJECT_STR || !tr_utf8_ok(key->via.str.ptr, key->via.str.size, NULL))
			continue;
		if (json_object_setn_new_nocheck(j, key->via.str.size > 0 ? key->via.str.ptr : "", key->via.str.size,
						 from_msgpack(&in->ptr[i].val, depth)) < 0) {
			json_decref(j);
			j = NULL;
		}
	}
	return j;
}

static json_t *from_msgpack(const msgpack_object *o, unsigned depth)
{
	switch (o->type) {
	case MSGPACK_OBJECT_BOOLEAN:
		return json_boolean(o->via.boolean);
	case MSGPACK_OBJECT_POSITIVE_INTEGER:
		return whole(o->via.u64);
	case MSGPACK_OBJECT_NEGATIVE_INTEGER:
		return json_integer(o->via.i64);
	case MSGPACK_OBJECT_FLOAT32:
	case MSGPACK_OBJECT_FLOAT64:
		return real(o->via.f64);
	case MSGPACK_OBJECT_STR:
		return string(o->via.str.ptr, o->via.str.size);
	case MSGPACK_OBJECT_BIN:
		return base64(o->via.bin.ptr, o->via.bin.size);
	case MSGPACK_OBJECT_ARRAY:
		return depth == JSON_DEPTH_MAX ? json_null() : array_from(&o->via.array, depth + 1);
	case MSGPACK_OBJECT_MAP:
		return depth == JSON_DEPTH_MAX ? json_null() : object_from(&o->via.map, depth + 1);
	case MSGPACK_OBJECT_NIL:
	case MSGPACK_OBJECT_EXT:
		break;
	}
	return json_null();
}

json_t *json_from_msgpack(const msgpack_object *o)
{
	return from_msgpack(o, 0);
}

static int to_msgpack(const json_t *j, msgpack_zone *zone, msgpack_object *out, unsigned depth);

static int array_to(const json_t *j, msgpack_zone *zone, msgpack_object *out, unsigned depth)
{
	size_t n = json_array_size(j);
	msgpack_object *v = msgpack_zone_malloc(zone, (n + 1) * sizeof(*v));
	int r = v == NULL ? TR_ENOMEM : n > WIRE_ITEMS_MAX ? TR_ETOOBIG : 0;

	for (size_t i = 0; r == 0 && i < n; i++)
		r = to_msgpack(json_array_get(j, i), zone, &v[i], depth);
	if (r == 0)
		*out = (msgpack_object){.type = MSGPACK_OBJECT_ARRAY, .via.array = {(uint32_t)n, v}};
	return r;
}

static int object_to(const json_t *j, msgpack_zone *zone, msgpack_object *out, unsigned depth)
{
	union {
		const json_t *is;
		json_t *as;
	} o = {.is = j}; /* jansson iterates only what is not const, yet changes nothing */
	size_t n = json_object_size(j), i = 0;
	msgpack_object_kv *v = msgpack_zone_malloc(zone, (n + 1) * sizeof(*v));
	int r = v == NULL ? TR_ENOMEM : n > WIRE_ITEMS_MAX ? TR_ETOOBIG : 0;

	for (void *it = json_object_iter(o.as); r == 0 && it != NULL; it = json_object_iter_next(o.as, it), i++) {
		v[i].key = (msgpack_object){
			.type = MSGPACK_OBJECT_STR,
			.via.str = {(uint32_t)json_object_iter_key_len(it), json_object_iter_key(it)},
		};
		r = to_msgpack(json_object_iter_value(it), zone, &v[i].val, depth);
	}
	if (r == 0)
		*out = (msgpack_object){.type = MSGPACK_OBJECT_MAP, .via.map = {(uint32_t)n, v}};
	return r;
}

static int to_msgpack(const json_t *j, msgpack_zone *zone, msgpack_object *out, unsigned depth)
{
	msgpack_object o = {.type = MSGPACK_OBJECT_NIL};

	switch (json_typeof(j)) {
	case JSON_OBJECT:
		return depth == JSON_DEPTH_MAX ? TR_ETOOBIG : object_to(j, zone, out, depth + 1);
	case JSON_ARRAY:
		return depth == JSON_DEPTH_MAX ? TR_ETOOBIG : array_to(j, zone, out, depth + 1);
	case JSON_STRING:
		o.type = MSGPACK_OBJECT_STR;
		o.via.str = (msgpack_object_str){(uint32_t)json_string_length(j), json_string_value(j)};
		break;
	case JSON_INTEGER:
		if (json_integer_value(j) < 0) {
			o.type = MSGPACK_OBJECT_NEGATIVE_INTEGER;
			o.via.i64 = json_integer_value(j);
		} else {
			o.type = MSGPACK_OBJECT_POSITIVE_INTEGER;
			o.via.u64 = (uint64_t)json_integer_value(j);
		}
		break;
	case JSON_REAL:
		o.type = MSGPACK_OBJECT_FLOAT64;
		o.via.f64 = json_real_value(j);
		break;
	case JSON_TRUE:
	case JSON_FALSE:
		o.type = MSGPACK_OBJECT_BOOLEAN;
		o.via.boolean = json_is_true(j);
		break;
	case JSON_NULL:
		break;
	}
	*out = o;
	return 0;
}

int json_to_msgpack(const json_t *j, msgpack_zone *zone, msgpack_object *out)
{
	return to_msgpack(j, zone, out, 0);
}

/* ---- text ---- */

static int append(const char *p, size_t n, void *arg)
{
	return buf_append(arg, p, n) < 0 ? -1 : 0;
}

/* 15 digits are the most that every decimal number keeps through a double and back, so 0.1 is printed as 0.1; whole
 * doubles keep their ".0" (40.0). */
static int print(const json_t *j, size_t digits, struct buf *out)
{
	size_t start = out->len;
	int r = 0;

	if (json_dump_callback(j, append, out, JSON_COMPACT | JSON_ENCODE_ANY | JSON_REAL_PRECISION(digits)) < 0)
		r = out->failed < 0 ? out->failed : TR_ENOMEM;
	if (r < 0 && out->p != NULL) {
		out->len = start;
		out->p[start] = '\0';
	}
	return r;
}

int json_print(const json_t *j, struct buf *out)
{
	return print(j, 15, out);
}

int json_print_exact(const json_t *j, struct buf *out)
{
	return print(j, 17, out);
}
