#include "supervisor/app/launch.h"
#include "common/base/err.h"
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

extern char **environ;

/* What a Jr may know of our environment; nothing else passes, so no secret leaks by accident. */
static const char *const passed[] = {
	"PATH=",
	"HOME=",
	"LANG=",
	"LC_ALL=",
	"LC_CTYPE=",
	"TZ=",
	"TMPDIR=",
	"JOURNAL_STREAM=",
	"INVOCATION_ID=",
	"ASAN_OPTIONS=",
	"LSAN_OPTIONS=",
	"UBSAN_OPTIONS=",
	"LLVM_PROFILE_FILE=",
	"GCOV_PREFIX=",
	"GCOV_PREFIX_STRIP=",
	"LD_LIBRARY_PATH=",
};
#define NPASSED (sizeof(passed) / sizeof(passed[0]))
#define NOWN    3 /* TRIBE_... */

static int page_open(struct launch *l, int role, int leads[TR_NROLES])
{
	int r;

	if (leads == NULL)
		return lead_page_new(&l->lead_fd[role], &l->lead[role]);
	if ((r = lead_page_map(leads[role], &l->lead[role])) == 0) {
		l->lead_fd[role] = leads[role];
		leads[role] = -1;
	}
	return r;
}

int launch_init(struct launch *l, const struct tr_paths *paths, const struct listeners *listeners,
		const struct credentials *credentials, int lock_fd, int leads[TR_NROLES])
{
	ssize_t n;
	char *slash;
	int r;

	memset(l, 0, sizeof(*l));
	n = readlink("/proc/self/exe", l->dir, sizeof(l->dir) - 1);
	if (n < 0)
		return -errno;
	l->dir[n] = '\0';
	slash = strrchr(l->dir, '/');
	if (slash == NULL)
		return TR_EINTERNAL;
	*slash = '\0';
	l->paths = paths;
	l->listeners = listeners;
	l->credentials = credentials;
	l->lock_fd = lock_fd;
	buf_init(&l->config, 0);
	for (int i = 0; i < TR_NROLES; i++)
		if ((r = page_open(l, i, leads)) < 0)
			return r;
	return 0;
}

int launch_configure(struct launch *l, const struct tr_config *cfg)
{
	struct buf config;
	int r;

	buf_init(&config, 0);
	if ((r = cfg_dump(cfg, NULL, &config)) < 0) {
		buf_free(&config);
		return r;
	}
	buf_free(&l->config);
	l->config = config;
	l->revision++;
	return 0;
}

void launch_free(struct launch *l)
{
	for (int i = 0; i < TR_NROLES; i++)
		if (l->lead[i] != NULL) {
			lead_page_unmap(&l->lead[i]);
			close(l->lead_fd[i]);
		}
	buf_free(&l->config);
}

int launch_digest(const struct launch *l, char digest[TR_SHA256_HEX])
{
	const struct credentials *c = l->credentials;
	struct tr_sha256 *sum;
	int r;

	if ((r = tr_sha256_new(&sum)) < 0)
		return r;
	tr_sha256_add(sum, l->config.p, l->config.len);
	tr_sha256_add(sum, c->certificate.p, c->certificate.len);
	tr_sha256_add(sum, c->private_key.p, c->private_key.len);
	tr_sha256_add(sum, c->client_ca.p, c->client_ca.len);
	tr_sha256_add(sum, c->token_hash, strlen(c->token_hash));
	return tr_sha256_end(&sum, digest);
}

/* A file of its own for each life: a shared one would share its read position. */
static int memory_file(const char *name, const char *p, size_t n)
{
	int fd = memfd_create(name, MFD_CLOEXEC);
	int r;

	if (fd < 0)
		return -errno;
	if (write(fd, p, n) == (ssize_t)n && lseek(fd, 0, SEEK_SET) == 0)
		return fd;
	r = -errno;
	close(fd);
	return r < 0 ? r : TR_EINTERNAL;
}

struct env {
	const char *v[NPASSED + NOWN + 2];
	char own[NOWN][4200];
};

static unsigned pass_env(const char *v[NPASSED])
{
	unsigned n = 0;

	for (unsigned i = 0; i < NPASSED; i++)
		for (char **var = environ; *var != NULL; var++)
			if (strncmp(*var, passed[i], strlen(passed[i])) == 0) {
				v[n++] = *var;
				break;
			}
	return n;
}

static void fill_env(struct env *e, const struct launch *l, const struct life *life)
{
	unsigned n = pass_env(e->v);

	snprintf(e->own[0], sizeof(e->own[0]), "TRIBE_GENERATION=%" PRIu32, life->generation);
	snprintf(e->own[1], sizeof(e->own[1]), "TRIBE_STATE=%s", l->paths->state);
	snprintf(e->own[2], sizeof(e->own[2]), "TRIBE_RUNTIME=%s", l->paths->runtime);
	for (int i = 0; i < NOWN; i++)
		e->v[n++] = e->own[i];
	/* all functions of its libraries bound before it is needed; memory-jr calls them while it waits (warm.h) */
	if (life->waits && life->role == TR_ROLE_EXECUTIVE)
		e->v[n++] = "LD_BIND_NOW=1";
	e->v[n] = NULL;
}

/* Those made for one life alone; -1: not for this one. */
#define NFILES 5
static int make_files(struct proc_fd files[NFILES], const struct launch *l, enum tr_role role)
{
	const struct credentials *c = l->credentials;
	bool face = role == TR_ROLE_EXECUTIVE;
	const struct {
		const char *name, *p;
		size_t n;
	} rows[NFILES] = {
		{"config", l->config.p, l->config.len},
		{"certificate", c->certificate.p, face ? c->certificate.len : 0},
		{"private_key", c->private_key.p, face ? c->private_key.len : 0},
		{"client_ca", c->client_ca.p, face ? c->client_ca.len : 0},
		{"token_hash", c->token_hash, face ? strlen(c->token_hash) : 0},
	};

	for (int i = 0; i < NFILES; i++)
		files[i] = (struct proc_fd){rows[i].name, -1};
	for (int i = 0; i < NFILES; i++) {
		if (rows[i].n == 0)
			continue;
		files[i].fd = memory_file(rows[i].name, rows[i].p, rows[i].n);
		if (files[i].fd < 0)
			return files[i].fd;
	}
	return 0;
}

static unsigned fill_fds(struct proc_fd *fds, const struct launch *l, enum tr_role role, int channel,
			 const struct proc_fd files[NFILES])
{
	unsigned n = 0;

	fds[n++] = (struct proc_fd){"channel", channel};
	for (int i = 0; i < NFILES; i++)
		if (files[i].fd >= 0)
			fds[n++] = files[i];
	fds[n++] = (struct proc_fd){"socket", l->listeners->jr[role]};
	fds[n++] = (struct proc_fd){"lead", l->lead_fd[role]};
	if (role == TR_ROLE_EXECUTIVE)
		fds[n++] = (struct proc_fd){"http", l->listeners->http};
	if (role == TR_ROLE_MEMORY)
		fds[n++] = (struct proc_fd){"lock", l->lock_fd};
	return n;
}

int launch_jr(const struct launch *l, struct proc_set *procs, const struct life *life, void *arg, struct proc **proc,
	      int *channel)
{
	char path[4200], name[32], *argv[] = {name, NULL};
	struct proc_fd fds[PROC_FDS_MAX], files[NFILES];
	int ends[2] = {-1, -1}, r;
	struct env env;

	if ((r = make_files(files, l, life->role)) < 0)
		goto out;
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, ends) < 0) {
		r = -errno;
		goto out;
	}
	fill_env(&env, l, life);
	snprintf(name, sizeof(name), "%s", tr_roles[life->role].program);
	snprintf(path, sizeof(path), "%s/%s", l->dir, name);
	r = proc_spawn(procs,
		       &(struct proc_spec){.path = path,
					   .argv = argv,
					   .env = env.v,
					   .fds = fds,
					   .nfds = fill_fds(fds, l, life->role, ends[1], files)},
		       arg, proc);
	if (r == 0) {
		*channel = ends[0];
		ends[0] = -1;
	}
out:
	for (int i = 0; i < 2; i++)
		if (ends[i] >= 0)
			close(ends[i]);
	for (int i = 0; i < NFILES; i++)
		if (files[i].fd >= 0)
			close(files[i].fd);
	return r;
}

int launch_tool(const struct launch *l, struct proc_set *procs, char *const argv[], const struct proc_ops *ops,
		void *arg, struct proc **proc)
{
	const char *env[NPASSED + 1];
	char path[4200];

	env[pass_env(env)] = NULL;
	snprintf(path, sizeof(path), "%s/%s", l->dir, argv[0]);
	return proc_spawn(procs, &(struct proc_spec){.path = path, .argv = argv, .env = env, .ops = ops, .quiet = true},
			  arg, proc);
}
