#include "jrs/executive/http/internal.h"

#define MS UINT64_C(1000000)

static void on_turn(uv_prepare_t *h)
{
	((struct http_server *)h->data)->turn_ns = 0;
}

static bool heavy(const struct conn *c)
{
	return c->state == CONN_LINGER || (c->state == CONN_BODY && c->req->ps.body.cap > HTTP_SMALL);
}

static bool passed(struct http_server *s, uint64_t ms)
{
	uint64_t now = uv_hrtime();

	if (s->turn_ns == 0)
		s->turn_ns = now;
	return now - s->turn_ns > ms * MS;
}

bool turn_over(struct conn *c)
{
	return passed(c->srv, heavy(c) ? HTTP_TURN_MS : HTTP_LIGHT_MS);
}

static void wake(struct conn *c)
{
	conn_unrest(c);
	if (c->state <= CONN_BODY)
		conn_resume(c);
	else
		conn_reading(c, c->state == CONN_LINGER || c->ahead.len < HTTP_AHEAD_MAX);
}

/* In the order in which they went to rest, one at least; those behind last rest since just now. */
static void wake_some(struct http_server *s, struct rest_list *list, uint64_t ms)
{
	struct conn *last = TAILQ_LAST(list, rest_list), *c;
	bool done = last == NULL;

	s->turn_ns = 0;
	while (!done && (c = TAILQ_FIRST(list)) != NULL && !passed(s, ms)) {
		done = c == last;
		wake(c);
	}
}

static void on_rest(uv_idle_t *h)
{
	struct http_server *s = h->data;

	wake_some(s, &s->rests[0], HTTP_LIGHT_MS);
	wake_some(s, &s->rests[1], HTTP_TURN_MS);
}

void conn_rest(struct conn *c)
{
	struct http_server *s = c->srv;

	if (c->resting || c->state == CONN_CLOSED)
		return;
	conn_reading(c, false);
	c->resting = true;
	c->heavy = heavy(c);
	TAILQ_INSERT_TAIL(&s->rests[c->heavy], c, in_rest);
	uv_idle_start(&s->rest, on_rest);
}

void conn_unrest(struct conn *c)
{
	struct http_server *s = c->srv;

	if (!c->resting)
		return;
	c->resting = false;
	TAILQ_REMOVE(&s->rests[c->heavy], c, in_rest);
	if (TAILQ_EMPTY(&s->rests[0]) && TAILQ_EMPTY(&s->rests[1]))
		uv_idle_stop(&s->rest);
}

void turns_begin(struct http_server *s)
{
	TAILQ_INIT(&s->rests[0]);
	TAILQ_INIT(&s->rests[1]);
	uv_idle_init(s->cfg.loop, &s->rest);
	uv_prepare_init(s->cfg.loop, &s->turn);
	s->rest.data = s->turn.data = s;
	uv_prepare_start(&s->turn, on_turn);
	uv_unref((uv_handle_t *)&s->turn); /* it waits for nothing */
}

void turns_end(struct http_server *s, uv_close_cb closed)
{
	uv_close((uv_handle_t *)&s->turn, closed);
	uv_close((uv_handle_t *)&s->rest, closed);
}
