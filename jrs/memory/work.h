/* Long work on the archive: a backup, its verification, a restore. One at a time, in a thread of its own with
 * connections of its own; the archive goes on meanwhile. Serves memory.verify, memory.switch and memory.work;
 * memory.backup comes through work_backup(), behind what the archive did not have yet.
 *
 * A work belongs to whoever asked for it: who does not ask memory.work for a minute, or for a few seconds while another
 * wants to begin, has lost it. What a work leaves half done is named *.part or `restoring`, and is removed later.
 *
 * A restore ends like this: what was verified lies beside the archive; the Jr drains and leaves; when nobody has the
 * archive open any more, work_free() puts the new one in its place, in one step, and writes STATE/backups/last.json;
 * the next memory-jr opens it, and tells from that file how the work ended. Killed before that step, the old one is
 * still there. */
#ifndef JRS_MEMORY_WORK_H
#define JRS_MEMORY_WORK_H
#include "jrs/kit/jr.h"

struct work;
struct work_cfg {
	struct jr *jr;        /* outlives it */
	const char *path;     /* the archive's database file; copied */
	bool numbered;        /* it lies in STATE/archive/<n> */
	const char *conninfo; /* NULL, or where it is in PostgreSQL: path is unused then; borrowed */
};
int work_new(struct work **out, const struct work_cfg *cfg);
void work_backup(struct work *w, struct chan_call *call, const struct msg_memory_backup *m); /* answers call */
/* From now on this process leads: what an earlier one left half done is removed. */
void work_lead(struct work *w);
/* A restore that is due is not carried out: another process may lead already. NULL is fine. */
void work_forgo(struct work *w);
/* Gives up what is not yet certain; afterwards no thread of ours has the archive open. NULL is fine. */
void work_stop(struct work *w);
/* After work_stop() and after the archive was closed. NULL is fine. */
void work_free(struct work **w);

#endif
