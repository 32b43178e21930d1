/* The way of a vote: memory.vote_open, then a ballot of each Jr at once, then memory.vote_cast. Each step may be done
 * again by another process: the vote is durable before anybody is asked, its ballots come in one commit, and whoever
 * leads looks for votes that were left in between. Nobody's ballot is made up: who does not answer is absent. */
#include "common/base/clock.h"
#include "common/base/text.h"
#include "common/log/log.h"
#include "jrs/executive/api/internal.h"
#include "jrs/vote/judge.h"
#include <stdlib.h>
#include <string.h>

#define SHARE_MS     1500 /* of a Jr for its ballot, or half of what is left */
#define RESUME_MS    50   /* of a new lead: callers come first */
#define AGAIN_MS     1000 /* behind a failure */
#define RESUME_VOTES 50   /* looked at in one go */
#define REASON_MAX   600

struct leg {
	struct vote_run *run;
	enum tr_role role;
};
struct vote_run {
	struct api *api;
	struct vote_run *next, **link; /* in api->runs */
	char id[WIRE_ID_MAX + 1];      /* "" until it is open */
	bool created, cast;
	uint64_t deadline_ms;
	vote_done *done; /* NULL: nobody waits */
	void *arg;
	msgpack_zone *zone; /* NULL until the Jrs are asked; the texts of question and ballots */
	struct ballot_question question;
	struct item_ballot ballots[TR_NROLES];
	struct leg legs[TR_NROLES];
	unsigned waiting; /* for so many answers */
};

static void arm(struct api *api, uint32_t ms);

/* ---- its life ---- */
static struct vote_run *run_new(struct api *api, uint32_t timeout_ms, vote_done *done, void *arg)
{
	struct vote_run *run = calloc(1, sizeof(*run));

	if (run == NULL)
		return NULL;
	*run = (struct vote_run){.api = api,
				 .next = api->runs,
				 .link = &api->runs,
				 .deadline_ms = tr_mono_ms() + timeout_ms,
				 .done = done,
				 .arg = arg};
	if (run->next != NULL)
		run->next->link = &run->next;
	api->runs = run;
	return run;
}

static void run_free(struct vote_run *run)
{
	*run->link = run->next;
	if (run->next != NULL)
		run->next->link = run->link;
	if (run->zone != NULL)
		msgpack_zone_free(run->zone);
	free(run);
}

/* May the vote be there, open and unconvened, when a step failed so? What was not answered may have happened. */
static bool may_be_left(const struct vote_run *run, int r)
{
	if (run->id[0] == '\0')
		return r == TR_EDEADLINE || r == TR_EUNAVAILABLE;
	return r < 0 && r != TR_ENOTFOUND && r != TR_ECLOSED;
}

/* vote is borrowed during the call. */
static void finish(struct vote_run *run, int r, const struct item_vote *vote, const struct tr_fault *fault)
{
	struct vote_run was = *run;
	bool again = may_be_left(run, r);

	*run->link = run->next;
	if (run->next != NULL)
		run->next->link = run->link;
	free(run);
	if (again)
		arm(was.api, AGAIN_MS);
	if (was.done != NULL)
		was.done(was.arg, r, vote, was.created, fault);
	if (was.zone != NULL)
		msgpack_zone_free(was.zone);
}

static void fail(struct vote_run *run, int code)
{
	struct tr_fault fault = {0};

	tr_fault_set(&fault, code, "", "%s", tr_strerror(code));
	finish(run, code, NULL, &fault);
}

static uint32_t left_ms(const struct vote_run *run)
{
	uint64_t now = tr_mono_ms();

	return now < run->deadline_ms ? (uint32_t)(run->deadline_ms - now) : 1;
}

static int keep(struct vote_run *run, wire_str s, wire_str *out)
{
	char *p = msgpack_zone_malloc(run->zone, s.n + 1u);

	if (p == NULL)
		return TR_ENOMEM;
	memcpy(p, s.p, s.n);
	*out = (wire_str){p, s.n};
	return 0;
}

static int keep_all(struct vote_run *run, const wire_strs *from, wire_strs *out)
{
	wire_str *v = msgpack_zone_malloc(run->zone, sizeof(*v) * (from->n + 1u));
	uint32_t i;

	for (i = 0; v != NULL && i < from->n; i++) {
		if (keep(run, from->v[i], &v[i]) < 0)
			return TR_ENOMEM;
	}
	*out = (wire_strs){v, from->n};
	return v == NULL ? TR_ENOMEM : 0;
}

static void look(struct vote_run *run);

/* ---- the ballots ---- */
static void on_cast(void *arg, int r, const void *res, const struct tr_fault *fault)
{
	struct vote_run *run = arg;

	(void)res;
	if (r < 0) {
		finish(run, r, NULL, fault);
		return;
	}
	api_archive_answered(run->api);
	run->cast = true;
	look(run);
}

static void cast(struct vote_run *run)
{
	struct msg_memory_vote_cast msg = {.vote_id = wire_s(run->id),
					   .ballots = {run->ballots, TR_NROLES},
					   .has_convened = true,
					   .convened = true};
	int r = api_ask(run->api, run->api->cfg.memory, MSG_memory_vote_cast, &msg, left_ms(run), on_cast, run);

	if (r < 0)
		fail(run, r);
}

static void one_less(struct vote_run *run)
{
	if (--run->waiting == 0)
		cast(run);
}

static void put(struct leg *leg, wire_str choice, wire_str reason)
{
	struct item_ballot *b = &leg->run->ballots[leg->role];

	b->choice = choice;
	b->reason = reason;
	b->has_reason = reason.n > 0;
}

static void absent(struct leg *leg, int r, const struct tr_fault *fault)
{
	wire_str why = wire_s(fault != NULL && fault->rule[0] != '\0' ? fault->rule : tr_strerror(r)), kept;

	put(leg, wire_s("absent"), keep(leg->run, why, &kept) == 0 ? kept : wire_s(tr_strerror(r)));
}

/* TR_ENOMEM: nothing was taken. */
static int take(struct leg *leg, const struct res_ballot *res)
{
	struct item_ballot *b = &leg->run->ballots[leg->role];
	wire_str choice, reason;

	if (keep(leg->run, res->choice, &choice) < 0 || keep(leg->run, res->reason, &reason) < 0 ||
	    keep_all(leg->run, &res->evidence, &b->evidence) < 0)
		return TR_ENOMEM;
	put(leg, choice, reason);
	b->has_evidence = true;
	b->has_veto = b->veto = res->has_veto && res->veto;
	b->has_confidence = res->has_confidence;
	b->confidence = res->confidence;
	return 0;
}

static void on_ballot(void *arg, int r, const void *res, const struct tr_fault *fault)
{
	const struct res_ballot *ballot = res;
	struct leg *leg = arg;
	const wire_strs *options = &leg->run->question.options;

	/* what is no option of this vote, or a veto where there is none, is no answer */
	if (r == 0 && (vote_choice(options, ballot->choice) < VOTE_ABSTAIN ||
		       (ballot->has_veto && ballot->veto &&
			!vote_may_veto(options, wire_s(tr_roles[leg->role].api_name), ballot->choice))))
		r = TR_EPROTO;
	if (r == 0)
		r = take(leg, ballot);
	if (r < 0)
		absent(leg, r, fault);
	one_less(leg->run);
}

/* Our own: from what we know of our load, and tribed of the tribe. */
static void on_status(void *arg, int r, const void *res, const struct tr_fault *fault)
{
	const struct res_status *s = res;
	struct leg *leg = arg;
	struct api *api = leg->run->api;
	struct judge_capacity now = {.known = r == 0,
				     .inflight = api->inflight,
				     .capacity = api->cfg.capacity,
				     .overdue = api_overdue(api, 0)};
	struct ballot_judged judged;
	struct res_ballot ballot;

	(void)fault;
	if (r == 0)
		tr_copy(now.status, sizeof(now.status), s->status.p, s->status.n);
	judge_executive(&leg->run->question, &now, &judged);
	ballot = judge_answer(&leg->run->question, &judged);
	if (take(leg, &ballot) < 0)
		absent(leg, TR_ENOMEM, NULL);
	one_less(leg->run);
}

static int ask_one(struct leg *leg, const struct msg_ballot *msg, uint32_t share)
{
	struct api *api = leg->run->api;
	struct peer *const peers[TR_NROLES] = {[TR_ROLE_MEMORY] = api->cfg.memory,
					       [TR_ROLE_INTEGRATION] = api->cfg.integration,
					       [TR_ROLE_META] = api->cfg.meta};

	if (leg->role == TR_ROLE_EXECUTIVE)
		return api->cfg.status(api->cfg.arg, share, on_status, leg);
	return api_ask(api, peers[leg->role], MSG_ballot, msg, share, on_ballot, leg);
}

static void convene(struct vote_run *run, const struct item_vote *vote)
{
	uint32_t left = left_ms(run), share = left / 2 < SHARE_MS ? left / 2 + 1 : SHARE_MS;
	struct msg_ballot msg = {.vote_id = wire_s(run->id), .called_ns = tr_mono_ns()};
	int i, r;

	if ((run->zone = msgpack_zone_new(8192)) == NULL || keep(run, vote->proposal, &run->question.proposal) < 0 ||
	    keep_all(run, &vote->options, &run->question.options) < 0) {
		fail(run, TR_ENOMEM);
		return;
	}
	msg.proposal = run->question.proposal;
	msg.options = run->question.options;
	run->waiting = TR_NROLES + 1; /* the one more is ours, while we ask */
	for (i = 0; i < TR_NROLES; i++) {
		run->legs[i] = (struct leg){run, (enum tr_role)i};
		run->ballots[i] = (struct item_ballot){.voter = wire_s(tr_roles[i].api_name)};
		if ((r = ask_one(&run->legs[i], &msg, share)) < 0) {
			absent(&run->legs[i], r, NULL);
			run->waiting--;
		}
	}
	one_less(run);
}

/* ---- the vote as it stands ---- */
static void on_vote(void *arg, int r, const void *res, const struct tr_fault *fault)
{
	struct vote_run *run = arg;
	const struct item_vote *vote;

	if (r < 0) {
		finish(run, r, NULL, fault);
		return;
	}
	vote = &((const struct res_memory_vote *)res)->vote;
	if (run->cast || vote->convened || vote->has_closed_at)
		finish(run, 0, vote, NULL);
	else
		convene(run, vote);
}

static void look(struct vote_run *run)
{
	struct msg_memory_vote msg = {.id = wire_s(run->id)};
	int r = api_ask(run->api, run->api->cfg.memory, MSG_memory_vote, &msg, left_ms(run), on_vote, run);

	if (r < 0)
		fail(run, r);
}

static void on_open(void *arg, int r, const void *res, const struct tr_fault *fault)
{
	const struct res_memory_vote_open *open = res;
	struct vote_run *run = arg;

	if (r < 0) {
		finish(run, r, NULL, fault);
		return;
	}
	api_archive_answered(run->api);
	tr_copy(run->id, sizeof(run->id), open->vote_id.p, open->vote_id.n);
	run->created = open->created;
	look(run);
}

int vote_start(struct api *api, const struct msg_memory_vote_open *msg, uint32_t timeout_ms, vote_done *done, void *arg)
{
	struct vote_run *run = run_new(api, timeout_ms, done, arg);
	int r;

	if (run == NULL)
		return TR_ENOMEM;
	r = api_ask(api, api->cfg.memory, MSG_memory_vote_open, msg, timeout_ms, on_open, run);
	if (r < 0)
		run_free(run);
	return r;
}

/* ---- votes that were left in the middle ---- */
static bool is_run(const struct api *api, wire_str id)
{
	const struct vote_run *run;

	for (run = api->runs; run != NULL; run = run->next) {
		if (strlen(run->id) == id.n && memcmp(run->id, id.p, id.n) == 0)
			return true;
	}
	return false;
}

static void on_left(void *arg, int r, const void *res, const struct tr_fault *fault)
{
	const struct list_vote_line *votes = r < 0 ? NULL : &((const struct res_memory_votes *)res)->votes;
	struct api *api = arg;
	struct vote_run *run;
	uint32_t i;

	(void)fault;
	if ((r < 0 && r != TR_ECLOSED) || (r == 0 && votes->n == RESUME_VOTES))
		arm(api, AGAIN_MS);
	for (i = 0; votes != NULL && !api->draining && i < votes->n; i++) {
		if (is_run(api, votes->v[i].vote_id))
			continue;
		if ((run = run_new(api, api->cfg.request_timeout_ms, NULL, NULL)) == NULL) {
			arm(api, AGAIN_MS);
			return;
		}
		tr_copy(run->id, sizeof(run->id), votes->v[i].vote_id.p, votes->v[i].vote_id.n);
		log_info("a vote that was left in the middle is convened anew");
		look(run);
	}
}

static void on_resume(void *arg)
{
	struct msg_memory_votes msg = {
		.has_limit = true, .limit = RESUME_VOTES, .has_unconvened = true, .unconvened = true};
	struct api *api = arg;

	loop_timer_free(&api->resume);
	if (!api->draining &&
	    api_ask(api, api->cfg.memory, MSG_memory_votes, &msg, api->cfg.request_timeout_ms, on_left, api) < 0)
		arm(api, AGAIN_MS);
}

static void arm(struct api *api, uint32_t ms)
{
	if (api->draining || api->resume != NULL || loop_timer_new(&api->resume, api->cfg.loop, on_resume, api) < 0)
		return;
	(void)loop_timer_start(api->resume, ms, 0);
}

void vote_lead(struct api *api)
{
	arm(api, RESUME_MS);
}
