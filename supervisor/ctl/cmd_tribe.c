#include "common/loop/loop.h"
#include "supervisor/ctl/commands.h"
#include <stdio.h>

#define TEMPERATURE_MS 1000 /* the screen does not wait longer for memory-jr */
#define SILENCE_MS     2000 /* of a follower: ask again, tribed may be another one by now */

struct screen {
	struct ctl *c;
	struct buf out;
	bool memory_up;
};

static void on_status(void *arg, const void *res)
{
	struct screen *s = arg;
	const struct res_status *r = res;

	s->memory_up = r->jrs_running.memory_jr;
	if (!s->c->json)
		show_status(&s->out, &s->c->style, res);
	else if (ctl_json(&s->out, wire_methods[MSG_status].result, res) < 0)
		s->out.failed = TR_ENOMEM;
}

static void on_temperature(void *arg, const void *res)
{
	struct screen *s = arg;

	show_temperature(&s->out, &s->c->style, res);
}

enum ctl_exit cmd_status(struct ctl *c, const struct ctl_args *a)
{
	struct msg_memory_thermal thermal = {.has_hottest = false};
	struct msg_status msg = {.common = {.has_request_id = false}};
	struct screen s = {.c = c};
	struct tr_fault fault;
	enum ctl_exit e;
	int r;

	(void)a;
	if ((r = ctl_call(c, MSG_status, &msg, on_status, &s, &fault)) < 0) {
		e = ctl_complain(c, r, &fault);
		goto out;
	}
	if (!c->json && s.memory_up) { /* without an answer the screen simply has two lines less */
		if (c->timeout_ms > TEMPERATURE_MS)
			c->timeout_ms = TEMPERATURE_MS;
		(void)ctl_call(c, MSG_memory_thermal, &thermal, on_temperature, &s, &fault);
	}
	e = ctl_emit(c, &s.out);
out:
	buf_free(&s.out);
	return e;
}

/* ---- heartbeats ---- */

struct follower {
	struct ctl *c;
	struct loop_timer *silence;
	struct buf out;
	enum ctl_exit e;
	bool quiet; /* nothing came for SILENCE_MS */
};

static void print_beat(struct follower *f, const struct item_beat *beat)
{
	if (!f->c->json)
		show_beat(&f->out, beat);
	else if (ctl_json(&f->out, &wire_shape_beat, beat) < 0)
		f->out.failed = TR_ENOMEM;
	if (f->e == CTL_DONE)
		f->e = ctl_emit(f->c, &f->out);
}

static void on_beats(void *arg, const void *res)
{
	const struct res_heartbeats *r = res;

	for (uint32_t i = 0; i < r->heartbeats.n; i++)
		print_beat(arg, &r->heartbeats.v[i]);
}

/* The notification carries the same fields as an item of the list. */
static void on_note(void *arg, enum wire_msg_id id, const void *msg)
{
	const struct msg_heartbeat *m = msg;
	struct follower *f = arg;
	struct item_beat b;

	if (id != MSG_heartbeat)
		return;
#define COPY_REQ(name) b.name = m->name;
#define COPY_OPT(name)                \
	b.has_##name = m->has_##name; \
	b.name = m->name;
#define COPY(need, type, name, min, max) COPY_##need(name)
	FIELDS_heartbeat(COPY, , ) print_beat(f, &b);
	(void)loop_timer_start(f->silence, SILENCE_MS, 0);
}

static void on_silence(void *arg)
{
	struct follower *f = arg;

	f->quiet = true;
}

static void show_beats(struct buf *out, const struct show_style *s, const void *res)
{
	const struct res_heartbeats *r = res;

	(void)s;
	for (uint32_t i = 0; i < r->heartbeats.n; i++)
		show_beat(out, &r->heartbeats.v[i]);
}

/* Until stdout takes no more, or the tribe is gone. */
static enum ctl_exit follow(struct ctl *c)
{
	struct msg_heartbeats msg = {.has_follow = true, .follow = true};
	struct follower f = {.c = c, .e = CTL_DONE, .quiet = true};
	struct tr_fault fault;
	char path[CTL_PATH_MAX];
	int r;

	if (loop_timer_new(&f.silence, &c->loop, on_silence, &f) < 0)
		return CTL_INTERNAL;
	ctl_socket_path(c, CTL_CONTROL, path);
	while (f.e == CTL_DONE) {
		if (f.quiet) {
			f.quiet = false;
			peer_free(&c->peers[CTL_CONTROL]);
			if ((r = ctl_probe(path)) < 0)
				tr_fault_set(&fault, r, "", "%s", tr_strerror(r));
			else if (ctl_peer(c, CTL_CONTROL) == NULL)
				r = tr_fault_set(&fault, TR_ENOMEM, "", "out of memory");
			if (r == 0) {
				peer_on_note(c->peers[CTL_CONTROL], on_note, &f);
				r = ctl_call(c, MSG_heartbeats, &msg, on_beats, &f, &fault);
			}
			if (r < 0)
				f.e = ctl_complain(c, r, &fault);
			(void)loop_timer_start(f.silence, SILENCE_MS, 0);
			continue;
		}
		(void)uv_run(&c->loop, UV_RUN_ONCE);
	}
	loop_timer_free(&f.silence);
	buf_free(&f.out);
	return f.e;
}

enum ctl_exit cmd_heartbeats(struct ctl *c, const struct ctl_args *a)
{
	struct msg_heartbeats msg = {.has_follow = false};

	return ctl_flag(a, "follow") ? follow(c) : ctl_ask(c, MSG_heartbeats, &msg, show_beats);
}
