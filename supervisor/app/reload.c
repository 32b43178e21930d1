#include "supervisor/app/reload.h"
#include "common/base/text.h"
#include "common/log/log.h"
#include "supervisor/app/adopt.h"
#include "supervisor/app/feed.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define WAITING_MAX 8

_Static_assert(CFG_NSETTINGS <= 64, "a set of settings is one word, a bit each");

/* What was read and is good. */
struct fresh {
	struct tr_config cfg;
	struct cfg_origins origins;
	struct credentials credentials;
	uint64_t changed;       /* bits by row of the table */
	bool certificates_only; /* what files hold is other than it was, and no setting is; there was TLS before */
};

struct reload {
	struct tribe *tribe;
	bool rolling;
	struct {
		struct chan_call *call; /* NULL: free */
		uint64_t changed;
	} waiting[WAITING_MAX];
};

/* What a running tribe cannot change: sockets are held for life, and the archive is not to be swapped under its
 * callers. */
static const char *const fixed[] = {"http.listen", "archive.url"};

/* ---- reading ---- */

static void compare(const struct tribe *t, struct fresh *f)
{
	bool same_files = credentials_same(&t->credentials, &f->credentials), same_settings = true;
	struct cfg_setting s;

	for (unsigned i = 0; cfg_setting_at(i, &s); i++) {
		bool same = cfg_same(&t->cfg, &f->cfg, i);

		same_settings = same_settings && same;
		if (!same || (!same_files && strcmp(s.key, "http.certificate") == 0))
			f->changed |= UINT64_C(1) << i;
	}
	f->certificates_only = same_settings && !same_files && t->credentials.certificate.len > 0 &&
			       f->credentials.certificate.len > 0;
}

bool reload_needs_restart(const char *key)
{
	for (unsigned k = 0; k < sizeof(fixed) / sizeof(fixed[0]); k++)
		if (strcmp(key, fixed[k]) == 0)
			return true;
	return false;
}

static int refuse_fixed(const struct tribe *t, const struct fresh *f, struct tr_fault *fault)
{
	struct cfg_setting s;

	for (unsigned i = 0; cfg_setting_at(i, &s); i++)
		if (reload_needs_restart(s.key) && !cfg_same(&t->cfg, &f->cfg, i))
			return tr_fault_set(fault, TR_EUNSUPPORTED, s.key,
					    "needs a restart of tribed; nothing was changed");
	return 0;
}

/* So the rest fits. */
int reload_wrong(const struct tribe *t, const char *text, struct tr_fault *fault)
{
	const char *file = t->opts->paths.config_place, *slash = strrchr(file, '/');
	size_t n = (size_t)(slash + 1 - file);

	if (strncmp(text, file, n) == 0)
		text += n;
	return tr_fault_set(fault, TR_ECONFIG, "", "%s", text);
}

/* On failure there is nothing to free in *f. */
static int read_all(const struct tribe *t, struct fresh *f, struct tr_fault *fault)
{
	struct cfg_error err;
	char why[512] = "";
	int r;

	if (app_opts_reread(t->opts, &f->cfg, &f->origins, &err) < 0)
		return reload_wrong(t, err.text, fault);
	if ((r = refuse_fixed(t, f, fault)) < 0)
		return r;
	r = credentials_load(&f->credentials, &f->cfg, t->opts->paths.state, &t->credentials, why, sizeof(why));
	if (r < 0)
		return tr_fault_set(fault, r, "", "%s", why[0] != '\0' ? why : tr_strerror(r));
	compare(t, f);
	return 0;
}

/* ---- answering ---- */

static void answer(struct chan_call *call, uint64_t changed)
{
	wire_str keys[CFG_NSETTINGS];
	struct res_reload res = {.changed = {.v = keys}};
	struct cfg_setting s;

	for (unsigned i = 0; cfg_setting_at(i, &s); i++)
		if (changed & UINT64_C(1) << i)
			keys[res.changed.n++] = wire_s(s.key);
	chan_reply(call, &res);
}

static void answer_all(struct reload *r)
{
	for (int i = 0; i < WAITING_MAX; i++)
		if (r->waiting[i].call != NULL) {
			struct chan_call *call = r->waiting[i].call;

			r->waiting[i].call = NULL;
			answer(call, r->waiting[i].changed);
		}
}

static void fail_all(struct reload *r, int code, const char *field, const char *text)
{
	for (int i = 0; i < WAITING_MAX; i++)
		if (r->waiting[i].call != NULL) {
			struct chan_call *call = r->waiting[i].call;

			r->waiting[i].call = NULL;
			chan_failf(call, code, field, "%s", text);
		}
}

/* ---- one after the other ---- */

/* True: it has the new configuration, or will have it when somebody wants it again. */
static bool has_it(const struct worker *w)
{
	return !worker_wanted(w) || worker_current(w);
}

static bool is_old(const struct tribe *t, const struct worker *w)
{
	for (int i = 0; i < WORKER_COPIES; i++)
		if (lc_alive(w->copies[i].lc.state) && w->copies[i].revision != t->launch.revision)
			return true;
	return false;
}

static void not_up(struct reload *r, const struct worker *w)
{
	char text[160];

	snprintf(
		text, sizeof(text),
		"it does not come up with the new configuration (%.40s); those after it keep the old one until it does",
		worker_stuck(w)->last_exit);
	fail_all(r, TR_EUNAVAILABLE, tr_roles[w->id].api_name, text);
}

/* Looks only at what is, so it may be called at any time and from inside itself: worker_... may tell of a change at
 * once. */
static void roll(struct reload *r)
{
	struct tribe *t = r->tribe;

	if (!r->rolling || t->stopping)
		return;
	for (int i = 0; i < TR_NROLES; i++) {
		struct worker *w = &t->workers[i];
		const struct copy *stuck = worker_stuck(w);

		if (has_it(w))
			continue;
		if (stuck != NULL && stuck->revision == t->launch.revision)
			not_up(r, w);
		else if (stuck != NULL)
			worker_start(w); /* the old configuration may be what it died of */
		else if (!w->rolling && is_old(t, w))
			worker_replace(w);
		return;
	}
	r->rolling = false;
	log_info("reload: every Jr has the new configuration");
	feed_word(t, EVENT_RELOAD, "every Jr has the new configuration");
	answer_all(r);
}

void reload_roll(struct reload *r)
{
	r->rolling = true;
	roll(r);
}

void reload_on_change(struct reload *r)
{
	roll(r);
}

/* ---- orders ---- */

static int apply(struct tribe *t, struct fresh *f)
{
	int level, r;

	if (!f->certificates_only && (r = launch_configure(&t->launch, &f->cfg)) < 0)
		return r;
	t->cfg = f->cfg;
	credentials_free(&t->credentials);
	t->credentials = f->credentials;
	f->credentials = (struct credentials){.own = false}; /* moved */
	adopt_given(t);
	level = log_level_find(t->cfg.log_level);
	log_open("tribed", (enum log_level)level);
	return 0;
}

static void list_keys(uint64_t changed, char *out, size_t size)
{
	struct cfg_setting s;
	size_t n;

	snprintf(out, size, "changed:");
	for (unsigned i = 0; cfg_setting_at(i, &s); i++) {
		n = strlen(out);
		if (changed & UINT64_C(1) << i)
			snprintf(out + n, size - n, " %s", s.key);
	}
}

static void refused(struct reload *r, struct chan_call *call, const struct tr_fault *fault)
{
	char text[96];

	log_warn("reload refused: %s%s%s", fault->field, fault->field[0] != '\0' ? ": " : "", fault->rule);
	snprintf(text, sizeof(text), "refused: %.60s%s%s", fault->field, fault->field[0] != '\0' ? ": " : "",
		 tr_strerror(fault->code));
	feed_word(r->tribe, EVENT_RELOAD, text);
	if (call != NULL)
		chan_fail(call, fault);
}

/* New certificates and nothing else: who has the face is told, and no connection ends for it. False: somebody cannot be
 * told so. */
static bool renew(struct tribe *t)
{
	const struct credentials *c = &t->credentials;
	struct worker *w = &t->workers[TR_ROLE_EXECUTIVE];
	struct msg_tls m = {.certificate = {c->certificate.p, (uint32_t)c->certificate.len},
			    .private_key = {c->private_key.p, (uint32_t)c->private_key.len},
			    .has_client_ca = c->client_ca.len > 0,
			    .client_ca = {c->client_ca.p, (uint32_t)c->client_ca.len}};

	if (c->certificate.len > WIRE_CHAIN_MAX || c->private_key.len > WIRE_KEY_MAX || c->client_ca.len > WIRE_CA_MAX)
		return false;
	for (int i = 0; i < WORKER_COPIES; i++) {
		struct copy *copy = &w->copies[i];

		if (copy->proc == NULL || !lc_alive(copy->lc.state))
			continue;
		m.generation = copy->generation;
		if (copy->chan == NULL || packet_note(copy->chan, MSG_tls, &m) < 0)
			return false;
	}
	return true;
}

static void say(struct reload *r, uint64_t changed)
{
	char text[96];

	list_keys(changed, text, sizeof(text));
	log_info("reload: %s", text);
	feed_word(r->tribe, EVENT_RELOAD, text);
}

static void go(struct reload *r, struct chan_call *call, uint64_t changed)
{
	for (int i = 0; i < WAITING_MAX && call != NULL; i++)
		if (r->waiting[i].call == NULL) {
			r->waiting[i].call = call;
			r->waiting[i].changed = changed;
			call = NULL;
		}
	if (call != NULL) /* it is under way all the same */
		chan_failf(call, TR_EBUSY, "", "too many reloads are waited for; the configuration is in force");
	say(r, changed);
	reload_roll(r);
}

void reload_begin(struct reload *r, struct chan_call *call)
{
	struct tribe *t = r->tribe;
	struct tr_fault fault = {0};
	struct fresh *f;
	int e;

	if (t->stopping) {
		if (call != NULL)
			chan_failf(call, TR_EUNAVAILABLE, "", "the tribe is shutting down");
		return;
	}
	f = calloc(1, sizeof(*f));
	e = f == NULL ? tr_fault_set(&fault, TR_ENOMEM, "", "out of memory") : read_all(t, f, &fault);
	if (e == 0 && f->changed != 0 && (e = apply(t, f)) < 0)
		tr_fault_set(&fault, e, "", "%s", tr_strerror(e));
	if (e == 0)
		t->origins = f->origins; /* of equal values too: lines move */
	if (e < 0) {
		refused(r, call, &fault);
	} else if (f->changed == 0) {
		log_debug("reload: nothing has changed");
		feed_word(t, EVENT_RELOAD, "nothing has changed");
		if (call != NULL)
			answer(call, 0);
	} else if (f->certificates_only && renew(t)) {
		say(r, f->changed);
		feed_word(t, EVENT_RELOAD, "new connections have the new certificate");
		if (call != NULL)
			answer(call, f->changed);
	} else {
		if (f->certificates_only)
			t->launch.revision++; /* whoever could not be told is replaced */
		go(r, call, f->changed);
	}
	if (f != NULL)
		credentials_free(&f->credentials);
	free(f);
}

int reload_new(struct reload **out, struct tribe *t)
{
	struct reload *r = calloc(1, sizeof(*r));

	if (r == NULL)
		return TR_ENOMEM;
	r->tribe = t;
	*out = r;
	return 0;
}

void reload_free(struct reload **r)
{
	if (*r == NULL)
		return;
	fail_all(*r, TR_EUNAVAILABLE, "", "the tribe is shutting down");
	free(*r);
	*r = NULL;
}
