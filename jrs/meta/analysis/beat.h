/* The clock of analyses: beats at start + n * period, whatever an analysis takes. A beat that passes without one of its
 * own is counted as missed and not made up for. Pure: the time comes in. */
#ifndef JRS_META_ANALYSIS_BEAT_H
#define JRS_META_ANALYSIS_BEAT_H
#include <stdbool.h>
#include <stdint.h>

struct beat {
	uint64_t start_ms, period_ms; /* monotonic; period > 0 */
	uint64_t next;                /* number of the beat to come */
	uint64_t missed;
	bool open; /* the last beat still waits for its analysis */
};
uint64_t beat_due_ms(const struct beat *b);
/* The timer went off. True: analyse now, for a beat that has come or for one that is still open. */
bool beat_take(struct beat *b, uint64_t now_ms);
/* An analysis is there. Beats that came while it ran are missed. */
void beat_done(struct beat *b, uint64_t now_ms);

#endif
