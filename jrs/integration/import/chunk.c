#include "jrs/integration/import/chunk.h"

#include <stdbool.h>
#include <string.h>

#include "jrs/integration/text/chars.h"

#define FRONT_MATTER_MAX (16u << 10)

struct line {
	const char *p;
	size_t n;      /* without the line end */
	size_t step;   /* with it */
	size_t indent; /* spaces in front, a tab counts 4 */
};

static struct line line_at(const char *p, size_t n)
{
	const char *nl = memchr(p, '\n', n);
	struct line l = {.p = p, .n = nl != NULL ? (size_t)(nl - p) : n};

	l.step = l.n + (nl != NULL);
	while (l.n > 0 && p[l.n - 1] == '\r')
		l.n--;
	while (l.n > 0 && (*l.p == ' ' || *l.p == '\t')) {
		l.indent += *l.p == ' ' ? 1 : 4;
		l.p++;
		l.n--;
	}
	return l;
}

static size_t run_of(const struct line *l, char c)
{
	size_t k = 0;

	while (k < l->n && l->p[k] == c)
		k++;
	return k;
}

/* Follows fences of ``` and ~~~: open is their length, 0 outside. */
static void follow_fence(const struct line *l, char *kind, size_t *open)
{
	size_t ticks = run_of(l, '`'), tildes = run_of(l, '~');

	if (l->indent > 3)
		return;
	if (*open == 0 && (ticks >= 3 || tildes >= 3)) {
		*kind = ticks >= 3 ? '`' : '~';
		*open = ticks >= 3 ? ticks : tildes;
	} else if (*open > 0 && run_of(l, *kind) >= *open && run_of(l, *kind) == l->n) {
		*open = 0;
	}
}

static bool is_heading(const struct line *l)
{
	size_t k = run_of(l, '#');

	return l->indent < 4 && k >= 1 && k <= 6 && (k == l->n || l->p[k] == ' ' || l->p[k] == '\t');
}

size_t markdown_chunk(const char *p, size_t n)
{
	size_t pos = 0, safe = 0, open = 0;
	bool after_blank = false;
	char kind = 0;

	if (n <= MARKDOWN_CHUNK)
		return n;
	while (pos < n) {
		struct line l = line_at(p + pos, n - pos);

		if (pos > 0 && open == 0 && (is_heading(&l) || (after_blank && l.indent == 0 && l.n > 0)))
			safe = pos;
		if ((safe > 0 && pos > MARKDOWN_CHUNK) || pos + l.step > MARKDOWN_CHUNK_MAX)
			break;
		follow_fence(&l, &kind, &open);
		after_blank = l.n == 0;
		pos += l.step;
	}
	if (safe > 0 && (pos < n || n > MARKDOWN_CHUNK_MAX))
		return safe;
	return pos > 0 ? pos : chars_cut(p, n, MARKDOWN_CHUNK_MAX);
}

/* "key:" or "key: value", or a comment. */
static bool is_yaml(const struct line *l)
{
	const char *colon = l->n > 0 ? memchr(l->p, ':', l->n) : NULL;
	size_t k = colon != NULL ? (size_t)(colon - l->p) : 0;

	if (l->indent == 0 && l->n > 0 && *l->p == '#')
		return true;
	if (l->indent > 0 || k == 0 || (k + 1 < l->n && l->p[k + 1] != ' ' && l->p[k + 1] != '\t'))
		return false;
	for (size_t i = 0; i < k; i++)
		if (strchr(" \t`*[](){}<>|", l->p[i]) != NULL)
			return false;
	return true;
}

size_t markdown_front_matter(const char *p, size_t n)
{
	struct line l = line_at(p, n);
	size_t pos = l.step;

	if (l.n != 3 || l.indent > 0 || memcmp(l.p, "---", 3) != 0)
		return 0;
	l = line_at(p + pos, n - pos);
	if (!is_yaml(&l))
		return 0;
	while (pos < n && pos < FRONT_MATTER_MAX) {
		l = line_at(p + pos, n - pos);
		pos += l.step;
		if (l.n == 3 && l.indent == 0 && (memcmp(l.p, "---", 3) == 0 || memcmp(l.p, "...", 3) == 0))
			return pos;
	}
	return 0;
}
