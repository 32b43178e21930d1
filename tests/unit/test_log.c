/* common/log */
#include "common/log/format.h"
#include "common/log/log.h"
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

__attribute__((format(printf, 3, 4))) static size_t format(char *out, size_t size, const char *fmt, ...)
{
	va_list ap;
	size_t n;

	va_start(ap, fmt);
	n = log_format(out, size, "info x:", fmt, ap);
	va_end(ap);
	out[n] = '\0';
	return n;
}

static void control_characters_are_escaped(void **state)
{
	char out[LOG_LINE_MAX + 1];

	(void)state;
	(void)format(out, LOG_LINE_MAX, "a=%s", "1\n2\t3\r4\x1b[0m\x7f");
	assert_string_equal(out, "info x: a=1\\n2\\t3\\r4\\x1b[0m\\x7f\n");
	(void)format(out, LOG_LINE_MAX, "%s",
		     "caf\xc3\xa9 \xf0\x9f\x90\xbb \xc2\x9b"
		     "31m \xff \xc3");
	assert_string_equal(out, "info x: caf\xc3\xa9 \xf0\x9f\x90\xbb \\xc2\\x9b31m \\xff \\xc3\n");
	(void)format(out, LOG_LINE_MAX, "%s", "");
	assert_string_equal(out, "info x: \n");
}

static void long_lines_are_cut_once(void **state)
{
	char out[LOG_LINE_MAX + 1], text[LOG_LINE_MAX * 2];

	(void)state;
	for (size_t n = 1; n < sizeof(text); n++) {
		size_t len;

		memset(text, n % 2 != 0 ? 'a' : '\x01', n);
		text[n] = '\0';
		len = format(out, LOG_LINE_MAX, "%s", text);
		assert_true(len <= LOG_LINE_MAX);
		assert_true(out[len - 1] == '\n' && memchr(out, '\n', len) == out + len - 1);
		assert_true((len > 1000) >= (memcmp(out + len - 4, "...\n", 4) == 0));
	}
	assert_int_equal(format(out, 40, "%s", "0123456789012345678901234567890123456789"), 40);
	assert_string_equal(out, "info x: 0123456789012345678901234567...\n");
}

static void levels_have_names(void **state)
{
	(void)state;
	assert_int_equal(log_level_find("error"), LOG_LEVEL_ERROR);
	assert_int_equal(log_level_find("debug"), LOG_LEVEL_DEBUG);
	assert_int_equal(log_level_find("Debug"), -1);
	assert_int_equal(log_level_find(""), -1);
}

/* What fn writes to stderr. */
static void capture(void (*fn)(void), char *out, size_t size)
{
	FILE *f = tmpfile();
	int saved = dup(STDERR_FILENO);
	size_t n;

	assert_non_null(f);
	assert_true(saved >= 0 && dup2(fileno(f), STDERR_FILENO) >= 0);
	fn();
	assert_true(dup2(saved, STDERR_FILENO) >= 0);
	close(saved);
	rewind(f);
	n = fread(out, 1, size - 1, f);
	out[n] = '\0';
	fclose(f);
}

static void three_lines(void)
{
	log_open("memory-jr", LOG_LEVEL_INFO);
	log_debug("not shown");
	log_info("ready pid=%d", 12);
	errno = ENOENT;
	log_error("open: %s", "no such file");
	assert_int_equal(errno, ENOENT);
}

static void lines_reach_stderr(void **state)
{
	char out[512];

	(void)state;
	assert_int_equal(unsetenv("JOURNAL_STREAM"), 0);
	capture(three_lines, out, sizeof(out));
	assert_string_equal(out, "info memory-jr: ready pid=12\nerror memory-jr: open: no such file\n");
	/* another stream is the journal, not this one */
	assert_int_equal(setenv("JOURNAL_STREAM", "1:1", 1), 0);
	capture(three_lines, out, sizeof(out));
	assert_string_equal(out, "info memory-jr: ready pid=12\nerror memory-jr: open: no such file\n");
	assert_int_equal(unsetenv("JOURNAL_STREAM"), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(control_characters_are_escaped),
		cmocka_unit_test(long_lines_are_cut_once),
		cmocka_unit_test(levels_have_names),
		cmocka_unit_test(lines_reach_stderr),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
