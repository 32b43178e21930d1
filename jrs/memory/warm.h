/* Who waits to lead asks its archive a question now and then, as callers would, so that the first real one costs what
 * any other does: programs' pages, prepared statements and the databases' caches are there. Leaves no trace. */
#ifndef JRS_MEMORY_WARM_H
#define JRS_MEMORY_WARM_H
#include "jrs/memory/archive/archive.h"

struct warm;
int warm_new(struct warm **out, struct archive *a); /* a outlives its questions: archive_close() answers them */
void warm_ask(
	struct warm *w); /* unless the last one is not answered yet, or it was a short time ago for what it took */
void warm_free(struct warm **w); /* after archive_close(). NULL is fine. */

#endif
