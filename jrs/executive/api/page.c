/* GET /, /docs, /assets/{name}: the page, for a browser. */
#include "jrs/executive/page/page.h"
#include "jrs/executive/api/internal.h"
#include <string.h>

void api_get_page(struct api_call *call)
{
	const struct page_asset *a = page_find(http_path(call->req).p);

	if (a == NULL)
		api_refuse(call, 404, NULL, "there is no such path");
	else
		api_reply_static(call, &a->what);
}

/* Browsers name text/html; a program that wants JSON names that alone; whoever takes anything gets the page. */
void api_get_root(struct api_call *call)
{
	struct http_str accept = http_header(call->req, "accept");

	if (accept.p != NULL && strcasestr(accept.p, "application/json") != NULL &&
	    strcasestr(accept.p, "text/html") == NULL)
		api_welcome(call);
	else
		api_get_page(call);
}
