/* Text for benches: made-up words with Zipf frequencies, the same again from the same seed. Letters and spaces only. */
#ifndef TESTS_BENCH_WORDS_H
#define TESTS_BENCH_WORDS_H
#include <stddef.h>
#include <stdint.h>

#define WORDS_VOCABULARY 40000
#define WORDS_MEMORY     31 /* words of one memory: about 200 bytes */
#define WORDS_TEXT_MAX   512

struct words {
	uint64_t state;
	double *cumulative; /* owned; share of the first i + 1 ranks */
};
int words_open(struct words *w, uint64_t seed); /* < 0: out of memory */
void words_close(struct words *w);
/* A memory's text, NUL-terminated. */
void words_memory(struct words *w, char out[WORDS_TEXT_MAX]);
/* Three words that are not among the 60 most frequent. */
void words_question(struct words *w, char out[WORDS_TEXT_MAX]);

#endif
