/* The same content has the same digest, whichever database holds it: filled in SQLite, exported, taken back in
 * PostgreSQL. */
#include "tests/unit/memory_rig.h"

#include "jrs/memory/archive/backup.h"
#include "proto/json/json.h"
#include <fcntl.h>

#define MANY 300

static void drop(void *j)
{
	json_decref(j);
}

static const msgpack_object *map_of(struct rig *g, const char *text)
{
	msgpack_object *o = msgpack_zone_malloc(g->zone, sizeof(*o));
	json_t *j = NULL;

	assert_non_null(o);
	assert_int_equal(json_parse(&j, text, strlen(text), NULL), 0);
	assert_int_equal(json_to_msgpack(j, g->zone, o), 0);
	assert_true(msgpack_zone_push_finalizer(g->zone, drop, j)); /* its strings are borrowed */
	return o;
}

static void fill(struct rig *g)
{
	static const char *const maps[] = {
		"{\"z\":1,\"a\":[1.5,null,true,\"\\u00e9\\n\"],\"b\":{\"y\":1e300,\"x\":-0.0,\"w\":[]}}",
		"{\"whole\":1.0,\"big\":9007199254740991,\"low\":-9223372036854775808,\"tiny\":4.9e-324}",
		"{}",
	};
	static const char *const tags[] = {"b", "a", "\xc3\xa9", "a b"};
	wire_str list[4];
	struct msg_memory_decide decide = {.text = wire_s("Nests are left alone"), .by = wire_s("me")};

	for (int i = 0; i < 4; i++)
		list[i] = wire_s(tags[i]);
	for (int i = 0; i < MANY; i++) {
		struct item_new_memory m = said("");
		char id[40], text[200], source[20];

		snprintf(text, sizeof(text), "memory %d of %s \xf0\x9f\x90\xa6\t\"quoted\" \\ %c", i * 7919 % MANY,
			 i % 2 ? "day" : "night", i % 26 + 'a');
		snprintf(id, sizeof(id), "%s%c%d",
			 i % 3 == 0   ? "\xc3\x84"
			 : i % 3 == 1 ? "Z"
				      : "a",
			 i % 2 ? '-' : '_', i);
		snprintf(source, sizeof(source), i % 10 == 3 ? "drill:%d" : "s%d", i % 5);
		m.content = wire_s(text);
		if ((m.has_id = i % 4 != 0))
			m.id = wire_s(id);
		m.has_source = i % 3 == 0;
		m.source = wire_s(source);
		m.has_session = i % 5 == 0;
		m.session = wire_s("evening");
		m.has_at = i % 2 == 0;
		m.at = 1700000000000 + i * 977;
		m.has_importance = true;
		m.importance = i / 299.0;
		m.has_sacred = m.sacred = i % 17 == 0;
		m.tags = (wire_strs){list, (uint32_t)(i % 5)};
		m.has_metadata = i % 4 != 3;
		m.metadata = map_of(g, maps[i % 3]);
		if (i % 10 != 3) /* an export has no drill load */
			rig_add(g, &m);
		rig_now += 1234;
	}
	rig_call(g, MSG_memory_decide, &decide);
}

/* Open ones: what a closed one is remembered as has an id of its own. */
static void vote(struct rig *g)
{
	static const wire_str options[] = {{"z\xc3\xa9", 3}, {"a \"b\"", 5}}, ids[] = {{"m1", 2}, {"\xc3\x84", 2}};
	static const char *const names[] = {"plain", "\xc3\x84 umlaut", "Z"};

	for (int i = 0; i < 3; i++) {
		struct msg_memory_vote_open open = {
			.has_vote_id = true, .vote_id = wire_s(names[i]), .by = wire_s("me")};
		struct item_ballot b = {.voter = wire_s(names[2 - i]), .choice = options[1], .has_reason = i > 0};
		struct msg_memory_vote_cast cast = {.vote_id = open.vote_id, .ballots = {&b, 1}};

		open.proposal = wire_s("Which \xf0\x9f\x90\xa6?");
		open.has_options = open.has_deadline_s = open.has_threshold = true;
		open.options = (wire_strs){options, 2};
		open.deadline_s = 60;
		open.threshold = i / 3.0;
		rig_call(g, MSG_memory_vote_open, &open);
		b.reason = wire_s("because\n\"so\"");
		b.has_confidence = b.has_evidence = i == 2;
		b.confidence = 0.1;
		b.evidence = (wire_strs){ids, 2};
		rig_call(g, MSG_memory_vote_cast, &cast);
	}
}

/* Acts that name the archive have texts of its own, so these are put there as acts.c has them. */
static void govern(struct rig *g, const char *hex)
{
	char sql[1600];

	snprintf(sql, sizeof(sql),
		 "INSERT INTO acts(id, act, state, constants, before, signers, reason, said, submitted_at, due_at, "
		 "envelope) VALUES"
		 "('\xc3\x84', 'constants', 'carrying', '{\"half_life_ms\":86400000}', '{}', '[\"war_chief\"]', "
		 "'it\xc3\xa9', "
		 "%s00ff', 1764000000123, 1764000060123, '{\"payload\":\"\"}')",
		 hex);
	assert_false(rig_refuses(g, sql));
	assert_false(rig_refuses(g, "INSERT INTO thermal_clock(at, tau, half_life_ms) VALUES(0, 0, 604800000)"));
	assert_false(rig_refuses(g, "INSERT INTO thermal_clock(at, tau, half_life_ms) VALUES(1764000060123, "
				    "2916.6667659, 86400000.5)"));
	assert_false(rig_refuses(g, "UPDATE acts SET state = 'done', ended_at = 1764000060123"));
	snprintf(sql, sizeof(sql),
		 "INSERT INTO acts(id, act, state, memory_id, signers, reason, note, said, submitted_at, due_at) VALUES"
		 "('Z', 'delete', 'pending', 'none', '[]', '', NULL, %s', 1, 2), ('a', 'delete', 'stopped', 'none', "
		 "'[]', '', 'x', "
		 "%s01', 1, 2)",
		 hex, hex);
	assert_false(rig_refuses(g, sql));
	snprintf(
		sql, sizeof(sql),
		"INSERT INTO objections(id, act_id, objector, reason, at, said, envelope) VALUES"
		"('b', 'a', 'admin', 'because\n\"so\"', 77, %s80', NULL), ('B', 'a', 'war_chief', '', 78, %s80', '{}')",
		hex, hex);
	assert_false(rig_refuses(g, sql));
}

static void take_back(struct rig *from, struct rig *to)
{
	struct list_record all = rig_export(from, 200);

	assert_true(all.n > 200);
	for (uint32_t i = 0; i < all.n; i += 50) {
		struct msg_memory_restore msg = {.records = {all.v + i, all.n - i < 50 ? all.n - i : 50}};
		const struct res_memory_restore *res = rig_call(to, MSG_memory_restore, &msg);

		assert_int_equal(res->added, msg.records.n);
	}
}

static void of_sqlite(struct rig *g, struct backup *out)
{
	struct backup_watch watch = {.phase = ""};
	struct tr_fault fault = {0};
	char path[128];
	int fd;

	snprintf(path, sizeof(path), "%s/out", g->dir);
	fd = open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	assert_true(fd >= 0);
	close(fd);
	if (backup_sqlite(g->path, path, &watch, out, &fault) < 0)
		fail_msg("%s %s", fault.field, fault.rule);
}

static void of_postgres(struct rig *h, struct backup *out)
{
	struct backup_watch watch = {.phase = ""};
	char snapshot[BACKUP_SNAPSHOT] = "";
	struct backup_pg *pg = NULL;
	struct tr_fault fault = {0};

	if (backup_pg_open(&pg, h->conninfo, &watch, &fault) < 0 || backup_pg_hold(pg, snapshot, &fault) < 0 ||
	    backup_pg_content(pg, out, &fault) < 0)
		fail_msg("%s %s", fault.field, fault.rule);
	assert_true(snapshot[0] != '\0');
	backup_pg_close(&pg);
}

static void same_in_both(void **s)
{
	static const char pairs[] =
		"INSERT INTO entanglements(memory, partner, times, last_at) SELECT x.seq, y.seq, 3, 77 FROM "
		"thermal_memory_archive x JOIN thermal_memory_archive y ON x.id < y.id AND x.importance > 0.95 "
		"AND y.importance > 0.95";
	struct rig *g = rig_new_of(rig_find("sqlite")), *h = rig_new_of(rig_find("postgresql"));
	struct backup a = {.version = ""}, b = {.version = ""};

	(void)s;
	assert_int_equal(rig_open_again(g, NULL), 0);
	assert_int_equal(rig_open_again(h, NULL), 0);
	fill(g);
	take_back(g, h);
	vote(g);
	vote(h);
	govern(g, "x'");
	govern(h, "'\\x");
	assert_false(rig_refuses(g, pairs));
	assert_false(rig_refuses(h, pairs));
	of_sqlite(g, &a);
	of_postgres(h, &b);
	assert_true(a.item.rows.entanglements > 50);
	assert_int_equal(a.item.rows.entanglements, b.item.rows.entanglements);
	assert_int_equal(a.item.memories, b.item.memories);
	assert_true(a.item.rows.has_votes && a.item.rows.votes == 3 && b.item.rows.ballots == 3);
	assert_true(a.item.rows.has_acts && a.item.rows.acts == 3 && b.item.rows.objections == 2 &&
		    b.item.rows.thermal_clock == 2);
	assert_string_equal(a.content_sha256, b.content_sha256);
	assert_true(rig_refuses(g, "UPDATE objections SET reason = ''"));
	assert_true(rig_refuses(h, "UPDATE objections SET reason = ''"));
	assert_false(rig_refuses(h, "UPDATE acts SET reason = 'other' WHERE state = 'pending'"));
	of_postgres(h, &b);
	assert_string_not_equal(a.content_sha256, b.content_sha256);
	assert_false(rig_refuses(h, "UPDATE acts SET reason = '' WHERE state = 'pending'"));
	of_postgres(h, &b);
	assert_string_equal(a.content_sha256, b.content_sha256);
	assert_false(rig_refuses(
		h, "UPDATE thermal_memory_archive SET importance = importance + 1e-15 WHERE seq = "
		   "(SELECT min(seq) FROM thermal_memory_archive WHERE importance < 0.5 AND importance > 0.25)"));
	of_postgres(h, &b);
	assert_string_not_equal(a.content_sha256, b.content_sha256);
	assert_false(rig_refuses(g, "UPDATE ballots SET veto = 1 WHERE voter = 'Z'"));
	of_sqlite(g, &b);
	assert_string_not_equal(a.content_sha256, b.content_sha256);
	assert_false(rig_refuses(g, "UPDATE ballots SET veto = 0"));
	assert_false(rig_refuses(g, "UPDATE ballots SET confidence = 0.2 WHERE confidence IS NOT NULL"));
	of_sqlite(g, &b);
	assert_string_not_equal(a.content_sha256, b.content_sha256);
	rig_free(g);
	rig_free(h);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(same_in_both)};

	rig_choose(argc, argv);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
