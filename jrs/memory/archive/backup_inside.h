/* Inside of backups: what the two databases share. */
#ifndef JRS_MEMORY_ARCHIVE_BACKUP_INSIDE_H
#define JRS_MEMORY_ARCHIVE_BACKUP_INSIDE_H
#include "jrs/memory/archive/backup.h"
#include "jrs/memory/archive/db.h"

void watch_phase(struct backup_watch *w, const char *phase, uint64_t total);
/* Lanes that are to be prepared for an archive of that schema. */
enum db_lane backup_lanes(int schema);
/* backup_content.c: over lane B of one snapshot. Fills schema, memories, rows and content_sha256 of *out. */
int backup_content(struct db *db, struct backup_watch *w, struct backup *out, struct tr_fault *fault);
/* Do these rows come to what the manifest says? TR_EINVAL. */
int backup_compare(const struct backup *want, const struct backup *got, struct tr_fault *fault);

#endif
