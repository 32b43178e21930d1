/* What the three import tests share: runs a whole piece through the batches and keeps copies, checking what must always
 * hold. */
#ifndef TESTS_UNIT_IMPORT_KIT_H
#define TESTS_UNIT_IMPORT_KIT_H
#include "common/base/text.h"
#include "jrs/integration/import/import.h"

static struct words *words;

static int words_up(void **state)
{
	(void)state;
	return words_new(&words);
}

static int words_down(void **state)
{
	(void)state;
	words_free(&words);
	return 0;
}

#define TAKEN_MAX 512 /* kept; more are checked and dropped */
struct taken {
	unsigned n, all, batches;
	char *content[TAKEN_MAX], *session[TAKEN_MAX], *heading[TAKEN_MAX], *code[TAKEN_MAX];
	uint64_t line[TAKEN_MAX];
	struct import_skips skips;
	char reason[IMPORT_REASONS][257];
};

static char *copy(const char *p, size_t n)
{
	char *q = malloc(n + 1);

	assert_non_null(q);
	memcpy(q, p, n);
	q[n] = '\0';
	return q;
}

/* The value under key in metadata, or NULL. */
static const msgpack_object *meta(const struct item_new_memory *m, const char *key)
{
	for (uint32_t i = 0; m->has_metadata && i < m->metadata->via.map.size; i++) {
		const msgpack_object_kv *kv = &m->metadata->via.map.ptr[i];

		if (kv->key.via.str.size == strlen(key) && memcmp(kv->key.via.str.ptr, key, strlen(key)) == 0)
			return &kv->val;
	}
	return NULL;
}

static char *meta_text(const struct item_new_memory *m, const char *key)
{
	const msgpack_object *o = meta(m, key);

	return o != NULL && o->type == MSGPACK_OBJECT_STR ? copy(o->via.str.ptr, o->via.str.size) : NULL;
}

typedef void look_cb(const struct item_new_memory *m, unsigned i);

static struct taken take_with(enum import_format format, const char *data, size_t len, uint64_t first_line,
			      look_cb *look)
{
	struct import_cfg cfg = {.format = format,
				 .name = wire_s("notes.txt"),
				 .data = data,
				 .len = len,
				 .first_line = first_line,
				 .words = words};
	static struct import_rows rows;
	const struct item_new_memory *batch = rows.memories;
	msgpack_zone *zone = msgpack_zone_new(4096);
	struct import *im = NULL;
	struct taken t = {0};
	uint32_t n;
	int r;

	assert_int_equal(import_open(&im, &cfg), 0);
	do {
		msgpack_zone_clear(zone);
		r = import_batch(im, zone, &rows);
		n = rows.n;
		assert_true(r >= 0 && n <= IMPORT_BATCH && rows.kind == IMPORT_MEMORIES);
		t.batches++;
		for (uint32_t i = 0; i < n; i++, t.all++) {
			const msgpack_object *line = meta(&batch[i], "line");

			assert_true(batch[i].content.n >= 1 && batch[i].content.n <= WIRE_CONTENT_MAX);
			assert_true(tr_utf8_ok(batch[i].content.p, batch[i].content.n, NULL));
			if (look != NULL)
				look(&batch[i], t.all);
			if (t.n == TAKEN_MAX)
				continue;
			t.content[t.n] = copy(batch[i].content.p, batch[i].content.n);
			t.session[t.n] = batch[i].has_session ? copy(batch[i].session.p, batch[i].session.n) : NULL;
			t.heading[t.n] = meta_text(&batch[i], "heading");
			t.code[t.n] = meta_text(&batch[i], "code");
			t.line[t.n++] = line != NULL ? line->via.u64 : 0;
		}
	} while (r > 0);
	t.skips = *import_skips(im); /* its strings are copied below */
	assert_true(t.skips.n <= IMPORT_REASONS && t.skips.n <= t.skips.total);
	for (uint32_t i = 0; i < t.skips.n; i++) {
		const wire_str *s = &t.skips.v[i].reason;

		assert_true(s->n >= 1 && s->n <= 256 && tr_utf8_ok(s->p, s->n, NULL));
		memcpy(t.reason[i], s->p, s->n);
	}
	import_free(&im);
	msgpack_zone_free(zone);
	return t;
}

static struct taken take(enum import_format format, const char *data, size_t len, uint64_t first_line)
{
	return take_with(format, data, len, first_line, NULL);
}

static void taken_free(struct taken *t)
{
	for (unsigned i = 0; i < t->n; i++) {
		free(t->content[i]);
		free(t->session[i]);
		free(t->heading[i]);
		free(t->code[i]);
	}
}

#endif
