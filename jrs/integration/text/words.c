#include "jrs/integration/text/words.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include <libstemmer.h>
#include <utf8proc.h>

#include "common/base/err.h"
#include "jrs/integration/text/chars.h"

#define FOLD_MAX 64 /* bytes of a folded word that count; the rest only by its length */

struct words {
	struct sb_stemmer *english; /* owned */
};

/* Lower case, without apostrophes, sorted for bsearch (words_new() checks). */
static const char *const stop_words[] = {
	"a",      "about",  "again",  "all",   "also",   "am",    "an",   "and",    "any",   "are",   "arent",
	"as",     "at",     "be",     "been",  "being",  "but",   "by",   "can",    "cant",  "could", "d",
	"did",    "didnt",  "do",     "does",  "doesnt", "doing", "done", "dont",   "for",   "from",  "had",
	"has",    "have",   "having", "he",    "her",    "hers",  "him",  "his",    "how",   "i",     "id",
	"if",     "ill",    "im",     "in",    "into",   "is",    "isnt", "it",     "its",   "ive",   "just",
	"ll",     "many",   "may",    "me",    "might",  "much",  "must", "my",     "no",    "not",   "of",
	"off",    "on",     "or",     "our",   "ours",   "out",   "over", "please", "re",    "s",     "shall",
	"she",    "should", "so",     "some",  "such",   "t",     "tell", "than",   "that",  "the",   "their",
	"theirs", "them",   "then",   "there", "these",  "they",  "this", "those",  "to",    "too",   "up",
	"us",     "ve",     "very",   "was",   "wasnt",  "we",    "were", "what",   "whats", "when",  "where",
	"which",  "who",    "whom",   "whose", "why",    "will",  "with", "would",  "you",   "your",  "yours",
};
static const char *const time_words[] = {
	"ago",      "april",   "august",  "autumn",   "century",   "christmas", "date",     "day",      "decade",
	"december", "easter",  "evening", "fall",     "february",  "friday",    "hour",     "january",  "july",
	"june",     "last",    "later",   "march",    "may",       "midnight",  "minute",   "monday",   "month",
	"morning",  "next",    "night",   "noon",     "november",  "october",   "recently", "saturday", "september",
	"spring",   "summer",  "sunday",  "thursday", "today",     "tomorrow",  "tonight",  "tuesday",  "wednesday",
	"week",     "weekend", "winter",  "year",     "yesterday",
};
static const char *const count_words[] = {
	"couple", "dozen",     "eight",   "eighteen", "eighty",  "eleven", "fifteen",  "fifty",    "five",   "forty",
	"four",   "fourteen",  "half",    "hundred",  "million", "nine",   "nineteen", "ninety",   "once",   "one",
	"seven",  "seventeen", "seventy", "six",      "sixteen", "sixty",  "ten",      "thirteen", "thirty", "thousand",
	"three",  "thrice",    "twelve",  "twenty",   "twice",   "two",    "zero",
};
static const char *const reason_words[] = {"because", "cause", "due", "hence", "reason", "since", "therefore", "thus"};

/* Irregular forms -> the form whose stem stands for all, sorted by the first. */
static const char *const irregular[][2] = {
	{"ate", "eat"},
	{"became", "become"},
	{"began", "begin"},
	{"begun", "begin"},
	{"bought", "buy"},
	{"broke", "break"},
	{"broken", "break"},
	{"brought", "bring"},
	{"built", "build"},
	{"came", "come"},
	{"caught", "catch"},
	{"children", "child"},
	{"chose", "choose"},
	{"chosen", "choose"},
	{"drank", "drink"},
	{"drew", "draw"},
	{"driven", "drive"},
	{"drove", "drive"},
	{"eaten", "eat"},
	{"fallen", "fall"},
	{"fed", "feed"},
	{"feet", "foot"},
	{"fell", "fall"},
	{"felt", "feel"},
	{"flew", "fly"},
	{"forgot", "forget"},
	{"fought", "fight"},
	{"found", "find"},
	{"gave", "give"},
	{"given", "give"},
	{"goes", "go"},
	{"gone", "go"},
	{"got", "get"},
	{"gotten", "get"},
	{"grew", "grow"},
	{"grown", "grow"},
	{"heard", "hear"},
	{"held", "hold"},
	{"kept", "keep"},
	{"knew", "know"},
	{"known", "know"},
	{"led", "lead"},
	{"left", "leave"},
	{"lost", "lose"},
	{"made", "make"},
	{"meant", "mean"},
	{"men", "man"},
	{"met", "meet"},
	{"mice", "mouse"},
	{"paid", "pay"},
	{"people", "person"},
	{"ran", "run"},
	{"rode", "ride"},
	{"rose", "rise"},
	{"said", "say"},
	{"sang", "sing"},
	{"sat", "sit"},
	{"saw", "see"},
	{"seen", "see"},
	{"sent", "send"},
	{"slept", "sleep"},
	{"sold", "sell"},
	{"spent", "spend"},
	{"spoke", "speak"},
	{"spoken", "speak"},
	{"stood", "stand"},
	{"swam", "swim"},
	{"taken", "take"},
	{"taught", "teach"},
	{"thought", "think"},
	{"told", "tell"},
	{"took", "take"},
	{"understood", "understand"},
	{"went", "go"},
	{"woke", "wake"},
	{"women", "woman"},
	{"won", "win"},
	{"wore", "wear"},
	{"written", "write"},
	{"wrote", "write"},
};

static int compare(const void *key, const void *entry)
{
	return strcmp(key, *(const char *const *)entry);
}

#define IN(list, s) (bsearch((s), (list), sizeof(list) / sizeof((list)[0]), sizeof((list)[0]), compare) != NULL)

/* stride: in pointers; for asserts */
__attribute__((unused)) static bool sorted(const char *const *list, size_t n, size_t stride)
{
	for (size_t i = 1; i < n; i++)
		if (strcmp(list[(i - 1) * stride], list[i * stride]) >= 0)
			return false;
	return true;
}

#define SORTED(list) sorted((list), sizeof(list) / sizeof((list)[0]), 1)

int words_new(struct words **out)
{
	struct words *w = calloc(1, sizeof *w);

	assert(SORTED(stop_words) && SORTED(time_words) && SORTED(count_words) && SORTED(reason_words));
	assert(sorted(&irregular[0][0], sizeof irregular / sizeof irregular[0], 2));
	if (w == NULL)
		return TR_ENOMEM;
	w->english = sb_stemmer_new("english", NULL);
	if (w->english == NULL) {
		free(w);
		return TR_ENOMEM;
	}
	*out = w;
	return 0;
}

void words_free(struct words **w)
{
	if (w == NULL || *w == NULL)
		return;
	sb_stemmer_delete((*w)->english);
	free(*w);
	*w = NULL;
}

static uint64_t hash(const char *p, size_t n)
{
	uint64_t h = 0xcbf29ce484222325u; /* FNV-1a */

	for (size_t i = 0; i < n; i++)
		h = (h ^ (unsigned char)p[i]) * 0x100000001b3u;
	return h;
}

/* Appends the folded forms of c: compatibility decomposition, case folded, without Latin, Greek and Cyrillic accents.
 */
static void fold_char(int32_t c, char *buf, size_t *len, bool *ascii)
{
	utf8proc_int32_t cps[8];
	int state = 0;
	utf8proc_ssize_t k;

	k = utf8proc_decompose_char(c, cps, 8,
				    UTF8PROC_DECOMPOSE | UTF8PROC_COMPAT | UTF8PROC_CASEFOLD | UTF8PROC_IGNORE, &state);
	if (k < 0 || k > 8) {
		cps[0] = c;
		k = 1;
	}
	for (utf8proc_ssize_t i = 0; i < k; i++) {
		utf8proc_uint8_t bytes[4];
		utf8proc_ssize_t n;

		if (cps[i] >= 0x300 && cps[i] <= 0x36f)
			continue;
		n = utf8proc_encode_char(cps[i], bytes);
		if (n <= 0 || *len + (size_t)n > FOLD_MAX)
			continue;
		*ascii = *ascii && cps[i] >= 'a' && cps[i] <= 'z';
		memcpy(buf + *len, bytes, (size_t)n);
		*len += (size_t)n;
	}
}

/* p..p+n folded into buf (FOLD_MAX + 1 bytes); *letters: only a-z came out. */
static size_t fold(const char *p, size_t n, char *buf, bool *letters)
{
	size_t len = 0;
	int32_t c;

	*letters = true;
	for (size_t i = 0; i < n && len < FOLD_MAX;) {
		i += chars_next(p + i, n - i, &c);
		if (c == '\'' || c == 0x2019 || c == CHARS_BROKEN)
			continue;
		if (c >= 'A' && c <= 'Z')
			c += 32;
		if (c < 0x80) {
			*letters = *letters && c >= 'a' && c <= 'z';
			buf[len++] = (char)c;
		} else {
			fold_char(c, buf, &len, letters);
		}
	}
	buf[len] = '\0';
	return len;
}

static unsigned number_flags(const char *s, size_t n)
{
	bool colon = memchr(s, ':', n) != NULL;

	if (n == 4 && ((s[0] == '1' && s[1] >= '3') || (s[0] == '2' && s[1] <= '1')) && strspn(s, "0123456789") == 4)
		return WORD_NUMBER | WORD_TIME; /* a year */
	return WORD_NUMBER | (colon ? WORD_TIME : 0);
}

/* "week" and "weeks" both say when. */
static bool is_time(const char *s, size_t n)
{
	char one[FOLD_MAX + 1];

	if (IN(time_words, s))
		return true;
	if (n < 4 || s[n - 1] != 's')
		return false;
	memcpy(one, s, n - 1);
	one[n - 1] = '\0';
	return IN(time_words, one);
}

/* Flags and key of a word of letters only. first: it begins the text, so its capital says nothing. */
static void finish_letters(struct words *w, struct word *out, const char *s, size_t n, bool first)
{
	const char *const *base =
		bsearch(s, irregular, sizeof irregular / sizeof irregular[0], sizeof irregular[0], compare);
	const sb_symbol *stem;

	if (IN(stop_words, s) && !(strcmp(s, "may") == 0 && (out->flags & WORD_CAPITAL) && !first))
		out->flags |= WORD_STOP;
	else if (is_time(s, n))
		out->flags |= WORD_TIME;
	out->flags |= IN(count_words, s) ? WORD_COUNT : 0;
	out->flags |= IN(reason_words, s) ? WORD_REASON : 0;
	if (base != NULL) {
		s = base[1];
		n = strlen(s);
	} else if (n > 2 && s[n - 1] == 's' && s[n - 2] != 's' && strpbrk(s, "aeiouy") == NULL) {
		n--; /* "PDFs", "Jrs": the stemmer wants a vowel before it takes an s away */
	}
	stem = sb_stemmer_stem(w->english, (const sb_symbol *)s, (int)n);
	if (stem != NULL)
		out->key = hash((const char *)stem, (size_t)sb_stemmer_length(w->english));
	else
		out->key = hash(s, n);
}

static void finish(struct words *w, struct word *out, bool has_digit, bool first)
{
	char buf[FOLD_MAX + 1];
	bool letters;
	size_t n = out->n, len;
	int32_t c;

	/* the possessive is not part of the word */
	if (n > 2 && (out->p[n - 1] == 's' || out->p[n - 1] == 'S') && out->p[n - 2] == '\'')
		n -= 2;
	else if (n > 4 && out->p[n - 1] == 's' && memcmp(out->p + n - 4, "\xe2\x80\x99", 3) == 0)
		n -= 4;
	chars_next(out->p, out->n, &c);
	out->flags = chars_upper(c) ? WORD_CAPITAL : 0;
	len = fold(out->p, n, buf, &letters);
	if (has_digit)
		out->flags |= number_flags(buf, len);
	if (letters && len > 0)
		finish_letters(w, out, buf, len, first);
	else
		out->key = hash(buf, len) ^ (len >= FOLD_MAX ? n : 0);
}

/* The end of the word that starts at p: letters, digits and marks; an apostrophe between letters; . , : between digits.
 */
static size_t word_end(const char *p, size_t n, bool *has_digit)
{
	size_t i = 0;
	int32_t c, prev = 0, next;

	*has_digit = false;
	while (i < n) {
		size_t len = chars_next(p + i, n - i, &c);

		if (chars_word(c) && !chars_spaceless(c)) {
			*has_digit = *has_digit || chars_digit(c);
		} else if (i > 0 && i + len < n) {
			chars_next(p + i + len, n - i - len, &next);
			if (c == '\'' || c == 0x2019) {
				if (!chars_word(next) || chars_digit(next) || chars_spaceless(next))
					break;
			} else if (!((c == '.' || c == ',' || c == ':') && chars_digit(prev) && chars_digit(next))) {
				break;
			}
		} else {
			break;
		}
		prev = c;
		i += len;
	}
	return i;
}

/* A run of a script without spaces: every two neighbours are a word, a lone character is one itself. */
static size_t bigrams(struct words *w, const char *p, size_t n, struct word *out, size_t max, size_t *count)
{
	size_t i = 0, prev = 0;
	size_t k = 0;
	int32_t c;

	while (i < n && *count < max) {
		size_t len = chars_next(p + i, n - i, &c);

		if (!chars_spaceless(c))
			break;
		if (k++ > 0) {
			out[*count] = (struct word){.p = p + prev, .n = (uint32_t)(i + len - prev)};
			finish(w, &out[(*count)++], false, false);
		}
		prev = i;
		i += len;
	}
	if (k == 1 && *count < max) {
		out[*count] = (struct word){.p = p, .n = (uint32_t)i};
		finish(w, &out[(*count)++], false, false);
	}
	return i > 0 ? i : 1;
}

size_t words_split(struct words *w, const char *p, size_t n, struct word *out, size_t max)
{
	size_t i = 0, count = 0;
	int32_t c;

	while (i < n && count < max) {
		size_t len = chars_next(p + i, n - i, &c);
		bool has_digit;

		if (chars_spaceless(c)) {
			i += bigrams(w, p + i, n - i, out, max, &count);
			continue;
		}
		if (!chars_word(c)) {
			i += len;
			continue;
		}
		len = word_end(p + i, n - i, &has_digit);
		out[count] = (struct word){.p = p + i, .n = (uint32_t)len};
		finish(w, &out[count], has_digit, count == 0);
		count++;
		i += len;
	}
	return count;
}

bool word_is(const struct word *w, const char *lower)
{
	return w->n == strlen(lower) && strncasecmp(w->p, lower, w->n) == 0;
}
