/* The double's door: a queue that the loop empties. What is in it then is one commit, notes and all. */
#include "common/base/clock.h"
#include "tests/kit/archive_double_inside.h"
#include <stdlib.h>
#include <string.h>

#define MAX_WAITING   4096
#define NOTES_MAX     65536 /* of each kind */
#define NOTES_LATE_MS 200
#define RECALLS_KEPT  10000
#define PARTNERS      ENTANGLE_PARTNERS

static struct dbl *dbl_of(struct archive *a)
{
	return (struct dbl *)(void *)a;
}

/* ---- notes ---- */
static void write_company(struct dbl *d, const struct entangle_change *c)
{
	struct dbl_book *b = d->book;
	struct dbl_row *row = dbl_by_number(b, c->memory);
	struct dbl_list *l = &b->list[PAIRS];

	if (row != NULL && c->compared > 0) {
		row->has_phase = true;
		row->phase = c->phase;
		row->compared = c->compared;
	}
	for (unsigned i = 0; i < c->npartners; i++) {
		const struct entangle_partner *p = &c->partner[i];
		struct dbl_pair *pair = NULL;

		/* one of them may have been forgotten since they were recalled */
		if (row == NULL || p->memory == c->memory || dbl_by_number(b, p->memory) == NULL)
			continue;
		EACH(dbl_pair, known, l)
		{
			if (known->memory == c->memory && known->partner == p->memory)
				pair = known;
		}
		if (pair == NULL) {
			pair = dbl_put(l);
			pair->memory = c->memory;
			pair->partner = p->memory;
		}
		pair->times += p->times;
		pair->last_at = d->now;
	}
}

/* A memory keeps its most frequent partners. */
static void trim_company(struct dbl_book *b, int64_t memory)
{
	struct dbl_list *l = &b->list[PAIRS];

	for (;;) {
		struct dbl_pair *least = NULL;
		unsigned n = 0;

		EACH(dbl_pair, pair, l)
		{
			if (pair->memory != memory)
				continue;
			n++;
			if (least == NULL || pair->times < least->times ||
			    (pair->times == least->times && pair->last_at < least->last_at))
				least = pair;
		}
		if (n <= PARTNERS)
			return;
		dbl_take(l, (size_t)(least - (struct dbl_pair *)l->v));
	}
}

static bool notes_any(const struct dbl *d)
{
	return d->touches.n > 0 || d->recalls.n > 0 || d->company.n > 0 || d->heat_maps > 0;
}

static void write_notes(struct dbl *d)
{
	struct dbl_list *log = &d->book->list[RECALLS];

	EACH(dbl_touch, t, &d->touches)
	{
		struct dbl_row *row = dbl_by_number(d->book, t->memory);

		if (row != NULL && d->book->fault != ARCHIVE_DOUBLE_LOSES_TOUCH)
			dbl_heat(d, row, t->at < d->now ? t->at : d->now);
	}
	EACH(item_recall_sample, r, &d->recalls)
	*(struct item_recall_sample *)dbl_put(log) = *r;
	while (log->n > RECALLS_KEPT)
		dbl_take(log, 0);
	d->book->recalls_total += d->recalls.n;
	EACH(entangle_change, c, &d->company)
	{
		write_company(d, c);
		trim_company(d->book, c->memory);
	}
	d->book->heat_maps += d->heat_maps;
	d->touches.n = d->recalls.n = d->company.n = d->heat_maps = 0;
}

/* ---- commits ---- */
static bool leads(const struct dbl *d)
{
	return !d->follow && d->epoch == d->book->epoch;
}

/* All of the call or nothing. */
static void one_effect(struct dbl *d, struct dbl_job *j)
{
	struct dbl_list before[NLISTS];
	int64_t last_number = d->book->last_number;

	dbl_lists_copy(before, d->book->list);
	if ((j->r = dbl_write(d, j)) < 0 && d->book->fault != ARCHIVE_DOUBLE_HALF_CALLS) {
		dbl_lists_free(d->book->list);
		memcpy(d->book->list, before, sizeof(before));
		d->book->last_number = last_number;
	} else {
		dbl_lists_free(before);
	}
	d->committed_calls += j->r == 0;
}

static void one_tail(struct dbl *d, struct dbl_job *j)
{
	const struct dbl_list *l = &d->book->list[CHANGES];
	size_t from = j->from.changes < l->n ? (size_t)j->from.changes : l->n;
	size_t n = l->n - from < j->limit ? l->n - from : j->limit;

	if ((j->changes = malloc(sizeof(*j->changes) * (n + 1))) == NULL)
		abort();
	if (n > 0)
		memcpy(j->changes, (struct archive_change *)l->v + from, sizeof(*j->changes) * n);
	j->tail = (struct archive_tail){.v = j->changes, .n = (unsigned)n, .more = from + n < l->n};
	j->tail.next = (struct archive_mark){from + n, from + n};
}

/* What others did comes to be known here. */
static void one_refresh(struct dbl *d, struct dbl_job *j)
{
	j->epoch = d->lead_epoch = d->book->epoch;
	d->changes += d->follow;
	d->recalls_noted = d->book->recalls_total + d->recalls.n;
	d->phase_known = 0;
	d->phase_sum = 0.0;
	EACH(dbl_row, row, &d->book->list[ROWS])
	{
		d->phase_known += row->has_phase;
		d->phase_sum += row->has_phase ? row->phase : 0.0;
	}
}

static void one_lead(struct dbl *d, struct dbl_job *j)
{
	if (!d->follow) {
		j->r = TR_ECONFLICT; /* the lead is asked to lead */
		return;
	}
	d->epoch = j->epoch;
	d->follow = false;
	if (d->epoch <= d->book->epoch) {
		d->fenced = true;
		d->epoch = 0;
		j->r = TR_EREFUSED;
		return;
	}
	d->book->epoch = d->epoch;
	one_refresh(d, j);
}

static void one_job(struct dbl *d, struct dbl_job *j)
{
	if (j->ctx.deadline_ms != 0 && tr_mono_ms() >= j->ctx.deadline_ms) {
		j->r = TR_EDEADLINE;
	} else if (j->kind == DBL_WRITE && !leads(d)) {
		j->r = TR_EUNAVAILABLE;
		d->healthy = d->follow;
	} else if (j->kind == DBL_WRITE) {
		one_effect(d, j);
	} else if (j->kind == DBL_READ) {
		j->r = dbl_read(d, j);
	} else if (j->kind == DBL_TAIL) {
		one_tail(d, j);
	} else if (j->kind == DBL_SETTLE) {
		j->r = leads(d) ? 0 : TR_EUNAVAILABLE;
		j->epoch = d->epoch;
	} else if (j->kind == DBL_REFRESH) {
		one_refresh(d, j);
	} else {
		one_lead(d, j);
	}
}

static void tell(struct dbl_job *j)
{
	const struct tr_fault *fault = j->r < 0 ? &j->fault : NULL;

	if (j->r < 0 && j->fault.code != j->r)
		tr_fault_set(&j->fault, j->r, "", "%s", tr_strerror(j->r));
	if (j->kind == DBL_TAIL)
		j->tail_cb(j->arg, j->r, j->r < 0 ? NULL : &j->tail, fault);
	else if (j->kind == DBL_LEAD || j->kind == DBL_SETTLE || j->kind == DBL_REFRESH)
		j->lead_cb(j->arg, j->r, j->epoch, fault);
	else
		j->cb(j->arg, j->r, j->r < 0 ? NULL : &j->answer, fault);
	free(j->changes);
	free(j);
}

/* What waits is one commit; then everybody is told, in order. closing: whoever asks comes too late. */
static void turn(struct dbl *d, bool closing)
{
	struct dbl_job *jobs = d->first, *j;
	int64_t now = d->wall_ms();
	bool wrote = false;

	d->first = NULL;
	d->last = &d->first;
	d->now = now > d->now ? now : d->now;
	for (j = jobs; j != NULL; j = j->next) {
		if (closing && j->kind != DBL_WRITE)
			j->r = TR_ECLOSED;
		else
			one_job(d, j);
		wrote |= j->kind == DBL_WRITE;
	}
	if (leads(d) && (wrote || notes_any(d))) {
		write_notes(d);
		d->commits++;
		d->changes++;
	}
	if (!notes_any(d))
		uv_timer_stop(d->timer);
	while ((j = jobs) != NULL) {
		jobs = j->next;
		d->nwaiting[j->kind]--;
		tell(j);
	}
}

static void on_async(uv_async_t *async)
{
	struct dbl *d = async->data;

	if (d->first != NULL)
		turn(d, false);
}

static void on_timer(uv_timer_t *timer)
{
	turn(timer->data, false);
}

static int queue(struct dbl *d, const struct dbl_job *job)
{
	struct dbl_job *j;

	if (d->nwaiting[job->kind] >= d->max_waiting)
		return TR_EBUSY;
	if ((j = malloc(sizeof(*j))) == NULL)
		return TR_ENOMEM;
	*j = *job;
	*d->last = j;
	d->last = &j->next;
	d->nwaiting[j->kind]++;
	uv_async_send(d->async);
	return 0;
}

/* ---- the operations ---- */
static int call(struct archive *a, enum wire_msg_id id, const void *msg, const struct archive_ctx *ctx, archive_cb *cb,
		void *arg)
{
	struct dbl_job j = {.kind = DBL_READ, .id = id, .msg = msg, .ctx = *ctx, .cb = cb, .arg = arg};

	switch (id) {
	case MSG_memory_add:
	case MSG_memory_decide:
	case MSG_memory_patch:
	case MSG_memory_forget:
	case MSG_memory_restore:
	case MSG_memory_import_begin:
	case MSG_memory_import_undo:
		j.kind = DBL_WRITE;
		break;
	case MSG_memory_get:
	case MSG_memory_recall:
	case MSG_memory_thermal:
	case MSG_memory_decisions:
	case MSG_memory_samples:
	case MSG_memory_explain:
	case MSG_memory_export:
	case MSG_memory_imports:
		break;
	default:
		return TR_EMETHOD;
	}
	return queue(dbl_of(a), &j);
}

static int tail(struct archive *a, const struct archive_mark *from, unsigned limit, archive_tail_cb *cb, void *arg)
{
	struct dbl_job j = {.kind = DBL_TAIL, .from = *from, .limit = limit, .tail_cb = cb, .arg = arg};

	return queue(dbl_of(a), &j);
}

static int refresh(struct archive *a, archive_lead_cb *cb, void *arg)
{
	struct dbl_job j = {.kind = DBL_REFRESH, .lead_cb = cb, .arg = arg};

	return queue(dbl_of(a), &j);
}

static int lead(struct archive *a, uint64_t epoch, archive_lead_cb *cb, void *arg)
{
	struct dbl_job j = {.kind = DBL_LEAD, .epoch = epoch, .lead_cb = cb, .arg = arg};

	return queue(dbl_of(a), &j);
}

static int settle(struct archive *a, archive_lead_cb *cb, void *arg)
{
	struct dbl_job j = {.kind = DBL_SETTLE, .lead_cb = cb, .arg = arg};

	return queue(dbl_of(a), &j);
}

/* Room for one more note; NULL: there are too many. */
static void *note(struct dbl *d, struct dbl_list *l)
{
	if (l->n >= NOTES_MAX) {
		d->notes_dropped++;
		return NULL;
	}
	if (!uv_is_active((uv_handle_t *)d->timer))
		uv_timer_start(d->timer, on_timer, NOTES_LATE_MS, NOTES_LATE_MS);
	return dbl_put(l);
}

static void touch(struct archive *a, int64_t memory, int64_t at_ms)
{
	struct dbl_touch *t = note(dbl_of(a), &dbl_of(a)->touches);

	if (t != NULL)
		*t = (struct dbl_touch){memory, at_ms};
}

static void recalled(struct archive *a, const struct item_recall_sample *log)
{
	struct item_recall_sample *r = note(dbl_of(a), &dbl_of(a)->recalls);

	dbl_of(a)->recalls_noted++;
	if (r != NULL)
		*r = *log;
}

static void entangled(struct archive *a, const struct entangle_change *change)
{
	struct entangle_change *c = note(dbl_of(a), &dbl_of(a)->company);

	if (c != NULL)
		*c = *change;
}

static void heat_map(struct archive *a, const struct res_memory_thermal *figures)
{
	struct dbl *d = dbl_of(a);

	(void)figures;
	d->heat_maps = 1; /* a later one replaces one that waits */
	if (!uv_is_active((uv_handle_t *)d->timer))
		uv_timer_start(d->timer, on_timer, NOTES_LATE_MS, NOTES_LATE_MS);
}

static void stats(struct archive *a, struct archive_stats *out)
{
	const struct dbl *d = dbl_of(a);

	*out = (struct archive_stats){.healthy = d->healthy,
				      .fenced = d->fenced,
				      .epoch = d->lead_epoch,
				      .recalls_total = d->recalls_noted,
				      .changes = d->changes,
				      .commits = d->commits,
				      .committed_calls = d->committed_calls,
				      .notes_dropped = d->notes_dropped,
				      .phase_known = d->phase_known,
				      .phase_sum = d->phase_sum};
	for (int i = 0; i <= DBL_LEAD; i++)
		out->waiting += d->nwaiting[i];
}

static const struct thermal_model *model(const struct archive *a)
{
	return &((const struct dbl *)(const void *)a)->model;
}

static void free_handle(uv_handle_t *h)
{
	free(h);
}

static void finish(struct archive *a)
{
	struct dbl *d = dbl_of(a);

	while (d->first != NULL || (notes_any(d) && leads(d))) /* callbacks may call again */
		turn(d, true);
	uv_close((uv_handle_t *)d->async, free_handle);
	uv_close((uv_handle_t *)d->timer, free_handle);
	free(d->touches.v);
	free(d->recalls.v);
	free(d->company.v);
	free(d);
}

static const struct archive_ops ops = {call,     tail,      refresh,  lead,  settle, touch,
				       recalled, entangled, heat_map, stats, model,  finish};

void archive_double_inside(const struct archive *a, struct archive_double_inside *out)
{
	const struct dbl_book *b = ((const struct dbl *)(const void *)a)->book;

	*out = (struct archive_double_inside){.memories = b->list[ROWS].n,
					      .decisions = b->list[DECISIONS].n,
					      .requests = b->list[REQUESTS].n,
					      .pairs = b->list[PAIRS].n,
					      .heat_maps = b->heat_maps,
					      .epoch = b->epoch};
	EACH(dbl_request, r, &b->list[REQUESTS])
	out->answers += r->answer.n > 0;
	EACH(dbl_pair, pair, &b->list[PAIRS])
	out->pair_times += pair->times;
}

int archive_double_open(struct archive **out, const struct archive_cfg *cfg, struct tr_fault *fault)
{
	struct dbl *d = calloc(1, sizeof(*d));

	if (d == NULL || (d->async = calloc(1, sizeof(*d->async))) == NULL ||
	    (d->timer = calloc(1, sizeof(*d->timer))) == NULL)
		abort();
	if (uv_async_init(cfg->loop, d->async, on_async) < 0) {
		free(d->async);
		free(d->timer);
		free(d);
		return tr_fault_set(fault, TR_ENOMEM, "", "%s", tr_strerror(TR_ENOMEM));
	}
	uv_timer_init(cfg->loop, d->timer);
	uv_unref((uv_handle_t *)d->timer);
	d->async->data = d->timer->data = d;
	d->base.ops = &ops;
	d->book = dbl_book_of(cfg->path);
	d->wall_ms = cfg->wall_ms == NULL ? tr_wall_ms : cfg->wall_ms;
	d->source_rows_max = cfg->source_rows_max;
	d->source_bytes_max = cfg->source_bytes_max;
	d->max_waiting = cfg->max_waiting == 0 ? MAX_WAITING : cfg->max_waiting;
	d->healthy = true;
	d->follow = cfg->follow;
	d->last = &d->first;
	d->touches.item = sizeof(struct dbl_touch);
	d->recalls.item = sizeof(struct item_recall_sample);
	d->company.item = sizeof(struct entangle_change);
	thermal_first(&d->model);
	if (!d->follow)
		d->epoch = d->book->epoch = cfg->epoch > d->book->epoch ? cfg->epoch : d->book->epoch + 1;
	one_refresh(d, &(struct dbl_job){0});
	d->changes = 0;
	*out = &d->base;
	return 0;
}
