#include "tests/kit/vfs_disk.h"
#include <stdlib.h>
#include <string.h>

struct image {
	unsigned char *p;
	size_t n, cap;
};
/* A write since the last sync, or a truncation to `at` when p is NULL. */
struct change {
	unsigned char *p;
	size_t n;
	uint64_t at;
};
struct vfile {
	unsigned holds; /* names count too */
	uint64_t serial;
	uint64_t age; /* changes ever, so that no two of them share their dice */
	unsigned sync_failures;
	struct image now, durable;
	struct change *change;
	size_t nchange, cap;
};
struct entry {
	char *name;
	struct vfile *file;
};
struct names {
	struct entry *v;
	size_t n, cap;
};
/* file NULL: the name is taken away; else it is given to the file. */
struct naming {
	char *name;
	struct vfile *file;
	bool with_next; /* half of a rename: happens with the one after it or not at all */
};
struct vdisk {
	struct names now, durable;
	struct naming *naming;
	size_t nnaming, cap;
	uint64_t files;
};

uint64_t vdisk_dice(uint64_t seed, uint64_t a, uint64_t b)
{
	uint64_t x = seed ^ (a + 1) * 0x9e3779b97f4a7c15u ^ (b + 1) * 0xd1b54a32d192ed03u;
	int i;

	for (i = 0; i < 2; i++) {
		x += 0x9e3779b97f4a7c15u;
		x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9u;
		x = (x ^ (x >> 27)) * 0x94d049bb133111ebu;
		x ^= x >> 31;
	}
	return x;
}

static void *must(void *p)
{
	if (p == NULL)
		abort();
	return p;
}

/* Room for one more in a vector of n elements. */
static void *room(void *v, size_t *cap, size_t n, size_t size)
{
	if (n < *cap)
		return v;
	*cap = *cap == 0 ? 16 : *cap * 2;
	return must(realloc(v, *cap * size));
}

static void image_size(struct image *m, size_t n)
{
	if (n > m->cap) {
		m->cap = n < 4096 ? 4096 : n + n / 2;
		m->p = must(realloc(m->p, m->cap));
	}
	if (n > m->n)
		memset(m->p + m->n, 0, n - m->n);
	m->n = n;
}

static void image_write(struct image *m, const void *from, size_t n, uint64_t at)
{
	if (n == 0)
		return;
	if (at + n > m->n)
		image_size(m, at + n);
	memcpy(m->p + at, from, n);
}

static void image_copy(struct image *to, const struct image *from)
{
	image_size(to, from->n);
	if (from->n > 0)
		memcpy(to->p, from->p, from->n);
}

static void noise(unsigned char *p, size_t n, uint64_t seed)
{
	size_t i;

	for (i = 0; i < n; i++)
		p[i] = (unsigned char)vdisk_dice(seed, i, 77);
}

static struct vfile *file_new(uint64_t serial)
{
	struct vfile *f = must(calloc(1, sizeof(*f)));

	f->holds = 1;
	f->serial = serial;
	return f;
}

static void forget_changes(struct vfile *f)
{
	while (f->nchange > 0)
		free(f->change[--f->nchange].p);
}

void vfile_release(struct vfile **f)
{
	struct vfile *o = *f;

	*f = NULL;
	if (o == NULL || --o->holds > 0)
		return;
	forget_changes(o);
	free(o->change);
	free(o->now.p);
	free(o->durable.p);
	free(o);
}

/* ---- names ---- */
static struct entry *find(const struct names *t, const char *name)
{
	size_t i;

	for (i = 0; i < t->n; i++) {
		if (strcmp(t->v[i].name, name) == 0)
			return &t->v[i];
	}
	return NULL;
}

static void name_take(struct names *t, const char *name)
{
	struct entry *e = find(t, name);

	if (e == NULL)
		return;
	free(e->name);
	vfile_release(&e->file);
	memmove(e, e + 1, (size_t)(t->v + --t->n - e) * sizeof(*e));
}

static void name_give(struct names *t, const char *name, struct vfile *f)
{
	name_take(t, name);
	t->v = room(t->v, &t->cap, t->n, sizeof(*t->v));
	t->v[t->n++] = (struct entry){must(strdup(name)), f};
	f->holds++;
}

static void names_free(struct names *t)
{
	while (t->n > 0)
		name_take(t, t->v[0].name);
	free(t->v);
}

static void carry_out(struct names *t, const struct naming *g)
{
	if (g->file == NULL)
		name_take(t, g->name);
	else
		name_give(t, g->name, g->file);
}

static void note_naming(struct vdisk *d, const char *name, struct vfile *f, bool with_next)
{
	struct naming *g;

	d->naming = room(d->naming, &d->cap, d->nnaming, sizeof(*d->naming));
	g = &d->naming[d->nnaming++];
	*g = (struct naming){must(strdup(name)), f, with_next};
	if (f != NULL)
		f->holds++;
	carry_out(&d->now, g);
}

static void forget_naming(struct vdisk *d)
{
	while (d->nnaming > 0) {
		struct naming *g = &d->naming[--d->nnaming];

		free(g->name);
		vfile_release(&g->file);
	}
}

struct vdisk *vdisk_new(void)
{
	return must(calloc(1, sizeof(struct vdisk)));
}

void vdisk_free(struct vdisk **d)
{
	if (*d == NULL)
		return;
	forget_naming(*d);
	free((*d)->naming);
	names_free(&(*d)->now);
	names_free(&(*d)->durable);
	free(*d);
	*d = NULL;
}

struct vfile *vdisk_anonymous(struct vdisk *d)
{
	return file_new(d->files++);
}

struct vfile *vdisk_open(struct vdisk *d, const char *name, bool create)
{
	struct entry *e = find(&d->now, name);
	struct vfile *f;

	if (e == NULL) {
		if (!create)
			return NULL;
		f = vdisk_anonymous(d);
		note_naming(d, name, f, false);
		return f;
	}
	e->file->holds++;
	return e->file;
}

bool vdisk_delete(struct vdisk *d, const char *name)
{
	if (find(&d->now, name) == NULL)
		return false;
	note_naming(d, name, NULL, false);
	return true;
}

bool vdisk_rename(struct vdisk *d, const char *from, const char *to)
{
	struct entry *e = find(&d->now, from);

	if (e == NULL)
		return false;
	note_naming(d, to, e->file, true);
	note_naming(d, from, NULL, false);
	return true;
}

void vdisk_sync_names(struct vdisk *d)
{
	size_t i;

	for (i = 0; i < d->nnaming; i++)
		carry_out(&d->durable, &d->naming[i]);
	forget_naming(d);
}

const char *vdisk_name(const struct vdisk *d, size_t i)
{
	return i < d->now.n ? d->now.v[i].name : NULL;
}

/* ---- bytes ---- */
size_t vfile_read(const struct vfile *f, void *to, size_t n, uint64_t at)
{
	if (at >= f->now.n)
		return 0;
	n = n > f->now.n - at ? f->now.n - at : n;
	memcpy(to, f->now.p + at, n);
	return n;
}

static void note_change(struct vfile *f, const void *from, size_t n, uint64_t at)
{
	struct change *c;

	f->change = room(f->change, &f->cap, f->nchange, sizeof(*f->change));
	c = &f->change[f->nchange++];
	*c = (struct change){NULL, n, at};
	if (from != NULL)
		c->p = memcpy(must(malloc(n == 0 ? 1 : n)), from, n);
	f->age++;
}

void vfile_write(struct vfile *f, const void *from, size_t n, uint64_t at)
{
	note_change(f, from, n, at);
	image_write(&f->now, from, n, at);
}

void vfile_truncate(struct vfile *f, uint64_t size)
{
	note_change(f, NULL, 0, size);
	image_size(&f->now, size);
}

static void apply(struct image *m, const struct change *c)
{
	if (c->p == NULL)
		image_size(m, c->at);
	else
		image_write(m, c->p, c->n, c->at);
}

void vfile_sync(struct vfile *f)
{
	size_t i;

	for (i = 0; i < f->nchange; i++)
		apply(&f->durable, &f->change[i]);
	forget_changes(f);
}

uint64_t vfile_size(const struct vfile *f)
{
	return f->now.n;
}

size_t vfile_unsynced(const struct vfile *f)
{
	return f->nchange;
}

const unsigned char *vfile_bytes(const struct vfile *f)
{
	return f->now.p;
}

/* ---- the cut ---- */
struct mood {
	unsigned whole, torn; /* of 1024 changes; the rest is lost whole */
	bool in_order;        /* the changes of a file arrived in order, up to one point */
	bool noisy;
	const char *word;
};

static struct mood mood_of(uint64_t seed)
{
	static const struct mood all[] = {
		{0, 0, false, false, "nothing"},     {1024, 0, false, false, "everything"},
		{0, 0, true, false, "in-order"},     {512, 256, false, true, "half"},
		{960, 32, false, true, "most"},      {64, 32, false, true, "few"},
		{0, 1024, false, false, "all-torn"}, {0, 1024, false, true, "all-noisy"},
		{512, 0, false, false, "coins"},     {0, 0, true, true, "in-order-noisy"},
	};

	return all[vdisk_dice(seed, 1, 0) % (sizeof(all) / sizeof(all[0]))];
}

/* Sector by sector: the new bytes, the old ones, or noise. */
static void tear(struct image *m, const struct change *c, uint64_t seed, bool noisy)
{
	uint64_t at = c->at, end = c->at + c->n;
	unsigned char junk[VDISK_SECTOR];
	size_t grown_from = m->n;

	while (at < end) {
		uint64_t next = (at / VDISK_SECTOR + 1) * VDISK_SECTOR, n = (next < end ? next : end) - at;
		uint64_t dice = vdisk_dice(seed, at, 2);

		if (dice % 2 == 0) {
			image_write(m, c->p + (at - c->at), n, at);
		} else if (noisy && dice / 2 % 4 == 0) {
			noise(junk, n, dice);
			image_write(m, junk, n, at);
		}
		at += n;
	}
	if (noisy && m->n > grown_from && c->at > grown_from && vdisk_dice(seed, 0, 3) % 2 == 0)
		noise(m->p + grown_from, (size_t)(c->at - grown_from), seed); /* blocks nobody had written */
}

/* The fate of one change on a disk. */
static void meet_fate(struct image *m, const struct change *c, uint64_t seed, const struct mood *mood)
{
	unsigned dice = (unsigned)(vdisk_dice(seed, 0, 4) % 1024);

	if (dice < mood->whole || (c->p == NULL && dice < mood->whole + mood->torn / 2))
		apply(m, c);
	else if (c->p != NULL && dice < mood->whole + mood->torn)
		tear(m, c, seed, mood->noisy);
}

/* What is on the disk of f: *m begins as what was synced. */
static void survive(struct image *m, const struct vfile *f, uint64_t seed, const struct mood *mood)
{
	uint64_t first = f->age - f->nchange;
	size_t i, upto = (size_t)(vdisk_dice(seed, f->serial, 5) % (f->nchange + 1));

	for (i = 0; i < f->nchange; i++) {
		const struct change *c = &f->change[i];
		uint64_t own = vdisk_dice(seed, f->serial, 1000 + first + i);

		if (!mood->in_order)
			meet_fate(m, c, own, mood);
		else if (i < upto)
			apply(m, c);
		else if (i == upto && c->p != NULL)
			tear(m, c, own, mood->noisy);
	}
}

void vfile_sync_failed(struct vfile *f, uint64_t seed)
{
	const struct mood mood = {512, 128, false, false, ""};

	survive(&f->durable, f, seed, &mood);
	forget_changes(f);
	f->sync_failures++;
}

unsigned vfile_sync_failures(const struct vfile *f)
{
	return f->sync_failures;
}

static void surviving_names(struct names *t, const struct vdisk *d, uint64_t seed)
{
	size_t i, upto = (size_t)(vdisk_dice(seed, 6, 0) % (d->nnaming + 1));
	bool in_order = vdisk_dice(seed, 6, 1) % 2 == 0, kept = false, joined = false;

	for (i = 0; i < d->durable.n; i++)
		name_give(t, d->durable.v[i].name, d->durable.v[i].file);
	for (i = 0; i < d->nnaming; i++) {
		if (!joined)
			kept = in_order ? i < upto : vdisk_dice(seed, 7, i) % 2 == 0;
		joined = d->naming[i].with_next;
		if (kept)
			carry_out(t, &d->naming[i]);
	}
}

struct vdisk *vdisk_cut(const struct vdisk *d, uint64_t seed, const char **word)
{
	struct mood mood = mood_of(seed);
	struct vdisk *out = vdisk_new();
	struct names t = {NULL, 0, 0};
	size_t i;

	surviving_names(&t, d, seed);
	for (i = 0; i < t.n; i++) {
		struct vfile *old = t.v[i].file, *f = file_new(old->serial);

		f->age = old->age;
		image_copy(&f->durable, &old->durable);
		survive(&f->durable, old, seed, &mood);
		image_copy(&f->now, &f->durable);
		name_give(&out->now, t.v[i].name, f);
		name_give(&out->durable, t.v[i].name, f);
		vfile_release(&f);
	}
	out->files = d->files;
	names_free(&t);
	if (word != NULL)
		*word = mood.word;
	return out;
}
