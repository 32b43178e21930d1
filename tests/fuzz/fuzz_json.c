/* Any bytes as a JSON text from outside: what parses is tried with every shape, and what decodes must be valid and
 * print again. */
#include "proto/json/json.h"
#include "tests/fuzz/fuzz.h"
#include <stdlib.h>

static void try_shape(const struct wire_shape *shape, const json_t *j)
{
	msgpack_zone *zone = msgpack_zone_new(4096);
	void *value = malloc(shape->size);
	struct tr_fault fault;
	struct buf text = {0};
	json_t *back;

	if (zone == NULL || value == NULL)
		abort();
	if (json_decode(shape, j, zone, value, &fault) == 0) {
		back = json_encode(shape, value);
		if (wire_validate(shape, value, &fault) < 0 || back == NULL || json_print(back, &text) < 0)
			abort();
		json_decref(back);
		buf_free(&text);
	}
	free(value);
	msgpack_zone_free(zone);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct tr_fault fault;
	json_t *j = NULL;

	if (json_parse(&j, (const char *)data, size, &fault) < 0)
		return 0;
	for (int id = 0; id < WIRE_NMSGS; id++) {
		try_shape(wire_methods[id].params, j);
		if (wire_methods[id].result != NULL)
			try_shape(wire_methods[id].result, j);
	}
	json_decref(j);
	return 0;
}
