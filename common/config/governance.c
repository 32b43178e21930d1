/* The keys of governance as settings hold them. */
#include "common/base/base64.h"
#include "common/config/rules.h"
#include <stdio.h>
#include <string.h>

#define TEXT_MAX 128

const char *const cfg_governors[CFG_NGOVERNORS] = {"war_chief", "peace_chief", "medicine_woman"};

/* What stands before the 32 bytes in a PEM of `openssl pkey -pubout`: SubjectPublicKeyInfo of RFC 8410. */
static const unsigned char spki[] = {0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x03, 0x21, 0x00};

static bool read_key(const char *text, unsigned char out[CFG_KEY_LEN])
{
	unsigned char bytes[TEXT_MAX];
	size_t n = strlen(text);
	long got = n > TEXT_MAX ? -1 : base64_decode(text, n, bytes);

	if (got == (long)sizeof(spki) + CFG_KEY_LEN && memcmp(bytes, spki, sizeof(spki)) == 0)
		memcpy(out, bytes + sizeof(spki), CFG_KEY_LEN);
	else if (got == CFG_KEY_LEN)
		memcpy(out, bytes, CFG_KEY_LEN);
	else
		return false;
	return true;
}

static void texts_of(const struct tr_config *cfg, const char *out[CFG_NGOVERNORS])
{
	out[0] = cfg->governance_war_chief;
	out[1] = cfg->governance_peace_chief;
	out[2] = cfg->governance_medicine_woman;
}

const char *governance_objection(const struct tr_config *cfg, unsigned i, char why[CFG_RULE_MAX])
{
	static const unsigned char none[CFG_KEY_LEN];
	unsigned char key[CFG_KEY_LEN], other[CFG_KEY_LEN];
	const char *text[CFG_NGOVERNORS];

	texts_of(cfg, text);
	if (text[i][0] == '\0')
		return NULL; /* the others object when they are there */
	if (!read_key(text[i], key) || memcmp(key, none, sizeof(none)) == 0)
		return "must be an Ed25519 public key: the base64 between the lines of its PEM file";
	for (unsigned k = 0; k < CFG_NGOVERNORS; k++) {
		if (text[k][0] == '\0') {
			(void)snprintf(why, CFG_RULE_MAX, "must be given together with governance.%s",
				       cfg_governors[k]);
			return why;
		}
		if (k < i && read_key(text[k], other) && memcmp(other, key, sizeof(key)) == 0) {
			(void)snprintf(why, CFG_RULE_MAX, "is the same key as governance.%s", cfg_governors[k]);
			return why;
		}
	}
	return NULL;
}

bool cfg_governance_keys(const struct tr_config *cfg, unsigned char out[CFG_NGOVERNORS][CFG_KEY_LEN])
{
	unsigned char key[CFG_NGOVERNORS][CFG_KEY_LEN];
	const char *text[CFG_NGOVERNORS];

	texts_of(cfg, text);
	for (unsigned i = 0; i < CFG_NGOVERNORS; i++) {
		if (!read_key(text[i], key[i]))
			return false;
	}
	if (out != NULL)
		memcpy(out, key, sizeof(key));
	return true;
}
