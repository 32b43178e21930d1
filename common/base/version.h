/* What `-V` prints. The libraries that are loaded tell their versions; what was compiled in is passed in. */
#ifndef COMMON_BASE_VERSION_H
#define COMMON_BASE_VERSION_H
#include <stdbool.h>
#include <stddef.h>

struct tr_library {
	const char *name, *version;
};

#define TR_BUILD_ID_LEN 129 /* up to 64 bytes in hex, and NUL */
/* The ELF build id of the running program in hex; false when it was linked without one. */
bool tr_build_id(char out[TR_BUILD_ID_LEN]);
/* To stdout: "PROGRAM VERSION (COMMIT)", the build id, one line a library: those of `libs`, then the shared ones. */
void tr_version_print(const char *program, const struct tr_library *libs, size_t n);

#endif
