#include "proto/wire/rule.h"
#include "common/base/clock.h"
#include "common/base/text.h"
#include <assert.h>
#include <math.h>
#include <stdio.h>

const struct wire_field wire_strs_entry = {
	.name = "", .type = WIRE_str, .required = true, .size = sizeof(wire_str), .min = 1, .max = WIRE_STRS_ITEM_MAX};

/* ---- words ---- */

static bool unbounded(const struct wire_field *f)
{
	return f->min == 0 && f->max == 0;
}

static bool has_upper(const struct wire_field *f)
{
	return f->max >= f->min;
}

/* "0 to 64 entries"; "at least 1 byte" never needs the singular: a bound of one comes with an upper bound. */
static void amount_text(const struct wire_field *f, const char *unit, char *out, size_t size)
{
	if (unbounded(f))
		snprintf(out, size, "any number of %s", unit);
	else if (!has_upper(f))
		snprintf(out, size, "at least %.15g %s", f->min, unit);
	else if (f->min == 0)
		snprintf(out, size, "at most %.15g %s", f->max, unit);
	else
		snprintf(out, size, "%.15g to %.15g %s", f->min, f->max, unit);
}

static void number_text(const struct wire_field *f, const char *what, double low, double high, char *out, size_t size)
{
	if (!unbounded(f)) {
		low = f->min > low ? f->min : low;
		high = has_upper(f) && f->max < high ? f->max : high;
	}
	if (isfinite(low) && isfinite(high))
		snprintf(out, size, "%s from %.15g to %.15g", what, low, high);
	else if (isfinite(low))
		snprintf(out, size, "%s, %.15g or more", what, low);
	else
		snprintf(out, size, "%s", what);
}

void wire_range_text(const struct wire_field *f, char *out, size_t size)
{
	switch (f->type) {
	case WIRE_u32:
		number_text(f, "a whole number", 0, UINT32_MAX, out, size);
		break;
	case WIRE_u64:
		number_text(f, "a whole number", 0, HUGE_VAL, out, size);
		break;
	case WIRE_i64:
		number_text(f, "a whole number", -HUGE_VAL, HUGE_VAL, out, size);
		break;
	case WIRE_f64:
		number_text(f, unbounded(f) ? "a finite number" : "a number", -HUGE_VAL, HUGE_VAL, out, size);
		break;
	case WIRE_flag:
		snprintf(out, size, "true or false");
		break;
	case WIRE_time:
		snprintf(out, size,
			 "a time from year 1 to 9999 (RFC 3339 in JSON, milliseconds since 1970 in MessagePack)");
		break;
	case WIRE_text:
		amount_text(f, "characters", out, size);
		break;
	case WIRE_strs:
		amount_text(f, "strings", out, size);
		break;
	case WIRE_LIST:
		amount_text(f, "entries", out, size);
		break;
	case WIRE_str:
	case WIRE_bin:
	case WIRE_map:
	case WIRE_ITEM: /* has no range of its own */
		amount_text(f, "bytes", out, size);
		break;
	}
}

static void type_text(const struct wire_field *f, char *out, size_t size)
{
	if (f == NULL || f->type == WIRE_map || f->type == WIRE_ITEM)
		snprintf(out, size, "an object");
	else if (f->type == WIRE_str || f->type == WIRE_text)
		snprintf(out, size, "a string");
	else if (f->type == WIRE_bin)
		snprintf(out, size, "bytes (base64 in JSON)");
	else if (f->type == WIRE_strs)
		snprintf(out, size, "a list of strings");
	else if (f->type == WIRE_LIST)
		snprintf(out, size, "a list of objects");
	else
		wire_range_text(f, out, size);
}

void wire_copy_text(char *out, size_t size, const char *p, size_t n)
{
	bool utf8;

	if (n > size - 1)
		for (n = size - 1; n > 0 && ((unsigned char)p[n] & 0xc0) == 0x80;)
			n--;
	utf8 = tr_utf8_ok(p, n, NULL);
	for (size_t i = 0; i < n; i++) {
		unsigned char c = (unsigned char)p[i];

		out[i] = c < 0x20 || c == 0x7f || (c >= 0x80 && !utf8) ? '?' : p[i];
	}
	out[n] = '\0';
}

static void put_name(char *out, size_t size, const char *p, size_t n)
{
	size_t len = strlen(out);

	wire_copy_text(out + len, size - len, p, n);
}

static void put_path(const struct wire_path *path, char *out, size_t size)
{
	char index[24];

	if (path == NULL)
		return;
	put_path(path->up, out, size);
	if (path->up != NULL)
		put_name(out, size, ".", 1);
	put_name(out, size, path->name, path->n);
	if (path->index >= 0) {
		snprintf(index, sizeof(index), "[%lld]", (long long)path->index);
		put_name(out, size, index, strlen(index));
	}
}

int wire_broken(struct tr_fault *fault, const struct wire_path *path, const struct wire_field *f, enum wire_rule rule)
{
	char field[sizeof(fault->field)] = "", text[128] = "";

	if (fault == NULL)
		return TR_EINVAL;
	put_path(path, field, sizeof(field));
	switch (rule) {
	case RULE_REQUIRED:
		return tr_fault_set(fault, TR_EINVAL, field, "is required");
	case RULE_TWICE:
		return tr_fault_set(fault, TR_EINVAL, field, "is given twice");
	case RULE_UNKNOWN:
		return tr_fault_set(fault, TR_EINVAL, field, "is not a known field");
	case RULE_UTF8:
		return tr_fault_set(fault, TR_EINVAL, field, "must be valid UTF-8 without NUL");
	case RULE_DEPTH:
		return tr_fault_set(fault, TR_EINVAL, field, "must not nest deeper than %d", WIRE_MAP_DEPTH_MAX);
	case RULE_KEYS:
		return tr_fault_set(fault, TR_EINVAL, field, "must have only strings as keys");
	case RULE_FINITE:
		return tr_fault_set(fault, TR_EINVAL, field, "must have only finite numbers");
	case RULE_TYPE:
		type_text(f, text, sizeof(text));
		break;
	case RULE_RANGE:
		wire_range_text(f, text, sizeof(text));
		break;
	}
	if (rule == RULE_RANGE && (f->type == WIRE_strs || f->type == WIRE_LIST))
		return tr_fault_set(fault, TR_EINVAL, field, "must have %s", text);
	return tr_fault_set(fault, TR_EINVAL, field, "must be %s", text);
}

/* ---- checks ---- */

static bool within(const struct wire_field *f, double v)
{
	return unbounded(f) || (v >= f->min && (!has_upper(f) || v <= f->max));
}

int wire_check_count(const struct wire_field *f, size_t n, const struct wire_path *path, struct tr_fault *fault)
{
	return within(f, (double)n) ? 0 : wire_broken(fault, path, f, RULE_RANGE);
}

static size_t uint_size(uint64_t v)
{
	return v < 0x80 ? 1 : v <= UINT8_MAX ? 2 : v <= UINT16_MAX ? 3 : v <= UINT32_MAX ? 5 : 9;
}

static size_t int_size(int64_t v)
{
	return v >= -32 ? 1 : v >= INT8_MIN ? 2 : v >= INT16_MIN ? 3 : v >= INT32_MIN ? 5 : 9;
}

static size_t body_size(uint32_t n, uint32_t in_head, bool has_8)
{
	return n + (n <= in_head ? 1u : has_8 && n <= UINT8_MAX ? 2u : n <= UINT16_MAX ? 3u : 5u);
}

static int measure(const msgpack_object *o, unsigned depth, size_t *size);

static int measure_map(const msgpack_object_map *m, unsigned depth, size_t *size)
{
	*size += body_size(m->size, 15, false) - m->size;
	for (uint32_t i = 0; i < m->size; i++) {
		int r;

		if (m->ptr[i].key.type != MSGPACK_OBJECT_STR)
			return RULE_KEYS;
		if ((r = measure(&m->ptr[i].key, depth, size)) != 0 || (r = measure(&m->ptr[i].val, depth, size)) != 0)
			return r;
	}
	return 0;
}

/* Adds the encoded size of o. 0, or the rule it breaks; recursion ends at WIRE_MAP_DEPTH_MAX. */
static int measure(const msgpack_object *o, unsigned depth, size_t *size)
{
	int r = 0;

	switch (o->type) {
	case MSGPACK_OBJECT_NIL:
	case MSGPACK_OBJECT_BOOLEAN:
		*size += 1;
		return 0;
	case MSGPACK_OBJECT_POSITIVE_INTEGER:
		*size += uint_size(o->via.u64);
		return 0;
	case MSGPACK_OBJECT_NEGATIVE_INTEGER:
		*size += int_size(o->via.i64);
		return 0;
	case MSGPACK_OBJECT_FLOAT32:
		*size += 5;
		return isfinite(o->via.f64) ? 0 : RULE_FINITE;
	case MSGPACK_OBJECT_FLOAT64:
		*size += 9;
		return isfinite(o->via.f64) ? 0 : RULE_FINITE;
	case MSGPACK_OBJECT_STR:
		*size += body_size(o->via.str.size, 31, true);
		return tr_utf8_ok(o->via.str.ptr, o->via.str.size, NULL) ? 0 : RULE_UTF8;
	case MSGPACK_OBJECT_BIN:
		*size += body_size(o->via.bin.size, 0, true) + (o->via.bin.size == 0);
		return 0;
	case MSGPACK_OBJECT_EXT:
		*size += body_size(o->via.ext.size, 0, true) + 1;
		return 0;
	case MSGPACK_OBJECT_ARRAY:
		if (depth == WIRE_MAP_DEPTH_MAX)
			return RULE_DEPTH;
		*size += body_size(o->via.array.size, 15, false) - o->via.array.size;
		for (uint32_t i = 0; i < o->via.array.size && r == 0; i++)
			r = measure(&o->via.array.ptr[i], depth + 1, size);
		return r;
	case MSGPACK_OBJECT_MAP:
		return depth == WIRE_MAP_DEPTH_MAX ? RULE_DEPTH : measure_map(&o->via.map, depth + 1, size);
	}
	return RULE_TYPE;
}

static int check_map(const struct wire_field *f, const void *slot, const struct wire_path *path, struct tr_fault *fault)
{
	const msgpack_object *map;
	size_t size = 0;
	int broken;

	memcpy(&map, slot, sizeof(map));
	if (map == NULL || map->type != MSGPACK_OBJECT_MAP)
		return wire_broken(fault, path, f, RULE_TYPE);
	broken = measure(map, 0, &size);
	if (broken != 0)
		return wire_broken(fault, path, f, (enum wire_rule)broken);
	return within(f, (double)size) ? 0 : wire_broken(fault, path, f, RULE_RANGE);
}

static int check_bytes(const struct wire_field *f, const void *slot, const struct wire_path *path,
		       struct tr_fault *fault)
{
	struct wire_bytes s;
	size_t amount;

	memcpy(&s, slot, sizeof(s));
	amount = s.n;
	/* Bytes are never fewer than characters: what is far too long need not be read. */
	if (f->type == WIRE_str && !within(f, (double)amount))
		return wire_broken(fault, path, f, RULE_RANGE);
	if (f->type != WIRE_bin && !tr_utf8_ok(s.p, s.n, f->type == WIRE_text ? &amount : NULL))
		return wire_broken(fault, path, f, RULE_UTF8);
	return within(f, (double)amount) ? 0 : wire_broken(fault, path, f, RULE_RANGE);
}

static int check_strs(const struct wire_field *f, const void *slot, const struct wire_path *path,
		      struct tr_fault *fault)
{
	wire_strs list;
	int r;

	memcpy(&list, slot, sizeof(list));
	r = wire_check_count(f, list.n, path, fault);
	for (uint32_t i = 0; r == 0 && i < list.n; i++) {
		struct wire_path at = {path->up, path->name, path->n, i};

		r = check_bytes(&wire_strs_entry, &list.v[i], &at, fault);
	}
	return r;
}

/* Any numeric type as a double: exact enough, for bounds are small. */
static double number_of(const struct wire_field *f, const void *slot)
{
	uint32_t u32;
	uint64_t u64;
	int64_t i64;
	double real;

	switch (f->type) {
	case WIRE_u32:
		memcpy(&u32, slot, sizeof(u32));
		return u32;
	case WIRE_u64:
		memcpy(&u64, slot, sizeof(u64));
		return (double)u64;
	case WIRE_f64:
		memcpy(&real, slot, sizeof(real));
		return real;
	default:
		memcpy(&i64, slot, sizeof(i64));
		return (double)i64;
	}
}

int wire_check_value(const struct wire_field *f, const void *slot, const struct wire_path *path, struct tr_fault *fault)
{
	double v;

	switch (f->type) {
	case WIRE_u32:
	case WIRE_u64:
	case WIRE_i64:
	case WIRE_f64:
	case WIRE_time:
		v = number_of(f, slot);
		if (!isfinite(v) || !within(f, v) ||
		    (f->type == WIRE_time && (v < (double)TR_TIME_MIN_MS || v > (double)TR_TIME_MAX_MS)))
			return wire_broken(fault, path, f, RULE_RANGE);
		return 0;
	case WIRE_str:
	case WIRE_text:
	case WIRE_bin:
		return check_bytes(f, slot, path, fault);
	case WIRE_strs:
		return check_strs(f, slot, path, fault);
	case WIRE_map:
		return check_map(f, slot, path, fault);
	case WIRE_LIST: {
		struct wire_list list;

		memcpy(&list, slot, sizeof(list));
		return wire_check_count(f, list.n, path, fault);
	}
	case WIRE_flag:
	case WIRE_ITEM:
		return 0;
	}
	return 0;
}

/* ---- from what was found to what the field wants ---- */

static bool convert_number(enum wire_type type, const struct wire_scalar *v, char out[8])
{
	uint64_t u = v->kind == FOUND_BIG ? v->as.u : (uint64_t)v->as.i;
	bool negative = v->kind == FOUND_INT && v->as.i < 0, whole = v->kind == FOUND_INT || v->kind == FOUND_BIG;
	uint32_t u32 = (uint32_t)u;
	double real = v->kind == FOUND_REAL ? v->as.real : negative ? (double)v->as.i : (double)u;

	switch (type) {
	case WIRE_f64:
		memcpy(out, &real, sizeof(real));
		return whole || v->kind == FOUND_REAL;
	case WIRE_u32:
		memcpy(out, &u32, sizeof(u32));
		return whole && !negative && u <= UINT32_MAX;
	case WIRE_u64:
		memcpy(out, &u, sizeof(u));
		return whole && !negative;
	default: /* i64, time */
		memcpy(out, &u, sizeof(u));
		return v->kind == FOUND_INT;
	}
}

int wire_put(const struct wire_field *f, const struct wire_scalar *v, void *slot, const struct wire_path *path,
	     struct tr_fault *fault)
{
	char number[8] = {0};
	const void *from = number;
	bool fits = false;
	int r;

	switch (f->type) {
	case WIRE_u32:
	case WIRE_u64:
	case WIRE_i64:
	case WIRE_f64:
	case WIRE_time:
		if (v->kind == FOUND_INT || v->kind == FOUND_BIG || v->kind == FOUND_REAL)
			fits = convert_number(f->type, v, number);
		break;
	case WIRE_flag:
		from = &v->as.flag;
		fits = v->kind == FOUND_FLAG;
		break;
	case WIRE_str:
	case WIRE_text:
	case WIRE_bin:
		from = &v->as.s;
		fits = v->kind == (f->type == WIRE_bin ? FOUND_BIN : FOUND_STR);
		break;
	case WIRE_strs:
	case WIRE_map:
	case WIRE_ITEM:
	case WIRE_LIST:
		assert(!"a scalar field");
	}
	if (!fits)
		return wire_broken(fault, path, f, RULE_TYPE);
	r = wire_check_value(f, from, path, fault);
	if (r == 0)
		memcpy(slot, from, f->size);
	return r;
}

const struct wire_field *wire_field_find(const struct wire_shape *shape, const char *name, size_t n, unsigned hint)
{
	for (unsigned i = 0; i < shape->n; i++) {
		const struct wire_field *f = &shape->fields[(hint + i) % shape->n];

		if (strlen(f->name) == n && memcmp(f->name, name, n) == 0)
			return f;
	}
	return NULL;
}

/* ---- a whole struct ---- */

int wire_check_required(const struct wire_shape *shape, uint64_t given, const struct wire_path *up,
			struct tr_fault *fault)
{
	assert(shape->n <= 64);
	for (unsigned i = 0; i < shape->n; i++) {
		const struct wire_field *f = &shape->fields[i];
		struct wire_path at = {up, f->name, strlen(f->name), -1};

		if (f->required && !(given >> i & 1))
			return wire_broken(fault, &at, f, RULE_REQUIRED);
	}
	return 0;
}

static int validate(const struct wire_shape *shape, const void *value, const struct wire_path *up,
		    struct tr_fault *fault)
{
	int r = 0;

	for (unsigned i = 0; i < shape->n && r == 0; i++) {
		const struct wire_field *f = &shape->fields[i];
		const void *slot = (const char *)value + f->offset;
		struct wire_path at = {up, f->name, strlen(f->name), -1};
		struct wire_list list;

		if (!wire_is_there(f, value))
			continue;
		r = wire_check_value(f, slot, &at, fault);
		if (r == 0 && f->type == WIRE_ITEM)
			r = validate(f->item, slot, &at, fault);
		if (r < 0 || f->type != WIRE_LIST)
			continue;
		memcpy(&list, slot, sizeof(list));
		for (uint32_t k = 0; k < list.n && r == 0; k++) {
			at.index = k;
			r = validate(f->item, (const char *)list.v + k * f->item->size, &at, fault);
		}
	}
	return r;
}

int wire_validate(const struct wire_shape *shape, const void *value, struct tr_fault *fault)
{
	return validate(shape, value, NULL, fault);
}
