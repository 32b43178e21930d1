/* Claiming the lead: our epoch in the role's row, and with it what others committed last. */
#include "jrs/memory/archive/internal.h"
#include <string.h>

/* What counts over all lives, and a phase coherence that is known at once. */
int archive_replay(struct sql_archive *a, struct db *db, struct replay *out)
{
	struct query q = q_begin(db, SQL_COUNTER);
	struct replay now = {0};
	int r;

	(void)a;
	q_text(&q, "recalls_total", strlen("recalls_total"));
	if ((r = q_row(&q)) == 1)
		now.recalls = (uint64_t)q_get_i64(&q, 0);
	q_end(&q);
	if (r < 0)
		return r;
	q = q_begin(db, SQL_PHASES);
	if ((r = q_row(&q)) == 1) {
		now.phase_known = (uint64_t)q_get_i64(&q, 0);
		now.phase_sum = q_get_f64(&q, 1);
	}
	q_end(&q);
	if (r < 0 || (r = constants_read(db, &now.constants, NULL)) < 0)
		return r;
	if (!thermal_ok(&now.constants.model))
		return TR_ESTORE;
	*out = now;
	return 0;
}

int archive_replayed(struct sql_archive *a, const struct replay *now)
{
	int r = constants_take(a, &now->constants);

	if (r < 0)
		return r;
	pthread_mutex_lock(&a->writer.lock);
	a->recalls_total = now->recalls + a->notes.nrecall + a->taken.nrecall; /* those are not there yet */
	pthread_mutex_unlock(&a->writer.lock);
	a->phase_known = now->phase_known;
	a->phase_sum = now->phase_sum;
	return 0;
}

int archive_role_epoch(struct db *db, uint64_t *out)
{
	struct query q = q_begin(db, SQL_ROLE_EPOCH);
	int r;

	q_text(&q, "memory", strlen("memory"));
	if ((r = q_row(&q)) >= 0)
		*out = r == 1 ? (uint64_t)q_get_i64(&q, 0) : 0;
	q_end(&q);
	return r < 0 ? r : 0;
}

void archive_claimed(struct sql_archive *a)
{
	pthread_mutex_lock(&a->hist_lock);
	(void)archive_replayed(a, &a->replay); /* cannot fail: archive_claim() has made room for it */
	a->lead_epoch = a->epoch;
	a->leads = true;
	a->changes++;
	pthread_mutex_unlock(&a->hist_lock);
}

/* In the transaction. 1: the row is ours, 0: a newer lead's, < 0. */
static int claim_row(struct sql_archive *a)
{
	struct query q;
	uint64_t above = 0;
	int r;

	a->epoch = a->wanted_epoch;
	if ((r = db_run(&a->wdb, SQL_CLAIM_WAITS)) < 0 || (!a->named && (r = archive_role_epoch(&a->wdb, &above)) < 0))
		return r;
	if (a->epoch <= above)
		a->epoch = above + 1;
	q = q_begin(&a->wdb, SQL_CLAIM);
	q_text(&q, "memory", strlen("memory"));
	q_i64(&q, (int64_t)a->epoch);
	q_i64(&q, a->wall_ms());
	r = q_row(&q);
	q_end(&q);
	return r;
}

int archive_claim(struct sql_archive *a)
{
	const struct db_driver *driver = a->wdb.driver;
	int r;

	if ((r = driver->begin(&a->wdb)) < 0)
		return r;
	if ((r = claim_row(a)) == 1 && (r = archive_replay(a, &a->wdb, &a->replay)) == 0 &&
	    (r = constants_name(a, &a->replay.constants)) == 0 &&
	    (r = constants_next(a, &a->replay.constants.model)) == 0 && (r = driver->commit(&a->wdb)) == 0) {
		archive_claimed(a);
		return 0;
	}
	driver->rollback(&a->wdb);
	if (r < 0 || !a->named)
		return r < 0 ? r : db_failed(&a->wdb, DB_BUSY, 0, "another took the lead", TR_EUNAVAILABLE);
	a->fenced = true;
	return db_failed(&a->wdb, DB_FENCED, 0, "a newer lead writes now", TR_EUNAVAILABLE);
}
