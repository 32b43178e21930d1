/* DSSE envelopes (Dead Simple Signing Envelope, version 1.0.2) with Ed25519: a payload, its type and signatures over
 * both. No I/O. What counts is which of the reader's own keys signed: entries and key ids prove nothing, so a key that
 * stands there twice, or under another key id, counts once. Only the payload bytes that were verified may be used. */
#ifndef PROTO_DSSE_DSSE_H
#define PROTO_DSSE_DSSE_H
#include "common/base/buf.h"
#include "common/base/err.h"
#include <stdbool.h>
#include <stdint.h>

#define DSSE_ENVELOPE_MAX   65536u /* bytes of the JSON */
#define DSSE_PAYLOAD_MAX    16384u
#define DSSE_TYPE_MAX       128u
#define DSSE_KEYID_MAX      128u
#define DSSE_SIGNATURES_MAX 16u
#define DSSE_SIG_LEN        64u
#define DSSE_KEY_LEN        32u
#define DSSE_KEYS_MAX       32u

struct dsse_signature {
	char keyid[DSSE_KEYID_MAX + 1]; /* "" when it has none; a hint for people */
	unsigned char sig[DSSE_SIG_LEN];
};
struct dsse {
	char type[DSSE_TYPE_MAX + 1];
	unsigned char payload[DSSE_PAYLOAD_MAX + 1]; /* NUL behind it */
	size_t payload_n;
	struct dsse_signature signatures[DSSE_SIGNATURES_MAX];
	unsigned nsignatures;
};

/* JSON -> envelope. Strict: standard base64 with padding and no blanks, no key twice, bounds as above, every signature
 * 64 bytes; fields that we do not know are skipped, as DSSE wants it. An envelope without signatures is one: verifying
 * it counts nobody. TR_EMALFORMED, TR_EINVAL or TR_ETOOBIG with the fault; *out is untouched then. */
int dsse_parse(struct dsse *out, const char *p, size_t n, struct tr_fault *fault);
/* Appends the envelope as one line of JSON, without a line break. TR_ENOMEM. */
int dsse_print(const struct dsse *e, struct buf *out);
/* Appends what is signed: "DSSEv1 LEN TYPE LEN PAYLOAD". */
int dsse_pae(const char *type, const void *payload, size_t n, struct buf *out);
/* Bit i of *signers: keys[i] has signed this payload as `type`. Another type: TR_EINVAL. Two of keys that are the same
 * key count as the first of them. n <= DSSE_KEYS_MAX. 0, TR_EINVAL, TR_ENOMEM or TR_EINTERNAL. */
int dsse_verify(const struct dsse *e, const char *type, const unsigned char (*keys)[DSSE_KEY_LEN], unsigned n,
		uint32_t *signers);

/* ---- signing ---- */
struct dsse_key; /* a private key */
/* From a PEM text. ask (may be NULL: then a passphrase is refused) fills the passphrase and returns its length, < 0:
 * none. TR_EINVAL: it is no Ed25519 key, or the passphrase is wrong. */
int dsse_key_read(struct dsse_key **out, const char *pem, size_t n, int (*ask)(char *out, int size, void *arg),
		  void *arg);
void dsse_key_free(struct dsse_key **key);
void dsse_key_public(const struct dsse_key *key, unsigned char out[DSSE_KEY_LEN]);
/* Puts its signature there, in place of one it had given; the key id is the SHA-256 of the public key. TR_ETOOBIG:
 * there are too many. */
int dsse_sign(struct dsse *e, const struct dsse_key *key);

#endif
