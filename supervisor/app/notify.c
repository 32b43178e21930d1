#include "supervisor/app/notify.h"
#include "common/base/err.h"
#include <errno.h>
#include <poll.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <systemd/sd-daemon.h>
#include <unistd.h>

struct notify {
	struct loop_timer *timer;
};

#define PATIENCE_MS 10 /* for a manager that reads, and is behind */

/* sd_notify() of this age waits for as long as the manager does not read. */
bool notify_send(const char *text, const int *fds, unsigned n)
{
	const char *path = getenv("NOTIFY_SOCKET");
	struct sockaddr_un un = {.sun_family = AF_UNIX};
	union {
		struct cmsghdr head;
		char room[CMSG_SPACE(NOTIFY_FDS_MAX * sizeof(int))];
	} control = {.room = {0}};
	struct iovec iov = {.iov_len = strlen(text)};
	struct msghdr m = {.msg_iov = &iov, .msg_iovlen = 1};
	size_t length = path == NULL ? 0 : strlen(path);
	ssize_t sent;
	int fd;

	if (length == 0 || length >= sizeof(un.sun_path) || (fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0)) < 0)
		return false;
	memcpy(un.sun_path, path, length);
	if (path[0] == '@') /* in no file system */
		un.sun_path[0] = '\0';
	memcpy(&iov.iov_base, &text, sizeof(text)); /* it is only read */
	if (n > 0) {
		m.msg_control = &control;
		m.msg_controllen = CMSG_SPACE(n * sizeof(int));
		control.head = (struct cmsghdr){
			.cmsg_level = SOL_SOCKET, .cmsg_type = SCM_RIGHTS, .cmsg_len = CMSG_LEN(n * sizeof(int))};
		memcpy(CMSG_DATA(&control.head), fds, n * sizeof(int));
	}
	sent = connect(fd, (const struct sockaddr *)&un, (socklen_t)(offsetof(struct sockaddr_un, sun_path) + length));
	if (sent == 0 && (sent = sendmsg(fd, &m, MSG_DONTWAIT | MSG_NOSIGNAL)) < 0 && errno == EAGAIN &&
	    poll(&(struct pollfd){.fd = fd, .events = POLLOUT}, 1, PATIENCE_MS) == 1)
		sent = sendmsg(fd, &m, MSG_DONTWAIT | MSG_NOSIGNAL);
	close(fd);
	return sent >= 0;
}

static void beat(void *arg)
{
	(void)arg;
	(void)notify_send("WATCHDOG=1", NULL, 0);
}

int notify_new(struct notify **out, uv_loop_t *loop)
{
	struct notify *n = calloc(1, sizeof(*n));
	uint64_t usec = 0, ms;
	int r;

	if (n == NULL)
		return TR_ENOMEM;
	if (sd_watchdog_enabled(0, &usec) > 0) {
		ms = usec / 3000 > 0 ? usec / 3000 : 1; /* three times in the time allowed */
		if ((r = loop_timer_new(&n->timer, loop, beat, n)) < 0 || (r = loop_timer_start(n->timer, 0, ms)) < 0) {
			notify_free(&n);
			return r;
		}
	}
	*out = n;
	return 0;
}

void notify_ready(void)
{
	(void)notify_send("READY=1", NULL, 0);
}

void notify_stopping(void)
{
	(void)notify_send("STOPPING=1", NULL, 0);
}

void notify_status(const char *text)
{
	char line[256];

	(void)snprintf(line, sizeof(line), "STATUS=%s", text);
	(void)notify_send(line, NULL, 0);
}

void notify_free(struct notify **n)
{
	if (*n == NULL)
		return;
	loop_timer_free(&(*n)->timer);
	free(*n);
	*n = NULL;
}
