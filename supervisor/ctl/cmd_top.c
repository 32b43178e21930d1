/* The status, live: drawn anew in place every second on a terminal, printed again elsewhere. */
#include "common/base/clock.h"
#include "common/base/text.h"
#include "supervisor/ctl/commands.h"
#include "supervisor/ctl/screen.h"
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define PERIOD_MS 1000
#define ANSWER_MS 1000 /* a screen waits no longer */
#define BEATS_MAX 64
#define EVENTS    6

/* Copies: an answer is borrowed. */
struct beats {
	struct item_beat v[BEATS_MAX];
	char names[BEATS_MAX][33];
	uint32_t n;
};
struct top {
	struct ctl *c;
	struct buf text;
	bool memory_up;
	struct beats beats[2]; /* of this look and the one before, in turns */
	unsigned turn;
};

static void on_status(void *arg, const void *res)
{
	const struct res_status *r = res;
	struct top *t = arg;

	t->memory_up = r->jrs_running.memory_jr;
	if (!t->c->json)
		show_status(&t->text, &t->c->style, res);
	else if (ctl_json(&t->text, wire_methods[MSG_status].result, res) < 0)
		t->text.failed = TR_ENOMEM;
}

static void on_temperature(void *arg, const void *res)
{
	struct top *t = arg;

	show_temperature(&t->text, &t->c->style, res);
}

static void on_beats(void *arg, const void *res)
{
	const struct res_heartbeats *r = res;
	struct top *t = arg;
	struct beats *b = &t->beats[t->turn % 2];

	for (b->n = 0; b->n < r->heartbeats.n && b->n < BEATS_MAX; b->n++) {
		b->v[b->n] = r->heartbeats.v[b->n];
		tr_copy(b->names[b->n], sizeof(b->names[b->n]), b->v[b->n].jr.p, b->v[b->n].jr.n);
		b->v[b->n].jr = wire_s(b->names[b->n]);
		b->v[b->n].state = (wire_str){"", 0};
	}
}

static void on_events(void *arg, const void *res)
{
	const struct res_events *r = res;
	struct top *t = arg;

	if (r->events.n > 0)
		(void)buf_puts(&t->text, "\n");
	for (uint32_t i = 0; i < r->events.n; i++)
		show_event(&t->text, &t->c->style, &r->events.v[i]);
}

/* Fills t->text. Only the status is needed; without another answer its lines are missing. */
static int look(struct top *t, struct tr_fault *fault)
{
	struct msg_status status = {.common = {.has_request_id = false}};
	struct msg_memory_thermal thermal = {.has_hottest = false};
	struct msg_heartbeats heartbeats = {.has_follow = false};
	struct msg_events events = {.has_limit = true, .limit = EVENTS};
	const struct beats *now = &t->beats[++t->turn % 2], *before = &t->beats[(t->turn + 1) % 2];
	struct list_beat a = {before->v, before->n}, b;
	struct tr_fault ignored;
	int r;

	t->memory_up = false;
	t->beats[t->turn % 2].n = 0;
	if ((r = ctl_call(t->c, MSG_status, &status, on_status, t, fault)) < 0 || t->c->json)
		return r;
	if (t->memory_up)
		(void)ctl_call(t->c, MSG_memory_thermal, &thermal, on_temperature, t, &ignored);
	if (ctl_call(t->c, MSG_heartbeats, &heartbeats, on_beats, t, &ignored) == 0) {
		b = (struct list_beat){now->v, now->n};
		(void)buf_puts(&t->text, "\n");
		show_load(&t->text, &t->c->style, &a, &b);
	}
	(void)ctl_call(t->c, MSG_events, &events, on_events, t, &ignored);
	return 0;
}

static bool on_terminal(const struct ctl *c)
{
	const char *term = getenv("TERM");

	return !c->json && isatty(STDOUT_FILENO) && (term == NULL || strcmp(term, "dumb") != 0);
}

static enum ctl_exit print_again(struct top *t)
{
	enum ctl_exit e = CTL_DONE;
	struct tr_fault fault;

	while (e == CTL_DONE && !ctl_interrupted()) {
		int r = look(t, &fault);

		if (r < 0 && ctl_interrupted())
			break;
		if (r < 0)
			return ctl_complain(t->c, r, &fault);
		if (!t->c->json)
			(void)buf_puts(&t->text, "\n");
		if ((e = ctl_emit(t->c, &t->text)) == CTL_DONE)
			(void)poll(NULL, 0, PERIOD_MS);
	}
	return e;
}

/* One look, drawn. A tribe that is gone for a moment is waited for. */
static void draw(struct top *t, struct buf *out, const struct screen *s)
{
	struct tr_fault fault;
	char when[SHOW_SHORT];
	int r;

	buf_clear(&t->text);
	show_time(when, tr_wall_ms());
	show_paint(&t->text, &t->c->style, SHOW_DIM, "%s   q leaves", when);
	(void)buf_puts(&t->text, "\n");
	if ((r = look(t, &fault)) < 0) {
		(void)buf_puts(&t->text, "\n");
		show_paint(&t->text, &t->c->style, SHOW_BAD, "no answer from the tribe: %s; asking again",
			   tr_strerror(r));
		(void)buf_puts(&t->text, "\n");
	}
	screen_frame(out, t->text.p == NULL ? "" : t->text.p, t->text.len, screen_rows(s));
	if (t->text.failed != 0)
		out->failed = t->text.failed;
}

static enum ctl_exit draw_again(struct top *t)
{
	struct screen *s = NULL;
	struct tr_fault fault;
	struct buf out = {.max = 0};
	enum ctl_exit e;
	int r;

	if ((r = look(t, &fault)) < 0) /* said on the plain screen, where it stays */
		return ctl_interrupted() ? CTL_DONE : ctl_complain(t->c, r, &fault);
	if (screen_open(&s) < 0)
		return CTL_INTERNAL;
	do {
		uint64_t until = tr_mono_ms() + PERIOD_MS;

		draw(t, &out, s);
		e = ctl_emit(t->c, &out);
		if (e != CTL_DONE || screen_wait(s, until) == SCREEN_LEAVE)
			break;
	} while (!ctl_interrupted());
	screen_close(&s);
	buf_free(&out);
	return e;
}

enum ctl_exit cmd_top(struct ctl *c, const struct ctl_args *a)
{
	struct top *t = calloc(1, sizeof(*t));
	enum ctl_exit e;

	(void)a;
	if (t == NULL)
		return CTL_INTERNAL;
	t->c = c;
	if (!c->timeout_given && c->timeout_ms > ANSWER_MS)
		c->timeout_ms = ANSWER_MS;
	if ((e = ctl_catch(c)) == CTL_DONE)
		e = on_terminal(c) ? draw_again(t) : print_again(t);
	buf_free(&t->text);
	free(t);
	return e;
}
