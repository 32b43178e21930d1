#include "supervisor/app/listen.h"
#include "common/base/clock.h"
#include "common/base/err.h"
#include "common/config/config.h"
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#define PORT_PATIENCE_MS 5000
#define HTTP_ADDR_FILE   "http.addr"

const struct listeners listeners_none = {
#define X(id, name, api, prog, sock) .jr[TR_ROLE_##id] = -1,
	TR_ROLES(X)
#undef X
		.control = -1,
	.http = -1};

static int in_dir(char *out, size_t size, const char *dir, const char *name)
{
	int n = snprintf(out, size, "%s/%s", dir, name);

	return n < 0 || (size_t)n >= size ? TR_ETOOBIG : 0;
}

/* A socket file left by a dead tribe is removed: nobody can be behind it while we hold the lock. Anything else is not
 * ours. */
static int remove_stale(const char *path)
{
	struct stat st;

	if (lstat(path, &st) < 0)
		return errno == ENOENT ? 0 : -errno;
	if (!S_ISSOCK(st.st_mode))
		return -EEXIST;
	return unlink(path) < 0 ? -errno : 0;
}

static int listen_unix(const char *dir, const char *name, mode_t mode)
{
	struct sockaddr_un un = {.sun_family = AF_UNIX};
	int fd, r;

	if ((r = in_dir(un.sun_path, sizeof(un.sun_path), dir, name)) < 0 || (r = remove_stale(un.sun_path)) < 0)
		return r;
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return -errno;
	/* The umask is 077: nobody else can connect before the mode is set. */
	if (bind(fd, (struct sockaddr *)&un, sizeof(un)) < 0 || chmod(un.sun_path, mode) < 0 ||
	    listen(fd, LISTEN_BACKLOG) < 0) {
		r = -errno;
		close(fd);
		return r;
	}
	return fd;
}

static int bind_http(const struct sockaddr_storage *ss)
{
	socklen_t len = ss->ss_family == AF_INET ? sizeof(struct sockaddr_in) : sizeof(struct sockaddr_in6);
	int fd = socket(ss->ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0), one = 1, r;

	if (fd < 0)
		return -errno;
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	if (bind(fd, (const struct sockaddr *)ss, len) < 0 || listen(fd, LISTEN_BACKLOG) < 0) {
		r = -errno;
		close(fd);
		return r;
	}
	return fd;
}

static void print_address(int fd, char *out, size_t size)
{
	struct sockaddr_storage ss;
	socklen_t len = sizeof(ss);
	char host[INET6_ADDRSTRLEN] = "";

	memset(&ss, 0, sizeof(ss));
	getsockname(fd, (struct sockaddr *)&ss, &len);
	if (ss.ss_family == AF_INET6) {
		const struct sockaddr_in6 *v6 = (const struct sockaddr_in6 *)&ss;

		inet_ntop(AF_INET6, &v6->sin6_addr, host, sizeof(host));
		snprintf(out, size, "[%s]:%u", host, ntohs(v6->sin6_port));
	} else {
		const struct sockaddr_in *v4 = (const struct sockaddr_in *)&ss;

		inet_ntop(AF_INET, &v4->sin_addr, host, sizeof(host));
		snprintf(out, size, "%s:%u", host, ntohs(v4->sin_port));
	}
}

static int listen_http(struct listeners *l, const char *where, bool patient)
{
	uint64_t end = tr_mono_ms() + PORT_PATIENCE_MS;
	struct sockaddr_storage ss;
	int r;

	if ((r = cfg_listen_parse(where, &ss)) < 0)
		return r;
	while ((r = bind_http(&ss)) == -EADDRINUSE && patient && tr_mono_ms() < end)
		poll(NULL, 0, 5);
	if (r < 0)
		return r;
	l->http = r;
	print_address(r, l->http_address, sizeof(l->http_address));
	return 0;
}

/* Whole or not at all: somebody may be waiting for it. */
static int write_http_addr(const struct listeners *l, const char *runtime)
{
	char path[4200], fresh[4200], text[80];
	int fd, n, r;

	if ((r = in_dir(path, sizeof(path), runtime, HTTP_ADDR_FILE)) < 0 ||
	    (r = in_dir(fresh, sizeof(fresh), runtime, HTTP_ADDR_FILE ".new")) < 0)
		return r;
	fd = open(fresh, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd < 0)
		return -errno;
	n = snprintf(text, sizeof(text), "%s\n", l->http_address);
	r = write(fd, text, (size_t)n) == n && rename(fresh, path) == 0 ? 0 : -errno;
	close(fd);
	return r;
}

/* The group's, with that mode, or left as it is: chown fails for a user who is not in the group, and is forbidden by
 * the unit file, where the service's own group makes it needless. */
static bool hand_over(const char *path, gid_t group, mode_t mode)
{
	struct stat st;

	if (lstat(path, &st) < 0 || (st.st_gid != group && chown(path, (uid_t)-1, group) < 0))
		return false;
	return chmod(path, mode) == 0;
}

/* Members of group tribe may reach control.sock and nothing else in the directory, whose other sockets are 0600; what
 * they may ask there is messages.def's to say. */
static bool give_to_group(const char *runtime)
{
	const struct group *g = getgrnam("tribe");
	char path[4200];

	return g != NULL && in_dir(path, sizeof(path), runtime, TR_CONTROL_SOCKET) == 0 &&
	       hand_over(runtime, g->gr_gid, 0710) && hand_over(path, g->gr_gid, 0660);
}

int listeners_open(struct listeners *l, const char *runtime, const char *http_listen, bool patient, char *why,
		   size_t size)
{
	int r;

	*l = listeners_none;
	if ((r = listen_http(l, http_listen, patient)) < 0) {
		snprintf(why, size, "http.listen %s: %s", http_listen, tr_strerror(r));
		goto fail;
	}
	for (int i = 0; i < TR_NROLES; i++) {
		if ((r = listen_unix(runtime, tr_roles[i].socket, 0600)) < 0) {
			snprintf(why, size, "%s/%s: %s", runtime, tr_roles[i].socket, tr_strerror(r));
			goto fail;
		}
		l->jr[i] = r;
	}
	if ((r = listen_unix(runtime, TR_CONTROL_SOCKET, 0600)) < 0) {
		snprintf(why, size, "%s/%s: %s", runtime, TR_CONTROL_SOCKET, tr_strerror(r));
		goto fail;
	}
	l->control = r;
	l->readers = give_to_group(runtime);
	if ((r = write_http_addr(l, runtime)) == 0)
		return 0;
	snprintf(why, size, "%s/" HTTP_ADDR_FILE ": %s", runtime, tr_strerror(r));
fail:
	listeners_close(l, runtime);
	return r;
}

/* Bound to this path, which still leads to a socket? */
static bool bound_here(int fd, const char *runtime, const char *name)
{
	struct sockaddr_un un = {.sun_family = AF_UNSPEC};
	socklen_t len = sizeof(un);
	char path[sizeof(un.sun_path)];
	struct stat st;

	return in_dir(path, sizeof(path), runtime, name) == 0 && getsockname(fd, (struct sockaddr *)&un, &len) == 0 &&
	       un.sun_family == AF_UNIX && strncmp(un.sun_path, path, sizeof(path)) == 0 && lstat(path, &st) == 0 &&
	       S_ISSOCK(st.st_mode);
}

int listeners_adopt(struct listeners *l, const char *runtime)
{
	if (!bound_here(l->control, runtime, TR_CONTROL_SOCKET))
		return TR_EPROTO;
	for (int i = 0; i < TR_NROLES; i++)
		if (!bound_here(l->jr[i], runtime, tr_roles[i].socket))
			return TR_EPROTO;
	print_address(l->http, l->http_address, sizeof(l->http_address));
	l->readers = give_to_group(runtime);
	return write_http_addr(l, runtime);
}

static void drop(int *fd, const char *runtime, const char *name)
{
	char path[4200];

	if (*fd < 0)
		return;
	close(*fd);
	*fd = -1;
	if (name != NULL && in_dir(path, sizeof(path), runtime, name) == 0)
		unlink(path);
}

void listeners_close(struct listeners *l, const char *runtime)
{
	drop(&l->http, runtime, HTTP_ADDR_FILE);
	drop(&l->control, runtime, TR_CONTROL_SOCKET);
	for (int i = 0; i < TR_NROLES; i++)
		drop(&l->jr[i], runtime, tr_roles[i].socket);
}
