/* proto/dsse */
#include "common/base/base64.h"
#include "proto/dsse/dsse.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <openssl/evp.h>
#include <openssl/pem.h>

#define TYPE  "application/vnd.tribe.governance+json"
#define NKEYS 5

static struct dsse_key *key[NKEYS]; /* three of the tribe's, two strangers' */
static unsigned char pub[NKEYS][DSSE_KEY_LEN];

/* The same keys each time: bytes of the number. */
static int make_keys(void **s)
{
	(void)s;
	for (unsigned i = 0; i < NKEYS; i++) {
		unsigned char seed[32];
		EVP_PKEY *p;
		BIO *bio = BIO_new(BIO_s_mem());
		char *pem;
		long n;

		memset(seed, (int)i + 1, sizeof(seed));
		p = EVP_PKEY_new_raw_private_key(EVP_PKEY_ED25519, NULL, seed, sizeof(seed));
		assert_non_null(p);
		assert_int_equal(PEM_write_bio_PrivateKey(bio, p, NULL, NULL, 0, NULL, NULL), 1);
		n = BIO_get_mem_data(bio, &pem);
		assert_int_equal(dsse_key_read(&key[i], pem, (size_t)n, NULL, NULL), 0);
		dsse_key_public(key[i], pub[i]);
		BIO_free(bio);
		EVP_PKEY_free(p);
	}
	return 0;
}

static int drop_keys(void **s)
{
	(void)s;
	for (unsigned i = 0; i < NKEYS; i++)
		dsse_key_free(&key[i]);
	return 0;
}

static struct dsse envelope(const char *payload)
{
	struct dsse e = {.type = TYPE, .payload_n = strlen(payload)};

	memcpy(e.payload, payload, e.payload_n);
	return e;
}

static unsigned counted(const struct dsse *e)
{
	uint32_t bits = 99;

	assert_int_equal(dsse_verify(e, TYPE, (const unsigned char(*)[DSSE_KEY_LEN])pub, 3, &bits), 0);
	return bits;
}

static void pae_is_as_written_down(void **s)
{
	struct buf b = {0};

	(void)s;
	/* the example of the DSSE specification */
	assert_int_equal(dsse_pae("http://example.com/HelloWorld", "hello world", 11, &b), 0);
	assert_string_equal(b.p, "DSSEv1 29 http://example.com/HelloWorld 11 hello world");
	buf_clear(&b);
	assert_int_equal(dsse_pae("", "", 0, &b), 0);
	assert_string_equal(b.p, "DSSEv1 0  0 ");
	buf_free(&b);
}

static void keys_are_read(void **s)
{
	static const char pem[] = "-----BEGIN PRIVATE KEY-----\n"
				  "MC4CAQAwBQYDK2VwBCIEIEzNCJso/5baHygwxBT+3vJjh9nCvPXNfxbvTH8AAAAA\n"
				  "-----END PRIVATE KEY-----\n";
	struct dsse_key *k = NULL;

	(void)s;
	assert_int_equal(dsse_key_read(&k, pem, strlen(pem), NULL, NULL), 0);
	dsse_key_free(&k);
	assert_int_equal(dsse_key_read(&k, "no key", 6, NULL, NULL), TR_EINVAL);
	assert_int_equal(dsse_key_read(&k, "", 0, NULL, NULL), TR_EINVAL);
	assert_null(k);
}

static void distinct_keys_count(void **s)
{
	struct dsse e = envelope("{}"), twice, printed;
	struct buf b = {0};

	(void)s;
	assert_int_equal(counted(&e), 0);
	assert_int_equal(dsse_sign(&e, key[0]), 0);
	assert_int_equal(counted(&e), 1);
	assert_int_equal(dsse_sign(&e, key[0]), 0); /* again: in place of the first */
	assert_int_equal(e.nsignatures, 1);
	twice = e;
	twice.signatures[1] = e.signatures[0];
	twice.nsignatures = 2;
	assert_int_equal(counted(&twice), 1);
	strcpy(twice.signatures[1].keyid, "another name"); /* the same key under another key id */
	assert_int_equal(counted(&twice), 1);
	assert_int_equal(dsse_sign(&e, key[3]), 0); /* a stranger's */
	assert_int_equal(counted(&e), 1);
	strcpy(e.signatures[1].keyid, e.signatures[0].keyid); /* who says he is another one */
	assert_int_equal(counted(&e), 1);
	assert_int_equal(dsse_sign(&e, key[2]), 0);
	assert_int_equal(counted(&e), 5);
	assert_int_equal(dsse_print(&e, &b), 0);
	assert_int_equal(dsse_parse(&printed, b.p, b.len, NULL), 0);
	assert_int_equal(counted(&printed), 5);
	assert_int_equal(printed.payload_n, 2);
	buf_free(&b);
}

static void one_key_in_two_seats_counts_once(void **s)
{
	unsigned char seats[3][DSSE_KEY_LEN];
	struct dsse e = envelope("x");
	uint32_t bits = 0;

	(void)s;
	memcpy(seats[0], pub[0], 32);
	memcpy(seats[1], pub[0], 32);
	memcpy(seats[2], pub[1], 32);
	assert_int_equal(dsse_sign(&e, key[0]), 0);
	assert_int_equal(dsse_verify(&e, TYPE, (const unsigned char(*)[DSSE_KEY_LEN])seats, 3, &bits), 0);
	assert_int_equal(bits, 1);
}

static void what_was_signed_is_what_counts(void **s)
{
	struct dsse e = envelope("{\"a\":1}"), other;
	uint32_t bits = 7;

	(void)s;
	assert_int_equal(dsse_sign(&e, key[0]), 0);
	assert_int_equal(dsse_sign(&e, key[1]), 0);
	assert_int_equal(counted(&e), 3);
	other = e;
	other.payload[5] = '2';
	assert_int_equal(counted(&other), 0);
	other = e;
	other.payload_n--;
	assert_int_equal(counted(&other), 0);
	other = e;
	strcpy(other.type, "application/vnd.tribe.governance+jsom");
	assert_int_equal(dsse_verify(&other, TYPE, (const unsigned char(*)[DSSE_KEY_LEN])pub, 3, &bits), TR_EINVAL);
	assert_int_equal(bits, 7); /* untouched */
	/* the same bytes under a type that the reader wants, signed as another */
	strcpy(other.type, "text/plain");
	other.nsignatures = 0;
	assert_int_equal(dsse_sign(&other, key[0]), 0);
	strcpy(other.type, TYPE);
	assert_int_equal(counted(&other), 0);
	/* lengths that run into one another: PAE keeps them apart */
	other = envelope("1 {\"a\":1}");
	memcpy(other.signatures, e.signatures, sizeof(e.signatures));
	other.nsignatures = e.nsignatures;
	assert_int_equal(counted(&other), 0);
}

/* Every bit of a signature and of the payload matters. */
static void one_bit_off(void **s)
{
	struct dsse e = envelope("{\"act\":\"delete\"}"), bad;

	(void)s;
	assert_int_equal(dsse_sign(&e, key[1]), 0);
	for (unsigned bit = 0; bit < DSSE_SIG_LEN * 8; bit++) {
		bad = e;
		bad.signatures[0].sig[bit / 8] ^= (unsigned char)(1u << bit % 8);
		assert_int_equal(counted(&bad), 0);
	}
	for (unsigned bit = 0; bit < e.payload_n * 8; bit++) {
		bad = e;
		bad.payload[bit / 8] ^= (unsigned char)(1u << bit % 8);
		assert_int_equal(counted(&bad), 0);
	}
}

/* Whatever set of the five signs, in whatever order and however often: the bits are those of the three that did. */
static void any_set_in_any_order(void **s)
{
	uint32_t state = 12345;

	(void)s;
	for (unsigned round = 0; round < 400; round++) {
		struct dsse e = envelope("anything");
		unsigned want = 0, n = 1 + round % 12;

		for (unsigned i = 0; i < n; i++) {
			unsigned k = (state = state * 1103515245u + 12345u) >> 16;

			k %= NKEYS;
			assert_int_equal(dsse_sign(&e, key[k]), 0);
			if (state >> 31 && e.nsignatures < DSSE_SIGNATURES_MAX) /* and a copy without its name */
				e.signatures[e.nsignatures++] = (e.signatures[0].keyid[0] = 'f', e.signatures[0]);
			want |= k < 3 ? 1u << k : 0;
		}
		assert_int_equal(counted(&e), want);
	}
}

static int parsed(const char *text, struct tr_fault *fault)
{
	static struct dsse e;

	memset(fault, 0, sizeof(*fault));
	return dsse_parse(&e, text, strlen(text), fault);
}

#define SIG                                                                                      \
	"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA" \
	"=="

static void hostile_envelopes(void **s)
{
	static const struct {
		const char *text;
		int r;
		const char *field;
	} all[] = {
		{"", TR_EMALFORMED, ""},
		{"[]", TR_EINVAL, ""},
		{"null", TR_EINVAL, ""},
		{"{\"payload\":\"e30=\"", TR_EMALFORMED, ""},
		{"{\"payload\":\"e30=\",\"payload\":\"e30=\"}", TR_EMALFORMED, ""},
		{"{\"payloadType\":\"t\"}", TR_EINVAL, "payload"},
		{"{\"payloadType\":\"\",\"payload\":\"e30=\",\"signatures\":[]}", TR_EINVAL, "payloadType"},
		{"{\"payloadType\":\"a b\",\"payload\":\"e30=\",\"signatures\":[]}", TR_EINVAL, "payloadType"},
		{"{\"payloadType\":7,\"payload\":\"e30=\",\"signatures\":[]}", TR_EINVAL, "payloadType"},
		{"{\"payloadType\":\"t\",\"payload\":\"\",\"signatures\":[]}", TR_EINVAL, "payload"},
		{"{\"payloadType\":\"t\",\"payload\":\"e30\",\"signatures\":[]}", TR_EINVAL, "payload"},
		{"{\"payloadType\":\"t\",\"payload\":\"e31=\",\"signatures\":[]}", TR_EINVAL, "payload"},
		{"{\"payloadType\":\"t\",\"payload\":\"e3 =\",\"signatures\":[]}", TR_EINVAL, "payload"},
		{"{\"payloadType\":\"t\",\"payload\":\"e30=\\n\",\"signatures\":[]}", TR_EINVAL, "payload"},
		{"{\"payloadType\":\"t\",\"payload\":\"_-8=\",\"signatures\":[]}", TR_EINVAL, "payload"},
		{"{\"payloadType\":\"t\",\"payload\":\"e30=\"}", TR_EINVAL, "signatures"},
		{"{\"payloadType\":\"t\",\"payload\":\"e30=\",\"signatures\":{}}", TR_EINVAL, "signatures"},
		{"{\"payloadType\":\"t\",\"payload\":\"e30=\",\"signatures\":[7]}", TR_EINVAL, "signatures"},
		{"{\"payloadType\":\"t\",\"payload\":\"e30=\",\"signatures\":[{}]}", TR_EINVAL, "signatures.sig"},
		{"{\"payloadType\":\"t\",\"payload\":\"e30=\",\"signatures\":[{\"sig\":\"e30=\"}]}", TR_EINVAL,
		 "signatures.sig"},
		{"{\"payloadType\":\"t\",\"payload\":\"e30=\",\"signatures\":[{\"keyid\":7,\"sig\":\"" SIG "\"}]}",
		 TR_EINVAL, "signatures.keyid"},
		{"{\"payloadType\":\"t\",\"payload\":\"e30=\",\"signatures\":[{\"keyid\":null,\"sig\":\"" SIG
		 "\",\"cert\":1}],\"new\":true}",
		 0, ""},
		{"{\"payloadType\":\"t\",\"payload\":\"e30=\",\"signatures\":[]}x", TR_EMALFORMED, ""},
	};
	struct tr_fault fault;

	(void)s;
	for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++) {
		int r = parsed(all[i].text, &fault);

		if (r != all[i].r || strcmp(fault.field, all[i].field) != 0)
			fail_msg("%s: %d %s", all[i].text, r, fault.field);
	}
}

static void bounds(void **s)
{
	struct dsse e = envelope("x"), *big = calloc(1, sizeof(*big));
	struct buf b = {0};
	struct tr_fault fault;

	(void)s;
	/* the largest payload goes, one byte more does not */
	*big = e;
	memset(big->payload, 'a', DSSE_PAYLOAD_MAX);
	big->payload_n = DSSE_PAYLOAD_MAX;
	assert_int_equal(dsse_print(big, &b), 0);
	assert_int_equal(dsse_parse(&e, b.p, b.len, &fault), 0);
	assert_int_equal(e.payload_n, DSSE_PAYLOAD_MAX);
	big->payload_n++;
	buf_clear(&b);
	assert_int_equal(dsse_print(big, &b), 0);
	assert_int_equal(dsse_parse(&e, b.p, b.len, &fault), TR_ETOOBIG);
	assert_int_equal(e.payload_n, DSSE_PAYLOAD_MAX); /* untouched */
	/* sixteen signatures, not seventeen */
	e = envelope("x");
	e.nsignatures = DSSE_SIGNATURES_MAX;
	assert_int_equal(dsse_sign(&e, key[0]), TR_ETOOBIG);
	buf_clear(&b);
	assert_int_equal(dsse_print(&e, &b), 0);
	assert_int_equal(dsse_parse(&e, b.p, b.len, &fault), 0);
	b.p[b.len - 2] = ','; /* "]}" */
	b.len--;
	assert_int_equal(buf_puts(&b, "{\"sig\":\"" SIG "\"}]}"), 0);
	assert_int_equal(dsse_parse(&e, b.p, b.len, &fault), TR_ETOOBIG);
	/* and the text as a whole */
	buf_clear(&b);
	for (unsigned i = 0; i < DSSE_ENVELOPE_MAX + 1; i++)
		buf_puts(&b, " ");
	assert_int_equal(dsse_parse(&e, b.p, b.len, &fault), TR_ETOOBIG);
	/* cut anywhere: refused, never read past its end */
	e = envelope("{\"a\":true}");
	assert_int_equal(dsse_sign(&e, key[0]), 0);
	buf_clear(&b);
	assert_int_equal(dsse_print(&e, &b), 0);
	for (size_t n = 0; n < b.len; n++) {
		char *copy = malloc(n + 1);

		memcpy(copy, b.p, n);
		assert_true(dsse_parse(&e, copy, n, &fault) < 0);
		free(copy);
	}
	buf_free(&b);
	free(big);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(pae_is_as_written_down),
		cmocka_unit_test(keys_are_read),
		cmocka_unit_test(distinct_keys_count),
		cmocka_unit_test(one_key_in_two_seats_counts_once),
		cmocka_unit_test(what_was_signed_is_what_counts),
		cmocka_unit_test(one_bit_off),
		cmocka_unit_test(any_set_in_any_order),
		cmocka_unit_test(hostile_envelopes),
		cmocka_unit_test(bounds),
	};

	return cmocka_run_group_tests(tests, make_keys, drop_keys);
}
