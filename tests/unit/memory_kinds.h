/* An archive with memories of every kind in it, its export, and taking it back. */
#ifndef TESTS_UNIT_MEMORY_KINDS_H
#define TESTS_UNIT_MEMORY_KINDS_H
#include "memory_rig.h"

/* All pages of an export, packed one behind the other. */
static inline void export_all(struct rig *g, uint32_t limit, msgpack_sbuffer *out)
{
	struct msg_memory_export msg = {.has_limit = true, .limit = limit};
	const struct res_memory_export *res;
	uint32_t i;

	msgpack_sbuffer_init(out);
	do {
		res = rig_call(g, MSG_memory_export, &msg);
		assert_true(res->records.n > 0 || !res->has_next);
		for (i = 0; i < res->records.n; i++)
			assert_int_equal(wire_encode(out, &wire_shape_record, &res->records.v[i]), 0);
		msg.has_after = true;
		msg.after = res->next;
	} while (res->has_next);
}

/* What export_all() packed, as the records of one call; in the rig's zone. */
static inline struct list_record unpacked(struct rig *g, const msgpack_sbuffer *sb)
{
	static struct item_record v[1000];
	struct list_record list = {v, 0};
	char *bytes = msgpack_zone_malloc(g->zone, sb->size); /* the objects borrow from it */
	size_t off = 0;
	msgpack_object o;

	assert_non_null(bytes);
	memcpy(bytes, sb->data, sb->size);
	while (off < sb->size) {
		msgpack_unpack_return r = msgpack_unpack(bytes, sb->size, &off, g->zone, &o);

		assert_true(r == MSGPACK_UNPACK_SUCCESS || r == MSGPACK_UNPACK_EXTRA_BYTES);
		assert_int_equal(wire_decode(&wire_shape_record, &o, g->zone, &v[list.n++], NULL), 0);
	}
	return list;
}

static inline struct res_memory_restore restored(struct rig *g, const struct msg_memory_restore *msg)
{
	return *(const struct res_memory_restore *)rig_call(g, MSG_memory_restore, msg);
}

static inline int64_t kinds_number_of(struct rig *g, const char *content)
{
	wire_str id = rig_say(g, content)->id;

	rig_get(g, id);
	return g->answer.hits[0].memory;
}

/* Three memories, each in the list of the next one, and the first in two lists: whoever is older, and both ways. */
static inline void keep_company(struct rig *g)
{
	int64_t a = kinds_number_of(g, "company one"), b = kinds_number_of(g, "company two"),
		c = kinds_number_of(g, "company three");
	const struct entangle_change all[] = {
		{.memory = a, .npartners = 2, .partner = {{b, 3}, {c, 1}}},
		{.memory = b, .npartners = 1, .partner = {{a, 2}}},
		{.memory = c, .npartners = 1, .partner = {{b, 7}}},
	};
	size_t i;

	for (i = 0; i < sizeof(all) / sizeof(all[0]); i++)
		archive_entangled(g->a, &all[i]);
	rig_settle(g);
}

/* Memories of every kind, some used, superseded, sacred, decided (twice), drilled, with a known company. */
static inline void all_kinds(struct rig *g)
{
	const wire_str tags[] = {wire_s("one"), wire_s("t\xc3\xa9l\xc3\xa9")};
	msgpack_object_kv kv[2] = {
		{.key = {.type = MSGPACK_OBJECT_STR, .via.str = {1, "z"}},
		 .val = {.type = MSGPACK_OBJECT_FLOAT64, .via.f64 = 0.1}},
		{.key = {.type = MSGPACK_OBJECT_STR, .via.str = {1, "a"}}, .val = {.type = MSGPACK_OBJECT_NIL}}};
	msgpack_object map = {.type = MSGPACK_OBJECT_MAP, .via.map = {2, kv}};
	struct msg_memory_decide decide = {.text = wire_s("Decided."), .by = wire_s("meta_jr")};
	struct msg_memory_decide other = {.text = wire_s("Then this."), .by = wire_s("meta_jr")};
	struct item_new_memory m = said("full of everything"), d = said("drill load");
	struct msg_memory_import_begin begin = {.id = wire_s("imp"), .name = wire_s("f"), .size = 10};
	struct item_new_memory by_import = said("came by import");
	struct msg_memory_add add = {.memories = {&by_import, 1}, .has_import_id = true, .import_id = wire_s("imp")};
	struct entangle_change change = {.phase = 1.0 / 3.0, .compared = 3};
	char text[32];
	int i;

	m.has_tags = m.has_source = m.has_session = m.has_speaker = m.has_importance = m.has_at = m.has_metadata =
		m.has_id = m.has_sacred = m.sacred = true;
	m.id = wire_s("own"), m.tags = (wire_strs){tags, 2}, m.source = wire_s("src"), m.session = wire_s("ses");
	m.speaker = wire_s("Amy"), m.importance = 0.1, m.at = -5, m.metadata = &map;
	rig_add(g, &m);
	rig_get(g, m.id);
	change.memory = g->answer.hits[0].memory;
	archive_entangled(g->a, &change);
	for (i = 0; i < 20; i++) {
		rig_now += HOUR * 7;
		snprintf(text, sizeof(text), "thing %d", i * i % 7);
		rig_say(g, text);
	}
	m = said("a correction");
	m.has_supersedes = true;
	m.supersedes = rig_say(g, "thing 0")->id;
	rig_add(g, &m);
	rig_call(g, MSG_memory_decide, &decide);
	rig_now += DAY;
	rig_call(g, MSG_memory_decide, &other);
	rig_now += DAY;
	rig_call(g, MSG_memory_decide, &decide); /* the same again: one memory, two lines of the log */
	rig_call(g, MSG_memory_import_begin, &begin);
	rig_call(g, MSG_memory_add, &add);
	d.has_source = true, d.source = wire_s("drill:1");
	rig_add(g, &d);
	keep_company(g);
	rig_settle(g);
}

#endif
