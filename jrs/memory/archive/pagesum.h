/* A sum on every page of the database file: SQLite has none, so a byte that rots is served as it is. An SQLite VFS,
 * named below, over whatever VFS is the default one when a file is opened. It keeps an XXH3 sum, mixed with the page's
 * number, in the last 8 bytes of each page: those that header byte 20 reserves.
 *  - Written whole pages get their sum; read whole pages are verified. One that does not agree, also when it is read
 * once more, is SQLITE_IOERR_DATA, as is a page that should be there and is not. Nothing is logged here:
 * pagesum_stats().
 *  - SQLite never sees a sum: it is blanked on reading. So the log's pages have none, and a page that another program's
 * checkpoint moved into the database has zeros there: it is served and counted as unsummed. What another program itself
 * wrote into a page that had a sum does not agree: only this VFS may write an archive.
 *  - A database without the reserve is served unchecked. One whose header says so while its pages have sums is damaged.
 *  - The log has sums of its own (walcheck.h); it, journals and shared memory pass through. There is no memory mapping.
 */
#ifndef JRS_MEMORY_ARCHIVE_PAGESUM_H
#define JRS_MEMORY_ARCHIVE_PAGESUM_H
#include <sqlite3.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define PAGESUM_BYTES 8

/* The name for sqlite3_open_v2(); registered at first use, any thread. NULL: out of memory. */
const char *pagesum_vfs(void);
/* Right after opening, before the first write: a new database gets the reserve; an old one stays as it is. */
int pagesum_reserve(sqlite3 *db);

#define PAGESUM_NOTED 8
struct pagesum_stats { /* of one connection's main file */
	bool checked;
	uint64_t read, written, unsummed; /* whole pages of a checked file */
	uint64_t failures;                /* reads that failed otherwise; of all connections to the file and its log */
	uint64_t bad;
	uint32_t bad_page[PAGESUM_NOTED]; /* the first different ones */
	unsigned nbad_page;
};
int pagesum_stats(sqlite3 *db, struct pagesum_stats *out); /* an SQLite code; SQLITE_NOTFOUND: not through our VFS */
/* Reads page 1 ... as it is on disk, through the connection's file and past its cache. SQLITE_IOERR_DATA: it does not
 * agree; buf (the size of a page) then has what is there. */
int pagesum_read(sqlite3 *db, uint32_t page, void *buf, int size);
/* The kernel shall read these pages from the disk when they are asked for next. */
int pagesum_drop(sqlite3 *db, uint32_t page, uint32_t n, int size);
/* Is this file open through our VFS in this process? Then nobody may open and close it by hand: POSIX locks would go.
 */
bool pagesum_held(const char *path);
/* Closes a descriptor of the database file at `path` or of a file beside it: behind SQLite's last one, if it is held.
 */
void pagesum_close(int fd, const char *path);

/* ---- pure ---- */
uint64_t pagesum_of(const void *page, size_t size, uint32_t number); /* over all but the last 8 bytes; never 0 */
uint64_t pagesum_stored(const void *page, size_t size);
void pagesum_store(void *page, size_t size, uint64_t sum);
enum pagesum_verdict {
	PAGESUM_GOOD,
	PAGESUM_NONE,   /* no sum: another program moved it here */
	PAGESUM_ABSENT, /* nothing but zeros: never written */
	PAGESUM_BAD
};
enum pagesum_verdict pagesum_judge(const void *page, size_t size, uint32_t number);
/* What the first bytes of a database file say. False: they are not those of one. */
struct pagesum_header {
	uint32_t page_size;
	unsigned reserve;
};
bool pagesum_header(const unsigned char *head, size_t n, struct pagesum_header *out);

#endif
