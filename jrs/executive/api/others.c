/* Calls to the other Jrs. A call that waits is nothing unusual: its Jr may be on its way back. One that waits for long
 * makes tribed say how the Jrs are, for all that wait; those whose Jr is not coming back end at once. */
#include "common/base/clock.h"
#include "jrs/executive/api/internal.h"
#include <stdlib.h>
#include <string.h>

#define PATIENCE_MS 200  /* of a call before tribed is asked; also between two such questions */
#define STATUS_MS   2000 /* tribed answers at once or not at all */

struct waiting {
	struct api *api;
	struct waiting *prev, *next; /* the oldest first */
	struct peer *peer;
	uint32_t token;
	uint64_t since_ms;
	int shed; /* its class, -1: it is not watched */
	peer_cb *cb;
	void *arg;
};

static const char *name_of(const struct api *api, const struct peer *peer)
{
	enum tr_role role = peer == api->cfg.memory        ? TR_ROLE_MEMORY
			    : peer == api->cfg.integration ? TR_ROLE_INTEGRATION
							   : TR_ROLE_META;

	return tr_roles[role].api_name;
}

void api_absent(struct tr_fault *fault, int r, const char *who)
{
	(void)tr_fault_set(fault, r, "", r == TR_EDEADLINE ? "%s did not answer in time" : "%s is not there", who);
}

/* ---- how long memory-jr takes ---- */
static int class_of(const struct api *api, const struct peer *peer, enum wire_msg_id id)
{
	if (peer != api->cfg.memory)
		return -1;
	switch (id) {
	case MSG_memory_add:
	case MSG_memory_patch:
	case MSG_memory_forget:
	case MSG_memory_decide:
		return SHED_WRITE;
	case MSG_memory_get:
	case MSG_memory_recall:
	case MSG_memory_thermal:
	case MSG_memory_decisions:
		return SHED_READ;
	default:
		return -1;
	}
}

/* A refusal is an answer too; that it is away, or has no place for more, is none. */
static void watched(const struct waiting *w, int r)
{
	bool good = r != TR_EDEADLINE && r != TR_EUNAVAILABLE && r != TR_ECLOSED && r != TR_EBUSY && r != TR_ESTORE;
	uint64_t now = tr_mono_ms();

	if (w->shed >= 0)
		shed_end(&w->api->shed[w->shed], good, now - w->since_ms, now);
}

static void unlink_waiting(struct waiting *w)
{
	struct api *api = w->api;

	if (w->prev != NULL)
		w->prev->next = w->next;
	else
		api->first = w->next;
	if (w->next != NULL)
		w->next->prev = w->prev;
	else
		api->last = w->prev;
	if (api->first == NULL)
		loop_timer_free(&api->patience); /* nothing stays on the loop when nobody waits */
}

static void end(struct waiting *w, int r, const void *res, const struct tr_fault *fault)
{
	struct waiting was = *w;

	unlink_waiting(w);
	watched(w, r);
	free(w);
	was.cb(was.arg, r, res, fault);
}

static void on_answer(void *arg, int r, const void *res, const struct tr_fault *fault)
{
	struct waiting *w = arg;
	struct tr_fault absent = {0};

	/* what it says itself of why it cannot says more than we know */
	if ((r == TR_EDEADLINE || r == TR_EUNAVAILABLE) && strcmp(fault->rule, tr_strerror(r)) == 0) {
		api_absent(&absent, r, name_of(w->api, w->peer));
		fault = &absent;
	}
	end(w, r, res, fault);
}

/* ---- Jrs that are not coming back ---- */
static struct waiting *first_on(struct api *api, const struct peer *peer, uint64_t until_ms)
{
	struct waiting *w = api->first;

	while (w != NULL && (w->peer != peer || w->since_ms > until_ms))
		w = w->next;
	return w;
}

static bool is(wire_str state, const char *word)
{
	return state.n == strlen(word) && memcmp(state.p, word, state.n) == 0;
}

/* Ends what has waited for this Jr since until_ms or longer: not what a callback from here asks anew. */
static void end_all(struct api *api, struct peer *peer, wire_str state, uint64_t until_ms)
{
	bool failed = is(state, "failed");
	struct tr_fault fault = {0};
	struct waiting *w;

	if (!failed && !is(state, "down"))
		return;
	(void)tr_fault_set(&fault, TR_EUNAVAILABLE, "", "%s %s", name_of(api, peer),
			   failed ? "has failed too often" : "is down");
	while ((w = first_on(api, peer, until_ms)) != NULL) {
		peer_cancel(peer, w->token);
		end(w, TR_EUNAVAILABLE, NULL, &fault);
	}
}

static void on_status(void *arg, int r, const void *res, const struct tr_fault *fault)
{
	const struct res_status *s = res;
	struct api *api = arg;
	uint64_t asked_ms = api->asked_ms;

	(void)fault;
	api->asking = false;
	if (r < 0)
		return;
	end_all(api, api->cfg.memory, s->jrs.memory_jr.state, asked_ms);
	end_all(api, api->cfg.integration, s->jrs.integration_jr.state, asked_ms);
	end_all(api, api->cfg.meta, s->jrs.meta_jr.state, asked_ms);
}

static void on_patience(void *arg)
{
	struct api *api = arg;
	uint64_t now = tr_mono_ms(), waited = now - api->first->since_ms; /* there is one while the timer is */

	if (waited >= PATIENCE_MS && !api->asking) {
		api->asked_ms = now;
		api->asking = api->cfg.status(api->cfg.arg, STATUS_MS, on_status, api) == 0;
	}
	(void)loop_timer_start(api->patience, waited < PATIENCE_MS ? PATIENCE_MS - waited : PATIENCE_MS, 0);
}

int api_ask(struct api *api, struct peer *peer, enum wire_msg_id id, const void *msg, uint32_t timeout_ms, peer_cb *cb,
	    void *arg)
{
	struct waiting *w = malloc(sizeof(*w));
	int r;

	if (w == NULL)
		return TR_ENOMEM;
	*w = (struct waiting){
		.api = api, .prev = api->last, .peer = peer, .since_ms = tr_mono_ms(), .cb = cb, .arg = arg};
	if ((r = peer_call(peer, id, msg, timeout_ms, on_answer, w, &w->token)) < 0) {
		free(w);
		return r;
	}
	*(w->prev != NULL ? &w->prev->next : &api->first) = w;
	api->last = w;
	if ((w->shed = class_of(api, peer, id)) >= 0)
		shed_begin(&api->shed[w->shed]);
	if (api->patience == NULL && loop_timer_new(&api->patience, api->cfg.loop, on_patience, api) == 0)
		(void)loop_timer_start(api->patience, PATIENCE_MS, 0); /* else its deadline ends it */
	return 0;
}
