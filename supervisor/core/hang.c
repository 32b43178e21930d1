#include "supervisor/core/hang.h"
#include <stddef.h>

void hang_start(struct hang *h, uint64_t now_ms)
{
	*h = (struct hang){.beat_ms = now_ms, .tick_ms = now_ms};
}

void hang_beat(struct hang *h, uint64_t now_ms)
{
	h->beat_ms = now_ms;
	h->base_ms = 0;
}

bool hang_wants_sample(const struct hang *h, uint32_t heartbeat_ms, uint64_t now_ms)
{
	return now_ms - h->beat_ms >= 2 * (uint64_t)heartbeat_ms;
}

static bool starved(const struct hang *h, const struct hang_sample *s, uint64_t now_ms)
{
	uint64_t window_ns, waited, ran;

	if (h->base_ms == 0 || !h->base.known || s == NULL || !s->known)
		return false;
	window_ns = (now_ms - h->base_ms) * 1000000u;
	waited = s->delay_ns - h->base.delay_ns;
	ran = s->run_ns - h->base.run_ns;
	if (waited > window_ns / 2)
		return true;
	/* Runnable all the time without having run: the kernel has not booked the wait yet. */
	return s->runnable && ran + waited < window_ns / 10;
}

enum hang_verdict hang_tick(struct hang *h, uint32_t hang_after_ms, const struct hang_sample *s, uint64_t now_ms)
{
	uint64_t gap = now_ms - h->tick_ms, silent;
	enum hang_verdict v = HANG_ALIVE;

	h->tick_ms = now_ms;
	if (gap > hang_after_ms / 2) { /* ours, not theirs: allow the same time again */
		h->beat_ms += gap;
		if (h->beat_ms > now_ms)
			h->beat_ms = now_ms;
		h->base_ms = 0;
		return HANG_ALIVE;
	}
	silent = now_ms - h->beat_ms;
	if (silent >= hang_after_ms) {
		if (silent >= (uint64_t)HANG_STARVED_CAP * hang_after_ms)
			return HANG_HUNG;
		v = starved(h, s, now_ms) ? HANG_STARVED : HANG_HUNG;
	}
	if (h->base_ms == 0 && s != NULL) {
		h->base = *s;
		h->base_ms = now_ms;
	}
	return v;
}
