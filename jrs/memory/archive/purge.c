#include "jrs/memory/archive/purge.h"
#include "common/base/clock.h"
#include "common/log/log.h"
#include "jrs/memory/archive/space.h"
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define RETRY_MS    10000u /* after a pass that failed */
#define LOOK_MS     5u     /* how soon a step that waits for others looks again ... */
#define LOOK_MAX_MS 100u   /* ... and how late at most, when that takes long */
#define PATIENCE_MS 30000u /* of a caller that names no deadline */
#define EARLY_MS    100u   /* so long before its deadline a caller is told that it is not done yet */
#define SHARE       4u     /* while calls come, steps take at most one part of so many more */
#define QUIET_PART  100u   /* quiet: nothing was called for this part of after_ms ... */
#define YOUNG_PART  10u    /* ... and what was forgotten is older than this part */

int purge_open(struct sql_archive *a, const struct archive_cfg *cfg)
{
	struct purge *p = calloc(1, sizeof(*p));

	if (p == NULL)
		return TR_ENOMEM;
	p->after_ms = cfg->purge_after_ms == 0 ? PURGE_AFTER_MS : cfg->purge_after_ms;
	p->call_ms = tr_mono_ms();
	a->purge = p;
	return 0;
}

void purge_free(struct sql_archive *a)
{
	free(a->purge);
	a->purge = NULL;
}

/* ---- what is due ---- */
int purge_mark(struct sql_archive *a)
{
	struct query q;

	if (a->purge->marked)
		return 0;
	q = q_begin(&a->wdb, SQL_MARK_PURGE);
	q_i64(&q, a->now_ms);
	a->purge->marked = true;
	return q_run(&q);
}

bool purge_marked(const struct sql_archive *a)
{
	return a->purge->marked;
}

void purge_undo(struct sql_archive *a, bool marked)
{
	a->purge->marked = marked;
}

void purge_began(struct sql_archive *a)
{
	a->purge->marked = false;
}

void purge_committed(struct sql_archive *a)
{
	struct purge *p = a->purge;

	if (!p->marked)
		return;
	p->forgets++;
	if (p->since_ms == 0)
		p->since_ms = a->now_ms;
	a->purge_due_ms = p->since_ms;
	if (p->running && p->newer_ms == 0)
		p->newer_ms = a->now_ms;
}

/* What an earlier life, or another lead, has noted. */
static int read_mark(struct sql_archive *a)
{
	struct query q = q_begin(&a->wdb, SQL_PURGE_DUE);
	int r = q_row(&q);

	if (r == 1 && a->purge->since_ms == 0)
		a->purge->since_ms = q_get_i64(&q, 0);
	q_end(&q);
	a->purge_due_ms = a->purge->since_ms;
	if (r >= 0)
		r = a->wdb.driver->looked(&a->wdb);
	a->purge->known = r >= 0;
	return r < 0 ? r : 0;
}

static int write_mark(struct sql_archive *a, void *arg)
{
	struct query q = q_begin(&a->wdb, SQL_PURGED);

	(void)arg;
	q_i64(&q, a->purge->newer_ms);
	return q_run(&q);
}

/* May a pass go on, or begin? */
static bool possible(const struct sql_archive *a)
{
	return a->healthy && !a->damaged && space_for_purge(a);
}

/* ms until a pass is due, 0: now; UINT64_MAX: there is nothing to purge. */
static uint64_t due_in(const struct sql_archive *a, uint64_t now_ms)
{
	const struct purge *p = a->purge;
	int64_t wall = a->wall_ms();
	uint64_t age = wall > p->since_ms ? (uint64_t)(wall - p->since_ms) : 0; /* the clock may have been set back */
	uint64_t young = p->after_ms / YOUNG_PART, quiet_at = p->call_ms + p->after_ms / QUIET_PART, in = 0;

	if (p->waiting.n > 0)
		return 0;
	if (p->since_ms == 0)
		return UINT64_MAX;
	if (age >= p->after_ms)
		return 0;
	if (age < young)
		in = young - age;
	if (quiet_at > now_ms + in)
		in = quiet_at - now_ms;
	return in < p->after_ms - age ? in : p->after_ms - age;
}

/* ---- who waits ---- */
static void answer(struct sql_archive *a, struct job *j, bool purged)
{
	struct res_memory_forget *res = j->answer.res;

	res->has_purged = true;
	res->purged = purged;
	archive_finish(a, j);
}

bool purge_awaits(struct sql_archive *a, struct job *j)
{
	const struct msg_memory_forget *msg = j->msg;
	struct purge *p = a->purge;

	if (j->kind != JOB_CALL || j->id != MSG_memory_forget || !msg->has_now || !msg->now)
		return false;
	if (p->waiting.n >= a->max_waiting || (p->known && p->since_ms == 0)) { /* the same call again: it is purged */
		answer(a, j, p->since_ms == 0);
		return true;
	}
	j->covered = p->forgets;
	if (j->ctx.deadline_ms == 0)
		j->ctx.deadline_ms = tr_mono_ms() + PATIENCE_MS;
	jobs_put(&p->waiting, j);
	return true;
}

/* Answers who waits for forgettings up to `covers`, and who has no more time. */
static void tell(struct sql_archive *a, bool done, uint64_t now_ms)
{
	struct purge *p = a->purge;
	struct jobs all = p->waiting;
	struct job *j;

	p->waiting = (struct jobs){NULL, NULL, 0};
	while ((j = jobs_take(&all)) != NULL) {
		if (done && j->covered <= p->covers)
			answer(a, j, true);
		else if (now_ms + EARLY_MS >= j->ctx.deadline_ms)
			answer(a, j, false);
		else
			jobs_put(&p->waiting, j);
	}
}

void purge_end(struct sql_archive *a)
{
	struct job *j;

	while ((j = jobs_take(&a->purge->waiting)) != NULL)
		answer(a, j, false);
}

/* ---- a pass ---- */
static void begin(struct sql_archive *a, uint64_t now_ms)
{
	struct purge *p = a->purge;

	p->running = true;
	p->steps = 0;
	p->look_ms = LOOK_MS / 2;
	p->covers = p->forgets;
	p->newer_ms = 0;
	p->began_ms = now_ms;
}

static void failed(struct sql_archive *a, int r)
{
	struct purge *p = a->purge;

	p->running = false;
	p->next_ms = tr_mono_ms() + RETRY_MS;
	purge_end(a); /* nobody waits so long */
	log_warn("archive: a purge was put off code=%d reason=\"%s\"", a->wdb.code, tr_strerror(r));
}

static void done(struct sql_archive *a)
{
	struct purge *p = a->purge;
	uint64_t now = tr_mono_ms();
	int r;

	if ((r = writer_own(a, write_mark, NULL)) < 0) {
		failed(a, r);
		return;
	}
	p->running = false;
	p->next_ms = 0;
	p->since_ms = p->newer_ms;
	a->purge_due_ms = p->since_ms;
	log_info("archive: what was forgotten has been purged steps=%u ms=%llu", p->steps,
		 (unsigned long long)(now - p->began_ms));
	tell(a, true, now);
}

static void step(struct sql_archive *a, bool busy)
{
	struct purge *p = a->purge;
	uint64_t began = tr_mono_ns(), took;
	int r = a->wdb.driver->purge(a, p->steps++ == 0);

	took = (tr_mono_ns() - began) / 1000000;
	p->look_ms = r != PURGE_WAIT ? LOOK_MS : p->look_ms * 2 > LOOK_MAX_MS ? LOOK_MAX_MS : p->look_ms * 2;
	if (r < 0)
		failed(a, r);
	else if (r == PURGE_DONE)
		done(a);
	else
		p->next_ms = tr_mono_ms() + (r == PURGE_WAIT ? p->look_ms : busy ? (took + 1) * SHARE : 0);
}

void purge_turn(struct sql_archive *a, bool busy)
{
	struct purge *p = a->purge;
	uint64_t now = tr_mono_ms();

	if (busy)
		p->call_ms = now;
	if (p->waiting.n > 0)
		tell(a, false, now);
	if (!possible(a)) {
		purge_end(a);
		return;
	}
	if (!p->known && read_mark(a) < 0)
		return;
	if (now < p->next_ms || (!p->running && due_in(a, now) > 0))
		return;
	if (!p->running)
		begin(a, now);
	step(a, busy);
}

static uint64_t first_deadline(const struct jobs *waiting)
{
	uint64_t first = UINT64_MAX;
	const struct job *j;

	for (j = waiting->head; j != NULL; j = j->next) {
		if (j->ctx.deadline_ms - EARLY_MS < first)
			first = j->ctx.deadline_ms - EARLY_MS;
	}
	return first;
}

uint64_t purge_wake(const struct sql_archive *a, uint64_t now_ms)
{
	const struct purge *p = a->purge;
	uint64_t deadline = first_deadline(&p->waiting), in = p->running ? 0 : due_in(a, now_ms), at;

	if (!possible(a))
		return p->waiting.n > 0 ? now_ms : UINT64_MAX;
	at = in == UINT64_MAX ? UINT64_MAX : now_ms + in < p->next_ms ? p->next_ms : now_ms + in;
	return at < deadline ? at : deadline;
}

/* ---- a server's: the keeper works, the writer looks ---- */
bool purge_wanted(const struct sql_archive *a)
{
	return a->purge->work == WORK_WANTED;
}

void purge_worked(struct sql_archive *a, int r)
{
	a->purge->work = r < 0 ? WORK_FAILED : WORK_DONE;
}

int purge_hand_over(struct sql_archive *a, bool first)
{
	int work = a->purge->work;

	if (first) {
		pthread_mutex_lock(&a->keeper.lock);
		a->purge->work = WORK_WANTED;
		pthread_cond_signal(&a->keeper.wake);
		pthread_mutex_unlock(&a->keeper.lock);
		return PURGE_WAIT;
	}
	if (work == WORK_WANTED)
		return PURGE_WAIT;
	a->purge->work = WORK_NONE;
	return work == WORK_DONE ? PURGE_DONE : TR_EUNAVAILABLE;
}

bool purge_doze(struct sql_archive *a, uint64_t ms)
{
	struct lane *lane = &a->keeper;
	uint64_t until = tr_mono_ms() + ms;
	struct timespec ts = {.tv_sec = (time_t)(until / 1000), .tv_nsec = (long)(until % 1000) * 1000000};
	bool stop;

	pthread_mutex_lock(&lane->lock);
	while (!lane->stop && !purge_wanted(a) && tr_mono_ms() < until)
		pthread_cond_timedwait(&lane->wake, &lane->lock, &ts);
	stop = lane->stop;
	pthread_mutex_unlock(&lane->lock);
	return stop;
}
