/* guard-compile: writes the engine's tables for shapes.def as the lines of a C array, so that no process has to make
 * them when it starts (it takes 0.1 s). For any processor of this architecture, not only the one it is built on. */
#include <hs/hs.h>
#include <stdio.h>
#include <stdlib.h>

static const char *const patterns[] = {
#define S(class, verifier, start, pattern) pattern,
#include "jrs/memory/guard/shapes.def"
#undef S
};
#define START HS_FLAG_SOM_LEFTMOST
static const unsigned flags[] = {
#define S(class, verifier, start, pattern) start,
#include "jrs/memory/guard/shapes.def"
#undef S
};
#define N (sizeof(patterns) / sizeof(patterns[0]))

static int write_out(const char *bytes, size_t n, const char *path)
{
	FILE *f = fopen(path, "w");
	size_t i;

	if (f == NULL)
		return -1;
	for (i = 0; i < n; i++)
		fprintf(f, i % 24 == 23 ? "%u,\n" : "%u,", (unsigned char)bytes[i]);
	fputc('\n', f);
	return fclose(f);
}

int main(int argc, char **argv)
{
	const hs_platform_info_t any = {.tune = HS_TUNE_FAMILY_GENERIC, .cpu_features = 0};
	hs_compile_error_t *error = NULL;
	hs_database_t *db = NULL;
	unsigned ids[N];
	char *bytes = NULL;
	size_t n = 0, i;

	if (argc != 2) {
		fprintf(stderr, "usage: guard-compile OUTPUT\n");
		return 2;
	}
	for (i = 0; i < N; i++)
		ids[i] = (unsigned)i;
	if (hs_compile_multi(patterns, flags, ids, (unsigned)N, HS_MODE_BLOCK, &any, &db, &error) != HS_SUCCESS) {
		fprintf(stderr, "guard-compile: shape %d: %s\n", error->expression, error->message);
		return 1;
	}
	if (hs_serialize_database(db, &bytes, &n) != HS_SUCCESS || write_out(bytes, n, argv[1]) != 0) {
		fprintf(stderr, "guard-compile: %s cannot be written\n", argv[1]);
		return 1;
	}
	free(bytes);
	hs_free_database(db);
	return 0;
}
