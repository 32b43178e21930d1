#include "supervisor/app/silence.h"
#include "common/base/small_file.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static bool read_about(pid_t pid, const char *name, char *out, size_t size)
{
	char path[64];

	(void)snprintf(path, sizeof(path), "/proc/%d/%s", pid, name);
	return tr_small_file(path, out, size);
}

/* schedstat: run delay slices, in ns. */
struct hang_sample silence_sample(pid_t pid)
{
	struct hang_sample s = {.known = false};
	char text[512], *p, *end;

	if (!read_about(pid, "schedstat", text, sizeof(text)))
		return s;
	s.run_ns = strtoull(text, &end, 10);
	s.delay_ns = strtoull(end, &p, 10);
	s.known = p != end;
	if (!read_about(pid, "stat", text, sizeof(text)))
		return s;
	p = strrchr(text, ')');
	s.runnable = p != NULL && p[1] == ' ' && p[2] == 'R';
	return s;
}
