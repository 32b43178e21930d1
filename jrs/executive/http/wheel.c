#include "jrs/executive/http/wheel.h"
#include <stddef.h>

void wheel_init(struct wheel *w, uint32_t tick_ms, uint64_t now_ms)
{
	for (unsigned i = 0; i < WHEEL_SLOTS; i++)
		w->slots[i].prev = w->slots[i].next = &w->slots[i];
	w->tick_ms = tick_ms;
	w->tick = now_ms / tick_ms;
}

void wheel_remove(struct wheel_node *n)
{
	if (n->next == NULL)
		return;
	n->prev->next = n->next;
	n->next->prev = n->prev;
	n->prev = n->next = NULL;
}

static void insert(struct wheel *w, struct wheel_node *n)
{
	uint64_t tick = n->deadline_ms / w->tick_ms + 1;
	struct wheel_node *head;

	if (tick <= w->tick)
		tick = w->tick + 1;
	if (tick >= w->tick + WHEEL_SLOTS) /* far away: looked at again on the way */
		tick = w->tick + WHEEL_SLOTS - 1;
	n->tick = tick;
	head = &w->slots[tick % WHEEL_SLOTS];
	n->prev = head->prev;
	n->next = head;
	head->prev->next = n;
	head->prev = n;
}

void wheel_set(struct wheel *w, struct wheel_node *n, uint64_t deadline_ms)
{
	n->deadline_ms = deadline_ms;
	if (n->next != NULL && n->tick <= deadline_ms / w->tick_ms + 1)
		return;
	wheel_remove(n);
	insert(w, n);
}

struct wheel_node *wheel_expired(struct wheel *w, uint64_t now_ms)
{
	uint64_t now = now_ms / w->tick_ms;

	while (w->tick <= now) {
		struct wheel_node *head = &w->slots[w->tick % WHEEL_SLOTS], *n = head->next;

		while (n != head && n->tick > w->tick) /* of the next round */
			n = n->next;
		if (n == head) {
			if (w->tick == now)
				return NULL;
			w->tick++;
			continue;
		}
		wheel_remove(n);
		if (n->deadline_ms <= now_ms)
			return n;
		insert(w, n);
	}
	return NULL;
}
