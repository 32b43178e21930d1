/* vfork + exec. The child runs in this process's memory on a stack of its own until exec, while we wait: it may call
 * only what is async-signal-safe and must not be instrumented. A failed exec is told through that shared memory. */
#include "supervisor/proc/spawn.h"
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#define CHILD_STACK (64u << 10)
#define FIRST_FD    3 /* SD_LISTEN_FDS_START */

struct plan {
	const char *path;
	char *const *argv;
	char **env;
	char *pid_digits;      /* behind "LISTEN_PID=": filled by the child, who alone knows its pid */
	int fds[PROC_FDS_MAX]; /* copies above all places they go to */
	unsigned nfds;
	int null_fd;
	bool quiet;
	volatile int error; /* errno of the step that failed */
};

__attribute__((no_sanitize("address", "undefined"))) static void put_pid(char *out, pid_t pid)
{
	char digits[16];
	int n = 0;

	do {
		digits[n++] = (char)('0' + pid % 10);
		pid /= 10;
	} while (pid > 0);
	while (n > 0)
		*out++ = digits[--n];
	*out = '\0';
}

/* Handlers point into memory that exec replaces; ignored signals would stay ignored. The table is a copy: ours is
 * untouched. */
__attribute__((no_sanitize("address", "undefined"))) static void default_signals(void)
{
	struct sigaction dfl, old;
	sigset_t none;

	sigemptyset(&dfl.sa_mask);
	dfl.sa_flags = 0;
	dfl.sa_handler = SIG_DFL;
	for (int sig = 1; sig < NSIG; sig++) {
		if (sig == SIGKILL || sig == SIGSTOP)
			continue;
		if (sigaction(sig, NULL, &old) == 0 && old.sa_handler != SIG_DFL)
			sigaction(sig, &dfl, NULL);
	}
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
}

__attribute__((no_sanitize("address", "undefined"))) static int child(void *arg)
{
	struct plan *p = arg;

	setsid(); /* a terminal's Ctrl-C is tribed's to handle */
	if (dup2(p->null_fd, 0) < 0 || (p->quiet && dup2(p->null_fd, 1) < 0))
		goto fail;
	for (unsigned i = 0; i < p->nfds; i++)
		if (dup2(p->fds[i], (int)(FIRST_FD + i)) < 0)
			goto fail;
	close_range(FIRST_FD + p->nfds, ~0u, 0); /* whatever we inherited ourselves without close-on-exec */
	put_pid(p->pid_digits, getpid());
	default_signals();
	execve(p->path, p->argv, p->env);
fail:
	p->error = errno;
	_exit(127);
}

/* The caller's environment plus the three LISTEN_ variables; text lies behind the array in the same block. */
static int make_env(struct plan *plan, const struct proc_spec *spec)
{
	size_t n = 0, names = sizeof("LISTEN_FDNAMES=");
	char *text, **env;

	while (spec->env[n] != NULL)
		if (++n > PROC_ENV_MAX)
			return -E2BIG;
	for (unsigned i = 0; i < spec->nfds; i++)
		names += strlen(spec->fds[i].name) + 1;
	env = malloc((n + 4) * sizeof(*env) + names + 64);
	if (env == NULL)
		return -ENOMEM;
	for (size_t i = 0; i < n; i++) { /* execve wants char *, and changes nothing */
		memcpy(&env[i], &spec->env[i], sizeof(env[i]));
	}
	text = (char *)(env + n + 4);
	env[n] = text;
	text += sprintf(text, "LISTEN_FDS=%u", spec->nfds) + 1;
	env[n + 1] = text;
	text += sprintf(text, "LISTEN_PID=");
	plan->pid_digits = text;
	text += 16;
	env[n + 2] = text;
	text += sprintf(text, "LISTEN_FDNAMES=");
	for (unsigned i = 0; i < spec->nfds; i++)
		text += sprintf(text, "%s%s", i == 0 ? "" : ":", spec->fds[i].name);
	env[n + 3] = NULL;
	plan->env = env;
	return 0;
}

/* Copies above every target, so that placing one cannot overwrite another's source. */
static int lift_fds(struct plan *plan, const struct proc_spec *spec)
{
	for (unsigned i = 0; i < spec->nfds; i++) {
		int fd = fcntl(spec->fds[i].fd, F_DUPFD_CLOEXEC, FIRST_FD + PROC_FDS_MAX);

		if (fd < 0)
			return -errno;
		plan->fds[plan->nfds++] = fd;
	}
	return 0;
}

static pid_t clone_and_exec(struct plan *plan, int *pidfd)
{
	sigset_t all, old;
	char *stack;
	pid_t pid;
	int saved;

	stack = mmap(NULL, CHILD_STACK, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_STACK, -1, 0);
	if (stack == MAP_FAILED)
		return -errno;
	sigfillset(&all); /* no handler of ours may run in the child */
	pthread_sigmask(SIG_SETMASK, &all, &old);
	pid = clone(child, stack + CHILD_STACK, CLONE_VM | CLONE_VFORK | CLONE_PIDFD | SIGCHLD, plan, pidfd);
	saved = errno;
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	munmap(stack, CHILD_STACK);
	if (pid < 0)
		return -saved;
	if (plan->error != 0) {
		while (waitpid(pid, NULL, 0) < 0 && errno == EINTR)
			;
		close(*pidfd);
		return -plan->error;
	}
	return pid;
}

pid_t spawn_child(const struct proc_spec *spec, int null_fd, int *pidfd)
{
	struct plan plan = {.path = spec->path, .argv = spec->argv, .null_fd = null_fd, .quiet = spec->quiet};
	pid_t r;

	if (spec->nfds > PROC_FDS_MAX)
		return -E2BIG;
	if ((r = make_env(&plan, spec)) == 0 && (r = lift_fds(&plan, spec)) == 0)
		r = clone_and_exec(&plan, pidfd);
	for (unsigned i = 0; i < plan.nfds; i++)
		close(plan.fds[i]);
	free(plan.env);
	return r;
}
