#include "supervisor/core/succession.h"

void succession_led(struct succession *s, bool takeover, uint64_t now_ms)
{
	s->led = true;
	s->calm_ms = takeover ? now_ms + RESPAWN_MS : 0;
}

void succession_vacant(struct succession *s, uint64_t now_ms)
{
	s->led = false;
	s->vacant_ms = now_ms;
	s->calm_ms = 0;
}

uint64_t succession_calm(const struct succession *s, uint64_t now_ms)
{
	return s->led && s->calm_ms > now_ms ? s->calm_ms - now_ms : 0;
}

bool succession_stuck(const struct succession *s, uint64_t up_ms, uint32_t hang_after_ms, uint64_t now_ms)
{
	uint64_t since = s->vacant_ms > up_ms ? s->vacant_ms : up_ms;
	uint64_t patience = hang_after_ms > STUCK_MIN_MS ? hang_after_ms : STUCK_MIN_MS;

	return !s->led && now_ms >= since + patience;
}
