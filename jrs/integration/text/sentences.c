#include "jrs/integration/text/sentences.h"

#include <string.h>

#include "jrs/integration/text/chars.h"

#define LINE_SHORT \
	40 /* bytes: a line this short, with a capital on the next one, was not wrapped: it is a line of a list */
#define TURN_NAME_MAX 40 /* bytes of a speaker's name in front of ": " */

enum stop { STOP_NONE, STOP_LATIN, STOP_STRONG };

/* STRONG ends a sentence whatever follows: its script sets no space behind it. */
static enum stop stop_kind(int32_t c)
{
	switch (c) {
	case '.':
	case '!':
	case '?':
	case 0x2026: /* horizontal ellipsis */
	case 0x203d: /* interrobang */
		return STOP_LATIN;
	case 0x0589: /* Armenian */
	case 0x061f: /* Arabic question mark */
	case 0x06d4: /* Urdu */
	case 0x0964: /* danda */
	case 0x0965:
	case 0x104b: /* Myanmar */
	case 0x1362: /* Ethiopic */
	case 0x17d4: /* Khmer */
	case 0x3002: /* ideographic */
	case 0xff01:
	case 0xff0e:
	case 0xff1f:
	case 0xff61:
		return STOP_STRONG;
	default:
		return STOP_NONE;
	}
}

/* Words that carry a full stop of their own, lower case, and after which a capital says nothing. */
static bool is_abbreviation(const char *p, size_t n)
{
	static const char *const list[] = {
		"approx", "apr", "aug", "ave", "bros", "ca",    "capt", "cf",   "ch",   "co",     "col", "dec", "dept",
		"dr",     "ed",  "eds", "esp", "est",  "feb",   "fig",  "figs", "fr",   "fri",    "gen", "gov", "hon",
		"inc",    "jan", "jr",  "jul", "jun",  "lt",    "ltd",  "mar",  "max",  "messrs", "min", "mon", "mr",
		"mrs",    "ms",  "mt",  "nov", "oct",  "pg",    "pp",   "prof", "rep",  "rev",    "sat", "sen", "sep",
		"sept",   "sgt", "sr",  "st",  "thu",  "thurs", "tue",  "vol",  "vols", "vs",     "wed"};
	char low[8];

	if (n == 0 || n >= sizeof low)
		return false;
	for (size_t i = 0; i < n; i++)
		low[i] = p[i] >= 'A' && p[i] <= 'Z' ? (char)(p[i] + 32) : p[i];
	low[n] = '\0';
	for (size_t i = 0; i < sizeof list / sizeof list[0]; i++)
		if (strcmp(low, list[i]) == 0)
			return true;
	return false;
}

/* Does the '.' at p[dot] belong to the word in front of it? from: start of the sentence. next: first character behind
 * the space. */
static bool dot_inside(const char *p, size_t from, size_t dot, int32_t next)
{
	size_t w = dot;
	bool dotted = false, digits = true;

	while (w > from && dot - w < 24) {
		unsigned char b = (unsigned char)p[w - 1];

		if (b == '.')
			dotted = true;
		else if (!chars_word(b) && b < 0x80)
			break;
		if (b < '0' || b > '9')
			digits = false;
		w--;
	}
	if (w == dot)
		return false;
	if (digits && w == from && dot - w <= 3) /* "1. Buy milk" */
		return true;
	if (chars_digit(next) && dot - w == 2 && strncmp(p + w, "No", 2) == 0) /* "No. 5" */
		return true;
	if (dot - w == 1 && p[w] >= 'A' && p[w] <= 'Z' && p[w] != 'I') /* an initial */
		return true;
	if (dotted) { /* "p.m." may end a sentence, "e.g." and "U.S." rarely do */
		char last = p[dot - 1];

		return !((last == 'm' || last == 'M') && dot - w == 3 && !chars_lower(next) && !chars_digit(next));
	}
	return is_abbreviation(p + w, dot - w);
}

/* "Name: " at the start of a line: somebody begins to speak. */
static bool is_turn(const char *p, size_t n)
{
	size_t i = 0, words = 1;
	int32_t c;

	if (n == 0)
		return false;
	chars_next(p, n, &c);
	if (!chars_upper(c) && !chars_spaceless(c))
		return false;
	while (i < n && i < TURN_NAME_MAX) {
		size_t len = chars_next(p + i, n - i, &c);

		if (c == ':' || c == 0xff1a)
			return i > 0 && words <= 3 && i + len < n && (c == 0xff1a || p[i + len] == ' ');
		if (c == ' ')
			words++;
		else if (!chars_word(c) && c != '.' && c != '-' && c != '\'')
			return false;
		i += len;
	}
	return false;
}

/* "hang_after_ms: 1000", "http.listen = ...": a line of a configuration. */
static bool is_setting(const char *p, size_t n)
{
	bool inner = false;
	size_t i = 0;

	while (i < n && (p[i] == '_' || p[i] == '.' || p[i] == '-' || (p[i] >= '0' && p[i] <= '9') ||
			 (p[i] >= 'a' && p[i] <= 'z') || (p[i] >= 'A' && p[i] <= 'Z'))) {
		inner = inner || p[i] == '_' || p[i] == '.';
		i++;
	}
	while (i < n && p[i] == ' ' && i + 1 < n && p[i + 1] == '=')
		i++;
	return inner && i + 1 < n && (p[i] == ':' || p[i] == '=') && p[i + 1] == ' ';
}

/* Columns, such as a command and its remark: two spaces inside a line that no full stop explains. */
static bool is_aligned(const char *p, size_t n)
{
	for (size_t i = 1; i + 2 < n; i++)
		if (p[i] == ' ' && p[i + 1] == ' ' && strchr(" .!?:", p[i - 1]) == NULL && p[i + 2] != '\n')
			return true;
	return false;
}

/* Does the line at p begin something of its own: a list item, heading, table row, quotation or turn? */
static bool is_line_start(const char *p, size_t n)
{
	size_t i = 0;
	int32_t c;

	if (n == 0)
		return false;
	chars_next(p, n, &c);
	if (c == '#' || c == '|' || c == '>' || c == 0x2022 || c == 0x25e6 || c == 0x2023 || c == 0x30fb)
		return true;
	if ((c == '-' || c == '*' || c == '+') && n > 1 && p[1] == ' ')
		return true;
	while (i < n && i < 3 && p[i] >= '0' && p[i] <= '9')
		i++;
	if (i > 0 && i + 1 < n && (p[i] == '.' || p[i] == ')') && p[i + 1] == ' ')
		return true;
	return is_turn(p, n) || is_setting(p, n);
}

/* A line end at p[nl]: does the sentence that began at `from` end here? *next: start of what follows. */
static bool line_ends(const char *p, size_t len, size_t from, size_t nl, size_t *next)
{
	size_t i = nl, line = nl, newlines = 0;
	int32_t c;

	while (i < len) {
		size_t n = chars_next(p + i, len - i, &c);

		if (!chars_space(c))
			break;
		newlines += c == '\n' || c == 0x2028 || c == 0x2029 || c == '\f';
		i += n;
	}
	*next = i;
	if (newlines >= 2 || i == len || is_line_start(p + i, len - i))
		return true;
	while (line > from && p[line - 1] != '\n')
		line--;
	if (p[line] == '#' || p[line] == '|' || is_aligned(p + line, nl - line)) /* these end with their line */
		return true;
	chars_next(p + i, len - i, &c);
	return nl - line < LINE_SHORT && nl > 0 && p[nl - 1] != ',' && (chars_upper(c) || chars_digit(c));
}

/* A full stop at p[at] of n bytes: does the sentence end here? *end: behind the row of stops and closing quotes. */
static bool stop_ends(const char *p, size_t len, size_t from, size_t at, size_t n, size_t *end)
{
	enum stop kind = STOP_NONE;
	bool only_dot = true, closed = false;
	size_t i = at;
	int32_t c = 0;

	for (; i < len && i - at < SENTENCE_MAX; i += n) {
		enum stop k;

		n = chars_next(p + i, len - i, &c);
		k = stop_kind(c);
		if (k == STOP_NONE && !chars_closing(c))
			break;
		closed = closed || k == STOP_NONE;
		only_dot = only_dot && (c == '.' || k == STOP_NONE);
		if (k > kind)
			kind = k;
	}
	*end = i;
	if (kind == STOP_STRONG || i == len)
		return true;
	if (!chars_space(c))
		return chars_spaceless(c);
	while (i < len && chars_space(c) && c != '\n') {
		i += chars_next(p + i, len - i, &c);
		if (i < len)
			chars_next(p + i, len - i, &c);
	}
	if (c == '\n' ||
	    i >= len) /* the line's end decides about lines; a stop in front of it is a stop, but for "Dr.\nWho" */
		return !only_dot || !dot_inside(p, from, at, 0) || i >= len;
	if (chars_lower(c))
		return !closed && !only_dot && p[at] != '.';
	return !only_dot || closed || (*end - at > 1) || !dot_inside(p, from, at, c);
}

static void trim(const char *p, size_t from, size_t end, struct span *out)
{
	int32_t c;

	while (end > from) {
		size_t n = chars_prev(p, end, &c);

		if (!chars_space(c))
			break;
		end -= n;
	}
	out->p = p + from;
	out->n = end - from;
}

/* The sentence from..(more) is too long: cut behind the last space in it, or between characters. */
static size_t cut_long(const char *p, size_t len, size_t from)
{
	size_t cut = from + SENTENCE_MAX;

	for (size_t i = cut; i > from + SENTENCE_MAX / 2; i--)
		if (p[i] == ' ' || p[i] == '\n' || p[i] == '\t')
			return i;
	return from + chars_cut(p + from, len - from, SENTENCE_MAX);
}

bool sentence_next(const char *text, size_t len, size_t *pos, struct span *out)
{
	size_t from = *pos, i, n, end, next;
	int32_t c;

	for (; from < len; from += n) {
		n = chars_next(text + from, len - from, &c);
		if (!chars_space(c))
			break;
	}
	if (from >= len) {
		*pos = len;
		return false;
	}
	end = next = len;
	for (i = from; i < len; i += n) {
		n = chars_next(text + i, len - i, &c);
		if (i + n - from > SENTENCE_MAX) {
			end = next = cut_long(text, len, from);
			break;
		}
		if (c == '\n' && line_ends(text, len, from, i, &next)) {
			end = i;
			break;
		}
		if (stop_kind(c) != STOP_NONE) {
			if (stop_ends(text, len, from, i, n, &next)) {
				end = next;
				break;
			}
			n = next - i; /* the whole row of stops was judged */
		}
		next = len;
	}
	if (end - from > SENTENCE_MAX) /* a long tail of stops and quotes */
		end = next = cut_long(text, len, from);
	trim(text, from, end, out);
	*pos = next;
	return true;
}
