/* Backups of an archive: taken, proved. Blocking work on connections of its own, for a thread of its own; the archive
 * goes on meanwhile. proto/backup/backup.h says what a backup is. */
#ifndef JRS_MEMORY_ARCHIVE_BACKUP_H
#define JRS_MEMORY_ARCHIVE_BACKUP_H
#include "proto/backup/backup.h"
#include <stdatomic.h>

/* Between the thread that works and whoever looks on. */
struct backup_watch {
	_Atomic(const char *) phase; /* "copying" ...; static */
	atomic_ullong done, total;   /* of this phase; total 0: not known */
	atomic_bool stop;            /* set by the onlooker: give up soon, with TR_ECLOSED */
};

/* Writes the archive of the database file `from`, as it is at one moment, into the empty file `to`, which is then
 * proved and complete: payload, manifest, on disk. from is not disturbed: one read transaction, at most half of the
 * time spent on it. *out: the manifest. Anything < 0: what is in `to` is worth nothing; fault says why. */
int backup_sqlite(const char *from, const char *to, struct backup_watch *watch, struct backup *out,
		  struct tr_fault *fault);
/* Proves a database file without a manifest behind it (a payload): SQLite's own check, then what its rows come to
 * against the manifest. Changes nothing in it. TR_EINVAL: it is not what the manifest says; TR_EUNSUPPORTED: of a newer
 * program. */
int backup_prove_sqlite(const char *path, const struct backup *want, struct backup_watch *watch,
			struct tr_fault *fault);

/* ---- PostgreSQL ---- what pg_dump and pg_restore do is the caller's part; the rest is here. */
#define BACKUP_SNAPSHOT 128
#define BACKUP_DB_NAME  64 /* with its NUL: PostgreSQL's own bound */
struct backup_pg;
/* conninfo: as archive.url has it. Connects once, to learn names. */
int backup_pg_open(struct backup_pg **out, const char *conninfo, struct backup_watch *watch, struct tr_fault *fault);
void backup_pg_close(struct backup_pg **b); /* lets the snapshot go; the scratch database stays. NULL is fine */
uint32_t backup_pg_server(const struct backup_pg *b); /* such as 150018 */
/* How to reach the archive's database, or the scratch one beside it: a service "tribe" for a file of PGSERVICEFILE. */
int backup_pg_service(struct backup_pg *b, bool scratch, struct buf *out, struct tr_fault *fault);
/* One moment of the archive, for pg_dump --snapshot as long as b is open, and what its rows come to. */
int backup_pg_hold(struct backup_pg *b, char snapshot[BACKUP_SNAPSHOT], struct tr_fault *fault);
int backup_pg_content(struct backup_pg *b, struct backup *out, struct tr_fault *fault);
/* An empty database NAME_restoring, in the place of one that an earlier work left. Needs the right CREATEDB. */
int backup_pg_scratch(struct backup_pg *b, struct tr_fault *fault);
/* What was restored into it, against the manifest; then it is made fit to serve. */
int backup_pg_prove(struct backup_pg *b, const struct backup *want, struct tr_fault *fault);
int backup_pg_drop(struct backup_pg *b, struct tr_fault *fault);
/* Is anybody but a tribe connected to the archive? Then it cannot be renamed: TR_ECONFLICT. */
int backup_pg_alone(struct backup_pg *b, struct tr_fault *fault);
/* The scratch database takes the archive's name, which is kept as NAME_before_EPOCH, in one transaction. No connection
 * to either may be left. */
int backup_pg_switch(struct backup_pg *b, int64_t now_ms, char kept[BACKUP_DB_NAME], struct tr_fault *fault);
/* Back again: the newest NAME_before_EPOCH takes the name; what is there now is kept as NAME_undone_EPOCH. */
int backup_pg_back(struct backup_pg *b, int64_t now_ms, char kept[BACKUP_DB_NAME], struct tr_fault *fault);
int backup_pg_can_go_back(struct backup_pg *b, struct tr_fault *fault); /* TR_ENOTFOUND: there is none */

#endif
