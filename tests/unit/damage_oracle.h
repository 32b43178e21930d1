/* Which memories are undamaged, whatever was damaged: those of which at least one image, in the database file or in the
 * log, lies wholly beside it. Needs only the sound files. For test_memory_damage.c. */
#ifndef TESTS_UNIT_DAMAGE_ORACLE_H
#define TESTS_UNIT_DAMAGE_ORACLE_H
#include "damage_archive.h"

#include "jrs/memory/archive/btree.h"
#include "jrs/memory/archive/walcheck.h"

#define ORACLE_SIZE   4096u
#define ORACLE_USABLE 4088u

struct oracle_place { /* an image of a memory */
	int64_t seq;
	int file; /* 0: database, 1: log */
	size_t from, to;
	bool more; /* and overflow pages, somewhere */
};
struct oracle {
	struct oracle_place *v;
	size_t n, cap;
	uint32_t frames; /* of the log that count */
	bool *in_log;    /* pages, from 1 on, of which the log has a newer image */
	size_t npages;
};

static inline void oracle_page(struct oracle *o, const unsigned char *p, uint32_t number, int file, size_t at)
{
	struct btree_page page;
	struct btree_cell c;
	unsigned i;

	if (!btree_page(p, ORACLE_SIZE, ORACLE_USABLE, number, &page) || page.kind != BTREE_LEAF_TABLE)
		return;
	for (i = 0; i < page.ncells; i++) {
		/* a memory has 23 columns, each a byte or more of the record's head; no other row has so many */
		if (!btree_cell(&page, i, &c) || c.nlocal < 100 || c.local[0] < 22)
			continue;
		if (o->n == o->cap) {
			o->cap = o->cap == 0 ? 4096 : 2 * o->cap;
			o->v = realloc(o->v, o->cap * sizeof(*o->v));
			assert_non_null(o->v);
		}
		o->v[o->n++] = (struct oracle_place){c.rowid, file, at + c.at, at + c.end, c.overflow != 0};
	}
}

static inline struct oracle oracle_of(const struct laid *f, const char *path)
{
	struct oracle o = {.npages = f->n[0] / ORACLE_SIZE};
	struct walcheck w;
	uint32_t i;

	for (i = 0; i < f->n[0] / ORACLE_SIZE; i++)
		oracle_page(&o, f->p[0] + (size_t)i * ORACLE_SIZE, i + 1, 0, (size_t)i * ORACLE_SIZE);
	laid_out(f, path);
	assert_int_equal(walcheck(path, false, &w), 0);
	o.frames = w.committed < w.nframes ? w.committed : w.nframes; /* of a cut log more may be known than is there */
	o.in_log = calloc(o.npages + 1, sizeof(*o.in_log));
	assert_non_null(o.in_log);
	for (i = 0; i < o.frames; i++) {
		size_t at = WAL_HEAD + (size_t)i * (ORACLE_SIZE + WAL_FRAME_HEAD) + WAL_FRAME_HEAD;

		if (w.v[i].page <= o.npages)
			o.in_log[w.v[i].page] = true;
		oracle_page(&o, f->p[1] + at, w.v[i].page, 1, at);
	}
	walcheck_free(&w);
	return o;
}

/* The log will be moved over it: what is there does not matter any more. */
static inline bool oracle_dead(const struct oracle *o, int file, size_t from, size_t to)
{
	size_t page;

	for (page = from / ORACLE_SIZE + 1; page <= (to - 1) / ORACLE_SIZE + 1; page++) {
		if (file != 0 || !o->in_log[page])
			return false;
	}
	return true;
}

/* Is there an image of it that [from, to) of this file does not touch? */
static inline bool oracle_undamaged(const struct oracle *o, int64_t seq, int file, size_t from, size_t to)
{
	size_t i;

	for (i = 0; i < o->n; i++) {
		const struct oracle_place *p = &o->v[i];

		/* where a row's overflow pages are is not known here: such a one is never claimed to be undamaged */
		if (p->seq == seq && !p->more && (p->file != file || to <= p->from || from >= p->to))
			return true;
	}
	return false;
}

static inline void oracle_free(struct oracle *o)
{
	free(o->v);
	free(o->in_log);
}

#endif
