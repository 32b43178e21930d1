#include "jrs/meta/analysis/beat.h"

uint64_t beat_due_ms(const struct beat *b)
{
	return b->start_ms + b->next * b->period_ms;
}

/* How many beats have come that nobody took. */
static uint64_t waiting(const struct beat *b, uint64_t now_ms)
{
	uint64_t due = beat_due_ms(b);

	return now_ms < due ? 0 : (now_ms - due) / b->period_ms + 1;
}

bool beat_take(struct beat *b, uint64_t now_ms)
{
	uint64_t n = waiting(b, now_ms);

	if (n > 0) {
		b->missed += n - 1 + b->open;
		b->next += n;
		b->open = true;
	}
	return b->open;
}

void beat_done(struct beat *b, uint64_t now_ms)
{
	uint64_t n = waiting(b, now_ms);

	b->missed += n;
	b->next += n;
	b->open = false;
}
