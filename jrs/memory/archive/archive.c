#include "common/base/clock.h"
#include "common/log/log.h"
#include "jrs/memory/archive/internal.h"
#include "jrs/memory/archive/schema.h"
#include <assert.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define MAX_WAITING 4096

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

bool archive_is_drill(bool has_source, wire_str source)
{
	return has_source && source.n >= strlen(ARCHIVE_DRILL_PREFIX) &&
	       memcmp(source.p, ARCHIVE_DRILL_PREFIX, strlen(ARCHIVE_DRILL_PREFIX)) == 0;
}

/* Which lane serves which message. */
static bool lane_of(struct archive *a, enum wire_msg_id id, struct lane **out)
{
	switch (id) {
	case MSG_memory_add:
	case MSG_memory_decide:
	case MSG_memory_patch:
	case MSG_memory_forget:
	case MSG_memory_restore:
	case MSG_memory_import_begin:
	case MSG_memory_import_undo:
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
		*out = &a->reader;
		return true;
	default:
		return false;
	}
}

int archive_call(struct archive *a, enum wire_msg_id id, const void *msg, const struct archive_ctx *ctx, archive_cb *cb,
		 void *arg)
{
	struct lane *lane;
	struct job *j;
	int r = 0;

	if (!lane_of(a, id, &lane))
		return TR_EMETHOD;
	if ((j = calloc(1, sizeof(*j))) == NULL)
		return TR_ENOMEM;
	*j = (struct job){.id = id, .msg = msg, .ctx = *ctx, .cb = cb, .arg = arg};
	pthread_mutex_lock(&lane->lock);
	if (lane->waiting.n >= a->max_waiting || lane->stop) {
		r = TR_EBUSY;
	} else {
		jobs_put(&lane->waiting, j);
		a->unanswered++;
		pthread_cond_signal(&lane->wake);
	}
	pthread_mutex_unlock(&lane->lock);
	if (r < 0)
		free(j);
	return r;
}

void archive_finish(struct archive *a, struct job *j)
{
	pthread_mutex_lock(&a->done_lock);
	jobs_put(&a->done, j);
	pthread_mutex_unlock(&a->done_lock);
	uv_async_send(a->async);
}

/* On the loop: tell everybody whose answer is there. */
static void tell(struct archive *a)
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
		j->cb(j->arg, j->r, j->r < 0 ? NULL : &j->answer, j->r < 0 ? &j->fault : NULL);
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

static int lane_start(struct archive *a, struct lane *lane, void *(*fn)(void *))
{
	if (pthread_create(&lane->thread, NULL, fn, a) != 0)
		return TR_ENOMEM;
	lane->started = true;
	return 0;
}

static void lane_stop(struct lane *lane)
{
	pthread_mutex_lock(&lane->lock);
	lane->stop = true;
	pthread_cond_signal(&lane->wake);
	pthread_mutex_unlock(&lane->lock);
	if (lane->started)
		pthread_join(lane->thread, NULL);
	lane->started = false;
}

static int progress(void *arg)
{
	const struct archive *a = arg;

	return a->reading != NULL && (job_late(a->reading) || a->closing);
}

static int open_file(struct archive *a, const struct archive_cfg *cfg, struct tr_fault *fault)
{
	int fd, r;

	if ((r = schema_check_file(cfg->path, fault)) < 0)
		return r;
	if ((fd = open(cfg->path, O_RDWR | O_CREAT | O_CLOEXEC, 0600)) >= 0)
		close(fd);
	if ((r = db_open(&a->wdb, cfg->path, true, fault)) < 0 || (r = schema_make_ours(a->wdb.h, fault)) < 0)
		return r;
	if (sqlite3_exec(a->wdb.h, "PRAGMA journal_mode = WAL", NULL, NULL, NULL) != SQLITE_OK)
		return tr_fault_set(fault, TR_ESTORE, "archive.url", "cannot be read (%s)",
				    sqlite3_errstr(sqlite3_extended_errcode(a->wdb.h)));
	if ((r = schema_migrate(a->wdb.h, a->wall_ms(), fault)) < 0 || (r = db_prepare(&a->wdb, DB_W, fault)) < 0 ||
	    (r = db_open(&a->rdb, cfg->path, false, fault)) < 0 || (r = explain_register(&a->rdb, fault)) < 0 ||
	    (r = db_prepare(&a->rdb, DB_R, fault)) < 0 || (r = db_open(&a->kdb, cfg->path, false, fault)) < 0)
		return r;
	/* What is forgotten is overwritten in its page, and pages that get free hold nothing. */
	sqlite3_exec(a->wdb.h, "PRAGMA secure_delete = ON", NULL, NULL, NULL);
	sqlite3_exec(a->rdb.h, "PRAGMA cache_size = -8000; PRAGMA query_only = ON", NULL, NULL, NULL);
	sqlite3_exec(a->kdb.h, "PRAGMA cache_size = -256", NULL, NULL, NULL);
	sqlite3_busy_timeout(a->kdb.h, 0);
	sqlite3_progress_handler(a->rdb.h, 1000, progress, a);
	return 0;
}

static int load_model(struct archive *a, struct tr_fault *fault)
{
	static const struct {
		const char *key;
		size_t offset;
	} all[] = {
#define X(member, key, first) {key, offsetof(struct thermal_model, member)},
		THERMAL_SETTINGS(X)
#undef X
#define X(id, name, key, from) {key, offsetof(struct thermal_model, stage_from) + sizeof(double) * THERMAL_##id},
			THERMAL_STAGES(X)
#undef X
	};
	size_t i;

	for (i = 0; i < sizeof(all) / sizeof(all[0]); i++) {
		struct query q = q_begin(&a->rdb, SQL_SETTING);
		double *to = (double *)(void *)((char *)&a->model + all[i].offset);
		int r;

		q_text(&q, all[i].key, strlen(all[i].key));
		if ((r = q_row(&q)) == 1)
			*to = sqlite3_column_double(q.st, 0);
		q_end(&q);
		if (r != 1)
			return tr_fault_set(fault, TR_ESTORE, "archive.url", "lacks the setting %s", all[i].key);
	}
	if (!thermal_ok(&a->model))
		return tr_fault_set(fault, TR_ESTORE, "archive.url", "has thermal settings that make no sense");
	return 0;
}

static int load_counters(struct archive *a, uint64_t epoch)
{
	struct query q = q_begin(&a->rdb, SQL_COUNTER);
	int r;

	q_text(&q, "recalls_total", strlen("recalls_total"));
	if ((r = q_row(&q)) == 1)
		a->recalls_total = (uint64_t)sqlite3_column_int64(q.st, 0);
	q_end(&q);
	if (r < 0 || epoch == 0)
		return r < 0 ? r : 0;
	q = q_begin(&a->wdb, SQL_EPOCH);
	q_text(&q, "memory", strlen("memory"));
	q_i64(&q, (int64_t)epoch);
	q_i64(&q, a->wall_ms());
	return q_run(&q);
}

static void take_down(struct archive *a)
{
	struct job *j;

	a->closing = true;
	lane_stop(&a->reader);
	lane_stop(&a->writer);
	lane_stop(&a->keeper);
	while ((j = jobs_take(&a->reader.waiting)) != NULL || (j = jobs_take(&a->writer.waiting)) != NULL) {
		j->r = TR_ECLOSED;
		archive_finish(a, j);
	}
	tell(a);
	db_close(&a->kdb);
	db_close(&a->rdb);
	db_close(&a->wdb); /* the last one checkpoints */
	notes_free(&a->notes);
	notes_free(&a->taken);
	free(a->heat.v);
	if (a->async != NULL)
		uv_close((uv_handle_t *)a->async, free_handle);
	pthread_mutex_destroy(&a->hist_lock);
	pthread_mutex_destroy(&a->done_lock);
	free(a);
}

int archive_open(struct archive **out, const struct archive_cfg *cfg, struct tr_fault *fault)
{
	struct archive *a = calloc(1, sizeof(*a));
	int r = TR_ENOMEM;

	if (a == NULL)
		return tr_fault_set(fault, r, "", "%s", tr_strerror(r));
	a->max_waiting = cfg->max_waiting == 0 ? MAX_WAITING : cfg->max_waiting;
	a->wall_ms = cfg->wall_ms == NULL ? tr_wall_ms : cfg->wall_ms;
	a->healthy = true;
	pthread_mutex_init(&a->hist_lock, NULL);
	pthread_mutex_init(&a->done_lock, NULL);
	if (lane_init(&a->writer) < 0 || lane_init(&a->reader) < 0 || lane_init(&a->keeper) < 0)
		goto fail;
	if ((a->async = calloc(1, sizeof(*a->async))) == NULL)
		goto fail;
	if ((r = uv_async_init(cfg->loop, a->async, on_async)) < 0) {
		free(a->async);
		a->async = NULL;
		goto fail;
	}
	a->async->data = a;
	if ((r = open_file(a, cfg, fault)) < 0 || (r = load_model(a, fault)) < 0)
		goto fail;
	if ((r = load_counters(a, cfg->epoch)) < 0 || (r = figures_rebuild(a)) < 0) {
		tr_fault_set(fault, r, "archive.url", "cannot be read (%s)",
			     sqlite3_errstr(a->rdb.rc != 0 ? a->rdb.rc : a->wdb.rc));
		goto fail;
	}
	/* Sound: from now on the last one to leave may tidy up the log. */
	sqlite3_db_config(a->wdb.h, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 0, NULL);
	if ((r = lane_start(a, &a->writer, writer_main)) < 0 || (r = lane_start(a, &a->reader, reader_main)) < 0 ||
	    (r = lane_start(a, &a->keeper, keeper_main)) < 0)
		goto fail;
	*out = a;
	return 0;
fail:
	if (fault != NULL && fault->code != r)
		tr_fault_set(fault, r, "", "%s", tr_strerror(r));
	take_down(a);
	return r;
}

void archive_close(struct archive **a)
{
	if (a == NULL || *a == NULL)
		return;
	take_down(*a);
	*a = NULL;
}

void archive_stats(struct archive *a, struct archive_stats *out)
{
	*out = (struct archive_stats){
		.healthy = a->healthy,
		.recalls_total = a->recalls_total,
		.changes = a->changes,
		.commits = a->commits,
		.committed_calls = a->committed_calls,
		.notes_dropped = a->notes_dropped,
		.phase_known = a->phase_known,
		.phase_sum = a->phase_sum,
		.waiting = a->unanswered,
	};
}

struct tr_library archive_library(void)
{
	return (struct tr_library){"SQLite", sqlite3_libversion()};
}

const struct thermal_model *archive_model(const struct archive *a)
{
	return &a->model;
}
