/* The kernel's part: what tribed and the Jrs use, tried out. */
#include "common/base/clock.h"
#include "supervisor/ctl/doctor.h"
#include "supervisor/proc/proc.h"
#include <errno.h>
#include <fcntl.h>
#include <linux/seccomp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/utsname.h>
#include <unistd.h>

#define PIDFD_INFO_SINCE 6015 /* 6.15 tells an adopted process's exit status */
#ifndef SYS_landlock_create_ruleset
#define SYS_landlock_create_ruleset 444
#endif
#define LANDLOCK_VERSION 1u

static void version(struct doctor *d)
{
	struct utsname u;
	unsigned major = 0, minor = 0;

	if (uname(&u) < 0 || sscanf(u.release, "%u.%u", &major, &minor) != 2) {
		doctor_add(d, "kernel", "version", DOCTOR_WARN, "it could not be read", "unknown");
		return;
	}
	doctor_add(d, "kernel", "version", DOCTOR_OK, NULL, "%.100s %.60s", u.release, u.machine);
	if (major * 1000 + minor < PIDFD_INFO_SINCE)
		doctor_add(d, "kernel", "exit status of adopted Jrs", DOCTOR_WARN,
			   "a Jr that outlived its tribed dies with an unknown reason", "needs Linux 6.15");
	else
		doctor_add(d, "kernel", "exit status of adopted Jrs", DOCTOR_OK, NULL, "known");
}

static void features(struct doctor *d)
{
	static const char page[] = "tribed hands the configuration over in one: it cannot start";
	int fd = (int)syscall(SYS_pidfd_open, getpid(), 0);
	long landlock = syscall(SYS_landlock_create_ruleset, NULL, 0, LANDLOCK_VERSION);
	unsigned action = SECCOMP_RET_KILL_PROCESS;

	doctor_add(d, "kernel", "pidfd", fd < 0 ? DOCTOR_WARN : DOCTOR_OK,
		   "a process is known by its number alone, which may be given out again", "%s",
		   fd < 0 ? strerror(errno) : "there");
	if (fd >= 0)
		(void)close(fd);
	fd = memfd_create("doctor", MFD_CLOEXEC);
	doctor_add(d, "kernel", "memfd", fd < 0 ? DOCTOR_FAIL : DOCTOR_OK, page, "%s",
		   fd < 0 ? strerror(errno) : "there");
	if (fd >= 0)
		(void)close(fd);
	if (syscall(SYS_seccomp, SECCOMP_GET_ACTION_AVAIL, 0, &action) == 0)
		doctor_add(d, "kernel", "seccomp", DOCTOR_OK, NULL, "there%s",
			   prctl(PR_GET_SECCOMP, 0, 0, 0, 0) > 0 ? ", and a filter is on already" : "");
	else
		doctor_add(d, "kernel", "seccomp", DOCTOR_WARN, "a Jr cannot give up system calls it does not need",
			   "%s", strerror(errno));
	if (landlock >= 1)
		doctor_add(d, "kernel", "Landlock", DOCTOR_OK, NULL, "there, ABI %ld", landlock);
	else
		doctor_add(d, "kernel", "Landlock", DOCTOR_WARN, "a Jr cannot give up files it does not need",
			   "not there");
	doctor_add(d, "kernel", "schedstat", access("/proc/self/schedstat", R_OK) < 0 ? DOCTOR_WARN : DOCTOR_OK,
		   "a Jr that only waits for a processor is taken for one that hangs", "%s",
		   access("/proc/self/schedstat", R_OK) < 0 ? "not there" : "there");
}

void doctor_kernel(struct doctor *d)
{
	version(d);
	features(d);
}

/* ---- vfork + exec, as tribed does it ---- */

static void on_end(void *arg, struct proc *p, const struct proc_end *end)
{
	(void)p;
	*(struct proc_end *)arg = *end;
}

static void on_stop(void *arg, struct proc *p, int sig)
{
	(void)arg, (void)p, (void)sig;
}

/* Runs `PROGRAM --version` with its words sent to nowhere. 0 with *us = time until it ran; < 0: why it did not. */
static int try_program(struct doctor *d, const char *path, double *us)
{
	static const struct proc_ops ops = {.on_end = on_end, .on_stop = on_stop};
	char name[] = "tribed", flag[] = "--version";
	char *argv[] = {name, flag, NULL};
	const char *env[] = {NULL};
	struct proc_spec spec = {.path = path, .argv = argv, .env = env};
	struct proc_end end = {.pid = 0};
	struct proc_set *set = NULL;
	struct proc *p;
	int null = open("/dev/null", O_WRONLY | O_CLOEXEC), saved = fcntl(STDOUT_FILENO, F_DUPFD_CLOEXEC, 3), r;
	uint64_t start;

	if (null < 0 || saved < 0 || fflush(stdout) != 0 || (r = proc_set_new(&set, &d->c->loop, &ops)) < 0) {
		r = UV_EMFILE;
		goto out;
	}
	(void)dup2(null, STDOUT_FILENO);
	start = tr_mono_ns();
	r = proc_spawn(set, &spec, &end, &p);
	*us = (double)(tr_mono_ns() - start) / 1e3;
	while (r == 0 && end.pid == 0)
		(void)uv_run(&d->c->loop, UV_RUN_ONCE);
	(void)dup2(saved, STDOUT_FILENO);
	if (r == 0 && (end.how != PROC_EXITED || end.value != 0))
		r = UV_EIO;
out:
	proc_set_free(&set);
	if (null >= 0)
		(void)close(null);
	if (saved >= 0)
		(void)close(saved);
	return r;
}

void doctor_spawn(struct doctor *d)
{
	static const char *const programs[] = {"tribed", "memory-jr", "integration-jr", "meta-jr", "executive-jr"};
	char dir[CTL_PATH_MAX], path[CTL_PATH_MAX + 32], missing[128] = "";
	ssize_t n = readlink("/proc/self/exe", dir, sizeof(dir) - 1);
	double us = 0;
	char *slash;
	int r;

	if (n < 0) {
		doctor_add(d, "kernel", "programs", DOCTOR_WARN, "/proc is not there: tribed cannot find its Jrs", "%s",
			   strerror(errno));
		return;
	}
	dir[n] = '\0';
	if ((slash = strrchr(dir, '/')) != NULL)
		*slash = '\0';
	for (size_t i = 0; i < sizeof(programs) / sizeof(programs[0]); i++) {
		(void)snprintf(path, sizeof(path), "%s/%s", dir, programs[i]);
		if (access(path, X_OK) < 0)
			(void)snprintf(missing + strlen(missing), sizeof(missing) - strlen(missing), " %s",
				       programs[i]);
	}
	if (missing[0] != '\0') {
		doctor_add(d, "kernel", "programs", DOCTOR_FAIL, "the tribe cannot start from here",
			   "missing beside tribectl:%s", missing);
		return;
	}
	doctor_add(d, "kernel", "programs", DOCTOR_OK, NULL, "tribed and the four Jrs in %.200s", dir);
	(void)snprintf(path, sizeof(path), "%s/tribed", dir);
	if ((r = try_program(d, path, &us)) < 0)
		doctor_add(d, "kernel", "vfork and exec", DOCTOR_FAIL, "tribed cannot start a Jr", "%s",
			   tr_strerror(r));
	else
		doctor_add(d, "kernel", "vfork and exec", DOCTOR_OK, NULL, "%.0f us to start a program", us);
}
