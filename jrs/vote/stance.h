/* Does a text speak to a proposal, and for it or against it? A plain, lexical rule: pure, no model, the same each time.
 *
 * The proposal comes as its words (those that say something, as memory.recall explains them), each with its weight:
 * rare words weigh more, and one that stands in no memory as much as the rarest that does. Of the text that sentence
 * counts which holds most of that weight. It speaks to the proposal when it holds half of the weight and two of the
 * words (or the only one). It is negated when an odd number of its words deny ("never", "must not", "don't", "without"
 * ...); when text and proposal are both negated, or neither is, the text is for the proposal, else against it. Words
 * are the same when they are equal, or one begins with the other, of four letters at least, and is three longer at
 * most. */
#ifndef JRS_VOTE_STANCE_H
#define JRS_VOTE_STANCE_H
#include "proto/wire/wire.h"

#define STANCE_SHARE 0.5
#define STANCE_WORDS 64 /* of a proposal that are looked at */

struct stance_proposal {
	struct {
		const char *p; /* borrowed from the terms */
		size_t n;
		double weight; /* > 0; all add up to 1 */
	} v[STANCE_WORDS];
	unsigned n;
	bool negated;
};
/* terms: of a memory's explanation. */
void stance_proposal(struct stance_proposal *out, wire_str proposal, const struct list_term *terms);

struct stance {
	bool speaks, against;
	bool unsure;  /* it denies twice in one sentence: for or against is not to be told */
	double share; /* of the proposal's weight, 0..1 */
};
struct stance stance_of(const struct stance_proposal *p, wire_str text);

/* Does a proposal contradict a vow, a text that is sacred? Here the vow is the measure, so that nothing put beside it
 * in the proposal hides it: one of its sentences, half of whose words stand in one sentence of the proposal, two of
 * them at least (words of three letters and more that say something). It is contradicted when the vow's sentence
 * denies, however often ("never ... without ..."), and the proposal's does not, or the other way round. */
#define STANCE_SAID      256 /* words of a proposal that are looked at */
#define STANCE_SAID_WORD 31  /* bytes of each */
struct stance_said {
	struct {
		char p[STANCE_SAID_WORD];
		unsigned char n, sentence;
	} v[STANCE_SAID];
	unsigned n, sentences;
	bool negated[UINT8_MAX + 1]; /* a sentence each */
};
void stance_said(struct stance_said *out, wire_str proposal);
bool stance_contradicts(const struct stance_said *said, wire_str vow);
/* Does the text deny, taken as one sentence? */
bool stance_negated(wire_str text);
/* Do all words of `words` stand in the text? false when there is none. */
bool stance_holds(wire_str text, wire_str words);

#endif
