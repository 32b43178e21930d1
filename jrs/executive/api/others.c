/* Calls to the other Jrs. A call that waits is nothing unusual: its Jr may be on its way back. One that waits for long
 * makes tribed say how the Jrs are, for all that wait; those whose Jr is not coming back end at once. */
#include "common/base/clock.h"
#include "common/log/log.h"
#include "jrs/executive/api/internal.h"
#include <stdlib.h>
#include <string.h>

#define GATE_LOOK_MS  50
#define GATE_GUESS    (256u << 10) /* of an answer without rows that are counted */
#define LIMIT_DEFAULT 10           /* memory-jr's */
#define TOKEN_BYTES   4
#define PATIENCE_MS   200  /* of a call before tribed is asked; also between two such questions */
#define STATUS_MS     2000 /* tribed answers at once or not at all */

struct waiting {
	struct api *api;
	struct waiting *prev, *next; /* the oldest first */
	struct peer *peer;
	enum wire_msg_id id;
	uint32_t token;
	uint64_t since_ms;
	int shed;    /* its class, -1: it is not watched */
	size_t cost; /* at the gate; 0: it did not come through it */
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
static bool answered(int r)
{
	return r != TR_EDEADLINE && r != TR_EUNAVAILABLE && r != TR_ECLOSED && r != TR_EBUSY && r != TR_ESTORE;
}

static void watched(const struct waiting *w, int r)
{
	uint64_t now = tr_mono_ms();

	if (w->shed < 0)
		return;
	shed_end(&w->api->shed[w->shed], answered(r), now - w->since_ms, now);
	admit_learned(w->api, (enum shed_class)w->shed);
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

/* ---- the gate ---- */
struct gated {
	struct gate_entry at; /* first member */
	struct api *api;
	struct peer *peer;
	enum wire_msg_id id;
	uint64_t until_ms;
	peer_cb *cb;
	void *arg;
	msgpack_object msg[]; /* a copy of the message: what it points to is the caller's until he has his answer */
};

static size_t cost_of(const struct api *api, const struct peer *peer, enum wire_msg_id id, const void *msg)
{
	const struct msg_memory_recall *list = msg;
	const struct wire_common *common = msg;
	size_t cost;

	if (peer != api->cfg.memory)
		return 0;
	switch (id) {
	case MSG_memory_recall:
		cost = gate_cost(&api->gate, list->has_limit ? list->limit : LIMIT_DEFAULT);
		if (list->has_max_tokens && (size_t)list->max_tokens * TOKEN_BYTES < cost)
			cost = (size_t)list->max_tokens * TOKEN_BYTES;
		return cost;
	case MSG_memory_thermal: /* that of the whole tribe is asked once for all */
		return common->has_only_source ? GATE_GUESS : 0;
	case MSG_memory_decisions:
	case MSG_memory_audit:
	case MSG_memory_votes:
	case MSG_memory_vote:
	case MSG_memory_acts:
		return GATE_GUESS;
	default:
		return 0;
	}
}

static void learn(struct api *api, const void *res)
{
	const struct list_memory *list = &((const struct res_memory_recall *)res)->memories;
	size_t bytes = 0;

	for (uint32_t i = 0; i < list->n; i++)
		bytes += GATE_LEAST + list->v[i].content.n;
	gate_learn(&api->gate, list->n, bytes);
}

static int begin(struct api *api, struct peer *peer, enum wire_msg_id id, const void *msg, uint32_t timeout_ms,
		 size_t cost, peer_cb *cb, void *arg);

static void refuse_gated(struct gated *g, int r)
{
	struct gated was = *g;
	struct tr_fault fault = {0};

	free(g);
	(void)tr_fault_set(&fault, r, "", "%s", tr_strerror(r));
	was.cb(was.arg, r, NULL, &fault);
}

/* Whoever may go now goes. */
static void let_in(struct api *api)
{
	struct gate_entry *e;

	while ((e = gate_next(&api->gate)) != NULL) {
		struct gated *g = (struct gated *)(void *)e;
		uint64_t now = tr_mono_ms();
		int r = TR_EDEADLINE;

		if (now < g->until_ms)
			r = begin(api, g->peer, g->id, g->msg, (uint32_t)(g->until_ms - now), e->cost, g->cb, g->arg);
		if (r < 0)
			refuse_gated(g, r);
		else
			free(g);
	}
}

static void on_gate(void *arg)
{
	struct api *api = arg;
	struct gate_entry *e;

	gate_tick(&api->gate, GATE_LOOK_MS);
	while (api->cfg.shed_target_ms > 0 && (e = gate_late(&api->gate, api->cfg.shed_target_ms)) != NULL) {
		admit_late(api);
		refuse_gated((struct gated *)(void *)e, TR_EBUSY);
	}
	if (api->gate.nwaiting == 0)
		loop_timer_free(&api->gate_timer); /* nothing stays on the loop when nobody waits */
}

static int wait_at_gate(struct api *api, const struct gated *want, const void *msg, size_t cost)
{
	size_t n = wire_methods[want->id].params->size;
	struct gated *g = malloc(sizeof(*g) + n);

	if (g == NULL)
		return TR_ENOMEM;
	*g = *want;
	memcpy(g->msg, msg, n);
	if (!gate_wait(&api->gate, &g->at, cost, api->cfg.shed_target_ms)) {
		free(g);
		admit_late(api);
		return TR_EBUSY;
	}
	if (api->gate_timer == NULL && loop_timer_new(&api->gate_timer, api->cfg.loop, on_gate, api) == 0)
		(void)loop_timer_start(api->gate_timer, GATE_LOOK_MS, GATE_LOOK_MS);
	return 0;
}

static void end(struct waiting *w, int r, const void *res, const struct tr_fault *fault)
{
	struct waiting was = *w;

	unlink_waiting(w);
	watched(w, r);
	free(w);
	if (was.cost > 0)
		gate_back(&was.api->gate, was.cost, answered(r));
	if (was.id == MSG_memory_recall && r == 0)
		learn(was.api, res);
	was.cb(was.arg, r, res, fault);
	if (was.cost > 0)
		let_in(was.api);
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

static int begin(struct api *api, struct peer *peer, enum wire_msg_id id, const void *msg, uint32_t timeout_ms,
		 size_t cost, peer_cb *cb, void *arg)
{
	struct waiting *w = malloc(sizeof(*w));
	int r;

	if (w == NULL)
		return TR_ENOMEM;
	*w = (struct waiting){.api = api,
			      .prev = api->last,
			      .peer = peer,
			      .id = id,
			      .since_ms = tr_mono_ms(),
			      .cost = cost,
			      .cb = cb,
			      .arg = arg};
	if ((r = peer_call(peer, id, msg, timeout_ms, on_answer, w, &w->token)) < 0) {
		free(w);
		return r;
	}
	*(w->prev != NULL ? &w->prev->next : &api->first) = w;
	api->last = w;
	if (cost > 0)
		gate_pass(&api->gate, cost);
	if ((w->shed = class_of(api, peer, id)) >= 0)
		shed_begin(&api->shed[w->shed]);
	if (api->patience == NULL && loop_timer_new(&api->patience, api->cfg.loop, on_patience, api) == 0)
		(void)loop_timer_start(api->patience, PATIENCE_MS, 0); /* else its deadline ends it */
	return 0;
}

int api_ask(struct api *api, struct peer *peer, enum wire_msg_id id, const void *msg, uint32_t timeout_ms, peer_cb *cb,
	    void *arg)
{
	return begin(api, peer, id, msg, timeout_ms, 0, cb, arg);
}

int api_ask_gated(struct api *api, struct peer *peer, enum wire_msg_id id, const void *msg, uint32_t timeout_ms,
		  peer_cb *cb, void *arg)
{
	size_t cost = cost_of(api, peer, id, msg);

	if (cost == 0 || gate_open(&api->gate, cost))
		return begin(api, peer, id, msg, timeout_ms, cost, cb, arg);
	return wait_at_gate(api,
			    &(struct gated){.api = api,
					    .peer = peer,
					    .id = id,
					    .until_ms = tr_mono_ms() + timeout_ms,
					    .cb = cb,
					    .arg = arg},
			    msg, cost);
}
