#include "supervisor/core/events.h"
#include <assert.h>

const char *const event_words[EVENT_NKINDS] = {
#define X(id, word, doc) word,
	EVENT_KINDS(X)
#undef X
};

const struct event *events_add(struct events *s, const struct event *e)
{
	struct event *at = &s->ring[s->count % EVENTS_KEPT];

	*at = *e;
	at->seq = ++s->count;
	return at;
}

uint64_t events_first(const struct events *s, uint32_t limit)
{
	uint64_t kept = s->count < EVENTS_KEPT ? s->count : EVENTS_KEPT;

	return s->count - (kept < limit ? kept : limit) + 1;
}

const struct event *events_at(const struct events *s, uint64_t seq)
{
	assert(seq > 0 && seq <= s->count && s->count - seq < EVENTS_KEPT);
	return &s->ring[(seq - 1) % EVENTS_KEPT];
}
