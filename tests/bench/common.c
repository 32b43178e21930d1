#include "tests/bench/common.h"
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

int64_t bench_ns(clockid_t which)
{
	struct timespec t;

	(void)clock_gettime(which, &t);
	return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

void bench_must(bool ok, const char *what)
{
	if (ok)
		return;
	(void)fprintf(stderr, "%s: %s failed\n", program_invocation_short_name, what);
	exit(1);
}

void *bench_room(size_t n, size_t size)
{
	void *p = calloc(n > 0 ? n : 1, size);

	bench_must(p != NULL, "memory");
	return p;
}

long bench_number(const char *text, long low, long high)
{
	char *end = NULL;
	long v = strtol(text, &end, 10);

	if (end == text || *end != '\0' || v < low || v > high) {
		(void)fprintf(stderr, "%s: %s must be a number from %ld to %ld\n", program_invocation_short_name, text,
			      low, high);
		exit(2);
	}
	return v;
}

void bench_print(const int64_t *ns, size_t n, int64_t wall_ns, int64_t cpu_ns)
{
	for (size_t i = 0; i < n; i++)
		(void)printf("%lld\n", (long long)ns[i]);
	(void)printf("wall %lld\n", (long long)wall_ns);
	if (cpu_ns >= 0)
		(void)printf("cpu %lld\n", (long long)cpu_ns);
	bench_must(fflush(stdout) == 0, "output");
}
