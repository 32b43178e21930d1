/* What synthesis knows about a question and about every sentence that may answer it. Internal to this folder. */
#ifndef JRS_INTEGRATION_SYNTHESIS_JUDGE_H
#define JRS_INTEGRATION_SYNTHESIS_JUDGE_H
#include "jrs/integration/synthesis/synthesis.h"
#include "jrs/integration/text/sentences.h"

#define TERMS_MAX     64 /* words of the question that count: one bit each in a mask */
#define KEYS_MAX      48 /* content words of a sentence kept to tell near-duplicates */
#define SENTENCES_MAX 2000
#define BYTES_MAX     (256u << 10)

enum asked { ASKED_ANYTHING, ASKED_WHEN, ASKED_WHO, ASKED_NUMBER, ASKED_WHERE, ASKED_WHY };

struct question {
	enum asked asked;
	unsigned n; /* terms: the content words, each once, in order */
	uint64_t key[TERMS_MAX];
	double idf[TERMS_MAX]; /* rarity among the sentences; names of speakers too */
	double mass;           /* sum of idf */
	uint64_t names;        /* terms that are the name of somebody who speaks in the sources */
};
struct candidate {
	struct span text;
	uint32_t source;
	uint32_t first_key, nkeys; /* in judge.keys */
	uint64_t found;            /* terms that stand in it */
	uint64_t pairs;            /* bit i: terms i and i+1 stand side by side */
	double score;
	bool question, answers; /* ends with a question mark; holds the kind of thing that was asked for */
	bool row;               /* of a table ("column: cell; column: cell"), or code */
	uint32_t words;
	bool plain; /* says something: no heading, no line that only introduces, no remark in brackets */
};
struct judge {
	struct question q;
	struct candidate *v; /* owned; in the order of the sources */
	size_t n, cap;
	uint64_t *keys; /* owned */
	size_t nkeys, keys_cap;
	uint64_t *source_found;  /* owned; per source: terms anywhere in it */
	uint64_t *source_spoken; /* owned; per source: terms that name its speaker */
};
/* Fills *j (zeroed by this). TR_ENOMEM: nothing is left allocated. */
int judge_open(struct judge *j, struct words *words, wire_str question, const struct item_source *sources, uint32_t n);
void judge_close(struct judge *j);
/* Share of the question's mass in a set of terms, 0..1. */
double judge_cover(const struct question *q, uint64_t found);
/* How much of the shorter sentence's content stands in the other, 0..1. */
double judge_overlap(const struct judge *j, const struct candidate *a, const struct candidate *b);

#endif
