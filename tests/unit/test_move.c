/* proto/chan when somebody else begins to answer: a peer that moves, notes to a server, a server that does harm. Two
 * servers share one listening socket, as two processes of a role do. Links proto/chan. */
#include "common/base/text.h"
#include "proto/chan/peer.h"
#include "proto/chan/server.h"
#include "tests/unit/world.h"

#define HELD_MAX 64

struct side {
	struct chan_server *server;
	uint64_t epoch;
	struct chan_call *held[HELD_MAX];
	unsigned nheld, pings, closed;
	char ids[HELD_MAX][40];
	uint32_t left_ms[HELD_MAX];
};

struct site {
	struct world w;
	int listener;
	struct side old, new;
	struct peer *peer;
	unsigned done, lost, leads, wrong;
	int r;
	uint64_t lead_epoch;
	bool free_in_note;
	struct raw c;
};

static void on_ping(void *arg, struct chan_call *call, const void *msg)
{
	struct side *side = arg;
	struct res_ping res = {.jr = wire_s("memory_jr"), .pid = 7, .generation = 1, .epoch = side->epoch};

	(void)msg;
	side->pings++;
	chan_reply(call, &res);
}

static void on_held(void *arg, struct chan_call *call, const void *msg)
{
	struct side *side = arg;
	const struct wire_common *m = chan_call_common(call);

	(void)msg;
	assert_true(side->nheld < HELD_MAX);
	tr_copy(side->ids[side->nheld], sizeof(side->ids[0]), m->request_id.p, m->request_id.n);
	side->left_ms[side->nheld] = m->deadline_ms;
	side->held[side->nheld++] = call;
}

static void on_close(void *arg, struct chan_conn *conn)
{
	struct side *side = arg;

	(void)conn;
	side->closed++;
}

static void serve(struct site *s, struct side *side, uint64_t epoch)
{
	struct chan_server_cfg cfg = {.loop = &s->w.loop,
				      .fd = dup(s->listener),
				      .max_conns = 8,
				      .max_inflight = 64,
				      .max_queue = 1 << 20,
				      .on_close = on_close,
				      .arg = side,
				      .held = true};

	side->epoch = epoch;
	assert_int_equal(chan_server_new(&side->server, &cfg), 0);
	chan_server_handle(side->server, MSG_ping, on_ping, side);
	chan_server_handle(side->server, MSG_memory_add, on_held, side);
}

static void on_lost(void *arg)
{
	((struct site *)arg)->lost++;
}

static int setup(void **state)
{
	struct site *s = calloc(1, sizeof(*s));

	world_open(&s->w);
	s->c.fd = -1;
	s->listener = world_listen(&s->w);
	serve(s, &s->old, 6);
	serve(s, &s->new, 7);
	chan_server_start(s->old.server);
	assert_int_equal(peer_new(&s->peer, &s->w.loop, s->w.path, 64), 0);
	peer_on_lost(s->peer, on_lost, s);
	*state = s;
	return 0;
}

static void answer_all(struct side *side)
{
	struct item_added item = {.id = wire_s("m1"), .created = true, .temperature = 40, .stage = wire_s("warm")};
	struct res_memory_add res = {.memories = {&item, 1}};

	for (unsigned i = 0; i < side->nheld; i++)
		if (side->held[i] != NULL)
			chan_reply(side->held[i], &res);
	side->nheld = 0;
}

static int teardown(void **state)
{
	struct site *s = *state;

	peer_free(&s->peer);
	chan_server_free(&s->old.server);
	chan_server_free(&s->new.server);
	answer_all(&s->old);
	answer_all(&s->new);
	raw_close(&s->c);
	(void)close(s->listener);
	world_close(&s->w);
	free(s);
	return 0;
}

static void added(void *arg, int r, const void *res, const struct tr_fault *fault)
{
	struct site *s = arg;

	(void)fault;
	s->done++;
	s->r = r;
	if (r == 0 && ((const struct res_memory_add *)res)->memories.n != 1)
		s->wrong++;
}

static void add(struct site *s, uint32_t timeout_ms)
{
	struct item_new_memory item = {.content = wire_s("the fire was lit")};
	struct msg_memory_add m = {.memories = {&item, 1}};

	assert_int_equal(peer_call(s->peer, MSG_memory_add, &m, timeout_ms, added, s, NULL), 0);
}

/* The old lead is dead, and its sockets are not closed yet: it does nothing, the new one accepts. */
static void change(struct site *s)
{
	chan_server_stop_accepting(s->old.server);
	chan_server_start(s->new.server);
}

/* ---- open, and who answers ---- */

static void opens_and_stays(void **state)
{
	struct site *s = *state;

	peer_open(s->peer);
	SPIN(&s->w, s->old.pings == 1); /* nobody called */
	assert_int_equal(peer_stats(s->peer)->waiting, 0);
	chan_server_free(&s->old.server);
	chan_server_start(s->new.server);
	SPIN(&s->w, s->new.pings == 1); /* connected again by itself, as nothing waits */
	assert_int_equal(s->lost, 1);
	assert_int_equal(peer_stats(s->peer)->reconnects, 1);
}

/* ---- move ---- */

static void moves_at_once(void **state)
{
	struct site *s = *state;
	uint64_t t;

	peer_open(s->peer);
	add(s, 10000);
	add(s, 10000);
	SPIN(&s->w, s->old.nheld == 2 && s->old.pings == 1);
	world_settle(&s->w); /* the pong is read */
	t = tr_mono_ms();
	SPIN(&s->w, tr_mono_ms() >= t + 20); /* some of their time passes */
	change(s);
	peer_move(s->peer, 7);
	assert_int_equal(s->lost, 1);
	SPIN(&s->w, s->new.nheld == 2);
	assert_string_equal(s->new.ids[0], s->old.ids[0]);
	assert_string_equal(s->new.ids[1], s->old.ids[1]);
	assert_string_not_equal(s->new.ids[0], s->new.ids[1]);
	assert_true(s->new.left_ms[0] <= s->old.left_ms[0] - 20);
	answer_all(&s->old); /* the dead one's answers lead nowhere */
	SPIN(&s->w, s->old.closed == 1);
	answer_all(&s->new);
	SPIN(&s->w, s->done == 2);
	assert_int_equal(s->r, 0);
	assert_int_equal(s->wrong, 0);
	assert_int_equal(peer_stats(s->peer)->resent, 2);
	peer_move(s->peer, 7); /* heard twice, and late news: nothing happens */
	peer_move(s->peer, 6);
	world_settle(&s->w);
	assert_int_equal(s->lost, 1);
	assert_int_equal(s->new.pings, 1);
}

/* Its connection was lost before, and this one leads to the new lead already. */
static void stays_where_it_is_right(void **state)
{
	struct site *s = *state;

	chan_server_free(&s->old.server);
	chan_server_start(s->new.server);
	peer_open(s->peer);
	add(s, 10000);
	SPIN(&s->w, s->new.pings == 1);
	world_settle(&s->w);
	peer_move(s->peer, 7);
	world_settle(&s->w);
	assert_int_equal(s->lost, 0);
	assert_int_equal(s->new.nheld, 1);
	peer_move(s->peer, 0); /* to be sure, as who leads himself does */
	assert_int_equal(s->lost, 1);
	SPIN(&s->w, s->new.nheld == 2);
	assert_string_equal(s->new.ids[0], s->new.ids[1]);
}

/* It waits in the kernel, and the new lead is about to accept it: asked once, not twice. */
static void waits_for_who_is_about_to_accept(void **state)
{
	struct site *s = *state;
	uint64_t t;

	chan_server_free(&s->old.server);
	peer_open(s->peer);
	add(s, 10000);
	world_settle(&s->w);
	t = tr_mono_ms();
	peer_move(s->peer, 0);
	peer_move(s->peer, 7);
	chan_server_start(s->new.server);
	SPIN(&s->w, s->new.nheld > 0);
	if (tr_mono_ms() - t < 2) { /* else this machine took its time, and the peer was right to doubt */
		assert_int_equal(s->lost, 0);
		assert_int_equal(chan_server_stats(s->new.server)->accepted, 1);
	}
	SPIN(&s->w, s->new.nheld == 1 + s->lost);
	answer_all(&s->new);
	SPIN(&s->w, s->done == 1);
}

/* The dead one had accepted it and never answered: a moment of doubt, then it moves. */
static void doubts_and_moves(void **state)
{
	struct site *s = *state;

	chan_server_harm(s->old.server, CHAN_SILENT);
	peer_open(s->peer);
	add(s, 10000);
	SPIN(&s->w, chan_server_stats(s->old.server)->inflight == 2);
	change(s);
	peer_move(s->peer, 7);
	assert_int_equal(s->lost, 0);
	SPIN(&s->w, s->new.nheld == 1);
	assert_int_equal(s->lost, 1);
}

/* Who answers says so only after the news of a newer one. */
static void an_old_epoch_is_left(void **state)
{
	struct site *s = *state;

	peer_open(s->peer);
	peer_move(s->peer, 7);
	SPIN(&s->w, s->old.pings == 1);
	change(s);
	SPIN(&s->w, s->new.pings == 1);
	assert_int_equal(s->lost, 1);
	assert_int_equal(peer_stats(s->peer)->reconnects, 1);
}

static void not_when_shut(void **state)
{
	struct site *s = *state;

	peer_shut(s->peer);
	peer_move(s->peer, 7);
	peer_move(s->peer, 0);
	peer_open(s->peer);
	world_settle(&s->w);
	assert_int_equal(s->old.pings, 0);
}

/* ---- notes ---- */

static void on_lead(void *arg, const void *msg)
{
	struct site *s = arg;
	const struct msg_lead *m = msg;

	s->leads++;
	s->lead_epoch = m->epoch;
	if (s->free_in_note)
		chan_server_free(&s->old.server);
}

static const struct msg_lead lead = {
	.jr = {"meta_jr", 7}, .pid = 3, .generation = 2, .epoch = 12, .monotonic_ns = 5, .since_ns = 4};

static void notes(void **state)
{
	struct site *s = *state;

	chan_server_on_note(s->old.server, MSG_lead, on_lead, s);
	assert_int_equal(peer_note(s->peer, MSG_lead, &lead), TR_ECLOSED);
	peer_open(s->peer);
	assert_int_equal(peer_note(s->peer, MSG_lead, &lead), 0);
	add(s, 10000);
	SPIN(&s->w, s->leads == 1 && s->old.nheld == 1);
	assert_int_equal(s->lead_epoch, 12);
	assert_int_equal(chan_server_stats(s->old.server)->broken, 0);
	assert_int_equal(peer_note(s->peer, MSG_lead, &lead), 0);
	SPIN(&s->w, s->leads == 2);
	s->free_in_note = true;
	assert_int_equal(peer_note(s->peer, MSG_lead, &lead), 0);
	SPIN(&s->w, s->leads == 3);
	assert_null(s->old.server);
}

static void send_note(struct site *s, enum wire_msg_id id, const void *msg)
{
	msgpack_sbuffer sb;

	msgpack_sbuffer_init(&sb);
	assert_int_equal(wire_pack_note(&sb, id, msg), 0);
	raw_open(&s->c, &s->w);
	raw_send(&s->c, sb.data, sb.size);
	msgpack_sbuffer_destroy(&sb);
}

static void notes_not_wanted(void **state)
{
	struct site *s = *state;
	struct msg_drain drain = {.generation = 1, .deadline_ms = 1};
	struct msg_lead bad = lead;

	send_note(s, MSG_lead, &lead); /* no handler yet */
	SPIN(&s->w, raw_gone(&s->c));
	raw_close(&s->c);
	chan_server_on_note(s->old.server, MSG_lead, on_lead, s);
	chan_server_on_note(s->old.server, MSG_drain, on_lead, s);
	send_note(s, MSG_drain, &drain); /* only tribed says that */
	SPIN(&s->w, raw_gone(&s->c));
	raw_close(&s->c);
	bad.epoch = 0; /* never an epoch */
	send_note(s, MSG_lead, &bad);
	SPIN(&s->w, raw_gone(&s->c));
	assert_int_equal(s->leads, 0);
	assert_int_equal(chan_server_stats(s->old.server)->broken, 3);
}

/* ---- shut, harm ---- */

static void shut(void **state)
{
	struct site *s = *state;

	peer_open(s->peer);
	add(s, 10000);
	SPIN(&s->w, s->old.nheld == 1);
	chan_server_shut(s->old.server);
	assert_int_equal(s->old.closed, 1);
	answer_all(&s->old); /* to nobody */
	chan_server_start(s->new.server);
	SPIN(&s->w, s->new.nheld == 1);
	answer_all(&s->new);
	SPIN(&s->w, s->done == 1);
	assert_int_equal(s->r, 0);
	assert_int_equal(chan_server_stats(s->old.server)->conns, 0);
}

static void silent(void **state)
{
	struct site *s = *state;

	chan_server_harm(s->old.server, CHAN_SILENT);
	add(s, 30);
	SPIN(&s->w, s->done == 1);
	assert_int_equal(s->r, TR_EDEADLINE);
	add(s, 10000);
	SPIN(&s->w, chan_server_stats(s->old.server)->inflight == 2); /* that is how it is noticed */
	assert_int_equal(s->old.nheld, 0);
	chan_server_harm(s->old.server, CHAN_SOUND);
	SPIN(&s->w, s->old.nheld == 1); /* asked again, on a new connection */
	answer_all(&s->old);
	SPIN(&s->w, s->done == 2);
	assert_int_equal(s->r, 0);
	assert_int_equal(chan_server_stats(s->old.server)->inflight, 0);
}

static void silent_to_its_end(void **state)
{
	struct site *s = *state;

	chan_server_harm(s->old.server, CHAN_SILENT);
	raw_open(&s->c, &s->w);
	raw_ask(&s->c, 1, MSG_ping, &(struct msg_ping){0});
	SPIN(&s->w, chan_server_stats(s->old.server)->inflight == 1);
	raw_close(&s->c); /* its places are not lost */
	SPIN(&s->w, chan_server_stats(s->old.server)->conns == 0);
	assert_int_equal(chan_server_stats(s->old.server)->inflight, 0);
	raw_open(&s->c, &s->w);
	raw_ask(&s->c, 1, MSG_ping, &(struct msg_ping){0});
	SPIN(&s->w, chan_server_stats(s->old.server)->inflight == 1);
	chan_server_free(&s->old.server);
	SPIN(&s->w, raw_gone(&s->c));
}

/* Four ways by turns, none of which a reader takes for an answer. */
static void garbage(void **state)
{
	static const int fails[4] = {TR_EPROTO, 0, TR_ETOOBIG, 0};
	struct site *s = *state;

	chan_server_harm(s->old.server, CHAN_GARBAGE);
	for (unsigned turn = 0; turn < 8; turn++) {
		struct wire_in in;
		struct res_ping res;
		int64_t n;

		raw_open(&s->c, &s->w);
		raw_ask(&s->c, 77 + turn * 1000, MSG_ping, &(struct msg_ping){0});
		SPIN(&s->w, s->old.pings == turn + 1);
		if (turn % 4 == 1 || turn % 4 == 2)
			SPIN(&s->w, raw_gone(&s->c)); /* nothing may follow */
		SPIN(&s->w, (raw_read(&s->c), s->c.n > 0));
		n = wire_frame_length(s->c.in, s->c.n, WIRE_FRAME_MAX);
		if (turn % 4 == 1) {
			assert_int_equal(n, 0);
		} else if (turn % 4 == 2) {
			assert_int_equal(n, fails[2]);
		} else if (turn % 4 == 3) {
			assert_int_equal(wire_parse(&in, s->c.in, (size_t)n), 0);
			assert_int_equal(in.msgid, 77 + turn * 1000);
			assert_true(wire_decode_result(&in, MSG_ping, &res, NULL) < 0);
			wire_in_free(&in);
		} else {
			assert_true(n < 0 || wire_parse(&in, s->c.in, (size_t)n) < 0);
		}
		raw_close(&s->c);
	}
	chan_server_harm(s->old.server, CHAN_SOUND);
	raw_open(&s->c, &s->w);
	raw_ask(&s->c, 5, MSG_ping, &(struct msg_ping){0});
	assert_int_equal(raw_answer(&s->w, &s->c, 5, NULL), 0);
}

/* A caller survives it: whatever comes, each call ends once, and afterwards all is well. */
static void garbage_for_a_peer(void **state)
{
	struct site *s = *state;

	peer_open(s->peer);
	chan_server_harm(s->old.server, CHAN_GARBAGE);
	for (unsigned i = 1; i <= 8; i++) {
		add(s, 60);
		for (uint64_t end = tr_mono_ms() + 5000; s->done < i && tr_mono_ms() < end;) {
			(void)uv_run(&s->w.loop, UV_RUN_ONCE);
			answer_all(&s->old);
		}
		assert_int_equal(s->done, i);
		assert_true(s->r < 0);
	}
	chan_server_harm(s->old.server, CHAN_SOUND);
	add(s, 10000);
	SPIN(&s->w, s->old.nheld > 0);
	answer_all(&s->old);
	SPIN(&s->w, s->done == 9);
	assert_int_equal(s->r, 0);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(opens_and_stays),
		T(moves_at_once),
		T(stays_where_it_is_right),
		T(waits_for_who_is_about_to_accept),
		T(doubts_and_moves),
		T(an_old_epoch_is_left),
		T(not_when_shut),
		T(notes),
		T(notes_not_wanted),
		T(shut),
		T(silent),
		T(silent_to_its_end),
		T(garbage),
		T(garbage_for_a_peer),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
