/* memory-jr's part in votes beside keeping them: its own ballot, and that every vote is closed when its time is over,
 * whoever convened it and whatever became of him. */
#ifndef JRS_MEMORY_VOTES_H
#define JRS_MEMORY_VOTES_H
#include "jrs/kit/jr.h"
#include "jrs/memory/archive/archive.h"

struct votes;
/* archive: borrowed, looked at anew each time; NULL there: it is closed. votes_free() behind its closing. */
int votes_new(struct votes **out, struct jr *jr, struct archive *const *archive);
void votes_lead(struct votes *v); /* the archive is ours: what is due is closed from now on */
void votes_stop(struct votes *v); /* before the archive is closed */
/* What somebody's call came to, for memory.vote_*; others are ignored. */
void votes_answered(struct votes *v, enum wire_msg_id id, const struct archive_answer *answer);
void votes_free(struct votes **v);

#endif
