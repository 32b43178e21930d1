/* Texts and metadata of memories, built in the batch's zone. Internal to this folder. */
#ifndef JRS_INTEGRATION_IMPORT_ROWS_H
#define JRS_INTEGRATION_IMPORT_ROWS_H
#include "proto/wire/wire.h"

#define META_MAX 8 /* keys of one memory */

/* A copy that is valid UTF-8 without NUL and at most max bytes: every broken byte and NUL becomes U+FFFD, the end is
 * cut between characters. TR_ENOMEM. */
int rows_text(msgpack_zone *zone, const char *p, size_t n, size_t max, wire_str *out);
/* Has it a letter or a digit? Without one there is nothing to recall it by. */
bool rows_has_word(const char *p, size_t n);

struct meta {
	msgpack_object_kv kv[META_MAX];
	uint32_t n;
};
/* key: static; value borrowed, must live as long as the zone. */
void meta_str(struct meta *m, const char *key, wire_str value);
void meta_u64(struct meta *m, const char *key, uint64_t value);
void meta_list(struct meta *m, const char *key, msgpack_object *v, uint32_t n);
/* An object for meta_list(). */
msgpack_object meta_item(wire_str value);
/* As the metadata of *out. TR_ENOMEM. */
int meta_done(const struct meta *m, msgpack_zone *zone, struct item_new_memory *out);

#endif
