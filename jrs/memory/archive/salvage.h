/* From a damaged archive into a fresh one. The damaged files are only read (old.h); the fresh one is made by the normal
 * schema path, in an empty directory, beside two files for a person: salvage.json (what was done) and rejects.jsonl
 * (what was not taken, or taken with a doubt, and why; ids of what is known to be lost).
 *
 * Every page that holds rows is read by itself, so a damaged page costs what is on it, not what hangs on it.
 *  - A row is taken as it is when an unbroken way of sound pages leads to it; a memory also only if its hash agrees.
 *  - On other pages (damaged, not led to, or an older image of a page whose newest one is lost) a memory must also
 * agree with its identity and its figures must be possible, and where it may have been forgotten since, the index of
 * ids must still know it. What remains uncertain is taken and noted as doubtful; what does not agree is kept aside.
 *  - Heat is judged by the archive's own thermal clock, which is read first (salvor_clock.c).
 *  - What is derived (indexes, words, figures) is made from the rows. Numbers are never used again. */
#ifndef JRS_MEMORY_ARCHIVE_SALVAGE_H
#define JRS_MEMORY_ARCHIVE_SALVAGE_H
#include "common/base/err.h"
#include "jrs/memory/archive/old.h"

struct salvage_cfg {
	const char *from;   /* the damaged database file */
	const char *to_dir; /* exists and is empty */
	const char *name;   /* of the new database file in it */
	const char *reason; /* for salvage.json */
	int64_t now_ms;
	bool frozen;              /* it is open in this process, but nobody writes */
	uint64_t budget;          /* single bytes tried to mend pages of the file: old_open() */
	bool (*go_on)(void *arg); /* asked for each page; NULL: to the end */
	void *arg;
};
struct salvage_report {
	uint64_t memories, rows; /* taken: memories, and rows of all tables */
	uint64_t doubtful;       /* of the memories taken: not all of their fields could be proved */
	uint64_t rejected;       /* kept aside: something does not agree */
	uint64_t forgotten;      /* of them: memories on older images that the index of ids does not know any more */
	uint64_t lost;           /* memories that the index of ids knows and no page has */
	bool derived_only;       /* nothing that is not derived was damaged */
	struct old_figures old;
};
/* Blocks. 0: the new archive is verified and on disk. TR_ECLOSED: go_on() said no. Else < 0 with *fault: nothing in
 * to_dir is to be used. */
int salvage(const struct salvage_cfg *cfg, struct salvage_report *out, struct tr_fault *fault);

#endif
