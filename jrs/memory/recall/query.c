#include "jrs/memory/recall/query.h"
#include "common/base/err.h"
#include <stdlib.h>
#include <string.h>
#include <utf8proc.h>

/* Sorted: looked up by bisection (a test checks the order). Single letters are what is left of 's, 't, 'd, 'm. */
static const char *const stop_words[] = {
	"a",       "about",    "after",      "again",      "all",   "also",    "am",     "an",     "and",    "any",
	"are",     "aren",     "as",         "at",         "be",    "because", "been",   "before", "being",  "between",
	"both",    "but",      "by",         "can",        "could", "couldn",  "d",      "did",    "didn",   "do",
	"does",    "doesn",    "doing",      "don",        "down",  "during",  "each",   "ever",   "few",    "for",
	"from",    "further",  "had",        "hadn",       "has",   "hasn",    "have",   "haven",  "having", "he",
	"her",     "here",     "hers",       "herself",    "him",   "himself", "his",    "how",    "i",      "if",
	"in",      "into",     "is",         "isn",        "it",    "its",     "itself", "just",   "ll",     "m",
	"many",    "me",       "might",      "more",       "most",  "much",    "must",   "my",     "myself", "no",
	"nor",     "not",      "now",        "of",         "off",   "on",      "once",   "only",   "or",     "other",
	"our",     "ours",     "ourselves",  "out",        "over",  "own",     "re",     "s",      "same",   "shall",
	"she",     "should",   "shouldn",    "so",         "some",  "such",    "t",      "than",   "that",   "the",
	"their",   "theirs",   "them",       "themselves", "then",  "there",   "these",  "they",   "this",   "those",
	"through", "to",       "too",        "under",      "until", "up",      "us",     "ve",     "very",   "was",
	"wasn",    "we",       "were",       "weren",      "what",  "when",    "where",  "which",  "while",  "who",
	"whom",    "whose",    "why",        "will",       "with",  "won",     "would",  "wouldn", "you",    "your",
	"yours",   "yourself", "yourselves",
};

static int compare_word(const void *key, const void *item)
{
	return strcmp(key, *(const char *const *)item);
}

bool query_stop_word(const char *word, size_t n)
{
	char key[16];

	if (n >= sizeof(key))
		return false;
	memcpy(key, word, n);
	key[n] = '\0';
	return bsearch(key, stop_words, sizeof(stop_words) / sizeof(stop_words[0]), sizeof(stop_words[0]),
		       compare_word) != NULL;
}

static bool in_word(utf8proc_int32_t c)
{
	switch (utf8proc_category(c)) {
	case UTF8PROC_CATEGORY_LU:
	case UTF8PROC_CATEGORY_LL:
	case UTF8PROC_CATEGORY_LT:
	case UTF8PROC_CATEGORY_LM:
	case UTF8PROC_CATEGORY_LO:
	case UTF8PROC_CATEGORY_MN:
	case UTF8PROC_CATEGORY_MC:
	case UTF8PROC_CATEGORY_ND:
	case UTF8PROC_CATEGORY_NL:
	case UTF8PROC_CATEGORY_NO:
		return true;
	default:
		return false;
	}
}

/* The bytes from `from` to the end of text are a word: keep it or take them off again. */
static void end_word(struct query_words *w, size_t from)
{
	size_t len = w->text.len - from;
	const char *p = w->text.p + from;
	bool keep = len > 0 && len <= QUERY_WORD_MAX && w->n < QUERY_WORDS_MAX && !query_stop_word(p, len);
	unsigned i;

	for (i = 0; keep && i < w->n; i++)
		keep = w->len[i] != len || memcmp(w->text.p + w->from[i], p, len) != 0;
	if (!keep) {
		w->text.len = from;
		return;
	}
	w->from[w->n] = from;
	w->len[w->n++] = len;
}

int query_split(const char *q, size_t n, struct query_words *w)
{
	size_t at = 0, from = 0;

	while (at < n) {
		utf8proc_int32_t c;
		utf8proc_uint8_t u[4];
		utf8proc_ssize_t used, len;

		used = utf8proc_iterate((const utf8proc_uint8_t *)q + at, (utf8proc_ssize_t)(n - at), &c);
		if (used <= 0) { /* not UTF-8: callers checked, so only skip it */
			used = 1;
			c = ' ';
		}
		at += (size_t)used;
		if (in_word(c)) {
			len = utf8proc_encode_char(utf8proc_tolower(c), u);
			if (buf_append(&w->text, u, (size_t)len) < 0)
				return TR_ENOMEM;
		} else if (w->text.len > from) {
			end_word(w, from);
			from = w->text.len;
		}
	}
	if (w->text.len > from)
		end_word(w, from);
	return 0;
}

int query_text(const struct query_words *w, struct buf *out)
{
	size_t was = out->len;
	unsigned i;
	int r = 0;

	for (i = 0; r == 0 && i < w->n; i++) {
		/* No quote can be inside: a word is letters, marks and digits. */
		if (buf_puts(out, i == 0 ? "\"" : " OR \"") < 0 ||
		    buf_append(out, w->text.p + w->from[i], w->len[i]) < 0 || buf_puts(out, "\"") < 0)
			r = TR_ENOMEM;
	}
	if (r < 0 && out->p != NULL) {
		out->len = was;
		out->p[was] = '\0';
	}
	return r < 0 ? r : (int)w->n;
}

int query_fts(const char *q, size_t n, struct buf *out)
{
	struct query_words w = {.n = 0};
	int r = query_split(q, n, &w);

	if (r == 0)
		r = query_text(&w, out);
	buf_free(&w.text);
	return r;
}
