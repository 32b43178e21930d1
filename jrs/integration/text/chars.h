/* Characters of UTF-8 text by Unicode property. Any bytes may come in: a broken byte is one unit of CHARS_BROKEN. */
#ifndef JRS_INTEGRATION_TEXT_CHARS_H
#define JRS_INTEGRATION_TEXT_CHARS_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define CHARS_BROKEN (-1)

/* The character at p (n > 0 bytes left): its length in bytes, always >= 1. */
size_t chars_next(const char *p, size_t n, int32_t *out);
/* The same for the one that ends at p + end (end > 0). */
size_t chars_prev(const char *p, size_t end, int32_t *out);
bool chars_space(int32_t c); /* white space, line ends too */
bool chars_word(int32_t c);  /* letter, digit or mark */
bool chars_mark(int32_t c);  /* combining: never the first of a piece */
bool chars_upper(int32_t c);
bool chars_lower(int32_t c);
bool chars_digit(int32_t c);
bool chars_closing(int32_t c); /* quotes and brackets that may stand behind a full stop */
bool chars_spaceless(
	int32_t c); /* letters of scripts written without spaces, and Hangul, whose particles stick to words */

/* Where to cut p..p+len so that at most n > 0 bytes stay: between whole characters and not in front of a combining
 * mark. At least 1; a letter with more than 16 marks is cut all the same, between two of them. */
size_t chars_cut(const char *p, size_t len, size_t n);

#endif
