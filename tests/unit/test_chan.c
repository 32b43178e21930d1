/* proto/chan/server against raw bytes. Links proto/chan. */
#include "proto/chan/server.h"
#include "tests/unit/world.h"

#define HELD_MAX 64

struct site {
	struct world w;
	struct chan_server *server;
	struct chan_call *held[HELD_MAX]; /* asked and not answered yet */
	unsigned nheld, closed, idle;
	unsigned caller; /* what identify says */
	bool free_in_handler, free_in_close;
	struct chan_conn *conn; /* of the last call */
	uint32_t left_ms;
	int listener; /* as tribed keeps it; -1: none */
	struct raw c, d;
};

static unsigned identify(void *arg, pid_t pid, uid_t uid, gid_t gid)
{
	const struct site *s = arg;

	assert_int_equal(pid, getpid());
	assert_int_equal(uid, geteuid());
	assert_int_equal(gid, getegid());
	return s->caller;
}

static void on_close(void *arg, struct chan_conn *conn)
{
	struct site *s = arg;

	s->closed++;
	assert_int_equal(chan_notify(conn, MSG_heartbeat, NULL), TR_ECLOSED);
	if (s->free_in_close)
		chan_server_free(&s->server);
}

static void answer(struct chan_call *call)
{
	struct res_ping res = {.jr = wire_s("memory_jr"), .pid = 7, .generation = 1, .epoch = 2, .monotonic_ns = 3};

	chan_reply(call, &res);
}

static void on_ping(void *arg, struct chan_call *call, const void *msg)
{
	struct site *s = arg;
	const struct msg_ping *m = msg;

	assert_ptr_equal(chan_call_common(call), &m->common);
	assert_int_equal(chan_call_id(call), MSG_ping);
	s->conn = chan_call_conn(call);
	s->left_ms = chan_call_left_ms(call);
	assert_non_null(msgpack_zone_malloc(chan_call_zone(call), 100));
	if (s->free_in_handler)
		chan_server_free(&s->server);
	answer(call);
}

/* Keeps the call; the test answers when it likes. */
static void on_held(void *arg, struct chan_call *call, const void *msg)
{
	struct site *s = arg;

	(void)msg;
	assert_true(s->nheld < HELD_MAX);
	s->held[s->nheld++] = call;
	s->conn = chan_call_conn(call);
}

static void on_idle(void *arg)
{
	((struct site *)arg)->idle++;
}

static struct chan_server_cfg usual(struct site *s)
{
	return (struct chan_server_cfg){.loop = &s->w.loop,
					.fd = dup(s->listener),
					.max_conns = 4,
					.max_inflight = 4,
					.max_queue = 1 << 20,
					.identify = identify,
					.on_close = on_close,
					.arg = s};
}

static void open_server(struct site *s, unsigned max_conns, unsigned max_inflight, size_t max_queue, chan_handler *fn)
{
	struct chan_server_cfg cfg;

	s->listener = world_listen(&s->w);
	cfg = usual(s);
	cfg.max_conns = max_conns;
	cfg.max_inflight = max_inflight;
	cfg.max_queue = max_queue;
	assert_int_equal(chan_server_new(&s->server, &cfg), 0);
	chan_server_handle(s->server, MSG_ping, fn, s);
}

static int setup(void **state)
{
	struct site *s = calloc(1, sizeof(*s));

	world_open(&s->w);
	s->c.fd = s->d.fd = s->listener = -1;
	s->caller = FROM_ANY_JR | FROM_USER;
	*state = s;
	return 0;
}

static int teardown(void **state)
{
	struct site *s = *state;

	chan_server_free(&s->server);
	raw_close(&s->c);
	raw_close(&s->d);
	if (s->listener >= 0)
		(void)close(s->listener);
	world_close(&s->w);
	free(s);
	return 0;
}

static void ask(struct raw *c, uint32_t msgid)
{
	struct msg_ping m = {0};

	raw_ask(c, msgid, MSG_ping, &m);
}

/* n questions that wait for their answers. */
static void ask_and_hold(struct site *s, uint32_t n)
{
	raw_open(&s->c, &s->w);
	for (uint32_t i = 1; i <= n; i++)
		ask(&s->c, i);
	SPIN(&s->w, s->nheld == n);
}

static void wait_longer_than_idle(struct site *s)
{
	uint64_t end = tr_mono_ms() + 250;

	SPIN(&s->w, tr_mono_ms() > end);
}

static void answers(void **state)
{
	struct site *s = *state;
	struct msg_ping m = {.common = {.has_deadline_ms = true, .deadline_ms = 60000}};

	open_server(s, 4, 4, 1 << 20, on_ping);
	raw_open(&s->c, &s->w);
	ask(&s->c, 1);
	assert_int_equal(raw_answer(&s->w, &s->c, 1, NULL), 0);
	assert_int_equal(s->left_ms, UINT32_MAX);
	raw_ask(&s->c, 2, MSG_ping, &m);
	assert_int_equal(raw_answer(&s->w, &s->c, 2, NULL), 0);
	assert_in_range(s->left_ms, 1, 60000);
	assert_int_equal(chan_server_stats(s->server)->requests, 2);
	assert_int_equal(chan_server_stats(s->server)->answered, 2);
	assert_int_equal(chan_server_stats(s->server)->inflight, 0);
	assert_int_equal(chan_server_stats(s->server)->broken, 0);
}

static void byte_by_byte_and_many_at_once(void **state)
{
	struct site *s = *state;
	struct msg_ping m = {0};
	msgpack_sbuffer sb;

	open_server(s, 4, 4, 1 << 20, on_ping);
	raw_open(&s->c, &s->w);
	msgpack_sbuffer_init(&sb);
	assert_int_equal(wire_pack_request(&sb, 9, MSG_ping, &m), 0);
	for (size_t i = 0; i < sb.size; i++) {
		assert_int_equal(raw_has(&s->c), 0);
		raw_send(&s->c, sb.data + i, 1);
		world_settle(&s->w);
	}
	assert_int_equal(raw_answer(&s->w, &s->c, 9, NULL), 0);
	msgpack_sbuffer_clear(&sb);
	for (uint32_t i = 0; i < 500; i++)
		assert_int_equal(wire_pack_request(&sb, i, MSG_ping, &m), 0);
	raw_send(&s->c, sb.data, sb.size - 3); /* and the last one is cut */
	for (uint32_t i = 0; i < 499; i++)
		assert_int_equal(raw_answer(&s->w, &s->c, i, NULL), 0);
	assert_int_equal(raw_has(&s->c), 0);
	raw_send(&s->c, sb.data + sb.size - 3, 3);
	assert_int_equal(raw_answer(&s->w, &s->c, 499, NULL), 0);
	msgpack_sbuffer_destroy(&sb);
}

/* A request far larger than any one read, in pieces; its bytes must all be there in the handler. */
static void on_import(void *arg, struct chan_call *call, const void *msg)
{
	struct site *s = arg;
	const struct msg_integration_import *m = msg;
	struct res_integration_import res = {.added = m->data.n};

	for (uint32_t i = 0; i < m->data.n; i++)
		assert_int_equal(m->data.p[i], (char)(i % 251));
	s->nheld++;
	chan_reply(call, &res);
}

static void large_request(void **state)
{
	struct site *s = *state;
	enum { N = 5000000 };
	char *data = malloc(N);
	struct msg_integration_import m = {.name = wire_s("n"), .format = wire_s("text"), .data = {data, N}};
	msgpack_sbuffer sb;
	size_t at = 0;

	for (int i = 0; i < N; i++)
		data[i] = (char)(i % 251);
	open_server(s, 4, 4, 1 << 20, on_ping);
	chan_server_handle(s->server, MSG_integration_import, on_import, s);
	raw_open(&s->c, &s->w);
	msgpack_sbuffer_init(&sb);
	assert_int_equal(wire_pack_request(&sb, 1, MSG_integration_import, &m), 0);
	assert_int_equal(wire_pack_request(&sb, 2, MSG_integration_import, &m), 0); /* right behind it */
	while (at < sb.size) {
		ssize_t n = send(s->c.fd, sb.data + at, sb.size - at, MSG_DONTWAIT);

		at += n > 0 ? (size_t)n : 0;
		(void)uv_run(&s->w.loop, UV_RUN_NOWAIT);
	}
	assert_int_equal(raw_answer(&s->w, &s->c, 1, NULL), 0);
	assert_int_equal(raw_answer(&s->w, &s->c, 2, NULL), 0);
	assert_int_equal(s->nheld, 2);
	s->nheld = 0;
	msgpack_sbuffer_destroy(&sb);
	free(data);
}

/* Each of these loses its connection, is counted, and harms nobody else. */
static void broken_frames(void **state)
{
	static const struct {
		const char *p;
		size_t n;
	} bad[] = {
		{"\xc1", 1},                                         /* no MessagePack */
		{"GET / HTTP/1.1\r\n\r\n", 18},                      /* small integers */
		{"\x80", 1},                                         /* a map */
		{"\x90", 1},                                         /* nothing */
		{"\x94\x00\x01\xa1x", 5},                            /* cut, then closed: see below */
		{"\x93\x00\x01\xa1x", 5},                            /* three elements */
		{"\x94\x07\x01\xa1x\x80", 6},                        /* no such kind */
		{"\x94\x00\xff\xa1x\x80", 6},                        /* msgid below zero */
		{"\x94\x00\x01\x05\x80", 5},                         /* the method is a number */
		{"\x94\x00\x01\xa7jr.ping\xc6\xff\xff\xff\xff", 16}, /* announces 4 GiB */
		{"\xdd\xff\xff\xff\xff", 5},                         /* announces four billion entries */
		{"\x94\x01\x01\xc0\x80", 5},                         /* an answer nobody asked for */
		{"\x93\x02\xa9heartbeat\x80", 13},                   /* notifications are not taken here */
	};
	struct site *s = *state;
	unsigned n = sizeof(bad) / sizeof(bad[0]);

	open_server(s, 4, 4, 1 << 20, on_ping);
	raw_open(&s->d, &s->w);
	for (unsigned i = 0; i < n; i++) {
		raw_open(&s->c, &s->w);
		raw_send(&s->c, bad[i].p, bad[i].n);
		if (bad[i].n == 5 && bad[i].p[0] == '\x94' && bad[i].p[1] == 0 && bad[i].p[3] == '\xa1')
			assert_int_equal(shutdown(s->c.fd, SHUT_WR), 0);
		SPIN(&s->w, raw_gone(&s->c));
		raw_close(&s->c);
		assert_int_equal(s->closed, i + 1);
		ask(&s->d, i);
		assert_int_equal(raw_answer(&s->w, &s->d, i, NULL), 0);
	}
	assert_int_equal(chan_server_stats(s->server)->broken, n - 1); /* the cut one only went away */
	assert_int_equal(chan_server_stats(s->server)->conns, 1);
}

/* Understood well enough to be answered: an error, and the connection goes on. */
static void bad_requests(void **state)
{
	struct site *s = *state;
	struct msg_memory_get get = {.id = wire_s("x")};
	struct msg_meta_anomalies anomalies = {0};
	struct tr_fault f;

	s->caller = FROM_META;
	open_server(s, 4, 4, 1 << 20, on_ping);
	chan_server_handle(s->server, MSG_memory_get, on_held, s);
	raw_open(&s->c, &s->w);
	raw_send(&s->c, "\x94\x00\x01\xa4nope\x80", 9);
	assert_int_equal(raw_answer(&s->w, &s->c, 1, NULL), TR_EMETHOD);
	raw_ask(&s->c, 2, MSG_memory_get, &get);
	assert_int_equal(raw_answer(&s->w, &s->c, 2, NULL), TR_EREFUSED);
	raw_send(&s->c,
		 "\x94\x00\x03\xa7jr.ping\x81\xaa"
		 "request_id\x05",
		 24);
	assert_int_equal(raw_answer(&s->w, &s->c, 3, &f), TR_EINVAL);
	assert_string_equal(f.field, "request_id");
	raw_send(&s->c, "\x94\x00\x04\xa7jr.ping\xa1x", 13);
	assert_int_equal(raw_answer(&s->w, &s->c, 4, NULL), TR_EINVAL);
	ask(&s->c, 5);
	assert_int_equal(raw_answer(&s->w, &s->c, 5, NULL), 0);
	raw_close(&s->c);
	SPIN(&s->w, s->closed == 1);
	s->caller = FROM_USER;
	raw_open(&s->c, &s->w);
	raw_ask(&s->c, 6, MSG_meta_anomalies, &anomalies); /* known, allowed, not answered here */
	assert_int_equal(raw_answer(&s->w, &s->c, 6, NULL), TR_EMETHOD);
	assert_int_equal(s->nheld, 0);
	assert_int_equal(chan_server_stats(s->server)->broken, 5);
	assert_int_equal(chan_server_stats(s->server)->failed, 5);
}

static void stranger(void **state)
{
	struct site *s = *state;

	s->caller = 0;
	open_server(s, 4, 4, 1 << 20, on_ping);
	raw_open(&s->c, &s->w);
	SPIN(&s->w, raw_gone(&s->c));
	assert_int_equal(chan_server_stats(s->server)->refused, 1);
	assert_int_equal(chan_server_stats(s->server)->accepted, 0);
}

static void inflight_pauses(void **state)
{
	struct site *s = *state;

	open_server(s, 4, 3, 1 << 20, on_held);
	raw_open(&s->c, &s->w);
	for (uint32_t i = 0; i < 10; i++)
		ask(&s->c, i);
	SPIN(&s->w, s->nheld == 3);
	world_settle(&s->w);
	for (uint32_t i = 0; i < 10; i++) {
		assert_int_equal(s->nheld, i + 3 < 10 ? i + 3 : 10); /* never more than three unanswered */
		answer(s->held[i]);
		assert_int_equal(raw_answer(&s->w, &s->c, i, NULL), 0);
		world_settle(&s->w);
	}
	assert_int_equal(chan_server_stats(s->server)->inflight, 0);
}

/* Who asks and never reads is not asked further, and nothing is lost once he reads. */
static void answer_with(struct chan_call *call, char *text, uint32_t n)
{
	struct res_integration_synthesise res = {.answer = {text, n},
						 .confidence = 0.5,
						 .confidence_basis = wire_s("b"),
						 .synthesis = wire_s("extractive")};

	memset(text, 'x', n);
	chan_reply(call, &res);
}

static void on_big(void *arg, struct chan_call *call, const void *msg)
{
	struct site *s = arg;
	char text[60000];

	(void)msg;
	s->nheld++;
	answer_with(call, text, sizeof(text));
}

static void slow_reader_is_choked(void **state)
{
	struct site *s = *state;
	struct msg_integration_synthesise m = {.question = wire_s("q")};
	const unsigned n = 300;
	msgpack_sbuffer sb;

	open_server(s, 4, 1000, 4 << 20, on_held);
	chan_server_handle(s->server, MSG_integration_synthesise, on_big, s);
	raw_open(&s->c, &s->w);
	msgpack_sbuffer_init(&sb);
	for (uint32_t i = 0; i < n; i++)
		assert_int_equal(wire_pack_request(&sb, i, MSG_integration_synthesise, &m), 0);
	raw_send(&s->c, sb.data, sb.size); /* one piece: many small ones would fill the socket */
	msgpack_sbuffer_destroy(&sb);
	SPIN(&s->w, s->nheld > 5);
	world_settle(&s->w);
	assert_in_range(s->nheld, 6, n - 1); /* about 1 MiB of answers, and what the socket holds */
	for (uint32_t i = 0; i < n; i++)
		assert_int_equal(raw_answer(&s->w, &s->c, i, NULL), 0);
	assert_int_equal(s->nheld, n);
	assert_int_equal(s->closed, 0);
}

static void follower_that_never_reads(void **state)
{
	struct site *s = *state;
	struct msg_heartbeat beat = {.jr = wire_s("memory_jr"), .pid = 1, .state = wire_s("serving")};
	struct wire_in in;
	size_t len;
	int r = 0;

	open_server(s, 4, 4, 1 << 20, on_held);
	ask_and_hold(s, 1);
	assert_int_equal(chan_notify(s->conn, MSG_heartbeat, &beat), 0);
	raw_next(&s->w, &s->c, &in, &len);
	assert_int_equal(in.kind, WIRE_NOTE);
	raw_done(&s->c, &in, len);
	for (int i = 0; i < 100000 && (r = chan_notify(s->conn, MSG_heartbeat, &beat)) == 0; i++)
		;
	assert_int_equal(r, TR_EBUSY);
	assert_int_equal(s->closed, 0); /* never from inside */
	assert_int_equal(chan_notify(s->conn, MSG_heartbeat, &beat), TR_EBUSY);
	SPIN(&s->w, s->closed == 1);
	assert_null(chan_call_conn(s->held[0]));
	answer(s->held[0]);
}

static void asker_gone(void **state)
{
	struct site *s = *state;

	open_server(s, 4, 4, 1 << 20, on_held);
	ask_and_hold(s, 3);
	raw_close(&s->c);
	world_settle(&s->w);
	answer(s->held[0]); /* finds out that nobody reads */
	SPIN(&s->w, s->closed == 1);
	assert_null(chan_call_conn(s->held[1]));
	assert_int_equal(chan_server_stats(s->server)->inflight, 2);
	answer(s->held[1]);
	chan_failf(s->held[2], TR_EINVAL, "f", "rule %d", 1);
	assert_int_equal(chan_server_stats(s->server)->inflight, 0);
	assert_int_equal(chan_server_stats(s->server)->conns, 0);
}

static void half_closed(void **state)
{
	struct site *s = *state;

	open_server(s, 4, 4, 1 << 20, on_held);
	raw_open(&s->c, &s->w);
	ask(&s->c, 1);
	ask(&s->c, 2);
	assert_int_equal(shutdown(s->c.fd, SHUT_WR), 0);
	SPIN(&s->w, s->nheld == 2);
	world_settle(&s->w);
	answer(s->held[0]);
	assert_int_equal(raw_answer(&s->w, &s->c, 1, NULL), 0);
	assert_int_equal(s->closed, 0);
	answer(s->held[1]);
	assert_int_equal(raw_answer(&s->w, &s->c, 2, NULL), 0);
	SPIN(&s->w, raw_gone(&s->c));
	assert_int_equal(s->closed, 1);
}

static void server_freed_first(void **state)
{
	struct site *s = *state;
	struct tr_fault f = {.code = TR_EBUSY};

	open_server(s, 4, 4, 1 << 20, on_held);
	ask_and_hold(s, 2);
	chan_server_free(&s->server);
	assert_null(s->server);
	assert_int_equal(s->closed, 1);
	assert_null(chan_call_conn(s->held[0]));
	answer(s->held[0]);
	world_settle(&s->w);
	chan_fail(s->held[1], &f);
	SPIN(&s->w, raw_gone(&s->c));
	assert_int_equal(s->c.n, 0);
}

static void server_freed_in_its_handler(void **state)
{
	struct site *s = *state;

	s->free_in_handler = true;
	open_server(s, 4, 4, 1 << 20, on_ping);
	raw_open(&s->c, &s->w);
	ask(&s->c, 1);
	ask(&s->c, 2);
	SPIN(&s->w, raw_gone(&s->c));
	assert_null(s->server);
}

static void server_freed_in_on_close(void **state)
{
	struct site *s = *state;

	s->free_in_close = true;
	open_server(s, 4, 4, 1 << 20, on_held);
	raw_open(&s->c, &s->w);
	raw_open(&s->d, &s->w);
	ask(&s->d, 1);
	SPIN(&s->w, s->nheld == 1);
	raw_close(&s->c);
	SPIN(&s->w, s->closed == 2);
	assert_null(s->server);
	answer(s->held[0]);
}

static void more_wait_in_the_kernel(void **state)
{
	struct site *s = *state;

	open_server(s, 1, 4, 1 << 20, on_held);
	ask_and_hold(s, 1);
	raw_open(&s->d, &s->w);
	ask(&s->d, 2);
	wait_longer_than_idle(s);
	assert_int_equal(chan_server_stats(s->server)->accepted, 1);
	raw_close(&s->c);
	answer(s->held[0]); /* nobody reads it; the place is free */
	SPIN(&s->w, s->nheld == 2);
	answer(s->held[1]);
	assert_int_equal(raw_answer(&s->w, &s->d, 2, NULL), 0);
}

/* What is idle gives way, the longest idle first; who follows, or waits for an answer, stays. */
static void the_idle_make_room(void **state)
{
	struct site *s = *state;
	struct raw *crowd = calloc(4, sizeof(*crowd));

	assert_non_null(crowd);
	open_server(s, 3, 4, 1 << 20, on_held);
	ask_and_hold(s, 1); /* c waits */
	raw_open(&crowd[0], &s->w);
	ask(&crowd[0], 1);
	SPIN(&s->w, s->nheld == 2);
	chan_conn_keep(chan_call_conn(s->held[1]));
	answer(s->held[1]);
	assert_int_equal(raw_answer(&s->w, &crowd[0], 1, NULL), 0);
	for (int i = 1; i < 4; i++)
		raw_open(&crowd[i], &s->w);
	SPIN(&s->w, raw_gone(&crowd[1]) && raw_gone(&crowd[2]));
	assert_false(raw_gone(&crowd[0]) || raw_gone(&crowd[3]) || raw_gone(&s->c));
	assert_int_equal(s->closed, 2);
	raw_open(&s->d, &s->w);
	ask(&s->d, 7);
	SPIN(&s->w, s->nheld == 3);
	answer(s->held[2]);
	assert_int_equal(raw_answer(&s->w, &s->d, 7, NULL), 0);
	assert_true(raw_gone(&crowd[3]));
	assert_int_equal(chan_server_stats(s->server)->conns, 3);
	answer(s->held[0]);
	assert_int_equal(raw_answer(&s->w, &s->c, 1, NULL), 0);
	for (int i = 0; i < 4; i++)
		raw_close(&crowd[i]);
	free(crowd);
}

static void server_freed_while_making_room(void **state)
{
	struct site *s = *state;

	open_server(s, 1, 4, 1 << 20, on_ping);
	s->free_in_close = true;
	raw_open(&s->c, &s->w);
	SPIN(&s->w, chan_server_stats(s->server)->conns == 1);
	raw_open(&s->d, &s->w);
	SPIN(&s->w, s->server == NULL);
	SPIN(&s->w, raw_gone(&s->c) && raw_gone(&s->d));
}

static void drain(void **state)
{
	struct site *s = *state;
	struct chan_server_cfg cfg;

	open_server(s, 4, 4, 1 << 20, on_held);
	ask_and_hold(s, 1);
	chan_server_stop_accepting(s->server);
	chan_server_on_idle(s->server, on_idle, s);
	ask(&s->c, 2);          /* not taken any more */
	raw_open(&s->d, &s->w); /* waits in the kernel */
	ask(&s->d, 3);
	world_settle(&s->w);
	assert_int_equal(s->idle, 0);
	assert_int_equal(s->nheld, 1);
	answer(s->held[0]);
	assert_int_equal(raw_answer(&s->w, &s->c, 1, NULL), 0);
	SPIN(&s->w, s->idle == 1);
	chan_server_free(&s->server);
	SPIN(&s->w, raw_gone(&s->c));
	cfg = usual(s); /* the successor: whoever waited is served */
	assert_int_equal(chan_server_new(&s->server, &cfg), 0);
	chan_server_handle(s->server, MSG_ping, on_ping, s);
	assert_int_equal(raw_answer(&s->w, &s->d, 3, NULL), 0);
	assert_int_equal(s->idle, 1);
}

static void held_until_started(void **state)
{
	struct site *s = *state;
	struct chan_server_cfg cfg = {
		.loop = &s->w.loop, .max_conns = 4, .max_inflight = 4, .max_queue = 1 << 20, .held = true};

	s->listener = world_listen(&s->w);
	cfg = usual(s);
	cfg.identify = NULL;
	cfg.held = true;
	assert_int_equal(chan_server_new(&s->server, &cfg), 0);
	chan_server_handle(s->server, MSG_ping, on_ping, s);
	raw_open(&s->c, &s->w);
	ask(&s->c, 1);
	world_settle(&s->w);
	assert_int_equal(chan_server_stats(s->server)->accepted, 0);
	chan_server_start(s->server);
	assert_int_equal(raw_answer(&s->w, &s->c, 1, NULL), 0); /* and our own uid is let in by default */
}

/* Late is who has waited longer than his deadline and the usual time, in a hurry or gone or without any deadline. */
static void overdue(void **state)
{
	struct site *s = *state;
	struct msg_ping own = {.common = {.has_deadline_ms = true, .deadline_ms = 60000}},
			hurried = {.common = {.has_deadline_ms = true, .deadline_ms = 1}};
	struct chan_server_cfg cfg;
	uint64_t t;

	s->listener = world_listen(&s->w);
	cfg = usual(s);
	cfg.timeout_ms = 200;
	assert_int_equal(chan_server_new(&s->server, &cfg), 0);
	chan_server_handle(s->server, MSG_ping, on_held, s);
	raw_open(&s->c, &s->w);
	raw_open(&s->d, &s->w);
	assert_int_equal(chan_server_overdue(s->server, 0), 0);
	t = tr_mono_ms();
	raw_ask(&s->c, 1, MSG_ping, &own);
	raw_ask(&s->c, 2, MSG_ping, &hurried);
	SPIN(&s->w, s->nheld == 2);
	ask(&s->d, 3);
	SPIN(&s->w, s->nheld == 3);
	assert_in_range(chan_call_left_ms(s->held[0]), 50000, 60000);
	assert_in_range(chan_call_left_ms(s->held[2]) + chan_call_left_ms(s->held[1]), 0, 201);
	SPIN(&s->w, chan_server_overdue(s->server, 0) > 0);
	assert_true(tr_mono_ms() - t >= 200);
	SPIN(&s->w, chan_server_overdue(s->server, 0) == 2); /* a ms later, perhaps */
	assert_int_equal(chan_server_overdue(s->server, 30000), 0);
	SPIN(&s->w, chan_server_overdue(s->server, 100) == 2);
	assert_true(tr_mono_ms() - t >= 300);
	raw_close(&s->d);
	world_settle(&s->w);
	assert_int_equal(chan_server_overdue(s->server, 100), 2); /* who has gone has not been answered */
	answer(s->held[2]);
	assert_int_equal(chan_server_overdue(s->server, 100), 1);
	answer(s->held[1]);
	assert_int_equal(chan_server_overdue(s->server, 100), 0);
	ask(&s->c, 4); /* and others after those */
	SPIN(&s->w, s->nheld == 4);
	SPIN(&s->w, chan_server_overdue(s->server, 0) == 1);
	answer(s->held[3]);
	answer(s->held[0]);
	s->nheld = 0;
	assert_int_equal(chan_server_overdue(s->server, 0), 0);
}

static void on_huge(void *arg, struct chan_call *call, const void *msg)
{
	static char text[WIRE_FRAME_MAX];

	(void)arg;
	(void)msg;
	answer_with(call, text, sizeof(text));
}

static void answer_over_the_limit(void **state)
{
	struct site *s = *state;
	struct msg_integration_synthesise m = {.question = wire_s("q")};

	open_server(s, 4, 4, 32 << 20, on_ping);
	chan_server_handle(s->server, MSG_integration_synthesise, on_huge, s);
	raw_open(&s->c, &s->w);
	raw_ask(&s->c, 1, MSG_integration_synthesise, &m);
	ask(&s->c, 2);
	assert_int_equal(raw_answer(&s->w, &s->c, 1, NULL), TR_ETOOBIG);
	assert_int_equal(raw_answer(&s->w, &s->c, 2, NULL), 0);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	/* clang-format off */
	const struct CMUnitTest tests[] = {
		T(answers), T(byte_by_byte_and_many_at_once), T(large_request), T(broken_frames), T(bad_requests),
		T(stranger), T(inflight_pauses), T(slow_reader_is_choked), T(follower_that_never_reads), T(asker_gone),
		T(half_closed), T(server_freed_first), T(server_freed_in_its_handler), T(server_freed_in_on_close),
		T(the_idle_make_room), T(server_freed_while_making_room),
		T(more_wait_in_the_kernel), T(drain), T(held_until_started), T(answer_over_the_limit), T(overdue),
	};
	/* clang-format on */

	return cmocka_run_group_tests(tests, NULL, NULL);
}
