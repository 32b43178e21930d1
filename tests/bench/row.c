#include "tests/bench/row.h"
#include "tests/bench/common.h"
#include <stdio.h>
#include <string.h>

#define HALF_LIFE_MS 604800000.0

static uint64_t mix(uint64_t z)
{
	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
	z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
	return z ^ (z >> 31);
}

static void time_ordered_id(char out[37], int64_t now_ms, uint64_t random)
{
	(void)snprintf(out, 37, "%08llx-%04llx-7%03llx-8%03llx-%012llx", (unsigned long long)now_ms >> 16 & 0xffffffff,
		       (unsigned long long)now_ms & 0xffff, (unsigned long long)random & 0xfff,
		       (unsigned long long)random >> 12 & 0xfff, (unsigned long long)mix(random) & 0xffffffffffff);
}

void row_make(struct row *r, uint64_t seed, uint64_t n)
{
	uint64_t v[8];

	r->now_ms = bench_ns(CLOCK_REALTIME) / 1000000;
	r->heat = (double)r->now_ms / HALF_LIFE_MS;
	for (uint64_t i = 0; i < 8; i++)
		v[i] = mix((seed * 1000003 + n) * 8 + i + 1 + ((uint64_t)r->now_ms << 24));
	memcpy(r->identity, v, sizeof(r->identity));
	memcpy(r->fingerprint, v + 4, sizeof(r->fingerprint));
	(void)snprintf(r->hash, sizeof(r->hash), "%016llx%016llx%016llx%016llx", (unsigned long long)v[4],
		       (unsigned long long)v[5], (unsigned long long)v[6], (unsigned long long)v[7]);
	time_ordered_id(r->id, r->now_ms, v[0]);
	time_ordered_id(r->request, r->now_ms, v[1]);
	memset(r->result, 'x', sizeof(r->result));
	memcpy(r->result, r->id, sizeof(r->id) - 1);
}
