/* What rides along in a commit without anybody waiting for it, and the bounds of what grows. */
#include "common/base/clock.h"
#include "jrs/memory/archive/internal.h"
#include <stdlib.h>
#include <string.h>

#define RECALL_LOG_MAX  10000 /* lines kept */
#define HEAT_MAP_MAX    10000
#define CHANGES_MAX     100000     /* a follower further behind begins anew */
#define AUDIT_MAX       10000      /* of each action: flags do not push out refusals */
#define REQUEST_KEEP_MS 86400000LL /* 24 h */

void notes_free(struct notes *n)
{
	free(n->touch);
	free(n->recall);
	free(n->change);
	memset(n, 0, sizeof(*n));
}

bool notes_any(const struct notes *n)
{
	return n->ntouch > 0 || n->nrecall > 0 || n->nchange > 0 || n->has_heat_map;
}

/* Room for one more in a vector; NULL: it is full or memory is short. */
static void *room(void **v, size_t *cap, size_t n, size_t size)
{
	size_t more = *cap == 0 ? 16 : *cap * 2;
	void *p;

	if (n >= NOTES_MAX)
		return NULL;
	if (n == *cap) {
		if ((p = realloc(*v, more * size)) == NULL)
			return NULL;
		*v = p;
		*cap = more;
	}
	return (char *)*v + n * size;
}

/* The writer is woken by the first note only: it then knows when to look again. */
static void begin_note(struct sql_archive *a)
{
	pthread_mutex_lock(&a->writer.lock);
	if (!notes_any(&a->notes)) {
		a->notes_since_ms = tr_mono_ms();
		pthread_cond_signal(&a->writer.wake);
	}
}

static void end_note(struct sql_archive *a, bool kept)
{
	pthread_mutex_unlock(&a->writer.lock);
	if (!kept)
		a->notes_dropped++;
}

void note_touch(struct archive *door, int64_t memory, int64_t at_ms)
{
	struct sql_archive *a = (struct sql_archive *)door;
	struct notes *n = &a->notes;
	void *v = NULL;
	struct touch_note *at;

	begin_note(a);
	v = n->touch;
	if ((at = room(&v, &n->touch_cap, n->ntouch, sizeof(*at))) != NULL) {
		n->touch = v;
		*at = (struct touch_note){memory, at_ms};
		n->ntouch++;
	}
	end_note(a, at != NULL);
}

void note_recalled(struct archive *door, const struct item_recall_sample *log)
{
	struct sql_archive *a = (struct sql_archive *)door;
	struct notes *n = &a->notes;
	void *v = NULL;
	struct item_recall_sample *at;

	begin_note(a);
	a->recalls_total++; /* under the lock: archive_replayed() */
	v = n->recall;
	if ((at = room(&v, &n->recall_cap, n->nrecall, sizeof(*at))) != NULL) {
		n->recall = v;
		*at = *log;
		n->nrecall++;
	}
	end_note(a, at != NULL);
}

void note_entangled(struct archive *door, const struct entangle_change *change)
{
	struct sql_archive *a = (struct sql_archive *)door;
	struct notes *n = &a->notes;
	void *v = NULL;
	struct entangle_change *at;

	begin_note(a);
	v = n->change;
	if ((at = room(&v, &n->change_cap, n->nchange, sizeof(*at))) != NULL) {
		n->change = v;
		*at = *change;
		n->nchange++;
	}
	end_note(a, at != NULL);
}

void note_heat_map(struct archive *door, const struct res_memory_thermal *figures)
{
	struct sql_archive *a = (struct sql_archive *)door;
	begin_note(a);
	a->notes.heat_map = *figures;
	a->notes.has_heat_map = true;
	end_note(a, true);
}

static int count(struct sql_archive *a, const char *name, int64_t by)
{
	struct query q = q_begin(&a->wdb, SQL_COUNT);

	q_text(&q, name, strlen(name));
	q_i64(&q, by);
	return q_run(&q);
}

static int write_recalls(struct sql_archive *a, const struct notes *n)
{
	struct query q;
	size_t i;
	int r;

	if (n->nrecall == 0)
		return 0;
	for (i = 0; i < n->nrecall; i++) {
		q = q_begin(&a->wdb, SQL_LOG_RECALL);
		q_i64(&q, n->recall[i].at);
		q_i64(&q, n->recall[i].latency_us);
		q_i64(&q, n->recall[i].sources);
		if ((r = q_run(&q)) < 0)
			return r;
	}
	return count(a, "recalls_total", (int64_t)n->nrecall);
}

static int write_change(struct sql_archive *a, const struct entangle_change *c)
{
	struct query q;
	unsigned i;
	int r;

	if (c->compared > 0) {
		q = q_begin(&a->wdb, SQL_PHASE);
		q_i64(&q, c->memory);
		q_f64(&q, c->phase);
		q_i64(&q, c->compared);
		if ((r = q_run(&q)) < 0)
			return r;
	}
	for (i = 0; i < c->npartners; i++) {
		q = q_begin(&a->wdb, SQL_ENTANGLE);
		q_i64(&q, c->memory);
		q_i64(&q, c->partner[i].memory);
		q_i64(&q, c->partner[i].times);
		q_i64(&q, a->now_ms);
		if ((r = q_run(&q)) < 0)
			return r;
	}
	q = q_begin(&a->wdb, SQL_DISENTANGLE);
	q_i64(&q, c->memory);
	q_i64(&q, ENTANGLE_PARTNERS);
	return q_run(&q);
}

static int write_heat_map(struct sql_archive *a, const struct res_memory_thermal *t)
{
	struct query q = q_begin(&a->wdb, SQL_ADD_HEAT_MAP);
	const double known[3] = {t->average_temperature, t->sacred_min_temperature, t->thermal_entropy};
	const bool has[3] = {t->has_average_temperature, t->has_sacred_min_temperature, t->has_thermal_entropy};
	const uint64_t stages[THERMAL_NSTAGES] = {
#define X(id, name, key, from) [THERMAL_##id] = t->stages.name,
		THERMAL_STAGES(X)
#undef X
	};
	int i;

	q_i64(&q, t->timestamp);
	q_i64(&q, (int64_t)t->total_memories);
	for (i = 0; i < 3; i++)
		q_opt_f64(&q, has[i], known[i]);
	for (i = 0; i < THERMAL_NSTAGES; i++)
		q_i64(&q, (int64_t)stages[i]);
	return q_run(&q);
}

int write_notes(struct sql_archive *a, struct notes *n)
{
	size_t i;
	int r;

	for (i = 0; i < n->ntouch; i++) {
		if ((r = write_touch(a, n->touch[i].memory, n->touch[i].at_ms)) < 0)
			return r;
	}
	if ((r = write_recalls(a, n)) < 0)
		return r;
	for (i = 0; i < n->nchange; i++) {
		if ((r = write_change(a, &n->change[i])) < 0)
			return r;
	}
	return n->has_heat_map ? write_heat_map(a, &n->heat_map) : 0;
}

static int trim(struct sql_archive *a, enum sql id, int64_t bound)
{
	struct query q = q_begin(&a->wdb, id);

	q_i64(&q, bound);
	return q_run(&q);
}

/* Also the write that tries whether an archive that failed works again: the counter makes it a real one. */
int write_housekeeping(struct sql_archive *a)
{
	int64_t now = a->wall_ms();
	int r;

	if ((r = count(a, "housekeepings", 1)) < 0 || (r = trim(a, SQL_TRIM_RECALLS, RECALL_LOG_MAX)) < 0 ||
	    (r = trim(a, SQL_TRIM_HEAT_MAP, HEAT_MAP_MAX)) < 0 || (r = trim(a, SQL_TRIM_CHANGES, CHANGES_MAX)) < 0 ||
	    (r = trim(a, SQL_TRIM_REFUSED, AUDIT_MAX)) < 0 || (r = trim(a, SQL_TRIM_REDACTED, AUDIT_MAX)) < 0 ||
	    (r = trim(a, SQL_TRIM_FLAGS, AUDIT_MAX)) < 0)
		return r;
	return trim(a, SQL_OLD_REQUESTS, now - REQUEST_KEEP_MS);
}
