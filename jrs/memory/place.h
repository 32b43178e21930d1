/* Where the archive's database lies. */
#ifndef JRS_MEMORY_PLACE_H
#define JRS_MEMORY_PLACE_H
#include "common/base/err.h"
#include <stddef.h>

/* url empty: STATE/archive/current/thermal.sqlite, where `current` is a link to a numbered directory that is made on
 * first use, so that a restore can switch whole directories. "sqlite:PATH": that file (relative to STATE); its
 * directory must exist. 0, or an error with *fault; out is then untouched. */
int place_archive(const char *state, const char *url, char *out, size_t size, struct tr_fault *fault);

/* ---- the numbered directories STATE/archive/<n>; for archive.url empty ---- */
/* A number above all that are there. */
int place_next(const char *state, unsigned *out, struct tr_fault *fault);
/* Where `current` leads: the name it holds, such as "1". TR_ENOTFOUND when there is none. */
int place_current(const char *state, char *out, size_t size, struct tr_fault *fault);
/* current -> n, in one step and on disk. n must be there and whole; nobody may have the archive open. */
int place_switch(const char *state, unsigned n, struct tr_fault *fault);

#endif
