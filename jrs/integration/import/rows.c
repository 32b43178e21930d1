#include "jrs/integration/import/rows.h"

#include <assert.h>
#include <string.h>

#include "common/base/err.h"
#include "common/base/text.h"
#include "jrs/integration/text/chars.h"

static const char replacement[] = "\xef\xbf\xbd"; /* U+FFFD */

static bool broken(int32_t c)
{
	return c == CHARS_BROKEN || c == 0;
}

/* Bytes of p..p+n once it is mended, reckoned no further than just past max. */
static size_t mended(const char *p, size_t n, size_t max)
{
	size_t bytes = 0;
	int32_t c;

	for (size_t i = 0; i < n && bytes <= max;) {
		size_t len = chars_next(p + i, n - i, &c);

		bytes += broken(c) ? sizeof replacement - 1 : len;
		i += len;
	}
	return bytes;
}

int rows_text(msgpack_zone *zone, const char *p, size_t n, size_t max, wire_str *out)
{
	size_t size = mended(p, n, max), to = 0;
	char *q = msgpack_zone_malloc(zone, size + 1);
	int32_t c;

	if (q == NULL)
		return TR_ENOMEM;
	for (size_t i = 0; i < n && to < size;) {
		size_t len = chars_next(p + i, n - i, &c);

		memcpy(q + to, broken(c) ? replacement : p + i, broken(c) ? sizeof replacement - 1 : len);
		to += broken(c) ? sizeof replacement - 1 : len;
		i += len;
	}
	if (to > max)
		to = chars_cut(q, to, max);
	*out = (wire_str){q, (uint32_t)to};
	return 0;
}

bool rows_has_word(const char *p, size_t n)
{
	int32_t c;

	for (size_t i = 0; i < n;) {
		i += chars_next(p + i, n - i, &c);
		if (chars_word(c) && !chars_mark(c))
			return true;
	}
	return false;
}

static msgpack_object *next(struct meta *m, const char *key)
{
	assert(m->n < META_MAX);
	m->kv[m->n].key = meta_item(wire_s(key));
	return &m->kv[m->n++].val;
}

msgpack_object meta_item(wire_str value)
{
	msgpack_object o = {.type = MSGPACK_OBJECT_STR};

	o.via.str.ptr = value.n > 0 ? value.p : "";
	o.via.str.size = value.n;
	return o;
}

void meta_str(struct meta *m, const char *key, wire_str value)
{
	*next(m, key) = meta_item(value);
}

void meta_u64(struct meta *m, const char *key, uint64_t value)
{
	msgpack_object *o = next(m, key);

	o->type = MSGPACK_OBJECT_POSITIVE_INTEGER;
	o->via.u64 = value;
}

void meta_list(struct meta *m, const char *key, msgpack_object *v, uint32_t n)
{
	msgpack_object *o = next(m, key);

	o->type = MSGPACK_OBJECT_ARRAY;
	o->via.array.ptr = v;
	o->via.array.size = n;
}

int meta_done(const struct meta *m, msgpack_zone *zone, struct item_new_memory *out)
{
	msgpack_object *map = msgpack_zone_malloc(zone, sizeof *map);
	msgpack_object_kv *kv = msgpack_zone_malloc(zone, META_MAX * sizeof *kv);

	if (map == NULL || kv == NULL)
		return TR_ENOMEM;
	memcpy(kv, m->kv, m->n * sizeof *kv);
	map->type = MSGPACK_OBJECT_MAP;
	map->via.map.ptr = kv;
	map->via.map.size = m->n;
	out->metadata = map;
	out->has_metadata = true;
	return 0;
}
