#include "jrs/memory/numbered.h"
#include "common/base/clock.h"
#include "common/base/text.h"
#include "jrs/memory/place.h"
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define BEGUN "new.tmp" /* an archive that is being made */
#define LEFT  "LEFT.txt"

static int failed(struct tr_fault *fault, const char *what)
{
	return tr_fault_set(fault, TR_ESTORE, "archive", "%s (%s)", what, strerror(errno));
}

static int open_row(const char *state, struct tr_fault *fault)
{
	char path[4096];
	int dir = -1, n = snprintf(path, sizeof(path), "%s/archive", state);

	if (n > 0 && (size_t)n < sizeof(path))
		dir = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return dir < 0 ? failed(fault, "its directory cannot be opened") : dir;
}

/* "12" -> 12; 0: it is not the name of one of the row. */
static unsigned number_of(const char *name)
{
	int64_t n;

	return name[0] != '0' && tr_parse_i64(name, 1, INT32_MAX, &n) == 0 ? (unsigned)n : 0;
}

unsigned numbered_current(const char *state)
{
	char name[16];

	return place_current(state, name, sizeof(name), NULL) < 0 ? 0 : number_of(name);
}

/* Calls visit for each number of the row. */
static int each(int row, void (*visit)(void *arg, int row, unsigned n), void *arg)
{
	int fd = openat(row, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	struct dirent *e;
	DIR *d;

	if (fd < 0 || (d = fdopendir(fd)) == NULL) {
		if (fd >= 0)
			close(fd);
		return -errno;
	}
	while ((e = readdir(d)) != NULL) {
		if (number_of(e->d_name) != 0)
			visit(arg, row, number_of(e->d_name));
	}
	closedir(d);
	return 0;
}

/* Files in it; there are no directories in an archive. */
static int empty_dir(int row, const char *name)
{
	int fd = openat(row, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
	struct dirent *e;
	DIR *d;

	if (fd < 0)
		return errno == ENOENT ? 0 : -errno;
	if ((d = fdopendir(fd)) == NULL) {
		close(fd);
		return -errno;
	}
	while ((e = readdir(d)) != NULL) {
		if (strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0)
			unlinkat(dirfd(d), e->d_name, 0);
	}
	closedir(d);
	return unlinkat(row, name, AT_REMOVEDIR) < 0 ? -errno : 0;
}

int numbered_begin(const char *state, char *out, size_t size, struct tr_fault *fault)
{
	int row = open_row(state, fault), n, r = 0;

	if (row < 0)
		return row;
	n = snprintf(out, size, "%s/archive/%s", state, BEGUN);
	if (n < 0 || (size_t)n >= size)
		r = tr_fault_set(fault, TR_ETOOBIG, "archive", "is too long a path");
	else if (empty_dir(row, BEGUN) < 0 || mkdirat(row, BEGUN, 0700) < 0)
		r = failed(fault, "a directory for a new archive cannot be made");
	close(row);
	return r;
}

static int sync_in(int row, const char *name)
{
	int fd = openat(row, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC), r;

	if (fd < 0)
		return -1;
	r = fsync(fd);
	close(fd);
	return r;
}

int numbered_settle(const char *state, unsigned *n, struct tr_fault *fault)
{
	unsigned next = 0;
	char name[16];
	int row, r;

	if ((r = place_next(state, &next, fault)) < 0 || (row = r = open_row(state, fault)) < 0)
		return r;
	snprintf(name, sizeof(name), "%u", next);
	if (sync_in(row, BEGUN) < 0 || renameat(row, BEGUN, row, name) < 0 || fsync(row) < 0) {
		r = failed(fault, "the new archive cannot be given its number");
	} else {
		*n = next;
		r = 0;
	}
	close(row);
	return r;
}

int numbered_leave(const char *state, unsigned n, unsigned next, const char *why, int64_t now_ms,
		   struct tr_fault *fault)
{
	int row = open_row(state, fault), fd = -1, r = 0, len;
	char name[48], text[1024], at[TR_RFC3339_LEN];

	if (row < 0)
		return row;
	tr_rfc3339_format(now_ms, at);
	snprintf(name, sizeof(name), "%u/%s", n, LEFT);
	len = snprintf(
		text, sizeof(text),
		"Left at %s: %s.\n"
		"What is undamaged was taken to archive/%u; %u/salvage.json and %u/rejects.jsonl say what was not.\n"
		"Nothing else in this directory was changed.\n"
		"The way back: stop the tribe, `ln -sfn %u STATE/archive/current`, start it. It then serves what can "
		"be "
		"read here, writes nothing, and repairs nothing while this file is here.\n",
		at, why, next, next, next, n);
	if ((fd = openat(row, name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600)) < 0 ||
	    write(fd, text, (size_t)len) != len || fsync(fd) < 0)
		r = failed(fault, "the note that it was left cannot be written");
	if (fd >= 0)
		close(fd);
	close(row);
	return r;
}

bool numbered_was_left(const char *state, unsigned n)
{
	int row = open_row(state, NULL);
	char name[48];
	bool left;

	if (row < 0)
		return false;
	snprintf(name, sizeof(name), "%u/%s", n, LEFT);
	left = faccessat(row, name, F_OK, 0) == 0;
	close(row);
	return left;
}

struct counting {
	const char *name;
	int64_t since_ms;
	unsigned n;
};

static void count(void *arg, int row, unsigned n)
{
	struct counting *c = arg;
	char path[160];
	struct stat st;

	snprintf(path, sizeof(path), "%u/%s", n, c->name);
	if (fstatat(row, path, &st, 0) == 0 && (int64_t)st.st_mtime * 1000 >= c->since_ms)
		c->n++;
}

unsigned numbered_count(const char *state, const char *name, int64_t since_ms)
{
	struct counting c = {name, since_ms, 0};
	int row = open_row(state, NULL);

	if (row < 0)
		return 0;
	each(row, count, &c);
	close(row);
	return c.n;
}
