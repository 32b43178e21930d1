#include "supervisor/core/hang.h"
#include <stddef.h>

static void listen_anew(struct hang *h, uint64_t beat_ms)
{
	h->beat_ms = beat_ms;
	h->base_ms = 0;
	h->overdue = false;
}

void hang_start(struct hang *h, uint32_t hang_after_ms, uint64_t now_ms)
{
	*h = (struct hang){.beat_ms = now_ms, .look_ms = now_ms, .due_ms = now_ms + hang_after_ms / 2};
}

void hang_beat(struct hang *h, uint64_t now_ms)
{
	listen_anew(h, now_ms);
}

bool hang_wants_sample(const struct hang *h, uint32_t hang_after_ms, uint64_t now_ms)
{
	return now_ms - h->beat_ms >= hang_after_ms / 2;
}

/* What the thread did since base was taken, as shares of that time; false: not known. */
static bool shares(const struct hang *h, const struct hang_sample *s, uint64_t now_ms, double *ran, double *waited)
{
	double window_ns = (double)(now_ms - h->base_ms) * 1e6;

	if (h->base_ms == 0 || now_ms <= h->base_ms || !h->base.known || s == NULL || !s->known)
		return false;
	*ran = (double)(s->run_ns - h->base.run_ns) / window_ns;
	*waited = (double)(s->delay_ns - h->base.delay_ns) / window_ns;
	return true;
}

static enum hang_verdict judge(const struct hang *h, const struct hang_sample *s, uint64_t silent_ms,
			       uint32_t hang_after_ms, uint64_t now_ms)
{
	double ran, waited;

	if (!shares(h, s, now_ms, &ran, &waited))
		return HANG_BLOCKS;
	/* Who ran so long and did not come round to a beat wants for something else than a CPU. Runnable all the time
	 * without having run: the kernel has not booked the wait yet. */
	if (silent_ms < (uint64_t)HANG_STARVED_CAP * hang_after_ms &&
	    ran * (double)(now_ms - h->base_ms) < hang_after_ms / 4.0 &&
	    (waited > 0.5 || (s->runnable && ran + waited < 0.1)))
		return HANG_STARVED;
	return s->runnable || ran > 0.1 ? HANG_SPINS : HANG_BLOCKS;
}

enum hang_verdict hang_look(struct hang *h, uint32_t hang_after_ms, const struct hang_sample *s, uint64_t now_ms)
{
	uint64_t known = h->look_ms > h->beat_ms ? h->look_ms - h->beat_ms : 0, silent;
	enum hang_verdict v = HANG_ALIVE;

	if (now_ms - h->due_ms > hang_after_ms / 2) /* ours, not theirs: what was not looked at counts for nothing */
		listen_anew(h, now_ms - known);
	h->look_ms = now_ms;
	silent = now_ms - h->beat_ms;
	if (silent < hang_after_ms / 2) {
		h->due_ms = h->beat_ms + hang_after_ms / 2;
		return HANG_ALIVE;
	}
	if (h->base_ms == 0 && s != NULL) {
		h->base = *s;
		h->base_ms = now_ms;
	}
	h->due_ms = now_ms + 1;
	if (silent < hang_after_ms) {
		h->due_ms = h->beat_ms + hang_after_ms;
	} else if (!h->overdue) {
		h->overdue = true;
	} else {
		v = judge(h, s, silent, hang_after_ms, now_ms);
		if (v == HANG_STARVED)
			h->due_ms = now_ms + (hang_after_ms + 9) / 10;
	}
	return v;
}

bool mute_beat(struct mute *m, bool overdue, uint32_t hang_after_ms, uint64_t now_ms)
{
	if (!overdue || m->since_ms == 0)
		m->since_ms = overdue ? now_ms : 0;
	return overdue && now_ms - m->since_ms >= hang_after_ms;
}
