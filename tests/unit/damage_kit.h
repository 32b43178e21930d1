/* Files to be damaged and compared: for the tests of pagesum, walcheck, salvage and memory_damage. */
#ifndef TESTS_UNIT_DAMAGE_KIT_H
#define TESTS_UNIT_DAMAGE_KIT_H
#include <dirent.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static inline uint64_t kit_random(uint64_t *seed)
{
	*seed ^= *seed << 13;
	*seed ^= *seed >> 7;
	*seed ^= *seed << 17;
	return *seed * 2685821657736338717u;
}

static inline void kit_noise(void *p, size_t n, uint64_t *seed)
{
	while (n-- > 0)
		((unsigned char *)p)[n] = (unsigned char)(kit_random(seed) >> 32);
}

static inline void kit_put(const char *path, const void *p, size_t n)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

	assert_true(fd >= 0 && write(fd, p, n) == (ssize_t)n);
	close(fd);
}

/* The whole file; freed by the caller. */
static inline void *kit_get(const char *path, size_t *n)
{
	struct stat st;
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t got = 0;
	char *p;

	assert_true(fd >= 0 && fstat(fd, &st) == 0);
	p = malloc((size_t)st.st_size + 1);
	assert_true(p != NULL && (got = read(fd, p, (size_t)st.st_size)) >= 0);
	*n = (size_t)got; /* fewer when it was cut meanwhile */
	close(fd);
	return p;
}

/* A directory, what is in it, and directories in it. */
static inline void kit_drop_dir(const char *dir)
{
	DIR *d = opendir(dir);
	struct dirent *e;
	struct stat st;

	while (d != NULL && (e = readdir(d)) != NULL) {
		char name[512];

		if (strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0)
			continue;
		snprintf(name, sizeof(name), "%s/%s", dir, e->d_name);
		if (lstat(name, &st) == 0 && S_ISDIR(st.st_mode))
			kit_drop_dir(name);
		else
			unlink(name);
	}
	if (d != NULL)
		closedir(d);
	rmdir(dir);
}

#endif
