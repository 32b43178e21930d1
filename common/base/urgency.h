/* Who gets a CPU first while the lead of a role changes, when many threads wake up at once and the dead one's last
 * thread takes its memory apart. Nothing here is needed for anything to be right: where a step is not permitted, or the
 * kernel is too old for it, things only take longer. */
#ifndef COMMON_BASE_URGENCY_H
#define COMMON_BASE_URGENCY_H
#include <stdint.h>
#include <sys/types.h>

/* The calling thread, not what it starts, asks the fair scheduler for turns of so many nanoseconds (100 us to 100 ms;
 * 0: as the kernel has it). Its share stays the same. Who asks for shorter turns than whoever runs need not wait, on
 * waking, until that one's turn has ended (sched(7); Linux 6.12 and later). */
void tr_slice(uint64_t ns);
/* Thread tid (0: the calling one) comes before everything that is not urgent: SCHED_RR, lowest priority; what it starts
 * is not. Wants RLIMIT_RTPRIO of 1 or CAP_SYS_NICE. Only for some milliseconds, or for who sleeps: it can keep a CPU
 * from everybody else. */
void tr_urgent(pid_t tid);
/* Ends that, whoever began it. Threads that somebody else gave another policy stay as they are. */
void tr_calm(pid_t tid);

#endif
