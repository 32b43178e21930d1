/* Any bytes as they may come over a socket: walker, parser, checks, decoding by every shape that could be meant, and
 * what decoded must be valid and must become JSON. */
#include "proto/json/json.h"
#include "tests/fuzz/fuzz.h"
#include <stdlib.h>

static void decoded(const struct wire_shape *shape, const void *value)
{
	struct tr_fault fault;
	json_t *j = json_encode(shape, value);
	msgpack_sbuffer sb;
	struct buf text = {0};

	if (wire_validate(shape, value, &fault) < 0 || j == NULL || json_print(j, &text) < 0)
		abort();
	/* may be over a limit now, for float32 became double, but may not fail otherwise */
	msgpack_sbuffer_init(&sb);
	if (wire_encode(&sb, shape, value) < 0 && sb.size != 0)
		abort();
	msgpack_sbuffer_destroy(&sb);
	buf_free(&text);
	json_decref(j);
}

static void response(const struct wire_in *in)
{
	struct tr_fault fault;

	wire_decode_error(in, &fault);
	for (int id = 0; id < WIRE_NMSGS; id++) {
		const struct wire_shape *shape = wire_methods[id].result;
		void *value = shape != NULL ? malloc(shape->size) : NULL;

		if (value != NULL && wire_decode_result(in, (enum wire_msg_id)id, value, &fault) == 0)
			decoded(shape, value);
		free(value);
	}
}

static void call(const struct wire_in *in)
{
	struct tr_fault fault;
	void *value = in->id >= 0 ? malloc(wire_methods[in->id].params->size) : NULL;

	wire_check(in, FROM_USER, &fault);
	if (value != NULL && wire_decode_params(in, value, &fault) == 0)
		decoded(wire_methods[in->id].params, value);
	free(value);
}

/* Piece by piece must come to the same as all at once. */
static void in_pieces(const char *p, size_t n, int64_t whole)
{
	struct wire_walk w = {0};
	int64_t len = 0;

	for (size_t have = 0; len == 0 && have <= n; have += have < 64 ? 1 : 4096)
		len = wire_walk(&w, p, have, WIRE_FRAME_MAX);
	if (len == 0)
		len = wire_walk(&w, p, n, WIRE_FRAME_MAX);
	if (len != whole)
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const char *p = (const char *)data;
	int64_t len = wire_frame_length(p, size, WIRE_FRAME_MAX);
	struct wire_in in;

	in_pieces(p, size, len);
	if (len <= 0 || wire_parse(&in, p, (size_t)len) < 0)
		return 0;
	if (in.kind == WIRE_RESPONSE)
		response(&in);
	else
		call(&in);
	wire_in_free(&in);
	return 0;
}
