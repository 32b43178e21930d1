/* How much each source has, and that none gets more than it may. A source is what a memory names as its source; those
 * without one are together a source of their own, and so is every drill. Off (NULL) when no limit is set: then nothing
 * is counted. The running totals are counted once behind the start, on a snapshot of the keeper's; until then nothing
 * is refused, and what is committed meanwhile is added to what was counted. Writer's thread, but for quota_count(). */
#ifndef JRS_MEMORY_ARCHIVE_QUOTA_H
#define JRS_MEMORY_ARCHIVE_QUOTA_H
#include "jrs/memory/archive/internal.h"

int quota_open(struct sql_archive *a, const struct archive_cfg *cfg);
void quota_free(struct sql_archive *a);
/* Keeper's thread: the first count. 0 also when there is nothing to count. */
int quota_count(struct sql_archive *a);

/* Within an effect: a memory of so many bytes (content and metadata) is about to come; TR_EQUOTA with the fault. */
int quota_add(struct sql_archive *a, struct job *j, const struct entry *e, size_t metadata);
/* This row gets other metadata, of `metadata` bytes; the same. */
int quota_change(struct sql_archive *a, struct job *j, const struct row *row, size_t metadata);
int quota_remove(struct sql_archive *a, const struct row *row); /* this row is about to go */

/* What the transaction has done to the totals so far, and taking back what came behind that. */
size_t quota_mark(const struct sql_archive *a);
void quota_undo(struct sql_archive *a, size_t mark);
void quota_began(struct sql_archive *a);     /* a transaction begins; the last one may have failed */
void quota_committed(struct sql_archive *a); /* under hist_lock: it is on disk */

struct quota_total {
	int64_t rows, bytes;
};
/* For tests, while nobody writes: what a source has; p == NULL: memories without one. < 0: not counted yet. */
int quota_look(struct sql_archive *a, wire_str source, struct quota_total *out);

#endif
