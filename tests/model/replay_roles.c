/* replay_roles: what tribed did in simulated runs of takeover.pml, done again by the tables of supervisor/core. Reads
 * the model's lines "trace: EVENT SLOT EPOCH ACTION LEAD" from standard input; "trace: begin SEED" starts another run.
 * Leaves with 0 when the tables decided the same each time, 1 when not, 2 when the traces do not hold what they should.
 */
#include "supervisor/core/lifecycle.h"
#include "supervisor/core/role.h"
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#define SLOTS 2

struct trace {
	char event[16], action[16];
	int slot, lead; /* lead: ROLE_NOBODY, as in the table */
	uint64_t epoch;
};

struct tables {
	struct role role;
	struct lc life[SLOTS];
	uint64_t now_ms;
};

static const struct lc_limits limits = {
	.start_ms = 10000, .drain_ms = 5000, .term_ms = 5000, .kill_ms = 1000, .retry_ms = 50};

/* Each line of the model, and what the tables have to answer to it. An event without a line here was invented by the
 * model. */
static const struct rule {
	const char *event, *action;
	enum role_event role; /* ROLE_NEVENTS: the role hears nothing of it */
	unsigned role_act;
	enum lc_event life; /* LC_NEVENTS: the process's life does not change */
	unsigned life_act;
} rules[] = {
	{"spawn", "appoint", RV_SPAWN, RO_APPOINT, EV_TIMEOUT, DO_SPAWN},
	{"spawn", "second", RV_SPAWN, RO_SECOND, EV_TIMEOUT, DO_SPAWN},
	/* by a tribed with fresh tables: what they call a spawn was done by the one before */
	{"adopt", "appoint", RV_SPAWN, RO_APPOINT, EV_TIMEOUT, DO_SPAWN},
	{"adopt", "second", RV_SPAWN, RO_SECOND, EV_TIMEOUT, DO_SPAWN},
	{"waits", "nothing", RV_WAITS, 0, EV_HELLO, DO_UP},
	{"waits", "promote", RV_WAITS, RO_PROMOTE, EV_HELLO, DO_UP},
	{"leads", "serves", RV_LEADS, RO_TAKEN | RO_SERVES, LC_NEVENTS, 0},
	{"leads", "replaces", RV_LEADS, RO_VACATED | RO_TAKEN | RO_SERVES, LC_NEVENTS, 0},
	{"leads", "nothing", RV_LEADS, 0, LC_NEVENTS, 0},
	{"lost", "promote", RV_LOST, RO_VACATED | RO_PROMOTE, EV_EXIT_LATER, DO_GONE},
	{"lost", "vacated", RV_LOST, RO_VACATED, EV_EXIT_LATER, DO_GONE},
	{"lost", "nothing", RV_LOST, 0, EV_EXIT_LATER, DO_GONE},
	/* whoever is stopped is killed, and nobody is promoted before it is gone */
	{"stops", "kill", ROLE_NEVENTS, 0, EV_STOPPED, DO_KILL},
};
#define NRULES (sizeof(rules) / sizeof(rules[0]))

static void begin(struct tables *t)
{
	role_init(&t->role);
	for (int i = 0; i < SLOTS; i++)
		lc_init(&t->life[i]);
	t->now_ms = 1;
	role_step(&t->role, RV_START, 0);
}

static int parse(const char *line, struct trace *t)
{
	int lead;

	if (sscanf(line, "trace: %15s %d %" SCNu64 " %15s %d", t->event, &t->slot, &t->epoch, t->action, &lead) != 5 ||
	    t->slot < 0 || t->slot >= SLOTS || lead < 0 || lead > SLOTS)
		return -1;
	t->lead = lead == SLOTS ? ROLE_NOBODY : lead;
	return 0;
}

static const struct rule *find(const struct trace *t)
{
	for (unsigned i = 0; i < NRULES; i++)
		if (strcmp(rules[i].event, t->event) == 0 && strcmp(rules[i].action, t->action) == 0)
			return &rules[i];
	return NULL;
}

static unsigned ask_role(struct role *r, const struct rule *rule, const struct trace *t)
{
	if (rule->role == ROLE_NEVENTS)
		return 0;
	return rule->role == RV_LEADS ? role_leads(r, t->slot, t->epoch) : role_step(r, rule->role, t->slot);
}

static unsigned ask_life(struct tables *t, const struct rule *rule, int slot)
{
	struct lc *w = &t->life[slot];
	enum lc_event ev = rule->life;

	if (ev == LC_NEVENTS)
		return 0;
	if (ev == EV_TIMEOUT && w->state == LC_DOWN)
		ev = EV_START;
	t->now_ms += 100;
	return lc_step(w, &limits, ev, t->now_ms);
}

/* What a killed process had said before is still read, and changes nothing in its life. */
static bool judge(const struct trace *t, const struct rule *rule, struct tables *tables)
{
	enum lc_state before = tables->life[t->slot].state;
	unsigned act = ask_role(&tables->role, rule, t), life = ask_life(tables, rule, t->slot);
	unsigned want = before == LC_KILLING && rule->life == EV_HELLO ? 0 : rule->life_act;
	bool ok = act == rule->role_act && life == want && tables->role.lead == t->lead &&
		  (!(act & RO_TAKEN) || tables->role.epoch == t->epoch);

	if (!ok)
		fprintf(stderr,
			"role %s acts %x, wanted %x; life acts %x, wanted %x; lead %d, wanted %d; epoch %" PRIu64 "\n",
			role_state_name(tables->role.state), act, rule->role_act, life, want, tables->role.lead,
			t->lead, tables->role.epoch);
	return ok;
}

static int check_coverage(const unsigned long *met, unsigned long runs)
{
	int r = 0;

	printf("%lu runs:", runs);
	for (unsigned i = 0; i < NRULES; i++) {
		printf(" %s/%s %lu", rules[i].event, rules[i].action, met[i]);
		if (met[i] == 0)
			r = 2;
	}
	printf("\n");
	if (r != 0)
		fprintf(stderr, "not all of that was met: the traces prove nothing\n");
	return r;
}

int main(void)
{
	unsigned long met[NRULES] = {0}, runs = 0, at = 0;
	struct tables tables;
	char line[256], run[32] = "?";

	begin(&tables);
	while (fgets(line, sizeof(line), stdin) != NULL) {
		const struct rule *rule = NULL;
		struct trace t;

		at++;
		if (strncmp(line, "trace: ", 7) != 0)
			continue;
		if (sscanf(line, "trace: begin %31s", run) == 1) {
			begin(&tables);
			runs++;
			continue;
		}
		if (strncmp(line, "trace: anew ", 12) == 0) { /* a tribed of its own, with tables of its own */
			begin(&tables);
			continue;
		}
		if (parse(line, &t) < 0 || (rule = find(&t)) == NULL) {
			fprintf(stderr, "line %lu is not one of the model's: %s", at, line);
			return 2;
		}
		met[rule - rules]++;
		if (!judge(&t, rule, &tables)) {
			fprintf(stderr, "run %s, line %lu: %s", run, at, line);
			return 1;
		}
	}
	return check_coverage(met, runs);
}
