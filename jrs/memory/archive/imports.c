/* Imports: how far each got, so that it can be resumed, and what it brought, so that it can be undone. */
#include "jrs/memory/archive/ahead.h"
#include <stdlib.h>
#include <string.h>

/* Memories removed by one call: others wait meanwhile. SQLite keeps a journal of the open savepoint that every statement walks: a
 * thousand took four times as long a memory. */
#define UNDO_MAX 200
#define IMPORTS  50   /* when the caller does not say how many */

enum {
	COL_ID,
	COL_NAME,
	COL_POSITION,
	COL_SIZE,
	COL_ADDED,
	COL_KNOWN,
	COL_SKIPPED,
	COL_STARTED,
	COL_FINISHED,
	COL_UNDONE
};

static int row_import(struct job *j, struct query *q, struct item_import *out)
{
	memset(out, 0, sizeof(*out));
	if (row_text(j, q, COL_ID, &out->id) < 0 || row_text(j, q, COL_NAME, &out->name) < 0)
		return TR_ENOMEM;
	out->position = (uint64_t)q_get_i64(q, COL_POSITION);
	out->size = (uint64_t)q_get_i64(q, COL_SIZE);
	out->added = (uint64_t)q_get_i64(q, COL_ADDED);
	out->known = (uint64_t)q_get_i64(q, COL_KNOWN);
	out->skipped = (uint64_t)q_get_i64(q, COL_SKIPPED);
	out->started = q_get_i64(q, COL_STARTED);
	out->has_finished = !q_is_null(q, COL_FINISHED);
	out->finished = q_get_i64(q, COL_FINISHED);
	out->has_undone = !q_is_null(q, COL_UNDONE);
	out->undone = q_get_i64(q, COL_UNDONE);
	return 0;
}

/* 1 and *out, 0: there is none, < 0. */
static int find(struct sql_archive *a, struct job *j, wire_str id, struct item_import *out)
{
	struct query q = q_begin(&a->wdb, SQL_IMPORT);
	int r, s;

	q_text(&q, id.p, id.n);
	if ((r = q_row(&q)) == 1 && (s = row_import(j, &q, out)) < 0)
		r = s;
	q_end(&q);
	return r;
}

static int add_import(struct sql_archive *a, const struct msg_memory_import_begin *msg)
{
	struct query q = q_begin(&a->wdb, SQL_ADD_IMPORT);

	q_text(&q, msg->id.p, msg->id.n);
	q_text(&q, msg->name.p, msg->name.n);
	q_i64(&q, (int64_t)msg->size);
	q_i64(&q, a->now_ms);
	return q_run(&q);
}

/* A statement of one import at this time. */
static int timed(struct sql_archive *a, enum sql id, wire_str import)
{
	struct query q = q_begin(&a->wdb, id);

	q_text(&q, import.p, import.n);
	q_i64(&q, a->now_ms);
	return q_run(&q);
}

static int begin_again(struct sql_archive *a, wire_str import)
{
	struct query q = q_begin(&a->wdb, SQL_BEGIN_REQUESTS);
	int r;

	ahead_clear(a);
	q_text(&q, import.p, import.n);
	if ((r = q_run(&q)) < 0)
		return r;
	return timed(a, SQL_BEGIN_AGAIN, import);
}

int write_import_begin(struct sql_archive *a, struct job *j)
{
	const struct msg_memory_import_begin *msg = j->msg;
	struct res_memory_import_begin *res = job_alloc(j, sizeof(*res));
	struct item_import now;
	int r;

	if (res == NULL)
		return TR_ENOMEM;
	if (msg->size > INT64_MAX)
		return job_fault(j, TR_EINVAL, "size", "must be at most 9223372036854775807");
	if ((r = find(a, j, msg->id, &now)) < 0)
		return r;
	if (r == 1 && now.size != msg->size)
		return job_fault(j, TR_ECONFLICT, "size", "an import with this id has another size");
	if (r == 0)
		r = add_import(a, msg);
	else
		r = now.has_undone ? begin_again(a, msg->id) : 0;
	if (r < 0 || (r = find(a, j, msg->id, &res->import)) < 0)
		return r;
	j->answer.res = res;
	return 0;
}

int import_check(struct sql_archive *a, struct job *j, const struct import_note *n)
{
	struct item_import import;
	int r;

	if (!n->has_id && (n->has_position || n->has_skipped))
		return job_fault(j, TR_EINVAL, n->has_position ? "import_position" : "import_skipped",
				 "needs import_id");
	if (!n->has_id)
		return 0;
	if ((r = find(a, j, n->id, &import)) < 0)
		return r;
	if (r == 0)
		return job_fault(j, TR_ENOTFOUND, "import_id", "no import with this id was begun");
	if (import.has_undone)
		return job_fault(j, TR_ECONFLICT, "import_id", "this import was undone; begin it again");
	if (n->has_position && n->position > import.size)
		return job_fault(j, TR_EINVAL, "import_position",
				 "must be at most the size that was named at the beginning");
	if (n->has_skipped && n->skipped > INT32_MAX)
		return job_fault(j, TR_EINVAL, "import_skipped", "must be at most 2147483647");
	return 0;
}

int import_brought(struct sql_archive *a, const struct import_note *n, uint64_t added, uint64_t known)
{
	struct query q;

	if (!n->has_id)
		return 0;
	q = q_begin(&a->wdb, SQL_NOTE_IMPORT);
	q_text(&q, n->id.p, n->id.n);
	q_i64(&q, n->has_position ? (int64_t)n->position : -1); /* the position only grows */
	q_i64(&q, (int64_t)added);
	q_i64(&q, (int64_t)known);
	q_i64(&q, n->has_skipped ? (int64_t)n->skipped : 0);
	q_i64(&q, a->now_ms);
	return q_run(&q);
}

/* The numbers of at most max ordinary memories of an import, oldest first; how many, < 0. */
static int brought(struct sql_archive *a, wire_str id, int64_t *v, int max)
{
	struct query q = q_begin(&a->wdb, SQL_IMPORTED);
	int r, n = 0;

	q_text(&q, id.p, id.n);
	q_i64(&q, max);
	while ((r = q_row(&q)) == 1 && n < max)
		v[n++] = q_get_i64(&q, 0);
	q_end(&q);
	return r < 0 ? r : n;
}

static int count_kept(struct sql_archive *a, wire_str id, uint64_t *out)
{
	struct query q = q_begin(&a->wdb, SQL_IMPORT_KEPT);
	int r;

	q_text(&q, id.p, id.n);
	if ((r = q_row(&q)) == 1)
		*out = (uint64_t)q_get_i64(&q, 0);
	q_end(&q);
	return r < 0 ? r : 0;
}

int write_import_undo(struct sql_archive *a, struct job *j)
{
	const struct msg_memory_import_undo *msg = j->msg;
	struct res_memory_import_undo *res = job_alloc(j, sizeof(*res));
	int64_t *v = job_alloc(j, sizeof(*v) * (UNDO_MAX + 1));
	struct archive_hit *hits = job_alloc(j, sizeof(*hits) * UNDO_MAX);
	struct item_import import;
	int r, n, i;

	if (res == NULL || v == NULL || hits == NULL)
		return TR_ENOMEM;
	if ((r = find(a, j, msg->id, &import)) < 0)
		return r;
	if (r == 0)
		return job_fault(j, TR_ENOTFOUND, "id", "no import has this id");
	if ((n = brought(a, msg->id, v, UNDO_MAX + 1)) < 0)
		return n;
	res->more = n > UNDO_MAX;
	n = n > UNDO_MAX ? UNDO_MAX : n;
	for (i = 0; i < n; i++) {
		struct row row;

		if ((r = row_by_seq(a, v[i], &row)) <= 0 || (r = forget_row(a, &row)) < 0)
			return r < 0 ? r : TR_ESTORE;
		hits[i] = (struct archive_hit){.memory = row.seq, .seen = row.seen};
	}
	/* From the first call on: half undone is not to be resumed. */
	if ((r = timed(a, SQL_UNDO_IMPORT, msg->id)) < 0 || (r = count_kept(a, msg->id, &res->kept)) < 0)
		return r;
	res->removed = (uint64_t)n;
	j->answer = (struct archive_answer){.res = res, .hits = hits, .nhits = (unsigned)n};
	return 0;
}

int read_imports(struct sql_archive *a, struct job *j)
{
	const struct msg_memory_imports *msg = j->msg;
	uint32_t limit = msg->has_limit ? msg->limit : IMPORTS, n = 0;
	struct res_memory_imports *res = job_alloc(j, sizeof(*res));
	struct item_import *v = job_alloc(j, sizeof(*v) * limit);
	struct query q = q_begin(j->db, SQL_IMPORTS);
	int r;

	(void)a;
	if (res == NULL || v == NULL)
		return TR_ENOMEM;
	q_i64(&q, limit);
	while ((r = q_row(&q)) == 1 && n < limit) {
		if ((r = row_import(j, &q, &v[n])) < 0)
			break;
		n++;
	}
	q_end(&q);
	res->imports.v = v;
	res->imports.n = n;
	j->answer.res = res;
	return r < 0 ? r : 0;
}
