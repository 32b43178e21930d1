/* How each Jr votes: from its own evidence, by a plain rule, and saying what it was. Pure. Without evidence it
 * abstains, and says so. docs/API.md, "Votes", has the rules in words. */
#ifndef JRS_VOTE_JUDGE_H
#define JRS_VOTE_JUDGE_H
#include "jrs/vote/tally.h"

#define BALLOT_REASON   600 /* bytes, with the NUL */
#define BALLOT_EVIDENCE 16

struct ballot_question {
	wire_str proposal;
	wire_strs options;
};
struct ballot_judged {
	int choice; /* number of an option, or VOTE_ABSTAIN */
	double confidence;
	char reason[BALLOT_REASON];
	wire_str evidence[BALLOT_EVIDENCE]; /* ids of memories; borrowed from what was judged */
	unsigned nevidence;
	bool veto; /* of memory-jr: a sacred memory is against it */
};

/* What the archive is asked for on the way: a recall that explains and touches nothing. q: of QUERY_BYTES, filled. */
#define JUDGE_QUERY_BYTES 4096
#define JUDGE_QUERY_CHARS 1000
#define JUDGE_FOUND       16 /* memories that are looked at: as many as a ballot names; to explain one takes 1 ms */
void judge_query(const struct ballot_question *question, char q[JUDGE_QUERY_BYTES], struct msg_memory_recall *out);

/* memory-jr: precedents. sacred: every sacred memory that speaks to it (memory.sacred), which found need not have. What
 * is remembered and speaks to the proposal is for it or against it (stance.h), a decision more than another memory; a
 * sacred memory against it settles the matter, and is a veto. */
void judge_memory(const struct ballot_question *question, const struct list_memory *found,
		  const struct list_memory *sacred, struct ballot_judged *out);
/* What is asked for `sacred`. false: nothing was found, so nothing sacred was either. */
bool judge_ask_sacred(const struct ballot_question *question, const struct list_memory *found,
		      struct msg_memory_sacred *out);
/* integration-jr: provenance. What counts is how many independent sources speak to it; one alone is none. */
void judge_integration(const struct ballot_question *question, const struct list_memory *found,
		       struct ballot_judged *out);
/* meta-jr: the trend. A severe anomaly of the last analysis is a reason to change nothing now. */
void judge_meta(const struct ballot_question *question, const struct res_meta_anomalies *last,
		struct ballot_judged *out);
/* executive-jr: capacity. Can the tribe take more on now? */
struct judge_capacity {
	bool known; /* tribed said how it is */
	char status[17];
	uint32_t inflight, capacity; /* HTTP requests being worked on; so many may be, 0: no limit */
	uint32_t overdue;
};
void judge_executive(const struct ballot_question *question, const struct judge_capacity *now,
		     struct ballot_judged *out);

/* The answer to jr.ballot, borrowed from both. */
struct res_ballot judge_answer(const struct ballot_question *question, const struct ballot_judged *judged);

#endif
