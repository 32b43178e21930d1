#include "proto/backup/backup.h"
#include <errno.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>
#include <uv.h>

#define PIECE (1u << 20)

/* Until n bytes are there or the file ends: how many, or -errno. */
static ssize_t read_at(int fd, char *p, size_t n, uint64_t at)
{
	size_t got = 0;

	while (got < n) {
		ssize_t k = pread(fd, p + got, n - got, (off_t)(at + got));

		if (k < 0 && errno == EINTR)
			continue;
		if (k < 0)
			return -errno;
		if (k == 0)
			break;
		got += (size_t)k;
	}
	return (ssize_t)got;
}

static int write_all(int fd, const char *p, size_t n)
{
	while (n > 0) {
		ssize_t k = write(fd, p, n);

		if (k < 0 && errno != EINTR)
			return -errno;
		if (k > 0) {
			p += k;
			n -= (size_t)k;
		}
	}
	return 0;
}

int backup_read(struct backup *out, int fd, struct tr_fault *fault)
{
	char tail[BACKUP_LINE_MAX];
	uint64_t size, n;
	struct stat st;
	ssize_t got;

	if (fstat(fd, &st) < 0)
		return tr_fault_set(fault, -errno, "", "%s", tr_strerror(-errno));
	if (!S_ISREG(st.st_mode))
		return tr_fault_set(fault, TR_EINVAL, "", "is not a regular file");
	size = (uint64_t)st.st_size;
	n = size < sizeof(tail) ? size : sizeof(tail);
	if ((got = read_at(fd, tail, (size_t)n, size - n)) < 0)
		return tr_fault_set(fault, (int)got, "", "%s", tr_strerror((int)got));
	if ((uint64_t)got != n)
		return tr_fault_set(fault, TR_EINVAL, "", "changes while it is read");
	return backup_parse(out, tail, (size_t)n, size, fault);
}

struct reading {
	struct tr_sha256 *sum;
	char *piece;
	int to;
	backup_step *step;
	void *arg;
};

/* n bytes of fd from `at` on, of which `hashed` go into the sum. */
static int pass(struct reading *g, int fd, uint64_t at, uint64_t n, bool hashed)
{
	uint64_t end = at + n, from = at;

	while (at < end) {
		uint64_t want = end - at < PIECE ? end - at : PIECE;
		ssize_t got = read_at(fd, g->piece, (size_t)want, at);
		int r = got < 0 ? (int)got : (uint64_t)got < want ? TR_EINVAL : 0;

		if (r == 0 && hashed)
			tr_sha256_add(g->sum, g->piece, (size_t)got);
		if (r == 0 && g->to >= 0)
			r = write_all(g->to, g->piece, (size_t)got);
		if (r < 0)
			return r;
		at += want;
		if (hashed && g->step != NULL && !g->step(g->arg, at - from, n))
			return UV_ECANCELED;
	}
	return 0;
}

static int read_through(int fd, uint64_t bytes, uint64_t more, struct reading *g, char out[TR_SHA256_HEX])
{
	int r = tr_sha256_new(&g->sum);

	if (r < 0)
		return r;
	if ((g->piece = malloc(PIECE)) == NULL)
		r = TR_ENOMEM;
	if (r == 0 && (r = pass(g, fd, 0, bytes, true)) == 0)
		r = pass(g, fd, bytes, more, false);
	free(g->piece);
	if (r == 0)
		return tr_sha256_end(&g->sum, out);
	tr_sha256_free(&g->sum);
	return r;
}

int backup_digest(int fd, uint64_t bytes, backup_step *step, void *arg, char out[TR_SHA256_HEX])
{
	struct reading g = {.to = -1, .step = step, .arg = arg};

	return read_through(fd, bytes, 0, &g, out);
}

int backup_check(const struct backup *b, int fd, int to, backup_step *step, void *arg, struct tr_fault *fault)
{
	struct reading g = {.to = to, .step = step, .arg = arg};
	char sum[TR_SHA256_HEX];
	struct stat st;
	uint64_t more;
	int r;

	if (fstat(fd, &st) < 0)
		return tr_fault_set(fault, -errno, "", "%s", tr_strerror(-errno));
	more = (uint64_t)st.st_size > b->item.bytes ? (uint64_t)st.st_size - b->item.bytes : 0;
	r = read_through(fd, b->item.bytes, to >= 0 ? more : 0, &g, sum);
	if (r == TR_EINVAL)
		return tr_fault_set(fault, r, "", "changes while it is read");
	if (r < 0)
		return tr_fault_set(fault, r, "", "%s", tr_strerror(r));
	if (strcmp(sum, b->sha256) != 0)
		return tr_fault_set(fault, TR_EINVAL, "sha256",
				    "of the file's bytes is not what the manifest says: they were changed");
	return 0;
}
