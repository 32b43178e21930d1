/* One received frame: its head by hand, its body by msgpack-c once the walker has said where it ends. */
#include "common/base/text.h"
#include "proto/wire/rule.h"

/* The elements of a message: where each begins; start[n] is the end of the frame. */
struct elements {
	unsigned n;
	size_t start[5];
};

static int find_elements(const char *p, size_t n, struct elements *out)
{
	struct elements e = {.n = 0};
	int64_t len = wire_frame_length(p, n, n);

	if (len < 0 || (size_t)len != n || n < 2)
		return TR_EPROTO;
	/* The head in its short form only, which is the one every MessagePack library writes. */
	if ((unsigned char)p[0] != 0x93 && (unsigned char)p[0] != 0x94)
		return TR_EPROTO;
	e.n = (unsigned char)p[0] & 0x0fu;
	e.start[0] = 1;
	for (unsigned i = 0; i < e.n; i++) {
		len = wire_frame_length(p + e.start[i], n - e.start[i], n - e.start[i]);
		if (len <= 0)
			return TR_EPROTO;
		e.start[i + 1] = e.start[i] + (size_t)len;
	}
	*out = e;
	return 0;
}

/* Object number i in the zone; *out NULL when it is nil. */
static int unpack(const char *p, const struct elements *e, unsigned i, msgpack_zone *zone, const msgpack_object **out)
{
	msgpack_object *o = msgpack_zone_malloc(zone, sizeof(*o));
	size_t offset = 0;
	msgpack_unpack_return r;

	if (o == NULL)
		return TR_ENOMEM;
	r = msgpack_unpack(p + e->start[i], e->start[i + 1] - e->start[i], &offset, zone, o);
	if (r != MSGPACK_UNPACK_SUCCESS)
		return r == MSGPACK_UNPACK_NOMEM_ERROR ? TR_ENOMEM : TR_EPROTO;
	*out = o->type == MSGPACK_OBJECT_NIL ? NULL : o;
	return 0;
}

static int unpack_u32(const char *p, const struct elements *e, unsigned i, msgpack_zone *zone, uint32_t max,
		      uint32_t *out)
{
	const msgpack_object *o = NULL;
	int r = unpack(p, e, i, zone, &o);

	if (r < 0)
		return r;
	if (o == NULL || o->type != MSGPACK_OBJECT_POSITIVE_INTEGER || o->via.u64 > max)
		return TR_EPROTO;
	*out = (uint32_t)o->via.u64;
	return 0;
}

static int parse_response(struct wire_in *in, const char *p, const struct elements *e)
{
	int r = unpack(p, e, 2, in->zone, &in->error);

	in->body_bytes = (uint32_t)(e->start[4] - e->start[3]);
	return r < 0 ? r : unpack(p, e, 3, in->zone, &in->body);
}

static int parse_call(struct wire_in *in, const char *p, const struct elements *e)
{
	const msgpack_object *o = NULL;
	unsigned last = e->n - 1;
	int r = unpack(p, e, last - 1, in->zone, &o);

	if (r < 0)
		return r;
	if (o == NULL || o->type != MSGPACK_OBJECT_STR || !tr_utf8_ok(o->via.str.ptr, o->via.str.size, NULL))
		return TR_EPROTO;
	in->method = (wire_str){o->via.str.ptr, o->via.str.size};
	in->id = wire_method_find(in->method.p, in->method.n);
	in->body_bytes = (uint32_t)(e->start[last + 1] - e->start[last]);
	/* Unpacking takes up to 24 times the bytes, so nobody gets it who may not send so much. */
	if (in->id < 0 || in->body_bytes > wire_methods[in->id].cap)
		return 0;
	return unpack(p, e, last, in->zone, &in->body);
}

int wire_parse(struct wire_in *out, const char *p, size_t n)
{
	struct wire_in in = {.id = -1};
	struct elements e;
	uint32_t kind;
	int r;

	if (n > UINT32_MAX || find_elements(p, n, &e) < 0)
		return TR_EPROTO;
	in.zone = msgpack_zone_new(4096);
	if (in.zone == NULL)
		return TR_ENOMEM;
	r = unpack_u32(p, &e, 0, in.zone, WIRE_NOTE, &kind);
	if (r < 0)
		goto out;
	in.kind = (enum wire_kind)kind;
	r = TR_EPROTO;
	if (e.n != (in.kind == WIRE_NOTE ? 3u : 4u))
		goto out;
	if (in.kind != WIRE_NOTE && (r = unpack_u32(p, &e, 1, in.zone, UINT32_MAX, &in.msgid)) < 0)
		goto out;
	r = in.kind == WIRE_RESPONSE ? parse_response(&in, p, &e) : parse_call(&in, p, &e);
out:
	if (r < 0)
		wire_in_free(&in);
	else
		*out = in;
	return r;
}

void wire_in_free(struct wire_in *in)
{
	if (in == NULL || in->zone == NULL)
		return;
	msgpack_zone_free(in->zone);
	*in = (struct wire_in){.id = -1};
}

int wire_check(const struct wire_in *in, unsigned caller, struct tr_fault *fault)
{
	const struct wire_method *m;

	/* A response has no id, so one that comes where calls are expected ends here too. */
	if (in->id < 0 || in->kind != wire_methods[in->id].kind)
		return tr_fault_set(fault, TR_EMETHOD, "", "%s", tr_strerror(TR_EMETHOD));
	m = &wire_methods[in->id];
	if (!(m->callers & caller))
		return tr_fault_set(fault, TR_EREFUSED, "", "this caller may not use %s", m->method);
	if (in->body_bytes > m->cap)
		return tr_fault_set(fault, TR_ETOOBIG, "", "params of %s must be at most %u bytes", m->method, m->cap);
	return 0;
}

/* A string entry of a map, cut at a whole character to fit; out stays as it is when there is none. */
static void copy_entry(const msgpack_object_map *map, const char *key, char *out, size_t size)
{
	for (uint32_t i = 0; i < map->size; i++) {
		const msgpack_object *k = &map->ptr[i].key, *v = &map->ptr[i].val;

		if (k->type == MSGPACK_OBJECT_STR && k->via.str.size == strlen(key) &&
		    memcmp(k->via.str.ptr, key, k->via.str.size) == 0) {
			if (v->type == MSGPACK_OBJECT_STR)
				wire_copy_text(out, size, v->via.str.ptr, v->via.str.size);
			return;
		}
	}
}

void wire_decode_error(const struct wire_in *in, struct tr_fault *fault)
{
	char code[32] = "", field[sizeof(fault->field)] = "", rule[sizeof(fault->rule)] = "";
	int r = TR_EINTERNAL;

	if (in->error != NULL && in->error->type == MSGPACK_OBJECT_MAP) {
		copy_entry(&in->error->via.map, "code", code, sizeof(code));
		copy_entry(&in->error->via.map, "field", field, sizeof(field));
		copy_entry(&in->error->via.map, "message", rule, sizeof(rule));
		r = tr_err_code(code, (unsigned)strlen(code));
	} else if (in->error != NULL && in->error->type == MSGPACK_OBJECT_STR) {
		wire_copy_text(rule, sizeof(rule), in->error->via.str.ptr, in->error->via.str.size);
	}
	tr_fault_set(fault, r, field, "%s", rule[0] != '\0' ? rule : tr_strerror(r));
}
