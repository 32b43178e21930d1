/* How a drill's load comes to the API: the address, the certificate that it must show, a token. */
#include "common/base/clock.h"
#include "common/base/token.h"
#include "supervisor/ctl/drill_run.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define LENT_MS (24 * 3600000LL) /* a token that nobody revokes is good so long */

/* The first line of a file; "" when there is none. */
static void read_line(const char *path, char *out, size_t size)
{
	FILE *f = fopen(path, "re");

	*out = '\0';
	if (f == NULL)
		return;
	if (fgets(out, (int)size, f) == NULL)
		*out = '\0';
	out[strcspn(out, "\r\n")] = '\0';
	(void)fclose(f);
}

static void on_config(void *arg, const void *res)
{
	const struct res_config *r = res;
	char *path = arg;

	for (uint32_t i = 0; i < r->settings.n; i++) {
		const struct item_setting *s = &r->settings.v[i];

		if (s->key.n == strlen("http.certificate") && memcmp(s->key.p, "http.certificate", s->key.n) == 0 &&
		    s->value.n > 0)
			tr_copy(path, CTL_PATH_MAX, s->value.p, s->value.n);
	}
}

struct lent {
	uint32_t there; /* tokens that are used here */
	bool in_force;
};

static void on_tokens(void *arg, const void *res)
{
	((struct lent *)arg)->there = ((const struct res_memory_tokens *)res)->tokens.n;
}

static void on_lent(void *arg, const void *res)
{
	const struct res_memory_token_create *r = res;

	((struct lent *)arg)->in_force = r->has_in_force && r->in_force;
}

static void on_revoked(void *arg, const void *res)
{
	(void)arg;
	(void)res;
}

/* Where tokens are used and none is at hand the load gets one of its own, by the right of whoever may use memory.sock:
 * it may write and no more, ends with the drill, and expires should that be killed. Where none are used it stays so: a
 * first one would shut out everybody else. */
static enum ctl_exit borrow_token(struct drill *d)
{
	const struct msg_memory_tokens ask = {.common = {.has_request_id = false}};
	wire_str scope = wire_s("write");
	unsigned char hash[TR_SHA256_LEN];
	struct msg_memory_token_create msg = {.common = {.has_request_id = true, .request_id = wire_s(d->id)},
					      .scopes = {&scope, 1},
					      .has_expires_at = true,
					      .expires_at = tr_wall_ms() + LENT_MS,
					      .hash = {(const char *)hash, sizeof(hash)}};
	struct lent lent = {.there = 0};
	struct tr_fault fault;
	char name[sizeof(d->token_name)];
	int r;

	if ((r = ctl_call(d->c, MSG_memory_tokens, &ask, on_tokens, &lent, &fault)) < 0)
		return ctl_complain(d->c, r, &fault);
	if (lent.there == 0)
		return CTL_DONE;
	(void)snprintf(name, sizeof(name), "drill-%s", d->id);
	msg.name = wire_s(name);
	if (tr_token_make(d->where.token, hash) < 0) {
		ctl_say(d->c, "there is no randomness for a token");
		return CTL_INTERNAL;
	}
	if ((r = ctl_call(d->c, MSG_memory_token_create, &msg, on_lent, &lent, &fault)) < 0)
		return ctl_complain(d->c, r, &fault);
	(void)snprintf(d->token_name, sizeof(d->token_name), "%s", name);
	if (lent.in_force)
		return CTL_DONE;
	ctl_say(d->c, "executive-jr does not know the load's token yet; try again when it is back");
	return CTL_FAILED;
}

/* Where the API is, what it must show, and what opens it. */
enum ctl_exit drill_find_api(struct drill *d, const struct ctl_args *a)
{
	const struct msg_config msg = {.common = {.has_request_id = false}};
	const char *token = getenv("TRIBE_TOKEN"), *file = ctl_str(a, "token-file");
	char certificate[CTL_PATH_MAX], path[CTL_PATH_MAX];
	struct tr_fault fault;
	int r;

	if (!d->has_http) {
		ctl_say(d->c, "the load speaks HTTP, and this tribe serves none");
		return CTL_FAILED;
	}
	(void)snprintf(certificate, sizeof(certificate), "%s/certificate.pem", d->c->paths.state);
	if (d->http_tls && (r = ctl_call(d->c, MSG_config, &msg, on_config, certificate, &fault)) < 0)
		return ctl_complain(d->c, r, &fault);
	if ((r = http_where(&d->where, d->http_address, d->http_tls ? certificate : NULL)) < 0) {
		ctl_say(d->c, r == TR_ECONFIG ? "cannot read the certificate that the API shows"
					      : "cannot make use of the API's address");
		return CTL_FAILED;
	}
	(void)snprintf(path, sizeof(path), "%s/admin-token", d->c->paths.state);
	if (d->http_tls && file == NULL && token != NULL)
		(void)snprintf(d->where.token, sizeof(d->where.token), "%s", token);
	else if (d->http_tls)
		read_line(file != NULL ? file : path, d->where.token, sizeof(d->where.token));
	return d->where.token[0] == '\0' ? borrow_token(d) : CTL_DONE;
}

void drill_leave_api(struct drill *d)
{
	const struct msg_memory_token_revoke msg = {.name = wire_s(d->token_name)};
	struct tr_fault fault;

	if (d->token_name[0] == '\0')
		return;
	explicit_bzero(d->where.token, sizeof(d->where.token));
	if (ctl_call(d->c, MSG_memory_token_revoke, &msg, on_revoked, NULL, &fault) < 0)
		ctl_say(d->c, "warning: the token %s could not be revoked; it is good until it expires", d->token_name);
}
