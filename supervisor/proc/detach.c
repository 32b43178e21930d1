#include "supervisor/proc/detach.h"
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define READY "ready\n"

static int wait_for_report(int fd, pid_t middle, char *reason, unsigned size)
{
	unsigned n = 0;

	while (waitpid(middle, NULL, 0) < 0 && errno == EINTR)
		;
	while (n < size - 1) {
		ssize_t got = read(fd, reason + n, size - 1 - n);

		if (got < 0 && errno == EINTR)
			continue;
		if (got <= 0)
			break;
		n += (unsigned)got;
	}
	reason[n] = '\0';
	close(fd);
	if (strncmp(reason, READY, strlen(READY)) == 0) {
		memmove(reason, reason + strlen(READY), n - strlen(READY) + 1);
		return -1;
	}
	if (n == 0)
		snprintf(reason, size, "it died while starting");
	return -1 - 1;
}

int detach(char *reason, unsigned reason_size)
{
	int fd[2];
	pid_t pid;

	reason[0] = '\0';
	if (pipe2(fd, O_CLOEXEC) < 0 || (pid = fork()) < 0) {
		snprintf(reason, reason_size, "cannot go into the background: %s", strerror(errno));
		return -1 - 5;
	}
	if (pid > 0) {
		close(fd[1]);
		return wait_for_report(fd[0], pid, reason, reason_size);
	}
	close(fd[0]);
	setsid();
	pid = fork();
	if (pid != 0) { /* no exit handlers: they belong to the first process */
		if (pid < 0)
			(void)!write(fd[1], "cannot fork\n", 12);
		_exit(0);
	}
	return fd[1];
}

void detach_report(int *fd, const char *why)
{
	if (*fd < 0)
		return;
	(void)!write(*fd, why, strlen(why)); /* at most PIPE_BUF: whole or not at all */
	close(*fd);
	*fd = -1;
}

void detach_ready(int *fd, const char *text)
{
	char both[sizeof(READY) + DETACH_TEXT_MAX];

	snprintf(both, sizeof(both), READY "%s", text == NULL ? "" : text);
	detach_report(fd, both);
	explicit_bzero(both, sizeof(both));
}

int detach_stdio(const char *log_path)
{
	int null = open("/dev/null", O_RDWR | O_CLOEXEC);
	int log = open(log_path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | O_NOFOLLOW, 0600);
	int r = 0;

	if (null < 0 || log < 0 || dup2(null, 0) < 0 || dup2(null, 1) < 0 || dup2(log, 2) < 0)
		r = -errno;
	if (null >= 0)
		close(null);
	if (log >= 0)
		close(log);
	return r;
}

int detach_guard_stdio(void)
{
	int fd;

	do {
		fd = open("/dev/null", O_RDWR);
		if (fd < 0)
			return -errno;
	} while (fd <= 2);
	close(fd);
	return 0;
}
