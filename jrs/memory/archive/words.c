/* The words of a batch go into SQLite's full-text index once, right before its COMMIT: at every savepoint that the
 * index is part of, FTS5 writes what it has gathered as a segment of its own, which costs about what the rest of a
 * small add does. Another database indexes its rows by itself; there ADD_WORDS is no statement. */
#include "jrs/memory/archive/internal.h"
#include <stdlib.h>

int words_put(struct sql_archive *a, int64_t seq, const struct item_new_memory *m)
{
	struct new_words *w = &a->words;

	if (w->n == w->cap) {
		size_t cap = w->cap == 0 ? 64 : w->cap * 2;
		struct new_word *v = realloc(w->v, sizeof(*v) * cap);

		if (v == NULL)
			return TR_ENOMEM;
		w->v = v;
		w->cap = cap;
	}
	w->v[w->n++] = (struct new_word){seq, m->content, m->speaker, m->has_speaker};
	return 0;
}

int words_write(struct sql_archive *a)
{
	struct new_words *w = &a->words;
	size_t i;
	int r = 0;

	for (i = 0; i < w->n && r == 0; i++) {
		struct query q = q_begin(&a->wdb, SQL_ADD_WORDS);

		q_i64(&q, w->v[i].seq);
		q_text(&q, w->v[i].content.p, w->v[i].content.n);
		q_opt_text(&q, w->v[i].has_speaker, w->v[i].speaker);
		r = q_run(&q);
	}
	w->n = 0;
	return r;
}

bool words_needed(const struct job *j)
{
	return j->id == MSG_memory_forget || j->id == MSG_memory_import_undo || j->id == MSG_memory_carry_out;
}
