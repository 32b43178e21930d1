#include "proto/chan/peer.h"
#include "common/base/clock.h"
#include "common/base/text.h"
#include "common/loop/loop.h"
#include "proto/chan/any.h"
#include "proto/chan/book.h"
#include "proto/chan/stream.h"
#include <errno.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#define RETRY_FIRST_MS 1
#define RETRY_MAX_MS   50
#define DOUBT_MS       3           /* for a new lead to answer on a connection that may have waited for him */
#define GREETING       UINT32_MAX  /* msgid of the question who answers on a connection */
#define BOOK_BYTES_MAX (64u << 20) /* unanswered requests kept for sending again */
#define QUEUE_MAX      (BOOK_BYTES_MAX + (1u << 20)) /* above it the socket is full of given-up calls: start afresh */

struct peer {
	uv_loop_t *loop;
	struct sockaddr_un addr;
	struct chan_book *book;
	struct chan_stream *stream; /* NULL: not connected */
	struct loop_timer *retry;
	bool retrying;          /* the timer will connect */
	bool doubting;          /* connected, and the timer will move it if nothing is heard until then */
	bool standing;          /* peer_open() */
	bool heard;             /* this connection has given something */
	uint64_t epoch, wanted; /* of who answers on this connection, 0: unknown; newest one told to peer_move() */
	pid_t pid;              /* who answered last */
	bool connected_once;
	bool shut, freeing;
	uint32_t retry_ms; /* wait before the next attempt; 0 after a good answer: at once */
	bool garbled;      /* an answer made no sense, and none has made any since */
	peer_note_cb *on_note;
	void *note_arg;
	peer_lost_cb *on_lost;
	void *lost_arg;
	struct chan_gossip gossip;
	struct peer_stats stats;
};

static void connect_now(struct peer *p);
static void on_retry(void *arg);

/* Never connected in time is another thing than connected and not answered. */
static int late_code(void *arg, const struct chan_asked *c)
{
	const struct peer *p = arg;

	(void)c;
	return p->stream == NULL ? TR_EUNAVAILABLE : TR_EDEADLINE;
}

int peer_new(struct peer **out, uv_loop_t *loop, const char *path, unsigned max_waiting)
{
	struct peer *p;
	size_t n = strlen(path);
	int r;

	if (n == 0 || n >= sizeof(p->addr.sun_path))
		return TR_EINVAL;
	p = calloc(1, sizeof(*p));
	if (p == NULL)
		return TR_ENOMEM;
	p->loop = loop;
	p->addr.sun_family = AF_UNIX;
	memcpy(p->addr.sun_path, path, n + 1);
	if ((r = chan_book_new(&p->book, loop, max_waiting, &p->stats.waiting, late_code, p)) < 0 ||
	    (r = loop_timer_new(&p->retry, loop, on_retry, p)) < 0) {
		chan_book_free(&p->book);
		free(p);
		return r;
	}
	*out = p;
	return 0;
}

/* ---- what comes in ---- */

static void hang_up(struct peer *p)
{
	chan_stream_close(&p->stream);
	p->heard = p->doubting = false;
	p->epoch = 0;
}

static bool needed(const struct peer *p)
{
	return p->standing || p->stats.waiting > 0;
}

static void lost(struct peer *p)
{
	hang_up(p);
	if (p->shut)
		return;
	if (needed(p)) {
		if (p->retry_ms == 0) {
			p->retry_ms = RETRY_FIRST_MS;
			connect_now(p);
		} else {
			p->retrying = loop_timer_start(p->retry, p->retry_ms, 0) == 0;
			p->retry_ms = p->retry_ms * 2 > RETRY_MAX_MS ? RETRY_MAX_MS : p->retry_ms * 2;
		}
	}
	if (p->on_lost != NULL)
		p->on_lost(p->lost_arg); /* may free p */
}

/* What it says cannot be trusted: as a lost connection, what is unanswered is asked again on another, but never at
 * once, for it may be as bad there. */
static void broken(struct peer *p, const char *what, int r, const struct tr_fault *fault)
{
	p->stats.broken++;
	chan_gossip(&p->gossip, what, r, fault);
	p->garbled = true;
	if (p->retry_ms == 0)
		p->retry_ms = RETRY_FIRST_MS;
	lost(p); /* may free p */
}

static void on_end(void *arg, int r)
{
	struct peer *p = arg;

	if (r == TR_EPROTO || r == TR_ETOOBIG)
		broken(p, "peer: broken frame", r, NULL);
	else
		lost(p);
}

static void take_note(struct peer *p, const struct wire_in *in)
{
	union any_msg msg;
	struct tr_fault fault = {0};
	int r;

	if (p->on_note == NULL)
		return;
	if ((r = wire_check(in, FROM_SUPERVISOR | FROM_ANY_JR, &fault)) < 0 ||
	    (r = wire_decode_params(in, &msg, &fault)) < 0)
		chan_gossip(&p->gossip, "peer: bad notification", r, &fault);
	else
		p->on_note(p->note_arg, (enum wire_msg_id)in->id, &msg); /* may free p */
}

static void renew(struct peer *p)
{
	hang_up(p);
	loop_timer_stop(p->retry);
	p->retrying = false;
	p->retry_ms = 0;
	if (needed(p))
		connect_now(p);
	if (p->on_lost != NULL)
		p->on_lost(p->lost_arg); /* may free p */
}

/* Who answers here has said so; an error would say as much as silence. */
static void take_greeting(struct peer *p, const struct wire_in *in)
{
	struct tr_fault fault = {0};
	struct res_ping res;

	if (in->error != NULL)
		return;
	if (wire_decode_result(in, MSG_ping, &res, &fault) < 0) {
		broken(p, "peer: bad greeting", TR_EPROTO, &fault);
		return;
	}
	p->epoch = res.epoch;
	p->pid = (pid_t)res.pid;
	if (p->doubting && p->epoch < p->wanted) /* once: whom a new connection leads to is right, whatever he says */
		renew(p);                        /* may free p */
}

/* A standing connection is between processes of one build, so an answer that makes no sense there is damage. Elsewhere
 * it may come from another version, and would not get better. */
static void take_answer(struct peer *p, const struct wire_in *in)
{
	uint32_t retry_ms = p->retry_ms;
	bool garbled = p->garbled;
	struct tr_fault bad = {0};

	p->retry_ms = 0;
	p->garbled = false;
	if (chan_book_answer(p->book, in, &bad) != TR_EPROTO) /* TR_ENOTFOUND: too late. The callback may free p. */
		return;
	if (!p->standing) {
		chan_gossip(&p->gossip, "peer: bad answer", TR_EPROTO, &bad);
		chan_book_end(p->book, in->msgid, &bad); /* may free p */
		return;
	}
	p->retry_ms = retry_ms;
	p->garbled = garbled;
	broken(p, "peer: bad answer", TR_EPROTO, &bad);
}

static void on_frame(void *arg, const char *frame, size_t n)
{
	struct peer *p = arg;
	struct wire_in in;
	int r = wire_parse(&in, frame, n);

	if (r < 0 || in.kind == WIRE_REQUEST) { /* nobody asks on this side */
		if (r == 0)
			wire_in_free(&in);
		broken(p, "peer: broken message", r < 0 ? r : TR_EPROTO, NULL);
		return;
	}
	p->heard = true;
	if (!p->garbled)
		p->retry_ms = 0;
	if (in.kind == WIRE_NOTE)
		take_note(p, &in);
	else if (in.msgid == GREETING)
		take_greeting(p, &in);
	else
		take_answer(p, &in);
	wire_in_free(&in);
}

/* ---- what goes out ---- */

static const struct chan_stream_ops stream_ops = {on_frame, on_end, NULL};

/* Packs the kept request again with what is left of its time. On failure the older bytes stay and say a bit too much.
 */
static void refresh(struct peer *p, struct chan_asked *c, uint64_t now)
{
	union any_msg msg;
	struct wire_in in;
	msgpack_sbuffer sb;
	uint32_t left = c->deadline_ms > now ? (uint32_t)(c->deadline_ms - now) : 0;

	if (c->packed_ms == now || wire_parse(&in, c->frame, c->n) < 0)
		return;
	msgpack_sbuffer_init(&sb);
	if (wire_decode_params(&in, &msg, NULL) == 0 && chan_book_pack(&sb, c, &msg, left, NULL) == 0) {
		wire_in_free(&in); /* msg was borrowed from it and the old frame */
		chan_book_keep(p->book, c, sb.data, sb.size, now);
		return;
	}
	wire_in_free(&in);
	msgpack_sbuffer_destroy(&sb);
}

static void put(struct peer *p, const struct chan_asked *c, bool now)
{
	if (msgpack_sbuffer_write(chan_stream_out(p->stream), c->frame, c->n) != 0)
		return; /* no memory: as if lost on the way, its deadline ends it */
	(void)chan_stream_send(p->stream, now);
}

static int open_socket(const struct peer *p)
{
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0), r;

	if (fd < 0)
		return -errno;
	/* On a Unix socket this never waits: done, refused, or EAGAIN when the queue of the listener is full. */
	if (connect(fd, (const struct sockaddr *)&p->addr, sizeof(p->addr)) < 0) {
		r = -errno;
		(void)close(fd);
		return r;
	}
	return fd;
}

static void greet(struct peer *p)
{
	static const struct msg_ping m = {0};

	if (wire_pack_request(chan_stream_out(p->stream), GREETING, MSG_ping, &m) == 0)
		(void)chan_stream_send(p->stream, false);
}

static void connect_now(struct peer *p)
{
	struct chan_stream_cfg cfg = {.loop = p->loop, .max_queue = QUEUE_MAX, .ops = &stream_ops, .arg = p};
	uint64_t now = tr_mono_ms();
	struct chan_asked *c;

	cfg.fd = open_socket(p);
	if (cfg.fd < 0 || chan_stream_new(&p->stream, &cfg) < 0) {
		uint32_t wait = p->retry_ms == 0 ? RETRY_FIRST_MS : p->retry_ms;

		p->retrying = loop_timer_start(p->retry, wait, 0) == 0;
		p->retry_ms = wait * 2 > RETRY_MAX_MS ? RETRY_MAX_MS : wait * 2;
		return;
	}
	p->stats.reconnects += p->connected_once;
	p->connected_once = true;
	if (p->standing)
		greet(p);
	for (c = chan_book_first(p->book); c != NULL; c = chan_book_next(c)) {
		p->stats.resent += c->sent;
		c->sent = true;
		refresh(p, c, now);
		put(p, c, false);
	}
	(void)chan_stream_send(p->stream, true); /* all of it in one write, and now: it may have waited long enough */
}

static void on_retry(void *arg)
{
	struct peer *p = arg;

	p->retrying = false;
	if (p->stream != NULL) {
		if (p->doubting && !p->heard)
			renew(p);
	} else if (needed(p)) {
		connect_now(p);
	}
}

/* Done twice, these would be there twice: the answering side tells a repetition by the id. */
static bool has_effects(enum wire_msg_id id)
{
	return id == MSG_memory_add || id == MSG_memory_decide || id == MSG_memory_vote_open ||
	       id == MSG_executive_vote || id == MSG_integration_import;
}

static int pack(struct peer *p, struct chan_asked *c, const void *msg, uint32_t timeout_ms)
{
	char fresh[TR_ID_LEN];
	msgpack_sbuffer sb;
	int r;

	if (has_effects(c->id))
		tr_id_new(fresh);
	msgpack_sbuffer_init(&sb);
	r = chan_book_pack(&sb, c, msg, timeout_ms, has_effects(c->id) ? fresh : NULL);
	if (r == 0 && chan_book_bytes(p->book) + sb.size > BOOK_BYTES_MAX)
		r = TR_EBUSY;
	if (r < 0) {
		msgpack_sbuffer_destroy(&sb);
		return r;
	}
	chan_book_keep(p->book, c, sb.data, sb.size, tr_mono_ms());
	return 0;
}

int peer_call(struct peer *p, enum wire_msg_id id, const void *msg, uint32_t timeout_ms, peer_cb *cb, void *arg,
	      uint32_t *token)
{
	struct chan_asked *c;
	int r;

	if (p->shut)
		return TR_ECLOSED;
	if ((r = chan_book_add(p->book, &c, id, timeout_ms, cb, arg)) < 0)
		return r;
	if ((r = pack(p, c, msg, timeout_ms)) < 0) {
		chan_book_drop(p->book, c);
		return r;
	}
	p->stats.calls++;
	if (token != NULL)
		*token = c->msgid;
	if (p->stream != NULL) {
		c->sent = true;
		put(p, c, p->stats.waiting == 1); /* alone: at once; else with the others of this turn */
	} else if (!p->retrying) {
		connect_now(p);
	}
	return 0;
}

void peer_open(struct peer *p)
{
	p->standing = true;
	if (p->stream == NULL && !p->retrying && !p->shut)
		connect_now(p);
}

void peer_move(struct peer *p, uint64_t epoch)
{
	if (p->shut || (epoch != 0 && epoch <= p->wanted))
		return;
	if (epoch != 0)
		p->wanted = epoch;
	if (p->stream != NULL && !p->heard) {
		p->doubting = epoch != 0 && loop_timer_start(p->retry, DOUBT_MS, 0) == 0;
		return;
	}
	if (p->stream == NULL || epoch == 0 || p->epoch < epoch)
		renew(p);
}

int peer_note(struct peer *p, enum wire_msg_id id, const void *msg)
{
	int r;

	if (p->stream == NULL)
		return TR_ECLOSED;
	r = wire_pack_note(chan_stream_out(p->stream), id, msg);
	return r < 0 ? r : chan_stream_send(p->stream, true);
}

void peer_cancel(struct peer *p, uint32_t token)
{
	struct chan_asked *c = chan_book_find(p->book, token);

	if (c != NULL)
		chan_book_drop(p->book, c);
}

void peer_on_note(struct peer *p, peer_note_cb *cb, void *arg)
{
	p->on_note = cb;
	p->note_arg = arg;
}

void peer_on_lost(struct peer *p, peer_lost_cb *cb, void *arg)
{
	p->on_lost = cb;
	p->lost_arg = arg;
}

const struct peer_stats *peer_stats(const struct peer *p)
{
	return &p->stats;
}

/* Ends what waits and takes nothing more; the object stays. */
void peer_shut(struct peer *p)
{
	p->shut = true;
	p->retrying = false;
	loop_timer_stop(p->retry);
	chan_stream_close(&p->stream);
	chan_book_end_all(p->book, TR_ECLOSED);
}

void peer_free(struct peer **pp)
{
	struct peer *p = pp == NULL ? NULL : *pp;

	if (p == NULL || p->freeing)
		return;
	p->freeing = true;
	peer_shut(p);
	*pp = NULL;
	loop_timer_free(&p->retry);
	chan_book_free(&p->book);
	free(p);
}

pid_t peer_pid(const struct peer *p)
{
	return p->pid;
}
