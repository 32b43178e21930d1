/* tribectl sign: makes an envelope of an act, or puts one more signature to it. Needs no tribe where --archive is
 * given. */
#include "common/base/clock.h"
#include "common/base/text.h"
#include "proto/dsse/dsse.h"
#include "proto/json/json.h"
#include "supervisor/ctl/acts.h"
#include "supervisor/ctl/clean.h"
#include "supervisor/ctl/commands.h"
#include <errno.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define TYPE       "application/vnd.tribe.governance+json"
#define KEY_MAX    65536u
#define EXPIRES_MS (7 * 86400000LL)

static int ask_passphrase(char *out, int size, void *arg)
{
	(void)arg;
	return EVP_read_pw_string(out, size, "passphrase of the key: ", 0) == 0 ? (int)strlen(out) : -1;
}

static enum ctl_exit read_key(const struct ctl *c, const char *path, struct dsse_key **out)
{
	struct buf pem;
	enum ctl_exit e = act_read(c, path, KEY_MAX, &pem);

	if (e == CTL_DONE && dsse_key_read(out, pem.p == NULL ? "" : pem.p, pem.len, ask_passphrase, NULL) < 0) {
		ctl_say(c, "--key: must be a PEM file with an Ed25519 private key, and its passphrase the right one");
		e = CTL_FAILED;
	}
	if (pem.p != NULL)
		OPENSSL_cleanse(pem.p, pem.cap);
	buf_free(&pem);
	return e;
}

/* ---- a new one ---- */
static void on_archive(void *arg, const void *res)
{
	const struct res_memory_acts *r = res;

	tr_copy(arg, 33, r->archive.p, r->archive.n);
}

static enum ctl_exit archive_of(struct ctl *c, const struct ctl_args *a, char out[33])
{
	struct msg_memory_acts msg = {.has_limit = true, .limit = 1};
	const char *given = ctl_str(a, "archive");
	struct tr_fault fault;
	int r;

	if (given != NULL) {
		tr_copy(out, 33, given, strlen(given));
		return CTL_DONE;
	}
	r = ctl_call(c, MSG_memory_acts, &msg, on_archive, out, &fault);
	return r < 0 ? ctl_complain(c, r, &fault) : CTL_DONE;
}

static enum ctl_exit make(struct ctl *c, const struct ctl_args *a, struct item_act *act, struct dsse *out)
{
	char archive[33] = "", id[TR_ID_LEN];
	struct tr_fault fault = {0};
	struct buf text = {.max = DSSE_PAYLOAD_MAX};
	json_t *doc = NULL;
	enum ctl_exit e = archive_of(c, a, archive);
	int r;

	if (e != CTL_DONE)
		return e;
	if (ctl_str(a, "reason") == NULL) {
		ctl_say(c, "--reason is needed");
		return CTL_USAGE;
	}
	tr_id_new(id);
	act->has_archive = act->has_id = act->has_expires = true;
	act->archive = wire_s(archive);
	act->id = wire_s(ctl_str(a, "id") != NULL ? ctl_str(a, "id") : id);
	act->reason = wire_s(ctl_str(a, "reason"));
	act->expires = tr_wall_ms() + EXPIRES_MS;
	(void)ctl_time(a, "expires", &act->expires);
	act->has_not_before = ctl_time(a, "not-before", &act->not_before);
	r = wire_validate(&wire_shape_act, act, &fault);
	if (r == 0 && ((doc = json_encode(&wire_shape_act, act)) == NULL || json_print_exact(doc, &text) < 0))
		r = TR_ENOMEM;
	if (r == 0) {
		*out = (struct dsse){.type = TYPE, .payload_n = text.len};
		memcpy(out->payload, text.p, text.len);
	} else {
		ctl_say(c, "%s: %s", fault.field, fault.rule[0] != '\0' ? fault.rule : tr_strerror(r));
	}
	json_decref(doc);
	buf_free(&text);
	return r == 0 ? CTL_DONE : r == TR_EINVAL ? CTL_USAGE : CTL_INTERNAL;
}

/* ---- one that is there ---- */
static enum ctl_exit take(const struct ctl *c, const char *path, struct dsse *out)
{
	struct tr_fault fault = {0};
	struct buf text;
	enum ctl_exit e = act_read(c, path, DSSE_ENVELOPE_MAX, &text);
	int r;

	if (e == CTL_DONE && (r = dsse_parse(out, text.p == NULL ? "" : text.p, text.len, &fault)) < 0) {
		ctl_say(c, "%s: no envelope: %s %s", path, fault.field,
			fault.rule[0] != '\0' ? fault.rule : tr_strerror(r));
		e = CTL_FAILED;
	} else if (e == CTL_DONE && strcmp(out->type, TYPE) != 0) {
		ctl_say(c, "%s: an envelope of another kind", path);
		e = CTL_FAILED;
	}
	buf_free(&text);
	return e;
}

/* Whoever signs sees what. */
static void show_payload(const struct ctl *c, const struct dsse *e)
{
	struct buf b = {0};

	clean_text(&b, (const char *)e->payload, e->payload_n, " ", 0);
	ctl_say(c, "signing %s", b.p == NULL ? "" : b.p);
	buf_free(&b);
}

/* There whole, or as it was. */
static int replace(const char *path, const struct buf *text)
{
	char part[4200];
	FILE *f;
	int r = 0;

	if (snprintf(part, sizeof(part), "%s.part", path) >= (int)sizeof(part))
		return TR_ETOOBIG;
	if ((f = fopen(part, "we")) == NULL)
		return -errno;
	if (fwrite(text->p, 1, text->len, f) != text->len || fflush(f) != 0 || fsync(fileno(f)) < 0)
		r = -errno;
	if (fclose(f) != 0 && r == 0)
		r = -errno;
	if (r == 0 && rename(part, path) < 0)
		r = -errno;
	if (r < 0)
		(void)unlink(part);
	return r;
}

static enum ctl_exit give(const struct ctl *c, const char *path, const struct dsse *e)
{
	struct buf text = {0};
	enum ctl_exit done = CTL_DONE;
	int r = dsse_print(e, &text);

	if (r == 0)
		r = buf_puts(&text, "\n");
	if (r == 0 && path == NULL)
		done = ctl_emit(c, &text);
	else if (r == 0)
		r = replace(path, &text);
	if (r < 0) {
		ctl_say(c, "%s: %s", path == NULL ? "the envelope" : path, tr_strerror(r));
		done = CTL_FAILED;
	} else if (done == CTL_DONE) {
		ctl_say(c, "%u signature%s", e->nsignatures, e->nsignatures == 1 ? "" : "s");
	}
	buf_free(&text);
	return done;
}

enum ctl_exit cmd_sign(struct ctl *c, const struct ctl_args *a)
{
	struct item_act act;
	const char *wrong = act_of_words(&act, a->operands, a->noperands), *path = ctl_str(a, "out");
	struct dsse_key *key = NULL;
	struct dsse *e = calloc(1, sizeof(*e));
	enum ctl_exit x = CTL_INTERNAL;

	if (e == NULL)
		goto out;
	x = CTL_USAGE;
	if (wrong != NULL && (wrong[0] != '\0' || a->noperands != 1)) {
		ctl_say(c, "%s",
			wrong[0] != '\0' ? wrong : "takes an act, or a FILE that holds one; tribectl help sign");
		goto out;
	}
	if (wrong != NULL && path == NULL)
		path = a->operands[0];
	if ((x = wrong == NULL ? make(c, a, &act, e) : take(c, a->operands[0], e)) != CTL_DONE ||
	    (x = read_key(c, ctl_str(a, "key"), &key)) != CTL_DONE)
		goto out;
	show_payload(c, e);
	if (dsse_sign(e, key) < 0) {
		ctl_say(c, "there are too many signatures in it");
		x = CTL_FAILED;
		goto out;
	}
	x = give(c, path, e);
out:
	dsse_key_free(&key);
	free(e);
	return x;
}
