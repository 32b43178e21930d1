#include "supervisor/ctl/clean.h"
#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#define ESC 0x1bu
#define BEL 0x07u
#define BAD UINT32_MAX

/* One code point at p (n > 0 bytes left). *len = bytes it takes; BAD with *len 1 where there is no valid UTF-8. */
static uint32_t decode(const char *p, size_t n, size_t *len)
{
	const unsigned char *u = (const unsigned char *)p;
	size_t want = u[0] < 0x80             ? 1
		      : (u[0] & 0xe0) == 0xc0 ? 2
		      : (u[0] & 0xf0) == 0xe0 ? 3
		      : (u[0] & 0xf8) == 0xf0 ? 4
					      : 0;
	static const uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000};
	uint32_t c;

	*len = 1;
	if (want == 0 || want > n)
		return BAD;
	c = want == 1 ? u[0] : u[0] & (0xffu >> (want + 1));
	for (size_t i = 1; i < want; i++) {
		if ((u[i] & 0xc0) != 0x80)
			return BAD;
		c = c << 6 | (u[i] & 0x3fu);
	}
	if (c < least[want] || c > 0x10ffff || (c >= 0xd800 && c <= 0xdfff))
		return BAD;
	*len = want;
	return c;
}

/* Parameters, intermediates and the final byte of a control sequence (ECMA-48), behind its introducer. */
static size_t csi_length(const char *p, size_t n)
{
	size_t i = 0;

	while (i < n && p[i] >= 0x20 && p[i] <= 0x3f)
		i++;
	return i < n && p[i] >= 0x40 && p[i] <= 0x7e ? i + 1 : i;
}

/* A string (title, device control) ends with BEL or ST. Without an end nothing is skipped: it must not swallow the
 * rest. */
static size_t string_length(const char *p, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		if ((unsigned char)p[i] == BEL)
			return i + 1;
		if ((unsigned char)p[i] == ESC && i + 1 < n && p[i + 1] == '\\')
			return i + 2;
		if ((unsigned char)p[i] == 0xc2 && i + 1 < n && (unsigned char)p[i + 1] == 0x9c)
			return i + 2;
	}
	return 0;
}

/* Bytes of the sequence that `c`, an introducer of `len` bytes at p, begins; 0: c begins none. */
static size_t sequence_length(uint32_t c, const char *p, size_t n, size_t len)
{
	if (c == ESC) {
		if (n < 2)
			return 1;
		if (p[1] == '[')
			return 2 + csi_length(p + 2, n - 2);
		if (p[1] == ']' || p[1] == 'P' || p[1] == 'X' || p[1] == '^' || p[1] == '_')
			return 2 + string_length(p + 2, n - 2);
		return (unsigned char)p[1] >= 0x20 && (unsigned char)p[1] < 0x7f ? 2 : 1;
	}
	if (c == 0x9b)
		return len + csi_length(p + len, n - len);
	if (c == 0x9d || c == 0x90 || c == 0x98 || c == 0x9e || c == 0x9f)
		return len + string_length(p + len, n - len);
	return 0;
}

static bool hidden(uint32_t c)
{
	return c < 0x20 || (c >= 0x7f && c <= 0x9f) ||       /* C0, DEL, C1 */
	       c == 0x61c || (c >= 0x200e && c <= 0x200f) || /* marks of direction */
	       (c >= 0x202a && c <= 0x202e) || (c >= 0x2066 && c <= 0x2069) || c == 0xfeff ||
	       (c >= 0xfff9 && c <= 0xfffb) || /* interlinear annotation */
	       (c >= 0xe0000 && c <= 0xe007f); /* tags: text nobody sees */
}

/* What to show for c: its own bytes, a replacement, or "" for nothing. */
static const char *shown(uint32_t c, const char *newline)
{
	if (c == BAD)
		return "\xef\xbf\xbd";
	if (c == '\n' || c == 0x2028 || c == 0x2029)
		return newline;
	if (c == '\t')
		return " ";
	return hidden(c) ? "" : NULL;
}

void clean_text(struct buf *out, const char *p, size_t n, const char *newline, size_t max_chars)
{
	size_t chars = 0, over = 0;

	for (size_t i = 0, len; i < n; i += len) {
		uint32_t c = decode(p + i, n - i, &len);
		size_t skip = c == BAD ? 0 : sequence_length(c, p + i, n - i, len);
		const char *instead;

		if (skip > 0) {
			len = skip;
			continue;
		}
		instead = shown(c, newline);
		if (instead != NULL && *instead == '\0')
			continue;
		if (max_chars != 0 && chars >= max_chars) {
			over++;
			continue;
		}
		chars++;
		if (instead != NULL)
			(void)buf_puts(out, instead);
		else
			(void)buf_append(out, p + i, len);
	}
	if (over > 0)
		(void)buf_printf(out, " ... (%zu more)", over);
}
