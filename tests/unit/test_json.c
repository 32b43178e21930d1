/* proto/json: strict parsing, the same shapes and rules as on the wire, and printing. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include "common/base/clock.h"
#include "common/base/base64.h"
#include "proto/json/json.h"
#include "proto/wire/doc/sample.h"
#include "proto/wire/rule.h"
#include <cmocka.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

static const struct wire_shape *shapes[256];
static unsigned nshapes;

static int list_shapes(void **state)
{
	(void)state;
#define X(item) shapes[nshapes++] = &wire_shape_##item;
	WIRE_ITEMS(X)
#undef X
	for (int i = 0; i < WIRE_NMSGS; i++) {
		shapes[nshapes++] = wire_methods[i].params;
		if (wire_methods[i].result != NULL)
			shapes[nshapes++] = wire_methods[i].result;
	}
	return 0;
}

static int parse(const char *text, size_t n, struct tr_fault *fault)
{
	json_t *j = NULL;
	char *p = malloc(n > 0 ? n : 1); /* of its exact size, for AddressSanitizer */
	int r;

	assert_non_null(p);
	memcpy(p, text, n);
	*fault = (struct tr_fault){0};
	r = json_parse(&j, p, n, fault);
	assert_int_equal(j != NULL, r == 0);
	json_decref(j);
	free(p);
	return r;
}

/* ---- text ---- */

static void malformed(void **state)
{
	static const struct {
		const char *text;
		size_t n;
		const char *says;
	} bad[] = {
#define T(text, says) {text, sizeof(text) - 1, says}
		T("", "it ends too early (line 1, column 0)"),
		T("{\"a\":01}", "it is not JSON (line 1"),
		T("{\"a\":NaN}", "it is not JSON"),
		T("{\"a\":Infinity}", "it is not JSON"),
		T("{\"a\":1e999}", "a number is too large"),
		T("{\"a\":99999999999999999999}", "a number is too large"),
		T("{\"a\":1,\n\"a\":2}", "the same key is given twice (line 2"),
		T("{\"a\":\"\\ud800\"}", "it is not JSON"),
		T("{\"a\":\"\\udc00\"}", "it is not JSON"),
		T("{\"a\":\"\x01\"}", "it is not JSON"),
		T("{\"a\":\"\n\"}", "it is not JSON"),
		T("{'a':1}", "it is not JSON"),
		T("\xef\xbb\xbf{}", "it is not JSON"),
		T("{\"a\":\"\xff\"}", "it is not valid UTF-8"),
		T("{\"a\":\"\xc0\x80\"}", "it is not valid UTF-8"),
		T("{\"a\":\"\xed\xa0\x80\"}", "it is not valid UTF-8"),
		T("{/* c */\"a\":1}", "it is not JSON"),
		T("{} // c", "there is more behind its end"),
		T("{\"a\":1,}", "it is not JSON"),
		T("[1,]", "it is not JSON"),
		T("{} {}", "there is more behind its end"),
		T("{}x", "there is more behind its end"),
		T("{\"a\":\"\\u0000\"}", "it holds a NUL character"),
		T("{\"\\u0000\":1}", "it holds a NUL character"),
		T("{\"a\":\"\0\"}", "it is not JSON"),
		T("{}\0", "there is more behind its end"),
		T("{\"a\"", "it ends too early"),
		T("[1, 2", "it ends too early"),
		T("\"open", "it ends too early"),
		T("+1", "it is not JSON"),
		T(".5", "it is not JSON"),
		T("1.", "it is not JSON"),
		T("0x10", "there is more behind its end"),
		T("tru", "it is not JSON"),
		T("True", "it is not JSON"),
#undef T
	};

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		struct tr_fault fault;
		int r = parse(bad[i].text, bad[i].n, &fault);

		if (r != TR_EMALFORMED || strncmp(fault.rule, bad[i].says, strlen(bad[i].says)) != 0)
			print_error("%s -> %d \"%s\"\n", bad[i].text, r, fault.rule);
		assert_int_equal(r, TR_EMALFORMED);
		assert_memory_equal(fault.rule, bad[i].says, strlen(bad[i].says));
		assert_string_equal(fault.field, "");
	}
}

static void nesting(void **state)
{
	enum { MANY = 100000 };
	char *text = malloc(2 * MANY + 16);
	struct tr_fault fault;

	(void)state;
	assert_non_null(text);
	memset(text, '[', MANY);
	memset(text + MANY, ']', MANY);
	assert_int_equal(parse(text, 2 * MANY, &fault), TR_EMALFORMED);
	assert_string_equal(fault.rule, "it nests deeper than 32 (line 1, column 33)");
	for (size_t i = 0; i < MANY; i += 5)
		memcpy(text + i, "{\"a\":", 5);
	assert_int_equal(parse(text, MANY, &fault), TR_EMALFORMED);
	memset(text, '[', JSON_DEPTH_MAX);
	memset(text + JSON_DEPTH_MAX, ']', JSON_DEPTH_MAX);
	assert_int_equal(parse(text, 2 * JSON_DEPTH_MAX, &fault), 0);
	/* brackets in strings are text, siblings are not nesting */
	memset(text, '[', 60);
	memcpy(text, "[\"\\\"", 4);
	memcpy(text + 50, "[[[[\\\\\"]", 8);
	assert_int_equal(parse(text, 58, &fault), 0);
	memset(text, ' ', 200);
	for (size_t i = 0; i < 49; i++)
		memcpy(text + 1 + 3 * i, "[],", 3);
	text[0] = '[';
	text[147] = ']';
	assert_int_equal(parse(text, 200, &fault), 0);
	free(text);
}

static void accepted(void **state)
{
	static const char *const good[] = {"null",
					   "0",
					   "-0",
					   "-1.5e-3",
					   "\"\\u00e9\\ud83d\\udd25\"",
					   " [ ] ",
					   "{\"\":{}}",
					   "true\n",
					   "9223372036854775807",
					   "\"\\/\""};
	struct tr_fault fault;

	(void)state;
	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++)
		assert_int_equal(parse(good[i], strlen(good[i]), &fault), 0);
}

/* ---- shapes ---- */

static void round_trip(void **state)
{
	(void)state;
	for (unsigned i = 0; i < nshapes; i++) {
		for (uint64_t seed = 1; seed <= 24; seed++) {
			struct sample s = {.state = seed, .zone = msgpack_zone_new(8192), .full = seed % 3 == 0};
			void *value = malloc(shapes[i]->size), *back = malloc(shapes[i]->size);
			msgpack_sbuffer a, b;
			struct buf text = {0};
			struct tr_fault fault = {0};
			json_t *out, *in = NULL;

			assert_true(s.zone != NULL && value != NULL && back != NULL);
			msgpack_sbuffer_init(&a);
			msgpack_sbuffer_init(&b);
			sample_fill(&s, shapes[i], value);
			out = json_encode(shapes[i], value);
			assert_non_null(out);
			if (s.full)
				assert_int_equal(json_object_size(out), shapes[i]->n);
			assert_int_equal(json_print(out, &text), 0);
			assert_int_equal(json_parse(&in, text.p, text.len, &fault), 0);
			if (json_decode(shapes[i], in, s.zone, back, &fault) < 0)
				print_error("%s: %s %s\n%s\n", shapes[i]->name, fault.field, fault.rule, text.p);
			assert_int_equal(fault.code, 0);
			assert_int_equal(wire_encode(&a, shapes[i], value), 0);
			assert_int_equal(wire_encode(&b, shapes[i], back), 0);
			assert_int_equal(a.size, b.size);
			assert_memory_equal(a.data, b.data, a.size);
			json_decref(out);
			json_decref(in);
			buf_free(&text);
			msgpack_sbuffer_destroy(&a);
			msgpack_sbuffer_destroy(&b);
			free(value);
			free(back);
			msgpack_zone_free(s.zone);
		}
	}
}

/* ---- without a tree ---- */
static void written_alike(const struct wire_shape *shape, const void *value)
{
	struct buf tree = {0}, straight = {0};
	json_t *j = json_encode(shape, value);

	assert_non_null(j);
	assert_int_equal(json_print(j, &tree), 0);
	buf_puts(&straight, "before");
	assert_int_equal(json_write(shape, value, NULL, &straight), 0);
	if (straight.len != tree.len + 6 || memcmp(straight.p + 6, tree.p, tree.len) != 0)
		fail_msg("%s:\n%s\n%s", shape->name, tree.p, straight.p + 6);
	json_decref(j);
	buf_free(&tree);
	buf_free(&straight);
}

static void writing_is_printing(void **state)
{
	struct item_source item = {.id = wire_s("\x01\x1f \"\\/\b\f\n\r\t\x7f\u00e4\U0001F525"),
				   .content = wire_s("x")};
	static const double reals[] = {0,
				       -0.0,
				       1,
				       -1,
				       0.1,
				       1e-6,
				       1e-300,
				       1e300,
				       1e14,
				       1e15,
				       1e16,
				       123456789012345678.0,
				       40.000000000000001,
				       99.99999999999999999,
				       0.30000000000000004,
				       5e-324,
				       1.7976931348623157e308,
				       1e21,
				       999999999999999.9};
	struct sample s = {.state = 9};
	uint64_t bits;

	(void)state;
	for (unsigned i = 0; i < nshapes; i++) {
		for (uint64_t seed = 1; seed <= 12; seed++) {
			struct sample one = {.state = seed, .zone = msgpack_zone_new(8192), .full = seed % 3 == 0};
			void *value = malloc(shapes[i]->size);

			assert_true(one.zone != NULL && value != NULL);
			sample_fill(&one, shapes[i], value);
			written_alike(shapes[i], value);
			free(value);
			msgpack_zone_free(one.zone);
		}
	}
	for (unsigned i = 0; i < sizeof(reals) / sizeof(*reals); i++) {
		item.score = reals[i];
		written_alike(&wire_shape_source, &item);
	}
	for (unsigned i = 0; i < 20000; i++) {
		bits = sample_next(&s);
		memcpy(&item.score, &bits, sizeof(bits));
		written_alike(&wire_shape_source, &item);
		item.score = (double)(int64_t)(bits >> 34) / 1000.0;
		written_alike(&wire_shape_source, &item);
	}
	item.content = (wire_str){NULL, 0};
	written_alike(&wire_shape_source, &item);
}

static void nulls_are_written(void **state)
{
	struct item_sentience item = {.uptime = 0.5, .has_uptime = true};
	struct item_sentience none = {.uptime = 0};
	struct buf out = {0};

	(void)state;
	assert_int_equal(json_write(&wire_shape_sentience, &item, "index uptime coherence", &out), 0);
	assert_string_equal(out.p, "{\"uptime\":0.5,\"index\":null,\"coherence\":null}");
	buf_clear(&out);
	assert_int_equal(json_write(&wire_shape_sentience, &none, "index", &out), 0);
	assert_string_equal(out.p, "{\"index\":null}");
	out.max = 20;
	assert_true(json_write(&wire_shape_sentience, &item, NULL, &out) < 0);
	assert_string_equal(out.p, "{\"index\":null}");
	buf_free(&out);
}

/* text -> struct of that shape -> what is wrong, as "field rule"; "" when nothing is. */
static const char *verdict(const struct wire_shape *shape, const char *text, void *out)
{
	static char words[256];
	struct tr_fault fault = {0};
	msgpack_zone *zone = msgpack_zone_new(1024);
	void *value = malloc(shape->size);
	json_t *j = NULL;
	int r;

	assert_true(zone != NULL && value != NULL);
	assert_int_equal(json_parse(&j, text, strlen(text), &fault), 0);
	r = json_decode(shape, j, zone, value, &fault);
	assert_int_equal(r, fault.code);
	assert_true(r == 0 || r == TR_EINVAL);
	snprintf(words, sizeof(words), "%s%s%s", fault.field, fault.field[0] != '\0' ? " " : "", fault.rule);
	if (out != NULL && r == 0)
		memcpy(out, value, shape->size); /* whole numbers only: strings go with the tree */
	json_decref(j);
	msgpack_zone_free(zone);
	free(value);
	return words;
}

static void rules(void **state)
{
	static const struct {
		const char *text, *want;
	} cases[] = {
		{"{\"content\":\"x\"}", ""},
		{"{}", "content is required"},
		{"{\"content\":null}", "content is required"},
		{"{\"content\":5}", "content must be a string"},
		{"{\"content\":\"\"}", "content must be 1 to 65536 bytes"},
		{"{\"content\":\"x\",\"colour\":1}", "colour is not a known field"},
		{"{\"content\":\"x\",\"Content\":1}", "Content is not a known field"},
		{"{\"content\":\"x\",\"a\\nb\":1}", "a?b is not a known field"},
		{"{\"content\":\"x\",\"importance\":null,\"tags\":null}", ""},
		{"{\"content\":\"x\",\"importance\":1}", ""},
		{"{\"content\":\"x\",\"importance\":0.5}", ""},
		{"{\"content\":\"x\",\"importance\":1.0000001}", "importance must be a number from 0 to 1"},
		{"{\"content\":\"x\",\"importance\":-1}", "importance must be a number from 0 to 1"},
		{"{\"content\":\"x\",\"importance\":\"1\"}", "importance must be a number from 0 to 1"},
		{"{\"content\":\"x\",\"sacred\":1}", "sacred must be true or false"},
		{"{\"content\":\"x\",\"tags\":\"a\"}", "tags must be a list of strings"},
		{"{\"content\":\"x\",\"tags\":[\"a\",7]}", "tags[1] must be a string"},
		{"{\"content\":\"x\",\"tags\":[\"a\",\"\"]}", "tags[1] must be 1 to 256 bytes"},
		{"{\"content\":\"x\",\"metadata\":[]}", "metadata must be an object"},
		{"{\"content\":\"x\",\"metadata\":{\"a\":[[[[[[[1]]]]]]]}}", ""},
		{"{\"content\":\"x\",\"metadata\":{\"a\":[[[[[[[[1]]]]]]]]}}", "metadata must not nest deeper than 8"},
		{"{\"content\":\"x\",\"at\":\"2026-11-23T17:00:00Z\"}", ""},
		{"{\"content\":\"x\",\"at\":\"2026-11-23 17:00\"}",
		 "at must be a time from year 1 to 9999 (RFC 3339 in JSON, milliseconds since 1970 in MessagePack)"},
		{"{\"content\":\"x\",\"at\":1700000000000}",
		 "at must be a time from year 1 to 9999 (RFC 3339 in JSON, milliseconds since 1970 in MessagePack)"},
		{"[]", "must be an object"},
		{"null", "must be an object"},
		{"\"x\"", "must be an object"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		assert_string_equal(verdict(&wire_shape_new_memory, cases[i].text, NULL), cases[i].want);
	assert_string_equal(verdict(wire_methods[MSG_memory_add].params,
				    "{\"memories\":[{\"content\":\"a\"},{\"content\":\"\"}]}", NULL),
			    "memories[1].content must be 1 to 65536 bytes");
	assert_string_equal(
		verdict(wire_methods[MSG_memory_add].params, "{\"memories\":[{\"content\":\"a\"},3]}", NULL),
		"memories[1] must be an object");
	assert_string_equal(
		verdict(wire_methods[MSG_memory_add].params, "{\"memories\":[{\"content\":\"a\",\"x\":3}]}", NULL),
		"memories[0].x is not a known field");
	assert_string_equal(verdict(wire_methods[MSG_memory_restore].params, "{\"records\":[]}", NULL),
			    "records must have 1 to 1000 entries");
	assert_string_equal(verdict(wire_methods[MSG_memory_recall].params, "{\"limit\":3.0}", NULL),
			    "limit must be a whole number from 1 to 200");
	assert_string_equal(verdict(wire_methods[MSG_memory_recall].params, "{\"limit\":201}", NULL),
			    "limit must be a whole number from 1 to 200");
	assert_string_equal(verdict(wire_methods[MSG_memory_recall].params, "{\"limit\":-1}", NULL),
			    "limit must be a whole number from 1 to 200");
	assert_string_equal(verdict(wire_methods[MSG_memory_recall].params, "{\"limit\":200}", NULL), "");
}

/* The same fault has the same words in JSON and in MessagePack. */
static void same_words(void **state)
{
	static const char *const texts[] = {
		"{\"content\":5}",
		"{\"content\":\"\"}",
		"{}",
		"{\"content\":\"x\",\"importance\":7}",
		"{\"content\":\"x\",\"tags\":[1]}",
		"{\"content\":\"x\",\"metadata\":3}",
		"{\"content\":\"x\",\"at\":true}",
	};

	(void)state;
	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		struct item_new_memory m;
		struct tr_fault from_json, from_wire;
		msgpack_zone *zone = msgpack_zone_new(1024);
		msgpack_object o;
		json_t *j = NULL;

		assert_int_equal(json_parse(&j, texts[i], strlen(texts[i]), &from_json), 0);
		assert_int_equal(json_to_msgpack(j, zone, &o), 0);
		assert_int_equal(json_decode(&wire_shape_new_memory, j, zone, &m, &from_json), TR_EINVAL);
		assert_int_equal(wire_decode(&wire_shape_new_memory, &o, zone, &m, &from_wire), TR_EINVAL);
		assert_string_equal(from_json.field, from_wire.field);
		assert_string_equal(from_json.rule, from_wire.rule);
		json_decref(j);
		msgpack_zone_free(zone);
	}
}

static void times(void **state)
{
	struct item_new_memory m;

	(void)state;
	assert_string_equal(
		verdict(&wire_shape_new_memory, "{\"content\":\"x\",\"at\":\"1970-01-01T01:00:00.25+01:00\"}", &m), "");
	assert_true(m.has_at && m.at == 250);
	assert_string_equal(
		verdict(&wire_shape_new_memory, "{\"content\":\"x\",\"at\":\"9999-12-31T23:59:59.999Z\"}", &m), "");
	assert_true(m.at == TR_TIME_MAX_MS);
	assert_int_not_equal(
		*verdict(&wire_shape_new_memory, "{\"content\":\"x\",\"at\":\"2026-02-30T00:00:00Z\"}", NULL), 0);
}

/* Long names from outside are cut at a whole character. */
static void long_names(void **state)
{
	char text[256] = "{\"content\":\"x\",\"";
	const char *words;

	(void)state;
	for (int i = 0; i < 50; i++)
		strcat(text, "é");
	strcat(text, "\":1}");
	words = verdict(&wire_shape_new_memory, text, NULL);
	assert_int_equal(strspn(words, "\xc3\xa9"), 62);
	assert_string_equal(words + 62, " is not a known field");
}

/* ---- printing ---- */

static char *printed(json_t *j, struct buf *b)
{
	assert_non_null(j);
	buf_clear(b);
	assert_int_equal(json_print(j, b), 0);
	json_decref(j);
	return b->p;
}

static void numbers(void **state)
{
	struct item_bucket bucket = {.le = 0.1, .count = UINT64_MAX};
	struct item_heat_bin bin = {.from = 40, .count = INT64_MAX};
	struct buf b = {0};

	(void)state;
	assert_string_equal(printed(json_encode(&wire_shape_bucket, &bucket), &b),
			    "{\"le\":0.1,\"count\":9223372036854775807}");
	assert_string_equal(printed(json_encode(&wire_shape_heat_bin, &bin), &b),
			    "{\"from\":40.0,\"count\":9223372036854775807}");
	bin.from = (double)INFINITY;
	bin.count = 0;
	assert_string_equal(printed(json_encode(&wire_shape_heat_bin, &bin), &b), "{\"from\":null,\"count\":0}");
	buf_free(&b);
}

static void limits_of_printing(void **state)
{
	struct buf b;
	json_t *j = json_string("0123456789");

	(void)state;
	buf_init(&b, 10);
	assert_int_equal(buf_puts(&b, "12345"), 0);
	assert_int_equal(json_print(j, &b), TR_ETOOBIG);
	assert_string_equal(b.p, "12345");
	buf_free(&b);
	json_decref(j);
}

static void any_msgpack(void **state)
{
	static const char bytes[] = "\x87\xa1"
				    "a\xc4\x02\xff\xfe\xa1"
				    "b\xc7\x01\x05x\xa1"
				    "c\xcf\xff\xff\xff\xff\xff\xff\xff\xff\x05\x06"
				    "\xa1"
				    "d\x93\xc0\xc2\xff\xa1"
				    "e\xca\x3f\x00\x00\x00\xa1"
				    "f\xa1\xff";
	msgpack_zone *zone = msgpack_zone_new(1024);
	msgpack_object o;
	struct buf b = {0};
	size_t off = 0;

	(void)state;
	assert_int_equal(msgpack_unpack(bytes, sizeof(bytes) - 1, &off, zone, &o), MSGPACK_UNPACK_SUCCESS);
	assert_string_equal(
		printed(json_from_msgpack(&o), &b),
		"{\"a\":\"//4=\",\"b\":null,\"c\":9223372036854775807,\"d\":[null,false,-1],\"e\":0.5,\"f\":null}");
	buf_free(&b);
	msgpack_zone_free(zone);
}

static void base64_both_ways(void **state)
{
	static const char *const bad[] = {"A",    "AA",   "AAA",      "A===", "AA=A",  "=AAA",
					  "AB==", "AAB=", "AA==AAAA", "A A=", "AA\n=", "A_A="};
	static const char *const known[][2] = {{"", ""},        {"f", "Zg=="},        {"fo", "Zm8="},
					       {"foo", "Zm9v"}, {"foob", "Zm9vYg=="}, {"\xff\xef", "/+8="}};
	unsigned char out[64];
	char text[64];

	(void)state;
	for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++) {
		size_t n = strlen(known[i][0]);

		base64_encode(known[i][0], n, text);
		assert_int_equal(BASE64_LEN(n), strlen(known[i][1]));
		assert_memory_equal(text, known[i][1], BASE64_LEN(n));
		assert_int_equal(base64_decode(text, BASE64_LEN(n), out), (long)n);
		assert_memory_equal(out, known[i][0], n);
	}
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_int_equal(base64_decode(bad[i], strlen(bad[i]), out), -1);
}

/* Valid texts with bytes changed: refused or decoded, never a crash, and what decodes keeps the rules. */
static void mutations(void **state)
{
	struct sample s = {.state = 4};
	uint64_t end = tr_mono_ms() + 30000;

	(void)state;
	for (unsigned i = 0; i < 40000 && tr_mono_ms() < end; i++) {
		const struct wire_shape *shape = shapes[i % nshapes];
		void *value = malloc(shape->size);
		struct buf text = {0};
		struct tr_fault fault;
		json_t *j = NULL;

		s.zone = msgpack_zone_new(4096);
		assert_true(value != NULL && s.zone != NULL);
		sample_fill(&s, shape, value);
		printed(json_encode(shape, value), &text);
		for (uint64_t hits = 1 + sample_below(&s, 3); hits > 0; hits--)
			text.p[sample_below(&s, text.len)] =
				"0123456789{}[]\",:.eE+-\\untrfals\xff\x01"[sample_below(&s, 34)];
		if (json_parse(&j, text.p, text.len, &fault) == 0 && json_decode(shape, j, s.zone, value, &fault) == 0)
			assert_int_equal(wire_validate(shape, value, &fault), 0);
		json_decref(j);
		buf_free(&text);
		free(value);
		msgpack_zone_free(s.zone);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(malformed),
		cmocka_unit_test(nesting),
		cmocka_unit_test(accepted),
		cmocka_unit_test(round_trip),
		cmocka_unit_test(rules),
		cmocka_unit_test(same_words),
		cmocka_unit_test(times),
		cmocka_unit_test(long_names),
		cmocka_unit_test(numbers),
		cmocka_unit_test(limits_of_printing),
		cmocka_unit_test(any_msgpack),
		cmocka_unit_test(base64_both_ways),
		cmocka_unit_test(mutations),
		cmocka_unit_test(writing_is_printing),
		cmocka_unit_test(nulls_are_written),
	};

	return cmocka_run_group_tests(tests, list_shapes, NULL);
}
