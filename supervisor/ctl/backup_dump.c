/* A backup of PostgreSQL: pg_dump writes it, pg_restore or psql read it; the manifest is put behind it here. */
#include "supervisor/ctl/backup.h"
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define FILE_ARG "/proc/self/fd/3" /* what tool_run() hands over */

static enum ctl_exit broken(const struct ctl *c, const char *what, int r)
{
	ctl_say(c, "%s: %s", what, tr_strerror(r));
	return CTL_FAILED;
}

static enum ctl_exit dump(struct bwork *w, int fd, bool sql)
{
	char snapshot[160];
	const char *const words[] = {"pg_dump",
				     "--no-password",
				     sql ? "--format=plain" : "--format=custom",
				     snapshot,
				     "--file=" FILE_ARG,
				     "--no-sync",
				     sql ? "--no-owner" : NULL,
				     "--no-acl",
				     NULL};

	(void)snprintf(snapshot, sizeof(snapshot), "--snapshot=%s", w->snapshot);
	return tool_run(w, words, fd, true, "dumping");
}

/* Behind what pg_dump wrote; then it is complete and on disk. */
static enum ctl_exit seal(struct bwork *w, int fd, bool sql)
{
	struct steps steps = {.c = w->c, .what = "sealing", .bytes = true};
	struct buf line = {.max = BACKUP_LINE_MAX};
	off_t end = lseek(fd, 0, SEEK_END);
	enum ctl_exit e = CTL_DONE;
	int r;

	if (end < 0)
		return broken(w->c, "the dump", -errno);
	w->backup.kind = sql ? BACKUP_SQL : BACKUP_DUMP;
	w->backup.item.bytes = (uint64_t)end;
	r = backup_digest(fd, (uint64_t)end, steps_show, &steps, w->backup.sha256);
	steps_end(&steps);
	if (r < 0)
		return broken(w->c, "the dump", r);
	backup_copy(&w->backup, &w->backup);
	if ((r = backup_line(&line, &w->backup.item)) < 0)
		e = broken(w->c, "the manifest", r);
	else if (write(fd, line.p, line.len) != (ssize_t)line.len || fsync(fd) < 0)
		e = broken(w->c, "the manifest", -errno);
	buf_free(&line);
	return e;
}

enum ctl_exit dump_take(struct bwork *w, int fd, bool sql)
{
	enum ctl_exit e = dump(w, fd, sql);

	if (e != CTL_DONE)
		return e;
	w->go_on = true;
	w->turn = false;
	if ((e = bwork_wait(w)) != CTL_DONE) {
		if (w->finished)
			ctl_say(w->c, "%s", w->reason);
		return e;
	}
	if (!w->has_backup) {
		ctl_say(w->c, "memory-jr speaks of a backup that this tribectl does not understand");
		return CTL_INTERNAL;
	}
	return seal(w, fd, sql);
}

/* ---- restoring ---- */

/* psql would take commands of its own from the file, and run programs: it is told to take none (\restrict). pg_dump
 * puts the same words into what it writes; there they would end it, so they are left out. */
static bool marks(const char *line, ssize_t n)
{
	static const char *const words[] = {"\\restrict ", "\\unrestrict "};

	for (size_t i = 0; i < 2; i++) {
		size_t len = strlen(words[i]);

		if ((size_t)n > len && memcmp(line, words[i], len) == 0)
			return strspn(line + len, "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz") ==
			       (size_t)n - len - 1;
	}
	return false;
}

static int filter(int from, uint64_t bytes, int to)
{
	char *line = NULL;
	size_t cap = 0;
	uint64_t at = 0;
	ssize_t n;
	int in_fd = dup(from), out_fd = dup(to), r = 0;
	FILE *in = in_fd < 0 ? NULL : fdopen(in_fd, "r"), *out = out_fd < 0 ? NULL : fdopen(out_fd, "w");
	bool data = false; /* rows of a COPY: a line is a row there, whatever it looks like */

	if (in == NULL || out == NULL || fseeko(in, 0, SEEK_SET) < 0)
		r = -errno;
	while (r == 0 && at < bytes && (n = getline(&line, &cap, in)) > 0) {
		at += (uint64_t)n;
		if (data)
			data = strcmp(line, "\\.\n") != 0;
		else if (marks(line, n))
			continue;
		else
			data = strncmp(line, "COPY ", 5) == 0 && n > 13 && strcmp(line + n - 13, " FROM stdin;\n") == 0;
		if (fwrite(line, 1, (size_t)n, out) != (size_t)n)
			r = -errno;
	}
	if (r == 0 && (ferror(in) || at != bytes || fflush(out) != 0))
		r = -EIO;
	free(line);
	if (in != NULL)
		(void)fclose(in);
	if (out != NULL)
		(void)fclose(out);
	return r;
}

static enum ctl_exit restore_sql(struct bwork *w, int fd, const struct backup *b)
{
	char restrict_word[64], temp[CTL_PATH_MAX + 8] = "", path[CTL_PATH_MAX];
	const char *const words[] = {"psql",
				     "--no-psqlrc",
				     "--quiet",
				     "--no-password",
				     "--output=/dev/null",
				     "--set=ON_ERROR_STOP=1",
				     "--command",
				     restrict_word,
				     "--single-transaction",
				     "--file=" FILE_ARG,
				     "--dbname=service=tribe",
				     NULL};
	enum ctl_exit e = CTL_FAILED;
	char key[TR_ID_LEN];
	int copy, r;

	tr_id_new(key);
	(void)snprintf(restrict_word, sizeof(restrict_word), "\\restrict %.8s%.4s%.4s%.4s%.12s", key, key + 9, key + 14,
		       key + 19, key + 24);
	part_path(w, path);
	if ((copy = open_nameless(path, temp)) < 0)
		return broken(w->c, path, -errno);
	if (temp[0] != '\0')
		(void)unlink(temp);
	if ((r = filter(fd, b->item.bytes, copy)) < 0)
		e = broken(w->c, "the copy", r);
	else
		e = tool_run(w, words, copy, false, "restoring");
	(void)close(copy);
	return e;
}

enum ctl_exit dump_put(struct bwork *w, int fd, const struct backup *b)
{
	const char *const words[] = {"pg_restore",      "--no-password",          "--no-owner", "--no-acl",
				     "--exit-on-error", "--dbname=service=tribe", FILE_ARG,     NULL};

	return b->kind == BACKUP_SQL ? restore_sql(w, fd, b) : tool_run(w, words, fd, false, "restoring");
}
