/* What the kernel knows of this process, for the heartbeat. */
#ifndef JRS_KIT_PULSE_H
#define JRS_KIT_PULSE_H
#include <stdint.h>

struct pulse {
	int statm_fd; /* kept open: a sandbox may close /proc later; -1: none */
	uint64_t start_ns;
	long page_bytes;
};
void pulse_open(struct pulse *p);
void pulse_close(struct pulse *p);
uint64_t pulse_rss_bytes(const struct pulse *p); /* 0: unknown */
uint64_t pulse_cpu_ms(void);
uint64_t pulse_uptime_ms(const struct pulse *p);

#endif
