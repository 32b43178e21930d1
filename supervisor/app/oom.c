#include "supervisor/app/oom.h"
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* A whole small file, as text; false: it cannot be read. */
static bool read_text(const char *path, char *out, size_t size)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t n;

	if (fd < 0)
		return false;
	n = read(fd, out, size - 1);
	(void)close(fd);
	out[n > 0 ? n : 0] = '\0';
	return n > 0;
}

static bool read_kills(const char *path, uint64_t *out)
{
	static const char key[] = "\noom_kill ";
	char text[512] = "\n";
	const char *at;

	if (!read_text(path, text + 1, sizeof(text) - 1) || (at = strstr(text, key)) == NULL)
		return false;
	*out = strtoull(at + sizeof(key) - 1, NULL, 10);
	return true;
}

void oom_init(struct oom *o)
{
	char text[512] = "\n", *own, *end;

	*o = (struct oom){.kills = 0};
	if (!read_text("/proc/self/cgroup", text + 1, sizeof(text) - 1) || (own = strstr(text, "\n0::/")) == NULL)
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
