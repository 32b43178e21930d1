/* How integration-jr votes: it asks memory-jr what speaks to the proposal and looks where that comes from. */
#include <stdlib.h>

#include "jrs/integration/inside.h"
#include "jrs/vote/judge.h"

struct ballot {
	struct ballot *next, **link; /* in integration.ballots */
	struct integration *in;
	struct chan_call *call;
	struct ballot_question question; /* borrowed from the call */
	uint32_t token;
};

static void end(struct ballot *b)
{
	*b->link = b->next;
	if (b->next != NULL)
		b->next->link = b->link;
	free(b);
}

static void on_recalled(void *arg, int r, const void *res, const struct tr_fault *fault)
{
	struct ballot *b = arg;
	struct ballot_judged judged;
	struct res_ballot answer;

	if (r < 0) {
		chan_fail(b->call, fault);
	} else {
		judge_integration(&b->question, &((const struct res_memory_recall *)res)->memories, &judged);
		answer = judge_answer(&b->question, &judged);
		chan_reply(b->call, &answer);
	}
	end(b);
}

void integration_ballot(void *arg, struct chan_call *call, const void *msg)
{
	struct integration *in = arg;
	const struct msg_ballot *m = msg;
	uint32_t left = chan_call_left_ms(call);
	struct ballot *b = calloc(1, sizeof *b);
	struct msg_memory_recall ask;
	char q[JUDGE_QUERY_BYTES];
	int r = TR_ENOMEM;

	if (b != NULL) {
		*b = (struct ballot){.next = in->ballots,
				     .link = &in->ballots,
				     .in = in,
				     .call = call,
				     .question = {m->proposal, m->options}};
		judge_query(&b->question, q, &ask);
		left = left == UINT32_MAX ? in->cfg.timeout_ms : left;
		r = left == 0 ? TR_EDEADLINE
			      : peer_call(in->cfg.memory, MSG_memory_recall, &ask, left, on_recalled, b, &b->token);
	}
	if (r < 0) {
		free(b);
		chan_failf(call, r, "", "%s", tr_strerror(r));
		return;
	}
	if (b->next != NULL)
		b->next->link = &b->next;
	in->ballots = b;
}

void integration_ballots_end(struct integration *in)
{
	while (in->ballots != NULL) {
		peer_cancel(in->cfg.memory, in->ballots->token);
		chan_failf(in->ballots->call, TR_ECLOSED, "", "%s", tr_strerror(TR_ECLOSED));
		end(in->ballots);
	}
}
