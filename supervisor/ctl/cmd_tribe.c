#include "supervisor/ctl/commands.h"
#include <stdio.h>

#define TEMPERATURE_MS 1000 /* the screen does not wait longer for memory-jr */

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
