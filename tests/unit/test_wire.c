/* proto/wire, the shapes: every field of every item and message is tried from the tables, so a new one is tested by
 * itself. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include "common/base/clock.h"
#include "proto/wire/doc/sample.h"
#include "proto/wire/rule.h"
#include <cmocka.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

/* ---- every shape there is ---- */

static const struct wire_shape *shapes[256];
static unsigned nshapes;

static int list_shapes(void **state)
{
	(void)state;
#define X(item) shapes[nshapes++] = &wire_shape_##item;
	WIRE_ITEMS(X)
#undef X
	shapes[nshapes++] = &wire_shape_common;
	for (int i = 0; i < WIRE_NMSGS; i++) {
		shapes[nshapes++] = wire_methods[i].params;
		if (wire_methods[i].result != NULL)
			shapes[nshapes++] = wire_methods[i].result;
	}
	return 0;
}

/* A valid struct, its encoding and what msgpack-c reads from that. */
struct specimen {
	const struct wire_shape *shape;
	struct sample s;
	void *value, *back; /* back: room for one more struct of the shape */
	msgpack_sbuffer sb;
	msgpack_object tree;
};

static void unpack_tree(struct specimen *sp)
{
	size_t off = 0;

	assert_int_equal(msgpack_unpack(sp->sb.data, sp->sb.size, &off, sp->s.zone, &sp->tree), MSGPACK_UNPACK_SUCCESS);
}

static void open_specimen(struct specimen *sp, const struct wire_shape *shape, uint64_t seed, bool full)
{
	*sp = (struct specimen){.shape = shape, .s = {.state = seed, .full = full}};
	sp->s.zone = msgpack_zone_new(8192);
	sp->value = malloc(shape->size);
	sp->back = malloc(shape->size);
	assert_non_null(sp->s.zone);
	assert_non_null(sp->value);
	assert_non_null(sp->back);
	sample_fill(&sp->s, shape, sp->value);
	msgpack_sbuffer_init(&sp->sb);
	assert_int_equal(wire_encode(&sp->sb, shape, sp->value), 0);
	unpack_tree(sp);
}

static void close_specimen(struct specimen *sp)
{
	msgpack_sbuffer_destroy(&sp->sb);
	msgpack_zone_free(sp->s.zone);
	free(sp->value);
	free(sp->back);
}

static int decode(struct specimen *sp, struct tr_fault *fault)
{
	*fault = (struct tr_fault){0};
	return wire_decode(sp->shape, &sp->tree, sp->s.zone, sp->back, fault);
}

static void say(const struct specimen *sp, const struct wire_field *f, const char *what, const struct tr_fault *fault)
{
	print_error("%s.%s: %s (%d, \"%s\" %s)\n", sp->shape->name, f->name, what, fault->code, fault->field,
		    fault->rule);
}

/* The entry of that field in the tree. */
static msgpack_object_kv *entry(struct specimen *sp, const char *name)
{
	for (uint32_t i = 0; i < sp->tree.via.map.size; i++) {
		msgpack_object_kv *kv = &sp->tree.via.map.ptr[i];

		if (kv->key.via.str.size == strlen(name) && memcmp(kv->key.via.str.ptr, name, strlen(name)) == 0)
			return kv;
	}
	fail_msg("no entry %s", name);
	abort();
}

/* One more entry at the end of the tree. */
static void add_entry(struct specimen *sp, msgpack_object key, msgpack_object val)
{
	msgpack_object_map *map = &sp->tree.via.map;
	msgpack_object_kv *v = sample_alloc(&sp->s, (map->size + 1) * sizeof(*v));

	if (map->size > 0)
		memcpy(v, map->ptr, map->size * sizeof(*v));
	v[map->size] = (msgpack_object_kv){key, val};
	map->ptr = v;
	map->size++;
}

static msgpack_object str_object(const char *p, size_t n)
{
	return (msgpack_object){.type = MSGPACK_OBJECT_STR, .via.str = {(uint32_t)n, p}};
}

/* ---- tests ---- */

static void round_trip(void **state)
{
	(void)state;
	for (unsigned i = 0; i < nshapes; i++) {
		for (uint64_t seed = 1; seed <= 40; seed++) {
			struct specimen sp;
			struct tr_fault fault;
			msgpack_sbuffer again;

			open_specimen(&sp, shapes[i], seed, seed % 4 == 0);
			assert_int_equal(sp.tree.type, MSGPACK_OBJECT_MAP);
			if (sp.s.full)
				assert_int_equal(sp.tree.via.map.size, sp.shape->n);
			assert_int_equal(decode(&sp, &fault), 0);
			assert_int_equal(wire_validate(sp.shape, sp.back, &fault), 0);
			msgpack_sbuffer_init(&again);
			assert_int_equal(wire_encode(&again, sp.shape, sp.back), 0);
			assert_int_equal(again.size, sp.sb.size);
			assert_memory_equal(again.data, sp.sb.data, again.size);
			msgpack_sbuffer_destroy(&again);
			close_specimen(&sp);
		}
	}
}

/* Fields lie where the struct says, with the has_ flag behind them, for one struct written out by hand. */
static void offsets(void **state)
{
	const struct wire_field *f = wire_field_find(&wire_shape_new_memory, "importance", 10, 0);

	(void)state;
	assert_int_equal(f->offset, offsetof(struct item_new_memory, importance));
	assert_int_equal(f->offset + f->size, offsetof(struct item_new_memory, has_importance));
	f = wire_field_find(&wire_shape_common, "request_id", 10, 1);
	assert_int_equal(f->offset + f->size, offsetof(struct wire_common, has_request_id));
	for (unsigned i = 0; i < nshapes; i++)
		assert_true(shapes[i]->n <= 64);
	/* what every request carries is nobody's own field, and comes first in the struct */
	assert_int_equal(offsetof(struct msg_ping, common), 0);
	for (int i = 0; i < WIRE_NMSGS; i++) {
		if (wire_methods[i].kind != WIRE_REQUEST)
			continue;
		assert_null(wire_field_find(wire_methods[i].params, "request_id", 10, 0));
		assert_null(wire_field_find(wire_methods[i].params, "deadline_ms", 11, 0));
	}
}

static void missing_and_nil(void **state)
{
	(void)state;
	for (unsigned i = 0; i < nshapes; i++) {
		for (unsigned k = 0; k < shapes[i]->n; k++) {
			const struct wire_field *f = &shapes[i]->fields[k];
			struct specimen sp;
			struct tr_fault fault;
			msgpack_object_kv *kv;
			int nil, gone;

			open_specimen(&sp, shapes[i], k + 7, true);
			kv = entry(&sp, f->name);
			kv->val = (msgpack_object){.type = MSGPACK_OBJECT_NIL};
			nil = decode(&sp, &fault);
			if (nil == 0)
				assert_false(wire_is_there(f, sp.back));
			kv->key = str_object("never_a_field", 13);
			gone = decode(&sp, &fault);
			if (nil != gone || gone != (f->required ? TR_EINVAL : 0))
				say(&sp, f, "missing", &fault);
			assert_int_equal(nil, gone);
			assert_int_equal(gone, f->required ? TR_EINVAL : 0);
			if (f->required) {
				assert_string_equal(fault.field, f->name);
				assert_string_equal(fault.rule, "is required");
			}
			close_specimen(&sp);
		}
	}
}

static void repeated_and_unknown_keys(void **state)
{
	(void)state;
	for (unsigned i = 0; i < nshapes; i++) {
		struct specimen sp;
		struct tr_fault fault;
		msgpack_object whole = {.type = MSGPACK_OBJECT_POSITIVE_INTEGER, .via.u64 = 7};

		open_specimen(&sp, shapes[i], i, true);
		add_entry(&sp, str_object("from_a_newer_peer", 17), whole);
		add_entry(&sp, str_object("from_a_newer_peer", 17), whole);
		add_entry(&sp, whole, whole);
		add_entry(&sp, str_object("\xff", 1), whole);
		assert_int_equal(decode(&sp, &fault), 0);
		if (shapes[i]->n > 0) {
			const struct wire_field *f = &shapes[i]->fields[i % shapes[i]->n];

			add_entry(&sp, str_object(f->name, strlen(f->name)), entry(&sp, f->name)->val);
			assert_int_equal(decode(&sp, &fault), TR_EINVAL);
			assert_string_equal(fault.field, f->name);
			assert_string_equal(fault.rule, "is given twice");
		}
		close_specimen(&sp);
	}
}

/* Does a value of this kind suit a field of this type? (Its range is chosen to suit.) */
static bool suits(enum wire_type t, msgpack_object_type k)
{
	bool whole = k == MSGPACK_OBJECT_POSITIVE_INTEGER;

	switch (t) {
	case WIRE_u32:
	case WIRE_u64:
	case WIRE_i64:
	case WIRE_time:
		return whole;
	case WIRE_f64:
		return whole || k == MSGPACK_OBJECT_FLOAT64 || k == MSGPACK_OBJECT_FLOAT32;
	case WIRE_flag:
		return k == MSGPACK_OBJECT_BOOLEAN;
	case WIRE_str:
	case WIRE_text:
		return k == MSGPACK_OBJECT_STR;
	case WIRE_bin:
		return k == MSGPACK_OBJECT_BIN;
	case WIRE_strs:
	case WIRE_LIST:
		return k == MSGPACK_OBJECT_ARRAY;
	case WIRE_map:
	case WIRE_ITEM:
		return k == MSGPACK_OBJECT_MAP;
	}
	return false;
}

static void wrong_types(void **state)
{
	static msgpack_object five = {.type = MSGPACK_OBJECT_POSITIVE_INTEGER, .via.u64 = 5};
	const msgpack_object kinds[] = {
		{.type = MSGPACK_OBJECT_BOOLEAN, .via.boolean = true},
		{.type = MSGPACK_OBJECT_POSITIVE_INTEGER, .via.u64 = 1},
		{.type = MSGPACK_OBJECT_FLOAT64, .via.f64 = 1},
		{.type = MSGPACK_OBJECT_FLOAT32, .via.f64 = 1},
		{.type = MSGPACK_OBJECT_STR, .via.str = {1, "x"}},
		{.type = MSGPACK_OBJECT_BIN, .via.bin = {1, "x"}},
		{.type = MSGPACK_OBJECT_EXT, .via.ext = {1, 1, "x"}},
		{.type = MSGPACK_OBJECT_ARRAY, .via.array = {1, &five}},
		{.type = MSGPACK_OBJECT_MAP, .via.map = {0, NULL}},
	};

	(void)state;
	for (unsigned i = 0; i < nshapes; i++) {
		for (unsigned k = 0; k < shapes[i]->n; k++) {
			const struct wire_field *f = &shapes[i]->fields[k];
			struct specimen sp;

			open_specimen(&sp, shapes[i], k, true);
			for (size_t t = 0; t < sizeof(kinds) / sizeof(kinds[0]); t++) {
				struct tr_fault fault;
				/* a list with a number in it and an empty item are of the right kind and still wrong
				 * inside */
				bool inside = kinds[t].type == MSGPACK_OBJECT_ARRAY ||
					      (f->type == WIRE_ITEM && kinds[t].type == MSGPACK_OBJECT_MAP);
				int want = suits(f->type, kinds[t].type) && !inside ? 0 : TR_EINVAL;
				int r;

				entry(&sp, f->name)->val = kinds[t];
				r = decode(&sp, &fault);
				/* an item may have no required field at all, and a list may have to be empty */
				if (inside && f->type == WIRE_ITEM && r == 0)
					continue;
				if (r != want || (r < 0 && strncmp(fault.field, f->name, strlen(f->name)) != 0))
					say(&sp, f, "wrong type", &fault);
				assert_int_equal(r, want);
				assert_true(r == 0 || strncmp(fault.field, f->name, strlen(f->name)) == 0);
			}
			close_specimen(&sp);
		}
	}
}

/* ---- bounds: a value of the given amount is put into the struct; encoder does not check, decoder and validate must
 * agree ---- */

static void put_many(struct sample *s, const struct wire_field *f, size_t n, void *slot)
{
	size_t size = f->type == WIRE_LIST ? f->item->size : sizeof(wire_str);
	char *v = sample_alloc(s, n * size);
	struct wire_list list = {v, (uint32_t)n};
	wire_str x = wire_s("x");
	bool full = s->full;

	s->full = false;
	if (f->type == WIRE_LIST && n > 0)
		sample_fill(s, f->item, v);
	s->full = full;
	for (size_t i = 0; i < n; i++)
		memcpy(v + i * size, f->type == WIRE_LIST ? (const void *)v : (const void *)&x,
		       i > 0 || f->type != WIRE_LIST ? size : 0);
	memcpy(slot, &list, sizeof(list));
}

/* A map whose encoding is n bytes: {"k": "xxx..."}, or {} for one. False when there is no such map. */
static bool put_map(struct sample *s, size_t n, void *slot)
{
	size_t head = n < 40 ? 4 : n <= 4 + 1 + UINT8_MAX ? 5 : n <= 4 + 2 + UINT16_MAX ? 6 : 8;
	msgpack_object *o = sample_alloc(s, sizeof(*o));
	msgpack_object_kv *kv = sample_alloc(s, sizeof(*kv));
	char *text;

	if (n < head)
		return false;
	text = sample_alloc(s, n);
	memset(text, 'x', n);
	kv->key = str_object("k", 1);
	kv->val = str_object(text, n - head);
	*o = (msgpack_object){.type = MSGPACK_OBJECT_MAP, .via.map = {1, kv}};
	memcpy(slot, &o, sizeof(o));
	return true;
}

static bool put_amount(struct sample *s, const struct wire_field *f, double amount, void *slot)
{
	bool small = amount >= 0 && amount <= UINT32_MAX;
	uint32_t u32 = small ? (uint32_t)amount : 0;
	uint64_t u64 = amount >= 0 && amount < 1e18 ? (uint64_t)amount : 0;
	struct wire_bytes text;

	if (f->type != WIRE_f64 && (amount < 0 || (f->type == WIRE_u32 && !small)))
		return false;
	switch (f->type) {
	case WIRE_f64:
		memcpy(slot, &amount, sizeof(amount));
		return true;
	case WIRE_u32:
		memcpy(slot, &u32, sizeof(u32));
		return true;
	case WIRE_u64:
	case WIRE_i64:
	case WIRE_time:
		memcpy(slot, &u64, sizeof(u64));
		return true;
	case WIRE_str:
	case WIRE_text:
	case WIRE_bin:
		text = sample_string(s, u32, u32, f->type == WIRE_text);
		memcpy(slot, &text, sizeof(text));
		return true;
	case WIRE_strs:
	case WIRE_LIST:
		put_many(s, f, u32, slot);
		return true;
	case WIRE_map:
		return put_map(s, u32, slot);
	case WIRE_flag:
	case WIRE_ITEM:
		break;
	}
	return false;
}

static unsigned try_amount(const struct wire_shape *shape, const struct wire_field *f, double amount, bool good)
{
	struct specimen sp;
	struct tr_fault fault = {0}, second = {0};
	int r;

	open_specimen(&sp, shape, 3, true);
	if (!put_amount(&sp.s, f, amount, (char *)sp.value + f->offset)) {
		close_specimen(&sp);
		return 0;
	}
	sp.sb.size = 0;
	assert_int_equal(wire_encode(&sp.sb, shape, sp.value), 0);
	unpack_tree(&sp);
	r = decode(&sp, &fault);
	if (r != (good ? 0 : TR_EINVAL))
		say(&sp, f, "bound", &fault);
	assert_int_equal(r, good ? 0 : TR_EINVAL);
	assert_int_equal(wire_validate(shape, sp.value, &second), r);
	if (!good) {
		char range[128];

		wire_range_text(f, range, sizeof(range));
		assert_string_equal(fault.field, f->name);
		assert_non_null(strstr(fault.rule, range));
		assert_string_equal(second.field, fault.field);
		assert_string_equal(second.rule, fault.rule);
	}
	close_specimen(&sp);
	return 1;
}

static void bounds(void **state)
{
	unsigned tried = 0;

	(void)state;
	for (unsigned i = 0; i < nshapes; i++) {
		for (unsigned k = 0; k < shapes[i]->n; k++) {
			const struct wire_field *f = &shapes[i]->fields[k];
			double step = f->type == WIRE_f64 ? 1e-9 : 1;

			if (f->type == WIRE_time) {
				tried += try_amount(shapes[i], f, (double)TR_TIME_MAX_MS, true);
				tried += try_amount(shapes[i], f, (double)TR_TIME_MAX_MS + 1, false);
			}
			if (f->type == WIRE_f64) {
				tried += try_amount(shapes[i], f, (double)NAN, false);
				tried += try_amount(shapes[i], f, (double)INFINITY, false);
				tried += try_amount(shapes[i], f, (double)-INFINITY, false);
			}
			if (f->min == 0 && f->max == 0)
				continue;
			tried += try_amount(shapes[i], f, f->min - step, false);
			tried += try_amount(shapes[i], f, f->min, true);
			if (f->max < f->min)
				continue;
			tried += try_amount(shapes[i], f, f->max, true);
			tried += try_amount(shapes[i], f, f->max + step, false);
		}
	}
	assert_true(tried > 200);
}

static void integer_range(void **state)
{
	struct res_ping res;
	struct specimen sp;
	struct tr_fault fault;

	(void)state;
	open_specimen(&sp, wire_methods[MSG_ping].result, 5, true);
	entry(&sp, "epoch")->val = (msgpack_object){.type = MSGPACK_OBJECT_POSITIVE_INTEGER, .via.u64 = UINT64_MAX};
	entry(&sp, "pid")->val = (msgpack_object){.type = MSGPACK_OBJECT_POSITIVE_INTEGER, .via.u64 = UINT32_MAX};
	assert_int_equal(wire_decode(sp.shape, &sp.tree, sp.s.zone, &res, &fault), 0);
	assert_true(res.epoch == UINT64_MAX && res.pid == UINT32_MAX);
	entry(&sp, "pid")->val.via.u64++;
	assert_int_equal(decode(&sp, &fault), TR_EINVAL);
	assert_string_equal(fault.field, "pid");
	assert_string_equal(fault.rule, "must be a whole number from 1 to 4294967295");
	entry(&sp, "pid")->val.via.u64 = (UINT64_C(1) << 32) + 1; /* its low half would do */
	assert_int_equal(decode(&sp, &fault), TR_EINVAL);
	entry(&sp, "pid")->val = (msgpack_object){.type = MSGPACK_OBJECT_NEGATIVE_INTEGER, .via.i64 = -1};
	assert_int_equal(decode(&sp, &fault), TR_EINVAL);
	close_specimen(&sp);
}

static void bad_text(void **state)
{
	static const char *const bad[] = {"\xff", "a\xc3", "\xc0\x80", "\xed\xa0\x80", "\xf4\x90\x80\x80", "ok\x80"};
	struct specimen sp;
	struct tr_fault fault;

	(void)state;
	open_specimen(&sp, &wire_shape_new_memory, 5, true);
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		entry(&sp, "content")->val = str_object(bad[i], strlen(bad[i]));
		assert_int_equal(decode(&sp, &fault), TR_EINVAL);
		assert_string_equal(fault.field, "content");
		assert_string_equal(fault.rule, "must be valid UTF-8 without NUL");
	}
	entry(&sp, "content")->val = str_object("a\0b", 3);
	assert_int_equal(decode(&sp, &fault), TR_EINVAL);
	entry(&sp, "content")->val = str_object("ab", 2);
	assert_int_equal(decode(&sp, &fault), 0);
	close_specimen(&sp);
}

/* A fault deep inside names the way to it. */
static void paths(void **state)
{
	struct item_new_memory v[4] = {0};
	struct msg_memory_add msg = {.memories = {v, 4}};
	wire_str tags[2] = {wire_s("ok"), wire_s("")};
	struct tr_fault fault;

	(void)state;
	for (int i = 0; i < 4; i++)
		v[i].content = wire_s("text");
	assert_int_equal(wire_validate(wire_methods[MSG_memory_add].params, &msg, &fault), 0);
	v[3].importance = 1.5;
	v[3].has_importance = true;
	assert_int_equal(wire_validate(wire_methods[MSG_memory_add].params, &msg, &fault), TR_EINVAL);
	assert_string_equal(fault.field, "memories[3].importance");
	assert_string_equal(fault.rule, "must be a number from 0 to 1");
	v[2].tags = (wire_strs){tags, 2};
	v[2].has_tags = true;
	assert_int_equal(wire_validate(wire_methods[MSG_memory_add].params, &msg, &fault), TR_EINVAL);
	assert_string_equal(fault.field, "memories[2].tags[1]");
	assert_string_equal(fault.rule, "must be 1 to 256 bytes");
	assert_int_equal(wire_validate(wire_methods[MSG_memory_add].params, &msg, NULL), TR_EINVAL);
}

static void metadata(void **state)
{
	msgpack_object deep[12], bad = {.type = MSGPACK_OBJECT_FLOAT64, .via.f64 = (double)NAN};
	msgpack_object_kv kv = {{.type = MSGPACK_OBJECT_STR, .via.str = {1, "k"}}, {0}};
	struct item_new_memory m = {.content = wire_s("x"), .metadata = &deep[0], .has_metadata = true};
	struct tr_fault fault;

	(void)state;
	for (int levels = 1; levels <= 10; levels++) {
		for (int i = 0; i < levels; i++)
			deep[i] = (msgpack_object){.type = MSGPACK_OBJECT_ARRAY,
						   .via.array = {i + 1 < levels, &deep[i + 1]}};
		kv.val = deep[0];
		deep[11] = (msgpack_object){.type = MSGPACK_OBJECT_MAP, .via.map = {1, &kv}};
		m.metadata = &deep[11];
		assert_int_equal(wire_validate(&wire_shape_new_memory, &m, &fault),
				 levels < WIRE_MAP_DEPTH_MAX ? 0 : TR_EINVAL);
	}
	assert_string_equal(fault.rule, "must not nest deeper than 8");
	kv.val = bad;
	assert_int_equal(wire_validate(&wire_shape_new_memory, &m, &fault), TR_EINVAL);
	assert_string_equal(fault.rule, "must have only finite numbers");
	kv.val.type = MSGPACK_OBJECT_FLOAT32;
	assert_int_equal(wire_validate(&wire_shape_new_memory, &m, &fault), TR_EINVAL);
	kv.val = str_object("\xff", 1);
	assert_int_equal(wire_validate(&wire_shape_new_memory, &m, &fault), TR_EINVAL);
	kv.val = str_object("ok", 2);
	assert_int_equal(wire_validate(&wire_shape_new_memory, &m, &fault), 0);
	kv.key = (msgpack_object){.type = MSGPACK_OBJECT_POSITIVE_INTEGER, .via.u64 = 1};
	assert_int_equal(wire_validate(&wire_shape_new_memory, &m, &fault), TR_EINVAL);
	assert_string_equal(fault.rule, "must have only strings as keys");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(round_trip),      cmocka_unit_test(offsets),
		cmocka_unit_test(missing_and_nil), cmocka_unit_test(repeated_and_unknown_keys),
		cmocka_unit_test(wrong_types),     cmocka_unit_test(bounds),
		cmocka_unit_test(integer_range),   cmocka_unit_test(bad_text),
		cmocka_unit_test(paths),           cmocka_unit_test(metadata),
	};

	return cmocka_run_group_tests(tests, list_shapes, NULL);
}
