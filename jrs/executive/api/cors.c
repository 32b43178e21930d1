#include "jrs/executive/api/cors.h"
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define ALLOWED "Authorization, Content-Type, Idempotency-Key, If-None-Match, Last-Event-ID, X-Request-Id"
#define EXPOSED "Allow, ETag, Retry-After, X-Request-Id"
#define MAX_AGE "600" /* seconds a browser need not ask again */
#define VARY    "Vary: Origin\r\n"

struct origin {
	struct origin *next;
	struct buf lines; /* owned */
	size_t n;
	char name[];
};
struct cors {
	struct origin *list; /* owned */
};

static int add(struct cors *cors, const char *p, size_t n)
{
	struct origin *o = calloc(1, sizeof(*o) + n + 1);

	if (o == NULL)
		return TR_ENOMEM;
	memcpy(o->name, p, n);
	o->n = n;
	o->next = cors->list;
	cors->list = o;
	buf_printf(&o->lines, "Access-Control-Allow-Origin: %s\r\nAccess-Control-Expose-Headers: " EXPOSED "\r\n" VARY,
		   o->name);
	return o->lines.failed;
}

int cors_new(struct cors **out, const char *origins)
{
	struct cors *cors = NULL;
	int r = 0;

	while (r == 0 && origins != NULL && *(origins += strspn(origins, " ")) != '\0') {
		size_t n = strcspn(origins, " ");

		if (cors == NULL && (cors = calloc(1, sizeof(*cors))) == NULL)
			return TR_ENOMEM;
		r = add(cors, origins, n);
		origins += n;
	}
	if (r < 0)
		cors_free(&cors);
	else
		*out = cors;
	return r;
}

void cors_free(struct cors **cp)
{
	struct cors *cors = *cp;

	while (cors != NULL && cors->list != NULL) {
		struct origin *o = cors->list;

		cors->list = o->next;
		buf_free(&o->lines);
		free(o);
	}
	free(cors);
	*cp = NULL;
}

static const struct origin *find(const struct cors *cors, const char *origin)
{
	const struct origin *o = cors == NULL || origin == NULL ? NULL : cors->list;

	while (o != NULL && strcasecmp(o->name, origin) != 0)
		o = o->next;
	return o;
}

bool cors_allows(const struct cors *cors, const char *origin)
{
	return find(cors, origin) != NULL;
}

const char *cors_lines(const struct cors *cors, const char *origin)
{
	const struct origin *o = find(cors, origin);

	/* what others are answered must not be kept for those on the list either */
	return o != NULL ? o->lines.p : cors != NULL ? VARY : NULL;
}

bool cors_preflight(const struct cors *cors, const struct http_req *req)
{
	return cors != NULL && strcmp(http_method(req).p, "OPTIONS") == 0 &&
	       http_header(req, "access-control-request-method").p != NULL &&
	       cors_allows(cors, http_header(req, "origin").p);
}

void cors_grant(struct buf *out, const char *methods)
{
	size_t n = strcspn(methods + strlen("Allow: "), "\r");

	buf_printf(out,
		   "Access-Control-Allow-Methods: %.*s\r\nAccess-Control-Allow-Headers: " ALLOWED
		   "\r\nAccess-Control-Max-Age: " MAX_AGE
		   "\r\nVary: Access-Control-Request-Method, Access-Control-Request-Headers\r\n",
		   (int)n, methods + strlen("Allow: "));
}
