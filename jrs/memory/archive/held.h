/* Which database files are open in this process. POSIX locks belong to process and file: closing any descriptor of a
 * file takes the locks that SQLite has on it. So what else is opened for a while is closed behind SQLite's last one. */
#ifndef JRS_MEMORY_ARCHIVE_HELD_H
#define JRS_MEMORY_ARCHIVE_HELD_H
#include <stdatomic.h>
#include <sys/types.h>

/* A main file that is open in this process, however often. Its descriptor is for advice to the kernel only, and is
 * closed behind the last of SQLite's: closing one takes the locks of all. */
struct held {
	struct held *next;
	dev_t dev;
	ino_t ino;
	unsigned n;
	atomic_ullong failures; /* reads of it or of its log that failed for another reason than damage */
	int fd;
	int *parked; /* descriptors that were to be closed meanwhile */
	unsigned nparked;
};

struct held *held_take(const char *path); /* NULL: there is no such file, or no memory: it is then not known */
void held_drop(struct held *h);           /* as often as taken; NULL is fine */
struct held *
held_by_log(const char *path); /* of the database whose log this is, which is open for longer than its log */

#endif
