/* How long a role was away: from the end of one lead to the next one that answers. Pure. */
#ifndef SUPERVISOR_CORE_RECOVERY_H
#define SUPERVISOR_CORE_RECOVERY_H
#include <stdbool.h>
#include <stdint.h>

/* Upper bounds in seconds: a takeover lasts tenths of a millisecond, a start from scratch milliseconds, a back-off up
 * to half a minute. */
#define RECOVERY_BOUNDS(X)                                                                                          \
	X(.0001)                                                                                                    \
	X(.00025) X(.0005) X(.001) X(.0025) X(.005) X(.01) X(.025) X(.05) X(.1) X(.25) X(.5) X(1) X(2.5) X(5) X(10) \
		X(30)
#define X(le) +1
enum { RECOVERY_NBUCKETS = RECOVERY_BOUNDS(X) };
#undef X

extern const double recovery_le[RECOVERY_NBUCKETS];

struct recovery {
	uint64_t count[RECOVERY_NBUCKETS]; /* at most recovery_le[i] and above the one before; not cumulative */
	uint64_t n;                        /* all; those over the last bound are in no bucket */
	double sum_s;
};

/* One reign, as far as it is known: who took the mutex next may be heard of before this one's death is. Times in ns of
 * CLOCK_MONOTONIC, 0: not known. */
struct reign {
	bool led;         /* it said so */
	uint64_t hurt_ns; /* it was harmed, or its stop or silence was noticed: the role is away from then on */
	uint64_t reaped_ns;
	uint64_t since_ns; /* when the next one knew that the mutex was free */
	uint64_t back_ns;  /* when the next one began to answer */
};

void reign_hurt(struct reign *r, uint64_t now_ns); /* the first one counts */
/* Somebody after it leads; the first one to say so counts. */
void reign_over(struct reign *r, uint64_t since_ns, uint64_t back_ns);
/* Seconds that the role was away after it; negative while that cannot be told: it never led, lives, or nobody followed.
 */
double reign_away_s(const struct reign *r);
void recovery_add(struct recovery *r, double seconds);

#endif
