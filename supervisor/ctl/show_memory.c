#include "common/base/clock.h"
#include "supervisor/ctl/clean.h"
#include "supervisor/ctl/show.h"
#include <inttypes.h>
#include <string.h>

#define SHOWN_CHARS 600 /* of one memory in a list; --json has all of it */

enum show_colour show_heat(double temperature)
{
	return temperature >= 70 ? SHOW_BAD : temperature >= 30 ? SHOW_WARN : SHOW_DIM;
}

static void line_of(struct buf *out, const char *lead, const wire_str *text)
{
	if (text->n == 0)
		return;
	(void)buf_puts(out, lead);
	clean_text(out, text->p, text->n, " ", 120);
}

static void added(struct buf *out, const struct show_style *s, const void *res, const char *known)
{
	const struct res_memory_add *r = res;

	for (uint32_t i = 0; i < r->memories.n; i++) {
		const struct item_added *a = &r->memories.v[i];

		(void)buf_puts(out, a->created ? "remembered " : known);
		clean_text(out, a->id.p, a->id.n, " ", 0);
		show_paint(out, s, show_heat(a->temperature), "  %.1f %.*s", a->temperature, (int)a->stage.n,
			   a->stage.p);
		(void)buf_puts(out, "\n");
	}
}

void show_added(struct buf *out, const struct show_style *s, const void *res)
{
	added(out, s, res, "known already, warmed: ");
}

/* The same id again is the same call again: it changes nothing. */
void show_added_by_id(struct buf *out, const struct show_style *s, const void *res)
{
	added(out, s, res, "known already, left as it is: ");
}

void show_recall(struct buf *out, const struct show_style *s, const void *res)
{
	const struct res_memory_recall *r = res;

	if (r->memories.n == 0)
		(void)buf_puts(out, "nothing found\n");
	for (uint32_t i = 0; i < r->memories.n; i++) {
		const struct item_memory *m = &r->memories.v[i];
		char when[SHOW_SHORT];

		show_time(when, m->has_at ? m->at : m->created_at);
		show_paint(out, s, SHOW_BOLD, "%2u", i + 1);
		if (m->has_score)
			(void)buf_printf(out, "  score %.3f", m->score);
		show_paint(out, s, show_heat(m->temperature), "  %.1f %.*s", m->temperature, (int)m->stage.n,
			   m->stage.p);
		(void)buf_printf(out, "  %s%s", when, m->sacred ? "  sacred" : "");
		line_of(out, "  ", &m->speaker);
		line_of(out, "  from ", &m->source);
		for (uint32_t t = 0; t < m->tags.n; t++)
			line_of(out, "  #", &m->tags.v[t]);
		(void)buf_puts(out, "\n    ");
		clean_text(out, m->content.p, m->content.n, "\n    ", SHOWN_CHARS);
		(void)buf_puts(out, "\n    ");
		show_paint(out, s, SHOW_DIM, "%s", "id ");
		clean_text(out, m->id.p, m->id.n, " ", 0);
		(void)buf_puts(out, "\n");
	}
}

void show_answer(struct buf *out, const struct show_style *s, const void *res)
{
	const struct res_executive_ask *r = res;

	clean_text(out, r->answer.p, r->answer.n, "\n", 0);
	(void)buf_printf(out, "\n\nconfidence %.2f (", r->confidence);
	clean_text(out, r->confidence_basis.p, r->confidence_basis.n, " ", 0);
	(void)buf_puts(out, ")\n");
	for (uint32_t i = 0; i < r->degraded.n; i++) {
		show_paint(out, s, SHOW_WARN, "%s", i == 0 ? "without: " : ", ");
		clean_text(out, r->degraded.v[i].p, r->degraded.v[i].n, " ", 0);
	}
	(void)buf_puts(out, r->degraded.n > 0 ? "\n" : "");
	if (r->sources.n > 0)
		(void)buf_puts(out, "\nsources\n");
	for (uint32_t i = 0; i < r->sources.n; i++) {
		const struct item_source *m = &r->sources.v[i];
		char when[SHOW_SHORT];

		show_paint(out, s, SHOW_BOLD, "%2u", i + 1);
		(void)buf_printf(out, "  score %.3f", m->score);
		show_paint(out, s, show_heat(m->temperature), "  %.1f", m->temperature);
		if (m->has_at) {
			show_time(when, m->at);
			(void)buf_printf(out, "  %s", when);
		}
		line_of(out, "  ", &m->speaker);
		line_of(out, "  from ", &m->source);
		(void)buf_puts(out, "\n    ");
		clean_text(out, m->content.p, m->content.n, "\n    ", SHOWN_CHARS);
		(void)buf_puts(out, "\n");
	}
}

static void stage_line(struct buf *out, const struct show_style *s, const char *name, uint64_t n, uint64_t total,
		       double t)
{
	static const char bar[] = "########################################";
	double share = total > 0 ? (double)n / (double)total : 0;
	char count[SHOW_SHORT];

	show_count(count, n);
	(void)buf_printf(out, "  %-10s %10s %5.1f%%  ", name, count, 100 * share);
	show_paint(out, s, show_heat(t), "%.*s", (int)(share * (double)(sizeof(bar) - 1) + 0.5), bar);
	(void)buf_puts(out, "\n");
}

void show_thermal(struct buf *out, const struct show_style *s, const void *res)
{
	const struct res_memory_thermal *t = res;
	const struct item_stages *g = &t->stages;

	show_temperature(out, s, t);
	if (t->has_phase_coherence_avg)
		(void)buf_printf(out, "coherence    %.2f (phase, on average)\n", t->phase_coherence_avg);
	(void)buf_puts(out, "\n");
	stage_line(out, s, "white hot", g->white_hot, t->total_memories, 90);
	stage_line(out, s, "red hot", g->red_hot, t->total_memories, 70);
	stage_line(out, s, "warm", g->warm, t->total_memories, 30);
	stage_line(out, s, "cool", g->cool, t->total_memories, 15);
	stage_line(out, s, "cold", g->cold, t->total_memories, 5);
	stage_line(out, s, "ember", g->ember, t->total_memories, 0);
	if (t->hottest.n > 0)
		(void)buf_puts(out, "\nhottest\n");
	for (uint32_t i = 0; i < t->hottest.n; i++) {
		const struct item_memory *m = &t->hottest.v[i];

		show_paint(out, s, show_heat(m->temperature), "  %5.1f", m->temperature);
		(void)buf_puts(out, "  ");
		clean_text(out, m->content.p, m->content.n, " ", 60);
		(void)buf_puts(out, "\n");
	}
}

static void show_decision(struct buf *out, const struct show_style *s, const struct item_decision *d)
{
	char when[SHOW_SHORT];

	show_time(when, d->at);
	show_paint(out, s, SHOW_DIM, "%s", when);
	line_of(out, "  ", &d->by);
	(void)buf_puts(out, "\n    ");
	clean_text(out, d->text.p, d->text.n, "\n    ", 0);
	(void)buf_puts(out, "\n");
}

void show_decided(struct buf *out, const struct show_style *s, const void *res)
{
	const struct res_memory_decide *r = res;

	(void)s;
	(void)buf_puts(out, "decided ");
	clean_text(out, r->decision.id.p, r->decision.id.n, " ", 0);
	(void)buf_puts(out, ", remembered as ");
	clean_text(out, r->decision.memory_id.p, r->decision.memory_id.n, " ", 0);
	(void)buf_puts(out, "\n");
}

void show_decisions(struct buf *out, const struct show_style *s, const void *res)
{
	const struct res_memory_decisions *r = res;

	if (r->decisions.n == 0)
		(void)buf_puts(out, "no decisions\n");
	for (uint32_t i = 0; i < r->decisions.n; i++)
		show_decision(out, s, &r->decisions.v[i]);
}

static void show_audited(struct buf *out, const struct show_style *s, const struct item_audit *l)
{
	bool refused = l->action.n == strlen("refused") && memcmp(l->action.p, "refused", l->action.n) == 0;
	char when[SHOW_SHORT];

	show_time(when, l->at);
	show_paint(out, s, SHOW_DIM, "%s", when);
	show_paint(out, s, refused ? SHOW_WARN : SHOW_PLAIN, "  %-8.*s", (int)l->action.n, l->action.p);
	show_paint(out, s, SHOW_PLAIN, "  %-13.*s", (int)l->class.n, l->class.p);
	if (l->has_memory_id)
		line_of(out, "  memory ", &l->memory_id);
	if (l->has_field)
		line_of(out, "  field ", &l->field);
	if (l->has_source)
		line_of(out, "  source ", &l->source);
	line_of(out, "  by ", &l->who);
	(void)buf_puts(out, "\n");
}

void show_audit(struct buf *out, const struct show_style *s, const void *res)
{
	const struct res_memory_audit *r = res;

	if (r->audit.n == 0)
		(void)buf_puts(out, "nothing\n");
	for (uint32_t i = 0; i < r->audit.n; i++)
		show_audited(out, s, &r->audit.v[i]);
}
