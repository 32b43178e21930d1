/* Which files an import reads, in which order, and why others are left out. */
#ifndef SUPERVISOR_CTL_FILES_H
#define SUPERVISOR_CTL_FILES_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#define FILES_PLACES       3          /* first names kept of those left out for one reason */
#define FILES_BYTES_MAX    (8u << 20) /* of a text or Markdown document; lines come in pieces and have no limit */
#define FILES_REVISION_LEN 65         /* 64 hex characters and NUL */

/*          id         reason, for a person */
#define FILES_SKIPS(X)                                                                 \
	X(KIND, "a name that says no known format")                                    \
	X(HIDDEN, "hidden")                                                            \
	X(SPECIAL, "neither a file nor a directory (symbolic links are not followed)") \
	X(LARGE, "a document over 8 MiB")                                              \
	X(NAME, "a name that is too long or not UTF-8")                                \
	X(DEEP, "nested too deeply")                                                   \
	X(UNREAD, "cannot be read")                                                    \
	X(REFUSED, "integration-jr refused it")

enum files_skip {
#define X(id, text) FILES_SKIP_##id,
	FILES_SKIPS(X)
#undef X
		FILES_NSKIPS
};
extern const char *const files_skip_text[FILES_NSKIPS];

struct file_entry {
	char *path;         /* to open */
	char *name;         /* relative to what the user named: the only name that is sent */
	const char *format; /* static */
	/* of a git repository, path being its git directory: the commit to begin at, else empty; and all of them, in
	 * order, as lines of one length, in a file without a name */
	char revision[FILES_REVISION_LEN];
	FILE *commits; /* owned; NULL: no repository */
	/* as files_digest() found it; of a repository: commits, as files_add_git() was told */
	uint64_t size;
	int64_t changed_ns; /* mtime */
};
struct file_list {
	struct file_entry *v;
	size_t n, cap;
	uint64_t skipped[FILES_NSKIPS];
	char *first[FILES_NSKIPS][FILES_PLACES]; /* owned; NULL: no more */
};

/* "jsonl", "markdown" or "text" by the end of the name (upper or lower case); NULL: none of them. */
const char *files_format(const char *name);
/* Adds a file, or everything below a directory in sorted order (by bytes). root itself may be a symbolic link: the user
 * named it. format: forced on every file, or NULL. 0, -errno when root cannot be read, TR_ENOMEM. */
int files_add(struct file_list *list, const char *root, const char *format);
/* Adds a repository. commits: owned from here on, also when this fails; n: how many. TR_ENOMEM; TR_EINVAL: a revision
 * that is none. */
int files_add_git(struct file_list *list, const char *git_dir, const char *name, const char *revision, FILE *commits,
		  uint64_t n);
/* Is it read line by line, in pieces? */
bool files_in_lines(const struct file_entry *f);
/* Counts one as left out; name is copied. */
void files_skip(struct file_list *list, enum files_skip why, const char *name);
void files_free(struct file_list *list);

#define FILES_DIGEST_LEN 33 /* 32 hex characters and NUL */
/* The same files with the same contents, taken the same way, have the same digest. Reads every file once from its first
 * byte to its last (about 0.4 GB/s of SHA-256 beside the disk) and notes its size; one that cannot be read, or is a
 * document that is too long, moves to skipped. how: what else makes it another import. step, when not NULL, is called
 * now and then with the bytes read so far. A repository is told by its name, revision and commits. 0 or < 0: TR_ENOMEM,
 * TR_EINTERNAL. */
typedef void files_step(void *arg, uint64_t bytes);
int files_digest(struct file_list *list, const char *how, files_step *step, void *arg, char out[FILES_DIGEST_LEN]);
uint64_t files_size(const struct file_list *list); /* sum of the sizes */
/* Opens it to be read. -errno; TR_ECONFLICT when it is not the file that files_digest() saw. */
int files_open(const struct file_entry *f, int *fd_out);

/* How many bytes of p..p+n make the next piece of whole lines, at most max bytes and max_lines lines; *lines = how many
 * they are. last: no more bytes will come, so the end closes a line. 0: more bytes are needed, or, when n >= max (or
 * last), the first line is longer than max. Pure. */
size_t files_cut(const char *p, size_t n, bool last, size_t max, uint64_t max_lines, uint64_t *lines);

#endif
