/* What changes a memory that is there: patch and forget. */
#include "jrs/memory/archive/ahead.h"
#include "jrs/memory/archive/purge.h"
#include "jrs/memory/archive/quota.h"
#include <assert.h>
#include <stdlib.h>
#include <string.h>

/* 0 and the row, TR_ENOTFOUND, or < 0. */
static int known(struct sql_archive *a, struct job *j, wire_str id, struct row *out)
{
	int r = row_by_id(a, id, out);

	if (r == 1)
		r = owned_row(a, j, out->seq);
	if (r == 0)
		return job_fault(j, TR_ENOTFOUND, "id", "no memory has this id");
	return r < 0 ? r : 0;
}

static int patch_row(struct sql_archive *a, struct job *j, const struct msg_memory_patch *msg, const struct row *row)
{
	bool sacred = msg->has_sacred && msg->sacred;
	struct heat_change c = {row->heat, row->heat, true, row->sacred, row->sacred || sacred, false};
	char *tags = NULL, *metadata = NULL;
	struct query q;
	int r = TR_ENOMEM;

	if (msg->has_tags && (tags = tags_json(&msg->tags)) == NULL)
		goto out;
	if (msg->has_metadata && (r = metadata_json(msg->metadata, &metadata)) < 0) {
		job_fault(j, r, "metadata", "must be what JSON can hold");
		goto out;
	}
	if (metadata != NULL && (r = quota_change(a, j, row, strlen(metadata))) < 0)
		goto out;
	if (sacred && !row->sacred && (r = sacred_use_of(a, j, job_admin(j), row)) < 0)
		goto out;
	ahead_clear(a);
	q = q_begin(&a->wdb, SQL_PATCH);
	q_i64(&q, row->seq);
	q_opt_text(&q, tags != NULL, wire_s(tags));
	q_opt_f64(&q, msg->has_importance, msg->importance);
	q_i64(&q, sacred);
	q_opt_text(&q, metadata != NULL, wire_s(metadata));
	if ((r = q_run(&q)) == 0 && !row->hidden && c.is_sacred != c.was_sacred)
		r = heat_changed(a, &c);
out:
	free(tags);
	free(metadata);
	return r;
}

int write_patch(struct sql_archive *a, struct job *j)
{
	const struct msg_memory_patch *msg = j->msg;
	struct res_memory_patch *res = job_alloc(j, sizeof(*res));
	struct archive_hit *hit = job_alloc(j, sizeof(*hit));
	struct row row;
	struct query q;
	int r;

	if (res == NULL || hit == NULL)
		return TR_ENOMEM;
	if ((r = known(a, j, msg->id, &row)) < 0)
		return r;
	if (row.sacred && msg->has_sacred && !msg->sacred)
		return job_fault(j, TR_EREFUSED, "sacred",
				 "a sacred memory stays sacred, but for an act of governance");
	/* A call that says nothing new to say changes nothing, its revision neither. */
	if ((msg->has_tags || msg->has_importance || msg->has_sacred || msg->has_metadata) &&
	    ((r = patch_row(a, j, msg, &row)) < 0 || (r = audit_stored(a, j, 0, &row, true, false, wire_s(NULL))) < 0))
		return r;
	q = q_begin(&a->wdb, SQL_PATCHED);
	q_i64(&q, row.seq);
	if ((r = q_row(&q)) == 1)
		r = row_memory(a, j, &q, a->now_ms, &res->memory, hit);
	q_end(&q);
	j->answer = (struct archive_answer){.res = res, .hits = hit, .nhits = 1};
	return r;
}

static int about(struct sql_archive *a, enum sql id, bool seq, bool name, const struct row *row)
{
	struct query q = q_begin(&a->wdb, id);

	if (seq)
		q_i64(&q, row->seq);
	if (name)
		q_text(&q, row->id, row->id_n);
	return q_run(&q);
}

int forget_row(struct sql_archive *a, const struct row *row)
{
	const struct heat_change c = {.before = row->heat, .was = true, .was_sacred = row->sacred, .gone = true};
	int r;

	assert(a->words.n == 0); /* words_needed() */
	ahead_clear(a);
	/* A decision, and a vote, goes with its memory: it *is* that memory. The words go before the row: they are
	 * taken from it. */
	if ((r = purge_mark(a)) < 0 || (r = quota_remove(a, row)) < 0 ||
	    (r = about(a, SQL_FORGET_DECISIONS, false, true, row)) < 0 ||
	    (r = about(a, SQL_FORGET_BALLOTS, false, true, row)) < 0 ||
	    (r = about(a, SQL_FORGET_VOTE, false, true, row)) < 0 ||
	    (r = about(a, SQL_FORGET_ANSWERS, false, true, row)) < 0 ||
	    (r = about(a, SQL_FORGET_FLAGS, false, true, row)) < 0 ||
	    (r = about(a, SQL_FORGET_WORDS, true, false, row)) < 0 ||
	    (r = about(a, SQL_FORGET_NOTE, true, true, row)) < 0 ||
	    (r = about(a, SQL_FORGET_OLDER, true, true, row)) < 0 ||
	    (r = about(a, SQL_FORGET_NEWER, true, true, row)) < 0 ||
	    (r = about(a, SQL_FORGET_PAIRS, true, false, row)) < 0 || (r = about(a, SQL_FORGET, true, false, row)) < 0)
		return r;
	return row->hidden ? 0 : heat_changed(a, &c);
}

int write_forget(struct sql_archive *a, struct job *j)
{
	const struct msg_memory_forget *msg = j->msg;
	struct res_memory_forget *res = job_alloc(j, sizeof(*res));
	struct archive_hit *hit = job_alloc(j, sizeof(*hit));
	struct row row;
	int r;

	if (res == NULL || hit == NULL)
		return TR_ENOMEM;
	if ((r = known(a, j, msg->id, &row)) < 0)
		return r;
	if (row.sacred)
		return job_fault(j, TR_EREFUSED, "sacred",
				 "a sacred memory is not forgotten, but by an act of governance");
	if ((r = forget_row(a, &row)) < 0)
		return r;
	res->id = msg->id;
	*hit = (struct archive_hit){.memory = row.seq, .seen = row.seen};
	j->answer = (struct archive_answer){.res = res, .hits = hit, .nhits = 1};
	return 0;
}
