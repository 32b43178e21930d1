/* One Jr as tribed keeps it: carries out what lifecycle and role decide. On the loop's thread. */
#ifndef SUPERVISOR_APP_WORKER_H
#define SUPERVISOR_APP_WORKER_H
#include "common/loop/loop.h"
#include "proto/chan/packet.h"
#include "supervisor/app/launch.h"
#include "supervisor/core/avail.h"
#include "supervisor/core/backoff.h"
#include "supervisor/core/events.h"
#include "supervisor/core/hang.h"
#include "supervisor/core/lifecycle.h"
#include "supervisor/core/recovery.h"
#include "supervisor/core/role.h"

/* Why a Jr was started again; counted by cause. */
#define DEATHS(X)                                                       \
	X(EXIT, "exit", "left by itself")                               \
	X(SIGNAL, "signal", "killed by a signal that is not ours")      \
	X(HANG, "hang", "no heartbeat, not starved: killed")            \
	X(STOPPED, "stopped", "stopped by a signal: killed")            \
	X(START_TIMEOUT, "start_timeout", "no hello in time: killed")   \
	X(START_FAILED, "start_failed", "the program could not be run") \
	X(DRILL, "drill", "ordered by fault.inject; costs nothing")     \
	X(REQUEST, "request", "jr.restart")                             \
	X(RELOAD, "reload", "replaced, for a new configuration")
enum death {
#define X(id, name, doc) DEATH_##id,
	DEATHS(X) NDEATHS
#undef X
};
#define DEATH_NONE NDEATHS
extern const char *const death_names[NDEATHS];

struct worker;
struct worker_ops {
	void (*on_change)(void *arg, struct worker *w); /* its state is another */
	void (*on_beat)(void *arg, struct worker *w, const struct msg_heartbeat *beat);
	void (*on_ask)(void *arg, struct worker *w, enum wire_msg_id id, uint32_t msgid,
		       const void *msg);              /* over its channel */
	void (*on_event)(void *arg, struct event *e); /* number and time are the receiver's to fill in */
};
struct worker_env { /* shared by all, borrowed */
	uv_loop_t *loop;
	struct proc_set *procs;
	const struct launch *launch;
	const struct tr_config *cfg;
	const struct worker_ops *ops;
	void *arg;
};

struct worker {
	const struct worker_env *env;
	enum tr_role id;
	struct role role; /* of one slot in this version: recovery by spawn */
	struct lc lc;
	struct backoff backoff;
	struct hang hang;
	struct recovery recovery;
	struct avail avail;
	struct proc *proc;   /* NULL exactly when there is no process that was not reaped */
	struct packet *chan; /* NULL: none, or its other end has gone */
	struct loop_timer *timer;
	struct msg_heartbeat
		beat; /* the last one of this life; its strings lie in beat_state, beat_reason and tr_roles */
	char beat_state[17], beat_reason[129];
	bool has_beat, starved, ordered;
	bool follows;                         /* it asked for events, over its channel */
	uint32_t revision;                    /* of the configuration this life was given */
	uint32_t heartbeat_ms, hang_after_ms; /* by which this life is judged: those it was given */
	uint64_t heard_ms;                    /* hello or the last beat */
	int64_t heard_wall;
	uint64_t spawned_ms, up_ms;
	enum death why;     /* of the end under way, else of the last death that no life has followed yet */
	char last_exit[64]; /* empty: it never ended */
	int exit_value;     /* with which it left last, before it was ever up ... */
	unsigned exits;     /* ... and how often in a row with that one; 0: it has been up, or ended otherwise */
	bool was_up;
	uint64_t restarts[NDEATHS];
	uint64_t retry_ms; /* what the back-off said last */
};

/* SIGCHLD's tellings; arg of each process is its worker. */
extern const struct proc_ops worker_proc_ops;

int worker_init(struct worker *w, const struct worker_env *env, enum tr_role id);
void worker_free(struct worker *w); /* the process, if any, is the proc_set's to end */
void worker_start(struct worker *w);
void worker_stop(struct worker *w);
void worker_restart(struct worker *w);
void worker_replace(struct worker *w); /* the same, for a new configuration */
void worker_tick(struct worker *w);    /* about every heartbeat: hang detection */
/* SIGKILL or SIGSTOP on purpose. *pid and *monotonic_ns are those right before the signal. TR_EUNAVAILABLE: no process.
 */
int worker_harm(struct worker *w, int sig, uint32_t *pid, uint64_t *monotonic_ns);
/* SIGCONT, against a SIGSTOP of worker_harm(). True: it was stopped, or about to be, and goes on as if nothing had
 * been. */
bool worker_heal(struct worker *w);
bool worker_fresh(const struct worker *w, uint64_t now_ms); /* up, and what its last beat says still holds */
uint64_t worker_restarts(const struct worker *w);

#endif
