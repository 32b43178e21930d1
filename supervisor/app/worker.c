#include "supervisor/app/worker.h"
#include "common/base/clock.h"
#include "common/base/err.h"
#include "common/log/log.h"
#include <assert.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

_Static_assert(WORKER_COPIES <= ROLE_SLOTS, "a bit for each");

static const char *api_name(const struct worker *w)
{
	return tr_roles[w->id].api_name;
}

/* ---- what is ---- */

bool worker_wanted(const struct worker *w)
{
	return w->role.state != ROLE_IDLE && w->role.state != ROLE_CLOSING;
}

struct copy *worker_lead(struct worker *w)
{
	return w->role.lead == ROLE_NOBODY ? NULL : &w->copies[w->role.lead];
}

bool worker_serves(const struct worker *w)
{
	return w->role.state == ROLE_LED && w->copies[w->role.lead].lc.state == LC_UP;
}

bool worker_down(const struct worker *w)
{
	for (int i = 0; i < WORKER_COPIES; i++)
		if (w->copies[i].lc.state != LC_DOWN)
			return false;
	return !worker_wanted(w);
}

/* How much of the role a process without a lead stands for. */
static int standing(const struct copy *c)
{
	return c->lc.state == LC_UP                ? 5
	       : c->lc.state == LC_STARTING        ? 4
	       : lc_alive(c->lc.state)             ? 3
	       : copy_waits(c)                     ? 2
	       : c->generation == c->w->generation ? 1
						   : 0;
}

const struct copy *worker_face(const struct worker *w)
{
	const struct copy *best = &w->copies[0];

	if (w->role.lead != ROLE_NOBODY)
		return &w->copies[w->role.lead];
	for (int i = 1; i < WORKER_COPIES; i++) {
		const struct copy *c = &w->copies[i];
		int more = standing(c) - standing(best);

		if (more > 0 || (more == 0 && copy_waits(c) && c->lc.wake_ms < best->lc.wake_ms))
			best = c;
	}
	return best;
}

const char *worker_word(const struct worker *w)
{
	const struct copy *c = worker_face(w);

	if (c->lc.state == LC_UP && !worker_wanted(w))
		return lc_word(LC_STOPPING); /* those behind it leave first */
	if (c->lc.state == LC_UP && w->role.state != ROLE_LED)
		return lc_word(LC_STARTING); /* it has not said that it leads */
	return lc_word(c->lc.state);
}

struct copy *worker_understudy(struct worker *w)
{
	for (int i = 0; i < WORKER_COPIES; i++)
		if (i != w->role.lead && (w->role.ready >> i & 1u) != 0 && w->copies[i].lc.state == LC_UP)
			return &w->copies[i];
	return NULL;
}

struct copy *worker_find(struct worker *w, uint32_t generation)
{
	for (int i = 0; i < WORKER_COPIES; i++)
		if (w->copies[i].proc != NULL && w->copies[i].generation == generation)
			return &w->copies[i];
	return NULL;
}

static unsigned wanted_copies(const struct worker *w)
{
	return 1 + w->env->cfg->understudies[w->id];
}

/* Slots in use; those that leave are until they are gone, so there are never more processes than were asked for. */
static unsigned count_used(const struct worker *w)
{
	unsigned n = 0;

	for (int i = 0; i < WORKER_COPIES; i++)
		n += w->copies[i].lc.state != LC_DOWN;
	return n;
}

unsigned worker_missing(const struct worker *w)
{
	unsigned used = count_used(w), wanted = wanted_copies(w);

	return w->role.state == ROLE_LED && used < wanted ? wanted - used : 0;
}

const struct copy *worker_stuck(const struct worker *w)
{
	const struct copy *waits = NULL;

	for (int i = 0; i < WORKER_COPIES; i++) {
		if (copy_waits(&w->copies[i]))
			waits = &w->copies[i];
		else if (lc_alive(w->copies[i].lc.state) && w->role.state == ROLE_VACANT)
			return NULL; /* that one may come up */
	}
	return w->rolling || w->role.state == ROLE_VACANT ? waits : NULL;
}

bool worker_current(const struct worker *w)
{
	for (int i = 0; i < WORKER_COPIES; i++) {
		const struct copy *c = &w->copies[i];

		if (c->lc.state != LC_DOWN && (c->lc.state != LC_UP || c->revision != w->env->launch->revision))
			return false;
	}
	return worker_serves(w) && !w->rolling && count_used(w) == wanted_copies(w);
}

bool worker_fresh(const struct worker *w, uint64_t now_ms)
{
	const struct copy *c = worker_face(w);

	return worker_serves(w) && c->has_beat && now_ms - c->heard_ms <= c->hang_after_ms;
}

uint64_t worker_restarts(const struct worker *w)
{
	uint64_t n = 0;

	for (int i = 0; i < NDEATHS; i++)
		n += w->restarts[i];
	return n;
}

unsigned worker_exits(const struct worker *w)
{
	unsigned n = 0;

	for (int i = 0; i < WORKER_COPIES; i++)
		n = w->copies[i].exits > n ? w->copies[i].exits : n;
	return n;
}

/* ---- what should be: looks only at what is, so it may be done at any time ---- */

static void end_all(struct worker *w)
{
	bool others = false;

	for (int i = 0; i < WORKER_COPIES; i++) {
		struct copy *c = &w->copies[i];

		if (i == w->role.lead)
			continue;
		if (c->lc.state != LC_DOWN && !copy_leaves(c))
			copy_step(c, EV_STOP);
		others = others || c->lc.state != LC_DOWN;
	}
	if (!others && w->role.lead != ROLE_NOBODY && !copy_leaves(&w->copies[w->role.lead]))
		copy_step(&w->copies[w->role.lead], EV_STOP);
}

/* The slot of a death that no life has followed yet goes first: that one is counted with its start. */
static void start_one(struct worker *w)
{
	struct copy *best = NULL;

	for (int i = 0; i < WORKER_COPIES; i++) {
		struct copy *c = &w->copies[i];

		if (c->lc.state == LC_DOWN && (best == NULL || (best->why == DEATH_NONE && c->why != DEATH_NONE)))
			best = c;
	}
	if (best != NULL)
		copy_step(best, EV_START);
}

/* Those that wait for their start go first, then the newest. */
static void end_one(struct worker *w)
{
	struct copy *best = NULL;

	for (int i = 0; i < WORKER_COPIES; i++) {
		struct copy *c = &w->copies[i];

		if (c->lc.state == LC_DOWN || i == w->role.lead)
			continue;
		if (copy_leaves(c))
			return; /* one is on its way */
		if (best == NULL || copy_waits(c) > copy_waits(best) ||
		    (copy_waits(c) == copy_waits(best) && c->generation > best->generation))
			best = c;
	}
	if (best == NULL)
		return;
	copy_step(best, EV_STOP);
	best->why = DEATH_NONE;
}

static bool anybody(const struct worker *w)
{
	for (int i = 0; i < WORKER_COPIES; i++)
		if (w->copies[i].lc.state == LC_STARTING || w->copies[i].lc.state == LC_UP)
			return true;
	return false;
}

static void fill(struct worker *w)
{
	unsigned used = count_used(w), wanted = wanted_copies(w);
	uint64_t calm_ms = succession_calm(&w->succession, tr_mono_ms());

	if (used < wanted && w->role.state == ROLE_LED && calm_ms > 0)
		loop_timer_start(w->respawn, calm_ms, 0);
	else if (used < wanted && (w->role.state == ROLE_LED || (w->role.state == ROLE_VACANT && !anybody(w))))
		start_one(w); /* and tells of it, so the next one follows */
	else if (used > wanted && w->role.state == ROLE_LED)
		end_one(w);
}

static void replace(struct copy *c)
{
	c->why = c->w->roll_why;
	copy_tell(c, EVENT_STOP,
		  c->why == DEATH_RELOAD ? "to start again with the new configuration" : "to start again");
	copy_step(c, EV_STOP);
}

/* One after the other, and the lead when there is somebody to take over. */
static void roll(struct worker *w)
{
	struct copy *lead = worker_lead(w), *next = NULL;
	unsigned alive = 0;

	for (int i = 0; i < WORKER_COPIES && w->rolling; i++) {
		struct copy *c = &w->copies[i];
		bool old = c->generation <= w->roll_upto;

		if (copy_leaves(c) || copy_waits(c) || c->lc.state == LC_KILLING ||
		    (c->lc.state == LC_STARTING && !old))
			return;
		alive += lc_alive(c->lc.state) != 0;
		if (lc_alive(c->lc.state) && old && c != lead)
			next = c;
	}
	if (!w->rolling || (next == NULL && alive < wanted_copies(w)) || lead == NULL)
		return;
	if (next == NULL && lead->generation <= w->roll_upto)
		next = lead;
	if (next != NULL)
		replace(next);
	else if (w->role.state == ROLE_LED)
		w->rolling = false;
}

void worker_changed(struct worker *w)
{
	w->again = true;
	if (w->adjusting)
		return;
	w->adjusting = true;
	while (w->again) {
		w->again = false;
		if (worker_wanted(w)) {
			fill(w);
			roll(w);
		} else {
			end_all(w);
		}
	}
	w->adjusting = false;
	avail_step(&w->avail, worker_serves(w), tr_mono_ms());
	w->env->ops->on_change(w->env->arg, w);
}

/* ---- told by the copies ---- */

void worker_spawns(struct copy *c)
{
	struct worker *w = c->w;
	unsigned act = role_step(&w->role, RV_SPAWN, c->slot);

	assert(act & (RO_APPOINT | RO_SECOND));
	(void)act;
	c->generation = c->adopt != NULL ? c->adopt->generation : w->generation + 1;
	if (c->generation > w->generation)
		w->generation = c->generation;
	c->epoch = 0;
	c->reign = (struct reign){.led = false};
	if (c->why != DEATH_NONE)
		w->restarts[c->why]++;
	c->why = DEATH_NONE;
}

/* A drill has waited for this. */
static void hit(struct copy *c, int when)
{
	if ((int)c->w->hit != when)
		return;
	c->w->hit = HIT_NOBODY;
	(void)copy_hit(c, SIGKILL, &(uint64_t){0});
}

void worker_hello(struct copy *c)
{
	struct worker *w = c->w;

	role_step(&w->role, RV_WAITS, c->slot);
	if (w->role.lead != c->slot)
		copy_tell(c, EVENT_WAITS, NULL);
	hit(c, HIT_HELLO);
}

/* The page says who took the mutex last; what is said later than it was true is older than that. */
static bool is_true(const struct copy *c, const struct msg_lead *m)
{
	const struct lead_page *page = c->w->env->launch->lead[c->w->id];
	uint64_t last = lead_page_epoch(page);

	if (m->epoch != last)
		return m->epoch < last;
	return atomic_load(&page->pid) == m->pid && atomic_load(&page->generation) == m->generation;
}

/* Counts how long the role was away, when both ends are known. */
static double settle_account(struct worker *w, struct reign *r, enum death why)
{
	double s = reign_away_s(r);

	if (s < 0 || why == DEATH_NONE)
		return -1;
	recovery_add(&w->recoveries[why], s);
	log_info("jr was away jr=%s away_ms=%.3f cause=%s", api_name(w), s * 1e3, death_names[why]);
	*r = (struct reign){.led = false};
	return s;
}

static void tell_takeover(struct copy *c, double away_s)
{
	uint64_t age_ms = tr_mono_ms() - c->spawned_ms;
	char text[96];

	copy_tell(c, EVENT_PROMOTE, NULL);
	log_info("jr leads jr=%s pid=%d generation=%" PRIu32 " epoch=%" PRIu64 " age_ms=%" PRIu64, api_name(c->w),
		 proc_pid(c->proc), c->generation, c->epoch, age_ms);
	if (away_s < 0)
		(void)snprintf(text, sizeof(text), "after %" PRIu64 " ms", age_ms);
	else
		(void)snprintf(text, sizeof(text), "after %" PRIu64 " ms, was away for %.2f ms", age_ms, away_s * 1e3);
	copy_tell(c, EVENT_READY, text);
}

void worker_takes(struct copy *c, const struct msg_lead *m)
{
	struct worker *w = c->w;
	uint64_t before = w->role.taken;
	double away_s = -1;
	unsigned act;

	if (!is_true(c, m)) {
		log_warn("jr.lead dropped: the role's page says otherwise jr=%s pid=%d epoch=%" PRIu64, api_name(w),
			 proc_pid(c->proc), m->epoch);
		return;
	}
	act = role_leads(&w->role, c->slot, m->epoch);
	assert(!(act & RO_BUG));
	c->epoch = m->epoch;
	c->lead_ns = m->monotonic_ns;
	c->reign.led = true;
	if (!(act & RO_TAKEN)) { /* it was true before that of the present lead, and comes late */
		const struct copy *lead = worker_lead(w);

		if (lead != NULL && lead->reign.led)
			reign_over(&c->reign, 0, lead->lead_ns);
		return;
	}
	for (int i = 0; i < WORKER_COPIES; i++)
		if (i != c->slot)
			reign_over(&w->copies[i].reign, m->since_ns, m->monotonic_ns);
	if (w->lost.open) {
		reign_over(&w->lost.reign, m->since_ns, m->monotonic_ns);
		away_s = settle_account(w, &w->lost.reign, w->lost.why);
		w->lost.open = false;
	}
	succession_led(&w->succession, before > 0, tr_mono_ms());
	tell_takeover(c, away_s);
	hit(c, HIT_LEAD);
	worker_changed(w);
}

double worker_reaped(struct copy *c)
{
	struct worker *w = c->w;

	if (!c->reign.led)
		return -1;
	if (c->reign.back_ns != 0)
		return settle_account(w, &c->reign, c->why);
	if (!w->lost.open) {
		w->lost.open = true;
		w->lost.reign = c->reign;
		w->lost.why = c->why;
	}
	return -1;
}

void worker_gone(struct copy *c)
{
	if (role_step(&c->w->role, RV_LOST, c->slot) & RO_VACATED)
		succession_vacant(&c->w->succession, tr_mono_ms());
}

/* Somebody else that has the mutex by its page: its own beats or silence will tell. */
static bool another_holds(const struct copy *c)
{
	const struct lead_page *page = c->w->env->launch->lead[c->w->id];
	const struct copy *holder = worker_find(c->w, atomic_load(&page->generation));

	return holder != NULL && holder != c && (uint32_t)proc_pid(holder->proc) == atomic_load(&page->pid);
}

bool worker_stuck_at(struct copy *c, uint64_t now_ms)
{
	struct worker *w = c->w;

	if (!worker_wanted(w) || w->role.state == ROLE_LED || c->lc.state != LC_UP || another_holds(c) ||
	    !succession_stuck(&w->succession, c->up_ms, c->hang_after_ms, now_ms))
		return false;
	succession_vacant(&w->succession, now_ms);
	return true;
}

bool worker_spent(const struct copy *c)
{
	const struct role *r = &c->w->role;

	if (r->lead == c->slot)
		return (r->ready & ~(1u << c->slot)) != 0;
	return r->state == ROLE_ELECT || (r->state == ROLE_LED && succession_calm(&c->w->succession, tr_mono_ms()) > 0);
}

/* ---- orders ---- */

void worker_start(struct worker *w)
{
	bool closing = w->role.state == ROLE_CLOSING;

	if (!worker_wanted(w))
		copy_tell(worker_face(w), EVENT_START, NULL);
	role_step(&w->role, RV_START, 0);
	for (int i = 0; i < WORKER_COPIES; i++) {
		struct copy *c = &w->copies[i];

		if (copy_waits(c)) /* an operator knows more than the back-off */
			copy_step(c, EV_START);
		else if (closing && c->lc.state != LC_DOWN && !copy_leaves(c))
			copy_step(c, EV_STOP); /* whatever was under way when it was stopped ends */
	}
	worker_changed(w);
}

/* Its own slot, if we have that one; else any. NULL: there are more of them than could ever be wanted. */
static struct copy *slot_for(struct worker *w, int slot)
{
	if (slot < WORKER_COPIES && w->copies[slot].lc.state == LC_DOWN)
		return &w->copies[slot];
	for (int i = 0; i < WORKER_COPIES; i++)
		if (w->copies[i].lc.state == LC_DOWN)
			return &w->copies[i];
	return NULL;
}

void worker_adopt(struct worker *w, struct store_process *p, uint32_t revision)
{
	struct copy *c = slot_for(w, p->slot);

	if (c == NULL || !proc_lives(p->pidfd)) {
		store_drop_process(p->role, p->slot, p->generation); /* without its channel it leaves */
		return;
	}
	if (!worker_wanted(w))
		role_step(&w->role, RV_START, 0);
	copy_adopt(c, p, revision);
}

void worker_stop(struct worker *w)
{
	if (worker_wanted(w))
		copy_tell(worker_face(w), EVENT_STOP, NULL);
	role_step(&w->role, RV_STOP, 0);
	w->rolling = w->lost.open = false; /* it was wanted down: no recovery to measure */
	worker_changed(w);
	for (int i = 0; i < WORKER_COPIES; i++)
		w->copies[i].why = DEATH_NONE;
}

static void again(struct worker *w, enum death why)
{
	w->rolling = worker_wanted(w);
	w->roll_upto = w->generation;
	w->roll_why = why;
	worker_start(w);
}

void worker_restart(struct worker *w)
{
	again(w, DEATH_REQUEST);
}

void worker_replace(struct worker *w)
{
	again(w, DEATH_RELOAD);
}

static void on_respawn(void *arg)
{
	worker_changed(arg);
}

int worker_init(struct worker *w, const struct worker_env *env, enum tr_role id)
{
	int r;

	memset(w, 0, sizeof(*w));
	w->env = env;
	w->id = id;
	role_init(&w->role);
	avail_init(&w->avail, tr_mono_ms());
	if ((r = loop_timer_new(&w->respawn, env->loop, on_respawn, w)) < 0)
		return r;
	for (int i = 0; i < WORKER_COPIES; i++)
		if ((r = copy_init(&w->copies[i], w, i)) < 0)
			return r;
	return 0;
}

void worker_free(struct worker *w)
{
	for (int i = 0; i < WORKER_COPIES; i++)
		copy_free(&w->copies[i]);
	loop_timer_free(&w->respawn);
}
