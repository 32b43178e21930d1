/* Structs -> JSON text, by shape, without a tree between: what json_encode() and json_print() would give. Answers of
 * the API are made by it; a tree of theirs costs more than all the rest. */
#include "common/base/clock.h"
#include "common/base/text.h"
#include "proto/json/json.h"
#include "proto/wire/rule.h"
#include <math.h>
#include <stdio.h>

static void write_shape(struct buf *out, const struct wire_shape *shape, const void *value, const char *nulls);

#define TEXT(out, text) ((void)buf_append(out, text, sizeof(text) - 1))

static void put_unsigned(struct buf *out, uint64_t n)
{
	char digits[20];
	size_t at = sizeof(digits);

	do
		digits[--at] = (char)('0' + n % 10);
	while ((n /= 10) > 0);
	buf_append(out, digits + at, sizeof(digits) - at);
}

static void put_signed(struct buf *out, int64_t n)
{
	if (n < 0)
		TEXT(out, "-");
	put_unsigned(out, n < 0 ? 0 - (uint64_t)n : (uint64_t)n);
}

/* 15 digits, as json_print() has them: 0.1, 40.0, 1e-6 */
static void put_real(struct buf *out, double v)
{
	char text[32], *e;
	int n;

	if (!isfinite(v)) {
		TEXT(out, "null");
		return;
	}
	if (fabs(v) < 1e15 && v == (double)(int64_t)v) {
		if (signbit(v))
			TEXT(out, "-");
		put_unsigned(out, (uint64_t)fabs(v));
		TEXT(out, ".0");
		return;
	}
	n = snprintf(text, sizeof(text), "%.15g", v);
	e = memchr(text, 'e', (size_t)n);
	if (e == NULL) {
		buf_append(out, text, (size_t)n);
		if (memchr(text, '.', (size_t)n) == NULL) /* rounded to a whole number */
			TEXT(out, ".0");
		return;
	}
	buf_append(out, text, (size_t)(e + 1 - text));
	if (e[1] == '-')
		TEXT(out, "-");
	e += 2;
	while (*e == '0' && e[1] != '\0')
		e++;
	buf_puts(out, e);
}

static void put_escaped(struct buf *out, unsigned char c)
{
	static const char letters[] = {['\b'] = 'b', ['\f'] = 'f', ['\n'] = 'n', ['\r'] = 'r', ['\t'] = 't'};
	char pair[2] = {'\\', (char)c};

	if (c < sizeof(letters) && letters[c] != 0)
		pair[1] = letters[c];
	else if (c < 0x20) {
		buf_printf(out, "\\u%04X", c);
		return;
	}
	buf_append(out, pair, sizeof(pair));
}

static void put_string(struct buf *out, struct wire_bytes s)
{
	uint32_t from = 0;

	if (!tr_utf8_ok(s.p, s.n, NULL)) {
		TEXT(out, "null"); /* our senders check before */
		return;
	}
	TEXT(out, "\"");
	for (uint32_t i = 0; i < s.n; i++) {
		unsigned char c = (unsigned char)s.p[i];

		if (c >= 0x20 && c != '"' && c != '\\')
			continue;
		buf_append(out, s.p + from, i - from);
		put_escaped(out, c);
		from = i + 1;
	}
	if (from < s.n)
		buf_append(out, s.p + from, s.n - from);
	TEXT(out, "\"");
}

static void put_many(struct buf *out, const struct wire_field *f, const void *slot)
{
	struct wire_list list;
	wire_strs strs;

	TEXT(out, "[");
	if (f->type == WIRE_strs) {
		memcpy(&strs, slot, sizeof(strs));
		for (uint32_t i = 0; i < strs.n; i++) {
			if (i > 0)
				TEXT(out, ",");
			put_string(out, strs.v[i]);
		}
	} else {
		memcpy(&list, slot, sizeof(list));
		for (uint32_t i = 0; i < list.n; i++) {
			if (i > 0)
				TEXT(out, ",");
			write_shape(out, f->item, (const char *)list.v + i * f->item->size, NULL);
		}
	}
	TEXT(out, "]");
}

/* Rare, or of any shape: by a tree. */
static void put_tree(struct buf *out, json_t *j)
{
	int r = j == NULL ? TR_ENOMEM : json_print(j, out);

	if (r < 0 && out->failed == 0)
		out->failed = r;
	json_decref(j);
}

static void put_number(struct buf *out, const struct wire_field *f, const void *slot)
{
	char text[TR_RFC3339_LEN];
	uint32_t u32;
	uint64_t u64;
	int64_t i64;
	double f64;

	switch (f->type) {
	case WIRE_u32:
		memcpy(&u32, slot, sizeof(u32));
		put_unsigned(out, u32);
		break;
	case WIRE_u64:
		memcpy(&u64, slot, sizeof(u64));
		put_unsigned(out, u64 > INT64_MAX ? INT64_MAX : u64);
		break;
	case WIRE_f64:
		memcpy(&f64, slot, sizeof(f64));
		put_real(out, f64);
		break;
	case WIRE_time:
		memcpy(&i64, slot, sizeof(i64));
		tr_rfc3339_format(i64, text);
		TEXT(out, "\"");
		buf_puts(out, text);
		TEXT(out, "\"");
		break;
	default:
		memcpy(&i64, slot, sizeof(i64));
		put_signed(out, i64);
		break;
	}
}

static void put_field(struct buf *out, const struct wire_field *f, const void *slot)
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
		put_number(out, f, slot);
		break;
	case WIRE_flag:
		memcpy(&flag, slot, sizeof(flag));
		buf_puts(out, flag ? "true" : "false");
		break;
	case WIRE_str:
	case WIRE_text:
		memcpy(&s, slot, sizeof(s));
		put_string(out, s);
		break;
	case WIRE_bin:
		put_tree(out, json_bytes(slot));
		break;
	case WIRE_map:
		memcpy(&map, slot, sizeof(map));
		put_tree(out, map == NULL ? json_object() : json_from_msgpack(map));
		break;
	case WIRE_ITEM:
		write_shape(out, f->item, slot, NULL);
		break;
	case WIRE_strs:
	case WIRE_LIST:
		put_many(out, f, slot);
		break;
	}
}

static void put_name(struct buf *out, const char *name, size_t n, bool first)
{
	if (!first)
		TEXT(out, ",");
	TEXT(out, "\"");
	buf_append(out, name, n);
	TEXT(out, "\":");
}

static bool is_there(const struct wire_shape *shape, const void *value, const char *name, size_t n)
{
	const struct wire_field *f = wire_field_find(shape, name, n, 0);

	return f != NULL && wire_is_there(f, value);
}

static void write_shape(struct buf *out, const struct wire_shape *shape, const void *value, const char *nulls)
{
	bool first = true;

	TEXT(out, "{");
	for (unsigned i = 0; i < shape->n; i++) {
		const struct wire_field *f = &shape->fields[i];

		if (!wire_is_there(f, value))
			continue;
		put_name(out, f->name, strlen(f->name), first);
		put_field(out, f, (const char *)value + f->offset);
		first = false;
	}
	while (nulls != NULL && *nulls != '\0') {
		size_t n = strcspn(nulls, " ");

		if (!is_there(shape, value, nulls, n)) {
			put_name(out, nulls, n, first);
			TEXT(out, "null");
			first = false;
		}
		nulls += n + (nulls[n] == ' ');
	}
	TEXT(out, "}");
}

int json_write(const struct wire_shape *shape, const void *value, const char *nulls, struct buf *out)
{
	size_t start = out->len;

	write_shape(out, shape, value, nulls);
	if (out->failed != 0 && out->p != NULL) {
		out->len = start;
		out->p[start] = '\0';
	}
	return out->failed;
}
