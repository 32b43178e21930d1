/* tribectl governance: acts are put forward, listed, shown, objected to. */
#include "proto/dsse/dsse.h"
#include "supervisor/ctl/acts.h"
#include "supervisor/ctl/commands.h"
#include <pwd.h>
#include <string.h>
#include <unistd.h>

static enum ctl_exit usage(const struct ctl *c, const char *why)
{
	ctl_say(c, "%s; tribectl help governance", why);
	return CTL_USAGE;
}

static enum ctl_exit list(struct ctl *c, const struct ctl_args *a)
{
	struct msg_memory_acts msg = {.has_id = false};

	if (a->noperands > 1)
		return usage(c, "list takes no operand");
	msg.has_limit = ctl_u32(a, "limit", &msg.limit);
	return ctl_ask(c, MSG_memory_acts, &msg, show_acts);
}

static enum ctl_exit show(struct ctl *c, const struct ctl_args *a)
{
	struct msg_memory_acts msg = {.has_id = true};

	if (a->noperands != 2)
		return usage(c, "show takes the id of one act");
	msg.id = wire_s(a->operands[1]);
	return ctl_ask(c, MSG_memory_acts, &msg, show_acts);
}

struct outcome {
	const struct ctl *c;
	struct buf out;
	bool refused;
};

static void on_governed(void *arg, const void *res)
{
	const struct res_memory_govern *r = res;
	struct outcome *o = arg;

	o->refused = r->act.state.n == strlen("refused") && memcmp(r->act.state.p, "refused", r->act.state.n) == 0;
	if (!o->c->json)
		show_governed(&o->out, &o->c->style, res);
	else if (ctl_json(&o->out, wire_methods[MSG_memory_govern].result, res) < 0)
		o->out.failed = TR_ENOMEM;
}

static enum ctl_exit put_forward(struct ctl *c, const struct msg_memory_govern *msg)
{
	struct outcome o = {.c = c};
	struct tr_fault fault;
	enum ctl_exit e;
	int r = ctl_call(c, MSG_memory_govern, msg, on_governed, &o, &fault);

	e = r < 0 ? ctl_complain(c, r, &fault) : ctl_emit(c, &o.out);
	buf_free(&o.out);
	return e == CTL_DONE && o.refused ? CTL_REFUSED : e;
}

/* Without keys: whoever may use the socket is an admin, by his login name. */
static enum ctl_exit plain(struct ctl *c, const struct ctl_args *a, struct msg_memory_govern *msg)
{
	const struct passwd *who = getpwuid(getuid());
	const char *reason = ctl_str(a, "reason");

	if (reason == NULL)
		return usage(c, "--reason is needed");
	msg->has_act = msg->has_by = true;
	msg->by = wire_s(who != NULL && who->pw_name[0] != '\0' ? who->pw_name : "operator");
	msg->act.reason = wire_s(reason);
	msg->act.id = wire_s(ctl_str(a, "id"));
	msg->act.has_id = msg->act.id.p != NULL;
	msg->act.has_not_before = ctl_time(a, "not-before", &msg->act.not_before);
	msg->confirm = wire_s(ctl_str(a, "confirm"));
	msg->has_confirm = msg->confirm.p != NULL;
	return put_forward(c, msg);
}

static enum ctl_exit submit(struct ctl *c, const struct ctl_args *a)
{
	struct msg_memory_govern msg = {.has_act = false};
	const char *wrong = act_of_words(&msg.act, a->operands + 1, a->noperands - 1);
	struct buf file = {0};
	enum ctl_exit e;

	if (wrong == NULL)
		return plain(c, a, &msg);
	if (wrong[0] != '\0' || a->noperands != 2)
		return usage(c, wrong[0] != '\0' ? wrong : "submit takes a FILE that was signed, or an act");
	if ((e = act_read(c, a->operands[1], DSSE_ENVELOPE_MAX, &file)) == CTL_DONE) {
		msg = (struct msg_memory_govern){.has_envelope = true,
						 .envelope = {file.p == NULL ? "" : file.p, (uint32_t)file.len}};
		e = put_forward(c, &msg);
	}
	buf_free(&file);
	return e;
}

static enum ctl_exit object(struct ctl *c, const struct ctl_args *a)
{
	struct msg_memory_govern msg = {.has_act = false};
	const char *wrong = act_of_words(&msg.act, a->operands, a->noperands);

	return wrong == NULL ? plain(c, a, &msg) : usage(c, wrong);
}

enum ctl_exit cmd_governance(struct ctl *c, const struct ctl_args *a)
{
	static const struct {
		const char *word;
		enum ctl_exit (*run)(struct ctl *c, const struct ctl_args *a);
	} all[] = {{"list", list}, {"show", show}, {"submit", submit}, {"object", object}};

	if (a->noperands == 0)
		return list(c, a);
	for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++) {
		if (strcmp(a->operands[0], all[i].word) == 0)
			return all[i].run(c, a);
	}
	return usage(c, "it is list, show ID, submit FILE|ACT, or object ID");
}
