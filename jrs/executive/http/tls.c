#include "jrs/executive/http/tls.h"
#include "common/base/err.h"
#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <stdlib.h>
#include <string.h>

#define CIPHERS_1_2    "ECDHE+AESGCM:ECDHE+CHACHA20" /* forward secrecy and AEAD only; TLS 1.3 has nothing else */
#define KEEP_OUT       4096                          /* bytes of the outgoing buffer kept between two answers */
#define RECORD_SHAKING 0x16                          /* type of the record that a TLS client sends first */

struct tls_ctx {
	unsigned refs; /* the server's and one for each connection */
	SSL_CTX *ssl;
	BIO_METHOD *wire;
};
struct tls {
	struct tls_ctx *ctx;
	SSL *ssl;
	const char *in; /* borrowed */
	size_t in_n;
	struct buf out;
	bool began, broken, looked; /* looked: at the client's certificate */
	char **names;               /* owned, with NULL at the end; NULL: none */
};

/* ---- the wire as OpenSSL sees it: reads t->in without a copy, writes t->out ---- */
static int wire_read(BIO *b, char *p, int n)
{
	struct tls *t = BIO_get_data(b);
	size_t k = t->in_n < (size_t)n ? t->in_n : (size_t)n;

	BIO_clear_retry_flags(b);
	if (k == 0) {
		BIO_set_retry_read(b);
		return -1;
	}
	memcpy(p, t->in, k);
	t->in += k;
	t->in_n -= k;
	return (int)k;
}

static int wire_write(BIO *b, const char *p, int n)
{
	struct tls *t = BIO_get_data(b);

	BIO_clear_retry_flags(b);
	return buf_append(&t->out, p, (size_t)n) < 0 ? -1 : n;
}

static long wire_ctrl(BIO *b, int cmd, long num, void *ptr)
{
	(void)b;
	(void)num;
	(void)ptr;
	return cmd == BIO_CTRL_FLUSH ? 1 : 0;
}

void tls_wipe(char *p, size_t n)
{
	if (p != NULL)
		OPENSSL_cleanse(p, n);
}

/* ---- the server ---- */
/* A passphrase would be asked for at the terminal: there is none. */
static int no_passphrase(char *p, int n, int rw, void *arg)
{
	(void)p;
	(void)n;
	(void)rw;
	(void)arg;
	return -1;
}

static int load_chain(SSL_CTX *ssl, const char *p, size_t n)
{
	BIO *b = BIO_new_mem_buf(p, (int)n);
	X509 *x = NULL;
	int ok = 0;

	if (b != NULL && (x = PEM_read_bio_X509_AUX(b, NULL, no_passphrase, NULL)) != NULL)
		ok = SSL_CTX_use_certificate(ssl, x);
	X509_free(x);
	while (ok == 1 && (x = PEM_read_bio_X509(b, NULL, no_passphrase, NULL)) != NULL)
		if ((ok = (int)SSL_CTX_add0_chain_cert(ssl, x)) != 1)
			X509_free(x);
	if (ok == 1 && ERR_GET_REASON(ERR_peek_last_error()) != PEM_R_NO_START_LINE)
		ok = 0; /* the chain ends in the middle of a certificate */
	BIO_free(b);
	return ok;
}

static int load_key(SSL_CTX *ssl, const char *p, size_t n)
{
	BIO *b = BIO_new_mem_buf(p, (int)n);
	EVP_PKEY *k = b == NULL ? NULL : PEM_read_bio_PrivateKey(b, NULL, no_passphrase, NULL);
	int ok = k != NULL && SSL_CTX_use_PrivateKey(ssl, k) == 1 && SSL_CTX_check_private_key(ssl) == 1;

	EVP_PKEY_free(k);
	BIO_free(b);
	return ok;
}

/* Of what a client offers only HTTP/1.1 is spoken here; one that offers nothing means that. */
static int choose_protocol(SSL *ssl, const unsigned char **out, unsigned char *out_n, const unsigned char *in,
			   unsigned in_n, void *arg)
{
	static const unsigned char ours[] = "\x08http/1.1";
	unsigned char *chosen = NULL;

	(void)ssl;
	(void)arg;
	if (SSL_select_next_proto(&chosen, out_n, ours, sizeof(ours) - 1, in, in_n) != OPENSSL_NPN_NEGOTIATED)
		return SSL_TLSEXT_ERR_ALERT_FATAL;
	*out = chosen;
	return SSL_TLSEXT_ERR_OK;
}

static int set_rules(SSL_CTX *ssl)
{
	static const unsigned char id[] = "tribe";

	SSL_CTX_set_options(ssl, SSL_OP_NO_COMPRESSION | SSL_OP_NO_RENEGOTIATION | SSL_OP_CIPHER_SERVER_PREFERENCE);
	SSL_CTX_set_mode(ssl, SSL_MODE_RELEASE_BUFFERS);         /* an idle connection holds no record buffers */
	SSL_CTX_set_session_cache_mode(ssl, SSL_SESS_CACHE_OFF); /* tickets remember, not we */
	SSL_CTX_set_num_tickets(ssl, 1);
	SSL_CTX_set_alpn_select_cb(ssl, choose_protocol, NULL);
	return SSL_CTX_set_min_proto_version(ssl, TLS1_2_VERSION) == 1 &&
	       SSL_CTX_set_cipher_list(ssl, CIPHERS_1_2) == 1 &&
	       SSL_CTX_set_session_id_context(ssl, id, sizeof(id) - 1) == 1;
}

/* Asks clients for a certificate; who has none may go on. */
static bool trust(SSL_CTX *ssl, const char *p, size_t n)
{
	BIO *b = n > INT32_MAX ? NULL : BIO_new_mem_buf(p, (int)n);
	X509_STORE *store = SSL_CTX_get_cert_store(ssl);
	bool good = b != NULL;
	unsigned count = 0;
	X509 *x;

	for (; good && (x = PEM_read_bio_X509(b, NULL, no_passphrase, NULL)) != NULL; count++) {
		good = X509_STORE_add_cert(store, x) == 1 && SSL_CTX_add_client_CA(ssl, x) == 1;
		X509_free(x);
	}
	BIO_free(b);
	SSL_CTX_set_verify(ssl, SSL_VERIFY_PEER, NULL);
	return good && count > 0 && ERR_GET_REASON(ERR_peek_last_error()) == PEM_R_NO_START_LINE;
}

int tls_ctx_new(struct tls_ctx **out, const char *certificate, size_t certificate_n, char *key, size_t key_n,
		const char *client_ca, size_t client_ca_n, const char **why)
{
	struct tls_ctx *ctx = calloc(1, sizeof(*ctx));
	int r = TR_ENOMEM;

	OPENSSL_init_ssl(OPENSSL_INIT_NO_LOAD_CONFIG, NULL); /* the same rules on every machine; no files are opened */
	*why = "out of memory";
	if (ctx != NULL)
		ctx->refs = 1;
	if (ctx == NULL || (ctx->ssl = SSL_CTX_new(TLS_server_method())) == NULL ||
	    (ctx->wire = BIO_meth_new(BIO_TYPE_SOURCE_SINK | BIO_get_new_index(), "wire")) == NULL ||
	    !set_rules(ctx->ssl))
		goto out;
	BIO_meth_set_read(ctx->wire, wire_read);
	BIO_meth_set_write(ctx->wire, wire_write);
	BIO_meth_set_ctrl(ctx->wire, wire_ctrl);
	r = TR_ECONFIG;
	*why = "the certificate is no PEM text of a certificate, or is too weak";
	if (certificate_n > INT32_MAX || load_chain(ctx->ssl, certificate, certificate_n) != 1)
		goto out;
	*why = "the private key is no PEM text of a key without passphrase, or belongs to another certificate";
	if (key_n > INT32_MAX || !load_key(ctx->ssl, key, key_n))
		goto out;
	ERR_clear_error();
	*why = "the list of CA certificates for clients is no PEM text of certificates";
	if (client_ca != NULL && !trust(ctx->ssl, client_ca, client_ca_n))
		goto out;
	*out = ctx;
	ctx = NULL;
	r = 0;
out:
	ERR_clear_error();
	tls_wipe(key, key_n);
	tls_ctx_free(&ctx);
	return r;
}

void tls_ctx_free(struct tls_ctx **ctx)
{
	struct tls_ctx *c = *ctx;

	*ctx = NULL;
	if (c == NULL || --c->refs > 0)
		return;
	SSL_CTX_free(c->ssl);
	BIO_meth_free(c->wire);
	free(c);
}

bool tls_ctx_covers(const struct tls_ctx *ctx, const char *host)
{
	X509 *x = SSL_CTX_get0_certificate(ctx->ssl);
	size_t n = strlen(host);
	char address[64];
	bool yes;

	if (n > 2 && n < sizeof(address) && host[0] == '[' && host[n - 1] == ']') {
		memcpy(address, host + 1, n - 2);
		address[n - 2] = '\0';
		host = address;
		n -= 2;
	}
	yes = n > 0 && (X509_check_host(x, host, n, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS, NULL) == 1 ||
			X509_check_ip_asc(x, host, 0) == 1);
	ERR_clear_error();
	return yes;
}

/* ---- a connection ---- */
int tls_new(struct tls **out, struct tls_ctx *ctx)
{
	struct tls *t = calloc(1, sizeof(*t));
	BIO *wire = NULL;

	if (t == NULL || (t->ssl = SSL_new(ctx->ssl)) == NULL || (wire = BIO_new(ctx->wire)) == NULL) {
		tls_free(&t);
		ERR_clear_error();
		return TR_ENOMEM;
	}
	BIO_set_data(wire, t);
	BIO_set_init(wire, 1);
	SSL_set_bio(t->ssl, wire, wire);
	SSL_set_accept_state(t->ssl);
	t->ctx = ctx;
	ctx->refs++;
	*out = t;
	return 0;
}

void tls_free(struct tls **t)
{
	if (*t == NULL)
		return;
	SSL_free((*t)->ssl);
	tls_ctx_free(&(*t)->ctx);
	buf_free(&(*t)->out);
	for (char **name = (*t)->names; name != NULL && *name != NULL; name++)
		free(*name);
	free((*t)->names);
	free(*t);
	*t = NULL;
}

/* ---- who is on the other side ---- */
#define NAMES_MAX 8

static void take_name(char **v, unsigned *n, const ASN1_STRING *s)
{
	unsigned char *utf8 = NULL;
	int len = s == NULL ? -1 : ASN1_STRING_to_UTF8(&utf8, s);

	if (len > 0 && *n < NAMES_MAX && memchr(utf8, 0, (size_t)len) == NULL &&
	    (v[*n] = strndup((const char *)utf8, (size_t)len)) != NULL)
		(*n)++;
	OPENSSL_free(utf8);
}

static void take_names(char **v, const X509 *x)
{
	GENERAL_NAMES *all = X509_get_ext_d2i(x, NID_subject_alt_name, NULL, NULL);
	const X509_NAME *subject = X509_get_subject_name(x);
	int at = X509_NAME_get_index_by_NID(subject, NID_commonName, -1);
	unsigned n = 0;

	for (int i = 0; i < sk_GENERAL_NAME_num(all); i++) {
		const GENERAL_NAME *name = sk_GENERAL_NAME_value(all, i);

		if (name->type == GEN_DNS || name->type == GEN_EMAIL)
			take_name(v, &n, name->d.ia5);
	}
	if (at >= 0)
		take_name(v, &n, X509_NAME_ENTRY_get_data(X509_NAME_get_entry(subject, at)));
	GENERAL_NAMES_free(all);
}

const char *tls_client_name(struct tls *t, unsigned i)
{
	X509 *x;

	if (!t->looked && tls_ready(t)) {
		t->looked = true;
		x = SSL_get_verify_result(t->ssl) == X509_V_OK ? SSL_get0_peer_certificate(t->ssl) : NULL;
		if (x != NULL && (t->names = calloc(NAMES_MAX + 1, sizeof(*t->names))) != NULL)
			take_names(t->names, x);
		ERR_clear_error();
	}
	return t->names == NULL || i >= NAMES_MAX ? NULL : t->names[i];
}

void tls_feed(struct tls *t, const char *p, size_t n)
{
	t->in = p;
	t->in_n = n;
}

int tls_read(struct tls *t, char *out, size_t n)
{
	int r;

	if (!t->began && t->in_n > 0) {
		if ((unsigned char)t->in[0] != RECORD_SHAKING)
			return TLS_PLAIN;
		t->began = true;
	}
	if (t->broken)
		return TLS_BROKEN;
	ERR_clear_error();
	r = SSL_read(t->ssl, out, (int)n);
	if (r > 0)
		return r;
	r = SSL_get_error(t->ssl, r);
	ERR_clear_error();
	if (r == SSL_ERROR_WANT_READ)
		return TLS_MORE;
	if (r == SSL_ERROR_ZERO_RETURN)
		return TLS_END;
	t->broken = true; /* OpenSSL wants no further call */
	return TLS_BROKEN;
}

bool tls_ready(const struct tls *t)
{
	return SSL_is_init_finished(t->ssl) != 0;
}

int tls_write(struct tls *t, const void *p, size_t n)
{
	size_t done = 0;

	if (n == 0)
		return 0;
	if (t->broken)
		return TR_ECLOSED;
	ERR_clear_error();
	if (SSL_write_ex(t->ssl, p, n, &done) == 1 && done == n)
		return 0;
	ERR_clear_error();
	t->broken = true;
	return TR_ECLOSED;
}

void tls_bye(struct tls *t)
{
	if (t->broken || !tls_ready(t) || (SSL_get_shutdown(t->ssl) & SSL_SENT_SHUTDOWN) != 0)
		return;
	ERR_clear_error();
	SSL_shutdown(t->ssl);
	ERR_clear_error();
}

struct buf *tls_out(struct tls *t)
{
	if (t->out.len == 0 && t->out.cap > KEEP_OUT)
		buf_free(&t->out);
	return &t->out;
}
