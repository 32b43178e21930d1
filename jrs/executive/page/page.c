#include "jrs/executive/page/page.h"
#include <string.h>

const struct page_asset *page_find(const char *path)
{
	for (size_t i = 0; i < page_nassets; i++)
		if (strcmp(page_assets[i].path, path) == 0)
			return &page_assets[i];
	return NULL;
}
