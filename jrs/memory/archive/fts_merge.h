/* Merges the full-text index into one segment, in small steps between other commits. A delete only marks the words of a
 * text; they leave the index when all segments that hold them, or marks of them, are merged to the last.
 *
 * FTS5 can do that by itself ('merge' with a negative number, then on), but it would do it badly for us: each such
 * merge adds two levels to its structure record for ever, at 2,000 levels it calls the record damaged; and while one is
 * under way, each add that starts its automatic merge does 64 pages of it for every level, within its own commit. So
 * the structure record is ours to arrange: for a step it holds the segments of this pass and nothing else; between two
 * steps each of them has a level of its own, far above the newer ones, where no automatic merge meets them. That too is
 * a record as FTS5 has them: who is killed then leaves an index in order. Writer's thread. */
#ifndef JRS_MEMORY_ARCHIVE_FTS_MERGE_H
#define JRS_MEMORY_ARCHIVE_FTS_MERGE_H
#include "jrs/memory/archive/internal.h"

#define FTS_LEVELS   256u /* of a record that we take */
#define FTS_SEGMENTS 512u
struct fts_segment {
	uint32_t number, first, last; /* pages */
};
/* The structure record: what the index is made of. Segments stand level by level, the newest level first, within a
 * level the oldest first. */
struct fts_record {
	unsigned char cookie[4];
	uint64_t counter;
	unsigned nlevels, n; /* n: segments in all */
	struct {
		unsigned merging, n; /* the first so many of its segments are being merged */
	} level[FTS_LEVELS];
	struct fts_segment v[FTS_SEGMENTS];
};
/* A pass: the segments it began with, oldest first, as far as they are left, and what has been made of them. */
struct fts_merge {
	struct fts_segment in[FTS_SEGMENTS], out;
	unsigned n;
	bool has_out;
};

/* Takes in all that is in the index now. 1: go on with fts_merge_step() until it gives 0; 0: that was all. < 0. */
int fts_merge_begin(struct sql_archive *a, struct fts_merge *m);
/* TR_ECONFLICT: somebody else has touched its segments; begin anew. */
int fts_merge_step(struct sql_archive *a, struct fts_merge *m);

/* ---- pure ---- */
#define FTS_RECORD_BYTES (32u + 10u * FTS_LEVELS + 15u * FTS_SEGMENTS)
/* < 0: not a record that we know, or too large. */
int fts_record_read(const unsigned char *p, size_t n, struct fts_record *out);
size_t fts_record_write(const struct fts_record *r, unsigned char out[FTS_RECORD_BYTES]);
/* The record of everything -> the pass over all of it. */
void fts_merge_gather(const struct fts_record *r, struct fts_merge *m);
/* For a step: only the pass's segments, taken out of *all, which keeps the others. TR_ECONFLICT: not as they were. */
int fts_merge_open(const struct fts_merge *m, struct fts_record *all, struct fts_record *step);
/* After it: *step back into the pass, and into *all. TR_ECONFLICT: it is not what a step makes. */
int fts_merge_close(struct fts_merge *m, struct fts_record *all, const struct fts_record *step);

#endif
