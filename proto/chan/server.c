#include "proto/chan/server.h"
#include "common/base/clock.h"
#include "common/loop/loop.h"
#include "proto/chan/inside.h"
#include "proto/chan/spoil.h"
#include <assert.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#define BACKLOG 512 /* callers that wait in the kernel while a Jr is away */
#define IDLE_MS 100 /* of silence, after which a connection may lose its place: who has just come is about to ask */
#define CHOKE   (1u << 20) /* bytes of unread answers above which no further request is taken */

static void leave(struct chan_server *s)
{
	if (--s->busy == 0 && s->dead)
		free(s);
}

/* ---- connections ---- */

/* The one that may lose its place to a new one; NULL: none. */
static struct chan_conn *longest_idle(const struct chan_server *s)
{
	uint64_t since, oldest = tr_mono_ms() - IDLE_MS;
	struct chan_conn *c, *found = NULL;

	LIST_FOREACH(c, &s->conns, link)
	{
		if (c->keep || c->inflight > 0 || chan_stream_queued(c->stream) > 0)
			continue;
		since = chan_stream_heard_ms(c->stream);
		if (since < c->done_ms)
			since = c->done_ms;
		if (since <= oldest) {
			oldest = since;
			found = c;
		}
	}
	return found;
}

/* A place has become free, or may have, or may accept at last. */
static void listen_again(void *arg)
{
	struct chan_server *s = arg;

	if (s->started && !s->stopping)
		loop_listener_start(s->listener);
}

static void conn_close(struct chan_conn *c)
{
	struct chan_server *s = c->server;
	struct chan_call *call;

	while ((call = LIST_FIRST(&c->calls)) != NULL) {
		LIST_REMOVE(call, of_conn);
		call->conn = NULL;
		if (call->unheard) { /* nobody else knows of it */
			LIST_REMOVE(call, of_server);
			s->stats.inflight--;
			chan_call_free(call);
		}
	}
	LIST_REMOVE(c, link);
	s->stats.conns--;
	chan_stream_close(&c->stream);
	s->busy++;
	if (s->cfg.on_close != NULL)
		s->cfg.on_close(s->cfg.arg, c);
	free(c);
	if (!s->dead) {
		listen_again(s);
		chan_turn_ask(s->turn);
	}
	leave(s);
}

/* The framing is lost, or something came that has no answer. */
static void conn_broken(struct chan_conn *c, const char *what, int r)
{
	c->server->stats.broken++;
	chan_gossip(&c->server->gossip, what, r, NULL);
	conn_close(c);
}

static void on_end(void *arg, int r)
{
	struct chan_conn *c = arg;

	if (r == TR_EPROTO || r == TR_ETOOBIG) {
		conn_broken(c, "server: broken frame", r);
		return;
	}
	if (r == UV_EOF && c->server->harm != CHAN_SILENT && (c->inflight > 0 || chan_stream_queued(c->stream) > 0)) {
		c->eof = true; /* half closed: it may still read */
		return;
	}
	if (r == TR_EBUSY)
		chan_gossip(&c->server->gossip, "server: answers are not read, closing", r, NULL);
	conn_close(c);
}

void chan_conn_ask_settled(struct chan_conn *c)
{
	if (c->eof || c->server->stopping)
		chan_turn_ask(c->server->turn);
}

static void on_flushed(void *arg)
{
	chan_conn_ask_settled(arg);
}

static void on_turn(void *arg)
{
	struct chan_server *s = arg;
	struct chan_conn *c, *next;

	s->busy++;
	for (c = LIST_FIRST(&s->conns); c != NULL && !s->dead; c = next) {
		next = LIST_NEXT(c, link);
		if (c->eof && c->inflight == 0 && chan_stream_queued(c->stream) == 0)
			conn_close(c);
	}
	if (!s->dead && s->stopping && s->on_idle != NULL && chan_server_idle(s)) {
		void (*fn)(void *) = s->on_idle;

		s->on_idle = NULL;
		fn(s->idle_arg);
	}
	leave(s);
}

/* ---- requests ---- */

static void refuse(struct chan_conn *c, uint32_t msgid, struct tr_fault *fault, int r)
{
	struct chan_server *s = c->server;
	msgpack_sbuffer *out = chan_stream_out(c->stream);
	size_t at = out->size;

	if (fault->code != r) /* not said more precisely */
		(void)tr_fault_set(fault, r, "", "%s", tr_strerror(r));
	s->stats.failed++;
	s->stats.broken++;
	chan_gossip(&s->gossip, "server: bad request", r, fault);
	if (wire_pack_error(out, msgid, fault) < 0)
		return;
	chan_conn_packed(c, at);
	(void)chan_stream_send(c->stream, true);
}

static struct chan_call *call_new(struct chan_conn *c, const struct wire_in *in, char *frame)
{
	struct chan_call *call = calloc(1, sizeof(*call) + chan_msg_size[in->id]);

	if (call == NULL)
		return NULL;
	call->id = (enum wire_msg_id)in->id;
	call->arrived_ms = tr_mono_ms();
	call->common = (const struct wire_common *)(const void *)call->msg;
	call->in = *in;
	call->frame = frame;
	call->timeout_ms = c->server->cfg.timeout_ms;
	call->server = c->server;
	call->conn = c;
	return call;
}

/* From here on the call is in the books, and the handler answers it. */
static void call_start(struct chan_conn *c, struct chan_call *call)
{
	struct chan_server *s = c->server;

	uint32_t own_ms = call->common->has_deadline_ms ? call->common->deadline_ms : 0;

	call->due_ms = UINT64_MAX;
	if (own_ms > 0 || call->timeout_ms > 0)
		call->due_ms = call->arrived_ms + (own_ms > call->timeout_ms ? own_ms : call->timeout_ms);
	if (call->due_ms < s->due_ms)
		s->due_ms = call->due_ms;
	LIST_INSERT_HEAD(&c->calls, call, of_conn);
	LIST_INSERT_HEAD(&s->calls, call, of_server);
	s->stats.inflight++;
	if (++c->inflight >= s->cfg.max_inflight)
		chan_stream_pause(c->stream, true);
	call->unheard = s->harm == CHAN_SILENT;
	if (call->unheard)
		return;
	s->busy++;
	s->handlers[call->id].fn(s->handlers[call->id].arg, call, call->msg); /* may close c and free s */
	leave(s);
}

/* Notes have no answer, so one that is not understood ends the connection. */
static void take_note(struct chan_conn *c, const struct wire_in *in)
{
	struct chan_server *s = c->server;
	struct tr_fault fault = {0};
	union any_msg msg;
	int r = wire_check(in, c->caller, &fault);

	if (r == 0 && s->notes[in->id].fn == NULL)
		r = TR_EMETHOD;
	if (r < 0 || (r = wire_decode_params(in, &msg, &fault)) < 0) {
		conn_broken(c, "server: bad notification", r);
		return;
	}
	s->busy++;
	s->notes[in->id].fn(s->notes[in->id].arg, &msg); /* may close c and free s */
	leave(s);
}

static void on_frame(void *arg, const char *p, size_t n)
{
	struct chan_conn *c = arg;
	struct chan_server *s = c->server;
	struct tr_fault fault = {0};
	struct chan_call *call = NULL;
	struct wire_in in;
	char *frame;
	int r;

	frame = chan_stream_take(c->stream, p, n);
	r = frame == NULL ? TR_ENOMEM : wire_parse(&in, frame, n);
	if (r < 0 || in.kind != WIRE_REQUEST) {
		if (r == 0 && in.kind == WIRE_NOTE)
			take_note(c, &in);
		else
			conn_broken(c, "server: broken message", r < 0 ? r : TR_EPROTO);
		if (r == 0)
			wire_in_free(&in);
		free(frame);
		return;
	}
	s->stats.requests++;
	r = wire_check(&in, c->caller, &fault);
	if (r == 0 && s->handlers[in.id].fn == NULL)
		r = tr_fault_set(&fault, TR_EMETHOD, "method", "%s is not answered here", wire_methods[in.id].method);
	if (r == 0 && (call = call_new(c, &in, frame)) == NULL)
		r = TR_ENOMEM;
	if (r == 0)
		r = wire_decode_params(&call->in, call->msg, &fault);
	if (r == 0) {
		call_start(c, call);
		return;
	}
	refuse(c, in.msgid, &fault, r);
	if (call != NULL) {
		chan_call_free(call);
	} else {
		wire_in_free(&in);
		free(frame);
	}
}

/* ---- accepting ---- */

static const struct chan_stream_ops stream_ops = {on_frame, on_end, on_flushed};

/* Without one of its own: what runs as this user or as root is ours. */
static unsigned identify_own(void *arg, pid_t pid, uid_t uid, gid_t gid)
{
	(void)arg;
	(void)pid;
	(void)gid;
	return uid == 0 || uid == geteuid() ? FROM_ANY_JR | FROM_USER : 0;
}

static void take_conn(struct chan_server *s, int fd)
{
	struct chan_stream_cfg cfg = {.loop = s->cfg.loop, .fd = fd, .max_queue = s->cfg.max_queue, .ops = &stream_ops};
	struct ucred who = {0};
	socklen_t len = sizeof(who);
	struct chan_conn *c;
	unsigned caller = 0;

	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &who, &len) == 0)
		caller = s->cfg.identify(s->cfg.arg, who.pid, who.uid, who.gid);
	if (caller == 0) {
		s->stats.refused++;
		chan_gossip(&s->gossip, "server: connection refused by its credentials", TR_EREFUSED, NULL);
		(void)close(fd);
		return;
	}
	c = calloc(1, sizeof(*c));
	if (c == NULL) {
		(void)close(fd);
		return;
	}
	cfg.choke = s->cfg.max_queue / 2 < CHOKE ? s->cfg.max_queue / 2 : CHOKE;
	cfg.arg = c;
	c->server = s;
	c->caller = caller;
	LIST_INIT(&c->calls);
	if (chan_stream_new(&c->stream, &cfg) < 0) {
		free(c);
		return;
	}
	LIST_INSERT_HEAD(&s->conns, c, link);
	s->stats.accepted++;
	s->stats.conns++;
}

static bool room(void *arg)
{
	struct chan_server *s = arg;

	s->leaver = s->stats.conns < s->cfg.max_conns ? NULL : longest_idle(s);
	if (s->stats.conns < s->cfg.max_conns || s->leaver != NULL)
		return true;
	(void)loop_timer_start(s->full, IDLE_MS, 0);
	return false;
}

static void accepted(void *arg, int fd)
{
	struct chan_server *s = arg;

	s->busy++;
	if (s->leaver != NULL) {
		chan_gossip(&s->gossip, "server: full, the longest idle connection is closed", TR_EBUSY, NULL);
		conn_close(s->leaver); /* may free s */
	}
	if (s->dead)
		(void)close(fd);
	else
		take_conn(s, fd);
	leave(s);
}

static const struct loop_listener_ops listener_ops = {room, accepted};

/* ---- the server ---- */

int chan_server_new(struct chan_server **out, const struct chan_server_cfg *cfg)
{
	struct chan_server *s = calloc(1, sizeof(*s));
	int r;

	if (s == NULL) {
		(void)close(cfg->fd);
		return TR_ENOMEM;
	}
	if ((r = loop_listener_new(&s->listener, cfg->loop, cfg->fd, BACKLOG, &listener_ops, s)) < 0) {
		free(s);
		return r;
	}
	s->cfg = *cfg;
	if (s->cfg.identify == NULL)
		s->cfg.identify = identify_own;
	LIST_INIT(&s->conns);
	LIST_INIT(&s->calls);
	s->due_ms = UINT64_MAX;
	if ((r = chan_turn_new(&s->turn, cfg->loop, on_turn, s)) < 0 ||
	    (r = loop_timer_new(&s->full, cfg->loop, listen_again, s)) < 0) {
		chan_server_free(&s);
		return r;
	}
	if (!cfg->held)
		chan_server_start(s);
	*out = s;
	return 0;
}

void chan_server_start(struct chan_server *s)
{
	if (s->started || s->stopping)
		return;
	s->started = true;
	listen_again(s);
}

void chan_server_handle(struct chan_server *s, enum wire_msg_id id, chan_handler *fn, void *arg)
{
	assert(wire_methods[id].kind == WIRE_REQUEST);
	s->handlers[id].fn = fn;
	s->handlers[id].arg = arg;
}

void chan_server_on_note(struct chan_server *s, enum wire_msg_id id, chan_note *fn, void *arg)
{
	assert(wire_methods[id].kind == WIRE_NOTE);
	s->notes[id].fn = fn;
	s->notes[id].arg = arg;
}

static void close_silenced(struct chan_server *s)
{
	struct chan_conn *c, *next;
	const struct chan_call *call;

	s->busy++;
	for (c = LIST_FIRST(&s->conns); c != NULL && !s->dead; c = next) {
		next = LIST_NEXT(c, link);
		LIST_FOREACH(call, &c->calls, of_conn)
		{
			if (call->unheard)
				break;
		}
		if (call != NULL)
			conn_close(c); /* what was asked there is asked again */
	}
	leave(s);
}

void chan_server_harm(struct chan_server *s, enum chan_harm harm)
{
	s->harm = harm;
	if (harm != CHAN_SILENT)
		close_silenced(s); /* may free s */
}

void chan_conn_packed(struct chan_conn *c, size_t at)
{
	struct chan_server *s = c->server;

	if (s->harm == CHAN_GARBAGE && chan_spoil(chan_stream_out(c->stream), at, s->spoiled++))
		c->eof = true;
}

void chan_server_stop_accepting(struct chan_server *s)
{
	struct chan_conn *c;

	s->stopping = true;
	loop_listener_stop(s->listener);
	LIST_FOREACH(c, &s->conns, link)
	{
		chan_stream_pause(c->stream, true); /* what was not read is sent again, to our successor */
	}
	chan_turn_ask(s->turn);
}

void chan_server_shut(struct chan_server *s)
{
	struct chan_conn *c;

	s->busy++;
	s->stopping = true;
	loop_listener_stop(s->listener);
	while (!s->dead && (c = LIST_FIRST(&s->conns)) != NULL)
		conn_close(c);
	leave(s);
}

bool chan_server_idle(const struct chan_server *s)
{
	const struct chan_conn *c;

	LIST_FOREACH(c, &s->conns, link)
	{
		if (chan_stream_queued(c->stream) > 0)
			return false;
	}
	return s->stats.inflight == 0;
}

void chan_server_on_idle(struct chan_server *s, void (*fn)(void *arg), void *arg)
{
	s->on_idle = fn;
	s->idle_arg = arg;
	chan_turn_ask(s->turn);
}

uint32_t chan_server_overdue(struct chan_server *s, uint32_t late_ms)
{
	const struct chan_call *call;
	uint64_t now = tr_mono_ms();
	uint32_t n = 0;

	if (now < late_ms || s->due_ms > now - late_ms)
		return 0;
	s->due_ms = UINT64_MAX;
	LIST_FOREACH(call, &s->calls, of_server)
	{
		n += call->due_ms <= now - late_ms;
		if (call->due_ms < s->due_ms)
			s->due_ms = call->due_ms;
	}
	return n;
}

const struct chan_stats *chan_server_stats(const struct chan_server *s)
{
	return &s->stats;
}

void chan_server_free(struct chan_server **ps)
{
	struct chan_server *s = ps == NULL ? NULL : *ps;
	struct chan_conn *c;
	struct chan_call *call;

	if (s == NULL)
		return;
	*ps = NULL;
	if (s->dead)
		return;
	s->dead = true;
	s->busy++;
	while ((c = LIST_FIRST(&s->conns)) != NULL)
		conn_close(c);
	while ((call = LIST_FIRST(&s->calls)) != NULL) {
		LIST_REMOVE(call, of_server);
		call->server = NULL;
	}
	loop_listener_free(&s->listener);
	chan_turn_free(&s->turn);
	loop_timer_free(&s->full);
	leave(s);
}
