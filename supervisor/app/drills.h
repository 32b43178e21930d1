/* What came of the last drills: kept in memory and in one file of the state directory, which is written whole beside
 * the old one and renamed. It is not forced to the disk: a power cut may cost the last reports, and nothing waits. */
#ifndef SUPERVISOR_APP_DRILLS_H
#define SUPERVISOR_APP_DRILLS_H
#include "proto/wire/wire.h"

#define DRILLS_KEPT 64

struct drills;
/* Reads what is there; a file that cannot be understood is put aside, with a line in the log. state: the directory,
 * borrowed. */
int drills_new(struct drills **out, const char *state);
void drills_free(struct drills **d);
/* TR_EINVAL (fault says why), TR_ENOMEM: nothing was kept. A file that cannot be written is logged. */
int drills_add(struct drills *d, const struct item_drill *drill, struct tr_fault *fault);
/* The last ones, newest first, at most limit (and DRILLS_KEPT) into out; borrowed until the next drills_add(). */
uint32_t drills_list(const struct drills *d, uint32_t limit, struct item_drill *out);
uint64_t drills_total(const struct drills *d); /* one more with each that is added */
/* How many were reported since the start, by verdict, into out[DRILLS_VERDICTS]; words that never came up are left out.
 */
#define DRILLS_VERDICTS 3
uint32_t drills_counts(const struct drills *d, struct item_reason *out);

#endif
