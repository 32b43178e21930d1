/* Where a restored archive lies before and after it takes the old one's place. Every step is on disk before the next.
 */
#include "common/base/clock.h"
#include "jrs/memory/place.h"
#include "jrs/memory/work_inside.h"
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#define FILE_NAME "thermal.sqlite"
#define BESIDE    "restoring" /* STATE/archive/restoring; PATH.restoring */
#define KEPT_MAX  100u

static int failed(struct work_job *j, const char *what)
{
	return tr_fault_set(&j->fault, TR_ESTORE, "archive", "%s (%s)", what, strerror(errno));
}

/* What is too long could not have been opened either. */
__attribute__((format(printf, 2, 3))) static void path_of(char out[WORK_PATH], const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	if (vsnprintf(out, WORK_PATH, fmt, ap) >= WORK_PATH)
		out[0] = '\0';
	va_end(ap);
}

static int sync_dir(const char *path)
{
	int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC), r;

	if (fd < 0)
		return -1;
	r = fsync(fd);
	close(fd);
	return r;
}

static int sync_parent(const char *path)
{
	char copy[WORK_PATH];

	path_of(copy, "%s", path);
	return sync_dir(dirname(copy));
}

int work_make_dir(struct work_job *j)
{
	if (mkdir(j->work->backups, 0700) < 0 && errno != EEXIST)
		return failed(j, "the directory for backups cannot be made");
	return sync_dir(j->work->state) < 0 ? failed(j, "the state directory cannot be written") : 0;
}

/* ---- beside the archive ---- */

static void beside(const struct work *w, char dir[WORK_PATH], char file[WORK_PATH])
{
	if (w->numbered) {
		path_of(dir, "%s/archive/" BESIDE, w->state);
		path_of(file, "%s/archive/" BESIDE "/" FILE_NAME, w->state);
	} else {
		dir[0] = '\0';
		path_of(file, "%s." BESIDE, w->path);
	}
}

static int copy_file(const char *from, const char *to)
{
	int in = open(from, O_RDONLY | O_CLOEXEC), out = -1, r = -1;
	char *piece = malloc(1u << 20);
	ssize_t n = 0, k, at;

	if (in < 0 || piece == NULL || (out = open(to, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600)) < 0)
		goto out;
	while ((n = read(in, piece, 1u << 20)) > 0) {
		for (at = 0; at < n; at += k)
			if ((k = write(out, piece + at, (size_t)(n - at))) < 0)
				goto out;
	}
	r = n < 0 ? -1 : fsync(out);
out:
	free(piece);
	if (in >= 0)
		close(in);
	if (out >= 0)
		close(out);
	return r;
}

/* The part is on disk; the archive may be on another file system. */
static int move(const char *from, const char *to)
{
	if (rename(from, to) == 0)
		return 0;
	if (errno != EXDEV || copy_file(from, to) < 0)
		return -1;
	return unlink(from);
}

int work_lay_beside(struct work_job *j)
{
	const struct work *w = j->work;
	char part[WORK_PATH], dir[WORK_PATH], file[WORK_PATH], current[256], link[300];
	int r, n;

	work_part(j, part);
	beside(w, dir, file);
	if (!w->numbered) {
		if (move(part, file) < 0 || sync_parent(file) < 0)
			return failed(j, "the restored file cannot be laid beside it");
		return 0;
	}
	if ((r = place_current(w->state, current, sizeof(current), &j->fault)) < 0)
		return r;
	/* the way back; a link of somebody's own may lead anywhere */
	n = snprintf(link, sizeof(link), "%s%s", current[0] == '/' ? "" : "../", current);
	if (n < 0 || mkdir(dir, 0700) < 0 || move(part, file) < 0)
		return failed(j, "the restored file cannot be laid beside it");
	path_of(part, "%s/before", dir);
	if (symlink(link, part) < 0 || sync_dir(dir) < 0 || sync_parent(dir) < 0)
		return failed(j, "the restored file cannot be laid beside it");
	return 0;
}

/* ---- going back ---- */

int work_look_back(struct work_job *j)
{
	const struct work *w = j->work;
	char path[WORK_PATH], to[64];
	struct stat st;
	ssize_t n;

	j->watch.phase = "checking";
	if (!w->numbered)
		return tr_fault_set(&j->fault, TR_EUNSUPPORTED, "undo",
				    "is for an archive in the state directory; docs/DISASTER_RECOVERY.md says how to "
				    "go back by hand");
	path_of(path, "%s/archive/current/before", w->state);
	if ((n = readlink(path, to, sizeof(to) - 1)) < 0)
		return tr_fault_set(&j->fault, TR_ENOTFOUND, "undo", "is not possible: no restore made this archive");
	to[n] = '\0';
	if (strncmp(to, "../", 3) != 0 || (j->place = (unsigned)strtoul(to + 3, NULL, 10)) == 0)
		return tr_fault_set(
			&j->fault, TR_EUNSUPPORTED, "undo",
			"is for numbered directories only; the link archive/current/before says where the old one is");
	path_of(path, "%s/archive/%u/" FILE_NAME, w->state, j->place);
	if (stat(path, &st) < 0 || !S_ISREG(st.st_mode))
		return tr_fault_set(&j->fault, TR_ENOTFOUND, "undo", "is not possible: archive/%u is gone", j->place);
	return 0;
}

/* ---- the step ---- */

static int switch_numbered(struct work_job *j)
{
	const struct work *w = j->work;
	char dir[WORK_PATH], file[WORK_PATH], to[WORK_PATH], current[256];
	unsigned n = j->place;
	int r;

	if ((r = place_current(w->state, current, sizeof(current), &j->fault)) < 0)
		return r;
	if (j->kind == WORK_RESTORE) {
		beside(w, dir, file);
		if ((r = place_next(w->state, &n, &j->fault)) < 0)
			return r;
		path_of(to, "%s/archive/%u", w->state, n);
		if (rename(dir, to) < 0 || sync_parent(to) < 0)
			return failed(j, "the restored directory cannot be named");
	}
	if ((r = place_switch(w->state, n, &j->fault)) < 0)
		return r;
	path_of(j->kept, current[0] == '/' ? "%.0s%s" : "%s/archive/%s", w->state, current);
	return 0;
}

/* A second name for the old file; who restores twice in a second gets two. */
static int keep_file(const struct work *w, char kept[WORK_PATH])
{
	long long second = tr_wall_ms() / 1000;
	unsigned again;

	path_of(kept, "%s.before-%lld", w->path, second);
	for (again = 2; link(w->path, kept) < 0; again++) {
		if (errno != EEXIST || again > KEPT_MAX)
			return -1;
		path_of(kept, "%s.before-%lld-%u", w->path, second, again);
	}
	return sync_parent(kept);
}

/* A name is never without a file: the old one gets a second name, then the new one takes the first. A follower still
 * has the old one open: its log, which is empty, and the index of that must not be the new one's. Should we end between
 * these steps, whoever takes over sees that they are gone, and leaves (opening_moved()). */
static int switch_file(struct work_job *j)
{
	const struct work *w = j->work;
	char dir[WORK_PATH], file[WORK_PATH], kept[WORK_PATH], log[WORK_PATH], index[WORK_PATH];
	struct stat st;

	beside(w, dir, file);
	path_of(log, "%s-wal", w->path);
	path_of(index, "%s-shm", w->path);
	if (stat(log, &st) == 0 && st.st_size > 0)
		return tr_fault_set(&j->fault, TR_ECONFLICT, "archive",
				    "is open in another program, which must be closed first");
	if (keep_file(w, kept) < 0)
		return failed(j, "the old file cannot get another name");
	(void)unlink(log);
	(void)unlink(index);
	if (rename(file, w->path) < 0 || sync_parent(kept) < 0)
		return failed(j, "the restored file cannot take its place");
	path_of(j->kept, "%s", kept);
	return 0;
}

int work_switch(struct work_job *j)
{
	if (j->work->conninfo != NULL)
		return work_switch_pg(j);
	return j->work->numbered ? switch_numbered(j) : switch_file(j);
}

/* ---- sweeping ---- */

static void sweep_part(int dir, const char *name)
{
	int fd = openat(dir, name, O_RDWR | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);

	if (fd < 0)
		return;
	if (flock(fd, LOCK_EX | LOCK_NB) == 0) /* whoever works on it holds it */
		(void)unlinkat(dir, name, 0);
	close(fd);
}

void work_sweep(const struct work *w, const char *id)
{
	char dir[WORK_PATH], file[WORK_PATH];
	DIR *d = opendir(w->backups);
	struct dirent *e;

	while (d != NULL && (e = readdir(d)) != NULL) {
		size_t n = strlen(e->d_name);

		if (n > 5 && strcmp(e->d_name + n - 5, ".part") == 0 &&
		    !(n - 5 == strlen(id) && memcmp(e->d_name, id, n - 5) == 0))
			sweep_part(dirfd(d), e->d_name);
	}
	if (d != NULL)
		closedir(d);
	if (w->conninfo != NULL)
		return;
	beside(w, dir, file);
	(void)unlink(file);
	if (!w->numbered)
		return;
	path_of(file, "%s/before", dir);
	(void)unlink(file);
	(void)rmdir(dir);
}
