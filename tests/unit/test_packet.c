/* proto/chan/packet on a socket pair: both ends in one loop, and raw bytes on one of them. Links proto/chan. */
#include "proto/chan/packet.h"
#include "tests/unit/world.h"

struct end {
	struct site *site;
	struct packet *ch;
	int raw; /* the bare descriptor instead of ch */
	unsigned messages, closed;
	enum wire_msg_id id;
	uint32_t generation;
	bool free_on_message, free_on_close, silent;
	uint32_t msgid; /* of the last request */
};
struct site {
	struct world w;
	struct end sup, jr;
	unsigned answered;
	int r;
	struct tr_fault fault;
};

static const struct res_version version = {
	.version = {"1", 1}, .commit = {"abc", 3}, .proto_rev = WIRE_PROTO_REV, .pid = 42};

static void on_message(void *arg, struct packet *ch, enum wire_msg_id id, uint32_t msgid, const void *msg)
{
	struct end *e = arg;
	struct res_version res = version;

	assert_ptr_equal(ch, e->ch);
	e->messages++;
	e->id = id;
	e->msgid = msgid;
	if (id == MSG_hello)
		e->generation = ((const struct msg_hello *)msg)->generation;
	if (id == MSG_version && !e->silent)
		assert_int_equal(packet_reply(ch, id, msgid, &res), 0);
	if (e->free_on_message)
		packet_free(&e->ch);
}

static void on_close(void *arg, struct packet *ch)
{
	struct end *e = arg;

	assert_ptr_equal(ch, e->ch);
	e->closed++;
	assert_int_equal(packet_note(ch, MSG_drain, &(struct msg_drain){0}), TR_ECLOSED);
	if (e->free_on_close)
		packet_free(&e->ch);
}

static const struct packet_ops ops = {on_message, on_close};

static int setup(void **state)
{
	struct site *s = calloc(1, sizeof(*s));
	int fd[2];

	world_open(&s->w);
	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, fd), 0);
	s->sup.site = s->jr.site = s;
	s->sup.raw = s->jr.raw = -1;
	assert_int_equal(packet_new(&s->sup.ch, &s->w.loop, fd[0], FROM_EXECUTIVE | FROM_USER, &ops, &s->sup), 0);
	s->jr.raw = fd[1]; /* until a test wants more */
	*state = s;
	return 0;
}

static void open_jr(struct site *s)
{
	assert_int_equal(packet_new(&s->jr.ch, &s->w.loop, s->jr.raw, FROM_SUPERVISOR, &ops, &s->jr), 0);
	s->jr.raw = -1;
}

static int teardown(void **state)
{
	struct site *s = *state;

	packet_free(&s->sup.ch);
	packet_free(&s->jr.ch);
	if (s->jr.raw >= 0)
		(void)close(s->jr.raw);
	world_close(&s->w);
	free(s);
	return 0;
}

static void done(void *arg, int r, const void *res, const struct tr_fault *fault)
{
	struct site *s = arg;

	s->answered++;
	s->r = r;
	assert_true((r == 0) == (res != NULL));
	if (fault != NULL)
		s->fault = *fault;
	else
		assert_int_equal(((const struct res_version *)res)->pid, 42);
}

static struct msg_hello hello(void)
{
	struct msg_hello m = {.jr = wire_s("executive_jr"), .pid = 5, .generation = 9, .proto_rev = WIRE_PROTO_REV};

	return m;
}

static void notes_both_ways(void **state)
{
	struct site *s = *state;
	struct msg_hello h = hello();
	struct msg_drain d = {.generation = 9, .deadline_ms = 100};

	open_jr(s);
	assert_int_equal(packet_note(s->jr.ch, MSG_hello, &h), 0);
	assert_int_equal(packet_note(s->jr.ch, MSG_hello, &h), 0);
	assert_int_equal(packet_note(s->sup.ch, MSG_drain, &d), 0);
	SPIN(&s->w, s->sup.messages == 2 && s->jr.messages == 1);
	assert_int_equal(s->sup.generation, 9);
	assert_int_equal(s->jr.id, MSG_drain);
	assert_int_equal(packet_stats(s->sup.ch)->broken, 0);
}

static void calls(void **state)
{
	struct site *s = *state;
	struct msg_version m = {0};
	struct msg_meta_anomalies wrong = {0};
	struct tr_fault f = {0};

	open_jr(s);
	assert_int_equal(packet_call(s->jr.ch, MSG_version, &m, 5000, done, s), 0);
	assert_int_equal(s->answered, 0);
	SPIN(&s->w, s->answered == 1);
	assert_int_equal(s->r, 0);
	s->sup.silent = true;
	assert_int_equal(packet_call(s->jr.ch, MSG_version, &m, 20, done, s), 0);
	SPIN(&s->w, s->answered == 2);
	assert_int_equal(s->r, TR_EDEADLINE);
	assert_int_equal(packet_reply(s->sup.ch, MSG_version, s->sup.msgid, &version), 0); /* too late */
	assert_int_equal(packet_call(s->jr.ch, MSG_version, &m, 5000, done, s), 0);
	SPIN(&s->w, s->sup.messages == 3);
	(void)tr_fault_set(&f, TR_EBUSY, "x", "not %s", "now");
	assert_int_equal(packet_fail(s->sup.ch, s->sup.msgid, &f), 0);
	SPIN(&s->w, s->answered == 3);
	assert_int_equal(s->r, TR_EBUSY);
	assert_string_equal(s->fault.rule, "not now");
	/* and the table's check: tribed's end is asked by executive-jr, the other end by tribed */
	assert_int_equal(packet_call(s->sup.ch, MSG_meta_anomalies, &wrong, 5000, done, s), 0);
	SPIN(&s->w, s->answered == 4);
	assert_int_equal(s->r, TR_EREFUSED);
	assert_int_equal(s->jr.messages, 0);
}

static void garbage(void **state)
{
	static const struct {
		const char *p;
		size_t n;
	} bad[] = {
		{"", 0},
		{"\xc1", 1},
		{"hello", 5},
		{"\x93\x02\xa5xyz", 6},
		{"\x93\x02\xa8jr.hello\x80\x00", 13}, /* and a byte more */
		{"\x93\x02\xa8jr.hello\x80", 12},     /* fields are missing */
		{"\x93\x02\xa8jr.drain\x80", 12},     /* not from a Jr */
		{"\x93\x02\xa4nope\x80", 8},
		{"\x94\x00\x05\xa4nope\x80", 9},
	};
	struct site *s = *state;
	unsigned n = sizeof(bad) / sizeof(bad[0]);
	char *big = calloc(1, 100000), in[4096];
	msgpack_sbuffer sb;
	struct wire_in answer;
	struct tr_fault f;
	struct msg_hello h = hello();
	ssize_t got;

	for (unsigned i = 0; i < n; i++)
		assert_int_equal(send(s->jr.raw, bad[i].p, bad[i].n, MSG_DONTWAIT), bad[i].n);
	assert_int_equal(send(s->jr.raw, big, 100000, MSG_DONTWAIT), 100000); /* would be cut short */
	SPIN(&s->w, packet_stats(s->sup.ch)->broken == n + 1);
	assert_int_equal(s->sup.messages, 0);
	assert_int_equal(s->sup.closed, 0);
	got = recv(s->jr.raw, in, sizeof(in), MSG_DONTWAIT); /* the request is told */
	assert_true(got > 0);
	assert_int_equal(wire_parse(&answer, in, (size_t)got), 0);
	assert_int_equal(answer.msgid, 5);
	wire_decode_error(&answer, &f);
	assert_int_equal(f.code, TR_EMETHOD);
	wire_in_free(&answer);
	msgpack_sbuffer_init(&sb);
	assert_int_equal(wire_pack_note(&sb, MSG_hello, &h), 0);
	assert_int_equal(send(s->jr.raw, sb.data, sb.size, MSG_DONTWAIT), sb.size);
	SPIN(&s->w, s->sup.messages == 1); /* as if nothing had been */
	msgpack_sbuffer_destroy(&sb);
	free(big);
}

static void other_end_gone(void **state)
{
	struct site *s = *state;
	struct msg_version m = {0};
	struct msg_hello h = hello();

	open_jr(s);
	assert_int_equal(packet_call(s->jr.ch, MSG_version, &m, 5000, done, s), 0);
	packet_free(&s->sup.ch);
	SPIN(&s->w, s->jr.closed == 1);
	assert_int_equal(s->answered, 1);
	assert_int_equal(s->r, TR_ECLOSED);
	world_settle(&s->w);
	assert_int_equal(s->jr.closed, 1);
	assert_int_equal(packet_note(s->jr.ch, MSG_hello, &h), TR_ECLOSED);
	assert_int_equal(packet_call(s->jr.ch, MSG_version, &m, 5000, done, s), TR_ECLOSED);
}

static void last_words_are_heard(void **state)
{
	struct site *s = *state;
	struct msg_hello h = hello();

	s->sup.free_on_close = true;
	open_jr(s);
	for (int i = 0; i < 100; i++)
		assert_int_equal(packet_note(s->jr.ch, MSG_hello, &h), 0);
	packet_free(&s->jr.ch);
	SPIN(&s->w, s->sup.closed == 1);
	assert_int_equal(s->sup.messages, 100);
	assert_null(s->sup.ch);
}

static void freed_in_a_message(void **state)
{
	struct site *s = *state;
	struct msg_hello h = hello();

	s->sup.free_on_message = true;
	open_jr(s);
	assert_int_equal(packet_note(s->jr.ch, MSG_hello, &h), 0);
	assert_int_equal(packet_note(s->jr.ch, MSG_hello, &h), 0);
	SPIN(&s->w, s->sup.ch == NULL);
	world_settle(&s->w);
	assert_int_equal(s->sup.messages, 1);
	assert_int_equal(s->sup.closed, 0);
}

static void freed_while_waiting(void **state)
{
	struct site *s = *state;
	struct msg_version m = {0};

	open_jr(s);
	assert_int_equal(packet_call(s->jr.ch, MSG_version, &m, 5000, done, s), 0);
	packet_shut(s->jr.ch);
	assert_int_equal(s->answered, 1);
	assert_int_equal(s->r, TR_ECLOSED);
	assert_int_equal(packet_call(s->jr.ch, MSG_version, &m, 5000, done, s), TR_ECLOSED);
	packet_free(&s->jr.ch);
	assert_int_equal(s->answered, 1);
}

static void full_socket(void **state)
{
	struct site *s = *state;
	struct msg_drain d = {.generation = 9, .deadline_ms = 100};
	struct msg_version m = {0};
	unsigned notes = 0, answers = 0, n;
	char in[4096];
	ssize_t got;

	while (packet_note(s->sup.ch, MSG_drain, &d) == 0)
		notes++;
	assert_true(notes > 10);
	assert_int_equal(packet_note(s->sup.ch, MSG_drain, &d), TR_EBUSY);
	assert_int_equal(packet_stats(s->sup.ch)->dropped, 2);
	assert_int_equal(packet_call(s->sup.ch, MSG_version, &m, 5000, done, s), TR_EBUSY);
	assert_int_equal(packet_stats(s->sup.ch)->waiting, 0);
	/* answers wait, in order, and not without limit */
	for (n = 0; packet_reply(s->sup.ch, MSG_version, n, &version) == 0; n++)
		assert_true(n < 1000);
	assert_in_range(n, 10, 100);
	world_settle(&s->w);
	for (unsigned i = 0; i < notes; i++)
		assert_true(recv(s->jr.raw, in, sizeof(in), MSG_DONTWAIT) > 0);
	while (answers < n) {
		struct wire_in a;

		SPIN(&s->w, (got = recv(s->jr.raw, in, sizeof(in), MSG_DONTWAIT)) > 0);
		assert_int_equal(wire_parse(&a, in, (size_t)got), 0);
		assert_int_equal(a.kind, WIRE_RESPONSE);
		assert_int_equal(a.msgid, answers++);
		wire_in_free(&a);
	}
	world_settle(&s->w);
	assert_int_equal(packet_note(s->sup.ch, MSG_drain, &d), 0);
	assert_int_equal(s->answered, 0);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(notes_both_ways),
		T(calls),
		T(garbage),
		T(other_end_gone),
		T(last_words_are_heard),
		T(freed_in_a_message),
		T(freed_while_waiting),
		T(full_socket),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
