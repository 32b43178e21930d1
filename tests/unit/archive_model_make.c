/* Calls by chance: valid ones, repeated ones, and ones that must be refused. Small worlds (few texts, few ids), so that
 * they meet. A call is made once for each side from the same random numbers; only ids that the archive made differ. */
#include "archive_model.h"

#define IMPORTS 3
#define OWN_IDS 30

static wire_str numbered(struct model *m, const char *what, unsigned n)
{
	char *p = model_alloc(m, 64);

	snprintf(p, 64, "%s-%02u", what, n);
	return wire_s(p);
}

/* clang-format off */
static const char *const words[] = {
	"amber", "boat", "boats", "cloud", "delta", "falcon", "garden", "harbour", "island", "kettle", "lantern", "marble", "needle",
	"orchard", "pebble", "quartz", "river", "rivers", "saddle", "timber", "hiking", "hiked", "the", "of", "2024",
	"\xd0\xba\xd0\xbe\xd1\x88\xd0\xba\xd0\xb0", "Amy", "bob",
};
/* clang-format on */

static const char *word(struct random *r)
{
	unsigned n = sizeof(words) / sizeof(words[0]);
	unsigned a = random_below(r, n), b = random_below(r, n);

	return words[a < b ? a : b]; /* the first ones are common */
}

/* One of 200 texts; each of them always the same. */
static wire_str content(struct model *m, struct random *r)
{
	static const char *const between[] = {" ", ", ", ". ", " \xe2\x80\x94 ", "\n"};
	struct random own = {random_below(r, 200) * 7919u + 1};
	unsigned i, n = 1 + random_below(&own, 6);
	char *p = model_alloc(m, 200);

	for (i = 0; i < n; i++) {
		if (i > 0)
			strcat(p, between[random_below(&own, sizeof(between) / sizeof(between[0]))]);
		strcat(p, word(&own));
	}
	return wire_s(p);
}

static wire_str one_of(struct random *r, const char *const *v, unsigned n)
{
	return wire_s(v[random_below(r, n)]);
}
#define ONE_OF(r, ...) \
	one_of((r), (const char *const[]){__VA_ARGS__}, sizeof((const char *const[]){__VA_ARGS__}) / sizeof(char *))
#define SOURCES  "chat", "mail", "drill:1", "drill:2", "meta_jr"
#define SESSIONS "monday", "tuesday"
#define SPEAKERS "Amy", "Bob", "needle"
#define TAGS     "red", "blue", "gr\xc3\xbcn", "decision"

/* A memory that was there once, rather a late one; sometimes one that never was. */
static wire_str any_id(struct model *m, unsigned side, struct random *r)
{
	uint64_t a = random_next(r), b = random_next(r);

	if (m->nmemories == 0 || random_chance(r, 4))
		return ONE_OF(r, "nobody", "own-00", "x");
	a %= m->nmemories, b %= m->nmemories;
	return m->memory[a > b ? a : b].id[side];
}

static wire_strs tags(struct model *m, struct random *r)
{
	wire_str *v = model_alloc(m, sizeof(*v) * 4);
	uint32_t n = random_below(r, 4), i;

	for (i = 0; i < n; i++)
		v[i] = ONE_OF(r, TAGS);
	return (wire_strs){v, n};
}

static double importance(struct random *r)
{
	return random_below(r, 9) / 8.0;
}

static msgpack_object value(struct model *m, struct random *r, unsigned depth)
{
	static const double numbers[] = {0.1, -0.0, 40.0, 1e300, 5e-324, 1.0 / 3.0, -123456789.125};
	msgpack_object o = {.type = MSGPACK_OBJECT_NIL};
	msgpack_object_kv *kv;
	msgpack_object *v;
	wire_str s;
	uint32_t n, i;

	switch (random_below(r, depth == 0 ? 7 : 9)) {
	case 0:
		o.type = MSGPACK_OBJECT_BOOLEAN;
		o.via.boolean = random_chance(r, 50);
		break;
	case 1:
		o.type = MSGPACK_OBJECT_POSITIVE_INTEGER;
		o.via.u64 = random_chance(r, 20) ? INT64_MAX : random_chance(r, 5) ? UINT64_MAX : random_below(r, 1000);
		break;
	case 2:
		o.type = MSGPACK_OBJECT_NEGATIVE_INTEGER;
		o.via.i64 = random_chance(r, 20) ? INT64_MIN : -1 - (int64_t)random_below(r, 1000);
		break;
	case 3:
		o.type = MSGPACK_OBJECT_FLOAT64;
		o.via.f64 = numbers[random_below(r, sizeof(numbers) / sizeof(numbers[0]))];
		break;
	case 4:
		s = ONE_OF(r, "", "text", "\"quoted\" \\ and \xe2\x82\xac", "\t\n\x7f");
		o.type = MSGPACK_OBJECT_STR;
		o.via.str = (msgpack_object_str){s.n, s.p};
		break;
	case 5: /* becomes text */
		o.type = MSGPACK_OBJECT_BIN;
		o.via.bin = (msgpack_object_bin){3, "\x00\xff\x80"};
		break;
	case 7:
		n = random_below(r, 3);
		v = model_alloc(m, sizeof(*v) * n);
		for (i = 0; i < n; i++)
			v[i] = value(m, r, depth - 1);
		o.type = MSGPACK_OBJECT_ARRAY;
		o.via.array = (msgpack_object_array){n, v};
		break;
	case 8:
		n = random_below(r, 4);
		kv = model_alloc(m, sizeof(*kv) * n);
		for (i = 0; i < n; i++) { /* the same key twice is the last one */
			s = ONE_OF(r, "z", "a", "where", "\xc3\xa9");
			kv[i].key = (msgpack_object){.type = MSGPACK_OBJECT_STR, .via.str = {s.n, s.p}};
			kv[i].val = value(m, r, depth - 1);
		}
		o.type = MSGPACK_OBJECT_MAP;
		o.via.map = (msgpack_object_map){n, kv};
		break;
	default:
		break;
	}
	return o;
}

static wire_map metadata(struct model *m, struct random *r)
{
	msgpack_object *o = model_alloc(m, sizeof(*o));

	do
		*o = value(m, r, 5);
	while (o->type != MSGPACK_OBJECT_MAP);
	return o;
}

/* ---- writes ---- */
static void new_memory(struct model *m, unsigned side, struct random *r, struct item_new_memory *out)
{
	out->content = content(m, r);
	if ((out->has_id = random_chance(r, 15)))
		out->id = numbered(m, "own", random_below(r, OWN_IDS));
	if ((out->has_tags = random_chance(r, 40)))
		out->tags = tags(m, r);
	if ((out->has_source = random_chance(r, 30)))
		out->source = ONE_OF(r, SOURCES);
	if ((out->has_session = random_chance(r, 20)))
		out->session = ONE_OF(r, SESSIONS);
	if ((out->has_speaker = random_chance(r, 25)))
		out->speaker = ONE_OF(r, SPEAKERS);
	if ((out->has_importance = random_chance(r, 30)))
		out->importance = importance(r);
	if ((out->has_sacred = random_chance(r, 10)))
		out->sacred = random_chance(r, 50);
	if ((out->has_at = random_chance(r, 20)))
		out->at = (int64_t)random_below(r, 4) * DAY - DAY;
	if ((out->has_supersedes = random_chance(r, 8)))
		out->supersedes = any_id(m, side, r);
	if ((out->has_metadata = random_chance(r, 15)))
		out->metadata = metadata(m, r);
}

static wire_str import_id(struct model *m, struct random *r)
{
	return numbered(m, "imp", random_below(r, random_chance(r, 5) ? IMPORTS + 1 : IMPORTS));
}

static uint64_t size_of_import(wire_str id)
{
	return id.p[id.n - 1] == '1' ? 0 : 100; /* one of them is nothing to bring */
}

/* has_import_id and what goes with it, of an add or a restore. */
#define MAYBE_IMPORT(m, r, msg, percent)                                                                   \
	do {                                                                                               \
		if (((msg)->has_import_id = random_chance((r), (percent))))                                \
			(msg)->import_id = import_id((m), (r));                                            \
		if (((msg)->has_import_position = random_chance((r), (msg)->has_import_id ? 70 : 1)))      \
			(msg)->import_position = random_below((r), 104);                                   \
		if (((msg)->has_import_skipped = random_chance((r), (msg)->has_import_id ? 30 : 1)))       \
			(msg)->import_skipped = random_chance((r), 5) ? UINT32_MAX : random_below((r), 9); \
	} while (0)

static const void *add(struct model *m, unsigned side, struct random *r)
{
	struct msg_memory_add *msg = model_alloc(m, sizeof(*msg));
	uint32_t n = random_chance(r, 80) ? 1 : random_below(r, 6), i;
	struct item_new_memory *v = model_alloc(m, sizeof(*v) * n);

	for (i = 0; i < n; i++)
		new_memory(m, side, r, &v[i]);
	msg->memories.v = v;
	msg->memories.n = n;
	if ((msg->has_source = random_chance(r, 10)))
		msg->source = ONE_OF(r, SOURCES);
	MAYBE_IMPORT(m, r, msg, 15);
	return msg;
}

static const void *decide(struct model *m, struct random *r)
{
	struct msg_memory_decide *msg = model_alloc(m, sizeof(*msg));

	msg->text = content(m, r);
	msg->by = ONE_OF(r, "meta_jr", "ada");
	return msg;
}

static const void *patch(struct model *m, unsigned side, struct random *r)
{
	struct msg_memory_patch *msg = model_alloc(m, sizeof(*msg));

	msg->id = any_id(m, side, r);
	if ((msg->has_tags = random_chance(r, 40)))
		msg->tags = tags(m, r);
	if ((msg->has_sacred = random_chance(r, 15)))
		msg->sacred = random_chance(r, 50);
	if ((msg->has_metadata = random_chance(r, 25)))
		msg->metadata = metadata(m, r);
	if ((msg->has_importance = random_chance(r, 50)))
		msg->importance = importance(r);
	return msg;
}

static const void *forget(struct model *m, unsigned side, struct random *r)
{
	struct msg_memory_forget *msg = model_alloc(m, sizeof(*msg));

	msg->id = any_id(m, side, r);
	msg->has_now = random_chance(r, 20);
	msg->now = true;
	return msg;
}

/* One rule of a record broken. */
static void spoil(struct random *r, struct item_record *t)
{
	switch (random_below(r, 8)) {
	case 0:
		t->has_id = false;
		break;
	case 1:
		t->heat_key += 0.001;
		break;
	case 2:
		t->heat_key -= 40.0;
		break;
	case 3:
		t->created_at = t->last_access + 1;
		break;
	case 4:
		t->last_access = rig_now + 2 * DAY;
		break;
	case 5:
		t->access_count = UINT64_MAX;
		break;
	case 6:
		t->has_decision_id = true;
		t->decision_id = wire_s("d-1");
		t->has_decided_by = false;
		break;
	default:
		t->created_at = -1;
	}
}

static const void *restore(struct model *m, unsigned side, struct random *r)
{
	struct msg_memory_restore *msg = model_alloc(m, sizeof(*msg));
	uint32_t n = 1 + random_below(r, 5), i, at;
	struct item_record *v = model_alloc(m, sizeof(*v) * n);

	for (i = 0; i < n; i++) {
		at = random_below(r, m->page[side].n);
		v[i] = m->page[side].v[at];
		if (random_chance(r, 20)) { /* as from another archive */
			v[i].own_id = random_chance(r, 50);
			v[i].id = numbered(m, "came", random_below(r, 40));
		}
		if (random_chance(r, 10))
			v[i].content = content(m, r);
		if (random_chance(r, 10)) {
			v[i].has_phase_coherence = true;
			v[i].phase_coherence = random_below(r, 5) / 4.0;
			v[i].has_phase_count = random_chance(r, 50);
			v[i].phase_count = random_below(r, 3);
		}
		if (random_chance(r, 4))
			spoil(r, &v[i]);
	}
	msg->records.v = v;
	msg->records.n = n;
	MAYBE_IMPORT(m, r, msg, 25);
	return msg;
}

static const void *import_begin(struct model *m, struct random *r)
{
	struct msg_memory_import_begin *msg = model_alloc(m, sizeof(*msg));

	msg->id = numbered(m, "imp", random_below(r, IMPORTS));
	msg->name = ONE_OF(r, "notes.md", "log.jsonl");
	msg->size = random_chance(r, 95) ? size_of_import(msg->id) : random_chance(r, 50) ? 7 : UINT64_MAX;
	return msg;
}

static const void *import_undo(struct model *m, struct random *r)
{
	struct msg_memory_import_undo *msg = model_alloc(m, sizeof(*msg));

	msg->id = import_id(m, r);
	return msg;
}

static const void *write_for(struct model *m, unsigned side, struct random *r, enum wire_msg_id *id)
{
	unsigned kind = random_below(r, 100);

	if (kind < 52)
		return *id = MSG_memory_add, add(m, side, r);
	if (kind < 60)
		return *id = MSG_memory_decide, decide(m, r);
	if (kind < 76)
		return *id = MSG_memory_patch, patch(m, side, r);
	if (kind < 87)
		return *id = MSG_memory_forget, forget(m, side, r);
	if (kind < 94 && m->page[side].n > 0)
		return *id = MSG_memory_restore, restore(m, side, r);
	if (kind < 98)
		return *id = MSG_memory_import_begin, import_begin(m, r);
	return *id = MSG_memory_import_undo, import_undo(m, r);
}

static size_t size_of_msg(enum wire_msg_id id)
{
	switch (id) {
#define MSG(name, ...)   \
	case MSG_##name: \
		return sizeof(struct msg_##name);
#include "proto/wire/messages.def"
#undef MSG
	default:
		abort();
	}
}

/* The same call under a request id; every message begins with what requests have in common. */
static void under_request(struct model *m, struct model_call *call, wire_str request)
{
	for (unsigned side = 0; side < SIDES; side++) {
		size_t n = size_of_msg(call->id);
		struct wire_common *common = model_alloc(m, n);

		memcpy(common, call->msg[side], n);
		common->has_request_id = true;
		common->request_id = request;
		call->msg[side] = common;
	}
}

/* One of the past again; now and then another call under its id. p: none is young enough. */
static bool again(struct model *m, struct model_call *out)
{
	const struct model_call *past = &m->past[random_below(&m->random, PAST)];
	const struct wire_common *common = past->msg[0];

	if (common == NULL || rig_now - past->at > 20 * HOUR) /* what is older may be forgotten or not */
		return false;
	if (random_chance(&m->random, 85))
		*out = *past;
	else
		under_request(m, out, common->request_id);
	return true;
}

struct model_call model_make_write(struct model *m)
{
	struct model_call call = {.at = rig_now};
	struct random r[SIDES] = {{random_next(&m->random)}};

	r[1] = r[0];
	for (unsigned side = 0; side < SIDES; side++)
		call.msg[side] = write_for(m, side, &r[side], &call.id);
	if (random_chance(&m->random, 12) && again(m, &call))
		return call;
	if (random_chance(&m->random, 35)) {
		under_request(m, &call, numbered(m, "request", m->requests++));
		m->past[m->npast++ % PAST] = call;
	}
	return call;
}

/* ---- reads ---- */
static wire_str question(struct model *m, struct random *r)
{
	unsigned i, n = 1 + random_below(r, 4);
	char *p = model_alloc(m, 200);

	for (i = 0; i < n; i++) {
		strcat(p, i > 0 ? " " : "");
		strcat(p, random_chance(r, 5) ? "zanzibar?" : word(r));
	}
	return wire_s(p);
}

static const void *recall(struct model *m, unsigned side, struct random *r)
{
	struct msg_memory_recall *msg = model_alloc(m, sizeof(*msg));

	if (m->cursor[side].p != NULL && random_chance(r, 20)) {
		*msg = m->asked;
		msg->has_cursor = true;
		msg->cursor = m->cursor[side];
		if (random_chance(r, 10)) { /* of another question */
			msg->has_tag = !msg->has_tag;
			msg->tag = wire_s("red");
		}
		return msg;
	}
	if ((msg->has_q = random_chance(r, 70)))
		msg->q = question(m, r);
	if ((msg->has_limit = random_chance(r, 80)))
		msg->limit = random_chance(r, 50) ? 200 : 1 + random_below(r, 12);
	if ((msg->has_tag = random_chance(r, 10)))
		msg->tag = ONE_OF(r, TAGS);
	if ((msg->has_source = random_chance(r, 15)))
		msg->source = ONE_OF(r, SOURCES);
	if ((msg->has_session = random_chance(r, 10)))
		msg->session = ONE_OF(r, SESSIONS);
	if ((msg->has_speaker = random_chance(r, 10)))
		msg->speaker = ONE_OF(r, SPEAKERS);
	if ((msg->has_min_temperature = random_chance(r, 15)))
		msg->min_temperature = random_below(r, 60) + 0.5; /* never just what one is hot */
	if ((msg->has_before = random_chance(r, 10)))
		msg->before = random_chance(r, 50) ? rig_now - 2 * DAY : DAY;
	if ((msg->has_after = random_chance(r, 10)))
		msg->after = random_chance(r, 50) ? rig_now - 2 * DAY : DAY;
	if ((msg->has_explain = random_chance(r, 30)))
		msg->explain = true;
	if ((msg->has_max_tokens = random_chance(r, 10)))
		msg->max_tokens = 1 + random_below(r, 100);
	return msg;
}

static const void *look_at(struct model *m, unsigned side, struct random *r, enum wire_msg_id *id)
{
	struct msg_memory_explain *explain;
	struct msg_memory_get *get;

	if (random_chance(r, 50)) {
		get = model_alloc(m, sizeof(*get));
		get->id = any_id(m, side, r);
		*id = MSG_memory_get;
		return get;
	}
	explain = model_alloc(m, sizeof(*explain));
	explain->id = any_id(m, side, r);
	if ((explain->has_q = random_chance(r, 80)))
		explain->q = question(m, r);
	*id = MSG_memory_explain;
	return explain;
}

static const void *list(struct model *m, struct random *r, enum wire_msg_id *id)
{
	struct msg_memory_thermal *thermal = model_alloc(m, sizeof(*thermal));
	struct msg_memory_decisions *decisions = model_alloc(m, sizeof(*decisions));
	struct msg_memory_samples *samples = model_alloc(m, sizeof(*samples));
	struct msg_memory_imports *imports = model_alloc(m, sizeof(*imports));

	switch (random_below(r, 4)) {
	case 0:
		thermal->has_hottest = random_chance(r, 70);
		thermal->hottest = random_below(r, 101);
		*id = MSG_memory_thermal;
		return thermal;
	case 1:
		decisions->has_limit = random_chance(r, 60);
		decisions->limit = 1 + random_below(r, 200);
		decisions->has_since = random_chance(r, 40);
		decisions->since = rig_now - (int64_t)random_below(r, 10) * DAY;
		*id = MSG_memory_decisions;
		return decisions;
	case 2:
		samples->has_memories = samples->has_recalls = true;
		samples->memories = random_chance(r, 50) ? 2000 : random_below(r, 50);
		samples->recalls = random_below(r, 30);
		*id = MSG_memory_samples;
		return samples;
	default:
		imports->has_limit = random_chance(r, 50);
		imports->limit = 1 + random_below(r, 4);
		*id = MSG_memory_imports;
		return imports;
	}
}

struct model_call model_make_read(struct model *m)
{
	struct model_call call = {.at = rig_now};
	struct random r[SIDES] = {{random_next(&m->random)}};

	r[1] = r[0];
	for (unsigned side = 0; side < SIDES; side++) {
		unsigned kind = random_below(&r[side], 100);

		call.id = MSG_memory_recall;
		call.msg[side] = kind < 45   ? recall(m, side, &r[side])
				 : kind < 75 ? look_at(m, side, &r[side], &call.id)
					     : list(m, &r[side], &call.id);
	}
	return call;
}

/* ---- notes ---- */
static const struct model_memory *any_memory(struct model *m)
{
	return &m->memory[random_next(&m->random) % m->nmemories];
}

void model_make_notes(struct model *m)
{
	struct item_recall_sample log = {rig_now, random_below(&m->random, 1000), random_below(&m->random, 5)};
	struct entangle_change change[SIDES] = {{0}};
	const struct model_memory *one, *other;
	int64_t at = rig_now - (int64_t)random_below(&m->random, 3) * HOUR + HOUR; /* what lies ahead is capped */
	unsigned i, side, recalls = random_below(&m->random, 3);

	if (m->nmemories == 0)
		return;
	one = any_memory(m);
	change[0].phase = change[1].phase = random_below(&m->random, 9) / 8.0;
	change[0].compared = change[1].compared = random_below(&m->random, 4);
	change[0].npartners = change[1].npartners = random_below(&m->random, 4);
	for (i = 0; i < change[0].npartners; i++) {
		other = any_memory(m);
		for (side = 0; side < SIDES; side++)
			change[side].partner[i] = (struct entangle_partner){other->number[side], 1 + i};
	}
	for (side = 0; side < SIDES; side++) {
		struct archive *a = m->side[side]->a;

		change[side].memory = one->number[side];
		archive_touch(a, one->number[side], at);
		archive_touch(a, one->number[side], at - DAY);
		archive_entangled(a, &change[side]);
		for (i = 0; i < recalls; i++)
			archive_recalled(a, &log);
		if (recalls == 2)
			archive_heat_map(a, &(const struct res_memory_thermal){.timestamp = rig_now});
	}
}
