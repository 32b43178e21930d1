#include "supervisor/ctl/files.h"
#include "common/base/err.h"
#include "common/base/text.h"
#include "proto/wire/fields.h"
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>

#define DEPTH_MAX 32

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

static int consider_file(struct file_list *list, const char *path, const char *name, const char *forced,
			 const struct stat *st)
{
	const char *format = forced != NULL ? forced : files_format(name);

	if (format == NULL)
		list->skipped[FILES_SKIP_KIND]++;
	else if (strlen(name) > WIRE_NAME_MAX || !tr_utf8_ok(name, strlen(name), NULL))
		list->skipped[FILES_SKIP_NAME]++;
	else if (strcmp(format, "jsonl") != 0 && st->st_size > (off_t)FILES_BYTES_MAX)
		list->skipped[FILES_SKIP_LARGE]++;
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

	if (entry[0] == '.') {
		list->skipped[FILES_SKIP_HIDDEN]++;
		return 0;
	}
	if (asprintf(&path, "%s/%s", dir, entry) < 0 ||
	    asprintf(&name, "%s%s%s", prefix, *prefix == '\0' ? "" : "/", entry) < 0) {
		r = TR_ENOMEM;
		goto out;
	}
	if (lstat(path, &st) < 0)
		list->skipped[FILES_SKIP_UNREAD]++;
	else if (S_ISREG(st.st_mode))
		r = consider_file(list, path, name, forced, &st);
	else if (!S_ISDIR(st.st_mode))
		list->skipped[FILES_SKIP_SPECIAL]++;
	else if (depth >= DEPTH_MAX)
		list->skipped[FILES_SKIP_DEEP]++;
	else if ((r = walk(list, path, name, forced, depth + 1)) < 0 && r != TR_ENOMEM) {
		list->skipped[FILES_SKIP_UNREAD]++;
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
	if (!S_ISREG(st.st_mode)) {
		list->skipped[FILES_SKIP_SPECIAL]++;
		return 0;
	}
	return consider_file(list, root, name == NULL ? root : name + 1, format, &st);
}

void files_free(struct file_list *list)
{
	for (size_t i = 0; i < list->n; i++) {
		free(list->v[i].path);
		free(list->v[i].name);
	}
	free(list->v);
	*list = (struct file_list){.v = NULL};
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
