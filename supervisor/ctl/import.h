/* One import as tribectl sees it: the material, how far it got, what was left out. Shared by cmd_import*.c. */
#ifndef SUPERVISOR_CTL_IMPORT_H
#define SUPERVISOR_CTL_IMPORT_H
#include "supervisor/ctl/ctl.h"
#include "supervisor/ctl/files.h"

#define REASONS_KEPT   100 /* different ones; rows left out for others are still in `skipped` */
#define REASON_PLACES  3
#define IMPORT_CALL_MS 60000 /* a large document takes its time */

struct reason {
	char *text; /* owned */
	uint64_t count;
	unsigned nplaces;
	struct {
		char *name; /* owned; of the file */
		uint64_t line;
	} places[REASON_PLACES];
};
struct import {
	struct ctl *c;
	const char *source; /* NULL: none */
	struct file_list files;
	size_t done;                    /* files */
	uint64_t added, known, skipped; /* in this run; first as answered, in the end as the archive counted */
	struct reason reasons[REASONS_KEPT];
	unsigned nreasons;
	const char *name;    /* of the file in hand */
	const char *refused; /* of the last file that integration-jr refused */
	struct buf data;
	/* what memory-jr knows of it */
	char id[FILES_DIGEST_LEN], title[WIRE_NAME_MAX + 1];
	bool commits;            /* size and positions are commits of repositories, not bytes of files */
	uint64_t size, position; /* of all files; of these, done and durable */
	uint64_t start;          /* position when this run began */
	uint64_t before_added, before_known, before_skipped;
	int64_t begun_at, finished_at; /* wall clock, ms */
	bool finished_before;          /* it was done when this run began */
	bool look;       /* something was skipped before `start`: that part is read again, for the reasons alone */
	uint64_t looked; /* rows found skipped in it */
	/* progress */
	uint64_t begun_ms, sending_ms, shown_ms; /* monotonic */
};

/* One more row left out (or `count` of them; 0: only a further place of a reason counted already). Without a place
 * where im->name is NULL. */
void import_reason(struct import *im, uint64_t line, const char *text, size_t n, uint64_t count);
/* On a terminal, at most each 100 ms: a line that is written over. */
void import_show_reading(struct import *im, uint64_t bytes);
void import_show_progress(struct import *im);
void import_hide_progress(struct import *im);
enum ctl_exit import_report(struct import *im);
void import_reasons_free(struct import *im);

/* One piece, which brings the import to `position`; one that an earlier run brought so far is only looked at. What
 * integration-jr finds wrong with a document is a skipped file; anything else ends this run, and the next one goes on
 * from there. first_line: number of its first line or commit. */
enum ctl_exit import_send_piece(struct import *im, const char *format, const struct buf *piece, size_t n,
				uint64_t first_line, uint64_t position);

/* cmd_import_git.c. Adds the repository at path; says what is wrong with it. */
enum ctl_exit import_add_git(struct import *im, const char *path);
/* base: place of its first commit in the material. */
enum ctl_exit import_send_git(struct import *im, const struct file_entry *f, uint64_t base);

/* import --list; import --undo ID */
enum ctl_exit import_list(struct ctl *c);
enum ctl_exit import_undo(struct ctl *c, const char *id, bool yes);

#endif
