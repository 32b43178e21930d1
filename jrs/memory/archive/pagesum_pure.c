/* The sums themselves. Debian's libxxhash as a header: nothing is linked. */
#include "jrs/memory/archive/pagesum.h"
#define XXH_INLINE_ALL
#include <string.h>
#include <xxhash.h>

uint64_t pagesum_of(const void *page, size_t size, uint32_t number)
{
	uint64_t sum = XXH3_64bits_withSeed(page, size - PAGESUM_BYTES, number);

	return sum == 0 ? 1 : sum;
}

uint64_t pagesum_stored(const void *page, size_t size)
{
	const unsigned char *p = (const unsigned char *)page + size - PAGESUM_BYTES;
	uint64_t v = 0;
	int i;

	for (i = 0; i < PAGESUM_BYTES; i++)
		v |= (uint64_t)p[i] << (8 * i);
	return v;
}

void pagesum_store(void *page, size_t size, uint64_t sum)
{
	unsigned char *p = (unsigned char *)page + size - PAGESUM_BYTES;
	int i;

	for (i = 0; i < PAGESUM_BYTES; i++)
		p[i] = (unsigned char)(sum >> (8 * i));
}

static bool all_zero(const unsigned char *p, size_t n)
{
	return p[0] == 0 && memcmp(p, p + 1, n - 1) == 0;
}

enum pagesum_verdict pagesum_judge(const void *page, size_t size, uint32_t number)
{
	uint64_t stored = pagesum_stored(page, size);

	if (stored == 0)
		return all_zero(page, size) ? PAGESUM_ABSENT : PAGESUM_NONE;
	return stored == pagesum_of(page, size, number) ? PAGESUM_GOOD : PAGESUM_BAD;
}

bool pagesum_header(const unsigned char *head, size_t n, struct pagesum_header *out)
{
	uint32_t size;

	if (n < 100 || memcmp(head, "SQLite format 3", 16) != 0)
		return false;
	size = (uint32_t)head[16] << 8 | head[17];
	size = size == 1 ? 65536 : size;
	if (size < 512 || size > 65536 || (size & (size - 1)) != 0)
		return false;
	*out = (struct pagesum_header){size, head[20]};
	return true;
}
