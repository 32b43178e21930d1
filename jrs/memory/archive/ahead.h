/* What a batch is going to look up, asked for in one go. On a server every look is a round trip; here the whole batch
 * makes one. SQLite has no use for it: there the answers are always "not known here". Writer's thread only. */
#ifndef JRS_MEMORY_ARCHIVE_AHEAD_H
#define JRS_MEMORY_ARCHIVE_AHEAD_H
#include "jrs/memory/archive/internal.h"

/* Forgets the last batch; sends the questions of this one. */
int ahead_ask(struct sql_archive *a, struct job *const *v, unsigned n, const struct notes *notes);
/* Takes the answers in. */
int ahead_read(struct sql_archive *a);
void ahead_clear(struct sql_archive *a);
void ahead_free(struct sql_archive *a);

/* 1: there, and *out; 0: not there; AHEAD_UNKNOWN: ask the database. */
#define AHEAD_UNKNOWN 2
int ahead_by_id(const struct sql_archive *a, wire_str id, struct row *out);
int ahead_by_identity(const struct sql_archive *a, const unsigned char identity[TR_SHA256_LEN], struct row *out);
int ahead_by_seq(const struct sql_archive *a, int64_t seq, struct row *out);
/* *fingerprint and *result live until ahead_clear(). */
int ahead_request(const struct sql_archive *a, wire_str id, const char **fingerprint, const char **result, size_t *n);

/* What the batch itself has changed meanwhile. */
void ahead_created(struct sql_archive *a, const struct row *row, const unsigned char *identity); /* NULL: has none */
void ahead_heated(struct sql_archive *a, const struct row *row);
void ahead_requested(struct sql_archive *a, wire_str id);

#endif
