/* A call of memory-jr, from the socket to the archive and back, and what an answer leaves behind: touches, company, the
 * recall log. */
#include "common/base/clock.h"
#include "common/log/log.h"
#include "jrs/memory/memory_inside.h"
#include "jrs/memory/tell.h"
#include "jrs/memory/thermal/touch.h"
#include "jrs/memory/votes.h"
#include "jrs/memory/work.h"
#include <stdlib.h>

/* One call between the socket and the archive. */
struct pending {
	struct memory *m;
	struct chan_call *call;
	const void *msg; /* borrowed from call */
	uint64_t began_ns;
	struct pending *next; /* while held */
};

/* What has happened since the last flush is fresher than the row. */
static void show_phases(struct memory *m, const struct archive_answer *answer)
{
	unsigned i;

	for (i = 0; i < answer->nhits; i++) {
		struct item_memory *shown = answer->hits[i].shown;

		if (shown != NULL && entangle_phase(m->entangle, answer->hits[i].memory, &shown->phase_coherence))
			shown->has_phase_coherence = true;
	}
}

static void touch_all(struct memory *m, const struct archive_answer *answer, wire_str toucher, int64_t at_ms)
{
	uint64_t now_ms = tr_mono_ms();
	unsigned i;

	for (i = 0; i < answer->nhits; i++) {
		if (touch_first(m->touches, answer->hits[i].memory, toucher.p, toucher.n, now_ms))
			archive_touch(m->archive, answer->hits[i].memory, at_ms);
	}
}

/* Only a question's answer is an access and counts as a recall; lists, probes (touch=false) and drills leave no trace.
 */
static void after_recall(struct memory *m, const struct pending *p, const struct archive_answer *answer)
{
	const struct msg_memory_recall *msg = p->msg;
	uint64_t us = (tr_mono_ns() - p->began_ns) / 1000;
	struct item_recall_sample log = {tr_wall_ms(), us > UINT32_MAX ? UINT32_MAX : (uint32_t)us, answer->nhits};
	struct entangle_seen *seen;
	unsigned i;

	if (!msg->has_q || msg->q.n == 0 || (msg->has_touch && !msg->touch) ||
	    archive_is_drill(msg->has_source, msg->source))
		return;
	archive_recalled(m->archive, &log);
	touch_all(m, answer, msg->has_toucher ? msg->toucher : wire_s(NULL),
		  log.at); /* the same moment: meta-jr pairs them by it */
	if (answer->nhits < 2 || (seen = calloc(answer->nhits, sizeof(*seen))) == NULL)
		return;
	for (i = 0; i < answer->nhits; i++)
		seen[i] = answer->hits[i].seen;
	if (entangle_recall(m->entangle, seen, answer->nhits) < 0)
		log_warn("company of a recall not noted: out of memory");
	free(seen);
}

static void after_get(struct memory *m, const struct pending *p, const struct archive_answer *answer)
{
	const struct msg_memory_get *msg = p->msg;

	if (!msg->has_touch || msg->touch)
		touch_all(m, answer, msg->has_toucher ? msg->toucher : wire_s(NULL), tr_wall_ms());
}

/* The tribe's phase coherence is that of the memories that are there. */
void calls_follow_phases(struct memory *m, const struct archive_answer *answer, enum wire_msg_id id)
{
	unsigned i;

	for (i = 0; i < answer->nhits; i++) {
		if (id == MSG_memory_restore)
			entangle_join(m->entangle, &answer->hits[i].seen);
		else
			entangle_forget(m->entangle, &answer->hits[i].seen);
	}
}

static void show_mean_phase(struct memory *m, struct res_memory_thermal *res)
{
	res->has_phase_coherence_avg = entangle_mean(m->entangle, &res->phase_coherence_avg);
}

static void show_limits(struct memory *m, struct res_memory_thermal *res)
{
	struct archive_stats stats;
	int64_t now = tr_wall_ms();

	archive_stats(m->archive, &stats);
	res->has_quota_refused_total = true;
	res->quota_refused_total = stats.quota_refused;
	res->has_purge_due_s = stats.purge_due_ms != 0;
	res->purge_due_s = now > stats.purge_due_ms ? (uint64_t)(now - stats.purge_due_ms) / 1000 : 0;
}

static void fail(struct memory *m, struct chan_call *call, int r, const struct tr_fault *fault)
{
	struct archive_stats stats;

	archive_stats(m->archive, &stats);
	if (r == TR_EUNAVAILABLE && stats.reason != NULL)
		chan_failf(call, r, "", "the archive: %s", stats.reason);
	else if (fault != NULL)
		chan_fail(call, fault);
	else
		chan_failf(call, r, "", "%s", tr_strerror(r));
}

static void end_pending(struct pending *p)
{
	p->m->pending--;
	memory_close_if_done(p->m);
	free(p);
}

static void on_told(void *arg)
{
	end_pending(arg);
}

static void on_answer(void *arg, int r, const struct archive_answer *answer, const struct tr_fault *fault)
{
	struct pending *p = arg;

	if (r < 0) {
		fail(p->m, p->call, r, fault);
		end_pending(p);
		return;
	}
	switch (chan_call_id(p->call)) {
	case MSG_memory_recall:
		after_recall(p->m, p, answer);
		break;
	case MSG_memory_get:
		after_get(p->m, p, answer);
		break;
	case MSG_memory_thermal:
		if (chan_call_common(p->call)->has_only_source) /* what was counted is of one source */
			break;
		show_mean_phase(p->m, answer->res);
		show_limits(p->m, answer->res);
		break;
	case MSG_memory_forget:
	case MSG_memory_restore:
	case MSG_memory_import_undo:
	case MSG_memory_carry_out:
		calls_follow_phases(p->m, answer, chan_call_id(p->call));
		break;
	default:
		break;
	}
	votes_answered(p->m->votes, chan_call_id(p->call), answer);
	show_phases(p->m, answer);
	if (told_of(chan_call_id(p->call))) {
		tell(p->m->jr, p->call, answer->res, on_told, p);
		return;
	}
	chan_reply(p->call, answer->res);
	end_pending(p);
}

static int pass_on(struct pending *p)
{
	uint32_t left = chan_call_left_ms(p->call);
	struct archive_ctx ctx = {chan_call_zone(p->call), left == UINT32_MAX ? 0 : tr_mono_ms() + left};

	if (chan_call_id(p->call) == MSG_memory_backup) {
		work_backup(p->m->work, p->call, p->msg);
		end_pending(p);
		return 0;
	}
	return archive_call(p->m->archive, chan_call_id(p->call), p->msg, &ctx, on_answer, p);
}

/* An archive that cannot be written has nothing that is not in it yet. */
static void on_settled(void *arg, int r, uint64_t epoch, const struct tr_fault *fault)
{
	struct pending *p = arg;

	(void)epoch;
	if (r == TR_ECLOSED || (r = pass_on(p)) < 0) {
		fail(p->m, p->call, r, r == TR_ECLOSED ? fault : NULL);
		end_pending(p);
	}
}

/* Does it copy the archive? Then what is only in our memory so far goes there before. Later pages of an export go on
 * with what the first one began. */
static bool copies(const struct pending *p)
{
	const struct msg_memory_export *page = p->msg;

	return chan_call_id(p->call) == MSG_memory_backup ||
	       (chan_call_id(p->call) == MSG_memory_export && !page->has_after);
}

/* Needs neither that we have claimed the archive nor figures. */
static bool reads_only(enum wire_msg_id id)
{
	return id == MSG_memory_get || id == MSG_memory_recall || id == MSG_memory_decisions ||
	       id == MSG_memory_explain || id == MSG_memory_vote || id == MSG_memory_votes || id == MSG_memory_tokens ||
	       id == MSG_memory_token_keys || id == MSG_memory_sacred;
}

static void proceed(struct pending *p)
{
	struct memory *m = p->m;
	int r;

	if (copies(p))
		memory_flush_company(m);
	if (!copies(p) || (r = archive_settle(m->archive, on_settled, p)) < 0)
		r = pass_on(p);
	if (r < 0) {
		fail(m, p->call, r, NULL);
		end_pending(p);
	}
}

void calls_take(void *arg, struct chan_call *call, const void *msg)
{
	struct memory *m = arg;
	struct pending *p = m->archive == NULL ? NULL : calloc(1, sizeof(*p));
	int r = m->archive == NULL ? TR_ECLOSED : TR_ENOMEM;

	if (p == NULL) {
		chan_failf(call, r, "", "%s", tr_strerror(r));
		return;
	}
	*p = (struct pending){m, call, msg, tr_mono_ns(), NULL};
	m->pending++;
	if (m->claims || reads_only(chan_call_id(call))) {
		proceed(p);
		return;
	}
	*m->held_end = p;
	m->held_end = &p->next;
}

static struct pending *next_held(struct memory *m)
{
	struct pending *p = m->held;

	if (p != NULL && (m->held = p->next) == NULL)
		m->held_end = &m->held;
	return p;
}

void calls_go_on(struct memory *m)
{
	struct pending *p;

	while ((p = next_held(m)) != NULL)
		proceed(p);
}

void calls_give_up(struct memory *m)
{
	struct pending *p;

	while ((p = next_held(m)) != NULL) {
		fail(m, p->call, TR_ECLOSED, NULL);
		end_pending(p);
	}
}
