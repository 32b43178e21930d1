/* The tables, in versions. Each migration runs in a transaction of its own; an archive newer than the program is
 * refused. */
#ifndef JRS_MEMORY_ARCHIVE_SCHEMA_H
#define JRS_MEMORY_ARCHIVE_SCHEMA_H
#include "common/base/err.h"
#include <sqlite3.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define SCHEMA_APPLICATION_ID 0x54524942 /* "TRIB", in the header of every archive file */

/* Reads the head of the file: 0 when it is missing, empty or an archive of ours; TR_ESTORE with *fault for anything
 * else, of which not a byte is changed. */
bool schema_head_is_ours(const unsigned char *head, size_t n); /* the first bytes of a database */
int schema_check_file(const char *path, struct tr_fault *fault);
/* Gives an empty database our name, before anything else is in it. TR_ESTORE with *fault for one that is neither empty
 * nor ours. */
int schema_make_ours(sqlite3 *db, struct tr_fault *fault);
bool schema_is_old(sqlite3 *db); /* schema_migrate() would write */
/* For who only follows: 0, or TR_EBUSY when it is not of the newest version or not in WAL mode yet. Writes nothing. */
int schema_ready(sqlite3 *db, struct tr_fault *fault);
int schema_not_ready(struct tr_fault *fault); /* TR_EBUSY */
/* Brings an open database to the newest version. TR_ESTORE with *fault when that cannot be done. */
int schema_migrate(sqlite3 *db, int64_t now_ms, struct tr_fault *fault);
/* The same up to version `newest` of an older program: what its archives look like. */
int schema_migrate_to(sqlite3 *db, int newest, int64_t now_ms, struct tr_fault *fault);
/* Older archives can be backups still: the first that has votes, the first whose content digest has governance,
 * the first whose ballots have vetoes. */
#define SCHEMA_VOTES      6
#define SCHEMA_GOVERNANCE 10
#define SCHEMA_VETO       11
int schema_version(void); /* the newest this program knows */

#endif
