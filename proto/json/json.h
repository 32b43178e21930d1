/* JSON <-> the structs of proto/wire, by the same shapes: names, types and ranges are written once, in fields.h. */
#ifndef PROTO_JSON_JSON_H
#define PROTO_JSON_JSON_H
#include <jansson.h>
#include "common/base/buf.h"
#include "proto/wire/wire.h"

#define JSON_DEPTH_MAX 32 /* nesting of arrays and objects in a text from outside */

/* Strict: no duplicate keys, no NUL, valid UTF-8, one value and nothing behind it, bounded depth. Any value may be the root.
 * TR_EMALFORMED with the line and column in fault->rule (never the library's text). Caller decrefs *out. */
int json_parse(json_t **out, const char *p, size_t n, struct tr_fault *fault);

/* Object -> struct of that shape. Unknown fields are refused by name; null is absent; times are RFC 3339; bin is base64; whole-number doubles
 * are not integers. Strings are borrowed from `obj`; lists and maps live in zone. 0, TR_EINVAL or TR_ENOMEM; out zeroed first. */
int json_decode(const struct wire_shape *shape, const json_t *obj, msgpack_zone *zone, void *out, struct tr_fault *fault);

/* Struct -> new object (caller decrefs), fields in table order, absent optional ones left out. NULL: out of memory. */
json_t *json_encode(const struct wire_shape *shape, const void *value);
json_t *json_bytes(const void *slot); /* a wire_bin as base64; NULL: out of memory */
/* Struct -> text appended to out: what json_encode() and json_print() give, at a small part of their cost. nulls: names, parted by
 * blanks, which are null behind the others where the struct has no such field; NULL: none. TR_ENOMEM / TR_ETOOBIG: out is restored. */
int json_write(const struct wire_shape *shape, const void *value, const char *nulls, struct buf *out);
/* Any MessagePack value -> JSON (bin as base64, ext as null). NULL: out of memory. And back, into zone. */
json_t *json_from_msgpack(const msgpack_object *o);
int json_to_msgpack(const json_t *j, msgpack_zone *zone, msgpack_object *out);
/* Compact text appended to out; doubles with 15 significant digits (0.1, 40.0). TR_ENOMEM / TR_ETOOBIG: out is restored. */
int json_print(const json_t *j, struct buf *out);
/* The same with 17 digits: every double comes back as it was (0.1 is 0.10000000000000001). For exports. */
int json_print_exact(const json_t *j, struct buf *out);

#endif
