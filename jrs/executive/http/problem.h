/* Statuses and problem+json bodies (RFC 9457), for the HTTP layer's own refusals and for the API alike. Pure. */
#ifndef JRS_EXECUTIVE_HTTP_PROBLEM_H
#define JRS_EXECUTIVE_HTTP_PROBLEM_H
#include "common/base/buf.h"

#define HTTP_PROBLEM_TYPE "application/problem+json"

struct http_status {
	int code;
	const char *text, *problem; /* problem: NULL for successes */
};
#define STATUS(code, text, problem) +1
enum {
	HTTP_NSTATUSES = 0
#include "jrs/executive/http/status.def"
};
#undef STATUS
extern const struct http_status http_statuses[HTTP_NSTATUSES];
/* Row of a status; one that is not in the table is a bug (assert) and counts as 500. */
unsigned http_status_row(int code);

/* Appends {"type","title","status","detail","request_id"}. problem and title NULL: those of the status. detail: valid
 * UTF-8. */
int http_problem(struct buf *out, int status, const char *problem, const char *title, const char *detail,
		 const char *request_id);

#endif
