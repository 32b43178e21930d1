/* The files of an archive that is damaged, read page by page without SQLite and never written: for each page what
 * images of it there are, newest first, in the database file and in its log, and which of them are as they were
 * written. One wrong byte (in the log: one wrong byte of a word) is found by its sum and mended in what is handed out.
 */
#ifndef JRS_MEMORY_ARCHIVE_OLD_H
#define JRS_MEMORY_ARCHIVE_OLD_H
#include "jrs/memory/archive/walcheck.h"

struct old;
struct old_figures {
	uint32_t pages;             /* that the database has, as far as is known */
	uint32_t bad, missing;      /* of the file: do not agree and could not be mended; are not there */
	uint32_t mended;            /* of file and log */
	uint32_t log_bad, log_lost; /* committed frames: damaged, of a page nobody knows or not there */
	bool checked;               /* the pages have sums */
	enum wal_verdict log;
};
/* budget: how many single bytes may be tried in all (about 0.3 us each; 0: none). frozen: it is open, but nobody
 * writes. 0, or < 0: it cannot be read, or somebody has it open (TR_EBUSY). */
int old_open(struct old **out, const char *db_path, bool frozen, uint64_t budget);
void old_close(struct old **o);
const struct old_figures *old_figures(const struct old *o);
uint32_t old_page_size(const struct old *o);
uint32_t old_usable(const struct old *o);

struct old_image {
	bool good;  /* as it was written, or mended to be so */
	bool stale; /* there is a newer one, which is not good */
};
/* The image number k (0: newest) of page 1 ...; buf holds a page. False: there are no more. */
bool old_image(const struct old *o, uint32_t page, unsigned k, void *buf, struct old_image *out);
/* The newest good one, or else the newest there is. */
bool old_best(const struct old *o, uint32_t page, void *buf, struct old_image *out);

/* Where the end of the log is missing: image i of a transaction that is there only in part, the last perhaps cut off
 * itself (not good). *page 0: of no use. False: there are no more. */
bool old_extra(const struct old *o, uint32_t i, void *buf, uint32_t *page, bool *good);

#endif
