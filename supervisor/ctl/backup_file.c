/* The files of a backup. A name is given to what is whole and on disk, never before. */
#include "proto/json/json.h"
#include "supervisor/ctl/backup.h"
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <libgen.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#define COPY_PIECE (1u << 20)

enum ctl_exit cannot(const struct ctl *c, const char *path, int error)
{
	ctl_say(c, "%s: %s", path, strerror(error));
	return error == EACCES || error == EPERM ? CTL_REFUSED : CTL_FAILED;
}

static bool fits(int n)
{
	return n >= 0 && n < CTL_PATH_MAX;
}

static int sync_parent(const char *path)
{
	char copy[CTL_PATH_MAX];
	int fd, r;

	(void)snprintf(copy, sizeof(copy), "%s", path);
	if ((fd = open(dirname(copy), O_RDONLY | O_DIRECTORY | O_CLOEXEC)) < 0)
		return -1;
	r = fsync(fd);
	(void)close(fd);
	return r < 0 && errno != EINVAL ? -1 : 0;
}

/* ---- parts ---- */

void part_path(const struct bwork *w, char out[CTL_PATH_MAX])
{
	(void)snprintf(out, CTL_PATH_MAX, "%s/backups/%s.part", w->c->paths.state, w->id);
}

/* The state directory's owner is who memory-jr runs as. Where that is not us we are root. */
int give(int fd, const char *state)
{
	struct stat st;

	if (stat(state, &st) < 0)
		return -1;
	return st.st_uid == geteuid() ? 0 : fchown(fd, st.st_uid, st.st_gid);
}

int make_backups(const struct ctl *c)
{
	char path[CTL_PATH_MAX];
	int fd, r;

	(void)snprintf(path, sizeof(path), "%s/backups", c->paths.state);
	if (mkdir(path, 0700) < 0)
		return errno == EEXIST ? 0 : -1;
	if ((fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC)) < 0)
		return -1;
	r = give(fd, c->paths.state) < 0 || sync_parent(path) < 0 ? -1 : 0;
	(void)close(fd);
	return r;
}

enum ctl_exit part_make(const struct bwork *w, int *fd_out)
{
	char path[CTL_PATH_MAX];
	int fd;

	part_path(w, path);
	if (make_backups(w->c) < 0 || (fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600)) < 0)
		return cannot(w->c, path, errno);
	if (flock(fd, LOCK_EX | LOCK_NB) < 0 || give(fd, w->c->paths.state) < 0) {
		int error = errno;

		(void)unlink(path);
		(void)close(fd);
		return cannot(w->c, path, error);
	}
	*fd_out = fd;
	return CTL_DONE;
}

/* ---- where it goes ---- */

enum ctl_exit backup_place(const struct ctl *c, const char *target, const struct backup *b, char out[CTL_PATH_MAX])
{
	char dir[CTL_PATH_MAX], real[PATH_MAX];
	long long at = b->item.created / 1000;
	struct stat st;

	if (target != NULL && !(stat(target, &st) == 0 && S_ISDIR(st.st_mode))) {
		/* a link is followed: what it leads to is replaced, not the link */
		if (realpath(target, real) == NULL && errno != ENOENT)
			return cannot(c, target, errno);
		if (stat(target, &st) == 0 && !S_ISREG(st.st_mode))
			return cannot(c, target, EINVAL);
		return fits(snprintf(out, CTL_PATH_MAX, "%s", access(target, F_OK) == 0 ? real : target))
			       ? CTL_DONE
			       : cannot(c, target, ENAMETOOLONG);
	}
	if (!fits(snprintf(dir, sizeof(dir), "%s%s", target == NULL ? c->paths.state : target,
			   target == NULL ? "/backups" : "")))
		return cannot(c, target == NULL ? c->paths.state : target, ENAMETOOLONG);
	do /* the second of two within a second has the next one's name: none replaces another */
		if (!fits(snprintf(out, CTL_PATH_MAX, "%.4100s/thermal-%lld.%s", dir, at++, backup_kind_name(b->kind))))
			return cannot(c, dir, ENAMETOOLONG);
	while (access(out, F_OK) == 0);
	return CTL_DONE;
}

int copy_file(int from, int to, struct steps *steps)
{
	char *piece = malloc(COPY_PIECE);
	uint64_t done = 0;
	struct stat st;
	ssize_t n = -1, k, at;

	if (piece == NULL || fstat(from, &st) < 0)
		goto out;
	while ((n = pread(from, piece, COPY_PIECE, (off_t)done)) > 0) {
		for (at = 0; at < n; at += k) {
			if ((k = write(to, piece + at, (size_t)(n - at))) < 0) {
				n = -1;
				goto out;
			}
		}
		done += (uint64_t)n;
		if (!steps_show(steps, done, (uint64_t)st.st_size)) {
			errno = EINTR;
			n = -1;
			goto out;
		}
	}
out:
	free(piece);
	return n < 0 ? -1 : 0;
}

int open_nameless(const char *path, char temp[CTL_PATH_MAX + 8])
{
	char dir[CTL_PATH_MAX];
	int fd;

	(void)snprintf(dir, sizeof(dir), "%s", path);
	temp[0] = '\0';
	if ((fd = open(dirname(dir), O_TMPFILE | O_RDWR | O_CLOEXEC, 0600)) >= 0)
		return fd;
	(void)snprintf(temp, CTL_PATH_MAX + 8, "%s.XXXXXX", path);
	if ((fd = mkostemp(temp, O_CLOEXEC)) < 0)
		temp[0] = '\0';
	return fd;
}

int name_it(int fd, char temp[CTL_PATH_MAX + 8], const char *path)
{
	char self[64];

	if (temp[0] == '\0') {
		(void)snprintf(self, sizeof(self), "/proc/self/fd/%d", fd);
		if (linkat(AT_FDCWD, self, AT_FDCWD, path, AT_SYMLINK_FOLLOW) == 0)
			return sync_parent(path);
		if (errno != EEXIST)
			return -1;
		(void)snprintf(temp, CTL_PATH_MAX + 8, "%s.%d", path, (int)getpid() % 1000000);
		if (linkat(AT_FDCWD, self, AT_FDCWD, temp, AT_SYMLINK_FOLLOW) < 0) {
			temp[0] = '\0';
			return -1;
		}
	}
	if (rename(temp, path) < 0)
		return -1;
	temp[0] = '\0';
	return sync_parent(path);
}

static enum ctl_exit copy_out(const struct bwork *w, const char *part, const char *path)
{
	struct steps steps = {.c = w->c, .what = "copying out", .bytes = true};
	char temp[CTL_PATH_MAX + 8] = "";
	int from = open(part, O_RDONLY | O_NOFOLLOW | O_CLOEXEC), to = -1, error = 0;

	if (from < 0)
		return cannot(w->c, part, errno);
	if ((to = open_nameless(path, temp)) < 0 || copy_file(from, to, &steps) < 0 || fsync(to) < 0 ||
	    name_it(to, temp, path) < 0)
		error = errno;
	steps_end(&steps);
	if (temp[0] != '\0')
		(void)unlink(temp);
	if (to >= 0)
		(void)close(to);
	(void)close(from);
	return error != 0 ? cannot(w->c, path, error) : CTL_DONE;
}

enum ctl_exit part_take(const struct bwork *w, const char *path)
{
	char part[CTL_PATH_MAX], dir[CTL_PATH_MAX];
	struct stat a, b;

	part_path(w, part);
	(void)snprintf(dir, sizeof(dir), "%s", path);
	/* Below the state directory it stays memory-jr's; elsewhere it becomes ours, which a copy does by itself. */
	if (lstat(part, &a) < 0 || stat(dirname(dir), &b) < 0)
		return cannot(w->c, path, errno);
	if (a.st_dev != b.st_dev || a.st_uid != b.st_uid || rename(part, path) < 0)
		return copy_out(w, part, path);
	return sync_parent(path) < 0 ? cannot(w->c, path, errno) : CTL_DONE;
}

enum ctl_exit part_to_stdout(const struct bwork *w)
{
	struct steps steps = {.c = w->c, .what = "copying out", .bytes = true};
	char part[CTL_PATH_MAX];
	enum ctl_exit e = CTL_DONE;
	int fd;

	part_path(w, part);
	if ((fd = open(part, O_RDONLY | O_NOFOLLOW | O_CLOEXEC)) < 0)
		return cannot(w->c, part, errno);
	if (copy_file(fd, STDOUT_FILENO, &steps) < 0)
		e = errno == EPIPE ? CTL_FAILED : cannot(w->c, "standard output", errno);
	steps_end(&steps);
	(void)close(fd);
	return e;
}

/* ---- what is printed ---- */

json_t *backup_json(const char *file, const struct backup *b)
{
	json_t *doc = b == NULL ? json_object() : json_encode(&wire_shape_backup, &b->item);

	if (doc != NULL && json_object_set_new(doc, "file", json_string(file)) < 0) {
		json_decref(doc);
		return NULL;
	}
	return doc;
}

enum ctl_exit backup_print(const struct ctl *c, json_t *doc)
{
	struct buf out = {.max = 0};
	enum ctl_exit e;

	if (doc == NULL || json_print(doc, &out) < 0 || buf_puts(&out, "\n") < 0)
		out.failed = TR_ENOMEM;
	json_decref(doc);
	e = ctl_emit(c, &out);
	buf_free(&out);
	return e;
}
