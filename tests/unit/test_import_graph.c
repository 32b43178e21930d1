/* jrs/integration/import: the file of the official MCP memory server. The graph must come back from the memories. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
/* after the standard headers, as cmocka wants it */
#include <cmocka.h>

#include "common/base/buf.h"
#include "tests/unit/import_kit.h"

#define ENTITY(name, type, observations)                                                                              \
	"{\"type\":\"entity\",\"name\":\"" name "\",\"entityType\":\"" type "\",\"observations\":[" observations "]}" \
	"\n"
#define RELATION(from, type, to) \
	"{\"type\":\"relation\",\"from\":\"" from "\",\"to\":\"" to "\",\"relationType\":\"" type "\"}\n"

/* What was seen: "kind|entity or from|type|to|index|text" of each memory, the text as it was before the import. */
static struct seen {
	struct buf lines;
	char ids[TAKEN_MAX][WIRE_ID_MAX + 1];
	char contents[TAKEN_MAX][128];
	unsigned n;
	bool tagged, sourced;
} seen;

static void put(const struct item_new_memory *m, const char *key)
{
	char *text = meta_text(m, key);

	(void)buf_printf(&seen.lines, "|%s", text != NULL ? text : "");
	free(text);
}

static void look(const struct item_new_memory *m, unsigned i)
{
	const msgpack_object *prefix = meta(m, "prefix"), *index = meta(m, "index");
	size_t skip = prefix != NULL ? prefix->via.u64 : 0;
	char *kind = meta_text(m, "kind"), *type = meta_text(m, "type");

	assert_true(m->has_id && m->has_source && !m->has_session && !m->has_at);
	seen.sourced = m->source.n == 10 && memcmp(m->source.p, "mcp-memory", 10) == 0;
	seen.tagged = m->has_tags && m->tags.n == 1 && m->tags.v[0].n == strlen(type) &&
		      memcmp(m->tags.v[0].p, type, strlen(type)) == 0;
	assert_true(skip <= m->content.n);
	(void)buf_puts(&seen.lines, kind);
	put(m, kind[0] == 'r' ? "from" : "entity");
	put(m, "type");
	put(m, "to");
	(void)buf_printf(&seen.lines, "|%d|", index != NULL ? (int)index->via.u64 : -1);
	if (kind[0] == 'o')
		(void)buf_append(&seen.lines, m->content.p + skip, m->content.n - skip);
	(void)buf_puts(&seen.lines, "\n");
	if (i < TAKEN_MAX) {
		tr_copy(seen.ids[i], sizeof seen.ids[i], m->id.p, m->id.n);
		tr_copy(seen.contents[i], sizeof seen.contents[i], m->content.p, m->content.n);
		seen.n = i + 1;
	}
	free(kind);
	free(type);
}

static struct taken see(const char *text, size_t n)
{
	buf_free(&seen.lines);
	seen.n = 0;
	return take_with(IMPORT_MCP_MEMORY, text, n, 1, look);
}

static void the_graph_comes_back(void **state)
{
	static const char text[] =
		ENTITY("John_Smith", "person", "\"Speaks fluent Spanish\",\"John Smith likes tea\",\"\"")
			ENTITY("Sprint 42", "event", "\"The sprint ended\",\"Sprint 42 began\"") "\r\n" ENTITY(
				"Anthropic", "organization", "") RELATION("John_Smith", "works_at", "Anthropic")
				ENTITY("", "note", "\"without a name\"") ENTITY("\xe2\x9c\x93", "", "\"done\"");
	struct taken t = see(text, sizeof text - 1);

	(void)state;
	assert_int_equal(t.skips.total, 0);
	assert_string_equal(seen.lines.p, "observation|John_Smith|person||0|Speaks fluent Spanish\n"
					  "observation|John_Smith|person||1|John Smith likes tea\n"
					  "observation|John_Smith|person||2|\n"
					  "observation|Sprint 42|event||0|The sprint ended\n"
					  "observation|Sprint 42|event||1|Sprint 42 began\n"
					  "entity|Anthropic|organization||-1|\n"
					  "relation|John_Smith|works_at|Anthropic|-1|\n"
					  "observation||note||0|without a name\n"
					  "observation|\xe2\x9c\x93|||0|done\n");
	/* as it reads: the name in front only where the text does not say it */
	assert_string_equal(seen.contents[0], "John_Smith: Speaks fluent Spanish");
	assert_string_equal(seen.contents[1], "John Smith likes tea");
	assert_string_equal(seen.contents[2], "John_Smith: ");
	assert_string_equal(seen.contents[3], "Sprint 42: The sprint ended");
	assert_string_equal(seen.contents[4], "Sprint 42 began");
	assert_string_equal(seen.contents[5], "Anthropic (organization)");
	assert_string_equal(seen.contents[6], "John_Smith works_at Anthropic");
	assert_string_equal(seen.contents[8], "\xe2\x9c\x93: done");
	assert_true(seen.sourced && !seen.tagged); /* the last one has no type */
	assert_int_equal(t.line[0], 1);
	assert_int_equal(t.line[5], 4);
	assert_int_equal(t.line[7], 6);
	taken_free(&t);
	t = see(ENTITY("a", "b", ""), sizeof ENTITY("a", "b", "") - 1);
	assert_true(seen.tagged);
	taken_free(&t);
}

static void ids_tell_what_is_the_same(void **state)
{
	static const char first[] = ENTITY("a", "t", "\"one\",\"two\"") ENTITY("a", "t", "") RELATION("a", "b", "c");
	static const char moved[] = RELATION("a", "b", "c") ENTITY("a", "t", "") ENTITY("a", "t", "\"two\",\"one\"");
	static const char others[] = RELATION("a", "c", "b") ENTITY("a", "u", "") ENTITY("b", "t", "\"two\",\"ones\"")
		RELATION("ab", "b", "c") RELATION("a", "bb", "c");
	char ids[4][WIRE_ID_MAX + 1];
	struct taken t = see(first, sizeof first - 1);

	(void)state;
	assert_int_equal(seen.n, 4);
	memcpy(ids, seen.ids, sizeof ids);
	taken_free(&t);
	for (unsigned i = 0; i < 4; i++) {
		assert_int_equal(strncmp(ids[i], "mcp-memory:", 11), 0);
		for (unsigned k = 0; k < i; k++)
			assert_string_not_equal(ids[i], ids[k]);
	}
	t = see(moved, sizeof moved - 1);
	assert_string_equal(seen.ids[0], ids[3]);
	assert_string_equal(seen.ids[1], ids[2]);
	assert_string_equal(seen.ids[2], ids[1]);
	assert_string_equal(seen.ids[3], ids[0]);
	taken_free(&t);
	t = see(others, sizeof others - 1);
	assert_int_equal(seen.n, 6);
	for (unsigned i = 0; i < 6; i++)
		for (unsigned k = 0; k < 4; k++)
			assert_string_not_equal(seen.ids[i], ids[k]);
	taken_free(&t);
}

static void another_source_is_another_graph(void **state)
{
	static const char text[] = ENTITY("a", "t", "\"one\"");
	struct import_cfg cfg = {.format = IMPORT_MCP_MEMORY,
				 .name = wire_s("memory.jsonl"),
				 .source = wire_s("mine"),
				 .data = text,
				 .len = sizeof text - 1,
				 .first_line = 1,
				 .words = words};
	struct taken t = see(text, sizeof text - 1);
	msgpack_zone *zone = msgpack_zone_new(4096);
	static struct import_rows rows;
	struct import *im = NULL;

	(void)state;
	assert_int_equal(import_open(&im, &cfg), 0);
	assert_int_equal(import_batch(im, zone, &rows), 0);
	assert_int_equal(rows.n, 1);
	assert_memory_equal(rows.memories[0].source.p, "mine", 4);
	assert_int_equal(rows.memories[0].id.n, strlen(seen.ids[0]));
	assert_memory_not_equal(rows.memories[0].id.p, seen.ids[0], rows.memories[0].id.n);
	import_free(&im);
	msgpack_zone_free(zone);
	taken_free(&t);
}

static void wrong_lines_are_skipped(void **state)
{
	static const char text[] = "rubbish\n" ENTITY(
		"a", "t",
		"\"kept\"") "[1]\n"
			    "{\"type\":\"entity\",\"name\":\"a\",\"observations\":[]}\n"
			    "{\"type\":\"entity\",\"name\":5,\"entityType\":\"t\",\"observations\":[]}\n"
			    "{\"type\":\"entity\",\"name\":\"a\",\"entityType\":\"t\"}\n"
			    "{\"type\":\"entity\",\"name\":\"a\",\"entityType\":\"t\",\"observations\":[\"x\",7]}\n"
			    "{\"type\":\"relation\",\"from\":\"a\",\"to\":\"b\"}\n"
			    "{\"type\":\"note\",\"name\":\"a\"}\n"
			    "{\"name\":\"a\"}\n" ENTITY("", "", "\"\",\"also kept\"")
				    ENTITY("", "", "") "{\"type\":\"entity\",\"name\":\"a\",\"ent";
	static const uint64_t lines[] = {1, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13};
	uint64_t counted = 0;
	struct taken t = see(text, sizeof text - 1);
	size_t k = 0;

	(void)state;
	assert_int_equal(t.all, 2);
	assert_string_equal(seen.contents[1], "also kept");
	assert_int_equal(t.skips.total, 12);
	for (size_t i = 0; i < t.skips.n; i++)
		counted += t.skips.v[i].count;
	assert_int_equal(counted, 12);
	for (size_t i = 0; i < 12; i++) { /* each line is told, some under one reason */
		for (k = 0; k < t.skips.n && t.skips.v[k].line != lines[i]; k++)
			;
		assert_true(k < t.skips.n);
	}
	taken_free(&t);
}

static void what_javascript_writes_is_read(void **state)
{
	static const char text[] = ENTITY("a", "t",
					  "\"cut \\ud83d\",\"\\udE00 cut\",\"\\ud83d\\ude00 whole\",\"n\\u0000l\"")
		ENTITY("b", "t", "\"back\\\\u0000slash \\ud800x\"")
			ENTITY("c", "t", "\"raw \xff byte\"") "{\"type\":\"entity\",\"name\":\"d\",\"entityType\":"
							      "\"t\",\"observations\":[\"\\ud8\"]}\n";
	struct taken t = see(text, sizeof text - 1);

	(void)state;
	assert_int_equal(t.skips.total, 1);
	assert_int_equal(t.skips.v[0].line, 4);
	assert_string_equal(seen.lines.p, "observation|a|t||0|cut \xef\xbf\xbd\n"
					  "observation|a|t||1|\xef\xbf\xbd cut\n"
					  "observation|a|t||2|\xf0\x9f\x98\x80 whole\n"
					  "observation|a|t||3|n\xef\xbf\xbdl\n"
					  "observation|b|t||0|back\\u0000slash \xef\xbf\xbdx\n"
					  "observation|c|t||0|raw \xef\xbf\xbd byte\n");
	taken_free(&t);
}

static struct {
	struct buf text;
	uint64_t parts, next;
} joined;

static void join(const struct item_new_memory *m, unsigned i)
{
	const msgpack_object *prefix = meta(m, "prefix"), *part = meta(m, "part"), *parts = meta(m, "parts");

	(void)i;
	assert_non_null(prefix); /* every part says whose it is */
	assert_memory_equal(m->content.p, "Ann: ", 5);
	assert_int_equal(part->via.u64, ++joined.next);
	joined.parts = parts->via.u64;
	assert_int_equal(buf_append(&joined.text, m->content.p + 5, m->content.n - 5), 0);
}

static void long_observations_come_in_parts(void **state)
{
	size_t n = 3 * WIRE_CONTENT_MAX + 17;
	char *text = malloc(n + 1);
	struct buf b = {.max = 0};
	struct taken t;

	(void)state;
	for (size_t i = 0; i < n; i += 4)
		memcpy(text + i, "\xf0\x9f\x98\x80", n - i < 4 ? 0 : 4);
	n -= n % 4;
	text[n] = '\0';
	assert_int_equal(
		buf_puts(&b, "{\"type\":\"entity\",\"name\":\"Ann\",\"entityType\":\"t\",\"observations\":[\""), 0);
	assert_int_equal(buf_append(&b, text, n), 0);
	assert_int_equal(buf_puts(&b, "\"]}"), 0);
	t = take_with(IMPORT_MCP_MEMORY, b.p, b.len, 1, join);
	assert_int_equal(t.all, 4);
	assert_true(joined.parts == 4 && joined.next == 4);
	assert_int_equal(joined.text.len, n);
	assert_memory_equal(joined.text.p, text, n);
	taken_free(&t);
	buf_free(&joined.text);
	buf_free(&b);
	free(text);
}

static void names_have_a_bound(void **state)
{
	char *name = malloc(20001);
	struct buf b = {.max = 0};
	struct taken t;

	(void)state;
	memset(name, 'n', 20000);
	name[20000] = '\0';
	for (int i = 0; i < 2; i++) {
		assert_int_equal(buf_printf(&b, ENTITY("%s", "%s", "\"x\""), name, i == 0 ? "t" : name), 0);
		assert_int_equal(buf_printf(&b, RELATION("%s", "%s", "%s"), name, name, name), 0);
		name[16384] = '\0'; /* the longest there may be, in all places at once */
	}
	t = take(IMPORT_MCP_MEMORY, b.p, b.len, 1);
	assert_int_equal(t.skips.total, 2);
	assert_int_equal(t.all, 2);
	taken_free(&t);
	buf_free(&b);
	free(name);
}

static void one_line_fills_many_batches(void **state)
{
	struct buf b = {.max = 0};
	struct taken t;

	(void)state;
	assert_int_equal(
		buf_puts(&b, "{\"type\":\"entity\",\"name\":\"n\",\"entityType\":\"t\",\"observations\":[\"o\""), 0);
	for (int i = 1; i < 3000; i++)
		assert_int_equal(buf_printf(&b, ",\"observation %d\"", i), 0);
	assert_int_equal(buf_puts(&b, "]}\n" ENTITY("last", "t", "\"x\"")), 0);
	t = take(IMPORT_MCP_MEMORY, b.p, b.len, 1);
	assert_int_equal(t.all, 3001);
	assert_true(t.batches >= 12);
	assert_string_equal(t.content[299], "n: observation 299");
	taken_free(&t);
	buf_free(&b);
}

static void any_bytes_may_come(void **state)
{
	static const char text[] =
		ENTITY("John", "person", "\"Likes \\u0074ea\",\"\\ud83d\\ude00\"") RELATION("John", "knows", "Ann");
	uint32_t seed = 3;

	(void)state;
	for (unsigned round = 0; round < 3000; round++) {
		char *copy_of = malloc(sizeof text - 1); /* exact, so that the sanitizer sees its end */
		struct taken t;

		memcpy(copy_of, text, sizeof text - 1);
		for (int i = 0; i < 3; i++) {
			seed = seed * 1664525 + 1013904223;
			copy_of[(seed >> 8) % (sizeof text - 1)] = (char)(seed >> 3);
		}
		t = take(IMPORT_MCP_MEMORY, copy_of, (seed >> 4) % sizeof text, 1);
		assert_true(t.all <= 3);
		taken_free(&t);
		free(copy_of);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_graph_comes_back),
		cmocka_unit_test(ids_tell_what_is_the_same),
		cmocka_unit_test(another_source_is_another_graph),
		cmocka_unit_test(wrong_lines_are_skipped),
		cmocka_unit_test(what_javascript_writes_is_read),
		cmocka_unit_test(long_observations_come_in_parts),
		cmocka_unit_test(names_have_a_bound),
		cmocka_unit_test(one_line_fills_many_batches),
		cmocka_unit_test(any_bytes_may_come),
	};
	int r = cmocka_run_group_tests(tests, words_up, words_down);

	buf_free(&seen.lines);
	return r;
}
