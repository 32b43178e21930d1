/* What somebody with the sqlite3 shell or psql sees and may do: names that people's queries rest on, rules that hold
 * whoever holds the pen, and the view of temperatures as of now. */
#include "memory_rig.h"

#include "common/base/text.h"

static void the_tables(void **s)
{
	struct rig *g = *s;
	static const char *const tables[] = {
		"thermal_memory_archive",
		"thermal_heat_map",
		"entanglements",
		"decisions",
		"requests",
		"recall_log",
		"settings",
		"roles",
		"schema_migrations",
		"imports",
		"guard_audit",
		"thermal_memory_now",
	};
	static const char *const columns[] = {
		"id",         "memory_hash", "original_content", "metadata",        "tags",         "source",
		"session",    "speaker",     "importance",       "sacred_pattern",  "access_count", "heat_key",
		"created_at", "occurred_at", "last_access",      "phase_coherence", "supersedes",   "revision",
	};
	static const char *const now[] = {"temperature_score", "decay_factor", "current_stage"};
	char sql[200];
	size_t i;

	for (i = 0; i < sizeof(tables) / sizeof(tables[0]); i++) {
		snprintf(sql, sizeof(sql), "SELECT count(*) FROM %s", tables[i]);
		assert_true(rig_sql(g, sql) >= 0.0);
	}
	for (i = 0; i < sizeof(columns) / sizeof(columns[0]); i++) {
		snprintf(sql, sizeof(sql), "SELECT count(%s) FROM thermal_memory_archive", columns[i]);
		assert_true(rig_sql(g, sql) == 0.0);
		snprintf(sql, sizeof(sql), "SELECT count(%s) FROM thermal_memory_now", columns[i]);
		assert_true(rig_sql(g, sql) == 0.0);
	}
	for (i = 0; i < sizeof(now) / sizeof(now[0]); i++) {
		snprintf(sql, sizeof(sql), "SELECT count(%s) FROM thermal_memory_now", now[i]);
		assert_true(rig_sql(g, sql) == 0.0);
	}
	assert_true(rig_sql(g, "SELECT value FROM settings WHERE key = 'thermal.half_life_ms'") == (double)WEEK);
	assert_true(rig_look(g, LOOK_EPOCH) >= 1.0);
}

static void the_hash_of_the_content(void **s)
{
	struct rig *g = *s;
	unsigned char sum[TR_SHA256_LEN];
	char hash[2 * TR_SHA256_LEN + 1], sql[200];

	rig_say(g, "Caroline painted a sunrise.");
	assert_int_equal(tr_sha256("Caroline painted a sunrise.", 27, sum), 0);
	tr_hex(sum, sizeof(sum), hash);
	snprintf(sql, sizeof(sql), "SELECT count(*) FROM thermal_memory_archive WHERE memory_hash = '%s'", hash);
	assert_true(rig_sql(g, sql) == 1.0);
}

static void rules_hold_whoever_writes(void **s)
{
	struct rig *g = *s;
	struct item_new_memory m = said("holy");

	m.has_sacred = m.sacred = m.has_id = true;
	m.id = wire_s("holy");
	rig_add(g, &m);
	m = said("ordinary");
	m.has_id = true;
	m.id = wire_s("plain");
	rig_add(g, &m);
	assert_true(rig_refuses(g, "DELETE FROM thermal_memory_archive WHERE id = 'holy'"));
	assert_true(rig_refuses(g, "DELETE FROM thermal_memory_archive"));
	assert_true(rig_refuses(g, "UPDATE thermal_memory_archive SET sacred_pattern = (SELECT p.sacred_pattern FROM "
				   "thermal_memory_archive p WHERE p.id = 'plain') WHERE id = 'holy'"));
	assert_true(rig_refuses(g, "UPDATE thermal_memory_archive SET heat_key = heat_key - 1"));
	assert_true(rig_refuses(g, "UPDATE settings SET value = 1 WHERE key = 'thermal.sacred_floor'"));
	assert_true(rig_refuses(g, "DELETE FROM settings WHERE key = 'thermal.k'"));
	assert_true(rig_look(g, LOOK_MEMORIES) == 2.0);
	assert_true(rig_get(g, wire_s("holy"))->sacred && rig_get(g, wire_s("plain"))->temperature == 40.0);
	/* and what is no rule is allowed */
	assert_false(rig_refuses(g, "UPDATE thermal_memory_archive SET heat_key = heat_key + 1 WHERE id = 'plain'"));
	assert_true(fabs(rig_get(g, wire_s("plain"))->temperature - 50.0) < 1e-6);
}

/* The figures of a call, and the view a person looks at: the same, on the real clock, which the view goes by. */
static void the_view_agrees(void **s)
{
	struct rig *g = *s;
	const struct res_memory_thermal *t;
	struct item_new_memory drill = said("drill load");
	uint64_t x = 88172645463325252u;
	char text[32];
	int round, i;

	rig_now = tr_wall_ms() - 6 * WEEK;
	drill.has_source = true;
	drill.source = wire_s("drill:7");
	rig_add(g, &drill);
	for (round = 0; round < 200; round++) {
		struct item_new_memory m = said(text);

		x ^= x << 13, x ^= x >> 7, x ^= x << 17;
		snprintf(text, sizeof(text), "thing %d", (int)(x % 150));
		m.content = wire_s(text);
		m.has_sacred = true;
		m.sacred = x % 150 < 20;
		for (i = 0; i < (int)(x >> 61); i++)
			rig_add(g, &m);
		rig_now += 6 * WEEK / 220;
	}
	rig_now = tr_wall_ms();
	t = rig_thermal(g, 0);
	assert_true(t->total_memories > 50 && t->sacred_count > 5 && t->stages.warm > 0 && t->stages.ember > 0);
	assert_int_equal(t->total_memories, (uint64_t)rig_sql(g, "SELECT count(*) FROM thermal_memory_now"));
	assert_true(fabs(t->average_temperature - rig_sql(g, "SELECT avg(temperature_score) FROM thermal_memory_now")) <
		    0.01);
	assert_true(rig_sql(g, "SELECT min(temperature_score) FROM thermal_memory_now") >= 0.0);
	assert_true(rig_sql(g, "SELECT max(temperature_score) FROM thermal_memory_now") <= 100.0);
	assert_int_equal(t->stages.warm, (uint64_t)rig_sql(g, "SELECT count(*) FROM thermal_memory_now WHERE "
							      "current_stage = 'warm'"));
	assert_int_equal(t->stages.ember, (uint64_t)rig_sql(g, "SELECT count(*) FROM thermal_memory_now WHERE "
							       "current_stage = 'ember'"));
	assert_int_equal(t->stages.red_hot, (uint64_t)rig_sql(g, "SELECT count(*) FROM thermal_memory_now WHERE "
								 "current_stage = 'red_hot'"));
}

#define T(name) cmocka_unit_test_setup_teardown(name, rig_setup, rig_teardown_sound)
int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		T(the_tables),
		T(the_hash_of_the_content),
		T(rules_hold_whoever_writes),
		T(the_view_agrees),
	};

	rig_choose(argc, argv);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
