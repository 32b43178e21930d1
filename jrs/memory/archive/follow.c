/* Following what others commit, and taking the lead from whoever had it. */
#include "jrs/memory/archive/internal.h"
#include <stdlib.h>
#include <string.h>

#define TAIL_MAX 10000 /* changes in one answer */

int follow_tail(struct archive *door, const struct archive_mark *from, unsigned limit, archive_tail_cb *cb, void *arg)
{
	struct sql_archive *a = (struct sql_archive *)door;
	struct job *j = calloc(1, sizeof(*j));
	int r = TR_ENOMEM;

	if (j == NULL)
		return r;
	*j = (struct job){.kind = JOB_TAIL,
			  .tail_cb = cb,
			  .arg = arg,
			  .tail = {.next = *from},
			  .limit = limit == 0 || limit > TAIL_MAX ? TAIL_MAX : limit};
	if ((r = archive_enqueue(a, &a->reading, j)) < 0)
		free(j);
	return r;
}

static int ask_writer(struct archive *door, enum job_kind kind, archive_lead_cb *cb, void *arg)
{
	struct sql_archive *a = (struct sql_archive *)door;
	struct job *j = calloc(1, sizeof(*j));
	int r = TR_ENOMEM;

	if (j == NULL)
		return r;
	*j = (struct job){.kind = kind, .lead_cb = cb, .arg = arg};
	if ((r = archive_enqueue(a, &a->writer, j)) < 0)
		free(j);
	return r;
}

int follow_lead(struct archive *door, archive_lead_cb *cb, void *arg)
{
	return ask_writer(door, JOB_LEAD, cb, arg);
}

int follow_settle(struct archive *door, archive_lead_cb *cb, void *arg)
{
	return ask_writer(door, JOB_SETTLE, cb, arg);
}

/* One number of a statement without parameters; 0 when there is no row. */
static int number(struct db *db, enum sql id, uint64_t *out)
{
	struct query q = q_begin(db, id);
	int r = q_row(&q);

	*out = r == 1 ? (uint64_t)q_get_i64(&q, 0) : 0;
	q_end(&q);
	return r < 0 ? r : 0;
}

/* Rows of a statement (memory, position, kind) from *position on, which moves behind the last one. How many, < 0. */
static int gather(struct job *j, enum sql id, uint64_t *position, struct archive_change *v, unsigned *n)
{
	struct query q = q_begin(j->db, id);
	int r, got = 0;

	q_i64(&q, (int64_t)*position);
	q_i64(&q, j->limit);
	while ((r = q_row(&q)) == 1 && *n < 2 * TAIL_MAX) {
		v[(*n)++] = (struct archive_change){q_get_i64(&q, 0), (enum archive_change_kind)q_get_i64(&q, 2)};
		*position = (uint64_t)q_get_i64(&q, 1);
		got++;
	}
	q_end(&q);
	return r < 0 ? r : got;
}

/* New memories first, then what happened to them: in that order a follower ends where the archive is. */
static int collect(struct job *j, struct archive_change *v)
{
	struct archive_tail *t = &j->tail;
	bool anew = t->next.rows == 0 && t->next.changes == 0;
	uint64_t trimmed = 0, now = 0, horizon = 0;
	int rows, changes = 0, r;

	if ((r = number(j->db, SQL_TAIL_TRIMMED, &trimmed)) < 0 || (r = number(j->db, SQL_TAIL_NOW, &now)) < 0 ||
	    (r = number(j->db, SQL_TAIL_HORIZON, &horizon)) < 0)
		return r;
	if (!anew && t->next.changes < trimmed) {
		t->lost = true;
		t->next = (struct archive_mark){0, now};
		return 0;
	}
	t->next.changes = anew ? now : t->next.changes;
	if ((rows = gather(j, SQL_TAIL_ROWS, &t->next.rows, v, &t->n)) < 0 ||
	    (changes = gather(j, SQL_TAIL_CHANGES, &t->next.changes, v, &t->n)) < 0)
		return rows < 0 ? rows : changes;
	/* A transaction that is still open may yet put something in between: what lies behind it will be told again. */
	if (rows < (int)j->limit && t->next.rows > horizon)
		t->next.rows = horizon;
	if (changes < (int)j->limit && t->next.changes > horizon)
		t->next.changes = horizon;
	t->more = rows >= (int)j->limit || changes >= (int)j->limit;
	return 0;
}

int read_tail(struct sql_archive *a, struct job *j)
{
	struct archive_change *v = calloc(2 * TAIL_MAX, sizeof(*v));
	int r;

	(void)a;
	if (v == NULL)
		return TR_ENOMEM;
	j->tail.v = v;
	if ((r = j->db->driver->look(j->db)) < 0)
		return r;
	return collect(j, v);
}
