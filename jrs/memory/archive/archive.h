/* The archive: where memories are kept. A narrow door; behind it is SQLite or PostgreSQL (archive_open), or whatever
 * fills struct archive_ops (ops.h): tests have one that keeps everything in memory.
 *
 * Use it from its loop's thread only. One thread writes, some read, one keeps house; answers come back on the loop.
 *  - A write is answered after its commit is on disk. What arrives during a commit is the next one (group commit). Each
 * call is one effect: all of it or nothing, and a call that fails never fails its neighbours.
 *  - A write with a request_id leaves its answer in the same commit: the same call again gets the same answer (kept 24
 * h).
 *  - A read sees every write that was answered before it was asked.
 *  - BUSY, I/O errors and a full disk are told to the caller (TR_EUNAVAILABLE, TR_ESTORE); nothing is repaired or
 * deleted. Words: borrowed = the caller keeps it alive until the callback. */
#ifndef JRS_MEMORY_ARCHIVE_ARCHIVE_H
#define JRS_MEMORY_ARCHIVE_ARCHIVE_H
#include "common/base/version.h"
#include "jrs/memory/guard/guard.h"
#include "jrs/memory/thermal/entangle.h"
#include "jrs/memory/thermal/thermal.h"
#include "proto/wire/wire.h"
#include <uv.h>

/* Sources that begin so ("drill:ID") are drill load: no recall, list or figure shows them unless it asks for that
 * source. */
#define ARCHIVE_DRILL_PREFIX "drill:"
bool archive_is_drill(bool has_source, wire_str source);

struct archive;
struct archive_cfg {
	uv_loop_t *loop;
	const char *path;         /* SQLite: the database file; made when missing or empty */
	const char *conninfo;     /* PostgreSQL when not NULL: a libpq connection string; path is then unused */
	uint64_t epoch;           /* of who opens it to lead, at least: it gets one above all before it */
	bool follow;              /* reads and follows, writes nothing until archive_lead() ... */
	bool alone;               /* ... but what opening has to make, bring to the newest schema or look at is done
				   * first: nobody else has it open. Else what would need that is refused, TR_EBUSY */
	unsigned max_waiting;     /* reads, and writes, that may wait; more get TR_EBUSY. 0: 4096 */
	int64_t (*wall_ms)(void); /* NULL: tr_wall_ms */
	bool numbered;            /* SQLite: path lies in a directory that another may take the place of */
	bool *damaged;            /* NULL, or set when opening failed because what is stored is damaged */
	/* SQLite looks itself through so often, and rests so long between pieces; 0: after a minute, daily, 10 ms */
	uint32_t scrub_first_ms, scrub_every_ms, scrub_rest_ms;
	uint64_t purge_after_ms; /* what is forgotten begins to be purged from the files so late at most. 0: 50 minutes
				  */
	struct guard_policy guard; /* zeroed: the strictest */
	/* Memories, and bytes of their content and metadata, that one source may have; 0: no limit */
	uint64_t source_rows_max, source_bytes_max;
	/* SQLite: below so many free bytes on the disk nothing is written but what frees room; 0: not looked at.
	 * free_bytes: how many are free where path lies; NULL: statvfs */
	uint64_t min_free_bytes;
	int (*free_bytes)(const char *path, uint64_t *out);
	/* Ed25519 public keys of War Chief, Peace Chief and Medicine Woman; NULL: acts are an admin's. Copied */
	const unsigned char (*governors)[32];
	uint64_t act_delay_ms; /* between an act's acceptance and its effect */
	/* sacred_limited: a source that no admin speaks for makes at most so many memories sacred a day */
	bool sacred_limited;
	uint32_t sacred_quota;
};
/* Once, first thing in a process that is there for an archive: settles what no connection can settle any more. Without
 * it everything works, a little slower. */
void archive_prepare_process(void);
/* Blocks: opens, migrates, rebuilds the running figures. A file that is not ours, damaged or newer than this program is
 * refused with *fault filled and is not changed. On failure *out is untouched. */
int archive_open(struct archive **out, const struct archive_cfg *cfg, struct tr_fault *fault);
/* Finishes the writes it has, notes too; waiting reads end with TR_ECLOSED. Callbacks are called from inside. NULL is
 * fine. */
void archive_close(struct archive **a);

/* What one call brings along. */
struct archive_ctx {
	msgpack_zone *zone;   /* borrowed: the answer is made in it, by another thread: leave it alone meanwhile */
	uint64_t deadline_ms; /* tr_mono_ms() clock, 0: none. Past it a waiting call is not carried out; a read is cut
				 short. */
};
/* A memory that an answer shows, in the answer's order. */
struct archive_hit {
	int64_t memory;            /* number inside the archive: larger is newer */
	struct item_memory *shown; /* its place in the answer; NULL: it is not shown */
	struct entangle_seen seen;
};
struct archive_answer {
	void *res; /* struct res_ID in the call's zone; the caller may fill in what only it knows */
	/* get, recall, explain and the hottest of thermal; without `shown`: what forget, import_undo and carry_out
	 * removed, and what restore brought along a known phase coherence */
	const struct archive_hit *hits;
	unsigned nhits;
	bool fresh; /* a write: this call did it; else it is the stored answer of an earlier one */
};
/* r == 0: answer; else fault says why. Both borrowed during the call. */
typedef void archive_cb(void *arg, int r, const struct archive_answer *answer, const struct tr_fault *fault);
/* id: MSG_memory_*. msg (borrowed): its struct msg_ID. If this returns < 0, cb is never called (TR_EBUSY, TR_EMETHOD,
 * TR_ENOMEM; TR_EUNAVAILABLE for a write to a damaged archive); if 0, exactly once, later, never from inside this call.
 */
int archive_call(struct archive *a, enum wire_msg_id id, const void *msg, const struct archive_ctx *ctx, archive_cb *cb,
		 void *arg);

/* ---- notes: ride in the next group commit, at the latest 200 ms later; nobody waits for them. What is over a bound is
 * dropped and counted. ---- */
void archive_touch(struct archive *a, int64_t memory, int64_t at_ms); /* an access; at_ms is capped at commit time */
void archive_recalled(struct archive *a,
		      const struct item_recall_sample *log); /* counts one, and a line in recall_log */
void archive_entangled(struct archive *a, const struct entangle_change *change);
void archive_heat_map(struct archive *a, const struct res_memory_thermal *figures); /* a line in thermal_heat_map */
typedef void archive_lead_cb(void *arg, int r, uint64_t epoch, const struct tr_fault *fault);
/* cb when what was noted before is committed, as far as it is not kept back by a disk that is nearly full. < 0: cb is
 * never called. */
int archive_settle(struct archive *a, archive_lead_cb *cb, void *arg);

/* ---- following: what others committed, in the order of their commits ---- */
/* Up to where a follower has seen everything. Zero: nothing yet. Meaning is the database's own: compare with nothing.
 */
struct archive_mark {
	uint64_t rows, changes;
};
enum archive_change_kind {
	ARCHIVE_ADDED,   /* a memory that was not there */
	ARCHIVE_CHANGED, /* its tags, importance, metadata, sacredness or links differ; heat does not count as a change
			  */
	ARCHIVE_FORGOTTEN
};
struct archive_change {
	int64_t memory;
	enum archive_change_kind kind;
};
struct archive_tail {
	const struct archive_change *v; /* may repeat what was told before; carrying one out twice must do no harm */
	unsigned n;
	struct archive_mark next; /* where to go on */
	bool more;                /* there is more already */
	bool lost;                /* `from` is older than what is kept: begin anew from the rows, with `next` */
};
typedef void archive_tail_cb(void *arg, int r, const struct archive_tail *tail, const struct tr_fault *fault);
/* At most about `limit` changes after *from (copied). Like archive_call: < 0: cb is never called. */
int archive_tail(struct archive *a, const struct archive_mark *from, unsigned limit, archive_tail_cb *cb, void *arg);
/* A follower looks whether anybody has committed anything, and brings up to date what it keeps of it in memory: what
 * archive_stats() says. Costs next to nothing when nothing has changed. cb's epoch: of the archive's lead. */
int archive_refresh(struct archive *a, archive_lead_cb *cb, void *arg);
/* A follower takes the lead in this epoch, of which nobody else led or will: waits for the write lock of whoever led
 * before and puts the epoch there; from then on no earlier lead can commit anything. What the other committed last is
 * in what archive_stats() says when cb is called, and in every read asked for later. Calls that write, made behind this
 * one, wait for it. TR_EREFUSED: a newer lead is there, nothing is written here any more. While the database is held by
 * others, away or cannot be written it is tried again, and writes fail as a lead's do. */
int archive_lead(struct archive *a, uint64_t epoch, archive_lead_cb *cb, void *arg);

struct archive_stats {
	bool fenced; /* another lead has taken over: nothing can be written here any more */
	/* false from a failed write until one works again (tried every second), while the disk is nearly full, and for
	 * good when it is damaged */
	bool healthy;
	const char *reason;     /* why not, for a person: lives as long as the archive; NULL: healthy */
	const char *damage;     /* not NULL: it is damaged, and why; nobody writes, what can be read is served */
	uint64_t scrubs;        /* looked through from end to end, in this life */
	uint64_t quota_refused; /* since the start */
	int64_t purge_due_ms;   /* wall clock: since when something that was forgotten waits to be purged; 0: nothing */
	int64_t act_due_ms;     /* wall clock: when an act is due (memory.carry_out); 0: none is pending */
	uint64_t recalls_total;          /* over all lives of this archive */
	uint64_t changes;                /* grows with every commit */
	uint64_t commits, committed_calls, notes_dropped;
	uint64_t epoch; /* the archive's, of the newest lead, as it was read last */
	/* from the rows, at the start, by archive_refresh() and when the lead was taken: memories whose phase coherence
	 * is known, and its sum */
	uint64_t phase_known;
	double phase_sum;
	uint32_t waiting; /* calls not answered yet */
};
void archive_stats(struct archive *a, struct archive_stats *out);
const struct thermal_model *archive_model(const struct archive *a); /* as it is now; lives as long as the archive */

#endif
