#include "supervisor/proc/proc.h"
#include "common/base/clock.h"
#include "common/base/err.h"
#include "common/base/small_file.h"
#include "supervisor/proc/spawn.h"
#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

struct proc {
	struct proc *next;
	struct proc_set *set;
	pid_t pid;
	int pidfd; /* -1: none */
	void *arg;
	const struct proc_ops *ops;
	bool adopted;
	uv_poll_t poll; /* of pidfd; only when adopted */
};

struct proc_set {
	uv_signal_t sigchld;
	const struct proc_ops *ops;
	struct proc *children; /* not reaped; a handful */
	int null_fd;
	uint64_t strangers;
};

static struct proc *find(struct proc_set *s, pid_t pid)
{
	struct proc *p = s->children;

	while (p != NULL && p->pid != pid)
		p = p->next;
	return p;
}

static void forget(struct proc_set *s, struct proc *p)
{
	struct proc **at = &s->children;

	while (*at != p)
		at = &(*at)->next;
	*at = p->next;
}

static void on_unwatched(uv_handle_t *h)
{
	free(h->data);
}

static void drop(struct proc *p)
{
	if (p->adopted) { /* the loop first, then its descriptor */
		uv_poll_stop(&p->poll);
		uv_close((uv_handle_t *)&p->poll, on_unwatched);
	}
	if (p->pidfd >= 0)
		close(p->pidfd);
	if (!p->adopted)
		free(p);
}

static void tell_end(struct proc *p, enum proc_how how, int value)
{
	struct proc_set *s = p->set;

	forget(s, p);
	p->ops->on_end(p->arg, p, &(struct proc_end){.pid = p->pid, .how = how, .value = value, .at_ns = tr_mono_ns()});
	drop(p);
}

static void tell(struct proc *p, const siginfo_t *si)
{
	if (si->si_code == CLD_STOPPED) {
		p->ops->on_stop(p->arg, p, si->si_status);
		return;
	}
	tell_end(p, si->si_code == CLD_EXITED ? PROC_EXITED : PROC_SIGNALLED, si->si_status);
}

/* What a child had made itself and left behind became ours with its death, in whatever session it is: it ends too. What
 * that had made comes to us in turn. Without the list in /proc (an old kernel) it stays until it leaves. */
static void end_strangers(struct proc_set *s)
{
	char path[64], text[4096], *at, *end;
	long pid;

	snprintf(path, sizeof(path), "/proc/self/task/%d/children", getpid());
	(void)tr_small_file(path, text, sizeof(text));
	for (at = text; (pid = strtol(at, &end, 10)) > 1 && end != at; at = end)
		if (find(s, (pid_t)pid) == NULL)
			kill((pid_t)pid, SIGKILL); /* a child of ours, dead or alive: nobody else's pid */
}

/* One SIGCHLD may stand for many: ask until there is nothing left to hear. */
static void reap(struct proc_set *s)
{
	bool deaths = false;

	for (;;) {
		siginfo_t si = {.si_pid = 0};
		struct proc *p;

		if (waitid(P_ALL, 0, &si, WEXITED | WSTOPPED | WNOHANG) < 0) {
			if (errno == EINTR)
				continue;
			break; /* ECHILD: nobody left */
		}
		if (si.si_pid == 0)
			break;
		deaths = deaths || si.si_code != CLD_STOPPED;
		p = find(s, si.si_pid);
		if (p != NULL)
			tell(p, &si);
		else if (si.si_code != CLD_STOPPED)
			s->strangers++;
	}
	if (deaths)
		end_strangers(s);
}

static void on_sigchld(uv_signal_t *h, int signum)
{
	(void)signum;
	reap(h->data);
}

int proc_set_new(struct proc_set **out, uv_loop_t *loop, const struct proc_ops *ops)
{
	struct proc_set *s = calloc(1, sizeof(*s));
	int r;

	if (s == NULL)
		return TR_ENOMEM;
	s->ops = ops;
	s->null_fd = open("/dev/null", O_RDWR | O_CLOEXEC);
	if (s->null_fd < 0) {
		r = -errno;
		goto fail;
	}
	if ((r = uv_signal_init(loop, &s->sigchld)) < 0)
		goto fail_fd;
	s->sigchld.data = s;
	/* From here on the handle belongs to the loop and must be closed by it; starting fails for want of memory only.
	 */
	r = uv_signal_start(&s->sigchld, on_sigchld, SIGCHLD);
	if (r < 0) {
		proc_set_free(&s);
		return r;
	}
	prctl(PR_SET_CHILD_SUBREAPER, 1);
	*out = s;
	return 0;
fail_fd:
	close(s->null_fd);
fail:
	free(s);
	return r;
}

uint64_t proc_set_strangers(const struct proc_set *s)
{
	return s->strangers;
}

static void on_closed(uv_handle_t *h)
{
	free(h->data);
}

void proc_set_free(struct proc_set **sp)
{
	struct proc_set *s = *sp;

	if (s == NULL)
		return;
	*sp = NULL;
	while (s->children != NULL) {
		struct proc *p = s->children;

		s->children = p->next;
		(void)proc_signal(p, SIGKILL);
		while (!p->adopted && waitpid(p->pid, NULL, 0) < 0 && errno == EINTR)
			;
		drop(p);
	}
	close(s->null_fd);
	uv_close((uv_handle_t *)&s->sigchld, on_closed);
}

int proc_spawn(struct proc_set *s, const struct proc_spec *spec, void *arg, struct proc **out)
{
	struct proc *p = calloc(1, sizeof(*p));
	int pidfd = -1;
	pid_t pid;

	if (p == NULL)
		return TR_ENOMEM;
	pid = spawn_child(spec, s->null_fd, &pidfd);
	if (pid < 0) {
		free(p);
		return (int)pid;
	}
	*p = (struct proc){.next = s->children,
			   .set = s,
			   .pid = pid,
			   .pidfd = pidfd,
			   .arg = arg,
			   .ops = spec->ops != NULL ? spec->ops : s->ops};
	s->children = p;
	*out = p;
	return 0;
}

/* ---- those of another supervisor ---- */

/* 0: dead, or the kernel does not tell. */
static pid_t pid_of(int pidfd)
{
	char path[64], text[1024];
	const char *at;
	long pid;

	snprintf(path, sizeof(path), "/proc/self/fdinfo/%d", pidfd);
	(void)tr_small_file(path, text, sizeof(text));
	at = strstr(text, "\nPid:");
	pid = at == NULL ? 0 : strtol(at + 5, NULL, 10);
	return pid > 1 ? (pid_t)pid : 0;
}

static void on_adopted_end(uv_poll_t *h, int status, int events)
{
	(void)events;
	if (status >= 0 || status == UV_EBADF)
		tell_end(h->data, PROC_UNKNOWN, 0);
}

bool proc_lives(int pidfd)
{
	return pid_of(pidfd) != 0 && syscall(SYS_pidfd_send_signal, pidfd, 0, NULL, 0) == 0;
}

int proc_adopt(struct proc_set *s, int pidfd, void *arg, struct proc **out)
{
	struct proc *p;
	int r;

	if (!proc_lives(pidfd))
		return TR_ECLOSED;
	p = calloc(1, sizeof(*p));
	if (p == NULL)
		return TR_ENOMEM;
	*p = (struct proc){.next = s->children,
			   .set = s,
			   .pid = pid_of(pidfd),
			   .pidfd = pidfd,
			   .arg = arg,
			   .ops = s->ops,
			   .adopted = true};
	p->poll.data = p;
	if ((r = uv_poll_init(s->sigchld.loop, &p->poll, pidfd)) < 0) {
		free(p);
		return r;
	}
	uv_poll_start(&p->poll, UV_READABLE, on_adopted_end);
	s->children = p;
	*out = p;
	return 0;
}

bool proc_adopted(const struct proc *p)
{
	return p->adopted;
}

int proc_pidfd(const struct proc *p)
{
	return p->pidfd;
}

pid_t proc_pid(const struct proc *p)
{
	return p->pid;
}

int proc_signal(struct proc *p, int sig)
{
	assert(p->pid > 1);
	if (p->adopted) /* not our child: its pid may be a stranger's by now */
		return syscall(SYS_pidfd_send_signal, p->pidfd, sig, NULL, 0) < 0 ? -errno : 0;
	return kill(p->pid, sig) < 0 ? -errno : 0;
}

/* A file of /proc/PID, as text; false: it cannot be read. */
static bool read_about(const struct proc *p, const char *name, char *out, size_t size)
{
	char path[64];

	snprintf(path, sizeof(path), "/proc/%d/%s", p->pid, name);
	return tr_small_file(path, out, size);
}

static bool stop_is_pending(const char *status, const char *key)
{
	const char *at = strstr(status, key);

	return at != NULL && (strtoull(at + strlen(key), NULL, 16) >> (SIGSTOP - 1) & 1) != 0;
}

/* Pending first: a signal leaves the pending ones and stops its thread in one step, so between the two looks it cannot
 * be missed. */
bool proc_stopped(const struct proc *p)
{
	char text[4096];
	const char *at;

	if (read_about(p, "status", text, sizeof(text)) &&
	    (stop_is_pending(text, "\nShdPnd:") || stop_is_pending(text, "\nSigPnd:")))
		return true;
	if (!read_about(p, "stat", text, sizeof(text)))
		return false;
	at = strrchr(text, ')');
	return at != NULL && at[1] == ' ' && at[2] == 'T';
}
