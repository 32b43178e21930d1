/* The rules of fields in one place: what a value must be and the words that say so. Used by the MessagePack decoder, by
 * the JSON decoder and by wire_validate, so that the same fault reads the same wherever it is found. Internal to
 * proto/. */
#ifndef PROTO_WIRE_RULE_H
#define PROTO_WIRE_RULE_H
#include "proto/wire/wire.h"

/* Where we are, as a chain on the stack: written out only when something is wrong. NULL is the whole message. */
struct wire_path {
	const struct wire_path *up;
	const char *name; /* of a field; may hold any bytes */
	size_t n;
	int64_t index; /* of an entry in that field; -1: the field itself */
};

enum wire_rule {
	/* about the field being there */
	RULE_REQUIRED,
	RULE_TWICE,
	RULE_UNKNOWN,
	/* about its value */
	RULE_TYPE,
	RULE_RANGE,
	RULE_UTF8,
	RULE_DEPTH,
	RULE_KEYS,
	RULE_FINITE,
};
/* Fills fault (may be NULL) and returns TR_EINVAL. f: the field's own entry; NULL for an unknown field or the whole. */
int wire_broken(struct tr_fault *fault, const struct wire_path *path, const struct wire_field *f, enum wire_rule rule);
/* "1 to 65536 bytes", "a number from 0 to 1": the range of a field in words, for rules and for docs/protocol.md. */
void wire_range_text(const struct wire_field *f, char *out, size_t size);

/* Copies text that may come from outside: cut at a whole character to fit, control bytes and bad UTF-8 as "?", always
 * ended. */
void wire_copy_text(char *out, size_t size, const char *p, size_t n);

/* A value as it was found in MessagePack or JSON, before its field's rules are applied. */
struct wire_scalar {
	enum { FOUND_FLAG, FOUND_INT, FOUND_BIG, FOUND_REAL, FOUND_STR, FOUND_BIN, FOUND_OTHER } kind;
	union {
		bool flag;
		int64_t i;
		uint64_t u; /* FOUND_BIG: above INT64_MAX */
		double real;
		struct wire_bytes s;
	} as;
};
/* Converts to the type of f, checks its rules and only then writes *slot. Not for strs, map, item and list. */
int wire_put(const struct wire_field *f, const struct wire_scalar *v, void *slot, const struct wire_path *path,
	     struct tr_fault *fault);
/* The rules of an already typed value: ranges, UTF-8, counts, depth; not what is inside items. */
int wire_check_value(const struct wire_field *f, const void *slot, const struct wire_path *path,
		     struct tr_fault *fault);
/* Is this count of entries allowed? For lists and strs, before anything is allocated. */
int wire_check_count(const struct wire_field *f, size_t n, const struct wire_path *path, struct tr_fault *fault);
/* given: a bit for each field of the shape, by index. */
int wire_check_required(const struct wire_shape *shape, uint64_t given, const struct wire_path *up,
			struct tr_fault *fault);
/* One entry of a strs field, as a field of its own. */
extern const struct wire_field wire_strs_entry;

/* NULL: no such field. hint: index of the field that is likely, as peers keep the table's order. */
const struct wire_field *wire_field_find(const struct wire_shape *shape, const char *name, size_t n, unsigned hint);

static inline bool *wire_has(const struct wire_field *f, void *value)
{
	return (bool *)(void *)((char *)value + f->offset + f->size);
}
static inline bool wire_is_there(const struct wire_field *f, const void *value)
{
	return f->required || *(const bool *)(const void *)((const char *)value + f->offset + f->size);
}

#endif
