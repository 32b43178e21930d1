#include "common/base/clock.h"
#include "common/log/log.h"
#include "jrs/memory/archive/ahead.h"
#include "jrs/memory/archive/purge.h"
#include "jrs/memory/archive/quota.h"
#include "jrs/memory/archive/space.h"
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define MAX_WAITING   4096
#define AWAY_EARLY_MS 100u /* so long before its deadline a caller is told that the server is away */

void jobs_put(struct jobs *q, struct job *j)
{
	j->next = NULL;
	if (q->tail == NULL)
		q->head = j;
	else
		q->tail->next = j;
	q->tail = j;
	q->n++;
}

struct job *jobs_take(struct jobs *q)
{
	struct job *j = q->head;

	if (j == NULL)
		return NULL;
	q->head = j->next;
	if (q->head == NULL)
		q->tail = NULL;
	q->n--;
	j->next = NULL;
	return j;
}

void jobs_move(struct jobs *to, struct jobs *from)
{
	if (from->n == 0)
		return;
	if (to->tail == NULL)
		to->head = from->head;
	else
		to->tail->next = from->head;
	to->tail = from->tail;
	to->n += from->n;
	*from = (struct jobs){NULL, NULL, 0};
}

int job_fault(struct job *j, int r, const char *field, const char *rule)
{
	return tr_fault_set(&j->fault, r, field, "%s", rule);
}

void *job_alloc(struct job *j, size_t n)
{
	void *p = msgpack_zone_malloc(j->ctx.zone, n == 0 ? 1 : n);

	if (p != NULL)
		memset(p, 0, n);
	return p;
}

bool job_late(const struct job *j)
{
	return j->ctx.deadline_ms != 0 && tr_mono_ms() >= j->ctx.deadline_ms;
}

bool job_gives_up(const struct job *j)
{
	return j->ctx.deadline_ms != 0 && tr_mono_ms() + AWAY_EARLY_MS >= j->ctx.deadline_ms;
}

/* Which lane serves which message. */
static bool lane_of(struct sql_archive *a, enum wire_msg_id id, struct lane **out)
{
	switch (id) {
	case MSG_memory_add:
	case MSG_memory_decide:
	case MSG_memory_patch:
	case MSG_memory_forget:
	case MSG_memory_restore:
	case MSG_memory_import_begin:
	case MSG_memory_import_undo:
	case MSG_memory_token_create:
	case MSG_memory_token_rotate:
	case MSG_memory_token_revoke:
	case MSG_memory_govern:
	case MSG_memory_carry_out:
	case MSG_memory_vote_open:
	case MSG_memory_vote_cast:
	case MSG_memory_vote_close:
		*out = &a->writer;
		return true;
	case MSG_memory_get:
	case MSG_memory_recall:
	case MSG_memory_thermal:
	case MSG_memory_decisions:
	case MSG_memory_samples:
	case MSG_memory_explain:
	case MSG_memory_export:
	case MSG_memory_imports:
	case MSG_memory_tokens:
	case MSG_memory_token_keys:
	case MSG_memory_acts:
	case MSG_memory_vote:
	case MSG_memory_votes:
	case MSG_memory_sacred:
	case MSG_memory_audit:
		*out = &a->reading;
		return true;
	default:
		return false;
	}
}

int archive_enqueue(struct sql_archive *a, struct lane *lane, struct job *j)
{
	int r = 0;

	pthread_mutex_lock(&lane->lock);
	if (lane->waiting.n >= a->max_waiting || lane->stop) {
		r = TR_EBUSY;
	} else {
		jobs_put(&lane->waiting, j);
		a->unanswered++;
		if (lane->waiting.n >= lane->wanted)
			pthread_cond_signal(&lane->wake);
	}
	pthread_mutex_unlock(&lane->lock);
	return r;
}

static int call(struct archive *door, enum wire_msg_id id, const void *msg, const struct archive_ctx *ctx,
		archive_cb *cb, void *arg)
{
	struct sql_archive *a = (struct sql_archive *)door;
	const struct wire_common *common = msg;
	struct lane *lane;
	struct job *j;
	int r;

	if (!lane_of(a, id, &lane))
		return TR_EMETHOD;
	if (common->has_only_source && !owned_serves(id))
		return TR_EREFUSED;
	if (lane == &a->writer && a->damaged)
		return TR_EUNAVAILABLE;
	if ((j = calloc(1, sizeof(*j))) == NULL)
		return TR_ENOMEM;
	*j = (struct job){.id = id, .msg = msg, .ctx = *ctx, .cb = cb, .arg = arg};
	if (lanes_read_here(a, j))
		return 0;
	if ((r = archive_enqueue(a, lane, j)) < 0)
		free(j);
	return r;
}

void archive_finish(struct sql_archive *a, struct job *j)
{
	pthread_mutex_lock(&a->done_lock);
	jobs_put(&a->done, j);
	pthread_mutex_unlock(&a->done_lock);
	uv_async_send(a->async);
}

void archive_finish_all(struct sql_archive *a, struct jobs *all)
{
	if (all->n == 0)
		return;
	pthread_mutex_lock(&a->done_lock);
	jobs_move(&a->done, all);
	pthread_mutex_unlock(&a->done_lock);
	uv_async_send(a->async);
}

static void answer(struct sql_archive *a, struct job *j)
{
	const struct tr_fault *fault = j->r < 0 ? &j->fault : NULL;

	switch (j->kind) {
	case JOB_TAIL:
		j->tail_cb(j->arg, j->r, j->r < 0 ? NULL : &j->tail, fault);
		free((void *)(uintptr_t)j->tail.v);
		break;
	case JOB_REFRESH:
		j->lead_cb(j->arg, j->r, j->r < 0 ? 0 : j->epoch, fault);
		break;
	case JOB_LEAD:
	case JOB_SETTLE:
		j->lead_cb(j->arg, j->r, j->r < 0 ? 0 : a->epoch, fault);
		break;
	default:
		j->cb(j->arg, j->r, j->r < 0 ? NULL : &j->answer, fault);
	}
}

/* On the loop: tell everybody whose answer is there. */
static void tell(struct sql_archive *a)
{
	struct jobs done;
	struct job *j;

	pthread_mutex_lock(&a->done_lock);
	done = a->done;
	a->done = (struct jobs){NULL, NULL, 0};
	pthread_mutex_unlock(&a->done_lock);
	while ((j = jobs_take(&done)) != NULL) {
		a->unanswered--;
		if (j->r < 0 && j->fault.code != j->r)
			tr_fault_set(&j->fault, j->r, "", "%s", tr_strerror(j->r));
		answer(a, j);
		free(j);
	}
}

static void on_async(uv_async_t *async)
{
	tell(async->data);
}

static void free_handle(uv_handle_t *h)
{
	free(h);
}

static int lane_init(struct lane *lane)
{
	pthread_condattr_t attr;

	if (pthread_mutex_init(&lane->lock, NULL) != 0 || pthread_condattr_init(&attr) != 0)
		return TR_ENOMEM;
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&lane->wake, &attr);
	pthread_condattr_destroy(&attr);
	return 0;
}

static int lane_start(struct lane_thread *t, void *(*fn)(void *), void *arg)
{
	if (pthread_create(&t->thread, NULL, fn, arg) != 0)
		return TR_ENOMEM;
	t->started = true;
	return 0;
}

static void lane_stop(struct lane *lane, struct lane_thread *t)
{
	pthread_mutex_lock(&lane->lock);
	lane->stop = true;
	pthread_cond_broadcast(&lane->wake);
	pthread_mutex_unlock(&lane->lock);
	if (t->started)
		pthread_join(t->thread, NULL);
	t->started = false;
}

static void lane_until(struct lane *lane, uint64_t until_ms)
{
	struct timespec ts = {.tv_sec = (time_t)(until_ms / 1000), .tv_nsec = (long)(until_ms % 1000) * 1000000};

	pthread_cond_timedwait(&lane->wake, &lane->lock, &ts);
}

bool lane_sleep(struct lane *lane, uint64_t ms)
{
	uint64_t until = tr_mono_ms() + ms;
	bool stop;

	pthread_mutex_lock(&lane->lock);
	while (!lane->stop && tr_mono_ms() < until)
		lane_until(lane, until);
	stop = lane->stop;
	pthread_mutex_unlock(&lane->lock);
	return stop;
}

static int load_model(struct sql_archive *a, struct tr_fault *fault)
{
	struct db *db = &a->readers[0].db;
	struct constants c;
	const char *lacks = NULL;
	int r = constants_read(db, &c, &lacks);

	if (r == TR_ESTORE && lacks != NULL)
		return tr_fault_set(fault, r, "archive.url", "lacks the setting %s", lacks);
	if (r < 0)
		return tr_fault_set(fault, r, "archive.url", "cannot be read (%s)", db->reason);
	if (!thermal_ok(&c.model))
		return tr_fault_set(fault, TR_ESTORE, "archive.url", "has thermal settings that make no sense");
	return constants_take(a, &c);
}

static int load_counters(struct sql_archive *a)
{
	struct db *db = &a->readers[0].db;
	struct replay now;
	uint64_t epoch;
	int r;

	if ((r = archive_replay(a, db, &now)) < 0 || (r = archive_role_epoch(db, &epoch)) < 0 ||
	    (r = archive_replayed(a, &now)) < 0)
		return r;
	a->lead_epoch = epoch;
	return 0;
}

static void take_down(struct sql_archive *a)
{
	struct job *j;
	unsigned i;

	a->closing = true;
	for (i = 0; i < READERS; i++)
		lane_stop(&a->reading, &a->readers[i].thread);
	lane_stop(&a->writer, &a->writing);
	lane_stop(&a->keeper, &a->keeping);
	lane_stop(&a->watcher, &a->watching);
	while ((j = jobs_take(&a->reading.waiting)) != NULL || (j = jobs_take(&a->parked)) != NULL ||
	       (j = jobs_take(&a->writer.waiting)) != NULL) {
		j->r = TR_ECLOSED;
		archive_finish(a, j);
	}
	tell(a);
	ahead_free(a); /* its questions are on the writer's connection */
	db_close(&a->kdb);
	for (i = 0; i < READERS; i++)
		db_close(&a->readers[i].db);
	db_close(&a->here.db);
	db_close(&a->wdb); /* the last one checkpoints */
	notes_free(&a->notes);
	notes_free(&a->taken);
	purge_free(a);
	quota_free(a);
	space_free(a);
	constants_free(a);
	guard_free(&a->guard);
	free(a->heat.v);
	free(a->words.v);
	free(a->missed.v);
	free(a->path_copy);
	if (a->async != NULL)
		uv_close((uv_handle_t *)a->async, free_handle);
	pthread_mutex_destroy(&a->hist_lock);
	pthread_mutex_destroy(&a->done_lock);
	pthread_mutex_destroy(&a->moving);
	free(a);
}

static int begin_lanes(struct sql_archive *a, const struct archive_cfg *cfg)
{
	int r = TR_ENOMEM;

	pthread_mutex_init(&a->hist_lock, NULL);
	pthread_mutex_init(&a->done_lock, NULL);
	pthread_mutex_init(&a->moving, NULL);
	if (lane_init(&a->writer) < 0 || lane_init(&a->reading) < 0 || lane_init(&a->keeper) < 0 ||
	    lane_init(&a->watcher) < 0)
		return r;
	if ((a->async = calloc(1, sizeof(*a->async))) == NULL)
		return r;
	if ((r = uv_async_init(cfg->loop, a->async, on_async)) < 0) {
		free(a->async);
		a->async = NULL;
		return r;
	}
	a->async->data = a;
	return 0;
}

/* The database is open: what is read from it before anything else happens. */
static int load(struct sql_archive *a, bool follow, struct tr_fault *fault)
{
	const struct db_driver *driver = a->wdb.driver;
	const struct db *failed = &a->readers[0].db;
	int r;

	if ((r = load_model(a, fault)) < 0)
		return r;
	if ((r = load_counters(a)) == 0 && !follow && !a->damaged &&
	    (driver->claims_late == NULL || !driver->claims_late(a))) {
		failed = &a->wdb;
		r = archive_claim(a);
	}
	if (r < 0)
		return tr_fault_set(fault, r, "archive.url", "cannot be read (%s)", failed->reason);
	figures_begin(a);
	if (driver->opened != NULL)
		driver->opened(a);
	if (driver->proved != NULL)
		driver->proved(a);
	return 0;
}

static int start_threads(struct sql_archive *a)
{
	unsigned i;
	int r = lane_start(&a->writing, writer_main, a);

	for (i = 0; r == 0 && i < READERS; i++)
		r = lane_start(&a->readers[i].thread, reader_main, &a->readers[i]);
	if (r == 0)
		r = lane_start(&a->keeping, keeper_main, a);
	return r == 0 && a->wdb.driver->watch != NULL ? lane_start(&a->watching, watcher_main, a) : r;
}

static void close_door(struct archive *door)
{
	take_down((struct sql_archive *)door);
}

/* NULL: it is well. */
static const char *reason(const struct sql_archive *a)
{
	if (a->fenced)
		return "another lead writes this archive now";
	if (a->away)
		return "the database server does not answer";
	if (a->low)
		return a->no_space;
	if (a->healthy)
		return NULL;
	switch (a->ill) {
	case DB_BUSY:
		return "another program holds the database";
	case DB_STORAGE:
		return "the storage fails: an I/O error, a full disk or no right to write";
	case DB_DAMAGED:
		return "what is stored is damaged";
	case DB_AWAY:
		return "the database server does not answer";
	default:
		return "the last write failed";
	}
}

static void stats(struct archive *door, struct archive_stats *out)
{
	struct sql_archive *a = (struct sql_archive *)door;
	const char *ill = reason(a);

	*out = (struct archive_stats){
		.fenced = a->fenced,
		.healthy = ill == NULL && !a->damaged,
		.reason = a->frozen ? a->damage : ill,
		.damage = a->frozen ? a->damage : NULL,
		.scrubs = a->scrubs,
		.quota_refused = a->quota_refused,
		.purge_due_ms = a->purge_due_ms,
		.act_due_ms = a->act_due_ms,
		.recalls_total = a->recalls_total,
		.changes = a->changes,
		.commits = a->commits,
		.committed_calls = a->committed_calls,
		.notes_dropped = a->notes_dropped,
		.epoch = a->lead_epoch,
		.phase_known = a->phase_known,
		.phase_sum = a->phase_sum,
		.waiting = a->unanswered,
	};
}

static const struct thermal_model *model(const struct archive *door)
{
	return archive_thermal((const struct sql_archive *)door);
}

static const struct archive_ops ops = {
	.call = call,
	.tail = follow_tail,
	.refresh = follow_refresh,
	.lead = follow_lead,
	.settle = follow_settle,
	.touch = note_touch,
	.recalled = note_recalled,
	.entangled = note_entangled,
	.heat_map = note_heat_map,
	.stats = stats,
	.model = model,
	.close = close_door,
};

static void govern_by(struct governance *g, const struct archive_cfg *cfg)
{
	g->has_keys = cfg->governors != NULL;
	if (g->has_keys)
		memcpy(g->key, cfg->governors, sizeof(g->key));
	g->delay_ms = cfg->act_delay_ms;
	g->sacred_quota = cfg->sacred_limited ? cfg->sacred_quota : UINT64_MAX;
}

int sql_archive_open(struct archive **out, const struct db_driver *driver, const struct archive_cfg *cfg,
		     struct tr_fault *fault)
{
	struct sql_archive *a = calloc(1, sizeof(*a));
	int r;

	if (a == NULL)
		return tr_fault_set(fault, TR_ENOMEM, "", "%s", tr_strerror(TR_ENOMEM));
	a->door.ops = &ops;
	a->max_waiting = cfg->max_waiting == 0 ? MAX_WAITING : cfg->max_waiting;
	a->wall_ms = cfg->wall_ms == NULL ? tr_wall_ms : cfg->wall_ms;
	a->wanted_epoch = cfg->epoch;
	a->following = cfg->follow;
	a->policy = cfg->guard;
	a->scrub_first_ms = cfg->scrub_first_ms;
	a->scrub_every_ms = cfg->scrub_every_ms;
	a->scrub_rest_ms = cfg->scrub_rest_ms;
	a->healthy = a->counting = true;
	govern_by(&a->governance, cfg);
	if ((r = begin_lanes(a, cfg)) < 0 || (r = purge_open(a, cfg)) < 0 || (r = quota_open(a, cfg)) < 0 ||
	    (r = space_open(a, cfg)) < 0 || (r = driver->open(a, cfg, fault)) < 0 ||
	    (r = load(a, cfg->follow, fault)) < 0 || (r = start_threads(a)) < 0) {
		if (fault != NULL && fault->code != r)
			tr_fault_set(fault, r, "", "%s", tr_strerror(r));
		if (a->suspicion != 0 && cfg->damaged != NULL)
			*cfg->damaged = true;
		take_down(a);
		return r;
	}
	*out = &a->door;
	return 0;
}
