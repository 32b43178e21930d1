/* Cuts running text into sentences: for quoting in answers and for cutting long paragraphs. Pure. */
#ifndef JRS_INTEGRATION_TEXT_SENTENCES_H
#define JRS_INTEGRATION_TEXT_SENTENCES_H
#include <stdbool.h>
#include <stddef.h>

#define SENTENCE_MAX 1000 /* bytes; a longer one is cut at a space, or between characters where there is none */

struct span {
	const char *p; /* into the text, without white space around it */
	size_t n;      /* 1..SENTENCE_MAX */
};

/* The next sentence of text at or behind *pos, which moves behind it; false at the end of the text. A sentence ends at
 * a full stop of its script (not at one inside a number, an abbreviation or an initial), at a blank line, and where a
 * list item, a heading, a table row or a speaker's turn begins on a new line. Any bytes may come in; none is read twice
 * more than a constant number of times. */
bool sentence_next(const char *text, size_t len, size_t *pos, struct span *out);

#endif
