/* Acts of governance: what acts.c, acts_row.c and acts_carry.c share. Writer's thread, but for what takes a database.
 */
#ifndef JRS_MEMORY_ARCHIVE_ACTS_H
#define JRS_MEMORY_ARCHIVE_ACTS_H
#include "jrs/memory/archive/internal.h"

/*        id         name         signatures it takes of the three */
#define ACTS(X)                      \
	X(CONSTANTS, "constants", 2) \
	X(DESIGNATE, "designate", 3) \
	X(UNSACRE, "unsacre", 3)     \
	X(DELETE, "delete", 3)       \
	X(OBJECT, "object", 1)

enum act_kind {
#define X(id, name, needed) ACT_##id,
	ACTS(X)
#undef X
		ACT_NKINDS
};
extern const struct act_name {
	const char *name;
	unsigned needed;
} act_names[ACT_NKINDS];
int act_kind(wire_str name); /* enum act_kind, -1: none of them */

/* A row as it stands, in the call's zone. */
struct act {
	struct item_governed item; /* without objections */
	int kind;                  /* enum act_kind */
	unsigned char said[TR_SHA256_LEN];
};
/* acts_row.c. 1 and *out, 0: there is none, < 0 */
int act_by_id(struct db *db, struct job *j, wire_str id, struct act *out);
int act_row(struct job *j, struct query *q, struct act *out); /* the current row; 0 or < 0 */
int act_objections(struct db *db, struct job *j, struct item_governed *item);
int constants_text(struct job *j, const struct item_constants *c, wire_str *out); /* as JSON */
int names_text(struct job *j, const wire_strs *names, wire_str *out);
wire_str act_printf(struct job *j, const char *fmt, ...)
	__attribute__((format(printf, 2, 3))); /* p == NULL: out of memory */

/* A line of the decision log about an act; `happened`: "Act %s is ..." in words. */
int act_decide(struct sql_archive *a, struct job *j, const struct item_governed *item, const char *happened,
	       wire_str by, wire_str why);
/* Ends it: state, note (n == 0: none) and what held before (NULL: nothing). */
int act_end(struct sql_archive *a, struct job *j, wire_str id, const char *state, wire_str note,
	    const struct item_constants *before);
/* acts_carry.c: NULL, or why it cannot be carried out as things stand; *r < 0 on failure */
const char *act_obstacle(struct sql_archive *a, struct job *j, int kind, const struct item_governed *item,
			 struct row *row, struct thermal_model *model, int *r);
/* The next one's time, read anew. */
int acts_look(struct sql_archive *a);

#endif
