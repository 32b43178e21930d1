/* A question in a person's words -> the text of an FTS5 query: its content words, quoted, any of them. Pure; builds no
 * SQL. */
#ifndef JRS_MEMORY_RECALL_QUERY_H
#define JRS_MEMORY_RECALL_QUERY_H
#include "common/base/buf.h"
#include <stdbool.h>

#define QUERY_WORDS_MAX 48  /* different words used of one question; the rest is left out */
#define QUERY_WORD_MAX  128 /* bytes; longer runs are no words */

/* q: valid UTF-8. Appends `"word" OR "word" ...` to out and returns how many words; 0: nothing is left, out is
 * unchanged. Words are runs of letters, marks and digits in lower case; stop words and repetitions are left out.
 * TR_ENOMEM. */
int query_fts(const char *q, size_t n, struct buf *out);

/* The same in two steps. w: zero-initialised; the caller frees w->text with buf_free(), also after a failure. */
struct query_words {
	struct buf text; /* word i: len[i] bytes at text.p + from[i] */
	size_t from[QUERY_WORDS_MAX], len[QUERY_WORDS_MAX];
	unsigned n;
};
int query_split(const char *q, size_t n, struct query_words *w);
int query_text(const struct query_words *w, struct buf *out); /* as query_fts() */

/* A word that says nothing about what is asked for; lower case. */
bool query_stop_word(const char *word, size_t n);

#endif
