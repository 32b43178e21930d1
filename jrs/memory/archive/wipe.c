#include "jrs/memory/archive/wipe.h"
#include <string.h>

#define HEAD_1 100 /* bytes of the file's head on page 1 */
/* Other pages begin with the number of a page: below this one their first byte is 0, and no b-tree page's. Beyond it
 * (64 GiB at 4 KiB a page) nothing is cleared. */
#define NUMBER_MAX 0x01000000u

enum { INDEX_NODE = 2, TABLE_NODE = 5, INDEX_LEAF = 10, TABLE_LEAF = 13 };

static size_t u16(const unsigned char *p)
{
	return (size_t)p[0] << 8 | p[1];
}

size_t wipe_room(unsigned char *page, size_t size, uint32_t number)
{
	size_t head = number == 1 ? HEAD_1 : 0, list, from, to, i;
	unsigned char kind = page[head];

	if (number >= NUMBER_MAX)
		return 0;
	if (kind == INDEX_NODE || kind == TABLE_NODE)
		list = head + 12;
	else if (kind == INDEX_LEAF || kind == TABLE_LEAF)
		list = head + 8;
	else
		return 0;
	from = list + 2 * u16(page + head + 3);
	to = u16(page + head + 5);
	to = to == 0 ? 65536 : to;
	if (from > to || to > size)
		return 0;
	for (i = list; i < from; i += 2) { /* SQLite would call it damaged: let it be found as it is */
		if (u16(page + i) < to || u16(page + i) >= size)
			return 0;
	}
	memset(page + from, 0, to - from);
	return to - from;
}
