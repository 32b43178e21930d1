/* Structs -> MessagePack, by shape. A failed write leaves the buffer as it was. */
#include "proto/wire/rule.h"

/* Where the packer writes: the buffer, and how far it may grow. */
struct sink {
	msgpack_sbuffer *sb;
	size_t limit;
	int failed;
};

static int sink_write(void *arg, const char *p, size_t n)
{
	struct sink *s = arg;

	if (s->failed == 0 && n > s->limit - s->sb->size)
		s->failed = TR_ETOOBIG;
	if (s->failed == 0 && n > 0 && msgpack_sbuffer_write(s->sb, p, n) != 0)
		s->failed = TR_ENOMEM;
	return s->failed == 0 ? 0 : -1;
}

static void pack_str(msgpack_packer *pk, const char *p, size_t n)
{
	msgpack_pack_str(pk, n);
	msgpack_pack_str_body(pk, p, n);
}

static void pack_cstr(msgpack_packer *pk, const char *s)
{
	pack_str(pk, s, strlen(s));
}

static void pack_shape(msgpack_packer *pk, const struct wire_shape *shape, const void *value);

static void pack_list(msgpack_packer *pk, const struct wire_field *f, const void *slot)
{
	const struct sink *sink = pk->data;
	struct wire_list list;

	memcpy(&list, slot, sizeof(list));
	msgpack_pack_array(pk, list.n);
	for (uint32_t i = 0; i < list.n && sink->failed == 0; i++)
		pack_shape(pk, f->item, (const char *)list.v + i * f->item->size);
}

static void pack_strs(msgpack_packer *pk, const void *slot)
{
	wire_strs list;

	memcpy(&list, slot, sizeof(list));
	msgpack_pack_array(pk, list.n);
	for (uint32_t i = 0; i < list.n; i++)
		pack_str(pk, list.v[i].p, list.v[i].n);
}

static void pack_number(msgpack_packer *pk, enum wire_type type, const void *slot)
{
	uint32_t u32;
	uint64_t u64;
	int64_t i64;
	double real;

	switch (type) {
	case WIRE_u32:
		memcpy(&u32, slot, sizeof(u32));
		msgpack_pack_uint32(pk, u32);
		break;
	case WIRE_u64:
		memcpy(&u64, slot, sizeof(u64));
		msgpack_pack_uint64(pk, u64);
		break;
	case WIRE_f64:
		memcpy(&real, slot, sizeof(real));
		msgpack_pack_double(pk, real);
		break;
	default: /* i64, time */
		memcpy(&i64, slot, sizeof(i64));
		msgpack_pack_int64(pk, i64);
		break;
	}
}

static void pack_field(msgpack_packer *pk, const struct wire_field *f, const void *slot)
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
		pack_number(pk, f->type, slot);
		break;
	case WIRE_flag:
		memcpy(&flag, slot, sizeof(flag));
		(void)(flag ? msgpack_pack_true(pk) : msgpack_pack_false(pk));
		break;
	case WIRE_str:
	case WIRE_text:
		memcpy(&s, slot, sizeof(s));
		pack_str(pk, s.p, s.n);
		break;
	case WIRE_bin:
		memcpy(&s, slot, sizeof(s));
		msgpack_pack_bin(pk, s.n);
		msgpack_pack_bin_body(pk, s.p, s.n);
		break;
	case WIRE_strs:
		pack_strs(pk, slot);
		break;
	case WIRE_map:
		memcpy(&map, slot, sizeof(map));
		(void)(map == NULL ? msgpack_pack_map(pk, 0) : msgpack_pack_object(pk, *map));
		break;
	case WIRE_ITEM:
		pack_shape(pk, f->item, slot);
		break;
	case WIRE_LIST:
		pack_list(pk, f, slot);
		break;
	}
}

static unsigned count_fields(const struct wire_shape *shape, const void *value)
{
	unsigned n = 0;

	for (unsigned i = 0; i < shape->n; i++)
		n += wire_is_there(&shape->fields[i], value);
	return n;
}

static void pack_fields(msgpack_packer *pk, const struct wire_shape *shape, const void *value)
{
	for (unsigned i = 0; i < shape->n; i++) {
		const struct wire_field *f = &shape->fields[i];

		if (!wire_is_there(f, value))
			continue;
		pack_cstr(pk, f->name);
		pack_field(pk, f, (const char *)value + f->offset);
	}
}

static void pack_shape(msgpack_packer *pk, const struct wire_shape *shape, const void *value)
{
	msgpack_pack_map(pk, count_fields(shape, value));
	pack_fields(pk, shape, value);
}

/* One message being written: begin, pack, end. end undoes everything when anything went wrong, or when a reader's
 * walker would refuse the whole frame, for that would cost the connection instead of one call. */
struct frame {
	struct sink sink;
	msgpack_packer pk;
	size_t start, body;
};

static void begin(struct frame *fr, msgpack_sbuffer *sb)
{
	fr->sink = (struct sink){sb, sb->size + WIRE_FRAME_MAX, 0};
	fr->start = fr->body = sb->size;
	msgpack_packer_init(&fr->pk, &fr->sink, sink_write);
}

static int end(struct frame *fr, size_t body_cap)
{
	msgpack_sbuffer *sb = fr->sink.sb;
	size_t n = sb->size - fr->start;
	int r = fr->sink.failed;

	if (r == 0 && sb->size - fr->body > body_cap)
		r = TR_ETOOBIG;
	if (r == 0 && wire_frame_length(sb->data + fr->start, n, WIRE_FRAME_MAX) != (int64_t)n)
		r = TR_ETOOBIG;
	if (r < 0)
		sb->size = fr->start;
	return r;
}

int wire_pack_request(msgpack_sbuffer *sb, uint32_t msgid, enum wire_msg_id id, const void *msg)
{
	const struct wire_method *m = &wire_methods[id];
	struct frame fr;

	begin(&fr, sb);
	msgpack_pack_array(&fr.pk, 4);
	msgpack_pack_uint8(&fr.pk, WIRE_REQUEST);
	msgpack_pack_uint32(&fr.pk, msgid);
	pack_cstr(&fr.pk, m->method);
	fr.body = sb->size;
	/* Every struct msg_* begins with its wire_common. */
	msgpack_pack_map(&fr.pk, count_fields(&wire_shape_common, msg) + count_fields(m->params, msg));
	pack_fields(&fr.pk, &wire_shape_common, msg);
	pack_fields(&fr.pk, m->params, msg);
	return end(&fr, m->cap);
}

int wire_pack_note(msgpack_sbuffer *sb, enum wire_msg_id id, const void *msg)
{
	const struct wire_method *m = &wire_methods[id];
	struct frame fr;

	begin(&fr, sb);
	msgpack_pack_array(&fr.pk, 3);
	msgpack_pack_uint8(&fr.pk, WIRE_NOTE);
	pack_cstr(&fr.pk, m->method);
	fr.body = sb->size;
	pack_shape(&fr.pk, m->params, msg);
	return end(&fr, m->cap);
}

int wire_pack_result(msgpack_sbuffer *sb, uint32_t msgid, enum wire_msg_id id, const void *res)
{
	struct frame fr;

	begin(&fr, sb);
	msgpack_pack_array(&fr.pk, 4);
	msgpack_pack_uint8(&fr.pk, WIRE_RESPONSE);
	msgpack_pack_uint32(&fr.pk, msgid);
	msgpack_pack_nil(&fr.pk);
	pack_shape(&fr.pk, wire_methods[id].result, res);
	return end(&fr, WIRE_FRAME_MAX);
}

int wire_pack_error(msgpack_sbuffer *sb, uint32_t msgid, const struct tr_fault *fault)
{
	struct frame fr;

	begin(&fr, sb);
	msgpack_pack_array(&fr.pk, 4);
	msgpack_pack_uint8(&fr.pk, WIRE_RESPONSE);
	msgpack_pack_uint32(&fr.pk, msgid);
	msgpack_pack_map(&fr.pk, fault->field[0] != '\0' ? 3 : 2);
	pack_cstr(&fr.pk, "code");
	pack_cstr(&fr.pk, tr_err_name(fault->code));
	pack_cstr(&fr.pk, "message");
	pack_cstr(&fr.pk, fault->rule[0] != '\0' ? fault->rule : tr_strerror(fault->code));
	if (fault->field[0] != '\0') {
		pack_cstr(&fr.pk, "field");
		pack_cstr(&fr.pk, fault->field);
	}
	msgpack_pack_nil(&fr.pk);
	return end(&fr, WIRE_FRAME_MAX);
}

int wire_encode(msgpack_sbuffer *sb, const struct wire_shape *shape, const void *value)
{
	struct frame fr;

	begin(&fr, sb);
	pack_shape(&fr.pk, shape, value);
	return end(&fr, WIRE_FRAME_MAX);
}
