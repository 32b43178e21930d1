/* Purging an archive on PostgreSQL: VACUUM takes what was deleted out of rows and indexes, once no other session can
 * see it any more. A server overwrites freed room only when it is used again; that, and its log, are its own affair. */
#include "common/base/clock.h"
#include "common/log/log.h"
#include "jrs/memory/archive/postgres.h"

#define LOOKERS_MS 50u    /* how often it is looked whether somebody still sees what was deleted */
#define WAIT_MS    30000u /* so long that is waited for; then it is tried again later */

/* One number of a statement with at most one parameter. Leaves no transaction open. */
static int number(struct db *db, enum sql id, bool has, int64_t parameter, int64_t *out)
{
	struct query q = q_begin(db, id);
	int r, end;

	if (has)
		q_i64(&q, parameter);
	if ((r = q_row(&q)) == 1)
		*out = q_get_i64(&q, 0);
	q_end(&q);
	end = db->driver->looked(db);
	return r < 0 ? r : r == 0 ? TR_ESTORE : end;
}

/* Nobody holds a snapshot from before now any more; ours of long reads are among them. */
static int await_lookers(struct sql_archive *a)
{
	struct db *db = &a->kdb;
	uint64_t until = tr_mono_ms() + WAIT_MS;
	int64_t horizon = 0, lookers = 0;
	int r = number(db, SQL_HORIZON, false, 0, &horizon);

	while (r == 0 && (r = number(db, SQL_LOOKERS, true, horizon, &lookers)) == 0 && lookers > 0) {
		if (tr_mono_ms() >= until)
			return db_failed(db, DB_BUSY, 0, "a session holds an old snapshot", TR_EUNAVAILABLE);
		if (lane_sleep(&a->keeper, LOOKERS_MS))
			return TR_ECLOSED;
	}
	return r;
}

/* Not within a transaction: alone between two syncs of the pipeline. */
static int vacuum(struct db *db, enum sql id)
{
	struct query q;
	int r, end;

	if ((r = pg_fresh(db)) < 0)
		return r;
	q = q_begin(db, id);
	r = q_row(&q);
	q_end(&q);
	end = db->driver->looked(db);
	return r < 0 ? r : end;
}

int postgres_clean(struct sql_archive *a)
{
	static const enum sql tables[] = {SQL_VACUUM_MEMORIES, SQL_VACUUM_REQUESTS, SQL_VACUUM_DECISIONS,
					  SQL_VACUUM_VOTES, SQL_VACUUM_BALLOTS};
	struct db *db = &a->kdb;
	size_t i;
	int r = await_lookers(a);

	for (i = 0; r == 0 && i < sizeof(tables) / sizeof(tables[0]); i++)
		r = vacuum(db, tables[i]);
	if (r < 0 && r != TR_ECLOSED)
		log_warn("archive: cleaning failed reason=\"%s\"", db->reason);
	return r;
}
