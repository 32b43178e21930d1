#include "jrs/memory/tell.h"

#include <string.h>

#define TELL_MS 1000 /* then it is said that it does not know yet */

struct telling { /* in the call's zone */
	struct chan_call *call;
	void *res;
	void (*done)(void *arg);
	void *arg;
};

bool told_of(enum wire_msg_id id)
{
	return id == MSG_memory_token_create || id == MSG_memory_token_rotate || id == MSG_memory_token_revoke ||
	       id == MSG_memory_tokens;
}

/* In front: it is there before any other. There is room for it. */
static void put_file(struct res_memory_tokens *res)
{
	static const wire_str scopes[] = {{"admin", sizeof("admin") - 1}};
	struct item_token *v = (struct item_token *)(uintptr_t)res->tokens.v; /* ours, made for this answer */

	memmove(&v[1], &v[0], res->tokens.n++ * sizeof(v[0]));
	v[0] = (struct item_token){.name = wire_s("admin"), .scopes = {scopes, 1}, .has_file = true, .file = true};
}

static void put(enum wire_msg_id id, void *res, bool in_force, bool file)
{
#define PUT(name)                                                \
	do {                                                     \
		((struct res_##name *)res)->in_force = in_force; \
		((struct res_##name *)res)->has_in_force = true; \
	} while (0)
	if (id == MSG_memory_tokens && file)
		put_file(res);
	else if (id == MSG_memory_token_revoke)
		((struct res_memory_token_revoke *)res)->left += file;
	if (id == MSG_memory_token_create)
		PUT(memory_token_create);
	else if (id == MSG_memory_token_rotate)
		PUT(memory_token_rotate);
	else if (id == MSG_memory_token_revoke)
		PUT(memory_token_revoke);
#undef PUT
}

static void on_told(void *arg, int r, const void *res, const struct tr_fault *fault)
{
	const struct telling t = *(struct telling *)arg; /* it goes with the call */

	(void)fault;
	put(chan_call_id(t.call), t.res, r == 0, r == 0 && ((const struct res_executive_tokens *)res)->file);
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
