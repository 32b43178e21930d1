/* Purging: what is forgotten is gone at once for whoever reads; its bytes leave the files of a live archive at the
 * latest within the hour, or before the answer of a call that says `now`. That a purge is due is noted in the commit
 * that forgets, and stays noted until one is done that began behind it. Writer's thread, but for purge_wanted() and
 * purge_worked(). What remains: backups, directories that a repair has put aside, the log of a server. */
#ifndef JRS_MEMORY_ARCHIVE_PURGE_H
#define JRS_MEMORY_ARCHIVE_PURGE_H
#include "jrs/memory/archive/fts_merge.h"

#define PURGE_AFTER_MS 3000000u /* 50 minutes, so that a purge that takes long is over within the hour */

/* What a driver's purge step says. */
enum purge_step {
	PURGE_DONE,
	PURGE_MORE, /* call again */
	PURGE_WAIT  /* call again when somebody else has got on: soon */
};

struct purge {
	uint64_t after_ms;
	bool known;       /* since_ms has been read */
	bool marked;      /* this transaction forgets */
	int64_t since_ms; /* wall clock: of the oldest forgetting that is not purged; 0: none */
	uint64_t forgets; /* commits of this life that forgot */
	/* the pass that is under way */
	bool running;
	unsigned steps;
	uint64_t look_ms;                    /* until a step that waits for others looks again */
	uint64_t covers;                     /* of forgets */
	int64_t newer_ms;                    /* the first forgetting behind its beginning; 0: none */
	uint64_t began_ms, next_ms, call_ms; /* tr_mono_ms(): the pass, its next step, the last call that was served */
	struct jobs waiting;                 /* answered when the pass that covers job->covered is done */
	/* the driver's */
	enum { PURGE_BEGIN, PURGE_WORDS, PURGE_LOG } stage;
	struct fts_merge words;
	atomic_int work; /* a server's: enum purge_work */
};
enum purge_work { WORK_NONE, WORK_WANTED, WORK_DONE, WORK_FAILED };

int purge_open(struct sql_archive *a, const struct archive_cfg *cfg);
void purge_free(struct sql_archive *a);
int purge_mark(struct sql_archive *a);       /* within an effect that forgets */
/* Is this transaction's mark set? And back to that, when the effect is undone. */
bool purge_marked(const struct sql_archive *a);
void purge_undo(struct sql_archive *a, bool marked);
void purge_began(struct sql_archive *a);     /* a transaction begins */
void purge_committed(struct sql_archive *a); /* and is on disk */
/* A call that succeeded. True: it is answered later, by purge_turn() or purge_end(). */
bool purge_awaits(struct sql_archive *a, struct job *j);
/* Between two commits; busy: calls were served since the last turn. Takes one step at most. */
void purge_turn(struct sql_archive *a, bool busy);
uint64_t purge_wake(const struct sql_archive *a, uint64_t now_ms); /* when it wants a turn again; UINT64_MAX: not */
void purge_end(struct sql_archive *a);                             /* whoever waits is told that it is not done yet */

/* A server's purge is work for the keeper's thread: sleeps until it is wanted, at most ms. True: it is to stop. */
bool purge_doze(struct sql_archive *a, uint64_t ms);
bool purge_wanted(const struct sql_archive *a);
void purge_worked(struct sql_archive *a, int r);
/* The driver's step there: hands the work over, and looks how far it is. */
int purge_hand_over(struct sql_archive *a, bool first);

/* purge_sqlite.c */
int sqlite_purge(struct sql_archive *a, bool first);

#endif
