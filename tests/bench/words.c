#include "tests/bench/words.h"
#include <stdio.h>
#include <stdlib.h>

#define COMMON 60

static uint64_t mix(uint64_t z)
{
	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
	z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
	return z ^ (z >> 31);
}

int words_open(struct words *w, uint64_t seed)
{
	double sum = 0;

	w->state =
		mix(seed + 1) * 0x9e3779b97f4a7c15u; /* mixed: the next seed is no later place of the same sequence */
	w->cumulative = malloc(WORDS_VOCABULARY * sizeof(*w->cumulative));
	if (w->cumulative == NULL)
		return -1;
	for (size_t i = 0; i < WORDS_VOCABULARY; i++)
		w->cumulative[i] = sum += 1.0 / (double)(i + 1);
	for (size_t i = 0; i < WORDS_VOCABULARY; i++)
		w->cumulative[i] /= sum;
	return 0;
}

void words_close(struct words *w)
{
	free(w->cumulative);
	w->cumulative = NULL;
}

static double uniform(struct words *w)
{
	return (double)(mix(w->state += 0x9e3779b97f4a7c15u) >> 11) * 0x1p-53;
}

static size_t draw(struct words *w)
{
	double u = uniform(w);
	size_t low = 0, high = WORDS_VOCABULARY - 1;

	while (low < high) {
		size_t mid = (low + high) / 2;

		if (w->cumulative[mid] < u)
			low = mid + 1;
		else
			high = mid;
	}
	return low;
}

/* Rank -> two or three syllables; different ranks are different words. */
static size_t spell(size_t rank, char *out, size_t room)
{
	static const char consonants[] = "bdfghjklmnprstvz", vowels[] = "aeiou";
	size_t syllables = rank < 6400 ? 2 : 3, n = 0;

	if (rank >= 6400)
		rank -= 6400;
	for (size_t i = 0; i < syllables && n + 3 < room; i++) {
		out[n++] = consonants[rank % 16];
		out[n++] = vowels[rank / 16 % 5];
		rank /= 80;
	}
	out[n] = '\0';
	return n;
}

void words_memory(struct words *w, char out[WORDS_TEXT_MAX])
{
	size_t n = 0;

	for (size_t i = 0; i < WORDS_MEMORY; i++) {
		if (i > 0)
			out[n++] = ' ';
		n += spell(draw(w), out + n, WORDS_TEXT_MAX - n - 1);
	}
}

void words_question(struct words *w, char out[WORDS_TEXT_MAX])
{
	size_t n = 0;

	for (size_t i = 0; i < 3; i++) {
		size_t rank;

		do
			rank = draw(w);
		while (rank < COMMON);
		if (i > 0)
			out[n++] = ' ';
		n += spell(rank, out + n, WORDS_TEXT_MAX - n - 1);
	}
}
