/* A TLS client in memory, and a certificate made on the spot. Included once by one test program. */
#ifndef TESTS_UNIT_TLS_CLIENT_H
#define TESTS_UNIT_TLS_CLIENT_H
#include "common/base/buf.h"
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <string.h>

struct pem {
	char text[4096];
	size_t n;
};

static void take(BIO *b, struct pem *out)
{
	int n = BIO_read(b, out->text, sizeof(out->text) - 1);

	assert_true(n > 0);
	out->text[n] = '\0';
	out->n = (size_t)n;
	BIO_free(b);
}

static void make_certificate(struct pem *certificate, struct pem *key, const char *names)
{
	EVP_PKEY *k = EVP_EC_gen("P-256");
	BIO *b = BIO_new(BIO_s_mem());
	X509 *x = X509_new();
	X509_EXTENSION *e = X509V3_EXT_conf_nid(NULL, NULL, NID_subject_alt_name, names);
	unsigned char cn[] = "test";

	assert_true(k != NULL && x != NULL && e != NULL && b != NULL);
	X509_set_version(x, X509_VERSION_3);
	ASN1_INTEGER_set(X509_get_serialNumber(x), 1);
	X509_gmtime_adj(X509_getm_notBefore(x), -3600);
	X509_gmtime_adj(X509_getm_notAfter(x), 86400);
	X509_NAME_add_entry_by_NID(X509_get_subject_name(x), NID_commonName, MBSTRING_ASC, cn, -1, -1, 0);
	X509_set_issuer_name(x, X509_get_subject_name(x));
	X509_set_pubkey(x, k);
	X509_add_ext(x, e, -1);
	assert_true(X509_sign(x, k, EVP_sha256()) > 0);
	assert_int_equal(PEM_write_bio_X509(b, x), 1);
	take(b, certificate);
	b = BIO_new(BIO_s_mem());
	assert_int_equal(PEM_write_bio_PrivateKey(b, k, NULL, NULL, 0, NULL, NULL), 1);
	take(b, key);
	X509_EXTENSION_free(e);
	X509_free(x);
	EVP_PKEY_free(k);
}

struct tls_client {
	SSL_CTX *ctx;
	SSL *ssl;
	BIO *in, *out; /* of the wire */
	struct buf plain;
	bool ended; /* close_notify was seen */
	bool failed;
};

static void tc_open(struct tls_client *c)
{
	memset(c, 0, sizeof(*c));
	c->ctx = SSL_CTX_new(TLS_client_method());
	c->ssl = SSL_new(c->ctx);
	c->in = BIO_new(BIO_s_mem());
	c->out = BIO_new(BIO_s_mem());
	SSL_set_bio(c->ssl, c->in, c->out);
	SSL_set_connect_state(c->ssl);
}

static void tc_close(struct tls_client *c)
{
	SSL_free(c->ssl);
	SSL_CTX_free(c->ctx);
	buf_free(&c->plain);
}

/* Works with what has arrived; what must be sent lies in c->out. */
static void tc_turn(struct tls_client *c)
{
	char tmp[16384];
	int n;

	ERR_clear_error();
	while ((n = SSL_read(c->ssl, tmp, sizeof(tmp))) > 0)
		buf_append(&c->plain, tmp, (size_t)n);
	n = SSL_get_error(c->ssl, n);
	c->ended = n == SSL_ERROR_ZERO_RETURN;
	c->failed = n == SSL_ERROR_SSL;
	ERR_clear_error();
}

#endif
