#include "common/base/clock.h"
#include "common/base/text.h"
#include "common/log/log.h"
#include "proto/chan/inside.h"
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

const struct wire_common *chan_call_common(const struct chan_call *call)
{
	return call->common;
}

enum wire_msg_id chan_call_id(const struct chan_call *call)
{
	return call->id;
}

msgpack_zone *chan_call_zone(struct chan_call *call)
{
	return call->in.zone;
}

uint32_t chan_call_left_ms(const struct chan_call *call)
{
	uint64_t gone = tr_mono_ms() - call->arrived_ms;
	uint32_t all = call->common->has_deadline_ms ? call->common->deadline_ms : call->timeout_ms;

	if (!call->common->has_deadline_ms && all == 0)
		return UINT32_MAX;
	return gone >= all ? 0 : all - (uint32_t)gone;
}

struct chan_conn *chan_call_conn(const struct chan_call *call)
{
	return call->conn;
}

void chan_call_free(struct chan_call *call)
{
	wire_in_free(&call->in);
	free(call->frame);
	free(call);
}

/* The answer is packed (or there is nobody to read it): out of the books, and on its way. */
static void call_end(struct chan_call *call)
{
	struct chan_conn *c = call->conn;
	struct chan_server *s = call->server;

	if (s != NULL) {
		LIST_REMOVE(call, of_server);
		s->stats.inflight--;
		if (s->stopping)
			chan_turn_ask(s->turn);
	}
	if (c != NULL) {
		LIST_REMOVE(call, of_conn);
		c->inflight--;
		c->done_ms = tr_mono_ms();
		/* with more to answer, the next one may come in this same turn: one write for all of them */
		(void)chan_stream_send(c->stream, c->inflight == 0);
		if (!c->server->stopping && c->inflight < c->server->cfg.max_inflight)
			chan_stream_pause(c->stream, false);
		chan_conn_ask_settled(c);
	}
	chan_call_free(call);
}

static void pack_fault(struct chan_call *call, const struct tr_fault *fault)
{
	msgpack_sbuffer *out;
	size_t at;

	if (call->server != NULL)
		call->server->stats.failed++;
	if (call->conn == NULL)
		return;
	out = chan_stream_out(call->conn->stream);
	at = out->size;
	if (wire_pack_error(out, call->in.msgid, fault) < 0)
		log_error("server: no memory for an answer");
	else
		chan_conn_packed(call->conn, at);
}

void chan_reply(struct chan_call *call, const void *res)
{
	struct tr_fault fault = {0};
	int r = 0;

	if (call->conn != NULL) {
		msgpack_sbuffer *out = chan_stream_out(call->conn->stream);
		size_t at = out->size;

		if ((r = wire_pack_result(out, call->in.msgid, call->id, res)) == 0)
			chan_conn_packed(call->conn, at);
	}
	if (r < 0) {
		log_error("server: answer cannot be sent method=%s error=%s", wire_methods[call->id].method,
			  tr_err_name(r));
		(void)tr_fault_set(&fault, r, "", "the answer is too large to be sent");
		pack_fault(call, &fault);
	} else if (call->server != NULL) {
		call->server->stats.answered++;
	}
	call_end(call);
}

void chan_fail(struct chan_call *call, const struct tr_fault *fault)
{
	pack_fault(call, fault);
	call_end(call);
}

void chan_failf(struct chan_call *call, int code, const char *field, const char *fmt, ...)
{
	struct tr_fault fault = {.code = code};
	va_list ap;

	tr_copy(fault.field, sizeof(fault.field), field == NULL ? "" : field, field == NULL ? 0 : strlen(field));
	va_start(ap, fmt);
	(void)vsnprintf(fault.rule, sizeof(fault.rule), fmt, ap);
	va_end(ap);
	chan_fail(call, &fault);
}

void chan_conn_keep(struct chan_conn *conn)
{
	conn->keep = true;
}

int chan_notify(struct chan_conn *conn, enum wire_msg_id id, const void *msg)
{
	int r;

	if (conn->stream == NULL) /* from inside on_close */
		return TR_ECLOSED;
	r = wire_pack_note(chan_stream_out(conn->stream), id, msg);
	return r < 0 ? r : chan_stream_send(conn->stream, conn->inflight == 0);
}
