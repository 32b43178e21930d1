/* Who may call is let in unless he has called too often, or there is more to do than can be done in time. Probes and
 * /metrics are always let in: whoever looks after the tribe must see it when it is busy. */
#include "common/base/clock.h"
#include "jrs/executive/api/internal.h"
#include <stdio.h>
#include <string.h>

enum { BY_ADDRESS, BY_TOKEN };
#define BODY_SMALL (256u << 10) /* any one memory */
#define BODIES_MAX (4u << 20)   /* of larger ones at once, unless it is one alone */

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

static const char *const shed_names[SHED_NCLASSES] = {[SHED_READ] = "reads", [SHED_WRITE] = "writes"};

static void refused_one(struct api *api, enum shed_class class)
{
	char topic[32], text[256];

	api->shed_total[class]++;
	if (api->shedding[class])
		return;
	api->shedding[class] = true;
	snprintf(topic, sizeof(topic), "shed %s", shed_names[class]);
	snprintf(
		text, sizeof(text),
		"Some %s are refused from now on: even the quickest answers of memory-jr took longer than %u ms, so no "
		"more than %u are let in at once.",
		shed_names[class], api->shed[class].target_ms, api->shed[class].limit);
	api_decided(api, topic, text);
}

void admit_late(struct api *api)
{
	api->shed_total[SHED_READ]++;
	api_decided(
		api, "shed large reads",
		"Some reads are refused from now on: so many large answers are asked for that others would be late.");
}

/* What is large is worked on alone or beside little else. */
static bool body_fits(struct api_call *call)
{
	size_t n = http_body(call->req).n;

	if (n <= BODY_SMALL)
		return true;
	if (call->api->bodies > 0 && call->api->bodies + n > BODIES_MAX)
		return false;
	call->body = n;
	call->api->bodies += n;
	return true;
}

void admit_learned(struct api *api, enum shed_class class)
{
	char topic[32], text[128];

	if (!api->shedding[class] || api->shed[class].limit != SHED_NO_LIMIT)
		return;
	api->shedding[class] = false;
	snprintf(topic, sizeof(topic), "shed %s no more", shed_names[class]);
	snprintf(text, sizeof(text), "No more %s are refused: memory-jr answers in time again.", shed_names[class]);
	api_decided(api, topic, text);
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
	if (!admit_would(call->api, call->route))
		refused_one(call->api, (enum shed_class)class_of(call->route));
	else if (body_fits(call))
		return true;
	else
		call->api->shed_total[SHED_WRITE]++;
	api_failf(call, TR_EBUSY, "", "%s", tr_strerror(TR_EBUSY));
	return false;
}
