/* What ballots come to. Pure; the order of the ballots does not matter. docs/API.md, "Votes", has the rules in words.
 */
#ifndef JRS_VOTE_TALLY_H
#define JRS_VOTE_TALLY_H
#include "common/base/roles.h"
#include "proto/wire/wire.h"

#define VOTE_OPTIONS_MAX 16
#define VOTE_QUORUM      2   /* choices wanted when nobody says how many */
#define VOTE_THRESHOLD   0.5 /* of the choices, for the winner */

/* What a ballot says when it names no option. Never counted as a choice. */
enum { VOTE_ABSTAIN = -1, VOTE_ABSENT = -2 };

/* What a Jr's ballot speaks of: the proposal itself, or only the moment: whether now is a good time for anything. A
 * choice of the moment counts like any other, but is no evidence for the proposal. Who is no Jr speaks of the proposal.
 * veto: the ballot may carry one. */
/*        role         speaks of  veto */
#define VOTE_VOICES(X)                                                             \
	X(MEMORY, PROPOSAL, true)       /* precedents, and what is sacred */       \
	X(INTEGRATION, PROPOSAL, false) /* how many sources say so */              \
	X(META, MOMENT, false)          /* has the last analysis found anything */ \
	X(EXECUTIVE, MOMENT, false)     /* can the tribe take more on now */

/* How a vote ends, in the order in which it is looked at: the first one that is so. Labels of cherokee_votes_total,
 * fields of ITEM_vote_counts, words that no option may be: all from here. */
/*        id           word         what it means */
#define VOTE_NO_DECISIONS(X)                                                                      \
	X(NO_QUORUM, no_quorum, "fewer ballots name an option than the quorum wants")             \
	X(NO_EVIDENCE, no_evidence, "no ballot for a first option speaks of the proposal itself") \
	X(TIE, tie, "two options or more have equally many, and none has more")                   \
	X(NO_MAJORITY, no_majority, "the first option has a smaller share than the threshold")    \
	X(VETOED, vetoed, "yes would win, against a sacred memory")
#define VOTE_ENDS(X) VOTE_NO_DECISIONS(X) X(DECIDED, decided, "the first option wins")
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
	int yes;          /* number of the option that a veto keeps from winning; -1: there is none */
};
struct vote_ballot {
	int choice;  /* number of an option below rule->options, VOTE_ABSTAIN or VOTE_ABSENT */
	bool moment; /* it speaks only of the moment */
	bool veto;
};
struct vote_tally {
	uint32_t votes[VOTE_OPTIONS_MAX];
	uint32_t evidence[VOTE_OPTIONS_MAX]; /* of the votes: those that speak of the proposal itself */
	uint32_t choices, abstain, absent;
	enum vote_end end;
	int winner; /* number of an option; -1: no decision */
};
void vote_count(const struct vote_rule *rule, const struct vote_ballot *v, size_t n, struct vote_tally *out);

/* A Jr by its name of the API; -1: somebody else. */
int vote_role(wire_str voter);
bool vote_of_moment(wire_str voter);
/* May that voter's ballot for that choice carry a veto? Only who looks at what is sacred, and who says no to a proposal
 * to which that is an answer. */
bool vote_may_veto(const wire_strs *options, wire_str voter, wire_str choice);

/* Words that an outcome or a ballot may be and an option must not. */
#define VOTE_WORDS_TAKEN(X) VOTE_ENDS(X) X(OPEN, open, "") X(ABSTAIN, abstain, "") X(ABSENT, absent, "")
bool vote_word_taken(wire_str option);
/* Number of the option of that name, VOTE_ABSTAIN, VOTE_ABSENT; TR_EINVAL: there is none. */
int vote_choice(const wire_strs *options, wire_str name);
/* Numbers of the options "yes" and "no", whatever their case. false: it is not that kind of vote. */
bool vote_yes_no(const wire_strs *options, int *yes, int *no);

#endif
