/* What only PostgreSQL can do to an archive: others commit between us, in an order that no sequence tells. */
#include "memory_rig.h"

#include <libpq-fe.h>

struct heard {
	bool done;
	struct archive_mark next;
	int64_t memory[64];
	unsigned n;
};

static void on_tail(void *arg, int r, const struct archive_tail *tail, const struct tr_fault *fault)
{
	struct heard *h = arg;
	unsigned i;

	(void)fault;
	assert_int_equal(r, 0);
	assert_false(tail->lost);
	for (i = 0; i < tail->n && h->n < 64; i++)
		h->memory[h->n++] = tail->v[i].memory;
	h->next = tail->next;
	h->done = true;
}

static void hear(struct rig *g, struct heard *h)
{
	struct archive_mark from = h->next;

	h->done = false;
	h->n = 0;
	assert_int_equal(archive_tail(g->a, &from, 100, on_tail, h), 0);
	while (!h->done)
		uv_run(&g->loop, UV_RUN_ONCE);
}

static bool heard_of(const struct heard *h, int64_t memory)
{
	unsigned i;

	for (i = 0; i < h->n && h->memory[i] != memory; i++)
		;
	return i < h->n;
}

static int64_t say(struct rig *g, const char *content)
{
	wire_str id = rig_say(g, content)->id;

	rig_get(g, id);
	return g->answer.hits[0].memory;
}

static PGconn *other(const struct rig *g)
{
	PGconn *c = PQconnectdb(g->conninfo);

	assert_int_equal(PQstatus(c), CONNECTION_OK);
	return c;
}

static void run(PGconn *c, const char *sql)
{
	PGresult *res = PQexec(c, sql);

	if (PQresultStatus(res) != PGRES_COMMAND_OK && PQresultStatus(res) != PGRES_TUPLES_OK)
		fail_msg("%s: %s", sql, PQresultErrorMessage(res));
	PQclear(res);
}

#define SLOW 900000000 /* a number no sequence of ours has reached */

/* A transaction that began first and commits last must not be passed over, whatever its numbers are. */
static void a_late_commit_is_heard_of(void **s)
{
	struct rig *g = *s;
	struct heard h = {0};
	PGconn *slow = other(g);
	int64_t first = say(g, "first"), second;
	uint64_t until = tr_mono_ms() + 20000;

	hear(g, &h);
	assert_true(heard_of(&h, first));
	run(slow, "BEGIN; INSERT INTO thermal_memory_archive(seq, id, memory_hash, heat_key, created_at, last_access, "
		  "original_content) VALUES(900000000, 'slow', repeat('0', 64), 2916, 1, 1, 'slow')");
	second = say(g, "second");
	hear(g, &h);
	assert_true(heard_of(&h, second) && !heard_of(&h, SLOW));
	hear(g, &h);
	run(slow, "COMMIT");
	hear(g, &h);
	assert_true(heard_of(&h, SLOW));
	do /* once nothing is open any more, in the databases of other tests neither, nothing is told again */
		hear(g, &h);
	while (h.n > 0 && tr_mono_ms() < until);
	assert_int_equal(h.n, 0);
	PQfinish(slow);
}

/* Others who keep a transaction open, even in another database, hide nothing. */
static void an_open_transaction_hides_nothing(void **s)
{
	struct rig *g = *s;
	struct heard h = {0};
	PGconn *idle = other(g);
	int64_t memory;

	run(idle, "BEGIN; SELECT pg_current_xact_id()");
	memory = say(g, "seen all the same");
	hear(g, &h);
	assert_true(heard_of(&h, memory));
	run(idle, "ROLLBACK");
	PQfinish(idle);
}

/* One bad row falls alone: here one that only the server objects to. */
static void neighbours_survive_a_refusal(void **s)
{
	struct rig *g = *s;
	struct archive_ctx ctx = {g->zone, 0};
	struct item_new_memory m[3] = {said("good one"), said("bad one"), said("good two")};
	struct msg_memory_add msg[3] = {{.memories = {&m[0], 1}}, {.memories = {&m[1], 1}}, {.memories = {&m[2], 1}}};
	PGconn *c = other(g);
	int i;

	run(c, "ALTER TABLE thermal_memory_archive ADD CONSTRAINT no_bad CHECK(original_content NOT LIKE 'bad%')");
	g->waiting = 3;
	for (i = 0; i < 3; i++)
		assert_int_equal(archive_call(g->a, MSG_memory_add, &msg[i], &ctx, rig_answered, g), 0);
	while (g->waiting > 0)
		uv_run(&g->loop, UV_RUN_ONCE);
	assert_true(rig_sql(g, "SELECT count(*) FROM thermal_memory_archive WHERE original_content LIKE 'good%'") ==
		    2.0);
	assert_true(rig_sql(g, "SELECT count(*) FROM thermal_memory_archive") == 2.0);
	rig_say(g, "and it goes on");
	run(c, "ALTER TABLE thermal_memory_archive DROP CONSTRAINT no_bad");
	PQfinish(c);
}

/* A plan made while the tables were empty must not read them whole for ever. */
static void looks_go_by_keys(void **s)
{
	struct rig *g = *s;
	struct item_new_memory m = said("");
	struct msg_memory_add msg = {.memories = {&m, 1}, .common = {.has_request_id = true}};
	uint64_t until = tr_mono_ms() + 20000;
	PGconn *c = other(g);
	char text[32];
	int i;

	run(c, "VACUUM ANALYZE requests"); /* now the server knows that it is empty */
	PQfinish(c);
	for (i = 0; i < 40; i++) {
		snprintf(text, sizeof(text), "fact %d", i);
		m.content = msg.common.request_id = wire_s(text);
		rig_call(g, MSG_memory_add, &msg);
	}
	archive_close(&g->a); /* a connection that ends tells what it has counted, a little later */
	while (rig_sql(g, "SELECT seq_scan + idx_scan FROM pg_stat_user_tables WHERE relname = 'requests'") < 40.0 &&
	       tr_mono_ms() < until)
		usleep(1000);
	assert_true(rig_sql(g, "SELECT idx_scan FROM pg_stat_user_tables WHERE relname = 'requests'") >= 40.0);
	assert_true(rig_sql(g, "SELECT seq_scan FROM pg_stat_user_tables WHERE relname = 'requests'") < 10.0);
	assert_int_equal(rig_open_again(g, NULL), 0);
}

#define T(name) cmocka_unit_test_setup_teardown(name, rig_setup, rig_teardown_sound)
int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		T(a_late_commit_is_heard_of),
		T(an_open_transaction_hides_nothing),
		T(neighbours_survive_a_refusal),
		T(looks_go_by_keys),
	};

	rig_choose(argc, argv);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
