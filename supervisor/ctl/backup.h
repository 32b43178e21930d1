/* What backup, restore and verify-backup share: files that are there whole or not at all, and a work of memory-jr's. */
#ifndef SUPERVISOR_CTL_BACKUP_H
#define SUPERVISOR_CTL_BACKUP_H
#include "common/base/text.h"
#include "proto/backup/backup.h"
#include "supervisor/ctl/commands.h"
#include <jansson.h>

/* ---- progress: one line on a terminal ---- */
struct steps {
	const struct ctl *c;
	const char *what; /* "copying" */
	uint64_t shown_ms;
	bool bytes; /* amounts are bytes */
};
bool steps_show(void *arg, uint64_t done, uint64_t total); /* a backup_step; false once interrupted */
void steps_end(struct steps *s);                           /* takes the line away */

/* ---- backup_work.c: a work of memory-jr's ---- */
struct bwork {
	struct ctl *c;
	char id[TR_ID_LEN];
	bool begun;
	bool go_on; /* to be said at every look: a restore takes place only while somebody is there who says so */
	/* as memory-jr last told */
	char phase[33], reason[257], kept[4097];
	uint64_t done, total;
	bool finished, ok;
	bool has_backup;
	struct backup backup;
	bool turn; /* it is our turn */
	char service[129], snapshot[129];
	uint32_t server;
};
void bwork_init(struct bwork *w, struct ctl *c); /* a new id */
/* msg's work must be wire_s(w->id). Waits a while when another work is in the way. */
enum ctl_exit bwork_begin(struct bwork *w, enum wire_msg_id id, const void *msg);
/* Until it is finished, or it is our turn. CTL_FAILED and w->finished: it ended badly, w->reason says why and has not
 * been printed; any other failure has been. */
enum ctl_exit bwork_wait(struct bwork *w);
enum ctl_exit bwork_look(struct bwork *w); /* once; CTL_FAILED and w->finished: it ended badly meanwhile */
/* Memory-jr may forget it, or is to give it up, which is waited for; also after an interruption. */
void bwork_end(struct bwork *w);

/* ---- backup_file.c ---- */
/* STATE/backups/ID.part: how a file goes to and fro between us and memory-jr. */
void part_path(const struct bwork *w, char out[CTL_PATH_MAX]);
/* Makes it, as memory-jr's own file, locked as long as *fd is open. */
enum ctl_exit part_make(const struct bwork *w, int *fd);
/* Where a backup goes, as the user said it: NULL STATE/backups, a directory, or a file. Fills the last name. */
enum ctl_exit backup_place(const struct ctl *c, const char *target, const struct backup *b, char out[CTL_PATH_MAX]);
/* Moves a finished part there. */
enum ctl_exit part_take(const struct bwork *w, const char *path);
enum ctl_exit part_to_stdout(const struct bwork *w);
/* A file beside path without a name where the file system can (temp is "" then): it is gone with us, whatever ends us.
 * Else temp is its name. -1: errno. name_it() gives it its name in one step, also where that stood for something. */
int open_nameless(const char *path, char temp[CTL_PATH_MAX + 8]);
int name_it(int fd, char temp[CTL_PATH_MAX + 8], const char *path);
int make_backups(const struct ctl *c);                /* STATE/backups. -1: errno */
int give(int fd, const char *state);                  /* to the state directory's owner. -1: errno */
int copy_file(int from, int to, struct steps *steps); /* -1: errno */
enum ctl_exit cannot(const struct ctl *c, const char *path, int error);

/* ---- backup_tool.c, backup_dump.c: PostgreSQL ---- */
#define TOOL_WORDS_MAX 16
/* Runs a program (words[0], found by its name) with fd as its descriptor 3 until it ends. */
enum ctl_exit tool_run(struct bwork *w, const char *const *words, int fd, bool writes, const char *what);
/* It is our turn: dumps into fd, and makes it complete. */
enum ctl_exit dump_take(struct bwork *w, int fd, bool sql);
/* It is our turn: restores fd into the database that memory-jr made. */
enum ctl_exit dump_put(struct bwork *w, int fd, const struct backup *b);

/* ---- what is printed ---- */
json_t *backup_json(const char *file, const struct backup *b); /* the manifest and "file"; NULL: out of memory */
enum ctl_exit backup_print(const struct ctl *c, json_t *doc);  /* takes doc */

#endif
