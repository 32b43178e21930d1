/* proto/wire, whole frames: the walker, parsing, who may say what and how much, errors, and bytes that are wrong in
 * every way. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include "common/base/clock.h"
#include "proto/wire/doc/sample.h"
#include "proto/wire/rule.h"
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

/* ---- helpers ---- */

/* Bytes that end where readable memory ends: reading one too many is a SIGSEGV. */
struct edge {
	char *map;
	size_t size;
};

static void open_edge(struct edge *e, size_t max)
{
	size_t page = (size_t)sysconf(_SC_PAGESIZE);

	e->size = (max + page - 1) / page * page;
	e->map = mmap(NULL, e->size + page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	assert_true(e->map != MAP_FAILED);
	assert_int_equal(mprotect(e->map + e->size, page, PROT_NONE), 0);
}

static void close_edge(struct edge *e)
{
	munmap(e->map, e->size + (size_t)sysconf(_SC_PAGESIZE));
}

static char *at_edge(struct edge *e, const char *p, size_t n)
{
	assert_true(n <= e->size);
	if (n > 0)
		memcpy(e->map + e->size - n, p, n);
	return e->map + e->size - n;
}

/* A valid request or note for each message, and for requests a result, in turns. */
static void pack_sample(msgpack_sbuffer *sb, int id, uint64_t seed, bool result)
{
	const struct wire_method *m = &wire_methods[id];
	struct sample s = {.state = seed, .zone = msgpack_zone_new(8192), .full = seed % 2 == 0};
	const struct wire_shape *shape = result && m->result != NULL ? m->result : m->params;
	void *value = malloc(shape->size);
	int r;

	assert_non_null(s.zone);
	assert_non_null(value);
	sample_fill(&s, shape, value);
	if (shape == m->result) {
		r = wire_pack_result(sb, (uint32_t)seed, (enum wire_msg_id)id, value);
	} else if (m->kind == WIRE_NOTE) {
		r = wire_pack_note(sb, (enum wire_msg_id)id, value);
	} else {
		sample_fill(&s, &wire_shape_common, value);
		r = wire_pack_request(sb, (uint32_t)seed, (enum wire_msg_id)id, value);
	}
	assert_int_equal(r, 0);
	free(value);
	msgpack_zone_free(s.zone);
}

/* Everything a reader does with bytes it does not trust. */
static void read_all(const char *p, size_t n)
{
	int64_t len = wire_frame_length(p, n, WIRE_FRAME_MAX);
	struct wire_in in;
	struct tr_fault fault;
	void *value;

	assert_true(len <= (int64_t)n);
	if (len <= 0 || wire_parse(&in, p, (size_t)len) < 0)
		return;
	value = malloc(sizeof(struct res_status) + sizeof(struct msg_memory_recall) + 4096);
	assert_non_null(value);
	if (in.kind == WIRE_RESPONSE) {
		wire_decode_error(&in, &fault);
		assert_true(fault.code < 0);
		for (int id = 0; id < WIRE_NMSGS; id++)
			if (wire_methods[id].result != NULL)
				wire_decode_result(&in, (enum wire_msg_id)id, value, &fault);
	} else {
		wire_check(&in, FROM_USER, &fault);
		if (wire_decode_params(&in, value, &fault) == 0)
			assert_int_equal(wire_validate(wire_methods[in.id].params, value, &fault), 0);
	}
	free(value);
	wire_in_free(&in);
}

/* ---- the walker ---- */

static void walker_truncation(void **state)
{
	struct edge e;

	(void)state;
	open_edge(&e, 65536);
	for (int id = 0; id < 2 * WIRE_NMSGS; id++) {
		msgpack_sbuffer sb;
		struct wire_walk w = {0};

		msgpack_sbuffer_init(&sb);
		pack_sample(&sb, id % WIRE_NMSGS, 2, id >= WIRE_NMSGS);
		for (size_t n = 0; n < sb.size; n++) {
			const char *p = at_edge(&e, sb.data, n);
			struct wire_in in;

			assert_int_equal(wire_frame_length(p, n, WIRE_FRAME_MAX), 0);
			assert_int_equal(wire_walk(&w, p, n, WIRE_FRAME_MAX), 0);
			assert_int_equal(wire_frame_length(p, n, sb.size), 0);
			assert_int_equal(wire_parse(&in, p, n), TR_EPROTO);
		}
		assert_int_equal(wire_walk(&w, at_edge(&e, sb.data, sb.size), sb.size, WIRE_FRAME_MAX),
				 (int64_t)sb.size);
		/* what follows is the next frame's business */
		assert_int_equal(msgpack_sbuffer_write(&sb, "\xc1\xc1", 2), 0);
		assert_int_equal(wire_frame_length(sb.data, sb.size, WIRE_FRAME_MAX), (int64_t)sb.size - 2);
		/* one byte less than it needs is known to be too little at the latest at the end */
		assert_int_equal(wire_frame_length(sb.data, sb.size, sb.size - 3), TR_ETOOBIG);
		msgpack_sbuffer_destroy(&sb);
	}
	close_edge(&e);
}

/* Each first byte there is, with its length bytes at their smallest, against the sizes of the specification. */
static void walker_every_head(void **state)
{
	static const unsigned sizes[32] = {1, 0, 1, 1, 2, 3, 5, 3,  4,  6, 5, 9, 2, 3, 5, 9,
					   2, 3, 5, 9, 3, 4, 6, 10, 18, 2, 3, 5, 3, 5, 3, 5};
	struct edge e;

	(void)state;
	open_edge(&e, 256);
	for (unsigned c = 0; c < 256; c++) {
		char bytes[64] = {(char)c};
		unsigned want = c < 0x80 || c >= 0xe0 ? 1
				: c < 0x90            ? 1 + 2 * (c & 15)
				: c < 0xa0            ? 1 + (c & 15)
				: c < 0xc0            ? 1 + (c & 31)
						      : sizes[c - 0xc0];

		if (want == 0) {
			assert_int_equal(wire_frame_length(at_edge(&e, bytes, 1), 1, 64), TR_EPROTO);
			continue;
		}
		assert_int_equal(wire_frame_length(bytes, sizeof(bytes), 64), want);
		for (unsigned n = 0; n < want; n++)
			assert_int_equal(wire_frame_length(at_edge(&e, bytes, n), n, want), 0);
		assert_int_equal(wire_frame_length(at_edge(&e, bytes, want), want, want), want);
		if (want > 1)
			assert_int_equal(wire_frame_length(bytes, sizeof(bytes), want - 1), TR_ETOOBIG);
	}
	close_edge(&e);
}

/* What is announced beyond the limits is refused from the announcement alone. */
static void walker_limits(void **state)
{
	static const struct {
		const char *p;
		size_t n;
	} huge[] = {
		{"\xdd\xff\xff\xff\xff", 5}, /* array of 4 billion */
		{"\xdf\xff\xff\xff\xff", 5}, /* map of 4 billion */
		{"\xdb\xff\xff\xff\xff", 5}, /* string of 4 GB */
		{"\xc6\x01\x00\x00\x00", 5}, /* bin of 16 MiB */
		{"\xc9\xff\xff\xff\xff", 5}, /* ext of 4 GB */
		{"\x94\x00\x01\xdd\x00\xff\xff\xff", 8},
		{"\x94\x00\x01\xdb\x00\xff\xff\xff", 8},
		{"\xdd\x00\x1e\x84\x81", 5}, /* 2,000,001 objects and itself */
	};
	char nest[WIRE_DEPTH_MAX + 1];
	struct edge e;

	(void)state;
	open_edge(&e, 64);
	for (size_t i = 0; i < sizeof(huge) / sizeof(huge[0]); i++)
		assert_int_equal(wire_frame_length(at_edge(&e, huge[i].p, huge[i].n), huge[i].n, WIRE_FRAME_MAX),
				 TR_ETOOBIG);
	memset(nest, '\x91', sizeof(nest));
	assert_int_equal(wire_frame_length(at_edge(&e, nest, WIRE_DEPTH_MAX), WIRE_DEPTH_MAX, 1000), 0);
	assert_int_equal(wire_frame_length(at_edge(&e, nest, sizeof(nest)), sizeof(nest), 1000), TR_ETOOBIG);
	nest[WIRE_DEPTH_MAX] = 0;
	assert_int_equal(wire_frame_length(nest, sizeof(nest), 1000), (int64_t)sizeof(nest));
	/* siblings are not nesting */
	assert_int_equal(wire_frame_length("\x93\x91\x90\x80\x92\x90\x90", 7, 7), 7);
	assert_int_equal(wire_frame_length(NULL, 0, 0), TR_ETOOBIG);
	assert_int_equal(wire_frame_length(NULL, 0, 1), 0);
	close_edge(&e);
}

/* ---- parsing and the rules of calls ---- */

static void parse_every_message(void **state)
{
	(void)state;
	for (int id = 0; id < WIRE_NMSGS; id++) {
		const struct wire_method *m = &wire_methods[id];
		struct tr_fault fault;
		struct wire_in in;
		msgpack_sbuffer sb;

		msgpack_sbuffer_init(&sb);
		pack_sample(&sb, id, 4, false);
		assert_int_equal(wire_parse(&in, sb.data, sb.size), 0);
		assert_int_equal(in.kind, m->kind);
		assert_int_equal(in.id, id);
		if (m->kind == WIRE_REQUEST)
			assert_int_equal(in.msgid, 4);
		assert_memory_equal(in.method.p, m->method, in.method.n);
		for (unsigned bit = 0; bit < 10; bit++)
			assert_int_equal(wire_check(&in, 1u << bit, &fault), m->callers & 1u << bit ? 0 : TR_EREFUSED);
		assert_int_equal(wire_check(&in, 0, &fault), TR_EREFUSED);
		wire_in_free(&in);
		wire_in_free(&in);
		msgpack_sbuffer_destroy(&sb);
	}
	wire_in_free(NULL);
}

static void common_fields(void **state)
{
	struct msg_memory_get msg = {.common = {.request_id = wire_s("r-1"), .has_request_id = true},
				     .id = wire_s("m")},
			      back;
	struct tr_fault fault;
	struct wire_in in;
	msgpack_sbuffer sb;

	(void)state;
	msgpack_sbuffer_init(&sb);
	assert_int_equal(wire_pack_request(&sb, UINT32_MAX, MSG_memory_get, &msg), 0);
	assert_int_equal(wire_parse(&in, sb.data, sb.size), 0);
	assert_true(in.msgid == UINT32_MAX);
	assert_int_equal(wire_decode_params(&in, &back, &fault), 0);
	assert_true(back.common.has_request_id && !back.common.has_deadline_ms);
	assert_memory_equal(back.common.request_id.p, "r-1", back.common.request_id.n);
	assert_int_equal(back.id.n, 1);
	wire_in_free(&in);
	sb.size = 0;
	msg.common.request_id = wire_s("");
	assert_int_equal(wire_pack_request(&sb, 1, MSG_memory_get, &msg), 0);
	assert_int_equal(wire_parse(&in, sb.data, sb.size), 0);
	assert_int_equal(wire_decode_params(&in, &back, &fault), TR_EINVAL);
	assert_string_equal(fault.field, "request_id");
	assert_string_equal(fault.rule, "must be 1 to 128 bytes");
	wire_in_free(&in);
	msgpack_sbuffer_destroy(&sb);
}

/* Params as long as the cap pass, one byte more does not, and is not even unpacked. */
static void over_cap(void **state)
{
	const uint32_t cap = wire_methods[MSG_ping].cap;

	(void)state;
	for (uint32_t over = 0; over <= 1; over++) {
		struct msg_ping msg;
		struct tr_fault fault;
		struct wire_in in;
		msgpack_sbuffer sb;
		msgpack_packer pk;
		uint32_t n = cap + over - 1 - 2 - 3; /* {"x": str16} */
		char *text = calloc(1, n);

		assert_non_null(text);
		msgpack_sbuffer_init(&sb);
		msgpack_packer_init(&pk, &sb, msgpack_sbuffer_write);
		msgpack_pack_array(&pk, 4);
		msgpack_pack_int(&pk, 0);
		msgpack_pack_int(&pk, 1);
		msgpack_pack_str_with_body(&pk, "jr.ping", 7);
		msgpack_pack_map(&pk, 1);
		msgpack_pack_str_with_body(&pk, "x", 1);
		msgpack_pack_str_with_body(&pk, text, n);
		assert_int_equal(wire_parse(&in, sb.data, sb.size), 0);
		assert_int_equal(in.body_bytes, cap + over);
		assert_int_equal(in.body == NULL, over == 1);
		assert_int_equal(wire_check(&in, FROM_USER, &fault), over ? TR_ETOOBIG : 0);
		assert_int_equal(wire_decode_params(&in, &msg, &fault), over ? TR_ETOOBIG : 0);
		wire_in_free(&in);
		msgpack_sbuffer_destroy(&sb);
		free(text);
	}
}

static void pack_limits(void **state)
{
	static char big[WIRE_CONTENT_MAX];
	struct item_new_memory *v = calloc(3000, sizeof(*v));
	struct msg_memory_add add = {.memories = {v, 3000}};
	struct msg_memory_get get = {.id = {big, sizeof(big)}};
	msgpack_sbuffer sb;

	(void)state;
	assert_non_null(v);
	msgpack_sbuffer_init(&sb);
	assert_int_equal(msgpack_sbuffer_write(&sb, "before", 6), 0);
	memset(big, 'x', sizeof(big));
	for (int i = 0; i < 3000; i++)
		v[i].content = (wire_str){big, sizeof(big)};
	assert_int_equal(wire_pack_request(&sb, 1, MSG_memory_add, &add), TR_ETOOBIG);
	assert_int_equal(sb.size, 6);
	assert_true(sb.alloc <= 4 * (size_t)WIRE_FRAME_MAX); /* it stopped at the limit, not at the end */
	assert_int_equal(wire_pack_request(&sb, 1, MSG_memory_get, &get), TR_ETOOBIG); /* over its own cap */
	assert_int_equal(sb.size, 6);
	assert_int_equal(wire_encode(&sb, wire_methods[MSG_memory_add].params, &add), TR_ETOOBIG);
	add.memories.n = 240;
	assert_int_equal(wire_pack_request(&sb, 1, MSG_memory_add, &add), 0);
	assert_int_equal(wire_frame_length(sb.data + 6, sb.size - 6, WIRE_FRAME_MAX), (int64_t)sb.size - 6);
	msgpack_sbuffer_destroy(&sb);
	free(v);
}

/* The cap of a message holds the largest valid params, where those are bounded by their fields alone. */
static void caps_hold_the_largest(void **state)
{
	unsigned judged = 0;

	(void)state;
	for (int id = 0; id < WIRE_NMSGS; id++) {
		const struct wire_shape *shapes[2] = {wire_methods[id].params, &wire_shape_common};
		double most = 3;
		bool bounded = true;

		for (int k = 0; k < (wire_methods[id].kind == WIRE_REQUEST ? 2 : 1); k++) {
			for (unsigned i = 0; i < shapes[k]->n; i++) {
				const struct wire_field *f = &shapes[k]->fields[i];
				bool text = f->type == WIRE_text;

				bounded &= f->type < WIRE_strs;
				most += 1 + (double)strlen(f->name) +
					(f->type == WIRE_flag  ? 1
					 : f->type == WIRE_u32 ? 5
							       : 9);
				if (f->type == WIRE_str || text || f->type == WIRE_bin)
					most += f->max * (text ? 4 : 1) - 6; /* 3 bytes of head */
			}
		}
		if (bounded && most > wire_methods[id].cap)
			print_error("%s: cap %u, largest params %.0f\n", wire_methods[id].method, wire_methods[id].cap,
				    most);
		assert_true(!bounded || most <= wire_methods[id].cap);
		judged += bounded;
	}
	assert_true(judged > 10);
}

static void malformed(void **state)
{
	static const struct {
		const char *p;
		size_t n;
	} bad[] = {
		{"", 0},
		{"\x80", 1},                                   /* not an array */
		{"\x90", 1},                                   /* empty */
		{"\x94\x03\x01\xa1x\x80", 6},                  /* no such kind */
		{"\x93\x00\xa1x\x80", 5},                      /* request without msgid */
		{"\x94\x02\x01\xa1x\x80", 6},                  /* note with msgid */
		{"\x94\xc0\x01\xa1x\x80", 6},                  /* kind nil */
		{"\x94\x00\xff\xa1x\x80", 6},                  /* msgid -1 */
		{"\x94\x00\xa1x\xa1x\x80", 7},                 /* msgid a string */
		{"\x94\x00\xcf\0\0\0\1\0\0\0\0\xa1x\x80", 14}, /* msgid over 32 bits */
		{"\x94\x00\x01\x05\x80", 5},                   /* method a number */
		{"\x94\x00\x01\xc4\x01x\x80", 7},              /* method bin */
		{"\x94\x00\x01\xa1\xff\x80", 6},               /* method not UTF-8 */
		{"\x94\x00\x01\xa1x\x80\x00", 7},              /* something behind it */
		{"\x94\x00\x01\xa1x\xc1", 6},                  /* the byte MessagePack never uses */
		{"\xdc\x00\x04\x00\x01\xa1x\x80", 8},          /* a head in long form */
		{"\x95\x00\x01\xa1x\x80\x80", 7},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		struct wire_in in = {.id = 77};

		assert_int_equal(wire_parse(&in, bad[i].p, bad[i].n), TR_EPROTO);
		assert_int_equal(in.id, 77);
	}
}

static void unknown_and_wrong_kind(void **state)
{
	struct wire_in in;
	struct tr_fault fault;
	struct msg_ping msg;

	(void)state;
	assert_int_equal(wire_parse(&in, "\x94\x00\x07\xa4what\x81\xa1k\x01", 12), 0);
	assert_int_equal(in.id, -1);
	assert_int_equal(in.msgid, 7);
	assert_memory_equal(in.method.p, "what", 4);
	assert_int_equal(wire_check(&in, FROM_USER, &fault), TR_EMETHOD);
	assert_int_equal(wire_decode_params(&in, &msg, &fault), TR_EMETHOD);
	wire_in_free(&in);
	/* a notification may not come as a request, nor the other way round */
	assert_int_equal(wire_parse(&in, "\x94\x00\x07\xa8jr.drain\x80", 13), 0);
	assert_int_equal(wire_check(&in, FROM_SUPERVISOR, &fault), TR_EMETHOD);
	wire_in_free(&in);
	/* nor a response where calls are expected */
	assert_int_equal(wire_parse(&in, "\x94\x01\x07\xc0\x80", 5), 0);
	assert_int_equal(wire_check(&in, FROM_USER, &fault), TR_EMETHOD);
	assert_int_equal(wire_decode_params(&in, &msg, &fault), TR_EMETHOD);
	wire_in_free(&in);
	/* nil and an empty map are the same; an array is not */
	assert_int_equal(wire_parse(&in, "\x94\x00\x07\xa7jr.ping\xc0", 12), 0);
	assert_null(in.body);
	assert_int_equal(wire_decode_params(&in, &msg, &fault), 0);
	wire_in_free(&in);
	assert_int_equal(wire_parse(&in, "\x94\x00\x07\xa7jr.ping\x90", 12), 0);
	assert_int_equal(wire_decode_params(&in, &msg, &fault), TR_EINVAL);
	assert_string_equal(fault.rule, "must be an object");
	assert_string_equal(fault.field, "");
	wire_in_free(&in);
}

/* ---- errors ---- */

static void errors(void **state)
{
	static const int codes[] = {
#define X(name, code, wire, text) code,
		TR_ERRORS(X)
#undef X
	};

	(void)state;
	for (size_t i = 0; i < sizeof(codes) / sizeof(codes[0]); i++) {
		struct tr_fault sent = {.code = codes[i], .field = "a.b[1]", .rule = "must be \"é\""}, got;
		struct wire_in in;
		msgpack_sbuffer sb;

		if (i % 2 == 1)
			sent.field[0] = '\0';
		msgpack_sbuffer_init(&sb);
		assert_int_equal(wire_pack_error(&sb, 9, &sent), 0);
		assert_int_equal(wire_parse(&in, sb.data, sb.size), 0);
		assert_int_equal(in.kind, WIRE_RESPONSE);
		assert_int_equal(in.msgid, 9);
		assert_non_null(in.error);
		wire_decode_error(&in, &got);
		assert_int_equal(got.code, sent.code);
		assert_string_equal(got.field, sent.field);
		assert_string_equal(got.rule, sent.rule);
		wire_in_free(&in);
		msgpack_sbuffer_destroy(&sb);
	}
}

static void strange_errors(void **state)
{
	static const struct {
		const char *p;
		size_t n;
		const char *rule;
	} odd[] = {
		{"\x94\x01\x01\x05\xc0", 5, NULL},
		{"\x94\x01\x01\xa3"
		 "no!\xc0",
		 8, "no!"},
		{"\x94\x01\x01\xa3"
		 "a\x01\xff\xc0",
		 8, "a??"},
		{"\x94\x01\x01\x81\xa4"
		 "code\x05\xc0",
		 11, NULL},
		{"\x94\x01\x01\x81\x05\x05\xc0", 7, NULL},
		{"\x94\x01\x01\x90\xc0", 5, NULL},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(odd) / sizeof(odd[0]); i++) {
		struct wire_in in;
		struct tr_fault fault;

		assert_int_equal(wire_parse(&in, odd[i].p, odd[i].n), 0);
		wire_decode_error(&in, &fault);
		assert_int_equal(fault.code, TR_EINTERNAL);
		assert_string_equal(fault.rule, odd[i].rule != NULL ? odd[i].rule : tr_strerror(TR_EINTERNAL));
		wire_in_free(&in);
	}
}

/* ---- bytes that went wrong ---- */

static void mutations(void **state)
{
	const char *wanted = getenv("TRIBE_ROUNDS");
	uint64_t rounds = wanted != NULL ? strtoull(wanted, NULL, 10) : 100000, end = tr_mono_ms() + 30000;
	struct sample s = {.state = 20261123};

	(void)state;
	for (uint64_t i = 0; i < rounds && tr_mono_ms() < end; i++) {
		msgpack_sbuffer sb;
		size_t n;
		char *p;

		msgpack_sbuffer_init(&sb);
		pack_sample(&sb, (int)(i % WIRE_NMSGS), sample_next(&s), sample_below(&s, 2) == 1);
		for (uint64_t hits = 1 + sample_below(&s, 4); hits > 0; hits--)
			sb.data[sample_below(&s, sb.size)] = (char)sample_next(&s);
		n = sample_below(&s, 8) == 0 ? sample_below(&s, sb.size + 1) : sb.size;
		p = malloc(n > 0 ? n : 1); /* of its exact size, for AddressSanitizer */
		assert_non_null(p);
		memcpy(p, sb.data, n);
		read_all(p, n);
		free(p);
		msgpack_sbuffer_destroy(&sb);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(walker_truncation),
		cmocka_unit_test(walker_every_head),
		cmocka_unit_test(walker_limits),
		cmocka_unit_test(parse_every_message),
		cmocka_unit_test(common_fields),
		cmocka_unit_test(over_cap),
		cmocka_unit_test(pack_limits),
		cmocka_unit_test(caps_hold_the_largest),
		cmocka_unit_test(malformed),
		cmocka_unit_test(unknown_and_wrong_kind),
		cmocka_unit_test(errors),
		cmocka_unit_test(strange_errors),
		cmocka_unit_test(mutations),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
