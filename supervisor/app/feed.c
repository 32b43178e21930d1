#include "supervisor/app/feed.h"
#include "common/base/clock.h"
#include "common/base/text.h"
#include "supervisor/app/control.h"
#include <stdlib.h>

#define CHANNEL_EVENTS \
	200 /* in one answer over a channel, whose messages have at most 64 KiB: an event has 230 bytes */
#define BEAT_EVERY_MS 1000

static void fill(const struct event *e, struct item_event *out)
{
	*out = (struct item_event){.seq = e->seq, .at = e->at_ms, .kind = wire_s(event_words[e->kind])};
	if (e->role != EVENT_NO_ROLE) {
		out->jr = wire_s(tr_roles[e->role].api_name);
		out->generation = e->generation;
		out->epoch = e->epoch;
		out->has_jr = out->has_generation = out->has_epoch = true;
	}
	if (e->pid != 0) {
		out->pid = e->pid;
		out->has_pid = true;
	}
	if (e->detail[0] != '\0') {
		out->detail = wire_s(e->detail);
		out->has_detail = true;
	}
}

static void fill_note(const struct event *e, struct msg_event *out)
{
	struct item_event item;

	fill(e, &item);
	*out = (struct msg_event){.seq = item.seq};
#define COPY_REQ(name)                   out->name = item.name;
#define COPY_OPT(name)                   out->name = item.name, out->has_##name = item.has_##name;
#define COPY(need, type, name, min, max) COPY_##need(name)
#define NO_ITEM(need, item, name)
#define NO_LIST(need, item, name, min, max)
	FIELDS_event(COPY, NO_ITEM, NO_LIST)
#undef COPY
#undef COPY_REQ
#undef COPY_OPT
#undef NO_ITEM
#undef NO_LIST
}

/* The one Jr that may ask for events, while its lead follows them; else NULL. */
static struct packet *follower(struct tribe *t)
{
	struct copy *c = worker_lead(&t->workers[TR_ROLE_EXECUTIVE]);

	return c != NULL && c->follows ? c->chan : NULL;
}

void feed_event(struct tribe *t, struct event *e)
{
	struct packet *ch = follower(t);
	struct msg_event note;

	e->at_ms = tr_wall_ms();
	fill_note(events_add(&t->events, e), &note);
	if (t->control != NULL)
		control_on_event(t->control, &note);
	if (ch != NULL)
		(void)packet_note(ch, MSG_event, &note);
}

void feed_word(struct tribe *t, enum event_kind kind, const char *detail)
{
	struct event e = {.kind = kind, .role = EVENT_NO_ROLE};

	if (detail != NULL)
		tr_copy(e.detail, sizeof(e.detail), detail, strlen(detail));
	feed_event(t, &e);
}

void feed_beat(struct tribe *t, const struct msg_heartbeat *beat)
{
	int role = tr_role_find(beat->jr.p, beat->jr.n);
	struct packet *ch = follower(t);
	uint64_t now = tr_mono_ms();

	if (t->control != NULL)
		control_on_beat(t->control, beat);
	if (ch == NULL || role < 0 || now < t->beat_due_ms[role])
		return;
	t->beat_due_ms[role] = now + BEAT_EVERY_MS;
	(void)packet_note(ch, MSG_heartbeat, beat);
}

uint32_t feed_list(const struct tribe *t, uint32_t limit, struct item_event *out)
{
	uint32_t n = 0;

	for (uint64_t seq = events_first(&t->events, limit); seq <= t->events.count; seq++)
		fill(events_at(&t->events, seq), &out[n++]);
	return n;
}

void feed_answer(struct tribe *t, struct copy *c, uint32_t msgid, const struct msg_events *msg)
{
	uint32_t limit = msg->has_limit && msg->limit < CHANNEL_EVENTS ? msg->limit : CHANNEL_EVENTS;
	struct item_event list[CHANNEL_EVENTS];
	struct res_events res = {.events = {.v = list}};

	res.events.n = feed_list(t, limit, list);
	if (msg->has_follow)
		c->follows = msg->follow;
	memset(t->beat_due_ms, 0, sizeof(t->beat_due_ms));
	(void)packet_reply(c->chan, MSG_events, msgid, &res);
}
