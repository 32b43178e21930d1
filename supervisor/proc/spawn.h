/* Inside supervisor/proc only: makes the process. */
#ifndef SUPERVISOR_PROC_SPAWN_H
#define SUPERVISOR_PROC_SPAWN_H
#include "supervisor/proc/proc.h"

/* The child's pid, or the negative errno of whatever failed; the child is reaped in that case.
 * null_fd: /dev/null, becomes its stdin. */
pid_t spawn_child(const struct proc_spec *spec, int null_fd, int *pidfd);

#endif
