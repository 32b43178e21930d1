#include "supervisor/core/role.h"
#include <assert.h>

#define C(state, actions)               \
	{                               \
		ROLE_##state, (actions) \
	}

struct cell {
	enum role_state next;
	unsigned act;
};

/* clang-format off */
/* A stop forgets who was ready, so nobody is promoted while closing; a start while closing waits for the old lead to leave,
 * whose life is ending whatever happens. Who takes the mutex leads, wanted or not: it cannot be refused any more. When
 * another leads, who led is dead; who was only named has lost nothing and may still be waiting. */
static const struct cell table[ROLE_NSTATES][ROLE_NCOLUMNS] = {
[ROLE_IDLE] = {
	[RC_START] = C(VACANT, RO_START),      [RC_STOP] = C(IDLE, 0),           [RC_SPAWN] = C(IDLE, RO_BUG),
	[RC_LEAD_READY] = C(IDLE, RO_BUG),     [RC_UNDERSTUDY_READY] = C(IDLE, 0),
	[RC_LEAD_LOST] = C(IDLE, RO_BUG),      [RC_LEAD_LOST_COVERED] = C(IDLE, RO_BUG),
	[RC_UNDERSTUDY_LOST] = C(IDLE, 0),     [RC_LEAD_TOOK] = C(IDLE, RO_BUG), [RC_OTHER_TOOK] = C(CLOSING, RO_TAKEN),
	[RC_TOOK_BEFORE] = C(IDLE, 0) },
[ROLE_VACANT] = {
	[RC_START] = C(VACANT, 0),             [RC_STOP] = C(IDLE, RO_STOP),     [RC_SPAWN] = C(ELECT, RO_APPOINT),
	[RC_LEAD_READY] = C(VACANT, RO_BUG),   [RC_UNDERSTUDY_READY] = C(ELECT, RO_PROMOTE),
	[RC_LEAD_LOST] = C(VACANT, RO_BUG),    [RC_LEAD_LOST_COVERED] = C(VACANT, RO_BUG),
	[RC_UNDERSTUDY_LOST] = C(VACANT, 0),   [RC_LEAD_TOOK] = C(VACANT, RO_BUG), [RC_OTHER_TOOK] = C(LED, RO_TAKEN | RO_SERVES),
	[RC_TOOK_BEFORE] = C(VACANT, 0) },
[ROLE_ELECT] = {
	[RC_START] = C(ELECT, 0),              [RC_STOP] = C(CLOSING, RO_STOP),  [RC_SPAWN] = C(ELECT, RO_SECOND),
	[RC_LEAD_READY] = C(LED, RO_SERVES),   [RC_UNDERSTUDY_READY] = C(ELECT, 0),
	[RC_LEAD_LOST] = C(VACANT, RO_VACATED), [RC_LEAD_LOST_COVERED] = C(ELECT, RO_VACATED | RO_PROMOTE),
	[RC_UNDERSTUDY_LOST] = C(ELECT, 0),    [RC_LEAD_TOOK] = C(LED, RO_TAKEN | RO_SERVES),
	[RC_OTHER_TOOK] = C(LED, RO_TAKEN | RO_SERVES), [RC_TOOK_BEFORE] = C(ELECT, 0) },
[ROLE_LED] = {
	[RC_START] = C(LED, 0),                [RC_STOP] = C(CLOSING, RO_STOP),  [RC_SPAWN] = C(LED, RO_SECOND),
	[RC_LEAD_READY] = C(LED, 0),           [RC_UNDERSTUDY_READY] = C(LED, 0),
	[RC_LEAD_LOST] = C(VACANT, RO_VACATED), [RC_LEAD_LOST_COVERED] = C(ELECT, RO_VACATED | RO_PROMOTE),
	[RC_UNDERSTUDY_LOST] = C(LED, 0),      [RC_LEAD_TOOK] = C(LED, RO_TAKEN),
	[RC_OTHER_TOOK] = C(LED, RO_VACATED | RO_TAKEN | RO_SERVES), [RC_TOOK_BEFORE] = C(LED, 0) },
[ROLE_CLOSING] = {
	[RC_START] = C(ELECT, RO_START),       [RC_STOP] = C(CLOSING, 0),        [RC_SPAWN] = C(CLOSING, RO_BUG),
	[RC_LEAD_READY] = C(CLOSING, 0),       [RC_UNDERSTUDY_READY] = C(CLOSING, 0),
	[RC_LEAD_LOST] = C(IDLE, RO_VACATED),  [RC_LEAD_LOST_COVERED] = C(CLOSING, RO_BUG),
	[RC_UNDERSTUDY_LOST] = C(CLOSING, 0),  [RC_LEAD_TOOK] = C(CLOSING, RO_TAKEN), [RC_OTHER_TOOK] = C(CLOSING, RO_TAKEN),
	[RC_TOOK_BEFORE] = C(CLOSING, 0) },
};
/* clang-format on */

void role_init(struct role *r)
{
	*r = (struct role){.state = ROLE_IDLE, .lead = ROLE_NOBODY};
}

/* The guards become columns, so the table stays complete. */
static enum role_column column(const struct role *r, enum role_event ev, int slot, uint64_t epoch)
{
	switch (ev) {
	case RV_START:
		return RC_START;
	case RV_STOP:
		return RC_STOP;
	case RV_SPAWN:
		return RC_SPAWN;
	case RV_READY:
		return slot == r->lead ? RC_LEAD_READY : RC_UNDERSTUDY_READY;
	case RV_WAITS:
		return RC_UNDERSTUDY_READY;
	case RV_LEADS:
		if (epoch <= r->taken)
			return RC_TOOK_BEFORE;
		return slot == r->lead ? RC_LEAD_TOOK : RC_OTHER_TOOK;
	default:
		if (slot != r->lead)
			return RC_UNDERSTUDY_LOST;
		return (r->ready & ~(1u << slot)) != 0 ? RC_LEAD_LOST_COVERED : RC_LEAD_LOST;
	}
}

static int lowest(uint32_t bits)
{
	int i = 0;

	assert(bits != 0);
	while ((bits & 1u) == 0) {
		bits >>= 1;
		i++;
	}
	return i;
}

/* Who is ready after this, before anybody is promoted. */
static uint32_t ready_after(const struct role *r, enum role_column col, int slot)
{
	switch (col) {
	case RC_UNDERSTUDY_READY:
		if (r->state == ROLE_IDLE || r->state == ROLE_CLOSING)
			return 0; /* it is on its way out */
		return r->ready | 1u << slot;
	case RC_LEAD_READY:
	case RC_LEAD_LOST:
	case RC_LEAD_LOST_COVERED:
	case RC_UNDERSTUDY_LOST:
	case RC_LEAD_TOOK:
	case RC_OTHER_TOOK:
	case RC_TOOK_BEFORE: /* and is dead by now */
		return r->ready & ~(1u << slot);
	case RC_STOP:
		return 0;
	default:
		return r->ready;
	}
}

static unsigned step(struct role *r, enum role_event ev, int slot, uint64_t epoch)
{
	enum role_column col;
	const struct cell *c;

	assert(ev < RV_SPAWN || (slot >= 0 && slot < ROLE_SLOTS));
	col = column(r, ev, slot, epoch);
	c = &table[r->state][col];
	assert(c->next != ROLE_NONE);
	r->ready = ready_after(r, col, slot);
	if (c->act & RO_VACATED)
		r->lead = ROLE_NOBODY;
	if (c->act & RO_APPOINT)
		r->lead = slot;
	if (c->act & RO_PROMOTE)
		r->lead = lowest(r->ready);
	if (c->act & (RO_APPOINT | RO_PROMOTE))
		r->epoch++;
	if (c->act & RO_TAKEN) {
		r->lead = slot;
		r->epoch = r->taken = epoch;
	}
	r->state = c->next;
	return c->act;
}

unsigned role_step(struct role *r, enum role_event ev, int slot)
{
	assert(ev != RV_LEADS);
	return step(r, ev, slot, 0);
}

unsigned role_leads(struct role *r, int slot, uint64_t epoch)
{
	return step(r, RV_LEADS, slot, epoch);
}

const char *role_state_name(enum role_state s)
{
	static const char *const names[ROLE_NSTATES] = {"NONE",
#define X(name, doc) #name,
							ROLE_STATES(X)
#undef X
	};
	return names[s];
}

const char *role_column_name(enum role_column c)
{
	static const char *const names[ROLE_NCOLUMNS] = {
#define X(name) #name,
		ROLE_COLUMNS(X)
#undef X
	};
	return names[c];
}

unsigned role_cell(enum role_state s, enum role_column c, enum role_state *next)
{
	*next = table[s][c].next;
	return table[s][c].act;
}
