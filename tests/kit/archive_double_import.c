/* The double's imports: how far each got and what it brought; and records taken back as they were. */
#include "tests/kit/archive_double_inside.h"
#include <math.h>
#include <string.h>

#define UNDO_MAX 200      /* memories removed by one call */
#define SKEW_MS  86400000 /* so far the clock of whoever wrote an export may have been ahead */
#define ROUNDING 1e-6     /* of heat_key: it went through text */

void dbl_import_show(struct dbl_job *j, const struct dbl_import *import, struct item_import *out)
{
	*out = (struct item_import){.id = dbl_copy(j, import->id),
				    .name = dbl_copy(j, import->name),
				    .position = import->position,
				    .size = import->size,
				    .added = import->added,
				    .known = import->known,
				    .skipped = import->skipped,
				    .started = import->started,
				    .finished = import->finished,
				    .has_finished = import->has_finished,
				    .undone = import->undone,
				    .has_undone = import->has_undone};
}

static void start(struct dbl *d, struct dbl_import *import)
{
	import->position = import->added = import->known = import->skipped = 0;
	import->started = d->now;
	import->has_undone = false;
	import->has_finished = import->size == 0;
	import->finished = import->has_finished ? d->now : 0;
}

int dbl_import_begin(struct dbl *d, struct dbl_job *j)
{
	const struct msg_memory_import_begin *msg = j->msg;
	struct res_memory_import_begin *res = dbl_alloc(j, sizeof(*res));
	struct dbl_import *import = dbl_import_by_id(d->book, msg->id);
	struct dbl_list *requests = &d->book->list[REQUESTS];

	if (msg->size > INT64_MAX)
		return dbl_fault(j, TR_EINVAL, "size", "must be at most 9223372036854775807");
	if (import != NULL && import->size != msg->size)
		return dbl_fault(j, TR_ECONFLICT, "size", "an import with this id has another size");
	if (import == NULL) {
		import = dbl_put(&d->book->list[IMPORTS]);
		import->id = dbl_text(d->book, true, msg->id);
		import->name = dbl_text(d->book, true, msg->name);
		import->size = msg->size;
		start(d, import);
	} else if (import->has_undone) {
		/* What it was answered then must not be answered again: its pieces may come under the same ids. */
		for (size_t i = requests->n; i-- > 0;) {
			if (dbl_same(((struct dbl_request *)requests->v)[i].import_id, import->id))
				dbl_take(requests, i);
		}
		start(d, import);
	}
	dbl_import_show(j, import, &res->import);
	j->answer.res = res;
	return 0;
}

int dbl_import_check(struct dbl *d, struct dbl_job *j, const struct dbl_import_note *n)
{
	const struct dbl_import *import;

	if (!n->has_id && (n->has_position || n->has_skipped))
		return dbl_fault(j, TR_EINVAL, n->has_position ? "import_position" : "import_skipped",
				 "needs import_id");
	if (!n->has_id)
		return 0;
	if ((import = dbl_import_by_id(d->book, n->id)) == NULL)
		return dbl_fault(j, TR_ENOTFOUND, "import_id", "no import with this id was begun");
	if (import->has_undone)
		return dbl_fault(j, TR_ECONFLICT, "import_id", "this import was undone; begin it again");
	if (n->has_position && n->position > import->size)
		return dbl_fault(j, TR_EINVAL, "import_position", "must be at most the size named at the beginning");
	if (n->has_skipped && n->skipped > INT32_MAX)
		return dbl_fault(j, TR_EINVAL, "import_skipped", "must be at most 2147483647");
	return 0;
}

void dbl_import_brought(struct dbl *d, const struct dbl_import_note *n, uint64_t added, uint64_t known)
{
	struct dbl_import *import;

	if (!n->has_id)
		return;
	import = dbl_import_by_id(d->book, n->id);
	import->added += added;
	import->known += known;
	import->skipped += n->has_skipped ? n->skipped : 0;
	if (n->has_position && n->position > import->position)
		import->position = n->position;
	if (!import->has_finished && import->position >= import->size) {
		import->has_finished = true;
		import->finished = d->now;
	}
}

int dbl_import_undo(struct dbl *d, struct dbl_job *j)
{
	const struct msg_memory_import_undo *msg = j->msg;
	struct res_memory_import_undo *res = dbl_alloc(j, sizeof(*res));
	struct archive_hit *hits = dbl_alloc(j, sizeof(*hits) * UNDO_MAX);
	struct dbl_import *import = dbl_import_by_id(d->book, msg->id);
	unsigned n = 0;

	if (import == NULL)
		return dbl_fault(j, TR_ENOTFOUND, "id", "no import has this id");
	EACH(dbl_row, row, &d->book->list[ROWS])
	{ /* oldest first */
		if (!dbl_same(row->import_id, msg->id))
			continue;
		if (row->sacred)
			res->kept++;
		else if (n < UNDO_MAX)
			hits[n++] = dbl_hit(row);
		else
			res->more = true;
	}
	for (unsigned i = 0; i < n; i++)
		dbl_forget(d, hits[i].memory);
	import->has_undone = true;
	import->undone = d->now;
	res->removed = n;
	j->answer = (struct archive_answer){.res = res, .hits = hits, .nhits = n};
	return 0;
}

/* ---- taking back ---- */
/* Could this have come about by accesses at the times it names? */
static int possible(struct dbl *d, struct dbl_job *j, uint32_t i, const struct item_record *t)
{
	double coldest = thermal_born(&d->model, (double)t->last_access);

	if (!t->has_id)
		return dbl_item_fault(j, i, TR_EINVAL, "id", "must be there");
	if (t->created_at < 0)
		return dbl_item_fault(j, i, TR_EINVAL, "created_at", "must not be before 1970");
	if (t->last_access < t->created_at)
		return dbl_item_fault(j, i, TR_EINVAL, "last_access", "must not be before created_at");
	if (t->last_access > d->now + SKEW_MS)
		return dbl_item_fault(j, i, TR_EINVAL, "last_access", "must not be in the future");
	if (t->access_count > INT64_MAX)
		return dbl_item_fault(j, i, TR_EINVAL, "access_count", "must be at most 9223372036854775807");
	if (!(t->heat_key >= coldest - ROUNDING && t->heat_key <= coldest + log2((double)t->access_count) + ROUNDING))
		return dbl_item_fault(j, i, TR_EINVAL, "heat_key", "must be what its accesses come to");
	if (t->has_decision_id && (!t->has_decided_by || !t->has_decided_at))
		return dbl_item_fault(j, i, TR_EINVAL, "decision_id", "needs decided_by and decided_at");
	return 0;
}

static struct item_new_memory plain(const struct item_record *t)
{
	struct item_new_memory m = {.content = t->content};

#define OPT(name) (m.has_##name = t->has_##name, m.name = t->name)
	OPT(id), OPT(tags), OPT(source), OPT(session), OPT(speaker), OPT(importance), OPT(sacred), OPT(at);
	OPT(supersedes), OPT(metadata);
#undef OPT
	return m;
}

static void take_decision(struct dbl_book *b, const struct item_record *t, const struct dbl_row *row)
{
	struct dbl_decision *decision;

	if (!t->has_decision_id)
		return;
	EACH(dbl_decision, known, &b->list[DECISIONS])
	{
		if (dbl_same(known->id, t->decision_id))
			return;
	}
	decision = dbl_put(&b->list[DECISIONS]);
	decision->id = dbl_text(b, true, t->decision_id);
	decision->memory_id = row->id;
	decision->by = dbl_text(b, true, t->decided_by);
	decision->at = t->decided_at;
}

static void take_company(struct dbl_book *b, const struct item_record *t, const struct dbl_row *row)
{
	for (uint32_t i = 0; i < t->company.n; i++) {
		const struct item_company *c = &t->company.v[i];
		const struct dbl_row *other = dbl_by_id(b, c->id);
		int64_t memory, partner;
		bool there = false;

		if (other == NULL || other->number == row->number)
			continue;
		memory = c->own ? row->number : other->number;
		partner = c->own ? other->number : row->number;
		EACH(dbl_pair, pair, &b->list[PAIRS])
		there |= pair->memory == memory && pair->partner == partner;
		if (!there)
			*(struct dbl_pair *)dbl_put(&b->list[PAIRS]) =
				(struct dbl_pair){memory, partner, c->last_at, c->times};
	}
}

/* 1: taken, 0: known, < 0. */
static int take(struct dbl *d, struct dbl_job *j, uint32_t i, struct dbl_row **out)
{
	const struct msg_memory_restore *msg = j->msg;
	const struct item_record *t = &msg->records.v[i];
	const struct item_new_memory m = plain(t);
	wire_str source = t->has_source ? t->source : wire_s(NULL), import_id = {NULL, 0};
	int r;

	if ((r = possible(d, j, i, t)) < 0)
		return r;
	*out = dbl_by_id(d->book, t->id);
	if (*out == NULL && !t->own_id)
		*out = dbl_twin(d->book, &m, t->has_source, t->source);
	if (*out != NULL) { /* the same text may have been decided more than once: a record each, one memory */
		if (dbl_same((*out)->content, t->content))
			take_decision(d->book, t, *out);
		return 0;
	}
	if (msg->has_import_id || t->has_import_id)
		import_id = msg->has_import_id ? msg->import_id : t->import_id;
	if ((r = dbl_create(d, j, i, &m, t, source, import_id, out)) < 0)
		return r;
	take_company(d->book, t, *out);
	take_decision(d->book, t, *out);
	return 1;
}

int dbl_restore(struct dbl *d, struct dbl_job *j)
{
	const struct msg_memory_restore *msg = j->msg;
	const struct dbl_import_note note = DBL_IMPORT_NOTE(msg);
	struct res_memory_restore *res = dbl_alloc(j, sizeof(*res));
	struct archive_hit *hits = dbl_alloc(j, sizeof(*hits) * msg->records.n);
	unsigned nhits = 0;
	int r;

	if ((r = dbl_import_check(d, j, &note)) < 0)
		return r;
	for (uint32_t i = 0; i < msg->records.n; i++) {
		const struct item_record *t = &msg->records.v[i];
		struct dbl_row *row;

		if ((r = take(d, j, i, &row)) < 0)
			return r;
		res->added += r == 1;
		res->known += r == 0;
		if (r == 1 && t->has_phase_coherence) /* one more that counts, whatever it was the mean of */
			hits[nhits++] = (struct archive_hit){.memory = row->number,
							     .seen = {row->number, t->phase_coherence, 1}};
	}
	j->answer = (struct archive_answer){.res = res, .hits = hits, .nhits = nhits};
	dbl_import_brought(d, &note, res->added, res->known);
	return 0;
}
