/* heartbeats and events: those that have been, and with --follow every further one. When the connection is lost it asks
 * again, as long as somebody listens on tribed's socket. */
#include "common/loop/loop.h"
#include "supervisor/ctl/commands.h"

#define SILENCE_MS   2000 /* of heartbeats: tribed may be another one by now */
#define EVENTS_SHOWN 50   /* without --limit */

struct follower {
	struct ctl *c;
	struct loop_timer *silence;
	struct buf out;
	enum ctl_exit e;
	bool again;    /* ask: at first, after silence, after a lost connection */
	uint64_t seq;  /* of the last event printed; */
	int64_t at_ms; /* a new tribed counts anew, but later */
};

static void emit(struct follower *f)
{
	if (f->e == CTL_DONE)
		f->e = ctl_emit(f->c, &f->out);
}

static void print_beat(struct follower *f, const struct item_beat *beat)
{
	if (!f->c->json)
		show_beat(&f->out, beat);
	else if (ctl_json(&f->out, &wire_shape_beat, beat) < 0)
		f->out.failed = TR_ENOMEM;
	emit(f);
}

static void on_beats(void *arg, const void *res)
{
	const struct res_heartbeats *r = res;

	for (uint32_t i = 0; i < r->heartbeats.n; i++)
		print_beat(arg, &r->heartbeats.v[i]);
}

/* Asked again, tribed tells the last ones once more. */
static void print_event(struct follower *f, const struct item_event *event)
{
	if (event->seq <= f->seq && event->at <= f->at_ms)
		return;
	f->seq = event->seq;
	f->at_ms = event->at;
	if (!f->c->json)
		show_event(&f->out, &f->c->style, event);
	else if (ctl_json(&f->out, &wire_shape_event, event) < 0)
		f->out.failed = TR_ENOMEM;
	emit(f);
}

static void on_events(void *arg, const void *res)
{
	const struct res_events *r = res;

	for (uint32_t i = 0; i < r->events.n; i++)
		print_event(arg, &r->events.v[i]);
}

/* A notification carries the same fields as an item of the list. */
#define COPY_REQ(name) b.name = m->name;
#define COPY_OPT(name)                \
	b.has_##name = m->has_##name; \
	b.name = m->name;
#define COPY(need, type, name, min, max) COPY_##need(name)

static void on_note(void *arg, enum wire_msg_id id, const void *msg)
{
	struct follower *f = arg;

	if (id == MSG_heartbeat) {
		const struct msg_heartbeat *m = msg;
		struct item_beat b;

		FIELDS_heartbeat(COPY, , ) print_beat(f, &b);
		(void)loop_timer_start(f->silence, SILENCE_MS, 0);
	} else if (id == MSG_event) {
		const struct msg_event *m = msg;
		struct item_event b;

		FIELDS_event(COPY, , ) print_event(f, &b);
	}
}

static void on_again(void *arg)
{
	struct follower *f = arg;

	f->again = true;
}

static int ask(struct follower *f, enum wire_msg_id id, const void *msg, ctl_result_fn *fn, struct tr_fault *fault)
{
	char path[CTL_PATH_MAX];
	int r;

	ctl_socket_path(f->c, CTL_CONTROL, path);
	peer_free(&f->c->peers[CTL_CONTROL]);
	if ((r = ctl_probe(path)) < 0)
		return tr_fault_set(fault, r, "", "%s", tr_strerror(r));
	if (ctl_peer(f->c, CTL_CONTROL) == NULL)
		return tr_fault_set(fault, TR_ENOMEM, "", "out of memory");
	peer_on_note(f->c->peers[CTL_CONTROL], on_note, f);
	peer_on_lost(f->c->peers[CTL_CONTROL], on_again, f);
	return ctl_call(f->c, id, msg, fn, f, fault);
}

/* Until stdout takes no more, or the tribe is gone. */
static enum ctl_exit follow(struct ctl *c, enum wire_msg_id id, const void *msg, ctl_result_fn *fn, uint64_t silence_ms)
{
	struct follower f = {.c = c, .e = CTL_DONE, .again = true};
	struct tr_fault fault;
	int r;

	if (loop_timer_new(&f.silence, &c->loop, on_again, &f) < 0)
		return CTL_INTERNAL;
	while (f.e == CTL_DONE) {
		if (!f.again) {
			(void)uv_run(&c->loop, UV_RUN_ONCE);
			continue;
		}
		f.again = false;
		if ((r = ask(&f, id, msg, fn, &fault)) < 0 && f.e == CTL_DONE)
			f.e = ctl_complain(c, r, &fault);
		if (silence_ms > 0)
			(void)loop_timer_start(f.silence, silence_ms, 0);
	}
	peer_free(&c->peers[CTL_CONTROL]); /* it knows f */
	loop_timer_free(&f.silence);
	buf_free(&f.out);
	return f.e;
}

static void show_beats(struct buf *out, const struct show_style *s, const void *res)
{
	const struct res_heartbeats *r = res;

	(void)s;
	for (uint32_t i = 0; i < r->heartbeats.n; i++)
		show_beat(out, &r->heartbeats.v[i]);
}

enum ctl_exit cmd_heartbeats(struct ctl *c, const struct ctl_args *a)
{
	struct msg_heartbeats msg = {.has_follow = false};

	if (!ctl_flag(a, "follow"))
		return ctl_ask(c, MSG_heartbeats, &msg, show_beats);
	msg.has_follow = msg.follow = true;
	return follow(c, MSG_heartbeats, &msg, on_beats, SILENCE_MS);
}

enum ctl_exit cmd_events(struct ctl *c, const struct ctl_args *a)
{
	struct msg_events msg = {.has_limit = true, .limit = EVENTS_SHOWN};

	(void)ctl_u32(a, "limit", &msg.limit);
	if (!ctl_flag(a, "follow"))
		return ctl_ask(c, MSG_events, &msg, show_events);
	msg.has_follow = msg.follow = true;
	return follow(c, MSG_events, &msg, on_events, 0);
}
