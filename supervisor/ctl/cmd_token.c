/* tribectl token: a token is made here and shown once; memory-jr is given its hash. */
#include "common/base/clock.h"
#include "common/base/token.h"
#include "proto/json/json.h"
#include "supervisor/ctl/clean.h"
#include "supervisor/ctl/commands.h"
#include <jansson.h>
#include <string.h>

struct shown {
	const struct ctl *c;
	struct buf out;
	const char *token;
	unsigned char hash[TR_SHA256_LEN];
	bool in_force, last;
};

static void line_of(struct buf *out, const struct show_style *s, const struct item_token *t)
{
	char at[SHOW_SHORT];

	clean_text(out, t->name.p, t->name.n, " ", 0);
	(void)buf_puts(out, "  ");
	for (uint32_t i = 0; i < t->scopes.n; i++) {
		(void)buf_puts(out, i > 0 ? "," : "");
		clean_text(out, t->scopes.v[i].p, t->scopes.v[i].n, " ", 0);
	}
	if (t->has_source) {
		(void)buf_puts(out, "  of ");
		clean_text(out, t->source.p, t->source.n, " ", 0);
	}
	if (t->has_created_at) {
		show_time(at, t->created_at);
		(void)buf_printf(out, "  made %s", at);
	}
	if (t->has_file && t->file)
		(void)buf_puts(out, "  tribed's, of the file admin-token.sha256: remove that and restart for another");
	if (t->has_expires_at) {
		show_time(at, t->expires_at);
		show_paint(out, s, t->expires_at <= tr_wall_ms() ? SHOW_BAD : SHOW_PLAIN, "  until %s", at);
	}
	if (t->has_rotated_until && t->rotated_until > tr_wall_ms()) {
		show_time(at, t->rotated_until);
		(void)buf_printf(out, "  the one before too, until %s", at);
	}
	(void)buf_puts(out, "\n");
}

static void show_tokens(struct buf *out, const struct show_style *s, const void *res)
{
	const struct res_memory_tokens *r = res;

	if (r->tokens.n == 0)
		(void)buf_puts(out, "no token yet: on loopback everybody may do everything\n");
	for (uint32_t i = 0; i < r->tokens.n; i++)
		line_of(out, s, &r->tokens.v[i]);
}

/* ---- made ---- */
static void made(struct shown *s, const struct item_token *t, wire_bin hash, bool in_force)
{
	bool ours = hash.n == TR_SHA256_LEN && memcmp(hash.p, s->hash, TR_SHA256_LEN) == 0;

	s->in_force = in_force;
	if (s->c->json) {
		json_t *doc = json_encode(&wire_shape_token, t);

		if (doc == NULL || json_object_set_new(doc, "token", ours ? json_string(s->token) : json_null()) < 0 ||
		    json_object_set_new(doc, "in_force", json_boolean(in_force)) < 0 || json_print(doc, &s->out) < 0)
			s->out.failed = TR_ENOMEM;
		json_decref(doc);
		(void)buf_puts(&s->out, "\n");
		return;
	}
	line_of(&s->out, &s->c->style, t);
	(void)buf_puts(&s->out, "The token, shown this once:\n");
	(void)buf_printf(&s->out, "  %s\n", s->token);
}

static void on_created(void *arg, const void *res)
{
	const struct res_memory_token_create *r = res;

	made(arg, &r->token, r->hash, r->in_force);
}

static void on_rotated(void *arg, const void *res)
{
	const struct res_memory_token_rotate *r = res;

	made(arg, &r->token, r->hash, r->in_force);
}

static void on_revoked(void *arg, const void *res)
{
	const struct res_memory_token_revoke *r = res;
	struct shown *s = arg;

	s->in_force = r->in_force;
	s->last = r->left == 0;
	if (!s->c->json)
		(void)buf_puts(&s->out, "revoked\n");
	else if (ctl_json(&s->out, wire_methods[MSG_memory_token_revoke].result, res) < 0)
		s->out.failed = TR_ENOMEM;
}

static enum ctl_exit finish(struct ctl *c, struct shown *s, int r, const struct tr_fault *fault)
{
	enum ctl_exit e = r < 0 ? ctl_complain(c, r, fault) : ctl_emit(c, &s->out);

	if (s->out.p != NULL)
		explicit_bzero(s->out.p, s->out.cap);
	buf_free(&s->out);
	if (r == 0 && !s->in_force)
		ctl_say(c, "executive-jr could not be told; it will know within seconds of being back");
	if (r == 0 && s->last)
		ctl_say(c, "that was the last token: on loopback everybody who reaches the API may do everything");
	return e;
}

/* ---- the words ---- */
/* "90s", "15m", "12h", "30d" from now, or a time. */
static bool read_expiry(const char *text, int64_t *out)
{
	static const struct {
		char unit;
		int64_t ms;
	} units[] = {{'s', 1000}, {'m', 60000}, {'h', 3600000}, {'d', 86400000}};
	size_t n = strlen(text);
	char number[16];
	int64_t v;

	for (size_t i = 0; n > 1 && n <= sizeof(number) && i < sizeof(units) / sizeof(*units); i++) {
		tr_copy(number, sizeof(number), text, n - 1);
		if (text[n - 1] == units[i].unit && tr_parse_i64(number, 1, 1000000, &v) == 0) {
			*out = tr_wall_ms() + v * units[i].ms;
			return true;
		}
	}
	return tr_rfc3339_parse(text, n, out) == 0;
}

static enum ctl_exit read_scopes(struct ctl *c, const struct ctl_args *a, wire_str v[TR_NSCOPES], wire_strs *out)
{
	const char *word;

	for (out->n = 0; (word = ctl_nth(a, "scope", out->n)) != NULL; v[out->n++] = wire_s(word)) {
		if (tr_scope_find(word, strlen(word)) == 0 || out->n == TR_NSCOPES) {
			ctl_say(c, "--scope: must be read, write, admin or metrics, each once");
			return CTL_USAGE;
		}
	}
	out->v = v;
	if (out->n > 0)
		return CTL_DONE;
	ctl_say(c, "token create: wants --scope read, write, admin or metrics");
	return CTL_USAGE;
}

static enum ctl_exit create(struct ctl *c, const struct ctl_args *a, const char *name)
{
	struct msg_memory_token_create msg = {.name = wire_s(name)};
	char token[TR_TOKEN_LEN], id[TR_ID_LEN];
	struct shown s = {.c = c, .token = token};
	const char *expires = ctl_str(a, "expires");
	wire_str scopes[TR_NSCOPES];
	struct tr_fault fault = {0};
	enum ctl_exit e;
	int r;

	if ((e = read_scopes(c, a, scopes, &msg.scopes)) != CTL_DONE)
		return e;
	msg.source = wire_s(ctl_str(a, "source"));
	msg.has_source = msg.source.p != NULL;
	msg.has_expires_at = expires != NULL;
	if (expires != NULL && !read_expiry(expires, &msg.expires_at)) {
		ctl_say(c, "--expires: must be a time as 2027-01-31T00:00:00Z, or 90s, 15m, 12h, 30d");
		return CTL_USAGE;
	}
	tr_id_new(id);
	msg.common.has_request_id = true;
	msg.common.request_id = wire_s(id);
	r = tr_token_make(token, s.hash);
	msg.hash = (wire_bin){(const char *)s.hash, sizeof(s.hash)};
	if (r == 0)
		r = ctl_call(c, MSG_memory_token_create, &msg, on_created, &s, &fault);
	e = finish(c, &s, r, &fault);
	explicit_bzero(token, sizeof(token));
	return e;
}

static enum ctl_exit rotate(struct ctl *c, const struct ctl_args *a, const char *name)
{
	struct msg_memory_token_rotate msg = {.name = wire_s(name)};
	char token[TR_TOKEN_LEN], id[TR_ID_LEN];
	struct shown s = {.c = c, .token = token};
	struct tr_fault fault = {0};
	enum ctl_exit e;
	int r;

	msg.has_overlap_s = ctl_u32(a, "overlap", &msg.overlap_s);
	tr_id_new(id);
	msg.common.has_request_id = true;
	msg.common.request_id = wire_s(id);
	r = tr_token_make(token, s.hash);
	msg.hash = (wire_bin){(const char *)s.hash, sizeof(s.hash)};
	if (r == 0)
		r = ctl_call(c, MSG_memory_token_rotate, &msg, on_rotated, &s, &fault);
	e = finish(c, &s, r, &fault);
	explicit_bzero(token, sizeof(token));
	return e;
}

static enum ctl_exit withdraw(struct ctl *c, const char *name)
{
	struct msg_memory_token_revoke msg = {.name = wire_s(name)};
	struct shown s = {.c = c};
	struct tr_fault fault = {0};

	return finish(c, &s, ctl_call(c, MSG_memory_token_revoke, &msg, on_revoked, &s, &fault), &fault);
}

enum ctl_exit cmd_token(struct ctl *c, const struct ctl_args *a)
{
	struct msg_memory_tokens list = {.common = {.has_request_id = false}};
	const char *verb = a->noperands > 0 ? a->operands[0] : "", *name = ctl_str(a, "name");
	bool is_list = strcmp(verb, "list") == 0;

	if (name == NULL && a->noperands > 1)
		name = a->operands[1];
	if (a->noperands > (ctl_str(a, "name") == NULL && !is_list ? 2u : 1u)) {
		ctl_say(c, "token: '%.64s' is one word too many", a->operands[a->noperands - 1]);
		return CTL_USAGE;
	}
	if (is_list)
		return ctl_ask(c, MSG_memory_tokens, &list, show_tokens);
	if (strcmp(verb, "create") != 0 && strcmp(verb, "revoke") != 0 && strcmp(verb, "rotate") != 0) {
		ctl_say(c, "token: wants create, list, revoke or rotate");
		return CTL_USAGE;
	}
	if (name == NULL) {
		ctl_say(c, "token %s: wants a name", verb);
		return CTL_USAGE;
	}
	return strcmp(verb, "create") == 0   ? create(c, a, name)
	       : strcmp(verb, "rotate") == 0 ? rotate(c, a, name)
					     : withdraw(c, name);
}
