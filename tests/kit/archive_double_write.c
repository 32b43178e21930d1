/* The double's effects: adding, deciding, changing, forgetting; and that a request has its effect once. */
#include "common/base/text.h"
#include "proto/json/json.h"
#include "tests/kit/archive_double_inside.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define IMPORTANCE      0.5        /* of a memory that came without */
#define REQUEST_KEEP_MS 86400000LL /* 24 h */

int dbl_fault(struct dbl_job *j, int r, const char *field, const char *rule)
{
	return tr_fault_set(&j->fault, r, field, "%s", rule);
}

int dbl_item_fault(struct dbl_job *j, uint32_t i, int r, const char *field, const char *rule)
{
	char path[64] = "";

	if (j->id == MSG_memory_add)
		snprintf(path, sizeof(path), "memories[%u].%s", i, field);
	else if (j->id == MSG_memory_restore)
		snprintf(path, sizeof(path), "records[%u].%s", i, field);
	return dbl_fault(j, r, path, rule);
}

void *dbl_alloc(struct dbl_job *j, size_t n)
{
	void *p = msgpack_zone_malloc(j->ctx.zone, n + 1);

	if (p == NULL)
		abort();
	return memset(p, 0, n + 1);
}

wire_str dbl_copy(struct dbl_job *j, wire_str s)
{
	char *copy;

	if (s.p == NULL)
		return s;
	copy = dbl_alloc(j, s.n);
	if (s.n > 0)
		memcpy(copy, s.p, s.n);
	return (wire_str){copy, s.n};
}

struct archive_hit dbl_hit(const struct dbl_row *row)
{
	struct archive_hit hit = {.memory = row->number, .seen = {.memory = row->number}};

	hit.seen.phase = row->has_phase ? row->phase : 0.0;
	hit.seen.compared = row->has_phase ? row->compared : 0;
	return hit;
}

void dbl_heat(struct dbl *d, struct dbl_row *row, int64_t at)
{
	row->heat = d->book->fault == ARCHIVE_DOUBLE_COOLS ? thermal_born(&d->model, (double)at)
							   : thermal_access(&d->model, row->heat, (double)at);
	row->accesses++;
	if (at > row->last_access)
		row->last_access = at;
}

/* ---- adding ---- */
struct dbl_row *dbl_twin(struct dbl_book *b, const struct item_new_memory *m, bool has_source, wire_str source)
{
	static const wire_str none = {NULL, 0};

	EACH(dbl_row, row, &b->list[ROWS])
	{
		if (!row->own_id && dbl_same(row->content, m->content) &&
		    dbl_same(row->source, has_source ? source : none) &&
		    dbl_same(row->session, m->has_session ? m->session : none) &&
		    dbl_same(row->speaker, m->has_speaker ? m->speaker : none) && row->has_at == m->has_at &&
		    (!m->has_at || row->at == m->at))
			return row;
	}
	return NULL;
}

/* < 0: JSON cannot hold it. */
static int json_text(struct dbl_book *b, const msgpack_object *o, wire_str *out)
{
	json_t *json = json_from_msgpack(o);
	char *text = json == NULL ? NULL : json_dumps(json, JSON_COMPACT);

	json_decref(json);
	if (text == NULL)
		return TR_EINVAL;
	*out = dbl_text(b, true, wire_s(text));
	free(text);
	return 0;
}

/* May a source have one more memory; may it have so many bytes more? */
static bool rows_left(const struct dbl *d, wire_str source)
{
	uint64_t rows = 0;

	EACH(dbl_row, row, &d->book->list[ROWS])
	rows += dbl_same(row->source, source);
	return d->source_rows_max == 0 || rows < d->source_rows_max;
}

static bool bytes_left(const struct dbl *d, wire_str source, uint64_t bytes)
{
	EACH(dbl_row, row, &d->book->list[ROWS])
	bytes += dbl_same(row->source, source) ? row->content.n + row->metadata.n : 0;
	return d->source_bytes_max == 0 || bytes <= d->source_bytes_max;
}

/* A link to another source's memory does not count as a change. */
static unsigned same_source(const struct dbl_row *a, const struct dbl_row *b)
{
	return dbl_same(a->source, b->source);
}

static void taken_too(struct dbl_book *b, struct dbl_row *row, const struct item_record *t)
{
	row->own_id = t->own_id;
	row->heat = t->heat_key;
	row->created = t->created_at;
	row->last_access = t->last_access;
	row->accesses = t->access_count;
	row->revision = t->revision;
	row->has_phase = t->has_phase_coherence && b->fault != ARCHIVE_DOUBLE_LOSES_PHASE;
	row->phase = t->phase_coherence;
	row->compared = t->has_phase_count && t->phase_count > 0 ? t->phase_count : 1;
	row->superseded_by = dbl_text(b, t->has_superseded_by, t->superseded_by);
}

int dbl_create(struct dbl *d, struct dbl_job *j, uint32_t i, const struct item_new_memory *m,
	       const struct item_record *taken, wire_str source, wire_str import_id, struct dbl_row **out)
{
	struct dbl_book *b = d->book;
	struct dbl_row *row, *older;
	wire_str metadata = {NULL, 0};
	char id[TR_ID_LEN];

	if (m->has_metadata && json_text(b, m->metadata, &metadata) < 0)
		return dbl_item_fault(j, i, TR_EINVAL, "metadata", "must be what JSON can hold");
	if (!rows_left(d, source))
		return j->id == MSG_memory_decide ? dbl_fault(j, TR_EQUOTA, "by", "has all it may have")
						  : dbl_item_fault(j, i, TR_EQUOTA, "source", "has all it may have");
	if (!bytes_left(d, source, m->content.n + metadata.n))
		return dbl_item_fault(j, i, TR_EQUOTA, "content", "is more than its source may have");
	tr_id_new(id);
	row = dbl_put(&b->list[ROWS]);
	row->number = ++b->last_number;
	row->own_id = m->has_id;
	row->id = dbl_text(b, true, m->has_id ? m->id : wire_s(id));
	row->content = dbl_text(b, true, m->content);
	row->source = dbl_text(b, source.p != NULL, source);
	row->session = dbl_text(b, m->has_session, m->session);
	row->speaker = dbl_text(b, m->has_speaker, m->speaker);
	row->supersedes = dbl_text(b, m->has_supersedes, m->supersedes);
	row->import_id = dbl_text(b, import_id.p != NULL, import_id);
	row->metadata = metadata;
	if (m->has_tags)
		row->tags = dbl_texts(b, m->tags);
	row->importance = m->has_importance ? m->importance : IMPORTANCE;
	row->sacred = m->has_sacred && m->sacred;
	row->has_at = m->has_at;
	row->at = m->at;
	row->heat = thermal_born(&d->model, (double)d->now);
	row->created = row->last_access = d->now;
	row->accesses = row->revision = 1;
	if (taken != NULL)
		taken_too(b, row, taken);
	dbl_words(b, row->content, &row->words);
	dbl_words(b, row->speaker, &row->names);
	dbl_changed(b, row->number, ARCHIVE_ADDED);
	*out = row;
	if (!m->has_supersedes || taken != NULL) /* taken back: the older one's record says it too */
		return 0;
	older = dbl_by_id(b, m->supersedes);
	if (older == NULL || older == row)
		return dbl_item_fault(j, i, TR_EINVAL, "supersedes", "must be the id of an earlier memory");
	older->superseded_by = row->id;
	older->revision += same_source(older, row);
	dbl_changed(b, older->number, ARCHIVE_CHANGED);
	return 0;
}

/* Remembers one: 1 it is new, 0 it was known, < 0. source: its own or the call's; p == NULL: none. */
static int remember(struct dbl *d, struct dbl_job *j, uint32_t i, const struct item_new_memory *m, wire_str source,
		    wire_str import_id, struct dbl_row **out)
{
	bool sacred = m->has_sacred && m->sacred;
	int r;

	*out = m->has_id ? dbl_by_id(d->book, m->id) : dbl_twin(d->book, m, source.p != NULL, source);
	if (*out == NULL) {
		r = dbl_create(d, j, i, m, NULL, source, import_id, out);
		return r < 0 ? r : 1;
	}
	if (m->has_id && !dbl_same((*out)->content, m->content))
		return dbl_item_fault(j, i, TR_ECONFLICT, "id", "belongs to a memory with another content");
	if (m->has_id) /* the same call again: it does not heat */
		return 0;
	dbl_heat(d, *out, d->now);
	if (sacred && !(*out)->sacred) {
		(*out)->sacred = true;
		dbl_changed(d->book, (*out)->number, ARCHIVE_CHANGED);
	}
	return 0;
}

static int add(struct dbl *d, struct dbl_job *j)
{
	const struct msg_memory_add *msg = j->msg;
	const struct dbl_import_note note = DBL_IMPORT_NOTE(msg);
	struct res_memory_add *res = dbl_alloc(j, sizeof(*res));
	struct item_added *added = dbl_alloc(j, sizeof(*added) * msg->memories.n);
	wire_str import_id = msg->has_import_id ? msg->import_id : wire_s(NULL);
	uint32_t i, created = 0;
	int r;

	if (msg->memories.n == 0 && !msg->has_import_id)
		return dbl_fault(j, TR_EINVAL, "memories", "must hold at least 1");
	if ((r = dbl_import_check(d, j, &note)) < 0)
		return r;
	for (i = 0; i < msg->memories.n; i++) {
		const struct item_new_memory *m = &msg->memories.v[i];
		wire_str source = m->has_source ? m->source : msg->has_source ? msg->source : wire_s(NULL);
		struct dbl_row *row;

		if ((r = remember(d, j, i, m, source, import_id, &row)) < 0)
			return r;
		created += r == 1;
		added[i].id = dbl_copy(j, row->id);
		added[i].created = r == 1;
		added[i].temperature = dbl_temperature(d, row, d->now);
		added[i].stage = wire_s(thermal_stage_name(thermal_stage_of(&d->model, added[i].temperature)));
	}
	res->memories.v = added;
	res->memories.n = msg->memories.n;
	j->answer.res = res;
	dbl_import_brought(d, &note, created, msg->memories.n - created);
	return 0;
}

static int decide(struct dbl *d, struct dbl_job *j)
{
	const struct msg_memory_decide *msg = j->msg;
	const wire_str tag = wire_s("decision");
	const struct item_new_memory m = {.content = msg->text, .has_tags = true, .tags = {&tag, 1}};
	struct res_memory_decide *res = dbl_alloc(j, sizeof(*res));
	struct dbl_decision *decision;
	struct dbl_row *row;
	char id[TR_ID_LEN];
	int r;

	if ((r = remember(d, j, 0, &m, msg->by, wire_s(NULL), &row)) < 0)
		return r;
	tr_id_new(id);
	decision = dbl_put(&d->book->list[DECISIONS]);
	decision->id = dbl_text(d->book, true, wire_s(id));
	decision->memory_id = row->id;
	decision->by = dbl_text(d->book, true, msg->by);
	decision->at = d->now;
	res->decision.id = dbl_copy(j, decision->id);
	res->decision.text = dbl_copy(j, msg->text);
	res->decision.by = dbl_copy(j, msg->by);
	res->decision.memory_id = dbl_copy(j, row->id);
	res->decision.at = d->now;
	j->answer.res = res;
	return 0;
}

/* ---- changing ---- */
static int patch(struct dbl *d, struct dbl_job *j)
{
	const struct msg_memory_patch *msg = j->msg;
	struct res_memory_patch *res = dbl_alloc(j, sizeof(*res));
	struct archive_hit *hit = dbl_alloc(j, sizeof(*hit));
	struct dbl_row *row = dbl_by_id(d->book, msg->id);
	uint32_t before;

	if (row == NULL)
		return dbl_fault(j, TR_ENOTFOUND, "id", "no memory has this id");
	if (row->sacred && msg->has_sacred && !msg->sacred)
		return dbl_fault(j, TR_EREFUSED, "sacred",
				 "a sacred memory stays sacred, but for an act of governance");
	before = row->metadata.n;
	if (msg->has_metadata && json_text(d->book, msg->metadata, &row->metadata) < 0)
		return dbl_fault(j, TR_EINVAL, "metadata", "must be what JSON can hold");
	if (row->metadata.n > before && !bytes_left(d, row->source, 0))
		return dbl_fault(j, TR_EQUOTA, "metadata", "is more than its source may have");
	if (msg->has_tags)
		row->tags = dbl_texts(d->book, msg->tags);
	if (msg->has_importance)
		row->importance = msg->importance;
	if (msg->has_sacred && msg->sacred)
		row->sacred = true;
	if (msg->has_tags || msg->has_importance || msg->has_sacred || msg->has_metadata) {
		row->revision++;
		dbl_changed(d->book, row->number, ARCHIVE_CHANGED);
	}
	j->answer = (struct archive_answer){.res = res, .hits = hit, .nhits = 1};
	return dbl_memory(d, j, row, d->now, &res->memory, hit);
}

/* ---- forgetting ---- */
/* The newest memory, but for these two, that replaces row. */
static wire_str other_newer(struct dbl_book *b, const struct dbl_row *row, int64_t gone)
{
	wire_str id = {NULL, 0};

	EACH(dbl_row, o, &b->list[ROWS])
	{ /* rows stand in the order of their numbers */
		if (o->number != gone && o->number != row->number && dbl_same(o->supersedes, row->id))
			id = o->id;
	}
	return id;
}

/* What it replaced is replaced by what replaced it, and the other way round. */
static void close_chain(struct dbl_book *b, const struct dbl_row *gone)
{
	EACH(dbl_row, row, &b->list[ROWS])
	{
		if (row->number == gone->number || !dbl_same(row->supersedes, gone->id))
			continue;
		row->supersedes = dbl_same(gone->supersedes, row->id) ? wire_s(NULL) : gone->supersedes;
		row->revision += same_source(gone, row);
		dbl_changed(b, row->number, ARCHIVE_CHANGED);
	}
	EACH(dbl_row, row, &b->list[ROWS])
	{
		if (row->number == gone->number || !dbl_same(row->superseded_by, gone->id))
			continue;
		row->superseded_by = gone->superseded_by;
		if (row->superseded_by.p == NULL || dbl_same(row->superseded_by, row->id))
			row->superseded_by = other_newer(b, row, gone->number);
		row->revision += same_source(gone, row);
		dbl_changed(b, row->number, ARCHIVE_CHANGED);
	}
}

void dbl_forget(struct dbl *d, int64_t number)
{
	struct dbl_book *b = d->book;
	const struct dbl_row gone = *dbl_by_number(b, number);
	struct dbl_list *l = &b->list[DECISIONS];
	size_t i;

	for (i = l->n; i-- > 0;) { /* a decision is its memory */
		if (dbl_same(((struct dbl_decision *)l->v)[i].memory_id, gone.id))
			dbl_take(l, i);
	}
	EACH(dbl_request, request, &b->list[REQUESTS])
	{ /* known it stays; its text goes */
		if (dbl_same(request->memory_id, gone.id))
			request->answer.n = 0;
	}
	for (i = b->list[PAIRS].n; i-- > 0;) {
		const struct dbl_pair *pair = (struct dbl_pair *)b->list[PAIRS].v + i;

		if (pair->memory == number || pair->partner == number)
			dbl_take(&b->list[PAIRS], i);
	}
	if (b->fault != ARCHIVE_DOUBLE_OPEN_CHAIN)
		close_chain(b, &gone);
	dbl_take(&b->list[ROWS], (size_t)(dbl_by_number(b, number) - (struct dbl_row *)b->list[ROWS].v));
	dbl_changed(b, number, ARCHIVE_FORGOTTEN);
}

static int forget(struct dbl *d, struct dbl_job *j)
{
	const struct msg_memory_forget *msg = j->msg;
	struct res_memory_forget *res = dbl_alloc(j, sizeof(*res));
	struct archive_hit *hit = dbl_alloc(j, sizeof(*hit));
	struct dbl_row *row = dbl_by_id(d->book, msg->id);

	if (row == NULL)
		return dbl_fault(j, TR_ENOTFOUND, "id", "no memory has this id");
	if (row->sacred)
		return dbl_fault(j, TR_EREFUSED, "sacred",
				 "a sacred memory is not forgotten, but by an act of governance");
	*hit = dbl_hit(row);
	dbl_forget(d, row->number);
	res->id = dbl_copy(j, msg->id);
	j->answer = (struct archive_answer){.res = res, .hits = hit, .nhits = 1};
	return 0;
}

/* ---- once per request ---- */
static int carry_out(struct dbl *d, struct dbl_job *j)
{
	switch (j->id) {
	case MSG_memory_add:
		return add(d, j);
	case MSG_memory_decide:
		return decide(d, j);
	case MSG_memory_patch:
		return patch(d, j);
	case MSG_memory_forget:
		return forget(d, j);
	case MSG_memory_restore:
		return dbl_restore(d, j);
	case MSG_memory_import_begin:
		return dbl_import_begin(d, j);
	default:
		return dbl_import_undo(d, j);
	}
}

/* A struct's bytes on the wire, in the book. */
static int packed(struct dbl_book *b, const struct wire_shape *shape, const void *value, wire_str *out)
{
	msgpack_sbuffer sb;
	int r;

	msgpack_sbuffer_init(&sb);
	if ((r = wire_encode(&sb, shape, value)) == 0)
		*out = dbl_text(b, true, (wire_str){sb.data, (uint32_t)sb.size});
	msgpack_sbuffer_destroy(&sb);
	return r;
}

/* The stored answer of the same call before. */
static int replay(struct dbl_job *j, const struct dbl_request *before, wire_str params)
{
	const struct wire_shape *shape = wire_methods[j->id].result;
	wire_str bytes = dbl_copy(j, before->answer);
	void *res = dbl_alloc(j, shape->size);
	msgpack_object o;
	size_t off = 0;

	if (before->method != j->id || !dbl_same(before->params, params))
		return dbl_fault(j, TR_EMISMATCH, "request_id", "was used for another request");
	if (bytes.n == 0)
		return dbl_fault(j, TR_ENOTFOUND, "request_id", "its memory has been forgotten since");
	if (msgpack_unpack(bytes.p, bytes.n, &off, j->ctx.zone, &o) != MSGPACK_UNPACK_SUCCESS ||
	    wire_decode(shape, &o, j->ctx.zone, res, NULL) < 0)
		return TR_EINTERNAL;
	j->answer = (struct archive_answer){.res = res};
	return 0;
}

static int keep_answer(struct dbl *d, struct dbl_job *j, wire_str params)
{
	const struct wire_common *common = j->msg;
	const struct msg_memory_restore *restore = j->msg;
	const struct msg_memory_add *msg = j->msg;
	struct dbl_request *request = dbl_put(&d->book->list[REQUESTS]);
	wire_str holder = {NULL, 0};

	request->id = dbl_text(d->book, true, common->request_id);
	request->method = j->id;
	request->params = params;
	request->at = d->now;
	if (j->id == MSG_memory_add)
		request->import_id = dbl_text(d->book, msg->has_import_id, msg->import_id);
	if (j->id == MSG_memory_restore)
		request->import_id = dbl_text(d->book, restore->has_import_id, restore->import_id);
	if (j->id == MSG_memory_decide)
		holder = ((const struct res_memory_decide *)j->answer.res)->decision.memory_id;
	if (j->id == MSG_memory_patch)
		holder = ((const struct res_memory_patch *)j->answer.res)->memory.id;
	request->memory_id = dbl_text(d->book, holder.p != NULL, holder);
	return packed(d->book, wire_methods[j->id].result, j->answer.res, &request->answer);
}

static int once(struct dbl *d, struct dbl_job *j)
{
	const struct wire_common *common = j->msg;
	struct dbl_list *l = &d->book->list[REQUESTS];
	struct dbl_request *before;
	wire_str params;
	size_t i;
	int r;

	for (i = l->n; i-- > 0;) {
		if (((struct dbl_request *)l->v)[i].at < d->now - REQUEST_KEEP_MS)
			dbl_take(l, i);
	}
	if (!common->has_request_id || d->book->fault == ARCHIVE_DOUBLE_NO_REQUESTS)
		return carry_out(d, j);
	if ((r = packed(d->book, wire_methods[j->id].params, j->msg, &params)) < 0)
		return r;
	if ((before = dbl_request_by_id(d->book, common->request_id)) != NULL)
		return replay(j, before, params);
	if ((r = carry_out(d, j)) < 0)
		return r;
	return keep_answer(d, j, params);
}

int dbl_write(struct dbl *d, struct dbl_job *j)
{
	const struct msg_memory_forget *msg = j->msg;
	int r = once(d, j);

	if (r == 0 && j->id == MSG_memory_forget && msg->has_now && msg->now) { /* there are no files */
		struct res_memory_forget *res = j->answer.res;

		res->has_purged = res->purged = true;
	}
	return r;
}
