/* Between import.c and the readers. Internal to this folder. */
#ifndef JRS_INTEGRATION_IMPORT_READER_H
#define JRS_INTEGRATION_IMPORT_READER_H
#include "common/base/buf.h"
#include "jrs/integration/import/import.h"
#include "proto/json/json.h"

struct piece {
	size_t offset, n; /* of its clean text in import.text */
	uint64_t line;
	size_t heading_offset;         /* path "A > B" in import.text */
	size_t heading_n, innermost_n; /* bytes of the path, 0: none; bytes of its last part */
	bool code;                     /* text to be kept as it is */
	size_t lang_offset, lang_n;    /* of code: its language, in import.text */
};

struct import {
	struct import_cfg cfg;
	size_t pos;           /* of the next byte to read */
	uint64_t line;        /* of that byte */
	struct buf text;      /* owned; clean text of the turn's pieces */
	struct piece *pieces; /* owned; read but not handed out yet */
	size_t npieces, next, cap;
	struct skip_group {
		char reason[256];
		uint64_t count, line[IMPORT_PLACES];
		unsigned nlines;
	} groups[IMPORT_GROUPS + 1]; /* the last one: all other reasons */
	unsigned ngroups;
	struct import_skips skips;    /* what import_skips() makes of them */
	uint64_t lines[IMPORT_BATCH]; /* of the last batch's memories */
	uint32_t nlast;
	struct markdown_headings *headings; /* owned by markdown.c: they live longer than a turn */
	json_t *held[IMPORT_BATCH];         /* owned; the last batch's lines: its strings point into them */
	uint32_t nheld;
	struct graph_line *graph; /* owned by graph.c: an entity whose observations fill more than a batch */
};

#define NO_WORD "there is no letter or digit in it" /* a reason to skip, the same for every format */

/* One turn of a document reader: reads some of the piece at pos, appends to pieces. TR_ENOMEM. */
int text_turn(struct import *im);
int markdown_turn(struct import *im);
void markdown_free(struct import *im);
/* One line as rows->memories[n] or rows->records[n], whose strings live until jsonl_release(); rows->n grows. 1: taken;
 * 0: skipped or empty; TR_EBUSY: it is of another kind than the rows there, which must go first; TR_ENOMEM. */
int jsonl_line(struct import *im, const char *p, size_t n, uint64_t line, msgpack_zone *zone, struct import_rows *rows);
void jsonl_release(struct import *im);
/* A batch of a format whose rows are not paragraphs; as import_batch(). */
int git_batch(struct import *im, msgpack_zone *zone, struct import_rows *rows);
int graph_batch(struct import *im, msgpack_zone *zone, struct import_rows *rows);
void graph_free(struct import *im);

/* p..p+n as one piece, or as several when it is long; broken UTF-8 and what has no letter or digit is skipped with its
 * reason. base: the other fields. The text is copied. */
int piece_add(struct import *im, const char *p, size_t n, const struct piece *base);
void skip(struct import *im, uint64_t line, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
/* rule: of json_parse(). Its place in the line is left out: lines with the same fault are counted as one reason. */
void skip_broken(struct import *im, uint64_t line, const char *rule);
/* Zone copy of n bytes; NULL: out of memory. */
char *zone_dup(msgpack_zone *zone, const char *p, size_t n);

#endif
