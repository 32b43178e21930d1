/* The words of a question in PostgreSQL: its query text, and how well one memory matches each. */
#include "jrs/memory/archive/postgres.h"

/* 'word' | 'word': letters, marks and digits only, so nothing in them is syntax. */
int pg_search_text(const struct query_words *w, struct buf *out)
{
	unsigned i;
	int r = 0;

	for (i = 0; i < w->n && r == 0; i++) {
		if ((i > 0 && (r = buf_append(out, " | ", 3)) < 0) || (r = buf_append(out, "'", 1)) < 0 ||
		    (r = buf_append(out, w->text.p + w->from[i], w->len[i])) < 0)
			break;
		r = buf_append(out, "'", 1);
	}
	return r < 0 ? r : (int)w->n;
}

int pg_terms(struct db *db, const struct query_words *words, int64_t memory, bool weighed, struct term *v,
	     double *match)
{
	struct buf text = {0};
	struct query q;
	unsigned i;
	int r = pg_search_text(words, &text), found = weighed;

	if (r > 0 && !weighed) {
		q = q_begin(db, SQL_EXPLAIN);
		q_text(&q, text.p, text.len);
		q_i64(&q, memory);
		if ((r = q_row(&q)) == 1) {
			found = 1;
			*match = q_get_f64(&q, 0);
		}
		q_end(&q);
	}
	buf_free(&text);
	for (i = 0; i < words->n && r >= 0; i++) {
		struct query_words one = {.text = words->text, .n = 1};

		one.from[0] = words->from[i];
		one.len[0] = words->len[i];
		if ((r = pg_search_text(&one, &text)) < 0)
			break;
		q = q_begin(db, weighed ? SQL_EXPLAIN_COUNT : SQL_EXPLAIN_WORD);
		q_text(&q, text.p, text.len);
		q_i64(&q, memory);
		if ((r = q_row(&q)) == 1) {
			v[i].count = (uint32_t)q_get_i64(&q, 0);
			v[i].weight = weighed ? v[i].weight : q_get_f64(&q, 1);
		}
		q_end(&q);
		buf_free(&text);
	}
	return r < 0 ? r : found;
}
