/* What a tribe computes for a memory, made up for its peers: of the same lengths, as random, as ordered by time. */
#ifndef TESTS_BENCH_ROW_H
#define TESTS_BENCH_ROW_H
#include <stdint.h>

struct row {
	char id[37], hash[65], request[37];
	unsigned char identity[32], fingerprint[32];
	unsigned char result[94]; /* as long as the stored answer of one add */
	double heat;
	int64_t now_ms;
};
/* The n-th of this seed. */
void row_make(struct row *r, uint64_t seed, uint64_t n);

#endif
