/* The thermal clock of a damaged archive: by it heat keys are judged, and without it those that are taken would say
 * nothing. Its rows prove one another: each tau follows from the row before, and the last half-life is the setting. */
#include "jrs/memory/archive/salvor.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>

#define HALF_LIFE "thermal.half_life_ms"
#define ROUNDING  1e-6 /* of tau, in half-lives */

static double real(const struct value *v)
{
	return v->kind == VALUE_INT ? (double)v->i : v->d;
}

/* ---- what is found ---- */
static int reject(struct salvor *s, const struct table *t, const struct found *f, const char *why)
{
	s->report->rejected++;
	return fresh_note(&s->fresh, "rejected", why, t, f->page, f->rowid, f->v, f->n);
}

void salvor_setting(struct salvor *s, const struct found *f)
{
	if (f->n == 2 && f->v[0].kind == VALUE_TEXT && f->v[0].n == strlen(HALF_LIFE) &&
	    memcmp(f->v[0].p, HALF_LIFE, f->v[0].n) == 0)
		s->half_life_ms = real(&f->v[1]);
}

int salvor_clock_row(struct salvor *s, struct table *t, const struct found *f)
{
	struct clock_row *c;
	unsigned i;

	if (!fresh_fits(t, f->v, f->n) || f->n != 4 || f->cut)
		return f->listed ? reject(s, t, f, "it has not the values of its table") : 0;
	for (i = 0; i < s->nclock; i++) {
		if (s->clock[i].seq == f->rowid)
			return 0; /* a row never changes: a better image had it */
	}
	if (f->rowid < 1 || f->rowid > THERMAL_CLOCKS_MAX || s->nclock == THERMAL_CLOCKS_MAX || s->model.k != 0.0)
		return reject(s, t, f, "it is none of the clock's");
	for (c = &s->clock[s->nclock++]; c > s->clock && c[-1].seq > f->rowid; c--)
		*c = c[-1];
	*c = (struct clock_row){f->rowid, f->page, {(double)f->v[1].i, real(&f->v[2]), real(&f->v[3])}};
	return 0;
}

/* ---- what is believed ---- */
/* Do the rows make a clock, whose half-life is h now (0: not known)? */
static bool chain(const struct salvor *s, double h, struct thermal_model *m)
{
	unsigned i;

	m->nclocks = 0;
	for (i = 0; i < s->nclock; i++) {
		const struct thermal_clock *c = &s->clock[i].at;

		if (s->clock[i].seq != (int64_t)i + 1 ||
		    !(i == 0 ? c->at_ms == 0.0 : fabs(c->tau - thermal_born(m, c->at_ms)) <= ROUNDING))
			return false;
		m->clock[m->nclocks++] = *c;
	}
	if (m->nclocks > 0 && h == 0.0)
		h = m->clock[m->nclocks - 1].half_life_ms;
	if (h != 0.0)
		m->half_life_ms = h;
	return thermal_ok(m);
}

/* Could the memories that were taken have come about under it? Some may not: a wall clock was set back. 1, 0, < 0. */
static int agrees(struct salvor *s, const struct thermal_model *m)
{
	sqlite3_stmt *st = NULL;
	int rc = sqlite3_prepare_v2(s->fresh.db, "SELECT heat_key, access_count, last_access FROM " MEMORIES, -1, &st,
				    NULL);
	int64_t rows = 0, wrong = 0;

	while (rc == SQLITE_OK && (rc = sqlite3_step(st)) == SQLITE_ROW) {
		rows++;
		wrong += !salvor_heat_possible(m, sqlite3_column_double(st, 0), sqlite3_column_double(st, 1),
					       sqlite3_column_double(st, 2));
		rc = SQLITE_OK;
	}
	sqlite3_finalize(st);
	return rc != SQLITE_DONE ? TR_ESTORE : wrong * 10 <= rows;
}

/* A clock that runs by the half-life of now through the newest memory: what is remembered since the last change is as
 * hot as it was, and so is everything else as of then. */
static int anchor(struct salvor *s, struct thermal_model *m)
{
	sqlite3_stmt *st = NULL;
	int rc = sqlite3_prepare_v2(s->fresh.db,
				    "SELECT heat_key - last_access / ?1 FROM " MEMORIES
				    " ORDER BY access_count > 1, last_access DESC LIMIT 1",
				    -1, &st, NULL);

	m->nclocks = 0;
	if (rc == SQLITE_OK && (rc = sqlite3_bind_double(st, 1, m->half_life_ms)) == SQLITE_OK &&
	    (rc = sqlite3_step(st)) == SQLITE_ROW) {
		m->clock[m->nclocks++] = (struct thermal_clock){0.0, sqlite3_column_double(st, 0), m->half_life_ms};
		rc = SQLITE_DONE;
	}
	sqlite3_finalize(st);
	return rc != SQLITE_DONE ? TR_ESTORE : 0;
}

/* ---- into the fresh archive ---- */
static int put(struct salvor *s, const struct thermal_model *m, double h)
{
	struct table *clock = fresh_table(&s->fresh, CLOCK, strlen(CLOCK));
	struct table *settings = fresh_table(&s->fresh, "settings", strlen("settings"));
	struct value half_life[2] = {
		{.kind = VALUE_TEXT, .p = (const unsigned char *)HALF_LIFE, .n = strlen(HALF_LIFE)},
		{.kind = VALUE_REAL, .d = m->half_life_ms}};
	const char *why;
	unsigned i;
	int r = 1;

	for (i = 0; i < m->nclocks && r == 1; i++) {
		const struct thermal_clock *c = &m->clock[i];
		struct value v[4] = {{.kind = VALUE_NULL},
				     {.kind = VALUE_INT, .i = (int64_t)c->at_ms},
				     {.kind = VALUE_REAL, .d = c->tau},
				     {.kind = VALUE_REAL, .d = c->half_life_ms}};

		r = fresh_put(&s->fresh, clock, i + 1, v, 4, &why);
		s->report->rows += r == 1;
	}
	if (r == 1 && m->nclocks > 0 && h == 0.0)
		r = fresh_put(&s->fresh, settings, 0, half_life, 2, &why);
	return r == 1 ? 0 : r < 0 ? r : TR_ESTORE;
}

/* What is on its page is not the clock. */
static int reject_rows(struct salvor *s, const struct table *t)
{
	unsigned i;
	int r = 0;

	for (i = 0; i < s->nclock && r == 0; i++) {
		const struct clock_row *c = &s->clock[i];
		struct found f = {.page = c->page, .rowid = c->seq, .n = 4};

		f.v[1] = (struct value){.kind = VALUE_INT, .i = (int64_t)c->at.at_ms};
		f.v[2] = (struct value){.kind = VALUE_REAL, .d = c->at.tau};
		f.v[3] = (struct value){.kind = VALUE_REAL, .d = c->at.half_life_ms};
		r = reject(s, t, &f, "it does not agree with the rest of the clock");
	}
	return r;
}

int salvor_clock(struct salvor *s)
{
	const struct table *t = fresh_table(&s->fresh, CLOCK, strlen(CLOCK));
	double h = s->half_life_ms;
	bool sound;
	int r = 1;

	thermal_first(&s->model); /* the other constants say nothing about heat keys */
	sound = chain(s, h, &s->model);
	/* With setting and clock from sound pages there is nothing to ask; without rows only the memories know. */
	if (sound && !(s->clock_sound && h != 0.0) && (r = agrees(s, &s->model)) < 0)
		return r;
	if (sound && r == 1)
		return put(s, &s->model, h);
	thermal_first(&s->model);
	if (h != 0.0)
		s->model.half_life_ms = h;
	if ((r = reject_rows(s, t)) < 0 || (r = agrees(s, &s->model)) != 0)
		return r < 0 ? r : 0;
	if ((r = anchor(s, &s->model)) < 0 || (r = put(s, &s->model, 0.0)) < 0)
		return r;
	return fresh_note(&s->fresh, "doubtful", "the clock was lost: one was made that agrees with the newest memory",
			  t, 0, 1, NULL, 0);
}
