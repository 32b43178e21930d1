#include "jrs/memory/work.h"
#include "common/base/clock.h"
#include "common/base/text.h"
#include "common/log/log.h"
#include "common/loop/loop.h"
#include "jrs/memory/work_inside.h"
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define LEASE_MS 60000u /* without a word from whoever wants it, a work is given up */
#define LOST_MS  3000u  /* the same, when somebody else wants to begin */
#define LOOK_MS  1000u

static const char *const kind_names[] = {"backup", "verify", "restore", "undo"};

/* ---- what is told ---- */

void work_describe(const struct work_job *j, struct item_work *out)
{
	const char *phase = j->watch.phase, *name = strrchr(j->service, '/');

	name = name == NULL ? "" : name + 1;
	*out = (struct item_work){.work = wire_s(j->id),
				  .kind = wire_s(kind_names[j->kind]),
				  .phase = wire_s(j->finished ? "done" : phase),
				  .done = j->watch.done,
				  .total = j->watch.total,
				  .finished = j->finished,
				  .ok = j->finished && j->r == 0};
	out->has_dump = j->turn && !j->go && !j->finished;
	out->dump = (struct item_dump){.service = wire_s(name),
				       .has_snapshot = j->snapshot[0] != '\0',
				       .snapshot = wire_s(j->snapshot),
				       .server = j->server};
	if (!j->finished)
		return;
	out->has_backup = j->has_backup;
	out->backup = j->backup.item;
	out->has_kept = j->kept[0] != '\0';
	out->kept = wire_s(j->kept);
	out->has_reason = j->r < 0;
	out->reason = wire_s(j->reason);
}

/* The answer of all four has the same one field. */
static void reply(struct chan_call *call, const struct item_work *item)
{
	const struct res_memory_work res = {.work = *item};

	_Static_assert(sizeof(res) == sizeof(struct res_memory_backup) &&
			       sizeof(res) == sizeof(struct res_memory_verify) &&
			       sizeof(res) == sizeof(struct res_memory_switch),
		       "one answer fits all four");
	chan_reply(call, &res);
}

static void tell(struct work_job *j, struct chan_call *call)
{
	struct item_work item;

	work_describe(j, &item);
	reply(call, &item);
}

/* ---- the life of a job ---- */

/* Its thread has ended and was seen to. */
static bool at_rest(const struct work_job *j)
{
	return j->finished || j->ready;
}

static void finish(struct work_job *j)
{
	j->finished = true;
	if (j->r < 0)
		snprintf(j->reason, sizeof(j->reason), "%s%s%s", j->fault.field, j->fault.field[0] == '\0' ? "" : " ",
			 j->fault.rule);
}

/* Nobody wants it any more; its thread has ended. */
static void drop(struct work *w)
{
	struct work_job *j = w->job;
	char part[WORK_PATH];

	if (j == NULL)
		return;
	w->job = NULL;
	work_part(j, part);
	(void)unlink(part);
	(void)unlink(j->service);
	if (j->part_fd >= 0)
		close(j->part_fd);
	free(j);
	loop_timer_stop(w->lease);
}

static void on_end(uv_async_t *async)
{
	struct work *w = async->data;
	struct work_job *j = w == NULL ? NULL : w->job;

	if (j == NULL || at_rest(j) || !j->ended)
		return;
	pthread_join(j->thread, NULL);
	if (j->r == 0 && j->watch.stop)
		j->r = tr_fault_set(&j->fault, TR_ECLOSED, "", "given up");
	if (j->r < 0)
		log_warn("work: %s failed reason=\"%s %s\"", kind_names[j->kind], j->fault.field, j->fault.rule);
	else
		log_info("work: %s ready memories=%" PRIu64, kind_names[j->kind], j->backup.item.memories);
	if (j->r == 0 && (j->kind == WORK_RESTORE || j->kind == WORK_UNDO)) {
		j->ready = true;
		j->watch.phase = "ready";
		return;
	}
	finish(j);
}

/* Whoever asked for it is still there and wants it. From here on there is no way back but --undo. */
static void carry_out(struct work *w)
{
	w->due = true; /* not finished yet: the next life tells the end */
	w->job->watch.phase = "switching";
	jr_leave(w->jr, "restore");
}

static void look_after(void *arg)
{
	struct work *w = arg;
	struct work_job *j = w->job;

	if (j == NULL || w->due || tr_mono_ms() - j->heard_ms < LEASE_MS)
		return;
	log_info("work: %s given up, nobody asks for it", kind_names[j->kind]);
	if (at_rest(j))
		drop(w);
	else
		j->watch.stop = true;
}

static bool is_id(wire_str s)
{
	for (uint32_t i = 0; i < s.n; i++)
		if (strchr("0123456789abcdef-", s.p[i]) == NULL || s.p[i] == '\0')
			return false;
	return s.n == WORK_ID - 1;
}

/* May a work begin? Else the call has been answered. */
static bool may_begin(struct work *w, struct chan_call *call, wire_str id)
{
	struct work_job *j = w->job;

	if (!is_id(id)) {
		chan_failf(call, TR_EINVAL, "work", "must be a UUID in lower case");
		return false;
	}
	if (w->stopped) {
		chan_failf(call, TR_ECLOSED, "", "%s", tr_strerror(TR_ECLOSED));
		return false;
	}
	if (j == NULL)
		return true;
	if (strlen(j->id) == id.n && memcmp(j->id, id.p, id.n) == 0) { /* sent again */
		tell(j, call);
		return false;
	}
	if (!w->due && tr_mono_ms() - j->heard_ms >= LOST_MS) {
		if (at_rest(j)) {
			drop(w);
			return true;
		}
		j->watch.stop = true;
	}
	chan_failf(call, TR_EBUSY, "", "another %s is under way",
		   j->kind == WORK_VERIFY ? "verification" : kind_names[j->kind]);
	return false;
}

/* False: the call has been answered. Else w->job is made, and start() is to follow. */
static bool begin(struct work *w, struct chan_call *call, enum work_kind kind, wire_str id, const struct backup *want)
{
	struct work_job *j;

	if (!may_begin(w, call, id))
		return false;
	if ((j = calloc(1, sizeof(*j))) == NULL) {
		chan_failf(call, TR_ENOMEM, "", "%s", tr_strerror(TR_ENOMEM));
		return false;
	}
	j->work = w;
	j->kind = kind;
	j->part_fd = -1;
	j->watch.phase = "starting";
	j->heard_ms = tr_mono_ms();
	tr_copy(j->id, sizeof(j->id), id.p, id.n);
	if ((j->has_backup = want != NULL))
		backup_copy(&j->backup, want);
	work_service(j, j->service);
	work_sweep(w, j->id);
	w->job = j;
	return true;
}

static void start(struct work *w, struct chan_call *call, enum backup_kind kind)
{
	struct work_job *j = w->job;

	if (j->kind == WORK_BACKUP)
		j->backup.kind = kind;
	if (pthread_create(&j->thread, NULL, work_run, j) != 0) {
		drop(w);
		chan_failf(call, TR_ENOMEM, "", "no thread for it");
		return;
	}
	(void)loop_timer_start(w->lease, LOOK_MS, LOOK_MS);
	log_info("work: %s begins", kind_names[j->kind]);
	tell(j, call);
}

/* ---- messages ---- */

void work_backup(struct work *w, struct chan_call *call, const struct msg_memory_backup *m)
{
	bool sql = m->has_sql && m->sql;

	if (sql && w->conninfo == NULL)
		chan_failf(call, TR_EUNSUPPORTED, "sql",
			   "is for an archive in PostgreSQL; this one is an SQLite file, and so is its backup "
			   "(tribectl export writes text)");
	else if (begin(w, call, WORK_BACKUP, m->work, NULL))
		start(w, call, sql ? BACKUP_SQL : BACKUP_DUMP);
}

/* Backups of one database are not restored into the other; an export goes into both. */
static bool suits(const struct work *w, struct chan_call *call, const struct item_backup *item, bool has,
		  struct backup *want)
{
	struct tr_fault fault = {0};

	if (!has && w->conninfo == NULL)
		return true; /* the file says it */
	if (has && backup_take(want, item, &fault) < 0)
		chan_fail(call, &fault);
	else if (w->conninfo == NULL && want->kind != BACKUP_SQLITE)
		chan_failf(call, TR_EUNSUPPORTED, "kind",
			   "is a backup of PostgreSQL; this archive is an SQLite file (export and import lead from one "
			   "to the other)");
	else if (w->conninfo != NULL && (!has || want->kind == BACKUP_SQLITE))
		chan_failf(call, TR_EUNSUPPORTED, "kind",
			   "is a backup of SQLite; this archive is in PostgreSQL (export and import lead from one to "
			   "the other)");
	else
		return true;
	return false;
}

static void on_verify(void *arg, struct chan_call *call, const void *msg)
{
	const struct msg_memory_verify *m = msg;
	struct backup want;

	if (suits(arg, call, &m->backup, m->has_backup, &want) &&
	    begin(arg, call, WORK_VERIFY, m->work, m->has_backup ? &want : NULL))
		start(arg, call, BACKUP_SQLITE);
}

static void on_switch(void *arg, struct chan_call *call, const void *msg)
{
	const struct msg_memory_switch *m = msg;
	bool undo = m->has_undo && m->undo;
	struct backup want;

	if ((undo || suits(arg, call, &m->backup, m->has_backup, &want)) &&
	    begin(arg, call, undo ? WORK_UNDO : WORK_RESTORE, m->work, !undo && m->has_backup ? &want : NULL))
		start(arg, call, BACKUP_SQLITE);
}

static void tell_last(void *arg, const struct item_work *item)
{
	reply(arg, item);
}

static void on_work(void *arg, struct chan_call *call, const void *msg)
{
	const struct msg_memory_work *m = msg;
	bool end = m->has_end && m->end; /* the message goes with its answer */
	struct work *w = arg;
	struct work_job *j = w->job;

	if (j == NULL || m->work.n != strlen(j->id) || memcmp(j->id, m->work.p, m->work.n) != 0) {
		if (work_last_read(w, m->work, tell_last, call) != 1)
			chan_failf(call, TR_ENOTFOUND, "work",
				   "is not known: memory-jr was replaced meanwhile, or it was given up");
		return;
	}
	j->heard_ms = tr_mono_ms();
	if (m->has_go_on && m->go_on)
		j->go = true;
	if (j->go && j->ready && !w->due)
		carry_out(w);
	if (end && !w->due)
		j->watch.stop = true;
	tell(j, call);
	if (end && at_rest(j) && !w->due)
		drop(w);
}

/* ---- coming and going ---- */

int work_new(struct work **out, const struct work_cfg *cfg)
{
	struct work *w = calloc(1, sizeof(*w));
	int r = TR_ENOMEM;

	if (w == NULL)
		return r;
	w->jr = cfg->jr;
	w->state = jr_options(cfg->jr)->state;
	w->numbered = cfg->numbered;
	w->conninfo = cfg->conninfo;
	snprintf(w->path, sizeof(w->path), "%s", cfg->path);
	snprintf(w->backups, sizeof(w->backups), "%s/backups", w->state);
	if ((w->async = calloc(1, sizeof(*w->async))) == NULL)
		goto fail;
	if ((r = uv_async_init(jr_loop(cfg->jr), w->async, on_end)) < 0) {
		free(w->async);
		w->async = NULL;
		goto fail;
	}
	w->async->data = w;
	if ((r = loop_timer_new(&w->lease, jr_loop(cfg->jr), look_after, w)) < 0)
		goto fail;
	jr_handle(cfg->jr, MSG_memory_verify, on_verify, w);
	jr_handle(cfg->jr, MSG_memory_switch, on_switch, w);
	jr_handle(cfg->jr, MSG_memory_work, on_work, w);
	*out = w;
	return 0;
fail:
	work_free(&w);
	return r;
}

void work_lead(struct work *w)
{
	if (w->job == NULL) /* else it has swept already, and what is there now may be its own */
		work_sweep(w, "");
}

void work_forgo(struct work *w)
{
	if (w == NULL || !w->due)
		return;
	w->due = false;
	w->job->r =
		tr_fault_set(&w->job->fault, TR_EDEADLINE, "", "given up: memory-jr had to leave before it was done");
	finish(w->job);
	log_error("work: the restored archive was not put in place: %s", w->job->reason);
	if (work_last_write(w->job) < 0)
		log_warn("work: how it ended could not be written down");
}

void work_stop(struct work *w)
{
	if (w == NULL)
		return;
	w->stopped = true;
	if (w->job == NULL || at_rest(w->job))
		return;
	w->job->watch.stop = true;
	pthread_join(w->job->thread, NULL);
	w->job->finished = true;
}

static void free_handle(uv_handle_t *h)
{
	free(h);
}

void work_free(struct work **wp)
{
	struct work *w = wp == NULL ? NULL : *wp;

	if (w == NULL)
		return;
	if (w->due) {
		struct work_job *j = w->job;

		j->r = work_switch(j);
		finish(j);
		if (j->r < 0)
			log_error("work: the restored archive was not put in place: %s", j->reason);
		else
			log_info("work: the restored archive is in place");
		if (work_last_write(j) < 0)
			log_warn("work: how it ended could not be written down");
	}
	drop(w);
	loop_timer_free(&w->lease);
	if (w->async != NULL) {
		w->async->data = NULL;
		uv_close((uv_handle_t *)w->async, free_handle);
	}
	free(w);
	*wp = NULL;
}
