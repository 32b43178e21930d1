/* tribed: the parts put together. On the loop's thread; nothing here blocks once the loop runs. */
#ifndef SUPERVISOR_APP_TRIBE_H
#define SUPERVISOR_APP_TRIBE_H
#include "supervisor/app/credentials.h"
#include "supervisor/app/lock.h"
#include "supervisor/app/opts.h"
#include "supervisor/app/store.h"
#include "supervisor/app/worker.h"
#include "supervisor/core/events.h"
#include "supervisor/core/sentience.h"

struct control;
struct drills;
struct runner;
struct notify;
struct reload;

struct tribe {
	const struct app_opts *opts; /* borrowed; its configuration is that of the start */
	struct tr_config cfg;        /* in force */
	struct cfg_origins origins;  /* where its values came from, by the last file that was good */
	struct credentials credentials;
	uv_loop_t loop;
	bool loop_open;
	struct state_lock lock;
	struct listeners listeners;
	struct launch launch;
	struct store store; /* of a tribed that died: what was not taken out of it yet */
	bool adopting;
	struct proc_set *procs;
	struct worker_env env;
	struct oom oom;
	struct worker workers[TR_NROLES];
	struct control *control;
	struct notify *notify;
	struct reload *reload;
	struct events events;
	struct drills *drills;
	struct runner *runner;
	uint64_t beat_due_ms[TR_NROLES]; /* when executive-jr's channel takes the next beat of each Jr */
	enum event_kind told; /* operational, degraded or down; EVENT_NKINDS before the first time all was well */
	struct loop_timer *late, *stopper; /* --detach gives up; shutdown begins in a turn of its own */
	uv_signal_t signals[3];
	unsigned nsignals;
	struct recall_count recalls;
	uint64_t recalls_seen; /* over all lives of memory-jr */
	uint64_t start_ms;
	int report_fd; /* --detach: who waits for us to be ready; -1: nobody */
	bool announced, stopping;
	unsigned up_told;   /* one more than the number of Jrs that systemd was last told are up; 0: nothing told */
	char failure[1024]; /* why it cannot be, or could not stay; for a person; empty: all is well */
};

/* report_fd: taken over, -1 without --detach. On failure t->failure says why; tribe_free() is due anyway. */
int tribe_open(struct tribe *t, const struct app_opts *opts, int report_fd);
int tribe_run(struct tribe *t); /* until an ordered shutdown is done: the exit status */
void tribe_shutdown(struct tribe *t);
/* Last of all tells who waits behind report_fd: by then the locks are free again. */
void tribe_free(struct tribe *t);

#endif
