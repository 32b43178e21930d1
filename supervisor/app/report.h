/* `status`: everything tribed knows, gathered at the moment of asking. */
#ifndef SUPERVISOR_APP_REPORT_H
#define SUPERVISOR_APP_REPORT_H
#include "supervisor/app/drills.h"
#include "supervisor/app/tribe.h"

struct report {
	struct res_status res; /* points into the rest and into the tribe */
	struct item_bucket buckets[TR_NROLES][NDEATHS][RECOVERY_NBUCKETS];
	struct item_recovery recoveries[TR_NROLES][NDEATHS];
	struct item_reason reasons[TR_NROLES][NDEATHS], detections[TR_NROLES][NDETECTIONS];
	struct item_reason drills[DRILLS_VERDICTS];
	struct item_understudy understudies[TR_NROLES][WORKER_COPIES];
};
void report_fill(struct report *r, struct tribe *t);
/* EVENT_OPERATIONAL, EVENT_DEGRADED or EVENT_IS_DOWN; its word is the status' word. */
enum event_kind report_overall(const struct tribe *t);
void report_sentience(struct tribe *t, struct sentience *out);
void report_beat(const struct msg_heartbeat *m, struct item_beat *out); /* strings stay borrowed */

#endif
