/* The words of a text as comparable keys: case-folded, without accents, stemmed (English), stop words marked; scripts
 * without spaces as character bigrams. Pure but for the stemmer's memory: one struct words for each thread. */
#ifndef JRS_INTEGRATION_TEXT_WORDS_H
#define JRS_INTEGRATION_TEXT_WORDS_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum word_flag {
	WORD_STOP = 1u << 0,    /* carries grammar or the form of a question, not content */
	WORD_NUMBER = 1u << 1,  /* has a digit in it */
	WORD_CAPITAL = 1u << 2, /* begins with a capital */
	WORD_TIME = 1u << 3,    /* says when: a month, a weekday, "yesterday", "ago", a year, 10:30 */
	WORD_COUNT = 1u << 4,   /* a number in letters: "three", "dozen" */
	WORD_REASON = 1u << 5   /* "because", "since", "therefore" */
};
struct word {
	const char *p; /* borrowed from the text */
	uint32_t n;
	unsigned flags;
	uint64_t key; /* equal for forms of one word */
};

struct words;
/* TR_ENOMEM: *out untouched. */
int words_new(struct words **out);
void words_free(struct words **w);
/* Words of p..p+n in order, at most max of them; returns how many. Any bytes: broken ones part words. */
size_t words_split(struct words *w, const char *p, size_t n, struct word *out, size_t max);
/* Is it this word (ASCII, lower case), in any case? */
bool word_is(const struct word *w, const char *lower);

#endif
