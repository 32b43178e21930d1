/* supervisor/proc: real children. This program is also the child: `test_proc child MODE`. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <malloc.h>
#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "common/base/clock.h"
#include "common/base/err.h"
#include "supervisor/proc/detach.h"
#include "supervisor/proc/proc.h"

#define MANY  8
#define LIVES 100

static char self[PATH_MAX];
static int lives = LIVES; /* or the only argument */

/* ---- the child ---- */
static int open_fds(void)
{
	int n = 0;

	for (int fd = 0; fd < 1024; fd++)
		n += fcntl(fd, F_GETFD) >= 0;
	return n;
}

static int child_main(const char *mode)
{
	if (strcmp(mode, "report") == 0) { /* what it was given, as one line on descriptor 3 */
		struct sigaction pipe_act, term_act;
		sigset_t mask;
		int masked = 0;

		sigprocmask(SIG_SETMASK, NULL, &mask);
		for (int s = 1; s < NSIG; s++)
			masked += sigismember(&mask, s) == 1;
		sigaction(SIGPIPE, NULL, &pipe_act);
		sigaction(SIGTERM, NULL, &term_act);
		dprintf(3,
			"pid=%d listen_pid=%s fds=%s names=%s open=%d masked=%d pipe=%d term=%d leader=%d own=%s "
			"four=%d",
			getpid() == atoi(getenv("LISTEN_PID")), getenv("LISTEN_PID") != NULL ? "set" : "unset",
			getenv("LISTEN_FDS"), getenv("LISTEN_FDNAMES"), open_fds(), masked,
			pipe_act.sa_handler == SIG_DFL, term_act.sa_handler == SIG_DFL, getsid(0) == getpid(),
			getenv("OWN") != NULL ? getenv("OWN") : "-", (fcntl(4, F_GETFL) & O_ACCMODE) == O_RDONLY);
		return 0;
	}
	if (strcmp(mode, "orphan") == 0) { /* leaves a grandchild behind that lives until descriptor 3 is closed */
		if (fork() == 0) {
			char c;

			(void)!read(3, &c, 1);
			_exit(0);
		}
		return 0;
	}
	if (strcmp(mode, "daemon") ==
	    0) { /* leaves one behind that took care to belong to nobody: two forks, two sessions */
		if (fork() == 0) {
			setsid();
			if (fork() != 0)
				_exit(0);
			setsid();
			dprintf(3, "%d\n", getpid());
			for (;;)
				pause();
		}
		pause();
	}
	if (strcmp(mode, "parent") == 0) { /* of another: tells whom on descriptor 3 and waits for it */
		pid_t pid = fork();

		if (pid == 0)
			for (;;)
				pause();
		dprintf(3, "%d\n", pid);
		waitpid(pid, NULL, 0);
		for (;;)
			pause();
	}
	if (strcmp(mode, "seven") == 0)
		return 7;
	pause();
	return 0;
}

/* ---- the parent ---- */
struct world {
	uv_loop_t loop;
	struct proc_set *set;
	uv_timer_t guard; /* nothing here takes 20 s: fail instead of hanging */
	struct proc_end ends[MANY];
	void *who[MANY];
	int nends, nstops, stop_sig;
};
static struct world *the; /* the callbacks' arg names the child */

static void on_end(void *arg, struct proc *p, const struct proc_end *end)
{
	assert_int_equal(proc_pid(p), end->pid);
	assert_true(the->nends < MANY);
	the->who[the->nends] = arg;
	the->ends[the->nends++] = *end;
	uv_stop(&the->loop);
}

static void on_stop(void *arg, struct proc *p, int sig)
{
	(void)arg;
	(void)p;
	the->nstops++;
	the->stop_sig = sig;
	uv_stop(&the->loop);
}

static const struct proc_ops ops = {on_end, on_stop};

static void on_guard(uv_timer_t *t)
{
	(void)t;
	fail_msg("nothing was told in 20 s");
}

static int setup(void **state)
{
	struct world *w = calloc(1, sizeof(*w));

	if (w == NULL || uv_loop_init(&w->loop) < 0 || proc_set_new(&w->set, &w->loop, &ops) < 0)
		return -1;
	uv_timer_init(&w->loop, &w->guard);
	uv_timer_start(&w->guard, on_guard, 20000, 0);
	the = w;
	*state = w;
	return 0;
}

static int teardown(void **state)
{
	struct world *w = *state;
	int r;

	proc_set_free(&w->set);
	uv_close((uv_handle_t *)&w->guard, NULL);
	uv_run(&w->loop, UV_RUN_DEFAULT);
	r = uv_loop_close(&w->loop);
	free(w);
	errno = 0;
	return r < 0 || waitpid(-1, NULL, WNOHANG) != -1 || errno != ECHILD; /* no child, no zombie left */
}

static int start(struct world *w, const char *mode, const struct proc_fd *fds, unsigned nfds, void *arg,
		 struct proc **p)
{
	char child[] = "child", *m = strdup(mode), name[] = "test_proc", *argv[] = {name, child, m, NULL};
	const char *env[] = {"OWN=1", "ASAN_OPTIONS=detect_leaks=0", NULL};
	struct proc_spec spec = {.path = self, .argv = argv, .env = env, .fds = fds, .nfds = nfds};
	int r = proc_spawn(w->set, &spec, arg, p);

	free(m);
	return r;
}

static void run_until(struct world *w, const int *count, int n)
{
	while (*count < n)
		uv_run(&w->loop, UV_RUN_DEFAULT);
}

/* The child's line when it got descriptors out_fd and in_fd as its 3 and 4. */
static void report(struct world *w, int read_end, int out_fd, int in_fd)
{
	struct proc_fd fds[] = {{"out", out_fd}, {"in", in_fd}};
	char text[512] = "";
	sigset_t block, was;
	struct proc *p;

	/* An unpleasant parent: a signal blocked, another ignored. */
	sigemptyset(&block);
	sigaddset(&block, SIGTERM);
	sigprocmask(SIG_BLOCK, &block, &was);
	signal(SIGPIPE, SIG_IGN);
	assert_int_equal(start(w, "report", fds, 2, w, &p), 0);
	sigprocmask(SIG_SETMASK, &was, NULL);
	signal(SIGPIPE, SIG_DFL);
	w->nends = 0;
	run_until(w, &w->nends, 1);
	assert_true(read(read_end, text, sizeof(text) - 1) > 0);
	assert_string_equal(
		text, "pid=1 listen_pid=set fds=2 names=out:in open=5 masked=0 pipe=1 term=1 leader=1 own=1 four=1");
	assert_int_equal(w->ends[0].how, PROC_EXITED);
	assert_int_equal(w->ends[0].value, 0);
	assert_ptr_equal(w->who[0], w);
	assert_true(w->ends[0].at_ns <= tr_mono_ns() && w->ends[0].at_ns > 0);
}

static void a_child_gets_what_it_was_given(void **state)
{
	struct world *w = *state;
	int out[2], in = open("/dev/null", O_RDONLY),
		    leak = open("/dev/null", O_RDONLY); /* no O_CLOEXEC: must not arrive */

	assert_int_equal(pipe2(out, O_CLOEXEC), 0);
	/* main() keeps 3 and 4 for us. Free, so that a copy could land there ... */
	close(3);
	close(4);
	report(w, out[0], out[1], in);
	/* ... and each the other's target. */
	assert_true(dup2(in, 3) == 3 && dup2(out[1], 4) == 4);
	report(w, out[0], 4, 3);
	close(out[0]);
	close(out[1]);
	close(in);
	close(leak);
	close(3);
	close(4);
}

static void exit_and_signal_are_told_apart(void **state)
{
	struct world *w = *state;
	struct proc *p;

	assert_int_equal(start(w, "seven", NULL, 0, NULL, &p), 0);
	run_until(w, &w->nends, 1);
	assert_int_equal(w->ends[0].how, PROC_EXITED);
	assert_int_equal(w->ends[0].value, 7);
	assert_int_equal(start(w, "pause", NULL, 0, NULL, &p), 0);
	assert_int_equal(proc_signal(p, SIGKILL), 0);
	run_until(w, &w->nends, 2);
	assert_int_equal(w->ends[1].how, PROC_SIGNALLED);
	assert_int_equal(w->ends[1].value, SIGKILL);
}

static void several_deaths_behind_one_signal(void **state)
{
	struct world *w = *state;
	struct proc *p[MANY];
	sigset_t chld, was;
	int left = MANY;

	for (intptr_t i = 0; i < MANY; i++)
		assert_int_equal(start(w, "pause", NULL, 0, (void *)i, &p[i]), 0);
	/* SIGCHLD is held back until all are dead (WNOWAIT leaves them for the set to reap), so it is one signal. */
	sigemptyset(&chld);
	sigaddset(&chld, SIGCHLD);
	sigprocmask(SIG_BLOCK, &chld, &was);
	for (int i = 0; i < MANY; i++)
		assert_int_equal(proc_signal(p[i], SIGKILL), 0);
	for (int i = 0; i < MANY; i++) {
		siginfo_t si;

		assert_int_equal(waitid(P_PID, (id_t)proc_pid(p[i]), &si, WEXITED | WNOWAIT), 0);
	}
	sigprocmask(SIG_SETMASK, &was, NULL);
	run_until(w, &w->nends, MANY);
	for (int i = 0; i < MANY; i++)
		for (int k = 0; k < MANY; k++)
			left -= w->who[k] == (void *)(intptr_t)i && w->ends[k].value == SIGKILL;
	assert_int_equal(left, 0);
}

static void a_stopped_one_is_told_and_can_be_killed(void **state)
{
	struct world *w = *state;
	struct proc *p;

	assert_int_equal(start(w, "pause", NULL, 0, NULL, &p), 0);
	assert_int_equal(proc_signal(p, SIGSTOP), 0);
	run_until(w, &w->nstops, 1);
	assert_int_equal(w->stop_sig, SIGSTOP);
	assert_int_equal(w->nends, 0);
	assert_int_equal(proc_signal(p, SIGKILL), 0);
	run_until(w, &w->nends, 1);
	assert_int_equal(w->nstops, 1);
}

static void a_stop_is_seen_from_the_signal_to_its_end(void **state)
{
	struct world *w = *state;
	struct proc *p;

	assert_int_equal(start(w, "pause", NULL, 0, NULL, &p), 0);
	for (int i = 0; i < 500; i++) { /* the child may be anywhere on its way */
		assert_false(proc_stopped(p));
		assert_int_equal(proc_signal(p, SIGSTOP), 0);
		if (i % 2 == 0) {
			siginfo_t si;

			assert_int_equal(waitid(P_PID, (id_t)proc_pid(p), &si, WSTOPPED | WNOWAIT), 0);
		}
		assert_true(proc_stopped(p));
		assert_int_equal(proc_signal(p, SIGCONT), 0);
	}
	assert_int_equal(proc_signal(p, SIGKILL), 0);
	run_until(w, &w->nends, 1);
}

static void a_program_that_cannot_run_is_told_at_once(void **state)
{
	struct world *w = *state;
	char name[] = "x", *argv[] = {name, NULL};
	const char *env[] = {NULL};
	struct proc_spec spec = {.path = "/nonexistent/x", .argv = argv, .env = env};
	struct proc *p = (struct proc *)w;

	assert_int_equal(proc_spawn(w->set, &spec, NULL, &p), -ENOENT);
	spec.path = "/dev/null";
	assert_int_equal(proc_spawn(w->set, &spec, NULL, &p), -EACCES);
	assert_ptr_equal(p, w); /* untouched */
	errno = 0;
	assert_int_equal(waitpid(-1, NULL, WNOHANG), -1); /* reaped already */
	assert_int_equal(errno, ECHILD);
	spec.fds = &(struct proc_fd){"gone", 1000};
	spec.nfds = 1;
	assert_int_equal(proc_spawn(w->set, &spec, NULL, &p), -EBADF);
}

static void orphans_are_reaped(void **state)
{
	struct world *w = *state;
	int hold[2];
	struct proc *p;

	assert_int_equal(pipe2(hold, O_CLOEXEC), 0);
	struct proc_fd fds[] = {{"hold", hold[0]}};
	assert_int_equal(start(w, "orphan", fds, 1, NULL, &p), 0);
	run_until(w, &w->nends, 1);
	close(hold[1]);
	while (proc_set_strangers(w->set) == 0)
		uv_run(&w->loop, UV_RUN_ONCE);
	close(hold[0]);
}

/* Starts a child that makes another process and says on a pipe which. */
static pid_t grandchild(struct world *w, const char *mode, struct proc **p)
{
	char text[32] = "";
	int tell[2];

	assert_int_equal(pipe2(tell, O_CLOEXEC), 0);
	assert_int_equal(start(w, mode, &(struct proc_fd){"tell", tell[1]}, 1, NULL, p), 0);
	close(tell[1]);
	assert_true(read(tell[0], text, sizeof(text) - 1) > 0);
	close(tell[0]);
	return (pid_t)atoi(text);
}

/* As after the death of another supervisor: a process that is not our child, and its pidfd. */
static void anothers_child_is_adopted(void **state)
{
	struct world *w = *state;
	int before = open_fds(), pidfd;
	struct proc *parent, *p;
	pid_t pid = grandchild(w, "parent", &parent);

	pidfd = (int)syscall(SYS_pidfd_open, pid, 0);
	assert_int_equal(proc_adopt(w->set, pidfd, &pidfd, &p), 0);
	assert_true(proc_adopted(p));
	assert_int_equal(proc_pid(p), pid);
	assert_int_equal(proc_pidfd(p), pidfd);
	assert_int_equal(proc_signal(p, SIGSTOP), 0);
	while (!proc_stopped(p))
		;
	assert_int_equal(proc_signal(p, SIGKILL), 0);
	run_until(w, &w->nends, 1);
	assert_ptr_equal(w->who[0], &pidfd);
	assert_int_equal(w->ends[0].pid, pid);
	assert_int_equal(w->ends[0].how, PROC_UNKNOWN);
	assert_int_equal(proc_signal(parent, SIGKILL), 0);
	run_until(w, &w->nends, 2);
	assert_int_equal(open_fds(), before);
}

static void a_dead_one_is_not_adopted(void **state)
{
	struct world *w = *state;
	struct proc *parent, *p;
	pid_t pid = grandchild(w, "parent", &parent);
	int pidfd = (int)syscall(SYS_pidfd_open, pid, 0);
	struct pollfd end = {.fd = pidfd, .events = POLLIN};

	assert_int_equal(kill(pid, SIGKILL), 0);
	assert_int_equal(poll(&end, 1, 20000), 1);
	while (kill(pid, 0) == 0) /* a zombie until its parent has asked */
		;
	assert_int_equal(proc_adopt(w->set, pidfd, NULL, &p), TR_ECLOSED);
	close(pidfd);
}

static void what_a_child_left_behind_ends_with_it(void **state)
{
	struct world *w = *state;
	struct proc *p;
	pid_t pid = grandchild(w, "daemon", &p);

	assert_int_equal(kill(pid, 0), 0);
	assert_int_equal(proc_signal(p, SIGKILL), 0);
	run_until(w, &w->nends, 1);
	while (proc_set_strangers(w->set) < 1 || kill(pid, 0) == 0)
		uv_run(&w->loop, UV_RUN_ONCE);
}

static void a_pidfd_names_the_child(void **state)
{
	struct world *w = *state;
	struct proc *p;

	assert_int_equal(start(w, "pause", NULL, 0, NULL, &p), 0);
	assert_false(proc_adopted(p));
	assert_true(proc_pidfd(p) >= 0 && (fcntl(proc_pidfd(p), F_GETFD) & FD_CLOEXEC) != 0);
	assert_int_equal(syscall(SYS_pidfd_send_signal, proc_pidfd(p), SIGKILL, NULL, 0), 0);
	run_until(w, &w->nends, 1);
	assert_int_equal(w->ends[0].value, SIGKILL);
}

static void one_life(struct world *w)
{
	struct proc *p;

	w->nends = 0;
	assert_int_equal(start(w, "pause", &(struct proc_fd){"null", 2}, 1, NULL, &p), 0);
	proc_signal(p, SIGKILL);
	run_until(w, &w->nends, 1);
}

/* Zombies are teardown's to find. Bytes in use: 0 under a sanitizer, which looks for leaks itself. */
static void nothing_leaks_over_many_lives(void **state)
{
	struct world *w = *state;
	size_t bytes;
	int before;

	one_life(w);
	before = open_fds();
	bytes = mallinfo2().uordblks;
	for (int i = 0; i < lives; i++)
		one_life(w);
	assert_int_equal(open_fds(), before);
	assert_int_equal(mallinfo2().uordblks, bytes);
}

/* The daemon's side runs in a grandchild; what it reports comes out of the first process. */
static void detach_brings_the_report_back(void **state)
{
	static const char *const why[] = {NULL, "no luck", "", "a word\nto its user\n"};
	static const int want[] = {-1, -2, -2, -1};
	char reason[64];

	(void)state;
	for (int i = 0; i < 4; i++) {
		int fd = detach(reason, sizeof(reason));

		if (fd >= 0) {
			if (want[i] == -1)
				detach_ready(&fd, why[i]);
			else
				detach_report(&fd, why[i]);
			_exit(fd == -1 ? 0 : 1);
		}
		assert_int_equal(fd, want[i]);
		assert_string_equal(reason, i == 0 ? "" : i == 2 ? "it died while starting" : why[i]);
	}
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(detach_brings_the_report_back),
		cmocka_unit_test_setup_teardown(a_child_gets_what_it_was_given, setup, teardown),
		cmocka_unit_test_setup_teardown(exit_and_signal_are_told_apart, setup, teardown),
		cmocka_unit_test_setup_teardown(several_deaths_behind_one_signal, setup, teardown),
		cmocka_unit_test_setup_teardown(a_stopped_one_is_told_and_can_be_killed, setup, teardown),
		cmocka_unit_test_setup_teardown(a_stop_is_seen_from_the_signal_to_its_end, setup, teardown),
		cmocka_unit_test_setup_teardown(a_program_that_cannot_run_is_told_at_once, setup, teardown),
		cmocka_unit_test_setup_teardown(orphans_are_reaped, setup, teardown),
		cmocka_unit_test_setup_teardown(what_a_child_left_behind_ends_with_it, setup, teardown),
		cmocka_unit_test_setup_teardown(anothers_child_is_adopted, setup, teardown),
		cmocka_unit_test_setup_teardown(a_dead_one_is_not_adopted, setup, teardown),
		cmocka_unit_test_setup_teardown(a_pidfd_names_the_child, setup, teardown),
		cmocka_unit_test_setup_teardown(nothing_leaks_over_many_lives, setup, teardown),
	};

	if (argc == 3 && strcmp(argv[1], "child") == 0)
		return child_main(argv[2]);
	if (argc == 2)
		lives = atoi(argv[1]);
	if (readlink("/proc/self/exe", self, sizeof(self) - 1) < 0)
		return 1;
	while (open("/dev/null", O_RDONLY | O_CLOEXEC) < 4)
		; /* 3 and 4 are ours before libuv takes them */
	return cmocka_run_group_tests(tests, NULL, NULL);
}
