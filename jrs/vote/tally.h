/* What ballots come to. Pure; the order of the ballots does not matter. docs/API.md, "Votes", has the rules in words.
 */
#ifndef JRS_VOTE_TALLY_H
#define JRS_VOTE_TALLY_H
#include "proto/wire/wire.h"

#define VOTE_OPTIONS_MAX 16
#define VOTE_QUORUM      2   /* choices wanted when nobody says how many */
#define VOTE_THRESHOLD   0.5 /* of the choices, for the winner */

/* What a ballot says when it names no option. Never counted as a choice. */
enum { VOTE_ABSTAIN = -1, VOTE_ABSENT = -2 };

/*        id           word          metric         what it means */
#define VOTE_ENDS(X)                                                                             \
	X(NO_QUORUM, "no_quorum", "fewer ballots name an option than the quorum wants")          \
	X(TIE, "tie", "two options or more have equally many, and none has more")                \
	X(NO_MAJORITY, "no_majority", "the first option has a smaller share than the threshold") \
	X(DECIDED, "decided", "the first option wins")
enum vote_end {
#define X(id, word, doc) VOTE_##id,
	VOTE_ENDS(X)
#undef X
		VOTE_NENDS
};
extern const char *const vote_end_words[VOTE_NENDS];

struct vote_rule {
	unsigned options;
	uint32_t quorum;
	double threshold; /* 0..1 */
};
struct vote_tally {
	uint32_t votes[VOTE_OPTIONS_MAX];
	uint32_t choices, abstain, absent;
	enum vote_end end;
	int winner; /* number of an option; -1: no decision */
};
/* choice[i]: number of an option below rule->options, VOTE_ABSTAIN or VOTE_ABSENT. */
void vote_count(const struct vote_rule *rule, const int *choice, size_t n, struct vote_tally *out);

/* Words that an outcome or a ballot may be and an option must not. */
bool vote_word_taken(wire_str option);
/* Number of the option of that name, VOTE_ABSTAIN, VOTE_ABSENT; TR_EINVAL: there is none. */
int vote_choice(const wire_strs *options, wire_str name);
/* Numbers of the options "yes" and "no", whatever their case. false: it is not that kind of vote. */
bool vote_yes_no(const wire_strs *options, int *yes, int *no);

#endif
