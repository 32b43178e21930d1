/* Acts of governance on an archive: who may ask, once, the delay, objections, what they do, and what is kept of them.
 */
#include "acts_kit.h"

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
		N(an_admin_where_there_are_no_keys),
		N(so_many_sacred_ones_a_day),
	};

	rig_choose(argc, argv);
	return cmocka_run_group_tests(tests, make_keys, drop_keys);
}
