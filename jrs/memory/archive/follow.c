/* Following what others commit, and taking the lead from whoever had it. */
#include "common/base/clock.h"
#include "jrs/memory/archive/internal.h"
#include <stdlib.h>
#include <string.h>

#define TAIL_MAX   10000 /* changes in one answer */
#define REFRESH_MS 1000u /* nobody waits for a server that is away: it is asked again soon */

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

static int ask(struct sql_archive *a, struct lane *lane, const struct job *what)
{
	struct job *j = malloc(sizeof(*j));
	int r = TR_ENOMEM;

	if (j == NULL)
		return r;
	*j = *what;
	if ((r = archive_enqueue(a, lane, j)) < 0)
		free(j);
	return r;
}

int follow_refresh(struct archive *door, archive_lead_cb *cb, void *arg)
{
	struct sql_archive *a = (struct sql_archive *)door;
	const struct job j = {
		.kind = JOB_REFRESH, .ctx = {.deadline_ms = tr_mono_ms() + REFRESH_MS}, .lead_cb = cb, .arg = arg};

	return ask(a, &a->reading, &j);
}

int follow_lead(struct archive *door, uint64_t epoch, archive_lead_cb *cb, void *arg)
{
	struct sql_archive *a = (struct sql_archive *)door;
	const struct job j = {.kind = JOB_LEAD, .epoch = epoch, .lead_cb = cb, .arg = arg};

	return ask(a, &a->writer, &j);
}

int follow_settle(struct archive *door, archive_lead_cb *cb, void *arg)
{
	struct sql_archive *a = (struct sql_archive *)door;
	const struct job j = {.kind = JOB_SETTLE, .lead_cb = cb, .arg = arg};

	return ask(a, &a->writer, &j);
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

/* Each connection is told of others' commits for itself. */
int read_refresh(struct sql_archive *a, struct reader *reader, struct job *j)
{
	struct query q = q_begin(j->db, SQL_VERSION);
	int64_t version = 0;
	struct replay now;
	int r;

	if ((r = q_row(&q)) == 1)
		version = q_get_i64(&q, 0);
	q_end(&q);
	j->epoch = a->lead_epoch;
	if (r < 0 || version == reader->version || !a->following)
		return r < 0 ? r : 0;
	if ((r = j->db->driver->look(j->db)) < 0 || (r = archive_replay(a, j->db, &now)) < 0 ||
	    (r = archive_role_epoch(j->db, &j->epoch)) < 0)
		return r;
	pthread_mutex_lock(&a->hist_lock);
	if (a->following && (r = archive_replayed(a, &now)) == 0) { /* else the claim reads it, under the write lock */
		a->lead_epoch = j->epoch;
		a->changes++;
	}
	pthread_mutex_unlock(&a->hist_lock);
	if (r == 0)
		reader->version = version;
	return r;
}
