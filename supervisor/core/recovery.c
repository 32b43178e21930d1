#include "supervisor/core/recovery.h"

const double recovery_le[RECOVERY_NBUCKETS] = {
#define X(le) le,
	RECOVERY_BOUNDS(X)
#undef X
};

void reign_hurt(struct reign *r, uint64_t now_ns)
{
	if (r->hurt_ns == 0)
		r->hurt_ns = now_ns;
}

void reign_over(struct reign *r, uint64_t since_ns, uint64_t back_ns)
{
	if (!r->led || r->back_ns != 0)
		return;
	r->since_ns = since_ns;
	r->back_ns = back_ns;
}

double reign_away_s(const struct reign *r)
{
	uint64_t from = r->reaped_ns;

	if (!r->led || r->reaped_ns == 0 || r->back_ns == 0)
		return -1;
	/* The mutex is free before the process is torn down; SIGCHLD comes after that. */
	if (r->since_ns != 0 && r->since_ns < from)
		from = r->since_ns;
	if (r->hurt_ns != 0)
		from = r->hurt_ns;
	return r->back_ns > from ? (double)(r->back_ns - from) / 1e9 : 0;
}

void recovery_add(struct recovery *r, double seconds)
{
	int i = 0;

	r->n++;
	r->sum_s += seconds;
	while (i < RECOVERY_NBUCKETS && seconds > recovery_le[i])
		i++;
	if (i < RECOVERY_NBUCKETS)
		r->count[i]++;
}
