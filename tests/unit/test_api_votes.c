/* How a vote is convened: POST /api/v1/vote and executive.vote; memory-jr, which keeps one vote, and the others are
 * played (api_fake.h). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "common/base/clock.h"
#include "tests/unit/api_client.h"

/* What the played ones do, and what came to them. */
static struct {
	bool open, convened, closed, deadline;
	unsigned opened, casts, listed;
	int cast_fails; /* so often */
	char by[32], request_id[64];
	struct {
		char voter[32], choice[32], reason[200];
		bool veto;
	} ballot[4];
	uint32_t nballots;
	enum mood mood[TR_NROLES];
	const char *choice[TR_NROLES];
	bool veto[TR_NROLES];
	uint64_t called_ns;
	uint32_t share;
} pv;

static const wire_str yes_no[] = {{"yes", 3}, {"no", 2}};

static struct item_vote the_vote(void)
{
	static msgpack_object map = {.type = MSGPACK_OBJECT_MAP};
	static struct item_ballot v[4];
	struct item_vote vote = {.vote_id = wire_s("v-1"), .proposal = wire_s("Shall we?"), .options = {yes_no, 2}};

	for (uint32_t i = 0; i < pv.nballots; i++)
		v[i] = (struct item_ballot){.voter = wire_s(pv.ballot[i].voter), .choice = wire_s(pv.ballot[i].choice)};
	vote.quorum = 2;
	vote.by = wire_s("b");
	vote.convened = pv.convened;
	vote.has_closed_at = pv.closed;
	vote.outcome = wire_s(pv.closed ? "yes" : "open");
	vote.results = vote.tally = &map;
	vote.ballots = (struct list_ballot){v, pv.nballots};
	return vote;
}

static void on_open(void *arg, struct chan_call *call, const void *msg)
{
	const struct msg_memory_vote_open *m = msg;
	struct res_memory_vote_open res = {.vote_id = wire_s("v-1"), .created = !pv.open};

	(void)arg;
	if (moody(fx.memory_mood, call))
		return;
	pv.opened++;
	pv.open = true;
	pv.deadline = m->has_deadline_s;
	snprintf(pv.by, sizeof(pv.by), "%.*s", (int)m->by.n, m->by.p);
	snprintf(pv.request_id, sizeof(pv.request_id), "%.*s", (int)m->common.request_id.n, m->common.request_id.p);
	chan_reply(call, &res);
}

static void on_vote(void *arg, struct chan_call *call, const void *msg)
{
	struct res_memory_vote res = {.vote = the_vote()};

	(void)arg;
	(void)msg;
	if (!moody(fx.memory_mood, call))
		chan_reply(call, &res);
}

static void on_cast(void *arg, struct chan_call *call, const void *msg)
{
	const struct msg_memory_vote_cast *m = msg;
	struct res_memory_vote_cast res = {.vote_id = wire_s("v-1"), .closed = true, .changed = true};

	(void)arg;
	if (pv.cast_fails > 0) {
		pv.cast_fails--;
		chan_failf(call, TR_EUNAVAILABLE, "", "the archive: another program holds the database");
		return;
	}
	assert_true(m->has_convened && m->convened && m->ballots.n == 4);
	pv.casts++;
	pv.convened = true;
	pv.closed = !pv.deadline;
	pv.nballots = m->ballots.n;
	for (uint32_t i = 0; i < m->ballots.n; i++) {
		const struct item_ballot *b = &m->ballots.v[i];

		snprintf(pv.ballot[i].voter, sizeof(pv.ballot[i].voter), "%.*s", (int)b->voter.n, b->voter.p);
		snprintf(pv.ballot[i].choice, sizeof(pv.ballot[i].choice), "%.*s", (int)b->choice.n, b->choice.p);
		snprintf(pv.ballot[i].reason, sizeof(pv.ballot[i].reason), "%.*s", (int)b->reason.n, b->reason.p);
		pv.ballot[i].veto = b->has_veto && b->veto;
	}
	chan_reply(call, &res);
}

static void on_votes(void *arg, struct chan_call *call, const void *msg)
{
	const struct msg_memory_votes *m = msg;
	const struct item_vote_line line = {.vote_id = wire_s("v-1"),
					    .proposal = wire_s("Shall we?"),
					    .by = wire_s("b"),
					    .outcome = wire_s("open")};
	struct res_memory_votes res = {.votes = {&line, pv.open && !pv.convened}};

	(void)arg;
	assert_true(m->has_unconvened && m->unconvened);
	pv.listed++;
	chan_reply(call, &res);
}

static void on_ballot(void *arg, struct chan_call *call, const void *msg)
{
	const struct msg_ballot *m = msg;
	enum tr_role role = (enum tr_role)(uintptr_t)arg;
	struct res_ballot res = {.choice = wire_s(pv.choice[role] != NULL ? pv.choice[role] : "yes"),
				 .reason = wire_s("played"),
				 .has_veto = pv.veto[role],
				 .veto = pv.veto[role]};

	fx.code = TR_EUNAVAILABLE;
	pv.called_ns = m->called_ns;
	pv.share = chan_call_left_ms(call);
	assert_true(m->proposal.n == 9 && m->options.n == 2);
	if (!moody(pv.mood[role], call))
		chan_reply(call, &res);
}

static int begin(void **state)
{
	int r = set_up(state);

	memset(&pv, 0, sizeof(pv));
	chan_server_handle(fx.memory, MSG_memory_vote_open, on_open, NULL);
	chan_server_handle(fx.memory, MSG_memory_vote, on_vote, NULL);
	chan_server_handle(fx.memory, MSG_memory_vote_cast, on_cast, NULL);
	chan_server_handle(fx.memory, MSG_memory_votes, on_votes, NULL);
	chan_server_handle(fx.memory, MSG_ballot, on_ballot, (void *)(uintptr_t)TR_ROLE_MEMORY);
	chan_server_handle(fx.meta, MSG_ballot, on_ballot, (void *)(uintptr_t)TR_ROLE_META);
	chan_server_handle(fx.integration, MSG_ballot, on_ballot, (void *)(uintptr_t)TR_ROLE_INTEGRATION);
	chan_server_handle(fx.executive, MSG_executive_vote, api_rpc_vote, fx.api);
	return r;
}

#define VOTE "{\"proposal\":\"Shall we?\"}"

static void each_is_asked(void **state)
{
	static const char *const names[] = {"memory_jr", "integration_jr", "meta_jr", "executive_jr"};

	(void)state;
	pv.choice[TR_ROLE_META] = "no";
	assert_int_equal(request("POST", "/api/v1/vote", JSON "Idempotency-Key: k\r\n", VOTE), 201);
	assert_string_equal(text("vote_id"), "v-1");
	assert_string_equal(text("outcome"), "yes");
	assert_true(json_is_null(json_object_get(rp.doc, "memory_id")));
	assert_string_equal(pv.request_id, "key:k");
	assert_string_equal(pv.by, "loopback");
	assert_int_equal(pv.casts, 1);
	for (int i = 0; i < 4; i++) {
		assert_string_equal(pv.ballot[i].voter, names[i]);
		assert_string_equal(pv.ballot[i].choice, i == 2 ? "no" : "yes");
		assert_true(strlen(pv.ballot[i].reason) > 0);
	}
	assert_true(pv.called_ns > 0 && pv.called_ns <= tr_mono_ns());
	assert_true(pv.share > 0 && pv.share <= 1500);
	/* the same again: it is closed, and nobody is asked */
	assert_int_equal(request("POST", "/api/v1/vote", JSON "Idempotency-Key: k\r\n", VOTE), 200);
	assert_int_equal(pv.casts, 1);
}

static void whoever_does_not_answer_is_absent(void **state)
{
	(void)state;
	pv.mood[TR_ROLE_INTEGRATION] = FAIL;
	pv.mood[TR_ROLE_META] = SILENT;
	pv.choice[TR_ROLE_MEMORY] = "purple"; /* no option of this vote is no ballot */
	fx.status_mood = FAIL;
	assert_int_equal(POST("/api/v1/vote", VOTE), 201);
	assert_string_equal(pv.ballot[0].choice, "absent");
	assert_string_equal(pv.ballot[1].choice, "absent");
	assert_string_equal(pv.ballot[1].reason, "must be a number from 0 to 1"); /* what it said itself */
	assert_string_equal(pv.ballot[2].choice, "absent");
	assert_string_equal(pv.ballot[2].reason, "meta_jr did not answer in time");
	assert_string_equal(pv.ballot[3].choice, "abstain"); /* it is there, and has no evidence */
}

static void absence_is_nobody_s_choice(void **state)
{
	(void)state;
	pv.choice[TR_ROLE_META] = "absent"; /* a Jr that answers is not absent, whatever it says */
	pv.choice[TR_ROLE_MEMORY] = "abstain";
	assert_int_equal(POST("/api/v1/vote", VOTE), 201);
	assert_string_equal(pv.ballot[0].choice, "abstain");
	assert_string_equal(pv.ballot[0].reason, "played");
	assert_string_equal(pv.ballot[2].choice, "absent");
	assert_string_not_equal(pv.ballot[2].reason, "played");
}

/* Of memory_jr's no; elsewhere it is no answer. */
static void a_veto_goes_along(void **state)
{
	(void)state;
	pv.choice[TR_ROLE_MEMORY] = "no";
	pv.veto[TR_ROLE_MEMORY] = pv.veto[TR_ROLE_META] = true;
	pv.choice[TR_ROLE_META] = "no";
	assert_int_equal(POST("/api/v1/vote", VOTE), 201);
	assert_true(pv.ballot[0].veto && strcmp(pv.ballot[0].choice, "no") == 0);
	assert_false(pv.ballot[1].veto);
	assert_true(!pv.ballot[2].veto && strcmp(pv.ballot[2].choice, "absent") == 0);
}

static void a_veto_for_it_is_none(void **state)
{
	(void)state;
	pv.veto[TR_ROLE_MEMORY] = true; /* with its yes */
	assert_int_equal(POST("/api/v1/vote", VOTE), 201);
	assert_true(!pv.ballot[0].veto && strcmp(pv.ballot[0].choice, "absent") == 0);
}

static void turn_until_closed(void)
{
	loop_timer_start(fx.watchdog, WAIT_MS, 0);
	while (!pv.closed)
		uv_run(&fx.loop, UV_RUN_ONCE);
	loop_timer_stop(fx.watchdog);
}

/* The caller is told that it failed; the vote is finished all the same. */
static void a_failure_is_made_good(void **state)
{
	(void)state;
	pv.cast_fails = 2;
	POST("/api/v1/vote", VOTE);
	check_problem(503, "unavailable", "another program holds the database");
	assert_false(pv.closed);
	turn_until_closed();
	assert_true(pv.opened == 1 && pv.casts == 1 && pv.cast_fails == 0 && pv.listed >= 2);
}

static void a_new_lead_looks_for_what_was_left(void **state)
{
	(void)state;
	pv.open = true;
	api_lead(fx.api);
	turn_until_closed();
	assert_true(pv.opened == 0 && pv.casts == 1 && pv.listed == 1);
}

static void one_that_drains_leaves_it(void **state)
{
	(void)state;
	pv.open = true;
	api_lead(fx.api);
	api_drain(fx.api);
	assert_int_equal(GET("/healthz"), 200); /* some turns of the loop */
	assert_int_equal(pv.listed, 0);
}

static void memory_is_away(void **state)
{
	(void)state;
	fx.memory_mood = FAIL;
	fx.code = TR_EUNAVAILABLE;
	POST("/api/v1/vote", VOTE);
	check_problem(503, "unavailable", "");
	assert_int_equal(pv.opened, 0);
	POST("/api/v1/vote", "{\"proposal\":\"Shall we?\",\"by\":\"me\"}");
	check_problem(422, "invalid", "\"by\"");
}

/* ---- RPC ---- */
static struct {
	int r;
	bool done;
	char outcome[16];
} rpc;

static void on_rpc(void *arg, int r, const void *res, const struct tr_fault *fault)
{
	const struct res_executive_vote *v = res;

	(void)arg;
	(void)fault;
	rpc.r = r;
	rpc.done = true;
	if (r == 0)
		snprintf(rpc.outcome, sizeof(rpc.outcome), "%.*s", (int)v->vote.outcome.n, v->vote.outcome.p);
}

static void by_rpc(void **state)
{
	struct msg_executive_vote msg = {.proposal = wire_s("Shall we?"), .has_by = true, .by = wire_s("ann")};

	(void)state;
	msg.has_deadline_s = true;
	msg.deadline_s = 60;
	memset(&rpc, 0, sizeof(rpc));
	assert_int_equal(peer_call(fx.to_executive, MSG_executive_vote, &msg, 5000, on_rpc, NULL, NULL), 0);
	loop_timer_start(fx.watchdog, WAIT_MS, 0);
	while (!rpc.done)
		uv_run(&fx.loop, UV_RUN_ONCE);
	loop_timer_stop(fx.watchdog);
	assert_int_equal(rpc.r, 0);
	assert_string_equal(rpc.outcome, "open");
	assert_string_equal(pv.by, "ann");
	assert_int_equal(pv.casts, 1);
}

static void forget_last(void **state)
{
	(void)state;
	forget();
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, begin, tear_down)
	const struct CMUnitTest tests[] = {
		T(each_is_asked),
		T(whoever_does_not_answer_is_absent),
		T(absence_is_nobody_s_choice),
		T(a_veto_goes_along),
		T(a_veto_for_it_is_none),
		T(a_failure_is_made_good),
		T(a_new_lead_looks_for_what_was_left),
		T(one_that_drains_leaves_it),
		T(memory_is_away),
		T(by_rpc),
		cmocka_unit_test(forget_last),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
