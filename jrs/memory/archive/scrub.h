/* Looks through a whole archive for damage, on a connection of its own, from the disk and not from the caches: every
 * page's sum, every memory's hash, every row of what is not derived, SQLite's own check, and the words against the
 * memories. It changes nothing. */
#ifndef JRS_MEMORY_ARCHIVE_SCRUB_H
#define JRS_MEMORY_ARCHIVE_SCRUB_H
#include <stdbool.h>
#include <stdint.h>

struct scrub_cfg {
	const char *path;
	/* Called after each small piece of work (at most some milliseconds), not inside a snapshot: may sleep. False:
	 * stop. NULL: no rest. */
	bool (*rest)(void *arg);
	/* Called within SQLite's check, which holds a snapshot: must not sleep. False: leave the check for another
	 * time. */
	bool (*bear)(void *arg);
	void *arg;
	uint64_t
		words_max; /* memories up to which the words are checked: that takes the write lock, about 10 us each */
};
struct scrub_report {
	uint64_t pages, bad_pages, unsummed; /* unsummed: without a sum, put there by another program */
	uint32_t first_bad;
	uint64_t memories, bad_memories; /* bad: hash and content do not agree */
	bool unreadable;                 /* some row of a table that is not derived */
	bool checked, check_ok;          /* SQLite's own check ran to its end; found nothing */
	bool words_checked, words_ok;    /* what SQLite's full-text index has is what the memories say */
	bool finished;                   /* not stopped */
	int trouble; /* an SQLite code that says nothing about the files (busy, I/O error): it broke off */
};
/* Found damage? Only of what is derived? Words that do not agree are not damage: FTS5 loses its totals in some I/O
 * errors, and they are made anew in place. */
bool scrub_found(const struct scrub_report *r);
bool scrub_derived_only(const struct scrub_report *r);
/* 0: *out is filled. < 0: it cannot be opened at all. */
int scrub(const struct scrub_cfg *cfg, struct scrub_report *out);

#endif
