/* A real archive on a machine whose power is cut, sixteen writers in front of it who write down what they were told,
 * and a judge. For test_powercut.c. The archive is used through archive.h alone; the judge also reads the file, as
 * anybody with the sqlite3 shell could.
 *
 * What a writer knows of a memory (a fact) is its fate. An answered add makes it THERE, an answered forget GONE; a call
 * that was not answered, or failed, leaves MAYBE or MAYBE_GONE, until the judge has looked: a call whose machine is
 * dead, or behind which another commit succeeded, happens no more, so what was seen is certain from then on. */
#ifndef TESTS_UNIT_POWERCUT_WORLD_H
#define TESTS_UNIT_POWERCUT_WORLD_H
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "common/base/clock.h"
#include "common/loop/loop.h"
#include "jrs/memory/archive/archive.h"
#include "tests/kit/powercut_vfs.h"
#include "tests/kit/vfs_disk.h"

#define WRITERS   16
#define LIST_MAX  5
#define COMMON    12
#define FILE_NAME "thermal.sqlite"

enum fate { NEVER, MAYBE, THERE, MAYBE_GONE, GONE };

struct fact {
	unsigned number; /* its content begins with it */
	unsigned owner;  /* the writer that alone patches, supersedes and forgets it; WRITERS: common to all, never
			    forgotten */
	char id[48];     /* its own, or as it was told; empty: not known yet */
	char *content;
	uint32_t n;
	enum fate fate;
	bool own_id, sacred, hidden, decision, kept; /* kept: others point at it, so it is not forgotten */
	unsigned list;                               /* facts of one call share a number: all of them or none */
	unsigned patch, maybe_patch; /* number of its newest patch, and of one that may have come after; 0: none */
	unsigned added, may_add; /* effects of adds: so many were answered, so many there may be: sending again under an
				    id adds none */
	unsigned trying;         /* adds without an answer yet, since the judge looked */
	unsigned touched;        /* accesses noted: each may have been kept or not */
	int64_t seq;             /* its number in the archive, 0: not known */
	struct fact *supersedes;
	unsigned rows, decisions; /* the judge's: found this time */
};

enum deed { DO_ADD, DO_DECIDE, DO_PATCH, DO_FORGET, DO_GET, DO_RECALL, DO_IMPORT_BEGIN, DO_NDEEDS };
/* One call. Kept after its answer: its request id must answer the same for ever. */
struct op {
	struct world *world;
	unsigned writer, life;
	enum deed deed;
	enum wire_msg_id id;
	union {
		struct wire_common common;
		struct msg_memory_add add;
		struct msg_memory_decide decide;
		struct msg_memory_patch patch;
		struct msg_memory_forget forget;
		struct msg_memory_get get;
		struct msg_memory_recall recall;
		struct msg_memory_import_begin begin;
	} msg;
	struct item_new_memory item[LIST_MAX];
	struct fact *fact[LIST_MAX];
	unsigned nfacts, patch_number;
	char rid[40], tag[16], word[24];
	wire_str tags;
	msgpack_zone *zone;
	bool refused;                         /* it breaks a rule: must fail and leave nothing */
	bool answered, acknowledged, settled; /* settled: the judge knows what became of it */
	/* the first answer */
	bool created[LIST_MAX];
	double temperature[LIST_MAX];
	char answer_id[LIST_MAX][48];
};

struct verdict {
	unsigned cuts, lives, calls, acknowledged, unknown, failed, replays, followed, promoted;
	/* wrong, each to be 0 */
	unsigned lost, doubled, resurrected, strange, torn, answers, integrity, index, figures, unopened, ill, stuck;
	char first[400]; /* the first of them, in words */
};
#define WRONG(X)   \
	X(lost)    \
	X(doubled) \
	X(resurrected) X(strange) X(torn) X(answers) X(integrity) X(index) X(figures) X(unopened) X(ill) X(stuck)
unsigned verdict_wrong(const struct verdict *v);
void verdict_add(struct verdict *sum, const struct verdict *v);

struct writer {
	uint64_t turn;
	struct op *op; /* in flight, or NULL */
};
struct world {
	char dir[64], path[96];
	uv_loop_t loop;
	struct archive *a;
	struct archive *f; /* a follower beside it, or NULL */
	uint64_t seed;
	bool keep;     /* if it comes out red, leave what survived for looking at */
	bool follow;   /* what is opened only follows */
	bool forgets;  /* writers forget too */
	bool patient;  /* go on after a failed call (failing system calls); else a failed call means the power is off */
	unsigned bulk; /* of 1000 memories so many are large */
	unsigned reads; /* of 100 calls so many are reads, beside those that are anyway */
	unsigned again; /* the judge sends again so many of 100 calls */
	struct fact **fact;
	struct fact *common[COMMON]; /* what everybody says: rows that are there once, and heated */
	unsigned nfacts, facts_cap, lists;
	struct op **op;
	unsigned nops, ops_cap;
	struct writer writer[WRITERS];
	unsigned budget, flying;
	bool stop; /* nobody begins anything */
	/* the import of writer 0 */
	char import[32];
	bool import_known;
	unsigned import_position, import_maybe;
	int64_t epoch;
	uint64_t place; /* world_place() before the archive was last opened */
	unsigned life;
	struct verdict v;
};

/* ---- powercut_world.c ---- */
struct world *world_new(uint64_t seed);
void world_free(struct world **w); /* closes the archive, too */
int64_t world_now(void);           /* the archive's clock */
void world_tick(unsigned ms);
uint64_t world_dice(struct world *w, unsigned writer);
/* A new memory to be said; at most about max bytes. */
struct fact *world_fact(struct world *w, unsigned owner, uint64_t seed, size_t max);
struct fact *world_common(struct world *w, unsigned writer);
/* One of the writer's own that is there and that no call is about; may_go: that may be forgotten or replaced. Or NULL.
 */
struct fact *world_own(struct world *w, unsigned writer, bool may_go);
/* Opens the archive on the present machine: 0, or why not. What lies on the simulated disk is put at its real place
 * first, for whoever looks there before opening it. */
int world_open(struct world *w, struct tr_fault *fault);
void world_await_lead(const struct world *w); /* what opening leaves to the writer's thread is done, or dark */
void world_close(struct world *w);            /* the lead, then the follower */
/* Opens a follower beside the lead, as another process would. False: it refuses though nothing fails. */
bool world_follow(struct world *w);
/* The follower takes the lead; in_order: the lead is closed before, else it is fenced off, and closed then. */
void world_promote(struct world *w, bool in_order);
uint64_t world_place(const struct world *w); /* the real directory, names and inodes, as one number */
void op_free(struct op *op);
void wrong(struct world *w, unsigned *what, const char *fmt, ...) __attribute__((format(printf, 3, 4)));

/* ---- powercut_load.c ---- */
/* Sixteen writers, `calls` calls, until all are answered. */
void world_run(struct world *w, unsigned calls);
/* Turns the loop until *flying is 0. False: something is stuck; the archive has been closed. */
bool world_await(struct world *w, const unsigned *flying);
/* One call, waited for. 0 or its error. */
int world_call(struct world *w, struct op *op);
/* Writes until a write works and the archive says it is healthy; notes ride along. False: it did not heal. */
bool world_settle(struct world *w);
struct op *op_new(struct world *w, unsigned writer, enum deed deed, enum wire_msg_id id);
/* The same call again: a copy that is not noted anywhere. op_free() it. */
struct op *op_again(const struct op *first);

/* ---- powercut_judge.c ---- */
/* The archive is open, nothing is in flight, no fault is on. */
void world_judge(struct world *w);

#endif
