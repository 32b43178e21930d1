/* MessagePack-RPC: request [0, msgid, method, params], response [1, msgid, error, result], notification [2, method, params].
 * Params and results are maps with string keys. Pure: no sockets here. Not thread-safe per object; no global state.
 * Structs come from messages.def and fields.h: struct msg_ID (params), struct res_ID (result), struct item_NAME. */
#ifndef PROTO_WIRE_WIRE_H
#define PROTO_WIRE_WIRE_H
#include "common/base/err.h"
#include "common/base/roles.h"
#include "proto/wire/fields.h"
#include "proto/wire/types.h"

#define WIRE_PROTO_REV  1
#define WIRE_FRAME_MAX  (16u << 20) /* bytes of one whole message */
#define WIRE_DEPTH_MAX  16          /* nesting of arrays and maps */
#define WIRE_ITEMS_MAX  2000000     /* objects in one message */

/* ---- structs from the tables ---- */
#define WIRE_MEMBER_REQ(type, name) type name;
#define WIRE_MEMBER_OPT(type, name) type name; bool has_##name; /* in this order: struct wire_field relies on it */
#define WIRE_F(need, type, name, min, max) WIRE_MEMBER_##need(wire_##type, name)
#define WIRE_I(need, item, name)           WIRE_MEMBER_##need(struct item_##item, name)
#define WIRE_L(need, item, name, min, max) WIRE_MEMBER_##need(struct list_##item, name)
#define X(item)                                                     \
	struct item_##item {                                        \
		ITEM_##item(WIRE_F, WIRE_I, WIRE_L)                 \
	};                                                          \
	struct list_##item {                                        \
		const struct item_##item *v;                        \
		uint32_t n;                                         \
	};
WIRE_ITEMS(X)
#undef X

/* What every request carries beside its own fields. */
#define FIELDS_common(F, I, L)                                                                      \
	F(OPT, str, request_id, 1, 128)  /* makes an effect happen once */                          \
	F(OPT, u32, deadline_ms, 0, 0)   /* milliseconds left when it was sent */                    \
	F(OPT, str, only_source, 1, WIRE_NAME_MAX) /* of a caller for whom other sources' memories do not exist */ \
	F(OPT, flag, rationed, 0, 0)     /* of a caller who is no admin: governance.sacred_quota holds for it */ \
	F(OPT, str, who, 1, 64)          /* asks, for the audit: a token's name, a Jr, a program */
struct wire_common {
	FIELDS_common(WIRE_F, WIRE_I, WIRE_L)
};

#define REQUEST(id)                                                 \
	struct msg_##id {                                           \
		struct wire_common common;                          \
		FIELDS_##id(WIRE_F, WIRE_I, WIRE_L)                 \
	};                                                          \
	struct res_##id {                                           \
		char none; /* C wants at least one member */        \
		RESULT_##id(WIRE_F, WIRE_I, WIRE_L)                 \
	};
#define NOTE(id)                                                    \
	struct msg_##id {                                           \
		struct wire_common common; /* never sent */         \
		FIELDS_##id(WIRE_F, WIRE_I, WIRE_L)                 \
	};
#define MSG(id, method, kind, callers, cap, doc) kind(id)
#include "proto/wire/messages.def"
#undef MSG
#undef REQUEST
#undef NOTE

enum wire_msg_id {
#define MSG(id, method, kind, callers, cap, doc) MSG_##id,
#include "proto/wire/messages.def"
#undef MSG
	WIRE_NMSGS
};

/* ---- the table at run time ---- */
enum wire_caller { /* one bit each */
	FROM_MEMORY = 1u << TR_ROLE_MEMORY, FROM_INTEGRATION = 1u << TR_ROLE_INTEGRATION,
	FROM_META = 1u << TR_ROLE_META, FROM_EXECUTIVE = 1u << TR_ROLE_EXECUTIVE,
	FROM_ANY_JR = FROM_MEMORY | FROM_INTEGRATION | FROM_META | FROM_EXECUTIVE,
	FROM_SUPERVISOR = 1u << 8, FROM_USER = 1u << 9,
	FROM_READER = 1u << 10 /* a member of group tribe on control.sock: may look, not touch */
};
enum wire_kind { WIRE_REQUEST = 0, WIRE_RESPONSE = 1, WIRE_NOTE = 2 }; /* the first element of a message */
struct wire_method {
	const char *id, *method, *doc;
	enum wire_kind kind;
	unsigned callers;                /* bits of enum wire_caller */
	uint32_t cap;
	const struct wire_shape *params; /* without wire_common */
	const struct wire_shape *result; /* NULL for notifications */
};
extern const struct wire_method wire_methods[WIRE_NMSGS];
#define X(item) extern const struct wire_shape wire_shape_##item;
WIRE_ITEMS(X)
#undef X
extern const struct wire_shape wire_shape_common; /* struct wire_common */
int wire_method_find(const char *method, size_t n); /* enum wire_msg_id or -1 */

/* ---- reading ---- */
/* Where does the message at p end? > 0: its length; 0: more bytes are needed; TR_ETOOBIG over cap, depth or item count (told
 * as soon as it is certain, before the bytes arrive); TR_EPROTO: not MessagePack. Reads nothing past n, allocates nothing. */
int64_t wire_frame_length(const char *p, size_t n, size_t cap);
/* The same for a frame that arrives in pieces, without starting again at its first byte: zero-initialise w, pass the same
 * frame with more bytes each time and an unchanged cap. The answer 0 leaves w where it stopped. */
struct wire_walk {
	size_t pos;                     /* bytes understood so far; may lie past those that have arrived */
	uint64_t pending;               /* objects announced and not yet begun */
	uint32_t items, depth, left[WIRE_DEPTH_MAX];
	bool started;
};
int64_t wire_walk(struct wire_walk *w, const char *p, size_t n, size_t cap);

/* One received message. Owns a zone; everything decoded from it is borrowed from the frame bytes and the zone. */
struct wire_in {
	enum wire_kind kind;
	uint32_t msgid;              /* requests and responses */
	int id;                      /* enum wire_msg_id; -1: unknown method (requests, notifications) or not yet known (responses) */
	wire_str method;             /* as sent; requests and notifications */
	const msgpack_object *body;  /* params, or a response's result; NULL when nil */
	const msgpack_object *error; /* responses: NULL when nil */
	uint32_t body_bytes;         /* encoded size of params */
	msgpack_zone *zone;          /* owned */
};
/* p..p+n is exactly one message (wire_frame_length) and must outlive *out. TR_EPROTO / TR_ENOMEM: *out untouched.
 * Params of an unknown method or over its cap are not unpacked: body stays NULL, body_bytes is right, wire_check refuses. */
int wire_parse(struct wire_in *out, const char *p, size_t n);
void wire_in_free(struct wire_in *in);

/* Is this sender allowed to say it, and is it within its cap? 0, TR_EMETHOD, TR_EREFUSED or TR_ETOOBIG. */
int wire_check(const struct wire_in *in, unsigned caller, struct tr_fault *fault);

/* Fills the struct of that shape: required fields, types, ranges, UTF-8. Unknown keys are skipped (a newer peer), repeated
 * ones refused. 0, TR_EINVAL (fault says field and rule) or TR_ENOMEM. out is zeroed first. obj NULL = an empty map. */
int wire_decode(const struct wire_shape *shape, const msgpack_object *obj, msgpack_zone *zone, void *out, struct tr_fault *fault);
/* Params of in (id known) into struct msg_*; fills its wire_common too. */
int wire_decode_params(const struct wire_in *in, void *msg, struct tr_fault *fault);
/* Result of a response to `id` into struct res_*. */
int wire_decode_result(const struct wire_in *in, enum wire_msg_id id, void *res, struct tr_fault *fault);
/* Error of a response: fault->code from its name, field and rule as sent. in->error may be of any type. */
void wire_decode_error(const struct wire_in *in, struct tr_fault *fault);

/* Checks an already filled struct against its shape (the rules of wire_decode). Senders in debug builds, and JSON, use it. */
int wire_validate(const struct wire_shape *shape, const void *value, struct tr_fault *fault);

/* ---- writing ---- (append to sb; TR_ENOMEM, or TR_ETOOBIG past WIRE_FRAME_MAX, the method's cap or what a reader takes; sb is
 * then restored) */
int wire_pack_request(msgpack_sbuffer *sb, uint32_t msgid, enum wire_msg_id id, const void *msg);
int wire_pack_note(msgpack_sbuffer *sb, enum wire_msg_id id, const void *msg);
int wire_pack_result(msgpack_sbuffer *sb, uint32_t msgid, enum wire_msg_id id, const void *res);
/* error = {"code": wire name, "message": text, "field": ...} */
int wire_pack_error(msgpack_sbuffer *sb, uint32_t msgid, const struct tr_fault *fault);
/* The bare map of a shape. */
int wire_encode(msgpack_sbuffer *sb, const struct wire_shape *shape, const void *value);

#endif
