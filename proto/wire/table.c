/* The tables of messages.def and fields.h at run time: shapes of items, params and results, and the methods. */
#include "proto/wire/wire.h"

/* clang-format off */
#define REQUIRED_REQ true
#define REQUIRED_OPT false

/* fields.h hands F, I and L only a field, while its offset wants the struct as well. So F is given as two macros in a row:
 * IN(struct) opens the entry and offsetof's parenthesis, AS_F(field) closes both. NOTHING keeps IN from opening too early, for
 * a list of fields may itself be made of another list. */
#define NOTHING
#define IN(S)          {.offset = __builtin_offsetof(S,
#define AS_F(need, t, member, lo, hi)  member), .name = #member, .type = WIRE_##t, .required = REQUIRED_##need, \
			.size = sizeof(wire_##t), .min = (lo), .max = (hi)},
#define AS_I(need, it, member)         member), .name = #member, .type = WIRE_ITEM, .required = REQUIRED_##need, \
			.size = sizeof(struct item_##it), .item = &wire_shape_##it},
#define AS_L(need, it, member, lo, hi) member), .name = #member, .type = WIRE_LIST, .required = REQUIRED_##need, \
			.size = sizeof(struct list_##it), .min = (lo), .max = (hi), .item = &wire_shape_##it},
#define HERE(S, as) IN NOTHING (S) as

/* A last empty entry, because C knows no empty array; it is not counted. */
#define SHAPE(list, S, title, array, shape)                                                                       \
	static const struct wire_field array[] = {                                                                \
		list(HERE(S, AS_F), HERE(S, AS_I), HERE(S, AS_L)) {.name = NULL}                                  \
	};                                                                                                        \
	shape = {.name = (title), .size = sizeof(S), .fields = array, .n = sizeof(array) / sizeof(array[0]) - 1};

#define X(it) SHAPE(ITEM_##it, struct item_##it, #it, fields_item_##it, const struct wire_shape wire_shape_##it)
WIRE_ITEMS(X)
#undef X

SHAPE(FIELDS_common, struct wire_common, "common", fields_common, const struct wire_shape wire_shape_common)

#define NOTE(id) SHAPE(FIELDS_##id, struct msg_##id, #id, fields_msg_##id, static const struct wire_shape params_##id)
#define REQUEST(id) NOTE(id) \
	SHAPE(RESULT_##id, struct res_##id, #id, fields_res_##id, static const struct wire_shape result_##id)
#define MSG(id, method, kind, callers, cap, doc) kind(id)
#include "proto/wire/messages.def"
#undef MSG
#undef REQUEST
#undef NOTE

#define KIND_REQUEST WIRE_REQUEST
#define KIND_NOTE    WIRE_NOTE
#define RESULT_OF_REQUEST(msg) &result_##msg
#define RESULT_OF_NOTE(msg)    NULL
#define MSG(msg, text, sort, who, bytes, meaning)                                                                 \
	[MSG_##msg] = {.id = #msg, .method = (text), .doc = (meaning), .kind = KIND_##sort, .callers = (who),     \
		       .cap = (bytes), .params = &params_##msg, .result = RESULT_OF_##sort(msg)},
const struct wire_method wire_methods[WIRE_NMSGS] = {
#include "proto/wire/messages.def"
};
#undef MSG
/* clang-format on */

int wire_method_find(const char *method, size_t n)
{
	for (int i = 0; i < WIRE_NMSGS; i++) {
		const char *name = wire_methods[i].method;

		if (strlen(name) == n && memcmp(name, method, n) == 0)
			return i;
	}
	return -1;
}
