#include "supervisor/core/backoff.h"

static void forgive(struct backoff *b, uint64_t healthy_ms)
{
	b->level -= (double)healthy_ms / BACKOFF_LEAK_MS;
	if (b->level < 0)
		b->level = 0;
}

/* What the bucket says for a level, before jitter: 0, 0, 50, 100 ... */
static uint64_t delay_at(double level)
{
	uint64_t ms = BACKOFF_FIRST_MS;

	if (level < BACKOFF_FREE + 1)
		return 0;
	for (int i = BACKOFF_FREE + 1; i < (int)level && ms < BACKOFF_CAP_MS; i++)
		ms *= 2;
	return ms < BACKOFF_CAP_MS ? ms : BACKOFF_CAP_MS;
}

enum backoff_verdict backoff_crash(struct backoff *b, uint64_t healthy_ms, uint32_t random, uint64_t *delay_ms)
{
	uint64_t ms;

	forgive(b, healthy_ms);
	b->crashes++;
	b->level += 1;
	if (b->level > BACKOFF_LEVEL)
		b->level = BACKOFF_LEVEL;
	ms = delay_at(b->level);
	*delay_ms = ms - (ms / 2) * random / UINT32_MAX;
	if (ms == 0)
		return BACKOFF_NOW;
	return ms < BACKOFF_CAP_MS ? BACKOFF_LATER : BACKOFF_OFTEN;
}

void backoff_ordered(struct backoff *b, uint64_t healthy_ms)
{
	forgive(b, healthy_ms);
	b->ordered++;
}
