/* Small files as the kernel shows them: /proc, /sys. */
#ifndef COMMON_BASE_SMALL_FILE_H
#define COMMON_BASE_SMALL_FILE_H
#include <stdbool.h>
#include <stddef.h>

/* The beginning of it, NUL-terminated; false, and an empty text: it cannot be read, or is empty. */
bool tr_small_file(const char *path, char *out, size_t size);

#endif
