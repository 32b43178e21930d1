/* common/base */
#include "common/base/buf.h"
#include "common/base/clock.h"
#include "common/base/err.h"
#include "common/base/roles.h"
#include "common/base/text.h"
#include "common/base/version.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <uv.h>

#include <cmocka.h>

static void errors_have_texts_and_names(void **state)
{
	(void)state;
#define X(name, code, wire, text)                                    \
	assert_string_equal(tr_strerror(name), text);                \
	assert_string_equal(tr_err_name(name), wire);                \
	assert_int_equal(tr_err_code(wire, sizeof(wire) - 1), name); \
	assert_true(tr_exit_code(name) >= 1 && tr_exit_code(name) <= 5);
	TR_ERRORS(X)
#undef X
	assert_string_equal(tr_strerror(UV_ECONNREFUSED), uv_strerror(UV_ECONNREFUSED));
	assert_string_equal(tr_strerror(UV_EOF), uv_strerror(UV_EOF));
	assert_string_equal(tr_strerror(-31999),
			    "unknown error"); /* LeakSanitizer objects if libuv made a text for it */
	assert_string_equal(tr_strerror(0), "success");
	assert_string_equal(tr_err_name(UV_EIO), "internal");
	assert_string_equal(tr_err_name(-31999), "internal");
	assert_int_equal(tr_err_code("invalidx", 8), TR_EINTERNAL);
	assert_int_equal(tr_err_code("inv", 3), TR_EINTERNAL);
	assert_int_equal(tr_err_code("", 0), TR_EINTERNAL);
}

static void exit_codes_follow_the_contract(void **state)
{
	/* clang-format off */
	static const struct {
		int r, code;
	} rows[] = {{0, 0}, {7, 0}, {TR_ESTORE, 1}, {TR_ENOTFOUND, 1}, {TR_EDEADLINE, 1}, {TR_ECONFIG, 2}, {TR_EINVAL, 2},
		    {TR_EUNAVAILABLE, 3}, {UV_ECONNREFUSED, 3}, {UV_ENOENT, 3}, {TR_ECLOSED, 3}, {TR_EREFUSED, 4},
		    {UV_EACCES, 4}, {TR_EINTERNAL, 5}, {TR_ENOMEM, 5}, {TR_EPROTO, 5}};
	/* clang-format on */

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		assert_int_equal(tr_exit_code(rows[i].r), rows[i].code);
}

static void fault_is_cut_to_fit(void **state)
{
	struct tr_fault f;
	char longer[400];

	(void)state;
	memset(longer, 'x', sizeof(longer) - 1);
	longer[sizeof(longer) - 1] = '\0';
	assert_int_equal(tr_fault_set(NULL, TR_EINVAL, "a", "b"), TR_EINVAL);
	assert_int_equal(tr_fault_set(&f, TR_EINVAL, "memories[3].importance", "must be %d", 1), TR_EINVAL);
	assert_int_equal(f.code, TR_EINVAL);
	assert_string_equal(f.field, "memories[3].importance");
	assert_string_equal(f.rule, "must be 1");
	(void)tr_fault_set(&f, TR_EINVAL, longer, "%s", longer);
	assert_int_equal(strlen(f.field), sizeof(f.field) - 1);
	assert_int_equal(strlen(f.rule), sizeof(f.rule) - 1);
	(void)tr_fault_set(&f, TR_EINVAL, NULL, "whole");
	assert_string_equal(f.field, "");
}

static void buf_grows_and_keeps_its_limit(void **state)
{
	struct buf b;

	(void)state;
	buf_init(&b, 10);
	assert_int_equal(buf_append(&b, NULL, 0), 0);
	assert_int_equal(buf_puts(&b, "hello"), 0);
	assert_int_equal(buf_append(&b, " wor\0", 5), 0); /* exactly full, with a NUL inside */
	assert_int_equal(b.len, 10);
	assert_int_equal(buf_puts(&b, "x"), TR_ETOOBIG);
	assert_int_equal(b.failed, TR_ETOOBIG);
	assert_memory_equal(b.p, "hello wor\0", 11);
	assert_int_equal(buf_append(&b, "", 0), TR_ETOOBIG); /* sticks */
	buf_clear(&b);
	assert_int_equal(b.len, 0);
	assert_string_equal(b.p, "");
	assert_int_equal(buf_printf(&b, "%s-%d", "abc", 42), 0);
	assert_string_equal(b.p, "abc-42");
	assert_int_equal(buf_printf(&b, "%s", "12345"), TR_ETOOBIG);
	assert_string_equal(b.p, "abc-42");
	buf_free(&b);
	assert_null(b.p);
	assert_int_equal(b.max, 10);
}

static void buf_reserve_and_consume(void **state)
{
	struct buf b = {0};

	(void)state;
	for (int i = 0; i < 1000; i++)
		assert_int_equal(buf_printf(&b, "%03d,", i), 0);
	assert_int_equal(b.len, 4000);
	buf_consume(&b, 0);
	buf_consume(&b, 3992);
	assert_string_equal(b.p, "998,999,");
	buf_consume(&b, 8);
	assert_int_equal(b.len, 0);
	assert_int_equal(buf_reserve(&b, SIZE_MAX), TR_ETOOBIG);
	buf_free(&b);
	buf_free(&b); /* again is fine */
}

static void time_there_and_back(void **state)
{
	/* clang-format off */
	static const struct {
		const char *text;
		int64_t ms;
	} rows[] = {
		{"1970-01-01T00:00:00Z", 0},
		{"1970-01-01T00:00:00.001Z", 1},
		{"1969-12-31T23:59:59.999Z", -1},
		{"2026-11-23T17:00:00.000Z", 1795453200000},
		{"2026-11-23t17:00:00z", 1795453200000},
		{"2026-11-23T18:30:00+01:30", 1795453200000},
		{"2026-11-23T00:00:00-17:00", 1795453200000},
		{"2000-02-29T12:00:00Z", 951825600000},
		{"2024-02-29T00:00:00.5Z", 1709164800500},
		{"2024-02-29T00:00:00.123456789Z", 1709164800123},
		{"1970-01-01T00:00:00+23:59", -86340000},
		{"1970-01-01T00:00:00-23:59", 86340000},
		{"0001-01-01T00:00:00Z", TR_TIME_MIN_MS},
		{"0000-12-31T23:00:00-01:00", TR_TIME_MIN_MS},
		{"9999-12-31T23:59:59.999Z", TR_TIME_MAX_MS},
		{"9999-12-31T23:59:60Z", TR_TIME_MAX_MS},
		{"2016-12-31T23:59:60Z", 1483228799999},
		{"2016-12-31T23:59:60.4Z", 1483228799999},
		{"2017-01-01T05:29:60+05:30", 1483228799999},
		{"1990-12-31T15:59:60-08:00", 662687999999},
	};
	/* clang-format on */

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		int64_t ms = 42;

		if (tr_rfc3339_parse(rows[i].text, strlen(rows[i].text), &ms) != 0 || ms != rows[i].ms)
			fail_msg("%s -> %lld", rows[i].text, (long long)ms);
	}
}

static void time_refuses(void **state)
{
	static const char *const bad[] = {
		"",
		"2026",
		"2026-11-23",
		"2026-11-23T17:00:00",
		"2026-11-23 17:00:00Z",
		"2026-11-23T17:00Z",
		"2026-13-01T00:00:00Z",
		"2026-00-01T00:00:00Z",
		"2026-02-29T00:00:00Z",
		"1900-02-29T00:00:00Z",
		"2026-04-31T00:00:00Z",
		"2026-01-00T00:00:00Z",
		"2026-01-01T24:00:00Z",
		"2026-01-01T00:60:00Z",
		"2026-01-01T00:00:61Z",
		"2026-01-01T00:00:60Z",
		"2016-12-31T23:58:60Z",
		"2016-12-31T22:59:60Z",
		"2016-12-30T23:59:60Z",
		"2026-01-01T00:00:00.Z",
		"2026-01-01T00:00:00.1234567890Z",
		"2026-01-01T00:00:00+24:00",
		"2026-01-01T00:00:00+00:60",
		"2026-01-01T00:00:00+0000",
		"2026-01-01T00:00:00+00",
		"2026-01-01T00:00:00ZZ",
		" 2026-01-01T00:00:00Z",
		"2026-01-01T00:00:00Z ",
		"+026-01-01T00:00:00Z",
		"-026-01-01T00:00:00Z",
		"2026-1-01T00:00:00Z",
		"2026-01-01T00:00:-1Z",
		"0000-12-31T23:59:59Z",
		"0001-01-01T00:00:00+00:01",
		"9999-12-31T23:59:59-00:01",
		"10000-01-01T00:00:00Z",
	};
	int64_t ms = 42;

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		if (tr_rfc3339_parse(bad[i], strlen(bad[i]), &ms) != TR_EINVAL || ms != 42)
			fail_msg("%s was taken", bad[i]);
	assert_int_equal(tr_rfc3339_parse("2026-01-01T00:00:00\0", 20, &ms), TR_EINVAL);
	for (size_t n = 0; n < 20; n++) /* every prefix; the byte behind it is not looked at */
		assert_int_equal(tr_rfc3339_parse("2026-01-01T00:00:00Z", n, &ms), TR_EINVAL);
}

static void time_formats_every_day(void **state)
{
	char text[TR_RFC3339_LEN];
	int64_t back;

	(void)state;
	for (int64_t ms = TR_TIME_MIN_MS; ms <= TR_TIME_MAX_MS; ms += 86400000LL * 13 + 12345677) {
		tr_rfc3339_format(ms, text);
		assert_int_equal(tr_rfc3339_parse(text, strlen(text), &back), 0);
		if (back != ms)
			fail_msg("%s: %lld, not %lld", text, (long long)back, (long long)ms);
	}
	tr_rfc3339_format(1795453200007, text);
	assert_string_equal(text, "2026-11-23T17:00:00.007Z");
	tr_rfc3339_format(INT64_MIN, text);
	assert_string_equal(text, "0001-01-01T00:00:00.000Z");
	tr_rfc3339_format(INT64_MAX, text);
	assert_string_equal(text, "9999-12-31T23:59:59.999Z");
}

static void clocks_move(void **state)
{
	uint64_t ns = tr_mono_ns();

	(void)state;
	assert_true(tr_mono_ns() >= ns);
	assert_true(tr_mono_ms() >= ns / 1000000);
	assert_true(tr_wall_ms() > 1700000000000);
}

static void utf8_is_judged(void **state)
{
	/* clang-format off */
	static const struct {
		const char *p;
		size_t n;
		bool ok;
		size_t chars;
	} rows[] = {
		{"", 0, true, 0}, {"abc", 3, true, 3}, {"a\0b", 3, false, 0}, {"\xc3\xa9", 2, true, 1}, {"\xc3", 1, false, 0},
		{"\xe2\x82\xac" "x", 4, true, 2}, {"\xf0\x9f\x90\xbb", 4, true, 1}, {"\xf0\x9f\x90", 3, false, 0},
		{"\xc0\x80", 2, false, 0}, {"\xc1\xbf", 2, false, 0}, {"\xe0\x80\x80", 3, false, 0}, {"\xed\xa0\x80", 3, false, 0},
		{"\xf4\x90\x80\x80", 4, false, 0}, {"\xff", 1, false, 0}, {"\x80", 1, false, 0}, {"\xf4\x8f\xbf\xbf", 4, true, 1},
		{"\xef\xbf\xbf", 3, true, 1}, {"\xe2\x82\xac", 2, false, 0}, {"\xf0\x9f\x90\xbb", 3, false, 0},
	};
	/* clang-format on */
	size_t chars;

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		chars = 99;
		if (tr_utf8_ok(rows[i].p, rows[i].n, &chars) != rows[i].ok ||
		    chars != (rows[i].ok ? rows[i].chars : 99))
			fail_msg("row %zu", i);
	}
	assert_true(tr_utf8_ok("x", 1, NULL));
}

static void numbers_are_whole_strings(void **state)
{
	static const char *const bad[] = {"", "-", "+1", " 1", "1 ", "1x", "0x10", "1.0", "9223372036854775808"};
	static const char *const bad_f[] = {"", "+1", " 1", "1 ", "inf", "nan", "0x1", "1e999", "1,5", ".", "-", "1e"};
	int64_t v = 42;
	double d = 42;

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_int_equal(tr_parse_i64(bad[i], INT64_MIN, INT64_MAX, &v), TR_EINVAL);
	assert_int_equal(tr_parse_i64("11", 0, 10, &v), TR_EINVAL);
	assert_int_equal(tr_parse_i64("-1", 0, 10, &v), TR_EINVAL);
	assert_int_equal(v, 42);
	assert_int_equal(tr_parse_i64("-9223372036854775808", INT64_MIN, INT64_MAX, &v), 0);
	assert_true(v == INT64_MIN);
	assert_int_equal(tr_parse_i64("007", 0, 10, &v), 0);
	assert_int_equal(v, 7);
	for (size_t i = 0; i < sizeof(bad_f) / sizeof(bad_f[0]); i++)
		assert_int_equal(tr_parse_f64(bad_f[i], -1e300, 1e300, &d), TR_EINVAL);
	assert_int_equal(tr_parse_f64("1.5", 0, 1, &d), TR_EINVAL);
	assert_true(d > 41 && d < 43);
	assert_int_equal(tr_parse_f64("-2.5e-1", -1, 1, &d), 0);
	assert_true(d > -0.2501 && d < -0.2499);
}

static void copies_and_hex(void **state)
{
	char dst[4] = "zzz", hex[7];

	(void)state;
	tr_copy(dst, 0, "a", 1);
	assert_string_equal(dst, "zzz");
	tr_copy(dst, sizeof(dst), "abcdef", 6);
	assert_string_equal(dst, "abc");
	tr_copy(dst, sizeof(dst), NULL, 0);
	assert_string_equal(dst, "");
	tr_hex("\x00\x7f\xff", 3, hex);
	assert_string_equal(hex, "007fff");
}

static void pieces_cannot_run_together(void **state)
{
	const struct tr_piece ab_c[] = {{"ab", 2}, {"c", 1}}, a_bc[] = {{"a", 1}, {"bc", 2}}, empty[] = {{"", 0}},
			      absent[] = {{NULL, 0}};
	unsigned char x[TR_SHA256_LEN], y[TR_SHA256_LEN];
	char hex[2 * TR_SHA256_LEN + 1];

	(void)state;
	assert_int_equal(tr_sha256("abc", 3, x), 0);
	tr_hex(x, sizeof(x), hex);
	assert_string_equal(hex, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
	assert_int_equal(tr_sha256(NULL, 0, x), 0);
	tr_hex(x, sizeof(x), hex);
	assert_string_equal(hex, "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
	assert_int_equal(tr_sha256_pieces(ab_c, 2, x), 0);
	assert_int_equal(tr_sha256_pieces(a_bc, 2, y), 0);
	assert_memory_not_equal(x, y, sizeof(x));
	assert_int_equal(tr_sha256_pieces(empty, 1, x), 0);
	assert_int_equal(tr_sha256_pieces(absent, 1, y), 0);
	assert_memory_not_equal(x, y, sizeof(x));
	/* one piece is the hash of its length and itself */
	assert_int_equal(tr_sha256("\0\0\0\0\0\0\0\2ab", 10, x), 0);
	assert_int_equal(tr_sha256_pieces(ab_c, 1, y), 0);
	assert_memory_equal(x, y, sizeof(x));
}

static void ids_are_version_7(void **state)
{
	char a[TR_ID_LEN], b[TR_ID_LEN], stamp[13];
	int64_t before = tr_wall_ms(), ms;

	(void)state;
	for (int i = 0; i < 1000; i++) {
		tr_id_new(a);
		tr_id_new(b);
		assert_string_not_equal(a, b);
		assert_int_equal(strlen(a), 36);
		assert_int_equal(strspn(a, "0123456789abcdef-"), 36);
		assert_true(a[8] == '-' && a[13] == '-' && a[18] == '-' && a[23] == '-' && a[14] == '7');
		assert_non_null(strchr("89ab", a[19]));
		memcpy(stamp, a, 8);
		memcpy(stamp + 8, a + 9, 5);
		stamp[12] = '\0';
		ms = strtoll(stamp, NULL, 16);
		assert_true(ms >= before && ms <= tr_wall_ms());
	}
}

static void roles_have_three_spellings(void **state)
{
	(void)state;
	for (int i = 0; i < TR_NROLES; i++) {
		assert_int_equal(tr_role_find(tr_roles[i].name, strlen(tr_roles[i].name)), i);
		assert_int_equal(tr_role_find(tr_roles[i].api_name, strlen(tr_roles[i].api_name)), i);
		assert_int_equal(tr_role_find(tr_roles[i].program, strlen(tr_roles[i].program)), i);
	}
	assert_int_equal(tr_role_find("memoryx", 6), TR_ROLE_MEMORY);
	assert_int_equal(tr_role_find("mem", 3), -1);
	assert_int_equal(tr_role_find("", 0), -1);
}

static void build_id_is_there(void **state)
{
	char id[TR_BUILD_ID_LEN];

	(void)state;
	assert_true(tr_build_id(id));
	assert_int_equal(strlen(id), 40); /* sha1, asked for by cmake/Tribe.cmake */
	assert_int_equal(strspn(id, "0123456789abcdef"), 40);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(errors_have_texts_and_names),
		cmocka_unit_test(exit_codes_follow_the_contract),
		cmocka_unit_test(fault_is_cut_to_fit),
		cmocka_unit_test(buf_grows_and_keeps_its_limit),
		cmocka_unit_test(buf_reserve_and_consume),
		cmocka_unit_test(time_there_and_back),
		cmocka_unit_test(time_refuses),
		cmocka_unit_test(time_formats_every_day),
		cmocka_unit_test(clocks_move),
		cmocka_unit_test(utf8_is_judged),
		cmocka_unit_test(numbers_are_whole_strings),
		cmocka_unit_test(copies_and_hex),
		cmocka_unit_test(pieces_cannot_run_together),
		cmocka_unit_test(ids_are_version_7),
		cmocka_unit_test(roles_have_three_spellings),
		cmocka_unit_test(build_id_is_there),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
