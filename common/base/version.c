#include "common/base/version.h"
#include "common/base/text.h"
#include <dlfcn.h>
#include <elf.h>
#include <limits.h>
#include <link.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <tribe/version.h>

static size_t align4(size_t n)
{
	return (n + 3u) & ~(size_t)3u;
}

/* One PT_NOTE segment of n bytes. */
static bool note_find(const unsigned char *p, size_t n, char *out)
{
	ElfW(Nhdr) h;

	while (n >= sizeof(h)) {
		size_t name, desc;

		memcpy(&h, p, sizeof(h));
		name = align4(h.n_namesz);
		desc = align4(h.n_descsz);
		if (name > n - sizeof(h) || desc > n - sizeof(h) - name)
			return false;
		if (h.n_type == NT_GNU_BUILD_ID && h.n_namesz == 4 && memcmp(p + sizeof(h), "GNU", 4) == 0 &&
		    h.n_descsz > 0 && h.n_descsz <= (TR_BUILD_ID_LEN - 1) / 2) {
			tr_hex(p + sizeof(h) + name, h.n_descsz, out);
			return true;
		}
		p += sizeof(h) + name + desc;
		n -= sizeof(h) + name + desc;
	}
	return false;
}

/* The first object is the program itself: 1 stops the walk with success, -1 without. */
static int visit(struct dl_phdr_info *info, size_t size, void *arg)
{
	(void)size;
	for (size_t i = 0; i < info->dlpi_phnum; i++) {
		const ElfW(Phdr) *ph = &info->dlpi_phdr[i];

		if (ph->p_type == PT_NOTE &&
		    note_find((const unsigned char *)(info->dlpi_addr + ph->p_vaddr), ph->p_memsz, arg))
			return 1;
	}
	return -1;
}

bool tr_build_id(char out[TR_BUILD_ID_LEN])
{
	return dl_iterate_phdr(visit, out) == 1;
}

/* The shared libraries that we may have linked, and the function of theirs that names their version; without one, what
 * the name of its file says. */
static const struct {
	const char *file, *name, *function;
} shared[] = {
	{"libuv.so", "libuv", "uv_version_string"},
	{"libmsgpackc.so", "msgpack-c", "msgpack_version"},
	{"libsqlite3.so", "SQLite", "sqlite3_libversion"},
	{"libjansson.so", "jansson", "jansson_version_str"},
	{"libyaml-0.so", "libyaml", "yaml_get_version_string"},
	{"libutf8proc.so", "utf8proc", "utf8proc_version"},
	{"libcrypto.so", "OpenSSL", NULL},
	{"libsystemd.so", "libsystemd", NULL},
	{"libmd4c.so", "md4c", NULL},
	{"libz.so", "zlib", "zlibVersion"},
	{"libstemmer.so", "libstemmer", NULL},
};

#define OPENSSL_SHORT 6 /* OPENSSL_VERSION_STRING: whoever does not need the library shall not load it for this */

static const char *version_of(const char *file, const char *function, char path[PATH_MAX])
{
	const char *(*version)(void) = NULL;
	const char *dot;

	if (function != NULL)
		*(void **)&version = dlsym(RTLD_DEFAULT, function); /* POSIX's own way to get a function out of it */
	if (version != NULL)
		return version();
	if (strstr(file, "libcrypto.so") != NULL) {
		const char *(*openssl)(int what) = NULL;

		*(void **)&openssl = dlsym(RTLD_DEFAULT, "OpenSSL_version");
		if (openssl != NULL)
			return openssl(OPENSSL_SHORT);
	}
	dot = realpath(file, path) == NULL ? NULL : strstr(path, ".so.");
	return dot == NULL ? "unknown" : dot + strlen(".so.");
}

static int print_shared(struct dl_phdr_info *info, size_t size, void *arg)
{
	const char *slash = strrchr(info->dlpi_name, '/'), *file = slash == NULL ? info->dlpi_name : slash + 1;
	char path[PATH_MAX];

	(void)size;
	(void)arg;
	for (size_t i = 0; i < sizeof(shared) / sizeof(shared[0]); i++) {
		if (strncmp(file, shared[i].file, strlen(shared[i].file)) == 0)
			printf("%s %s\n", shared[i].name, version_of(info->dlpi_name, shared[i].function, path));
	}
	return 0;
}

void tr_version_print(const char *program, const struct tr_library *libs, size_t n)
{
	char id[TR_BUILD_ID_LEN];

	printf("%s %s (%s)\n", program, TRIBE_VERSION, TRIBE_COMMIT);
	printf("build id %s\n", tr_build_id(id) ? id : "none");
	for (size_t i = 0; i < n; i++)
		printf("%s %s\n", libs[i].name, libs[i].version);
	(void)dl_iterate_phdr(print_shared, NULL);
}
