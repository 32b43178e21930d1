#include "supervisor/app/certificate.h"
#include "common/base/err.h"
#include "common/log/log.h"
#include "supervisor/app/interfaces.h"
#include <arpa/inet.h>
#include <netinet/in.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/rand.h>
#include <openssl/x509v3.h>
#include <string.h>
#include <unistd.h>

#define SLACK_S  3600 /* clocks that differ a little */
#define DAY_S    86400
#define RENEW_S  (30 * DAY_S) /* of its own life left: at the next start there is a new one */
#define SERIAL_N 16

static const char owner[] = "tribe"; /* subject and issuer of ours */

/* "" for a wildcard address, which nobody can call. */
static void address_text(const struct sockaddr_storage *at, char out[INET6_ADDRSTRLEN])
{
	const struct sockaddr_in *v4 = (const struct sockaddr_in *)at;
	const struct sockaddr_in6 *v6 = (const struct sockaddr_in6 *)at;

	out[0] = '\0';
	if (at->ss_family == AF_INET && v4->sin_addr.s_addr != htonl(INADDR_ANY))
		inet_ntop(AF_INET, &v4->sin_addr, out, INET6_ADDRSTRLEN);
	else if (at->ss_family == AF_INET6 && !IN6_IS_ADDR_UNSPECIFIED(&v6->sin6_addr))
		inet_ntop(AF_INET6, &v6->sin6_addr, out, INET6_ADDRSTRLEN);
}

/* The host's name goes into OpenSSL's own syntax: only if it cannot be mistaken there. */
static bool name_is_plain(const char *name)
{
	size_t n = strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-.");

	return n > 0 && name[n] == '\0' && strcmp(name, "localhost") != 0;
}

/* Those that are served by a wildcard address. Without them the certificate is good for this machine alone. */
static void list_served(const struct sockaddr_storage *at, struct interfaces *out)
{
	int r = interfaces_list(out, at->ss_family == AF_INET6);

	if (r == 0)
		return;
	out->n = 0;
	log_warn("the addresses of this machine are not known: %s", tr_strerror(r));
}

static int put_names(struct buf *b, const struct sockaddr_storage *at)
{
	char host[256] = "", address[INET6_ADDRSTRLEN];
	struct interfaces served = {.n = 0};

	address_text(at, address);
	if (address[0] == '\0')
		list_served(at, &served);
	buf_puts(b, "DNS:localhost,IP:127.0.0.1,IP:::1");
	if (address[0] != '\0' && strcmp(address, "127.0.0.1") != 0 && strcmp(address, "::1") != 0)
		buf_printf(b, ",IP:%s", address);
	for (unsigned i = 0; i < served.n; i++)
		buf_printf(b, ",IP:%s", served.text[i]);
	if (gethostname(host, sizeof(host) - 1) == 0 && name_is_plain(host))
		buf_printf(b, ",DNS:%s", host);
	return b->failed;
}

static int add_extension(X509 *x, int nid, const char *value)
{
	X509V3_CTX ctx;
	X509_EXTENSION *e;
	int ok;

	X509V3_set_ctx_nodb(&ctx);
	X509V3_set_ctx(&ctx, x, x, NULL, NULL, 0);
	e = X509V3_EXT_conf_nid(NULL, &ctx, nid, value);
	ok = e != NULL && X509_add_ext(x, e, -1) == 1;
	X509_EXTENSION_free(e);
	return ok;
}

static int set_serial(X509 *x)
{
	unsigned char bytes[SERIAL_N];
	BIGNUM *n;
	int ok;

	if (RAND_bytes(bytes, sizeof(bytes)) != 1)
		return 0;
	bytes[0] = (unsigned char)((bytes[0] & 0x7f) | 0x40); /* positive, and of full length */
	n = BN_bin2bn(bytes, sizeof(bytes), NULL);
	ok = n != NULL && BN_to_ASN1_INTEGER(n, X509_get_serialNumber(x)) != NULL;
	BN_free(n);
	return ok;
}

static int fill(X509 *x, EVP_PKEY *key, const char *names)
{
	X509_NAME *who = X509_get_subject_name(x);

	return X509_set_version(x, X509_VERSION_3) == 1 && set_serial(x) &&
	       X509_gmtime_adj(X509_getm_notBefore(x), -SLACK_S) != NULL &&
	       X509_gmtime_adj(X509_getm_notAfter(x), (long)CERTIFICATE_DAYS * DAY_S - 2L * SLACK_S) != NULL &&
	       X509_NAME_add_entry_by_NID(who, NID_commonName, MBSTRING_UTF8, (const unsigned char *)owner, -1, -1,
					  0) == 1 &&
	       X509_set_issuer_name(x, who) == 1 && X509_set_pubkey(x, key) == 1 &&
	       add_extension(x, NID_basic_constraints, "critical,CA:FALSE") &&
	       add_extension(x, NID_key_usage, "critical,digitalSignature") &&
	       add_extension(x, NID_ext_key_usage, "serverAuth") &&
	       add_extension(x, NID_subject_key_identifier, "hash") &&
	       add_extension(x, NID_authority_key_identifier, "keyid:always") &&
	       add_extension(x, NID_subject_alt_name, names) && X509_sign(x, key, EVP_sha256()) > 0;
}

static int take(BIO *bio, struct buf *out)
{
	char *p;
	long n = BIO_get_mem_data(bio, &p);

	return n > 0 ? buf_append(out, p, (size_t)n) : TR_EINTERNAL;
}

int certificate_make(const struct sockaddr_storage *at, struct buf *certificate, struct buf *private_key)
{
	EVP_PKEY *key = EVP_EC_gen("P-256");
	X509 *x = X509_new();
	BIO *c = BIO_new(BIO_s_mem()), *k = BIO_new(BIO_s_secmem());
	struct buf names;
	int r;

	buf_init(&names, 0);
	r = put_names(&names, at);
	if (r == 0 &&
	    (key == NULL || x == NULL || c == NULL || k == NULL || !fill(x, key, names.p) ||
	     PEM_write_bio_X509(c, x) != 1 || PEM_write_bio_PKCS8PrivateKey(k, key, NULL, NULL, 0, NULL, NULL) != 1))
		r = TR_EINTERNAL;
	if (r == 0 && (r = take(c, certificate)) == 0)
		r = take(k, private_key);
	buf_free(&names);
	BIO_free(k);
	BIO_free(c);
	X509_free(x);
	EVP_PKEY_free(key);
	return r;
}

static X509 *read_certificate(const struct buf *pem)
{
	BIO *bio = BIO_new_mem_buf(pem->p, (int)pem->len);
	X509 *x = bio == NULL ? NULL : PEM_read_bio_X509(bio, NULL, NULL, NULL);

	BIO_free(bio);
	return x;
}

/* A key with a pass phrase is refused: nobody is there to type it. */
static int no_pass_phrase(char *out, int size, int rwflag, void *arg)
{
	(void)out;
	(void)size;
	(void)rwflag;
	(void)arg;
	return -1;
}

static EVP_PKEY *read_key(const struct buf *pem)
{
	BIO *bio = BIO_new_mem_buf(pem->p, (int)pem->len);
	EVP_PKEY *key = bio == NULL ? NULL : PEM_read_bio_PrivateKey(bio, NULL, no_pass_phrase, NULL);

	BIO_free(bio);
	return key;
}

const char *certificate_fault(const struct buf *certificate, const struct buf *private_key)
{
	X509 *x = read_certificate(certificate);
	EVP_PKEY *key = read_key(private_key);
	const char *why = NULL;

	if (x == NULL)
		why = "http.certificate: the file holds no certificate in PEM";
	else if (key == NULL)
		why = "http.private_key: the file holds no private key in PEM without a pass phrase";
	else if (X509_check_private_key(x, key) != 1)
		why = "http.private_key: it is not the key of http.certificate";
	EVP_PKEY_free(key);
	X509_free(x);
	return why;
}

const char *certificate_ca_fault(const struct buf *ca)
{
	BIO *b = BIO_new_mem_buf(ca->p, (int)ca->len);
	int n = 0;
	X509 *x;

	for (; b != NULL && (x = PEM_read_bio_X509(b, NULL, NULL, NULL)) != NULL; n++)
		X509_free(x);
	if (ERR_GET_REASON(ERR_peek_last_error()) != PEM_R_NO_START_LINE)
		n = 0; /* it ends in the middle of one */
	ERR_clear_error();
	BIO_free(b);
	return n > 0 ? NULL : "http.client_ca: the file holds no certificates in PEM";
}

static bool is_ours(const X509 *x)
{
	const X509_NAME *who = X509_get_subject_name(x);
	char name[sizeof(owner) + 1];

	return X509_NAME_cmp(who, X509_get_issuer_name(x)) == 0 && X509_NAME_entry_count(who) == 1 &&
	       X509_NAME_get_text_by_NID(who, NID_commonName, name, sizeof(name)) == (int)sizeof(owner) - 1 &&
	       strcmp(name, owner) == 0;
}

static bool names_all(X509 *x, const struct sockaddr_storage *at)
{
	struct interfaces served;

	list_served(at, &served);
	for (unsigned i = 0; i < served.n; i++)
		if (X509_check_ip_asc(x, served.text[i], 0) != 1)
			return false;
	return true;
}

const char *certificate_stale(const struct buf *certificate, const struct sockaddr_storage *at, bool start)
{
	X509 *x = read_certificate(certificate);
	char address[INET6_ADDRSTRLEN];
	time_t soon = time(NULL) + RENEW_S;
	const char *why = NULL;

	address_text(at, address);
	if (x == NULL)
		why = "there was none";
	else if (X509_cmp_time(X509_get0_notAfter(x), &soon) <= 0)
		why = "its end was near";
	else if (address[0] != '\0' && X509_check_ip_asc(x, address, 0) != 1)
		why = "it did not name the listening address";
	else if (address[0] == '\0' && start && is_ours(x) && !names_all(x, at))
		why = "it did not name every address of this machine";
	X509_free(x);
	return why;
}
