/* Acts of governance on a rig: keys, envelopes, and what is asked in every test of them. */
#ifndef TESTS_UNIT_ACTS_KIT_H
#define TESTS_UNIT_ACTS_KIT_H
#include "memory_rig.h"

#include "common/base/text.h"
#include "proto/dsse/dsse.h"
#include <openssl/evp.h>
#include <openssl/pem.h>

#define TYPE  "application/vnd.tribe.governance+json"
#define DELAY 60000
#define WAR   1u
#define PEACE 2u
#define WOMAN 4u
#define OTHER 8u /* a key that is none of the three */
#define ALL   (WAR | PEACE | WOMAN)

static struct dsse_key *key[4];
static unsigned char pub[4][DSSE_KEY_LEN];

static inline int make_keys(void **s)
{
	(void)s;
	for (unsigned i = 0; i < 4; i++) {
		unsigned char seed[32];
		EVP_PKEY *p;
		BIO *bio = BIO_new(BIO_s_mem());
		char *pem;
		long n;

		memset(seed, (int)i + 1, sizeof(seed));
		p = EVP_PKEY_new_raw_private_key(EVP_PKEY_ED25519, NULL, seed, sizeof(seed));
		assert_int_equal(PEM_write_bio_PrivateKey(bio, p, NULL, NULL, 0, NULL, NULL), 1);
		n = BIO_get_mem_data(bio, &pem);
		assert_int_equal(dsse_key_read(&key[i], pem, (size_t)n, NULL, NULL), 0);
		dsse_key_public(key[i], pub[i]);
		BIO_free(bio);
		EVP_PKEY_free(p);
	}
	return 0;
}

static inline int drop_keys(void **s)
{
	(void)s;
	for (unsigned i = 0; i < 4; i++)
		dsse_key_free(&key[i]);
	return 0;
}

static inline int with_keys(void **s)
{
	struct rig *g = rig_new();

	g->governors = (const unsigned char(*)[32])pub;
	g->act_delay_ms = DELAY;
	rig_reopen(g);
	*s = g;
	return 0;
}

static inline int without_keys(void **s)
{
	struct rig *g = rig_new();

	g->act_delay_ms = DELAY;
	rig_reopen(g);
	*s = g;
	return 0;
}

/* ---- asking ---- */
static inline const struct res_memory_acts *acts(struct rig *g)
{
	return rig_call(g, MSG_memory_acts, &(struct msg_memory_acts){.has_id = false});
}

static inline const struct item_governed *act_of(struct rig *g, const char *id)
{
	const struct res_memory_acts *res =
		rig_call(g, MSG_memory_acts, &(struct msg_memory_acts){.has_id = true, .id = wire_s(id)});

	assert_int_equal(res->acts.n, 1);
	return &res->acts.v[0];
}

/* The payload of an act of this archive: `rest` is what comes behind the usual. */
static inline wire_str payload(struct rig *g, const char *id, const char *act, const char *rest)
{
	char *text = msgpack_zone_malloc(g->zone, 2000);
	wire_str archive = acts(g)->archive;
	char expires[TR_RFC3339_LEN];

	tr_rfc3339_format(rig_now + WEEK, expires);
	snprintf(text, 2000,
		 "{\"act\":\"%s\",\"id\":\"%s\",\"archive\":\"%.*s\",\"expires\":\"%s\",\"reason\":\"because\"%s}", act,
		 id, (int)archive.n, archive.p, expires, rest);
	return wire_s(text);
}

static inline wire_str sealed(struct rig *g, wire_str said, unsigned who)
{
	struct dsse e = {.type = TYPE, .payload_n = said.n};
	struct buf text = {0};
	char *copy;

	memcpy(e.payload, said.p, said.n);
	for (unsigned i = 0; i < 4; i++) {
		if (who >> i & 1)
			assert_int_equal(dsse_sign(&e, key[i]), 0);
	}
	assert_int_equal(dsse_print(&e, &text), 0);
	copy = msgpack_zone_malloc(g->zone, text.len + 1);
	memcpy(copy, text.p, text.len + 1);
	buf_free(&text);
	return wire_s(copy);
}

static inline const struct res_memory_govern *try_govern(struct rig *g, wire_str envelope)
{
	return rig_try(g, MSG_memory_govern, &(struct msg_memory_govern){.has_envelope = true, .envelope = envelope});
}

static inline const struct item_governed *govern(struct rig *g, const char *id, const char *act, const char *rest,
						 unsigned who)
{
	const struct res_memory_govern *res = try_govern(g, sealed(g, payload(g, id, act, rest), who));

	if (res == NULL)
		fail_msg("%s: %d %s %s", id, g->r, g->fault.field, g->fault.rule);
	return &res->act;
}

static inline bool carried(struct rig *g)
{
	const struct res_memory_carry_out *res =
		rig_call(g, MSG_memory_carry_out, &(struct msg_memory_carry_out){.common = {.has_request_id = false}});

	return res->acts.n == 1;
}

static inline void holy(struct rig *g, const char *id)
{
	struct item_new_memory m = said(id);

	m.has_id = m.has_sacred = m.sacred = true;
	m.id = wire_s(id);
	rig_add(g, &m);
}

static inline unsigned decisions(struct rig *g)
{
	struct msg_memory_decisions msg = {.has_limit = true, .limit = 200};

	return ((const struct res_memory_decisions *)rig_call(g, MSG_memory_decisions, &msg))->decisions.n;
}

static inline int64_t due(struct rig *g)
{
	struct archive_stats stats;

	archive_stats(g->a, &stats);
	return stats.act_due_ms;
}

#endif
