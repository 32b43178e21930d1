/* An answer out of sources, by quoting: the sentences that answer the question, with their places. Nothing is invented:
 * every word of the answer but speaker, date and [n] stands in a source. Pure. */
#ifndef JRS_INTEGRATION_SYNTHESIS_SYNTHESIS_H
#define JRS_INTEGRATION_SYNTHESIS_SYNTHESIS_H
#include "common/base/buf.h"
#include "jrs/integration/text/words.h"
#include "proto/wire/wire.h"

#define SYNTHESIS_NOTHING   "Nothing in memory answers this."
#define SYNTHESIS_CITED_MAX 6

/* The value is how many sentences an answer may have. */
enum synthesis_detail { SYNTHESIS_CONCISE = 1, SYNTHESIS_SUMMARY = 3, SYNTHESIS_FULL = 6 };
/* "concise", "summary" or "full"; TR_EINVAL with *fault filled for anything else. */
int synthesis_detail_parse(wire_str name, enum synthesis_detail *out, struct tr_fault *fault);

struct synthesis {
	struct buf answer; /* valid UTF-8; [n] is the n-th source of the request, counted from 1 */
	double confidence; /* 0..1 */
	char basis[256];   /* how the confidence was reckoned, in words */
	unsigned ncited;
	uint32_t cited[SYNTHESIS_CITED_MAX]; /* places in sources, from 0, in the order of the answer */
};
/* sources: best first, strings valid UTF-8. Its time is bounded whatever their size: 2,000 sentences and 256 KiB are
 * looked at, every source gets its share. TR_ENOMEM: *out untouched. */
int synthesise(struct synthesis *out, struct words *words, wire_str question, enum synthesis_detail detail,
	       const struct item_source *sources, uint32_t n);
void synthesis_free(struct synthesis *s);

#endif
