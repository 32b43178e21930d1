/* jrs/memory/place: where the archive lies, and that a link which is there is followed. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "jrs/memory/place.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static char dir[64];

static int setup(void **s)
{
	(void)s;
	snprintf(dir, sizeof(dir), "/tmp/tribe-place-XXXXXX");
	return mkdtemp(dir) == NULL;
}

static void drop(const char *name)
{
	char path[128];

	snprintf(path, sizeof(path), "%s%s", dir, name);
	remove(path);
}

static int teardown(void **s)
{
	(void)s;
	drop("/archive/current");
	drop("/archive/1");
	drop("/archive/2");
	drop("/archive");
	drop("");
	return 0;
}

static void ends_with(const char *path, const char *end)
{
	size_t n = strlen(dir);

	assert_true(strncmp(path, dir, n) == 0);
	assert_string_equal(path + n, end);
}

static void by_itself(void **s)
{
	char out[4096], link[160], to[16] = "";
	struct stat st;
	struct tr_fault fault = {0};

	(void)s;
	assert_int_equal(place_archive(dir, "", out, sizeof(out), &fault), 0);
	ends_with(out, "/archive/current/thermal.sqlite");
	assert_int_equal(place_archive(dir, "", out, sizeof(out), &fault), 0); /* again: nothing to do */
	snprintf(link, sizeof(link), "%s/archive/current", dir);
	assert_int_equal(readlink(link, to, sizeof(to) - 1), 1);
	assert_string_equal(to, "1");
	assert_true(stat(link, &st) == 0 && S_ISDIR(st.st_mode) && (st.st_mode & 0777) == 0700);
	/* a restore led it elsewhere */
	assert_int_equal(unlink(link), 0);
	assert_int_equal(symlink("2", link), 0);
	assert_int_equal(place_archive(dir, "", out, sizeof(out), &fault), 0);
	memset(to, 0, sizeof(to));
	assert_true(readlink(link, to, sizeof(to) - 1) == 1 && to[0] == '2');
}

static void named(void **s)
{
	char out[4096] = "untouched", small[8];
	struct tr_fault fault = {0};

	(void)s;
	assert_int_equal(place_archive(dir, "sqlite:/srv/a.sqlite", out, sizeof(out), &fault), 0);
	assert_string_equal(out, "/srv/a.sqlite");
	assert_int_equal(place_archive(dir, "sqlite:a.sqlite", out, sizeof(out), &fault), 0);
	ends_with(out, "/a.sqlite");
	assert_int_equal(place_archive(dir, "postgresql://x", out, sizeof(out), &fault), TR_ECONFIG);
	assert_int_equal(place_archive(dir, "sqlite:", out, sizeof(out), &fault), TR_ECONFIG);
	assert_string_equal(fault.field, "archive.url");
	assert_int_equal(place_archive(dir, "sqlite:/srv/a.sqlite", small, sizeof(small), &fault), TR_ETOOBIG);
	assert_int_equal(place_archive("/nowhere/at/all", "", out, sizeof(out), &fault), TR_ESTORE);
	ends_with(out, "/a.sqlite"); /* untouched by failures */
}

/* Numbers go up, gaps and other names notwithstanding; the link changes in one step, and only to what is there. */
static void numbered(void **s)
{
	static const char *const others[] = {"/archive/07", "/archive/3x", "/archive/restoring", "/archive/2"};
	char out[4096], path[160], name[16];
	struct tr_fault fault = {0};
	unsigned n = 0;

	(void)s;
	assert_int_equal(place_next(dir, &n, &fault), TR_ESTORE);
	assert_int_equal(place_archive(dir, "", out, sizeof(out), &fault), 0);
	assert_int_equal(place_next(dir, &n, &fault), 0);
	assert_int_equal(n, 2);
	for (int i = 0; i < 4; i++) {
		snprintf(path, sizeof(path), "%s%s", dir, others[i]);
		assert_int_equal(mkdir(path, 0700), 0);
	}
	assert_int_equal(place_next(dir, &n, &fault), 0);
	assert_int_equal(n, 3);
	assert_int_equal(place_current(dir, name, sizeof(name), &fault), 0);
	assert_string_equal(name, "1");
	assert_int_equal(place_switch(dir, 9, &fault), TR_ENOTFOUND);
	assert_int_equal(place_current(dir, name, sizeof(name), &fault), 0);
	assert_string_equal(name, "1");
	snprintf(path, sizeof(path), "%s/archive/current.new", dir); /* of a switch that was cut off */
	assert_int_equal(symlink("7", path), 0);
	assert_int_equal(place_switch(dir, 2, &fault), 0);
	assert_int_equal(place_current(dir, name, sizeof(name), &fault), 0);
	assert_string_equal(name, "2");
	assert_int_equal(access(path, F_OK), -1);
	assert_int_equal(place_current(dir, name, 1, &fault), TR_ETOOBIG);
	for (int i = 0; i < 3; i++)
		drop(others[i]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(by_itself, setup, teardown),
		cmocka_unit_test_setup_teardown(named, setup, teardown),
		cmocka_unit_test_setup_teardown(numbered, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
