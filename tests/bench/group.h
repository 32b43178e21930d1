/* Group commit as plainly as it can be done, for the peers of the archive: callers hand an item each to one writer, and
 * whatever came during its last commit is the next one. */
#ifndef TESTS_BENCH_GROUP_H
#define TESTS_BENCH_GROUP_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct group {
	size_t count; /* items, numbered from 0 */
	size_t width; /* how many are under way at once */
	bool fed;     /* one thread keeps them under way, as an event loop does; else each has a thread of its own */
	/* The writer's, called on its thread. commit() returns when all of v[0..n) are durable. */
	void *(*open)(void *arg);
	void (*commit)(void *writer, const size_t *v, size_t n);
	void (*close)(void *writer);
	void *arg;
	/* filled: what each took, from handing in to being told; what all took and cost the process */
	int64_t *ns; /* the caller's, room for count */
	int64_t wall_ns, cpu_ns, commits;
};
void group_run(struct group *g);

#endif
