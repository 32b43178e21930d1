/* One wrong byte, found by the sum that would agree without it. Chance of a wrong answer: about one in 2^43. Pure. */
#ifndef JRS_MEMORY_ARCHIVE_MEND_H
#define JRS_MEMORY_ARCHIVE_MEND_H
#include "jrs/memory/archive/walcheck.h"

struct mend {
	uint32_t at;      /* byte; in the log counted from the 8 bytes of the frame's head on */
	unsigned char by; /* what it is changed by (xor); 0: the sum was wrong, not the page */
};
void mend_apply(void *page, const struct mend *m);
/* A page of the file. Each try takes one from the budget. The page is left as it was. */
bool mend_page(void *page, size_t size, uint32_t number, uint64_t *budget, struct mend *out);
/* A frame: its sum is linear, so the place follows from the difference, if only one place does. head and page are
 * mended in place. */
bool mend_log(bool big, struct wal_sum before, struct wal_sum stored, unsigned char head[8], void *page, size_t size,
	      struct mend *out);

#endif
