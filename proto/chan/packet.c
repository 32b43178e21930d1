#include "proto/chan/packet.h"
#include "proto/chan/any.h"
#include "proto/chan/book.h"
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/queue.h>
#include <sys/socket.h>
#include <unistd.h>

#define PACKET_MAX  65536u /* bytes of one message; below any default SO_SNDBUF */
#define DRAIN_MAX   64     /* packets read a wake-up: others in the loop have their turn too */
#define QUEUE_MAX   64     /* answers that wait for room in the socket */
#define WAITING_MAX 64     /* own requests without an answer */

struct queued {
	STAILQ_ENTRY(queued) link;
	size_t n;
	char p[];
};

struct packet {
	uv_poll_t poll;
	int fd; /* -1: the other end is gone */
	unsigned caller;
	struct packet_ops ops;
	void *arg;
	struct chan_book *book;
	STAILQ_HEAD(, queued) queue;
	unsigned nqueued;
	msgpack_sbuffer out; /* the message being packed */
	bool shut, dead;     /* no more calls; packet_free() was called */
	struct chan_gossip gossip;
	struct packet_stats stats;
	char in[PACKET_MAX];
};

static void on_poll(uv_poll_t *h, int status, int events);

static int late_code(void *arg, const struct chan_asked *c)
{
	(void)arg;
	(void)c;
	return TR_EDEADLINE;
}

static void on_closed(uv_handle_t *h)
{
	struct packet *ch = h->data;
	struct queued *q;

	while ((q = STAILQ_FIRST(&ch->queue)) != NULL) {
		STAILQ_REMOVE_HEAD(&ch->queue, link);
		free(q);
	}
	msgpack_sbuffer_destroy(&ch->out);
	free(ch);
}

static int watch(struct packet *ch)
{
	int events = UV_READABLE | (ch->nqueued > 0 ? UV_WRITABLE : 0);

	return uv_poll_start(&ch->poll, events, on_poll);
}

int packet_new(struct packet **out, uv_loop_t *loop, int fd, unsigned caller, const struct packet_ops *ops, void *arg)
{
	struct packet *ch = calloc(1, sizeof(*ch));
	int r;

	if (ch == NULL) {
		(void)close(fd);
		return TR_ENOMEM;
	}
	ch->fd = fd;
	ch->caller = caller;
	ch->ops = *ops;
	ch->arg = arg;
	STAILQ_INIT(&ch->queue);
	msgpack_sbuffer_init(&ch->out);
	ch->poll.data = ch;
	if ((r = chan_book_new(&ch->book, loop, WAITING_MAX, &ch->stats.waiting, late_code, ch)) < 0 ||
	    (r = uv_poll_init(loop, &ch->poll, fd)) < 0) { /* also makes it non-blocking */
		chan_book_free(&ch->book);
		(void)close(fd);
		free(ch);
		return r;
	}
	if ((r = watch(ch)) < 0) {
		packet_free(&ch);
		return r;
	}
	*out = ch;
	return 0;
}

/* ---- out ---- */

/* TR_EBUSY: the socket is full. */
static int send_now(const struct packet *ch, const char *p, size_t n)
{
	ssize_t r;

	do {
		r = send(ch->fd, p, n, MSG_DONTWAIT | MSG_NOSIGNAL);
	} while (r < 0 && errno == EINTR);
	if (r >= 0)
		return 0;
	if (errno == EAGAIN || errno == ENOBUFS)
		return TR_EBUSY;
	if (errno == EPIPE || errno == ECONNRESET || errno == ENOTCONN)
		return TR_ECLOSED; /* reading tells on_close */
	return errno == EMSGSIZE ? TR_ETOOBIG : -errno;
}

/* Sends what was packed into ch->out. patient: it may wait its turn in the queue. */
static int put(struct packet *ch, int packed, bool patient)
{
	struct queued *q;
	int r = packed;

	if (r == 0 && ch->out.size > PACKET_MAX)
		r = TR_ETOOBIG;
	if (r == 0)
		r = ch->nqueued > 0 ? TR_EBUSY : send_now(ch, ch->out.data, ch->out.size);
	if (r == TR_EBUSY && patient && ch->nqueued < QUEUE_MAX) {
		q = malloc(sizeof(*q) + ch->out.size);
		r = TR_ENOMEM;
		if (q != NULL) {
			q->n = ch->out.size;
			memcpy(q->p, ch->out.data, q->n);
			STAILQ_INSERT_TAIL(&ch->queue, q, link);
			ch->nqueued++;
			r = watch(ch);
		}
	}
	msgpack_sbuffer_clear(&ch->out);
	return r;
}

static void flush(struct packet *ch)
{
	struct queued *q;

	while ((q = STAILQ_FIRST(&ch->queue)) != NULL) {
		if (send_now(ch, q->p, q->n) == TR_EBUSY)
			return;
		STAILQ_REMOVE_HEAD(&ch->queue, link);
		ch->nqueued--;
		free(q);
	}
	(void)watch(ch);
}

int packet_note(struct packet *ch, enum wire_msg_id id, const void *msg)
{
	int r = ch->fd < 0 ? TR_ECLOSED : put(ch, wire_pack_note(&ch->out, id, msg), false);

	ch->stats.dropped += r < 0;
	return r;
}

int packet_call(struct packet *ch, enum wire_msg_id id, const void *msg, uint32_t timeout_ms, peer_cb *cb, void *arg)
{
	struct chan_asked *c;
	int r;

	if (ch->fd < 0 || ch->shut)
		return TR_ECLOSED;
	if ((r = chan_book_add(ch->book, &c, id, timeout_ms, cb, arg)) < 0)
		return r;
	r = put(ch, chan_book_pack(&ch->out, c, msg, timeout_ms, NULL), false);
	if (r < 0)
		chan_book_drop(ch->book, c);
	return r;
}

int packet_reply(struct packet *ch, enum wire_msg_id id, uint32_t msgid, const void *res)
{
	return ch->fd < 0 ? TR_ECLOSED : put(ch, wire_pack_result(&ch->out, msgid, id, res), true);
}

int packet_fail(struct packet *ch, uint32_t msgid, const struct tr_fault *fault)
{
	return ch->fd < 0 ? TR_ECLOSED : put(ch, wire_pack_error(&ch->out, msgid, fault), true);
}

/* ---- in ---- */

static void broken(struct packet *ch, const char *what, int r, const struct tr_fault *fault)
{
	ch->stats.broken++;
	chan_gossip(&ch->gossip, what, r, fault);
}

/* A request or a note. */
static void take_message(struct packet *ch, const struct wire_in *in)
{
	union any_msg msg;
	struct tr_fault fault = {0};
	int r;

	if ((r = wire_check(in, ch->caller, &fault)) < 0 || (r = wire_decode_params(in, &msg, &fault)) < 0) {
		fault.code = r;
		broken(ch, "channel: bad message", r, &fault);
		if (in->kind == WIRE_REQUEST)
			(void)packet_fail(ch, in->msgid, &fault);
		return;
	}
	ch->ops.on_message(ch->arg, ch, (enum wire_msg_id)in->id, in->kind == WIRE_REQUEST ? in->msgid : 0, &msg);
}

/* An answer that makes no sense would not when it were asked again: the other end is of this very build, and nothing
 * else writes here. */
static void take_answer(struct packet *ch, const struct wire_in *in)
{
	struct tr_fault bad = {0};

	if (chan_book_answer(ch->book, in, &bad) != TR_EPROTO) /* TR_ENOTFOUND: too late */
		return;
	broken(ch, "channel: bad answer", TR_EPROTO, &bad);
	chan_book_end(ch->book, in->msgid, &bad);
}

/* Each packet is a message of its own: after a broken one the next may be fine. */
static void take_packet(struct packet *ch, size_t n)
{
	struct wire_in in;
	int64_t len;
	int r;

	if (n > PACKET_MAX) {
		broken(ch, "channel: packet cut short", TR_ETOOBIG, NULL);
		return;
	}
	len = wire_frame_length(ch->in, n, PACKET_MAX);
	r = len < 0 ? (int)len : (size_t)len != n ? TR_EPROTO : wire_parse(&in, ch->in, n);
	if (r < 0) {
		broken(ch, "channel: broken message", r, NULL);
		return;
	}
	if (in.kind == WIRE_RESPONSE)
		take_answer(ch, &in);
	else
		take_message(ch, &in);
	wire_in_free(&in);
}

static void hang_up(struct packet *ch)
{
	(void)uv_poll_stop(&ch->poll);
	(void)close(ch->fd);
	ch->fd = -1;
	chan_book_end_all(ch->book, TR_ECLOSED);
	if (!ch->dead)
		ch->ops.on_close(ch->arg, ch);
}

/* recv() said 0: an empty packet, or the other end has gone? */
static bool is_gone(const struct packet *ch)
{
	struct pollfd p = {.fd = ch->fd, .events = POLLRDHUP};

	return poll(&p, 1, 0) > 0;
}

static void on_poll(uv_poll_t *h, int status, int events)
{
	struct packet *ch = h->data;

	if (status < 0) {
		hang_up(ch);
		return;
	}
	if (events & UV_WRITABLE)
		flush(ch);
	for (int i = 0; (events & UV_READABLE) && i < DRAIN_MAX && !ch->dead && ch->fd >= 0; i++) {
		/* MSG_TRUNC: the length it had, also when it did not fit */
		ssize_t n = recv(ch->fd, ch->in, sizeof(ch->in), MSG_DONTWAIT | MSG_TRUNC);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && errno == EAGAIN)
			return;
		if (n < 0 || (n == 0 && is_gone(ch)))
			hang_up(ch);
		else
			take_packet(ch, (size_t)n);
	}
}

const struct packet_stats *packet_stats(const struct packet *ch)
{
	return &ch->stats;
}

void packet_shut(struct packet *ch)
{
	ch->shut = true;
	chan_book_end_all(ch->book, TR_ECLOSED);
}

void packet_free(struct packet **pch)
{
	struct packet *ch = pch == NULL ? NULL : *pch;

	if (ch == NULL || ch->dead)
		return;
	ch->dead = true;
	packet_shut(ch);
	*pch = NULL;
	chan_book_free(&ch->book);
	uv_close((uv_handle_t *)&ch->poll, on_closed);
	if (ch->fd >= 0)
		(void)close(ch->fd);
	ch->fd = -1;
}
