/* Why a memory is as hot as it is and why it answers a question, in words. */
#include "supervisor/ctl/clean.h"
#include "supervisor/ctl/show.h"
#include <inttypes.h>
#include <stdio.h>

#define SHOWN_CHARS 300

static void put_days(char out[SHOW_SHORT], double days)
{
	if (days >= 0 && days < 1e9)
		show_duration(out, (uint64_t)(days * 86400));
	else
		(void)snprintf(out, SHOW_SHORT, "%g days", days);
}

static void why_hot(struct buf *out, const struct show_style *s, const struct item_memory *m,
		    const struct item_explanation *x)
{
	char idle[SHOW_SHORT], last[SHOW_SHORT], born[SHOW_SHORT];

	put_days(idle, x->idle_days);
	show_time(last, m->last_access);
	show_time(born, m->created_at);
	show_paint(out, s, SHOW_BOLD, "why this hot");
	(void)buf_puts(out, "\n  ");
	show_paint(out, s, show_heat(m->temperature), "%.1f degrees, %.*s", m->temperature, (int)m->stage.n,
		   m->stage.p);
	(void)buf_printf(out, "\n  remembered %s; used %" PRIu64 " time%s, last %s, %s ago\n", born, m->access_count,
			 m->access_count == 1 ? "" : "s", last, idle);
	(void)buf_printf(out,
			 "  every %g days a use counts half: they count as %.3f now\n"
			 "  40 + 10 * log2(%.3f) = %.1f",
			 x->half_life_days, x->decayed_accesses, x->decayed_accesses, x->raw_temperature);
	if (x->floored)
		(void)buf_puts(out, ", but it is sacred and never under 40");
	else if (x->raw_temperature > 100)
		(void)buf_puts(out, ", and 100 is the hottest there is");
	else if (x->raw_temperature < 0)
		(void)buf_puts(out, ", and 0 is the coldest there is");
	else if (m->sacred)
		(void)buf_puts(out, "; it is sacred, but stands above its floor of 40 by itself");
	(void)buf_puts(out, "\n");
	if (m->has_phase_coherence)
		(void)buf_printf(out, "  recalled in the same company: %.2f of 1\n", m->phase_coherence);
}

static void why_answer(struct buf *out, const struct show_style *s, const struct res_memory_explain *r,
		       const struct item_explanation *x)
{
	if (!x->has_match && x->terms.n == 0 && !r->has_rank)
		return;
	(void)buf_puts(out, "\n");
	show_paint(out, s, SHOW_BOLD, "why this answer");
	(void)buf_puts(out, "\n  ");
	if (r->has_rank)
		show_paint(out, s, SHOW_GOOD, "place %" PRIu64 " among all that match", (uint64_t)r->rank);
	else
		show_paint(out, s, SHOW_WARN, "it does not match this question");
	if (x->has_match)
		(void)buf_printf(out, ", match %.3f", x->match);
	(void)buf_puts(out, "\n");
	for (uint32_t i = 0; i < x->terms.n; i++) {
		const struct item_term *t = &x->terms.v[i];

		(void)buf_printf(out, "  weight %6.3f  %3u times  ", t->weight, t->count);
		clean_text(out, t->term.p, t->term.n, " ", 60);
		(void)buf_puts(out, t->count == 0 ? "  (not in this memory)\n" : "\n");
	}
}

void show_explained(struct buf *out, const struct show_style *s, const void *res)
{
	const struct res_memory_explain *r = res;
	const struct item_memory *m = &r->memory;

	show_paint(out, s, SHOW_DIM, "id ");
	clean_text(out, m->id.p, m->id.n, " ", 0);
	(void)buf_puts(out, "\n  ");
	clean_text(out, m->content.p, m->content.n, "\n  ", SHOWN_CHARS);
	(void)buf_puts(out, "\n\n");
	if (!m->has_explanation) {
		(void)buf_printf(out, "%.1f degrees, %.*s; memory-jr gave no reasons\n", m->temperature,
				 (int)m->stage.n, m->stage.p);
		return;
	}
	why_hot(out, s, m, &m->explanation);
	if (m->explanation.superseded) {
		(void)buf_puts(out, "  a newer memory replaces it, so it ranks below that one");
		if (m->has_superseded_by) {
			(void)buf_puts(out, ": ");
			clean_text(out, m->superseded_by.p, m->superseded_by.n, " ", 0);
		}
		(void)buf_puts(out, "\n");
	}
	why_answer(out, s, r, &m->explanation);
}

void show_forgotten(struct buf *out, const struct show_style *s, const void *res)
{
	const struct res_memory_forget *r = res;

	(void)s;
	(void)buf_puts(out, "forgotten ");
	clean_text(out, r->id.p, r->id.n, " ", 0);
	(void)buf_puts(out, r->has_purged && r->purged ? ", and purged\n" : "\n");
}
