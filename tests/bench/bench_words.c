/* Memories as JSON Lines, for whoever imports, or questions, one a line: bench-words add|ask COUNT SEED */
#include "tests/bench/common.h"
#include "tests/bench/words.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int main(int argc, char **argv)
{
	char text[WORDS_TEXT_MAX];
	struct words w;
	bool asking;
	long count;

	if (argc != 4 || (strcmp(argv[1], "add") != 0 && strcmp(argv[1], "ask") != 0)) {
		(void)fputs("usage: bench-words add|ask COUNT SEED\n", stderr);
		return 2;
	}
	asking = strcmp(argv[1], "ask") == 0;
	count = bench_number(argv[2], 1, 10000000);
	bench_must(words_open(&w, strtoull(argv[3], NULL, 10)) == 0, "memory");
	while (count-- > 0) {
		if (asking)
			words_question(&w, text);
		else
			words_memory(&w, text);
		(void)printf(asking ? "%s\n" : "{\"content\":\"%s\"}\n", text);
	}
	words_close(&w);
	return fflush(stdout) == 0 ? 0 : 1;
}
