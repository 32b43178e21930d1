/* Field types of messages. Decoded values are borrowed from the frame and its zone: valid until the message is freed. */
#ifndef PROTO_WIRE_TYPES_H
#define PROTO_WIRE_TYPES_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <msgpack.h>

struct wire_bytes {
	const char *p; /* not NUL-terminated */
	uint32_t n;
};
typedef uint32_t wire_u32;
typedef uint64_t wire_u64;
typedef int64_t wire_i64;
typedef double wire_f64;               /* finite */
typedef bool wire_flag;
typedef struct wire_bytes wire_str;    /* valid UTF-8 without NUL; min..max in bytes */
typedef struct wire_bytes wire_text;   /* the same, min..max in characters (code points) */
typedef struct wire_bytes wire_bin;    /* any bytes */
typedef int64_t wire_time;             /* ms since 1970-01-01 UTC; RFC 3339 in JSON; an integer on the wire */
typedef struct wire_strs {
	const wire_str *v;             /* min..max: how many; each 1..WIRE_STRS_ITEM_MAX bytes */
	uint32_t n;
} wire_strs;
typedef const msgpack_object *wire_map; /* a map of anything, keys are strings; min..max in encoded bytes; depth bounded;
                                        * of repeated keys the last one counts */

#define WIRE_STRS_ITEM_MAX 256
#define WIRE_MAP_DEPTH_MAX 8 /* nesting inside a wire_map, itself included: a message that holds one stays within WIRE_DEPTH_MAX */

/* A wire_str from a C string (borrowed). NULL gives an absent one. */
static inline wire_str wire_s(const char *s)
{
	wire_str r = {s, s == NULL ? 0 : (uint32_t)strlen(s)};
	return r;
}

enum wire_type {
	WIRE_u32, WIRE_u64, WIRE_i64, WIRE_f64, WIRE_flag, WIRE_str, WIRE_text, WIRE_bin, WIRE_time, WIRE_strs, WIRE_map,
	WIRE_ITEM, /* one nested item struct */
	WIRE_LIST  /* wire list of item structs: {const struct item_x *v; uint32_t n;} */
};

struct wire_shape;
struct wire_field {
	const char *name;              /* on the wire and in JSON */
	enum wire_type type;
	bool required;
	size_t offset;                 /* of the value in the struct */
	size_t size;                   /* of the value; the bool has_NAME of an optional field stands right behind it */
	double min, max;               /* both 0: only the type's own bounds; max below min: no upper bound */
	const struct wire_shape *item; /* WIRE_ITEM, WIRE_LIST */
};
struct wire_shape {
	const char *name;
	size_t size;                   /* of the struct */
	const struct wire_field *fields;
	unsigned n;
};
/* What every list member looks like, for generic code. */
struct wire_list {
	const void *v;
	uint32_t n;
};

#endif
