#include "jrs/memory/archive/fts_merge.h"
#include "jrs/memory/archive/sqlite.h"
#include <stdlib.h>
#include <string.h>

#define PAGES 8  /* of the index, written by one step, or as many as one word takes */
#define APART 4u /* empty levels between newer segments and the pass's: a merge of those moves them one level up */

/* ---- the record: cookie, number of levels, of segments, a counter; each level: how many of its segments are being
 * merged, how many it has, and of each its number, first and last page ---- */
struct cursor {
	const unsigned char *p, *end;
	bool bad;
};

static uint64_t varint(struct cursor *c)
{
	uint64_t v = 0;
	int i;

	for (i = 0; i < 9 && c->p < c->end; i++) {
		unsigned char b = *c->p++;

		if (i == 8)
			return v << 8 | b;
		v = v << 7 | (b & 0x7f);
		if ((b & 0x80) == 0)
			return v;
	}
	c->bad = true;
	return 0;
}

static uint32_t at_most(struct cursor *c, uint32_t most)
{
	uint64_t v = varint(c);

	c->bad = c->bad || v > most;
	return c->bad ? 0 : (uint32_t)v;
}

int fts_record_read(const unsigned char *p, size_t n, struct fts_record *out)
{
	struct cursor c = {p + sizeof(out->cookie), p + n, n < sizeof(out->cookie)};
	unsigned segments, i, k;

	if (c.bad)
		return TR_ESTORE;
	memset(out, 0, sizeof(*out));
	memcpy(out->cookie, p, sizeof(out->cookie));
	out->nlevels = at_most(&c, FTS_LEVELS);
	segments = at_most(&c, FTS_SEGMENTS);
	out->counter = varint(&c);
	for (i = 0; i < out->nlevels && !c.bad; i++) {
		out->level[i].merging = at_most(&c, FTS_SEGMENTS);
		out->level[i].n = at_most(&c, FTS_SEGMENTS - out->n);
		c.bad = c.bad || out->level[i].merging > out->level[i].n;
		for (k = 0; k < out->level[i].n && !c.bad; k++) {
			struct fts_segment *s = &out->v[out->n++];

			s->number = at_most(&c, UINT32_MAX);
			s->first = at_most(&c, UINT32_MAX);
			s->last = at_most(&c, UINT32_MAX);
		}
	}
	return c.bad || c.p != c.end || out->n != segments ? TR_ESTORE : 0;
}

static unsigned char *put(unsigned char *p, uint64_t v)
{
	unsigned char bytes[10];
	int n = 0;

	/* nine bytes of seven bits are enough: the counter counts pages that were written */
	do {
		bytes[n++] = (unsigned char)(v & 0x7f);
		v >>= 7;
	} while (v != 0 && n < 9);
	while (n-- > 1)
		*p++ = (unsigned char)(bytes[n] | 0x80);
	*p++ = bytes[0];
	return p;
}

size_t fts_record_write(const struct fts_record *r, unsigned char out[FTS_RECORD_BYTES])
{
	const struct fts_segment *s = r->v;
	unsigned char *p = out + sizeof(r->cookie);
	unsigned i, k;

	memcpy(out, r->cookie, sizeof(r->cookie));
	p = put(put(put(p, r->nlevels), r->n), r->counter);
	for (i = 0; i < r->nlevels; i++) {
		p = put(put(p, r->level[i].merging), r->level[i].n);
		for (k = 0; k < r->level[i].n; k++, s++)
			p = put(put(put(p, s->number), s->first), s->last);
	}
	return (size_t)(p - out);
}

/* ---- arranging it ---- */
static void add_level(struct fts_record *r, unsigned merging, const struct fts_segment *v, unsigned n)
{
	r->level[r->nlevels].merging = merging;
	r->level[r->nlevels++].n = n;
	if (n > 0)
		memcpy(r->v + r->n, v, sizeof(*v) * n);
	r->n += n;
}

static void begin_record(struct fts_record *r, const struct fts_record *like)
{
	memset(r, 0, sizeof(*r));
	memcpy(r->cookie, like->cookie, sizeof(r->cookie));
	r->counter = like->counter;
}

void fts_merge_gather(const struct fts_record *r, struct fts_merge *m)
{
	const struct fts_segment *end = r->v + r->n;
	unsigned i;

	memset(m, 0, sizeof(*m));
	/* What is being merged and what has been made of it are segments like others: each word stands in one of them.
	 */
	for (i = r->nlevels; i-- > 0;) {
		end -= r->level[i].n;
		memcpy(m->in + m->n, end, sizeof(*end) * r->level[i].n);
		m->n += r->level[i].n;
	}
}

static bool same(const struct fts_segment *x, const struct fts_segment *y)
{
	return x->number == y->number && x->first == y->first && x->last == y->last;
}

/* 1: it is one of the pass's, 0: it is not; TR_ECONFLICT: it was, and is not as it was. */
static int of_pass(const struct fts_merge *m, const struct fts_segment *s)
{
	unsigned i;

	if (m->has_out && s->number == m->out.number)
		return same(s, &m->out) ? 1 : TR_ECONFLICT;
	for (i = 0; i < m->n; i++) {
		if (s->number == m->in[i].number)
			return same(s, &m->in[i]) ? 1 : TR_ECONFLICT;
	}
	return 0;
}

int fts_merge_open(const struct fts_merge *m, struct fts_record *all, struct fts_record *step)
{
	const struct fts_record was = *all;
	const struct fts_segment *s = was.v;
	unsigned i, k, found = 0;

	begin_record(step, &was);
	add_level(step, m->has_out ? m->n : 0, m->in, m->n);
	if (m->has_out)
		add_level(step, 0, &m->out, 1);
	begin_record(all, &was);
	for (i = 0; i < was.nlevels; i++) {
		unsigned merging = was.level[i].merging;

		add_level(all, 0, NULL, 0);
		for (k = 0; k < was.level[i].n; k++, s++) {
			int r = of_pass(m, s);

			if (r < 0)
				return TR_ECONFLICT;
			if (r == 0) {
				all->v[all->n++] = *s;
				all->level[i].n++;
				continue;
			}
			found++;
			if (k >= was.level[i].merging)
				continue;
			/* At the beginning an automatic merge may be under way: it ends here. Later it is the guard. */
			if (m->has_out && (merging != 1 || m->n == 0 || s->number != m->in[m->n - 1].number))
				return TR_ECONFLICT;
			merging = 0;
		}
		all->level[i].merging = merging;
	}
	while (all->nlevels > 0 && all->level[all->nlevels - 1].n == 0)
		all->nlevels--;
	return found == m->n + m->has_out ? 0 : TR_ECONFLICT;
}

/* Is `step` what was put in, merged further? Then what is left of it is the pass. */
static int take_step(struct fts_merge *m, const struct fts_record *step)
{
	struct fts_merge was = *m;
	unsigned i;

	if (step->n == 0) { /* all of it was deleted */
		m->n = 0;
		m->has_out = false;
		return 0;
	}
	m->out = step->v[step->n - 1];
	m->has_out = true;
	if (was.has_out && m->out.number != was.out.number)
		return TR_ECONFLICT;
	m->n = step->n - 1;
	if (m->n != 0 && (m->n != was.n || step->nlevels != 2 || step->level[0].merging != m->n))
		return TR_ECONFLICT;
	for (i = 0; i < m->n; i++) {
		if (step->v[i].number != was.in[i].number)
			return TR_ECONFLICT;
		m->in[i] = step->v[i];
	}
	return 0;
}

int fts_merge_close(struct fts_merge *m, struct fts_record *all, const struct fts_record *step)
{
	unsigned i, apart;
	int r = take_step(m, step);

	if (r < 0)
		return r;
	apart = m->n > 0 ? APART : all->nlevels == 0;
	if (all->nlevels + apart + m->n + 1 > FTS_LEVELS || all->n + m->n + 1 > FTS_SEGMENTS)
		return TR_ETOOBIG;
	memcpy(all->cookie, step->cookie, sizeof(all->cookie));
	for (i = 0; i < apart; i++)
		add_level(all, 0, NULL, 0);
	/* The newest first. It is the guard: FTS5 takes segments of higher levels down to newer ones that are larger,
	 * but none that are being merged, nor any behind them; and it goes on with a merge only where no level has
	 * more. */
	for (i = m->n; i-- > 0;)
		add_level(all, i == m->n - 1, &m->in[i], 1);
	if (m->has_out)
		add_level(all, 0, &m->out, 1);
	return 0;
}

/* ---- on the index ---- */
static int read_record(struct sql_archive *a, struct fts_record *out)
{
	struct query q = q_begin(&a->wdb, SQL_WORDS_RECORD);
	int r = q_row(&q);

	if (r == 1)
		r = fts_record_read((const unsigned char *)q_get(&q, 0), q_len(&q, 0), out);
	else if (r == 0)
		r = TR_ESTORE;
	q_end(&q);
	return r;
}

/* The record is no table of ours to write: SQLite has to be told that we mean it. */
static int write_record(struct sql_archive *a, const struct fts_record *record)
{
	static const char sql[] = "UPDATE memory_words_data SET block = ?1 WHERE id = 10";
	unsigned char bytes[FTS_RECORD_BYTES];
	size_t n = fts_record_write(record, bytes);
	sqlite3 *db = sqlite_of(&a->wdb);
	sqlite3_stmt *st = NULL;
	int rc;

	sqlite3_db_config(db, SQLITE_DBCONFIG_DEFENSIVE, 0, NULL);
	if ((rc = sqlite3_prepare_v2(db, sql, -1, &st, NULL)) == SQLITE_OK &&
	    (rc = sqlite3_bind_blob64(st, 1, bytes, n, SQLITE_STATIC)) == SQLITE_OK)
		rc = sqlite3_step(st);
	sqlite3_finalize(st);
	sqlite3_db_config(db, SQLITE_DBCONFIG_DEFENSIVE, 1, NULL);
	return rc == SQLITE_DONE ? 0 : sqlite_failed(&a->wdb, rc);
}

static int merge(struct sql_archive *a, int64_t pages)
{
	struct query q = q_begin(&a->wdb, SQL_MERGE_WORDS);

	q_i64(&q, pages);
	return q_run(&q);
}

/* One step, within a transaction. The pass is that of a->purge. */
static int one_step(struct sql_archive *a, struct fts_merge *m, struct fts_record *all, struct fts_record *step)
{
	int r;

	/* Behind a merge, be it of nothing, FTS5 keeps no copy of the record. */
	if ((r = merge(a, 0)) < 0 || (r = read_record(a, all)) < 0)
		return r;
	if (!m->has_out) { /* the first one */
		fts_merge_gather(all, m);
		if (m->n < 2) { /* one segment holds no marks */
			m->n = 0;
			return 0;
		}
	}
	if ((r = fts_merge_open(m, all, step)) < 0 || (r = write_record(a, step)) < 0 || (r = merge(a, -PAGES)) < 0 ||
	    (r = read_record(a, step)) < 0 || (r = fts_merge_close(m, all, step)) < 0)
		return r;
	return write_record(a, all);
}

struct stepping {
	struct fts_merge pass;
	struct fts_record all, step;
};

static int in_transaction(struct sql_archive *a, void *arg)
{
	struct stepping *s = arg;

	return one_step(a, &s->pass, &s->all, &s->step);
}

int fts_merge_begin(struct sql_archive *a, struct fts_merge *m)
{
	memset(m, 0, sizeof(*m));
	return fts_merge_step(a, m);
}

int fts_merge_step(struct sql_archive *a, struct fts_merge *m)
{
	struct stepping *s = malloc(sizeof(*s));
	int r;

	if (s == NULL)
		return TR_ENOMEM;
	s->pass = *m;
	if ((r = writer_own(a, in_transaction, s)) == 0) {
		*m = s->pass;
		r = m->n > 0;
	}
	free(s);
	return r;
}
