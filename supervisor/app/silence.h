/* What the kernel says of a process that is silent. */
#ifndef SUPERVISOR_APP_SILENCE_H
#define SUPERVISOR_APP_SILENCE_H
#include "supervisor/core/hang.h"
#include <sys/types.h>

/* Of the thread that runs the loop, from /proc/PID/schedstat and /proc/PID/stat. */
struct hang_sample silence_sample(pid_t pid);

#endif
