/* The thermal constants, the archive's id and the next act's time: what every process of memory-jr keeps of governance
 * in memory. Readers take the model without a lock, so one that is replaced is kept. */
#include "jrs/memory/archive/internal.h"
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

static const struct {
	const char *key;
	size_t offset; /* in struct thermal_model */
} places[] = {
#define X(member, key, first) {key, offsetof(struct thermal_model, member)},
	THERMAL_SETTINGS(X)
#undef X
#define X(id, name, key, from) {key, offsetof(struct thermal_model, stage_from) + sizeof(double) * THERMAL_##id},
		THERMAL_STAGES(X)
#undef X
};
#define NPLACES (sizeof(places) / sizeof(places[0]))

static double *place(struct thermal_model *m, size_t i)
{
	return (double *)(void *)((char *)m + places[i].offset);
}

const struct thermal_model *archive_thermal(const struct sql_archive *a)
{
	return &atomic_load(&a->model)->model;
}

/* ---- from the database ---- */
static void take_setting(const struct query *q, struct constants *c, bool found[NPLACES])
{
	const char *key = q_get(q, 2);
	size_t n = q_len(q, 2), i;

	if (n == strlen("archive.id") && memcmp(key, "archive.id", n) == 0)
		c->archive_id = q_get_f64(q, 3);
	for (i = 0; i < NPLACES; i++) {
		if (strlen(places[i].key) == n && memcmp(places[i].key, key, n) == 0) {
			*place(&c->model, i) = q_get_f64(q, 3);
			found[i] = true;
		}
	}
}

/* 0, or TR_ESTORE: more often than any program of ours lets it. */
static int take_clock(const struct query *q, struct thermal_model *m)
{
	if (m->nclocks == THERMAL_CLOCKS_MAX)
		return TR_ESTORE;
	m->clock[m->nclocks++] = (struct thermal_clock){q_get_f64(q, 3), q_get_f64(q, 4), q_get_f64(q, 5)};
	return 0;
}

int constants_read(struct db *db, struct constants *out, const char **lacks)
{
	struct query q = q_begin(db, SQL_CONSTANTS);
	struct constants c = {.archive_id = 0.0};
	bool found[NPLACES] = {false};
	int r, s = 0;
	size_t i;

	while (s == 0 && (r = q_row(&q)) == 1) {
		if (q_get_i64(&q, 0) == 0)
			take_setting(&q, &c, found);
		else if (q_get_i64(&q, 0) == 1)
			s = take_clock(&q, &c.model);
		else
			c.act_due = q_is_null(&q, 3) ? 0 : (int64_t)q_get_f64(&q, 3);
	}
	q_end(&q);
	if (s < 0 || r < 0)
		return s < 0 ? s : r;
	for (i = 0; i < NPLACES; i++) {
		if (found[i])
			continue;
		if (lacks != NULL)
			*lacks = places[i].key;
		return TR_ESTORE;
	}
	*out = c;
	return 0;
}

int constants_name(struct sql_archive *a, struct constants *c)
{
	uint64_t bits = 0;
	struct query q;

	if (c->archive_id != 0.0)
		return 0;
	while (bits == 0) {
		if (getrandom(&bits, sizeof(bits), 0) != (ssize_t)sizeof(bits))
			return TR_EINTERNAL;
		bits >>= 64 - 53; /* what a double holds: that is what settings are */
	}
	c->archive_id = (double)bits;
	q = q_begin(&a->wdb, SQL_NAME_ARCHIVE);
	q_f64(&q, c->archive_id);
	return q_run(&q);
}

/* ---- in memory ---- */
static void publish(struct sql_archive *a, struct kept_model *k)
{
	k->next = atomic_load(&a->model);
	atomic_store(&a->model, k);
}

static bool in_force(struct sql_archive *a, const struct thermal_model *m)
{
	const struct kept_model *now = atomic_load(&a->model);

	return now != NULL && thermal_same(&now->model, m);
}

static struct kept_model *keep(const struct thermal_model *m)
{
	struct kept_model *k = calloc(1, sizeof(*k));

	if (k != NULL)
		k->model = *m;
	return k;
}

int constants_take(struct sql_archive *a, const struct constants *c)
{
	struct kept_model *k = a->next_model;

	if (!in_force(a, &c->model)) {
		if (k != NULL && thermal_same(&k->model, &c->model))
			a->next_model = k->next;
		else if ((k = keep(&c->model)) == NULL)
			return TR_ENOMEM;
		publish(a, k);
	}
	a->archive_id = c->archive_id;
	a->act_due_ms = c->act_due;
	return 0;
}

const struct thermal_model *constants_latest(const struct sql_archive *a)
{
	return a->next_model != NULL ? &a->next_model->model : archive_thermal(a);
}

int constants_next(struct sql_archive *a, const struct thermal_model *m)
{
	struct kept_model *k;

	if (a->next_model == NULL && in_force(a, m))
		return 0;
	if ((k = keep(m)) == NULL)
		return TR_ENOMEM;
	k->next = a->next_model;
	a->next_model = k;
	return 0;
}

struct kept_model *constants_mark(const struct sql_archive *a)
{
	return a->next_model;
}

void constants_undo(struct sql_archive *a, const struct kept_model *mark)
{
	struct kept_model *k;

	while ((k = a->next_model) != mark && k != NULL) {
		a->next_model = k->next;
		free(k);
	}
}

void constants_committed(struct sql_archive *a)
{
	struct kept_model *k = a->next_model;

	if (k == NULL)
		return;
	a->next_model = k->next;
	publish(a, k);
	constants_undo(a, NULL); /* those before it in the same transaction were never in force */
}

void constants_free(struct sql_archive *a)
{
	struct kept_model *k, *next;

	constants_undo(a, NULL);
	for (k = atomic_load(&a->model); k != NULL; k = next) {
		next = k->next;
		free(k);
	}
	atomic_store(&a->model, NULL);
}

/* ---- as people have them ---- */
#define SHOWN(X)        X(base) X(k) X(half_life_ms) X(sacred_floor) X(max)
#define STAGES_SHOWN(X) X(WHITE_HOT, white_hot) X(RED_HOT, red_hot) X(WARM, warm) X(COOL, cool) X(COLD, cold)

void constants_show(const struct thermal_model *m, struct item_constants *out)
{
#define X(name) (out->has_##name = true, out->name = m->name);
	SHOWN(X)
#undef X
#define X(id, label) (out->has_##label = true, out->label = m->stage_from[THERMAL_##id]);
	STAGES_SHOWN(X)
#undef X
}

unsigned constants_apply(const struct item_constants *c, struct thermal_model *m)
{
	unsigned n = 0;

#define X(name)                    \
	if (c->has_##name) {       \
		m->name = c->name; \
		n++;               \
	}
	SHOWN(X)
#undef X
#define X(id, label)                                    \
	if (c->has_##label) {                           \
		m->stage_from[THERMAL_##id] = c->label; \
		n++;                                    \
	}
	STAGES_SHOWN(X)
#undef X
	return n;
}

static int put_clock(struct sql_archive *a, const struct thermal_clock *c)
{
	struct query q = q_begin(&a->wdb, SQL_ADD_CLOCK);

	q_i64(&q, (int64_t)c->at_ms);
	q_f64(&q, c->tau);
	q_f64(&q, c->half_life_ms);
	return q_run(&q);
}

int constants_write(struct sql_archive *a, const struct thermal_model *was, const struct thermal_model *now)
{
	struct thermal_model from = *was, to = *now;
	unsigned c;
	size_t i;
	int r = 0;

	for (i = 0; i < NPLACES && r == 0; i++) {
		struct query q;

		if (*place(&from, i) == *place(&to, i))
			continue;
		q = q_begin(&a->wdb, SQL_SET_CONSTANT);
		q_text(&q, places[i].key, strlen(places[i].key));
		q_f64(&q, *place(&to, i));
		r = q_run(&q);
	}
	for (c = was->nclocks; c < now->nclocks && r == 0; c++)
		r = put_clock(a, &now->clock[c]);
	return r;
}
