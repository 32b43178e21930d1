#include "jrs/memory/place.h"
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define SQLITE_SCHEME "sqlite:"
#define FILE_NAME     "thermal.sqlite"

static int failed(struct tr_fault *fault, const char *what)
{
	return tr_fault_set(fault, TR_ESTORE, "archive", "%s (%s)", what, strerror(errno));
}

static int make_dir(int at, const char *name, struct tr_fault *fault)
{
	if (mkdirat(at, name, 0700) == 0 || errno == EEXIST)
		return 0;
	return failed(fault, "its directory cannot be made");
}

/* archive/1 and archive/current -> 1, both on disk before the first memory is. */
static int make_place(const char *state, struct tr_fault *fault)
{
	int at = open(state, O_RDONLY | O_DIRECTORY | O_CLOEXEC), dir = -1, r;

	if (at < 0)
		return failed(fault, "the state directory cannot be opened");
	if ((r = make_dir(at, "archive", fault)) < 0)
		goto out;
	if ((dir = openat(at, "archive", O_RDONLY | O_DIRECTORY | O_CLOEXEC)) < 0) {
		r = failed(fault, "its directory cannot be opened");
		goto out;
	}
	if (faccessat(dir, "current", F_OK, AT_SYMLINK_NOFOLLOW) == 0)
		goto out; /* whatever it leads to is what somebody wanted */
	if ((r = make_dir(dir, "1", fault)) < 0)
		goto out;
	if (symlinkat("1", dir, "current") < 0 && errno != EEXIST)
		r = failed(fault, "its link cannot be made");
	else if (fsync(dir) < 0 || fsync(at) < 0)
		r = failed(fault, "its directory cannot be written");
out:
	if (dir >= 0)
		close(dir);
	close(at);
	return r;
}

int place_archive(const char *state, const char *url, char *out, size_t size, struct tr_fault *fault)
{
	char path[4096];
	int n, r;

	if (url[0] == '\0') {
		if ((r = make_place(state, fault)) < 0)
			return r;
		n = snprintf(path, sizeof(path), "%s/archive/current/%s", state, FILE_NAME);
	} else if (strncmp(url, SQLITE_SCHEME, strlen(SQLITE_SCHEME)) == 0 && url[strlen(SQLITE_SCHEME)] != '\0') {
		url += strlen(SQLITE_SCHEME);
		n = url[0] == '/' ? snprintf(path, sizeof(path), "%s", url)
				  : snprintf(path, sizeof(path), "%s/%s", state, url);
	} else {
		return tr_fault_set(fault, TR_ECONFIG, "archive.url", "must be sqlite:PATH");
	}
	if (n < 0 || (size_t)n >= sizeof(path) || (size_t)n >= size)
		return tr_fault_set(fault, TR_ETOOBIG, "archive.url", "is too long a path");
	memcpy(out, path, (size_t)n + 1);
	return 0;
}

/* ---- numbered directories ---- */

static int open_places(const char *state, struct tr_fault *fault)
{
	char path[4096];
	int n = snprintf(path, sizeof(path), "%s/archive", state), fd;

	if (n < 0 || (size_t)n >= sizeof(path))
		return tr_fault_set(fault, TR_ETOOBIG, "archive", "is too long a path");
	if ((fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC)) < 0)
		return failed(fault, "its directory cannot be opened");
	return fd;
}

int place_next(const char *state, unsigned *out, struct tr_fault *fault)
{
	int fd = open_places(state, fault);
	unsigned highest = 0;
	struct dirent *e;
	DIR *d;

	if (fd < 0)
		return fd;
	if ((d = fdopendir(fd)) == NULL) {
		close(fd);
		return failed(fault, "its directory cannot be read");
	}
	while ((e = readdir(d)) != NULL) {
		char *end;
		unsigned long n = strtoul(e->d_name, &end, 10);

		if (e->d_name[0] >= '1' && e->d_name[0] <= '9' && *end == '\0' && n < 1000000000 && n > highest)
			highest = (unsigned)n;
	}
	closedir(d);
	*out = highest + 1;
	return 0;
}

int place_current(const char *state, char *out, size_t size, struct tr_fault *fault)
{
	int fd = open_places(state, fault);
	char name[4096];
	ssize_t n;

	if (fd < 0)
		return fd;
	n = readlinkat(fd, "current", name, sizeof(name));
	close(fd);
	if (n < 0)
		return tr_fault_set(fault, errno == ENOENT ? TR_ENOTFOUND : TR_ESTORE, "archive",
				    "its link cannot be read (%s)", strerror(errno));
	if ((size_t)n >= size)
		return tr_fault_set(fault, TR_ETOOBIG, "archive", "is too long a path");
	memcpy(out, name, (size_t)n);
	out[n] = '\0';
	return 0;
}

int place_switch(const char *state, unsigned n, struct tr_fault *fault)
{
	int fd = open_places(state, fault), r = 0;
	struct stat st;
	char name[16];

	if (fd < 0)
		return fd;
	snprintf(name, sizeof(name), "%u", n);
	if (fstatat(fd, name, &st, 0) < 0 || !S_ISDIR(st.st_mode))
		r = tr_fault_set(fault, TR_ENOTFOUND, "archive", "there is no directory %u", n);
	else if ((unlinkat(fd, "current.new", 0) < 0 && errno != ENOENT) || symlinkat(name, fd, "current.new") < 0 ||
		 fsync(fd) < 0 || renameat(fd, "current.new", fd, "current") < 0 || fsync(fd) < 0)
		r = failed(fault, "its link cannot be made");
	close(fd);
	return r;
}
