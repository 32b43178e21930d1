/* Room on the archive's disk. Before it is full, writing stops: what is there can then still be read, and forgotten,
 * and the log moved into the database. It goes on by itself when there is room again. Off (NULL) for a server's
 * archive, whose disk is not ours to see, and when nothing must be free. Writer's thread. */
#ifndef JRS_MEMORY_ARCHIVE_SPACE_H
#define JRS_MEMORY_ARCHIVE_SPACE_H
#include "jrs/memory/archive/internal.h"

int space_open(struct sql_archive *a, const struct archive_cfg *cfg);
void space_free(struct sql_archive *a);
void space_turn(struct sql_archive *a, uint64_t now_ms); /* looks, once a second */
uint64_t space_wake(const struct sql_archive *a);        /* tr_mono_ms() of the next look; UINT64_MAX: none */
bool space_low(const struct sql_archive *a);
/* May this call write? TR_ENOSPACE with the fault. What takes room away from nobody may. */
int space_admits(struct sql_archive *a, struct job *j);
/* Is there room for what a purge has to write before it can free anything? */
bool space_for_purge(const struct sql_archive *a);

#endif
