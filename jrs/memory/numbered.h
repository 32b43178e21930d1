/* The row of numbered directories STATE/archive/<n>, as a rescue needs it; place.h leads `current` to one of them. */
#ifndef JRS_MEMORY_NUMBERED_H
#define JRS_MEMORY_NUMBERED_H
#include "common/base/err.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The number that `current` leads to; 0: it leads elsewhere or nowhere. */
unsigned numbered_current(const char *state);
/* A directory for a new archive, empty, that nothing leads to yet; what an earlier try left in it is removed. */
int numbered_begin(const char *state, char *out, size_t size, struct tr_fault *fault);
/* It gets the next free number, *n; on disk. */
int numbered_settle(const char *state, unsigned *n, struct tr_fault *fault);
/* Leaves a note in directory n: when, why and for which it was left, and the way back. The only thing that is ever
 * written there. */
int numbered_leave(const char *state, unsigned n, unsigned next, const char *why, int64_t now_ms,
		   struct tr_fault *fault);
bool numbered_was_left(const char *state, unsigned n);
/* Directories that have `name` in them, not older than since_ms. */
unsigned numbered_count(const char *state, const char *name, int64_t since_ms);

#endif
