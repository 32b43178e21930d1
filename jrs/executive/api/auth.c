#include "jrs/executive/api/auth.h"
#include "common/base/clock.h"
#include <openssl/crypto.h>
#include <string.h>
#include <strings.h>

#define HOST_NAME_MAX_LEN 256
#define ADMIN             "admin" /* who has the token that tribed made */

/* ---- pure ---- */
int api_token_hash(const char *p, size_t n, unsigned char out[TR_SHA256_LEN])
{
	unsigned char hash[TR_SHA256_LEN];

	while (n > 0 && (p[n - 1] == '\n' || p[n - 1] == '\r'))
		n--;
	if (n != sizeof(hash) * 2)
		return TR_EINVAL;
	for (size_t i = 0; i < n; i++) {
		int v = OPENSSL_hexchar2int((unsigned char)p[i]);

		if (v < 0)
			return TR_EINVAL;
		hash[i / 2] = (unsigned char)(i % 2 == 0 ? v << 4 : hash[i / 2] | v);
	}
	memcpy(out, hash, sizeof(hash));
	return 0;
}

/* The token of an Authorization header "Bearer TOKEN"; NULL: it is none. */
static const char *bearer(const char *authorization)
{
	const char *token = authorization + 6;

	if (strncasecmp(authorization, "Bearer", 6) != 0 || *token != ' ')
		return NULL;
	return token + strspn(token, " ");
}

bool auth_token_hash(const char *authorization, unsigned char out[TR_SHA256_LEN])
{
	const char *token = bearer(authorization);

	return token != NULL && tr_sha256(token, strlen(token), out) == 0;
}

bool auth_same_origin(const char *origin, bool tls, const char *host)
{
	const char *scheme = tls ? "https://" : "http://";
	size_t n = strlen(scheme);

	return strncasecmp(origin, scheme, n) == 0 && host[0] != '\0' && strcasecmp(origin + n, host) == 0;
}

/* ---- a request ---- */
/* Names of this machine by itself, the address that was dialled (no other machine's page can have that origin), and
 * what the certificate speaks for. */
static bool host_ok(const struct api *api, const struct http_req *req, const char *host)
{
	char name[HOST_NAME_MAX_LEN], local[HTTP_ADDRESS_MAX];
	size_t n = check_host_name(host);

	if (check_host(host, api->listen_host[0] != '\0' ? api->listen_host : NULL))
		return true;
	if (n == 0 || n >= sizeof(name))
		return false;
	memcpy(name, host, n);
	name[n] = '\0';
	return (http_local_address(req, local) && strcasecmp(name, local) == 0) || http_certified(req, name);
}

/* Until there is a token nobody on this machine needs one. */
static bool open_to_all(const struct api *api)
{
	return !api->has_token && api->tokens.known && api->tokens.n == 0;
}

static void be(struct principal *who, const char *name, enum principal_via via)
{
	*who = (struct principal){.scopes = TR_SCOPES_ALL, .via = via};
	tr_copy(who->name, sizeof(who->name), name, strlen(name));
}

/* A client's certificate stands for the token that is called as it is. */
static const struct principal *certified(const struct api *api, const struct http_req *req)
{
	const struct principal *known = NULL;
	const char *name;

	for (unsigned i = 0; known == NULL && (name = http_client_name(req, i)) != NULL; i++)
		known = tokens_named(&api->tokens, name, strlen(name), tr_wall_ms());
	return known;
}

int auth_who(const struct api *api, const struct http_req *req, struct principal *out)
{
	struct http_str authorization = http_header(req, "authorization");
	const struct principal *known = NULL;
	unsigned char hash[TR_SHA256_LEN];
	bool given = authorization.p != NULL && auth_token_hash(authorization.p, hash);

	if (given && api->has_token && CRYPTO_memcmp(hash, api->token_hash, sizeof(hash)) == 0) {
		be(out, ADMIN, VIA_TOKEN);
		return 0;
	}
	if (!api->tokens.known || api->door.stale)
		return TR_EBUSY;
	if (open_to_all(api)) {
		be(out, "loopback", VIA_LOOPBACK);
		return 0;
	}
	if (given)
		known = tokens_find(&api->tokens, hash, tr_wall_ms());
	else if (authorization.p == NULL)
		known = certified(api, req);
	if (known == NULL)
		return TR_EREFUSED;
	*out = *known;
	out->via = given ? VIA_TOKEN : VIA_CERTIFICATE;
	return 0;
}

bool auth_still(const struct api *api, struct principal *who)
{
	const struct principal *now;

	if (who->via == VIA_LOOPBACK)
		return open_to_all(api);
	if (strcmp(who->name, ADMIN) == 0 && who->since == 0) /* else one of the archive that is called so */
		return api->has_token;
	now = tokens_named(&api->tokens, who->name, strlen(who->name), tr_wall_ms());
	if (now != NULL) {
		who->scopes = now->scopes;
		who->has_source = now->has_source;
	}
	return now != NULL;
}

static bool origin_ok(const struct api *api, const struct http_req *req)
{
	struct http_str host = http_host(req), origin = http_header(req, "origin");

	return origin.p == NULL || cors_allows(api->cors, origin.p) ||
	       (host.p != NULL && auth_same_origin(origin.p, http_secure(req), host.p)) ||
	       (open_to_all(api) && check_origin(origin.p, api->listen_host[0] != '\0' ? api->listen_host : NULL));
}

/* 0, or the status it is refused with, whoever it is. */
static int misdirected(const struct api *api, const struct http_req *req)
{
	struct http_str host = http_host(req);

	if (host.p != NULL && !host_ok(api, req, host.p))
		return 421;
	return origin_ok(api, req) ? 0 : 403;
}

static bool anybody(const struct route *route)
{
	return route != NULL && route->scope == 0;
}

/* Who has no token need not send a body; nor who has one that is not enough. */
static bool welcome(const struct api *api, const struct http_req *req)
{
	const struct route *route = api_route(req);
	struct principal who;
	int r;

	if (anybody(route))
		return true;
	r = auth_who(api, req, &who);
	return r == TR_EBUSY || (r == 0 && (route == NULL || principal_may(&who, route->scope, route->whole)) &&
				 admit_would(api, route));
}

/* A client that waits for "100 Continue" hears at once what its head alone is refused for. */
bool api_wants_body(void *arg, const struct http_req *req)
{
	if (!http_expects_continue(req))
		return welcome(arg, req);
	return misdirected(arg, req) == 0 && welcome(arg, req) && api_head_ok(req);
}

/* ---- before routing ---- */
static bool may(struct api_call *call)
{
	static const char *const all = "a token that is bound to a source may not: this is about the whole tribe";
	const struct route *route = call->route;

	if (route == NULL || anybody(route) || principal_may(&call->who, route->scope, route->whole))
		return true;
	if (principal_may(&call->who, route->scope, false))
		api_forbid(call, "scope", "%s", all);
	else
		api_forbid(call, "scope", "a token with the scope %s is needed", tr_scope_name(route->scope));
	return false;
}

bool auth_check(struct api_call *call)
{
	int status = misdirected(call->api, call->req);
	int r = status != 0 || anybody(call->route) ? 0 : auth_who(call->api, call->req, &call->who);

	if (r != TR_EBUSY && (r < 0 || call->who.via == VIA_LOOPBACK) && !admit_address(call))
		return false;
	if (status == 421)
		api_refuse(call, 421, NULL, "the Host header names none of this server's names and addresses");
	else if (status == 403)
		api_refuse(call, 403, NULL, "the Origin header must name this server");
	else if (r == TR_EBUSY)
		door_hold(call);
	else if (r < 0)
		api_refuse(call, 401, "WWW-Authenticate: Bearer\r\n",
			   "the header Authorization: Bearer TOKEN with a valid token is needed");
	else
		return may(call);
	return false;
}
