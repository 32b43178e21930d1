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

#endif
