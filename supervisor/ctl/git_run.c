#include "supervisor/ctl/git_run.h"
#include "common/base/err.h"
#include "supervisor/proc/proc.h"
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define ENV_MAX 24

struct git_run {
	uv_loop_t *loop;
	struct proc_set *set;
	struct proc_end end; /* pid 0: it runs */
	int out, err;        /* our ends; -1: closed */
	size_t why_n;
	char why[GIT_WHY_BYTES];
};

/* In every call: what a repository's configuration could start. -c wins over it. */
static const char *const closed[] = {
	"--no-pager",
	"-c",
	"core.fsmonitor=false",
	"-c",
	"core.hooksPath=/dev/null",
	"-c",
	"core.pager=cat",
	"-c",
	"core.sshCommand=false",
	"-c",
	"gpg.program=false",
	"-c",
	"log.showSignature=false",
	"-c",
	"protocol.allow=never",
	/* not for safety: the history as it is, in one order whether there is a commit graph or not */
	"-c",
	"core.commitGraph=false",
	"-c",
	"log.showRoot=true",
	"--no-replace-objects",
	NULL,
};

/* An executable file of that name in an absolute directory of PATH. */
static int find_git(char out[PATH_MAX])
{
	const char *path = getenv("PATH");

	if (path == NULL || *path == '\0')
		path = "/usr/local/bin:/usr/bin:/bin";
	while (*path != '\0') {
		size_t n = strcspn(path, ":");

		if (path[0] == '/' && n + sizeof("/git") <= PATH_MAX) {
			(void)snprintf(out, PATH_MAX, "%.*s/git", (int)n, path);
			if (access(out, X_OK) == 0)
				return 0;
		}
		path += n + (path[n] == ':');
	}
	return UV_ENOENT;
}

/* The variables that stay; others of ours could turn git elsewhere (GIT_DIR, GIT_CONFIG_COUNT, GIT_TRACE ...). */
static int make_env(const char *v[ENV_MAX], char kept[][PATH_MAX], bool as_user)
{
	static const char *const keep[] = {"PATH", "HOME", "XDG_CONFIG_HOME", "SUDO_UID"};
	static const char *const always[] = {"LC_ALL=C", "GIT_TERMINAL_PROMPT=0", "GIT_OPTIONAL_LOCKS=0",
					     "GIT_NO_LAZY_FETCH=1", "GIT_ALLOW_PROTOCOL=none"};
	static const char *const alone[] = {"GIT_CONFIG_NOSYSTEM=1", "GIT_CONFIG_SYSTEM=/dev/null",
					    "GIT_CONFIG_GLOBAL=/dev/null", "GIT_ATTR_NOSYSTEM=1"};
	unsigned n = 0, names = as_user ? sizeof(keep) / sizeof(keep[0]) : 1;

	for (unsigned i = 0; i < names; i++) {
		const char *value = getenv(keep[i]);

		if (value == NULL)
			continue;
		if (snprintf(kept[i], PATH_MAX, "%s=%s", keep[i], value) >= PATH_MAX)
			return UV_ENAMETOOLONG;
		v[n++] = kept[i];
	}
	for (unsigned i = 0; i < sizeof(always) / sizeof(always[0]); i++)
		v[n++] = always[i];
	for (unsigned i = 0; !as_user && i < sizeof(alone) / sizeof(alone[0]); i++)
		v[n++] = alone[i];
	v[n] = NULL;
	return 0;
}

static void on_end(void *arg, struct proc *p, const struct proc_end *end)
{
	(void)p;
	((struct git_run *)arg)->end = *end;
}

static void on_stop(void *arg, struct proc *p, int sig)
{
	(void)arg, (void)p, (void)sig;
}

/* A child has our descriptors 1 and 2: they are pipes while it is made. */
static int spawn(struct git_run *g, const struct proc_spec *spec, int out, int err)
{
	int saved_out = fcntl(STDOUT_FILENO, F_DUPFD_CLOEXEC, 3), saved_err = fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, 3);
	struct proc *p;
	int r = -EBADF;

	if (saved_out >= 0 && saved_err >= 0 && fflush(stdout) == 0) {
		r = dup2(out, STDOUT_FILENO) < 0 || dup2(err, STDERR_FILENO) < 0 ? -errno
										 : proc_spawn(g->set, spec, g, &p);
		(void)dup2(saved_out, STDOUT_FILENO);
		(void)dup2(saved_err, STDERR_FILENO);
	}
	if (saved_out >= 0)
		(void)close(saved_out);
	if (saved_err >= 0)
		(void)close(saved_err);
	return r;
}

static size_t count(const char *const *words)
{
	size_t n = 0;

	while (words[n] != NULL)
		n++;
	return n;
}

/* The array is the caller's to free, its words are not: exec takes char *, and git changes nothing. NULL: out of
 * memory. */
static char **make_argv(const char *git_dir, const char *dir_flag, const char *const *args)
{
	const char *const name[] = {"git", NULL}, *const where[] = {"-C", git_dir, dir_flag, NULL};
	const char *const *const lists[] = {name, where, closed, args};
	char **argv = malloc((count(name) + count(where) + count(closed) + count(args) + 1) * sizeof(*argv));
	size_t n = 0;

	for (size_t i = 0; argv != NULL && i < sizeof(lists) / sizeof(lists[0]); i++) {
		size_t words = count(lists[i]);

		if (git_dir == NULL && (lists[i] == where || lists[i] == closed))
			continue;
		memcpy(argv + n, lists[i], words * sizeof(*argv));
		n += words;
	}
	if (argv != NULL)
		argv[n] = NULL;
	return argv;
}

/* Both ends of out and err, of which ours do not block where git complains. */
static int make_pipes(int out[2], int err[2])
{
	if (pipe2(out, O_CLOEXEC) < 0 || pipe2(err, O_CLOEXEC) < 0 || fcntl(err[0], F_SETFL, O_NONBLOCK) < 0)
		return -errno;
	return 0;
}

static int start(struct git_run *g, const char *git_dir, const char *const *args)
{
	static const struct proc_ops ops = {.on_end = on_end, .on_stop = on_stop};
	char git[PATH_MAX], flag[PATH_MAX + 16], kept[4][PATH_MAX], **argv;
	const char *env[ENV_MAX];
	struct proc_spec spec = {.path = git, .env = env};
	int out[2] = {-1, -1}, err[2] = {-1, -1}, r;

	(void)snprintf(flag, sizeof(flag), "--git-dir=%s", git_dir == NULL ? "" : git_dir);
	spec.argv = argv = make_argv(git_dir, flag, args);
	r = argv == NULL ? TR_ENOMEM : find_git(git);
	if (r == 0 && (r = make_env(env, kept, git_dir == NULL)) == 0 &&
	    (r = proc_set_new(&g->set, g->loop, &ops)) == 0 && (r = make_pipes(out, err)) == 0)
		r = spawn(g, &spec, out[1], err[1]);
	g->out = out[0];
	g->err = err[0];
	if (out[1] >= 0)
		(void)close(out[1]);
	if (err[1] >= 0)
		(void)close(err[1]);
	free(argv);
	return r;
}

int git_run_start(struct git_run **to, uv_loop_t *loop, const char *git_dir, const char *const *args)
{
	struct git_run *g = calloc(1, sizeof(*g));
	int r;

	if (g == NULL)
		return TR_ENOMEM;
	*g = (struct git_run){.loop = loop, .out = -1, .err = -1};
	r = start(g, git_dir, args);
	if (r < 0) {
		git_run_free(&g);
		return r;
	}
	*to = g;
	return 0;
}

/* Keeps the beginning and drops the rest, so that git never waits for us to listen. */
static void hear(struct git_run *g)
{
	char waste[4096];
	ssize_t n = 1;

	while (g->err >= 0 && n > 0) {
		size_t room = sizeof(g->why) - 1 - g->why_n;

		n = read(g->err, room > 0 ? g->why + g->why_n : waste, room > 0 ? room : sizeof(waste));
		if (n > 0 && room > 0)
			g->why_n += (size_t)n;
		if (n < 0 && errno == EINTR)
			n = 1;
	}
	if (n == 0) {
		(void)close(g->err);
		g->err = -1;
	}
}

int git_run_read(struct git_run *g, char *p, size_t size, size_t *n)
{
	for (;;) {
		struct pollfd v[] = {{.fd = g->out, .events = POLLIN}, {.fd = g->err, .events = POLLIN}};
		ssize_t got;

		if (poll(v, 2, -1) < 0 && errno != EINTR)
			return -errno;
		if (v[1].revents != 0)
			hear(g);
		if (v[0].revents == 0)
			continue;
		got = read(g->out, p, size);
		if (got >= 0) {
			*n = (size_t)got;
			return 0;
		}
		if (errno != EINTR)
			return -errno;
	}
}

int git_run_end(struct git_run *g, char why[GIT_WHY_BYTES])
{
	const char *from = g->why;
	int r = 0;

	hear(g);
	if (g->out >= 0)
		(void)close(g->out);
	if (g->err >= 0)
		(void)close(g->err);
	g->out = g->err = -1;
	while (r >= 0 && g->end.pid == 0)
		r = uv_run(g->loop, UV_RUN_ONCE);
	g->why[g->why_n] = '\0';
	g->why[strcspn(g->why, "\n")] = '\0';
	if (strncmp(from, "fatal: ", 7) == 0)
		from += 7;
	(void)snprintf(why, GIT_WHY_BYTES, "%s", from);
	return r < 0 ? r : g->end.how == PROC_EXITED ? g->end.value : 128 + g->end.value;
}

void git_run_free(struct git_run **gp)
{
	struct git_run *g = *gp;

	if (g == NULL)
		return;
	*gp = NULL;
	if (g->out >= 0)
		(void)close(g->out);
	if (g->err >= 0)
		(void)close(g->err);
	proc_set_free(&g->set);
	free(g);
}
