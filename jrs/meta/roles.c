#include "jrs/meta/roles.h"
#include "common/base/clock.h"
#include "common/log/log.h"
#include "common/loop/loop.h"
#include "jrs/meta/analysis/giveup.h"
#include <inttypes.h>
#include <stdlib.h>

#define LOOK_MS   2000u
#define ANSWER_MS 2000u /* tribed answers at once or not at all */
#define EVENTS    200u  /* in one answer: must fit one packet of the channel */
/* What is older has been written by somebody, or never will be: memory-jr forgets requests after a day. */
#define OLD_MS (DECIDED_DAY_MS - DECIDED_HOUR_MS)

struct roles {
	struct jr *jr;
	struct decided *decided;
	struct loop_timer *timer;
	struct giveup seen;
	bool asking;
};

static const struct item_event *in_order(const struct list_event *all, uint32_t i)
{
	bool falling = all->n > 1 && all->v[0].seq > all->v[all->n - 1].seq;

	return &all->v[falling ? all->n - 1 - i : i];
}

static void on_events(void *arg, int r, const void *res, const struct tr_fault *fault)
{
	const struct res_events *events = res;
	int64_t now = tr_wall_ms();
	struct roles *roles = arg;
	struct giveup_said said;
	uint32_t i;

	(void)fault;
	roles->asking = false;
	if (r < 0 || events->events.n == 0)
		return;
	if (roles->seen.seq == 0)
		log_info("tribed's events are read from seq=%" PRIu64 " on", in_order(&events->events, 0)->seq);
	if (in_order(&events->events, events->events.n - 1)->seq < roles->seen.seq)
		giveup_begin(&roles->seen); /* another tribed */
	for (i = 0; i < events->events.n; i++) {
		if (giveup_see(&roles->seen, in_order(&events->events, i), &said) && now - said.at_ms < OLD_MS)
			decided_say(roles->decided, said.topic, DECIDED_HOUR_MS, said.at_ms, "%s", said.text);
	}
}

static void look(void *arg)
{
	const struct msg_events ask = {.has_limit = true, .limit = EVENTS};
	struct roles *r = arg;

	if (!r->asking)
		r->asking = jr_ask_supervisor(r->jr, MSG_events, &ask, ANSWER_MS, on_events, r) == 0;
}

int roles_new(struct roles **out, struct jr *jr, struct decided *decided)
{
	struct roles *r = calloc(1, sizeof(*r));
	int err;

	if (r == NULL)
		return TR_ENOMEM;
	r->jr = jr;
	r->decided = decided;
	if ((err = loop_timer_new(&r->timer, jr_loop(jr), look, r)) < 0) {
		free(r);
		return err;
	}
	*out = r;
	return 0;
}

void roles_start(struct roles *r)
{
	(void)loop_timer_start(r->timer, 0, LOOK_MS);
}

void roles_free(struct roles **rp)
{
	struct roles *r = rp == NULL ? NULL : *rp;

	if (r == NULL)
		return;
	loop_timer_free(&r->timer);
	free(r);
	*rp = NULL;
}
