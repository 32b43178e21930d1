#include "common/base/sha256.h"
#include "common/base/err.h"
#include <dlfcn.h>
#include <openssl/evp.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

/* libcrypto is loaded when the first digest is wanted: a millisecond of a start that most processes of ours need not
 * wait for. */
#define FUNCTIONS(X)          \
	X(EVP_Digest)         \
	X(EVP_DigestInit_ex)  \
	X(EVP_DigestUpdate)   \
	X(EVP_DigestFinal_ex) \
	X(EVP_MD_CTX_new)     \
	X(EVP_MD_CTX_free)    \
	X(EVP_sha256)
static struct {
#define X(name) __typeof__(&name) name;
	FUNCTIONS(X)
#undef X
	bool there;
} crypto;
static pthread_once_t once = PTHREAD_ONCE_INIT;

static void load(void)
{
	void *lib = dlopen("libcrypto.so.3", RTLD_NOW);

	crypto.there = lib != NULL;
#define X(name)                                                                  \
	if (lib == NULL || (*(void **)&crypto.name = dlsym(lib, #name)) == NULL) \
		crypto.there = false;
	FUNCTIONS(X)
#undef X
}

bool tr_sha256_load(void)
{
	(void)pthread_once(&once, load);
	return crypto.there;
}

struct tr_sha256 {
	EVP_MD_CTX *ctx;
	bool failed;
};

int tr_sha256_new(struct tr_sha256 **out)
{
	struct tr_sha256 *s;

	if (!tr_sha256_load())
		return TR_EINTERNAL;
	if ((s = calloc(1, sizeof(*s))) == NULL)
		return TR_ENOMEM;
	if ((s->ctx = crypto.EVP_MD_CTX_new()) == NULL) {
		free(s);
		return TR_ENOMEM;
	}
	s->failed = crypto.EVP_DigestInit_ex(s->ctx, crypto.EVP_sha256(), NULL) != 1;
	*out = s;
	return 0;
}

void tr_sha256_add(struct tr_sha256 *s, const void *p, size_t n)
{
	if (!s->failed && n > 0)
		s->failed = crypto.EVP_DigestUpdate(s->ctx, p, n) != 1;
}

int tr_sha256_end(struct tr_sha256 **s, char out[TR_SHA256_HEX])
{
	unsigned char md[TR_SHA256_LEN];
	bool bad = (*s)->failed || crypto.EVP_DigestFinal_ex((*s)->ctx, md, NULL) != 1;

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
	crypto.EVP_MD_CTX_free((*s)->ctx);
	free(*s);
	*s = NULL;
}

int tr_sha256(const void *p, size_t n, unsigned char out[TR_SHA256_LEN])
{
	unsigned char md[TR_SHA256_LEN];

	if (!tr_sha256_load() || crypto.EVP_Digest(n == 0 ? "" : p, n, md, NULL, crypto.EVP_sha256(), NULL) != 1)
		return TR_EINTERNAL;
	memcpy(out, md, sizeof(md));
	return 0;
}

/* The length in front of a piece; an absent piece has the length no piece can have. */
static void put_length(unsigned char be[8], const struct tr_piece *piece)
{
	uint64_t n = piece->p == NULL ? UINT64_MAX : piece->n;

	for (int i = 7; i >= 0; i--, n >>= 8)
		be[i] = (unsigned char)(n & 0xff);
}

int tr_sha256_pieces(const struct tr_piece *v, size_t n, unsigned char out[TR_SHA256_LEN])
{
	EVP_MD_CTX *ctx;
	unsigned char md[TR_SHA256_LEN], be[8];
	int r = TR_EINTERNAL;

	if (!tr_sha256_load())
		return r;
	if ((ctx = crypto.EVP_MD_CTX_new()) == NULL || crypto.EVP_DigestInit_ex(ctx, crypto.EVP_sha256(), NULL) != 1)
		goto out;
	for (size_t i = 0; i < n; i++) {
		put_length(be, &v[i]);
		if (crypto.EVP_DigestUpdate(ctx, be, sizeof(be)) != 1)
			goto out;
		if (v[i].p != NULL && v[i].n > 0 && crypto.EVP_DigestUpdate(ctx, v[i].p, v[i].n) != 1)
			goto out;
	}
	if (crypto.EVP_DigestFinal_ex(ctx, md, NULL) != 1)
		goto out;
	memcpy(out, md, sizeof(md));
	r = 0;
out:
	crypto.EVP_MD_CTX_free(ctx);
	return r;
}
