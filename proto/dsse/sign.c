/* Signing, for whoever holds a private key: no server does. */
#include "common/base/text.h"
#include "proto/dsse/dsse.h"
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <stdlib.h>
#include <string.h>

struct dsse_key {
	EVP_PKEY *pkey;
	unsigned char raw[DSSE_KEY_LEN];
};
struct asking {
	int (*ask)(char *out, int size, void *arg);
	void *arg;
};

static int on_ask(char *out, int size, int writing, void *arg)
{
	const struct asking *a = arg;

	(void)writing;
	return a->ask == NULL ? -1 : a->ask(out, size, a->arg);
}

int dsse_key_read(struct dsse_key **out, const char *pem, size_t n, int (*ask)(char *out, int size, void *arg),
		  void *arg)
{
	struct asking asking = {ask, arg};
	struct dsse_key *key = calloc(1, sizeof(*key));
	BIO *bio = n > INT32_MAX ? NULL : BIO_new_mem_buf(pem, (int)n);
	size_t len = sizeof(key->raw);
	int r = TR_EINVAL;

	if (key == NULL || bio == NULL) {
		r = TR_ENOMEM;
		goto out;
	}
	key->pkey = PEM_read_bio_PrivateKey(bio, NULL, on_ask, &asking);
	if (key->pkey == NULL || EVP_PKEY_get_base_id(key->pkey) != EVP_PKEY_ED25519 ||
	    EVP_PKEY_get_raw_public_key(key->pkey, key->raw, &len) != 1 || len != sizeof(key->raw))
		goto out;
	*out = key;
	key = NULL;
	r = 0;
out:
	ERR_clear_error();
	BIO_free(bio);
	dsse_key_free(&key);
	return r;
}

void dsse_key_free(struct dsse_key **key)
{
	if (key == NULL || *key == NULL)
		return;
	EVP_PKEY_free((*key)->pkey);
	free(*key);
	*key = NULL;
}

void dsse_key_public(const struct dsse_key *key, unsigned char out[DSSE_KEY_LEN])
{
	memcpy(out, key->raw, sizeof(key->raw));
}

static int make(const struct dsse *e, const struct dsse_key *key, struct dsse_signature *out)
{
	EVP_MD_CTX *ctx = EVP_MD_CTX_new();
	unsigned char hash[TR_SHA256_LEN];
	size_t n = sizeof(out->sig);
	struct buf pae = {0};
	int r = dsse_pae(e->type, e->payload, e->payload_n, &pae);

	if (r == 0 && (r = tr_sha256(key->raw, sizeof(key->raw), hash)) == 0 &&
	    (ctx == NULL || EVP_DigestSignInit(ctx, NULL, NULL, NULL, key->pkey) != 1 ||
	     EVP_DigestSign(ctx, out->sig, &n, (const unsigned char *)pae.p, pae.len) != 1 || n != sizeof(out->sig)))
		r = TR_EINTERNAL;
	if (r == 0)
		tr_hex(hash, sizeof(hash), out->keyid);
	EVP_MD_CTX_free(ctx);
	buf_free(&pae);
	return r;
}

int dsse_sign(struct dsse *e, const struct dsse_key *key)
{
	struct dsse_signature made = {.keyid = ""};
	unsigned i;
	int r;

	if ((r = make(e, key, &made)) < 0)
		return r;
	for (i = 0; i < e->nsignatures && strcmp(e->signatures[i].keyid, made.keyid) != 0; i++)
		;
	if (i == DSSE_SIGNATURES_MAX)
		return TR_ETOOBIG;
	e->signatures[i] = made;
	e->nsignatures += i == e->nsignatures;
	return 0;
}
