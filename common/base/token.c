#include "common/base/token.h"
#include "common/base/err.h"
#include "common/base/roles.h"
#include <string.h>
#include <sys/random.h>

#define TOKEN_BYTES 32

unsigned tr_scope_find(const char *name, size_t n)
{
#define X(id, bit, word)                                         \
	if (n == sizeof(word) - 1 && memcmp(name, word, n) == 0) \
		return bit;
	TR_SCOPES(X)
#undef X
	return 0;
}

const char *tr_scope_name(unsigned bit)
{
	switch (bit) {
#define X(id, b, word) \
	case b:        \
		return word;
		TR_SCOPES(X)
#undef X
	default:
		return "none";
	}
}

static bool is(const char *name, size_t n, const char *word)
{
	return n == strlen(word) && memcmp(name, word, n) == 0;
}

const char *tr_token_name_fault(const char *name, size_t n)
{
	if (n < 1 || n > TR_TOKEN_NAME_MAX)
		return "must be 1 to 64 characters";
	for (size_t i = 0; i < n; i++) {
		char c = name[i];

		if (!((c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') ||
		      (c != '\0' && strchr("._-@:", c) != NULL)))
			return "must be letters, digits and . _ - @ : only";
	}
	if (is(name, n, "loopback") || is(name, n, "admin") || is(name, n, "tribed") || tr_role_find(name, n) >= 0)
		return "is the name of somebody else already";
	return NULL;
}

static void base64url(const unsigned char *p, size_t n, char *out)
{
	static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
	uint32_t bits = 0;
	int have = 0;

	for (size_t i = 0; i < n; i++) {
		bits = bits << 8 | p[i];
		for (have += 8; have >= 6; have -= 6)
			*out++ = digits[bits >> (have - 6) & 63];
	}
	if (have > 0)
		*out++ = digits[bits << (6 - have) & 63];
	*out = '\0';
}

int tr_token_make(char out[TR_TOKEN_LEN], unsigned char hash[TR_SHA256_LEN])
{
	unsigned char bytes[TOKEN_BYTES];

	if (getrandom(bytes, sizeof(bytes), 0) != (ssize_t)sizeof(bytes))
		return TR_EINTERNAL;
	memcpy(out, TR_TOKEN_PREFIX, strlen(TR_TOKEN_PREFIX));
	base64url(bytes, sizeof(bytes), out + strlen(TR_TOKEN_PREFIX));
	explicit_bzero(bytes, sizeof(bytes));
	return tr_sha256(out, strlen(out), hash);
}
