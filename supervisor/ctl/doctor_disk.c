/* The file system of the state directory, or, before a first start, of the nearest directory above it. */
#include "common/base/clock.h"
#include "supervisor/ctl/doctor.h"
#include "supervisor/ctl/drill/stats.h"
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/statvfs.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#define ROUNDS    40
#define ROUND_MAX 2000 /* ms for all of them */
#define PIECE     4096

/* A file that nobody can see: it goes with its descriptor, whatever happens. */
static int nameless(const char *dir)
{
	char path[CTL_PATH_MAX + 32];
	int fd = open(dir, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);

	if (fd >= 0 || (errno != EOPNOTSUPP && errno != EISDIR && errno != ENOENT))
		return fd;
	(void)snprintf(path, sizeof(path), "%s/.doctor.XXXXXX", dir);
	if ((fd = mkostemp(path, O_CLOEXEC)) >= 0)
		(void)unlink(path);
	return fd;
}

/* "write back", "write through" or "" as the block layer says of the disk below. */
static void disk_cache(const char *dir, char out[64])
{
	char path[128];
	struct stat st;
	FILE *f = NULL;

	out[0] = '\0';
	if (stat(dir, &st) < 0)
		return;
	for (int above = 0; f == NULL && above < 2; above++) { /* a partition's queue is its disk's */
		(void)snprintf(path, sizeof(path), "/sys/dev/block/%u:%u/%squeue/write_cache", major(st.st_dev),
			       minor(st.st_dev), above == 0 ? "" : "../");
		f = fopen(path, "re");
	}
	if (f == NULL)
		return;
	if (fgets(out, 64, f) == NULL)
		out[0] = '\0';
	out[strcspn(out, "\n")] = '\0';
	(void)fclose(f);
}

static void time_sync(struct doctor *d, const char *dir)
{
	static const char piece[PIECE];
	uint64_t begin = tr_mono_ms();
	double us[ROUNDS];
	char cache[64];
	const char *why;
	enum doctor_level level;
	size_t n;
	int fd = nameless(dir);

	if (fd < 0) {
		doctor_add(d, "disk", "fsync", DOCTOR_WARN, "not measured: run it as the user of the tribe", "%s",
			   strerror(errno));
		return;
	}
	for (n = 0; n < ROUNDS && tr_mono_ms() - begin < ROUND_MAX; n++) {
		uint64_t start = tr_mono_ns();

		if (write(fd, piece, sizeof(piece)) != (ssize_t)sizeof(piece) || fdatasync(fd) < 0) {
			doctor_add(d, "disk", "fsync", DOCTOR_FAIL, "nothing can be remembered", "%s", strerror(errno));
			goto out;
		}
		us[n] = (double)(tr_mono_ns() - start) / 1e3;
	}
	stats_sort(us, n);
	level = judge_sync(stats_quantile(us, n, 0.5), &why);
	disk_cache(dir, cache);
	doctor_add(d, "disk", "fsync", level, why, "append and fdatasync %.0f us, slowest %.0f us, of %zu%s%s",
		   stats_quantile(us, n, 0.5), us[n - 1], n, cache[0] == '\0' ? "" : "; the disk's cache: ", cache);
out:
	(void)close(fd);
}

static void space(struct doctor *d, const struct statfs *s)
{
	uint64_t free_bytes = (uint64_t)s->f_bavail * (uint64_t)s->f_bsize;
	enum doctor_level level;
	char text[SHOW_SHORT];
	const char *why;

	show_bytes(text, free_bytes);
	level = judge_space(free_bytes, &why);
	doctor_add(d, "disk", "free space", level, why, "%s", text);
	level = judge_inodes(s->f_files, s->f_ffree, &why);
	show_count(text, s->f_ffree);
	doctor_add(d, "disk", "free inodes", level, why, "%s", s->f_files == 0 ? "as many as needed" : text);
}

void doctor_disk(struct doctor *d)
{
	char dir[CTL_PATH_MAX];
	const char *name, *why;
	enum doctor_level level;
	struct statfs s;

	(void)snprintf(dir, sizeof(dir), "%s", d->c->paths.state);
	while (statfs(dir, &s) < 0) {
		char *slash = strrchr(dir, '/');

		if (errno != ENOENT || slash == NULL || slash == dir) {
			doctor_add(d, "disk", "file system", DOCTOR_WARN,
				   "not measured: run it as the user of the tribe", "%s: %s", dir, strerror(errno));
			return;
		}
		*slash = '\0';
	}
	level = judge_filesystem((uint32_t)s.f_type, &name, &why);
	doctor_add(d, "disk", "file system", level, why, "%s%s, at %.180s", name,
		   (s.f_flags & ST_RDONLY) != 0 ? ", read-only" : "", dir);
	time_sync(d, dir);
	space(d, &s);
}
