#include "jrs/memory/archive/btree.h"
#include <string.h>

static uint32_t be16(const unsigned char *p)
{
	return (uint32_t)p[0] << 8 | p[1];
}

static uint32_t be32(const unsigned char *p)
{
	return be16(p) << 16 | be16(p + 2);
}

/* SQLite's variable-length integer; how many bytes, 0: it does not end before `end`. */
static unsigned varint(const unsigned char *p, const unsigned char *end, uint64_t *out)
{
	uint64_t v = 0;
	unsigned i;

	for (i = 0; i < 8 && p + i < end; i++) {
		v = v << 7 | (p[i] & 0x7f);
		if ((p[i] & 0x80) == 0) {
			*out = v;
			return i + 1;
		}
	}
	if (i < 8 || p + 8 >= end)
		return 0;
	*out = v << 8 | p[8];
	return 9;
}

bool btree_page(const void *bytes, uint32_t size, uint32_t usable, uint32_t number, struct btree_page *out)
{
	struct btree_page page = {.p = bytes, .size = size, .usable = usable, .head = number == 1 ? 100 : 0};
	const unsigned char *h = page.p + page.head;
	bool inner = h[0] == BTREE_INNER_INDEX || h[0] == BTREE_INNER_TABLE;

	if (!inner && h[0] != BTREE_LEAF_INDEX && h[0] != BTREE_LEAF_TABLE)
		return false;
	page.kind = (enum btree_kind)h[0];
	page.ncells = be16(h + 3);
	page.right = inner ? be32(h + 8) : 0;
	if (page.head + (inner ? 12u : 8u) + 2 * page.ncells > usable)
		return false;
	*out = page;
	return true;
}

/* How many bytes of a payload are on the page itself. */
static uint32_t local_part(const struct btree_page *page, uint64_t payload)
{
	uint32_t u = page->usable, max, min, k;

	max = page->kind == BTREE_LEAF_TABLE ? u - 35 : (u - 12) * 64 / 255 - 23;
	if (payload <= max)
		return (uint32_t)payload;
	min = (u - 12) * 32 / 255 - 23;
	k = min + (uint32_t)((payload - min) % (u - 4));
	return k <= max ? k : min;
}

static bool cell_at(const struct btree_page *page, uint32_t at, struct btree_cell *out)
{
	const unsigned char *p = page->p + at, *end = page->p + page->usable;
	struct btree_cell c = {.at = at};
	uint64_t v = 0;
	unsigned n;

	if (page->kind == BTREE_INNER_INDEX || page->kind == BTREE_INNER_TABLE) {
		if (end - p < 4)
			return false;
		c.child = be32(p);
		p += 4;
	}
	if (page->kind != BTREE_INNER_TABLE) {
		if ((n = varint(p, end, &c.payload)) == 0)
			return false;
		p += n;
	}
	if (page->kind == BTREE_INNER_TABLE || page->kind == BTREE_LEAF_TABLE) {
		if ((n = varint(p, end, &v)) == 0)
			return false;
		c.rowid = (int64_t)v;
		p += n;
	}
	if (page->kind != BTREE_INNER_TABLE) {
		c.nlocal = local_part(page, c.payload);
		c.local = p;
		if (c.payload > INT32_MAX || (size_t)(end - p) < c.nlocal + (c.nlocal < c.payload ? 4u : 0u))
			return false;
		p += c.nlocal;
		if (c.nlocal < c.payload) {
			c.overflow = be32(p);
			p += 4;
		}
	}
	c.end = (uint32_t)(p - page->p);
	*out = c;
	return true;
}

bool btree_cell(const struct btree_page *page, unsigned i, struct btree_cell *out)
{
	uint32_t pointers = page->head + (page->kind == BTREE_LEAF_TABLE || page->kind == BTREE_LEAF_INDEX ? 8 : 12);
	uint32_t at = be16(page->p + pointers + 2 * i);

	if (at < pointers + 2 * page->ncells || at >= page->usable)
		return false;
	return cell_at(page, at, out);
}

bool btree_cell_at(const struct btree_page *page, uint32_t at, struct btree_cell *out)
{
	struct btree_page leaf = *page;

	leaf.kind = BTREE_LEAF_TABLE;
	return at < page->usable && cell_at(&leaf, at, out);
}

/* Bytes of a value of this serial type; -1: there is no such type. */
static int64_t size_of_type(uint64_t type)
{
	static const int fixed[] = {0, 1, 2, 3, 4, 6, 8, 8, 0, 0};

	if (type < 10)
		return fixed[type];
	if (type < 12 || type > (uint64_t)INT32_MAX)
		return -1;
	return (int64_t)(type - 12) / 2;
}

static void number(const unsigned char *p, int64_t n, uint64_t type, struct value *out)
{
	uint64_t v = n > 0 && (p[0] & 0x80) != 0 ? UINT64_MAX : 0;
	int64_t i;

	for (i = 0; i < n; i++)
		v = v << 8 | p[i];
	if (type == 7) {
		out->kind = VALUE_REAL;
		memcpy(&out->d, &v, sizeof(v));
	} else {
		out->kind = VALUE_INT;
		out->i = type == 9 ? 1 : (int64_t)v;
	}
}

int record_read(const unsigned char *p, size_t n, struct value v[RECORD_MAX])
{
	uint64_t head, type;
	const unsigned char *t, *body, *end = p + n;
	unsigned k = varint(p, end, &head);
	int count = 0;

	if (k == 0 || head < k || head > n)
		return -1;
	body = p + head;
	for (t = p + k; t < p + head; t += k) {
		struct value *out = &v[count];
		int64_t size;

		if (count == RECORD_MAX || (k = varint(t, p + head, &type)) == 0 || (size = size_of_type(type)) < 0 ||
		    size > end - body)
			return -1;
		*out = (struct value){.kind = VALUE_NULL, .p = body, .n = (uint32_t)size};
		if (type >= 12)
			out->kind = type % 2 == 0 ? VALUE_BLOB : VALUE_TEXT;
		else if (type != 0)
			number(body, size, type, out);
		body += size;
		count++;
	}
	return body == end ? count : -1;
}
