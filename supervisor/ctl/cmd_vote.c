#include "supervisor/ctl/commands.h"
#include <pwd.h>
#include <string.h>
#include <unistd.h>

#define OPTIONS_MAX 16

struct voting {
	const struct ctl *c;
	struct buf out;
	bool closed, decided;
};

static void take(struct voting *v, const struct item_vote *vote)
{
	v->closed = vote->has_closed_at;
	v->decided = vote->decided;
	if (!v->c->json)
		show_vote(&v->out, &v->c->style, vote);
	else if (ctl_json(&v->out, &wire_shape_vote, vote) < 0)
		v->out.failed = TR_ENOMEM;
}

static void on_vote(void *arg, const void *res)
{
	take(arg, &((const struct res_executive_vote *)res)->vote);
}

static void on_one(void *arg, const void *res)
{
	take(arg, &((const struct res_memory_vote *)res)->vote);
}

static enum ctl_exit options(struct ctl *c, const struct ctl_args *a, wire_str *v, wire_strs *out)
{
	const char *option;

	out->v = v;
	out->n = 0;
	while ((option = ctl_nth(a, "option", out->n)) != NULL) {
		if (out->n == OPTIONS_MAX) {
			ctl_say(c, "--option: at most %d", OPTIONS_MAX);
			return CTL_USAGE;
		}
		v[out->n++] = wire_s(option);
	}
	if (out->n == 1) {
		ctl_say(c, "--option: at least two, or none for yes and no");
		return CTL_USAGE;
	}
	return CTL_DONE;
}

enum ctl_exit cmd_vote(struct ctl *c, const struct ctl_args *a)
{
	const struct passwd *who = getpwuid(getuid());
	struct msg_executive_vote msg = {.has_by = true, .by = wire_s("operator")};
	struct voting v = {.c = c};
	wire_str list[OPTIONS_MAX];
	struct tr_fault fault;
	struct buf text;
	enum ctl_exit e;
	int r;

	if ((e = ctl_text(c, &text)) != CTL_DONE || (e = options(c, a, list, &msg.options)) != CTL_DONE)
		goto out;
	msg.proposal = (wire_str){text.p == NULL ? "" : text.p, (uint32_t)text.len};
	msg.has_options = msg.options.n > 0;
	msg.has_quorum = ctl_u32(a, "quorum", &msg.quorum);
	msg.has_threshold = ctl_f64(a, "threshold", &msg.threshold);
	msg.has_deadline_s = ctl_u32(a, "deadline", &msg.deadline_s);
	msg.vote_id = wire_s(ctl_str(a, "id"));
	msg.has_vote_id = msg.vote_id.p != NULL;
	if (who != NULL && who->pw_name[0] != '\0')
		msg.by = wire_s(who->pw_name);
	r = ctl_call(c, MSG_executive_vote, &msg, on_vote, &v, &fault);
	e = r < 0 ? ctl_complain(c, r, &fault) : ctl_emit(c, &v.out);
	if (e == CTL_DONE && v.closed && !v.decided) {
		ctl_say(c, "no decision");
		e = CTL_FAILED;
	}
out:
	buf_free(&v.out);
	buf_free(&text);
	return e;
}

enum ctl_exit cmd_votes(struct ctl *c, const struct ctl_args *a)
{
	struct msg_memory_votes all = {.has_limit = false};
	struct msg_memory_vote one;
	struct voting v = {.c = c};
	struct tr_fault fault;
	enum ctl_exit e;
	int r;

	if (a->noperands == 0) {
		all.has_limit = ctl_u32(a, "limit", &all.limit);
		return ctl_ask(c, MSG_memory_votes, &all, show_votes);
	}
	one = (struct msg_memory_vote){.id = wire_s(a->operands[0])};
	r = ctl_call(c, MSG_memory_vote, &one, on_one, &v, &fault);
	e = r < 0 ? ctl_complain(c, r, &fault) : ctl_emit(c, &v.out);
	buf_free(&v.out);
	return e;
}
