#include "proto/chan/book.h"
#include "common/base/clock.h"
#include "common/loop/loop.h"
#include "proto/chan/any.h"
#include <assert.h>
#include <stdlib.h>

#define BUCKETS 256 /* msgids count up, so they spread evenly */

struct chan_book {
	TAILQ_HEAD(, chan_asked) calls;
	LIST_HEAD(, chan_asked) buckets[BUCKETS];
	struct loop_timer *timer;
	uint64_t armed_ms; /* 0: not armed; never later than the nearest deadline */
	unsigned max_waiting;
	uint32_t *waiting;
	size_t bytes;
	uint32_t next_msgid;
	chan_book_late *late;
	void *arg;
	unsigned busy; /* callbacks under way */
	bool dead;     /* freed while busy: the last one out frees */
};

static void on_timer(void *arg);

int chan_book_new(struct chan_book **out, uv_loop_t *loop, unsigned max_waiting, uint32_t *waiting,
		  chan_book_late *late, void *arg)
{
	struct chan_book *b = calloc(1, sizeof(*b));
	int r;

	if (b == NULL)
		return TR_ENOMEM;
	if ((r = loop_timer_new(&b->timer, loop, on_timer, b)) < 0) {
		free(b);
		return r;
	}
	TAILQ_INIT(&b->calls);
	b->max_waiting = max_waiting;
	b->waiting = waiting;
	*waiting = 0;
	b->late = late;
	b->arg = arg;
	*out = b;
	return 0;
}

/* ---- deadlines ---- */

/* One timer for all: set to the nearest deadline, and left alone when that call is answered first; it then finds
 * nothing. */
static void arm(struct chan_book *b, uint64_t deadline_ms)
{
	uint64_t now = tr_mono_ms();

	if (b->armed_ms != 0 && b->armed_ms <= deadline_ms)
		return;
	b->armed_ms = deadline_ms;
	(void)loop_timer_start(b->timer, deadline_ms > now ? deadline_ms - now : 0, 0);
}

static struct chan_asked *first_late(struct chan_book *b, uint64_t now, uint64_t *nearest)
{
	struct chan_asked *c;

	*nearest = 0;
	TAILQ_FOREACH(c, &b->calls, in_order)
	{
		if (c->deadline_ms <= now)
			return c;
		if (*nearest == 0 || c->deadline_ms < *nearest)
			*nearest = c->deadline_ms;
	}
	return NULL;
}

static void leave(struct chan_book *b)
{
	if (--b->busy == 0 && b->dead)
		free(b);
}

static void drop_entry(struct chan_book *b, struct chan_asked *c)
{
	TAILQ_REMOVE(&b->calls, c, in_order);
	LIST_REMOVE(c, in_bucket);
	(*b->waiting)--;
	b->bytes -= c->n;
}

/* Takes the call out and tells its owner. The caller holds b->busy. */
static void end(struct chan_book *b, struct chan_asked *c, int r, const void *res, const struct tr_fault *fault)
{
	struct tr_fault f = {0};

	if (r < 0 && fault == NULL) {
		(void)tr_fault_set(&f, r, "", "%s", tr_strerror(r));
		fault = &f;
	}
	drop_entry(b, c);
	c->cb(c->arg, r, res, fault);
	free(c->frame);
	free(c);
}

static void on_timer(void *arg)
{
	struct chan_book *b = arg;
	struct chan_asked *c;
	uint64_t nearest = 0;

	b->armed_ms = 0;
	b->busy++;
	while (!b->dead && (c = first_late(b, tr_mono_ms(), &nearest)) != NULL)
		end(b, c, b->late(b->arg, c), NULL, NULL);
	if (!b->dead && nearest != 0)
		arm(b, nearest);
	leave(b);
}

/* ---- entries ---- */

int chan_book_add(struct chan_book *b, struct chan_asked **out, enum wire_msg_id id, uint32_t timeout_ms, peer_cb *cb,
		  void *arg)
{
	struct chan_asked *c;

	if (*b->waiting >= b->max_waiting)
		return TR_EBUSY;
	c = calloc(1, sizeof(*c));
	if (c == NULL)
		return TR_ENOMEM;
	do { /* after four billion calls an old one might still wait; the last number is the owner's own */
		c->msgid = b->next_msgid++;
	} while (c->msgid == UINT32_MAX || chan_book_find(b, c->msgid) != NULL);
	c->id = id;
	c->deadline_ms = tr_mono_ms() + timeout_ms;
	c->cb = cb;
	c->arg = arg;
	TAILQ_INSERT_TAIL(&b->calls, c, in_order);
	LIST_INSERT_HEAD(&b->buckets[c->msgid % BUCKETS], c, in_bucket);
	(*b->waiting)++;
	arm(b, c->deadline_ms);
	*out = c;
	return 0;
}

struct chan_asked *chan_book_find(struct chan_book *b, uint32_t msgid)
{
	struct chan_asked *c;

	LIST_FOREACH(c, &b->buckets[msgid % BUCKETS], in_bucket)
	{
		if (c->msgid == msgid)
			return c;
	}
	return NULL;
}

void chan_book_drop(struct chan_book *b, struct chan_asked *c)
{
	drop_entry(b, c);
	free(c->frame);
	free(c);
}

void chan_book_keep(struct chan_book *b, struct chan_asked *c, char *frame, size_t n, uint64_t now_ms)
{
	free(c->frame);
	b->bytes += n - c->n; /* unsigned, and right also when it shrinks */
	c->frame = frame;
	c->n = n;
	c->packed_ms = now_ms;
}

int chan_book_answer(struct chan_book *b, const struct wire_in *in, struct tr_fault *bad)
{
	struct chan_asked *c = chan_book_find(b, in->msgid);
	union any_res res;
	struct tr_fault fault = {0};
	int r = 0;

	if (c == NULL)
		return TR_ENOTFOUND;
	if (in->error != NULL) {
		wire_decode_error(in, &fault);
		r = fault.code < 0 ? fault.code : TR_EINTERNAL;
	} else if (wire_decode_result(in, c->id, &res, &fault) < 0) {
		*bad = fault;
		bad->code = TR_EPROTO;
		return TR_EPROTO;
	}
	fault.code = r;
	b->busy++;
	end(b, c, r, r < 0 ? NULL : &res, r < 0 ? &fault : NULL);
	leave(b);
	return 0;
}

void chan_book_end(struct chan_book *b, uint32_t msgid, const struct tr_fault *fault)
{
	struct chan_asked *c = chan_book_find(b, msgid);

	b->busy++;
	if (c != NULL)
		end(b, c, fault->code, NULL, fault);
	leave(b);
}

void chan_book_end_all(struct chan_book *b, int r)
{
	unsigned n = *b->waiting; /* not those that a callback adds */

	b->busy++;
	while (n-- > 0 && !b->dead && !TAILQ_EMPTY(&b->calls))
		end(b, TAILQ_FIRST(&b->calls), r, NULL, NULL);
	leave(b);
}

size_t chan_book_bytes(const struct chan_book *b)
{
	return b->bytes;
}

struct chan_asked *chan_book_first(const struct chan_book *b)
{
	return TAILQ_FIRST(&b->calls);
}

void chan_book_free(struct chan_book **pb)
{
	struct chan_book *b = *pb;
	struct chan_asked *c;

	if (b == NULL)
		return;
	*pb = NULL;
	loop_timer_free(&b->timer);
	while ((c = TAILQ_FIRST(&b->calls)) != NULL)
		chan_book_drop(b, c);
	b->dead = true;
	if (b->busy == 0)
		free(b);
}

int chan_book_pack(msgpack_sbuffer *sb, const struct chan_asked *c, const void *msg, uint32_t deadline_ms,
		   const char *fresh_id)
{
	union any_msg m;

	assert(wire_methods[c->id].kind == WIRE_REQUEST);
	memcpy(&m, msg, chan_msg_size[c->id]);
	m.common.has_deadline_ms = true;
	m.common.deadline_ms = deadline_ms;
	if (!m.common.has_request_id && fresh_id != NULL) {
		m.common.has_request_id = true;
		m.common.request_id = wire_s(fresh_id);
	}
	return wire_pack_request(sb, c->msgid, c->id, &m);
}
