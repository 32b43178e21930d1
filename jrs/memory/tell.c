#include "jrs/memory/tell.h"

#define TELL_MS 1000 /* then it is said that it does not know yet */

struct telling { /* in the call's zone */
	struct chan_call *call;
	void *res;
	void (*done)(void *arg);
	void *arg;
};

bool told_of(enum wire_msg_id id)
{
	return id == MSG_memory_token_create || id == MSG_memory_token_rotate || id == MSG_memory_token_revoke;
}

static void put(enum wire_msg_id id, void *res, bool in_force)
{
#define PUT(name)                                                \
	do {                                                     \
		((struct res_##name *)res)->in_force = in_force; \
		((struct res_##name *)res)->has_in_force = true; \
	} while (0)
	if (id == MSG_memory_token_create)
		PUT(memory_token_create);
	else if (id == MSG_memory_token_rotate)
		PUT(memory_token_rotate);
	else
		PUT(memory_token_revoke);
#undef PUT
}

static void on_told(void *arg, int r, const void *res, const struct tr_fault *fault)
{
	const struct telling t = *(struct telling *)arg; /* it goes with the call */

	(void)res;
	(void)fault;
	put(chan_call_id(t.call), t.res, r == 0);
	chan_reply(t.call, t.res);
	t.done(t.arg);
}

void tell(struct jr *jr, struct chan_call *call, void *res, void (*done)(void *arg), void *arg)
{
	struct peer *face = jr_peer(jr, TR_ROLE_EXECUTIVE);
	struct msg_executive_tokens msg = {.common = {.has_request_id = false}};
	struct telling now = {call, res, done, arg}, *t = msgpack_zone_malloc(chan_call_zone(call), sizeof(*t));

	if (t != NULL)
		*t = now;
	if (t == NULL || face == NULL || peer_call(face, MSG_executive_tokens, &msg, TELL_MS, on_told, t, NULL) < 0)
		on_told(&now, TR_EUNAVAILABLE, NULL, NULL);
}
