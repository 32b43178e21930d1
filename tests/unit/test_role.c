/* supervisor/core/role: the table is complete; three slots, every order of events, never two leads. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "supervisor/core/role.h"

#define SLOTS 3

/* What the shell would know of a slot's process. */
enum life { NONE, STARTING, READY, LEAVING };
struct world {
	struct role r;
	enum life life[SLOTS];
	int wanted;
};

static unsigned long seen[ROLE_NSTATES][ROLE_NCOLUMNS], wrong, steps;

static void every_cell_is_written(void **state)
{
	(void)state;
	for (int s = ROLE_IDLE; s < ROLE_NSTATES; s++)
		for (int c = 0; c < ROLE_NCOLUMNS; c++) {
			enum role_state next;

			role_cell((enum role_state)s, (enum role_column)c, &next);
			if (next == ROLE_NONE)
				fail_msg("cell %s x %s is not written", role_state_name((enum role_state)s),
					 role_column_name((enum role_column)c));
		}
}

static int possible(const struct world *w, int ev, int slot)
{
	switch (ev) {
	case RV_SPAWN:
		return w->wanted && w->life[slot] == NONE;
	case RV_READY: /* an understudy says it is ready once; a promoted one says that it leads */
		return w->life[slot] == STARTING || (w->life[slot] == READY && w->r.lead == slot);
	case RV_LOST:
		return w->life[slot] != NONE;
	default:
		return slot == 0; /* start and stop have no slot: once is enough */
	}
}

static void note_column(const struct world *w, int ev, int slot)
{
	enum role_column c;

	switch (ev) {
	case RV_START:
		c = RC_START;
		break;
	case RV_STOP:
		c = RC_STOP;
		break;
	case RV_SPAWN:
		c = RC_SPAWN;
		break;
	case RV_READY:
		c = w->r.lead == slot ? RC_LEAD_READY : RC_UNDERSTUDY_READY;
		break;
	default:
		c = w->r.lead != slot ? RC_UNDERSTUDY_LOST : w->r.ready ? RC_LEAD_LOST_COVERED : RC_LEAD_LOST;
		break;
	}
	seen[w->r.state][c]++;
}

static void live(struct world *w, int ev, int slot)
{
	switch (ev) {
	case RV_START:
		w->wanted = 1;
		break;
	case RV_STOP:
		w->wanted = 0;
		for (int i = 0; i < SLOTS; i++)
			if (w->life[i] != NONE)
				w->life[i] = LEAVING;
		break;
	case RV_SPAWN:
		w->life[slot] = STARTING;
		break;
	case RV_READY:
		w->life[slot] = READY;
		break;
	default:
		w->life[slot] = NONE;
		break;
	}
}

static unsigned judge(const struct world *w, const struct world *n, unsigned act, int ev, int slot)
{
	unsigned bad = 0, leads = (act & RO_APPOINT ? 1u : 0) + (act & RO_PROMOTE ? 1u : 0);
	int had_lead = w->r.lead != ROLE_NOBODY, lead_lost = ev == RV_LOST && slot == w->r.lead;
	int covered = 0;

	bad += (act & RO_BUG) != 0;
	bad += n->r.epoch != w->r.epoch + leads;    /* one more for each lead, exactly */
	bad += leads > 0 && had_lead && !lead_lost; /* never two leads */
	bad += leads > 1;
	bad += !!(act & RO_VACATED) != lead_lost;
	bad += leads == 0 && !lead_lost && n->r.lead != w->r.lead;
	bad += n->r.lead != ROLE_NOBODY && n->life[n->r.lead] == NONE; /* a lead has a process */
	bad += (act & RO_PROMOTE) && n->life[n->r.lead] != READY;      /* only one that could lead at once */
	bad += leads > 0 && !n->wanted;                                /* nobody is promoted while closing */
	bad += ev == RV_SPAWN && !(act & RO_APPOINT) == !(act & RO_SECOND);
	bad += ev != RV_SPAWN && (act & (RO_APPOINT | RO_SECOND));
	for (int i = 0; i < SLOTS; i++)
		covered |= n->life[i] == READY && i != n->r.lead;
	bad += n->wanted && covered && n->r.lead == ROLE_NOBODY; /* who could lead, does */
	bad += (n->r.lead == ROLE_NOBODY) != (n->r.state == ROLE_IDLE || n->r.state == ROLE_VACANT);
	bad += n->wanted == (n->r.state == ROLE_IDLE || n->r.state == ROLE_CLOSING);
	bad += n->r.state == ROLE_LED && n->life[n->r.lead] != READY;
	return bad;
}

static void walk(const struct world *w, int depth)
{
	if (depth == 0)
		return;
	for (int ev = 0; ev < ROLE_NEVENTS; ev++)
		for (int slot = 0; slot < SLOTS; slot++) {
			struct world n = *w;
			unsigned act;

			if (!possible(w, ev, slot))
				continue;
			note_column(w, ev, slot);
			act = role_step(&n.r, (enum role_event)ev, slot);
			live(&n, ev, slot);
			steps++;
			wrong += judge(w, &n, act, ev, slot);
			if (wrong != 0) {
				print_error("%s, event %d slot %d -> %s act %x lead %d -> %d epoch %ju\n",
					    role_state_name(w->r.state), ev, slot, role_state_name(n.r.state), act,
					    w->r.lead, n.r.lead, (uintmax_t)n.r.epoch);
				return;
			}
			walk(&n, depth - 1);
			if (wrong != 0)
				return;
		}
}

static void every_order_has_one_lead(void **state)
{
	struct world w = {.wanted = 0};

	(void)state;
	role_init(&w.r);
	walk(&w, 8);
	assert_int_equal(wrong, 0);
	print_message("%lu steps\n", steps);
	for (int s = ROLE_IDLE; s < ROLE_NSTATES; s++)
		for (int c = 0; c < ROLE_NCOLUMNS; c++) {
			enum role_state next;
			unsigned act = role_cell((enum role_state)s, (enum role_column)c, &next);

			if (seen[s][c] != 0 && (act & RO_BUG))
				fail_msg("a BUG cell was reached: %s x %s", role_state_name((enum role_state)s),
					 role_column_name((enum role_column)c));
			if (seen[s][c] == 0 && !(act & RO_BUG) && !(s == ROLE_IDLE && c == RC_UNDERSTUDY_READY) &&
			    !(s == ROLE_CLOSING && (c == RC_LEAD_READY || c == RC_UNDERSTUDY_READY)))
				fail_msg("never walked: %s x %s", role_state_name((enum role_state)s),
					 role_column_name((enum role_column)c));
		}
}

static void recovery_by_spawn(void **state)
{
	struct role r;

	(void)state;
	role_init(&r);
	assert_int_equal(role_step(&r, RV_START, 0), RO_START);
	assert_int_equal(role_step(&r, RV_SPAWN, 0), RO_APPOINT);
	assert_int_equal(r.epoch, 1);
	assert_int_equal(role_step(&r, RV_READY, 0), RO_SERVES);
	assert_int_equal(role_step(&r, RV_LOST, 0), RO_VACATED);
	assert_int_equal(role_step(&r, RV_SPAWN, 0), RO_APPOINT);
	assert_int_equal(r.epoch, 2);
	assert_int_equal(role_step(&r, RV_STOP, 0), RO_STOP);
	assert_int_equal(role_step(&r, RV_LOST, 0), RO_VACATED);
	assert_int_equal(r.state, ROLE_IDLE);
}

static void recovery_by_promotion(void **state)
{
	struct role r;

	(void)state;
	role_init(&r);
	role_step(&r, RV_START, 0);
	role_step(&r, RV_SPAWN, 0);
	assert_int_equal(role_step(&r, RV_SPAWN, 1), RO_SECOND);
	role_step(&r, RV_READY, 0);
	assert_int_equal(role_step(&r, RV_READY, 1), 0);
	assert_int_equal(role_step(&r, RV_LOST, 0), RO_VACATED | RO_PROMOTE);
	assert_int_equal(r.lead, 1);
	assert_int_equal(r.epoch, 2);
	assert_int_equal(r.state, ROLE_ELECT);
	assert_int_equal(role_step(&r, RV_SPAWN, 0), RO_SECOND);
	assert_int_equal(role_step(&r, RV_READY, 1), RO_SERVES);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_cell_is_written),
		cmocka_unit_test(every_order_has_one_lead),
		cmocka_unit_test(recovery_by_spawn),
		cmocka_unit_test(recovery_by_promotion),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
