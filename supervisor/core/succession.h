/* What the moments around a change of lead decide. A replacement of who is spent is started a little after the new lead
 * began, so that its first answers have the CPU; but at once while nobody leads. And a process that waits and beats
 * while nobody leads, and still does not take the lead, never will. Pure: milliseconds of one clock. */
#ifndef SUPERVISOR_CORE_SUCCESSION_H
#define SUPERVISOR_CORE_SUCCESSION_H
#include <stdbool.h>
#include <stdint.h>

#define RESPAWN_MS   10  /* jr.lead to the start of a replacement, after a takeover */
#define STUCK_MIN_MS 500 /* a takeover takes a millisecond; on a machine that is full, some tens */

struct succession {
	bool led;           /* somebody leads */
	uint64_t vacant_ms; /* since when nobody does, or the last one was ended that would not; 0: from the start */
	uint64_t calm_ms;   /* until when nobody is replaced; 0: no matter */
};

/* Somebody leads; takeover: after another one, so there is somebody to replace. */
void succession_led(struct succession *s, bool takeover, uint64_t now_ms);
void succession_vacant(struct succession *s, uint64_t now_ms);
/* How long a replacement waits yet; 0: start it. */
uint64_t succession_calm(const struct succession *s, uint64_t now_ms);
/* Of one that has said hello at up_ms, beats at this moment and does not lead: is it to be ended? Only one at a time:
 * succession_vacant() again when it is. */
bool succession_stuck(const struct succession *s, uint64_t up_ms, uint32_t hang_after_ms, uint64_t now_ms);

#endif
