/* jrs/executive/api/auth.c: token and origin, without a request. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "jrs/executive/api/auth.h"
#include <string.h>

/* SHA-256 of "abc" (FIPS 180-2) */
#define HEX "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"

static void test_hash(void **state)
{
	unsigned char want[TR_SHA256_LEN], got[TR_SHA256_LEN] = {0};

	(void)state;
	assert_int_equal(tr_sha256("abc", 3, want), 0);
	assert_int_equal(api_token_hash(HEX, 64, got), 0);
	assert_memory_equal(got, want, sizeof(want));
	memset(got, 0, sizeof(got));
	assert_int_equal(api_token_hash(HEX "\r\n", 66, got), 0);
	assert_memory_equal(got, want, sizeof(want));
	assert_int_equal(api_token_hash(HEX, 63, got), TR_EINVAL);
	assert_int_equal(api_token_hash(HEX "00", 66, got), TR_EINVAL);
	assert_int_equal(api_token_hash("", 0, got), TR_EINVAL);
	assert_int_equal(api_token_hash("g" HEX, 64, got), TR_EINVAL);
	assert_memory_equal(got, want, sizeof(want)); /* untouched */
}

static void test_token(void **state)
{
	static const char *const yes[] = {"Bearer abc", "bearer abc", "BEARER  abc"};
	static const char *const no[] = {"",
					 "Bearer",
					 "Bearer ",
					 "Bearerabc",
					 "Bearer abcd",
					 "Bearer ab",
					 "Bearer abc ",
					 "Bearer abc,x",
					 "Basic abc",
					 "abc",
					 "Bearer\tabc",
					 " Bearer abc",
					 "Bearer " HEX};
	unsigned char hash[TR_SHA256_LEN], got[TR_SHA256_LEN];

	(void)state;
	tr_sha256("abc", 3, hash);
	for (size_t i = 0; i < sizeof(yes) / sizeof(*yes); i++) {
		assert_true(auth_token_hash(yes[i], got));
		assert_memory_equal(got, hash, sizeof(hash));
	}
	for (size_t i = 0; i < sizeof(no) / sizeof(*no); i++)
		assert_false(auth_token_hash(no[i], got) && memcmp(got, hash, sizeof(hash)) == 0);
}

static void test_origin(void **state)
{
	(void)state;
	assert_true(auth_same_origin("https://a:8000", true, "a:8000"));
	assert_true(auth_same_origin("HTTPS://A", true, "a"));
	assert_true(auth_same_origin("http://[::1]:80", false, "[::1]:80"));
	assert_false(auth_same_origin("http://a", true, "a"));
	assert_false(auth_same_origin("https://a", false, "a"));
	assert_false(auth_same_origin("https://a:1", true, "a:2"));
	assert_false(auth_same_origin("https://a.evil", true, "a"));
	assert_false(auth_same_origin("https://", true, ""));
	assert_false(auth_same_origin("null", true, "null"));
	assert_false(auth_same_origin("", true, ""));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_hash),
		cmocka_unit_test(test_token),
		cmocka_unit_test(test_origin),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
