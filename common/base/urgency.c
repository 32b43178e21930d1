#include "common/base/urgency.h"
#include <sched.h>
#include <sys/syscall.h>
#include <unistd.h>

#define LOWEST 1 /* of the real-time priorities */

#define RESET_ON_FORK 1 /* SCHED_FLAG_RESET_ON_FORK */

/* sched_setattr(2), which the C library has no words for */
struct attributes {
	uint32_t size, policy;
	uint64_t flags;
	int32_t nice;
	uint32_t priority;
	uint64_t runtime, deadline, period;
};

void tr_slice(uint64_t ns)
{
	struct attributes a = {.size = sizeof(a)};

	if (syscall(SYS_sched_getattr, 0, &a, sizeof(a), 0) < 0 || a.policy != SCHED_OTHER)
		return;
	a.size = sizeof(a);
	a.flags |= RESET_ON_FORK;
	a.runtime = ns;
	(void)syscall(SYS_sched_setattr, 0, &a, 0);
}

void tr_urgent(pid_t tid)
{
	const struct sched_param lowest = {.sched_priority = LOWEST};

	if ((sched_getscheduler(tid) | SCHED_RESET_ON_FORK) == (SCHED_OTHER | SCHED_RESET_ON_FORK))
		(void)sched_setscheduler(tid, SCHED_RR | SCHED_RESET_ON_FORK, &lowest);
}

/* Ours are told from others by that what they start is not urgent. That stays with the thread: to take it away would
 * want a privilege. */
void tr_calm(pid_t tid)
{
	const struct sched_param none = {0};

	if (sched_getscheduler(tid) == (SCHED_RR | SCHED_RESET_ON_FORK))
		(void)sched_setscheduler(tid, SCHED_OTHER | SCHED_RESET_ON_FORK, &none);
}
