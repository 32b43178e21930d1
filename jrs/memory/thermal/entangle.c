#include "jrs/memory/thermal/entangle.h"
#include "common/base/err.h"
#include <stdlib.h>
#include <string.h>

struct mate {
	int64_t memory;
	uint32_t times, fresh; /* fresh: not taken yet */
};
struct node {
	int64_t memory;
	double phase;
	uint32_t compared;
	uint8_t ncompany, nmates;
	bool dirty; /* changed since it was last taken */
	bool used;  /* since the last clearing out */
	int64_t company[ENTANGLE_COMPANY];
	struct mate mate[ENTANGLE_PARTNERS];
};
struct entangle {
	struct node *node; /* owned */
	uint32_t n, cap, max;
	uint32_t *
		slot; /* owned; open addressing, node index + 1, 0 = free; nslots is a power of two, at least 2 * cap */
	uint32_t nslots;
	uint32_t cursor;             /* of entangle_take() */
	uint64_t known, first_known; /* first: as they were said, of what was here before */
	double sum, first_sum;
};

int entangle_new(struct entangle **out, unsigned max, uint64_t known, double sum)
{
	struct entangle *e = calloc(1, sizeof(*e));

	if (e == NULL)
		return TR_ENOMEM;
	e->max = max < 2 * ENTANGLE_COMPANY ? 2 * ENTANGLE_COMPANY : max;
	e->known = e->first_known = known;
	e->sum = e->first_sum = sum;
	*out = e;
	return 0;
}

void entangle_known(struct entangle *e, uint64_t known, double sum)
{
	uint64_t all = e->known + known;

	e->known = all > e->first_known ? all - e->first_known : 0;
	e->sum = e->sum - e->first_sum + sum;
	e->first_known = known;
	e->first_sum = sum;
}

double entangle_jaccard(const int64_t *a, unsigned na, const int64_t *b, unsigned nb)
{
	unsigned i, j, common = 0;

	for (i = 0; i < na; i++) {
		for (j = 0; j < nb && a[i] != b[j]; j++)
			;
		common += j < nb;
	}
	return na + nb == 0 ? 0.0 : (double)common / (double)(na + nb - common);
}

static uint32_t slot_of(const struct entangle *e, int64_t memory)
{
	uint64_t h = (uint64_t)memory * 0x9e3779b97f4a7c15u;
	uint32_t i = (uint32_t)(h >> 32) & (e->nslots - 1);

	while (e->slot[i] != 0 && e->node[e->slot[i] - 1].memory != memory)
		i = (i + 1) & (e->nslots - 1);
	return i;
}

static struct node *find(const struct entangle *e, int64_t memory)
{
	uint32_t s;

	if (e->n == 0)
		return NULL;
	s = e->slot[slot_of(e, memory)];
	return s == 0 ? NULL : &e->node[s - 1];
}

static void index_all(struct entangle *e)
{
	uint32_t i;

	memset(e->slot, 0, sizeof(*e->slot) * e->nslots);
	for (i = 0; i < e->n; i++)
		e->slot[slot_of(e, e->node[i].memory)] = i + 1;
}

static int grow(struct entangle *e)
{
	uint32_t cap = e->cap == 0 ? 64 : e->cap * 2, nslots = 2;
	struct node *node;
	uint32_t *slot;

	if (cap > e->max)
		cap = e->max;
	while (nslots < 2 * cap)
		nslots *= 2;
	if ((slot = malloc(sizeof(*slot) * nslots)) == NULL)
		return TR_ENOMEM;
	if ((node = realloc(e->node, sizeof(*node) * cap)) == NULL) {
		free(slot);
		return TR_ENOMEM;
	}
	free(e->slot);
	e->node = node;
	e->cap = cap;
	e->slot = slot;
	e->nslots = nslots;
	index_all(e);
	return 0;
}

/* Full: what is on disk already and was not used since the last time goes; if all was used, all that is on disk.
 * Changed ones stay, so that nothing is lost and the mean stays right; until they are taken, newcomers are not
 * followed. */
static void clear_out(struct entangle *e)
{
	uint32_t i, kept, pass;

	for (pass = 0; pass < 2 && e->n == e->cap; pass++) {
		for (i = kept = 0; i < e->n; i++) {
			if (!e->node[i].dirty && !e->node[i].used)
				continue;
			e->node[i].used = false;
			if (kept != i)
				e->node[kept] = e->node[i];
			kept++;
		}
		e->n = kept;
	}
	e->cursor = 0;
	index_all(e);
}

/* NULL with *r == 0: no room for it at the moment. */
static struct node *find_or_add(struct entangle *e, const struct entangle_seen *seen, int *r)
{
	struct node *node = find(e, seen->memory);

	*r = 0;
	if (node != NULL)
		return node;
	if (e->n == e->cap && e->cap < e->max && (*r = grow(e)) < 0)
		return NULL;
	if (e->n == e->cap)
		clear_out(e);
	if (e->n == e->cap)
		return NULL;
	node = &e->node[e->n++];
	memset(node, 0, sizeof(*node));
	node->memory = seen->memory;
	node->phase = seen->compared > 0 ? seen->phase : 0.0;
	node->compared = seen->compared;
	e->slot[slot_of(e, seen->memory)] = e->n;
	return node;
}

static void meet(struct node *node, int64_t other)
{
	struct mate *m, *least = NULL;
	unsigned i;

	for (i = 0; i < node->nmates; i++) {
		m = &node->mate[i];
		if (m->memory == other) {
			m->times++;
			m->fresh++;
			return;
		}
		if (least == NULL || m->times < least->times)
			least = m;
	}
	m = node->nmates < ENTANGLE_PARTNERS ? &node->mate[node->nmates++] : least;
	*m = (struct mate){.memory = other, .times = 1, .fresh = 1};
}

static void compare(struct entangle *e, struct node *node, const int64_t *company, unsigned n)
{
	double before = node->phase, now;

	if (node->ncompany > 0) {
		now = entangle_jaccard(company, n, node->company, node->ncompany);
		e->known += node->compared == 0;
		e->sum -= node->compared == 0 ? 0.0 : before;
		node->compared += node->compared < UINT32_MAX;
		node->phase = before + (now - before) / (double)node->compared;
		e->sum += node->phase;
	}
	memcpy(node->company, company, sizeof(*company) * n);
	node->ncompany = (uint8_t)n;
	node->dirty = node->used = true;
}

int entangle_recall(struct entangle *e, const struct entangle_seen *v, unsigned n)
{
	int64_t company[ENTANGLE_COMPANY];
	unsigned i, j, k;
	int r;

	if (n < 2)
		return 0;
	for (i = 0; i < n; i++) {
		struct node *node = find_or_add(e, &v[i], &r);

		if (r < 0)
			return r;
		if (node == NULL)
			continue;
		for (j = k = 0; j < n && k < ENTANGLE_COMPANY; j++) {
			if (j != i)
				company[k++] = v[j].memory;
		}
		for (j = 0; j < k; j++)
			meet(node, company[j]);
		compare(e, node, company, k);
	}
	return 0;
}

/* No memory has this number. A node that bears it keeps its slot, so that searches go past it, until the next clearing
 * out. */
#define NOBODY INT64_MIN

void entangle_forget(struct entangle *e, const struct entangle_seen *seen)
{
	struct node *node = find(e, seen->memory);
	uint32_t compared = node != NULL ? node->compared : seen->compared;

	if (compared > 0 && e->known > 0) {
		e->known--;
		e->sum = e->known == 0 ? 0.0 : e->sum - (node != NULL ? node->phase : seen->phase);
	}
	if (node != NULL)
		*node = (struct node){.memory = NOBODY};
}

void entangle_join(struct entangle *e, const struct entangle_seen *seen)
{
	if (seen->compared == 0 || find(e, seen->memory) != NULL)
		return;
	e->known++;
	e->sum += seen->phase;
}

bool entangle_phase(const struct entangle *e, int64_t memory, double *out)
{
	const struct node *node = find(e, memory);

	if (node == NULL || node->compared == 0)
		return false;
	*out = node->phase;
	return true;
}

bool entangle_mean(const struct entangle *e, double *out)
{
	double mean;

	if (e->known == 0)
		return false;
	mean = e->sum / (double)e->known;
	*out = mean < 0.0 ? 0.0 : mean > 1.0 ? 1.0 : mean; /* rounding */
	return true;
}

bool entangle_take(struct entangle *e, struct entangle_change *out)
{
	struct node *node;
	unsigned i;

	while (e->cursor < e->n && !e->node[e->cursor].dirty)
		e->cursor++;
	if (e->cursor >= e->n) {
		e->cursor = 0;
		return false;
	}
	node = &e->node[e->cursor++];
	node->dirty = false;
	memset(out, 0, sizeof(*out));
	out->memory = node->memory;
	out->phase = node->phase;
	out->compared = node->compared;
	for (i = 0; i < node->nmates; i++) {
		if (node->mate[i].fresh == 0)
			continue;
		out->partner[out->npartners].memory = node->mate[i].memory;
		out->partner[out->npartners++].times = node->mate[i].fresh;
		node->mate[i].fresh = 0;
	}
	return true;
}

size_t entangle_count(const struct entangle *e)
{
	return e->n;
}

void entangle_free(struct entangle **e)
{
	if (e == NULL || *e == NULL)
		return;
	free((*e)->node);
	free((*e)->slot);
	free(*e);
	*e = NULL;
}
