/* Takes connections from an inherited listening socket, by accept() instead of uv_listen(): libuv takes them ahead of
 * its user, so one would be lost at a drain, and it closes callers when descriptors run out. What is not taken here
 * waits in the kernel, for a successor too. */
#ifndef COMMON_LOOP_LISTEN_H
#define COMMON_LOOP_LISTEN_H
#include <stdbool.h>
#include <uv.h>

struct loop_listener;
struct loop_listener_ops {
	/* Before each one: is there room? False stops until loop_listener_start(). */
	bool (*room)(void *arg);
	/* fd: the callee's. May free the listener. */
	void (*accepted)(void *arg, int fd);
};
/* fd: taken over, also on failure. backlog: callers that wait in the kernel; it cuts that to somaxconn. Stopped at
 * first. */
int loop_listener_new(struct loop_listener **out, uv_loop_t *loop, int fd, int backlog,
		      const struct loop_listener_ops *ops, void *arg);
void loop_listener_start(struct loop_listener *l);
void loop_listener_stop(struct loop_listener *l);
void loop_listener_free(struct loop_listener **l); /* NULL is fine */

#endif
