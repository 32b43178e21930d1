/* Rows as bytes that do not depend on the database they lie in: what a content digest is made of. A row is a
 * MessagePack array: its kind as a string, then its columns in their order; numbers as integers where they are whole
 * and exact, else as float 64; absent ones as nil. JSON becomes MessagePack with the keys of every map in the order of
 * their bytes. Pure. */
#ifndef JRS_MEMORY_ARCHIVE_CANON_H
#define JRS_MEMORY_ARCHIVE_CANON_H
#include <msgpack.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct canon {
	msgpack_sbuffer bytes; /* of this row */
	int failed;            /* TR_ENOMEM, TR_ESTORE (JSON that is none); sticks */
};
void canon_init(struct canon *c);
void canon_free(struct canon *c);
void canon_row(struct canon *c, const char *kind, unsigned columns); /* begins one: forgets the row before */
void canon_text(struct canon *c, const char *p, size_t n);           /* p NULL: absent */
void canon_bytes(struct canon *c, const void *p, size_t n);
void canon_i64(struct canon *c, int64_t v);
void canon_f64(struct canon *c, double v);
void canon_nil(struct canon *c);
void canon_json(struct canon *c, const char *p, size_t n);

#endif
