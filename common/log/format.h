/* The text of a log line, without a clock or a descriptor. */
#ifndef COMMON_LOG_FORMAT_H
#define COMMON_LOG_FORMAT_H
#include <stdarg.h>
#include <stddef.h>

#define LOG_LINE_MAX 2048 /* bytes with the newline: below PIPE_BUF, so that lines of several processes never mix */

/* "PREFIX text\n" into out, escaped so that it is one line of printable UTF-8, cut with "..." at size. Returns its
 * length; no NUL is added. size >= 32 + strlen(prefix). */
size_t log_format(char *out, size_t size, const char *prefix, const char *fmt, va_list ap)
	__attribute__((format(printf, 4, 0)));

#endif
