/* jrs/integration/import: JSONL. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
/* after the standard headers, as cmocka wants it */
#include <cmocka.h>

#include "common/base/clock.h"
#include "tests/unit/import_kit.h"

static int64_t ms(const char *rfc3339)
{
	int64_t out;

	assert_int_equal(tr_rfc3339_parse(rfc3339, strlen(rfc3339), &out), 0);
	return out;
}

static void expect_str(wire_str s, const char *want)
{
	assert_int_equal(s.n, strlen(want));
	assert_memory_equal(s.p, want, s.n);
}

static void look_at_full(const struct item_new_memory *m, unsigned i)
{
	if (i > 0)
		return;
	expect_str(m->content, "hello");
	expect_str(m->id, "a/1");
	expect_str(m->speaker, "Ann");
	expect_str(m->session, "s1");
	expect_str(m->source, "chat");
	assert_int_equal(m->tags.n, 2);
	expect_str(m->tags.v[1], "t2");
	assert_true(m->has_importance && m->importance == .5);
	assert_true(m->has_sacred && m->sacred);
	assert_true(m->has_at && m->at == ms("2024-01-02T03:04:05Z"));
	assert_int_equal(m->metadata->via.map.size, 3);
	assert_int_equal(meta(m, "n")->via.u64, 7);
	assert_int_equal(meta(m, "k")->via.u64, 1); /* metadata wins over an unknown field of its name */
	assert_int_equal(meta(m, "deep")->type, MSGPACK_OBJECT_ARRAY);
}

static void every_field_arrives(void **state)
{
	static const char text[] =
		"{\"content\":\"hello\",\"id\":\"a/1\",\"speaker\":\"Ann\",\"session\":\"s1\",\"source\":\"chat\","
		"\"tags\":[\"t1\",\"t2\"],\"importance\":0.5,\"sacred\":true,\"at\":\"2024-01-02T03:04:05Z\",\"n\":7,"
		"\"k\":2,\"deep\":[{\"x\":null}],\"metadata\":{\"k\":1},\"supersedes\":null}\n"
		"{\"content\":\"bare\"}";
	struct taken t = take_with(IMPORT_JSONL, text, sizeof text - 1, 1, look_at_full);

	(void)state;
	assert_int_equal(t.all, 2);
	assert_int_equal(t.skips.total, 0);
	assert_null(t.session[1]); /* only documents are a session of their own */
	taken_free(&t);
}

static const char *const times[][2] = {
	/* line, the time it must have; NULL: none, and the value goes to metadata */
	{"{\"content\":\"x\",\"time\":\"2024-01-02T03:04:05+01:00\"}", "2024-01-02T02:04:05Z"},
	{"{\"content\":\"x\",\"time\":\"2023-05-08T13:56:00\"}", "2023-05-08T13:56:00Z"},
	{"{\"content\":\"x\",\"time\":\"2023-05-08 13:56\"}", "2023-05-08T13:56:00Z"},
	{"{\"content\":\"x\",\"at\":\"2023-05-08\"}", "2023-05-08T00:00:00Z"},
	{"{\"content\":\"x\",\"time\":\"2020-01-01T00:00:00Z\",\"at\":\"2021-01-01T00:00:00Z\"}",
	 "2021-01-01T00:00:00Z"},
	{"{\"content\":\"x\",\"time\":\"yesterday\"}", NULL},
	{"{\"content\":\"x\",\"time\":1700000000}", NULL},
};

static void look_at_times(const struct item_new_memory *m, unsigned i)
{
	assert_int_equal(m->has_at, times[i][1] != NULL);
	if (times[i][1] != NULL)
		assert_true(m->at == ms(times[i][1]));
	else
		assert_non_null(meta(m, "time"));
}

static void time_is_taken_for_at(void **state)
{
	char text[1024] = "";
	struct taken t;

	(void)state;
	for (size_t i = 0; i < sizeof times / sizeof times[0]; i++) {
		strcat(text, times[i][0]);
		strcat(text, "\n");
	}
	t = take_with(IMPORT_JSONL, text, strlen(text), 1, look_at_times);
	assert_int_equal(t.all, sizeof times / sizeof times[0]);
	taken_free(&t);
}

static void bad_lines_are_skipped_good_ones_kept(void **state)
{
	static const char text[] = "{\"content\":\"one\"}\r\n"
				   "{\"content\":\"cut\n"
				   "\n"
				   "[1,2]\n"
				   "{\"id\":\"x\"}\n"
				   "{\"content\":5}\n"
				   "{\"content\":\"\"}\n"
				   "{\"content\":\"x\",\"importance\":2}\n"
				   "{\"content\":\"x\",\"at\":\"soon\"}\n"
				   "{\"content\":\"a\",\"content\":\"b\"}\n"
				   "{\"content\":\"\xff\"}\n"
				   "{\"content\":\"x\"} trailing\n"
				   "  \t{\"content\":\"two\"}";
	/* grouped by reason, in the order each was first met: 101 and 108 .. are different ones */
	static const uint64_t lines[] = {101, 103, 104, 105, 106, 107, 108, 109, 110, 111};
	uint64_t counted = 0;
	struct taken t = take(IMPORT_JSONL, text, sizeof text - 1, 100);

	(void)state;
	assert_int_equal(t.n, 2);
	assert_string_equal(t.content[0], "one");
	assert_string_equal(t.content[1], "two");
	assert_int_equal(t.skips.total, sizeof lines / sizeof lines[0]);
	for (size_t i = 0; i < t.skips.n; i++)
		counted += t.skips.v[i].count;
	assert_int_equal(counted, t.skips.total);
	assert_int_equal(t.skips.n, sizeof lines / sizeof lines[0]);
	for (size_t i = 0; i < sizeof lines / sizeof lines[0]; i++)
		assert_int_equal(t.skips.v[i].line, lines[i]);
	assert_string_equal(t.reason[1], "it is not a JSON object");
	assert_non_null(strstr(t.reason[2], "content"));
	assert_non_null(strstr(t.reason[5], "importance"));
	assert_non_null(strstr(t.reason[6], "at"));
	taken_free(&t);
}

static void oversized_and_deep_lines_are_skipped(void **state)
{
	size_t n = WIRE_CONTENT_MAX + 1;
	char *text = malloc(n + 64);
	size_t len = (size_t)sprintf(text, "{\"content\":\"");
	struct taken t;

	(void)state;
	memset(text + len, 'x', n);
	len += n;
	len += (size_t)sprintf(text + len, "\"}\n{\"content\":\"ok\"}\n");
	t = take(IMPORT_JSONL, text, len, 1);
	assert_int_equal(t.n, 1);
	assert_int_equal(t.skips.total, 1);
	taken_free(&t);
	len = (size_t)sprintf(text, "{\"content\":\"x\",\"a\":");
	memset(text + len, '[', 40000);
	t = take(IMPORT_JSONL, text, len + 40000, 1);
	assert_int_equal(t.n, 0);
	assert_int_equal(t.skips.total, 1);
	taken_free(&t);
	free(text);
}

static void many_lines_come_in_batches(void **state)
{
	size_t size = 100000, n = 0;
	char *text = malloc(size);
	struct taken t;

	(void)state;
	for (int i = 0; i < 1000; i++)
		n += (size_t)snprintf(text + n, size - n, "{\"content\":\"memory number %d\",\"n\":%d}\n", i, i);
	t = take(IMPORT_JSONL, text, n, 1);
	assert_int_equal(t.all, 1000);
	assert_true(t.batches >= 4);
	assert_string_equal(t.content[300], "memory number 300");
	taken_free(&t);
	free(text);
}

#define RECORD                                                                                                  \
	"\"own_id\":false,\"heat_key\":2913.25,\"access_count\":3,\"created_at\":\"2026-01-02T03:04:05.678Z\"," \
	"\"last_access\":\"2026-01-03T00:00:00.000Z\",\"revision\":2"

static void exported_lines_are_records(void **state)
{
	static const char text[] = "{\"content\":\"new one\"}\n"
				   "{\"content\":\"first\",\"id\":\"0198\",\"metadata\":{}," RECORD "}\n"
				   "{\"content\":\"second\",\"surprise\":1," RECORD "}\n"
				   "{\"content\":\"third\",\"phase_coherence\":0.5,\"phase_count\":4," RECORD "}\n"
				   "{\"content\":\"another\",\"heat_key\":3}\n";
	struct import_cfg cfg = {.format = IMPORT_JSONL,
				 .name = wire_s("x"),
				 .data = text,
				 .len = sizeof text - 1,
				 .first_line = 1,
				 .words = words};
	msgpack_zone *zone = msgpack_zone_new(4096);
	static struct import_rows rows;
	struct import *im = NULL;

	(void)state;
	assert_int_equal(import_open(&im, &cfg), 0);
	assert_int_equal(import_batch(im, zone, &rows), 1); /* a batch is of one kind */
	assert_true(rows.kind == IMPORT_MEMORIES && rows.n == 1);
	expect_str(rows.memories[0].content, "new one");
	assert_int_equal(import_batch(im, zone, &rows), 1);
	assert_true(rows.kind == IMPORT_RECORDS && rows.n == 2);
	expect_str(rows.records[0].content, "first");
	expect_str(rows.records[0].id, "0198");
	assert_true(rows.records[0].heat_key == 2913.25 && rows.records[0].access_count == 3);
	assert_true(rows.records[0].created_at == ms("2026-01-02T03:04:05.678Z"));
	assert_true(rows.records[0].has_metadata && rows.records[0].metadata->via.map.size == 0);
	expect_str(rows.records[1].content, "third"); /* the second says what no export says */
	assert_true(rows.records[1].has_phase_count && rows.records[1].phase_count == 4);
	import_refused(im, 1, "no");
	assert_int_equal(import_batch(im, zone, &rows), 0);
	assert_true(rows.kind == IMPORT_MEMORIES && rows.n == 1); /* heat alone makes no record */
	expect_str(rows.memories[0].content, "another");
	assert_int_equal(import_skips(im)->total, 2);
	assert_int_equal(import_skips(im)->v[0].line, 3);
	assert_int_equal(import_skips(im)->v[1].line, 4);
	import_free(&im);
	msgpack_zone_free(zone);
}

static void many_reasons_are_bounded(void **state)
{
	size_t size = 60000, n = 0;
	char *text = malloc(size);
	struct taken t;
	uint64_t counted = 0;

	(void)state;
	for (int i = 0; i < 200; i++) /* each names another field */
		n += (size_t)snprintf(text + n, size - n, "{\"content\":\"x\",\"unknown%d\":1," RECORD "}\n", i);
	t = take(IMPORT_JSONL, text, n, 1);
	assert_int_equal(t.skips.total, 200);
	for (size_t i = 0; i < t.skips.n; i++)
		counted += t.skips.v[i].count;
	assert_int_equal(counted, 200);
	assert_true(t.skips.n <= IMPORT_REASONS && t.skips.n > IMPORT_GROUPS);
	taken_free(&t);
	free(text);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_field_arrives),
		cmocka_unit_test(time_is_taken_for_at),
		cmocka_unit_test(bad_lines_are_skipped_good_ones_kept),
		cmocka_unit_test(oversized_and_deep_lines_are_skipped),
		cmocka_unit_test(many_lines_come_in_batches),
		cmocka_unit_test(exported_lines_are_records),
		cmocka_unit_test(many_reasons_are_bounded),
	};

	return cmocka_run_group_tests(tests, words_up, words_down);
}
