/* An archive that keeps everything in memory: the oracle that the real ones are held against.
 *
 * Deliberately simple: arrays, linear scans, one copy of everything before each call so that a failed one leaves
 * nothing behind. No SQL, no threads, no files. It says what archive.h, proto/wire/fields.h and docs/API.md mean, as
 * plainly as C can. Asynchronous like the real ones: an answer comes from the loop, never from inside the call.
 *
 * What it does not say:
 *  - order among equally hot memories in `hottest`, and which memories a small sample holds, are its own choice;
 *  - words are cut at everything but letters, marks and digits, in lower case, stemmed by Porter; accents are not
 *    folded, so a text where that matters is not for comparing;
 *  - the order of a recall is exact over all matches; real ones look at some candidates beyond the limit only;
 *  - requests are forgotten at the first write after 24 h, not when somebody keeps house. */
#ifndef TESTS_KIT_ARCHIVE_DOUBLE_H
#define TESTS_KIT_ARCHIVE_DOUBLE_H
#include "jrs/memory/archive/archive.h"

/* Opens what was kept under cfg->path before in this process, or something empty. As archive_open(). */
int archive_double_open(struct archive **out, const struct archive_cfg *cfg, struct tr_fault *fault);
/* Nothing is kept under that path any more. Nobody may have it open. */
void archive_double_drop(const char *path);

/* What the calls of archive.h do not show. */
struct archive_double_inside {
	uint64_t memories, decisions, requests;
	uint64_t answers;           /* requests whose answer is still kept */
	uint64_t pairs, pair_times; /* memories recalled together, and how often in all */
	uint64_t heat_maps, epoch;
};
void archive_double_inside(const struct archive *a, struct archive_double_inside *out);

/* Breaks one rule of what is kept under that path, so that a test can show that it would be noticed. */
enum archive_double_fault {
	ARCHIVE_DOUBLE_SOUND,
	ARCHIVE_DOUBLE_HALF_CALLS,  /* a call that fails leaves behind what it did before */
	ARCHIVE_DOUBLE_NO_REQUESTS, /* the same request again is carried out again */
	ARCHIVE_DOUBLE_COOLS,       /* an access replaces the heat instead of adding to it */
	ARCHIVE_DOUBLE_OPEN_CHAIN,  /* forgetting leaves links to what is gone */
	ARCHIVE_DOUBLE_LOSES_TOUCH, /* accesses that ride along are not written */
	ARCHIVE_DOUBLE_LOSES_PHASE, /* restoring drops the phase coherence */
	ARCHIVE_DOUBLE_DRILLS_SHOW, /* drill load is in the figures */
	ARCHIVE_DOUBLE_QUIET_TAIL,  /* who follows is not told of changes */
	ARCHIVE_DOUBLE_NFAULTS
};
void archive_double_break(const char *path, enum archive_double_fault fault);

#endif
