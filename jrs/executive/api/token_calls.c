/* /api/v1/tokens: made, listed, revoked and rotated. A token is made here and shown in this one answer; memory-jr gets
 * its hash. */
#include "jrs/executive/api/internal.h"
#include <openssl/crypto.h>
#include <string.h>

struct made { /* lives in the call's zone */
	char token[TR_TOKEN_LEN];
	unsigned char hash[TR_SHA256_LEN];
};

static void plainly(struct api_call *call, struct tr_fault *fault)
{
	(void)call;
	if (fault->code == TR_ENOTFOUND)
		fault->field[0] = '\0';
}

/* A new token, forwarded by its hash. NULL: the call is answered. */
static struct made *make(struct api_call *call, wire_bin *hash)
{
	struct made *m = api_zone(call) == NULL ? NULL : msgpack_zone_malloc(call->zone, sizeof(*m));
	int r = m == NULL ? TR_ENOMEM : tr_token_make(m->token, m->hash);

	if (r < 0) {
		api_failf(call, r, "", "%s", tr_strerror(r));
		return NULL;
	}
	call->own = m;
	call->rename = plainly;
	*hash = (wire_bin){(const char *)m->hash, sizeof(m->hash)};
	return m;
}

/* The same key again: the token that is there is the first one's, which was shown then. */
static void show(struct api_call *call, const struct item_token *token, wire_bin hash, bool in_force)
{
	struct made *m = call->own;
	bool new = hash.n == sizeof(m->hash) && memcmp(hash.p, m->hash, sizeof(m->hash)) == 0;
	json_t *doc = json_encode(&wire_shape_token, token);

	if (doc != NULL && new)
		json_object_set_new(doc, "token", json_string(m->token));
	if (doc != NULL)
		json_object_set_new(doc, "in_force", json_boolean(in_force));
	OPENSSL_cleanse(m->token, sizeof(m->token));
	api_reply_json(call, new ? 201 : 200, doc);
}

static void created(struct api_call *call, const void *res)
{
	const struct res_memory_token_create *r = res;

	show(call, &r->token, r->hash, r->in_force);
}

void api_post_tokens(struct api_call *call)
{
	struct msg_memory_token_create msg = {.has_source = false};
	struct item_new_token want;

	if (api_body(call, &wire_shape_new_token, &want) < 0 || make(call, &msg.hash) == NULL)
		return;
	msg.common.request_id = wire_s(call->effect_id);
	msg.common.has_request_id = true;
	msg.name = want.name;
	msg.scopes = want.scopes;
	msg.has_source = want.has_source;
	msg.source = want.source;
	msg.has_expires_at = want.has_expires_at;
	msg.expires_at = want.expires_at;
	api_forward(call, call->api->cfg.memory, MSG_memory_token_create, &msg, UINT32_MAX, created);
}

static void rotated(struct api_call *call, const void *res)
{
	const struct res_memory_token_rotate *r = res;

	show(call, &r->token, r->hash, r->in_force);
}

void api_rotate_token(struct api_call *call)
{
	struct msg_memory_token_rotate msg = {.has_overlap_s = false};
	struct item_rotation want;

	if (api_body_at(call, &wire_shape_rotation, "name", http_segment(call->req, 3), &want) < 0 ||
	    make(call, &msg.hash) == NULL)
		return;
	msg.common.request_id = wire_s(call->effect_id);
	msg.common.has_request_id = true;
	msg.name = want.name;
	msg.has_overlap_s = want.has_overlap_s;
	msg.overlap_s = want.overlap_s;
	api_forward(call, call->api->cfg.memory, MSG_memory_token_rotate, &msg, UINT32_MAX, rotated);
}

static void listed(struct api_call *call, const void *res)
{
	api_reply_json(call, 200, api_encode(call, res));
}

void api_get_tokens(struct api_call *call)
{
	struct msg_memory_tokens msg = {.common = {.has_request_id = false}};

	api_forward(call, call->api->cfg.memory, MSG_memory_tokens, &msg, UINT32_MAX, listed);
}

static void revoked(struct api_call *call, const void *res)
{
	(void)res;
	api_reply_empty(call, NULL);
}

void api_delete_token(struct api_call *call)
{
	struct msg_memory_token_revoke msg;

	if (api_query(call, wire_methods[MSG_memory_token_revoke].params, "name", http_segment(call->req, 3), &msg) < 0)
		return;
	msg.common.request_id = wire_s(call->effect_id);
	msg.common.has_request_id = true;
	call->rename = plainly;
	api_forward(call, call->api->cfg.memory, MSG_memory_token_revoke, &msg, UINT32_MAX, revoked);
}
