#include "supervisor/app/lock.h"
#include "common/base/clock.h"
#include "common/base/err.h"
#include "common/base/small_file.h"
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#define ORPHAN_PATIENCE_MS 5000
#define DYING_PATIENCE_MS  200 /* one that was killed a moment ago has not let go of everything */
#define LOOK_AGAIN_MS      5
#define STATE_FILE         "lock"
#define PID_FILE           "tribed.pid"

/* Field 22 of /proc/PID/stat: with the pid it names a process for ever. 0: there is none, or a zombie. */
static unsigned long long start_time(long pid)
{
	char path[64], text[1024], *p;
	unsigned long long t = 0;

	snprintf(path, sizeof(path), "/proc/%ld/stat", pid);
	if (!tr_small_file(path, text, sizeof(text)))
		return 0;
	p = strrchr(text, ')'); /* the name may hold anything; field 3 follows it */
	if (p != NULL && strncmp(p, ") Z", 3) == 0)
		return 0;
	for (int field = 2; p != NULL && field < 22; field++)
		p = strchr(p + 1, ' ');
	if (p != NULL)
		t = strtoull(p + 1, NULL, 10);
	return t;
}

/* Whom the file names, if that process still lives; 0 otherwise. *was: the file named somebody. A pid file has no start
 * time: whoever has that pid is taken for him. */
static long living_owner(int fd, bool *was)
{
	char text[64] = "", *end;
	unsigned long long began;
	long pid;

	*was = pread(fd, text, sizeof(text) - 1, 0) > 0;
	pid = strtol(text, &end, 10);
	if (pid <= 0 || (began = start_time(pid)) == 0)
		return 0;
	return *end != ' ' || strtoull(end + 1, NULL, 10) == began ? pid : 0;
}

static int open_lock(const char *dir, const char *name)
{
	char path[4096 + 32];
	int fd;

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	return fd < 0 ? -errno : fd;
}

/* 0: ours, and *was says whether somebody left it unclean. TR_EBUSY: *pid has it, who lives, or 0: one that does not
 * let go. A lock outlives who took it: in a memory-jr that has not left yet, and in systemd until it has dropped what
 * it kept for a tribed whose Jrs are not adopted. */
static int take(int fd, bool *was, long *pid)
{
	uint64_t begun = tr_mono_ms(), end = begun + ORPHAN_PATIENCE_MS;

	for (;;) {
		*pid = living_owner(fd, was);
		if (flock(fd, LOCK_EX | LOCK_NB) == 0)
			return 0;
		if (errno != EWOULDBLOCK && errno != EINTR)
			return -errno;
		if (tr_mono_ms() >= (*pid != 0 ? begun + DYING_PATIENCE_MS : end))
			return TR_EBUSY;
		poll(NULL, 0, LOOK_AGAIN_MS);
	}
}

static int lock_state(struct state_lock *l, const char *state, char *why, size_t size)
{
	long pid;
	int r;

	l->state_fd = open_lock(state, STATE_FILE);
	if (l->state_fd < 0) {
		snprintf(why, size, "%s/" STATE_FILE ": %s", state, tr_strerror(l->state_fd));
		return l->state_fd;
	}
	r = take(l->state_fd, &l->unclean, &pid);
	if (r == TR_EBUSY && pid != 0)
		snprintf(why, size, "another tribed (pid %ld) keeps this state directory", pid);
	else if (r == TR_EBUSY)
		snprintf(why, size, "a memory-jr of a dead tribed still holds this state directory");
	else if (r < 0)
		snprintf(why, size, "the state directory cannot be locked: %s", tr_strerror(r));
	return r;
}

static int sign(int fd, const char *text)
{
	if (ftruncate(fd, 0) < 0 || pwrite(fd, text, strlen(text), 0) != (ssize_t)strlen(text))
		return -errno;
	return 0;
}

static int sign_state(int fd)
{
	char text[64];

	snprintf(text, sizeof(text), "%d %llu\n", getpid(), start_time(getpid()));
	return sign(fd, text);
}

static int sign_runtime(int fd)
{
	char text[32];

	snprintf(text, sizeof(text), "%d\n", getpid());
	return sign(fd, text);
}

/* Does the name still lead to the file we hold? */
static bool in_place(const char *dir, const char *name, int fd)
{
	char path[4096 + 32];
	struct stat named, held;

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	return lstat(path, &named) == 0 && fstat(fd, &held) == 0 && named.st_dev == held.st_dev &&
	       named.st_ino == held.st_ino;
}

/* Its holder removes the file before he lets go of it: a lock on one that has gone meanwhile is worth nothing. */
static int lock_runtime(struct state_lock *l, const char *runtime, char *why, size_t size)
{
	bool was;
	long pid;
	int r;

	for (;;) {
		l->runtime_fd = open_lock(runtime, PID_FILE);
		if (l->runtime_fd < 0) {
			snprintf(why, size, "%s/" PID_FILE ": %s", runtime, tr_strerror(l->runtime_fd));
			return l->runtime_fd;
		}
		if ((r = take(l->runtime_fd, &was, &pid)) < 0) {
			snprintf(why, size, "another tribed uses this runtime directory");
			return r;
		}
		if (in_place(runtime, PID_FILE, l->runtime_fd))
			break;
		close(l->runtime_fd);
	}
	l->runtime = runtime;
	return sign_runtime(l->runtime_fd);
}

int state_lock_take(struct state_lock *l, const char *state, const char *runtime, char *why, size_t size)
{
	int r;

	*l = (struct state_lock){.state_fd = -1, .runtime_fd = -1};
	if ((r = lock_state(l, state, why, size)) < 0 || (r = lock_runtime(l, runtime, why, size)) < 0)
		goto fail;
	if ((r = sign_state(l->state_fd)) == 0)
		return 0;
	snprintf(why, size, "the state directory cannot be written: %s", tr_strerror(r));
fail:
	if (l->runtime_fd >= 0)
		close(l->runtime_fd);
	if (l->state_fd >= 0)
		close(l->state_fd);
	*l = (struct state_lock){.state_fd = -1, .runtime_fd = -1};
	return r;
}

int state_lock_adopt(struct state_lock *l, const char *state, const char *runtime, int state_fd, int runtime_fd)
{
	int r;

	if (!in_place(state, STATE_FILE, state_fd) || !in_place(runtime, PID_FILE, runtime_fd))
		return TR_EPROTO;
	/* a lock goes with the open file: to take it again there changes nothing, and another's would be in the way */
	if (flock(state_fd, LOCK_EX | LOCK_NB) < 0 || flock(runtime_fd, LOCK_EX | LOCK_NB) < 0)
		return TR_EPROTO;
	if ((r = sign_state(state_fd)) < 0 || (r = sign_runtime(runtime_fd)) < 0)
		return r;
	*l = (struct state_lock){.state_fd = state_fd, .runtime_fd = runtime_fd, .runtime = runtime, .unclean = true};
	return 0;
}

void state_lock_drop(struct state_lock *l)
{
	if (l->state_fd >= 0) {
		(void)!ftruncate(l->state_fd, 0);
		close(l->state_fd);
	}
	if (l->runtime_fd >= 0) {
		char path[4096 + 32];

		snprintf(path, sizeof(path), "%s/" PID_FILE, l->runtime);
		if (in_place(l->runtime, PID_FILE, l->runtime_fd))
			(void)unlink(path);
		close(l->runtime_fd);
	}
	*l = (struct state_lock){.state_fd = -1, .runtime_fd = -1};
}
