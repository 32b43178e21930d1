/* How a memory-jr comes to its archive, before it is known whether it leads. Whoever finds that nobody else has the
 * archive open does what opening has to make, migrate or look at; who finds somebody only follows, and waits until
 * there is something to follow. STATE/memory.lock tells which: everybody who has the archive open holds it shared, and
 * alone while opening does such things. */
#ifndef JRS_MEMORY_OPENING_H
#define JRS_MEMORY_OPENING_H
#include "jrs/kit/jr.h"
#include "jrs/memory/archive/archive.h"

struct opening {
	char path[4096];                  /* of the archive's database file; empty: in PostgreSQL */
	char near[512], near_index[520];  /* its last two names, and those of its log's index, as they lie in dir_fd */
	int dir_fd;                       /* -1: none */
	int lock_fd;                      /* -1: none */
	uint64_t dev, ino;                /* of that file */
	uint64_t index;                   /* inode of its log's index: 0: it has none */
	bool (*told_to_leave)(void *arg); /* set before opening_begin() */
	void *arg;
};
/* Blocks, for seconds where a server is away or the archive is being made; the loop runs between two attempts, and
 * TR_ECLOSED: told_to_leave() said so then. Logs the reason of a failure. An archive that is damaged and that nobody
 * else has open is there all the same, and refuses everything (ailing.h). */
int opening_begin(struct opening *o, const struct jr_opts *opts, uv_loop_t *loop, struct archive **out);
/* Another archive lies at its place by now (a restore, a salvage), or is about to, for the log's index is another: what
 * was written to this one would be lost. */
bool opening_moved(const struct opening *o);
void opening_end(struct opening *o); /* the archive is closed */

#endif
