#include "jrs/executive/http/problem.h"
#include <assert.h>

const struct http_status http_statuses[HTTP_NSTATUSES] = {
#define STATUS(code, text, problem) {(code), (text), (problem)},
#include "jrs/executive/http/status.def"
#undef STATUS
};

unsigned http_status_row(int code)
{
	unsigned internal = 0;

	for (unsigned i = 0; i < HTTP_NSTATUSES; i++) {
		if (http_statuses[i].code == code)
			return i;
		if (http_statuses[i].code == 500)
			internal = i;
	}
	assert(!"a status without a row in status.def");
	return internal;
}

static void put_string(struct buf *out, const char *s)
{
	buf_puts(out, "\"");
	for (; *s != '\0'; s++) {
		unsigned char c = (unsigned char)*s;

		if (c == '"' || c == '\\')
			buf_printf(out, "\\%c", c);
		else if (c < 0x20)
			buf_printf(out, "\\u%04x", c);
		else
			buf_append(out, s, 1);
	}
	buf_puts(out, "\"");
}

int http_problem(struct buf *out, int status, const char *problem, const char *title, const char *detail,
		 const char *request_id)
{
	const struct http_status *row = &http_statuses[http_status_row(status)];

	buf_printf(out, "{\"type\":\"urn:tribe:problem:%s\",\"title\":", problem != NULL ? problem : row->problem);
	put_string(out, title != NULL ? title : row->text);
	buf_printf(out, ",\"status\":%d,\"detail\":", status);
	put_string(out, detail);
	buf_puts(out, ",\"request_id\":");
	put_string(out, request_id);
	buf_puts(out, "}");
	return out->failed;
}
