/* One tribe for one state directory, one tribed for one runtime directory. */
#ifndef SUPERVISOR_APP_LOCK_H
#define SUPERVISOR_APP_LOCK_H
#include <stdbool.h>
#include <stddef.h>

struct state_lock {
	int state_fd;   /* flock on STATE/lock; memory-jr inherits it, so an orphaned one keeps the next tribe away */
	int runtime_fd; /* flock on RUNTIME/tribed.pid; ours alone */
	const char *runtime; /* borrowed: the directory of that file */
	bool unclean;        /* the tribed before us did not leave in order: its Jrs may still be leaving */
};

/* A living tribed: TR_EBUSY after 200 ms. A dead one's memory-jr: waits up to 5 s for it to leave. `why` says what is the
 * matter. Call before the loop runs. */
int state_lock_take(struct state_lock *l, const char *state, const char *runtime, char *why, size_t size);
/* The locks of a tribed that died, which are held for as long as these descriptors live: taken over on success.
 * TR_EPROTO: they are not those of these directories. */
int state_lock_adopt(struct state_lock *l, const char *state, const char *runtime, int state_fd, int runtime_fd);
/* After the last Jr left: says in the file that all went in order. */
void state_lock_drop(struct state_lock *l);

#endif
