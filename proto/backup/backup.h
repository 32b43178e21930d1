/* A backup is one file: the payload (an SQLite database file, or what pg_dump wrote), then one last line with the
 * manifest as JSON. So `tail -n 1 FILE` shows it, `head -c BYTES FILE | sha256sum` checks the payload, and sqlite3,
 * pg_restore and psql read the file as it is. Used by tribectl and by memory-jr. */
#ifndef PROTO_BACKUP_BACKUP_H
#define PROTO_BACKUP_BACKUP_H
#include "common/base/buf.h"
#include "common/base/sha256.h"
#include "proto/wire/wire.h"

#define BACKUP_FORMAT   1    /* of the manifest and of the canonical order; a newer one is refused */
#define BACKUP_LINE_MAX 4096 /* of the last line and the line break in front of it */

enum backup_kind {
	BACKUP_SQLITE, /* a database file: readable by sqlite3 */
	BACKUP_DUMP,   /* pg_dump -Fc: for pg_restore */
	BACKUP_SQL     /* plain SQL of pg_dump: for psql */
};
/* What a name ends with, and what the manifest calls it: "sqlite", "dump", "sql". */
const char *backup_kind_name(enum backup_kind kind);

/* A manifest with the memory that its texts borrow from. Copy it by backup_copy() only. */
struct backup {
	struct item_backup item;
	enum backup_kind kind;
	char sha256[TR_SHA256_HEX], content_sha256[TR_SHA256_HEX], version[65];
};
/* Texts and numbers of item, which must have passed its shape's rules, and what this program asks of them beyond:
 * format, kind, digests in hexadecimal. TR_EUNSUPPORTED for a newer format, TR_EINVAL; *out untouched then. */
int backup_take(struct backup *out, const struct item_backup *item, struct tr_fault *fault);
void backup_copy(struct backup *out, const struct backup *from);

/* ---- pure ---- */
/* Appends what stands behind the payload. */
int backup_line(struct buf *out, const struct item_backup *b);
/* tail: the last n bytes (at least BACKUP_LINE_MAX, or all) of a file of `size` bytes. TR_EINVAL when they are not
 * those of a whole backup. */
int backup_parse(struct backup *out, const char *tail, size_t n, uint64_t size, struct tr_fault *fault);

/* ---- files ---- */
int backup_read(struct backup *out, int fd, struct tr_fault *fault); /* of a regular file; its offset stays */
/* The payload's digest against the manifest's, reading from the first byte on. to: when >= 0, the whole file is copied
 * there as it is read. step may be NULL; returns false to stop (UV_ECANCELED). TR_EINVAL when they differ. */
typedef bool backup_step(void *arg, uint64_t done, uint64_t total);
int backup_check(const struct backup *b, int fd, int to, backup_step *step, void *arg, struct tr_fault *fault);
/* Digest of the first `bytes` of a file. */
int backup_digest(int fd, uint64_t bytes, backup_step *step, void *arg, char out[TR_SHA256_HEX]);

#endif
