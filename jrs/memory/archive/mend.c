#include "jrs/memory/archive/mend.h"
#include "jrs/memory/archive/pagesum.h"

#define STRUCTURE 256u /* bytes at the beginning of a page: all others hang on them, so they are tried first */

void mend_apply(void *page, const struct mend *m)
{
	((unsigned char *)page)[m->at] ^= m->by;
}

static bool fits(unsigned char *page, size_t size, uint32_t number, uint64_t stored, uint32_t at, unsigned by)
{
	bool ok;

	page[at] ^= (unsigned char)by;
	ok = pagesum_of(page, size, number) == stored;
	page[at] ^= (unsigned char)by;
	return ok;
}

static unsigned bits(uint64_t x)
{
	unsigned n;

	for (n = 0; x != 0; n++)
		x &= x - 1;
	return n;
}

bool mend_page(void *bytes, size_t size, uint32_t number, uint64_t *budget, struct mend *out)
{
	unsigned char *page = bytes;
	uint64_t stored = pagesum_stored(page, size), off = stored ^ pagesum_of(page, size, number);
	uint32_t at, all = (uint32_t)size - PAGESUM_BYTES;
	unsigned by;
	int round;

	while (off != 0 && (off & 0xff) == 0)
		off >>= 8;
	if (off < 0x100) { /* one byte of the sum itself */
		*out = (struct mend){0, 0};
		return true;
	}
	/* Every byte of the beginning, every bit, every byte. */
	for (round = 0; round < 3; round++) {
		for (at = 0; at < (round == 0 && all > STRUCTURE ? STRUCTURE : all); at++) {
			for (by = 1; by < 256; by++) {
				if (round == 1 && bits(by) != 1)
					continue;
				if (*budget == 0)
					return false;
				--*budget;
				if (fits(page, size, number, stored, at, by)) {
					*out = (struct mend){at, (unsigned char)by};
					return true;
				}
			}
		}
	}
	return false;
}

/* A word is `delta` more than it should be: if one of its bytes explains that, which, and by what. */
static bool one_byte(const unsigned char *word, bool big, uint32_t delta, struct mend *out)
{
	uint32_t was = 0, off;
	int i;

	for (i = 0; i < 4; i++)
		was |= (uint32_t)word[big ? 3 - i : i] << (8 * i);
	off = was ^ (was - delta);
	for (i = 0; i < 4; i++) {
		if (off != 0 && (off & ~(0xffu << (8 * i))) == 0) {
			*out = (struct mend){(uint32_t)(big ? 3 - i : i), (unsigned char)(off >> (8 * i))};
			return true;
		}
	}
	return false;
}

/* A pair of words (x, y) takes the sum (a, b) to (a + b + x, a + 2b + x + y). Both are linear: an error e in x arrives
 * at the end as M^k (e, e), one in y as M^k (0, e), with k pairs behind it; so the difference is taken back pair by
 * pair. In the highest byte of a word M repeats every 192 pairs: there the place is not certain, and nothing is mended.
 */
bool mend_log(bool big, struct wal_sum before, struct wal_sum stored, unsigned char head[8], void *bytes, size_t size,
	      struct mend *out)
{
	unsigned char *page = bytes;
	struct wal_sum sum = wal_sum(big, wal_sum(big, before, head, 8), page, size);
	uint32_t a = sum.a - stored.a, b = sum.b - stored.b, back;
	struct mend found = {0, 0}, m;
	unsigned places = 0;
	size_t pair;

	for (pair = size / 8 + 1; pair > 0; pair--) {
		const unsigned char *p = pair == 1 ? head : page + (pair - 2) * 8;
		uint32_t second = a == b ? 0 : 4;

		if ((a == b || a == 0) && one_byte(p + second, big, b, &m)) {
			found = (struct mend){(uint32_t)(pair - 1) * 8 + second + m.at, m.by};
			places++;
		}
		back = a;
		a = 2 * a - b;
		b -= back;
	}
	if (places != 1)
		return false;
	*(found.at < 8 ? &head[found.at] : &page[found.at - 8]) ^= found.by;
	*out = found;
	return true;
}
