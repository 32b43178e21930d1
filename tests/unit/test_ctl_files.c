/* What an import reads: the walk over a directory, and cutting JSONL into pieces of whole lines. */
#include "common/base/err.h"
#include "supervisor/ctl/files.h"
#include <fcntl.h>
#include <ftw.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

static char root[] = "/tmp/tribe-test-files-XXXXXX";

static int setup(void **state)
{
	(void)state;
	return mkdtemp(root) == NULL ? -1 : 0;
}

static int drop(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	(void)st, (void)type, (void)ftw;
	return remove(path);
}

static int teardown(void **state)
{
	(void)state;
	return nftw(root, drop, 16, FTW_DEPTH | FTW_PHYS);
}

static const char *at(const char *name)
{
	static char path[2][512];
	static unsigned turn;

	turn ^= 1;
	(void)snprintf(path[turn], sizeof(path[turn]), "%s/%s", root, name);
	return path[turn];
}

static void put(const char *name, off_t size)
{
	int fd = open(at(name), O_WRONLY | O_CREAT | O_CLOEXEC, 0600);

	assert_true(fd >= 0);
	assert_int_equal(ftruncate(fd, size), 0);
	assert_int_equal(close(fd), 0);
}

static void walks_in_order_and_says_what_it_left_out(void **state)
{
	static const char *const want[] = {"B.MD text", "a.txt text", "d/e/c.text text", "d/z.jsonl text"};
	static const char *const formats[] = {"markdown", "text", "text", "jsonl"};
	struct file_list list = {.v = NULL};

	(void)state;
	assert_int_equal(mkdir(at("d"), 0700), 0);
	assert_int_equal(mkdir(at("d/e"), 0700), 0);
	assert_int_equal(mkdir(at(".git"), 0700), 0);
	put("a.txt", 1);
	put("B.MD", FILES_BYTES_MAX);
	put("big.md", FILES_BYTES_MAX + 1);
	put("d/z.jsonl", FILES_BYTES_MAX + 1);
	put("d/e/c.text", 0);
	put("d/e/photo.png", 10);
	put("noend", 10);
	put(".hidden.txt", 10);
	put(".git/config.txt", 10);
	put("bad\xff.txt", 10);
	assert_int_equal(symlink("a.txt", at("link.txt")), 0);
	assert_int_equal(symlink("..", at("d/up")), 0);
	assert_int_equal(mkfifo(at("pipe.txt"), 0600), 0);

	assert_int_equal(files_add(&list, root, NULL), 0);
	assert_int_equal(list.n, 4);
	for (size_t i = 0; i < 4; i++) {
		assert_memory_equal(list.v[i].name, want[i], strlen(want[i]) - 5);
		assert_int_equal(strlen(list.v[i].name), strlen(want[i]) - 5);
		assert_string_equal(list.v[i].format, formats[i]);
	}
	assert_int_equal(list.skipped[FILES_SKIP_LARGE], 1);
	assert_int_equal(list.skipped[FILES_SKIP_KIND], 2);
	assert_int_equal(list.skipped[FILES_SKIP_HIDDEN], 2);
	assert_int_equal(list.skipped[FILES_SKIP_SPECIAL], 3);
	assert_int_equal(list.skipped[FILES_SKIP_NAME], 1);
	files_free(&list);

	/* a file alone is sent under its own name; a format given by hand wins */
	assert_int_equal(files_add(&list, at("noend"), "text"), 0);
	assert_int_equal(files_add(&list, at("link.txt"), NULL), 0); /* named by the user: followed */
	assert_int_equal(list.n, 2);
	assert_string_equal(list.v[0].name, "noend");
	assert_string_equal(list.v[1].name, "link.txt");
	assert_true(files_add(&list, at("nothing here"), NULL) < 0);
	assert_int_equal(list.n, 2);
	files_free(&list);
}

static void fill(const char *name, const char *text)
{
	FILE *f = fopen(at(name), "we");

	assert_non_null(f);
	assert_true(fputs(text, f) >= 0);
	assert_int_equal(fclose(f), 0);
}

static void count_step(void *arg, uint64_t bytes)
{
	*(uint64_t *)arg = bytes;
}

/* Digest of x/ taken under `how`. */
static void digest(const char *how, char out[FILES_DIGEST_LEN], uint64_t *bytes, uint64_t *skipped)
{
	struct file_list list = {.v = NULL};
	uint64_t stepped = 0;

	assert_int_equal(files_add(&list, at("x"), NULL), 0);
	assert_int_equal(files_digest(&list, how, count_step, &stepped, out), 0);
	assert_int_equal(strlen(out), 32);
	*bytes = files_size(&list);
	assert_true(stepped >= *bytes);
	*skipped = list.skipped[FILES_SKIP_UNREAD] + list.skipped[FILES_SKIP_LARGE];
	files_free(&list);
}

static void the_same_files_have_the_same_digest(void **state)
{
	char first[FILES_DIGEST_LEN], other[FILES_DIGEST_LEN];
	uint64_t bytes, skipped;

	(void)state;
	assert_int_equal(mkdir(at("x"), 0700), 0);
	fill("x/a.txt", "one");
	fill("x/b.jsonl", "two");
	digest("how", first, &bytes, &skipped);
	assert_int_equal(bytes, 6);
	digest("how", other, &bytes, &skipped);
	assert_string_equal(first, other);
	digest("otherwise", other, &bytes, &skipped);
	assert_string_not_equal(first, other);
	fill("x/a.txt", "onE");
	digest("how", other, &bytes, &skipped);
	assert_string_not_equal(first, other);
	fill("x/a.txt", "onet"); /* the border between two files counts */
	fill("x/b.jsonl", "wo");
	digest("how", other, &bytes, &skipped);
	assert_string_not_equal(first, other);
	fill("x/a.txt", "one");
	fill("x/b.jsonl", "two");
	assert_int_equal(rename(at("x/a.txt"), at("x/c.txt")), 0);
	digest("how", other, &bytes, &skipped);
	assert_string_not_equal(first, other);
	assert_int_equal(rename(at("x/c.txt"), at("x/a.txt")), 0);
	digest("how", other, &bytes, &skipped);
	assert_string_equal(first, other);
	fill("x/photo.png", "left out whatever it holds");
	digest("how", other, &bytes, &skipped);
	assert_string_equal(first, other);
}

static void what_changes_meanwhile_is_seen(void **state)
{
	struct file_list list = {.v = NULL};
	char out[FILES_DIGEST_LEN], none[FILES_DIGEST_LEN];
	struct timespec later[2] = {{.tv_sec = 4000000000, .tv_nsec = 1}, {.tv_sec = 4000000000, .tv_nsec = 1}};
	int fd;

	(void)state;
	assert_int_equal(mkdir(at("y"), 0700), 0);
	fill("y/a.txt", "one");
	fill("y/b.txt", "two");
	fill("y/gone.txt", "three");
	assert_int_equal(files_add(&list, at("y"), NULL), 0);
	assert_int_equal(list.n, 3);
	assert_int_equal(unlink(at("y/gone.txt")), 0);
	assert_int_equal(truncate(at("y/b.txt"), FILES_BYTES_MAX + 1), 0);
	assert_int_equal(files_digest(&list, "how", NULL, NULL, out), 0);
	assert_int_equal(list.n, 1); /* the others went to skipped, by name, and leave no trace in the digest */
	assert_int_equal(list.skipped[FILES_SKIP_LARGE], 1);
	assert_int_equal(list.skipped[FILES_SKIP_UNREAD], 1);
	assert_string_equal(list.first[FILES_SKIP_UNREAD][0], "gone.txt");
	assert_null(list.first[FILES_SKIP_UNREAD][1]);
	assert_int_equal(files_open(&list.v[0], &fd), 0);
	assert_int_equal(close(fd), 0);
	assert_int_equal(utimensat(AT_FDCWD, at("y/a.txt"), later, 0), 0);
	assert_true(files_open(&list.v[0], &fd) < 0);
	files_free(&list);
	assert_int_equal(unlink(at("y/b.txt")), 0);
	assert_int_equal(files_add(&list, at("y"), NULL), 0);
	assert_int_equal(files_digest(&list, "how", NULL, NULL, none), 0);
	assert_string_equal(out, none);
	files_free(&list);
}

static size_t cut(const char *p, bool last, size_t max, uint64_t max_lines, uint64_t *lines)
{
	return files_cut(p, strlen(p), last, max, max_lines, lines);
}

static void cuts_whole_lines(void **state)
{
	uint64_t n = 0;

	(void)state;
	assert_int_equal(cut("a\nb\nc", false, 100, 10, &n), 0); /* more may come */
	assert_int_equal(cut("a\nb\nc", true, 100, 10, &n), 5);
	assert_int_equal(n, 3);
	assert_int_equal(cut("a\nb\n", true, 100, 10, &n), 4);
	assert_int_equal(n, 2);
	assert_int_equal(cut("a\nb\nccc", false, 5, 10, &n), 4); /* full: the whole lines in it */
	assert_int_equal(n, 2);
	assert_int_equal(cut("a\nb\nc\n", false, 100, 2, &n), 4); /* enough lines */
	assert_int_equal(n, 2);
	assert_int_equal(cut("aaaaaaaa\nb\n", false, 5, 10, &n), 0); /* a line that never fits */
	assert_int_equal(cut("aaaaaaaa", true, 5, 10, &n), 0);
	assert_int_equal(cut("aaaaa", true, 5, 10, &n), 5);
	assert_int_equal(n, 1);
	assert_int_equal(cut("\n\n\n", true, 5, 10, &n), 3);
	assert_int_equal(n, 3);
	assert_int_equal(cut("", true, 5, 10, &n), 0);
}

/* Whatever the sizes: the pieces put together are the text, and each but the last ends with a line. */
static void pieces_lose_nothing(void **state)
{
	static const char text[] = "one\n\ntwo two\nthree three three\nx\n\n\nfour";
	size_t n = sizeof(text) - 1;

	(void)state;
	for (size_t max = 18; max < 60; max++) {
		for (uint64_t max_lines = 1; max_lines < 9; max_lines++) {
			size_t done = 0;
			uint64_t total = 0, lines;

			while (done < n) {
				size_t have = n - done < max ? n - done : max;
				size_t piece = files_cut(text + done, have, done + have == n, max, max_lines, &lines);

				assert_true(piece > 0 && piece <= max && lines <= max_lines);
				done += piece;
				total += lines;
				assert_true(done == n || text[done - 1] == '\n');
			}
			assert_int_equal(total, 8);
		}
	}
}

/* A repository is told by its name, its newest commit and how many there are. */
static void histories_have_digests_too(void **state)
{
	static const struct {
		const char *name, *revision;
		uint64_t commits;
	} repos[] = {{"git:a", "0123", 7},
		     {"git:b", "0123", 7},
		     {"git:a", "0124", 7},
		     {"git:a", "0123", 8},
		     {"git:a", "0123", 7}};
	char out[5][FILES_DIGEST_LEN];
	struct file_list list = {.v = NULL};

	(void)state;
	for (size_t i = 0; i < 5; i++) {
		assert_int_equal(
			files_add_git(&list, "/nowhere", repos[i].name, repos[i].revision, tmpfile(), repos[i].commits),
			0);
		assert_int_equal(files_digest(&list, "how", NULL, NULL, out[i]), 0);
		assert_int_equal(files_size(&list), repos[i].commits);
		assert_int_equal(list.n, 1);
		files_free(&list);
	}
	for (size_t i = 1; i < 4; i++)
		for (size_t k = 0; k < i; k++)
			assert_string_not_equal(out[i], out[k]);
	assert_string_equal(out[4], out[0]);
	assert_int_equal(files_add_git(&list, "/nowhere", "git:a", "", tmpfile(), 1), TR_EINVAL);
	assert_int_equal(list.n, 0);
	files_free(&list);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(walks_in_order_and_says_what_it_left_out),
		cmocka_unit_test(the_same_files_have_the_same_digest),
		cmocka_unit_test(what_changes_meanwhile_is_seen),
		cmocka_unit_test(cuts_whole_lines),
		cmocka_unit_test(pieces_lose_nothing),
		cmocka_unit_test(histories_have_digests_too),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
