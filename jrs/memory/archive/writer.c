/* The writer's thread: whatever arrived during the last commit is the next one. */
#include "common/base/clock.h"
#include "common/log/log.h"
#include "jrs/memory/archive/ahead.h"
#include "jrs/memory/archive/purge.h"
#include "jrs/memory/archive/quota.h"
#include "jrs/memory/archive/space.h"
#include <string.h>
#include <time.h>

#define BATCH_MAX       1024   /* calls in one commit */
#define GATHER_US       200    /* so long the next batch may wait for those who were in the last */
#define HOUSEKEEPING_MS 60000u /* how often old requests and logs are trimmed */
#define AWAY_LOOK_MS    10u    /* while the server is away; the driver tries less often */
#define PROBE_MS        1000u  /* how often an archive that failed is tried again ... */
#define CLAIM_PROBE_MS  20u    /* ... and a claim to the lead that did */

static void healthy(struct sql_archive *a, bool ok)
{
	a->ill = ok ? DB_FINE : a->wdb.trouble;
	if (a->healthy == ok || a->damaged)
		return;
	a->healthy = ok;
	if (ok)
		log_info("archive: writes work again");
	else
		log_error("archive: a write failed code=%d reason=\"%s\"", a->wdb.code, a->wdb.reason);
}

static bool in_transaction(const struct sql_archive *a)
{
	return a->wdb.driver->inside(&a->wdb);
}

/* Does it find out whatever can be wrong before it writes anything? Then it needs no savepoint, which a server has to
 * pay for. */
static bool looks_first(const struct sql_archive *a, const struct job *j)
{
	const struct msg_memory_add *add = j->msg;

	return a->wdb.driver->send != NULL && j->id == MSG_memory_add && add->memories.n == 1 && !add->has_import_id &&
	       !add->memories.v[0].has_supersedes && !add->memories.v[0].has_sacred;
}

/* What of a batch stands outside the database, and goes back with a savepoint. */
struct before {
	size_t heat, words, quota;
	bool purge;
	struct guard_counts guarded;
	const struct kept_model *constants;
};

static struct before before(const struct sql_archive *a)
{
	return (struct before){a->heat.n, a->words.n, quota_mark(a), purge_marked(a), a->guarded, constants_mark(a)};
}

static void back_to(struct sql_archive *a, const struct before *was)
{
	a->heat.n = was->heat;
	a->words.n = was->words;
	quota_undo(a, was->quota);
	purge_undo(a, was->purge);
	constants_undo(a, was->constants);
	a->guarded = was->guarded;
	ahead_clear(a);
}

/* The guard says no: all that happens is that this is noted. */
static int refused(struct sql_archive *a, struct job *j)
{
	int r = j->guard == TR_ESECRET ? audit_refused(a, j) : 0;

	j->r = j->guard;
	j->fault = j->guard_fault;
	return r;
}

/* One call, in a savepoint when it may have to be undone. < 0: the transaction is gone, and with it everything in it;
 * else the call has its own j->r. */
static int one_effect(struct sql_archive *a, struct job *j)
{
	struct before was;
	bool guarded;
	int r;

	memset(&j->fault, 0, sizeof(j->fault));
	memset(&j->answer, 0, sizeof(j->answer));
	if (j->kind != JOB_CALL) { /* the lead is asked to lead, or only for the notes that go along */
		j->r = j->kind == JOB_LEAD ? TR_ECONFLICT : 0;
		return 0;
	}
	if (job_late(j)) {
		j->r = TR_EDEADLINE;
		return 0;
	}
	if ((j->r = space_admits(a, j)) < 0)
		return 0;
	if (j->guard < 0)
		return refused(a, j);
	if (words_needed(j) && (r = words_write(a)) < 0)
		return r;
	was = before(a);
	guarded = !looks_first(a, j);
	if (guarded && (r = db_run(&a->wdb, SQL_EFFECT)) < 0)
		return r;
	j->r = write_effect(a, j);
	if (!in_transaction(a) || (!guarded && j->r == TR_ENOMEM))
		return j->r < 0 ? j->r : TR_ESTORE;
	/* The storage failed in the middle of it: nobody knows what a rollback to a savepoint finds, least of all in
	 * the full-text index. Everything is undone, and each call gets a chance of its own. */
	if (j->r < 0 && db_trouble_of_storage(a->wdb.trouble))
		return j->r;
	if (j->r < 0) {
		back_to(a, &was);
		if (guarded && (r = db_run(&a->wdb, SQL_EFFECT_UNDO)) < 0)
			return r;
	}
	return guarded ? db_run(&a->wdb, SQL_EFFECT_END) : 0;
}

/* Notes have a savepoint of their own: nothing in them may cost a call its commit. */
static int all_notes(struct sql_archive *a)
{
	size_t mark = a->heat.n;
	int r;

	if (!notes_any(&a->taken))
		return 0;
	if ((r = db_run(&a->wdb, SQL_EFFECT)) < 0)
		return r;
	r = write_notes(a, &a->taken);
	if (!in_transaction(a))
		return r < 0 ? r : TR_ESTORE;
	if (r < 0 && db_trouble_of_storage(a->wdb.trouble))
		return r; /* as in one_effect(); the calls get their chance without the notes */
	if (r < 0) {
		a->heat.n = mark;
		ahead_clear(a);
		/* they would fail again for ever */
		log_warn("archive: notes dropped code=%d reason=\"%s\"", a->wdb.code, a->wdb.reason);
		a->notes_dropped += a->taken.ntouch + a->taken.nrecall + a->taken.nchange;
		notes_free(&a->taken);
		if ((r = db_run(&a->wdb, SQL_EFFECT_UNDO)) < 0)
			return r;
	}
	return db_run(&a->wdb, SQL_EFFECT_END);
}

static struct query ask_epoch(struct sql_archive *a)
{
	struct query q = q_begin(&a->wdb, SQL_FENCE);

	q_text(&q, "memory", strlen("memory"));
	q_send(&q);
	return q;
}

/* Are we still who may write? */
static int check_epoch(struct sql_archive *a, struct query q)
{
	int r;

	if ((r = q_row(&q)) == 1 && (uint64_t)q_get_i64(&q, 0) == a->epoch) {
		r = 0;
	} else if (r >= 0) {
		a->fenced = true;
		r = db_failed(&a->wdb, DB_FENCED, 0, "a newer lead writes now", TR_EUNAVAILABLE);
	}
	q_end(&q);
	return r;
}

/* The transaction is on disk: rows and figures change together for who holds the lock. */
static void committed(struct sql_archive *a, bool notes)
{
	constants_committed(a);
	figures_apply(a);
	purge_committed(a);
	quota_committed(a);
	audit_committed(a);
	if (notes)
		notes_free(&a->taken);
	a->commits++;
	a->changes++;
}

/* One transaction over v[0..n). 0: on disk. */
static int one_transaction(struct sql_archive *a, struct job **v, unsigned n, bool notes)
{
	const struct db_driver *driver = a->wdb.driver;
	int64_t now = a->wall_ms();
	struct query epoch;
	unsigned i;
	int r;

	a->heat.n = a->words.n = 0;
	constants_undo(a, NULL);
	memset(&a->guarded, 0, sizeof(a->guarded));
	purge_began(a);
	quota_began(a);
	a->now_ms = now > a->now_ms ? now : a->now_ms;
	a->wdb.trouble = DB_FINE;
	if ((r = driver->begin(&a->wdb)) < 0)
		return r;
	epoch = ask_epoch(a);
	r = ahead_ask(a, v, n, notes ? &a->taken : NULL);
	if (check_epoch(a, epoch) < 0 && r == 0)
		r = TR_EUNAVAILABLE;
	if (r == 0)
		r = ahead_read(a);
	for (i = 0; i < n && r == 0; i++)
		r = one_effect(a, v[i]);
	if (r == 0 && notes)
		r = all_notes(a);
	if (r == 0)
		r = words_write(a);
	if (r == 0) {
		pthread_mutex_lock(&a->hist_lock);
		if ((r = driver->commit(&a->wdb)) == 0)
			committed(a, notes);
		pthread_mutex_unlock(&a->hist_lock);
	}
	if (r < 0) {
		ahead_clear(a);
		driver->rollback(&a->wdb);
	}
	return r;
}

/* Tells who asked us to lead. */
static void answer_lead(struct sql_archive *a, int r)
{
	struct job *j = a->claiming;

	a->claiming = NULL;
	if (j == NULL)
		return;
	j->r = r;
	archive_finish(a, j);
}

static void claimed(struct sql_archive *a)
{
	if (a->wdb.driver->proved != NULL)
		a->wdb.driver->proved(a);
	answer_lead(a, 0);
}

/* Nothing is written by who has not claimed the lead; opening may have left that to us. The answer to an earlier
 * claim's commit may have been lost: it is asked for first, for the same epoch is not claimed twice. */
static int lead(struct sql_archive *a)
{
	const struct db_driver *driver = a->wdb.driver;
	int r;

	if (a->leads)
		return 0;
	if (a->fenced)
		return TR_EUNAVAILABLE;
	if ((r = driver->outcome(&a->wdb)) == 1)
		archive_claimed(a); /* it happened */
	else if (r == TR_EUNAVAILABLE)
		return r;
	else if ((r = archive_claim(a)) < 0) {
		if (a->fenced)
			answer_lead(a, TR_EREFUSED);
		return r;
	}
	claimed(a);
	return 0;
}

static int transaction(struct sql_archive *a, struct job **v, unsigned n, bool notes)
{
	int r = TR_EUNAVAILABLE;

	a->wdb.trouble = DB_FINE;
	if (archive_may_write(a)) {
		if ((r = lead(a)) == 0)
			r = one_transaction(a, v, n, notes);
		archive_wrote(a);
	}
	return r;
}

/* Its answer is known: it goes to out, or waits for a purge. */
static void done(struct sql_archive *a, struct job *j, int r, struct jobs *out)
{
	if (r < 0) {
		memset(&j->fault, 0, sizeof(j->fault));
		j->r = r;
	} else if (j->r == 0) {
		a->committed_calls++;
		if (purge_awaits(a, j))
			return;
	}
	jobs_put(out, j);
}

/* While the server is away: whose time is up is told so, in v and in the queue. How many are left in v. */
static unsigned expire(struct sql_archive *a, struct job **v, unsigned n)
{
	struct jobs all, kept = {NULL, NULL, 0}, out = {NULL, NULL, 0};
	unsigned i, left = 0;
	struct job *j;

	for (i = 0; i < n; i++) {
		if (job_gives_up(v[i]))
			done(a, v[i], TR_EUNAVAILABLE, &out);
		else
			v[left++] = v[i];
	}
	pthread_mutex_lock(&a->writer.lock);
	all = a->writer.waiting;
	while ((j = jobs_take(&all)) != NULL) {
		if (job_gives_up(j))
			done(a, j, TR_EUNAVAILABLE, &out);
		else
			jobs_put(&kept, j);
	}
	a->writer.waiting = kept;
	pthread_mutex_unlock(&a->writer.lock);
	archive_finish_all(a, &out);
	return left;
}

/* The server went away under a transaction. 1: it had been committed all the same; 0: do it again with what is left of
 * v[0..*n); < 0: we are to stop, or it cannot be found out. */
static int await_server(struct sql_archive *a, struct job **v, unsigned *n)
{
	int r;

	for (;;) {
		*n = expire(a, v, *n);
		r = a->wdb.driver->outcome(&a->wdb);
		if (r == TR_ESTORE)
			return r; /* nobody will ever know: nobody is told that it is kept */
		if (r >= 0 && (r == 1 || a->wdb.driver->ready(&a->wdb) == 0))
			break;
		if (lane_sleep(&a->writer, AWAY_LOOK_MS))
			return TR_EUNAVAILABLE;
	}
	if (r == 1 && !a->leads) { /* that was the claim; nothing of v is there */
		archive_claimed(a);
		claimed(a);
		return 0;
	}
	if (r == 1) {
		pthread_mutex_lock(&a->hist_lock);
		committed(a, true);
		pthread_mutex_unlock(&a->hist_lock);
	}
	return r;
}

static void batch(struct sql_archive *a, struct job **v, unsigned n)
{
	bool notes = !space_low(a); /* else they wait, and what does not fit is dropped */
	struct jobs out = {NULL, NULL, 0};
	bool alone;
	unsigned i;
	int r, back;

	for (i = 0; i < n; i++)
		guard_look(a, v[i]);
	r = transaction(a, v, n, notes);
	while (r < 0 && a->wdb.trouble == DB_AWAY) {
		healthy(a, false);
		if ((back = await_server(a, v, &n)) < 0) {
			r = TR_EUNAVAILABLE;
			break;
		}
		r = back == 1 ? 0 : transaction(a, v, n, notes);
	}
	alone = n > 1 && (a->wdb.trouble == DB_CALL || a->wdb.trouble == DB_STORAGE || a->wdb.trouble == DB_DAMAGED);
	healthy(a, r == 0);
	if (r == 0 || !alone) {
		for (i = 0; i < n; i++)
			done(a, v[i], r, &out);
		archive_finish_all(a, &out); /* all at once: who calls again at once comes into one batch again */
		return;
	}
	/* It failed as a whole, perhaps because of one (a full disk and a large call): each gets a chance of its own.
	 */
	for (i = 0; i < n; i++) {
		r = transaction(a, &v[i], 1, false);
		healthy(a, r == 0);
		done(a, v[i], r, &out);
		archive_finish_all(a, &out);
	}
}

/* A lead that has not claimed yet does it now. */
static void begin_to_lead(struct sql_archive *a)
{
	if (archive_may_write(a)) {
		healthy(a, lead(a) == 0);
		archive_wrote(a);
	}
	if (a->damaged) /* it leads, and nobody writes */
		answer_lead(a, TR_EUNAVAILABLE);
}

/* A follower writes nothing until it is told to lead; what was asked behind that waits for the claim. */
static void follow(struct sql_archive *a, struct job **v, unsigned n)
{
	unsigned i;

	for (i = 0; i < n && a->following; i++) {
		if (v[i]->kind == JOB_LEAD) {
			a->wanted_epoch = v[i]->epoch;
			a->named = true;
			a->claiming = v[i];
			a->following = false;
			continue;
		}
		v[i]->r = TR_EUNAVAILABLE;
		archive_finish(a, v[i]);
	}
	if (a->following)
		return;
	a->housekeeping_ms = tr_mono_ms();
	begin_to_lead(a);
	keeper_wake(a); /* there is something to be counted */
	if (i < n)
		batch(a, v + i, n - i);
}

int writer_own(struct sql_archive *a, int (*fn)(struct sql_archive *a, void *arg), void *arg)
{
	const struct db_driver *driver = a->wdb.driver;
	int r;

	if (!archive_may_write(a))
		return TR_EUNAVAILABLE;
	a->wdb.trouble = DB_FINE;
	if ((r = lead(a)) == 0)
		r = driver->begin(&a->wdb);
	if (r == 0 && (r = check_epoch(a, ask_epoch(a))) == 0 && (r = fn(a, arg)) == 0)
		r = driver->commit(&a->wdb);
	if (r < 0)
		driver->rollback(&a->wdb);
	archive_wrote(a);
	return r;
}

static int housekeeping(struct sql_archive *a, void *arg)
{
	(void)arg;
	return write_housekeeping(a);
}

static uint64_t probe_every(const struct sql_archive *a)
{
	return a->claiming != NULL ? CLAIM_PROBE_MS : PROBE_MS;
}

static void keep_house(struct sql_archive *a)
{
	uint64_t now = tr_mono_ms();

	if (!a->healthy && now - a->probe_ms >= probe_every(a)) {
		a->probe_ms = now;
		if (writer_own(a, housekeeping, NULL) == 0)
			healthy(a, true);
	} else if (a->healthy && now - a->housekeeping_ms >= HOUSEKEEPING_MS) {
		a->housekeeping_ms = now;
		if (writer_own(a, housekeeping, NULL) < 0)
			healthy(a, !db_trouble_of_storage(a->wdb.trouble));
	}
}

/* Under the lock: until when may we sleep? 0: there is work now. */
static uint64_t sleep_until(struct sql_archive *a, uint64_t now)
{
	uint64_t until = a->following ? now + HOUSEKEEPING_MS : /* it keeps no house: it sleeps until it is called */
				 a->healthy ? a->housekeeping_ms + HOUSEKEEPING_MS
					    : a->probe_ms + probe_every(a);

	if (a->writer.waiting.n > 0 || a->writer.stop)
		return 0;
	if ((notes_any(&a->notes) || notes_any(&a->taken)) && a->healthy && !space_low(a) &&
	    a->notes_since_ms + NOTES_LATE_MS < until)
		until = a->notes_since_ms + NOTES_LATE_MS;
	if (!a->following && purge_wake(a, now) < until)
		until = purge_wake(a, now);
	if (!a->following && space_wake(a) < until)
		until = space_wake(a);
	if (guard_wake(a) < until)
		until = guard_wake(a);
	return until <= now ? 0 : until;
}

/* Under the lock: those who were told of the last batch may be about to call again. Sharing their commit is worth a
 * moment, which nobody spends who was alone in the last one. */
static void gather(struct sql_archive *a)
{
	struct lane *lane = &a->writer;
	struct timespec until;

	if (lane->waiting.n == 0 || lane->waiting.n >= a->last_calls)
		return;
	clock_gettime(CLOCK_MONOTONIC, &until);
	until.tv_nsec += GATHER_US * 1000;
	if (until.tv_nsec >= 1000000000) {
		until.tv_nsec -= 1000000000;
		until.tv_sec++;
	}
	lane->wanted = a->last_calls;
	while (lane->waiting.n < lane->wanted && !lane->stop &&
	       pthread_cond_timedwait(&lane->wake, &lane->lock, &until) == 0)
		;
	lane->wanted = 0;
}

/* Waits for work; takes calls into v and, when those of last time are written, the notes. */
static unsigned take(struct sql_archive *a, struct job **v, bool *stop)
{
	struct lane *lane = &a->writer;
	uint64_t until;
	unsigned n;

	pthread_mutex_lock(&lane->lock);
	while ((until = sleep_until(a, tr_mono_ms())) != 0) {
		struct timespec ts = {.tv_sec = (time_t)(until / 1000), .tv_nsec = (long)(until % 1000) * 1000000};

		pthread_cond_timedwait(&lane->wake, &lane->lock, &ts);
	}
	gather(a);
	for (n = 0; n < BATCH_MAX && lane->waiting.n > 0; n++)
		v[n] = jobs_take(&lane->waiting);
	if (n > 0)
		a->last_calls = n;
	*stop = lane->stop && lane->waiting.n == 0;
	if (!notes_any(&a->taken)) {
		notes_free(&a->taken);
		a->taken = a->notes;
		memset(&a->notes, 0, sizeof(a->notes));
	}
	pthread_mutex_unlock(&lane->lock);
	return n;
}

void *writer_main(void *arg)
{
	struct sql_archive *a = arg;
	struct job *v[BATCH_MAX]; /* 8 KiB of this thread's stack */
	bool stop = false;

	a->housekeeping_ms = a->probe_ms = tr_mono_ms();
	if (!a->following)
		begin_to_lead(a);
	guard_later(a);
	while (!stop) {
		unsigned n = take(a, v, &stop);

		if (!a->following || n > 0) /* who waits for the lead and loads its guard writes nothing */
			space_turn(a, tr_mono_ms());
		guard_begin(a);
		/* Notes alone wait while the archive is ill; keep_house() finds out when it is well. */
		if (a->following)
			follow(a, v, n);
		else if (n > 0 || (notes_any(&a->taken) && ((a->healthy && !space_low(a)) || stop)))
			batch(a, v, n);
		if (!stop && !a->following) {
			keep_house(a);
			purge_turn(a, n > 0);
		}
		a->wdb.driver->commit_hook(a);
	}
	answer_lead(a, TR_ECLOSED);
	purge_end(a);
	return NULL;
}
