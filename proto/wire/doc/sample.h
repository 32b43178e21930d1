/* Valid values for any shape, from a seed: for round-trip tests and fuzz seeds, so that a new message is covered by
 * itself. Not part of any program. */
#ifndef PROTO_WIRE_DOC_SAMPLE_H
#define PROTO_WIRE_DOC_SAMPLE_H
#include "proto/wire/wire.h"

struct sample {
	uint64_t state;     /* any seed; moves with each value */
	msgpack_zone *zone; /* borrowed; what is made lives there */
	bool full;          /* every optional field is there; else about half of them */
};
uint64_t sample_next(struct sample *s);                  /* 64 random bits */
uint64_t sample_below(struct sample *s, uint64_t bound); /* 0 .. bound - 1 */
/* Fills a struct of that shape; aborts out of memory. Lists are short, strings at most 24 bytes over their minimum. */
void sample_fill(struct sample *s, const struct wire_shape *shape, void *out);
/* min..max bytes (or characters, for text) of valid UTF-8 of mixed widths. */
struct wire_bytes sample_string(struct sample *s, size_t min, size_t max, bool characters);
void *sample_alloc(struct sample *s, size_t n);

#endif
