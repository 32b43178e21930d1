/* Takes connections from an inherited listening socket, by accept() instead of uv_listen(): libuv takes them ahead of
 * its user, so one would be lost at a drain, and it closes callers when descriptors run out. What is not taken here
 * waits in the kernel, for a successor too. Internal to proto/chan. */
#ifndef PROTO_CHAN_LISTEN_H
#define PROTO_CHAN_LISTEN_H
#include <stdbool.h>
#include <uv.h>

struct chan_listener;
struct chan_listener_ops {
	/* Before each one: is there room? False stops until chan_listener_start(). */
	bool (*room)(void *arg);
	/* fd: the callee's. May free the listener. */
	void (*accepted)(void *arg, int fd);
};
/* fd: taken over, also on failure. Stopped at first. */
int chan_listener_new(struct chan_listener **out, uv_loop_t *loop, int fd, const struct chan_listener_ops *ops,
		      void *arg);
void chan_listener_start(struct chan_listener *l);
void chan_listener_stop(struct chan_listener *l);
void chan_listener_free(struct chan_listener **l); /* NULL is fine */

#endif
