/* One role as tribed keeps it: its lead and the understudies behind it, as the role's table decides. On the loop's
 * thread.
 *
 * An understudy is started once somebody leads, so a first start is not slowed down by it. Who of the processes leads
 * is decided by the role's mutex and told by jr.lead; nothing is sent for a promotion (docs/adr/0016). Each slot has a
 * crash budget of its own: whichever of them crashes, the others start as they would have. */
#ifndef SUPERVISOR_APP_WORKER_H
#define SUPERVISOR_APP_WORKER_H
#include "supervisor/app/copy.h"
#include "supervisor/app/launch.h"
#include "supervisor/app/oom.h"
#include "supervisor/app/store.h"
#include "supervisor/core/avail.h"
#include "supervisor/core/role.h"
#include "supervisor/core/succession.h"

#define WORKER_COPIES (1 + CFG_UNDERSTUDIES_MAX)

struct worker_ops {
	void (*on_change)(void *arg, struct worker *w); /* its state, or that of one of its processes, is another */
	void (*on_beat)(void *arg, struct worker *w, const struct msg_heartbeat *beat); /* of the lead */
	void (*on_ask)(void *arg, struct copy *c, enum wire_msg_id id, uint32_t msgid,
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
	struct oom *oom;
};

struct worker {
	const struct worker_env *env;
	enum tr_role id;
	struct role role;
	struct succession succession;
	struct loop_timer *respawn;        /* when who is spent may be replaced */
	struct copy copies[WORKER_COPIES]; /* slots; 1 + understudies of them are in use at a time */
	uint32_t generation;               /* that the last spawn got */
	struct avail avail;
	struct recovery recoveries[NDEATHS]; /* by what the lead died of */
	struct {
		bool open; /* a lead has died and nobody has followed yet */
		struct reign reign;
		enum death why;
	} lost;
	const char *last_exit;                        /* of the process that ended last; NULL: none ever did */
	enum { HIT_NOBODY, HIT_LEAD, HIT_HELLO } hit; /* SIGKILL for who leads next, or says hello next: for a drill */
	uint64_t restarts[NDEATHS], detected[NDETECTIONS];
	bool rolling; /* processes up to generation roll_upto are being replaced, the lead last */
	uint32_t roll_upto;
	enum death roll_why;
	bool adjusting, again; /* worker_changed() is at work; there is more to do */
};

int worker_init(struct worker *w, const struct worker_env *env, enum tr_role id);
void worker_free(struct worker *w);
/* Before worker_start(): a process of a tribed that died goes on under this one; what it was given is of this revision.
 * Its descriptors are taken over, or it is dead and they are left. */
void worker_adopt(struct worker *w, struct store_process *p, uint32_t revision);
void worker_start(struct worker *w);
void worker_stop(struct worker *w);    /* the understudies first */
void worker_restart(struct worker *w); /* the understudies first; then one of them takes over from the lead */
void worker_replace(struct worker *w); /* the same, for a new configuration */

bool worker_wanted(const struct worker *w);
bool worker_serves(const struct worker *w);      /* somebody said that it leads, and is up */
bool worker_down(const struct worker *w);        /* no process, none wanted */
const char *worker_word(const struct worker *w); /* its state, in one word */
/* The one that stands for the role: the lead, else who would be it, else who had been it. Never NULL. */
const struct copy *worker_face(const struct worker *w);
struct copy *worker_lead(struct worker *w);       /* NULL: nobody was named */
struct copy *worker_understudy(struct worker *w); /* one that could lead at once; NULL: none */
unsigned worker_missing(const struct worker *w);  /* understudies to be started in a moment, in no slot yet */
struct copy *worker_find(struct worker *w, uint32_t generation); /* the living process of that one; NULL: it is gone */
/* One that waits for its next start while the role needs it: it serves nothing, or cannot be replaced. NULL: none. */
const struct copy *worker_stuck(const struct worker *w);
bool worker_current(const struct worker *w); /* serves, with every process it should have, all of the newest revision */
bool worker_fresh(const struct worker *w, uint64_t now_ms); /* serves, and what its lead's last beat says still holds */
uint64_t worker_restarts(const struct worker *w);
unsigned worker_exits(const struct worker *w); /* equal ones in a row of a process that was never up; the most */

/* Told by its copies. */
void worker_spawns(struct copy *c); /* a process is about to be made for this slot */
void worker_hello(struct copy *c);
void worker_takes(struct copy *c, const struct msg_lead *m);
/* Of one that beats. True: nobody leads, it could, and will not; end it. Then the next one's time begins anew. */
bool worker_stuck_at(struct copy *c, uint64_t now_ms);
/* copy still knows of what; before worker_gone(). How long its role was away, s, when another leads already and both
 * ends are known; else < 0. */
double worker_reaped(struct copy *c);
void worker_gone(struct copy *c);
bool worker_spent(
	const struct copy *c); /* its next start waits until another, who could lead at once, does, or has a moment */
void worker_changed(struct worker *w);

#endif
