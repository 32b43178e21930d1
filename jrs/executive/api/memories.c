/* POST and GET /api/v1/memories; GET, PATCH and DELETE /api/v1/memories/{id} */
#include "jrs/executive/api/internal.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- POST ---- */
struct batch {
	struct api_call *call;
	struct item_new_memory *v; /* in the call's zone; WIRE_BATCH_MAX at most */
	size_t n, room;
};

/* Puts `where` in front of the field a fault names. */
static void place(struct tr_fault *fault, const char *where)
{
	char inner[sizeof(fault->field)];

	memcpy(inner, fault->field, sizeof(inner));
	snprintf(fault->field, sizeof(fault->field), "%.30s%s%.32s", where, inner[0] != '\0' ? "." : "", inner);
}

static int add(struct batch *b, const json_t *doc, struct tr_fault *fault)
{
	if (b->n == b->room) {
		size_t room = b->room == 0 ? 1 : b->room * 4;
		struct item_new_memory *v;

		if (b->n == WIRE_BATCH_MAX)
			return tr_fault_set(fault, TR_EINVAL, "", "must be at most %d memories in one call",
					    WIRE_BATCH_MAX);
		room = room > WIRE_BATCH_MAX ? WIRE_BATCH_MAX : room;
		v = msgpack_zone_malloc(b->call->zone, room * sizeof(*v));
		if (v == NULL)
			return TR_ENOMEM;
		if (b->n > 0)
			memcpy(v, b->v, b->n * sizeof(*v));
		b->v = v;
		b->room = room;
	}
	return json_decode(&wire_shape_new_memory, doc, b->call->zone, &b->v[b->n++], fault);
}

static int read_json(struct batch *b, struct http_str body, struct tr_fault *fault)
{
	char where[32];
	json_t *doc;
	int r = json_parse(&doc, body.p, body.n, fault);

	if (r < 0 || (r = api_keep(b->call, doc)) < 0)
		return r;
	if (!json_is_array(doc))
		return add(b, doc, fault);
	for (size_t i = 0; i < json_array_size(doc); i++) {
		if ((r = add(b, json_array_get(doc, i), fault)) < 0) {
			snprintf(where, sizeof(where), "[%zu]", i);
			place(fault, where);
			return r;
		}
	}
	return 0;
}

/* Every line is a text of its own to the parser; the client counts those of the document. */
static void at_line(struct tr_fault *fault, size_t line)
{
	static const char first[] = "(line 1, ";
	char *at = strstr(fault->rule, first), where[32], rest[64];

	snprintf(where, sizeof(where), "line %zu", line);
	if (fault->code != TR_EMALFORMED || at == NULL) {
		place(fault, where);
		return;
	}
	tr_copy(rest, sizeof(rest), at + sizeof(first) - 1, strlen(at) - (sizeof(first) - 1));
	snprintf(at, sizeof(fault->rule) - (size_t)(at - fault->rule), "(%s, %s", where, rest);
}

static int read_ndjson(struct batch *b, struct http_str body, struct tr_fault *fault)
{
	const char *p = body.p, *end = body.p + body.n;

	for (size_t line = 1; p < end; line++) {
		const char *stop = memchr(p, '\n', (size_t)(end - p));
		size_t n = (size_t)((stop == NULL ? end : stop) - p), blank = 0;
		json_t *doc;
		int r = 0;

		while (blank < n && memchr(" \t\r", p[blank], 3) != NULL)
			blank++;
		if (blank < n) {
			r = json_parse(&doc, p, n, fault);
			if (r == 0 && (r = api_keep(b->call, doc)) == 0)
				r = add(b, doc, fault);
		}
		if (r < 0) {
			at_line(fault, line);
			return r;
		}
		p += n + 1;
	}
	return 0;
}

/* Line of the body that holds the n-th memory (from 0). */
static size_t line_of(struct http_str body, unsigned long n)
{
	const char *p = body.p, *end = body.p + body.n;
	bool blank = true;
	size_t line = 1;

	for (; p < end; p++) {
		if (*p == '\n') {
			line++;
			blank = true;
		} else if (blank && memchr(" \t\r", *p, 3) == NULL) {
			blank = false;
			if (n-- == 0)
				break;
		}
	}
	return line;
}

/* memory-jr numbers the memories of the call; the client may have sent one alone, or lines. */
static void name_memory(struct api_call *call, struct tr_fault *fault)
{
	struct http_str body = http_body(call->req);
	char where[32] = "", *end;
	unsigned long n;
	size_t i = 0;

	if (call->who.has_source && fault->code == TR_EREFUSED && strstr(fault->field, "source") != NULL)
		call->refused_as = "source";
	if (strncmp(fault->field, "memories[", 9) != 0)
		return;
	n = strtoul(fault->field + 9, &end, 10);
	end += *end == ']';
	end += *end == '.';
	memmove(fault->field, end, strlen(end) + 1);
	while (i < body.n && memchr(" \t\r\n", body.p[i], 4) != NULL)
		i++;
	if (check_content_type(http_header(call->req, "content-type").p) == MEDIA_NDJSON)
		snprintf(where, sizeof(where), "line %zu", line_of(body, n));
	else if (i < body.n && body.p[i] == '[')
		snprintf(where, sizeof(where), "[%lu]", n);
	if (where[0] != '\0')
		place(fault, where);
}

static void added(struct api_call *call, const void *res)
{
	const struct res_memory_add *r = res;
	bool created = false;

	for (uint32_t i = 0; i < r->memories.n; i++)
		created = created || r->memories.v[i].created;
	api_reply_struct(call, created ? 201 : 200, call->shape, res, NULL);
}

void api_post_memories(struct api_call *call)
{
	struct http_str type = http_header(call->req, "content-type");
	struct batch b = {.call = call};
	struct msg_memory_add msg = {0};
	struct tr_fault fault = {0};
	int r = TR_ENOMEM;

	if (api_zone(call) != NULL)
		r = (check_content_type(type.p) == MEDIA_NDJSON ? read_ndjson : read_json)(&b, http_body(call->req),
											   &fault);
	if (r == 0 && b.n == 0)
		r = tr_fault_set(&fault, TR_EINVAL, "", "must be at least one memory");
	if (r < 0) {
		fault.code = r;
		api_fail(call, &fault);
		return;
	}
	msg.common.request_id = wire_s(call->effect_id);
	msg.common.has_request_id = true;
	msg.memories.v = b.v;
	msg.memories.n = (uint32_t)b.n;
	call->rename = name_memory;
	api_forward(call, call->api->cfg.memory, MSG_memory_add, &msg, UINT32_MAX, added);
}

/* ---- GET ---- */
static void recalled(struct api_call *call, const void *res)
{
	api_reply_struct(call, 200, call->shape, res, "next_cursor");
}

void api_get_memories(struct api_call *call)
{
	struct msg_memory_recall msg;

	if (api_query(call, wire_methods[MSG_memory_recall].params, NULL, (struct http_str){NULL, 0}, &msg) < 0)
		return;
	msg.has_toucher = msg.has_session || call->who.via != VIA_LOOPBACK;
	msg.toucher = msg.has_session ? msg.session : wire_s(call->who.name);
	api_forward(call, call->api->cfg.memory, MSG_memory_recall, &msg, UINT32_MAX, recalled);
}

static void got(struct api_call *call, const void *res)
{
	const struct res_memory_get *r = res;

	api_reply_struct(call, 200, &wire_shape_memory, &r->memory, NULL);
}

void api_get_memory(struct api_call *call)
{
	struct msg_memory_get msg;

	if (api_query(call, wire_methods[MSG_memory_get].params, "id", http_segment(call->req, 3), &msg) < 0)
		return;
	msg.has_toucher = call->who.via != VIA_LOOPBACK;
	msg.toucher = wire_s(call->who.name);
	api_forward(call, call->api->cfg.memory, MSG_memory_get, &msg, UINT32_MAX, got);
}

static void explained(struct api_call *call, const void *res)
{
	api_reply_json(call, 200, api_encode(call, res));
}

/* Looking at why is no use: it does not heat. */
void api_get_explanation(struct api_call *call)
{
	struct msg_memory_explain msg;

	if (api_query(call, wire_methods[MSG_memory_explain].params, "id", http_segment(call->req, 3), &msg) == 0)
		api_forward(call, call->api->cfg.memory, MSG_memory_explain, &msg, UINT32_MAX, explained);
}

/* ---- PATCH and DELETE ---- */
static void patched(struct api_call *call, const void *res)
{
	const struct res_memory_patch *r = res;

	api_reply_struct(call, 200, &wire_shape_memory, &r->memory, NULL);
}

void api_patch_memory(struct api_call *call)
{
	struct msg_memory_patch msg;

	if (api_body_at(call, wire_methods[MSG_memory_patch].params, "id", http_segment(call->req, 3), &msg) < 0)
		return;
	msg.common.request_id = wire_s(call->effect_id);
	msg.common.has_request_id = true;
	call->refused_as = "sacred";
	api_forward(call, call->api->cfg.memory, MSG_memory_patch, &msg, UINT32_MAX, patched);
}

/* Answers that are kept for an Idempotency-Key must not tell what has been forgotten. */
static void forget_answers(struct api_call *call, wire_str id)
{
	json_t *text = json_stringn(id.p, id.n);
	struct buf written = {0};

	if (text != NULL && json_print(text, &written) == 0)
		replay_forget(call->api->answers, written.p, written.len);
	buf_free(&written);
	json_decref(text);
}

/* 204, or 202 when it had to be purged as well and that is not done yet. */
static void forgotten(struct api_call *call, const void *res)
{
	const struct res_memory_forget *r = res;

	forget_answers(call, r->id);
	if (r->has_purged && !r->purged)
		api_reply_json(call, 202, api_encode(call, res));
	else
		api_reply_empty(call, NULL);
}

void api_delete_memory(struct api_call *call)
{
	struct msg_memory_forget msg;

	if (api_query(call, wire_methods[MSG_memory_forget].params, "id", http_segment(call->req, 3), &msg) < 0)
		return;
	msg.common.request_id = wire_s(call->effect_id);
	msg.common.has_request_id = true;
	call->refused_as = "sacred";
	api_forward(call, call->api->cfg.memory, MSG_memory_forget, &msg, UINT32_MAX, forgotten);
}
