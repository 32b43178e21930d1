#include "supervisor/ctl/commands.h"
#include <pwd.h>
#include <string.h>
#include <unistd.h>

#define TAGS_MAX    64
#define HOTTEST     8  /* shown by thermal */
#define RECALL_MANY 10 /* what fits a screen */

static wire_str text_of(const struct buf *b)
{
	return (wire_str){b->p == NULL ? "" : b->p, (uint32_t)b->len};
}

/* An optional text of the command line into an optional field. */
#define TAKE_STR(msg, field, option)                         \
	do {                                                 \
		(msg)->field = wire_s(ctl_str(a, option));   \
		(msg)->has_##field = (msg)->field.p != NULL; \
	} while (0)

enum ctl_exit cmd_remember(struct ctl *c, const struct ctl_args *a)
{
	struct item_new_memory one = {.content = {NULL, 0}};
	struct msg_memory_add msg = {.memories = {&one, 1}};
	wire_str tags[TAGS_MAX];
	struct buf text;
	enum ctl_exit e;
	const char *tag;

	if ((e = ctl_text(c, &text)) != CTL_DONE)
		goto out;
	one.content = text_of(&text);
	TAKE_STR(&one, id, "id");
	TAKE_STR(&one, source, "source");
	TAKE_STR(&one, session, "session");
	TAKE_STR(&one, speaker, "speaker");
	one.has_importance = ctl_f64(a, "importance", &one.importance);
	one.has_at = ctl_time(a, "at", &one.at);
	one.has_sacred = one.sacred = ctl_flag(a, "sacred");
	while ((tag = ctl_nth(a, "tag", one.tags.n)) != NULL) {
		if (one.tags.n == TAGS_MAX) {
			ctl_say(c, "--tag: at most %d", TAGS_MAX);
			e = CTL_USAGE;
			goto out;
		}
		tags[one.tags.n++] = wire_s(tag);
	}
	one.has_tags = one.tags.n > 0;
	one.tags.v = tags;
	e = ctl_ask(c, MSG_memory_add, &msg, one.has_id ? show_added_by_id : show_added);
out:
	buf_free(&text);
	return e;
}

enum ctl_exit cmd_recall(struct ctl *c, const struct ctl_args *a)
{
	struct msg_memory_recall msg = {.has_q = true, .has_limit = true, .limit = RECALL_MANY};
	struct buf text;
	enum ctl_exit e = ctl_text(c, &text);

	if (e == CTL_DONE) {
		msg.q = text_of(&text);
		(void)ctl_u32(a, "limit", &msg.limit);
		TAKE_STR(&msg, tag, "tag");
		msg.has_min_temperature = ctl_f64(a, "min-temperature", &msg.min_temperature);
		msg.has_touch = ctl_flag(a, "no-touch"); /* and touch stays false */
		e = ctl_ask(c, MSG_memory_recall, &msg, show_recall);
	}
	buf_free(&text);
	return e;
}

enum ctl_exit cmd_ask(struct ctl *c, const struct ctl_args *a)
{
	struct msg_executive_ask msg = {.question = {NULL, 0}};
	struct buf text;
	enum ctl_exit e = ctl_text(c, &text);

	if (e == CTL_DONE) {
		msg.question = text_of(&text);
		msg.has_limit = ctl_u32(a, "limit", &msg.limit);
		TAKE_STR(&msg, detail, "detail");
		msg.has_touch = ctl_flag(a, "no-touch");
		e = ctl_ask(c, MSG_executive_ask, &msg, show_answer);
	}
	buf_free(&text);
	return e;
}

enum ctl_exit cmd_thermal(struct ctl *c, const struct ctl_args *a)
{
	struct msg_memory_thermal msg = {.has_hottest = true, .hottest = HOTTEST};

	(void)a;
	return ctl_ask(c, MSG_memory_thermal, &msg, show_thermal);
}

enum ctl_exit cmd_decide(struct ctl *c, const struct ctl_args *a)
{
	struct msg_memory_decide msg = {.by = wire_s(ctl_str(a, "by"))};
	const struct passwd *who = msg.by.p == NULL ? getpwuid(getuid()) : NULL;
	struct buf text;
	enum ctl_exit e = ctl_text(c, &text);

	if (e == CTL_DONE) {
		msg.text = text_of(&text);
		if (msg.by.p == NULL)
			msg.by = wire_s(who != NULL && who->pw_name[0] != '\0' ? who->pw_name : "operator");
		e = ctl_ask(c, MSG_memory_decide, &msg, show_decided);
	}
	buf_free(&text);
	return e;
}

enum ctl_exit cmd_decisions(struct ctl *c, const struct ctl_args *a)
{
	struct msg_memory_decisions msg = {.has_since = false};

	msg.has_since = ctl_time(a, "since", &msg.since);
	msg.has_limit = ctl_u32(a, "limit", &msg.limit);
	return ctl_ask(c, MSG_memory_decisions, &msg, show_decisions);
}

enum ctl_exit cmd_audit(struct ctl *c, const struct ctl_args *a)
{
	struct msg_memory_audit msg = {.action = wire_s(ctl_str(a, "action")),
				       .class = wire_s(ctl_str(a, "class")),
				       .memory = wire_s(ctl_str(a, "memory"))};

	msg.has_since = ctl_time(a, "since", &msg.since);
	msg.has_limit = ctl_u32(a, "limit", &msg.limit);
	msg.has_action = msg.action.p != NULL;
	msg.has_class = msg.class.p != NULL;
	msg.has_memory = msg.memory.p != NULL;
	return ctl_ask(c, MSG_memory_audit, &msg, show_audit);
}

struct forgetting {
	const struct ctl *c;
	struct buf out;
	bool purged;
};

static void on_forgotten(void *arg, const void *res)
{
	const struct res_memory_forget *r = res;
	struct forgetting *f = arg;

	f->purged = r->has_purged && r->purged;
	if (!f->c->json)
		show_forgotten(&f->out, &f->c->style, res);
	else if (ctl_json(&f->out, wire_methods[MSG_memory_forget].result, res) < 0)
		f->out.failed = TR_ENOMEM;
}

enum ctl_exit cmd_forget(struct ctl *c, const struct ctl_args *a)
{
	struct msg_memory_forget msg = {.id = wire_s(a->operands[0])};
	struct forgetting f = {.c = c};
	struct tr_fault fault;
	enum ctl_exit e;
	int r;

	msg.has_now = msg.now = ctl_flag(a, "now");
	r = ctl_call(c, MSG_memory_forget, &msg, on_forgotten, &f, &fault);
	e = r < 0 ? ctl_complain(c, r, &fault) : ctl_emit(c, &f.out);
	buf_free(&f.out);
	if (e == CTL_DONE && msg.now && !f.purged) {
		ctl_say(c, "forgotten, but not purged from the files in time; that goes on by itself");
		e = CTL_FAILED;
	}
	return e;
}

enum ctl_exit cmd_explain(struct ctl *c, const struct ctl_args *a)
{
	struct msg_memory_explain msg = {.id = wire_s(a->operands[0])};

	TAKE_STR(&msg, q, "question");
	return ctl_ask(c, MSG_memory_explain, &msg, show_explained);
}
