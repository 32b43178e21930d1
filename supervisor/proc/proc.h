/* The only place that makes, waits for and signals processes. One set owns SIGCHLD of its loop. A child is signalled
 * through its handle alone, and a handle lives exactly as long as the child is not reaped, so no stranger's pid can be
 * hit. Everything on the loop's thread. Programs that use it link nothing that forks behind its back (uv_spawn, popen).
 */
#ifndef SUPERVISOR_PROC_PROC_H
#define SUPERVISOR_PROC_PROC_H
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>
#include <uv.h>

struct proc;
struct proc_set;

enum proc_how {
	PROC_EXITED,
	PROC_SIGNALLED,
	PROC_UNKNOWN /* adopted: its status went to whom the kernel gave it to */
};
struct proc_end {
	pid_t pid;
	enum proc_how how;
	int value; /* exit status or signal; unknown: 0 */
	uint64_t at_ns;
};

struct proc_ops {
	/* Reaped; the handle is gone when this returns. Several deaths behind one SIGCHLD are all told. */
	void (*on_end)(void *arg, struct proc *p, const struct proc_end *end);
	/* Stopped by a signal (SIGSTOP, SIGTSTP ...), told once each time. */
	void (*on_stop)(void *arg, struct proc *p, int sig);
};

/* A descriptor handed over: placed from 3 on in the order of the list, named in LISTEN_FDNAMES. */
struct proc_fd {
	const char *name;
	int fd; /* borrowed */
};
struct proc_spec {
	const char *path; /* absolute */
	char *const *argv;
	const char *const *env; /* NULL-terminated; LISTEN_FDS, LISTEN_PID and LISTEN_FDNAMES are added */
	const struct proc_fd *fds;
	unsigned nfds;              /* at most PROC_FDS_MAX */
	const struct proc_ops *ops; /* told of this process instead of the set's; NULL: those. Borrowed for its life */
	bool quiet;                 /* its standard output goes to /dev/null */
};
#define PROC_FDS_MAX 16
#define PROC_ENV_MAX 128

/* Also makes this process the reaper of orphaned grandchildren: none of them becomes a zombie elsewhere, and none
 * outlives the child that made it, wherever its session is; so nobody else in this process may have children. ops:
 * borrowed for the life of the set. */
int proc_set_new(struct proc_set **out, uv_loop_t *loop, const struct proc_ops *ops);
uint64_t proc_set_strangers(const struct proc_set *s); /* reaped ones that we did not make */
/* Kills and reaps what is left (waits for it), frees. NULL is fine. */
void proc_set_free(struct proc_set **s);

/* vfork + exec: a new session, default signal handling and an empty mask, stdin from /dev/null, no other descriptor
 * than 0-2 and the list. Returns 0 once the program runs; the errno of a failed exec as a negative number, the child
 * then being reaped already. arg goes to the callbacks. Never calls back from inside. */
int proc_spawn(struct proc_set *s, const struct proc_spec *spec, void *arg, struct proc **out);
/* A process that another supervisor made and that lives on: known by its pidfd, which is taken over on success.
 * Signalled through that; its end is told as PROC_UNKNOWN, its stops are not (ask proc_stopped). proc_set_free() kills
 * it without waiting. TR_ECLOSED: it is dead. Never calls back from inside. */
int proc_adopt(struct proc_set *s, int pidfd, void *arg, struct proc **out);
bool proc_lives(int pidfd);
bool proc_adopted(const struct proc *p);
int proc_pidfd(const struct proc *p); /* borrowed; -1: the kernel gave none */
pid_t proc_pid(const struct proc *p);
int proc_signal(struct proc *p, int sig);
/* Stopped by a signal, or with SIGSTOP on its way to it. */
bool proc_stopped(const struct proc *p);

#endif
