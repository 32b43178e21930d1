/* What memory-jr does with its calls: the archive answers, this notes what an answer means for heat and company. */
#ifndef JRS_MEMORY_MEMORY_H
#define JRS_MEMORY_MEMORY_H
#include "jrs/kit/jr.h"

struct memory;
/* Opens the archive and takes over the Jr's memory.* messages and its heartbeat's own fields. jr must outlive it. Logs
 * the reason of a failure; *out is untouched then. */
int memory_new(struct memory **out, struct jr *jr);
/* Writes what is waiting, closes the archive; unfinished reads are answered TR_ECLOSED. NULL is fine. */
void memory_free(struct memory **m);

#endif
