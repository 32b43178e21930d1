#include "supervisor/core/recovery.h"

const double recovery_le[RECOVERY_NBUCKETS] = {
#define X(le) le,
	RECOVERY_BOUNDS(X)
#undef X
};

void recovery_lost(struct recovery *r, uint64_t now_ns)
{
	if (r->since_ns == 0)
		r->since_ns = now_ns > 0 ? now_ns : 1;
}

double recovery_back(struct recovery *r, uint64_t now_ns)
{
	double s;
	int i = 0;

	if (r->since_ns == 0)
		return -1;
	s = (double)(now_ns - r->since_ns) / 1e9;
	r->since_ns = 0;
	r->n++;
	r->sum_s += s;
	while (i < RECOVERY_NBUCKETS && s > recovery_le[i])
		i++;
	if (i < RECOVERY_NBUCKETS)
		r->count[i]++;
	return s;
}

void recovery_forget(struct recovery *r)
{
	r->since_ns = 0;
}
