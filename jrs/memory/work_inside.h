/* Inside of work: work.c (the loop's side), work_run.c (the thread's side), work_switch.c (the end of a restore). */
#ifndef JRS_MEMORY_WORK_INSIDE_H
#define JRS_MEMORY_WORK_INSIDE_H
#include "jrs/memory/archive/backup.h"
#include "jrs/memory/work.h"
#include <pthread.h>

#define WORK_ID   37 /* a UUID and NUL */
#define WORK_PATH 4200

enum work_kind { WORK_BACKUP, WORK_VERIFY, WORK_RESTORE, WORK_UNDO };

struct work_job {
	/* set by the loop before the thread begins */
	struct work *work;
	enum work_kind kind;
	char id[WORK_ID];
	uint64_t heard_ms; /* the loop's */
	bool finished;     /* the loop's */
	bool ready;        /* the loop's: a restore that is certain to work, and waits for the word */
	pthread_t thread;
	atomic_bool ended; /* the thread has nothing left to do */
	/* the thread's, the loop's once the thread is joined */
	struct backup_watch watch;
	struct backup backup; /* of a backup: made; else: what its manifest says */
	bool has_backup;
	/* PostgreSQL: from the thread to the loop, once turn is set */
	char snapshot[BACKUP_SNAPSHOT];
	uint32_t server;
	atomic_bool turn;        /* the caller's */
	atomic_bool go;          /* the caller has had it */
	char service[WORK_PATH]; /* the file that says how to reach it */
	int part_fd;             /* of a backup's file; holds its lock */
	unsigned place;          /* WORK_UNDO: the directory to go back to */
	char kept[WORK_PATH];    /* where the old one is, once the new one is in place */
	int r;
	struct tr_fault fault;
	char reason[256]; /* the fault as a sentence, once it is finished */
};
struct work {
	struct jr *jr;
	const char *state;                        /* of the jr's options */
	char path[WORK_PATH], backups[WORK_PATH]; /* database file; directory */
	bool numbered;
	const char *conninfo; /* NULL: SQLite */
	uv_async_t *async;    /* own allocation: outlives us until libuv has closed it */
	struct loop_timer *lease;
	struct work_job *job; /* NULL: none */
	bool stopped;         /* we leave: nothing begins any more */
	bool due;             /* job is a restore that is to be carried out; the Jr is leaving */
};

/* work_run.c: the thread */
void *work_run(void *job);
void work_part(const struct work_job *j, char out[WORK_PATH]); /* STATE/backups/ID.part */

void work_service(const struct work_job *j, char out[WORK_PATH]); /* STATE/backups/ID.service.part */

/* work_pg.c: the thread, for an archive in PostgreSQL */
int work_run_pg(struct work_job *j);
int work_switch_pg(struct work_job *j);

/* work_place.c: files and directories. What returns int: 0, or < 0 with the job's fault filled. */
int work_make_dir(struct work_job *j); /* STATE/backups */
int work_lay_beside(
	struct work_job *j); /* the part, verified, goes beside the archive: STATE/archive/restoring, PATH.restoring */
int work_look_back(struct work_job *j); /* WORK_UNDO: is there something to go back to? Sets place */
int work_switch(struct work_job *j);    /* the archive is closed: in one step the new one is in its place; sets kept */
/* Removes what works left half done that ended without tidying up. Parts that somebody holds, and ID's, stay. */
void work_sweep(const struct work *w, const char *id);

/* work.c */
void work_describe(const struct work_job *j, struct item_work *out); /* borrows from j */
/* work_last.c: how a work ended, for the next life */
int work_last_write(const struct work_job *j);
/* 1: it was told to fn (item is borrowed); 0: that work is not known */
int work_last_read(const struct work *w, wire_str id, void (*fn)(void *arg, const struct item_work *item), void *arg);

#endif
