#include "jrs/executive/api/auth.h"
#include <openssl/crypto.h>
#include <string.h>
#include <strings.h>

#define HOST_NAME_MAX_LEN 256

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

bool auth_token_ok(const unsigned char hash[TR_SHA256_LEN], const char *authorization)
{
	unsigned char got[TR_SHA256_LEN];
	const char *token = authorization + 6;

	if (strncasecmp(authorization, "Bearer", 6) != 0 || *token != ' ')
		return false;
	token += strspn(token, " ");
	return tr_sha256(token, strlen(token), got) == 0 && CRYPTO_memcmp(got, hash, sizeof(got)) == 0;
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

static bool is_probe(const struct http_req *req)
{
	struct http_str m = http_method(req), path = http_segment(req, 0);

	return (strcmp(m.p, "GET") == 0 || strcmp(m.p, "HEAD") == 0) && path.p != NULL &&
	       http_segment(req, 1).p == NULL && (strcmp(path.p, "healthz") == 0 || strcmp(path.p, "readyz") == 0);
}

static bool token_ok(const struct api *api, const struct http_req *req)
{
	struct http_str authorization = http_header(req, "authorization");

	return !api->has_token || is_probe(req) ||
	       (authorization.p != NULL && auth_token_ok(api->token_hash, authorization.p));
}

static bool origin_ok(const struct api *api, const struct http_req *req)
{
	struct http_str host = http_host(req), origin = http_header(req, "origin");

	return origin.p == NULL || (host.p != NULL && auth_same_origin(origin.p, http_secure(req), host.p)) ||
	       (!api->has_token && check_origin(origin.p, api->listen_host[0] != '\0' ? api->listen_host : NULL));
}

/* 0, or the status it is refused with. */
static int verdict(const struct api *api, const struct http_req *req)
{
	struct http_str host = http_host(req);

	if (host.p != NULL && !host_ok(api, req, host.p))
		return 421;
	if (!origin_ok(api, req))
		return 403;
	return token_ok(api, req) ? 0 : 401;
}

/* A client that waits for "100 Continue" hears at once what its head alone is refused for. */
bool api_wants_body(void *arg, const struct http_req *req)
{
	if (!http_expects_continue(req))
		return token_ok(arg, req);
	return verdict(arg, req) == 0 && api_head_ok(req);
}

bool auth_check(struct api_call *call)
{
	switch (verdict(call->api, call->req)) {
	case 0:
		return true;
	case 421:
		api_refuse(call, 421, NULL, "the Host header names none of this server's names and addresses");
		return false;
	case 403:
		api_refuse(call, 403, NULL, "the Origin header must name this server");
		return false;
	default:
		api_refuse(call, 401, "WWW-Authenticate: Bearer\r\n",
			   "the header Authorization: Bearer TOKEN with a valid token is needed");
		return false;
	}
}
