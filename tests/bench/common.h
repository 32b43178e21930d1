/* What every bench program needs: a clock in nanoseconds, an end with a plain line, latencies out. */
#ifndef TESTS_BENCH_COMMON_H
#define TESTS_BENCH_COMMON_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <time.h>

/* CLOCK_MONOTONIC, or CLOCK_PROCESS_CPUTIME_ID for what this process has cost. */
int64_t bench_ns(clockid_t which);
/* false: "PROGRAM: what failed" on stderr and exit 1. */
void bench_must(bool ok, const char *what);
/* calloc or the end. */
void *bench_room(size_t n, size_t size);
/* A whole number from low to high, or the end with status 2. */
long bench_number(const char *text, long low, long high);
/* Each latency on a line of its own, then "wall NS" and, when cpu_ns >= 0, "cpu NS". */
void bench_print(const int64_t *ns, size_t n, int64_t wall_ns, int64_t cpu_ns);

#endif
