#include "common/base/sha256.h"
#include "common/base/err.h"
#include <openssl/evp.h>
#include <stdlib.h>

struct tr_sha256 {
	EVP_MD_CTX *ctx;
	bool failed;
};

int tr_sha256_new(struct tr_sha256 **out)
{
	struct tr_sha256 *s = calloc(1, sizeof(*s));

	if (s == NULL)
		return TR_ENOMEM;
	if ((s->ctx = EVP_MD_CTX_new()) == NULL) {
		free(s);
		return TR_ENOMEM;
	}
	s->failed = EVP_DigestInit_ex(s->ctx, EVP_sha256(), NULL) != 1;
	*out = s;
	return 0;
}

void tr_sha256_add(struct tr_sha256 *s, const void *p, size_t n)
{
	if (!s->failed && n > 0)
		s->failed = EVP_DigestUpdate(s->ctx, p, n) != 1;
}

int tr_sha256_end(struct tr_sha256 **s, char out[TR_SHA256_HEX])
{
	unsigned char md[TR_SHA256_LEN];
	bool bad = (*s)->failed || EVP_DigestFinal_ex((*s)->ctx, md, NULL) != 1;

	tr_sha256_free(s);
	if (bad)
		return TR_EINTERNAL;
	tr_hex(md, sizeof(md), out);
	return 0;
}

void tr_sha256_free(struct tr_sha256 **s)
{
	if (s == NULL || *s == NULL)
		return;
	EVP_MD_CTX_free((*s)->ctx);
	free(*s);
	*s = NULL;
}
