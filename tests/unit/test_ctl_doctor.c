/* What doctor makes of the figures it finds, and the frame that top draws. */
#include "supervisor/ctl/doctor.h"
#include "supervisor/ctl/screen.h"
#include <linux/magic.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/stat.h>

#include <cmocka.h>

/* A verdict and its reason belong together. */
#define JUDGED(want, call)                                           \
	do {                                                         \
		why = "untouched";                                   \
		assert_int_equal(call, want);                        \
		assert_true((why == NULL) == ((want) == DOCTOR_OK)); \
	} while (0)

static void judges_figures(void **state)
{
	const char *why, *name;

	(void)state;
	JUDGED(DOCTOR_WARN, judge_sync(2, &why)); /* a system call's time */
	JUDGED(DOCTOR_OK, judge_sync(40, &why));
	JUDGED(DOCTOR_OK, judge_sync(9000, &why));
	JUDGED(DOCTOR_WARN, judge_sync(25000, &why));

	JUDGED(DOCTOR_OK, judge_filesystem(EXT4_SUPER_MAGIC, &name, &why));
	assert_string_equal(name, "ext4");
	JUDGED(DOCTOR_WARN, judge_filesystem(TMPFS_MAGIC, &name, &why));
	JUDGED(DOCTOR_WARN, judge_filesystem(OVERLAYFS_SUPER_MAGIC, &name, &why));
	JUDGED(DOCTOR_FAIL, judge_filesystem(NFS_SUPER_MAGIC, &name, &why));
	JUDGED(DOCTOR_FAIL, judge_filesystem(0xff534d42, &name, &why));
	JUDGED(DOCTOR_WARN, judge_filesystem(1, &name, &why));
	assert_string_equal(name, "unknown");

	JUDGED(DOCTOR_FAIL, judge_space(1000, &why));
	JUDGED(DOCTOR_WARN, judge_space(500ull << 20, &why));
	JUDGED(DOCTOR_OK, judge_space(2ull << 30, &why));
	JUDGED(DOCTOR_OK, judge_inodes(0, 0, &why)); /* btrfs counts none */
	JUDGED(DOCTOR_FAIL, judge_inodes(1000, 3, &why));
	JUDGED(DOCTOR_WARN, judge_inodes(100000, 900, &why));
	JUDGED(DOCTOR_OK, judge_inodes(100000, 5000, &why));

	JUDGED(DOCTOR_OK, judge_nofile(2000, 1024, &why));
	JUDGED(DOCTOR_WARN, judge_nofile(1024, 1024, &why));
	JUDGED(DOCTOR_FAIL, judge_nofile(64, 16, &why));

	JUDGED(DOCTOR_OK, judge_directory(S_IFDIR | 0700, 7, 7, &why));
	JUDGED(DOCTOR_OK, judge_directory(S_IFDIR | 0710, 7, 7, &why)); /* the group comes to control.sock */
	JUDGED(DOCTOR_OK, judge_directory(S_IFDIR | 0700, 7, 0, &why));
	JUDGED(DOCTOR_WARN, judge_directory(S_IFDIR | 0700, 7, 8, &why));
	JUDGED(DOCTOR_WARN, judge_directory(S_IFDIR | 0755, 7, 7, &why));
	JUDGED(DOCTOR_FAIL, judge_directory(S_IFDIR | 0777, 7, 7, &why));
	JUDGED(DOCTOR_FAIL, judge_directory(S_IFREG | 0700, 7, 7, &why));

	JUDGED(DOCTOR_OK, judge_steps(-1500, &why));
	JUDGED(DOCTOR_WARN, judge_steps(3600000, &why));
	JUDGED(DOCTOR_WARN, judge_steps(-3600000, &why));
}

static void frame(const char *text, unsigned rows, const char *want)
{
	struct buf b = {.max = 0};

	screen_frame(&b, text, strlen(text), rows);
	assert_int_equal(b.failed, 0);
	assert_string_equal(b.p, want);
	buf_free(&b);
}

static void frames_fit(void **state)
{
	(void)state;
	frame("", 5, "\x1b[H\x1b[0m\x1b[J");
	frame("a\nb\n", 5, "\x1b[H\x1b[Ka\r\n\x1b[Kb\x1b[0m\x1b[J");
	frame("a\n\nb", 5, "\x1b[H\x1b[Ka\r\n\x1b[K\r\n\x1b[Kb\x1b[0m\x1b[J");
	frame("a\nb\nc\n", 2, "\x1b[H\x1b[Ka\r\n\x1b[Kb\x1b[0m\x1b[J"); /* the last row takes no line break */
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(judges_figures),
		cmocka_unit_test(frames_fit),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
