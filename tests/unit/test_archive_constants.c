/* Acts that change the thermal constants, and who comes to know of them: followers, exports, a salvage. */
#include "acts_kit.h"
#include "jrs/memory/archive/salvage.h"
#include <sys/stat.h>

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

#define K(name) cmocka_unit_test_setup_teardown(name, with_keys, rig_teardown_sound)
int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		K(constants_change),        K(a_new_half_life_cools_anew), K(exports_go_on),
		K(whoever_follows_sees_it), K(a_salvage_takes_it_along),
	};

	rig_choose(argc, argv);
	return cmocka_run_group_tests(tests, make_keys, drop_keys);
}
