/* Acts of governance as a person reads them. */
#include "supervisor/ctl/acts.h"
#include "supervisor/ctl/clean.h"

static void text(struct buf *out, const char *before, wire_str s)
{
	(void)buf_puts(out, before);
	clean_text(out, s.p, s.n, "\n      ", 0);
}

static void constants(struct buf *out, const char *before, const struct item_constants *c)
{
	(void)buf_puts(out, before);
#define F(need, type, name, min, max) \
	if (c->has_##name)            \
		(void)buf_printf(out, " %s=%.15g", #name, c->name);
	ITEM_constants(F, , )
#undef F
}

static enum show_colour colour_of(wire_str state)
{
	if (state.n == 4 && memcmp(state.p, "done", 4) == 0)
		return SHOW_GOOD;
	return state.n == 7 && memcmp(state.p, "pending", 7) == 0 ? SHOW_WARN : SHOW_BAD;
}

static void act(struct buf *out, const struct show_style *s, const struct item_governed *g)
{
	char when[SHOW_SHORT];

	show_paint(out, s, colour_of(g->state), "%-8.*s", (int)g->state.n, g->state.p);
	text(out, "  ", g->id);
	text(out, "\n    to ", g->act);
	if (g->has_memory)
		text(out, " ", g->memory);
	if (g->has_constants)
		constants(out, "", &g->constants);
	if (g->has_before)
		constants(out, "\n    before:", &g->before);
	for (uint32_t i = 0; i < g->signers.n; i++)
		text(out, i == 0 ? "\n    asked for by " : ", ", g->signers.v[i]);
	show_time(when, g->submitted_at);
	(void)buf_printf(out, " at %s", when);
	text(out, "\n    reason: ", g->reason);
	show_time(when, g->due_at);
	if (!g->has_ended_at)
		(void)buf_printf(out, "\n    takes effect at %s unless somebody objects before", when);
	show_time(when, g->ended_at);
	if (g->has_ended_at)
		(void)buf_printf(out, "\n    ended at %s", when);
	if (g->has_note)
		text(out, ": ", g->note);
	for (uint32_t i = 0; i < g->objections.n; i++) {
		text(out, "\n    objection of ", g->objections.v[i].by);
		text(out, ": ", g->objections.v[i].reason);
	}
	(void)buf_puts(out, "\n");
}

void show_acts(struct buf *out, const struct show_style *s, const void *res)
{
	const struct res_memory_acts *r = res;

	text(out, "archive ", r->archive);
	(void)buf_printf(out, ", %s, %llu s to object\n",
			 r->keys ? "governed by three keys" : "no keys of governance: an admin's acts",
			 (unsigned long long)r->delay_s);
	constants(out, "constants", &r->constants);
	(void)buf_puts(out, r->acts.n == 0 ? "\nno acts\n" : "\n");
	for (uint32_t i = 0; i < r->acts.n; i++)
		act(out, s, &r->acts.v[i]);
}

void show_governed(struct buf *out, const struct show_style *s, const void *res)
{
	const struct res_memory_govern *r = res;

	if (r->known)
		(void)buf_puts(out, "this was asked for before; it stands so:\n");
	act(out, s, &r->act);
}
