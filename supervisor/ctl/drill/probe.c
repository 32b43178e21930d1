#include "supervisor/ctl/drill/probe.h"
#include "common/base/buf.h"
#include "common/base/clock.h"
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#define PING     1u
#define QUESTION 2u
#define AGAIN_NS 100000 /* after a refusal or an error answer */

/* The cheapest call that needs the role to do its real work, and changes nothing. */
static const enum wire_msg_id questions[TR_NROLES] = {
	[TR_ROLE_MEMORY] = MSG_memory_recall,           /* of a source that nobody has; finds, and touches, nothing */
	[TR_ROLE_INTEGRATION] = MSG_integration_import, /* of an empty document */
	[TR_ROLE_META] = MSG_meta_anomalies,
	[TR_ROLE_EXECUTIVE] = MSG_executive_ask, /* through memory-jr; touches nothing */
};

int probe_pack(msgpack_sbuffer *sb, enum tr_role role)
{
	const struct msg_ping ping = {.common = {.has_request_id = false}};
	const struct msg_memory_recall recall = {.has_q = true,
						 .q = wire_s("drill"),
						 .has_limit = true,
						 .limit = 1,
						 .has_source = true,
						 .source = wire_s("drill:probe"),
						 .has_touch = true,
						 .touch = false};
	const struct msg_integration_import import = {
		.name = wire_s("drill"), .format = wire_s("text"), .data = {"", 0}};
	const struct msg_meta_anomalies anomalies = {.common = {.has_request_id = false}};
	const struct msg_executive_ask ask = {
		.question = wire_s("drill"), .has_limit = true, .limit = 1, .has_touch = true, .touch = false};
	const void *const msgs[TR_NROLES] = {
		[TR_ROLE_MEMORY] = &recall,
		[TR_ROLE_INTEGRATION] = &import,
		[TR_ROLE_META] = &anomalies,
		[TR_ROLE_EXECUTIVE] = &ask,
	};
	int r = wire_pack_request(sb, PING, MSG_ping, &ping);

	return r < 0 ? r : wire_pack_request(sb, QUESTION, questions[role], msgs[role]);
}

struct patience {
	uint64_t deadline_ns;
	bool (*stop)(void);
};

static bool over(const struct patience *p)
{
	return (p->stop != NULL && p->stop()) || tr_mono_ns() >= p->deadline_ns;
}

static int left_ms(uint64_t deadline_ns)
{
	uint64_t now = tr_mono_ns();

	return now >= deadline_ns ? 0 : (int)((deadline_ns - now) / 1000000) + 1;
}

static bool await(int fd, short events, const struct patience *patience)
{
	struct pollfd p = {.fd = fd, .events = events};
	int n;

	do
		n = poll(&p, 1, left_ms(patience->deadline_ns));
	while (n < 0 && errno == EINTR && !over(patience));
	return n > 0;
}

/* -1 with *refused told. A full queue (EAGAIN) is no refusal: wait a moment for room. */
static int dial(const char *path, bool *refused)
{
	struct sockaddr_un a = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	*refused = false;
	if (fd < 0 || strlen(path) >= sizeof(a.sun_path))
		return fd < 0 ? -1 : (close(fd), -1);
	memcpy(a.sun_path, path, strlen(path) + 1);
	if (connect(fd, (const struct sockaddr *)&a, sizeof(a)) == 0)
		return fd;
	*refused = errno == ECONNREFUSED || errno == ENOENT;
	(void)close(fd);
	return -1;
}

struct answers {
	bool ping, question, failed;
	uint64_t ping_ns;
	struct tr_fault fault; /* when failed */
	struct res_ping who;
};

union any_result {
	struct res_memory_recall recall;
	struct res_integration_import import;
	struct res_meta_anomalies anomalies;
	struct res_executive_ask ask;
};

/* One whole message. What cannot be decoded counts as a failed answer. */
static void take_answer(struct answers *a, enum tr_role role, const char *p, size_t n)
{
	union any_result res;
	struct wire_in in;
	int r = wire_parse(&in, p, n);

	if (r < 0) {
		a->failed = true;
		(void)tr_fault_set(&a->fault, r, "", "%s", tr_strerror(r));
		return;
	}
	if (in.kind != WIRE_RESPONSE || in.error != NULL) {
		a->failed = true;
		wire_decode_error(&in, &a->fault);
	} else if (in.msgid == PING) {
		a->ping = wire_decode_result(&in, MSG_ping, &a->who, &a->fault) == 0;
		a->ping_ns = tr_mono_ns();
		a->failed = !a->ping;
	} else {
		a->question = wire_decode_result(&in, questions[role], &res, &a->fault) == 0;
		a->failed = !a->question;
	}
	wire_in_free(&in);
}

/* Reads until both answers are there, one has failed, or the connection or the time is over. */
static void read_answers(int fd, enum tr_role role, const struct patience *patience, struct answers *a)
{
	struct buf b = {.max = WIRE_FRAME_MAX};
	ssize_t n;

	while (!a->failed && !(a->ping && a->question)) {
		int64_t len = b.len == 0 ? 0 : wire_frame_length(b.p, b.len, WIRE_FRAME_MAX);

		if (len < 0)
			break;
		if (len > 0) {
			take_answer(a, role, b.p, (size_t)len);
			buf_consume(&b, (size_t)len);
			continue;
		}
		if (!await(fd, POLLIN, patience) || buf_reserve(&b, 65536) < 0)
			break;
		n = recv(fd, b.p + b.len, 65536, MSG_DONTWAIT);
		if (n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR))
			break;
		b.len += n > 0 ? (size_t)n : 0;
	}
	buf_free(&b);
}

static void nap(void)
{
	const struct timespec t = {.tv_nsec = AGAIN_NS};

	(void)nanosleep(&t, NULL);
}

/* Somebody else than who was hit? */
static bool is_other(const struct probe_order *o, const struct res_ping *who)
{
	return who->pid != o->pid && who->pid != o->also &&
	       (who->generation > o->generation || (o->epoch != 0 && who->epoch > o->epoch));
}

static void attempt(int fd, const msgpack_sbuffer *sb, const struct probe_order *o, struct probe_result *out)
{
	struct patience patience = {.deadline_ns = o->deadline_ns, .stop = o->stop};
	struct answers a = {.ping = false};
	uint64_t end_ns = tr_mono_ns() + o->try_ms * 1000000ull;

	if (o->try_ms > 0 && end_ns < patience.deadline_ns)
		patience.deadline_ns = end_ns;
	out->attempts++;
	if (send(fd, sb->data, sb->size, MSG_NOSIGNAL) == (ssize_t)sb->size)
		read_answers(fd, o->role, &patience, &a);
	if (a.ping && out->ready_ns == 0 && (o->anyone || is_other(o, &a.who)))
		out->ready_ns = a.ping_ns;
	if (a.failed) {
		out->failed++;
		(void)snprintf(out->error, sizeof(out->error), "%s", a.fault.rule);
		nap();
	} else if (!a.ping || !a.question) {
		out->lost++;
	} else if (o->anyone || is_other(o, &a.who)) {
		out->good = true;
		out->at_ns = tr_mono_ns();
		out->pid = a.who.pid;
		out->generation = a.who.generation;
		out->epoch = a.who.epoch;
	}
}

void probe_until(const char *path, const struct probe_order *order, struct probe_result *out)
{
	const struct patience patience = {.deadline_ns = order->deadline_ns, .stop = order->stop};
	msgpack_sbuffer sb;

	*out = (struct probe_result){.good = false};
	msgpack_sbuffer_init(&sb);
	if (probe_pack(&sb, order->role) < 0)
		goto out;
	while (!out->good && !over(&patience)) {
		bool refused;
		int fd = dial(path, &refused);

		if (fd < 0) {
			out->refused += refused;
			nap();
			continue;
		}
		attempt(fd, &sb, order, out);
		(void)close(fd);
	}
out:
	msgpack_sbuffer_destroy(&sb);
}
