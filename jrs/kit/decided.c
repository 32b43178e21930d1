#include "jrs/kit/decided.h"
#include "common/base/clock.h"
#include "common/base/text.h"
#include "common/log/log.h"
#include "common/loop/loop.h"
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define QUEUE    16u
#define TOPICS   64u /* that were said lately */
#define TEXT_MAX 501u
#define AGAIN_MS 2000u
#define KEEP_MS  3600000u /* so long one is tried */
#define ID_LEN   48u      /* "decided:" and half of a SHA-256 in hex */

struct saying {
	char id[ID_LEN], text[TEXT_MAX];
	uint64_t since_ms;
};
struct decided {
	struct decided_cfg cfg;
	struct loop_timer *timer;
	struct saying queue[QUEUE]; /* the oldest first */
	unsigned n;
	char said[TOPICS][ID_LEN]; /* a ring */
	unsigned next;
	bool asking;
	uint32_t token;
};

static void try_first(void *arg);

static void first_is_done(struct decided *d)
{
	d->n--;
	memmove(&d->queue[0], &d->queue[1], d->n * sizeof(d->queue[0]));
	if (d->n > 0)
		(void)loop_timer_start(d->timer, 0, 0);
}

/* Will another try end otherwise? */
static bool passes(int r)
{
	return r == TR_EUNAVAILABLE || r == TR_EDEADLINE || r == TR_EBUSY || r == TR_ECLOSED || r == TR_ENOMEM ||
	       r == TR_ENOSPACE || r == TR_ESTORE;
}

static void later(struct decided *d)
{
	if (tr_mono_ms() - d->queue[0].since_ms < KEEP_MS) {
		(void)loop_timer_start(d->timer, d->cfg.again_ms == 0 ? AGAIN_MS : d->cfg.again_ms, 0);
		return;
	}
	log_warn("a decision was not written: memory-jr has been away for too long");
	first_is_done(d);
}

static void on_decided(void *arg, int r, const void *res, const struct tr_fault *fault)
{
	struct decided *d = arg;

	(void)res;
	(void)fault;
	d->asking = false;
	if (r < 0 && passes(r)) {
		later(d);
		return;
	}
	if (r < 0 && r != TR_EMISMATCH) /* else another life has said it in other words */
		log_warn("a decision was not written error=%s", tr_err_name(r));
	first_is_done(d);
}

static void try_first(void *arg)
{
	struct decided *d = arg;
	struct msg_memory_decide msg = {.by = wire_s(tr_roles[d->cfg.role].api_name)};

	if (d->asking || d->n == 0)
		return;
	msg.text = wire_s(d->queue[0].text);
	msg.common.has_request_id = msg.common.has_who = true;
	msg.common.request_id = wire_s(d->queue[0].id);
	msg.common.who = msg.by;
	d->asking = peer_call(d->cfg.memory, MSG_memory_decide, &msg, d->cfg.timeout_ms, on_decided, d, &d->token) == 0;
	if (!d->asking)
		later(d);
}

int decided_new(struct decided **out, const struct decided_cfg *cfg)
{
	struct decided *d = calloc(1, sizeof(*d));
	int r;

	if (d == NULL)
		return TR_ENOMEM;
	d->cfg = *cfg;
	if ((r = loop_timer_new(&d->timer, cfg->loop, try_first, d)) < 0) {
		free(d);
		return r;
	}
	*out = d;
	return 0;
}

static int make_id(const struct decided *d, const char *topic, int64_t period, char out[ID_LEN])
{
	const char *by = tr_roles[d->cfg.role].program; /* as ever: a decision of before is the same one */
	unsigned char hash[TR_SHA256_LEN];
	char number[24], hex[2 * TR_SHA256_LEN + 1];
	struct tr_piece pieces[3] = {{by, strlen(by)}, {topic, strlen(topic)}, {number, 0}};
	int r;

	pieces[2].n = (size_t)snprintf(number, sizeof(number), "%" PRId64, period);
	if ((r = tr_sha256_pieces(pieces, 3, hash)) < 0)
		return r;
	tr_hex(hash, sizeof(hash), hex);
	snprintf(out, ID_LEN, "decided:%.32s", hex);
	return 0;
}

static bool was_said(const struct decided *d, const char *id)
{
	for (unsigned i = 0; i < TOPICS; i++) {
		if (strcmp(d->said[i], id) == 0)
			return true;
	}
	return false;
}

void decided_say(struct decided *d, const char *topic, int64_t period_ms, int64_t at_ms, const char *fmt, ...)
{
	struct saying *s;
	char id[ID_LEN];
	va_list ap;

	if (make_id(d, topic, at_ms / period_ms, id) < 0 || was_said(d, id))
		return;
	if (d->n == QUEUE) {
		log_warn("a decision was not written: too many wait already");
		return;
	}
	s = &d->queue[d->n++];
	memcpy(s->id, id, ID_LEN);
	memcpy(d->said[d->next], id, ID_LEN);
	d->next = (d->next + 1) % TOPICS;
	s->since_ms = tr_mono_ms();
	va_start(ap, fmt);
	vsnprintf(s->text, sizeof(s->text), fmt, ap);
	va_end(ap);
	while (!tr_utf8_ok(s->text, strlen(s->text), NULL)) /* cut within a character */
		s->text[strlen(s->text) - 1] = '\0';
	if (d->n == 1 && !d->asking)
		(void)loop_timer_start(d->timer, 0, 0);
}

void decided_free(struct decided **dp)
{
	struct decided *d = dp == NULL ? NULL : *dp;

	if (d == NULL)
		return;
	if (d->asking)
		peer_cancel(d->cfg.memory, d->token);
	loop_timer_free(&d->timer);
	free(d);
	*dp = NULL;
}
