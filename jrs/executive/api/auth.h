/* Who may speak to the API: the Host meant, the Origin it comes from, the token it carries. */
#ifndef JRS_EXECUTIVE_API_AUTH_H
#define JRS_EXECUTIVE_API_AUTH_H
#include "jrs/executive/api/internal.h"

/* SHA-256 of the TOKEN of an Authorization header "Bearer TOKEN"; false: it is none. Pure. */
bool auth_token_hash(const char *authorization, unsigned char out[TR_SHA256_LEN]);
/* Is the Origin header the origin of this Host header itself? Pure. */
bool auth_same_origin(const char *origin, bool tls, const char *host);
/* router.c: would a body of the type that the head names be taken by a route? Pure. */
bool api_head_ok(const struct http_req *req);
/* router.c: the route of method and path; NULL: there is none. */
const struct route *api_route(const struct http_req *req);
/* Who calls? TR_EREFUSED: nobody we know. TR_EBUSY: the tokens are not known yet. */
int auth_who(const struct api *api, const struct http_req *req, struct principal *out);
/* For what lasts: is this still somebody, by the tokens known now? Brings what he may do up to date. */
bool auth_still(const struct api *api, struct principal *who);
/* Before a handler sees it: the Host and the Origin that are meant, who calls, and whether they may. false: the call is
 * answered (421, 403, 401, or 429 by its address), or kept until the tokens are known. */
bool auth_check(struct api_call *call);

#endif
