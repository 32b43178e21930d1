/* SQLite's log (-wal) before SQLite opens it. SQLite takes the frames up to the first that does not agree and silently
 * drops the rest; here it is told whether that rest was ever acknowledged. Only reads; nothing is opened that this
 * process has open already.
 *
 * A frame's sum is carried on from the one before, so one wrong byte breaks the chain for good in SQLite's eyes. But
 * the sum that is stored in a bad frame still carries on to the next: what lies behind can be judged.
 *  - torn: what is behind the last sound commit belongs to one transaction at most, that never got its fsync.
 *  - damaged: a later transaction had begun, which it does only behind the fsync of the one before; or the shared
 * memory of the last life (-shm), which is written behind that fsync, says that more was committed. */
#ifndef JRS_MEMORY_ARCHIVE_WALCHECK_H
#define JRS_MEMORY_ARCHIVE_WALCHECK_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define WAL_HEAD       32u
#define WAL_FRAME_HEAD 24u

enum wal_verdict {
	WAL_ABSENT, /* there is nothing in it */
	WAL_SOUND,
	WAL_TORN,    /* sound, and a tail that was never acknowledged */
	WAL_DAMAGED, /* frames that were acknowledged would be dropped */
	WAL_LIVE     /* somebody has the database open: not judged */
};
const char *wal_verdict_name(enum wal_verdict v);

struct wal_sum {
	uint32_t a, b;
};
/* Carries a sum on over n bytes (a multiple of 8). */
struct wal_sum wal_sum(bool big, struct wal_sum from, const void *p, size_t n);

struct wal_frame {
	uint32_t page;                 /* as its head says */
	uint32_t commit;               /* not 0: the last of a transaction; pages of the database behind it */
	bool ours;                     /* of this generation of the log; behind its end there may be older ones */
	bool intact;                   /* as it was written, whatever became of its sum or its salts */
	bool ends;                     /* the last of a transaction, as far as its head can be believed */
	bool plain;                    /* and SQLite sees it so, if it comes so far */
	struct wal_sum before, stored; /* sum carried into it, as far as known, and its own */
};
struct walcheck {
	enum wal_verdict verdict;
	const char *why; /* WAL_DAMAGED: for the log; static */
	bool big;        /* byte order of sums */
	uint32_t page_size;
	uint32_t nframes;   /* in v */
	uint32_t served;    /* SQLite would take so many */
	uint32_t committed; /* so many count; > served: damaged. May be more than are there (a truncated file) */
	uint32_t moved;     /* so many are in the database already, as far as is known */
	uint32_t bad;       /* of the committed: not intact, or not there */
	struct wal_frame *v;
};
/* Looks at the log of this database file. 0, or < 0 with *out untouched (it cannot be read, out of memory). frozen: the
 * caller knows that nobody writes, though it is open; it is then never WAL_LIVE. */
int walcheck(const char *db_path, bool frozen, struct walcheck *out);
void walcheck_free(struct walcheck *w);

#endif
