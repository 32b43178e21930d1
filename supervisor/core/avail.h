/* Which share of the last 24 hours (or since the start, if that is shorter) a role served: a ring of minutes. Pure. */
#ifndef SUPERVISOR_CORE_AVAIL_H
#define SUPERVISOR_CORE_AVAIL_H
#include <stdbool.h>
#include <stdint.h>

#define AVAIL_MINUTES   1440
#define AVAIL_MINUTE_MS 60000u

struct avail {
	uint64_t start_ms, last_ms;
	bool serving;                 /* since last_ms */
	uint64_t up_ms;               /* sum of the ring */
	uint16_t ring[AVAIL_MINUTES]; /* ms served in each minute since start, by minute number modulo AVAIL_MINUTES */
};

void avail_init(struct avail *a, uint64_t now_ms);
/* Books the time since the last call under what was true until now, then notes what is true from now on. */
void avail_step(struct avail *a, bool serving, uint64_t now_ms);
/* 0..1; 1 before any time has passed. Books first. */
double avail_share(struct avail *a, uint64_t now_ms);

#endif
