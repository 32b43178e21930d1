/* Tokens, and what exists for who is bound to a source; on SQLite and PostgreSQL. */
#include "memory_rig.h"

#include "common/base/token.h"

static const char hash_a[TR_SHA256_LEN] = "0123456789abcdef0123456789abcde",
		  hash_b[TR_SHA256_LEN] = "b123456789abcdef0123456789abcde";
static wire_bin bin(const char *hash)
{
	return (wire_bin){hash, TR_SHA256_LEN};
}

static const wire_str read_only[] = {{"read", 4}}, read_write[] = {{"read", 4}, {"write", 5}};

static struct msg_memory_token_create token(const char *name, const char *hash)
{
	return (struct msg_memory_token_create){.name = wire_s(name), .scopes = {read_only, 1}, .hash = bin(hash)};
}

static void refused(struct rig *g, const struct msg_memory_token_create *m, int code, const char *field)
{
	assert_null(rig_try(g, MSG_memory_token_create, m));
	assert_int_equal(g->r, code);
	assert_string_equal(g->fault.field, field);
}

static const struct res_memory_token_keys *keys(struct rig *g, uint64_t known)
{
	struct msg_memory_token_keys m = {.has_known = known != 0, .known = known};

	return rig_call(g, MSG_memory_token_keys, &m);
}

static void made_listed_rotated_revoked(void **s)
{
	struct rig *g = *s;
	struct msg_memory_token_create m = token("ci", hash_a);
	struct msg_memory_token_rotate turn = {.name = wire_s("ci"), .hash = bin(hash_b)};
	struct msg_memory_token_revoke away = {.name = wire_s("ci")};
	struct msg_memory_tokens list = {.common = {.has_request_id = false}};
	const struct res_memory_token_create *made;
	const struct res_memory_token_keys *k;
	const struct res_memory_tokens *l;
	const struct res_memory_token_rotate *turned;
	uint64_t revision;

	assert_int_equal(keys(g, 0)->keys.n, 0);
	m.scopes = (wire_strs){read_write, 2};
	m.has_source = m.has_expires_at = true;
	m.source = wire_s("builds");
	m.expires_at = rig_now + HOUR;
	made = rig_call(g, MSG_memory_token_create, &m);
	assert_true(same(made->token.name, "ci") && same(made->token.source, "builds") && made->token.scopes.n == 2);
	assert_true(made->token.created_at >= rig_now && made->token.expires_at == rig_now + HOUR);
	assert_memory_equal(made->hash.p, hash_a, TR_SHA256_LEN);
	k = keys(g, 0);
	revision = k->revision;
	assert_true(revision > 0 && k->keys.n == 1 && k->keys.v[0].scopes == (TR_SCOPE_READ | TR_SCOPE_WRITE));
	assert_memory_equal(k->keys.v[0].hash.p, hash_a, TR_SHA256_LEN);
	assert_false(k->keys.v[0].has_old_hash);
	k = keys(g, revision);
	assert_true(k->same && k->keys.n == 0 && k->revision == revision);

	turned = rig_call(g, MSG_memory_token_rotate, &turn);
	assert_true(turned->token.has_rotated_until && turned->token.rotated_until >= rig_now + 300000 &&
		    turned->token.rotated_until < rig_now + 301000);
	k = keys(g, revision);
	assert_true(!k->same && k->revision > revision && k->keys.n == 1);
	assert_memory_equal(k->keys.v[0].hash.p, hash_b, TR_SHA256_LEN);
	assert_memory_equal(k->keys.v[0].old_hash.p, hash_a, TR_SHA256_LEN);
	rig_reopen(g);
	l = rig_call(g, MSG_memory_tokens, &list);
	assert_true(l->tokens.n == 1 && same(l->tokens.v[0].scopes.v[1], "write"));

	assert_int_equal(((const struct res_memory_token_revoke *)rig_call(g, MSG_memory_token_revoke, &away))->left,
			 0);
	assert_true(keys(g, k->revision)->revision > k->revision && g->res != NULL);
	assert_int_equal(keys(g, 0)->keys.n, 0);
	assert_null(rig_try(g, MSG_memory_token_revoke, &away));
	assert_int_equal(g->r, TR_ENOTFOUND);
	assert_null(rig_try(g, MSG_memory_token_rotate, &turn));
	assert_int_equal(g->r, TR_ENOTFOUND);
}

static void rules(void **s)
{
	static const char *const bad[] = {"x y",       "a/b",       "admin",  "loopback",
					  "memory_jr", "executive", "tribed", "\xc3\xa4"};
	static const wire_str odd[] = {{"read", 4}, {"everything", 10}}, metrics[] = {{"metrics", 7}};
	struct rig *g = *s;
	struct msg_memory_token_create m = token("ok", hash_a);

	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
		m.name = wire_s(bad[i]);
		refused(g, &m, TR_EINVAL, "name");
	}
	m.name = wire_s("ok");
	m.scopes = (wire_strs){odd, 2};
	refused(g, &m, TR_EINVAL, "scopes");
	m.scopes = (wire_strs){metrics, 1};
	m.has_source = true;
	m.source = wire_s("a");
	refused(g, &m, TR_EINVAL, "scopes"); /* one that is bound to a source sees no figures of all */
	m.scopes = (wire_strs){read_only, 1};
	m.source = wire_s("drill:1");
	refused(g, &m, TR_EINVAL, "source");
	m.has_source = false;
	m.has_expires_at = true;
	m.expires_at = rig_now - 1;
	refused(g, &m, TR_EINVAL, "expires_at");
	m.has_expires_at = false;
	m.hash.n = 31;
	refused(g, &m, TR_EINVAL, "hash");
	m.hash.n = 32;
	rig_call(g, MSG_memory_token_create, &m);
	m.hash = bin(hash_b);
	refused(g, &m, TR_ECONFLICT, "name");
}

/* Each try of a client has a token of its own; the first one's is there, and the answer says so. */
static void once_whatever_the_hash(void **s)
{
	struct rig *g = *s;
	struct msg_memory_token_create m = token("ci", hash_a);
	const struct res_memory_token_create *made;

	m.common.has_request_id = true;
	m.common.request_id = wire_s("key:1");
	rig_call(g, MSG_memory_token_create, &m);
	m.hash = bin(hash_b);
	made = rig_call(g, MSG_memory_token_create, &m);
	assert_memory_equal(made->hash.p, hash_a, TR_SHA256_LEN);
	m.name = wire_s("other");
	assert_null(rig_try(g, MSG_memory_token_create, &m));
	assert_int_equal(g->r, TR_EMISMATCH);
}

static void no_more_than_500(void **s)
{
	struct rig *g = *s;
	char name[16], hash[TR_SHA256_LEN] = {0};

	for (int i = 0; i <= WIRE_TOKENS_MAX; i++) {
		struct msg_memory_token_create m = token(name, hash);

		snprintf(name, sizeof(name), "t%d", i);
		m.name = wire_s(name);
		memcpy(hash, &i, sizeof(i));
		if (i < WIRE_TOKENS_MAX)
			rig_call(g, MSG_memory_token_create, &m);
		else
			refused(g, &m, TR_ETOOBIG, "");
	}
	assert_int_equal(keys(g, 0)->keys.n, WIRE_TOKENS_MAX);
}

/* ---- only_source ---- */
static struct wire_common of(const char *source)
{
	return (struct wire_common){.has_only_source = true, .only_source = wire_s(source)};
}

static const struct item_added *say(struct rig *g, const char *source, const char *id, const char *content)
{
	struct item_new_memory m = said(content);

	m.has_source = source != NULL;
	m.source = wire_s(source);
	m.has_id = id != NULL;
	m.id = wire_s(id);
	return rig_add(g, &m);
}

/* Two of "mine", many of others; the newest of mine has been corrected by somebody else. */
static void fill(struct rig *g)
{
	struct item_new_memory m = said("The blue kettle is on the roof, says theirs.");
	char text[64];

	say(g, "mine", "mine-1", "The blue kettle is in the kitchen.");
	say(g, "mine", "mine-2", "The kettle of mine whistles.");
	say(g, NULL, "nobody-1", "The blue kettle of nobody.");
	for (int i = 0; i < 20; i++) {
		snprintf(text, sizeof(text), "Blue kettle number %d of theirs.", i);
		say(g, "theirs", i == 0 ? "theirs-1" : NULL, text);
	}
	m.has_source = m.has_supersedes = true;
	m.source = wire_s("theirs");
	m.supersedes = wire_s("mine-2");
	rig_add(g, &m);
}

static void not_there(struct rig *g, enum wire_msg_id id, const void *msg)
{
	assert_null(rig_try(g, id, msg));
	assert_int_equal(g->r, TR_ENOTFOUND);
	assert_string_equal(g->fault.field, "id");
	assert_string_equal(g->fault.rule, "no memory has this id");
}

static void reads_see_only_it(void **s)
{
	struct rig *g = *s;
	struct msg_memory_get get = {.common = of("mine"), .id = wire_s("mine-2")};
	struct msg_memory_recall recall = {.common = of("mine"), .has_q = true, .q = wire_s("blue kettle")};
	struct msg_memory_explain explain = {
		.common = of("mine"), .id = wire_s("mine-1"), .has_q = true, .q = wire_s("blue kettle")};
	const struct res_memory_recall *found;
	const struct res_memory_explain *why;

	fill(g);
	/* the link to who corrected it does not exist either */
	assert_false(((const struct res_memory_get *)rig_call(g, MSG_memory_get, &get))->memory.has_superseded_by);
	get.common.has_only_source = false;
	assert_true(((const struct res_memory_get *)rig_call(g, MSG_memory_get, &get))->memory.has_superseded_by);
	get.common = of("mine");
	get.id = wire_s("theirs-1");
	not_there(g, MSG_memory_get, &get);
	get.id = wire_s("nobody-1");
	not_there(g, MSG_memory_get, &get);
	get.id = wire_s("never-was");
	not_there(g, MSG_memory_get, &get);

	found = rig_call(g, MSG_memory_recall, &recall);
	assert_true(found->memories.n == 2 && same(found->memories.v[0].id, "mine-1"));
	recall.q = wire_s("whistles"); /* nor does it cost the corrected one its place */
	found = rig_call(g, MSG_memory_recall, &recall);
	assert_true(found->memories.n == 1 && found->memories.v[0].score == 1.0);
	recall.has_q = false;
	found = rig_call(g, MSG_memory_recall, &recall);
	assert_true(found->memories.n == 2 && same(found->memories.v[0].id, "mine-2") && !found->has_next_cursor);
	recall.has_source = true;
	recall.source = wire_s("mine");
	assert_int_equal(((const struct res_memory_recall *)rig_call(g, MSG_memory_recall, &recall))->memories.n, 2);
	recall.source = wire_s("theirs");
	assert_int_equal(((const struct res_memory_recall *)rig_call(g, MSG_memory_recall, &recall))->memories.n, 0);
	recall.has_q = true;
	assert_int_equal(((const struct res_memory_recall *)rig_call(g, MSG_memory_recall, &recall))->memories.n, 0);

	why = rig_call(g, MSG_memory_explain, &explain);
	assert_true(why->rank == 1 && !why->memory.explanation.has_match && why->memory.explanation.terms.n == 2);
	/* "blue" stands in one of two, whatever others wrote: ln(1.5/1.5), and at least 1e-6 */
	assert_true(why->memory.explanation.terms.v[0].weight < 1e-5);
	recall = (struct msg_memory_recall){
		.common = explain.common, .has_q = true, .q = explain.q, .has_explain = true, .explain = true};
	found = rig_call(g, MSG_memory_recall, &recall); /* weighed once, and no more told than above */
	assert_int_equal(found->memories.n, 2);
	for (uint32_t i = 0; i < 2; i++) {
		const struct item_explanation *e = &found->memories.v[i].explanation;

		assert_true(!e->has_match && e->terms.n == 2);
		for (uint32_t k = 0; k < 2; k++)
			assert_true(e->terms.v[k].weight == why->memory.explanation.terms.v[k].weight);
	}
	explain.id = wire_s("theirs-1");
	not_there(g, MSG_memory_explain, &explain);
}

static void figures_are_its_own(void **s)
{
	struct rig *g = *s;
	struct msg_memory_thermal msg = {.common = of("mine"), .has_hottest = true, .hottest = 10};
	struct msg_memory_export out = {.common = of("mine")};
	const struct res_memory_thermal *t, *all;
	const struct res_memory_export *records;
	uint64_t steps = 0;

	fill(g);
	all = rig_thermal(g, 50);
	t = rig_call(g, MSG_memory_thermal, &msg);
	assert_true(all->total_memories == 24 && t->total_memories == 2 && t->hottest.n == 2);
	for (uint32_t i = 0; i < t->histogram.n; i++)
		steps += t->histogram.v[i].count;
	assert_true(steps == 2 && t->stages.warm == 2 && t->has_average_temperature && t->sacred_count == 0);
	assert_true(fabs(t->average_temperature - 40.0) < 0.1);
	/* the same question of a source that has everything gives what the running figures give */
	rig_start_over(g);
	for (int i = 0; i < 30; i++) {
		char text[32];

		snprintf(text, sizeof(text), "memory %d", i);
		say(g, "mine", NULL, text);
		if (i % 3 == 0)
			say(g, "mine", NULL, text);
		rig_now += DAY;
	}
	all = rig_thermal(g, 10);
	t = rig_call(g, MSG_memory_thermal, &msg);
	assert_true(t->total_memories == all->total_memories && t->hottest.n == all->hottest.n);
	assert_true(fabs(t->average_temperature - all->average_temperature) < 1e-6);
	assert_true(fabs(t->thermal_entropy - all->thermal_entropy) < 1e-9);
	for (uint32_t i = 0; i < t->histogram.n; i++)
		assert_true(t->histogram.v[i].count == all->histogram.v[i].count);
	for (uint32_t i = 0; i < t->hottest.n; i++)
		assert_true(t->hottest.v[i].temperature == all->hottest.v[i].temperature);
	msg.common = of("nobody's");
	t = rig_call(g, MSG_memory_thermal, &msg);
	assert_true(t->total_memories == 0 && !t->has_average_temperature && t->hottest.n == 0);
	records = rig_call(g, MSG_memory_export, &out);
	assert_int_equal(records->records.n, 30);
	out.common = of("theirs");
	records = rig_call(g, MSG_memory_export, &out);
	assert_int_equal(records->records.n, 0);
}

static void writes_go_there(void **s)
{
	struct rig *g = *s;
	struct item_new_memory m = said("A new one.");
	struct msg_memory_add add = {.common = of("mine"), .memories = {&m, 1}};
	struct msg_memory_patch patch = {
		.common = of("mine"), .id = wire_s("theirs-1"), .has_importance = true, .importance = 1};
	struct msg_memory_forget forget = {.common = of("mine"), .id = wire_s("theirs-1")};
	struct msg_memory_get get = {.id = {NULL, 0}};
	const struct res_memory_add *added;

	fill(g);
	added = rig_call(g, MSG_memory_add, &add);
	get.id = added->memories.v[0].id;
	assert_true(same(((const struct res_memory_get *)rig_call(g, MSG_memory_get, &get))->memory.source, "mine"));
	m.has_source = true;
	m.source = wire_s("theirs");
	assert_null(rig_try(g, MSG_memory_add, &add));
	assert_true(g->r == TR_EREFUSED && strcmp(g->fault.field, "memories[0].source") == 0);
	m.has_source = false;
	add.has_source = true;
	add.source = wire_s("theirs");
	assert_null(rig_try(g, MSG_memory_add, &add));
	assert_int_equal(g->r, TR_EREFUSED);
	add.has_source = false;
	/* an id that is taken is taken, and tells nothing else; nothing is heated by it */
	m = said("Blue kettle number 0 of theirs.");
	m.has_id = true;
	m.id = wire_s("theirs-1");
	assert_null(rig_try(g, MSG_memory_add, &add));
	assert_int_equal(g->r, TR_ECONFLICT);
	/* who is to be corrected must exist for him */
	m = said("It is somewhere else.");
	m.has_supersedes = true;
	m.supersedes = wire_s("theirs-1");
	assert_null(rig_try(g, MSG_memory_add, &add));
	assert_true(g->r == TR_EINVAL && strcmp(g->fault.field, "memories[0].supersedes") == 0);
	not_there(g, MSG_memory_patch, &patch);
	not_there(g, MSG_memory_forget, &forget);
	get.id = wire_s("theirs-1");
	assert_true(((const struct res_memory_get *)rig_call(g, MSG_memory_get, &get))->memory.importance == 0.5);
	patch.id = forget.id = wire_s("mine-1");
	rig_call(g, MSG_memory_patch, &patch);
	rig_call(g, MSG_memory_forget, &forget);
}

static void decisions_too(void **s)
{
	struct rig *g = *s;
	struct msg_memory_decide d = {.text = wire_s("We boil it."), .by = wire_s("theirs")};
	struct msg_memory_decisions list = {.common = of("mine")};

	rig_call(g, MSG_memory_decide, &d);
	assert_int_equal(((const struct res_memory_decisions *)rig_call(g, MSG_memory_decisions, &list))->decisions.n,
			 0);
	d.common = of("mine");
	assert_null(rig_try(g, MSG_memory_decide, &d));
	assert_true(g->r == TR_EREFUSED && strcmp(g->fault.field, "by") == 0);
	d.by = wire_s("mine");
	rig_call(g, MSG_memory_decide, &d);
	assert_int_equal(((const struct res_memory_decisions *)rig_call(g, MSG_memory_decisions, &list))->decisions.n,
			 1);
}

/* What is about the whole archive is not for him; a new message is not either, until somebody has thought about it. */
static void nothing_else(void **s)
{
	struct rig *g = *s;
	struct msg_memory_imports imports = {.common = of("mine")};
	struct msg_memory_tokens tokens = {.common = of("mine")};

	assert_null(rig_try(g, MSG_memory_imports, &imports));
	assert_int_equal(g->r, TR_EREFUSED);
	assert_null(rig_try(g, MSG_memory_tokens, &tokens));
	assert_int_equal(g->r, TR_EREFUSED);
}

#define T(fn) cmocka_unit_test_setup_teardown(fn, rig_setup, rig_teardown_sound)
int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		T(made_listed_rotated_revoked),
		T(rules),
		T(once_whatever_the_hash),
		T(no_more_than_500),
		T(reads_see_only_it),
		T(writes_go_there),
		T(figures_are_its_own),
		T(decisions_too),
		T(nothing_else),
	};

	rig_choose(argc, argv);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
