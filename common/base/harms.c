#include "common/base/harms.h"
#include <stdbool.h>
#include <string.h>

const struct harm_info harm_kinds[HARM_NKINDS] = {
#define X(id, word, by, lasts, doc) {word, HARM_BY_##by, lasts, doc},
	HARM_KINDS(X)
#undef X
};

int harm_find(const char *p, size_t n)
{
	for (int i = 0; i < HARM_NKINDS; i++)
		if (strlen(harm_kinds[i].word) == n && memcmp(harm_kinds[i].word, p, n) == 0)
			return i;
	return -1;
}
