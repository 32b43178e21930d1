/* Votes as they are kept, for votes.c (what changes them) and votes_read.c. */
#ifndef JRS_MEMORY_ARCHIVE_VOTES_H
#define JRS_MEMORY_ARCHIVE_VOTES_H
#include "jrs/memory/archive/internal.h"
#include "jrs/vote/tally.h"

#define VOTE_CONVENE_MS \
	30000              /* so long the Jrs have, when nobody else votes; then whoever leads closes it without them */
#define VOTE_SOURCE "vote" /* of the memories of outcomes, and who decided them */

struct vote {
	struct item_vote item; /* what the rows say; vote_show() fills in the rest */
	struct item_ballot *ballots;
	int64_t closes_at;
	bool outside; /* others than the Jrs may vote */
};
/* Row and ballots into the call's zone, with room for a ballot of each Jr more. 1, 0: there is none, < 0. */
int vote_load(struct job *j, struct db *db, wire_str id, struct vote *out);
/* counts: what the ballots come to. Fills in results, tally and minority, as of now. */
int vote_show(struct job *j, struct vote *v, int64_t now_ms);
int vote_tally(struct job *j, const struct vote *v, struct vote_tally *out);
int vote_unknown(struct job *j);

#endif
