#include "jrs/executive/api/shed.h"

#define REST_MS (20 * SHED_WINDOW_MS) /* without a call: what was learned is forgotten */

static void begin_window(struct shed *s, uint64_t now_ms)
{
	s->since_ms = now_ms;
	s->best_ms = UINT32_MAX;
	s->answered = 0;
}

void shed_init(struct shed *s, uint32_t target_ms, uint64_t now_ms)
{
	*s = (struct shed){.target_ms = target_ms, .limit = SHED_NO_LIMIT};
	begin_window(s, now_ms);
}

bool shed_admits(const struct shed *s)
{
	return s->inflight < s->limit;
}

void shed_begin(struct shed *s)
{
	s->inflight++;
}

/* elapsed_ms: of the window that ends */
static void judge(struct shed *s, uint64_t elapsed_ms)
{
	uint64_t fits = (uint64_t)s->answered * s->target_ms / elapsed_ms;

	if (s->best_ms > s->target_ms) {
		fits = fits < SHED_LEAST ? SHED_LEAST : fits;
		s->limit = fits < s->limit ? (unsigned)fits : s->limit;
	} else if (s->limit != SHED_NO_LIMIT) {
		s->limit += s->limit / 8 + 1;
		if (s->limit > SHED_MOST)
			s->limit = SHED_NO_LIMIT;
	}
}

void shed_end(struct shed *s, bool good, uint64_t took_ms, uint64_t now_ms)
{
	uint64_t elapsed_ms = now_ms - s->since_ms;

	s->inflight--;
	if (s->target_ms == 0)
		return;
	if (good && took_ms < s->best_ms)
		s->best_ms = (uint32_t)took_ms;
	s->answered += good;
	if (elapsed_ms < SHED_WINDOW_MS)
		return;
	if (elapsed_ms > REST_MS && s->best_ms <= s->target_ms)
		s->limit = SHED_NO_LIMIT;
	else if (s->answered > 0)
		judge(s, elapsed_ms);
	begin_window(s, now_ms);
}
