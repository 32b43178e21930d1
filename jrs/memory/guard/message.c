/* A whole message: every text in it, found by the field tables, so that no message can forget one. */
#include "common/base/text.h"
#include "jrs/memory/guard/scan.h"
#include "proto/dsse/dsse.h"
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Where we are, from the inside outwards. */
struct place {
	const struct place *up;
	const char *name; /* not NUL-terminated */
	uint32_t n;
	bool is_index;
	uint32_t index;
};
struct look {
	struct guard *g;
	msgpack_zone *zone;
	struct guard_verdict *out;
	struct tr_fault *fault;
	unsigned secrets, pii; /* bits of classes that are looked for */
	uint32_t item;
};

#define NUMBERS (GUARD_BIT(GUARD_CARD) | GUARD_BIT(GUARD_IBAN))

/* Without a secret they are still what they were. Everything else says who or where, and would be another one. */
static bool may_be_redacted(const char *name)
{
	static const char *const all[] = {"content", "tags", "metadata", "text", "proposal", "reason"};

	for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++) {
		if (strcmp(name, all[i]) == 0)
			return true;
	}
	return false;
}

/* Long numbers are what ids are made of, and each tenth would be a card's. */
static bool is_id(const char *name)
{
	size_t n = strlen(name);

	return strcmp(name, "id") == 0 || (n > 3 && strcmp(name + n - 3, "_id") == 0) ||
	       strcmp(name, "supersedes") == 0 || strcmp(name, "superseded_by") == 0;
}

static void put_place(const struct place *p, char *out, size_t size)
{
	size_t n;

	if (p == NULL)
		return;
	put_place(p->up, out, size);
	n = strlen(out);
	if (p->is_index)
		snprintf(out + n, size - n, "[%" PRIu32 "]", p->index);
	else
		snprintf(out + n, size - n, "%s%.*s", n == 0 ? "" : ".", (int)(p->n > 32 ? 32 : p->n), p->name);
	n = strlen(out);
	while (n > 0 && !tr_utf8_ok(out, n, NULL)) /* cut within a character */
		out[--n] = '\0';
}

static int refuse(struct look *l, const struct place *p, enum guard_class class, size_t at, bool because_of_place)
{
	struct guard_verdict *v = l->out;

	v->class = class;
	v->item = l->item;
	v->at = (uint32_t)at;
	v->field[0] = '\0';
	put_place(p, v->field, sizeof(v->field));
	if (because_of_place)
		return tr_fault_set(l->fault, TR_ESECRET, v->field,
				    "has %s (%s) at byte %zu, and cannot do without it: name it otherwise",
				    guard_class_what(class), guard_class_name(class), at);
	return tr_fault_set(
		l->fault, TR_ESECRET, v->field,
		"has %s (%s) at byte %zu: leave it out and say where it is kept (guard.secrets is the policy)",
		guard_class_what(class), guard_class_name(class), at);
}

/* The text without its secrets, in the zone. */
static int redacted(struct look *l, const char *p, size_t n, const struct guard_spans *s, wire_str *out)
{
	size_t size = n, i, at = 0, k = 0;
	char *copy;

	for (i = 0; i < s->n; i++)
		size += strlen("[redacted:]") + strlen(guard_class_name(s->v[i].class));
	if ((copy = msgpack_zone_malloc(l->zone, size + 1)) == NULL)
		return TR_ENOMEM;
	for (i = 0; i < s->n; i++) {
		if ((GUARD_BIT(s->v[i].class) & l->secrets) == 0)
			continue;
		memcpy(copy + k, p + at, s->v[i].from - at);
		k += s->v[i].from - at;
		k += (size_t)snprintf(copy + k, size + 1 - k, "[redacted:%s]", guard_class_name(s->v[i].class));
		at = s->v[i].to;
		l->out->v[l->item].redacted |= GUARD_BIT(s->v[i].class);
	}
	memcpy(copy + k, p + at, n - at);
	*out = (wire_str){copy, (uint32_t)(k + n - at)};
	return 0;
}

/* A signed text is looked at as its signers wrote it: the rest of its envelope is made of random letters. */
static wire_str readable(const char *name, wire_str s, struct dsse *room)
{
	struct tr_fault fault = {0};

	if (strcmp(name, "envelope") != 0 || dsse_parse(room, s.p, s.n, &fault) < 0)
		return s;
	return (wire_str){(const char *)room->payload, (uint32_t)room->payload_n};
}

/* One text. 1: *out is what it is to be instead; 0: it stays; < 0. */
static int look_text(struct look *l, const struct place *p, const char *name, wire_str s, size_t most, wire_str *out)
{
	unsigned not_looked = is_id(name) ? NUMBERS | l->pii : 0;
	const struct guard_spans *spans;
	struct dsse room;
	unsigned found = 0;
	size_t i, first = 0;
	int r;

	s = readable(name, s, &room);
	if ((r = guard_scan(l->g, s.p, s.n, (l->secrets | l->pii) & ~not_looked, &spans)) < 0)
		return r;
	for (i = spans->n; i-- > 0;) {
		found |= GUARD_BIT(spans->v[i].class);
		if ((GUARD_BIT(spans->v[i].class) & l->secrets) != 0)
			first = i;
	}
	l->out->v[l->item].flagged |= found & l->pii;
	if ((found & l->secrets) == 0)
		return 0;
	if (l->g->policy.secrets != GUARD_REDACT)
		return refuse(l, p, spans->v[first].class, spans->v[first].from, false);
	if (!may_be_redacted(name))
		return refuse(l, p, spans->v[first].class, spans->v[first].from, true);
	if ((r = redacted(l, s.p, s.n, spans, out)) < 0)
		return r;
	l->out->v[l->item].flagged &= ~(found & l->secrets); /* it is not in it any more */
	return out->n > most ? refuse(l, p, spans->v[first].class, spans->v[first].from, true) : 1;
}

/* ---- metadata: a name and its value are looked at together, as name="value" ---- */
static int look_pair(struct look *l, const struct place *p, wire_str key, wire_str value, wire_str *out)
{
	size_t before = (size_t)key.n + 2, n = before + value.n + 1, i; /* key="value" */
	const struct guard_spans *spans;
	struct guard_spans mine;
	const struct place inner = {p, key.p, key.n, false, 0};
	unsigned found = 0;
	bool secret = false;
	int r;

	if (n > l->g->cap) {
		char *buf = realloc(l->g->buf, n);

		if (buf == NULL)
			return TR_ENOMEM;
		l->g->buf = buf;
		l->g->cap = n;
	}
	memcpy(l->g->buf, key.p, key.n);
	memcpy(l->g->buf + key.n, "=\"", 2);
	memcpy(l->g->buf + before, value.p, value.n);
	l->g->buf[n - 1] = '"';
	if ((r = guard_scan(l->g, l->g->buf, n, l->secrets | l->pii, &spans)) < 0)
		return r;
	mine = *spans; /* changed in place: g's own */
	for (i = 0; i < mine.n; i++) {
		struct guard_span *s = &mine.v[i];
		bool of_name = s->from < before;

		found |= GUARD_BIT(s->class);
		s->from = of_name ? 0 : s->from - (uint32_t)before;
		s->to = s->to <= before ? 0 : s->to - (uint32_t)before > value.n ? value.n : s->to - (uint32_t)before;
		if ((GUARD_BIT(s->class) & l->secrets) == 0)
			continue;
		if (of_name) /* it is not told where */
			return refuse(l, p, s->class, 0, l->g->policy.secrets == GUARD_REDACT);
		if (l->g->policy.secrets != GUARD_REDACT)
			return refuse(l, &inner, s->class, s->from, false);
		if (s->class == GUARD_PASSWORD && s->from == 0) { /* the name says what all of it is */
			s->to = value.n;
			mine.n = i + 1;
		}
		secret = true;
	}
	l->out->v[l->item].flagged |= found & l->pii & ~(l->secrets);
	return !secret ? 0 : (r = redacted(l, value.p, value.n, &mine, out)) < 0 ? r : 1;
}

/* 1: *out is what it is to be instead; out NULL: only look, 1 says that there is something to redact. */
static int look_object(struct look *l, const struct place *p, wire_str key, const msgpack_object *o,
		       msgpack_object *out);

static int look_leaf(struct look *l, const struct place *p, wire_str key, const msgpack_object *o, msgpack_object *out)
{
	wire_str value = {"", 0}, instead;
	char number[24];
	int r;

	if (o->type == MSGPACK_OBJECT_STR)
		value = (wire_str){o->via.str.ptr, o->via.str.size};
	else if (o->type == MSGPACK_OBJECT_BIN)
		value = (wire_str){o->via.bin.ptr, o->via.bin.size};
	else if (o->type == MSGPACK_OBJECT_POSITIVE_INTEGER)
		value = (wire_str){number, (uint32_t)snprintf(number, sizeof(number), "%" PRIu64, o->via.u64)};
	if ((r = look_pair(l, p, key, value, &instead)) == 1 && out != NULL)
		*out = (msgpack_object){.type = MSGPACK_OBJECT_STR, .via.str = {.ptr = instead.p, .size = instead.n}};
	return r;
}

static int look_map(struct look *l, const struct place *p, const msgpack_object *o, msgpack_object *out)
{
	uint32_t i, n = o->via.map.size;
	msgpack_object_kv *v = NULL;
	int r, some = 0;

	if (out != NULL && n > 0) {
		if ((v = msgpack_zone_malloc(l->zone, sizeof(*v) * n)) == NULL)
			return TR_ENOMEM;
		memcpy(v, o->via.map.ptr, sizeof(*v) * n);
	}
	for (i = 0; i < n; i++) {
		const msgpack_object_kv *kv = &o->via.map.ptr[i];
		wire_str key = {kv->key.via.str.ptr, kv->key.via.str.size}; /* wire_decode: keys are strings */

		if ((r = look_object(l, p, key, &kv->val, v == NULL ? NULL : &v[i].val)) < 0)
			return r;
		some |= r;
	}
	if (some && out != NULL) {
		*out = *o;
		out->via.map.ptr = v;
	}
	return some;
}

static int look_array(struct look *l, const struct place *p, wire_str key, const msgpack_object *o, msgpack_object *out)
{
	uint32_t i, n = o->via.array.size;
	msgpack_object *v = NULL;
	int r, some = 0;

	if (out != NULL && n > 0) {
		if ((v = msgpack_zone_malloc(l->zone, sizeof(*v) * n)) == NULL)
			return TR_ENOMEM;
		memcpy(v, o->via.array.ptr, sizeof(*v) * n);
	}
	for (i = 0; i < n; i++) {
		if ((r = look_object(l, p, key, &o->via.array.ptr[i], v == NULL ? NULL : &v[i])) < 0)
			return r;
		some |= r;
	}
	if (some && out != NULL) {
		*out = *o;
		out->via.array.ptr = v;
	}
	return some;
}

static int look_object(struct look *l, const struct place *p, wire_str key, const msgpack_object *o,
		       msgpack_object *out)
{
	const struct place inner = {p, key.p, key.n, false, 0};
	int r;

	switch (o->type) {
	case MSGPACK_OBJECT_MAP:
		if ((r = look_leaf(l, p, key, &(msgpack_object){.type = MSGPACK_OBJECT_NIL}, NULL)) < 0)
			return r;
		return look_map(l, &inner, o, out);
	case MSGPACK_OBJECT_ARRAY:
		return look_array(l, p, key, o, out);
	default:
		return look_leaf(l, p, key, o, out);
	}
}

/* The map of a field: looked at, and copied only when something is to be taken out of it. */
static int look_metadata(struct look *l, const struct place *p, wire_map *map)
{
	msgpack_object *copy;
	int r;

	if (*map == NULL || (*map)->type != MSGPACK_OBJECT_MAP || (r = look_map(l, p, *map, NULL)) == 0)
		return 0;
	if (r < 0)
		return r;
	if ((copy = msgpack_zone_malloc(l->zone, sizeof(*copy))) == NULL)
		return TR_ENOMEM;
	if ((r = look_map(l, p, *map, copy)) < 0)
		return r;
	*map = copy;
	return 1;
}

static int look_strs(struct look *l, const struct place *p, const char *name, wire_strs *strs)
{
	struct place inner = {p, NULL, 0, true, 0};
	wire_str *copy = NULL, instead;
	uint32_t i;
	int r;

	for (i = 0; i < strs->n; i++) {
		inner.index = i;
		if ((r = look_text(l, &inner, name, strs->v[i], WIRE_STRS_ITEM_MAX, &instead)) < 0)
			return r;
		if (r == 0)
			continue;
		if (copy == NULL) {
			if ((copy = msgpack_zone_malloc(l->zone, sizeof(*copy) * strs->n)) == NULL)
				return TR_ENOMEM;
			memcpy(copy, strs->v, sizeof(*copy) * strs->n);
		}
		copy[i] = instead;
	}
	if (copy == NULL)
		return 0;
	strs->v = copy;
	return 1;
}

static int look_struct(struct look *l, const struct place *p, const struct wire_shape *shape, const char *value,
		       char *copy, bool top);

/* 1: *list is another one now. */
static int look_list(struct look *l, const struct place *p, const struct wire_field *f, struct wire_list *list,
		     bool top)
{
	struct place inner = {p, NULL, 0, true, 0};
	size_t size = f->item->size;
	char *copy = NULL, *one = msgpack_zone_malloc(l->zone, size);
	uint32_t i;
	int r;

	if (one == NULL)
		return TR_ENOMEM;
	for (i = 0; i < list->n; i++) {
		const char *at = (const char *)list->v + size * i;

		inner.index = i;
		if (top)
			l->item = i;
		memcpy(one, at, size);
		if ((r = look_struct(l, &inner, f->item, at, one, false)) < 0)
			return r;
		if (r == 0)
			continue;
		if (copy == NULL) {
			if ((copy = msgpack_zone_malloc(l->zone, size * list->n)) == NULL)
				return TR_ENOMEM;
			memcpy(copy, list->v, size * list->n);
		}
		memcpy(copy + size * i, one, size);
	}
	l->item = top ? 0 : l->item;
	if (copy == NULL)
		return 0;
	list->v = copy;
	return 1;
}

static int look_field(struct look *l, const struct place *p, const struct wire_field *f, char *at, bool top)
{
	wire_str *s = (wire_str *)(void *)at, instead;
	int r;

	switch (f->type) {
	case WIRE_str:
	case WIRE_text:
		if (s->p == NULL || s->n == 0)
			return 0;
		if ((r = look_text(l, p, f->name, *s, f->max > 0 ? (size_t)f->max : WIRE_FRAME_MAX, &instead)) == 1)
			*s = instead;
		return r;
	case WIRE_strs:
		return look_strs(l, p, f->name, (wire_strs *)(void *)at);
	case WIRE_map:
		return look_metadata(l, p, (wire_map *)(void *)at);
	case WIRE_ITEM:
		return look_struct(l, p, f->item, at, at, false);
	case WIRE_LIST:
		return look_list(l, p, f, (struct wire_list *)(void *)at, top);
	default:
		return 0;
	}
}

/* 1: copy has something else than value now. */
static int look_struct(struct look *l, const struct place *p, const struct wire_shape *shape, const char *value,
		       char *copy, bool top)
{
	int r, some = 0;
	unsigned i;

	for (i = 0; i < shape->n; i++) {
		const struct wire_field *f = &shape->fields[i];
		const struct place inner = {p, f->name, (uint32_t)strlen(f->name), false, 0};

		if (!f->required && !*(const bool *)(value + f->offset + f->size))
			continue;
		if ((r = look_field(l, &inner, f, copy + f->offset, top)) < 0)
			return r;
		some |= r;
	}
	return some;
}

/* Memories or records that it brings; 1 for everything else. */
static uint32_t items_of(enum wire_msg_id id, const void *msg)
{
	uint32_t n = 1;

	if (id == MSG_memory_add)
		n = ((const struct msg_memory_add *)msg)->memories.n;
	else if (id == MSG_memory_restore)
		n = ((const struct msg_memory_restore *)msg)->records.n;
	return n == 0 ? 1 : n;
}

int guard_message(struct guard *g, enum wire_msg_id id, const void *msg, msgpack_zone *zone, struct guard_verdict *out,
		  struct tr_fault *fault)
{
	struct look l = {.g = g, .zone = zone, .out = out, .fault = fault};
	const struct wire_shape *shape = wire_methods[id].params;
	char *copy = msgpack_zone_malloc(zone, shape->size);
	int r;

	*out = (struct guard_verdict){.msg = msg, .n = items_of(id, msg)};
	l.secrets = g->policy.secrets == GUARD_ALLOW ? 0 : guard_classes_of(GUARD_SECRET);
	l.pii = g->policy.pii_off ? 0 : guard_classes_of(GUARD_PII);
	out->v = msgpack_zone_malloc(zone, sizeof(*out->v) * out->n);
	if (copy == NULL || out->v == NULL)
		return TR_ENOMEM;
	memset(out->v, 0, sizeof(*out->v) * out->n);
	memcpy(copy, msg, shape->size);
	if ((r = look_struct(&l, NULL, &wire_shape_common, msg, copy, false)) < 0 ||
	    (r = look_struct(&l, NULL, shape, msg, copy, true)) < 0)
		return r;
	if (r == 1)
		out->msg = copy;
	return 0;
}
