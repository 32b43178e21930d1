/* jrs/memory/archive on a real SQLite file: schema, effects once, batches, notes, a storage that fails. */
#include "memory_rig.h"

#include "common/base/text.h"
#include "jrs/memory/archive/schema.h"
#include <sys/stat.h>

static void schema(void **s)
{
	struct rig *g = *s;
	static const char *const tables[] = {"thermal_memory_archive",
					     "thermal_heat_map",
					     "entanglements",
					     "decisions",
					     "requests",
					     "recall_log",
					     "settings",
					     "roles",
					     "schema_migrations",
					     "thermal_memory_now"};
	char sql[200];
	size_t i;

	for (i = 0; i < sizeof(tables) / sizeof(tables[0]); i++) {
		snprintf(sql, sizeof(sql), "SELECT count(*) FROM %s", tables[i]);
		assert_true(rig_sql(g, sql) >= 0.0);
	}
	assert_true(rig_sql(g, "SELECT count(id || memory_hash || original_content || metadata || tags || source || "
			       "session || speaker || "
			       "importance || sacred_pattern || access_count || heat_key || created_at || occurred_at "
			       "|| last_access || "
			       "phase_coherence || supersedes || revision || temperature_score || decay_factor || "
			       "current_stage) "
			       "FROM thermal_memory_now") == 0.0);
	assert_true(rig_sql(g, "SELECT epoch FROM roles WHERE role = 'memory'") == 1.0);
	assert_true(rig_sql(g, "SELECT value FROM settings WHERE key = 'thermal.half_life_ms'") == (double)WEEK);
	assert_true(rig_sql(g, "SELECT max(version) FROM schema_migrations") == schema_version());
	assert_int_equal(rig_exec(g, "UPDATE settings SET value = 1 WHERE key = 'thermal.sacred_floor'"),
			 SQLITE_CONSTRAINT);
}

static void a_memory_is_kept_as_said(void **s)
{
	struct rig *g = *s;
	struct item_new_memory m = said("Caroline painted a sunrise.");
	const wire_str tags[] = {wire_s("art"), wire_s("it's \"quoted\"")};
	msgpack_object_kv kv = {.key = {.type = MSGPACK_OBJECT_STR, .via.str = {5, "where"}},
				.val = {.type = MSGPACK_OBJECT_POSITIVE_INTEGER, .via.u64 = 7}};
	msgpack_object map = {.type = MSGPACK_OBJECT_MAP, .via.map = {1, &kv}};
	const struct item_added *added;
	const struct item_memory *got;
	unsigned char sum[TR_SHA256_LEN];
	char hash[2 * TR_SHA256_LEN + 1], sql[200];

	m.has_tags = m.has_source = m.has_session = m.has_speaker = m.has_importance = m.has_at = m.has_metadata =
		m.has_id = true;
	m.id = wire_s("my-own");
	m.tags = (wire_strs){tags, 2};
	m.source = wire_s("chat");
	m.session = wire_s("s1");
	m.speaker = wire_s("Caroline");
	m.importance = 0.25;
	m.at = 1000;
	m.metadata = &map;
	added = rig_add(g, &m);
	assert_true(added->created && same(added->id, "my-own") && same(added->stage, "warm"));
	assert_true(added->temperature == 40.0);
	rig_reopen(g);
	got = rig_get(g, wire_s("my-own"));
	assert_true(same(got->content, "Caroline painted a sunrise.") && same(got->source, "chat") &&
		    same(got->session, "s1"));
	assert_true(same(got->speaker, "Caroline") && got->importance == 0.25 && got->has_at && got->at == 1000);
	assert_true(got->tags.n == 2 && same(got->tags.v[1], "it's \"quoted\""));
	assert_true(got->has_metadata && got->metadata->via.map.size == 1 &&
		    got->metadata->via.map.ptr[0].val.via.u64 == 7);
	assert_true(got->created_at == rig_now && got->access_count == 1 && got->revision == 1 &&
		    !got->has_phase_coherence);
	assert_int_equal(tr_sha256(m.content.p, m.content.n, sum), 0);
	tr_hex(sum, sizeof(sum), hash);
	snprintf(sql, sizeof(sql), "SELECT count(*) FROM thermal_memory_archive WHERE memory_hash = '%s'", hash);
	assert_true(rig_sql(g, sql) == 1.0);
	assert_false(rig_try_get(g, wire_s("nobody")));
	assert_int_equal(g->r, TR_ENOTFOUND);
}

static void the_same_said_again_heats(void **s)
{
	struct rig *g = *s;
	struct item_new_memory m = said("the sea is cold"), other;
	const struct item_added *first = rig_add(g, &m), *again;

	again = rig_add(g, &m);
	assert_true(!again->created && again->id.n == first->id.n &&
		    memcmp(again->id.p, first->id.p, first->id.n) == 0);
	assert_true(fabs(again->temperature - 50.0) < 1e-6);
	assert_int_equal(rig_get(g, first->id)->access_count, 2);
	/* each of source, session, speaker and at makes it another memory; absent is not empty */
	other = m, other.has_source = true, other.source = wire_s("a");
	assert_true(rig_add(g, &other)->created);
	other = m, other.has_session = true, other.session = wire_s("a");
	assert_true(rig_add(g, &other)->created);
	other = m, other.has_speaker = true, other.speaker = wire_s("a");
	assert_true(rig_add(g, &other)->created);
	other = m, other.has_at = true, other.at = 0;
	assert_true(rig_add(g, &other)->created);
	assert_false(rig_add(g, &other)->created);
	/* sacred is raised by a repetition and never lowered */
	other = m, other.has_sacred = true, other.sacred = true;
	assert_false(rig_add(g, &other)->created);
	assert_true(rig_get(g, first->id)->sacred);
	assert_false(rig_add(g, &m)->created);
	assert_true(rig_get(g, first->id)->sacred);
	assert_int_equal(rig_exec(g, "UPDATE thermal_memory_archive SET sacred_pattern = 0"), SQLITE_CONSTRAINT);
	assert_int_equal(rig_exec(g, "DELETE FROM thermal_memory_archive"), SQLITE_CONSTRAINT);
	assert_int_equal(rig_exec(g, "UPDATE thermal_memory_archive SET heat_key = 0"), SQLITE_CONSTRAINT);
}

static void own_ids(void **s)
{
	struct rig *g = *s;
	struct item_new_memory m = said("one"), other = said("two"), free_id = said("one");

	m.has_id = other.has_id = true;
	m.id = other.id = wire_s("k");
	assert_true(rig_add(g, &m)->created);
	assert_false(rig_add(g, &m)->created);
	assert_int_equal(rig_get(g, m.id)->access_count, 1); /* the same call again changes nothing, heat neither */
	assert_false(rig_try_add(g, &other));
	assert_int_equal(g->r, TR_ECONFLICT);
	assert_string_equal(g->fault.field, "memories[0].id");
	assert_true(rig_add(g, &free_id)->created); /* a row with its own id is always a row */
	assert_true(rig_sql(g, "SELECT count(*) FROM thermal_memory_archive") == 2.0);
}

static void a_list_is_all_or_nothing(void **s)
{
	struct rig *g = *s;
	struct item_new_memory v[3] = {said("first"), said("second"), said("third")};
	struct msg_memory_add msg = {.memories = {v, 3}};
	const struct res_memory_add *res;

	v[2].has_supersedes = true;
	v[2].supersedes = wire_s("nobody");
	assert_null(rig_try(g, MSG_memory_add, &msg));
	assert_int_equal(g->r, TR_EINVAL);
	assert_string_equal(g->fault.field, "memories[2].supersedes");
	assert_true(rig_sql(g, "SELECT count(*) FROM thermal_memory_archive") == 0.0);
	assert_int_equal(rig_thermal(g, 0)->total_memories, 0);
	v[0].has_id = true;
	v[0].id = wire_s("old");
	v[2].supersedes = wire_s("old");
	res = rig_call(g, MSG_memory_add, &msg);
	assert_int_equal(res->memories.n, 3);
	assert_true(rig_get(g, wire_s("old"))->has_superseded_by);
	assert_int_equal(rig_get(g, wire_s("old"))->revision, 2);
	assert_true(same(rig_get(g, res->memories.v[2].id)->supersedes, "old"));
	msg.has_source = true; /* the call's source is given to those without one */
	msg.source = wire_s("file");
	v[2].has_source = true;
	v[2].source = wire_s("mine");
	v[2].has_supersedes = v[0].has_id = false;
	res = rig_call(g, MSG_memory_add, &msg);
	assert_true(same(rig_get(g, res->memories.v[1].id)->source, "file") &&
		    same(rig_get(g, res->memories.v[2].id)->source, "mine"));
}

static void a_request_happens_once(void **s)
{
	struct rig *g = *s;
	struct item_new_memory m = said("tell me once");
	struct msg_memory_add msg = {.memories = {&m, 1}};
	const struct res_memory_add *res;
	wire_str id;

	msg.common.has_request_id = true;
	msg.common.request_id = wire_s("r1");
	res = rig_call(g, MSG_memory_add, &msg);
	assert_true(res->memories.v[0].created);
	id = res->memories.v[0].id;
	rig_reopen(g);
	rig_now += HOUR;
	msg.common.has_deadline_ms = true; /* how long the caller waits is no part of what is asked */
	msg.common.deadline_ms = 77;
	res = rig_call(g, MSG_memory_add, &msg);
	assert_true(res->memories.v[0].created &&
		    res->memories.v[0].temperature == 40.0); /* the stored answer, not a new one */
	assert_true(res->memories.v[0].id.n == id.n && memcmp(res->memories.v[0].id.p, id.p, id.n) == 0);
	assert_true(same(res->memories.v[0].stage, "warm"));
	assert_int_equal(rig_get(g, id)->access_count, 1);
	m = said("something else");
	assert_null(rig_try(g, MSG_memory_add, &msg));
	assert_int_equal(g->r, TR_EMISMATCH);
	/* a call that failed leaves nothing behind: its id is free */
	msg.common.request_id = wire_s("r2");
	m.has_supersedes = true;
	m.supersedes = wire_s("nobody");
	assert_null(rig_try(g, MSG_memory_add, &msg));
	m.has_supersedes = false;
	rig_call(g, MSG_memory_add, &msg);
}

struct answered {
	int r, *left;
	bool created;
	char id[TR_ID_LEN];
};

static void many_answered(void *arg, int r, const struct archive_answer *answer, const struct tr_fault *fault)
{
	struct answered *a = arg;

	(void)fault;
	a->r = r;
	--*a->left;
	if (r == 0) {
		const struct res_memory_add *res = answer->res;

		a->created = res->memories.v[0].created;
		tr_copy(a->id, sizeof(a->id), res->memories.v[0].id.p, res->memories.v[0].id.n);
	}
}

#define MANY 600
/* Neighbours in one commit: a bad one fails alone, the same request twice is one effect, and commits are shared. */
static void batches(void **s)
{
	struct rig *g = *s;
	static struct answered got[MANY];
	static struct item_new_memory m[MANY];
	static struct msg_memory_add msg[MANY];
	static msgpack_zone *zone[MANY];
	static char text[MANY][32];
	struct archive_stats before, after;
	int i, left = MANY;

	archive_stats(g->a, &before);
	for (i = 0; i < MANY; i++) {
		struct archive_ctx ctx = {zone[i] = msgpack_zone_new(1024), 0};

		snprintf(text[i], sizeof(text[i]), "fact number %d", i % 3 == 2 ? i - 1 : i);
		m[i] = said(text[i]);
		msg[i] = (struct msg_memory_add){.memories = {&m[i], 1}};
		msg[i].common.has_request_id = true; /* 1 and 2 of each three are the same request */
		msg[i].common.request_id = wire_s(text[i]);
		if (i % 3 == 0) {
			m[i].has_supersedes = i % 2 == 0;
			m[i].supersedes = wire_s("nobody");
		}
		got[i] = (struct answered){.left = &left};
		assert_int_equal(archive_call(g->a, MSG_memory_add, &msg[i], &ctx, many_answered, &got[i]), 0);
	}
	while (left > 0)
		uv_run(&g->loop, UV_RUN_ONCE);
	archive_stats(g->a, &after);
	for (i = 0; i < MANY; i++) {
		assert_int_equal(got[i].r, i % 6 == 0 ? TR_EINVAL : 0);
		if (i % 3 == 2)
			assert_string_equal(got[i].id, got[i - 1].id);
		msgpack_zone_free(zone[i]);
	}
	assert_true(rig_sql(g, "SELECT count(*) FROM thermal_memory_archive") == MANY / 3 + MANY / 6);
	assert_true(rig_sql(g, "SELECT max(access_count) FROM thermal_memory_archive") == 1.0);
	assert_true(after.commits - before.commits < MANY / 4);
	assert_int_equal(rig_thermal(g, 0)->total_memories, MANY / 3 + MANY / 6);
}

static void deadlines_and_full_queues(void **s)
{
	struct rig *g = *s;
	struct item_new_memory m = said("too late");
	struct msg_memory_add msg = {.memories = {&m, 1}};
	struct msg_memory_recall ask = {.has_q = true, .q = wire_s("late")};
	struct archive_cfg cfg = {.loop = &g->loop, .path = g->path, .max_waiting = 1};
	struct archive_ctx ctx = {g->zone, 0};
	int i, r = 0;

	assert_null(rig_call_until(g, MSG_memory_add, &msg, 1));
	assert_int_equal(g->r, TR_EDEADLINE);
	assert_null(rig_call_until(g, MSG_memory_recall, &ask, 1));
	assert_int_equal(g->r, TR_EDEADLINE);
	assert_true(rig_sql(g, "SELECT count(*) FROM thermal_memory_archive") == 0.0);
	assert_int_equal(archive_call(g->a, MSG_ping, &ask, &ctx, rig_answered, g), TR_EMETHOD);
	archive_close(&g->a);
	assert_int_equal(archive_open(&g->a, &cfg, NULL), 0);
	for (i = g->waiting = 0; i < 1000 && r == 0; i++) {
		r = archive_call(g->a, MSG_memory_add, &msg, &ctx, rig_answered, g);
		g->waiting += r == 0;
	}
	assert_int_equal(r, TR_EBUSY);
	archive_close(&g->a); /* answers what is waiting */
	assert_int_equal(g->waiting, 0);
	assert_int_equal(g->r, 0);
}

static void decisions(void **s)
{
	struct rig *g = *s;
	struct msg_memory_decide msg = {.text = wire_s("Ship on Friday."), .by = wire_s("meta_jr")};
	struct msg_memory_decisions list = {.has_limit = true, .limit = 10};
	const struct res_memory_decide *res = rig_call(g, MSG_memory_decide, &msg);
	const struct res_memory_decisions *all;
	const struct item_memory *memory = rig_get(g, res->decision.memory_id);

	assert_true(same(memory->content, "Ship on Friday.") && same(memory->source, "meta_jr"));
	assert_true(memory->tags.n == 1 && same(memory->tags.v[0], "decision"));
	rig_now += HOUR;
	msg.common.has_request_id = true;
	msg.common.request_id = wire_s("d");
	rig_call(g, MSG_memory_decide, &msg);
	rig_call(g, MSG_memory_decide, &msg); /* the same request */
	all = rig_call(g, MSG_memory_decisions, &list);
	assert_int_equal(all->decisions.n, 2);
	assert_true(all->decisions.v[0].at == rig_now && same(all->decisions.v[1].by, "meta_jr"));
	assert_true(same(all->decisions.v[0].text, "Ship on Friday."));
	list.has_since = true;
	list.since = rig_now;
	all = rig_call(g, MSG_memory_decisions, &list);
	assert_int_equal(all->decisions.n, 1);
}

static void notes_ride_along(void **s)
{
	struct rig *g = *s;
	const struct item_added *m = rig_say(g, "often read");
	struct entangle_change change = {.phase = 0.75, .compared = 2, .npartners = 2};
	struct item_recall_sample log = {rig_now, 1234, 5};
	struct res_memory_thermal map = {.total_memories = 1, .timestamp = rig_now};
	struct archive_stats stats;

	rig_get(g, rig_say(g, "recalled with it")->id);
	change.partner[0] = (struct entangle_partner){g->answer.hits[0].memory, 3};
	change.partner[1] = (struct entangle_partner){99, 3}; /* of nobody */
	rig_get(g, m->id);
	change.memory = g->answer.hits[0].memory;
	rig_now += WEEK;
	archive_touch(g->a, change.memory, rig_now + DAY); /* from the future: capped */
	archive_touch(g->a, 424242, rig_now);              /* of nobody */
	archive_entangled(g->a, &change);
	archive_entangled(g->a, &change);
	archive_recalled(g->a, &log);
	archive_heat_map(g->a, &map);
	rig_settle(g);
	assert_int_equal(rig_get(g, m->id)->access_count, 2);
	assert_true(rig_get(g, m->id)->last_access == rig_now);
	assert_true(fabs(rig_get(g, m->id)->temperature - (40.0 + 10.0 * log2(1.5))) < 1e-6);
	assert_true(rig_sql(g, "SELECT sum(times) FROM entanglements") == 6.0);
	assert_true(rig_sql(g, "SELECT latency_us FROM recall_log") == 1234.0);
	assert_true(rig_sql(g, "SELECT total_memories FROM thermal_heat_map") == 1.0);
	rig_reopen(g);
	archive_stats(g->a, &stats);
	assert_int_equal(stats.recalls_total, 1);
	assert_true(stats.phase_known == 1 && stats.phase_sum == 0.75 && stats.healthy && stats.notes_dropped == 0);
	assert_true(rig_get(g, m->id)->has_phase_coherence);
	assert_int_equal(g->answer.hits[0].seen.compared, 2);
}

/* Notes need no call to carry them, and closing loses none. */
static void notes_alone(void **s)
{
	struct rig *g = *s;
	const struct item_added *m = rig_say(g, "read, then closed");

	rig_get(g, m->id);
	archive_touch(g->a, g->answer.hits[0].memory, rig_now);
	rig_reopen(g);
	assert_int_equal(rig_get(g, m->id)->access_count, 2);
}

static void another_writer_holds_it(void **s)
{
	struct rig *g = *s;
	struct item_new_memory m = said("wait for me");
	struct archive_stats stats;
	sqlite3 *db = NULL;
	uint64_t until = tr_mono_ms() + 20000;

	assert_int_equal(sqlite3_open(g->path, &db), SQLITE_OK);
	assert_int_equal(sqlite3_exec(db, "BEGIN IMMEDIATE", NULL, NULL, NULL), SQLITE_OK);
	assert_false(rig_try_add(g, &m));
	assert_int_equal(g->r, TR_EUNAVAILABLE);
	archive_stats(g->a, &stats);
	assert_false(stats.healthy);
	rig_thermal(g, 0); /* reads go on */
	sqlite3_exec(db, "ROLLBACK", NULL, NULL, NULL);
	sqlite3_close(db);
	do /* it finds out by itself */
		archive_stats(g->a, &stats);
	while (!stats.healthy && tr_mono_ms() < until && (usleep(1000), true));
	assert_true(stats.healthy);
	rig_add(g, &m);
	assert_true(rig_sql(g, "SELECT count(*) FROM pragma_integrity_check WHERE integrity_check = 'ok'") == 1.0);
}

static void the_index_follows_the_rows(void **s)
{
	struct rig *g = *s;
	int i;
	char text[64];

	for (i = 0; i < 50; i++) {
		snprintf(text, sizeof(text), "row %d about %s", i, i % 2 ? "boats" : "trees");
		rig_say(g, text);
	}
	assert_int_equal(rig_exec(g, "INSERT INTO memory_words(memory_words, rank) VALUES('integrity-check', 1)"),
			 SQLITE_OK);
	assert_true(rig_sql(g, "SELECT count(*) FROM memory_words WHERE memory_words MATCH 'boat'") == 25.0);
}

static void old_requests_go(void **s)
{
	struct rig *g = *s;
	struct item_new_memory m = said("short-lived request");
	struct msg_memory_add msg = {.memories = {&m, 1},
				     .common = {.has_request_id = true, .request_id = wire_s("r")}};
	sqlite3 *db = NULL;
	struct archive_stats stats;

	rig_call(g, MSG_memory_add, &msg);
	rig_now += DAY + 1;
	/* the probe of an archive that failed keeps house at once; so make it fail once */
	assert_int_equal(sqlite3_open(g->path, &db), SQLITE_OK);
	assert_int_equal(sqlite3_exec(db, "BEGIN IMMEDIATE", NULL, NULL, NULL), SQLITE_OK);
	msg.common.has_request_id = false;
	assert_null(rig_try(g, MSG_memory_add, &msg));
	sqlite3_exec(db, "ROLLBACK", NULL, NULL, NULL);
	sqlite3_close(db);
	do
		archive_stats(g->a, &stats);
	while (!stats.healthy && (usleep(1000), true));
	assert_true(rig_sql(g, "SELECT count(*) FROM requests") == 0.0);
}

/* A steady load without a pause: the log is begun anew, it does not grow with what is written. */
static void the_log_stays_small(void **s)
{
	struct rig *g = *s;
	uint64_t x = 88172645463325252u;
	char text[400], wal[120];
	struct stat st;
	int i, k, n;

	for (i = 0; i < 2000; i++) {
		for (k = n = 0; k < 30; k++) {
			x ^= x << 13, x ^= x >> 7, x ^= x << 17;
			n += snprintf(text + n, sizeof(text) - (size_t)n, "%llx ", (unsigned long long)(x % 100000));
		}
		msgpack_zone_clear(g->zone);
		rig_say(g, text);
	}
	snprintf(wal, sizeof(wal), "%s-wal", g->path);
	assert_int_equal(stat(wal, &st), 0);
	assert_true(st.st_size < 32 << 20);
}

#define T(name) cmocka_unit_test_setup_teardown(name, rig_setup, rig_teardown)
int main(void)
{
	const struct CMUnitTest tests[] = {
		T(schema),
		T(a_memory_is_kept_as_said),
		T(the_same_said_again_heats),
		T(own_ids),
		T(a_list_is_all_or_nothing),
		T(a_request_happens_once),
		T(batches),
		T(deadlines_and_full_queues),
		T(decisions),
		T(notes_ride_along),
		T(notes_alone),
		T(another_writer_holds_it),
		T(the_index_follows_the_rows),
		T(old_requests_go),
		T(the_log_stays_small),

	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
