#include "jrs/memory/votes.h"
#include "common/base/clock.h"
#include "common/base/text.h"
#include "common/log/log.h"
#include "common/loop/loop.h"
#include "jrs/vote/judge.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define AGAIN_MS 1000 /* behind a failure */
#define LONG_MS  60000u

struct votes {
	struct jr *jr;
	struct archive *const *archive;
	struct loop_timer *timer;
	bool leads, stopped;
	msgpack_zone *zone; /* not NULL: asking what is due */
	struct msg_memory_vote_close ask;
	bool has_due;
	int64_t due_ms; /* wall clock: when the next vote is to be closed */
	bool has_opened;
	int64_t opened_ms; /* the same of those that were opened meanwhile */
};

static void tell(struct votes *v, const char *what, wire_str id, wire_str outcome)
{
	char text[256];

	snprintf(text, sizeof(text), "vote %.*s %s%s%.*s", (int)(id.n < 128 ? id.n : 128), id.p, what,
		 outcome.n > 0 ? ": " : "", (int)(outcome.n < 64 ? outcome.n : 64), outcome.n > 0 ? outcome.p : "");
	while (!tr_utf8_ok(text, strlen(text), NULL)) /* cut within a character */
		text[strlen(text) - 1] = '\0';
	jr_tell(v->jr, "vote", text);
}

/* ---- closing what is due ---- */
static void arm(struct votes *v)
{
	int64_t left;

	if (v->stopped || !v->leads || v->zone != NULL || !v->has_due)
		return;
	left = v->due_ms - tr_wall_ms(); /* the wall clock may be stepped: it is looked at anew now and then */
	(void)loop_timer_start(v->timer, left < 1 ? 1 : left > LONG_MS ? LONG_MS : (uint64_t)left, 0);
}

static void due_at(struct votes *v, int64_t ms)
{
	v->due_ms = v->has_due && v->due_ms < ms ? v->due_ms : ms;
	v->has_due = true;
	arm(v);
}

static void on_closed(void *arg, int r, const struct archive_answer *answer, const struct tr_fault *fault)
{
	const struct res_memory_vote_close *res = r < 0 ? NULL : answer->res;
	bool has_next = res != NULL && res->has_next_at;
	int64_t next_ms = has_next ? res->next_at : 0;
	struct votes *v = arg;
	uint32_t i;

	for (i = 0; res != NULL && i < res->ids.n; i++)
		tell(v, "closed", res->ids.v[i], res->outcomes.v[i]);
	if (r < 0 && r != TR_ECLOSED)
		log_warn("votes that are due are not closed reason=\"%s\"", fault->rule);
	msgpack_zone_free(v->zone); /* the answer goes with it */
	v->zone = NULL;
	v->has_due = false;
	if (r < 0)
		due_at(v, tr_wall_ms() + AGAIN_MS);
	if (has_next)
		due_at(v, next_ms);
	if (v->has_opened)
		due_at(v, v->opened_ms);
	v->has_opened = false;
}

static void on_timer(void *arg)
{
	struct votes *v = arg;
	struct archive_ctx ctx;

	if (v->stopped || v->zone != NULL || *v->archive == NULL)
		return;
	if (v->has_due && v->due_ms > tr_wall_ms()) {
		arm(v);
		return;
	}
	if ((v->zone = msgpack_zone_new(MSGPACK_ZONE_CHUNK_SIZE)) == NULL) {
		due_at(v, tr_wall_ms() + AGAIN_MS);
		return;
	}
	v->ask = (struct msg_memory_vote_close){.common = {.has_request_id = false}};
	ctx = (struct archive_ctx){v->zone, 0};
	if (archive_call(*v->archive, MSG_memory_vote_close, &v->ask, &ctx, on_closed, v) < 0) {
		msgpack_zone_free(v->zone);
		v->zone = NULL;
		v->has_due = true;
		v->due_ms = tr_wall_ms() + AGAIN_MS;
		arm(v);
	}
}

void votes_lead(struct votes *v)
{
	v->leads = true;
	due_at(v, 0); /* whatever the one before us has left */
}

void votes_stop(struct votes *v)
{
	if (v == NULL)
		return;
	v->stopped = true;
	loop_timer_free(&v->timer);
}

void votes_answered(struct votes *v, enum wire_msg_id id, const struct archive_answer *answer)
{
	const struct res_memory_vote_open *open = answer->res;
	const struct res_memory_vote_cast *cast = answer->res;

	if (!answer->fresh)
		return;
	if (id == MSG_memory_vote_open && open->created) {
		tell(v, "opened", open->vote_id, wire_s(NULL));
		if (v->zone == NULL) {
			due_at(v, open->closes_at);
		} else {
			v->opened_ms = v->has_opened && v->opened_ms < open->closes_at ? v->opened_ms : open->closes_at;
			v->has_opened = true;
		}
	} else if (id == MSG_memory_vote_cast && cast->closed) {
		tell(v, "closed", cast->vote_id, cast->outcome);
	}
}

/* ---- our own ballot ---- */
struct pending {
	struct chan_call *call;
	struct ballot_question question;
	struct archive *const *archive;
	struct archive_ctx ctx;
	struct msg_memory_recall ask;
	struct msg_memory_sacred ask_sacred;
	struct list_memory found; /* in the call's zone */
	char q[JUDGE_QUERY_BYTES];
};

static void judge(const struct pending *p, const struct list_memory *sacred)
{
	struct ballot_judged judged;
	struct res_ballot res;

	judge_memory(&p->question, &p->found, sacred, &judged);
	res = judge_answer(&p->question, &judged);
	chan_reply(p->call, &res);
}

static void on_sacred(void *arg, int r, const struct archive_answer *answer, const struct tr_fault *fault)
{
	struct pending *p = arg;

	if (r < 0)
		chan_fail(p->call, fault);
	else
		judge(p, &((const struct res_memory_sacred *)answer->res)->memories);
}

static void on_recalled(void *arg, int r, const struct archive_answer *answer, const struct tr_fault *fault)
{
	static const struct list_memory none = {NULL, 0};
	struct pending *p = arg;

	if (r < 0) {
		chan_fail(p->call, fault);
		return;
	}
	p->found = ((const struct res_memory_recall *)answer->res)->memories;
	if (!judge_ask_sacred(&p->question, &p->found, &p->ask_sacred)) {
		judge(p, &none);
		return;
	}
	r = *p->archive == NULL ? TR_ECLOSED
				: archive_call(*p->archive, MSG_memory_sacred, &p->ask_sacred, &p->ctx, on_sacred, p);
	if (r < 0)
		chan_failf(p->call, r, "", "%s", tr_strerror(r));
}

static void ballot(void *arg, struct chan_call *call, const void *msg)
{
	const struct msg_ballot *m = msg;
	struct votes *v = arg;
	struct pending *p = msgpack_zone_malloc(chan_call_zone(call), sizeof(*p));
	uint32_t left = chan_call_left_ms(call);
	int r = TR_ECLOSED;

	if (p != NULL && *v->archive != NULL) {
		p->call = call;
		p->archive = v->archive;
		p->ctx = (struct archive_ctx){chan_call_zone(call), left == UINT32_MAX ? 0 : tr_mono_ms() + left};
		p->question = (struct ballot_question){m->proposal, m->options};
		judge_query(&p->question, p->q, &p->ask);
		r = archive_call(*v->archive, MSG_memory_recall, &p->ask, &p->ctx, on_recalled, p);
	}
	if (r < 0)
		chan_failf(call, r, "", "%s", tr_strerror(r));
}

int votes_new(struct votes **out, struct jr *jr, struct archive *const *archive)
{
	struct votes *v = calloc(1, sizeof(*v));
	int r = TR_ENOMEM;

	if (v == NULL)
		return r;
	v->jr = jr;
	v->archive = archive;
	if ((r = loop_timer_new(&v->timer, jr_loop(jr), on_timer, v)) < 0) {
		free(v);
		return r;
	}
	jr_on_ballot(jr, ballot, v);
	*out = v;
	return 0;
}

void votes_free(struct votes **v)
{
	if (v == NULL || *v == NULL)
		return;
	votes_stop(*v);
	free(*v);
	*v = NULL;
}
