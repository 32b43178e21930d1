/* Which page belongs to what, as far as unbroken ways of sound pages lead to it. */
#include "jrs/memory/archive/salvor.h"
#include <stdlib.h>
#include <string.h>

static void own(struct salvor *s, uint32_t root, int owner, enum btree_kind inner, enum btree_kind leaf);

/* An inner page's children. */
static void own_children(struct salvor *s, const struct btree_page *p, int owner, enum btree_kind inner,
			 enum btree_kind leaf)
{
	uint32_t *child = calloc(p->ncells + 1u, sizeof(*child));
	struct btree_cell c;
	unsigned i, n = 0;

	if (child == NULL) {
		s->whole = false;
		return;
	}
	for (i = 0; i < p->ncells; i++) {
		if (btree_cell(p, i, &c))
			child[n++] = c.child;
		else
			s->whole = false;
	}
	child[n++] = p->right;
	for (i = 0; i < n; i++)
		own(s, child[i], owner, inner, leaf);
	free(child);
}

/* Marks the pages below root. A b-tree is at most a few levels deep, and no page is marked twice. */
static void own(struct salvor *s, uint32_t root, int owner, enum btree_kind inner, enum btree_kind leaf)
{
	struct old_image image;
	struct btree_page p;

	if (root > 0 && root <= s->pages && s->owner[root] != NOBODY) {
		s->whole = s->whole && s->owner[root] == owner;
		return;
	}
	if (!old_best(s->old, root, s->page, &image) || !image.good || image.stale ||
	    !btree_page(s->page, s->size, s->usable, root, &p) || (p.kind != inner && p.kind != leaf)) {
		s->whole = false;
		s->ids_whole = s->ids_whole && owner != ID_ENTRIES;
		if (root > 0 && root <= s->pages) /* a leaf, if its parent is right: what it says is judged later */
			s->owner[root] = (short)owner;
		return;
	}
	s->owner[root] = (short)owner;
	if (p.kind == inner)
		own_children(s, &p, owner, inner, leaf);
}

static void own_table(struct salvor *s, const struct table *t, uint32_t root)
{
	if (t->without_rowid)
		own(s, root, (int)(t - s->fresh.tables), BTREE_INNER_INDEX, BTREE_LEAF_INDEX);
	else
		own(s, root, (int)(t - s->fresh.tables), BTREE_INNER_TABLE, BTREE_LEAF_TABLE);
}

static bool is(const struct value *v, const char *text)
{
	return v->kind == VALUE_TEXT && v->n == strlen(text) && memcmp(v->p, text, v->n) == 0;
}

/* A row of sqlite_schema: type, name, table, root, sql. */
static void own_object(struct salvor *s, const struct found *f)
{
	struct table *t;
	uint32_t root;

	if (f->n != 5 || f->v[1].kind != VALUE_TEXT || f->v[3].kind != VALUE_INT || f->v[3].i <= 0)
		return;
	root = (uint32_t)f->v[3].i;
	t = fresh_table(&s->fresh, (const char *)f->v[1].p, f->v[1].n);
	if (is(&f->v[0], "table") && t != NULL)
		own_table(s, t, root);
	else if (is(&f->v[0], "table")) /* the words' own tables: derived */
		own(s, root, OTHER_INDEX, BTREE_INNER_TABLE, BTREE_LEAF_TABLE);
	else if (is(&f->v[0], "index"))
		own(s, root, is(&f->v[1], ID_INDEX) ? ID_ENTRIES : OTHER_INDEX, BTREE_INNER_INDEX, BTREE_LEAF_INDEX);
}

/* The rows of the schema: on page 1 and below. 0, or -1: they cannot all be read. */
static int own_by_schema(struct salvor *s, uint32_t page, int depth)
{
	unsigned char *buf = malloc(s->size);
	struct old_image image;
	struct btree_page p;
	struct btree_cell c;
	unsigned i;
	int r = -1;

	if (buf == NULL || depth > 8 || !old_best(s->old, page, buf, &image) || !image.good || image.stale ||
	    !btree_page(buf, s->size, s->usable, page, &p))
		goto out;
	s->owner[page] = OTHER_INDEX;
	for (i = 0, r = 0; i < p.ncells; i++) {
		struct found f = {.good = true, .sure = true};

		if (!btree_cell(&p, i, &c))
			r = -1;
		else if (p.kind == BTREE_INNER_TABLE)
			r |= own_by_schema(s, c.child, depth + 1);
		else if (salvor_row(s, &c, &f))
			own_object(s, &f);
	}
	if (p.kind == BTREE_INNER_TABLE)
		r |= own_by_schema(s, p.right, depth + 1);
out:
	free(buf);
	return r;
}

/* Pages that are free hold nothing that is to be found. */
static void own_free(struct salvor *s)
{
	struct old_image image;
	uint32_t trunk, i, n, hops = 0;

	if (!old_best(s->old, 1, s->page, &image) || !image.good || image.stale)
		return;
#define BE32(p) ((uint32_t)(p)[0] << 24 | (uint32_t)(p)[1] << 16 | (uint32_t)(p)[2] << 8 | (p)[3])
	for (trunk = BE32(s->page + 32); trunk > 0 && trunk <= s->pages && hops < s->pages; hops++) {
		if (!old_best(s->old, trunk, s->page, &image) || !image.good || image.stale)
			return;
		s->owner[trunk] = FREE_PAGE;
		n = BE32(s->page + 4);
		for (i = 0; i < n && 12 + 4 * i <= s->usable; i++) {
			uint32_t leaf = BE32(s->page + 8 + 4 * i);

			if (leaf > 0 && leaf <= s->pages)
				s->owner[leaf] = FREE_PAGE;
		}
		trunk = BE32(s->page);
	}
#undef BE32
}

void salvor_owners(struct salvor *s)
{
	uint32_t i, root;
	int t;

	for (i = 0; i <= s->pages; i++)
		s->owner[i] = NOBODY;
	s->whole = s->ids_whole = true;
	own_free(s);
	if (own_by_schema(s, 1, 0) == 0)
		return;
	/* The same program makes the same tables in the same places; each row is judged anyway. */
	s->whole = false;
	for (t = 0; t < s->fresh.ntables; t++) {
		root = s->fresh.tables[t].root;
		if (root > 1 && root <= s->pages && s->owner[root] == NOBODY)
			own_table(s, &s->fresh.tables[t], root);
	}
	if ((root = fresh_id_root(&s->fresh)) > 1 && root <= s->pages && s->owner[root] == NOBODY)
		own(s, root, ID_ENTRIES, BTREE_INNER_INDEX, BTREE_LEAF_INDEX);
	s->ids_whole = false;
	s->guessed = true;
}
