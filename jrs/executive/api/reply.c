#include "common/base/text.h"
#include "common/log/log.h"
#include "jrs/executive/api/internal.h"
#include <stdio.h>
#include <string.h>

#define NO_STORE   "Cache-Control: no-store\r\n"
#define TRY_LATER  "Retry-After: 1\r\n"
#define DETAIL_MAX 512

/* Which status an error becomes. telling: field and rule are for whoever asked; else only the code's own text is said.
 */
static const struct {
	int code, status;
	bool telling;
} statuses[] = {
	{TR_EINVAL, 422, true},    {TR_EMALFORMED, 400, true},   {TR_ENOTFOUND, 404, true},
	{TR_ECONFLICT, 409, true}, {TR_EMISMATCH, 422, true},    {TR_ETOOBIG, 413, true},
	{TR_EREFUSED, 403, true},  {TR_EBUSY, 503, false},       {TR_EUNAVAILABLE, 503, true},
	{TR_EDEADLINE, 503, true}, {TR_ECLOSED, 503, false},     {TR_ESTORE, 503, false},
	{TR_ENOMEM, 503, false},   {TR_EUNSUPPORTED, 501, true}, {TR_EQUOTA, 403, true},
	{TR_ENOSPACE, 503, true},  {TR_ESECRET, 422, true},
};

static void send_problem(struct api_call *call, int status, const char *problem, const char *title, const char *extra,
			 const char *detail)
{
	struct http_req *req = api_call_end(call, status);
	struct buf body = {0}, head = {0};

	buf_printf(&head, "%s%s%s", NO_STORE, status == 503 ? TRY_LATER : "", extra != NULL ? extra : "");
	http_problem(&body, status, problem, title, detail, http_request_id(req));
	http_respond_buf(req, status, HTTP_PROBLEM_TYPE, head.failed == 0 ? head.p : NULL, &body);
	buf_free(&head);
}

/* The words of the wire in those of HTTP. */
static struct tr_fault in_http(const struct tr_fault *fault)
{
	static const char a_time[] = "must be a time ";
	struct tr_fault f = *fault;

	if (f.code == TR_EMISMATCH)
		(void)tr_fault_set(&f, f.code, "Idempotency-Key",
				   "was used for another request; each request needs a key of its own");
	else if (f.code == TR_ENOTFOUND && strcmp(f.field, "id") == 0)
		(void)tr_fault_set(&f, f.code, "", "there is no memory with this id");
	else if (strncmp(f.rule, a_time, sizeof(a_time) - 1) == 0) /* the wire's rule knows MessagePack too */
		(void)tr_fault_set(&f, f.code, fault->field,
				   "must be a time as in RFC 3339, such as 2026-01-02T03:04:05Z, from year 1 to 9999");
	if (strcmp(f.field, "request_id") == 0) /* only a client's own can be there already */
		tr_copy(f.field, sizeof(f.field), "Idempotency-Key", strlen("Idempotency-Key"));
	return f;
}

void api_fail(struct api_call *call, const struct tr_fault *of_wire)
{
	const struct tr_fault said = in_http(of_wire), *fault = &said;
	char detail[DETAIL_MAX], field[sizeof(fault->field)];
	int status = 500, code = TR_EINTERNAL;
	bool telling = false;

	for (size_t i = 0; i < sizeof(statuses) / sizeof(*statuses); i++) {
		if (statuses[i].code == fault->code) {
			code = fault->code;
			status = statuses[i].status;
			telling = statuses[i].telling;
		}
	}
	if (status == 500)
		log_error("a request failed reason=\"%s\" request_id=%s", tr_strerror(fault->code),
			  http_request_id(call->req));
	memcpy(field, fault->field, sizeof(field));
	while (!tr_utf8_ok(field, strlen(field), NULL)) /* it was cut within a character */
		field[strlen(field) - 1] = '\0';
	if (!telling || fault->rule[0] == '\0')
		snprintf(detail, sizeof(detail), "%s", tr_strerror(code));
	else if (field[0] == '\0')
		snprintf(detail, sizeof(detail), "%s", fault->rule);
	else
		snprintf(detail, sizeof(detail), "\"%s\" %s", field, fault->rule);
	send_problem(call, status,
		     code == TR_EREFUSED && call->refused_as != NULL ? call->refused_as : tr_err_name(code),
		     tr_strerror(code), NULL, detail);
}

void api_failf(struct api_call *call, int code, const char *field, const char *fmt, ...)
{
	struct tr_fault fault = {.code = code};
	va_list ap;

	tr_copy(fault.field, sizeof(fault.field), field, strlen(field));
	va_start(ap, fmt);
	vsnprintf(fault.rule, sizeof(fault.rule), fmt, ap);
	va_end(ap);
	api_fail(call, &fault);
}

void api_refuse(struct api_call *call, int status, const char *extra, const char *fmt, ...)
{
	char detail[DETAIL_MAX];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(detail, sizeof(detail), fmt, ap);
	va_end(ap);
	send_problem(call, status, NULL, NULL, extra, detail);
}

void api_forbid(struct api_call *call, const char *problem, const char *fmt, ...)
{
	char detail[DETAIL_MAX];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(detail, sizeof(detail), fmt, ap);
	va_end(ap);
	send_problem(call, 403, problem, NULL, NULL, detail);
}

void api_reply_json(struct api_call *call, int status, json_t *doc)
{
	struct buf body = {0};

	if (doc == NULL || json_print(doc, &body) < 0) {
		json_decref(doc);
		buf_free(&body);
		api_failf(call, TR_ENOMEM, "", "%s", tr_strerror(TR_ENOMEM));
		return;
	}
	json_decref(doc);
	http_respond_buf(api_call_end(call, status), status, "application/json", NO_STORE, &body);
}

void api_reply_struct(struct api_call *call, int status, const struct wire_shape *shape, const void *value,
		      const char *nulls)
{
	struct buf body = {0};

	if (json_write(shape, value, nulls, &body) < 0) {
		buf_free(&body);
		api_failf(call, TR_ENOMEM, "", "%s", tr_strerror(TR_ENOMEM));
		return;
	}
	http_respond_buf(api_call_end(call, status), status, "application/json", NO_STORE, &body);
}

void api_reply_fixed(struct api_call *call, int status, const char *type, const char *body, size_t n)
{
	http_respond(api_call_end(call, status), status, type, NO_STORE, body, n);
}

void api_reply_text(struct api_call *call, int status, const char *type, struct buf *body)
{
	http_respond_buf(api_call_end(call, status), status, type, NO_STORE, body);
}

void api_reply_static(struct api_call *call, const struct http_static *what)
{
	int status = http_static_status(call->req, what);

	http_respond_static(api_call_end(call, status), what);
}

int api_reply_stream(struct api_call *call, const char *type, const struct http_stream_cfg *cfg,
		     struct http_stream **out)
{
	struct http_req *req = api_call_end(call, 200);
	/* nginx would gather the pieces */
	int r = http_stream_begin(out, req, type, NO_STORE "X-Accel-Buffering: no\r\n", cfg);

	if (r < 0)
		http_respond(req, 503, NULL, TRY_LATER, NULL, 0);
	return r;
}

void api_reply_empty(struct api_call *call, const char *extra)
{
	http_respond(api_call_end(call, 204), 204, NULL, extra, NULL, 0);
}
