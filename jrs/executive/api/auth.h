/* Who may speak to the API: the Host meant, the Origin it comes from, the token it carries. */
#ifndef JRS_EXECUTIVE_API_AUTH_H
#define JRS_EXECUTIVE_API_AUTH_H
#include "jrs/executive/api/internal.h"

/* Authorization header "Bearer TOKEN" where TOKEN has that SHA-256; compared in constant time. Pure. */
bool auth_token_ok(const unsigned char hash[TR_SHA256_LEN], const char *authorization);
/* Is the Origin header the origin of this Host header itself? Pure. */
bool auth_same_origin(const char *origin, bool tls, const char *host);
/* router.c: would a body of the type that the head names be taken by a route? Pure. */
bool api_head_ok(const struct http_req *req);
/* Before routing. false: the call is answered (421, 403 or 401). */
bool auth_check(struct api_call *call);

#endif
