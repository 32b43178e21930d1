#include "common/base/clock.h"
#include "common/log/log.h"
#include "common/loop/loop.h"
#include "jrs/memory/governor.h"
#include "jrs/memory/memory_inside.h"
#include "jrs/memory/rescue.h"
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

void memory_flush_company(void *arg)
{
	struct memory *m = arg;
	struct entangle_change change;

	if (m->archive == NULL)
		return;

	while (entangle_take(m->entangle, &change))
		archive_entangled(m->archive, &change);
}

/* ---- leaving ---- */

/* Before anybody else can lead: what we know is written, what was restored takes its place. */
static void close_archive(void *arg)
{
	struct memory *m = arg;

	if (m->archive == NULL)
		return;
	rescue_free(&m->rescue);
	votes_stop(m->votes);
	calls_give_up(m);
	if (m->claims && m->entangle != NULL)
		memory_flush_company(m);
	work_stop(m->work);
	archive_close(&m->archive); /* answers what is left */
	work_free(&m->work); /* what was restored takes its place now, while nobody can be alone with the old one */
	opening_end(&m->opening);
	if (m->draining)
		jr_drained(m->jr);
}

/* Not from inside a callback of the archive's. */
void memory_close_if_done(struct memory *m)
{
	if (m->draining && m->pending == 0 && m->close_timer != NULL)
		(void)loop_timer_start(m->close_timer, 0, 0);
}

static void on_drain(void *arg)
{
	struct memory *m = arg;

	m->draining = true;
	memory_close_if_done(m);
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
	calls_follow_phases(arg, answer, MSG_memory_carry_out);
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
	int r;

	if (m->archive == NULL)
		return;
	m->claims = true;
	if ((r = archive_lead(m->archive, m->epoch, on_claimed, m)) < 0 && r != TR_EUNAVAILABLE) /* damaged */
		jr_fatal(m->jr, r);
	calls_go_on(m);
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

	if ((r = loop_timer_new(&m->flush_timer, loop, memory_flush_company, m)) < 0 ||
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
		MSG_memory_acts,         MSG_memory_carry_out,    MSG_memory_sacred};
	struct memory *m = calloc(1, sizeof(*m));
	struct archive_stats stats;
	struct work_cfg work;
	size_t i;
	int r = TR_ENOMEM;

	if (m == NULL)
		return r;
	m->jr = jr;
	m->held_end = &m->held;
	m->opening = (struct opening){.lock_fd = -1, .dir_fd = -1, .told_to_leave = told_to_leave, .arg = m};
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
		jr_handle(jr, served[i], calls_take, m);
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
