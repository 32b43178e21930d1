/* Keeps what is known of the tokens like memory-jr's archive: asked for at the start, every two seconds, when this
 * process begins to lead, and as soon as memory-jr says that they are others. Until they were told once nobody knows
 * who may call: calls wait, and are refused if memory-jr stays away. Later the last ones told hold. */
#include "common/base/clock.h"
#include "common/log/log.h"
#include "jrs/executive/api/auth.h"
#include "jrs/kit/decided.h"
#include <string.h>

#define AGAIN_MS 250 /* of a new lead that knows tokens, perhaps old ones: calls wait for the newest no longer */

static void ask(struct api *api);

/* ---- who waits ---- */
void door_hold(struct api_call *call)
{
	call->unheard = call->api->door.held;
	call->api->door.held = call;
	if (!call->api->door.asking)
		ask(call->api);
}

static void release(struct api *api, const struct tr_fault *fault)
{
	struct api_call *call;

	while ((call = api->door.held) != NULL) {
		api->door.held = call->unheard;
		if (fault != NULL)
			api_failf(call, TR_EUNAVAILABLE, "", "who may call is not known yet: %s", fault->rule);
		else
			api_admit(call);
	}
}

/* Those of memory-jr's calls that came before the last question was asked have their answer. */
static void tell(struct api *api, bool good)
{
	struct door *d = &api->door;

	for (unsigned i = 0; i < d->due; i++) {
		struct res_executive_tokens res = {.file = api->has_token};

		if (good)
			chan_reply(d->told[i], &res);
		else
			chan_failf(d->told[i], TR_EUNAVAILABLE, "", "%s", tr_strerror(TR_EUNAVAILABLE));
	}
	d->n -= d->due;
	memmove(d->told, d->told + d->due, d->n * sizeof(d->told[0]));
	d->due = 0;
}

/* ---- asking ---- */
static void on_keys(void *arg, int r, const void *res, const struct tr_fault *fault)
{
	struct api *api = arg;
	const struct res_memory_token_keys *keys = res;
	struct tr_fault why = {0};

	api->door.asking = false;
	if (r == 0 && !keys->same && (r = tokens_take(&api->tokens, keys)) == 0) {
		log_info("tokens known n=%u", api->tokens.n);
		api_tokens_changed(api);
	}
	if (r < 0)
		(void)tr_fault_set(&why, r, "", "%s", fault != NULL ? fault->rule : tr_strerror(r));
	tell(api, r == 0);
	if (api->door.again && r != TR_ECLOSED) {
		ask(api);
		return;
	}
	api->door.stale = false; /* whoever does not answer in time does not keep others from calling */
	release(api, api->tokens.known ? NULL : &why);
}

static void ask(struct api *api)
{
	struct msg_memory_token_keys msg = {.has_known = api->tokens.known, .known = api->tokens.revision};
	struct tr_fault fault = {0};
	int r;

	api->door.again = false;
	api->door.due = api->door.n;
	api->door.asking = true;
	r = api_ask(api, api->cfg.memory, MSG_memory_token_keys, &msg,
		    api->tokens.known ? AGAIN_MS : api->cfg.request_timeout_ms, on_keys, api);
	if (r == 0)
		return;
	(void)tr_fault_set(&fault, r, "", "%s", tr_strerror(r));
	on_keys(api, r, NULL, &fault);
}

static void on_timer(void *arg)
{
	struct api *api = arg;

	api_tokens_changed(api); /* one that streams listen with may have come to its end */
	if (!api->door.asking)
		ask(api);
}

int door_open(struct api *api)
{
	int r;

	if (api->cfg.tokens_ms == 0) {
		api->tokens.known = true;
		return 0;
	}
	if ((r = loop_timer_new(&api->door.timer, api->cfg.loop, on_timer, api)) < 0)
		return r;
	return loop_timer_start(api->door.timer, 0, api->cfg.tokens_ms);
}

void api_stop(struct api *api)
{
	if (api == NULL)
		return;
	loop_timer_free(&api->door.timer);
	loop_timer_free(&api->resume);
	loop_timer_free(&api->gate_timer);
	thermal_free(api);
	api->draining = true; /* nothing more is decided */
	decided_free(&api->decided);
}

void api_lead(struct api *api)
{
	vote_lead(api);
	if (api->cfg.tokens_ms == 0)
		return;
	api->door.stale = true;
	api->door.again = api->door.asking;
	if (!api->door.asking)
		ask(api);
}

void api_rpc_tokens(void *arg, struct chan_call *call, const void *msg)
{
	struct api *api = arg;

	(void)msg;
	if (api->door.n == DOOR_TOLD_MAX || api->cfg.tokens_ms == 0) {
		chan_failf(call, TR_EBUSY, "", "%s", tr_strerror(TR_EBUSY));
		return;
	}
	api->door.told[api->door.n++] = call;
	if (api->door.asking)
		api->door.again = true;
	else
		ask(api);
}
