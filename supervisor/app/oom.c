#include "supervisor/app/oom.h"
#include "common/base/small_file.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static bool read_kills(const char *path, uint64_t *out)
{
	static const char key[] = "\noom_kill ";
	char text[512] = "\n";
	const char *at;

	if (!tr_small_file(path, text + 1, sizeof(text) - 1) || (at = strstr(text, key)) == NULL)
		return false;
	*out = strtoull(at + sizeof(key) - 1, NULL, 10);
	return true;
}

void oom_init(struct oom *o)
{
	char text[512] = "\n", *own, *end;

	*o = (struct oom){.kills = 0};
	if (!tr_small_file("/proc/self/cgroup", text + 1, sizeof(text) - 1) || (own = strstr(text, "\n0::/")) == NULL)
		return;
	own += strlen("\n0::");
	end = strchr(own, '\n');
	if (end != NULL)
		*end = '\0';
	(void)snprintf(o->path, sizeof(o->path), "/sys/fs/cgroup%.400s/memory.events", own);
	if (!read_kills(o->path, &o->kills))
		o->path[0] = '\0';
}

bool oom_again(struct oom *o)
{
	uint64_t before = o->kills;

	return o->path[0] != '\0' && read_kills(o->path, &o->kills) && o->kills > before;
}
