#include "jrs/meta/analysis/giveup.h"
#include <inttypes.h>
#include <stdio.h>

void giveup_begin(struct giveup *g)
{
	*g = (struct giveup){0};
}

static bool is(wire_str s, const char *word)
{
	return s.n == strlen(word) && memcmp(s.p, word, s.n) == 0;
}

static bool failed(struct giveup *g, int role, const struct item_event *e, struct giveup_said *out)
{
	const char *name = tr_roles[role].api_name;
	bool behind = g->role[role].lead != 0; /* somebody leads: it is one that waits */
	int64_t *since = behind ? &g->role[role].idle : &g->role[role].failed;

	if (*since != 0)
		return false;
	*since = e->at;
	snprintf(out->topic, sizeof(out->topic), "failed %s%s", name, behind ? " understudy" : "");
	snprintf(out->text, sizeof(out->text),
		 "%s%s is given up for now: it ended too often (%.*s). It is tried again at the longest interval; %s.",
		 behind ? "The understudy of " : "", name,
		 e->has_detail ? (int)(e->detail.n > 200 ? 200 : e->detail.n) : 0, e->has_detail ? e->detail.p : "",
		 behind ? "its lead goes on" : "the rest goes on without it");
	return true;
}

static bool healed(int64_t *since, const char *what, const char *name, const struct item_event *e,
		   struct giveup_said *out)
{
	int64_t s = (e->at - *since) / 1000;

	if (*since == 0)
		return false;
	*since = 0;
	snprintf(out->topic, sizeof(out->topic), "healed %s%s", name, what[0] == '\0' ? "" : " understudy");
	snprintf(out->text, sizeof(out->text), "%s%s is healed: after %" PRId64 " s it %s again.", what, name,
		 s > 0 ? s : 0, what[0] == '\0' ? "serves" : "waits");
	return true;
}

bool giveup_see(struct giveup *g, const struct item_event *e, struct giveup_said *out)
{
	int role = e->has_jr ? tr_role_find(e->jr.p, e->jr.n) : -1;
	const char *name = role < 0 ? "" : tr_roles[role].api_name;

	if (e->seq <= g->seq)
		return false;
	g->seq = e->seq;
	if (role < 0)
		return false;
	out->at_ms = e->at;
	if (is(e->kind, "failed"))
		return failed(g, role, e, out);
	if (is(e->kind, "exit") && e->has_generation && e->generation == g->role[role].lead)
		g->role[role].lead = 0;
	if (is(e->kind, "waits"))
		return healed(&g->role[role].idle, "The understudy of ", name, e, out);
	if (!is(e->kind, "ready"))
		return false;
	g->role[role].lead = e->has_generation ? e->generation : 0;
	return healed(&g->role[role].failed, "", name, e, out);
}
