/* Pure: how far a source that is only quoted answers a question. */
#include "jrs/executive/api/internal.h"
#include <stdbool.h>
#include <strings.h>

#define WORD_MIN 4 /* bytes; shorter words ("who", "did") say nothing about the subject */

static bool in_word(unsigned char c)
{
	return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || c >= 0x80;
}

/* Next run of word bytes at or behind *p. */
static size_t next_word(const char **p, const char *end)
{
	const char *s = *p, *e;

	while (s < end && !in_word((unsigned char)*s))
		s++;
	for (e = s; e < end && in_word((unsigned char)*e); e++)
		;
	*p = s;
	return (size_t)(e - s);
}

/* Is there a word that begins like this one? The last letter is left to vary: plurals and endings. */
static bool found(const char *word, size_t n, const char *content, size_t content_n)
{
	const char *p = content, *end = content + content_n;
	size_t k, stem = n > WORD_MIN ? n - 1 : n;

	for (; (k = next_word(&p, end)) > 0; p += k)
		if (k >= stem && strncasecmp(p, word, stem) == 0)
			return true;
	return false;
}

double quote_confidence(const char *question, size_t n, const char *content, size_t content_n)
{
	const char *p = question, *end = question + n;
	unsigned words = 0, hits = 0;
	size_t k;

	for (; (k = next_word(&p, end)) > 0; p += k) {
		if (k < WORD_MIN)
			continue;
		words++;
		hits += found(p, k, content, content_n);
	}
	return words == 0 ? 0 : 0.5 * hits / words;
}
