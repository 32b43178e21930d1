/* Drives a fuzz target without libFuzzer: replay DIR SUFFIX ROUNDS. Every seed as it is, then ROUNDS changed ones, the
 * same on every run and every machine; stops early after 60 s. When the target aborts, the round is said. */
#include "tests/fuzz/fuzz.h"
#include <dirent.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { MAX_SEEDS = 4096, MAX_SIZE = 1 << 20 };
static struct seed {
	uint8_t *p;
	size_t n;
} seeds[MAX_SEEDS];
static size_t nseeds;
static uint64_t state = 1;
static volatile unsigned long round_now;

static uint64_t next(void)
{
	uint64_t z = state += UINT64_C(0x9e3779b97f4a7c15);

	z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
	z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
	return z ^ z >> 31;
}

static void say_round(int sig)
{
	char text[64];
	int n = snprintf(text, sizeof(text), "replay: died in round %lu\n", round_now);

	if (n > 0 && write(STDERR_FILENO, text, (size_t)n) < 0)
		_exit(5);
	signal(sig, SIG_DFL);
	raise(sig);
}

static int load(const char *dir, const char *name)
{
	char path[4096];
	struct seed *s = &seeds[nseeds];
	FILE *f;

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	f = fopen(path, "rb");
	if (f == NULL || nseeds == MAX_SEEDS) {
		perror(path);
		if (f != NULL)
			fclose(f);
		return -1;
	}
	s->p = malloc(MAX_SIZE);
	if (s->p == NULL)
		abort();
	s->n = fread(s->p, 1, MAX_SIZE, f);
	nseeds++;
	fclose(f);
	return 0;
}

static int load_all(const char *dir, const char *suffix)
{
	struct dirent **names;
	int n = scandir(dir, &names, NULL, alphasort), r = 0;

	if (n < 0) {
		perror(dir);
		return -1;
	}
	for (int i = 0; i < n; i++) {
		size_t len = strlen(names[i]->d_name), end = strlen(suffix);

		if (len > end && strcmp(names[i]->d_name + len - end, suffix) == 0 && load(dir, names[i]->d_name) < 0)
			r = -1;
		free(names[i]);
	}
	free(names);
	return r;
}

/* One input in memory of its exact size, so that AddressSanitizer sees a read behind it. */
static void try_one(const uint8_t *p, size_t n)
{
	uint8_t *copy = malloc(n > 0 ? n : 1);

	if (copy == NULL)
		abort();
	memcpy(copy, p, n);
	LLVMFuzzerTestOneInput(copy, n);
	free(copy);
}

/* Bytes replaced, removed, doubled, or the tail of another seed: *n may grow to twice the size and never over MAX_SIZE.
 */
static void mutate(uint8_t *p, size_t *n)
{
	const struct seed *other = &seeds[next() % nseeds];
	size_t at = *n > 0 ? next() % *n : 0, len = 1 + next() % 8, from = other->n > 0 ? next() % other->n : 0;

	if (len > *n - at)
		len = *n - at;
	switch (next() % 6) {
	case 0:
		memmove(p + at, p + at + len, *n - at - len);
		*n -= len;
		break;
	case 1:
		if (*n + len > MAX_SIZE)
			break;
		memmove(p + at + len, p + at, *n - at);
		*n += len;
		break;
	case 2:
		if (other->n - from > MAX_SIZE - at)
			break;
		if (other->n > from)
			memcpy(p + at, other->p + from, other->n - from);
		*n = at + other->n - from;
		break;
	case 3:
		if (*n > 0)
			p[at] ^= (uint8_t)(1u << next() % 8);
		break;
	default:
		for (size_t i = 0; i < len; i++)
			p[at + i] = (uint8_t)next();
	}
}

int main(int argc, char **argv)
{
	static uint8_t work[MAX_SIZE];
	unsigned long rounds = argc == 4 ? strtoul(argv[3], NULL, 10) : 0;
	time_t end = time(NULL) + 60;

	if (argc != 4) {
		fprintf(stderr, "usage: replay DIR SUFFIX ROUNDS\n");
		return 2;
	}
	if (load_all(argv[1], argv[2]) < 0 || nseeds == 0) {
		fprintf(stderr, "replay: no seeds *%s in %s\n", argv[2], argv[1]);
		return 1;
	}
	signal(SIGABRT, say_round);
	signal(SIGSEGV, say_round);
	for (size_t i = 0; i < nseeds; i++)
		try_one(seeds[i].p, seeds[i].n);
	for (round_now = 1; round_now <= rounds && time(NULL) < end; round_now++) {
		const struct seed *s = &seeds[next() % nseeds];
		size_t n = s->n;

		memcpy(work, s->p, n);
		for (unsigned hits = 1 + (unsigned)(next() % 4); hits > 0; hits--)
			mutate(work, &n);
		try_one(work, n);
	}
	printf("%zu seeds, %lu changed ones\n", nseeds, round_now - 1);
	for (size_t i = 0; i < nseeds; i++)
		free(seeds[i].p);
	return 0;
}
