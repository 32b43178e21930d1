/* Acts of governance on an archive: who may ask, once, the delay, objections, what they do, and what is kept of them.
 */
#include "memory_rig.h"

#include "common/base/text.h"
#include "jrs/memory/archive/salvage.h"
#include "proto/dsse/dsse.h"
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <sys/stat.h>

#define TYPE  "application/vnd.tribe.governance+json"
#define DELAY 60000
#define WAR   1u
#define PEACE 2u
#define WOMAN 4u
#define OTHER 8u /* a key that is none of the three */
#define ALL   (WAR | PEACE | WOMAN)

static struct dsse_key *key[4];
static unsigned char pub[4][DSSE_KEY_LEN];

static int make_keys(void **s)
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

static int drop_keys(void **s)
{
	(void)s;
	for (unsigned i = 0; i < 4; i++)
		dsse_key_free(&key[i]);
	return 0;
}

static int with_keys(void **s)
{
	struct rig *g = rig_new();

	g->governors = (const unsigned char(*)[32])pub;
	g->act_delay_ms = DELAY;
	rig_reopen(g);
	*s = g;
	return 0;
}

static int without_keys(void **s)
{
	struct rig *g = rig_new();

	g->act_delay_ms = DELAY;
	rig_reopen(g);
	*s = g;
	return 0;
}

/* ---- asking ---- */
static const struct res_memory_acts *acts(struct rig *g)
{
	return rig_call(g, MSG_memory_acts, &(struct msg_memory_acts){.has_id = false});
}

static const struct item_governed *act_of(struct rig *g, const char *id)
{
	const struct res_memory_acts *res =
		rig_call(g, MSG_memory_acts, &(struct msg_memory_acts){.has_id = true, .id = wire_s(id)});

	assert_int_equal(res->acts.n, 1);
	return &res->acts.v[0];
}

/* The payload of an act of this archive: `rest` is what comes behind the usual. */
static wire_str payload(struct rig *g, const char *id, const char *act, const char *rest)
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

static wire_str sealed(struct rig *g, wire_str said, unsigned who)
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

static const struct res_memory_govern *try_govern(struct rig *g, wire_str envelope)
{
	return rig_try(g, MSG_memory_govern, &(struct msg_memory_govern){.has_envelope = true, .envelope = envelope});
}

static const struct item_governed *govern(struct rig *g, const char *id, const char *act, const char *rest,
					  unsigned who)
{
	const struct res_memory_govern *res = try_govern(g, sealed(g, payload(g, id, act, rest), who));

	if (res == NULL)
		fail_msg("%s: %d %s %s", id, g->r, g->fault.field, g->fault.rule);
	return &res->act;
}

static bool carried(struct rig *g)
{
	const struct res_memory_carry_out *res =
		rig_call(g, MSG_memory_carry_out, &(struct msg_memory_carry_out){.common = {.has_request_id = false}});

	return res->acts.n == 1;
}

static void holy(struct rig *g, const char *id)
{
	struct item_new_memory m = said(id);

	m.has_id = m.has_sacred = m.sacred = true;
	m.id = wire_s(id);
	rig_add(g, &m);
}

static unsigned decisions(struct rig *g)
{
	struct msg_memory_decisions msg = {.has_limit = true, .limit = 200};

	return ((const struct res_memory_decisions *)rig_call(g, MSG_memory_decisions, &msg))->decisions.n;
}

static int64_t due(struct rig *g)
{
	struct archive_stats stats;

	archive_stats(g->a, &stats);
	return stats.act_due_ms;
}

/* ---- tests ---- */
static void three_of_three_delete(void **s)
{
	struct rig *g = *s;
	const struct item_governed *a;

	holy(g, "holy");
	rig_say(g, "plain");
	a = govern(g, "a1", "delete", ",\"memory\":\"holy\"", ALL);
	assert_true(same(a->state, "pending") && a->due_at == rig_now + DELAY && a->signers.n == 3);
	assert_true(same(a->signers.v[0], "war_chief") && same(a->reason, "because"));
	assert_int_equal(due(g), rig_now + DELAY);
	assert_int_equal(decisions(g), 1);
	assert_false(carried(g)); /* not yet */
	rig_now += DELAY - 1;
	assert_false(carried(g));
	assert_true(rig_get(g, wire_s("holy"))->sacred);
	rig_now++;
	rig_reopen(g); /* whoever leads then */
	assert_int_equal(due(g), rig_now);
	assert_true(carried(g));
	assert_int_equal(g->answer.nhits, 1);
	assert_false(rig_try_get(g, wire_s("holy")));
	assert_false(carried(g));
	assert_int_equal(due(g), 0);
	a = act_of(g, "a1");
	assert_true(same(a->state, "done") && a->ended_at == rig_now && a->has_envelope);
	assert_int_equal(decisions(g), 2);
	assert_int_equal(rig_thermal(g, 0)->sacred_count, 0);
	rig_figures_hold(g);
	/* and no other way */
	holy(g, "other");
	assert_null(rig_try(g, MSG_memory_forget, &(struct msg_memory_forget){.id = wire_s("other")}));
	assert_int_equal(g->r, TR_EREFUSED);
	assert_true(rig_refuses(g, "DELETE FROM thermal_memory_archive WHERE id = 'other'"));
}

static void designate_and_unsacre(void **s)
{
	struct rig *g = *s;
	wire_str id = rig_say(g, "plain")->id;
	char rest[100];

	snprintf(rest, sizeof(rest), ",\"memory\":\"%.*s\"", (int)id.n, id.p);
	govern(g, "d", "designate", rest, ALL);
	rig_now += 52 * WEEK;
	assert_true(carried(g));
	assert_true(rig_get(g, id)->sacred && rig_get(g, id)->temperature == 40.0);
	assert_int_equal(rig_thermal(g, 0)->sacred_count, 1);
	rig_figures_hold(g);
	govern(g, "u", "unsacre", rest, ALL);
	rig_now += DELAY;
	assert_true(carried(g));
	assert_false(rig_get(g, id)->sacred);
	assert_int_equal(rig_get(g, id)->revision, 3);
	assert_true(rig_get(g, id)->temperature < 40.0);
	rig_figures_hold(g);
}

static void too_few_signatures(void **s)
{
	static const struct {
		const char *act, *rest;
		unsigned who;
	} few[] = {
		{"delete", ",\"memory\":\"holy\"", WAR | PEACE},
		{"unsacre", ",\"memory\":\"holy\"", PEACE | WOMAN},
		{"delete", ",\"memory\":\"holy\"", WAR | WOMAN | OTHER},
		{"constants", ",\"constants\":{\"base\":41}", WAR},
		{"constants", ",\"constants\":{\"base\":41}", WOMAN | OTHER},
	};
	struct rig *g = *s;
	char id[8];

	holy(g, "holy");
	for (unsigned i = 0; i < sizeof(few) / sizeof(few[0]); i++) {
		const struct item_governed *a;

		snprintf(id, sizeof(id), "f%u", i);
		a = govern(g, id, few[i].act, few[i].rest, few[i].who);
		assert_true(same(a->state, "refused") && a->has_note);
		assert_int_equal(decisions(g), i + 1); /* with its reason, for everybody to see */
		govern(g, id, few[i].act, few[i].rest, few[i].who);
		assert_int_equal(decisions(g), i + 1); /* said again, it says nothing new */
	}
	assert_int_equal(due(g), 0);
	rig_now += DELAY;
	assert_false(carried(g));
	/* a stranger is not even written down */
	assert_null(try_govern(g, sealed(g, payload(g, "s", "delete", ",\"memory\":\"holy\""), OTHER)));
	assert_int_equal(g->r, TR_EREFUSED);
	assert_null(try_govern(g, sealed(g, payload(g, "s", "delete", ",\"memory\":\"holy\""), 0)));
	assert_int_equal(g->r, TR_EREFUSED);
	assert_int_equal(acts(g)->acts.n, 5);
	/* what was refused may come again with more signatures */
	assert_true(same(govern(g, "f0", "delete", ",\"memory\":\"holy\"", ALL)->state, "pending"));
}

static void an_id_is_used_once(void **s)
{
	struct rig *g = *s;
	wire_str envelope, longer;
	const struct res_memory_govern *res;

	holy(g, "holy");
	envelope = sealed(g, payload(g, "once", "constants", ",\"constants\":{\"base\":41}"), WAR | PEACE);
	res = try_govern(g, envelope);
	assert_true(res != NULL && !res->known);
	res = try_govern(g, envelope);
	assert_true(res != NULL && res->known && same(res->act.state, "pending"));
	longer = sealed(g, payload(g, "once", "constants", ",\"constants\":{\"base\":42}"), ALL);
	assert_null(try_govern(g, longer));
	assert_int_equal(g->r, TR_ECONFLICT);
	rig_now += DELAY;
	assert_true(carried(g));
	assert_true(acts(g)->constants.base == 41.0);
	/* done is done: neither the same envelope nor another under its id does anything */
	res = try_govern(g, envelope);
	assert_true(res != NULL && res->known && same(res->act.state, "done"));
	rig_now += DELAY;
	assert_false(carried(g));
	assert_null(try_govern(g, longer));
	assert_int_equal(decisions(g), 2);
	assert_true(rig_refuses(g, "UPDATE acts SET state = 'pending'"));
	assert_true(rig_refuses(g, "DELETE FROM acts"));
}

static void what_does_not_count_here(void **s)
{
	struct rig *g = *s;
	char text[600], now[TR_RFC3339_LEN], far[TR_RFC3339_LEN];
	const struct res_memory_govern *res;
	wire_str archive = acts(g)->archive;

	tr_rfc3339_format(rig_now, now);
	tr_rfc3339_format(rig_now + 400 * DAY, far);
	assert_int_equal(archive.n, 14);
	snprintf(text, sizeof(text),
		 "{\"act\":\"constants\",\"id\":\"x\",\"archive\":\"00000000000000\",\"expires\":\"%s\",\"reason\":"
		 "\"r\","
		 "\"constants\":{\"base\":41}}",
		 far);
	res = try_govern(g, sealed(g, wire_s(text), ALL));
	assert_true(res != NULL && same(res->act.state, "refused") && same(res->act.note, "it is for another archive"));
	snprintf(text, sizeof(text),
		 "{\"act\":\"constants\",\"id\":\"y\",\"archive\":\"%.*s\",\"expires\":\"%s\",\"reason\":\"r\","
		 "\"constants\":{\"base\":41}}",
		 14, archive.p, now);
	res = try_govern(g, sealed(g, wire_s(text), ALL));
	assert_true(res != NULL && same(res->act.note, "it has expired"));
	snprintf(text, sizeof(text),
		 "{\"act\":\"constants\",\"id\":\"z\",\"archive\":\"%.*s\",\"expires\":\"%s\",\"reason\":\"r\","
		 "\"constants\":{\"base\":41}}",
		 14, archive.p, far);
	res = try_govern(g, sealed(g, wire_s(text), ALL));
	assert_true(res != NULL && same(res->act.state, "refused"));
	snprintf(text, sizeof(text), "{\"act\":\"constants\",\"reason\":\"r\",\"constants\":{\"base\":41}}");
	assert_null(try_govern(g, sealed(g, wire_s(text), ALL)));
	assert_true(g->r == TR_EINVAL && strcmp(g->fault.field, "id") == 0);
	assert_null(try_govern(g, sealed(g, wire_s("{\"act\":\"constants\",\"reason\":\"r\",\"fast\":true}"), ALL)));
	assert_int_equal(g->r, TR_EINVAL);
	assert_null(try_govern(g, sealed(g, wire_s("no JSON"), ALL)));
	assert_int_equal(g->r, TR_EMALFORMED);
	assert_null(try_govern(g, wire_s("{}")));
	assert_int_equal(g->r, TR_EINVAL);
	/* an admin's word is none where keys are */
	assert_null(rig_try(g, MSG_memory_govern,
			    &(struct msg_memory_govern){.has_act = true,
							.act = {.act = wire_s("constants"),
								.reason = wire_s("r"),
								.has_constants = true,
								.constants = {.has_base = true, .base = 41}},
							.has_confirm = true,
							.confirm = archive}));
	assert_int_equal(g->r, TR_EREFUSED);
	/* what makes no sense, however signed */
	assert_true(same(govern(g, "n1", "constants", ",\"constants\":{\"sacred_floor\":39}", ALL)->state, "refused"));
	assert_true(same(govern(g, "n2", "constants", ",\"constants\":{}", ALL)->state, "refused"));
	assert_true(same(govern(g, "n3", "constants", ",\"constants\":{\"warm\":71}", ALL)->state, "refused"));
	assert_true(same(govern(g, "n4", "constants", ",\"constants\":{\"base\":40}", ALL)->state, "refused"));
	assert_true(same(govern(g, "n5", "delete", ",\"memory\":\"nobody\"", ALL)->state, "refused"));
	rig_say(g, "plain");
	assert_int_equal(due(g), 0);
}

static void an_objection_stops_it(void **s)
{
	struct rig *g = *s;
	const struct item_governed *a;
	wire_str no;

	holy(g, "holy");
	govern(g, "a", "delete", ",\"memory\":\"holy\"", ALL);
	govern(g, "b", "constants", ",\"constants\":{\"base\":41}", WAR | WOMAN);
	no = sealed(g, payload(g, "o", "object", ",\"objects_to\":\"a\""), PEACE);
	rig_now += DELAY / 2;
	/* nobody's key: nothing */
	assert_null(try_govern(g, sealed(g, payload(g, "p", "object", ",\"objects_to\":\"a\""), OTHER)));
	assert_int_equal(g->r, TR_EREFUSED);
	a = &try_govern(g, no)->act;
	assert_true(same(a->state, "stopped") && a->objections.n == 1);
	assert_true(same(a->objections.v[0].by, "peace_chief") && same(a->objections.v[0].reason, "because"));
	assert_true(same(a->note, "peace_chief objects: because"));
	assert_true(try_govern(g, no)->known);
	assert_int_equal(decisions(g), 3);
	assert_int_equal(due(g), act_of(g, "b")->due_at); /* the other one goes on */
	rig_now += DELAY;
	rig_reopen(g);
	assert_true(carried(g));
	assert_false(carried(g));
	assert_true(rig_get(g, wire_s("holy"))->sacred);
	assert_true(same(act_of(g, "a")->state, "stopped") && same(act_of(g, "b")->state, "done"));
	/* too late, and to what there is not */
	assert_null(try_govern(g, sealed(g, payload(g, "q", "object", ",\"objects_to\":\"b\""), WAR)));
	assert_int_equal(g->r, TR_ECONFLICT);
	assert_null(try_govern(g, sealed(g, payload(g, "q", "object", ",\"objects_to\":\"c\""), WAR)));
	assert_int_equal(g->r, TR_ENOTFOUND);
	assert_true(rig_refuses(g, "DELETE FROM objections"));
	assert_true(rig_refuses(g, "UPDATE acts SET state = 'pending' WHERE id = 'a'"));
	/* its time has come, though nobody has carried it out yet: too late too */
	govern(g, "c", "delete", ",\"memory\":\"holy\"", ALL);
	rig_now += DELAY;
	assert_null(try_govern(g, sealed(g, payload(g, "r", "object", ",\"objects_to\":\"c\""), WAR)));
	assert_int_equal(g->r, TR_ECONFLICT);
}

static void what_changed_meanwhile_fails(void **s)
{
	struct rig *g = *s;

	holy(g, "holy");
	govern(g, "a", "delete", ",\"memory\":\"holy\"", ALL);
	govern(g, "b", "unsacre", ",\"memory\":\"holy\"", ALL);
	rig_now += DELAY;
	assert_true(carried(g));
	assert_true(carried(g));
	assert_false(carried(g));
	assert_true(same(act_of(g, "a")->state, "done"));
	assert_true(same(act_of(g, "b")->state, "failed") && same(act_of(g, "b")->note, "no memory has this id"));
}

static void not_before(void **s)
{
	struct rig *g = *s;
	char rest[120], at[TR_RFC3339_LEN];

	tr_rfc3339_format(rig_now + 5 * DELAY, at);
	snprintf(rest, sizeof(rest), ",\"constants\":{\"base\":41},\"not_before\":\"%s\"", at);
	assert_int_equal(govern(g, "a", "constants", rest, WAR | PEACE)->due_at, rig_now + 5 * DELAY);
	rig_now += 4 * DELAY;
	assert_false(carried(g));
	rig_now += DELAY;
	assert_true(carried(g));
}

/* ---- the constants ---- */
static void some_memories(struct rig *g)
{
	char text[40];

	for (int i = 0; i < 60; i++) {
		rig_now += HOUR * (1 + i * 37 % 50);
		snprintf(text, sizeof(text), "thing %d", i * i % 23);
		rig_say(g, text);
	}
	for (int i = 0; i < 5; i++) {
		snprintf(text, sizeof(text), "holy %d", i);
		holy(g, text);
		rig_now += WEEK;
	}
}

/* Ids of all but the decisions, hottest first, and the sum of their temperatures. */
static double order_of(struct rig *g, char *out, size_t size)
{
	const struct res_memory_thermal *t = rig_thermal(g, 100);
	double sum = 0;

	assert_in_range(t->total_memories, 1, 100);
	out[0] = '\0';
	for (uint32_t i = 0; i < t->hottest.n; i++) {
		const struct item_memory *m = &t->hottest.v[i];

		if (m->has_source && same(m->source, "memory_jr"))
			continue;
		sum += m->temperature;
		snprintf(out + strlen(out), size - strlen(out), "%.*s ", (int)m->id.n, m->id.p);
	}
	return sum;
}

static double view_differs(struct rig *g)
{
	/* the view's now is the wall clock's: compare at a time that both know is impossible, the order is not */
	return rig_sql(g,
		       "SELECT count(*) FROM thermal_memory_now a JOIN thermal_memory_now b ON a.heat_key > b.heat_key "
		       "AND a.sacred_pattern = b.sacred_pattern AND a.temperature_score < b.temperature_score - 1e-9");
}

static void constants_change(void **s)
{
	static const char *const changes[] = {
		"{\"base\":45,\"k\":12}",
		"{\"half_life_ms\":86400000}",
		"{\"half_life_ms\":2592000000,\"warm\":33,\"sacred_floor\":42.5}",
		"{\"max\":95,\"half_life_ms\":604800000}",
	};
	static char before[8000], after[8000];
	struct rig *g = *s;
	char id[8], rest[200];

	some_memories(g);
	for (unsigned i = 0; i < sizeof(changes) / sizeof(changes[0]); i++) {
		double sum, then;

		rig_say(g, "on everybody's lips");
		snprintf(id, sizeof(id), "c%u", i);
		snprintf(rest, sizeof(rest), ",\"constants\":%s", changes[i]);
		assert_true(same(govern(g, id, "constants", rest, 1u << i % 3 | 1u << (i + 1) % 3)->state, "pending"));
		rig_now += DELAY;
		sum = order_of(g, before, sizeof(before));
		assert_true(carried(g));
		then = order_of(g, after, sizeof(after));
		assert_string_equal(before, after);
		if (i == 1) /* a half-life alone moves nobody at its moment */
			assert_true(fabs(then - sum) < 1e-6);
		else if (i == 0)
			assert_true(fabs(then - sum) > 1e-6);
		assert_true(rig_thermal(g, 0)->sacred_min_temperature >= 40.0);
		rig_figures_hold(g); /* against a recount, before and behind a fresh start */
		assert_true(view_differs(g) == 0.0);
		assert_true(act_of(g, id)->has_before);
		rig_now += 3 * DAY;
		rig_say(g, changes[i]);
		rig_figures_hold(g);
	}
	assert_true(act_of(g, "c0")->before.base == 40.0 && act_of(g, "c1")->before.half_life_ms == (double)WEEK);
	assert_true(acts(g)->constants.max == 95.0 && acts(g)->constants.sacred_floor == 42.5);
	assert_true(rig_thermal(g, 0)->sacred_min_temperature >= 42.5);
	rig_now += 520 * WEEK;
	assert_true(rig_thermal(g, 0)->sacred_min_temperature == 42.5);
	rig_figures_hold(g);
	/* by hand, still not */
	assert_true(rig_refuses(g, "UPDATE settings SET value = 1 WHERE key = 'thermal.base'"));
	assert_true(rig_refuses(g, "DELETE FROM settings WHERE key = 'archive.id'"));
	assert_true(rig_refuses(g, "DELETE FROM thermal_clock"));
	assert_true(rig_refuses(g, "INSERT INTO thermal_clock(at, tau, half_life_ms) VALUES(0, 0, 1)"));
}

/* A day's cooling after a half-life of a day: what the new constants say. */
static void a_new_half_life_cools_anew(void **s)
{
	struct rig *g = *s;
	wire_str id = rig_say(g, "used once")->id;

	govern(g, "h", "constants", ",\"constants\":{\"half_life_ms\":86400000}", WAR | PEACE);
	rig_now += WEEK;
	assert_true(carried(g));
	assert_true(fabs(rig_get(g, id)->temperature - 30.0) < 1e-6);
	rig_now += DAY;
	assert_true(fabs(rig_get(g, id)->temperature - 20.0) < 1e-6);
	rig_reopen(g);
	assert_true(fabs(rig_get(g, id)->temperature - 20.0) < 1e-6);
	assert_true(rig_say(g, "new")->temperature == 40.0);
}

/* An export with another clock, taken back here and in an archive that knows nothing of it. */
static void exports_go_on(void **s)
{
	struct rig *g = *s;
	struct list_record all;
	struct msg_memory_restore msg;
	wire_str id;

	some_memories(g);
	govern(g, "h", "constants", ",\"constants\":{\"half_life_ms\":43200000}", WAR | PEACE);
	rig_now += DELAY;
	assert_true(carried(g));
	rig_now += 30 * DAY;
	id = rig_say(g, "thing 4")->id;
	all = rig_export(g, 100);
	msg = (struct msg_memory_restore){.records = all};
	assert_int_equal(((const struct res_memory_restore *)rig_call(g, MSG_memory_restore, &msg))->added, 0);
	rig_start_over(g);
	assert_int_equal(((const struct res_memory_restore *)rig_call(g, MSG_memory_restore, &msg))->added, all.n);
	assert_true(rig_get(g, id)->temperature > 39.99);
	rig_figures_hold(g);
}

/* A follower, as an understudy is one, sees the constants; and one that takes over while an act is pending carries it
 * out. */
struct told {
	bool done;
	int r;
};

static void on_lead(void *arg, int r, uint64_t epoch, const struct tr_fault *fault)
{
	struct told *t = arg;

	(void)epoch, (void)fault;
	t->done = true;
	t->r = r;
}

static void await(struct rig *g, struct told *t)
{
	uint64_t until = tr_mono_ms() + 20000;

	while (!t->done && tr_mono_ms() < until)
		uv_run(&g->loop, UV_RUN_ONCE);
	assert_true(t->done);
	assert_int_equal(t->r, 0);
}

static void whoever_follows_sees_it(void **s)
{
	struct rig *g = *s;
	struct archive_cfg cfg = rig_cfg(g);
	struct archive *lead = g->a, *other = NULL;
	struct told t = {false, 0};
	struct archive_stats stats;
	uint64_t epoch;

	holy(g, "holy");
	cfg.follow = true;
	assert_int_equal(archive_open(&other, &cfg, NULL), 0);
	govern(g, "c", "constants", ",\"constants\":{\"base\":44}", WAR | PEACE);
	govern(g, "d", "delete", ",\"memory\":\"holy\"", ALL);
	rig_now += DELAY;
	assert_true(carried(g));
	assert_true(archive_model(other)->base == 40.0);
	assert_int_equal(archive_refresh(other, on_lead, &t), 0);
	await(g, &t);
	assert_true(archive_model(other)->base == 44.0);
	archive_stats(other, &stats);
	assert_int_equal(stats.act_due_ms, rig_now);
	/* the lead is gone in the middle: nothing more of it */
	archive_stats(lead, &stats);
	epoch = stats.epoch + 1;
	archive_close(&lead);
	g->a = other;
	t.done = false;
	assert_int_equal(archive_lead(other, epoch, on_lead, &t), 0);
	await(g, &t);
	assert_true(carried(g));
	assert_false(carried(g));
	assert_false(rig_try_get(g, wire_s("holy")));
	assert_int_equal(decisions(g), 4);
}

/* A salvaged archive is governed as the old one was: constants, clock, acts, its id. */
static void a_salvage_takes_it_along(void **s)
{
	struct rig *g = *s;
	struct salvage_cfg cfg = {.name = "new.sqlite", .reason = "a test", .now_ms = rig_now};
	static const char *const left[] = {"salvage.json", "rejects.jsonl"};
	char to[80], path[120], before[40];
	struct salvage_report report;
	struct tr_fault fault = {0};
	double hot;

	if (g->conninfo[0] != '\0')
		skip(); /* a server's archive is not ours to salvage */
	some_memories(g);
	govern(g, "h", "constants", ",\"constants\":{\"half_life_ms\":43200000,\"base\":44}", WAR | PEACE);
	govern(g, "p", "delete", ",\"memory\":\"holy 1\"", ALL);
	rig_now += DELAY;
	assert_true(carried(g));
	snprintf(before, sizeof(before), "%.14s", acts(g)->archive.p);
	hot = rig_get(g, wire_s("holy 4"))->temperature;
	archive_close(&g->a);
	snprintf(to, sizeof(to), "%s/2", g->dir);
	assert_int_equal(mkdir(to, 0700), 0);
	cfg.from = g->path;
	cfg.to_dir = to;
	if (salvage(&cfg, &report, &fault) < 0)
		fail_msg("%s %s", fault.field, fault.rule);
	assert_int_equal(report.rejected, 0);
	snprintf(path, sizeof(path), "%s/new.sqlite", to);
	assert_int_equal(rename(path, g->path), 0);
	for (unsigned i = 0; i < sizeof(left) / sizeof(left[0]); i++) {
		snprintf(path, sizeof(path), "%s/%s", to, left[i]);
		unlink(path);
	}
	assert_int_equal(rmdir(to), 0);
	assert_int_equal(rig_open_again(g, &fault), 0);
	assert_string_equal(before, acts(g)->archive.p);
	assert_true(acts(g)->constants.base == 44.0 && acts(g)->constants.half_life_ms == 43200000.0);
	assert_true(fabs(rig_get(g, wire_s("holy 4"))->temperature - hot) < 1e-9);
	assert_int_equal(acts(g)->acts.n, 2);
	assert_int_equal(due(g), rig_now);
	assert_true(rig_refuses(g, "UPDATE settings SET value = 1 WHERE key = 'thermal.base'"));
	assert_true(carried(g));
	assert_false(rig_try_get(g, wire_s("holy 1")));
	rig_figures_hold(g);
}

/* ---- without keys ---- */
static const struct res_memory_govern *admin(struct rig *g, struct item_act act, const char *confirm)
{
	struct msg_memory_govern msg = {.has_act = true, .act = act, .has_by = true, .by = wire_s("ada")};

	msg.has_confirm = confirm != NULL;
	msg.confirm = wire_s(confirm);
	msg.act.reason = wire_s("it is wrong");
	return rig_try(g, MSG_memory_govern, &msg);
}

static void an_admin_where_there_are_no_keys(void **s)
{
	struct rig *g = *s;
	struct item_act del = {.act = wire_s("delete"), .has_memory = true, .memory = wire_s("holy")};
	struct item_act base = {.act = wire_s("constants"),
				.has_constants = true,
				.constants = {.has_base = true, .base = 41},
				.has_id = true,
				.id = wire_s("mine")};
	struct item_act no = {.act = wire_s("object"), .has_objects_to = true, .objects_to = wire_s("mine")};
	const struct res_memory_govern *res;
	char archive[16];

	holy(g, "holy");
	snprintf(archive, sizeof(archive), "%.14s", acts(g)->archive.p);
	assert_false(acts(g)->keys);
	assert_int_equal(acts(g)->delay_s, DELAY / 1000);
	assert_null(admin(g, del, NULL));
	assert_true(g->r == TR_EINVAL && strcmp(g->fault.field, "confirm") == 0);
	assert_null(admin(g, del, "hol"));
	assert_null(admin(g, base, "holy"));
	res = admin(g, del, "holy");
	assert_true(res != NULL && same(res->act.state, "pending") && same(res->act.signers.v[0], "ada"));
	res = admin(g, base, archive);
	assert_true(res != NULL && same(res->act.id, "mine"));
	assert_true(admin(g, base, archive)->known);
	res = admin(g, no, NULL);
	assert_true(res != NULL && same(res->act.state, "stopped") && same(res->act.note, "ada objects: it is wrong"));
	rig_now += DELAY;
	assert_true(carried(g));
	assert_false(carried(g));
	assert_false(rig_try_get(g, wire_s("holy")));
	assert_true(acts(g)->constants.base == 40.0);
	/* signatures say nothing where nobody's keys are known */
	assert_null(try_govern(g, sealed(g, payload(g, "x", "constants", ",\"constants\":{\"base\":41}"), ALL)));
	assert_int_equal(g->r, TR_EREFUSED);
}

static bool sacred_add(struct rig *g, const char *content, const char *source, bool rationed)
{
	struct item_new_memory m = said(content);
	struct msg_memory_add msg = {.common = {.has_rationed = rationed, .rationed = rationed}, .memories = {&m, 1}};

	m.has_sacred = m.sacred = true;
	m.has_source = true;
	m.source = wire_s(source);
	return rig_try(g, MSG_memory_add, &msg) != NULL;
}

static void so_many_sacred_ones_a_day(void **s)
{
	struct rig *g = *s;
	struct msg_memory_patch patch = {
		.common = {.has_rationed = true, .rationed = true}, .has_sacred = true, .sacred = true};
	struct item_new_memory m = said("to be patched");

	g->sacred_limited = true;
	g->sacred_quota = 2;
	rig_reopen(g);
	rig_now -= rig_now % DAY;
	rig_now += HOUR;
	assert_true(sacred_add(g, "one", "a", true));
	assert_true(sacred_add(g, "one", "a", true)); /* it is sacred already */
	assert_true(sacred_add(g, "two", "a", true));
	assert_false(sacred_add(g, "three", "a", true));
	assert_int_equal(g->r, TR_EQUOTA);
	assert_true(rig_look(g, LOOK_MEMORIES) == 2.0);
	assert_true(sacred_add(g, "three", "b", true)); /* each source has its own */
	assert_true(sacred_add(g, "four", "a", false)); /* an admin */
	m.has_source = true;
	m.source = wire_s("a");
	patch.id = rig_add(g, &m)->id;
	assert_null(rig_try(g, MSG_memory_patch, &patch));
	assert_int_equal(g->r, TR_EQUOTA);
	rig_reopen(g);
	assert_false(sacred_add(g, "five", "a", true));
	rig_now += DAY;
	assert_non_null(rig_try(g, MSG_memory_patch, &patch));
	assert_true(sacred_add(g, "five", "a", true));
	assert_false(sacred_add(g, "six", "a", true));
	g->sacred_quota = 0;
	rig_reopen(g);
	assert_false(sacred_add(g, "seven", "c", true));
	assert_int_equal(g->r, TR_EREFUSED);
	assert_true(sacred_add(g, "seven", "c", false));
	rig_figures_hold(g);
}

#define K(name) cmocka_unit_test_setup_teardown(name, with_keys, rig_teardown_sound)
#define N(name) cmocka_unit_test_setup_teardown(name, without_keys, rig_teardown_sound)
int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		K(three_of_three_delete),
		K(designate_and_unsacre),
		K(too_few_signatures),
		K(an_id_is_used_once),
		K(what_does_not_count_here),
		K(an_objection_stops_it),
		K(what_changed_meanwhile_fails),
		K(not_before),
		K(constants_change),
		K(a_new_half_life_cools_anew),
		K(exports_go_on),
		K(whoever_follows_sees_it),
		K(a_salvage_takes_it_along),
		N(an_admin_where_there_are_no_keys),
		N(so_many_sacred_ones_a_day),
	};

	rig_choose(argc, argv);
	return cmocka_run_group_tests(tests, make_keys, drop_keys);
}
