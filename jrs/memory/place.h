/* Where the archive's database lies. */
#ifndef JRS_MEMORY_PLACE_H
#define JRS_MEMORY_PLACE_H
#include "common/base/err.h"
#include <stddef.h>

/* url empty: STATE/archive/current/thermal.sqlite, where `current` is a link to a numbered directory that is made on
 * first use, so that a restore can switch whole directories. "sqlite:PATH": that file (relative to STATE); its
 * directory must exist. 0, or an error with *fault; out is then untouched. */
int place_archive(const char *state, const char *url, char *out, size_t size, struct tr_fault *fault);

#endif
