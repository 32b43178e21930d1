#include "proto/dsse/dsse.h"
#include "common/base/base64.h"
#include "proto/json/json.h"
#include <openssl/evp.h>
#include <stdlib.h>
#include <string.h>

static int refuse(struct tr_fault *fault, int code, const char *field, const char *rule)
{
	return tr_fault_set(fault, code, field, "%s", rule);
}

/* A text of an object; NULL: it is not there or none. */
static const char *text_of(const json_t *o, const char *name, size_t *n)
{
	const json_t *v = json_object_get(o, name);

	*n = json_string_length(v);
	return json_string_value(v);
}

static int take_type(struct dsse *e, const json_t *doc, struct tr_fault *fault)
{
	size_t n, i;
	const char *p = text_of(doc, "payloadType", &n);

	if (p == NULL || n == 0 || n > DSSE_TYPE_MAX)
		return refuse(fault, TR_EINVAL, "payloadType", "must be a text of 1 to 128 bytes");
	for (i = 0; i < n; i++) {
		if (p[i] <= ' ' || p[i] > '~')
			return refuse(fault, TR_EINVAL, "payloadType", "must be printable ASCII without blanks");
	}
	memcpy(e->type, p, n + 1);
	return 0;
}

static int take_payload(struct dsse *e, const json_t *doc, struct tr_fault *fault)
{
	unsigned char *bytes;
	size_t n;
	const char *p = text_of(doc, "payload", &n);
	long got;

	if (p == NULL || n == 0)
		return refuse(fault, TR_EINVAL, "payload", "must be base64 of at least one byte");
	if (n > BASE64_LEN(DSSE_PAYLOAD_MAX))
		return refuse(fault, TR_ETOOBIG, "payload", "must be at most 16384 bytes");
	if ((bytes = malloc(n / 4 * 3 + 3)) == NULL)
		return TR_ENOMEM;
	got = base64_decode(p, n, bytes);
	if (got >= 0 && got <= (long)DSSE_PAYLOAD_MAX) {
		e->payload_n = (size_t)got;
		memcpy(e->payload, bytes, e->payload_n);
	}
	free(bytes);
	if (got < 0)
		return refuse(fault, TR_EINVAL, "payload", "must be base64 with padding and nothing else");
	return got <= (long)DSSE_PAYLOAD_MAX ? 0 : refuse(fault, TR_ETOOBIG, "payload", "must be at most 16384 bytes");
}

static int take_signature(struct dsse *e, const json_t *o, struct tr_fault *fault)
{
	struct dsse_signature *s = &e->signatures[e->nsignatures];
	unsigned char bytes[DSSE_SIG_LEN + 2]; /* 88 characters of base64 may be 66 bytes */
	const json_t *keyid = json_object_get(o, "keyid");
	const char *sig;
	size_t n;

	if (!json_is_object(o))
		return refuse(fault, TR_EINVAL, "signatures", "must be a list of objects");
	if (keyid != NULL && !json_is_null(keyid) &&
	    (!json_is_string(keyid) || json_string_length(keyid) > DSSE_KEYID_MAX))
		return refuse(fault, TR_EINVAL, "signatures.keyid", "must be a text of at most 128 bytes");
	if (json_is_string(keyid))
		memcpy(s->keyid, json_string_value(keyid), json_string_length(keyid) + 1);
	sig = text_of(o, "sig", &n);
	if (sig == NULL || n != BASE64_LEN(DSSE_SIG_LEN) || base64_decode(sig, n, bytes) != (long)DSSE_SIG_LEN)
		return refuse(fault, TR_EINVAL, "signatures.sig", "must be base64 of the 64 bytes of Ed25519");
	memcpy(s->sig, bytes, DSSE_SIG_LEN);
	e->nsignatures++;
	return 0;
}

static int take(struct dsse *e, const json_t *doc, struct tr_fault *fault)
{
	const json_t *list = json_object_get(doc, "signatures");
	size_t i;
	int r;

	if (!json_is_object(doc))
		return refuse(fault, TR_EINVAL, "", "must be an object with payload, payloadType and signatures");
	if ((r = take_type(e, doc, fault)) < 0 || (r = take_payload(e, doc, fault)) < 0)
		return r;
	if (!json_is_array(list))
		return refuse(fault, TR_EINVAL, "signatures", "must be a list");
	if (json_array_size(list) > DSSE_SIGNATURES_MAX)
		return refuse(fault, TR_ETOOBIG, "signatures", "must be at most 16");
	for (i = 0; i < json_array_size(list); i++) {
		if ((r = take_signature(e, json_array_get(list, i), fault)) < 0)
			return r;
	}
	return 0;
}

int dsse_parse(struct dsse *out, const char *p, size_t n, struct tr_fault *fault)
{
	json_t *doc = NULL;
	struct dsse *e = NULL;
	int r;

	if (n > DSSE_ENVELOPE_MAX)
		return refuse(fault, TR_ETOOBIG, "", "must be at most 65536 bytes");
	if ((r = json_parse(&doc, p, n, fault)) < 0)
		return r;
	if ((e = calloc(1, sizeof(*e))) == NULL)
		r = TR_ENOMEM;
	else if ((r = take(e, doc, fault)) == 0)
		*out = *e;
	free(e);
	json_decref(doc);
	return r;
}

static json_t *base64(const void *p, size_t n)
{
	char *text = malloc(BASE64_LEN(n) + 1);
	json_t *s = NULL;

	if (text != NULL) {
		base64_encode(p, n, text);
		s = json_stringn(text, BASE64_LEN(n));
	}
	free(text);
	return s;
}

int dsse_print(const struct dsse *e, struct buf *out)
{
	json_t *doc = json_object(), *list = json_array();
	unsigned i;
	int r = TR_ENOMEM;

	if (doc == NULL || list == NULL || json_object_set_new(doc, "payload", base64(e->payload, e->payload_n)) < 0 ||
	    json_object_set_new(doc, "payloadType", json_string(e->type)) < 0)
		goto out;
	for (i = 0; i < e->nsignatures; i++) {
		const struct dsse_signature *s = &e->signatures[i];
		json_t *o = json_object();

		if (o == NULL || json_array_append_new(list, o) < 0 ||
		    (s->keyid[0] != '\0' && json_object_set_new(o, "keyid", json_string(s->keyid)) < 0) ||
		    json_object_set_new(o, "sig", base64(s->sig, sizeof(s->sig))) < 0)
			goto out;
	}
	if (json_object_set(doc, "signatures", list) == 0)
		r = json_print(doc, out);
out:
	json_decref(list);
	json_decref(doc);
	return r;
}

int dsse_pae(const char *type, const void *payload, size_t n, struct buf *out)
{
	(void)buf_printf(out, "DSSEv1 %zu %s %zu ", strlen(type), type, n);
	(void)buf_append(out, payload, n);
	return out->failed;
}

/* 1, 0, or < 0 */
static int signed_by(const unsigned char key[DSSE_KEY_LEN], const unsigned char sig[DSSE_SIG_LEN],
		     const struct buf *pae)
{
	EVP_PKEY *pkey = EVP_PKEY_new_raw_public_key(EVP_PKEY_ED25519, NULL, key, DSSE_KEY_LEN);
	EVP_MD_CTX *ctx = EVP_MD_CTX_new();
	int r = TR_EINTERNAL;

	if (pkey != NULL && ctx != NULL && EVP_DigestVerifyInit(ctx, NULL, NULL, NULL, pkey) == 1)
		r = EVP_DigestVerify(ctx, sig, DSSE_SIG_LEN, (const unsigned char *)pae->p, pae->len) == 1;
	EVP_MD_CTX_free(ctx);
	EVP_PKEY_free(pkey);
	return r;
}

static bool same_as_before(const unsigned char (*keys)[DSSE_KEY_LEN], unsigned i)
{
	unsigned k;

	for (k = 0; k < i; k++) {
		if (memcmp(keys[k], keys[i], DSSE_KEY_LEN) == 0)
			return true;
	}
	return false;
}

int dsse_verify(const struct dsse *e, const char *type, const unsigned char (*keys)[DSSE_KEY_LEN], unsigned n,
		uint32_t *signers)
{
	struct buf pae = {0};
	uint32_t bits = 0;
	unsigned i, s;
	int r;

	if (strcmp(e->type, type) != 0 || n > DSSE_KEYS_MAX)
		return TR_EINVAL;
	r = dsse_pae(e->type, e->payload, e->payload_n, &pae);
	for (i = 0; i < n && r == 0; i++) {
		if (same_as_before(keys, i))
			continue;
		for (s = 0; s < e->nsignatures && r == 0; s++)
			r = signed_by(keys[i], e->signatures[s].sig, &pae);
		if (r == 1) {
			bits |= UINT32_C(1) << i;
			r = 0;
		}
	}
	buf_free(&pae);
	if (r == 0)
		*signers = bits;
	return r;
}
