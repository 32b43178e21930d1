/* The readers' threads, and the keeper's, which does what nobody waits for. */
#include "common/log/log.h"
#include "jrs/memory/archive/quota.h"

#define AWAY_LOOK_MS   20   /* while the server is away */
#define COUNT_AGAIN_MS 1000 /* after a failure */
#define CLAIM_MS       2000 /* so long the first count waits for the lead to be claimed */
#define CLAIM_LOOK_MS  2

static int read_one(struct sql_archive *a, struct job *j)
{
	switch (j->id) {
	case MSG_memory_get:
		return read_get(a, j);
	case MSG_memory_recall:
		return read_recall(a, j);
	case MSG_memory_thermal:
		return read_thermal(a, j);
	case MSG_memory_decisions:
		return read_decisions(a, j);
	case MSG_memory_explain:
		return read_explain(a, j);
	case MSG_memory_export:
		return read_export(a, j);
	case MSG_memory_imports:
		return read_imports(a, j);
	case MSG_memory_tokens:
		return read_tokens(a, j);
	case MSG_memory_token_keys:
		return read_token_keys(a, j);
	case MSG_memory_acts:
		return read_acts(a, j);
	case MSG_memory_vote:
		return read_vote(a, j);
	case MSG_memory_votes:
		return read_votes(a, j);
	case MSG_memory_sacred:
		return read_sacred(a, j);
	case MSG_memory_audit:
		return read_audit(a, j);
	default:
		return read_samples(a, j);
	}
}

static int serve_once(struct reader *reader, struct job *j)
{
	struct sql_archive *a = reader->a;

	switch (j->kind) {
	case JOB_TAIL:
		return read_tail(a, j);
	case JOB_REFRESH:
		return read_refresh(a, reader, j);
	default:
		return read_one(a, j);
	}
}

/* A follower's keeper does not ask yet whether the server is there. */
static void noticed(struct sql_archive *a, const struct job *j)
{
	if (j->kind == JOB_REFRESH && a->following)
		a->away = j->r < 0 && j->db->trouble == DB_AWAY;
}

/* One call over one snapshot. */
static void serve(struct reader *reader, struct job *j)
{
	struct sql_archive *a = reader->a;

	j->db = &reader->db;
	reader->job = j;
	do { /* a server that went away may be back in time: reading twice does no harm */
		j->db->trouble = DB_FINE;
		if (job_late(j))
			j->r = TR_EDEADLINE;
		else if ((j->r = j->db->driver->ready(j->db)) == 0)
			j->r = serve_once(reader, j);
	} while (j->r == TR_EUNAVAILABLE && j->db->trouble == DB_AWAY && !job_gives_up(j) &&
		 !lane_sleep(&a->reading, AWAY_LOOK_MS));
	reader->job = NULL;
	noticed(a, j);
	if (j->r == TR_EUNAVAILABLE && j->db->trouble == DB_AWAY)
		(void)job_fault(j, j->r, "", "the archive: the database server does not answer");
	/* Figures and recalls open a snapshot; whatever happened, none is left open. What was read stays read even when
	 * the server went away behind it. */
	(void)j->db->driver->looked(j->db);
	if (j->r == TR_ESTORE)
		log_warn("archive: a read failed code=%d reason=\"%s\"", j->db->code, j->db->reason);
	if (j->r == TR_EDEADLINE && a->closing)
		j->r = TR_ECLOSED;
	archive_finish(a, j);
}

/* One row by its key, and whether the tokens are others: some ten microseconds from pages that are in memory, where two
 * changes of thread cost as much, and at a takeover, when all CPUs are wanted, a hundred times that. Whoever holds what
 * it needs is not waited for here. */
bool lanes_read_here(struct sql_archive *a, struct job *j)
{
	if ((j->id != MSG_memory_get && j->id != MSG_memory_token_keys) || a->here.db.conn == NULL || a->closing)
		return false;
	j->db = &a->here.db;
	j->db->trouble = DB_FINE;
	j->r = job_late(j) ? TR_EDEADLINE : read_one(a, j);
	(void)j->db->driver->looked(j->db);
	if (j->db->trouble == DB_BUSY) {
		j->r = 0;
		j->fault = (struct tr_fault){0};
		j->answer = (struct archive_answer){0};
		return false;
	}
	if (j->r == TR_ESTORE)
		log_warn("archive: a read failed code=%d reason=\"%s\"", j->db->code, j->db->reason);
	a->unanswered++;
	archive_finish(a, j);
	return true;
}

/* Until the first count is done, what needs the figures waits, and no reader waits with it. */
static bool parked(struct sql_archive *a, struct job *j)
{
	if (!a->counting || j->kind != JOB_CALL ||
	    (j->id != MSG_memory_thermal && j->id != MSG_memory_samples && j->id != MSG_memory_acts))
		return false;
	jobs_put(&a->parked, j);
	return true;
}

void *reader_main(void *arg)
{
	struct reader *reader = arg;
	struct sql_archive *a = reader->a;
	struct lane *lane = &a->reading;
	struct job *j;

	for (;;) {
		pthread_mutex_lock(&lane->lock);
		do {
			while (lane->waiting.n == 0 && !lane->stop)
				pthread_cond_wait(&lane->wake, &lane->lock);
			j = lane->stop ? NULL : jobs_take(&lane->waiting);
		} while (j != NULL && parked(a, j));
		pthread_mutex_unlock(&lane->lock);
		if (j == NULL)
			return NULL;
		serve(reader, j);
	}
}

void keeper_wake(struct sql_archive *a)
{
	pthread_mutex_lock(&a->keeper.lock);
	pthread_cond_signal(&a->keeper.wake);
	pthread_mutex_unlock(&a->keeper.lock);
}

/* Nobody asks a follower for figures, and it would have to count again. True: we are to stop. */
static bool await_promotion(struct sql_archive *a)
{
	struct lane *lane = &a->keeper;
	bool stop;

	pthread_mutex_lock(&lane->lock);
	while (a->following && !lane->stop)
		pthread_cond_wait(&lane->wake, &lane->lock);
	stop = lane->stop;
	pthread_mutex_unlock(&lane->lock);
	return stop;
}

/* Until the lead is claimed, or never will be, or ms have passed. True: we are to stop. */
static bool await_claim(struct sql_archive *a, uint64_t ms)
{
	uint64_t waited;

	for (waited = 0; !a->leads && !a->damaged && !a->fenced && waited < ms; waited += CLAIM_LOOK_MS) {
		if (lane_sleep(&a->keeper, CLAIM_LOOK_MS))
			return true;
	}
	return false;
}

/* Counts the heat of all memories, on a snapshot of its own. True: we are to stop. */
static bool count_heat(struct sql_archive *a)
{
	while (figures_count(a) < 0 && !a->closing) {
		log_warn("archive: counting failed code=%d reason=\"%s\"", a->kdb.code, a->kdb.reason);
		if (lane_sleep(&a->keeper, COUNT_AGAIN_MS))
			return true;
	}
	return false;
}

/* Lets go who waited for the first count. */
static void unpark(struct sql_archive *a)
{
	struct jobs parked;
	struct job *j;

	pthread_mutex_lock(&a->reading.lock);
	a->counting = false;
	parked = a->parked;
	a->parked = (struct jobs){NULL, NULL, 0};
	while ((j = jobs_take(&parked)) != NULL)
		jobs_put(&a->reading.waiting, j);
	pthread_cond_broadcast(&a->reading.wake);
	pthread_mutex_unlock(&a->reading.lock);
}

/* Not before the claim: whoever counts long uses the log, which a claim that comes late has to empty, and what the one
 * before us committed last belongs to it. Where it takes too long it is counted at once, and once more behind it. */
static void first_count(struct sql_archive *a)
{
	bool early;

	if (await_promotion(a) || await_claim(a, CLAIM_MS))
		return;
	early = !a->leads;
	if (count_heat(a))
		return;
	unpark(a);
	if (early && !await_claim(a, UINT64_MAX) && a->leads)
		(void)count_heat(a);
}

void *watcher_main(void *arg)
{
	struct sql_archive *a = arg;

	a->wdb.driver->watch(a);
	return NULL;
}

void *keeper_main(void *arg)
{
	struct sql_archive *a = arg;

	first_count(a);
	while (!a->closing && quota_count(a) < 0) {
		log_warn("archive: counting sources failed code=%d reason=\"%s\"", a->kdb.code, a->kdb.reason);
		lane_sleep(&a->keeper, COUNT_AGAIN_MS);
	}
	a->kdb.driver->keep(a);
	return NULL;
}
