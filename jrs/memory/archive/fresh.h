/* The fresh archive that a salvage fills: its tables as the schema says, rows put into them, and the file of what is
 * not put. Only salvage.c uses it. */
#ifndef JRS_MEMORY_ARCHIVE_FRESH_H
#define JRS_MEMORY_ARCHIVE_FRESH_H
#include "common/base/err.h"
#include "jrs/memory/archive/btree.h"
#include <sqlite3.h>
#include <stdio.h>

#define MEMORIES "thermal_memory_archive"
#define CLOCK    "thermal_clock"
#define ID_INDEX "sqlite_autoindex_" MEMORIES "_1"

enum table_use {
	TABLE_PLAIN,
	TABLE_MEMORIES,
	TABLE_SETTINGS, /* constants: what is there stays */
	TABLE_CLOCK,    /* thermal_clock: salvor_clock.c puts it */
	TABLE_VERSIONS, /* schema_migrations */
	TABLE_SEQUENCES /* sqlite_sequence: only ever raised */
};
enum column_type { COLUMN_ANY, COLUMN_INT, COLUMN_REAL, COLUMN_TEXT, COLUMN_BLOB };
struct column {
	char name[48];
	enum column_type type;
	bool needed; /* NOT NULL without a default */
};
struct table {
	char name[48];
	enum table_use use;
	bool without_rowid;
	uint32_t root;        /* in the fresh file */
	int ncols, rowid_col; /* stored columns; the one that is the rowid, -1: none */
	struct column col[RECORD_MAX];
	sqlite3_stmt *insert;
	int ninsert; /* columns the statement takes */
	uint64_t taken;
};
struct fresh {
	sqlite3 *db;
	struct table *tables;
	int ntables;
	FILE *rejects;
	sqlite3_stmt *list, *listed, *has;
};
int fresh_make(struct fresh *f, const char *dir, const char *name, int64_t now_ms, struct tr_fault *fault);
void fresh_close(struct fresh *f);
struct table *fresh_table(struct fresh *f, const char *name, size_t n); /* NULL: it is no table of rows */
int fresh_column(const struct table *t, const char *name);              /* -1 */
/* Could these values be a row of the table? */
bool fresh_fits(const struct table *t, const struct value *v, int n);
/* 1: it is in; 0: it cannot be (*why: static); < 0: the new archive cannot be written. */
int fresh_put(struct fresh *f, struct table *t, int64_t rowid, const struct value *v, int n, const char **why);
/* The index of ids says that there is such a memory; unsure: perhaps it is another table's index. */
int fresh_list(struct fresh *f, const struct value *id, int64_t seq, bool unsure);
int fresh_listed(struct fresh *f, const struct value *id, int64_t seq); /* 1, 0, < 0 */
int fresh_has(struct fresh *f, int64_t seq);                            /* 1: the memory is in, 0, < 0 */
/* A line in rejects.jsonl: `what` is "rejected", "doubtful" or "lost". v may be NULL. */
int fresh_note(struct fresh *f, const char *what, const char *why, const struct table *t, uint32_t page, int64_t rowid,
	       const struct value *v, int n);
/* The index was found where the fresh archive has its own: if that was wrong, its entries are unsure ones. */
int fresh_judge_list(struct fresh *f);
uint32_t fresh_id_root(struct fresh *f); /* of the index of ids in the fresh file; 0: none */
/* Listed memories that are not in, those of unsure entries aside. How many, < 0; note: each becomes a line. */
int64_t fresh_lost(struct fresh *f, bool note);
/* Makes what is derived, raises the numbers, verifies, closes, and has everything on disk. */
int fresh_finish(struct fresh *f, const char *dir, const char *name, uint64_t memories, struct tr_fault *fault);

#endif
