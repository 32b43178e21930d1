#include "jrs/integration/text/chars.h"

#include <utf8proc.h>

size_t chars_next(const char *p, size_t n, int32_t *out)
{
	unsigned char b = (unsigned char)*p;
	utf8proc_ssize_t len;

	if (b < 0x80) {
		*out = b;
		return 1;
	}
	len = utf8proc_iterate((const utf8proc_uint8_t *)p, (utf8proc_ssize_t)(n > 4 ? 4 : n), out);
	if (len <= 0) {
		*out = CHARS_BROKEN;
		return 1;
	}
	return (size_t)len;
}

size_t chars_prev(const char *p, size_t end, int32_t *out)
{
	size_t back = 1;

	while (back < 4 && back < end && ((unsigned char)p[end - back] & 0xc0) == 0x80)
		back++;
	if (chars_next(p + end - back, back, out) == back)
		return back;
	*out = CHARS_BROKEN;
	return 1;
}

static utf8proc_category_t category(int32_t c)
{
	return c < 0 ? UTF8PROC_CATEGORY_CN : utf8proc_category(c);
}

bool chars_space(int32_t c)
{
	utf8proc_category_t k;

	if (c < 0x80)
		return c == ' ' || (c >= '\t' && c <= '\r');
	k = category(c);
	return k == UTF8PROC_CATEGORY_ZS || k == UTF8PROC_CATEGORY_ZL || k == UTF8PROC_CATEGORY_ZP || c == 0x85 ||
	       c == 0xfeff;
}

bool chars_mark(int32_t c)
{
	utf8proc_category_t k = category(c);

	return c >= 0x80 &&
	       (k == UTF8PROC_CATEGORY_MN || k == UTF8PROC_CATEGORY_MC || k == UTF8PROC_CATEGORY_ME || c == 0x200d);
}

bool chars_word(int32_t c)
{
	if (c < 0x80)
		return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
	switch (category(c)) {
	case UTF8PROC_CATEGORY_LU:
	case UTF8PROC_CATEGORY_LL:
	case UTF8PROC_CATEGORY_LT:
	case UTF8PROC_CATEGORY_LM:
	case UTF8PROC_CATEGORY_LO:
	case UTF8PROC_CATEGORY_MN:
	case UTF8PROC_CATEGORY_MC:
	case UTF8PROC_CATEGORY_ME:
	case UTF8PROC_CATEGORY_ND:
	case UTF8PROC_CATEGORY_NL:
	case UTF8PROC_CATEGORY_NO:
		return true;
	default:
		return false;
	}
}

bool chars_upper(int32_t c)
{
	if (c < 0x80)
		return c >= 'A' && c <= 'Z';
	return category(c) == UTF8PROC_CATEGORY_LU || category(c) == UTF8PROC_CATEGORY_LT;
}

bool chars_lower(int32_t c)
{
	if (c < 0x80)
		return c >= 'a' && c <= 'z';
	return category(c) == UTF8PROC_CATEGORY_LL;
}

bool chars_digit(int32_t c)
{
	if (c < 0x80)
		return c >= '0' && c <= '9';
	return category(c) == UTF8PROC_CATEGORY_ND;
}

bool chars_closing(int32_t c)
{
	if (c < 0x80)
		return c == '"' || c == '\'' || c == ')' || c == ']' || c == '}' || c == '*' || c == '_';
	return category(c) == UTF8PROC_CATEGORY_PE || category(c) == UTF8PROC_CATEGORY_PF;
}

bool chars_spaceless(int32_t c)
{
	/* clang-format off */
	static const struct { int32_t from, to; } range[] = {
		{0x0e00, 0x0eff}, /* Thai, Lao */        {0x1000, 0x109f}, /* Myanmar */      {0x1780, 0x17ff}, /* Khmer */
		{0x3040, 0x30ff}, /* kana */             {0x31f0, 0x31ff}, /* more kana */    {0x3400, 0x4dbf}, /* Han, extension A */
		{0x4e00, 0x9fff}, /* Han */              {0xac00, 0xd7a3}, /* Hangul */       {0xf900, 0xfaff}, /* Han, compatibility */
		{0xff66, 0xff9d}, /* halfwidth kana */   {0x20000, 0x323af}, /* Han, further extensions */
	};
	/* clang-format on */

	if (c < range[0].from)
		return false;
	for (size_t i = 0; i < sizeof range / sizeof range[0]; i++)
		if (c >= range[i].from && c <= range[i].to)
			return chars_word(c);
	return false;
}

size_t chars_cut(const char *p, size_t len, size_t n)
{
	size_t m = n, whole;

	if (n >= len)
		return len;
	while (m > 0 && n - m < 4 && ((unsigned char)p[m] & 0xc0) == 0x80) /* inside a character */
		m--;
	if (m == 0 || n - m == 4) /* no character at all: broken bytes */
		m = n;
	whole = m;
	for (int step = 0; step < 16 && m > 0; step++) {
		int32_t here, before;
		size_t back = chars_prev(p, m, &before);

		chars_next(p + m, len - m, &here);
		if (!chars_mark(here) && before != 0x200d)
			return m;
		m -= back;
	}
	return whole;
}
