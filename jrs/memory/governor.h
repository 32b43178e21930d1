/* Carries out acts of governance when their time has come, by the lead's clock. What is carried out, and that it is, is
 * one commit of the archive: whoever leads next goes on where we ended. Loop's thread. */
#ifndef JRS_MEMORY_GOVERNOR_H
#define JRS_MEMORY_GOVERNOR_H
#include "jrs/memory/archive/archive.h"

struct governor;
/* carried: each answer of memory.carry_out that is none of a failure; may be called inside archive_close(). */
int governor_new(struct governor **out, struct archive *archive,
		 void (*carried)(void *arg, const struct archive_answer *answer), void *arg);
void governor_look(struct governor *g);  /* now and then, while we lead */
void governor_free(struct governor **g); /* behind archive_close() */

#endif
