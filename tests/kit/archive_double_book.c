/* What the double keeps, and how it finds things in it: by looking at all of them. */
#include "tests/kit/archive_double_inside.h"
#include <stdlib.h>
#include <string.h>

static struct dbl_book *books;

static const size_t sizes[NLISTS] = {
	[ROWS] = sizeof(struct dbl_row),           [DECISIONS] = sizeof(struct dbl_decision),
	[REQUESTS] = sizeof(struct dbl_request),   [IMPORTS] = sizeof(struct dbl_import),
	[PAIRS] = sizeof(struct dbl_pair),         [RECALLS] = sizeof(struct item_recall_sample),
	[CHANGES] = sizeof(struct archive_change),
};

static void *must(void *p)
{
	if (p == NULL)
		abort();
	return p;
}

void *dbl_put(struct dbl_list *l)
{
	char *at;

	if (l->n == l->cap) {
		l->cap = l->cap == 0 ? 16 : l->cap * 2;
		l->v = must(realloc(l->v, l->cap * l->item));
	}
	at = (char *)l->v + l->n++ * l->item;
	return memset(at, 0, l->item);
}

void dbl_take(struct dbl_list *l, size_t i)
{
	char *at = (char *)l->v + i * l->item;

	memmove(at, at + l->item, (l->n - i - 1) * l->item);
	l->n--;
}

void dbl_lists_copy(struct dbl_list to[NLISTS], const struct dbl_list from[NLISTS])
{
	for (int i = 0; i < NLISTS; i++) {
		to[i] = from[i];
		to[i].v = must(malloc(from[i].cap * from[i].item + 1));
		if (from[i].n > 0)
			memcpy(to[i].v, from[i].v, from[i].n * from[i].item);
	}
}

void dbl_lists_free(struct dbl_list lists[NLISTS])
{
	for (int i = 0; i < NLISTS; i++)
		free(lists[i].v);
}

struct dbl_book *dbl_book_find(const char *path)
{
	struct dbl_book *b = books;

	while (b != NULL && strcmp(b->path, path) != 0)
		b = b->next;
	return b;
}

struct dbl_book *dbl_book_of(const char *path)
{
	struct dbl_book *b = dbl_book_find(path);

	if (b != NULL)
		return b;
	b = must(calloc(1, sizeof(*b)));
	b->path = must(strdup(path));
	b->texts = must(msgpack_zone_new(65536));
	for (int i = 0; i < NLISTS; i++)
		b->list[i].item = sizes[i];
	b->next = books;
	books = b;
	return b;
}

void archive_double_break(const char *path, enum archive_double_fault fault)
{
	dbl_book_of(path)->fault = fault;
}

void archive_double_drop(const char *path)
{
	struct dbl_book **at = &books, *b;

	while (*at != NULL && strcmp((*at)->path, path) != 0)
		at = &(*at)->next;
	if ((b = *at) == NULL)
		return;
	*at = b->next;
	dbl_lists_free(b->list);
	msgpack_zone_free(b->texts);
	free(b->path);
	free(b);
}

wire_str dbl_text(struct dbl_book *b, bool has, wire_str s)
{
	char *copy;

	if (!has)
		return wire_s(NULL);
	copy = must(msgpack_zone_malloc(b->texts, s.n + 1u));
	if (s.n > 0)
		memcpy(copy, s.p, s.n);
	return (wire_str){copy, s.n};
}

wire_strs dbl_texts(struct dbl_book *b, wire_strs s)
{
	wire_str *v = must(msgpack_zone_malloc(b->texts, sizeof(*v) * (s.n + 1u)));

	for (uint32_t i = 0; i < s.n; i++)
		v[i] = dbl_text(b, true, s.v[i]);
	return (wire_strs){v, s.n};
}

bool dbl_same(wire_str a, wire_str b)
{
	return (a.p == NULL) == (b.p == NULL) && a.n == b.n && (a.n == 0 || memcmp(a.p, b.p, a.n) == 0);
}

struct dbl_row *dbl_by_id(struct dbl_book *b, wire_str id)
{
	EACH(dbl_row, row, &b->list[ROWS])
	{
		if (dbl_same(row->id, id))
			return row;
	}
	return NULL;
}

struct dbl_row *dbl_by_number(struct dbl_book *b, int64_t number)
{
	EACH(dbl_row, row, &b->list[ROWS])
	{
		if (row->number == number)
			return row;
	}
	return NULL;
}

struct dbl_import *dbl_import_by_id(struct dbl_book *b, wire_str id)
{
	EACH(dbl_import, import, &b->list[IMPORTS])
	{
		if (dbl_same(import->id, id))
			return import;
	}
	return NULL;
}

struct dbl_request *dbl_request_by_id(struct dbl_book *b, wire_str id)
{
	EACH(dbl_request, request, &b->list[REQUESTS])
	{
		if (dbl_same(request->id, id))
			return request;
	}
	return NULL;
}

void dbl_changed(struct dbl_book *b, int64_t number, enum archive_change_kind kind)
{
	struct archive_change *c;

	if (b->fault == ARCHIVE_DOUBLE_QUIET_TAIL && kind == ARCHIVE_CHANGED)
		return;
	c = dbl_put(&b->list[CHANGES]);
	*c = (struct archive_change){number, kind};
}

bool dbl_hidden(const struct dbl_row *row)
{
	return archive_is_drill(row->source.p != NULL, row->source);
}
