/* Did the kernel kill somebody of our control group for want of memory? From memory.events (cgroup v2), where that can
 * be read. */
#ifndef SUPERVISOR_APP_OOM_H
#define SUPERVISOR_APP_OOM_H
#include <stdbool.h>
#include <stdint.h>

struct oom {
	char path[512]; /* empty: it cannot be read */
	uint64_t kills; /* when last looked */
};

void oom_init(struct oom *o);
bool oom_again(struct oom *o); /* there were more kills since the last look */

#endif
