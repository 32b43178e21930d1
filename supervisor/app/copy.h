/* One process of a role: its life, channel, beats and end, as lifecycle, hang and back-off decide. Which of them leads
 * and how many there are is its worker's. On the loop's thread. */
#ifndef SUPERVISOR_APP_COPY_H
#define SUPERVISOR_APP_COPY_H
#include "common/loop/loop.h"
#include "proto/chan/packet.h"
#include "supervisor/core/backoff.h"
#include "supervisor/core/deaths.h"
#include "supervisor/core/events.h"
#include "supervisor/core/hang.h"
#include "supervisor/core/lifecycle.h"
#include "supervisor/core/recovery.h"
#include "supervisor/proc/proc.h"

struct worker;
struct store_process;

struct copy {
	struct worker *w;
	int slot;
	struct lc lc;
	struct backoff backoff; /* of each its own: an understudy that crashes again and again costs the lead nothing */
	struct hang hang;
	struct mute mute;
	struct reign reign;
	struct store_process *adopt;      /* what its next spawn takes instead of a new process; NULL */
	struct proc *proc;                /* NULL exactly when there is no process that was not reaped */
	struct packet *chan;              /* NULL: none, or its other end has gone */
	struct loop_timer *timer, *watch; /* of its life; of its silence */
	struct msg_heartbeat
		beat; /* the last one of this life; its strings lie in beat_state, beat_reason and tr_roles */
	char beat_state[17], beat_reason[129];
	bool has_beat, starved, ordered, slow;
	bool barren;                                /* it would not lead: its time was no service */
	bool follows;                               /* it asked for events, over its channel */
	uint32_t generation;                        /* of this life or the last one; no two lives of a role share one */
	uint64_t epoch;                             /* that it took in this life; 0: it has not led */
	uint64_t lead_ns;                           /* when it began to answer, on its own word */
	uint32_t revision;                          /* of the configuration this life was given */
	uint32_t hang_after_ms; /* by which this life is judged: what it was given */
	uint64_t heard_ms;                          /* hello or the last beat */
	int64_t heard_wall;
	uint64_t spawned_ms, up_ms;
	enum death why;     /* of the end under way, else of the last death that no life has followed yet */
	char last_exit[64]; /* empty: it never ended */
	int exit_value;     /* with which it left last, before it was ever up ... */
	unsigned exits;     /* ... and how often in a row with that one; 0: it has been up, or ended otherwise */
	bool was_up;
	uint64_t retry_ms; /* what the back-off said last */
};

/* SIGCHLD's tellings; arg of each process is its copy. */
extern const struct proc_ops copy_proc_ops;

int copy_init(struct copy *c, struct worker *w, int slot);
void copy_free(struct copy *c); /* the process, if any, is the proc_set's to end */
/* One event of its life, and what follows from it at once. Tells the worker of a change, which may step this or another
 * copy again before this returns. */
void copy_step(struct copy *c, enum lc_event ev);
void copy_adopt(struct copy *c, struct store_process *p, uint32_t revision);    /* see worker_adopt() */
bool copy_leaves(const struct copy *c);                                         /* told to, or being ended for good */
bool copy_waits(const struct copy *c);                                          /* for its next start */
void copy_tell(const struct copy *c, enum event_kind kind, const char *detail); /* detail may be NULL */

/* What a drill does: a signal, or jr.fault, which its own fault point heeds. *monotonic_ns: right before.
 * TR_EUNAVAILABLE: no process that could be harmed. */
int copy_hit(struct copy *c, int sig, uint64_t *monotonic_ns);
int copy_fault(struct copy *c, const struct msg_fault *fault, bool lasts, uint64_t *monotonic_ns);
/* Ends it: SIGCONT against a SIGSTOP, jr.heal against the rest. True: it was in force, and is no more. */
bool copy_heal(struct copy *c, bool stopped);

#endif
