/* How long a role was away: from the moment a death (or a hang) was noticed to the hello of the next lead. Pure. */
#ifndef SUPERVISOR_CORE_RECOVERY_H
#define SUPERVISOR_CORE_RECOVERY_H
#include <stdint.h>

/* Upper bounds in seconds, the usual ones of Prometheus up to half a minute. */
#define RECOVERY_BOUNDS(X) \
	X(.001) X(.0025) X(.005) X(.01) X(.025) X(.05) X(.1) X(.25) X(.5) X(1) X(2.5) X(5) X(10) X(30)
#define X(le) +1
enum { RECOVERY_NBUCKETS = RECOVERY_BOUNDS(X) };
#undef X

extern const double recovery_le[RECOVERY_NBUCKETS];

struct recovery {
	uint64_t count[RECOVERY_NBUCKETS]; /* at most recovery_le[i] and above the one before; not cumulative */
	uint64_t n;                        /* all; those over the last bound are in no bucket */
	double sum_s;
	uint64_t since_ns; /* away since; 0 = not away */
};

void recovery_lost(struct recovery *r, uint64_t now_ns); /* the first notice counts until the role is back */
/* Returns the seconds it took, or a negative number when nothing was lost. */
double recovery_back(struct recovery *r, uint64_t now_ns);
void recovery_forget(struct recovery *r); /* it was wanted down: no recovery to measure */

#endif
