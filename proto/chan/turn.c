#include "proto/chan/turn.h"
#include "common/base/err.h"
#include <stdlib.h>

/* An idle handle, not a prepare one: whoever asks from inside another prepare callback would wait for the next event of
 * the world, while an active idle handle keeps the loop from blocking, in whatever phase it was started. */
struct chan_turn {
	uv_idle_t idle;
	void (*fn)(void *arg);
	void *arg;
};

int chan_turn_new(struct chan_turn **out, uv_loop_t *loop, void (*fn)(void *arg), void *arg)
{
	struct chan_turn *t = calloc(1, sizeof(*t));

	if (t == NULL)
		return TR_ENOMEM;
	t->fn = fn;
	t->arg = arg;
	t->idle.data = t;
	(void)uv_idle_init(loop, &t->idle); /* cannot fail */
	*out = t;
	return 0;
}

static void on_idle(uv_idle_t *h)
{
	struct chan_turn *t = h->data;

	(void)uv_idle_stop(h);
	t->fn(t->arg);
}

void chan_turn_ask(struct chan_turn *t)
{
	if (!uv_is_closing((uv_handle_t *)&t->idle))
		(void)uv_idle_start(&t->idle, on_idle);
}

static void on_closed(uv_handle_t *h)
{
	free(h->data);
}

void chan_turn_free(struct chan_turn **t)
{
	if (*t == NULL)
		return;
	uv_close((uv_handle_t *)&(*t)->idle, on_closed);
	*t = NULL;
}
