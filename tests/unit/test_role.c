/* supervisor/core/role: the table is complete; three slots, every order of events, never two leads; and three slots
 * that wait for a mutex, of which the table hears late and in any order. */
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
	case RV_WAITS:
	case RV_LEADS:
		return 0; /* this role has no mutex */
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
		c = w->r.lead != slot                   ? RC_UNDERSTUDY_LOST
		    : (w->r.ready & ~(1u << slot)) != 0 ? RC_LEAD_LOST_COVERED
							: RC_LEAD_LOST;
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
}

/* ---- a role with a mutex: what is, and what the table has been told ---- */

enum truth { ABSENT, BORN, WAITS, HOLDS, DEAD };
struct mutexed {
	struct role r;
	int wanted, holder;
	uint64_t page;
	enum truth truth[SLOTS];
	int hello[SLOTS];      /* said and not read */
	uint64_t took[SLOTS];  /* the same, its epoch; 0: nothing */
	int waiting[SLOTS];    /* as far as was read */
	unsigned long told[4]; /* overtaken, replaced, late, promoted */
};
enum { OVERTAKEN, REPLACED, LATE, PROMOTED };

static uint32_t dice(uint32_t *seed, uint32_t sides)
{
	*seed = *seed * 1664525u + 1013904223u;
	return (*seed >> 8) % sides;
}

static unsigned tell_table(struct mutexed *m, enum role_event ev, int slot)
{
	struct role before = m->r;
	enum role_column c;
	unsigned act, bad = 0;
	int covered = 0;

	if (ev == RV_LEADS)
		c = m->took[slot] <= before.taken ? RC_TOOK_BEFORE : slot == before.lead ? RC_LEAD_TOOK : RC_OTHER_TOOK;
	else if (ev == RV_WAITS)
		c = RC_UNDERSTUDY_READY;
	if (ev == RV_LEADS || ev == RV_WAITS)
		seen[before.state][c]++;
	else
		note_column(&(struct world){.r = before}, ev, slot);
	act = ev == RV_LEADS ? role_leads(&m->r, slot, m->took[slot]) : role_step(&m->r, ev, slot);
	steps++;
	if (ev == RV_START || ev == RV_STOP)
		m->wanted = ev == RV_START;
	if (ev == RV_WAITS || ev == RV_LEADS || ev == RV_LOST)
		m->waiting[slot] = ev == RV_WAITS;
	if (ev == RV_STOP) /* a stop forgets; those that are on their way out may still say hello */
		for (int i = 0; i < SLOTS; i++)
			m->waiting[i] = 0;
	if (ev == RV_WAITS && !m->wanted)
		m->waiting[slot] = 0;
	m->told[OVERTAKEN] += before.state == ROLE_ELECT && c == RC_OTHER_TOOK && ev == RV_LEADS;
	m->told[REPLACED] += ev == RV_LEADS && (act & RO_VACATED);
	m->told[LATE] += ev == RV_LEADS && !(act & RO_TAKEN);
	m->told[PROMOTED] += (act & RO_PROMOTE) != 0;
	bad += (act & RO_BUG) != 0;
	bad += (act & RO_TAKEN) && (m->r.lead != slot || m->r.epoch != m->took[slot]);
	bad += (act & RO_PROMOTE) && !m->waiting[m->r.lead];
	bad += (act & (RO_PROMOTE | RO_APPOINT)) && before.lead != ROLE_NOBODY && m->truth[before.lead] != ABSENT;
	bad += ev == RV_LEADS && (act & RO_VACATED) && m->truth[before.lead] != DEAD;
	bad += m->r.taken < before.taken;
	bad += m->wanted == (m->r.state == ROLE_IDLE || m->r.state == ROLE_CLOSING);
	for (int i = 0; i < SLOTS; i++) {
		covered |= m->waiting[i];
		bad += !!(m->r.ready >> i & 1) != m->waiting[i];
	}
	bad += m->wanted && covered && m->r.lead == ROLE_NOBODY;
	if (bad != 0)
		print_error("%s, event %d slot %d -> %s act %x lead %d -> %d epoch %ju\n",
			    role_state_name(before.state), (int)ev, slot, role_state_name(m->r.state), act, before.lead,
			    m->r.lead, (uintmax_t)m->r.epoch);
	wrong += bad;
	return act;
}

/* What befalls one slot, of which the table is told nothing yet. */
static void happen(struct mutexed *m, int slot, uint32_t what)
{
	if (m->truth[slot] == BORN && what < 4) {
		m->truth[slot] = WAITS;
		m->hello[slot] = 1;
	} else if (m->truth[slot] == WAITS && m->holder == ROLE_NOBODY && what < 4) {
		m->truth[slot] = HOLDS;
		m->holder = slot;
		m->took[slot] = ++m->page;
	} else if (m->truth[slot] != ABSENT && m->truth[slot] != DEAD && what == 4) {
		m->truth[slot] = DEAD;
		if (m->holder == slot)
			m->holder = ROLE_NOBODY;
	}
}

/* What the table hears of one slot: its channel in order, its death at any time, and then nothing more. */
static void hear(struct mutexed *m, int slot, uint32_t what)
{
	if (m->truth[slot] == ABSENT) {
		if (!m->wanted)
			return;
		m->truth[slot] = BORN;
		tell_table(m, RV_SPAWN, slot);
	} else if (m->truth[slot] == DEAD && what == 0) {
		m->truth[slot] = ABSENT;
		m->hello[slot] = 0;
		m->took[slot] = 0;
		tell_table(m, RV_LOST, slot);
	} else if (m->hello[slot]) {
		m->hello[slot] = 0;
		tell_table(m, RV_WAITS, slot);
	} else if (m->took[slot] != 0) {
		tell_table(m, RV_LEADS, slot);
		m->took[slot] = 0;
	}
}

static int all_heard(const struct mutexed *m)
{
	for (int i = 0; i < SLOTS; i++)
		if (m->truth[i] == DEAD || m->hello[i] || m->took[i] != 0)
			return 0;
	return 1;
}

static void the_mutex_decides(void **state)
{
	struct mutexed m = {.holder = ROLE_NOBODY};
	uint32_t seed = 1;

	(void)state;
	role_init(&m.r);
	for (unsigned long i = 0; i < 3000000 && wrong == 0; i++) {
		int slot = (int)dice(&seed, SLOTS);

		if (dice(&seed, 30) == 0)
			tell_table(&m, m.wanted ? RV_STOP : RV_START, 0);
		else if (dice(&seed, 2) == 0)
			happen(&m, slot, dice(&seed, 5));
		else
			hear(&m, slot, dice(&seed, 3));
		if (m.holder != ROLE_NOBODY && all_heard(&m))
			wrong += m.r.lead != m.holder || m.r.taken != m.page;
	}
	assert_int_equal(wrong, 0);
	print_message("overtaken %lu, replaced %lu, late %lu, promoted %lu\n", m.told[OVERTAKEN], m.told[REPLACED],
		      m.told[LATE], m.told[PROMOTED]);
	for (int i = 0; i < 4; i++)
		assert_int_not_equal(m.told[i], 0);
}

static void every_cell_was_walked(void **state)
{
	(void)state;
	for (int s = ROLE_IDLE; s < ROLE_NSTATES; s++)
		for (int c = 0; c < ROLE_NCOLUMNS; c++) {
			enum role_state next;
			unsigned act = role_cell((enum role_state)s, (enum role_column)c, &next);

			if (seen[s][c] != 0 && (act & RO_BUG))
				fail_msg("a BUG cell was reached: %s x %s", role_state_name((enum role_state)s),
					 role_column_name((enum role_column)c));
			if (seen[s][c] == 0 && !(act & RO_BUG) && !(s == ROLE_CLOSING && c == RC_LEAD_READY) &&
			    !(s == ROLE_LED && c == RC_LEAD_TOOK)) /* only a Jr that repeats itself does that */
				fail_msg("never walked: %s x %s", role_state_name((enum role_state)s),
					 role_column_name((enum role_column)c));
		}
}

static void the_kernel_is_first(void **state)
{
	struct role r;

	(void)state;
	role_init(&r);
	role_step(&r, RV_START, 0);
	role_step(&r, RV_SPAWN, 0);
	role_step(&r, RV_SPAWN, 1);
	assert_int_equal(role_step(&r, RV_WAITS, 0), 0);
	/* the page is older than this table */
	assert_int_equal(role_leads(&r, 0, 7), RO_TAKEN | RO_SERVES);
	assert_int_equal(r.epoch, 7);
	assert_int_equal(role_step(&r, RV_WAITS, 1), 0);
	assert_int_equal(role_leads(&r, 1, 8), RO_VACATED | RO_TAKEN | RO_SERVES); /* 0 is dead, SIGCHLD comes later */
	assert_int_equal(role_leads(&r, 0, 7), 0);
	assert_int_equal(role_step(&r, RV_LOST, 0), 0);
	assert_int_equal(r.lead, 1);
	assert_int_equal(r.epoch, 8);
	assert_int_equal(role_step(&r, RV_SPAWN, 0), RO_SECOND);
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
		cmocka_unit_test(every_cell_is_written), cmocka_unit_test(every_order_has_one_lead),
		cmocka_unit_test(the_mutex_decides),     cmocka_unit_test(every_cell_was_walked),
		cmocka_unit_test(the_kernel_is_first),   cmocka_unit_test(recovery_by_spawn),
		cmocka_unit_test(recovery_by_promotion),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
