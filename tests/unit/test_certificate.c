/* supervisor/app: which addresses a certificate of our own names, and when it is made anew. What a machine really has:
 * integration.certificate. */
/* clang-format off */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
/* clang-format on */
#include "supervisor/app/certificate.h"
#include "supervisor/app/interfaces.h"
#include <arpa/inet.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <string.h>

#define DAY 86400L

static void v4_addresses(void **state)
{
	static const char *const in[] = {"10.0.0.1",    "192.0.2.2", "169.253.255.255",
					 "169.255.0.0", "128.0.0.1", "1.0.0.0"};
	static const char *const out[] = {"127.0.0.1", "127.255.255.254", "169.254.0.0", "169.254.255.255", "0.0.0.0"};
	struct in_addr a;

	(void)state;
	for (size_t i = 0; i < sizeof(in) / sizeof(in[0]); i++) {
		assert_int_equal(inet_pton(AF_INET, in[i], &a), 1);
		assert_true(interfaces_v4_counts(a));
	}
	for (size_t i = 0; i < sizeof(out) / sizeof(out[0]); i++) {
		assert_int_equal(inet_pton(AF_INET, out[i], &a), 1);
		assert_false(interfaces_v4_counts(a));
	}
}

static void v6_lines(void **state)
{
	static const struct {
		const char *line, *address; /* NULL: does not count */
	} rows[] = {
		{"fd000000000000000000000000000002 04 40 00 82     eth0\n", "fd00::2"},
		{"20010db80000000000000000000000ff 02 40 00 80 enp0s31f6\n", "2001:db8::ff"},
		{"20010db8000000000000000000000001 02 40 00 00     eth0\n",
		 "2001:db8::1"}, /* by router advertisement */
		{"20010db8000000000000000000000001 02 40 00 c0     eth0\n",
		 "2001:db8::1"}, /* not yet known to be its only one */
		{"fe8000000000000000fc00fffe000001 04 40 20 80     eth0\n", NULL}, /* link-local */
		{"00000000000000000000000000000001 01 80 10 80       lo\n", NULL}, /* host */
		{"fec00000000000000000000000000001 02 40 40 80     eth0\n", NULL}, /* site */
		{"20010db8000000000000000000000001 02 40 00 01     eth0\n", NULL}, /* temporary */
		{"20010db8000000000000000000000001 02 40 00 20     eth0\n", NULL}, /* deprecated */
		{"20010db8000000000000000000000001 02 40 00 c8     eth0\n", NULL}, /* somebody else has it */
		{"20010db800000000000000000000001 02 40 00 80     eth0\n", NULL},
		{"20010db800000000000000000000000x 02 40 00 80     eth0\n", NULL},
		{"20010db8000000000000000000000001 02 40 00\n", NULL},
		{"\n", NULL},
		{"", NULL},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		char name[IF_NAMESIZE], text[INET6_ADDRSTRLEN];
		struct in6_addr a;

		if (interfaces_v6_counts(rows[i].line, &a, name) != (rows[i].address != NULL))
			fail_msg("%s", rows[i].line);
		if (rows[i].address == NULL)
			continue;
		assert_string_equal(inet_ntop(AF_INET6, &a, text, sizeof(text)), rows[i].address);
		assert_int_equal(strspn(strstr(rows[i].line, name), name), strlen(name));
		assert_in_range(strlen(name), 4, IF_NAMESIZE - 1);
	}
}

static void of_this_machine(void **state)
{
	struct interfaces four, all;

	(void)state;
	assert_int_equal(interfaces_list(&four, false), 0);
	assert_int_equal(interfaces_list(&all, true), 0);
	assert_true(all.n >= four.n);
	for (unsigned i = 0; i < all.n; i++) {
		unsigned char bytes[16];

		assert_int_equal(inet_pton(i < four.n ? AF_INET : AF_INET6, all.text[i], bytes), 1);
		if (i < four.n)
			assert_string_equal(all.text[i], four.text[i]);
		for (unsigned k = 0; k < i; k++)
			assert_string_not_equal(all.text[i], all.text[k]);
	}
}

/* ---- certificates ---- */

static struct sockaddr_storage at(const char *text)
{
	struct sockaddr_storage ss = {0};
	struct sockaddr_in *v4 = (struct sockaddr_in *)&ss;
	struct sockaddr_in6 *v6 = (struct sockaddr_in6 *)&ss;

	if (strchr(text, ':') == NULL) {
		v4->sin_family = AF_INET;
		assert_int_equal(inet_pton(AF_INET, text, &v4->sin_addr), 1);
	} else {
		v6->sin6_family = AF_INET6;
		assert_int_equal(inet_pton(AF_INET6, text, &v6->sin6_addr), 1);
	}
	return ss;
}

/* Somebody else's, without a name in it. */
static void make_other(struct buf *pem, const char *subject, const char *issuer, long seconds)
{
	EVP_PKEY *key = EVP_EC_gen("P-256");
	X509_NAME *i = X509_NAME_new();
	BIO *bio = BIO_new(BIO_s_mem());
	X509 *x = X509_new();
	char *p;
	long n;

	assert_true(key != NULL && x != NULL && bio != NULL && i != NULL);
	assert_int_equal(X509_set_version(x, X509_VERSION_3), 1);
	assert_int_equal(ASN1_INTEGER_set(X509_get_serialNumber(x), 7), 1);
	assert_non_null(X509_gmtime_adj(X509_getm_notBefore(x), -DAY));
	assert_non_null(X509_gmtime_adj(X509_getm_notAfter(x), seconds));
	assert_int_equal(X509_NAME_add_entry_by_txt(X509_get_subject_name(x), "CN", MBSTRING_UTF8,
						    (const unsigned char *)subject, -1, -1, 0),
			 1);
	assert_int_equal(X509_NAME_add_entry_by_txt(i, "CN", MBSTRING_UTF8, (const unsigned char *)issuer, -1, -1, 0),
			 1);
	assert_int_equal(X509_set_issuer_name(x, i), 1);
	assert_int_equal(X509_set_pubkey(x, key), 1);
	assert_true(X509_sign(x, key, EVP_sha256()) > 0);
	assert_int_equal(PEM_write_bio_X509(bio, x), 1);
	n = BIO_get_mem_data(bio, &p);
	buf_clear(pem);
	assert_int_equal(buf_append(pem, p, (size_t)n), 0);
	X509_NAME_free(i);
	BIO_free(bio);
	X509_free(x);
	EVP_PKEY_free(key);
}

static void when_it_is_made_anew(void **state)
{
	struct sockaddr_storage any4 = at("0.0.0.0"), any6 = at("::"), here = at("192.0.2.77"),
				there = at("192.0.2.78");
	struct buf c = {0}, k = {0};
	struct interfaces all;

	(void)state;
	assert_int_equal(interfaces_list(&all, true), 0);
	assert_int_equal(certificate_make(&any6, &c, &k), 0);
	assert_null(certificate_fault(&c, &k));
	assert_null(certificate_stale(&c, &any6, true));
	assert_null(certificate_stale(&c, &any4, true)); /* fewer are served */
	assert_string_equal(certificate_stale(&c, &there, true), "it did not name the listening address");
	/* ours for one address says nothing of the others: they are missed at a start, if there are any, not at a
	 * reload */
	buf_clear(&c);
	buf_clear(&k);
	assert_int_equal(certificate_make(&here, &c, &k), 0);
	assert_null(certificate_stale(&c, &here, true));
	assert_null(certificate_stale(&c, &any6, false));
	if (all.n > 0)
		assert_string_equal(certificate_stale(&c, &any6, true),
				    "it did not name every address of this machine");
	/* of others: whatever it names, but for its end and the one listening address */
	make_other(&c, "elsewhere.example", "elsewhere.example", 400 * DAY);
	assert_null(certificate_stale(&c, &any6, true));
	make_other(&c, "tribe", "an authority", 400 * DAY);
	assert_null(certificate_stale(&c, &any6, true));
	make_other(&c, "tribes", "tribes", 400 * DAY);
	assert_null(certificate_stale(&c, &any6, true));
	assert_string_equal(certificate_stale(&c, &here, true), "it did not name the listening address");
	make_other(&c, "elsewhere.example", "elsewhere.example", 29 * DAY);
	assert_string_equal(certificate_stale(&c, &any6, true), "its end was near");
	/* one that looks like ours and names nothing */
	make_other(&c, "tribe", "tribe", 400 * DAY);
	if (all.n > 0)
		assert_string_equal(certificate_stale(&c, &any6, true),
				    "it did not name every address of this machine");
	buf_clear(&c);
	assert_int_equal(buf_puts(&c, "no certificate"), 0);
	assert_string_equal(certificate_stale(&c, &any4, true), "there was none");
	buf_free(&c);
	buf_free(&k);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(v4_addresses),
		cmocka_unit_test(v6_lines),
		cmocka_unit_test(of_this_machine),
		cmocka_unit_test(when_it_is_made_anew),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
