/* Votes for a person. */
#include "supervisor/ctl/clean.h"
#include "supervisor/ctl/show.h"
#include <string.h>

#define SHOWN_CHARS 200 /* of a proposal in a list */

static bool is(wire_str s, const char *word)
{
	return s.n == strlen(word) && memcmp(s.p, word, s.n) == 0;
}

static void put(struct buf *out, wire_str s)
{
	clean_text(out, s.p, s.n, " ", 0);
}

static enum show_colour colour_of(wire_str outcome, bool decided)
{
	return decided ? SHOW_GOOD : is(outcome, "open") ? SHOW_BOLD : SHOW_WARN;
}

static void outcome(struct buf *out, const struct show_style *s, wire_str what, bool decided)
{
	struct buf text = {0};

	put(&text, what);
	show_paint(out, s, colour_of(what, decided), "%s", text.p != NULL ? text.p : "");
	buf_free(&text);
}

static void ballot(struct buf *out, const struct show_style *s, const struct item_ballot *b)
{
	(void)buf_puts(out, "  ");
	put(out, b->voter);
	(void)buf_puts(out, ": ");
	put(out, b->choice);
	if (b->has_confidence)
		(void)buf_printf(out, " (%.2f)", b->confidence);
	if (b->has_veto && b->veto)
		show_paint(out, s, SHOW_WARN, "%s", ", veto");
	if (b->has_reason) {
		(void)buf_puts(out, ", ");
		put(out, b->reason);
	}
	(void)buf_puts(out, "\n");
	for (uint32_t i = 0; i < b->evidence.n; i++) {
		(void)buf_puts(out, "      ");
		show_paint(out, s, SHOW_DIM, "%s", "id ");
		put(out, b->evidence.v[i]);
		(void)buf_puts(out, "\n");
	}
}

static void tally(struct buf *out, const msgpack_object *map)
{
	const msgpack_object_map *m = &map->via.map;

	for (uint32_t i = 0; map->type == MSGPACK_OBJECT_MAP && i < m->size; i++) {
		const msgpack_object_kv *kv = &m->ptr[i];

		if (kv->key.type != MSGPACK_OBJECT_STR || kv->val.type != MSGPACK_OBJECT_POSITIVE_INTEGER)
			continue;
		(void)buf_puts(out, i == 0 ? "" : ", ");
		put(out, (wire_str){kv->key.via.str.ptr, kv->key.via.str.size});
		(void)buf_printf(out, " %llu", (unsigned long long)kv->val.via.u64);
	}
}

void show_vote(struct buf *out, const struct show_style *s, const struct item_vote *v)
{
	char when[SHOW_SHORT];

	clean_text(out, v->proposal.p, v->proposal.n, "\n", 0);
	(void)buf_puts(out, "\n\n");
	outcome(out, s, v->outcome, v->decided);
	(void)buf_puts(out, "  (");
	tally(out, v->tally);
	(void)buf_printf(out, "; quorum %u, threshold %.2f)\n", v->quorum, v->threshold);
	for (uint32_t i = 0; i < v->ballots.n; i++)
		ballot(out, s, &v->ballots.v[i]);
	show_time(when, v->has_closed_at ? v->closed_at : v->has_closes_at ? v->closes_at : v->opened_at);
	(void)buf_printf(out, "%s %s\n",
			 v->has_closed_at   ? "closed"
			 : v->has_closes_at ? "open until"
					    : "opened",
			 when);
	show_paint(out, s, SHOW_DIM, "%s", "vote ");
	put(out, v->vote_id);
	if (v->has_memory_id) {
		(void)buf_puts(out, ", remembered as ");
		put(out, v->memory_id);
	}
	(void)buf_puts(out, "\n");
}

void show_votes(struct buf *out, const struct show_style *s, const void *res)
{
	const struct list_vote_line *all = &((const struct res_memory_votes *)res)->votes;

	if (all->n == 0)
		(void)buf_puts(out, "no votes\n");
	for (uint32_t i = 0; i < all->n; i++) {
		const struct item_vote_line *v = &all->v[i];
		char when[SHOW_SHORT];

		show_time(when, v->opened_at);
		show_paint(out, s, SHOW_DIM, "%s", when);
		(void)buf_puts(out, "  ");
		outcome(out, s, v->outcome, v->decided);
		(void)buf_puts(out, "  by ");
		put(out, v->by);
		(void)buf_puts(out, "\n    ");
		clean_text(out, v->proposal.p, v->proposal.n, "\n    ", SHOWN_CHARS);
		(void)buf_puts(out, "\n    ");
		show_paint(out, s, SHOW_DIM, "%s", "vote ");
		put(out, v->vote_id);
		(void)buf_puts(out, "\n");
	}
}
