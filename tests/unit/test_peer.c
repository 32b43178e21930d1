/* proto/chan/peer against a real server, and against raw ones that misbehave. Links proto/chan. */
#include "common/base/text.h"
#include "proto/chan/peer.h"
#include "proto/chan/server.h"
#include "tests/unit/world.h"
#include <fcntl.h>

struct seen {
	unsigned calls;
	int r;
	uint32_t pid;
	struct tr_fault fault;
	unsigned order; /* when, among all */
	struct peer **free_it;
};

struct site {
	struct world w;
	int listener; /* as tribed holds it: outlives every server; -1: none */
	struct chan_server *server;
	struct peer *peer;
	struct chan_call *held[64];
	unsigned nheld;
	char ids[64][40]; /* request ids in order of arrival */
	uint32_t deadlines[64];
	uint32_t pid; /* what the server says */
	struct seen a, b;
	unsigned notes, lost;
	struct chan_conn *conn;
	struct raw raw;
};

static unsigned finished; /* callbacks so far */

static void done(void *arg, int r, const void *res, const struct tr_fault *fault)
{
	struct seen *seen = arg;

	seen->calls++;
	seen->r = r;
	seen->order = ++finished;
	assert_true((r == 0) == (res != NULL));
	assert_true((r == 0) == (fault == NULL));
	if (fault != NULL)
		seen->fault = *fault;
	else
		seen->pid = ((const struct res_ping *)res)->pid;
	if (seen->free_it != NULL)
		peer_free(seen->free_it);
}

static void added(void *arg, int r, const void *res, const struct tr_fault *fault)
{
	struct seen *seen = arg;

	(void)res;
	(void)fault;
	seen->calls++;
	seen->r = r;
	seen->order = ++finished;
}

static void on_ping(void *arg, struct chan_call *call, const void *msg)
{
	struct site *s = arg;
	struct res_ping res = {.jr = wire_s("memory_jr"), .pid = s->pid, .generation = 1};

	assert_false(((const struct msg_ping *)msg)->common.has_request_id); /* no effects, no id */
	chan_reply(call, &res);
}

static void on_held(void *arg, struct chan_call *call, const void *msg)
{
	struct site *s = arg;
	const struct wire_common *m = chan_call_common(call);

	(void)msg;
	assert_true(s->nheld < 64);
	tr_copy(s->ids[s->nheld], sizeof(s->ids[0]), m->request_id.p, m->request_id.n);
	s->deadlines[s->nheld] = m->deadline_ms;
	s->conn = chan_call_conn(call);
	s->held[s->nheld++] = call;
}

static void serve(struct site *s)
{
	struct chan_server_cfg cfg = {.loop = &s->w.loop, .max_conns = 8, .max_inflight = 64, .max_queue = 1 << 20};

	if (s->listener < 0)
		s->listener = world_listen(&s->w);
	cfg.fd = dup(s->listener);
	assert_int_equal(chan_server_new(&s->server, &cfg), 0);
	chan_server_handle(s->server, MSG_ping, on_ping, s);
	chan_server_handle(s->server, MSG_memory_add, on_held, s);
	chan_server_handle(s->server, MSG_memory_get, on_held, s);
}

static int setup(void **state)
{
	struct site *s = calloc(1, sizeof(*s));

	world_open(&s->w);
	s->listener = s->raw.fd = -1;
	s->pid = 1;
	finished = 0;
	assert_int_equal(peer_new(&s->peer, &s->w.loop, s->w.path, 64), 0);
	*state = s;
	return 0;
}

static int teardown(void **state)
{
	struct site *s = *state;

	peer_free(&s->peer);
	chan_server_free(&s->server);
	for (unsigned i = 0; i < s->nheld; i++) {
		if (s->held[i] != NULL)
			chan_failf(s->held[i], TR_ECLOSED, NULL, "the test is over");
	}
	raw_close(&s->raw);
	if (s->listener >= 0)
		(void)close(s->listener);
	world_close(&s->w);
	free(s);
	return 0;
}

static void ping(struct site *s, uint32_t timeout_ms, struct seen *seen)
{
	struct msg_ping m = {0};

	assert_int_equal(peer_call(s->peer, MSG_ping, &m, timeout_ms, done, seen, NULL), 0);
	assert_int_equal(seen->calls, 0); /* never from inside */
}

static int add(struct site *s, uint32_t timeout_ms, struct seen *seen, const char *request_id)
{
	struct item_new_memory item = {.content = wire_s("the fire was lit")};
	struct msg_memory_add m = {.memories = {&item, 1}};

	m.common.has_request_id = request_id != NULL;
	m.common.request_id = wire_s(request_id);
	return peer_call(s->peer, MSG_memory_add, &m, timeout_ms, added, seen, NULL);
}

static void answer_add(struct chan_call **call)
{
	struct item_added item = {.id = wire_s("m1"), .created = true, .temperature = 40, .stage = wire_s("warm")};
	struct res_memory_add res = {.memories = {&item, 1}};

	chan_reply(*call, &res);
	*call = NULL;
}

static void answers(void **state)
{
	struct site *s = *state;
	struct seen many[50] = {{0}};

	serve(s);
	ping(s, 5000, &s->a);
	SPIN(&s->w, s->a.calls == 1);
	assert_int_equal(s->a.r, 0);
	assert_int_equal(s->a.pid, 1);
	for (int i = 0; i < 50; i++)
		ping(s, 5000, &many[i]);
	assert_int_equal(peer_stats(s->peer)->waiting, 50);
	for (unsigned i = 0; i < 50; i++) {
		SPIN(&s->w, many[i].calls == 1);
		assert_int_equal(many[i].r, 0);
		assert_int_equal(many[i].order, i + 2);
	}
	assert_int_equal(peer_stats(s->peer)->waiting, 0);
	assert_int_equal(peer_stats(s->peer)->calls, 51);
	assert_int_equal(peer_stats(s->peer)->resent, 0);
	assert_int_equal(chan_server_stats(s->server)->accepted, 1);
}

static void nobody_there(void **state)
{
	struct site *s = *state;
	uint64_t t = tr_mono_ms();

	ping(s, 60, &s->a);
	ping(s, 0, &s->b);
	SPIN(&s->w, s->a.calls == 1);
	assert_true(tr_mono_ms() - t >= 60);
	assert_int_equal(s->a.r, TR_EUNAVAILABLE);
	assert_int_equal(s->a.fault.code, TR_EUNAVAILABLE);
	assert_int_equal(s->b.r, TR_EUNAVAILABLE);
	assert_int_equal(s->b.order, 1);
	/* and a leftover socket file without a listener */
	s->listener = world_listen(&s->w);
	(void)close(s->listener);
	s->listener = -1;
	s->a.calls = 0;
	ping(s, 20, &s->a);
	SPIN(&s->w, s->a.calls == 1);
	assert_int_equal(s->a.r, TR_EUNAVAILABLE);
}

static void comes_later(void **state)
{
	struct site *s = *state;

	ping(s, 10000, &s->a);
	for (int i = 0; i < 10; i++)
		(void)uv_run(&s->w.loop, UV_RUN_ONCE);
	assert_int_equal(s->a.calls, 0);
	serve(s);
	SPIN(&s->w, s->a.calls == 1);
	assert_int_equal(s->a.r, 0);
	assert_int_equal(peer_stats(s->peer)->resent, 0);
}

static void no_answer(void **state)
{
	struct site *s = *state;

	serve(s);
	assert_int_equal(add(s, 40, &s->a, NULL), 0);
	SPIN(&s->w, s->a.calls == 1);
	assert_int_equal(s->a.r, TR_EDEADLINE);
	assert_int_equal(s->nheld, 1);
	answer_add(&s->held[0]); /* too late: nobody hears it */
	ping(s, 5000, &s->b);
	SPIN(&s->w, s->b.calls == 1);
	assert_int_equal(s->a.calls, 1);
	assert_int_equal(peer_stats(s->peer)->reconnects, 0);
}

/* The one who was asked dies; his successor sees the same ids in the same order, and what is left of the time. */
static void successor(void **state)
{
	struct site *s = *state;

	serve(s);
	assert_int_equal(add(s, 9000, &s->a, NULL), 0);
	assert_int_equal(add(s, 9000, &s->b, "mine"), 0);
	SPIN(&s->w, s->nheld == 2);
	assert_int_equal(strlen(s->ids[0]), 36); /* it got one */
	assert_string_equal(s->ids[1], "mine");
	for (uint64_t t = tr_mono_ms() + 5; tr_mono_ms() < t;) /* so that there is less time left */
		(void)uv_run(&s->w.loop, UV_RUN_ONCE);
	chan_server_free(&s->server);
	world_settle(&s->w); /* connected to the queue of the listening socket already */
	assert_int_equal(s->a.calls, 0);
	serve(s);
	SPIN(&s->w, s->nheld == 4);
	assert_string_equal(s->ids[2], s->ids[0]);
	assert_string_equal(s->ids[3], "mine");
	assert_in_range(s->deadlines[0], 8950, 9000); /* less what passed until it was connected */
	assert_in_range(s->deadlines[2], 1, s->deadlines[0] - 4);
	assert_int_equal(peer_stats(s->peer)->resent, 2);
	assert_int_equal(peer_stats(s->peer)->reconnects, 1);
	answer_add(&s->held[0]); /* from the dead one: goes nowhere */
	world_settle(&s->w);
	assert_int_equal(s->a.calls, 0);
	answer_add(&s->held[2]);
	answer_add(&s->held[3]);
	SPIN(&s->w, s->b.calls == 1);
	assert_int_equal(s->a.calls, 1);
	assert_int_equal(s->a.r, 0);
	assert_int_equal(s->b.r, 0);
}

static void cancelled(void **state)
{
	struct site *s = *state;
	struct msg_ping m = {0};
	uint32_t token;

	serve(s);
	assert_int_equal(peer_call(s->peer, MSG_ping, &m, 5000, done, &s->a, &token), 0);
	ping(s, 5000, &s->b);
	peer_cancel(s->peer, token);
	peer_cancel(s->peer, token);
	SPIN(&s->w, s->b.calls == 1);
	assert_int_equal(s->a.calls, 0);
}

static void errors_come_through(void **state)
{
	struct site *s = *state;
	struct msg_memory_get m = {.id = wire_s("x")};

	serve(s);
	assert_int_equal(peer_call(s->peer, MSG_memory_get, &m, 5000, done, &s->a, NULL), 0);
	SPIN(&s->w, s->nheld == 1);
	chan_failf(s->held[0], TR_ENOTFOUND, "id", "no memory has it");
	s->held[0] = NULL;
	SPIN(&s->w, s->a.calls == 1);
	assert_int_equal(s->a.r, TR_ENOTFOUND);
	assert_string_equal(s->a.fault.field, "id");
	assert_string_equal(s->a.fault.rule, "no memory has it");
}

static void book_is_bounded(void **state)
{
	struct site *s = *state;
	struct msg_ping m = {0};
	struct seen many[64] = {{0}};

	for (int i = 0; i < 64; i++)
		ping(s, 5000, &many[i]);
	assert_int_equal(peer_call(s->peer, MSG_ping, &m, 5000, done, &s->a, NULL), TR_EBUSY);
	serve(s);
	for (int i = 0; i < 64; i++)
		SPIN(&s->w, many[i].calls == 1);
	ping(s, 5000, &s->a);
	SPIN(&s->w, s->a.calls == 1);
}

/* ---- servers that misbehave ---- */

static void raw_accept(struct site *s)
{
	raw_close(&s->raw);
	memset(&s->raw, 0, sizeof(s->raw));
	SPIN(&s->w, (s->raw.fd = accept4(s->listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC)) >= 0);
}

static void raw_listen(struct site *s)
{
	int flags;

	s->listener = world_listen(&s->w);
	flags = fcntl(s->listener, F_GETFL);
	assert_int_equal(fcntl(s->listener, F_SETFL, flags | O_NONBLOCK), 0);
}

static uint32_t raw_request(struct site *s)
{
	struct wire_in in;
	uint32_t msgid;
	size_t len;

	raw_next(&s->w, &s->raw, &in, &len);
	assert_int_equal(in.kind, WIRE_REQUEST);
	msgid = in.msgid;
	raw_done(&s->raw, &in, len);
	return msgid;
}

static void send_result(struct site *s, uint32_t msgid, uint32_t pid)
{
	struct res_ping res = {.jr = wire_s("memory_jr"), .pid = pid, .generation = 1};
	msgpack_sbuffer sb;

	msgpack_sbuffer_init(&sb);
	assert_int_equal(wire_pack_result(&sb, msgid, MSG_ping, &res), 0);
	raw_send(&s->raw, sb.data, sb.size);
	msgpack_sbuffer_destroy(&sb);
}

static void garbage_for_an_answer(void **state)
{
	static const char *const bad[] = {"\xc1", "\x94\x01", "\xa5hello", "\x94\x04\x01\xc0\xc0",
					  "\xdd\xff\xff\xff\xff"};
	struct site *s = *state;
	unsigned n = sizeof(bad) / sizeof(bad[0]);

	raw_listen(s);
	ping(s, 10000, &s->a);
	for (unsigned i = 0; i < n; i++) {
		raw_accept(s);
		(void)raw_request(s);
		raw_send(&s->raw, bad[i], strlen(bad[i]));
		if (i != 1) /* that one is only cut short: we hang up below */
			SPIN(&s->w, raw_gone(&s->raw));
		assert_int_equal(s->a.calls, 0);
	}
	raw_accept(s);
	send_result(s, raw_request(s), 5);
	SPIN(&s->w, s->a.calls == 1);
	assert_int_equal(s->a.r, 0);
	assert_int_equal(s->a.pid, 5);
	assert_int_equal(peer_stats(s->peer)->resent, n);
}

static void answer_that_does_not_decode(void **state)
{
	struct site *s = *state;
	char bytes[] = "\x94\x01\x00\xc0\x81\xa3pid\x05";

	raw_listen(s);
	ping(s, 10000, &s->a);
	raw_accept(s);
	assert_int_equal(raw_request(s), 0);
	raw_send(&s->raw, bytes, sizeof(bytes) - 1);
	SPIN(&s->w, s->a.calls == 1);
	assert_int_equal(s->a.r, TR_EPROTO);
	ping(s, 10000, &s->b); /* only that one is hurt */
	send_result(s, raw_request(s), 6);
	SPIN(&s->w, s->b.calls == 1);
	assert_int_equal(s->b.pid, 6);
}

static void bad_answers_on_a_standing_connection(void **state)
{
	struct site *s = *state;
	char bad[] = "\x94\x01\x00\xc0\x2a", worse[] = "\x94\x01\xce\xff\xff\xff\xff\xc0\x2a";

	raw_listen(s);
	peer_open(s->peer);
	ping(s, 10000, &s->a);
	ping(s, 10000, &s->b);
	raw_accept(s);
	send_result(s, raw_request(s), 1); /* who answers there */
	assert_int_equal(raw_request(s), 0);
	assert_int_equal(raw_request(s), 1);
	raw_send(&s->raw, bad, sizeof(bad) - 1);
	SPIN(&s->w, raw_gone(&s->raw));
	raw_accept(s);
	assert_int_equal(raw_request(s), UINT32_MAX);
	raw_send(&s->raw, worse, sizeof(worse) - 1); /* not even that */
	SPIN(&s->w, raw_gone(&s->raw));
	raw_accept(s);
	send_result(s, raw_request(s), 1);
	assert_int_equal(s->a.calls + s->b.calls, 0);
	send_result(s, raw_request(s), 5);
	send_result(s, raw_request(s), 6);
	SPIN(&s->w, s->a.calls == 1 && s->b.calls == 1);
	assert_int_equal(s->a.r + s->b.r, 0);
	assert_int_equal(s->a.pid, 5);
	assert_int_equal(s->b.pid, 6);
	assert_int_equal(peer_stats(s->peer)->broken, 2);
	assert_int_equal(peer_stats(s->peer)->resent, 4);
}

/* One that makes no sense whenever it is asked, and greets well each time, is not asked in a tight loop. */
static void bad_answers_always(void **state)
{
	struct site *s = *state;
	char bad[] = "\x94\x01\x00\xc0\x2a";
	unsigned accepted = 0;

	raw_listen(s);
	peer_open(s->peer);
	ping(s, 300, &s->a);
	while (s->a.calls == 0) {
		int fd = accept4(s->listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);

		if (fd >= 0) {
			raw_close(&s->raw);
			memset(&s->raw, 0, sizeof(s->raw));
			s->raw.fd = fd;
			accepted++;
			send_result(s, raw_request(s), 1);
			(void)raw_request(s);
			raw_send(&s->raw, bad, sizeof(bad) - 1);
		}
		(void)uv_run(&s->w.loop, UV_RUN_ONCE);
	}
	assert_true(s->a.r == TR_EUNAVAILABLE || s->a.r == TR_EDEADLINE);
	assert_in_range(accepted, 3, 16);
}

static void answer_to_nobody(void **state)
{
	struct site *s = *state;
	uint32_t msgid;

	raw_listen(s);
	ping(s, 10000, &s->a);
	raw_accept(s);
	msgid = raw_request(s);
	send_result(s, msgid + 77, 1);
	send_result(s, msgid, 2);
	send_result(s, msgid, 3); /* twice */
	SPIN(&s->w, s->a.calls == 1);
	world_settle(&s->w);
	assert_int_equal(s->a.calls, 1);
	assert_int_equal(s->a.pid, 2);
}

/* One that hangs up on everybody is not asked in a tight loop. */
static void hangs_up_always(void **state)
{
	struct site *s = *state;
	unsigned accepted = 0;

	raw_listen(s);
	ping(s, 200, &s->a);
	while (s->a.calls == 0) {
		int fd = accept4(s->listener, NULL, NULL, SOCK_CLOEXEC);

		if (fd >= 0) {
			accepted++;
			(void)close(fd);
		}
		(void)uv_run(&s->w.loop, UV_RUN_ONCE);
	}
	assert_true(s->a.r == TR_EUNAVAILABLE || s->a.r == TR_EDEADLINE);
	assert_in_range(accepted, 2, 14);
}

/* ---- notifications, and the ends ---- */

static void on_note(void *arg, enum wire_msg_id id, const void *msg)
{
	struct site *s = arg;

	assert_int_equal(id, MSG_heartbeat);
	assert_int_equal(((const struct msg_heartbeat *)msg)->pid, 3);
	s->notes++;
}

static void on_lost(void *arg)
{
	struct site *s = arg;

	s->lost++;
}

static void notes(void **state)
{
	struct site *s = *state;
	struct msg_heartbeat beat = {.jr = wire_s("memory_jr"), .pid = 3, .state = wire_s("serving")};
	struct msg_memory_get m = {.id = wire_s("x")};

	serve(s);
	peer_on_note(s->peer, on_note, s);
	peer_on_lost(s->peer, on_lost, s);
	assert_int_equal(peer_call(s->peer, MSG_memory_get, &m, 5000, done, &s->a, NULL), 0);
	SPIN(&s->w, s->nheld == 1);
	assert_int_equal(chan_notify(s->conn, MSG_heartbeat, &beat), 0);
	assert_int_equal(chan_notify(s->conn, MSG_heartbeat, &beat), 0);
	SPIN(&s->w, s->notes == 2);
	chan_failf(s->held[0], TR_ENOTFOUND, NULL, "no");
	s->held[0] = NULL;
	SPIN(&s->w, s->a.calls == 1);
	assert_int_equal(s->lost, 0);
	chan_server_free(&s->server);
	SPIN(&s->w, s->lost == 1);
	world_settle(&s->w);
	assert_int_equal(peer_stats(s->peer)->reconnects, 0); /* nothing waits: nothing to connect for */
}

static void freed_while_waiting(void **state)
{
	struct site *s = *state;
	struct seen c = {0};

	serve(s);
	s->b.free_it = &s->peer; /* once more, from inside */
	ping(s, 5000, &s->a);
	ping(s, 5000, &s->b);
	ping(s, 5000, &c);
	peer_free(&s->peer);
	assert_null(s->peer);
	assert_int_equal(s->a.r, TR_ECLOSED);
	assert_int_equal(s->b.r, TR_ECLOSED);
	assert_int_equal(c.r, TR_ECLOSED);
	assert_int_equal(s->a.calls + s->b.calls + c.calls, 3);
}

static void freed_by_an_answer(void **state)
{
	struct site *s = *state;

	serve(s);
	s->a.free_it = &s->peer;
	ping(s, 5000, &s->a);
	ping(s, 5000, &s->b);
	SPIN(&s->w, s->a.calls == 1);
	assert_int_equal(s->a.r, 0);
	assert_null(s->peer);
	assert_int_equal(s->b.r, TR_ECLOSED);
}

static void freed_by_a_deadline(void **state)
{
	struct site *s = *state;

	s->a.free_it = &s->peer;
	ping(s, 5, &s->a);
	ping(s, 5, &s->b);
	SPIN(&s->w, s->a.calls == 1);
	assert_null(s->peer);
	assert_int_equal(s->b.r, TR_ECLOSED);
	world_settle(&s->w);
	assert_int_equal(s->b.calls, 1);
}

static void shut(void **state)
{
	struct site *s = *state;
	struct msg_ping m = {0};

	ping(s, 5000, &s->a);
	peer_shut(s->peer);
	assert_int_equal(s->a.r, TR_ECLOSED);
	assert_int_equal(peer_call(s->peer, MSG_ping, &m, 1000, done, &s->b, NULL), TR_ECLOSED);
	assert_int_equal(peer_stats(s->peer)->waiting, 0);
}

static void path_too_long(void **state)
{
	struct site *s = *state;
	struct peer *p = NULL;
	char path[200];

	memset(path, 'x', sizeof(path));
	path[199] = '\0';
	assert_int_equal(peer_new(&p, &s->w.loop, path, 1), TR_EINVAL);
	assert_null(p);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(answers),
		T(nobody_there),
		T(comes_later),
		T(no_answer),
		T(successor),
		T(cancelled),
		T(errors_come_through),
		T(book_is_bounded),
		T(garbage_for_an_answer),
		T(answer_that_does_not_decode),
		T(bad_answers_on_a_standing_connection),
		T(bad_answers_always),
		T(answer_to_nobody),
		T(hangs_up_always),
		T(notes),
		T(freed_while_waiting),
		T(freed_by_an_answer),
		T(freed_by_a_deadline),
		T(shut),
		T(path_too_long),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
