/* Which pages of other origins may call the API from a browser (http.cors_origins), and the header lines that tell it
 * so. Exact origins only; no cookies are ever taken, so Access-Control-Allow-Credentials is never said. */
#ifndef JRS_EXECUTIVE_API_CORS_H
#define JRS_EXECUTIVE_API_CORS_H
#include "jrs/executive/http/http.h"
#include <stdbool.h>

struct cors;
/* origins: parted by blanks. *out stays NULL when there are none; every function takes that. */
int cors_new(struct cors **out, const char *origins);
void cors_free(struct cors **cors);
bool cors_allows(const struct cors *cors, const char *origin);
/* Header lines for the answer to a request of this origin (NULL: it named none): borrowed; NULL: none. */
const char *cors_lines(const struct cors *cors, const char *origin);
/* Does a page of an origin on the list ask, by OPTIONS, what it may send? Such a request carries no token. */
bool cors_preflight(const struct cors *cors, const struct http_req *req);
/* methods: "Allow: GET, ...". Appends what the page may send. */
void cors_grant(struct buf *out, const char *methods);

#endif
