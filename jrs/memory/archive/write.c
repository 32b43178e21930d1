/* The effects: what a call changes, inside its savepoint on the writer's thread. */
#include "jrs/memory/archive/ahead.h"
#include "jrs/memory/archive/quota.h"
#include "proto/json/json.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define IMPORTANCE 0.5 /* of a memory that came without */

int entry_fault(struct job *j, const struct entry *e, int r, const char *field, const char *rule)
{
	char path[64] = "";

	if (j->id == MSG_memory_add)
		snprintf(path, sizeof(path), "memories[%u].%s", e->i, field);
	else if (j->id == MSG_memory_restore)
		snprintf(path, sizeof(path), "records[%u].%s", e->i, field);
	return job_fault(j, r, path, rule);
}

void row_take(const struct query *q, struct row *out)
{
	out->seq = q_get_i64(q, 0);
	tr_copy(out->id, sizeof(out->id), q_get(q, 1), q_len(q, 1));
	out->id_n = (uint32_t)strlen(out->id);
	tr_copy(out->hash, sizeof(out->hash), q_get(q, 2), q_len(q, 2));
	out->heat = q_get_f64(q, 3);
	out->sacred = q_get_i64(q, 4) != 0;
	out->hidden = q_get_i64(q, 5) != 0;
	out->revision = q_get_i64(q, 6);
	out->seen.memory = out->seq;
	out->seen.phase = q_get_f64(q, 7);
	out->seen.compared = q_is_null(q, 7) ? 0 : (uint32_t)q_get_i64(q, 8);
}

/* The one row of a query that is bound: 1 and *out, 0, or < 0. Ends it. */
static int one_row(struct query *q, struct row *out)
{
	int r = q_row(q);

	if (r == 1)
		row_take(q, out);
	q_end(q);
	return r;
}

int row_by_seq(struct sql_archive *a, int64_t seq, struct row *out)
{
	int r = ahead_by_seq(a, seq, out);
	struct query q;

	if (r != AHEAD_UNKNOWN)
		return r;
	q = q_begin(&a->wdb, SQL_BY_SEQ);
	q_i64(&q, seq);
	return one_row(&q, out);
}

int row_by_identity(struct sql_archive *a, const struct entry *e, struct row *out)
{
	int r = ahead_by_identity(a, e->identity, out);
	struct query q;

	if (r != AHEAD_UNKNOWN)
		return r;
	q = q_begin(&a->wdb, SQL_BY_IDENTITY);
	q_blob(&q, e->identity, sizeof(e->identity));
	return one_row(&q, out);
}

int row_by_id(struct sql_archive *a, wire_str id, struct row *out)
{
	int r = ahead_by_id(a, id, out);
	struct query q;

	if (r != AHEAD_UNKNOWN)
		return r;
	q = q_begin(&a->wdb, SQL_BY_ID);
	q_text(&q, id.p, id.n);
	return one_row(&q, out);
}

int heat_note(struct heat_changes *to, const struct heat_change *c)
{
	if (to->n == to->cap) {
		size_t cap = to->cap == 0 ? 64 : to->cap * 2;
		struct heat_change *v = realloc(to->v, sizeof(*v) * cap);

		if (v == NULL) {
			to->lost = true;
			return TR_ENOMEM;
		}
		to->v = v;
		to->cap = cap;
	}
	to->v[to->n++] = *c;
	return 0;
}

int heat_changed(struct sql_archive *a, const struct heat_change *c)
{
	return heat_note(&a->heat, c);
}

/* One access more; sacred raises the memory to sacred, nothing lowers it. row is brought up to date. */
static int heat(struct sql_archive *a, struct row *row, int64_t at_ms, bool sacred)
{
	double after = thermal_access(archive_thermal(a), row->heat, (double)at_ms);
	struct heat_change c = {row->heat, after, true, row->sacred, row->sacred || sacred, false};
	struct query q;
	int r;

	q = q_begin(&a->wdb, SQL_HEAT);
	q_i64(&q, row->seq);
	q_f64(&q, after);
	q_i64(&q, at_ms);
	q_i64(&q, sacred);
	if ((r = q_run(&q)) < 0 || (!row->hidden && (r = heat_changed(a, &c)) < 0))
		return r;
	row->heat = after;
	row->sacred = c.is_sacred;
	ahead_heated(a, row);
	return 0;
}

int write_touch(struct sql_archive *a, int64_t memory, int64_t at_ms)
{
	struct row row;
	int r;

	if ((r = row_by_seq(a, memory, &row)) <= 0)
		return r;
	return heat(a, &row, at_ms < a->now_ms ? at_ms : a->now_ms, false);
}

char *tags_json(const wire_strs *tags)
{
	json_t *list = json_array();
	char *text = NULL;
	uint32_t i;

	for (i = 0; list != NULL && i < tags->n; i++) {
		if (json_array_append_new(list, json_stringn(tags->v[i].p, tags->v[i].n)) < 0)
			goto out;
	}
	if (list != NULL)
		text = json_dumps(list, JSON_COMPACT);
out:
	json_decref(list);
	return text;
}

int metadata_json(const msgpack_object *map, char **out)
{
	json_t *o = json_from_msgpack(map);

	*out = o == NULL ? NULL : json_dumps(o, JSON_COMPACT);
	json_decref(o);
	return *out != NULL ? 0 : TR_EINVAL;
}

/* What a row has beyond ADD's columns when it is taken back as it was. */
static void bind_taken(struct query *q, const struct item_record *t)
{
	bool phase = t->has_phase_coherence;

	q_i64(q, t->last_access);
	q_i64(q, (int64_t)t->access_count);
	q_opt_f64(q, phase, t->phase_coherence);
	q_i64(q, !phase ? 0 : t->has_phase_count && t->phase_count > 0 ? t->phase_count : 1);
	q_i64(q, t->revision);
	q_opt_text(q, t->has_superseded_by, t->superseded_by);
}

static int insert(struct sql_archive *a, struct job *j, const struct entry *e, const struct row *row)
{
	const struct item_new_memory *m = e->m;
	char *tags = tags_json(m->has_tags ? &m->tags : &(const wire_strs){NULL, 0}), *metadata = NULL;
	struct query q;
	int r;

	if (tags == NULL)
		return TR_ENOMEM;
	if (m->has_metadata && (r = metadata_json(m->metadata, &metadata)) < 0) {
		r = entry_fault(j, e, r, "metadata", "must be what JSON can hold");
		goto out;
	}
	if ((r = quota_add(a, j, e, metadata == NULL ? 0 : strlen(metadata))) < 0)
		goto out;
	q = q_begin(&a->wdb, e->taken == NULL ? SQL_ADD : SQL_RESTORE);
	q_opt_i64(&q, row->seq != 0, row->seq);
	q_text(&q, row->id, row->id_n);
	q_text(&q, e->hash, strlen(e->hash));
	if (e->taken == NULL ? m->has_id : e->taken->own_id)
		q_null(&q);
	else
		q_blob(&q, e->identity, sizeof(e->identity));
	q_f64(&q, row->heat);
	q_i64(&q, e->taken == NULL ? a->now_ms : e->taken->created_at);
	q_opt_i64(&q, m->has_at, m->at);
	q_f64(&q, m->has_importance ? m->importance : IMPORTANCE);
	q_i64(&q, row->sacred);
	q_opt_text(&q, m->has_supersedes, m->supersedes);
	q_opt_text(&q, e->has_source, e->source);
	q_opt_text(&q, m->has_session, m->session);
	q_opt_text(&q, m->has_speaker, m->speaker);
	q_text(&q, tags, strlen(tags));
	if (metadata != NULL)
		q_text(&q, metadata, strlen(metadata));
	else
		q_null(&q);
	q_text(&q, m->content.p, m->content.n);
	q_opt_text(&q, e->has_import, e->import);
	if (e->taken != NULL)
		bind_taken(&q, e->taken);
	r = q_run(&q);
out:
	free(tags);
	free(metadata);
	return r;
}

static int link_to(struct sql_archive *a, enum sql id, int64_t older, const struct row *row)
{
	struct query q = q_begin(&a->wdb, id);

	q_i64(&q, older);
	q_text(&q, row->id, row->id_n);
	return q_run(&q);
}

static int supersede(struct sql_archive *a, struct job *j, const struct entry *e, const struct row *row)
{
	struct row older;
	int r;

	if (!e->m->has_supersedes || e->taken != NULL) /* taken back: the older one's record says it too */
		return 0;
	r = row_by_id(a, e->m->supersedes, &older);
	if (r == 1)
		r = owned_row(a, j, older.seq);
	if (r < 0)
		return r;
	if (r == 0 || older.seq == row->seq)
		return entry_fault(j, e, TR_EINVAL, "supersedes", "must be the id of an earlier memory");
	ahead_clear(a);
	r = link_to(a, SQL_NOTE_FOREIGN, older.seq, row);
	return r < 0 ? r : link_to(a, SQL_SUPERSEDE, older.seq, row);
}

int entry_create(struct sql_archive *a, struct job *j, struct entry *e, struct row *row)
{
	const struct item_new_memory *m = e->m;
	struct heat_change c = {.is_sacred = m->has_sacred && m->sacred};
	int r;

	if (m->has_id) {
		tr_copy(row->id, sizeof(row->id), m->id.p, m->id.n);
		row->id_n = m->id.n;
	} else {
		tr_id_new(row->id);
		row->id_n = (uint32_t)strlen(row->id);
	}
	row->sacred = c.is_sacred;
	row->heat = c.after =
		e->taken != NULL ? thermal_import(archive_thermal(a), e->taken->heat_key, (double)e->taken->last_access)
				 : thermal_born(archive_thermal(a), (double)a->now_ms);
	row->hidden = archive_is_drill(e->has_source, e->source);
	if ((r = a->wdb.driver->next_seq(&a->wdb, &row->seq)) < 0 || (r = insert(a, j, e, row)) < 0)
		return r;
	if (row->seq == 0)
		row->seq = a->wdb.driver->inserted(&a->wdb);
	ahead_created(a, row, e->identity);
	if ((r = words_put(a, row->seq, m)) < 0 || (r = supersede(a, j, e, row)) < 0)
		return r;
	return row->hidden ? 0 : heat_changed(a, &c);
}

int entry_prepare(struct entry *e)
{
	unsigned char hash[TR_SHA256_LEN], at[8];
	const struct item_new_memory *m = e->m;
	struct tr_piece pieces[5] = {
		{e->has_source ? e->source.p : NULL, e->source.n},
		{m->has_session ? m->session.p : NULL, m->session.n},
		{m->has_speaker ? m->speaker.p : NULL, m->speaker.n},
		{m->has_at ? at : NULL, sizeof(at)},
		{hash, sizeof(hash)},
	};
	unsigned i;
	int r;

	for (i = 0; i < sizeof(at); i++)
		at[i] = (unsigned char)((uint64_t)m->at >> (56 - 8 * i)); /* 0 when absent */
	for (i = 0; i < 4; i++)
		pieces[i].n = pieces[i].p == NULL ? 0 : pieces[i].n;
	if ((r = tr_sha256(m->content.p, m->content.n, hash)) < 0)
		return r;
	tr_hex(hash, sizeof(hash), e->hash);
	return tr_sha256_pieces(pieces, 5, e->identity);
}

/* 1: created, 0: known and heated, < 0. */
static int remember(struct sql_archive *a, struct job *j, struct entry *e, struct row *row)
{
	int r, s, known = 1;

	if ((r = entry_prepare(e)) < 0)
		return r;
	if (e->m->has_id) {
		r = row_by_id(a, e->m->id, row);
		if (r == 1 && (known = owned_row(a, j, row->seq)) < 0)
			return known;
		if (r == 1 && (known == 0 || strcmp(row->hash, e->hash) != 0))
			return entry_fault(j, e, TR_ECONFLICT, "id", "belongs to a memory with another content");
	} else {
		r = row_by_identity(a, e, row);
	}
	if (r < 0)
		return r;
	if (r == 1 && e->m->has_id)
		return 0; /* the same call again: an id makes it harmless, so it does not heat either */
	if ((r == 0 || !row->sacred) && e->m->has_sacred && e->m->sacred &&
	    (s = sacred_use(a, j, job_admin(j), e->has_source, e->source)) < 0)
		return s;
	if (r == 1)
		return heat(a, row, a->now_ms, e->m->has_sacred && e->m->sacred);
	r = entry_create(a, j, e, row);
	return r < 0 ? r : 1;
}

wire_str job_text(struct job *j, const char *p, uint32_t n)
{
	char *copy = job_alloc(j, n);
	wire_str s = {copy, copy == NULL ? 0 : n};

	if (copy != NULL)
		memcpy(copy, p, n);
	return s;
}

/* Who is bound to a source writes there and nowhere else. */
static int own_source(struct job *j, struct entry *e)
{
	static const char bound[] = "must be the source that the token is bound to";
	wire_str own;

	if (!owned_by(j, &own))
		return 0;
	if (e->has_source && (e->source.n != own.n || memcmp(e->source.p, own.p, own.n) != 0)) {
		if (j->id == MSG_memory_decide)
			return job_fault(j, TR_EREFUSED, "by", bound);
		return entry_fault(j, e, TR_EREFUSED, "source", bound);
	}
	e->has_source = true;
	e->source = own;
	return 0;
}

int write_add(struct sql_archive *a, struct job *j)
{
	const struct msg_memory_add *msg = j->msg;
	const struct import_note note = IMPORT_NOTE(msg);
	struct res_memory_add *res = job_alloc(j, sizeof(*res));
	struct item_added *added = job_alloc(j, sizeof(*added) * msg->memories.n);
	uint32_t i, created = 0;
	int r;

	if (res == NULL || added == NULL)
		return TR_ENOMEM;
	if (msg->memories.n == 0 && !msg->has_import_id)
		return job_fault(j, TR_EINVAL, "memories", "must hold at least 1");
	if ((r = import_check(a, j, &note)) < 0)
		return r;
	for (i = 0; i < msg->memories.n; i++) {
		const struct item_new_memory *m = &msg->memories.v[i];
		struct entry e = {.m = m,
				  .i = i,
				  .has_source = m->has_source || msg->has_source,
				  .source = m->has_source ? m->source : msg->source,
				  .has_import = msg->has_import_id,
				  .import = msg->import_id};
		struct row row;

		if ((r = own_source(j, &e)) < 0 || (r = remember(a, j, &e, &row)) < 0)
			return r;
		created += r == 1;
		if ((added[i].created = r == 1, r = audit_stored(a, j, i, &row, r == 1, e.has_source, e.source)) < 0 ||
		    (r = audit_told(j, i, &added[i])) < 0)
			return r;
		added[i].id = job_text(j, row.id, row.id_n);
		if (added[i].id.p == NULL)
			return TR_ENOMEM;
		added[i].temperature = thermal_at(archive_thermal(a), row.heat, row.sacred, (double)a->now_ms);
		added[i].stage = wire_s(thermal_stage_name(thermal_stage_of(archive_thermal(a), added[i].temperature)));
	}
	res->memories.v = added;
	res->memories.n = msg->memories.n;
	j->answer.res = res;
	return import_brought(a, &note, created, msg->memories.n - created);
}

int write_decision(struct sql_archive *a, struct job *j, wire_str text, wire_str by, const wire_strs *tags,
		   struct item_decision *out)
{
	struct item_new_memory m = {.content = text, .has_tags = true, .tags = *tags};
	struct entry e = {.m = &m, .has_source = true, .source = by};
	char id[TR_ID_LEN];
	struct row row;
	struct query q;
	int r;

	if ((r = own_source(j, &e)) < 0 || (r = remember(a, j, &e, &row)) < 0)
		return r;
	if ((r = audit_stored(a, j, 0, &row, r == 1, true, by)) < 0)
		return r;
	tr_id_new(id);
	q = q_begin(&a->wdb, SQL_ADD_DECISION);
	q_text(&q, id, strlen(id));
	q_text(&q, row.id, row.id_n);
	q_text(&q, by.p, by.n);
	q_i64(&q, a->now_ms);
	if ((r = q_run(&q)) < 0)
		return r;
	out->id = job_text(j, id, (uint32_t)strlen(id));
	out->text = text; /* outlives the answer, as the zone does */
	out->by = by;
	out->memory_id = job_text(j, row.id, row.id_n);
	out->at = a->now_ms;
	return out->id.p == NULL || out->memory_id.p == NULL ? TR_ENOMEM : 0;
}

int write_decide(struct sql_archive *a, struct job *j)
{
	const struct msg_memory_decide *msg = j->msg;
	static const wire_str tag = {"decision", sizeof("decision") - 1};
	struct res_memory_decide *res = job_alloc(j, sizeof(*res));

	if (res == NULL)
		return TR_ENOMEM;
	j->answer.res = res;
	return write_decision(a, j, msg->text, msg->by, &(const wire_strs){&tag, 1}, &res->decision);
}
