/* Turns one piece of a document into memories, a batch at a time. Pure: no sockets, no clock.
 *
 * Text:     a memory is a paragraph (blank lines between); a long one is cut at sentence ends near IMPORT_CHARS
 * characters. Markdown: a memory is a paragraph, a group of list items (numbered ones keep their numbers), a table row
 * or a code block, clean of markup; YAML front matter is left out.
 * The headings above it go to metadata "heading"; the innermost also stands in front of the content when the content
 * lacks a word of it, because recall looks at the content only, and a paragraph under "Backup" need not say "backup".
 * JSONL:    a memory is a line, with the fields of POST /memories. "time" is taken for "at" when that is absent; times
 * without an offset are read as UTC, dates as midnight; fields that are not known go to metadata, where one of that
 * name stands already it wins. A line with heat_key, created_at and own_id is one of an export: it is taken back whole
 * and strictly, as it was. Documents get session = name and metadata "line". What cannot be taken is skipped with its
 * line and the reason.
 *
 * git:      a memory is a commit: its message, by its author, at the author's time, with the own id "git:<sha>". The
 * piece is records of NUL-terminated fields, made by tribectl from `git log`:
 *   sha, author time (s), author, parents (how many), files changed (how many), bytes of the message, message,
 *   names of changed files (the first ones), and an empty field that ends the record
 * Metadata "commit", "files", "files_changed"; "message_bytes" where the message was longer than a memory may be and is
 * cut. No e-mail address is asked for. Broken UTF-8 reads as U+FFFD. The line of what is skipped is the record's
 * number.
 *
 * mcp-memory: a line is an entity or a relation of the official MCP memory server's file, which is UTF-8 as JavaScript
 * reads it: broken bytes, NUL and halves of surrogate pairs read as U+FFFD. An observation is a memory, with the
 * entity's name in front where it lacks a word of it; so is a relation ("from relationType to") and an entity without
 * observations ("name (entityType)"). Metadata, from which the graph can be made again:
 *   "kind" observation, entity or relation; "type" entityType or relationType; "line"
 *   "entity" its name; "from", "to" of a relation
 *   "index" of the observation in its entity, from 0; "prefix": bytes of the content in front of it (absent: 0)
 *   "part", "parts" from 1: an observation too long for one memory is these, joined
 * Own ids come from source, kind and names: a changed file brings only what is new, and what stands in an entity twice
 * is kept once. The tag is the type. */
#ifndef JRS_INTEGRATION_IMPORT_IMPORT_H
#define JRS_INTEGRATION_IMPORT_IMPORT_H
#include "jrs/integration/text/words.h"
#include "proto/wire/wire.h"

#define IMPORT_CHARS       1000        /* characters of a memory cut from a longer paragraph, about */
#define IMPORT_BATCH       256         /* memories in one batch */
#define IMPORT_BATCH_BYTES (2u << 20)  /* a batch ends with the memory that passes this */
#define IMPORT_TURN_BYTES  (32u << 10) /* bytes of the piece read in one turn, about: bounds the time of a call */
#define IMPORT_GROUPS      32          /* different reasons told apart; further ones are counted as one */
#define IMPORT_PLACES      3           /* first lines kept of each */
#define IMPORT_REASONS     ((IMPORT_GROUPS + 1) * IMPORT_PLACES)

enum import_format { IMPORT_TEXT, IMPORT_MARKDOWN, IMPORT_JSONL, IMPORT_GIT, IMPORT_MCP_MEMORY };
/* TR_EINVAL for a name that means nothing; *fault says so. */
int import_format_parse(wire_str name, enum import_format *out, struct tr_fault *fault);

struct import_cfg {
	enum import_format format;
	wire_str name;   /* all borrowed until import_free() */
	wire_str source; /* that the caller gives to rows that name none; n == 0: none */
	const char *data;
	size_t len;
	uint64_t first_line; /* number of the piece's first line in its file, from 1 */
	struct words *words;
};
struct import;
/* TR_ENOMEM: *out untouched. */
int import_open(struct import **out, const struct import_cfg *cfg);
enum import_kind { IMPORT_MEMORIES, IMPORT_RECORDS };
struct import_rows {
	enum import_kind kind; /* all of one batch are of one kind */
	uint32_t n;
	struct item_new_memory memories[IMPORT_BATCH];
	struct item_record records[IMPORT_BATCH];
};
/* The next rows; they live in zone and until the next call. rows->n may be 0 although there is more: the piece is read
 * in turns, so that the loop can beat in between. 1: call again; 0: that was all; TR_ENOMEM. */
int import_batch(struct import *im, msgpack_zone *zone, struct import_rows *rows);
/* A row of the last batch was refused by the archive: it counts as skipped. */
void import_refused(struct import *im, uint32_t index, const char *reason);
struct import_skips {
	uint64_t total;
	uint32_t n; /* in v: the first places of each reason; the first of them carries its count */
	struct item_skipped v[IMPORT_REASONS];
};
const struct import_skips *import_skips(struct import *im); /* valid until the next call with im */
void import_free(struct import **im);

#endif
