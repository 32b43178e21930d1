#include "jrs/integration/synthesis/judge.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "jrs/integration/text/chars.h"

#define SENTENCE_WORDS_MAX 300
#define REPLY_WITHIN_MS    600000 /* somebody else's words this soon behind a question may answer it */

/* What each sign is worth beside coverage, which counts 1. Set by hand and tried on development conversations; only
 * their order of size matters much. */
static const struct {
	double pairs;        /* adjacent words of the question, adjacent here */
	double before;       /* terms that stand only in the sentence before */
	double before_asked; /* ... when that one is a question: this is its reply */
	double after;
	double heading;     /* terms in the line above the text that says what it is about */
	double elsewhere;   /* terms that stand only elsewhere in the same source */
	double rank;        /* the source's place and score in recall */
	double answers;     /* holds a date, name, number ... as asked */
	double is_question; /* factor: a question rarely answers one */
	double thin;        /* factor: one word, a heading, a line that only introduces */
	double row;         /* factor: a table's row says less than prose with the same words */
	double long_words;  /* words of a sentence; each further one makes it less likely that it is about the question:
			     */
	double long_each;   /* divides the score by 1 + this */
} weight = {.pairs = .15,
	    .before = .25,
	    .before_asked = .5,
	    .after = .08,
	    .heading = .2,
	    .elsewhere = .15,
	    .rank = .3,
	    .answers = .25,
	    .is_question = .5,
	    .thin = .5,
	    .row = .85,
	    .long_words = 40,
	    .long_each = .01};

/* "How hot is it?" wants a figure; the answer need not hold the word "hot". */
static bool is_measure(const struct word *w, size_t i)
{
	static const char *const measures[] = {"hot",  "warm", "cold", "high",  "low",  "big",  "large",
					       "tall", "fast", "deep", "heavy", "wide", "loud", "expensive"};

	if (i == 0 || !word_is(&w[i - 1], "how"))
		return false;
	for (size_t k = 0; k < sizeof measures / sizeof measures[0]; k++)
		if (word_is(&w[i], measures[k]))
			return true;
	return false;
}

/* "What happens when a Jr is killed?" asks for no time: behind the word that asks, "when" only begins a clause. */
static bool asks_already(const struct word *w, size_t i)
{
	static const char *const asking[] = {"what", "which", "how", "why"};

	while (i-- > 0)
		for (size_t k = 0; k < sizeof asking / sizeof asking[0]; k++)
			if (word_is(&w[i], asking[k]))
				return true;
	return false;
}

static enum asked what_is_asked(const struct word *w, size_t n)
{
	/* clang-format off */
	static const struct { const char *first, *second; enum asked asked; } form[] = {
		{"when", NULL, ASKED_WHEN},        {"since", "when", ASKED_WHEN},   {"what", "time", ASKED_WHEN},
		{"what", "day", ASKED_WHEN},       {"what", "date", ASKED_WHEN},    {"what", "month", ASKED_WHEN},
		{"what", "year", ASKED_WHEN},      {"which", "day", ASKED_WHEN},    {"which", "date", ASKED_WHEN},
		{"which", "month", ASKED_WHEN},    {"which", "year", ASKED_WHEN},
		{"who", NULL, ASKED_WHO},          {"whom", NULL, ASKED_WHO},       {"whose", NULL, ASKED_WHO},
		{"how", "many", ASKED_NUMBER},     {"how", "much", ASKED_NUMBER},   {"how", "long", ASKED_NUMBER},
		{"how", "old", ASKED_NUMBER},      {"how", "often", ASKED_NUMBER},  {"how", "far", ASKED_NUMBER},
		{"where", NULL, ASKED_WHERE},      {"why", NULL, ASKED_WHY},
	};
	/* clang-format on */

	for (size_t i = 0; i < n; i++) {
		if (is_measure(w, i))
			return ASKED_NUMBER;
		for (size_t k = 0; k < sizeof form / sizeof form[0]; k++)
			if (word_is(&w[i], form[k].first) && !(form[k].second == NULL && asks_already(w, i)) &&
			    (form[k].second == NULL || (i + 1 < n && word_is(&w[i + 1], form[k].second))))
				return form[k].asked;
	}
	return ASKED_ANYTHING;
}

/* The question's content words, each once; when there is none, every word of it. */
static void read_question(struct question *q, struct words *words, wire_str text)
{
	struct word w[2 * TERMS_MAX];
	size_t n = words_split(words, text.p, text.n, w, sizeof w / sizeof w[0]);

	q->asked = what_is_asked(w, n);
	for (int all = 0; all < 2 && q->n == 0; all++)
		for (size_t i = 0; i < n && q->n < TERMS_MAX; i++) {
			unsigned k = 0;

			if (((w[i].flags & WORD_STOP) || is_measure(w, i)) && !all)
				continue;
			while (k < q->n && q->key[k] != w[i].key)
				k++;
			if (k == q->n)
				q->key[q->n++] = w[i].key;
		}
}

static uint64_t terms_of(const struct question *q, uint64_t key)
{
	for (unsigned i = 0; i < q->n; i++)
		if (q->key[i] == key)
			return (uint64_t)1 << i;
	return 0;
}

static int grow(void **p, size_t *cap, size_t need, size_t size)
{
	size_t more = *cap == 0 ? 256 : *cap * 2;
	void *q;

	if (need <= *cap)
		return 0;
	if (more < need)
		more = need;
	q = realloc(*p, more * size);
	if (q == NULL)
		return TR_ENOMEM;
	*p = q;
	*cap = more;
	return 0;
}

/* A capital that its place in the sentence does not explain, on a word nobody asked about: a name. */
static bool is_name(const struct word *w, size_t i, uint64_t term)
{
	return i > 0 && term == 0 && (w->flags & WORD_CAPITAL) && !(w->flags & (WORD_STOP | WORD_TIME)) && w->n > 1;
}

static bool is_place(const struct word *w, size_t i, uint64_t term)
{
	static const char *const before[] = {"in", "at", "to", "from", "near", "into", "on"};

	if (i == 0 || term != 0 || (w->flags & (WORD_STOP | WORD_TIME | WORD_NUMBER)))
		return false;
	for (size_t k = 0; k < sizeof before / sizeof before[0]; k++)
		if (word_is(w - 1, before[k]) || (i > 1 && (w[-1].flags & WORD_STOP) && word_is(w - 2, before[k])))
			return true;
	return false;
}

static bool answers(enum asked asked, const struct word *w, size_t i, uint64_t term)
{
	switch (asked) {
	case ASKED_WHEN:
		return (w->flags & WORD_TIME) && term == 0;
	case ASKED_WHO:
		return is_name(w, i, term);
	case ASKED_NUMBER:
		return (w->flags & (WORD_NUMBER | WORD_COUNT)) && term == 0;
	case ASKED_WHERE:
		return is_place(w, i, term);
	case ASKED_WHY:
		return (w->flags & WORD_REASON) != 0;
	case ASKED_ANYTHING:
		break;
	}
	return false;
}

static bool ends_asking(const struct span *s)
{
	size_t end = s->n;
	int32_t c = 0;

	while (end > 0) {
		end -= chars_prev(s->p, end, &c);
		if (!chars_closing(c))
			break;
	}
	return c == '?' || c == 0xff1f || c == 0x61f;
}

/* "column: cell; column: cell", as the import of tables writes it. */
static bool is_row(const struct span *s)
{
	static const char *const marks[] = {": ", "; ", ": "};
	const char *p = s->p, *end = s->p + s->n;

	for (size_t i = 0; i < sizeof marks / sizeof marks[0]; i++) {
		p = memmem(p, (size_t)(end - p), marks[i], 2);
		if (p == NULL)
			return false;
		p += 2;
	}
	return true;
}

/* Commands, paths, settings: at least a quarter of what stands between spaces is no word of a language. */
static bool is_code(const struct span *s)
{
	unsigned all = 0, dry = 0;
	bool first = false; /* "hang_after_ms: 1000" */

	for (size_t i = 0; i < s->n;) {
		size_t from = i;
		bool odd;

		while (i < s->n && s->p[i] != ' ' && s->p[i] != '\n')
			i++;
		odd = i - from > 2 && s->p[from] == '-' && s->p[from + 1] == '-';
		for (size_t k = from; k < i; k++)
			odd = odd || strchr("=_/\\{}<>|#$*~", s->p[k]) != NULL;
		all += i > from;
		dry += odd;
		first = first || (from == 0 && odd);
		i++;
	}
	return first || 4 * dry >= all;
}

static int add_sentence(struct judge *j, struct words *words, const struct span *text, uint32_t source)
{
	struct word w[SENTENCE_WORDS_MAX];
	size_t n = words_split(words, text->p, text->n, w, SENTENCE_WORDS_MAX), content = 0;
	struct candidate c = {.text = *text, .source = source, .first_key = (uint32_t)j->nkeys};
	uint64_t last = 0;

	if (n == 0)
		return 0;
	if (grow((void **)&j->v, &j->cap, j->n + 1, sizeof *j->v) < 0 ||
	    grow((void **)&j->keys, &j->keys_cap, j->nkeys + KEYS_MAX, sizeof *j->keys) < 0)
		return TR_ENOMEM;
	for (size_t i = 0; i < n; i++) {
		uint64_t term = terms_of(&j->q, w[i].key);

		c.found |= term;
		c.pairs |= last != 0 && term == last << 1 ? last : 0;
		c.pairs |= term != 0 && last == term << 1 ? term : 0; /* "killed the Jr", "the Jr was killed" */
		c.answers = c.answers || answers(j->q.asked, &w[i], i, term);
		if (w[i].flags & WORD_STOP)
			continue; /* a stop word between two terms does not part them */
		last = term;
		content++;
		if (c.nkeys < KEYS_MAX)
			j->keys[j->nkeys + c.nkeys++] = w[i].key;
	}
	c.question = ends_asking(text);
	c.row = is_row(text) || is_code(text);
	c.words = (uint32_t)n;
	c.plain = content >= 2 && text->p[0] != '#' && text->p[0] != '[' && text->p[text->n - 1] != ':';
	j->nkeys += c.nkeys;
	j->source_found[source] |= c.found;
	j->v[j->n++] = c;
	return 0;
}

/* Every source gets an equal share of what is left, so that a long one cannot crowd out the next. */
static int read_sources(struct judge *j, struct words *words, const struct item_source *sources, uint32_t n)
{
	size_t sentences = SENTENCES_MAX, bytes = BYTES_MAX;

	for (uint32_t i = 0; i < n; i++) {
		size_t some = sentences / (n - i), room = bytes / (n - i), pos = 0, taken = 0;
		struct span s;

		while (taken < some && pos < room &&
		       sentence_next(sources[i].content.p, sources[i].content.n, &pos, &s)) {
			int r = add_sentence(j, words, &s, i);

			if (r < 0)
				return r;
			taken++;
		}
		sentences -= taken;
		bytes -= pos < bytes ? pos : bytes;
	}
	return 0;
}

static void read_speakers(struct judge *j, struct words *words, const struct item_source *sources, uint32_t n)
{
	for (uint32_t i = 0; i < n; i++) {
		struct word w[8];
		size_t k = sources[i].has_speaker ? words_split(words, sources[i].speaker.p, sources[i].speaker.n, w, 8)
						  : 0;

		while (k-- > 0)
			j->source_spoken[i] |= terms_of(&j->q, w[k].key);
		j->q.names |= j->source_spoken[i];
	}
}

static void weigh_terms(struct judge *j)
{
	struct question *q = &j->q;
	double total = (double)j->n;

	for (unsigned i = 0; i < q->n; i++) {
		double df = 0;

		for (size_t k = 0; k < j->n; k++)
			df += (double)((j->v[k].found >> i) & 1);
		q->idf[i] = log(1 + (total - df + .5) / (df + .5));
		q->mass += q->idf[i];
	}
}

double judge_cover(const struct question *q, uint64_t found)
{
	double sum = 0;

	for (unsigned i = 0; i < q->n; i++)
		sum += (found >> i) & 1 ? q->idf[i] : 0;
	return q->mass > 0 ? sum / q->mass : 0;
}

static double bits(uint64_t m)
{
	return (double)__builtin_popcountll(m);
}

/* Place and score of a source in recall, 0..1. Scores of any scale: only their ratio to the best counts. */
static double prior(const struct item_source *sources, uint32_t i)
{
	double best = sources[0].score, share = 0;

	if (best > 0 && sources[i].score > 0)
		share = sources[i].score >= best ? 1 : sources[i].score / best;
	return .5 * share + .5 / (1 + .25 * i);
}

/* The sentence in front of v[i]: in its source, or, for the first one of what somebody said, the last one of what
 * somebody else had said just before, if that is among the sources. */
static const struct candidate *before(const struct judge *j, size_t i, const struct item_source *sources, uint32_t n)
{
	const struct candidate *c = &j->v[i];
	const struct item_source *here = &sources[c->source];
	uint32_t found = n;

	if (i > 0 && c[-1].source == c->source)
		return c - 1;
	if (!here->has_at || !here->has_speaker)
		return NULL;
	for (uint32_t k = 0; k < n; k++) {
		const struct item_source *s = &sources[k];

		if (!s->has_at || !s->has_speaker || s->at >= here->at ||
		    (double)here->at - (double)s->at > REPLY_WITHIN_MS ||
		    (s->speaker.n == here->speaker.n && memcmp(s->speaker.p, here->speaker.p, s->speaker.n) == 0))
			continue;
		if (found == n || s->at > sources[found].at)
			found = k;
	}
	for (size_t k = j->n; found < n && k-- > 0;)
		if (j->v[k].source == found)
			return &j->v[k];
	return NULL;
}

/* Terms of the heading that stands in front of a document's text: a first sentence that ends with a colon. */
static uint64_t heading_of(const struct judge *j, size_t i)
{
	uint32_t source = j->v[i].source;

	while (i > 0 && j->v[i - 1].source == source)
		i--;
	return j->v[i].text.p[j->v[i].text.n - 1] == ':' ? j->v[i].found : 0;
}

static void score_all(struct judge *j, const struct item_source *sources, uint32_t n)
{
	uint64_t heading = 0;

	for (size_t i = 0; i < j->n; i++) {
		struct candidate *c = &j->v[i];
		const struct candidate *prev = before(j, i, sources, n);
		const struct candidate *next = i + 1 < j->n && c[1].source == c->source ? c + 1 : NULL;
		uint64_t own = c->found | j->source_spoken[c->source];
		double s = judge_cover(&j->q, own);

		if (j->q.n > 1)
			s += weight.pairs * bits(c->pairs) / (j->q.n - 1);
		if (prev != NULL)
			s += (prev->question && !c->question ? weight.before_asked : weight.before) *
			     judge_cover(&j->q, prev->found & ~own);
		if (next != NULL)
			s += weight.after * judge_cover(&j->q, next->found & ~own);
		if (i == 0 || c[-1].source != c->source)
			heading = sources[c->source].has_speaker ? 0 : heading_of(j, i);
		s += weight.heading * judge_cover(&j->q, heading);
		s += weight.elsewhere * judge_cover(&j->q, j->source_found[c->source] & ~own);
		s += weight.rank * prior(sources, c->source);
		/* what was asked for counts only where the sentence is about the matter at all */
		if (c->answers && (own & ~j->q.names) != 0)
			s += weight.answers;
		s *= c->question ? weight.is_question : 1;
		s *= c->plain ? 1 : weight.thin;
		s *= c->row ? weight.row : 1;
		if (c->words > weight.long_words)
			s /= 1 + weight.long_each * (c->words - weight.long_words);
		c->score = s;
	}
}

double judge_overlap(const struct judge *j, const struct candidate *a, const struct candidate *b)
{
	uint32_t common = 0, least = a->nkeys < b->nkeys ? a->nkeys : b->nkeys;

	for (uint32_t i = 0; i < a->nkeys; i++)
		for (uint32_t k = 0; k < b->nkeys; k++)
			if (j->keys[a->first_key + i] == j->keys[b->first_key + k]) {
				common++;
				break;
			}
	return least == 0 ? 1 : (double)(common < least ? common : least) / least;
}

void judge_close(struct judge *j)
{
	free(j->v);
	free(j->keys);
	free(j->source_found);
	free(j->source_spoken);
	memset(j, 0, sizeof *j);
}

int judge_open(struct judge *j, struct words *words, wire_str question, const struct item_source *sources, uint32_t n)
{
	int r = TR_ENOMEM;

	memset(j, 0, sizeof *j);
	j->source_found = calloc(n + 1, sizeof *j->source_found);
	j->source_spoken = calloc(n + 1, sizeof *j->source_spoken);
	if (j->source_found == NULL || j->source_spoken == NULL)
		goto out;
	read_question(&j->q, words, question);
	read_speakers(j, words, sources, n);
	r = read_sources(j, words, sources, n);
	if (r < 0)
		goto out;
	weigh_terms(j);
	score_all(j, sources, n);
out:
	if (r < 0)
		judge_close(j);
	return r;
}
