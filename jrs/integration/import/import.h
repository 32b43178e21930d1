/* Turns one piece of a document into memories, a batch at a time. Pure: no sockets, no clock.
 *
 * Text:     a memory is a paragraph (blank lines between); a long one is cut at sentence ends near IMPORT_CHARS
 * characters. Markdown: a memory is a paragraph, a group of list items, a table row or a code block, clean of markup.
 * The headings above it go to metadata "heading"; the innermost also stands in front of the content when the content
 * lacks a word of it, because recall looks at the content only, and a paragraph under "Backup" need not say "backup".
 * JSONL:    a memory is a line, with the fields of POST /memories. "time" is taken for "at" when that is absent; times
 * without an offset are read as UTC, dates as midnight; fields that are not known go to metadata, where one of that
 * name stands already it wins. Documents get session = name and metadata "line". What cannot be taken is skipped with
 * its line and the reason. */
#ifndef JRS_INTEGRATION_IMPORT_IMPORT_H
#define JRS_INTEGRATION_IMPORT_IMPORT_H
#include "jrs/integration/text/words.h"
#include "proto/wire/wire.h"

#define IMPORT_CHARS       1000        /* characters of a memory cut from a longer paragraph, about */
#define IMPORT_BATCH       256         /* memories in one batch */
#define IMPORT_BATCH_BYTES (2u << 20)  /* a batch ends with the memory that passes this */
#define IMPORT_TURN_BYTES  (32u << 10) /* bytes of the piece read in one turn, about: bounds the time of a call */
#define IMPORT_REASONS     100         /* kept; further ones are only counted */

enum import_format { IMPORT_TEXT, IMPORT_MARKDOWN, IMPORT_JSONL };
/* TR_EINVAL for a name that means nothing, TR_EUNSUPPORTED for git and mcp-memory; *fault says so. */
int import_format_parse(wire_str name, enum import_format *out, struct tr_fault *fault);

struct import_cfg {
	enum import_format format;
	wire_str name; /* all borrowed until import_free() */
	const char *data;
	size_t len;
	uint64_t first_line; /* number of the piece's first line in its file, from 1 */
	struct words *words;
};
struct import;
/* TR_ENOMEM: *out untouched. */
int import_open(struct import **out, const struct import_cfg *cfg);
/* Up to IMPORT_BATCH memories into out; they live in zone and until the next call. *n may be 0 although there is more:
 * the piece is read in turns, so that the loop can beat in between. 1: call again; 0: that was all; TR_ENOMEM. */
int import_batch(struct import *im, msgpack_zone *zone, struct item_new_memory *out, uint32_t *n);
/* A memory of the last batch was refused by the archive: it counts as skipped. */
void import_refused(struct import *im, uint32_t index, const char *reason);
struct import_skips {
	uint64_t total;
	uint32_t n; /* kept */
	struct item_skipped v[IMPORT_REASONS];
};
const struct import_skips *import_skips(const struct import *im); /* valid until import_free() */
void import_free(struct import **im);

#endif
