/* import --format git: a repository's history, oldest commit first, each a memory. The material is counted in commits;
 * where an import stopped is a place in `git rev-list --reverse --topo-order` of the commit it began with. That list is
 * made first, into a file: `git log` of the whole history would hold all of it in memory to turn its order round
 * (450 MB for 200,000 commits), of some hundred commits at a time it stays small. */
#include "common/base/text.h"
#include "supervisor/ctl/clean.h"
#include "supervisor/ctl/git_log.h"
#include "supervisor/ctl/git_run.h"
#include "supervisor/ctl/import.h"
#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#define ANSWER_MAX (2 * PATH_MAX) /* of a short question to git */
#define READ_BYTES 65536
#define CHUNK      512 /* commits asked for at once: 33 KB of words at the most */
#define PREFIX     "git:"

/* ---- asking git ---- */

/* "tribectl: import: PATH: TEXT", both clean of what a terminal would obey. */
static enum ctl_exit wrong(struct import *im, const char *path, const char *text)
{
	struct buf b = {.max = 0};

	import_hide_progress(im);
	clean_text(&b, path, strlen(path), " ", 200);
	(void)buf_puts(&b, ": ");
	clean_text(&b, text, strlen(text), " ", 300);
	ctl_say(im->c, "%s", b.failed == 0 ? b.p : "out of memory");
	buf_free(&b);
	return CTL_FAILED;
}

static enum ctl_exit no_git(struct import *im, const char *path, int r)
{
	return wrong(im, path, r == UV_ENOENT ? "this needs git, and there is none in PATH" : tr_strerror(r));
}

/* What git answers, as lines. Its exit status; < 0: it did not run. */
static int ask(struct import *im, const char *git_dir, const char *const *args, char out[ANSWER_MAX],
	       char why[GIT_WHY_BYTES])
{
	size_t len = 0, n = 1;
	struct git_run *g = NULL;
	int r = git_run_start(&g, &im->c->loop, git_dir, args);

	while (r == 0 && n > 0 && len < ANSWER_MAX - 1) {
		r = git_run_read(g, out + len, ANSWER_MAX - 1 - len, &n);
		len += r == 0 ? n : 0;
	}
	if (r == 0)
		r = git_run_end(g, why);
	out[len] = '\0';
	git_run_free(&g);
	return r;
}

/* Ends the first line of p; the next one, or NULL. */
static char *cut_line(char *p)
{
	char *nl = p == NULL ? NULL : strchr(p, '\n');

	if (nl == NULL)
		return NULL;
	*nl = '\0';
	return nl + 1;
}

/* ---- finding the repository ---- */

/* "git:NAME": the directory's, or that of the work tree whose .git it is. */
static void name_of(const char *common_dir, char out[WIRE_NAME_MAX + 1])
{
	size_t n = strlen(common_dir), from;

	while (n > 1 && common_dir[n - 1] == '/')
		n--;
	if (n > 5 && memcmp(common_dir + n - 5, "/.git", 5) == 0)
		n -= 5;
	else if (n > 4 && memcmp(common_dir + n - 4, ".git", 4) == 0 && common_dir[n - 5] != '/')
		n -= 4;
	for (from = n; from > 0 && common_dir[from - 1] != '/';)
		from--;
	if (n == from || n - from > WIRE_NAME_MAX - sizeof(PREFIX) || !tr_utf8_ok(common_dir + from, n - from, NULL))
		(void)snprintf(out, WIRE_NAME_MAX + 1, PREFIX "repository");
	else
		(void)snprintf(out, WIRE_NAME_MAX + 1, PREFIX "%.*s", (int)(n - from), common_dir + from);
}

/* git's own judgement, by the user's own configuration: is it a repository, and may it be opened? */
static enum ctl_exit find(struct import *im, const char *path, char answer[ANSWER_MAX], char **git_dir,
			  char **common_dir)
{
	const char *const args[] = {
		"-C", path, "rev-parse", "--path-format=absolute", "--show-prefix", "--git-dir", "--git-common-dir",
		NULL};
	char why[GIT_WHY_BYTES] = "", *end;
	int r = ask(im, NULL, args, answer, why);

	if (r < 0)
		return no_git(im, path, r);
	if (r != 0 && strstr(why, "dubious ownership") != NULL)
		return wrong(im, path,
			     "it belongs to another user, and git does not open it. If you trust it: "
			     "git config --global --add safe.directory, and its path");
	if (r != 0)
		return wrong(im, path, why[0] != '\0' ? why : "not a git repository");
	if (answer[0] != '\n')
		return wrong(im, path, "it lies inside of a git work tree; name the top of it");
	*git_dir = cut_line(answer);
	*common_dir = cut_line(*git_dir);
	end = cut_line(*common_dir);
	if (end == NULL || *end != '\0') /* a path may hold anything */
		return wrong(im, path, "a repository whose path has a line break in it is not taken");
	return CTL_DONE;
}

/* What git lists, as a file without a name; *n = lines in it. 0: done; 1: git failed; < 0. */
static int list_commits(struct import *im, const char *git_dir, const char *head, FILE **out, uint64_t *n,
			char why[GIT_WHY_BYTES])
{
	const char *const args[] = {"rev-list", "--reverse", "--topo-order", head, "--", NULL};
	char bytes[READ_BYTES];
	struct git_run *g = NULL;
	FILE *f = tmpfile();
	uint64_t total = 0;
	size_t got = 1;
	int r = f == NULL ? -errno : git_run_start(&g, &im->c->loop, git_dir, args);

	while (r == 0 && got > 0) {
		r = git_run_read(g, bytes, sizeof(bytes), &got);
		if (r == 0 && fwrite(bytes, 1, got, f) != got)
			r = -errno;
		total += got;
		import_show_reading(im, total);
	}
	if (r == 0)
		r = git_run_end(g, why) != 0;
	if (r == 0 && (fflush(f) != 0 || total == 0 || total % (strlen(head) + 1) != 0))
		r = -EIO;
	git_run_free(&g);
	if (r != 0) {
		if (f != NULL)
			(void)fclose(f);
		return r;
	}
	*out = f;
	*n = total / (strlen(head) + 1);
	return 0;
}

/* The commit to begin with and all that lead to it. */
static enum ctl_exit list(struct import *im, const char *path, const char *git_dir, char head[FILES_REVISION_LEN],
			  FILE **commits, uint64_t *n)
{
	const char *const which[] = {"rev-parse", "--verify", "--quiet", "HEAD^{commit}", NULL};
	char answer[ANSWER_MAX], why[GIT_WHY_BYTES] = "";
	int r = ask(im, git_dir, which, answer, why);

	if (r < 0)
		return no_git(im, path, r);
	(void)cut_line(answer);
	if (r != 0 || strlen(answer) >= FILES_REVISION_LEN || answer[0] == '\0')
		return wrong(im, path, r != 0 && why[0] != '\0' ? why : "there is no commit in it yet");
	(void)strcpy(head, answer);
	r = list_commits(im, git_dir, head, commits, n, why);
	if (r < 0)
		return no_git(im, path, r);
	return r == 0 ? CTL_DONE : wrong(im, path, why[0] != '\0' ? why : "git cannot list its commits");
}

enum ctl_exit import_add_git(struct import *im, const char *path)
{
	char answer[ANSWER_MAX], head[FILES_REVISION_LEN], name[WIRE_NAME_MAX + 1], *git_dir = NULL, *common_dir = NULL;
	char *real = realpath(path, NULL); /* git must not take a word of the user's for a flag */
	enum ctl_exit e = CTL_DONE;
	FILE *commits = NULL;
	uint64_t n = 0;
	struct stat st;
	int r;

	im->commits = true;
	if (real == NULL || stat(real, &st) < 0)
		e = wrong(im, path, strerror(errno));
	else if (!S_ISDIR(st.st_mode))
		e = wrong(im, path, "not a directory; git wants a work tree or a bare repository");
	if (e == CTL_DONE)
		e = find(im, real, answer, &git_dir, &common_dir);
	if (e == CTL_DONE)
		e = list(im, path, git_dir, head, &commits, &n);
	if (e == CTL_DONE) {
		name_of(common_dir, name);
		r = files_add_git(&im->files, git_dir, name, head, commits, n);
		e = r < 0 ? wrong(im, path, tr_strerror(r)) : CTL_DONE;
	}
	free(real);
	return e;
}

/* ---- sending it ---- */

struct sending {
	struct import *im;
	const struct file_entry *f;
	uint64_t base, done; /* place of its first commit in the material; commits of it that are durable */
	struct git_log log;
	char *bytes; /* READ_BYTES */
	char why[GIT_WHY_BYTES];
};

/* Sends the piece when it is full, or the last one. */
static enum ctl_exit send_piece(struct sending *s, bool last)
{
	struct git_log *log = &s->log;
	enum ctl_exit e;

	if (log->records == 0 || !(last || git_log_piece(log)))
		return CTL_DONE;
	e = import_send_piece(s->im, "git", &log->piece, log->piece.len, s->done + 1, s->base + s->done + log->records);
	s->done += log->records;
	git_log_next(log);
	import_show_progress(s->im);
	return e;
}

/* Reads what git tells of one chunk. */
static enum ctl_exit read_chunk(struct sending *s, struct git_run *g, int *err)
{
	size_t have = READ_BYTES, at = READ_BYTES;
	enum ctl_exit e = CTL_DONE;
	int r = 0;

	while (e == CTL_DONE && r == 0 && have > 0) {
		if (at == have) {
			at = 0;
			r = git_run_read(g, s->bytes, READ_BYTES, &have);
		} else {
			size_t taken;

			r = git_log_feed(&s->log, s->bytes + at, have - at, &taken);
			at += taken;
		}
		if (r == 0 && have == 0)
			r = git_log_end(&s->log);
		if (r == 0)
			e = send_piece(s, false);
	}
	*err = r;
	return e;
}

/* The commits in shas, which are lines. */
static enum ctl_exit send_chunk(struct sending *s, char *shas, size_t n, int *err)
{
	/* clang-format off */
	static const char *const flags[] = {
		"log", "-z", "--no-walk=unsorted", "--root", "--name-only", "--no-renames", "--no-ext-diff",
		"--no-textconv", "--no-relative", "--no-notes", "--no-show-signature", "--no-decorate", "--no-color",
		"--no-mailmap", "--encoding=UTF-8", "--format=" GIT_LOG_FORMAT};
	/* clang-format on */
	enum { NFLAGS = sizeof(flags) / sizeof(flags[0]) };
	const char *args[NFLAGS + CHUNK + 2];
	uint64_t want = s->log.total + n;
	struct git_run *g = NULL;
	enum ctl_exit e;
	int r;

	memcpy(args, flags, sizeof(flags));
	for (size_t i = 0; i < n; i++) {
		args[NFLAGS + i] = shas;
		shas = cut_line(shas);
	}
	args[NFLAGS + n] = "--";
	args[NFLAGS + n + 1] = NULL;
	if ((*err = git_run_start(&g, &s->im->c->loop, s->f->path, args)) < 0)
		return CTL_DONE;
	e = read_chunk(s, g, err);
	if (e == CTL_DONE && (*err == 0 || *err == TR_EPROTO)) { /* it ended too early when git died over it */
		r = git_run_end(g, s->why);
		*err = r < 0 ? r : r > 0 || s->log.total != want ? TR_EPROTO : *err;
	}
	git_run_free(&g);
	return e;
}

static enum ctl_exit send_all(struct sending *s, int *err)
{
	size_t line = strlen(s->f->revision) + 1;
	char shas[CHUNK * FILES_REVISION_LEN + 1];
	enum ctl_exit e = CTL_DONE;
	size_t n = 1;

	*err = fseeko(s->f->commits, (off_t)(s->done * line), SEEK_SET) < 0 ? -errno : 0;
	while (e == CTL_DONE && *err == 0 && (n = fread(shas, line, CHUNK, s->f->commits)) > 0) {
		shas[n * line] = '\0';
		e = send_chunk(s, shas, n, err);
	}
	return e == CTL_DONE && *err == 0 ? send_piece(s, true) : e;
}

enum ctl_exit import_send_git(struct import *im, const struct file_entry *f, uint64_t base)
{
	struct sending s = {.im = im, .f = f, .base = base};
	enum ctl_exit e = CTL_DONE;
	int err = TR_ENOMEM;

	if (im->position > base && !im->look)
		s.done = im->position - base;
	s.bytes = malloc(READ_BYTES);
	if (s.bytes != NULL)
		e = send_all(&s, &err);
	if (e == CTL_DONE && err == 0 && s.done != f->size)
		err = TR_EPROTO;
	free(s.bytes);
	git_log_free(&s.log);
	if (e != CTL_DONE || err == 0)
		return e;
	if (s.why[0] != '\0')
		return wrong(im, f->name, s.why);
	return err == TR_EPROTO ? wrong(im, f->name, "git does not tell what it was asked for")
				: no_git(im, f->name, err);
}
