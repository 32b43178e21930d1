#include "jrs/vote/stance.h"
#include "common/base/err.h"
#include <stdlib.h>
#include <utf8proc.h>

#define WORD_MAX    128 /* bytes; of longer ones the rest is left out */
#define PREFIX_MIN  4   /* bytes */
#define WEIGHTY_MIN 3   /* bytes */
#define SUFFIX_MAX  3

/* Sorted. "don" and its like deny only when "t" follows: an apostrophe parts words. */
static const char *const denying[] = {
	"against", "avoid", "banned", "cannot", "forbid",  "forbidden",  "forbids", "neither", "never",   "no",
	"nobody",  "none",  "nor",    "not",    "nothing", "prohibited", "refuse",  "refused", "without",
};
static const char *const before_t[] = {
	"aren",  "can", "couldn", "didn",    "doesn", "don",   "hadn", "hasn",
	"haven", "isn", "mustn",  "shouldn", "wasn",  "weren", "won",  "wouldn",
};

/* Sorted. What stands in any sentence and says nothing of it. */
static const char *const idle[] = {
	"all",    "also", "and",  "any", "are",   "but",  "can",   "could", "even", "for",  "from",  "had",
	"has",    "have", "her",  "his", "its",   "let",  "may",   "must",  "only", "our",  "shall", "she",
	"should", "than", "that", "the", "their", "them", "then",  "these", "they", "this", "those", "was",
	"were",   "what", "when", "who", "will",  "with", "would", "you",   "your",
};

struct word {
	char p[WORD_MAX];
	size_t n;
	bool ends; /* the sentence, behind this word */
};

/* ---- cutting ---- */
static bool letter(utf8proc_int32_t c)
{
	utf8proc_category_t k = utf8proc_category(c);

	return k == UTF8PROC_CATEGORY_LU || k == UTF8PROC_CATEGORY_LL || k == UTF8PROC_CATEGORY_LT ||
	       k == UTF8PROC_CATEGORY_LM || k == UTF8PROC_CATEGORY_LO || k == UTF8PROC_CATEGORY_MN ||
	       k == UTF8PROC_CATEGORY_MC || k == UTF8PROC_CATEGORY_ND || k == UTF8PROC_CATEGORY_NL ||
	       k == UTF8PROC_CATEGORY_NO;
}

/* A full stop, also the wide ones; a line break. A dot within a number or a name ends nothing: a blank must follow. */
static bool ends_sentence(utf8proc_int32_t c, const char *next, const char *end)
{
	if (c == '\n' || c == 0x3002 || c == 0xff01 || c == 0xff1f)
		return true;
	return (c == '.' || c == '!' || c == '?' || c == ';') &&
	       (next == end || *next == ' ' || *next == '\n' || *next == '\r' || *next == '\t');
}

/* The next word in lower case; *p moves behind it and what parts it from the one that follows. */
static bool next_word(const char **p, const char *end, struct word *w)
{
	bool parted = false;

	w->n = 0;
	w->ends = false;
	while (*p < end) {
		utf8proc_uint8_t u[4];
		utf8proc_int32_t c;
		utf8proc_ssize_t used =
			utf8proc_iterate((const utf8proc_uint8_t *)*p, (utf8proc_ssize_t)(end - *p), &c);

		if (used <= 0) { /* callers checked that it is UTF-8 */
			used = 1;
			c = ' ';
		}
		if (utf8proc_category(c) == UTF8PROC_CATEGORY_CF) { /* has no width, and parts no word */
			*p += used;
			continue;
		}
		if (!letter(c)) {
			*p += used;
			parted = parted || w->n > 0;
			w->ends = w->ends || (parted && ends_sentence(c, *p, end));
			continue;
		}
		if (parted)
			break;
		*p += used;
		used = utf8proc_encode_char(utf8proc_tolower(c), u);
		if (w->n + (size_t)used <= sizeof(w->p)) {
			memcpy(w->p + w->n, u, (size_t)used);
			w->n += (size_t)used;
		}
	}
	w->ends = w->ends || *p == end;
	return w->n > 0;
}

/* ---- words ---- */
static int compare(const void *key, const void *item)
{
	return strcmp(key, *(const char *const *)item);
}

static bool among(const char *const *v, size_t n, const char *word, size_t len)
{
	char key[16];

	if (len >= sizeof(key))
		return false;
	memcpy(key, word, len);
	key[len] = '\0';
	return bsearch(key, v, n, sizeof(*v), compare) != NULL;
}

static bool denies(const char *p, size_t n)
{
	return among(denying, sizeof(denying) / sizeof(*denying), p, n);
}

static bool same(const char *a, size_t an, const char *b, size_t bn)
{
	size_t least = an < bn ? an : bn, most = an < bn ? bn : an;

	return memcmp(a, b, least) == 0 && (an == bn || (least >= PREFIX_MIN && most - least <= SUFFIX_MAX));
}

/* Counts what denies, over the words of a sentence. */
struct denials {
	unsigned n;
	bool half; /* "don" has been seen, "t" would make it one */
};

static void count(struct denials *d, const struct word *w)
{
	bool t = d->half && w->n == 1 && w->p[0] == 't';

	d->n += t || denies(w->p, w->n);
	d->half = among(before_t, sizeof(before_t) / sizeof(*before_t), w->p, w->n);
}

bool stance_negated(wire_str text)
{
	const char *p = text.p, *end = text.p + text.n;
	struct denials d = {0};
	struct word w;

	while (next_word(&p, end, &w))
		count(&d, &w);
	return d.n % 2 == 1;
}

bool stance_holds(wire_str text, wire_str words)
{
	const char *p = words.p, *end = words.p + words.n;
	bool any = false;
	struct word want, w;

	while (next_word(&p, end, &want)) {
		const char *t = text.p, *t_end = text.p + text.n;
		bool there = false;

		while (!there && next_word(&t, t_end, &w))
			there = same(w.p, w.n, want.p, want.n);
		if (!there)
			return false;
		any = true;
	}
	return any;
}

/* ---- the rule ---- */
void stance_proposal(struct stance_proposal *out, wire_str proposal, const struct list_term *terms)
{
	double most = 0, sum = 0;
	uint32_t i;

	memset(out, 0, sizeof(*out));
	out->negated = stance_negated(proposal);
	for (i = 0; i < terms->n; i++)
		most = terms->v[i].weight > most ? terms->v[i].weight : most;
	for (i = 0; i < terms->n && out->n < STANCE_WORDS; i++) {
		const struct item_term *t = &terms->v[i];

		if (t->term.n == 0 || denies(t->term.p, t->term.n))
			continue;
		out->v[out->n].p = t->term.p;
		out->v[out->n].n = t->term.n;
		out->v[out->n].weight = t->weight > 0 ? t->weight : most > 0 ? most : 1;
		sum += out->v[out->n++].weight;
	}
	for (i = 0; i < out->n; i++)
		out->v[i].weight /= sum;
}

struct stance stance_of(const struct stance_proposal *p, wire_str text)
{
	const char *at = text.p, *end = text.p + text.n;
	bool there[STANCE_WORDS] = {false};
	struct stance best = {false, false, false, 0};
	struct denials d = {0};
	struct word w;
	unsigned i;

	while (next_word(&at, end, &w)) {
		unsigned words = 0;
		double share = 0;

		count(&d, &w);
		for (i = 0; i < p->n; i++)
			there[i] = there[i] || same(w.p, w.n, p->v[i].p, p->v[i].n);
		if (!w.ends)
			continue;
		for (i = 0; i < p->n; i++) {
			words += there[i];
			share += there[i] ? p->v[i].weight : 0;
			there[i] = false;
		}
		if (share > best.share) {
			best.share = share > 1 ? 1 : share;
			best.speaks = share >= STANCE_SHARE - 1e-9 && words >= (p->n < 2 ? 1u : 2u);
			best.against = (d.n % 2 == 1) != p->negated;
			best.unsure = d.n > 0 && d.n % 2 == 0;
		}
		d = (struct denials){0};
	}
	return best;
}

/* ---- vows ---- */
static bool weighty(const struct word *w)
{
	return w->n >= WEIGHTY_MIN && !denies(w->p, w->n) &&
	       !among(before_t, sizeof(before_t) / sizeof(*before_t), w->p, w->n) &&
	       !among(idle, sizeof(idle) / sizeof(*idle), w->p, w->n);
}

void stance_said(struct stance_said *out, wire_str proposal)
{
	const char *p = proposal.p, *end = proposal.p + proposal.n;
	struct denials d = {0};
	struct word w;

	memset(out, 0, sizeof(*out));
	while (out->sentences < UINT8_MAX && next_word(&p, end, &w)) {
		count(&d, &w);
		if (weighty(&w) && out->n < STANCE_SAID) {
			out->v[out->n].n = (unsigned char)(w.n < STANCE_SAID_WORD ? w.n : STANCE_SAID_WORD);
			memcpy(out->v[out->n].p, w.p, out->v[out->n].n);
			out->v[out->n++].sentence = (unsigned char)out->sentences;
		}
		if (w.ends) {
			out->negated[out->sentences++] = d.n % 2 == 1;
			d = (struct denials){0};
		}
	}
}

/* In which sentences of the proposal the word stands: one more for each. */
static void meet(const struct stance_said *said, const struct word *w, unsigned char met[UINT8_MAX + 1])
{
	int last = -1;
	unsigned i;

	for (i = 0; i < said->n; i++) {
		if ((int)said->v[i].sentence == last || !same(said->v[i].p, said->v[i].n, w->p, w->n))
			continue;
		last = said->v[i].sentence;
		if (met[last] < UINT8_MAX)
			met[last]++;
	}
}

bool stance_contradicts(const struct stance_said *said, wire_str vow)
{
	const char *p = vow.p, *end = vow.p + vow.n;
	unsigned char met[UINT8_MAX + 1] = {0};
	struct denials d = {0};
	unsigned words = 0, i;
	struct word w;

	while (next_word(&p, end, &w)) {
		count(&d, &w);
		if (weighty(&w)) {
			words++;
			w.n = w.n < STANCE_SAID_WORD ? w.n : STANCE_SAID_WORD;
			meet(said, &w, met);
		}
		if (!w.ends)
			continue;
		for (i = 0; i < said->sentences; i++) {
			if (met[i] >= 2 && met[i] * 2u >= words && (d.n > 0) != said->negated[i])
				return true;
		}
		memset(met, 0, said->sentences);
		d = (struct denials){0};
		words = 0;
	}
	return false;
}
