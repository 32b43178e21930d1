/* What runit and s6 keep alive in the recovery bench: a worker that is ready at once. It listens on ./sock, answers one
 * byte with its pid, closes. It takes no arguments, so that it can be a service's `run` itself, without a shell before
 * it; where s6 wants to be told that it is ready (a file notification-fd, which says 3), it tells: only then is it
 * started again at once. */
#include "tests/bench/common.h"
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

int main(void)
{
	const struct sockaddr_un a = {.sun_family = AF_UNIX, .sun_path = "sock"};
	int listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	char pid[32], byte;
	size_t n = (size_t)snprintf(pid, sizeof(pid), "%ld\n", (long)getpid());

	(void)unlink(a.sun_path);
	bench_must(listener >= 0 && bind(listener, (const struct sockaddr *)&a, sizeof(a)) == 0 &&
			   listen(listener, 512) == 0,
		   "listen");
	if (access("notification-fd", F_OK) == 0) {
		bench_must(write(3, "\n", 1) == 1, "notification");
		(void)close(3);
	}
	for (;;) {
		int fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC);

		if (fd < 0)
			continue;
		if (recv(fd, &byte, 1, 0) == 1)
			(void)send(fd, pid, n, MSG_NOSIGNAL);
		(void)close(fd);
	}
}
