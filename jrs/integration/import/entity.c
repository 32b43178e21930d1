#include "jrs/integration/import/entity.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <utf8proc.h>

/* Those that people write by hand; the full list of HTML has 2,231, nearly all for formulas. */
static const struct {
	const char *name;
	int32_t c;
} named[] = {
	{"amp", '&'},      {"lt", '<'},       {"gt", '>'},       {"quot", '"'},      {"apos", '\''},
	{"nbsp", ' '},     {"copy", 0xa9},    {"reg", 0xae},     {"trade", 0x2122},  {"deg", 0xb0},
	{"plusmn", 0xb1},  {"times", 0xd7},   {"divide", 0xf7},  {"frac12", 0xbd},   {"sect", 0xa7},
	{"para", 0xb6},    {"middot", 0xb7},  {"bull", 0x2022},  {"hellip", 0x2026}, {"ndash", 0x2013},
	{"mdash", 0x2014}, {"lsquo", 0x2018}, {"rsquo", 0x2019}, {"ldquo", 0x201c},  {"rdquo", 0x201d},
	{"laquo", 0xab},   {"raquo", 0xbb},   {"larr", 0x2190},  {"uarr", 0x2191},   {"rarr", 0x2192},
	{"darr", 0x2193},  {"harr", 0x2194},  {"rArr", 0x21d2},  {"le", 0x2264},     {"ge", 0x2265},
	{"ne", 0x2260},    {"asymp", 0x2248}, {"infin", 0x221e}, {"euro", 0x20ac},   {"pound", 0xa3},
	{"yen", 0xa5},     {"cent", 0xa2},    {"auml", 0xe4},    {"ouml", 0xf6},     {"uuml", 0xfc},
	{"Auml", 0xc4},    {"Ouml", 0xd6},    {"Uuml", 0xdc},    {"szlig", 0xdf},    {"eacute", 0xe9},
	{"egrave", 0xe8},  {"ecirc", 0xea},   {"agrave", 0xe0},  {"ccedil", 0xe7},   {"ntilde", 0xf1},
	{"oslash", 0xf8},  {"aring", 0xe5},   {"aelig", 0xe6},   {"micro", 0xb5},    {"check", 0x2713},
};

static int put_char(struct buf *b, int64_t c)
{
	utf8proc_uint8_t bytes[4];

	if (c < 1 || c > 0x10ffff || (c >= 0xd800 && c <= 0xdfff))
		c = 0xfffd;
	return buf_append(b, bytes, (size_t)utf8proc_encode_char((utf8proc_int32_t)c, bytes));
}

int entity_put(struct buf *b, const char *p, size_t n)
{
	char name[16] = "";

	if (n >= 4 && n - 2 < sizeof name && p[0] == '&' && p[n - 1] == ';') {
		memcpy(name, p + 1, n - 2);
		if (name[0] == '#')
			return put_char(b, name[1] == 'x' || name[1] == 'X' ? strtol(name + 2, NULL, 16)
									    : strtol(name + 1, NULL, 10));
		for (size_t i = 0; i < sizeof named / sizeof named[0]; i++)
			if (strcmp(named[i].name, name) == 0)
				return put_char(b, named[i].c);
	}
	return buf_append(b, p, n);
}

int html_text(struct buf *b, const char *p, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		const char *end = NULL;

		if (p[i] == '<' && n - i > 3 && memcmp(p + i, "<!--", 4) == 0) {
			end = memmem(p + i, n - i, "-->", 3);
			i = end != NULL ? (size_t)(end - p) + 2 : n;
		} else if (p[i] == '<') {
			end = memchr(p + i, '>', n - i);
			i = end != NULL ? (size_t)(end - p) : n;
		} else if (p[i] == '&' && (end = memchr(p + i, ';', n - i < 16 ? n - i : 16)) != NULL) {
			entity_put(b, p + i, (size_t)(end - p) + 1 - i);
			i = (size_t)(end - p);
		} else {
			buf_append(b, p + i, 1);
		}
	}
	return b->failed;
}
