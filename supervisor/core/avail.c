#include "supervisor/core/avail.h"
#include <string.h>

void avail_init(struct avail *a, uint64_t now_ms)
{
	memset(a, 0, sizeof(*a));
	a->start_ms = a->last_ms = now_ms;
}

static uint64_t minute(const struct avail *a, uint64_t ms)
{
	return (ms - a->start_ms) / AVAIL_MINUTE_MS;
}

static void forget(struct avail *a, uint64_t m)
{
	uint16_t *slot = &a->ring[m % AVAIL_MINUTES];

	a->up_ms -= *slot;
	*slot = 0;
}

static void book(struct avail *a, uint64_t now_ms)
{
	if (minute(a, now_ms) - minute(a, a->last_ms) > AVAIL_MINUTES) /* what lies further back would be overwritten */
		a->last_ms = a->start_ms + (minute(a, now_ms) - AVAIL_MINUTES) * AVAIL_MINUTE_MS;
	while (a->last_ms < now_ms) {
		uint64_t m = minute(a, a->last_ms);
		uint64_t end = a->start_ms + (m + 1) * AVAIL_MINUTE_MS;
		uint64_t to = end < now_ms ? end : now_ms;

		if (a->serving) {
			a->ring[m % AVAIL_MINUTES] = (uint16_t)(a->ring[m % AVAIL_MINUTES] + (to - a->last_ms));
			a->up_ms += to - a->last_ms;
		}
		if (to == end)
			forget(a, m + 1);
		a->last_ms = to;
	}
}

void avail_step(struct avail *a, bool serving, uint64_t now_ms)
{
	book(a, now_ms);
	a->serving = serving;
}

double avail_share(struct avail *a, uint64_t now_ms)
{
	uint64_t window = (uint64_t)AVAIL_MINUTES * AVAIL_MINUTE_MS, since, covered;

	book(a, now_ms);
	since = now_ms - a->start_ms;
	/* The ring holds the minute under way and the 1439 before it. */
	covered = since < window ? since : window - AVAIL_MINUTE_MS + since % AVAIL_MINUTE_MS;
	return covered == 0 ? 1.0 : (double)a->up_ms / (double)covered;
}
