#include "jrs/memory/thermal/touch.h"
#include "common/base/err.h"
#include <stdlib.h>

#define WAYS 4 /* places where one pair may stand */

struct place {
	uint64_t key;      /* 0: free */
	uint64_t until_ms; /* counts as touched before this */
};
struct touch_table {
	unsigned sets; /* a power of two */
	struct place *place;
};

int touch_new(struct touch_table **out, unsigned touches)
{
	struct touch_table *t = calloc(1, sizeof(*t));

	if (t == NULL)
		return TR_ENOMEM;
	for (t->sets = 1; t->sets * WAYS < touches; t->sets *= 2)
		;
	t->place = calloc((size_t)t->sets * WAYS, sizeof(*t->place));
	if (t->place == NULL) {
		free(t);
		return TR_ENOMEM;
	}
	*out = t;
	return 0;
}

/* 64 bits over both; two pairs meeting by chance cost one access in 2^64. */
static uint64_t key_of(int64_t memory, const char *toucher, size_t n)
{
	uint64_t h = 0xcbf29ce484222325u;
	size_t i;

	for (i = 0; i < n; i++)
		h = (h ^ (unsigned char)toucher[i]) * 0x100000001b3u;
	h ^= (uint64_t)memory * 0x9e3779b97f4a7c15u;
	h = (h ^ (h >> 30)) * 0xbf58476d1ce4e5b9u;
	h = (h ^ (h >> 27)) * 0x94d049bb133111ebu;
	h ^= h >> 31;
	return h == 0 ? 1 : h;
}

bool touch_first(struct touch_table *t, int64_t memory, const char *toucher, size_t n, uint64_t now_ms)
{
	uint64_t key = key_of(memory, toucher, n);
	struct place *set = &t->place[(key & (t->sets - 1)) * WAYS], *oldest = set;
	int i;

	for (i = 0; i < WAYS; i++) {
		if (set[i].key == key && now_ms < set[i].until_ms)
			return false;
		if (set[i].key == key) {
			oldest = &set[i];
			break;
		}
		if (set[i].until_ms < oldest->until_ms)
			oldest = &set[i];
	}
	oldest->key = key;
	oldest->until_ms = now_ms + TOUCH_EVERY_MS;
	return true;
}

void touch_free(struct touch_table **t)
{
	if (t == NULL || *t == NULL)
		return;
	free((*t)->place);
	free(*t);
	*t = NULL;
}
