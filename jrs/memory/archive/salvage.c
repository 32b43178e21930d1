#include "common/base/clock.h"
#include "jrs/memory/archive/salvor.h"
#include "jrs/memory/archive/schema.h"
#include <jansson.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* ---- payloads ---- */
/* The whole payload of a cell. *good: all pages of it are as they were written. NULL: too large. */
static const unsigned char *payload(struct salvor *s, const struct btree_cell *c, bool *good, bool *cut)
{
	struct old_image image;
	uint64_t have = c->nlocal, part = s->usable - 4;
	uint32_t next = c->overflow, hops = 0;

	if (c->nlocal == c->payload)
		return c->local;
	if (c->payload > PAYLOAD_MAX)
		return NULL;
	memset(s->payload, 0, c->payload);
	memcpy(s->payload, c->local, c->nlocal);
	while (have < c->payload) {
		uint64_t n = c->payload - have < part ? c->payload - have : part;

		if (hops++ > s->pages || !old_best(s->old, next, s->chain, &image)) {
			*cut = true;
			break;
		}
		*good = *good && image.good && !image.stale;
		memcpy(s->payload + have, s->chain + 4, n);
		have += n;
		next = (uint32_t)s->chain[0] << 24 | (uint32_t)s->chain[1] << 16 | (uint32_t)s->chain[2] << 8 |
		       s->chain[3];
	}
	return s->payload;
}

bool salvor_row(struct salvor *s, const struct btree_cell *c, struct found *f)
{
	const unsigned char *p = payload(s, c, &f->good, &f->cut);

	f->rowid = c->rowid;
	f->n = p == NULL ? -1 : record_read(p, c->payload, f->v);
	f->sure = f->sure && f->good && !f->cut;
	return f->n > 0;
}

/* ---- taking ---- */
static int reject(struct salvor *s, const struct table *t, const struct found *f, const char *why)
{
	s->report->rejected++;
	return fresh_note(&s->fresh, "rejected", why, t, f->page, f->rowid, f->v, f->n);
}

/* May it have been forgotten since? Only the index of ids can tell. */
static int still_known(struct salvor *s, const struct found *f)
{
	if (f->sure || f->newer || (f->listed && !f->stale && f->owner != NOBODY))
		return 1;
	return fresh_listed(&s->fresh, salvor_value(s, f, "id"), f->rowid);
}

static int take_memory(struct salvor *s, const struct found *f)
{
	struct table *t = s->memories;
	const char *why = NULL;
	int r = f->sure ? 0 : fresh_has(&s->fresh, f->rowid);

	if (r != 0)
		return r < 0 ? r : 0; /* a better image had it */
	if (!fresh_fits(t, f->v, f->n))
		return f->sure ? reject(s, t, f, "it has not the values of a memory") : 0;
	if ((why = salvor_objection(s, f)) != NULL)
		return f->listed ? reject(s, t, f, why) : 0; /* else it never was a row */
	if ((r = still_known(s, f)) < 0)
		return r;
	if (r == 0 && s->ids_whole) {
		s->report->forgotten++;
		return reject(s, t, f, "the index of ids does not know it: it may have been forgotten");
	}
	if ((r = fresh_put(&s->fresh, t, f->rowid, f->v, f->n, &why)) <= 0)
		return r < 0 ? r : reject(s, t, f, why);
	s->report->memories++;
	s->report->rows++;
	if (f->good)
		return 0;
	s->report->doubtful++;
	return fresh_note(&s->fresh, "doubtful", "from a damaged page: tags, importance or metadata may be wrong", t,
			  f->page, f->rowid, f->v, f->n);
}

/* Rows that cannot prove themselves: from a damaged page they are kept aside. */
static int take_plain(struct salvor *s, struct table *t, const struct found *f)
{
	const char *why = "it is on a damaged page";
	bool kept = t->use == TABLE_SETTINGS || t->use == TABLE_VERSIONS;
	int r;

	if (t->use == TABLE_CLOCK)
		return salvor_clock_row(s, t, f);
	if (t->use == TABLE_VERSIONS && f->sure && f->rowid > s->newest_schema)
		s->newest_schema = f->rowid;
	if (!fresh_fits(t, f->v, f->n) && t->use != TABLE_SEQUENCES)
		return f->sure ? reject(s, t, f, "it has not the values of its table") : 0;
	if (!f->good || f->cut)
		return f->listed ? reject(s, t, f, why) : 0;
	if (t->use == TABLE_SETTINGS && !f->sure) /* perhaps what held once: the constants are only taken as they are */
		return 0;
	if (t->use == TABLE_SETTINGS)
		salvor_setting(s, f);
	r = fresh_put(&s->fresh, t, f->rowid, f->v, f->n, &why);
	if (r == 0 && (kept || !f->sure))
		return 0;
	s->report->rows += r == 1;
	return r == 0 ? reject(s, t, f, why) : r < 0 ? r : 0;
}

/* A page that nobody is known to own: the one table whose rows look so. */
static struct table *table_like(struct salvor *s, const struct found *f, enum btree_kind kind)
{
	struct table *t, *only = NULL;
	int i;

	if (kind == BTREE_LEAF_INDEX && f->n < 4)
		return NULL; /* entries of indexes look like small rows */
	for (i = 0; i < s->fresh.ntables; i++) {
		t = &s->fresh.tables[i];
		if (t->without_rowid != (kind == BTREE_LEAF_INDEX) || t->use == TABLE_SEQUENCES ||
		    !fresh_fits(t, f->v, f->n))
			continue;
		if (only != NULL)
			return NULL;
		only = t;
	}
	return only;
}

static int take(struct salvor *s, const struct found *f, enum btree_kind kind)
{
	struct table *t = f->owner >= 0 ? &s->fresh.tables[f->owner] : table_like(s, f, kind);

	if (t == NULL)
		return 0;
	return t == s->memories ? take_memory(s, f) : take_plain(s, t, f);
}

/* An entry of the index of ids: id, number. */
static int list_id(struct salvor *s, const struct found *f)
{
	bool unsure = f->owner != ID_ENTRIES;

	if (f->n != 2 || f->v[0].kind != VALUE_TEXT || f->v[0].n == 0 || f->v[1].kind != VALUE_INT)
		return 0;
	return fresh_list(&s->fresh, &f->v[0], f->v[1].i, unsure);
}

/* ---- pages ---- */
/* All rows that the page says it has. */
static int page_rows(struct salvor *s, const struct btree_page *p, const struct found *like)
{
	struct btree_cell c;
	unsigned i;
	int r = 0;

	if (p->kind == BTREE_INNER_TABLE)
		return 0;
	for (i = 0; i < p->ncells && r == 0; i++) {
		struct found f = *like;

		if (!btree_cell(p, i, &c) || !salvor_row(s, &c, &f))
			continue;
		if (like->owner == ID_ENTRIES || (like->owner == NOBODY && p->kind != BTREE_LEAF_TABLE && f.n == 2))
			r = list_id(s, &f);
		else
			r = take(s, &f, p->kind == BTREE_LEAF_TABLE ? BTREE_LEAF_TABLE : BTREE_LEAF_INDEX);
	}
	return r;
}

/* Memories wherever one could begin: what is whole proves itself by its hash, whatever became of the page's head. */
static int page_anywhere(struct salvor *s, const struct found *like)
{
	struct btree_page p = {.p = s->page, .size = s->size, .usable = s->usable, .kind = BTREE_LEAF_TABLE};
	struct btree_cell c;
	uint32_t at;
	int r = 0;

	for (at = 0; at < s->usable && r == 0; at++) {
		struct found f = *like;

		f.listed = false;
		if (!btree_cell_at(&p, at, &c) || c.payload < 100 || c.payload > PAYLOAD_MAX || c.rowid < 1 ||
		    c.local[0] < 20 || c.local[0] > 60 || !salvor_row(s, &c, &f))
			continue; /* the header of a memory's record has a byte or more for each column */
		if (fresh_fits(s->memories, f.v, f.n) && salvor_hash_agrees(s, &f)) {
			r = take_memory(s, &f);
			at = c.end > at ? c.end - 1 : at;
		}
	}
	return r;
}

static int put_off(struct salvor *s, uint32_t page, int owner)
{
	if (s->nlater == s->later_cap) {
		size_t cap = s->later_cap == 0 ? 64 : s->later_cap * 2;
		struct later *v = realloc(s->later, cap * sizeof(*v));

		if (v == NULL)
			return TR_ENOMEM;
		s->later = v;
		s->later_cap = cap;
	}
	s->later[s->nlater++] = (struct later){page, owner};
	return 0;
}

static bool of_table(const struct salvor *s, int owner, enum table_use use)
{
	return owner >= 0 && s->fresh.tables[owner].use == use;
}

/* First everything that is sound; the rest is put off. */
static int sound_page(struct salvor *s, uint32_t page)
{
	struct found like = {.owner = s->owner[page], .page = page, .sure = true, .good = true, .listed = true};
	struct old_image image = {false, false};
	struct btree_page p;
	bool there;

	if (like.owner == OTHER_INDEX || like.owner == FREE_PAGE || (like.owner == NOBODY && s->whole))
		return 0;
	there = old_best(s->old, page, s->page, &image);
	if (there && like.owner != NOBODY && image.good && !image.stale &&
	    btree_page(s->page, s->size, s->usable, page, &p)) {
		s->clock_sound = s->clock_sound || of_table(s, like.owner, TABLE_CLOCK);
		return page_rows(s, &p, &like);
	}
	if (like.owner != ID_ENTRIES && !(there && image.good && !image.stale))
		s->report->derived_only = false;
	return there && like.owner != ID_ENTRIES ? put_off(s, page, like.owner) : 0;
}

/* The images of a page that is not sound, newest first. */
static int doubtful_page(struct salvor *s, const struct later *l)
{
	struct old_image image;
	struct btree_page p;
	unsigned k;
	int r = 0;

	for (k = 0; r == 0 && old_image(s->old, l->page, k, s->page, &image); k++) {
		struct found like = {
			.owner = l->owner, .page = l->page, .good = image.good, .listed = true, .stale = image.stale};

		if (btree_page(s->page, s->size, s->usable, l->page, &p))
			r = page_rows(s, &p, &like);
		if (r == 0 && !image.good && (l->owner == NOBODY || of_table(s, l->owner, TABLE_MEMORIES)))
			r = page_anywhere(s, &like);
		if (image.good && !image.stale)
			break; /* nothing older counts */
	}
	return r;
}

/* Rows of the memories' table from an image that is sound but not the page's newest, or newer than the newest whole
 * state. */
static int other_image(struct salvor *s, uint32_t page, bool good, bool stale)
{
	struct found like = {.owner = (int)(s->memories - s->fresh.tables),
			     .page = page,
			     .good = good,
			     .listed = true,
			     .stale = stale,
			     .newer = !stale};
	struct btree_page p;

	if (!good)
		return page_anywhere(s, &like);
	if (!btree_page(s->page, s->size, s->usable, page, &p) || p.kind != BTREE_LEAF_TABLE)
		return 0;
	return page_rows(s, &p, &like);
}

/* A transaction of which only a part is there may have brought memories, or moved them to a page that is not there:
 * then an older image still has them. */
static int lost_and_found(struct salvor *s)
{
	struct old_image image;
	uint32_t i, page;
	int64_t lost;
	bool good;
	unsigned k;
	int r = 0;

	for (i = 0; r == 0 && old_extra(s->old, i, s->page, &page, &good); i++) {
		s->report->derived_only = false;
		if (page != 0)
			r = other_image(s, page, good, false);
	}
	if (r == 0 && s->guessed)
		r = fresh_judge_list(&s->fresh);
	if (r < 0 || (lost = fresh_lost(&s->fresh, false)) == 0)
		return r;
	for (page = 1; lost > 0 && page <= s->pages && r == 0; page++) {
		for (k = 1; r == 0 && old_image(s->old, page, k, s->page, &image); k++)
			r = image.good ? other_image(s, page, true, true) : 0;
	}
	return lost < 0 ? TR_ESTORE : r;
}

static int all_pages(struct salvor *s)
{
	uint32_t page;
	size_t i;
	int r = 0;

	for (page = 1; page <= s->pages && r == 0; page++) {
		if (s->cfg->go_on != NULL && !s->cfg->go_on(s->cfg->arg))
			return TR_ECLOSED;
		r = sound_page(s, page);
	}
	for (i = 0; i < s->nlater && r == 0; i++) {
		if (of_table(s, s->later[i].owner, TABLE_CLOCK))
			r = doubtful_page(s, &s->later[i]);
	}
	if (r == 0)
		r = salvor_clock(s); /* memories of other pages are judged by it */
	for (i = 0; i < s->nlater && r == 0; i++) {
		if (s->cfg->go_on != NULL && !s->cfg->go_on(s->cfg->arg))
			return TR_ECLOSED;
		if (!of_table(s, s->later[i].owner, TABLE_CLOCK))
			r = doubtful_page(s, &s->later[i]);
	}
	return r < 0 ? r : lost_and_found(s);
}

/* ---- the whole ---- */
static int write_summary(const struct salvage_cfg *cfg, const struct salvage_report *r)
{
	char path[4200], at[TR_RFC3339_LEN];
	json_t *o;
	FILE *f;
	int ok;

	tr_rfc3339_format(cfg->now_ms, at);
	o = json_pack("{s:s, s:s, s:I, s:I, s:I, s:I, s:I, s:I, s:b, s:{s:I, s:I, s:I, s:I, s:s, s:I, s:I, s:b}}", "at",
		      at, "reason", cfg->reason, "memories_taken", (json_int_t)r->memories, "rows_taken",
		      (json_int_t)r->rows, "doubtful", (json_int_t)r->doubtful, "rejected", (json_int_t)r->rejected,
		      "perhaps_forgotten", (json_int_t)r->forgotten, "lost", (json_int_t)r->lost, "derived_only",
		      r->derived_only, "found", "pages", (json_int_t)r->old.pages, "bad_pages", (json_int_t)r->old.bad,
		      "missing_pages", (json_int_t)r->old.missing, "mended", (json_int_t)r->old.mended, "log",
		      wal_verdict_name(r->old.log), "log_bad_frames", (json_int_t)r->old.log_bad, "log_lost_frames",
		      (json_int_t)r->old.log_lost, "page_sums", r->old.checked);
	if (o == NULL || snprintf(path, sizeof(path), "%s/salvage.json", cfg->to_dir) >= (int)sizeof(path) ||
	    (f = fopen(path, "wxe")) == NULL) {
		json_decref(o);
		return TR_ESTORE;
	}
	ok = json_dumpf(o, f, JSON_INDENT(2)) == 0 && fputc('\n', f) != EOF && fflush(f) == 0 && fsync(fileno(f)) == 0;
	ok = fclose(f) == 0 && ok;
	json_decref(o);
	return ok ? 0 : TR_ESTORE;
}

static int begin(struct salvor *s, struct tr_fault *fault)
{
	int r;

	if ((r = old_open(&s->old, s->cfg->from, s->cfg->frozen, s->cfg->budget)) < 0)
		return tr_fault_set(fault, r, "archive", "the damaged archive cannot be read (%s)", tr_strerror(r));
	s->report->old = *old_figures(s->old);
	if ((r = fresh_make(&s->fresh, s->cfg->to_dir, s->cfg->name, s->cfg->now_ms, fault)) < 0)
		return r;
	s->memories = fresh_table(&s->fresh, MEMORIES, strlen(MEMORIES));
	s->size = old_page_size(s->old);
	s->usable = old_usable(s->old);
	s->pages = s->report->old.pages;
	s->owner = calloc((size_t)s->pages + 1, sizeof(*s->owner));
	s->page = malloc(s->size);
	s->chain = malloc(s->size);
	s->payload = malloc(PAYLOAD_MAX);
	if (s->owner == NULL || s->page == NULL || s->chain == NULL || s->payload == NULL)
		return tr_fault_set(fault, TR_ENOMEM, "", "%s", tr_strerror(TR_ENOMEM));
	return 0;
}

static int carry_out(struct salvor *s, struct tr_fault *fault)
{
	int64_t lost;
	int r;

	if ((r = begin(s, fault)) < 0)
		return r;
	salvor_owners(s);
	s->report->derived_only = true;
	if ((r = all_pages(s)) < 0)
		return tr_fault_set(fault, r, "archive",
				    r == TR_ECLOSED ? "stopped" : "the new archive cannot be filled");
	if (s->newest_schema > schema_version())
		return tr_fault_set(fault, TR_ESTORE, "archive", "was written by a newer program (schema %lld)",
				    (long long)s->newest_schema);
	if ((lost = fresh_lost(&s->fresh, true)) < 0)
		return tr_fault_set(fault, TR_ESTORE, "archive", "the new archive cannot be counted");
	s->report->lost = (uint64_t)lost;
	if ((r = fresh_finish(&s->fresh, s->cfg->to_dir, s->cfg->name, s->report->memories, fault)) < 0)
		return r;
	if ((r = write_summary(s->cfg, s->report)) < 0)
		return tr_fault_set(fault, r, "archive", "the new directory cannot be written");
	return 0;
}

int salvage(const struct salvage_cfg *cfg, struct salvage_report *out, struct tr_fault *fault)
{
	struct salvage_report report = {0};
	struct salvor s = {.cfg = cfg, .report = &report};
	int r = carry_out(&s, fault);

	fresh_close(&s.fresh);
	old_close(&s.old);
	free(s.owner);
	free(s.later);
	free(s.page);
	free(s.chain);
	free(s.payload);
	if (r == 0)
		*out = report;
	return r;
}
