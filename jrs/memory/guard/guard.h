/* The guard: secrets do not get into the archive, and what is about persons is flagged. Pure: text in, verdict out; no
 * sockets, no database, nothing is logged but that the engine is there. One object is used by one thread.
 *  - It fails closed: when it cannot look (no engine, no memory) the verdict is an error, and whoever asks stores
 * nothing.
 *  - Time is linear in the text, whatever the text is (docs/adr/0023-guard-engine.md).
 *  - A fault names class, field and place; never a byte of what was found. */
#ifndef JRS_MEMORY_GUARD_GUARD_H
#define JRS_MEMORY_GUARD_GUARD_H
#include "common/base/err.h"
#include "proto/wire/wire.h"

enum { GUARD_SECRET = 1, GUARD_PII = 2 };
enum guard_class {
#define C(id, name, kind, what) GUARD_##id,
#include "jrs/memory/guard/classes.def"
#undef C
	GUARD_NCLASSES
};
#define GUARD_BIT(class)  (1u << (class))
#define GUARD_ALL_CLASSES ((1u << GUARD_NCLASSES) - 1)
enum guard_action { GUARD_REFUSED, GUARD_REDACTED, GUARD_FLAGGED, GUARD_NACTIONS };
const char *guard_action_name(enum guard_action a); /* "refused"; never NULL */
const char *guard_class_name(enum guard_class c);   /* "cloud_key"; never NULL */

enum guard_secrets { GUARD_REFUSE, GUARD_REDACT, GUARD_ALLOW };
/* Zeroed, it is the strictest: secrets are refused, and what is about persons is flagged. */
struct guard_policy {
	enum guard_secrets secrets;
	bool pii_off;
};
/* From the texts of the settings; false: there is no such word. */
bool guard_policy_parse(const char *secrets, const char *pii, struct guard_policy *out);

/* Where something was found: bytes from..to of the text. */
struct guard_span {
	uint32_t from, to;
	enum guard_class class;
};
struct guard_spans {
	struct guard_span
		*v; /* in order, none over another; a place of two classes counts as the first in classes.def */
	size_t n, cap;
};

struct guard;
/* Loads the engine, 1 ms. TR_EUNAVAILABLE with *fault: it is not installed, or not for this processor. */
int guard_new(struct guard **out, const struct guard_policy *policy, struct tr_fault *fault);
void guard_free(struct guard **g);
/* What is in this text of the classes whose bits are set: borrowed from g until the next call. 0, TR_ENOMEM,
 * TR_EUNAVAILABLE. */
int guard_scan(struct guard *g, const char *p, size_t n, unsigned classes, const struct guard_spans **out);

/* What one memory of a call was found to have: bits of classes. */
struct guard_found {
	uint32_t flagged, redacted;
};
struct guard_verdict {
	const void *msg; /* what may be stored: the message itself, or its copy without the secrets, in the zone */
	struct guard_found *v; /* one for each memory of an add or record of a restore; else one; in the zone */
	uint32_t n;
	/* TR_ESECRET: the first that was found */
	enum guard_class class;
	uint32_t item, at; /* at: byte of the field */
	char field[64];
};
/* Looks at every text of a message that writes. 0; TR_ESECRET with fault and the last members; TR_ENOMEM or
 * TR_EUNAVAILABLE: it could not look, nothing may be stored. Memory comes from zone. */
int guard_message(struct guard *g, enum wire_msg_id id, const void *msg, msgpack_zone *zone, struct guard_verdict *out,
		  struct tr_fault *fault);

#endif
