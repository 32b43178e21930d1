/* Other ways to read a text, for secrets that the plain one does not show: as it looks (characters without width left
 * out, full-width and mathematical letters as ASCII, %41 as A), and what long runs of base64 hold. Each is one pass,
 * made only where a text has something of the kind, and knows where in the text each of its bytes stands. */
#include "jrs/memory/guard/inside.h"
#include <ctype.h>
#include <stdlib.h>
#include <string.h>

/* Room for all that a view of n bytes can have, and for one more place. */
static int reserve(struct view *v, size_t n)
{
	char *p;
	uint32_t *begin, *end;

	v->n = 0;
	if (n <= v->cap)
		return 0;
	v->cap = 0;
	if ((p = realloc(v->p, n)) != NULL)
		v->p = p;
	if ((begin = realloc(v->begin, n * sizeof(*begin))) != NULL)
		v->begin = begin;
	if ((end = realloc(v->end, n * sizeof(*end))) != NULL)
		v->end = end;
	if (p == NULL || begin == NULL || end == NULL)
		return TR_ENOMEM;
	v->cap = n;
	return 0;
}

void view_free(struct view *v)
{
	free(v->p);
	free(v->begin);
	free(v->end);
	*v = (struct view){.p = NULL};
}

static void put(struct view *v, char c, size_t begin, size_t end)
{
	v->p[v->n] = c;
	v->begin[v->n] = (uint32_t)begin;
	v->end[v->n++] = (uint32_t)end;
}

/* ---- as it looks ---- */
enum { AS_IT_IS = -1, NOTHING = 0 }; /* else the ASCII character it looks like */

static int looks_like(uint32_t c)
{
	if (c >= 0xff01 && c <= 0xff5e) /* full width */
		return (int)(c - 0xff01 + '!');
	if (c >= 0x1d400 && c < 0x1d6a4) /* mathematical alphabets: A to Z, a to z, again and again */
		return (int)((c - 0x1d400) % 52 < 26 ? 'A' + (c - 0x1d400) % 52 : 'a' + (c - 0x1d400) % 52 - 26);
	if (c >= 0x1d7ce && c <= 0x1d7ff)
		return (int)('0' + (c - 0x1d7ce) % 10);
	if (c == 0xa0 || (c >= 0x2000 && c <= 0x200a) || c == 0x202f || c == 0x205f || c == 0x3000)
		return ' ';
	if ((c >= 0x2010 && c <= 0x2015) || c == 0x2212)
		return '-';
	if (c == 0xad || c == 0x34f || c == 0x180e || (c >= 0x200b && c <= 0x200f) || (c >= 0x202a && c <= 0x202e) ||
	    (c >= 0x2060 && c <= 0x206f) || (c >= 0xfe00 && c <= 0xfe0f) || c == 0xfeff ||
	    (c >= 0xe0000 && c <= 0xe007f))
		return NOTHING;
	return AS_IT_IS;
}

/* A character of more than one byte: how many; 1 for whatever is none. */
static size_t character(const char *p, size_t n, uint32_t *out)
{
	unsigned char lead = (unsigned char)p[0];
	size_t len = lead >= 0xf0 ? 4 : lead >= 0xe0 ? 3 : lead >= 0xc0 ? 2 : 1, i;
	uint32_t c = lead & (0xffu >> (len + 1));

	if (len > n || len == 1)
		return 1;
	for (i = 1; i < len; i++) {
		if (((unsigned char)p[i] & 0xc0) != 0x80)
			return 1;
		c = c << 6 | ((unsigned char)p[i] & 0x3f);
	}
	*out = c;
	return len;
}

static int hex(char c)
{
	return c >= '0' && c <= '9'   ? c - '0'
	       : c >= 'a' && c <= 'f' ? c - 'a' + 10
	       : c >= 'A' && c <= 'F' ? c - 'A' + 10
				      : -1;
}

/* %41: the character, of those that a secret has; else -1. */
static int percent(const char *p, size_t n)
{
	int c = n < 3 || hex(p[1]) < 0 || hex(p[2]) < 0 ? -1 : hex(p[1]) * 16 + hex(p[2]);

	return c >= ' ' && c < 0x7f ? c : -1;
}

/* The first byte that could be something else than it is; n: none. */
static size_t first_strange(const char *p, size_t n)
{
	const char *sign = memchr(p, '%', n);
	size_t end = sign == NULL ? n : (size_t)(sign - p), i = 0;
	uint64_t w;

	for (; i + sizeof(w) <= end; i += sizeof(w)) {
		memcpy(&w, p + i, sizeof(w));
		if ((w & 0x8080808080808080u) != 0)
			break;
	}
	while (i < end && (unsigned char)p[i] < 0x80)
		i++;
	return i;
}

/* Could it make a secret of what is none as it stands? Typography is everywhere: a dash or a space only counts between
 * digits, other signs only behind a name or a number, what has no width only within ASCII. */
static bool counts(int as, bool escaped, char before)
{
	const unsigned char b = (unsigned char)before;

	if (as == NOTHING)
		return b > ' ' && b < 0x7f;
	if (isalnum(as))
		return true;
	if (as == ' ' || (as == '-' && !escaped))
		return isdigit(b) != 0;
	return escaped || isalnum(b) || b == '"' || b == '\'';
}

/* From byte i on. v NULL: is there anything that counts? Else the view is made. */
static bool walk(struct view *v, struct text t, size_t i)
{
	char before = i == 0 ? ' ' : t.p[i - 1];
	size_t len, k;

	while (i < t.n) {
		uint32_t c = 0;
		int as = AS_IT_IS;

		len = 1;
		if (t.p[i] == '%' && (as = percent(t.p + i, t.n - i)) != AS_IT_IS)
			len = 3;
		else if ((unsigned char)t.p[i] >= 0x80 && (len = character(t.p + i, t.n - i, &c)) > 1)
			as = looks_like(c);
		if (v == NULL && as != AS_IT_IS && counts(as, len == 3 && t.p[i] == '%', before))
			return true;
		if (as > NOTHING && v != NULL)
			put(v, (char)as, i, i + len);
		for (k = 0; as == AS_IT_IS && v != NULL && k < len; k++)
			put(v, t.p[i + k], i + k, i + k + 1);
		if (as != NOTHING)
			before = as == AS_IT_IS ? t.p[i + len - 1] : (char)as;
		i += len;
	}
	return false;
}

int view_plain(struct view *v, struct text t)
{
	size_t i = first_strange(t.p, t.n);
	int r;

	if (i == t.n || !walk(NULL, t, i))
		return 0;
	if ((r = reserve(v, t.n)) < 0)
		return r;
	walk(v, t, 0);
	return 1;
}

/* ---- base64 ---- */
#define RUN_MIN 40u

/* clang-format off */
/* 0..63; > 63: no letter of base64, whichever alphabet. */
static const unsigned char sixbits[256] = {
#define NO 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99
	NO, NO,
	99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 62, 99, 62, 99, 63,
	52, 53, 54, 55, 56, 57, 58, 59, 60, 61, 99, 99, 99, 99, 99, 99,
	99,  0,  1,  2,  3,  4,  5,  6,  7,  8,  9, 10, 11, 12, 13, 14,
	15, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 99, 99, 99, 99, 63,
	99, 26, 27, 28, 29, 30, 31, 32, 33, 34, 35, 36, 37, 38, 39, 40,
	41, 42, 43, 44, 45, 46, 47, 48, 49, 50, 51, 99, 99, 99, 99, 99,
	NO, NO, NO, NO, NO, NO, NO, NO
#undef NO
};
/* clang-format on */

static bool is_letter(char c)
{
	return sixbits[(unsigned char)c] < 64;
}

/* Behind the run that `from` is in; a long one goes on behind the end of its line. */
static size_t behind_run(struct text t, size_t from)
{
	size_t i = from;

	for (;;) {
		while (i < t.n && is_letter(t.p[i]))
			i++;
		if (i - from < RUN_MIN)
			return i;
		if (i + 1 < t.n && t.p[i] == '\n' && is_letter(t.p[i + 1]))
			i += 1;
		else if (i + 2 < t.n && t.p[i] == '\r' && t.p[i + 1] == '\n' && is_letter(t.p[i + 2]))
			i += 2;
		else
			return i;
	}
}

/* What a run holds, if all of it is text: printable ASCII. A line for itself in the view, at the place of the run. */
static void decode(struct view *v, struct text t, size_t from, size_t to)
{
	size_t at = v->n, i;
	uint32_t bits = 0;
	unsigned have = 0;

	for (i = from; i < to; i++) {
		unsigned char six = sixbits[(unsigned char)t.p[i]], c;

		if (six > 63)
			continue; /* the end of a line */
		bits = bits << 6 | six;
		if ((have += 6) < 8)
			continue;
		c = (unsigned char)(bits >> (have -= 8));
		if ((c < ' ' || c > '~') && c != '\n' && c != '\r' && c != '\t') {
			v->n = at;
			return;
		}
		put(v, (char)c, from, to);
	}
	put(v, '\n', from, to);
}

/* Windows of RUN_MIN letters are looked at from their ends, so of words only some letters are, and none more than
 * twice. */
int view_base64(struct view *v, struct text t)
{
	size_t start = 0, i;
	int r;

	v->n = 0;
	while (start + RUN_MIN <= t.n) {
		for (i = start + RUN_MIN; i > start && is_letter(t.p[i - 1]); i--)
			;
		if (i > start) { /* what is in front of i is no letter */
			start = i;
			continue;
		}
		if (v->n == 0 && (r = reserve(v, t.n)) < 0)
			return r;
		i = behind_run(t, start);
		decode(v, t, start, i);
		start = i;
	}
	return v->n > 0;
}
