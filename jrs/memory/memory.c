#include "jrs/memory/memory.h"
#include "common/base/clock.h"
#include "common/log/log.h"
#include "common/loop/loop.h"
#include "jrs/memory/governor.h"
#include "jrs/memory/opening.h"
#include "jrs/memory/rescue.h"
#include "jrs/memory/tell.h"
#include "jrs/memory/thermal/touch.h"
#include "jrs/memory/votes.h"
#include "jrs/memory/warm.h"
#include "jrs/memory/work.h"
#include <stdlib.h>
#include <string.h>

#define TOUCHES        65536u /* touches of the last hour that are remembered: 1 MiB */
#define ENTANGLED      32768u /* memories whose company is followed at once: at most 14 MiB */
#define FLUSH_MS       60000u /* pair counts and phase coherence go to the archive so often */
#define FIGURES_MS     1000u  /* the heartbeat's figures are renewed at most so often ... */
#define FIGURES_SHARE  20u    /* ... and never so that it takes more than this part of the reader's time */
#define FIGURES_OLD_MS 30000u /* without any change: time alone cools */
#define HEAT_MAP_MS    600000u
#define FOLLOW_SHARE   50u     /* who waits to lead looks at others' commits for at most this part of the time */
#define WARM_FIRST     10u     /* so many questions whatever happens, then one when something was committed */
#define RESCUE_MS      600000u /* a rescue that failed, or may not be yet, is looked at again */
#define MOVED          "another archive is in place"
#define CLAIM_LATE_MS  1u /* the archive is claimed so long behind the lead: the first reads have the processors */

struct memory {
	struct jr *jr;
	struct archive *archive;
	struct work *work;
	struct votes *votes;
	struct opening opening;
	/* NULL archive: it is closed, we leave */
	bool leads, claims, draining; /* claims: or has claimed */
	uint64_t epoch, lead_ns;
	struct loop_timer *claim_timer;
	struct pending *held, **held_end; /* calls that wait until the claim was asked for, in order */
	unsigned pending;                 /* calls of others that are not answered */
	struct loop_timer *close_timer;
	/* while we wait to lead */
	bool refreshing;
	uint64_t refresh_ms, refresh_cost_ms, followed_changes;
	struct warm *warm;
	unsigned warmed;
	struct entangle *entangle;
	struct touch_table *touches;
	struct loop_timer *flush_timer, *figures_timer;
	/* damage */
	struct rescue *rescue; /* not NULL: under way */
	uint64_t rescue_ms;    /* when it was last thought about; 0: never */
	struct governor *governor;
	/* figures for the heartbeat */
	msgpack_zone *zone; /* not NULL: being asked for */
	struct msg_memory_thermal figures_msg;
	bool has_entropy;
	double entropy;
	uint64_t asked_ms, cost_ms, asked_changes, heat_map_ms;
};

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
static void follow_phases(struct memory *m, const struct archive_answer *answer, enum wire_msg_id id)
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

static void end_pending(struct pending *p);

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
		follow_phases(p->m, answer, chan_call_id(p->call));
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

static void flush_company(void *arg)
{
	struct memory *m = arg;
	struct entangle_change change;

	if (m->archive == NULL)
		return;

	while (entangle_take(m->entangle, &change))
		archive_entangled(m->archive, &change);
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
	       id == MSG_memory_token_keys;
}

static void proceed(struct pending *p)
{
	struct memory *m = p->m;
	int r;

	if (copies(p))
		flush_company(m);
	if (!copies(p) || (r = archive_settle(m->archive, on_settled, p)) < 0)
		r = pass_on(p);
	if (r < 0) {
		fail(m, p->call, r, NULL);
		end_pending(p);
	}
}

static void on_call(void *arg, struct chan_call *call, const void *msg)
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

/* ---- leaving ---- */

/* Before anybody else can lead: what we know is written, what was restored takes its place. */
static void close_archive(void *arg)
{
	struct memory *m = arg;
	struct pending *p;

	if (m->archive == NULL)
		return;
	rescue_free(&m->rescue);
	votes_stop(m->votes);
	while ((p = next_held(m)) != NULL) {
		fail(m, p->call, TR_ECLOSED, NULL);
		end_pending(p);
	}
	if (m->claims && m->entangle != NULL)
		flush_company(m);
	work_stop(m->work);
	archive_close(&m->archive); /* answers what is left */
	work_free(&m->work); /* what was restored takes its place now, while nobody can be alone with the old one */
	opening_end(&m->opening);
	if (m->draining)
		jr_drained(m->jr);
}

/* Not from inside a callback of the archive's. */
static void close_if_done(struct memory *m)
{
	if (m->draining && m->pending == 0 && m->close_timer != NULL)
		(void)loop_timer_start(m->close_timer, 0, 0);
}

static void end_pending(struct pending *p)
{
	p->m->pending--;
	close_if_done(p->m);
	free(p);
}

static void on_drain(void *arg)
{
	struct memory *m = arg;

	m->draining = true;
	close_if_done(m);
}

static bool told_to_leave(void *arg)
{
	return ((const struct memory *)arg)->draining;
}

static void on_figures(void *arg, int r, const struct archive_answer *answer, const struct tr_fault *fault)
{
	struct memory *m = arg;
	uint64_t now_ms = tr_mono_ms();

	(void)fault;
	if (r == 0) {
		const struct res_memory_thermal *res = answer->res;

		m->has_entropy = res->has_thermal_entropy;
		m->entropy = res->thermal_entropy;
		if (res->total_memories > 0 && (m->heat_map_ms == 0 || now_ms - m->heat_map_ms >= HEAT_MAP_MS)) {
			m->heat_map_ms = now_ms;
			archive_heat_map(m->archive, res);
		}
	}
	m->cost_ms = now_ms - m->asked_ms;
	msgpack_zone_free(m->zone);
	m->zone = NULL;
}

static void on_rescued(void *arg, int r, const struct rescue_result *result, const struct tr_fault *fault)
{
	struct memory *m = arg;

	if (r < 0) {
		log_error("archive: salvage failed reason=\"%s\"; it is tried again in %u s", fault->rule,
			  RESCUE_MS / 1000);
	} else {
		log_warn("archive: leaving, to be started again on the sound archive number=%u", result->to);
		jr_leave(m->jr, "the archive was salvaged");
	}
	rescue_free(&m->rescue); /* result and fault go with it */
}

/* A damaged archive: what is undamaged is taken into a fresh one, if that may be. */
static void see_to_damage(struct memory *m, const char *damage)
{
	const struct jr_opts *opts = jr_options(m->jr);
	struct rescue_cfg cfg = {
		.state = opts->state, .path = m->opening.path, .why = damage, .now_ms = tr_wall_ms(), .frozen = true};
	uint64_t now_ms = tr_mono_ms();
	const char *why = "";
	int r;

	if (m->rescue != NULL || (m->rescue_ms != 0 && now_ms - m->rescue_ms < RESCUE_MS))
		return;
	m->rescue_ms = now_ms;
	if (rescue_may(&cfg, opts->cfg.archive_url[0] == '\0', true, &why) != DAMAGE_RESCUE) {
		log_error("archive: damaged, nothing is repaired reason=\"%s\"", why);
		return;
	}
	if ((r = rescue_begin(&m->rescue, jr_loop(m->jr), &cfg, on_rescued, m)) < 0)
		log_error("archive: salvage cannot begin reason=\"%s\"", tr_strerror(r));
}

/* Each second: are the figures of the heartbeat still what they should be? */
static void refresh_figures(void *arg)
{
	struct memory *m = arg;
	uint64_t now_ms = tr_mono_ms(), age = now_ms - m->asked_ms;
	struct archive_stats stats;
	struct archive_ctx ctx;

	archive_stats(m->archive, &stats);
	if (stats.fenced) {
		log_error("another memory-jr has taken over this archive; does a second tribe use it?");
		jr_fatal(m->jr, TR_EREFUSED);
		return;
	}
	if (stats.damage != NULL)
		see_to_damage(m, stats.damage);
	if (m->zone != NULL || age < m->cost_ms * FIGURES_SHARE)
		return;
	if (m->asked_ms != 0 && stats.changes == m->asked_changes && age < FIGURES_OLD_MS)
		return;
	if ((m->zone = msgpack_zone_new(MSGPACK_ZONE_CHUNK_SIZE)) == NULL)
		return;
	m->asked_ms = now_ms;
	m->asked_changes = stats.changes;
	m->figures_msg = (struct msg_memory_thermal){.has_hottest = true, .hottest = 0};
	ctx = (struct archive_ctx){m->zone, 0};
	if (archive_call(m->archive, MSG_memory_thermal, &m->figures_msg, &ctx, on_figures, m) < 0) {
		msgpack_zone_free(m->zone);
		m->zone = NULL;
	}
}

static void fill_beat(void *arg, struct msg_heartbeat *beat)
{
	struct memory *m = arg;
	struct archive_stats stats;

	if (m->archive == NULL)
		return;
	archive_stats(m->archive, &stats);
	beat->has_phase_coherence = entangle_mean(m->entangle, &beat->phase_coherence);
	beat->has_thermal_entropy = m->has_entropy;
	beat->thermal_entropy = m->entropy;
	beat->queue_depth += stats.waiting;
	beat->has_recalls_total = beat->has_archive_healthy = true;
	beat->recalls_total = stats.recalls_total;
	beat->archive_healthy = stats.healthy;
	beat->has_archive_reason = stats.reason != NULL;
	beat->archive_reason = wire_s(stats.reason);
}

static void on_carried(void *arg, const struct archive_answer *answer)
{
	follow_phases(arg, answer, MSG_memory_carry_out);
}

/* ---- waiting to lead ---- */

/* What the lead has made of what is kept here in memory, too. */
static void replay(struct memory *m)
{
	struct archive_stats stats;

	archive_stats(m->archive, &stats);
	entangle_known(m->entangle, stats.phase_known, stats.phase_sum);
	if (stats.changes != m->followed_changes || m->warmed < WARM_FIRST) {
		m->warmed++;
		if (!m->leads)
			warm_ask(m->warm);
	}
	m->followed_changes = stats.changes;
}

static void on_refreshed(void *arg, int r, uint64_t epoch, const struct tr_fault *fault)
{
	struct memory *m = arg;

	(void)fault;
	m->refreshing = false;
	m->refresh_cost_ms = tr_mono_ms() - m->refresh_ms;
	if (r < 0 || m->leads || m->draining)
		return;
	jr_epoch_above(m->jr, epoch); /* a page that began anew must begin above it */
	replay(m);
}

static void follow(struct memory *m)
{
	uint64_t now_ms = tr_mono_ms();

	if (opening_moved(&m->opening)) {
		jr_leave(m->jr, MOVED);
		return;
	}
	if (m->refreshing || now_ms - m->refresh_ms < m->refresh_cost_ms * FOLLOW_SHARE)
		return;
	m->refresh_ms = now_ms;
	m->refreshing = archive_refresh(m->archive, on_refreshed, m) == 0;
}

/* ---- leading ---- */

static void on_claimed(void *arg, int r, uint64_t epoch, const struct tr_fault *fault)
{
	struct memory *m = arg;

	if (r == TR_EREFUSED) {
		log_error("another memory-jr has taken over this archive; does a second tribe use it?");
		jr_fatal(m->jr, r);
	} else if (r < 0) {
		log_warn("the archive is not written reason=\"%s\"", fault->rule);
	} else {
		log_info("archive claimed epoch=%llu after_ms=%.1f", (unsigned long long)epoch,
			 (double)(tr_mono_ns() - m->lead_ns) / 1e6);
		replay(m);
		work_lead(m->work);
		votes_lead(m->votes);
		refresh_figures(m);
	}
}

static void claim(void *arg)
{
	struct memory *m = arg;
	struct pending *p;
	int r;

	if (m->archive == NULL)
		return;
	m->claims = true;
	if ((r = archive_lead(m->archive, m->epoch, on_claimed, m)) < 0 && r != TR_EUNAVAILABLE) /* damaged */
		jr_fatal(m->jr, r);
	while ((p = next_held(m)) != NULL)
		proceed(p);
}

/* Reads are answered from here on; their rows come from the database, and what needs figures waits for the claim, as do
 * writes. What nobody waits for, sweeping and figures, comes behind it. */
static void on_lead(void *arg, uint64_t epoch)
{
	struct memory *m = arg;

	if (opening_moved(&m->opening)) { /* whoever restored or salvaged it leads no more, and we know the old one */
		jr_leave(m->jr, MOVED);
		return;
	}
	m->leads = true;
	m->epoch = epoch;
	m->lead_ns = tr_mono_ns();
	if (loop_timer_start(m->claim_timer, CLAIM_LATE_MS, 0) < 0)
		claim(m);
}

static void each_second(void *arg)
{
	struct memory *m = arg;

	if (m->archive == NULL || m->draining)
		return;
	if (m->claims) {
		refresh_figures(m);
		governor_look(m->governor);
	} else if (!m->leads) {
		follow(m);
	}
}

static int new_timers(struct memory *m)
{
	uv_loop_t *loop = jr_loop(m->jr);
	int r;

	if ((r = loop_timer_new(&m->flush_timer, loop, flush_company, m)) < 0 ||
	    (r = loop_timer_new(&m->figures_timer, loop, each_second, m)) < 0 ||
	    (r = loop_timer_new(&m->close_timer, loop, close_archive, m)) < 0 ||
	    (r = loop_timer_new(&m->claim_timer, loop, claim, m)) < 0 ||
	    (r = loop_timer_start(m->flush_timer, FLUSH_MS, FLUSH_MS)) < 0)
		return r;
	return loop_timer_start(m->figures_timer, FIGURES_MS, FIGURES_MS);
}

int memory_new(struct memory **out, struct jr *jr)
{
	static const enum wire_msg_id served[] = {
		MSG_memory_add,          MSG_memory_get,          MSG_memory_recall,       MSG_memory_thermal,
		MSG_memory_decide,       MSG_memory_patch,        MSG_memory_forget,       MSG_memory_decisions,
		MSG_memory_samples,      MSG_memory_explain,      MSG_memory_export,       MSG_memory_restore,
		MSG_memory_import_begin, MSG_memory_imports,      MSG_memory_import_undo,  MSG_memory_backup,
		MSG_memory_token_create, MSG_memory_token_rotate, MSG_memory_token_revoke, MSG_memory_tokens,
		MSG_memory_token_keys,   MSG_memory_vote_open,    MSG_memory_vote_cast,    MSG_memory_vote_close,
		MSG_memory_vote,         MSG_memory_votes,        MSG_memory_audit,        MSG_memory_govern,
		MSG_memory_acts,         MSG_memory_carry_out};
	struct memory *m = calloc(1, sizeof(*m));
	struct archive_stats stats;
	struct work_cfg work;
	size_t i;
	int r = TR_ENOMEM;

	if (m == NULL)
		return r;
	m->jr = jr;
	m->held_end = &m->held;
	m->opening = (struct opening){.lock_fd = -1, .told_to_leave = told_to_leave, .arg = m};
	jr_on_drain(jr, on_drain, m);
	if ((r = opening_begin(&m->opening, jr_options(jr), jr_loop(jr), &m->archive)) < 0)
		goto fail;
	work = (struct work_cfg){jr, m->opening.path, jr_options(jr)->cfg.archive_url[0] == '\0',
				 m->opening.path[0] == '\0' ? jr_options(jr)->cfg.archive_url : NULL};
	archive_stats(m->archive, &stats);
	if ((r = work_new(&m->work, &work)) < 0 ||
	    (r = entangle_new(&m->entangle, ENTANGLED, stats.phase_known, stats.phase_sum)) < 0 ||
	    (r = touch_new(&m->touches, TOUCHES)) < 0 || (r = warm_new(&m->warm, m->archive)) < 0 ||
	    (r = governor_new(&m->governor, m->archive, on_carried, m)) < 0 ||
	    (r = votes_new(&m->votes, jr, &m->archive)) < 0 || (r = new_timers(m)) < 0)
		goto fail;
	jr_epoch_above(jr, stats.epoch);
	jr_on_lead(jr, on_lead, m);
	follow(m); /* the first question is asked before anybody else's */
	for (i = 0; i < sizeof(served) / sizeof(served[0]); i++)
		jr_handle(jr, served[i], on_call, m);
	jr_on_beat(jr, fill_beat, m);
	*out = m;
	return 0;
fail:
	memory_free(&m);
	return r;
}

void memory_free(struct memory **mp)
{
	struct memory *m = mp == NULL ? NULL : *mp;

	if (m == NULL)
		return;
	loop_timer_free(&m->flush_timer);
	loop_timer_free(&m->figures_timer);
	loop_timer_free(&m->close_timer);
	loop_timer_free(&m->claim_timer);
	rescue_free(&m->rescue);
	m->draining = false;
	if (m->archive != NULL) /* we leave in a hurry: somebody else may lead already */
		work_forgo(m->work);
	close_archive(m);
	work_stop(m->work);
	work_free(&m->work);
	opening_end(&m->opening);
	entangle_free(&m->entangle);
	touch_free(&m->touches);
	warm_free(&m->warm);
	governor_free(&m->governor);
	votes_free(&m->votes);
	free(m);
	*mp = NULL;
}
