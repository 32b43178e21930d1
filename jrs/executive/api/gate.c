#include "jrs/executive/api/gate.h"

void gate_init(struct gate *g)
{
	*g = (struct gate){.row = GATE_ROW};
	TAILQ_INIT(&g->waiting);
}

size_t gate_cost(const struct gate *g, uint32_t rows)
{
	double cost = (double)rows * (g->row < GATE_LEAST ? GATE_LEAST : g->row);

	return cost < GATE_ANSWER ? (size_t)cost : GATE_ANSWER;
}

/* Quick to believe that they are large, slow to believe that they are not. */
void gate_learn(struct gate *g, uint32_t rows, size_t bytes)
{
	double row = rows == 0 ? 0 : (double)bytes / rows;

	if (rows > 0)
		g->row = row > g->row ? row : g->row - (g->row - row) / 16;
}

static bool room(const struct gate *g, size_t cost)
{
	return g->n == 0 || (g->n < GATE_MOST && g->bytes + cost <= GATE_BYTES);
}

bool gate_open(const struct gate *g, size_t cost)
{
	return g->nwaiting == 0 && room(g, cost);
}

void gate_pass(struct gate *g, size_t cost)
{
	g->n++;
	g->bytes += cost;
}

void gate_back(struct gate *g, size_t cost, bool good)
{
	g->n--;
	g->bytes -= cost;
	g->moves = g->moves || good;
}

void gate_tick(struct gate *g, uint64_t ms)
{
	g->clock_ms += g->moves ? ms : 0;
	g->moves = false;
}

static uint64_t oldest(const struct gate *g)
{
	const struct gate_entry *e;
	uint64_t since = UINT64_MAX;

	TAILQ_FOREACH(e, &g->waiting, link)
	since = e->since_ms < since ? e->since_ms : since;
	return since;
}

/* Where somebody has waited for half of the time already there is a queue that only time makes shorter. What is small
 * goes before him, and need not care. */
bool gate_wait(struct gate *g, struct gate_entry *e, size_t cost, uint64_t max_ms)
{
	struct gate_entry *before = TAILQ_LAST(&g->waiting, gate_list);

	e->cost = cost;
	e->since_ms = g->clock_ms;
	e->turn = g->clock_ms + cost / GATE_BYTE_MS;
	while (before != NULL && before->turn > e->turn)
		before = TAILQ_PREV(before, gate_list, link);
	if (g->nwaiting >= GATE_QUEUE || (max_ms > 0 && before != NULL && oldest(g) + max_ms / 2 < g->clock_ms))
		return false;
	if (before == NULL)
		TAILQ_INSERT_HEAD(&g->waiting, e, link);
	else
		TAILQ_INSERT_AFTER(&g->waiting, before, e, link);
	g->nwaiting++;
	return true;
}

static struct gate_entry *take(struct gate *g, struct gate_entry *e)
{
	TAILQ_REMOVE(&g->waiting, e, link);
	g->nwaiting--;
	return e;
}

struct gate_entry *gate_next(struct gate *g)
{
	struct gate_entry *e = TAILQ_FIRST(&g->waiting);

	return e == NULL || !room(g, e->cost) ? NULL : take(g, e);
}

struct gate_entry *gate_late(struct gate *g, uint64_t max_ms)
{
	struct gate_entry *e;

	TAILQ_FOREACH(e, &g->waiting, link)
	if (e->since_ms + max_ms <= g->clock_ms)
		return take(g, e);
	return NULL;
}
