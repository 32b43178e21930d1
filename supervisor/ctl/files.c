#include "supervisor/ctl/files.h"
#include "common/base/err.h"
#include "common/base/text.h"
#include "proto/wire/fields.h"
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <unistd.h>

#define DEPTH_MAX    32
#define DIGEST_BYTES (1u << 20) /* read at once */

const char *const files_skip_text[FILES_NSKIPS] = {
#define X(id, text) [FILES_SKIP_##id] = (text),
	FILES_SKIPS(X)
#undef X
};

const char *files_format(const char *name)
{
	static const struct {
		const char *end, *format;
	} known[] = {
		{".jsonl", "jsonl"},       {".ndjson", "jsonl"}, {".md", "markdown"},
		{".markdown", "markdown"}, {".txt", "text"},     {".text", "text"},
	};
	size_t n = strlen(name);

	for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++) {
		size_t e = strlen(known[i].end);

		if (n > e && strcasecmp(name + n - e, known[i].end) == 0)
			return known[i].format;
	}
	return NULL;
}

void files_skip(struct file_list *list, enum files_skip why, const char *name)
{
	uint64_t at = list->skipped[why]++;

	if (at < FILES_PLACES)
		list->first[why][at] = strdup(name); /* NULL: it is counted all the same */
}

static int keep(struct file_list *list, const char *path, const char *name, const char *format)
{
	struct file_entry e = {.path = NULL};

	if (list->n == list->cap) {
		size_t cap = list->cap == 0 ? 64 : list->cap * 2;
		struct file_entry *v = realloc(list->v, cap * sizeof(*v));

		if (v == NULL)
			return TR_ENOMEM;
		list->v = v;
		list->cap = cap;
	}
	e = (struct file_entry){.path = strdup(path), .name = strdup(name), .format = format};
	if (e.path == NULL || e.name == NULL) {
		free(e.path);
		free(e.name);
		return TR_ENOMEM;
	}
	list->v[list->n++] = e;
	return 0;
}

int files_add_git(struct file_list *list, const char *git_dir, const char *name, const char *revision, FILE *commits,
		  uint64_t n)
{
	size_t len = strlen(revision);
	int r = len > 0 && len < FILES_REVISION_LEN ? keep(list, git_dir, name, "git") : TR_EINVAL;

	if (r < 0) {
		(void)fclose(commits);
		return r;
	}
	(void)strcpy(list->v[list->n - 1].revision, revision);
	list->v[list->n - 1].commits = commits;
	list->v[list->n - 1].size = n;
	return 0;
}

bool files_in_lines(const struct file_entry *f)
{
	return strcmp(f->format, "jsonl") == 0 || strcmp(f->format, "mcp-memory") == 0;
}

static int consider_file(struct file_list *list, const char *path, const char *name, const char *forced,
			 const struct stat *st)
{
	const char *format = forced != NULL ? forced : files_format(name);

	if (format == NULL)
		files_skip(list, FILES_SKIP_KIND, name);
	else if (strlen(name) > WIRE_NAME_MAX || !tr_utf8_ok(name, strlen(name), NULL))
		files_skip(list, FILES_SKIP_NAME, name);
	else if (!files_in_lines(&(struct file_entry){.format = format}) && st->st_size > (off_t)FILES_BYTES_MAX)
		files_skip(list, FILES_SKIP_LARGE, name);
	else
		return keep(list, path, name, format);
	return 0;
}

static int by_bytes(const struct dirent **a, const struct dirent **b)
{
	return strcmp((*a)->d_name, (*b)->d_name);
}

/* "" and "." and ".." are not entries; everything else that begins with a dot is hidden. */
static int is_entry(const struct dirent *d)
{
	return strcmp(d->d_name, ".") != 0 && strcmp(d->d_name, "..") != 0;
}

static int walk(struct file_list *list, const char *dir, const char *prefix, const char *forced, unsigned depth);

static int consider_entry(struct file_list *list, const char *dir, const char *prefix, const char *entry,
			  const char *forced, unsigned depth)
{
	char *path = NULL, *name = NULL;
	struct stat st;
	int r = 0;

	if (asprintf(&path, "%s/%s", dir, entry) < 0 ||
	    asprintf(&name, "%s%s%s", prefix, *prefix == '\0' ? "" : "/", entry) < 0) {
		r = TR_ENOMEM;
		goto out;
	}
	if (entry[0] == '.')
		files_skip(list, FILES_SKIP_HIDDEN, name);
	else if (lstat(path, &st) < 0)
		files_skip(list, FILES_SKIP_UNREAD, name);
	else if (S_ISREG(st.st_mode))
		r = consider_file(list, path, name, forced, &st);
	else if (!S_ISDIR(st.st_mode))
		files_skip(list, FILES_SKIP_SPECIAL, name);
	else if (depth >= DEPTH_MAX)
		files_skip(list, FILES_SKIP_DEEP, name);
	else if ((r = walk(list, path, name, forced, depth + 1)) < 0 && r != TR_ENOMEM) {
		files_skip(list, FILES_SKIP_UNREAD, name);
		r = 0;
	}
out:
	free(path);
	free(name);
	return r;
}

static int walk(struct file_list *list, const char *dir, const char *prefix, const char *forced, unsigned depth)
{
	struct dirent **entries = NULL;
	int n = scandir(dir, &entries, is_entry, by_bytes), r = 0;

	if (n < 0)
		return errno == ENOMEM ? TR_ENOMEM : -errno;
	for (int i = 0; i < n; i++) {
		if (r == 0)
			r = consider_entry(list, dir, prefix, entries[i]->d_name, forced, depth);
		free(entries[i]);
	}
	free(entries);
	return r;
}

int files_add(struct file_list *list, const char *root, const char *format)
{
	const char *name = strrchr(root, '/');
	struct stat st;

	if (stat(root, &st) < 0)
		return -errno;
	if (S_ISDIR(st.st_mode))
		return walk(list, root, "", format, 0);
	name = name == NULL ? root : name + 1;
	if (!S_ISREG(st.st_mode)) {
		files_skip(list, FILES_SKIP_SPECIAL, name);
		return 0;
	}
	return consider_file(list, root, name, format, &st);
}

void files_free(struct file_list *list)
{
	for (size_t i = 0; i < list->n; i++) {
		free(list->v[i].path);
		free(list->v[i].name);
		if (list->v[i].commits != NULL)
			(void)fclose(list->v[i].commits);
	}
	free(list->v);
	for (int i = 0; i < FILES_NSKIPS; i++)
		for (int k = 0; k < FILES_PLACES; k++)
			free(list->first[i][k]);
	*list = (struct file_list){.v = NULL};
}

static int64_t changed_ns(const struct stat *st)
{
	return (int64_t)st->st_mtim.tv_sec * 1000000000 + st->st_mtim.tv_nsec;
}

static int open_regular(const struct file_entry *f, int *fd_out, struct stat *st)
{
	int fd = open(f->path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);

	if (fd < 0)
		return -errno;
	if (fstat(fd, st) < 0 || !S_ISREG(st->st_mode)) {
		(void)close(fd);
		return TR_ECONFLICT;
	}
	*fd_out = fd;
	return 0;
}

int files_open(const struct file_entry *f, int *fd_out)
{
	struct stat st;
	int fd, r = open_regular(f, &fd, &st);

	if (r < 0)
		return r;
	if ((uint64_t)st.st_size != f->size || changed_ns(&st) != f->changed_ns) {
		(void)close(fd);
		return TR_ECONFLICT;
	}
	*fd_out = fd;
	return 0;
}

struct digest {
	unsigned char sum[TR_SHA256_LEN];
	char *piece; /* owned; DIGEST_BYTES */
	uint64_t bytes;
	files_step *step;
	void *arg;
};

/* A chain: each sum covers the one before it. */
static int digest_add(struct digest *d, const void *p, size_t n)
{
	const struct tr_piece v[] = {{d->sum, sizeof(d->sum)}, {p, n}};

	return tr_sha256_pieces(v, 2, d->sum);
}

/* As many as fit, whatever read() brings at once: the chain's links must not depend on that. */
static ssize_t read_full(int fd, char *p, size_t size)
{
	size_t have = 0;

	while (have < size) {
		ssize_t n = read(fd, p + have, size - have);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -1;
		if (n == 0)
			break;
		have += (size_t)n;
	}
	return (ssize_t)have;
}

/* A commit's id stands for all that it says and for all before it; how many these are, for where the history is cut
 * off.
 */
static int digest_git(struct digest *d, const struct file_entry *f)
{
	const struct tr_piece v[] = {{d->sum, sizeof(d->sum)},
				     {f->name, strlen(f->name)},
				     {f->format, strlen(f->format)},
				     {f->revision, strlen(f->revision)},
				     {&f->size, sizeof(f->size)}};
	int r = tr_sha256_pieces(v, sizeof(v) / sizeof(v[0]), d->sum);

	return r < 0 ? r : 1;
}

/* 1: taken into the digest; 0: left out, and the digest is as it was; < 0. */
static int digest_file(struct digest *d, struct file_list *list, struct file_entry *f)
{
	struct digest before = *d;
	enum files_skip why = FILES_SKIP_UNREAD;
	bool whole = !files_in_lines(f);
	struct stat st;
	ssize_t n = 0;
	int fd, r;

	if (f->revision[0] != '\0')
		return digest_git(d, f);
	r = open_regular(f, &fd, &st);
	if (r < 0) {
		files_skip(list, why, f->name);
		return 0;
	}
	f->size = 0;
	f->changed_ns = changed_ns(&st);
	if ((r = digest_add(d, f->name, strlen(f->name))) < 0 || (r = digest_add(d, f->format, strlen(f->format))) < 0)
		goto out;
	while ((n = read_full(fd, d->piece, DIGEST_BYTES)) > 0) {
		f->size += (uint64_t)n;
		d->bytes += (uint64_t)n;
		if (whole && f->size > FILES_BYTES_MAX)
			break;
		if ((r = digest_add(d, d->piece, (size_t)n)) < 0)
			goto out;
		if (d->step != NULL)
			d->step(d->arg, d->bytes);
	}
	r = n == 0;
	why = n > 0 ? FILES_SKIP_LARGE : FILES_SKIP_UNREAD;
	if (r == 0)
		files_skip(list, why, f->name);
out:
	(void)close(fd);
	if (r == 0)
		*d = before;
	return r;
}

int files_digest(struct file_list *list, const char *how, files_step *step, void *arg, char out[FILES_DIGEST_LEN])
{
	struct digest d = {.piece = malloc(DIGEST_BYTES), .step = step, .arg = arg};
	size_t kept = 0;
	int r = d.piece == NULL ? TR_ENOMEM : digest_add(&d, how, strlen(how));

	for (size_t i = 0; i < list->n; i++) {
		struct file_entry e = list->v[i];

		r = r < 0 ? r : digest_file(&d, list, &e);
		if (r == 0) {
			free(e.path);
			free(e.name);
		} else {
			list->v[kept++] = e;
		}
	}
	list->n = kept;
	free(d.piece);
	if (r < 0)
		return r;
	tr_hex(d.sum, FILES_DIGEST_LEN / 2, out);
	return 0;
}

uint64_t files_size(const struct file_list *list)
{
	uint64_t sum = 0;

	for (size_t i = 0; i < list->n; i++)
		sum += list->v[i].size;
	return sum;
}

size_t files_cut(const char *p, size_t n, bool last, size_t max, uint64_t max_lines, uint64_t *lines)
{
	size_t limit = n < max ? n : max, end = 0;
	uint64_t count = 0;

	while (count < max_lines && end < limit) {
		const char *nl = memchr(p + end, '\n', limit - end);

		if (nl == NULL)
			break;
		end = (size_t)(nl - p) + 1;
		count++;
	}
	if (count < max_lines && n <= max) {
		if (!last && n < max)
			return 0; /* a fuller piece comes with more bytes */
		if (last && end < n) {
			end = n;
			count++;
		}
	}
	*lines = count;
	return end;
}
