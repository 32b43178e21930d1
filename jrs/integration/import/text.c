#include <string.h>

#include "jrs/integration/import/reader.h"
#include "jrs/integration/text/chars.h"

static bool blank(const char *p, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (strchr(" \t\r\f\v", p[i]) == NULL || p[i] == '\0')
			return false;
	return true;
}

/* Bytes of the line at p; one too long for a turn is cut, at a space if there is one near. */
static size_t line_length(const char *p, size_t left, bool *whole)
{
	size_t most = left < IMPORT_TURN_BYTES ? left : IMPORT_TURN_BYTES;
	const char *nl = memchr(p, '\n', most);

	*whole = nl != NULL || most == left;
	if (nl != NULL)
		return (size_t)(nl - p);
	if (most == left)
		return left;
	for (size_t n = most; n > most - IMPORT_CHARS; n--)
		if (p[n - 1] == ' ')
			return n;
	return chars_cut(p, left, most);
}

/* The paragraph at pos: lines up to a blank one. One without end is taken as several. */
static int paragraph(struct import *im)
{
	const char *data = im->cfg.data;
	struct piece base = {.line = im->line};
	size_t from = im->pos, end = from;

	while (im->pos < im->cfg.len && im->pos - from < IMPORT_TURN_BYTES) {
		const char *p = data + im->pos;
		bool whole;
		size_t n = line_length(p, im->cfg.len - im->pos, &whole);
		bool none = blank(p, n);
		size_t step = n + (n < im->cfg.len - im->pos && p[n] == '\n');

		im->pos += step;
		im->line += whole;
		if (none && end > from)
			break;
		if (none) {
			from = end = im->pos;
			base.line = im->line;
		} else {
			end += step;
		}
	}
	return end > from ? piece_add(im, data + from, end - from, &base) : 0;
}

int text_turn(struct import *im)
{
	size_t start = im->pos;

	while (im->pos < im->cfg.len && im->pos - start < IMPORT_TURN_BYTES) {
		int r = paragraph(im);

		if (r < 0)
			return r;
	}
	return 0;
}
