/* PostgreSQL's own programs. How they reach the database stands in a service file that memory-jr wrote: neither a
 * command line nor an environment variable ever holds a password. */
#include "supervisor/ctl/backup.h"
#include "supervisor/proc/proc.h"
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define LOOK_MS   100
#define NEWER_MAX 10 /* so many later versions of the tools are looked for */

struct tool {
	bool ended;
	struct proc_end end;
};

static void on_end(void *arg, struct proc *p, const struct proc_end *end)
{
	struct tool *t = arg;

	(void)p;
	t->ended = true;
	t->end = *end;
}

static void on_stop(void *arg, struct proc *p, int sig)
{
	(void)arg;
	(void)p;
	(void)sig;
}

/* Of the server's own version if that is installed, else a later one, else whatever comes first in PATH. */
static bool find(const char *program, uint32_t server, char *out, size_t size)
{
	const char *path = getenv("PATH"), *end;

	for (unsigned v = server / 10000; v <= server / 10000 + NEWER_MAX; v++) {
		(void)snprintf(out, size, "/usr/lib/postgresql/%u/bin/%s", v, program);
		if (access(out, X_OK) == 0)
			return true;
	}
	for (; path != NULL && *path != '\0'; path = *end == ':' ? end + 1 : end) {
		end = strchrnul(path, ':');
		(void)snprintf(out, size, "%.*s/%s", (int)(end - path), path, program);
		if (out[0] == '/' && access(out, X_OK) == 0)
			return true;
	}
	return false;
}

/* Until it has ended. Meanwhile memory-jr hears of us, so that it knows that somebody is there. */
static enum ctl_exit attend(struct bwork *w, struct tool *t, struct proc *p, int file, const char *what)
{
	const struct timespec nap = {.tv_nsec = LOOK_MS * 1000000L};
	struct steps steps = {.c = w->c, .what = what, .bytes = true};
	enum ctl_exit e = CTL_DONE;
	bool told = false;
	struct stat st;

	while (!t->ended) {
		if (!told && ((e = bwork_look(w)) != CTL_DONE || ctl_interrupted())) {
			(void)proc_signal(p, SIGTERM);
			told = true;
		}
		if (told)
			(void)uv_run(&w->c->loop, UV_RUN_ONCE);
		else
			(void)uv_run(&w->c->loop, UV_RUN_NOWAIT);
		if (!told && !t->ended) {
			(void)steps_show(&steps, file >= 0 && fstat(file, &st) == 0 ? (uint64_t)st.st_size : 0, 0);
			(void)nanosleep(&nap, NULL);
		}
	}
	steps_end(&steps);
	return told && e == CTL_DONE ? CTL_FAILED : e;
}

enum ctl_exit tool_run(struct bwork *w, const char *const *words, int fd, bool writes, const char *what)
{
	static const struct proc_ops ops = {on_end, on_stop};
	char path[CTL_PATH_MAX], file[CTL_PATH_MAX + 256], home[CTL_PATH_MAX];
	const char *const env[] = {file, "PGSERVICE=tribe", home, "LC_ALL=C.UTF-8", "PATH=/usr/bin:/bin", NULL};
	const struct proc_fd fds[] = {{"backup", fd}};
	struct proc_spec spec = {.path = path, .env = env, .fds = fds, .nfds = 1};
	struct proc_set *set = NULL;
	struct tool t = {.ended = false};
	struct proc *p = NULL;
	enum ctl_exit e = CTL_FAILED;
	char *argv[TOOL_WORDS_MAX] = {NULL};
	int n, r;

	for (n = 0; words[n] != NULL && n + 1 < TOOL_WORDS_MAX; n++)
		argv[n] = (char *)(uintptr_t)words[n];
	spec.argv = argv;
	if (!find(words[0], w->server, path, sizeof(path))) {
		ctl_say(w->c, "%s is not installed; it comes with the package postgresql-client", words[0]);
		return CTL_FAILED;
	}
	(void)snprintf(file, sizeof(file), "PGSERVICEFILE=%s/backups/%s", w->c->paths.state, w->service);
	(void)snprintf(home, sizeof(home), "HOME=%.4000s", getenv("HOME") == NULL ? "/" : getenv("HOME"));
	if ((r = proc_set_new(&set, &w->c->loop, &ops)) < 0 || (r = proc_spawn(set, &spec, &t, &p)) < 0)
		ctl_say(w->c, "%s cannot be started: %s", path, tr_strerror(r));
	else if ((e = attend(w, &t, p, writes ? fd : -1, what)) == CTL_DONE &&
		 (t.end.how != PROC_EXITED || t.end.value != 0)) {
		ctl_say(w->c, "%s ended with %s %d", words[0], t.end.how == PROC_EXITED ? "status" : "signal",
			t.end.value);
		e = CTL_FAILED;
	}
	proc_set_free(&set);
	return e;
}
