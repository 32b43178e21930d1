#include "proto/wire/doc/sample.h"
#include "common/base/clock.h"
#include "proto/wire/rule.h"
#include <stdlib.h>

uint64_t sample_next(struct sample *s)
{
	/* splitmix64: good enough to vary test values, and the same everywhere */
	uint64_t z = s->state += UINT64_C(0x9e3779b97f4a7c15);

	z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
	z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
	return z ^ z >> 31;
}

uint64_t sample_below(struct sample *s, uint64_t bound)
{
	return sample_next(s) % bound;
}

void *sample_alloc(struct sample *s, size_t n)
{
	void *p = msgpack_zone_malloc(s->zone, n > 0 ? n : 1);

	if (p == NULL)
		abort();
	return p;
}

struct wire_bytes sample_string(struct sample *s, size_t min, size_t max, bool characters)
{
	static const char *const pieces[] = {"a", "Z", " ", "0", "\"", "\\", "\n", "é", "ж", "€", "漢", "\U0001F525"};
	size_t amount = min + sample_below(s, max - min + 1), done = 0, n = 0;
	char *p = sample_alloc(s, amount * 4);

	while (done < amount) {
		const char *piece = pieces[sample_below(s, sizeof(pieces) / sizeof(pieces[0]))];
		size_t bytes = strlen(piece);

		if (!characters && bytes > amount - done)
			continue;
		memcpy(p + n, piece, bytes);
		n += bytes;
		done += characters ? 1 : bytes;
	}
	return (struct wire_bytes){p, (uint32_t)n};
}

/* How many: at the lower bound or a little above, within the upper one. */
static size_t most(const struct wire_field *f, size_t above)
{
	size_t max = (size_t)f->min + above;

	return f->max > 0 && f->max >= f->min && (double)max > f->max ? (size_t)f->max : max;
}

static void fill_object(struct sample *s, msgpack_object *o, unsigned depth)
{
	struct wire_bytes text;

	switch (sample_below(s, depth > 2 ? 6 : 8)) {
	case 0:
		*o = (msgpack_object){.type = MSGPACK_OBJECT_NIL};
		break;
	case 1:
		*o = (msgpack_object){.type = MSGPACK_OBJECT_BOOLEAN, .via.boolean = sample_below(s, 2) == 1};
		break;
	case 2:
		*o = (msgpack_object){.type = MSGPACK_OBJECT_POSITIVE_INTEGER,
				      .via.u64 = sample_next(s) >> (1 + sample_below(s, 62))};
		break;
	case 3:
		*o = (msgpack_object){.type = MSGPACK_OBJECT_NEGATIVE_INTEGER,
				      .via.i64 = -1 - (int64_t)(sample_next(s) >> 40)};
		break;
	case 4:
		*o = (msgpack_object){.type = MSGPACK_OBJECT_FLOAT64, .via.f64 = (double)sample_below(s, 6400) / 64};
		break;
	case 5:
		text = sample_string(s, 0, 12, false);
		*o = (msgpack_object){.type = MSGPACK_OBJECT_STR, .via.str = {text.n, text.p}};
		break;
	case 6:
		*o = (msgpack_object){.type = MSGPACK_OBJECT_ARRAY, .via.array.size = (uint32_t)sample_below(s, 4)};
		o->via.array.ptr = sample_alloc(s, 4 * sizeof(msgpack_object));
		for (uint32_t i = 0; i < o->via.array.size; i++)
			fill_object(s, &o->via.array.ptr[i], depth + 1);
		break;
	default:
		*o = (msgpack_object){.type = MSGPACK_OBJECT_MAP, .via.map.size = (uint32_t)sample_below(s, 4)};
		o->via.map.ptr = sample_alloc(s, 4 * sizeof(msgpack_object_kv));
		for (uint32_t i = 0; i < o->via.map.size; i++) {
			char *key = sample_alloc(s, 1);

			*key = (char)('a' + i);
			o->via.map.ptr[i].key = (msgpack_object){.type = MSGPACK_OBJECT_STR, .via.str = {1, key}};
			fill_object(s, &o->via.map.ptr[i].val, depth + 1);
		}
		break;
	}
}

static void fill_number(struct sample *s, const struct wire_field *f, void *slot)
{
	bool bounded = f->max > 0 && f->max >= f->min;
	uint64_t low = (uint64_t)f->min, any = sample_next(s) >> (1 + sample_below(s, 62));
	uint64_t u64 = bounded ? low + sample_below(s, (uint64_t)f->max - low + 1) : any < low ? low : any;
	uint32_t u32 = bounded || u64 <= UINT32_MAX ? (uint32_t)u64 : (uint32_t)(u64 >> 32) | (uint32_t)low;
	int64_t i64 = sample_below(s, 2) == 1 ? (int64_t)u64 : -(int64_t)u64;
	/* 64ths are exact both in binary and in 15 decimal digits */
	double f64 = bounded ? f->min + (double)sample_below(s, (uint64_t)((f->max - f->min) * 64) + 1) / 64
			     : (double)((int64_t)sample_below(s, 128000) - 64000) / 64;

	switch (f->type) {
	case WIRE_u32:
		memcpy(slot, &u32, sizeof(u32));
		break;
	case WIRE_u64:
		memcpy(slot, &u64, sizeof(u64));
		break;
	case WIRE_f64:
		memcpy(slot, &f64, sizeof(f64));
		break;
	case WIRE_time:
		i64 = TR_TIME_MIN_MS + (int64_t)sample_below(s, (uint64_t)(TR_TIME_MAX_MS - TR_TIME_MIN_MS + 1));
		memcpy(slot, &i64, sizeof(i64));
		break;
	default:
		memcpy(slot, &i64, sizeof(i64));
		break;
	}
}

static void fill_many(struct sample *s, const struct wire_field *f, void *slot)
{
	size_t n = (size_t)f->min + sample_below(s, most(f, 3) - (size_t)f->min + 1);
	size_t size = f->type == WIRE_LIST ? f->item->size : sizeof(wire_str);
	char *v = sample_alloc(s, n * size);
	struct wire_list list = {n > 0 ? v : NULL, (uint32_t)n};
	wire_strs strs = {(const wire_str *)list.v, (uint32_t)n};

	for (size_t i = 0; i < n; i++) {
		struct wire_bytes text;

		if (f->type == WIRE_LIST) {
			sample_fill(s, f->item, v + i * size);
		} else {
			text = sample_string(s, 1, 24, false);
			memcpy(v + i * size, &text, sizeof(text));
		}
	}
	memcpy(slot, f->type == WIRE_LIST ? (const void *)&list : (const void *)&strs, f->size);
}

static void fill_field(struct sample *s, const struct wire_field *f, void *slot)
{
	struct wire_bytes text;
	msgpack_object *o;
	bool flag;

	switch (f->type) {
	case WIRE_u32:
	case WIRE_u64:
	case WIRE_i64:
	case WIRE_f64:
	case WIRE_time:
		fill_number(s, f, slot);
		break;
	case WIRE_flag:
		flag = sample_below(s, 2) == 1;
		memcpy(slot, &flag, sizeof(flag));
		break;
	case WIRE_str:
	case WIRE_text:
	case WIRE_bin:
		text = sample_string(s, (size_t)f->min, most(f, 24), f->type == WIRE_text);
		memcpy(slot, &text, sizeof(text));
		break;
	case WIRE_map:
		o = sample_alloc(s, sizeof(*o));
		do
			fill_object(s, o, 0);
		while (o->type != MSGPACK_OBJECT_MAP);
		memcpy(slot, &o, sizeof(o));
		break;
	case WIRE_ITEM:
		sample_fill(s, f->item, slot);
		break;
	case WIRE_strs:
	case WIRE_LIST:
		fill_many(s, f, slot);
		break;
	}
}

void sample_fill(struct sample *s, const struct wire_shape *shape, void *out)
{
	memset(out, 0, shape->size);
	for (unsigned i = 0; i < shape->n; i++) {
		const struct wire_field *f = &shape->fields[i];

		if (!f->required && !s->full && sample_below(s, 2) == 0)
			continue;
		fill_field(s, f, (char *)out + f->offset);
		if (!f->required)
			*wire_has(f, out) = true;
	}
}
