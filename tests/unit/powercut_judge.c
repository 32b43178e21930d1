/* Looks at everything after the power came back, and says what is wrong. */
#include "jrs/memory/thermal/thermal.h"
#include "powercut_world.h"
#include <math.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define FIGURES_MS 20000 /* a damaged archive never counts its memories: who asks has his deadline */

struct look {
	struct world *w;
	sqlite3 *db;
};

static bool look_begin(struct look *l, struct world *w)
{
	int rc;

	l->w = w;
	power_observe(true);
	rc = sqlite3_open_v2(w->path, &l->db, SQLITE_OPEN_READWRITE, NULL);
	if (rc == SQLITE_OK) {
		sqlite3_busy_timeout(l->db, 10000);
		sqlite3_db_config(l->db, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, NULL);
	} else {
		wrong(w, &w->v.unopened, "SQLite cannot open it: %s", sqlite3_errmsg(l->db));
		sqlite3_close(l->db);
		power_observe(false);
	}
	return rc == SQLITE_OK;
}

static void look_end(struct look *l)
{
	sqlite3_close(l->db);
	power_observe(false);
}

static sqlite3_stmt *ask(struct look *l, const char *sql)
{
	sqlite3_stmt *st = NULL;

	if (sqlite3_prepare_v2(l->db, sql, -1, &st, NULL) != SQLITE_OK)
		wrong(l->w, &l->w->v.integrity, "%s: %s", sql, sqlite3_errmsg(l->db));
	return st;
}

static bool row(struct look *l, sqlite3_stmt *st)
{
	int rc = st == NULL ? SQLITE_DONE : sqlite3_step(st);

	if (rc != SQLITE_ROW && rc != SQLITE_DONE)
		wrong(l->w, &l->w->v.integrity, "cannot be read: %s", sqlite3_errmsg(l->db));
	return rc == SQLITE_ROW;
}

static int64_t number(struct look *l, const char *sql)
{
	sqlite3_stmt *st = ask(l, sql);
	int64_t n = row(l, st) ? sqlite3_column_int64(st, 0) : -1;

	sqlite3_finalize(st);
	return n;
}

/* ---- rows ---- */
static struct fact *fact_of(struct world *w, const char *content)
{
	char *end;
	unsigned long n = content == NULL ? 0 : strtoul(content, &end, 10);

	return content == NULL || end == content || n >= w->nfacts ? NULL : w->fact[n];
}

static bool text_is(sqlite3_stmt *st, int col, const char *want)
{
	const char *have = (const char *)sqlite3_column_text(st, col);

	return want == NULL ? have == NULL : have != NULL && strcmp(have, want) == 0;
}

/* Of a row that is there once: is it whole, and as it was answered? */
static void check_row(struct world *w, struct fact *f, sqlite3_stmt *st)
{
	int64_t accesses = sqlite3_column_int64(st, 2);
	double patch = sqlite3_column_double(st, 3) * 1048576.0;
	char tags[32];
	unsigned p;

	if (f->id[0] == '\0')
		snprintf(f->id, sizeof(f->id), "%s", sqlite3_column_text(st, 0));
	else if (!text_is(st, 0, f->id))
		wrong(w, &w->v.doubled, "fact %u was acknowledged as %s and is there as %s", f->number, f->id,
		      sqlite3_column_text(st, 0));
	if (sqlite3_column_bytes(st, 1) != (int)f->n || memcmp(sqlite3_column_text(st, 1), f->content, f->n) != 0)
		wrong(w, &w->v.torn, "fact %u has another content", f->number);
	if (accesses < f->added || accesses > f->may_add + f->touched)
		wrong(w, accesses < f->added ? &w->v.lost : &w->v.doubled,
		      "fact %u: %lld accesses, %u answered, %u sent, %u touches", f->number, (long long)accesses,
		      f->added, f->may_add, f->touched);
	if (text_is(st, 4, f->decision ? "[\"decision\"]" : "[]") && sqlite3_column_double(st, 3) == 0.5) {
		p = 0;
	} else {
		p = patch >= 1 && patch < 1e6 && patch == floor(patch) ? (unsigned)patch : 0;
		snprintf(tags, sizeof(tags), "[\"p%u\"]", p);
		if (p == 0 || !text_is(st, 4, tags))
			wrong(w, &w->v.torn, "fact %u: half a patch, importance %g tags %s", f->number,
			      sqlite3_column_double(st, 3), sqlite3_column_text(st, 4));
	}
	if (p < f->patch)
		wrong(w, &w->v.lost, "fact %u: patch %u was acknowledged, %u is there", f->number, f->patch, p);
	else if (p > f->patch && p > f->maybe_patch)
		wrong(w, &w->v.strange, "fact %u: patch %u of nobody", f->number, p);
	f->patch = p;
	f->maybe_patch = 0;
	if ((sqlite3_column_int(st, 5) != 0) != f->sacred ||
	    !text_is(st, 6, f->supersedes == NULL ? NULL : f->supersedes->id))
		wrong(w, &w->v.torn, "fact %u is there, but not all that was said of it", f->number);
	f->seq = sqlite3_column_int64(st, 7);
}

static void read_rows(struct look *l)
{
	struct world *w = l->w;
	sqlite3_stmt *st;
	struct fact *f;
	unsigned i;

	for (i = 0; i < w->nfacts; i++)
		w->fact[i]->rows = w->fact[i]->decisions = 0;
	st = ask(l, "SELECT id, original_content, access_count, importance, tags, sacred_pattern, supersedes, seq, "
		    "memory_hash "
		    "FROM thermal_memory_archive");
	while (row(l, st)) {
		const char *content = (const char *)sqlite3_column_text(st, 1);

		if ((f = fact_of(w, content)) == NULL) {
			wrong(w, &w->v.strange, "a row of nobody: %.40s", content == NULL ? "" : content);
			continue;
		}
		if (f->rows++ == 0)
			check_row(w, f, st);
	}
	sqlite3_finalize(st);
	st = ask(l,
		 "SELECT m.original_content FROM decisions d LEFT JOIN thermal_memory_archive m ON m.id = d.memory_id");
	while (row(l, st)) {
		const char *content = (const char *)sqlite3_column_text(st, 0);

		if ((f = fact_of(w, content)) == NULL)
			wrong(w, &w->v.torn, "a decision without its memory");
		else
			f->decisions++;
	}
	sqlite3_finalize(st);
}

/* Compares with what was answered; then every fate is certain. */
static void judge_fates(struct world *w)
{
	unsigned i, k;

	for (i = 0; i < w->nfacts; i++) {
		struct fact *f = w->fact[i];

		if (f->rows > 1)
			wrong(w, &w->v.doubled, "fact %u is there %u times", f->number, f->rows);
		if (f->rows == 0 && f->fate == THERE)
			wrong(w, &w->v.lost, "fact %u (%s) was acknowledged and is lost", f->number, f->id);
		if (f->rows > 0 && f->fate == GONE)
			wrong(w, &w->v.resurrected, "fact %u was forgotten and is there", f->number);
		if (f->rows > 0 && f->fate == NEVER && f->trying == 0)
			wrong(w, &w->v.strange, "fact %u was never taken and is there", f->number);
		if (f->rows > 0 && f->decisions != (f->decision ? 1u : 0u))
			wrong(w, f->decisions > 1 ? &w->v.doubled : &w->v.torn,
			      "fact %u stands %u times in the decisions", f->number, f->decisions);
		/* facts of one call have neighbouring numbers */
		for (k = i + 1; f->list != 0 && k < w->nfacts && k < i + LIST_MAX; k++) {
			const struct fact *g = w->fact[k];

			if (g->list == f->list && (g->fate == MAYBE || f->fate == MAYBE) &&
			    (g->rows > 0) != (f->rows > 0))
				wrong(w, &w->v.torn, "of one list fact %u and not fact %u", f->number, g->number);
		}
	}
	for (i = 0; i < w->nfacts; i++) {
		struct fact *f = w->fact[i];

		if (f->fate == MAYBE || f->fate == THERE)
			f->fate = f->rows > 0 ? THERE : NEVER;
		else if (f->fate == MAYBE_GONE)
			f->fate = f->rows > 0 ? THERE : GONE;
		f->trying = 0;
		if (f->fate == NEVER) {
			f->patch = f->touched = 0;
			f->seq = 0;
			if (!f->own_id)
				f->id[0] = '\0';
		}
	}
}

static void judge_links(struct look *l)
{
	struct world *w = l->w;
	sqlite3_stmt *st = ask(l, "SELECT original_content, superseded_by FROM thermal_memory_archive");
	unsigned i;

	/* mark: who is replaced by whom, as the writers know it */
	for (i = 0; i < w->nfacts; i++)
		w->fact[i]->rows = 0;
	for (i = 0; i < w->nfacts; i++) {
		struct fact *f = w->fact[i];

		if (f->supersedes != NULL && f->fate == THERE)
			f->supersedes->rows = f->number + 1;
	}
	while (row(l, st)) {
		struct fact *f = fact_of(w, (const char *)sqlite3_column_text(st, 0));

		if (f != NULL && !text_is(st, 1, f->rows == 0 ? NULL : w->fact[f->rows - 1]->id))
			wrong(w, &w->v.torn, "fact %u: superseded_by %s", f->number, sqlite3_column_text(st, 1));
	}
	sqlite3_finalize(st);
}

static void judge_import(struct look *l)
{
	struct world *w = l->w;
	sqlite3_stmt *st = ask(
		l, "SELECT position, added, (SELECT count(*) FROM thermal_memory_archive m WHERE m.import_id = i.id) "
		   "FROM imports i");
	bool there = row(l, st);

	if (!there && w->import_known)
		wrong(w, &w->v.lost, "the import is lost");
	if (there) {
		int64_t position = sqlite3_column_int64(st, 0), added = sqlite3_column_int64(st, 1),
			rows = sqlite3_column_int64(st, 2);

		if (position < w->import_position)
			wrong(w, &w->v.lost, "the import stands at %lld, %u was acknowledged", (long long)position,
			      w->import_position);
		if (added != rows || (position > w->import_position && position > w->import_maybe))
			wrong(w, &w->v.torn, "the import counts %lld added, %lld are there", (long long)added,
			      (long long)rows);
		w->import_known = true;
		w->import_position = (unsigned)position;
	}
	sqlite3_finalize(st);
	w->import_maybe = w->import_position;
}

/* ---- the calls again ---- */
/* Whose answer was not seen: sent again it must succeed, and be there once. */
static void send_again(struct world *w, struct op *op)
{
	struct op *again = op_again(op);
	int r = world_call(w, again);
	unsigned i;

	w->v.replays++;
	if (r < 0) {
		wrong(w, &w->v.answers, "%s sent again under %s: %s", wire_methods[op->id].method, op->rid,
		      tr_err_name(r));
	} else {
		for (i = 0; i < op->nfacts; i++) {
			struct fact *f = op->fact[i];

			if (f->id[0] == '\0')
				snprintf(f->id, sizeof(f->id), "%s", again->answer_id[i]);
			/* under its request id it was carried out once, before or now */
			if (op->deed == DO_ADD && op->rid[0] != '\0' && f->owner != WRITERS && !again->created[i])
				wrong(w, &w->v.doubled, "fact %u sent again under its request id was known", f->number);
			f->fate = THERE;
			f->added = f->own_id ? 1 : f->added + 1;
			f->may_add += !f->own_id && op->rid[0] == '\0'; /* it may have heated what was there */
		}
		memcpy(op->answer_id, again->answer_id, sizeof(op->answer_id));
		memcpy(op->created, again->created, sizeof(op->created));
		memcpy(op->temperature, again->temperature, sizeof(op->temperature));
		op->acknowledged = true;
	}
	op_free(again);
}

/* Whose answer was seen: the same request id gets the same answer, also after what was added is gone. */
static void ask_again(struct world *w, struct op *op)
{
	struct op *again = op_again(op);
	int r = world_call(w, again);
	unsigned i;

	w->v.replays++;
	/* an answer that would hold a forgotten text is not given again */
	if (r == TR_ENOTFOUND && (op->deed == DO_DECIDE || op->deed == DO_PATCH) && op->fact[0]->fate == GONE)
		r = 0;
	else if (r < 0)
		wrong(w, r == TR_ENOTFOUND ? &w->v.lost : &w->v.answers, "%s acknowledged under %s now answers %s",
		      wire_methods[op->id].method, op->rid, tr_err_name(r));
	for (i = 0; again->acknowledged && (op->deed == DO_ADD || op->deed == DO_DECIDE) && i < op->nfacts; i++) {
		if (strcmp(op->answer_id[i], again->answer_id[i]) != 0 ||
		    (op->deed == DO_ADD &&
		     (op->created[i] != again->created[i] || op->temperature[i] != again->temperature[i])))
			wrong(w, &w->v.answers, "%s answers otherwise than before", op->rid);
	}
	op_free(again);
}

static void judge_requests(struct world *w)
{
	unsigned i;

	for (i = 0; i < w->nops; i++) {
		struct op *op = w->op[i];
		bool add = op->deed == DO_ADD || op->deed == DO_DECIDE;

		if (vdisk_dice(w->seed, 300 + w->life, i) % 100 >= w->again)
			continue;
		if (op->acknowledged && op->rid[0] != '\0') {
			/* all of the last life, some of those before */
			if (op->life == w->life || vdisk_dice(w->seed, w->life, i) % 16 == 0)
				ask_again(w, op);
		} else if (!op->acknowledged && !op->refused && op->deed != DO_GET && op->deed != DO_RECALL &&
			   op->life == w->life && op->answered) {
			if (op->deed == DO_IMPORT_BEGIN && !w->import_known && world_call(w, op) == 0)
				w->import_known = true;
			/* a patch or a forgetting without an answer is what the rows say it is */
			if (add && (op->nfacts == 0 || op->fact[0]->fate != GONE))
				send_again(w, op);
			if (op->deed == DO_ADD && op->msg.add.has_import_id &&
			    op->msg.add.import_position > w->import_maybe)
				w->import_maybe = (unsigned)op->msg.add.import_position;
		}
	}
}

/* ---- what belongs together ---- */
/* Every full-text index against its rows: the words, how often, how long. */
static void judge_indexes(struct look *l)
{
	struct world *w = l->w;
	sqlite3_stmt *st = ask(l, "SELECT name FROM sqlite_schema WHERE sql LIKE 'CREATE VIRTUAL TABLE%fts5%'");
	char name[8][64], sql[200];
	unsigned n, i;

	for (n = 0; n < 8 && row(l, st); n++)
		snprintf(name[n], sizeof(name[n]), "%s", sqlite3_column_text(st, 0));
	sqlite3_finalize(st); /* an open read could not become the write that the check pretends to be */
	for (i = 0; i < n; i++) {
		snprintf(sql, sizeof(sql), "INSERT INTO \"%s\"(\"%s\", rank) VALUES('integrity-check', 1)", name[i],
			 name[i]);
		st = ask(l, sql);
		if (st != NULL && sqlite3_step(st) != SQLITE_DONE)
			wrong(w, &w->v.index, "the index %s does not agree with the rows: %s", name[i],
			      sqlite3_errmsg(l->db));
		sqlite3_finalize(st);
	}
}

static void judge_integrity(struct look *l)
{
	struct world *w = l->w;
	sqlite3_stmt *st = ask(l, "SELECT integrity_check FROM pragma_integrity_check LIMIT 3");

	while (row(l, st)) {
		if (!text_is(st, 0, "ok"))
			wrong(w, &w->v.integrity, "integrity_check: %s", sqlite3_column_text(st, 0));
	}
	sqlite3_finalize(st);
	judge_indexes(l);
	if (number(l, "SELECT count(*) FROM entanglements WHERE memory NOT IN (SELECT seq FROM thermal_memory_archive) "
		      "OR partner NOT IN (SELECT seq FROM thermal_memory_archive)") != 0)
		wrong(w, &w->v.torn, "an entanglement with nobody");
}

struct recount {
	uint64_t total, sacred, stages[THERMAL_NSTAGES];
	double sum;
};

static void recount(struct look *l, double at_ms, struct recount *out)
{
	const struct thermal_model *m = archive_model(l->w->a);
	sqlite3_stmt *st = ask(l, "SELECT heat_key, sacred_pattern FROM thermal_memory_archive "
				  "WHERE source IS NULL OR substr(source, 1, 6) <> '" ARCHIVE_DRILL_PREFIX "'");

	memset(out, 0, sizeof(*out));
	while (row(l, st)) {
		bool sacred = sqlite3_column_int(st, 1) != 0;
		double t = thermal_at(m, sqlite3_column_double(st, 0), sacred, at_ms);

		out->total++;
		out->sacred += sacred;
		out->sum += t;
		out->stages[thermal_stage_of(m, t)]++;
	}
	sqlite3_finalize(st);
}

struct figures {
	unsigned flying;
	int r;
	struct res_memory_thermal res;
};

static void on_figures(void *arg, int r, const struct archive_answer *answer, const struct tr_fault *fault)
{
	struct figures *f = arg;

	(void)fault;
	f->flying--;
	f->r = r;
	if (r == 0)
		f->res = *(const struct res_memory_thermal *)answer->res;
}

/* The running histograms say what a recount says. Notes may still be on their way: the last of a few looks counts. */
static void judge_figures(struct look *l)
{
	struct world *w = l->w;
	struct msg_memory_thermal msg = {.has_hottest = true, .hottest = 0};
	struct recount is;
	int tries;
	bool same = false;

	for (tries = 0; tries < 5 && !same; tries++) {
		struct archive_ctx ctx = {msgpack_zone_new(2048), tr_mono_ms() + FIGURES_MS};
		struct figures f = {1, 0, {0}};

		f.r = archive_call(w->a, MSG_memory_thermal, &msg, &ctx, on_figures, &f);
		if (f.r >= 0 && !world_await(w, &f.flying))
			f.r = TR_EINTERNAL;
		msgpack_zone_free(ctx.zone);
		if (f.r < 0) {
			wrong(w, &w->v.figures, "memory.thermal answers %s", tr_err_name(f.r));
			return;
		}
		recount(l, (double)f.res.timestamp, &is);
		same = f.res.total_memories == is.total && f.res.sacred_count == is.sacred &&
		       (is.total == 0 || fabs(f.res.average_temperature - is.sum / (double)is.total) < 1e-6);
#define X(id, name, key, from) same = same && f.res.stages.name == is.stages[THERMAL_##id];
		THERMAL_STAGES(X)
#undef X
	}
	if (!same)
		wrong(w, &w->v.figures, "memory.thermal and a recount differ: %llu are there",
		      (unsigned long long)is.total);
}

/* Nothing was damaged; and who thinks so does not write any more. */
static void judge_health(struct world *w)
{
	struct archive_stats stats;

	archive_stats(w->a, &stats);
	if (stats.damage != NULL)
		wrong(w, &w->v.ill, "it takes itself for damaged: %s", stats.damage);
	else if (!stats.healthy || stats.fenced)
		wrong(w, &w->v.ill, "it is %s", stats.fenced ? "fenced" : "not healthy");
}

static void judge_epoch(struct look *l)
{
	struct world *w = l->w;
	int64_t epoch = number(l, "SELECT epoch FROM roles WHERE role = 'memory'");

	if (epoch < w->epoch)
		wrong(w, &w->v.lost, "epoch %lld came after %lld", (long long)epoch, (long long)w->epoch);
	w->epoch = epoch;
}

void world_judge(struct world *w)
{
	struct look l;

	if (w->a == NULL)
		return;
	world_await_lead(w);
	if (!look_begin(&l, w))
		return;
	judge_health(w);
	judge_integrity(&l);
	read_rows(&l);
	judge_fates(w);
	judge_links(&l);
	judge_import(&l);
	judge_epoch(&l);
	judge_requests(w);
	if (w->a == NULL) /* stuck */
		goto out;
	read_rows(&l); /* and what was sent again is there once as well */
	judge_fates(w);
	judge_import(&l);
	judge_figures(&l);
	if (w->a != NULL) /* not stuck */
		judge_health(w);
out:
	look_end(&l);
}
