/* Who may call is let in unless he has called too often, or there is more to do than can be done in time. Probes and
 * /metrics are always let in: whoever looks after the tribe must see it when it is busy. */
#include "common/base/clock.h"
#include "jrs/executive/api/internal.h"
#include <stdio.h>
#include <string.h>

enum { BY_ADDRESS, BY_TOKEN };

static bool exempt(const struct route *route)
{
	return route != NULL && (route->scope == 0 || route->scope == TR_SCOPE_METRICS);
}

static bool too_often(struct api_call *call, int by, const void *key, size_t n)
{
	uint64_t wait_ms = buckets_take(call->api->rates, key, n, tr_mono_ms());
	char later[48];

	if (wait_ms == 0)
		return false;
	call->api->rate_limited[by]++;
	snprintf(later, sizeof(later), "Retry-After: %llu\r\n", (unsigned long long)(wait_ms + 999) / 1000);
	api_refuse(call, 429, later, "%s has made too many requests; at most %u a second may come",
		   by == BY_TOKEN ? "this token" : "this address", call->api->cfg.rate_per_s);
	return true;
}

bool admit_address(struct api_call *call)
{
	unsigned char key[1 + HTTP_PEER_MAX] = {'a'};
	size_t n;

	if (call->api->rates == NULL || exempt(call->route) || (n = http_peer(call->req, key + 1)) == 0)
		return true;
	return !too_often(call, BY_ADDRESS, key, 1 + n);
}

/* Calls that go to memory-jr; what an admin does, and what tribed answers, costs it nothing. -1: not watched. */
static int class_of(const struct route *route)
{
	if (route == NULL || route->whole || exempt(route) || route->scope == TR_SCOPE_ADMIN)
		return -1;
	return route->scope == TR_SCOPE_WRITE ? SHED_WRITE : SHED_READ;
}

bool admit_would(const struct api *api, const struct route *route)
{
	int class = class_of(route);

	return class < 0 || shed_admits(&api->shed[class]);
}

bool admit_principal(struct api_call *call)
{
	const struct principal *who = &call->who;
	char key[2 + TR_TOKEN_NAME_MAX] = {'t'};

	if (call->api->rates != NULL && !exempt(call->route) && who->name[0] != '\0' && who->via != VIA_LOOPBACK) {
		memcpy(key + 1, who->name, strlen(who->name));
		if (too_often(call, BY_TOKEN, key, 1 + strlen(who->name)))
			return false;
	}
	if (admit_would(call->api, call->route))
		return true;
	call->api->shed_total[class_of(call->route)]++;
	api_failf(call, TR_EBUSY, "", "%s", tr_strerror(TR_EBUSY));
	return false;
}
