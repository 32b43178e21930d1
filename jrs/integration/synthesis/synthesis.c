#include "jrs/integration/synthesis/synthesis.h"

#include <stdio.h>
#include <string.h>

#include "common/base/clock.h"
#include "jrs/integration/synthesis/judge.h"
#include "jrs/integration/text/chars.h"

/* A further sentence must score at least this share of the best one's. */
#define SHARE_SUMMARY .6
#define SHARE_FULL    .4
/* ... and cover at least this share of the question by itself, and of what the best one covers: one good sentence is
 * better than three of which two only look like it. */
#define COVER_LEAST .3
#define COVER_SHARE .6
/* More of the shorter one's content in common than this, and it says nothing new. */
#define OVERLAP_MAX .7
/* A source agrees when one of its sentences covers at least this share of what the best one covers. */
#define AGREE_SHARE .75
/* Speakers of this many first sources are asked whether it is them the question names. */
#define SPEAKERS_LOOKED_AT 5

int synthesis_detail_parse(wire_str name, enum synthesis_detail *out, struct tr_fault *fault)
{
	static const struct {
		const char *name;
		enum synthesis_detail detail;
	} list[] = {{"concise", SYNTHESIS_CONCISE}, {"summary", SYNTHESIS_SUMMARY}, {"full", SYNTHESIS_FULL}};

	for (size_t i = 0; i < sizeof list / sizeof list[0]; i++)
		if (strlen(list[i].name) == name.n && memcmp(list[i].name, name.p, name.n) == 0) {
			*out = list[i].detail;
			return 0;
		}
	return tr_fault_set(fault, TR_EINVAL, "detail", "must be concise, summary or full");
}

struct choice {
	const struct candidate *v[SYNTHESIS_FULL]; /* best first */
	unsigned n;
};

static bool says_something_new(const struct judge *j, const struct choice *chosen, const struct candidate *c)
{
	for (unsigned i = 0; i < chosen->n; i++)
		if (judge_overlap(j, chosen->v[i], c) > OVERLAP_MAX)
			return false;
	return true;
}

/* Is it about enough of the question to stand beside the best one? In talk people answer in other words than they were
 * asked, and the turns around tell; a document's sentence has to say it. */
static bool about_it(const struct judge *j, const struct candidate *best, const struct candidate *c, bool talk)
{
	double own = judge_cover(&j->q, c->found & ~j->q.names);

	if (talk)
		return (c->found & ~j->q.names) != 0;
	return own >= COVER_LEAST * judge_cover(&j->q, ~j->q.names) &&
	       own >= COVER_SHARE * judge_cover(&j->q, best->found & ~j->q.names);
}

/* Best first; a later one must be near the best, about the matter, and not say the same again. */
static void choose(const struct judge *j, enum synthesis_detail detail, const struct item_source *sources,
		   struct choice *out)
{
	double share = detail == SYNTHESIS_FULL ? SHARE_FULL : SHARE_SUMMARY;

	memset(out, 0, sizeof *out);
	while (out->n < (unsigned)detail) {
		const struct candidate *best = NULL;

		for (size_t i = 0; i < j->n; i++) {
			const struct candidate *c = &j->v[i];

			if (best != NULL && c->score <= best->score)
				continue;
			if (out->n > 0 && (c->score < share * out->v[0]->score || !c->plain ||
					   !about_it(j, out->v[0], c, sources[c->source].has_speaker)))
				continue;
			if (says_something_new(j, out, c))
				best = c;
		}
		if (best == NULL)
			return;
		out->v[out->n++] = best;
	}
}

static void put_span(struct buf *b, const char *p, size_t n)
{
	bool space = false;
	int32_t c;

	for (size_t i = 0, len; i < n; i += len) {
		len = chars_next(p + i, n - i, &c);
		if (chars_space(c) || c < 0x20 || c == 0x7f) {
			space = true;
			continue;
		}
		if (space)
			buf_puts(b, " ");
		space = false;
		buf_append(b, p + i, len);
	}
}

/* All chosen sentences of one source as one quotation, in the order they stand there. */
static void put_source(struct synthesis *s, const struct judge *j, const struct choice *chosen, uint32_t source,
		       const struct item_source *src)
{
	bool dated = j->q.asked == ASKED_WHEN && src->has_at;
	const struct candidate *last = NULL;
	char date[TR_RFC3339_LEN] = "";

	if (dated)
		tr_rfc3339_format(src->at, date);
	if (s->ncited > 0)
		buf_puts(&s->answer, " ");
	if (src->has_speaker) {
		put_span(&s->answer, src->speaker.p, src->speaker.n);
		buf_printf(&s->answer, dated ? " (%.10s): \"" : "%s: \"", date);
	}
	for (size_t k = 0; k < j->n; k++) {
		const struct candidate *c = &j->v[k];
		bool in = false;
		size_t bullet;

		for (unsigned i = 0; i < chosen->n; i++)
			in = in || (chosen->v[i] == c && c->source == source);
		if (!in)
			continue;
		if (last != NULL)
			buf_puts(&s->answer, last + 1 == c ? " " : " ... ");
		bullet = c->text.n > 2 && strncmp(c->text.p, "- ", 2) == 0 ? 2 : 0; /* a list's mark is no word of it */
		put_span(&s->answer, c->text.p + bullet, c->text.n - bullet);
		last = c;
	}
	if (src->has_speaker)
		buf_puts(&s->answer, "\"");
	else if (dated)
		buf_printf(&s->answer, " (%.10s)", date);
	buf_printf(&s->answer, " [%u]", (unsigned)source + 1);
	s->cited[s->ncited++] = source;
}

/* How many other sources have a sentence that covers about as much. */
static unsigned agreeing(const struct judge *j, const struct candidate *best)
{
	double need = AGREE_SHARE * judge_cover(&j->q, best->found);
	uint32_t seen = UINT32_MAX;
	unsigned n = 0;

	for (size_t i = 0; i < j->n; i++) {
		const struct candidate *c = &j->v[i];

		if (c->source != best->source && c->source != seen && !c->question &&
		    judge_cover(&j->q, c->found) >= need) {
			seen = c->source;
			n++;
		}
	}
	return n;
}

/* When the question names somebody who speaks in the sources: how much of the first sources is theirs, by reciprocal
 * rank. A question about the wrong person is told by this better than by any overlap of words. 1 when nobody is named.
 */
static double speakers_agree(const struct judge *j, uint32_t n)
{
	double theirs = 0, all = 0;

	if (j->q.names == 0)
		return 1;
	for (uint32_t i = 0; i < n && i < SPEAKERS_LOOKED_AT; i++) {
		all += 1.0 / (i + 1);
		theirs += j->source_spoken[i] != 0 ? 1.0 / (i + 1) : 0;
	}
	return all > 0 ? theirs / all : 1;
}

static const char *asked_for(enum asked asked)
{
	switch (asked) {
	case ASKED_WHEN:
		return "a time";
	case ASKED_WHO:
		return "a name";
	case ASKED_NUMBER:
		return "a number";
	case ASKED_WHERE:
		return "a place";
	case ASKED_WHY:
		return "a reason";
	case ASKED_ANYTHING:
		break;
	}
	return NULL;
}

static void reckon(struct synthesis *s, const struct judge *j, const struct candidate *best,
		   const struct item_source *sources, uint32_t n)
{
	uint64_t own = best->found | j->source_spoken[best->source];
	uint64_t near = own | j->source_found[best->source];
	unsigned hit = (unsigned)__builtin_popcountll(own), others = agreeing(j, best);
	const char *thing = asked_for(j->q.asked);
	bool given = best->answers || (j->q.asked == ASKED_WHEN && sources[best->source].has_at) ||
		     (j->q.asked == ASKED_WHO && sources[best->source].has_speaker);
	double c = .6 * judge_cover(&j->q, own) + .15 * judge_cover(&j->q, near) +
		   .15 * (others >= 2 ? 1 : others / 2.0) + (thing == NULL || given ? .1 : 0);
	double agree = speakers_agree(j, n);
	int len;

	c *= .5 + .5 * agree;
	c *= thing == NULL || given ? 1 : .75;
	c *= j->q.n > 1 ? 1 : .75;                            /* one word alone is found in many a wrong place */
	c *= 1 - .03 * (best->source < 5 ? best->source : 5); /* found further down: less sure */
	if ((own & ~j->q.names) == 0)
		c *= .2; /* at most the right person, nothing of the matter */
	s->confidence = c < 0 ? 0 : c > 1 ? 1 : c;
	len = snprintf(s->basis, sizeof s->basis, "%u of %u words of the question stand in the best sentence; ", hit,
		       j->q.n);
	if (others == 0)
		len += snprintf(s->basis + len, sizeof s->basis - (size_t)len, "no other source says it");
	else
		len += snprintf(s->basis + len, sizeof s->basis - (size_t)len, "%u sources agree", others + 1);
	if (thing != NULL)
		len += snprintf(s->basis + len, sizeof s->basis - (size_t)len,
				given ? "; it holds %s" : "; %s was asked for, none is in it", thing);
	if (agree < .5)
		snprintf(s->basis + len, sizeof s->basis - (size_t)len,
			 "; mostly others speak than the one asked about");
}

int synthesise(struct synthesis *out, struct words *words, wire_str question, enum synthesis_detail detail,
	       const struct item_source *sources, uint32_t n)
{
	struct synthesis s = {0};
	struct choice chosen;
	struct judge j;
	int r = judge_open(&j, words, question, sources, n);

	if (r < 0)
		return r;
	choose(&j, detail, sources, &chosen);
	if (chosen.n == 0) {
		buf_puts(&s.answer, SYNTHESIS_NOTHING);
		snprintf(s.basis, sizeof s.basis, n == 0 ? "no source was found" : "the sources hold no words");
	}
	for (unsigned i = 0; i < chosen.n; i++) {
		uint32_t source = chosen.v[i]->source;
		bool done = false;

		for (unsigned k = 0; k < s.ncited; k++)
			done = done || s.cited[k] == source;
		if (!done)
			put_source(&s, &j, &chosen, source, &sources[source]);
	}
	if (chosen.n > 0)
		reckon(&s, &j, chosen.v[0], sources, n);
	judge_close(&j);
	if (s.answer.failed < 0) {
		r = s.answer.failed;
		buf_free(&s.answer);
		return r;
	}
	*out = s;
	return 0;
}

void synthesis_free(struct synthesis *s)
{
	buf_free(&s->answer);
}
