/* Inside the archive: what its files share. */
#ifndef JRS_MEMORY_ARCHIVE_INTERNAL_H
#define JRS_MEMORY_ARCHIVE_INTERNAL_H
#include "common/base/text.h"
#include "jrs/memory/archive/db.h"
#include "jrs/memory/archive/ops.h"
#include "jrs/memory/recall/query.h"
#include "jrs/memory/thermal/hist.h"
#include <pthread.h>
#include <stdatomic.h>

/* One call on its way through a lane and back. */
enum job_kind { JOB_CALL, JOB_TAIL, JOB_REFRESH, JOB_LEAD, JOB_SETTLE };
struct job {
	struct job *next;
	enum job_kind kind;
	enum wire_msg_id id; /* JOB_CALL */
	const void *msg;     /* borrowed */
	struct archive_ctx ctx;
	archive_cb *cb;
	archive_tail_cb *tail_cb;
	archive_lead_cb *lead_cb;
	void *arg;
	uint64_t epoch;           /* JOB_LEAD: ours to be; JOB_REFRESH: the one found */
	uint64_t covered;         /* purge.c: answered when what was forgotten up to then is purged */
	struct archive_tail tail; /* JOB_TAIL: next is `from` on the way in; v is freed with the job */
	unsigned limit;
	struct db *db; /* of the lane that serves it */
	int r;
	struct tr_fault fault;
	struct archive_answer answer;
	/* JOB_CALL of the writer's: audit.c */
	bool looked;                  /* the guard has looked at it; msg is what may be stored */
	int guard;                    /* what it said: 0, TR_ESECRET, or why it could not look */
	struct guard_verdict verdict; /* v NULL: nothing was looked for */
	struct tr_fault guard_fault;
};
struct jobs { /* first in, first out */
	struct job *head, *tail;
	unsigned n;
};
void jobs_put(struct jobs *q, struct job *j);
struct job *jobs_take(struct jobs *q);              /* NULL: empty */
void jobs_move(struct jobs *to, struct jobs *from); /* all of them, to the end; from is empty then */

/* Notes waiting for the next commit. */
struct touch_note {
	int64_t memory, at_ms;
};
#define NOTES_MAX     65536 /* of each kind */
#define NOTES_LATE_MS 200
struct notes {
	struct touch_note *touch;
	size_t ntouch, touch_cap;
	struct item_recall_sample *recall;
	size_t nrecall, recall_cap;
	struct entangle_change *change;
	size_t nchange, change_cap;
	struct res_memory_thermal heat_map; /* lists in it are not used */
	bool has_heat_map;
};
void notes_free(struct notes *n);
bool notes_any(const struct notes *n);

/* How a commit changes the running figures; carried out when it has succeeded. */
struct heat_change {
	double before, after;
	bool was, was_sacred, is_sacred; /* was: it existed before */
	bool gone;                       /* it does not exist any more */
};
struct heat_changes {
	struct heat_change *v;
	size_t n, cap;
	bool lost; /* one did not fit into memory */
};

/* Of rows that this batch has made; texts are the calls'. In the order of seq. */
struct new_word {
	int64_t seq;
	wire_str content, speaker;
	bool has_speaker;
};
struct new_words {
	struct new_word *v;
	size_t n, cap;
};

struct lane {
	pthread_mutex_t lock;
	pthread_cond_t wake;
	/* under lock */
	struct jobs waiting;
	unsigned wanted; /* so many must wait before the sleeper is woken; 0 is as good as 1 */
	bool stop;
};
struct lane_thread {
	pthread_t thread;
	bool started;
};

#define READERS 2 /* so that an export or a long search does not hold up a recall */
struct reader {
	struct sql_archive *a;
	struct lane_thread thread;
	struct db db;
	struct job *job; /* its own thread's: what the progress handler looks at */
	int64_t version; /* of the database, as it was refreshed last */
};

/* What is kept in memory of what others may change. */
struct constants {
	struct thermal_model model;
	double archive_id; /* a whole number below 2^53; 0: it has none yet */
	int64_t act_due;   /* of the act that is due first; 0: none is pending */
};
struct replay {
	uint64_t recalls, phase_known;
	double phase_sum;
	struct constants constants;
};
/* A model that was in force once, or is: readers may still look at it, so it lives as long as the archive. */
struct kept_model {
	struct kept_model *next;
	struct thermal_model model;
};
/* The rules of acts; read-only once open. */
#define GOVERNORS 3
struct governance {
	bool has_keys;
	unsigned char key[GOVERNORS][32];
	uint64_t delay_ms;
	uint64_t sacred_quota; /* UINT64_MAX: none */
};
/* The archive on a database. */
struct sql_archive {
	struct archive door; /* first */
	uv_async_t *async;   /* own allocation: outlives us until libuv has closed it */
	unsigned max_waiting;
	int64_t (*wall_ms)(void);
	_Atomic(struct kept_model *) model; /* the newest; changed under hist_lock */
	struct kept_model *next_model;      /* writer's: in force with the commit */
	struct governance governance;
	uint64_t wanted_epoch;
	bool named;           /* writer's: wanted_epoch is just the one to claim; else it is the least */
	uint64_t epoch;       /* ours, once we lead; writer's thread */
	struct replay replay; /* writer's: of the claim that is being committed */
	struct job *claiming; /* writer's: answered when the lead is ours, or never will be */
	atomic_bool leads;    /* it has been claimed; set under hist_lock */

	struct lane writer, reading, keeper, watcher;
	struct lane_thread writing, keeping, watching;
	struct reader readers[READERS];
	struct reader here; /* the loop's own: no thread; SQLite, else closed */
	struct db wdb, kdb;

	/* writer's lock */
	struct notes notes;
	uint64_t notes_since_ms; /* of the oldest waiting note */
	/* writer's thread */
	struct notes taken;
	struct heat_changes heat;
	struct new_words words;
	struct ahead *ahead; /* NULL: none; ahead.h */
	struct purge *purge; /* purge.h */
	struct quota *quota; /* NULL: no limit; quota.h */
	struct space *space; /* NULL: not looked at; space.h */
	char no_space[128];  /* why nothing is written while `low`; written at the start only */
	struct guard *guard; /* NULL: not made yet */
	uint64_t guard_ms;   /* writer's: when it is to be loaded; UINT64_MAX: not by itself */
	struct guard_policy policy;
	struct guard_counts {
		uint32_t n[GUARD_NCLASSES][GUARD_NACTIONS];
	} guarded;           /* by this transaction */
	int64_t now_ms;      /* commit time of the batch, never falling */
	unsigned last_calls; /* in the last batch that had any */
	uint64_t housekeeping_ms, probe_ms;

	/* hist_lock is held by the writer across COMMIT, so rows and hist change together for who holds it */
	pthread_mutex_t hist_lock;
	struct thermal_hist hist;
	/* of the first count: what is committed before its snapshot will be seen, what comes behind it goes to missed
	 */
	enum { COUNT_DUE, COUNT_BEGUN, COUNT_DONE } count;
	struct heat_changes missed; /* to be carried out on what was counted */

	/* reading's lock */
	bool counting; /* the first count is not done; thermal and samples wait in parked */
	struct jobs parked;

	pthread_mutex_t done_lock;
	struct jobs done; /* answered, not yet told */

	atomic_bool closing, healthy, keeper_idle, following;
	atomic_bool fenced;           /* a newer lead writes now */
	atomic_bool low;              /* SQLite: the disk is nearly full */
	_Atomic(enum db_trouble) ill; /* while not healthy: what the last write failed of */
	atomic_bool away;             /* PostgreSQL: the server does not answer */
	atomic_bool hurry;            /* SQLite: what is in the log is to be moved now */
	atomic_uint wal_pages;        /* SQLite: in the log */
	atomic_uint moved_pages;      /* of them in the database already */
	atomic_bool turn_ready; /* SQLite: of this log what was moved is on the disk, but for the last few pages */
	atomic_bool log_firm;   /* SQLite: what earlier lives left in the log is moved; before, nothing is written */
	pthread_mutex_t moving; /* SQLite: whoever moves the log */
	/* damage; SQLite: sqlite_watch.c */
	const char *path; /* of the database file, in path_copy */
	char *path_copy;
	uint32_t scrub_first_ms, scrub_every_ms, scrub_rest_ms;
	unsigned scrub_log;                    /* watcher's: pages in the log when a scrub began */
	atomic_int suspicion;                  /* a code that may mean damage; 0: none */
	atomic_uint suspect_page;              /* 0: no certain one */
	atomic_int writers;                    /* threads that may be writing now */
	atomic_bool damaged, frozen;           /* proved: nobody begins to write; and nobody does */
	char damage[96];                       /* why; set before damaged */
	atomic_ullong scrubs;                  /* finished */
	atomic_ullong words_made;              /* so often they did not agree with the memories */
	atomic_ullong phase_known, lead_epoch; /* lead_epoch: the archive's, as it was read last */
	_Atomic double phase_sum;
	atomic_ullong recalls_total, changes, commits, committed_calls, notes_dropped;
	atomic_ullong quota_refused;
	atomic_ullong guard_counts[GUARD_NCLASSES][GUARD_NACTIONS];
	atomic_llong purge_due_ms; /* purge.c: as in archive_stats */
	atomic_llong act_due_ms;   /* acts.c: as in archive_stats */
	_Atomic double archive_id;
	atomic_uint unanswered;
};
int sql_archive_open(struct archive **out, const struct db_driver *driver, const struct archive_cfg *cfg,
		     struct tr_fault *fault);

/* Before and behind whatever changes the database. False: it is damaged, and nothing is to be written any more. */
static inline bool archive_may_write(struct sql_archive *a)
{
	a->writers++;
	if (!a->damaged)
		return true;
	a->writers--;
	return false;
}
static inline void archive_wrote(struct sql_archive *a)
{
	a->writers--;
}

/* constants.c: any thread; what it points to lives as long as the archive */
const struct thermal_model *archive_thermal(const struct sql_archive *a);
int constants_read(struct db *db, struct constants *out, const char **lacks); /* TR_ESTORE: *lacks says what */
/* Now in force; under hist_lock, or before the first thread. TR_ENOMEM: nothing has changed. */
int constants_take(struct sql_archive *a, const struct constants *c);
/* Writer's: m is in force with the commit of this transaction; what the transaction has made of them so far; taking
 * back what came behind a mark. */
int constants_next(struct sql_archive *a, const struct thermal_model *m);
const struct thermal_model *constants_latest(const struct sql_archive *a);
struct kept_model *constants_mark(const struct sql_archive *a);
void constants_undo(struct sql_archive *a, const struct kept_model *mark);
void constants_committed(struct sql_archive *a); /* under hist_lock */
int constants_write(struct sql_archive *a, const struct thermal_model *was, const struct thermal_model *now);
void constants_free(struct sql_archive *a);
int constants_name(struct sql_archive *a, struct constants *c); /* writer's: an id for an archive that has none */
/* The constants as people have them, both ways: what is not there stays as it is in *m. */
void constants_show(const struct thermal_model *m, struct item_constants *out);
unsigned constants_apply(const struct item_constants *c, struct thermal_model *m); /* how many */

/* archive.c */
/* Any thread: hand them back to the loop. */
void archive_finish(struct sql_archive *a, struct job *j);
void archive_finish_all(struct sql_archive *a, struct jobs *all); /* at once; all is empty then */
int job_fault(struct job *j, int r, const char *field, const char *rule);
void *job_alloc(struct job *j, size_t n); /* zeroed, in the call's zone; NULL: out of memory */
bool job_late(const struct job *j);
bool job_gives_up(const struct job *j); /* will its caller have given up before a server that is away can be back? */

/* Writer's: puts our epoch there, and reads within the same transaction what whoever led before committed last. 0: we
 * lead. a->fenced: a newer one does. */
int archive_claim(struct sql_archive *a);
void archive_claimed(struct sql_archive *a);          /* its commit turned out to have happened */
int archive_role_epoch(struct db *db, uint64_t *out); /* of the row; 0: nobody has led yet */
int archive_replay(struct sql_archive *a, struct db *db, struct replay *out);
int archive_replayed(struct sql_archive *a, const struct replay *now);        /* under hist_lock; TR_ENOMEM */
int archive_enqueue(struct sql_archive *a, struct lane *lane, struct job *j); /* < 0: j is the caller's again */
bool lane_sleep(struct lane *lane, uint64_t ms);                              /* true: it is to stop */

/* A transaction of the writer's own, between two batches: fn within it. 0: on disk. */
int writer_own(struct sql_archive *a, int (*fn)(struct sql_archive *a, void *arg), void *arg);
/* writer.c, lanes.c: the threads; arg: the archive, for readers struct reader */
void *writer_main(void *arg);
void *reader_main(void *arg);
/* On the loop: is the call one that costs less than to wake a reader, and is it served here? */
bool lanes_read_here(struct sql_archive *a, struct job *j);
void *keeper_main(void *arg);
void keeper_wake(struct sql_archive *a);
void *watcher_main(void *arg);

/* follow.c */
int follow_tail(struct archive *door, const struct archive_mark *from, unsigned limit, archive_tail_cb *cb, void *arg);
int follow_refresh(struct archive *door, archive_lead_cb *cb, void *arg);
int follow_lead(struct archive *door, uint64_t epoch, archive_lead_cb *cb, void *arg);
int follow_settle(struct archive *door, archive_lead_cb *cb, void *arg);
int read_tail(struct sql_archive *a, struct job *j);
int read_refresh(struct sql_archive *a, struct reader *reader, struct job *j);

/* notes.c: what nobody waits for */
void note_touch(struct archive *door, int64_t memory, int64_t at_ms);
void note_recalled(struct archive *door, const struct item_recall_sample *log);
void note_entangled(struct archive *door, const struct entangle_change *change);
void note_heat_map(struct archive *door, const struct res_memory_thermal *figures);

/* A row as far as an effect needs it. */
struct row {
	int64_t seq;
	char id[WIRE_ID_MAX + 1], hash[2 * TR_SHA256_LEN + 1];
	uint32_t id_n;
	double heat;
	bool sacred, hidden;
	int64_t revision;
	struct entangle_seen seen;
};
/* What one memory to be kept comes to. */
struct entry {
	const struct item_new_memory *m;
	const struct item_record *taken; /* NULL, or what else the row shall be */
	unsigned i;                      /* its place in the call */
	bool has_source, has_import;
	bool unbounded;  /* its source's limit does not hold for it */
	wire_str source; /* its own or the call's */
	wire_str import; /* id of the import that brings it */
	char hash[2 * TR_SHA256_LEN + 1];
	unsigned char identity[TR_SHA256_LEN]; /* when it has no id of its own */
};

/* effect.c: one effect inside its savepoint, or the stored answer of an earlier one */
int write_effect(struct sql_archive *a, struct job *j);
/* write.c, change.c, restore.c, imports.c, tokens.c: what it does; the answer goes to j->answer */
int write_add(struct sql_archive *a, struct job *j);
int write_decide(struct sql_archive *a, struct job *j);
int write_patch(struct sql_archive *a, struct job *j);
int write_forget(struct sql_archive *a, struct job *j);
int write_restore(struct sql_archive *a, struct job *j);
int write_import_begin(struct sql_archive *a, struct job *j);
int write_import_undo(struct sql_archive *a, struct job *j);
/* owned.c: what a caller who is bound to a source (only_source) may see and change */
bool owned_serves(enum wire_msg_id id);               /* is there such a thing for him? */
bool owned_by(const struct job *j, wire_str *source); /* false: everything exists for this caller */
void q_owner(struct query *q, const struct job *j);   /* binds it, or NULL */
int owned_row(struct sql_archive *a, const struct job *j,
	      int64_t seq); /* writer's. 1: it exists for him, 0: not, < 0 */
/* Takes away links to memories that do not exist for him. */
int owned_links(const struct job *j, struct db *db, struct item_memory *m);
/* For cursors: the number of a memory in the archive becomes its place among his, and back. */
int owned_place(const struct job *j, int64_t *seq);
int owned_at(const struct job *j, int64_t *place);
/* Weighs words by his memories alone. */
int owned_weights(struct job *j, const struct query_words *words, bool weighed, struct item_explanation *out,
		  struct item_term *terms);
int owned_thermal(struct sql_archive *a, struct job *j, struct res_memory_thermal *res, struct item_heat_bin *bins,
		  uint32_t hottest, int64_t now_ms);
/* tokens.c */
int write_token_create(struct sql_archive *a, struct job *j);
int write_token_rotate(struct sql_archive *a, struct job *j);
int write_token_revoke(struct sql_archive *a, struct job *j);
int read_tokens(struct sql_archive *a, struct job *j);
int read_token_keys(struct sql_archive *a, struct job *j);
/* votes.c */
int write_vote_open(struct sql_archive *a, struct job *j);
int write_vote_cast(struct sql_archive *a, struct job *j);
int write_vote_close(struct sql_archive *a, struct job *j);

/* write.c: a decision is a memory and a line in the log. */
int write_decision(struct sql_archive *a, struct job *j, wire_str text, wire_str by, const wire_strs *tags,
		   struct item_decision *out);
/* acts.c, acts_carry.c */
int write_govern(struct sql_archive *a, struct job *j);
int write_carry_out(struct sql_archive *a, struct job *j);
int read_acts(struct sql_archive *a, struct job *j);
/* sacred.c: a memory of that source is about to become sacred. Who may, without an admin's word, and how often;
 * TR_EQUOTA with the fault */
bool job_admin(const struct job *j); /* is it, by what the caller's Jr says? */
int sacred_use(struct sql_archive *a, struct job *j, bool admin, bool has_source, wire_str source);
int sacred_use_of(struct sql_archive *a, struct job *j, bool admin, const struct row *row);

/* write.c: rows. 1 and *out, 0 when there is none, < 0 */
int row_by_id(struct sql_archive *a, wire_str id, struct row *out);
int row_by_identity(struct sql_archive *a, const struct entry *e, struct row *out);
int row_by_seq(struct sql_archive *a, int64_t seq, struct row *out);
void row_take(const struct query *q, struct row *out); /* columns EFFECT_COLUMNS */
enum { ROW_NEFFECT = 9 };                              /* so many are they */
int entry_prepare(struct entry *e);                    /* hash and identity */
int entry_create(struct sql_archive *a, struct job *j, struct entry *e,
		 struct row *row); /* a row that is not there yet */
int entry_fault(struct job *j, const struct entry *e, int r, const char *field, const char *rule);
char *tags_json(const wire_strs *tags);                      /* caller frees; NULL: out of memory */
int metadata_json(const msgpack_object *o, char **out);      /* caller frees *out; TR_EINVAL: JSON cannot hold it */
wire_str job_text(struct job *j, const char *p, uint32_t n); /* a copy in the zone; p == NULL: out of memory */
struct item_new_memory record_plain(const struct item_record *t); /* restore.c: what any new memory has of it */
/* change.c: removes the row and everything about it. Not for sacred ones. */
int forget_row(struct sql_archive *a, const struct row *row);
/* imports.c: may this call bring memories? Then, what it brought; both do nothing without an import_id. */
struct import_note {
	bool has_id, has_position, has_skipped;
	wire_str id;
	uint64_t position, skipped;
};
#define IMPORT_NOTE(msg)                                                                                       \
	{                                                                                                      \
		(msg)->has_import_id, (msg)->has_import_position, (msg)->has_import_skipped, (msg)->import_id, \
			(msg)->import_position, (msg)->import_skipped                                          \
	}
int import_check(struct sql_archive *a, struct job *j, const struct import_note *n);
int import_brought(struct sql_archive *a, const struct import_note *n, uint64_t added, uint64_t known);
/* words.c: what has to be found by its words when this batch is committed. An effect that is undone takes back what it
 * put, by setting words.n. */
int words_put(struct sql_archive *a, int64_t seq, const struct item_new_memory *m);
int words_write(struct sql_archive *a); /* before the commit, or an effect that removes rows; outside a savepoint */
bool words_needed(const struct job *j); /* it may remove rows of this batch, and their words with them */
/* notes.c */
int write_notes(struct sql_archive *a, struct notes *n);
int write_housekeeping(struct sql_archive *a);
/* write.c: an access at a->now_ms or before; 0, or < 0. Unknown memory: nothing. */
int write_touch(struct sql_archive *a, int64_t memory, int64_t at_ms);
int heat_changed(struct sql_archive *a, const struct heat_change *c); /* of this batch */
int heat_note(struct heat_changes *to, const struct heat_change *c);

/* audit.c: the guard, in front of whatever the writer does. A call that it refuses has one effect: its line in the
 * audit. */
/* Writer's thread. It is loaded when somebody needs it, or a moment behind the start, when who starts has the
 * processors no more. */
void guard_later(struct sql_archive *a);
uint64_t guard_wake(const struct sql_archive *a);      /* tr_mono_ms(): when it is to be loaded; UINT64_MAX: not */
void guard_begin(struct sql_archive *a);               /* if that is now */
void guard_look(struct sql_archive *a, struct job *j); /* once, before anything of the call is used */
bool guard_passed(const struct sql_archive *a, const struct job *j);
int audit_refused(struct sql_archive *a, struct job *j);
/* Within an effect that has stored something: item: its place in the call; created: it was not there before */
int audit_stored(struct sql_archive *a, const struct job *j, uint32_t item, const struct row *row, bool created,
		 bool has_source, wire_str source);
int audit_told(struct job *j, uint32_t item, struct item_added *out); /* what is said of it to who brought it */
void audit_committed(struct sql_archive *a);                          /* under hist_lock */
int audit_counts(struct sql_archive *a, struct job *j,
		 struct res_memory_thermal *res); /* what there is, since the start */
int read_audit(struct sql_archive *a, struct job *j);

/* requests.c: 1 and the stored answer in j, 0 when the request is new, < 0 */
int request_replay(struct sql_archive *a, struct job *j, unsigned char fingerprint[32]);
int request_store(struct sql_archive *a, struct job *j, const unsigned char fingerprint[32]);

/* read.c, search.c, figures.c */
int read_get(struct sql_archive *a, struct job *j);
int read_decisions(struct sql_archive *a, struct job *j);
int read_samples(struct sql_archive *a, struct job *j);
int read_recall(struct sql_archive *a, struct job *j);
int read_thermal(struct sql_archive *a, struct job *j);
int read_explain(struct sql_archive *a, struct job *j);
int read_export(struct sql_archive *a, struct job *j);
int read_imports(struct sql_archive *a, struct job *j);
/* sacred_read.c */
int read_sacred(struct sql_archive *a, struct job *j);
/* votes_read.c */
int read_vote(struct sql_archive *a, struct job *j);
int read_votes(struct sql_archive *a, struct job *j);
int read_vote_counts(struct job *j, struct item_vote_counts *out);
#define ANSWER_BYTES_MAX (8u << 20) /* of one answer: half of what a frame may hold */
void figures_begin(struct sql_archive *a);
int figures_count(struct sql_archive *a);  /* keeper's: the first count */
void figures_apply(struct sql_archive *a); /* writer's, under hist_lock: a->heat has been committed */
/* explain.c */
/* What explaining one memory leaves for the next one of the same question: a word weighs the same in each, and to weigh
 * it every memory is looked at that has it. match: of the memory, as the ranker found it; used when weighed. */
struct explained {
	bool weighed;
	double match, weight[QUERY_WORDS_MAX];
};
/* Fills match and terms of a memory's explanation. No word in the question: nothing. */
int explain_match(struct sql_archive *a, struct job *j, const struct query_words *words, int64_t memory,
		  struct explained *before, struct item_explanation *out);
/* row.c: the current row of a statement whose columns are MEMORY_COLUMNS */
int row_memory(struct sql_archive *a, struct job *j, struct query *q, int64_t now_ms, struct item_memory *out,
	       struct archive_hit *hit);
size_t row_bytes(struct query *q); /* about what it takes in a frame */
/* Why it is as hot as it is; match and terms are left empty. */
void row_explain(struct sql_archive *a, struct query *q, int64_t now_ms, struct item_memory *out);
int64_t row_compared(struct query *q);
enum { ROW_NCOLUMNS = 20 }; /* of MEMORY_COLUMNS */
int row_opt_text(struct job *j, struct query *q, int col, bool *has, wire_str *out);
int row_strs(struct job *j, struct query *q, int col, wire_strs *out); /* of a JSON array of strings */
int row_text(struct job *j, struct query *q, int col, wire_str *out);  /* copies into the zone; NULL column: n == 0 */

#endif
